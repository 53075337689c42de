"""What the source archive holds beside the packages."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def files(root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=60)
    [built] = folder.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_wire_contract_its_schemas_and_the_producers_are_in_the_source_archive(
    root: Path, files: set[str]
) -> None:
    schemas = {f"queue/schemas/{path.name}" for path in (root / "queue" / "schemas").iterdir()}
    producers = {f"deploy/producers/count.{suffix}" for suffix in ("mjs", "py", "sh")}
    assert {"queue/PROTOCOL.md", *schemas, *producers} <= files


def test_what_npm_installed_is_not(files: set[str]) -> None:
    assert "tests/npm/package-lock.json" in files
    assert [name for name in files if "node_modules" in name] == []
