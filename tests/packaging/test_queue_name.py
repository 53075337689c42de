"""The folder ``queue/`` must never hide the standard library's ``queue``.

With an ``__init__.py`` in it, whatever runs from the repository's root gets ours, and redis,
``asyncio.to_thread`` and ``python -m pytest`` break, while plain ``pytest`` still passes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def _run_at(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the first entry of its path is the root, as in a developer's shell."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("source_root", ["queue", "worker"])
def test_a_source_root_is_no_package(root: Path, source_root: str) -> None:
    assert (root / source_root).is_dir()
    assert not (root / source_root / "__init__.py").exists()


@pytest.mark.parametrize(
    "program",
    [
        "import queue; queue.SimpleQueue",
        "import redis.asyncio",
        "import asyncio; asyncio.run(asyncio.to_thread(len, ''))",
    ],
)
def test_the_standard_queue_is_imported_at_the_root(root: Path, program: str) -> None:
    result = _run_at(root, "-c", program)
    assert result.returncode == 0, result.stderr


def test_python_m_pytest_works_at_the_root(root: Path) -> None:
    this = str(Path(__file__).relative_to(root))
    collect = ["-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", this]
    result = _run_at(root, *collect)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "test_a_source_root_is_no_package" in result.stdout
