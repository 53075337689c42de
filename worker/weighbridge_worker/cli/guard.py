"""``weighbridge guard`` and its options; what it does stands in guard_run.py."""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from weighbridge_worker.cli.options import AsJson, AsJsonl, PricesFile, Redis, Rpm, WithWorkers


class OnCountFailure(StrEnum):
    """What becomes of a payload whose count failed."""

    REJECT = "reject"
    ALLOW = "allow"


def parse_usd(text: str) -> Decimal:
    """Read an amount of dollars.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        usd = Decimal(text.removeprefix("$").replace("_", ""))
    except InvalidOperation:
        usd = Decimal("nan")
    if not usd.is_finite() or usd < 0:
        raise typer.BadParameter(f"takes dollars, such as 0.25, not {text!r}")
    return usd


def guard(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE…|-]",
            help='JSONL: a payload a line, or {"id": …, "payload": {…}}; - is standard input.',
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="OUT", help="Where the admitted lines go, as read."),
    ] = None,
    max_input_tokens: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="The most input tokens of a request.")
    ] = None,
    max_usd: Annotated[
        Decimal | None,
        typer.Option(parser=parse_usd, metavar="USD", help="The most dollars of a request."),
    ] = None,
    run_budget_usd: Annotated[
        Decimal | None,
        typer.Option(parser=parse_usd, metavar="USD", help="The most dollars of the whole run."),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="Whoever names the same run shares its budget [default: a run of its own].",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=0, metavar="M", help="max_tokens of bodies that name none."),
    ] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="At the prices of the Batches API.")
    ] = False,
    input_only: Annotated[
        bool,
        typer.Option(
            "--input-only",
            help="Hold the price of the input against limits [default: with all of max_tokens].",
        ),
    ] = False,
    on_count_failure: Annotated[
        OnCountFailure, typer.Option(help="What becomes of what cannot be counted.")
    ] = OnCountFailure.REJECT,
    review: Annotated[
        bool,
        typer.Option("--review", help="Log refusals for people; admit once what they approved."),
    ] = False,
    review_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append refusals to a file too; implies --review."),
    ] = None,
    keep_payloads: Annotated[
        bool,
        typer.Option("--keep-payloads", help="Keep refused payloads for a week; implies --review."),
    ] = False,
    prices: PricesFile = None,
    redis: Redis = None,
    rpm: Rpm = None,
    with_workers: WithWorkers = False,
    as_json: AsJson = False,
    as_jsonl: AsJsonl = False,
) -> None:
    """Admit the payloads of a file that keep to limits, and say why the others do not.

    What is admitted is spent of the run's budget with that, at its worst price.
    Exit status:
    0 all admitted, 1 some refused, 3 some could not be counted, 2 wrong usage or an unknown price.
    """
    from weighbridge_worker.cli.guard_run import GuardOptions, run_guard

    raise typer.Exit(
        run_guard(
            GuardOptions(
                files=tuple(files or ("-",)),
                output=output,
                max_input_tokens=max_input_tokens,
                max_usd=max_usd,
                run_budget_usd=run_budget_usd,
                run=run,
                max_tokens=max_tokens,
                batch=batch,
                judged="input" if input_only else "worst",
                on_count_failure="allow" if on_count_failure is OnCountFailure.ALLOW else "reject",
                review=review or keep_payloads or review_file is not None,
                review_file=review_file,
                keep_payloads=keep_payloads,
                prices=prices,
                redis_url=redis,
                rpm=rpm,
                with_workers=with_workers,
                as_json=as_json,
                as_jsonl=as_jsonl,
            )
        )
    )
