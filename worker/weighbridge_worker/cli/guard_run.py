"""What ``weighbridge guard`` does: lines in, admitted lines out, a decision on each."""

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import typer

from weighbridge.client import Client
from weighbridge.uses.guard import Document, Guard, GuardDecision, Prices, ReviewLog, RunBudget
from weighbridge.uses.guard_decision import Judged
from weighbridge_worker.cli import interrupt
from weighbridge_worker.cli.assembly import Setup, explain, given_rpm, open_client, read_setup, say
from weighbridge_worker.cli.count import check_files
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.guard_report import GuardTally, print_tally
from weighbridge_worker.cli.lines import Line, read_lines


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """The command's options."""

    files: tuple[str, ...]
    output: Path | None
    max_input_tokens: int | None
    max_usd: Decimal | None
    run_budget_usd: Decimal | None
    run: str | None
    max_tokens: int | None
    batch: bool
    judged: Judged
    on_count_failure: Literal["reject", "allow"]
    review: bool
    review_file: Path | None
    keep_payloads: bool
    prices: Path | None
    redis_url: str | None
    rpm: str | None
    with_workers: bool
    as_json: bool
    as_jsonl: bool

    def check(self) -> None:
        """Check what options mean together.

        Raises:
            typer.BadParameter: they do not go together, or limit nothing.
        """
        limits = (self.max_input_tokens, self.max_usd, self.run_budget_usd)
        if all(limit is None for limit in limits):
            raise typer.BadParameter(
                "give a limit: --max-input-tokens, --max-usd or --run-budget-usd"
            )
        if self.run is not None and self.run_budget_usd is None:
            raise typer.BadParameter("--run needs --run-budget-usd, the budget of that run")
        if self.as_json and self.as_jsonl:
            raise typer.BadParameter("--json and --jsonl exclude each other: choose one")
        check_files(self.files, self.output)

    @property
    def asks_money(self) -> bool:
        """Whether prices are needed."""
        asked = (self.max_usd, self.run_budget_usd, self.prices)
        return any(each is not None for each in asked)


def run_guard(options: GuardOptions) -> int:
    """Run the command; returns the exit status."""
    options.check()
    setup = read_setup(
        os.environ,
        redis_url=options.redis_url,
        rpm=given_rpm(options.rpm),
        with_workers=options.with_workers,
    )
    prices = Prices.load(options.prices) if options.asks_money else None
    explain(setup)
    tally = GuardTally(price_version=prices.version if prices else None)
    try:
        with ExitStack() as stack:
            out = _opened(options.output, stack)
            interrupt.run(_Run(options, prices, out, tally).guard, setup)
    except KeyboardInterrupt:
        say(f"Stopped after {tally.documents:,} decisions.")
        return ExitStatus.INTERRUPTED
    _report(options, tally)
    return tally.exit_status


def _opened(output: Path | None, stack: ExitStack) -> BinaryIO | None:
    if output is None:
        return None
    try:
        return stack.enter_context(output.open("wb"))
    except OSError as error:
        raise typer.BadParameter(f"cannot write {output}: {error.strerror}") from None


def _report(options: GuardOptions, tally: GuardTally) -> None:
    if options.as_json:
        sys.stdout.write(msgspec.json.encode(tally.summary()).decode() + "\n")
    elif not options.as_jsonl:
        print_tally(tally, sys.stdout)


class _Run:
    """Guards all lines; ``out`` takes the admitted ones."""

    def __init__(
        self, options: GuardOptions, prices: Prices | None, out: BinaryIO | None, tally: GuardTally
    ) -> None:
        self._options = options
        self._prices = prices
        self._out = out
        self._tally = tally
        self._read: dict[int, Line] = {}

    async def guard(self, setup: Setup) -> None:
        """Guard all lines."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(open_client(setup))
            budget = await self._budget(client, stack)
            guard = Guard(
                client,
                self._prices,
                max_input_tokens=self._options.max_input_tokens,
                max_usd=self._options.max_usd,
                judged=self._options.judged,
                on_count_failure=self._options.on_count_failure,
                budget=budget,
                review=await self._review(client, stack),
            )
            await self._guard(guard)
            if budget is not None:
                self._tally.budget = await budget.inspect()

    async def _guard(self, guard: Guard) -> None:
        decisions = guard.filter(
            self._documents(),
            max_tokens=self._options.max_tokens,
            batch=self._options.batch,
            spend=True,
        )
        async with aclosing(decisions):
            async for decision in decisions:
                self._take(decision)

    def _documents(self) -> Iterator[Document]:
        for index, line in enumerate(read_lines(self._options.files)):
            self._read[index] = line
            yield Document(line.payload, metadata=self._place(line))

    def _place(self, line: Line) -> dict[str, Any]:
        """Say where a line stands, for the rows and the review log."""
        return {"file": line.file, "line": line.number, "id": line.id}

    def _take(self, decision: GuardDecision) -> None:
        line = self._read.pop(decision.index)
        self._tally.add(line, decision)
        if self._out is not None and decision.allowed:
            self._out.write(line.text + b"\n")
            self._out.flush()
        if self._options.as_jsonl:
            row = self._place(line) | msgspec.to_builtins(decision)
            del row["metadata"], row["index"]
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")

    async def _budget(self, client: Client, stack: AsyncExitStack) -> RunBudget | None:
        limit = self._options.run_budget_usd
        if limit is None:
            return None
        run = self._options.run or f"run-{uuid.uuid4().hex[:12]}"
        return await stack.enter_async_context(
            RunBudget.connect(client.settings, run=run, limit=limit)
        )

    async def _review(self, client: Client, stack: AsyncExitStack) -> ReviewLog | None:
        if not self._options.review:
            return None
        return await stack.enter_async_context(
            ReviewLog.connect(
                client.settings,
                file=self._options.review_file,
                keep_payloads=self._options.keep_payloads,
            )
        )
