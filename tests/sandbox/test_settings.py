"""Each setting is checked, and the sentence names it."""

from typing import Any

import pytest

from weighbridge.errors import SettingsError
from weighbridge_worker.sandbox import SandboxSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rpm", 0),
        ("rpm", -1),
        ("rpm", float("inf")),
        ("rpm", float("nan")),
        ("depth", 0),
        ("latency_s", -0.1),
        ("latency_s", float("inf")),
        ("jitter_s", -0.1),
        ("drip_s", float("nan")),
        ("api_key", ""),
        ("admin_key", ""),
        ("retry_after", "soon\r\nx: y"),
        ("retry_after", "spät"),
        ("max_body_bytes", 0),
        ("ledger_size", 0),
    ],
)
def test_a_value_without_sense_is_refused_by_name(name: str, value: object) -> None:
    given: dict[str, Any] = {name: value}
    with pytest.raises(SettingsError, match=f"sandbox's {name} takes"):
        SandboxSettings(**given)


def test_the_keys_do_not_show() -> None:
    assert "canary" not in repr(SandboxSettings(api_key="canary", admin_key="canary"))
