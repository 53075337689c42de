"""``weighbridge prune``: drop a conversation's oldest turns until it keeps to a budget."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weighbridge_worker.cli.options import AsJson, PricesFile, Redis, Rpm, WithWorkers

if TYPE_CHECKING:
    from weighbridge.uses.prune import PruneResult
    from weighbridge.uses.prune_options import PruneOptions
    from weighbridge_worker.cli.assembly import Setup

STDOUT = Path("-")


def prune(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.json", help="A request body; - is standard input.")
    ],
    max_input_tokens: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Input tokens that the body may have.")
    ] = None,
    max_usd: Annotated[
        str | None, typer.Option(metavar="X", help="US dollars that the request may cost.")
    ] = None,
    target: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Once something has to go, prune to this share of the limit."
        ),
    ] = 1.0,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT.json",
            help="Where the pruned body goes; - is standard output, and the report goes to stderr.",
        ),
    ] = None,
    keep_last_turns: Annotated[int, typer.Option(metavar="N", help="Never drop these.")] = 1,
    keep_first_turn: Annotated[
        bool, typer.Option("--keep-first-turn", help="Nor the first, often the task itself.")
    ] = False,
    reserve_output: Annotated[
        int, typer.Option(metavar="N", help="Tokens of the budgets to keep for the answer.")
    ] = 0,
    previous: Annotated[
        int, typer.Option(metavar="TURNS", min=0, help="Turns that were dropped last time.")
    ] = 0,
    linear: Annotated[
        bool, typer.Option("--linear", help="Drop one turn at a time: slow, the same answer.")
    ] = False,
    strip_context_management: Annotated[
        bool, typer.Option("--strip-context-management", help="Take this field out of the body.")
    ] = False,
    prices: PricesFile = None,
    redis: Redis = None,
    rpm: Rpm = None,
    with_workers: WithWorkers = False,
    as_json: AsJson = False,
) -> None:
    """Drop a conversation's oldest turns until it keeps to a budget, and prove it.

    Whole turns go, so that the rest stays valid; system and tools stay. Without -o nothing is
    written but the report.
    Exit status:
    0 it fits, 1 it does not, 2 wrong usage or a broken history, 3 a count failed.
    """
    import os

    from weighbridge.uses.prices import Prices
    from weighbridge.uses.prune_options import PruneOptions
    from weighbridge_worker.cli import interrupt
    from weighbridge_worker.cli.assembly import explain, given_rpm, read_setup
    from weighbridge_worker.cli.count import check_files
    from weighbridge_worker.cli.documents import read_text

    written = None if output == STDOUT else output
    check_files((str(file),), written)
    budget = _dollars(max_usd)
    options = PruneOptions(
        max_input_tokens=max_input_tokens,
        max_usd=budget,
        target=target,
        keep_last_turns=keep_last_turns,
        keep_first_turn=keep_first_turn,
        reserve_output=reserve_output,
        previous=previous,
        strategy="linear" if linear else "bracket",
        strip_context_management=strip_context_management,
        prices=None if budget is None and prices is None else Prices.load(prices),
    )
    body = read_text(file)
    setup = read_setup(os.environ, redis_url=redis, rpm=given_rpm(rpm), with_workers=with_workers)
    explain(setup)
    result = interrupt.run(_prune, setup, body, options)
    _write(result, output, as_json=as_json)
    raise typer.Exit(_status(result))


def _dollars(text: str | None) -> Decimal | None:
    try:
        amount = None if text is None else Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount is not None and not (amount.is_finite() and amount > 0):
        raise typer.BadParameter(f"takes dollars above 0, not {text!r}", param_hint="--max-usd")
    return amount


def _status(result: "PruneResult") -> int:
    from weighbridge_worker.cli.exit_status import ExitStatus

    if result.status in ("not_countable", "failed"):
        return ExitStatus.SOME_FAILED
    return ExitStatus.OK if result.fits else ExitStatus.REFUSED


async def _prune(setup: "Setup", body: bytes, options: "PruneOptions") -> "PruneResult":
    """Check everything before a server or a worker is started for it."""
    from weighbridge.uses.prune import plan_prune
    from weighbridge_worker.cli.assembly import open_client

    plan = await plan_prune(body, options)
    async with open_client(setup) as client:
        return await plan.prune(client)


def _write(result: "PruneResult", output: Path | None, *, as_json: bool) -> None:
    """Write body and report, each once: the body stands in the report if nobody else takes it."""
    import json
    from dataclasses import replace

    from weighbridge.uses.decisions import to_json
    from weighbridge_worker.cli.documents import write_text
    from weighbridge_worker.cli.prune_report import print_pruned

    if output is not None and result.payload is not None:
        body = json.dumps(result.payload, ensure_ascii=False, indent=2) + "\n"
        if output == STDOUT:
            typer.echo(body, nl=False)
        else:
            write_text(output, body)
    if as_json:
        report = result if output is None else replace(result, payload=None)
        typer.echo(to_json(report), err=output == STDOUT)
    else:
        print_pruned(result, to_stderr=output == STDOUT)
