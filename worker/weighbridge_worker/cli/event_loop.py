"""The event loop of the commands that run for long."""

from importlib.util import find_spec


def fastest_loop() -> dict[str, bool]:
    """Choose uvloop where it is installed; the extra ``gateway`` brings it along."""
    return {"use_uvloop": find_spec("uvloop") is not None}
