"""What a person sees of the review log."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import typer

from weighbridge.uses.guard_decision import GuardDecision
from weighbridge.uses.review_desk import ReviewEntry
from weighbridge_worker.cli.guard_report import describe, usd

SHOWN_DIGITS = 12


def print_entries(entries: Sequence[ReviewEntry]) -> None:
    """Print a line a refusal: name, time, place, reason; never cut, so that names can be used."""
    if not entries:
        typer.echo("The review log is empty.")
    for entry in entries:
        digest = (entry.refusal.digest or "")[:SHOWN_DIGITS]
        typer.echo(
            f"{digest or entry.id}  {_time(entry)}  {_origin(entry)}{describe(entry.refusal)}"
        )


def print_entry(entry: ReviewEntry, times: int, payload: bytes | None) -> None:
    """Print one refusal whole."""
    for name, value in _rows(entry, times, payload):
        typer.echo(f"{name:<14}{value}")


def _rows(entry: ReviewEntry, times: int, payload: bytes | None) -> Iterator[tuple[str, str]]:
    refusal = entry.refusal
    yield "refused", f"{_time(entry)}, {times:,} in the log"
    yield "entry", entry.id
    yield "digest", refusal.digest or "none: it could not be counted"
    yield "why", describe(refusal)
    for name in ("model", "input_tokens", "max_tokens", "usd_input", "usd_worst", "run"):
        if (value := getattr(refusal, name)) is not None:
            yield name.replace("_", " "), _shown(name, value, refusal)
    if refusal.metadata:
        yield "metadata", msgspec.json.encode(refusal.metadata).decode()
    kept = "not kept" if payload is None else payload.decode(errors="replace")
    yield "payload", kept


def _time(entry: ReviewEntry) -> str:
    return datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _origin(entry: ReviewEntry) -> str:
    """Say where the payload came from, as the guard command notes it."""
    known = entry.refusal.metadata or {}
    if "line" not in known:
        return ""
    name = "" if known.get("id") is None else f"  {known['id']}"
    return f"{known.get('file', '')}:{known['line']}{name}  "


def _shown(name: str, value: Any, refusal: GuardDecision) -> str:
    """Write a field; what rests on an estimate is marked."""
    mark = "~" if refusal.tally.estimated else ""
    if isinstance(value, Decimal):
        return mark + usd(value)
    if name == "input_tokens":
        return f"{mark}{value:,}"
    return f"{value:,}" if isinstance(value, int) else str(value)
