"""Spans of time as people write them."""

import re

import typer

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> float:
    """Read ``30s``, ``15m``, ``2h`` or ``3d``; returns seconds.

    Raises:
        typer.BadParameter: it is no such span.
    """
    match = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if match is None:
        raise typer.BadParameter(f"takes a span such as 30s, 15m, 2h or 3d, not {text!r}")
    return float(int(match[1]) * UNITS[match[2]])


def describe_duration(seconds: float) -> str:
    """Say a span in its largest whole unit."""
    for unit, length in reversed(UNITS.items()):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return "0 s"
