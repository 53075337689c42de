"""What comes out of a routing: a line of JSON each, or a table of routes and one of models."""

import sys
from collections import Counter
from decimal import Decimal

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from weighbridge.uses.decisions import Tally
from weighbridge.uses.route_decision import RouteDecision
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.figures import dollars, tokens
from weighbridge_worker.cli.lines import Line

SHOWN = 50
SHOWN_FAILURES = 10


class Routes:
    """Takes decisions as they come.

    Args:
        as_jsonl: write each at once; otherwise all are summed up in tables.
        names_file: say in which file a line stands.
    """

    def __init__(self, *, as_jsonl: bool, names_file: bool) -> None:
        self._as_jsonl = as_jsonl
        self._names_file = names_file
        self._shown: list[tuple[Line, RouteDecision]] = []
        self._routed: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._usd: dict[str, Decimal] = {}
        self._statuses: Counter[str] = Counter()
        self._failures: list[tuple[Line, RouteDecision]] = []
        self._tally = Tally()
        self._price_version: str | None = None

    @property
    def status(self) -> ExitStatus:
        """The command's exit status."""
        if self._statuses["failed"] or self._statuses["not_countable"]:
            return ExitStatus.SOME_FAILED
        return ExitStatus.REFUSED if self._statuses["nothing_fits"] else ExitStatus.OK

    def add(self, line: Line, decision: RouteDecision) -> None:
        """Take one decision."""
        self._statuses[decision.status] += 1
        self._tally += decision.tally
        self._price_version = decision.price_version
        if decision.model is not None:
            self._routed[decision.model] += 1
            self._tokens[decision.model] += decision.input_tokens or 0
            self._usd[decision.model] = self._usd.get(decision.model, Decimal(0)) + (
                decision.usd or Decimal(0)
            )
        if decision.code is not None and len(self._failures) < SHOWN_FAILURES:
            self._failures.append((line, decision))
        if self._as_jsonl:
            self._write(line, decision)
        elif len(self._shown) < SHOWN:
            self._shown.append((line, decision))

    def _write(self, line: Line, decision: RouteDecision) -> None:
        head: dict[str, object] = {"file": line.file} if self._names_file else {}
        row = head | {"line": line.number, "id": line.id} | msgspec.to_builtins(decision)
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
        sys.stdout.buffer.flush()

    def print_tables(self) -> None:
        """Print the tables, unless the lines are out already."""
        if self._as_jsonl:
            return
        console = Console(highlight=False)
        console.print(self._table_of_routes())
        hidden = self._statuses.total() - len(self._shown)
        if hidden:
            console.print(f"… and {hidden:,} more; --jsonl writes all")
        if self._routed:
            console.print()
            console.print(self._table_of_models())
        seen = self._tally
        console.print(
            f"\n{seen.counts_used:,} counts: {seen.api_calls:,} counted anew,"
            f" {seen.cache_hits:,} from the cache. Prices: {self._price_version}."
        )

        for line, decision in self._failures:
            console.print(
                f"{line.file}:{line.number}  {decision.code}: {decision.message}",
                markup=False,
                soft_wrap=True,
            )

    def _table_of_routes(self) -> Table:
        table = _table("line", "id", "model", numbers=("input tokens",), last=("why",))
        for line, decision in self._shown:
            name = f"{line.file}:{line.number}" if self._names_file else str(line.number)
            weighed = tokens(decision.input_tokens, estimated=decision.source == "estimate")
            table.add_row(
                name, str(line.id or ""), decision.model or decision.status, weighed, _why(decision)
            )
        return table

    def _table_of_models(self) -> Table:
        table = _table("model", numbers=("payloads", "input tokens", "USD with the answers"))
        estimated = self._tally.estimated
        for model, payloads in self._routed.most_common():
            table.add_row(
                model,
                f"{payloads:,}",
                tokens(self._tokens[model], estimated=estimated),
                dollars(self._usd[model], estimated=estimated),
            )
        return table


def _why(decision: RouteDecision) -> str:
    if decision.code is not None:
        return escape(decision.code)
    if decision.model is None:
        return decision.reason
    why = decision.reason.partition(": ")[2].partition(", raised")[0]
    return why + (f" ({', '.join(decision.escalated)})" if decision.escalated else "")


def _table(*words: str, numbers: tuple[str, ...] = (), last: tuple[str, ...] = ()) -> Table:
    table = Table(*words, box=None, header_style="bold", pad_edge=False)
    for name in numbers:
        table.add_column(name, justify="right")
    for name in last:
        table.add_column(name)
    return table
