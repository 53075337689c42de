"""What the wheel holds, and that the suite tests it."""

import os
import sysconfig
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import weighbridge


@pytest.fixture(scope="module")
def files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(bare_site: Path) -> Distribution:
    return Distribution.at(next(bare_site.glob("weighbridge-*.dist-info")))


def test_the_suite_imports_the_installed_wheel() -> None:
    if os.environ.get("PYTHONPATH"):
        pytest.skip("PYTHONPATH names the tree; make test runs without it")
    installed = Path(sysconfig.get_path("purelib")).resolve()
    assert installed in Path(weighbridge.__file__).resolve().parents


def test_every_source_file_is_in_the_wheel(root: Path, files: set[str]) -> None:
    tree = {
        path.relative_to(package.parent).as_posix()
        for package in (root / "queue" / "weighbridge", root / "worker" / "weighbridge_worker")
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert tree == {name for name in files if ".dist-info/" not in name}
    assert {"weighbridge/py.typed", "weighbridge_worker/py.typed"} <= tree
    assert "weighbridge/lua/take.lua" in tree


def test_the_wheel_holds_two_packages_and_no_tests(files: set[str]) -> None:
    folders = {name.split("/")[0] for name in files}
    assert {name for name in folders if not name.endswith(".dist-info")} == {
        "weighbridge",
        "weighbridge_worker",
    }


def test_the_wheel_holds_the_licence(files: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in files)


def test_the_base_install_needs_three_packages(metadata: Distribution) -> None:
    requirements = [Requirement(text) for text in metadata.requires or []]
    base = {each.name for each in requirements if "extra" not in str(each.marker)}
    assert base == {"anyio", "msgspec", "redis"}


def test_the_command_and_the_pytest_plugin_are_the_worker_packages(metadata: Distribution) -> None:
    assert sorted((each.group, each.name, each.value) for each in metadata.entry_points) == [
        ("console_scripts", "weighbridge", "weighbridge_worker.__main__:main"),
        ("pytest11", "weighbridge", "weighbridge_worker.pytest_plugin"),
    ]
