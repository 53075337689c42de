"""What a person sees of a count: a progress bar while it runs, tables at the end."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from weighbridge.count_stream import Item
from weighbridge.records import Counted
from weighbridge_worker.cli.figures import bar, dollars, tokens
from weighbridge_worker.cli.lines import Line
from weighbridge_worker.cli.spread import Spread

if TYPE_CHECKING:
    from rich.console import Console

    from weighbridge_worker.cli.money import Bill, Till

SHOWN_FAILURES = 10
BAR_WIDTH = 40
SPREAD_FROM = 20
"""Fewer payloads than this are no distribution."""


@dataclass(slots=True)
class Tally:
    """What has come back so far."""

    started: float = field(default_factory=time.monotonic)
    tokens: Counter[str] = field(default_factory=Counter)
    payloads: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    spread: Spread = field(default_factory=Spread)
    failures: list[tuple[Line, str, str]] = field(default_factory=list)
    estimated: bool = False
    till: "Till | None" = None

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
            self.spread.add(line, outcome.model, outcome.input_tokens)
            if self.till is not None:
                self.till.add(outcome.model, outcome.input_tokens)
        else:
            self.failures.append((line, outcome.code, outcome.message))

    def shown(self, number: int) -> str:
        """Write a number of tokens; an estimate is marked."""
        return tokens(number, estimated=self.estimated)

    def dollars(self, bill: "Bill") -> tuple[str, str]:
        """Write a bill; an estimate is marked."""
        return (
            dollars(bill.plain, estimated=self.estimated),
            dollars(bill.batch, estimated=self.estimated),
        )


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
    """Print tokens and dollars by model, their spread, and what failed."""
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    _print_models(console, tally)
    hits, joined, misses = (tally.cache[use] for use in ("hit", "joined", "miss"))
    console.print(
        f"\n{misses:,} counted anew, {hits:,} from the cache, {joined:,} joined a duplicate;"
        f" {time.monotonic() - tally.started:.1f} s"
    )
    if tally.payloads.total() >= SPREAD_FROM:
        _print_spread(console, tally)
    _print_failures(console, tally)


def model_rows(tally: Tally) -> list[tuple[str, ...]]:
    """Give a row a model, and the sum of several: payloads, tokens, dollars if known."""
    rows = []
    for model, payloads in sorted(tally.payloads.items()):
        money = tally.dollars(tally.till.bill(model)) if tally.till else ()
        rows.append((model, f"{payloads:,}", tally.shown(tally.tokens[model]), *money))
    if len(rows) > 1:
        money = tally.dollars(tally.till.total) if tally.till else ()
        total = tally.shown(tally.tokens.total())
        rows.append(("all", f"{tally.payloads.total():,}", total, *money))
    return rows


def model_columns(tally: Tally) -> list[str]:
    """Name the columns of ``model_rows``."""
    return ["model", "payloads", "input tokens", *(("USD", "USD batch") if tally.till else ())]


def _print_models(console: "Console", tally: Tally) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(model_columns(tally)):
        table.add_column(column, justify="right" if index else "left")
    for row in model_rows(tally):
        table.add_row(*row, style="bold" if row[0] == "all" else None)
    console.print(table)


def _print_spread(console: "Console", tally: Tally) -> None:
    from rich.table import Table

    bins = tally.spread.histogram()
    most = max(number for _, number in bins)
    table = Table("input tokens", box=None, header_style="bold", pad_edge=False)
    table.columns[0].justify = "right"
    table.add_column("payloads", justify="right")
    table.add_column("")
    for name, number in bins:
        table.add_row(name, f"{number:,}", bar(number, most, BAR_WIDTH))
    console.print("", table)
    console.print("\n[bold]The largest[/]")
    for sized in tally.spread.largest:
        named = f"  {sized.line.id}" if sized.line.id is not None else ""
        place = f"{sized.line.file}:{sized.line.number}"
        console.print(
            f"  {tally.shown(sized.tokens):>12}  {place}{named}", markup=False, soft_wrap=True
        )


def _print_failures(console: "Console", tally: Tally) -> None:
    if not tally.failures:
        return
    console.print(f"\n[bold]{len(tally.failures):,} failed[/]")
    for line, code, message in tally.failures[:SHOWN_FAILURES]:
        console.print(
            f"  {line.file}:{line.number}  {code}: {message}", markup=False, soft_wrap=True
        )
    if len(tally.failures) > SHOWN_FAILURES:
        console.print(f"  … and {len(tally.failures) - SHOWN_FAILURES:,} more in the results")
