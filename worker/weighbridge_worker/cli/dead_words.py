"""Dead letters in words and tables."""

import sys
from collections.abc import Sequence

from weighbridge.dead import LetterState
from weighbridge.letters import DeadLetter
from weighbridge.records import Counted
from weighbridge_worker.cli.duration import describe_duration

WIDTH = 160
"""Of a table that no terminal bounds."""

COLUMNS = ("id", "age", "code", "model", "lane", "producer", "attempts", "payload", "digest")


def print_letters(letters: Sequence[DeadLetter]) -> None:
    """Print a table of letters."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, no_wrap=name in {"id", "age", "digest"})
    for letter in letters:
        table.add_row(
            letter.id,
            describe_duration(letter.age_s),
            letter.code,
            letter.model,
            letter.lane,
            letter.producer,
            str(letter.attempts),
            "kept" if letter.kept else "gone",
            letter.digest[:12],
        )
    width = None if sys.stdout.isatty() else WIDTH
    Console(highlight=False, markup=False, width=width).print(table)


def print_letter(state: LetterState) -> None:
    """Print all that is known of a letter, a line a fact."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _facts(state):
        table.add_row(name, value)
    width = None if sys.stdout.isatty() else WIDTH
    Console(highlight=False, markup=False, width=width).print(table)


def _facts(state: LetterState) -> list[tuple[str, str]]:
    letter = state.letter
    return [
        ("id", letter.id),
        ("digest", letter.digest),
        ("code", letter.code),
        ("model", letter.model),
        ("betas", ", ".join(letter.betas) or "none"),
        ("lane", letter.lane),
        ("producer", letter.producer),
        ("buried", f"{describe_duration(letter.age_s)} ago"),
        ("attempts", f"{letter.attempts:,}, {letter.deliveries:,} deliveries not given back"),
        ("payload", _payload(state)),
        ("result", _result(state)),
    ]


def _payload(state: LetterState) -> str:
    if not state.payload_bytes:
        return "gone: it cannot be replayed"
    size = f"{state.payload_bytes:,} bytes"
    if state.payload_s is None:
        return f"{size}, of a job that is in the queue again"
    return f"{size}, kept for another {describe_duration(state.payload_s)}"


def _result(state: LetterState) -> str:
    if state.result is None:
        return "none: gone with its time, or still to come"
    if isinstance(state.result, Counted):
        return f"counted since: {state.result.input_tokens:,} input tokens"
    return f"failed: {state.result.message}"
