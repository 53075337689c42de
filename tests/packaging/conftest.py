"""The repository's root, its wheel, and what a bare install of that wheel would hold."""

import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root, or that of an unpacked source archive."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree as it is now."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=60)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def bare_site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to import from: the wheel and its base requirements, nothing of the extras."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    metadata = Distribution.at(next(site.glob("*.dist-info")))
    for needed in _closure(metadata):
        for name in _top_level(needed):
            (site / name).symlink_to(needed.locate_file(name))  # type: ignore[arg-type]
    return site


def _closure(start: Distribution) -> list[Distribution]:
    """The installed distributions that ``start`` needs without any extra, each once."""
    found: dict[str, Distribution] = {}
    pending = [start]
    while pending:
        for text in pending.pop().requires or []:
            requirement = Requirement(text)
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and requirement.name not in found:
                found[requirement.name] = distribution(requirement.name)
                pending.append(found[requirement.name])
    return list(found.values())


def _top_level(installed: Distribution) -> set[str]:
    return {file.parts[0] for file in installed.files or []} - {"..", "__pycache__"}
