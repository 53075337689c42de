"""``weighbridge compare``: which of several prompts weighs least."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weighbridge_worker.cli.options import AsJson, PricesFile, Redis, Rpm, WithWorkers

if TYPE_CHECKING:
    from weighbridge.uses.compare import Comparison, Patch
    from weighbridge.uses.prices import Prices
    from weighbridge_worker.cli.assembly import Setup


def compare(
    base: Annotated[
        Path, typer.Argument(metavar="BASE.json", help="A request body; variants are laid over it.")
    ],
    variant: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=FILE",
            help="A system prompt (text), or fields to replace (.json); once for each variant.",
        ),
    ],
    target: Annotated[
        int | None, typer.Option(min=1, help="Tokens that the whole request may have.")
    ] = None,
    control: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to compare with [default: the first].")
    ] = None,
    usd: Annotated[
        bool, typer.Option("--usd/--no-usd", help="Dollars for a thousand calls.")
    ] = True,
    prices: PricesFile = None,
    redis: Redis = None,
    rpm: Rpm = None,
    with_workers: WithWorkers = False,
    as_json: AsJson = False,
) -> None:
    """Count variants of a prompt together, rank them, and pick the most concise under a target.

    It measures size, not quality.
    Exit status:
    0 one fits, 1 none does, 2 wrong usage, 3 a variant could not be counted.
    """
    import os

    from weighbridge.uses.decisions import to_json
    from weighbridge.uses.prices import Prices
    from weighbridge_worker.cli import interrupt
    from weighbridge_worker.cli.assembly import explain, given_rpm, read_setup
    from weighbridge_worker.cli.documents import read_object

    body, variants = read_object(base), _variants(variant)
    if control is not None and control not in variants:
        raise typer.BadParameter(f"--control names no variant: {control!r}")
    setup = read_setup(os.environ, redis_url=redis, rpm=given_rpm(rpm), with_workers=with_workers)
    table = Prices.load(prices) if usd else None
    explain(setup)
    compared = interrupt.run(_compare, setup, body, variants, target, control, table)
    if as_json:
        typer.echo(to_json(compared))
    else:
        _print(compared)
    raise typer.Exit(_status(compared))


def _status(compared: "Comparison") -> int:
    from weighbridge_worker.cli.exit_status import ExitStatus

    if compared.chosen is None and any(row.tokens is not None for row in compared.variants):
        return ExitStatus.REFUSED
    failed = any(row.code for row in compared.variants)
    return ExitStatus.SOME_FAILED if failed else ExitStatus.OK


def _variants(given: list[str]) -> "dict[str, Patch]":
    from weighbridge_worker.cli.documents import read_object, read_text

    variants: dict[str, Patch] = {}
    for text in given:
        name, found, file = text.partition("=")
        if not (name and found and file):
            raise typer.BadParameter(f"--variant takes NAME=FILE, not {text!r}")
        if name in variants:
            raise typer.BadParameter(f"two variants are called {name!r}")
        path = Path(file)
        if path.suffix == ".json":
            variants[name] = read_object(path)
        else:
            variants[name] = {"system": _decoded(read_text(path), path)}
    return variants


def _decoded(text: bytes, path: Path) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{path} is no UTF-8 text") from None


async def _compare(
    setup: "Setup",
    body: dict[str, Any],
    variants: "dict[str, Patch]",
    target: int | None,
    control: str | None,
    prices: "Prices | None",
) -> "Comparison":
    from weighbridge.uses.compare import compare as weigh
    from weighbridge_worker.cli.assembly import open_client

    async with open_client(setup) as client:
        return await weigh(client, body, variants, target=target, control=control, prices=prices)


def _print(compared: "Comparison") -> None:
    from rich.console import Console
    from rich.table import Table

    from weighbridge_worker.cli.figures import dollars, tokens

    estimated = compared.tally.estimated
    console, table = Console(highlight=False), Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("variant", no_wrap=True)
    columns = ["tokens", "net", f"vs {compared.control}"]
    columns += ["vs target"] if compared.target is not None else []
    columns += ["USD/1,000", "cached", "batch"] if compared.price_version else []
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in compared.variants:
        sizes = [
            tokens(row.tokens, estimated=estimated),
            tokens(row.net, estimated=estimated),
            tokens(row.vs_control, estimated=estimated, signed=True),
        ]
        if compared.target is not None:
            sizes.append(tokens(row.vs_target, estimated=estimated, signed=True))
        if compared.price_version:
            money = (row.usd, row.usd_cached, row.usd_batch)
            sizes += [dollars(amount, estimated=estimated) for amount in money]
        mark = "◂" if row.name == compared.chosen else row.code
        table.add_row(row.name, *sizes, mark)
    console.print(table)
    for row in compared.variants:
        if row.code:
            console.print(f"{row.name}: {row.message}", markup=False, soft_wrap=True)
        if row.below_cache_minimum:
            console.print(
                f"{row.name} is too short to be cached: a longer prompt may cost less.",
                markup=False,
            )
    if compared.target is not None:
        fits = (
            f"{compared.chosen} is the most concise that fits" if compared.chosen else "None fits"
        )
        console.print(f"\n{fits}.", markup=False)
    if compared.price_version:
        console.print(f"\nPrices: {compared.price_version}", style="dim")
