"""``weighbridge route``: which model suits each payload of a file."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weighbridge_worker.cli.options import PricesFile, Redis, Rpm, WithWorkers

if TYPE_CHECKING:
    from weighbridge.uses.bands import Bands
    from weighbridge.uses.prices import Prices
    from weighbridge_worker.cli.assembly import Setup
    from weighbridge_worker.cli.lines import Line
    from weighbridge_worker.cli.route_report import Routes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller wants of every decision."""

    strict: bool
    max_output: int | None
    floor: str | None


def route(
    bands: Annotated[
        Path, typer.Option(metavar="FILE.toml", help="Which model takes payloads of which size.")
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE…|-]",
            help='JSONL: a payload a line, or {"id": …, "payload": {…}}; - is standard input.',
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Count with every candidate at once.")
    ] = False,
    max_output: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Tokens kept for the answer [default: the body's max_tokens]."
        ),
    ] = None,
    floor: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The smallest model that you accept.")
    ] = None,
    prices: PricesFile = None,
    redis: Redis = None,
    rpm: Rpm = None,
    with_workers: WithWorkers = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="A decision a line, for machines.")
    ] = False,
) -> None:
    """Say for each payload which model suits it: the smallest whose band and window hold it.

    Exit status:
    0 all routed, 1 some fit no band, 2 wrong usage, 3 some could not be counted.
    """
    import os

    from weighbridge.uses.bands import read_bands
    from weighbridge.uses.prices import Prices
    from weighbridge_worker.cli import interrupt
    from weighbridge_worker.cli.assembly import explain, given_rpm, read_setup
    from weighbridge_worker.cli.count import check_files
    from weighbridge_worker.cli.route_report import Routes

    names = tuple(files or ("-",))
    check_files(names, None)
    table, given = Prices.load(prices), read_bands(bands)
    given.windows(table)
    if floor is not None:
        given.place(floor, "--floor")
    setup = read_setup(os.environ, redis_url=redis, rpm=given_rpm(rpm), with_workers=with_workers)
    explain(setup)
    routes = Routes(as_jsonl=jsonl, names_file=len(names) > 1)
    interrupt.run(_route, setup, given, table, names, Wanted(strict, max_output, floor), routes)
    routes.print_tables()
    raise typer.Exit(routes.status)


async def _route(
    setup: "Setup",
    bands: "Bands",
    prices: "Prices",
    files: tuple[str, ...],
    wanted: Wanted,
    routes: "Routes",
) -> None:
    from contextlib import aclosing

    from weighbridge.records import Lane
    from weighbridge.uses.route import Router
    from weighbridge_worker.cli.assembly import open_client
    from weighbridge_worker.cli.lines import read_lines

    lines: deque[Line] = deque()

    def payloads() -> Iterator[bytes]:
        for line in read_lines(files):
            lines.append(line)
            yield line.payload

    async with open_client(setup) as client:
        router = Router(client, bands, prices=prices, strict=wanted.strict, lane=Lane.BATCH)
        decisions = router.route_many(payloads(), max_output=wanted.max_output, floor=wanted.floor)
        async with aclosing(decisions):
            async for decision in decisions:
                routes.add(lines.popleft(), decision)
