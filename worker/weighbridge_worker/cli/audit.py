"""``weighbridge audit``: what each tool of a set costs, for a terminal, a gate and a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weighbridge_worker.cli.options import AsJson, PricesFile, Redis, Rpm, WithWorkers

if TYPE_CHECKING:
    from weighbridge.uses.audit import Audit, Volume
    from weighbridge.uses.prices import Prices
    from weighbridge_worker.cli.assembly import Setup

BAR_WIDTH = 16
WITHOUT_BAR = 66
"""Columns that the widest table takes; the bars get what is left, or go."""


def audit(
    tools: Annotated[
        Path,
        typer.Argument(
            metavar="TOOLS.json", help="A list of tools: Anthropic's, MCP's or OpenAI's shape."
        ),
    ],
    model: Annotated[str, typer.Option(help="The model to count for.")],
    tool_choice: Annotated[
        str | None, typer.Option(help="auto, any, none, or a tool's name; held equal in all.")
    ] = None,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Requests a month that carry the tools, for dollars.")
    ] = None,
    usage: Annotated[
        Path | None, typer.Option(metavar="FILE", help='JSON: {"tool": uses a month, …}.')
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="TOOL", help="Take one tool apart.")] = None,
    budget: Annotated[
        int | None, typer.Option(min=0, help="Tokens that the tools may add; exit status 1 beyond.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An earlier --json output to compare with.")
    ] = None,
    max_increase: Annotated[
        str, typer.Option(metavar="5%", help="What the tools may add beyond the baseline.")
    ] = "0%",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page for those who decide.")
    ] = None,
    prices: PricesFile = None,
    redis: Redis = None,
    rpm: Rpm = None,
    with_workers: WithWorkers = False,
    as_json: AsJson = False,
) -> None:
    """Weigh a set of tools: n + 2 counts tell what each adds, and what they share.

    Exit status:
    0 within budget, 1 over it, 2 wrong usage, 3 something could not be counted.
    """
    import os

    from weighbridge.uses.audit import Volume
    from weighbridge_worker.cli import interrupt
    from weighbridge_worker.cli.assembly import explain, given_rpm, read_setup
    from weighbridge_worker.cli.documents import read_document, read_object
    from weighbridge_worker.cli.exit_status import ExitStatus

    if usage is not None and requests is None:
        raise typer.BadParameter("--usage needs --requests, of the same month")
    volume = Volume(requests, read_object(usage) if usage else None) if requests else None
    earlier = _added_before(baseline)
    increase = _share(max_increase)
    setup = read_setup(os.environ, redis_url=redis, rpm=given_rpm(rpm), with_workers=with_workers)
    table = _prices(prices, wanted=volume is not None)
    document = read_document(tools)
    explain(setup)
    weighed = interrupt.run(
        _weigh, setup, document, model, _choice(tool_choice), table, volume, split
    )
    if html is not None:
        _write_page(html, weighed, str(tools))
    _show(weighed, as_json=as_json)
    failed = bool(weighed.code) or any(row.code for row in weighed.tools)
    status = ExitStatus.SOME_FAILED if failed else ExitStatus.OK
    raise typer.Exit(_gate(weighed, budget, earlier, increase) or status)


def _prices(own: Path | None, *, wanted: bool) -> "Prices | None":
    from weighbridge.uses.prices import Prices

    return Prices.load(own) if wanted else None


def _added_before(baseline: Path | None) -> int | None:
    from weighbridge_worker.cli.documents import read_object

    if baseline is None:
        return None
    added = read_object(baseline).get("added")
    if not isinstance(added, int):
        raise typer.BadParameter(f"{baseline} is no output of weighbridge audit --json")
    return added


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < float("inf"):
        raise typer.BadParameter(f"--max-increase takes a share such as 5%, not {text!r}")
    return share


def _choice(text: str | None) -> dict[str, Any] | None:
    if text is None or text in {"auto", "any", "none"}:
        return None if text is None else {"type": text}
    return {"type": "tool", "name": text}


async def _weigh(
    setup: "Setup",
    document: object,
    model: str,
    choice: dict[str, Any] | None,
    prices: "Prices | None",
    volume: "Volume | None",
    split: str | None,
) -> "Audit":
    from weighbridge.errors import MalformedPayload
    from weighbridge.uses.audit import audit as weigh
    from weighbridge.uses.toolset import read_tools
    from weighbridge_worker.cli.assembly import open_client

    try:
        tools = read_tools(document)
    except MalformedPayload as error:
        raise typer.BadParameter(str(error)) from None
    if split is not None and split not in [tool.get("name") for tool in tools]:
        raise typer.BadParameter(f"--split names no tool of the set: {split!r}")
    async with open_client(setup) as client:
        return await weigh(
            client,
            tools,
            model=model,
            tool_choice=choice,
            prices=prices,
            volume=volume,
            split=split,
        )


def _gate(weighed: "Audit", budget: int | None, baseline: int | None, max_increase: float) -> int:
    """Hold the set against what it may add; 0 if it passes or was not counted."""
    from weighbridge.uses.tool_budget import OverBudget, check_budget
    from weighbridge_worker.cli.assembly import say
    from weighbridge_worker.cli.exit_status import ExitStatus

    if weighed.code:
        return 0
    try:
        check_budget(weighed, budget=budget, baseline=baseline, max_increase=max_increase)
    except OverBudget as error:
        say(f"weighbridge: {error}")
        return ExitStatus.REFUSED
    return 0


def _show(weighed: "Audit", *, as_json: bool) -> None:
    from weighbridge.uses.decisions import to_json

    if as_json:
        typer.echo(to_json(weighed))
    elif weighed.code:
        typer.echo(f"weighbridge: not counted, {weighed.code}: {weighed.message}", err=True)
    else:
        _print(weighed)


def _rows(weighed: "Audit") -> list[tuple[str, ...]]:
    """Give a line a tool, the heaviest first, then what they share."""
    from weighbridge_worker.cli.figures import NOTHING, dollars, share, tokens

    estimated = weighed.tally.estimated
    lines: list[tuple[str, ...]] = [
        (
            row.name,
            row.code or tokens(row.tokens, estimated=estimated),
            share(row.share),
            dollars(row.usd_month, estimated=estimated),
            NOTHING if row.uses is None else f"{row.uses:,}",
            tokens(_whole(row.tokens_per_use), estimated=estimated),
            row.suggestion,
        )
        for row in _by_weight(weighed)
    ]
    if weighed.preamble is not None:
        part = weighed.preamble / weighed.added if weighed.added else None
        preamble = tokens(weighed.preamble, estimated=estimated)
        lines.append(("(shared preamble)", preamble, share(part), "", "", "", ""))
    money = dollars(weighed.usd_month, estimated=estimated)
    lines.append(("all tools", tokens(weighed.added, estimated=estimated), "", money, "", "", ""))
    return lines


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


def _by_weight(weighed: "Audit") -> "list[Any]":
    return sorted(weighed.tools, key=lambda row: (row.tokens is None, -(row.tokens or 0)))


def _weights(weighed: "Audit") -> list[int]:
    """Give what the bars of the lines stand for; the sum has none."""
    shared = [weighed.preamble] if weighed.preamble is not None else []
    return [*(row.tokens or 0 for row in _by_weight(weighed)), *shared, 0]


COLUMNS = ("tool", "tokens", "share", "USD/month", "uses", "tokens/use", "suggestion")


def _wanted(weighed: "Audit") -> list[int]:
    """Give the columns that have anything to say."""
    money, used = weighed.price_version, any(row.uses is not None for row in weighed.tools)
    return [0, 1, 2, *([3] if money else []), *([4, 5] if used else []), 6]


def _print(weighed: "Audit") -> None:
    from rich.console import Console
    from rich.table import Table

    from weighbridge_worker.cli.figures import bar, tokens

    console, columns = Console(highlight=False), _wanted(weighed)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        left = column in {0, 6}
        table.add_column(COLUMNS[column], justify="left" if left else "right", no_wrap=True)
    width = BAR_WIDTH if len(columns) < 6 else min(BAR_WIDTH, console.width - WITHOUT_BAR)
    weights = _weights(weighed)
    for cells, weight in zip(_rows(weighed), weights, strict=True):
        table.add_row(*(cells[column] for column in columns), bar(weight, max(weights), width))
    console.print(table)
    for row in weighed.tools:
        if row.code:
            console.print(f"{row.name}: {row.message}", markup=False, soft_wrap=True)
    if (parts := weighed.split) is not None:
        estimated = weighed.tally.estimated
        words = ", ".join(
            f"{name} {tokens(size, estimated=estimated)}"
            for name, size in (
                ("description", parts.description),
                ("schema", parts.schema),
                ("name and frame", parts.rest),
            )
        )
        console.print(f"\n{parts.name}: {words}", markup=False)
    if weighed.price_version:
        console.print(f"\nPrices: {weighed.price_version}", style="dim")


def _write_page(path: Path, weighed: "Audit", name: str) -> None:
    from weighbridge_worker.cli.documents import write_text
    from weighbridge_worker.cli.page import page, table

    weights, columns = _weights(weighed), _wanted(weighed)
    longest = max([*weights, 1])
    rows = [[cells[column] for column in columns] for cells in _rows(weighed)]
    estimates = " These are offline estimates, not counts." if weighed.tally.estimated else ""
    lead = (
        f"What the tools of {name} add to every request to {weighed.model}. The preamble is shared"
        f" and belongs to no tool.{estimates}"
    )
    section = table(
        "Tokens by tool",
        [COLUMNS[column] for column in columns],
        rows,
        [weight / longest for weight in weights],
    )
    write_text(path, page("Tool audit", lead, section))
