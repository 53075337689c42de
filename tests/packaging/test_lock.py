"""The lock pins everything by version and hash, and names no place."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def lock(root: Path) -> str:
    return (root / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pins(lock: str) -> dict[str, Requirement]:
    """Every entry of the lock, by its normalised name."""
    entries = [Requirement(entry) for entry, _ in _entries(lock)]
    return {canonicalize_name(each.name): each for each in entries}


def _entries(lock: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each entry as (requirement, the words after it)."""
    for line in lock.replace("\\\n", "").splitlines():
        requirement, *hashes = re.split(r"\s+(?=--)", line.strip())
        yield requirement, hashes


def _wanted(root: Path) -> Iterator[Requirement]:
    """Yield what pyproject.toml asks for: to run, to work, to develop and to build."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    yield from map(Requirement, settings["build-system"]["requires"])
    yield from map(Requirement, project["dependencies"])
    for extra in project["optional-dependencies"].values():
        yield from map(Requirement, extra)


def test_every_entry_is_one_exact_version_with_hashes(lock: str) -> None:
    entries = list(_entries(lock))
    assert len(entries) > 40
    for requirement, hashes in entries:
        (specifier,) = Requirement(requirement).specifier
        assert specifier.operator == "==", requirement
        assert "*" not in specifier.version, requirement
        assert hashes, requirement
        assert all(SHA256.fullmatch(each) for each in hashes), requirement


def test_the_lock_names_no_index_path_or_option(lock: str) -> None:
    assert "/" not in lock
    assert "#" not in lock
    assert "@" not in lock
    assert not re.search(r"^\s*-(?!-hash=)", lock, re.MULTILINE)


def test_the_lock_pins_what_the_project_asks_for(root: Path, pins: dict[str, Requirement]) -> None:
    for wanted in _wanted(root):
        if wanted.name == "weighbridge":
            continue
        (specifier,) = pins[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(specifier.version), f"make lock: {wanted}"


def test_the_lock_leaves_out_the_project_itself(pins: dict[str, Requirement]) -> None:
    assert "weighbridge" not in pins
