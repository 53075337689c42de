"""``weighbridge review``: what the guard refused, for the people who decide about it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from weighbridge_worker.cli.options import AsJson, AsJsonl, Redis

if TYPE_CHECKING:
    from weighbridge.uses.review_desk import ReviewDesk, ReviewEntry

T = TypeVar("T")
Names = Annotated[
    list[str],
    typer.Argument(metavar="NAME…", help="The start of a digest, six digits or more, or an entry."),
]

review = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@review.command("list")
def list_entries(redis: Redis = None, as_jsonl: AsJsonl = False) -> None:
    """List what was refused, oldest first."""
    entries = _run(redis, lambda desk: desk.entries())
    if as_jsonl:
        for entry in entries:
            _print_json(entry)
    else:
        from weighbridge_worker.cli.review_report import print_entries

        print_entries(entries)


@review.command()
def show(
    name: Annotated[
        str, typer.Argument(help="The start of a digest, six digits or more, or an entry.")
    ],
    redis: Redis = None,
    as_json: AsJson = False,
) -> None:
    """Show all of one refusal, the newest of its digest, and its payload if it was kept."""

    async def look(desk: "ReviewDesk") -> "tuple[ReviewEntry, int, bytes | None]":
        entries = await desk.find(name)
        return entries[-1], len(entries), await desk.payload(entries[-1])

    entry, times, payload = _run(redis, look)
    if as_json:
        _print_json(entry, payload)
    else:
        from weighbridge_worker.cli.review_report import print_entry

        print_entry(entry, times, payload)


@review.command()
def approve(names: Names, redis: Redis = None) -> None:
    """Admit payloads once each, at no more than the price they were last refused at."""

    async def approve_all(desk: "ReviewDesk") -> None:
        for name in names:
            entry = await desk.approve(name)
            typer.echo(f"{entry.refusal.digest}  will be admitted once.")

    _run(redis, approve_all)


@review.command()
def drop(names: Names, redis: Redis = None) -> None:
    """Strike refusals from the log, with their kept payloads."""

    async def drop_all(desk: "ReviewDesk") -> None:
        for name in names:
            entries = await desk.drop(name)
            typer.echo(f"{entries[-1].refusal.digest or name}  dropped.")

    _run(redis, drop_all)


def _print_json(entry: "ReviewEntry", payload: bytes | None = None) -> None:
    import msgspec

    row: dict[str, Any] = {"entry": entry.id, "at": entry.at} | msgspec.to_builtins(entry.refusal)
    if payload is not None:
        row["payload"] = payload.decode(errors="replace")
    typer.echo(msgspec.json.encode(row))


def _run(redis_url: str | None, use: "Callable[[ReviewDesk], Awaitable[T]]") -> T:
    import os

    import anyio

    from weighbridge.uses.review_desk import ReviewDesk
    from weighbridge_worker.cli.assembly import open_server, read_setup

    setup = read_setup(os.environ, redis_url=redis_url, rpm=None, with_workers=False)

    async def at_desk() -> T:
        async with open_server(setup) as settings, ReviewDesk.connect(settings) as desk:
            return await use(desk)

    return anyio.run(at_desk)
