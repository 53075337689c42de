"""What a person sees of the review log."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from weighbridge.uses.review_desk import ReviewEntry
from weighbridge_worker.cli.guard_report import describe

SHOWN_DIGITS = 12


def print_entries(entries: Sequence[ReviewEntry]) -> None:
    """Print a table, a row a refusal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not entries:
        print("The review log is empty.")  # noqa: T201 - the command's output
        return
    table = Table("refused", "digest", "model", "why", "from", box=None, header_style="bold")
    for entry in entries:
        refusal = entry.refusal
        name = (refusal.digest or "")[:SHOWN_DIGITS] or entry.id
        words = (_time(entry), name, refusal.model, describe(refusal), _origin(entry))
        table.add_row(*(Text(word) for word in words))
    Console(file=sys.stdout, highlight=False).print(table)


def print_entry(entry: ReviewEntry, times: int, payload: bytes | None) -> None:
    """Print one refusal whole."""
    for name, value in _rows(entry, times, payload):
        print(f"{name:<14}{value}")  # noqa: T201 - the command's output


def _rows(entry: ReviewEntry, times: int, payload: bytes | None) -> Iterator[tuple[str, str]]:
    refusal = entry.refusal
    yield "refused", f"{_time(entry)}, {times:,} in the log"
    yield "entry", entry.id
    yield "digest", refusal.digest or "none: it could not be counted"
    yield "why", describe(refusal)
    for name in ("model", "input_tokens", "max_tokens", "usd_input", "usd_worst", "run"):
        if (value := getattr(refusal, name)) is not None:
            yield name.replace("_", " "), str(value)
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
    return f"{known.get('file', '')}:{known['line']}"
