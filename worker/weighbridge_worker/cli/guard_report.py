"""What a person sees of a guard's run: what was admitted, what was refused and why."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TextIO

import msgspec

from weighbridge.uses.decisions import Tally
from weighbridge.uses.guard_decision import GuardDecision
from weighbridge.uses.run_budget import BudgetState
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.lines import Line

SHOWN_REFUSALS = 10
NO_COUNT = ("count_failed", "not_countable")


@dataclass(slots=True)
class Sum:
    """Documents of one kind, together."""

    documents: int = 0
    input_tokens: int = 0
    usd_input: Decimal = Decimal(0)
    usd_worst: Decimal = Decimal(0)

    def add(self, decision: GuardDecision) -> None:
        """Add one."""
        self.documents += 1
        self.input_tokens += decision.input_tokens or 0
        self.usd_input += decision.usd_input or 0
        self.usd_worst += decision.usd_worst or 0


@dataclass(slots=True)
class GuardTally:
    """What has been decided so far."""

    price_version: str | None = None
    admitted: Sum = field(default_factory=Sum)
    approved: int = 0
    refused: defaultdict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))
    refusals: list[tuple[Line, GuardDecision]] = field(default_factory=list)
    counts: Tally = field(default_factory=Tally)
    budget: BudgetState | None = None

    @property
    def documents(self) -> int:
        """All decisions."""
        return self.admitted.documents + sum(each.documents for each in self.refused.values())

    @property
    def exit_status(self) -> ExitStatus:
        """What needs somebody's hand goes before what was simply refused."""
        if "unknown_price" in self.refused:
            return ExitStatus.USAGE
        if any(reason in self.refused for reason in NO_COUNT):
            return ExitStatus.SOME_FAILED
        return ExitStatus.REFUSED if self.refused else ExitStatus.OK

    def add(self, line: Line, decision: GuardDecision) -> None:
        """Note one decision."""
        self.counts += decision.tally
        if decision.allowed:
            self.admitted.add(decision)
            self.approved += decision.reason == "approved"
            return
        self.refused[decision.reason or ""].add(decision)
        if len(self.refusals) < SHOWN_REFUSALS:
            self.refusals.append((line, decision))

    def summary(self) -> dict[str, Any]:
        """Sum up for machines; dollars are strings, so that no digit is lost."""
        shown = msgspec.to_builtins if self.price_version else _without_money
        run = self.budget and msgspec.to_builtins(self.budget) | {"left": str(self.budget.left)}
        return {
            "documents": self.documents,
            "admitted": shown(self.admitted),
            "approved": self.approved,
            "refused": {reason: shown(kind) for reason, kind in self.refused.items()},
            "run": run,
            "tally": self.counts,
            "price_version": self.price_version,
        }


def _without_money(kind: Sum) -> dict[str, int]:
    return {"documents": kind.documents, "input_tokens": kind.input_tokens}


def print_tally(tally: GuardTally, stream: TextIO) -> None:
    """Print the table, the run's budget, and the first refusals."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=stream, highlight=False)
    money = tally.price_version is not None
    table = Table("", box=None, header_style="bold", pad_edge=False)
    for name in ("documents", "input tokens", *(("USD input", "USD worst") if money else ())):
        table.add_column(name, justify="right")
    for name, kind in (("admitted", tally.admitted), *sorted(tally.refused.items())):
        table.add_row(name, *_cells(kind, money=money, estimated=tally.counts.estimated))
    console.print(table)
    for words in _below(tally):
        console.print(words, markup=False, soft_wrap=True)


def describe(decision: GuardDecision) -> str:
    """Say why a payload was refused."""
    if decision.limit is None:
        named = decision.message.startswith(f"{decision.reason}: ")
        return decision.message if named else f"{decision.reason}: {decision.message}"
    mark = "~" if decision.tally.estimated else ""
    if isinstance(decision.limit, int):
        tokens = decision.input_tokens or 0
        over = f"{mark}{tokens:,} tokens, {mark}{decision.over_by:,} over {decision.limit:,}"
    else:
        price = decision.price or Decimal(0)
        over = f"{mark}{usd(price)}, {mark}{usd(decision.over_by)} over {usd(decision.limit)}"
    return f"{decision.reason}: {over}"


def usd(amount: Decimal | int | None) -> str:
    """Write dollars, to the cent or as fine as they are."""
    exact = Decimal(amount or 0).normalize()
    places = max(2, -int(exact.as_tuple().exponent))
    return f"${exact:,.{places}f}"


def _cells(kind: Sum, *, money: bool, estimated: bool) -> list[str]:
    mark = "~" if estimated else ""
    cells = [f"{kind.documents:,}"]
    if not kind.input_tokens:
        return [*cells, *["-"] * (3 if money else 1)]
    cells.append(f"{mark}{kind.input_tokens:,}")
    if money:
        cells += [f"{mark}{usd(kind.usd_input)}", f"{mark}{usd(kind.usd_worst)}"]
    return cells


def _below(tally: GuardTally) -> Iterator[str]:
    if tally.approved:
        yield f"\n{tally.approved:,} of the admitted had been approved by a person."
    if (budget := tally.budget) is not None:
        mark = "~" if tally.counts.estimated else ""
        held = f", {mark}{usd(budget.reserved)} reserved" if budget.reserved else ""
        spent = f"{mark}{usd(budget.spent)} of {usd(budget.limit)} spent"
        yield f"\nRun {budget.run}: {spent}{held}."
    if not tally.refusals:
        return
    yield ""
    for line, decision in tally.refusals:
        name = "" if line.id is None else f"  {line.id}"
        yield f"  {line.file}:{line.number}{name}  {describe(decision)}"
    rest = tally.documents - tally.admitted.documents - len(tally.refusals)
    if rest:
        yield f"  … and {rest:,} more; --jsonl lists all"
