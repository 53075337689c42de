"""Where the cache of the embedded server lives."""

from pathlib import Path

import pytest

from weighbridge.errors import SettingsError
from weighbridge_worker.embedded import state_home


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WEIGHBRIDGE_STATE_DIR": "/own", "XDG_STATE_HOME": "/xdg", "HOME": "/h"}, "/own"),
        ({"WEIGHBRIDGE_STATE_DIR": "", "XDG_STATE_HOME": "/xdg", "HOME": "/h"}, "/xdg/weighbridge"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/weighbridge"),
        ({"XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/weighbridge"),
        ({"HOME": "/h"}, "/h/.local/state/weighbridge"),
    ],
)
def test_the_own_variable_goes_before_xdg_before_the_home_directory(
    environ: dict[str, str], expected: str
) -> None:
    assert state_home(environ) == Path(expected)


def test_a_relative_folder_is_taken_from_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert state_home({"WEIGHBRIDGE_STATE_DIR": "state"}) == tmp_path / "state"


def test_without_a_home_directory_the_message_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(SettingsError, match="set WEIGHBRIDGE_STATE_DIR"):
        state_home({})
