"""What a person sees of a count: a progress bar while it runs, a table at the end."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from weighbridge.count_stream import Item
from weighbridge.records import Counted
from weighbridge_worker.cli.lines import Line

SHOWN_FAILURES = 10


@dataclass(slots=True)
class Tally:
    """What has come back so far."""

    started: float = field(default_factory=time.monotonic)
    tokens: Counter[str] = field(default_factory=Counter)
    payloads: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Line, str, str]] = field(default_factory=list)
    estimated: bool = False

    @property
    def done(self) -> int:
        """Lines with an outcome."""
        return self.payloads.total() + len(self.failures)

    def add(self, line: Line, item: Item) -> None:
        """Note one outcome."""
        outcome = item.outcome
        if isinstance(outcome, Counted):
            self.payloads[outcome.model] += 1
            self.tokens[outcome.model] += outcome.input_tokens
            self.cache[outcome.cache or "miss"] += 1
            self.estimated = self.estimated or outcome.source == "estimate"
        else:
            self.failures.append((line, outcome.code, outcome.message))

    def shown(self, tokens: int) -> str:
        """Write a number of tokens; an estimate is marked."""
        return f"{'~' if self.estimated else ''}{tokens:,}"


@contextmanager
def show_progress(
    tally: Tally, files: Sequence[str], output: Path | None
) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr while the block runs, and give what moves it by one.

    Silent where stderr is no terminal, or where the results go to that terminal.
    """
    if not sys.stderr.isatty() or (sys.stdout.isatty() and output is None):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("counting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[tokens]} tokens"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("counting", total=_lines_in(files), tokens="0")
        yield lambda: progress.update(task, advance=1, tokens=tally.shown(tally.tokens.total()))


def _lines_in(files: Sequence[str]) -> int | None:
    """Count the payloads of files that can be read twice; None if one cannot."""
    if not all(Path(name).is_file() for name in files):
        return None
    total = 0
    for name in files:
        with Path(name).open("rb") as stream:
            total += sum(1 for line in stream if line.strip())
    return total


def print_summary(tally: Tally, stream: TextIO) -> None:
    """Print tokens by model, how the counts were come by, and what failed."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=stream, highlight=False)
    table = Table("model", box=None, header_style="bold", pad_edge=False)
    table.add_column("payloads", justify="right")
    table.add_column("input tokens", justify="right")
    for model, payloads in sorted(tally.payloads.items()):
        table.add_row(model, f"{payloads:,}", tally.shown(tally.tokens[model]))
    if len(tally.payloads) > 1:
        total = tally.shown(tally.tokens.total())
        table.add_row("all", f"{tally.payloads.total():,}", total, style="bold")
    console.print(table)
    hits, joined, misses = (tally.cache[use] for use in ("hit", "joined", "miss"))
    console.print(
        f"\n{misses:,} counted anew, {hits:,} from the cache, {joined:,} joined a duplicate;"
        f" {time.monotonic() - tally.started:.1f} s"
    )
    if tally.failures:
        console.print(f"\n[bold]{len(tally.failures):,} failed[/]")
        for line, code, message in tally.failures[:SHOWN_FAILURES]:
            console.print(
                f"  {line.file}:{line.number}  {code}: {message}", markup=False, soft_wrap=True
            )
        if len(tally.failures) > SHOWN_FAILURES:
            console.print(f"  … and {len(tally.failures) - SHOWN_FAILURES:,} more in the results")
