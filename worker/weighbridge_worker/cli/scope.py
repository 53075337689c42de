"""``weighbridge scope``: see what a namespace's counts depend on, and give them up for others."""

from typing import TYPE_CHECKING, Annotated

import typer

from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.options import AsJson, Redis

if TYPE_CHECKING:
    from weighbridge.admin import PoolState
    from weighbridge.settings import QueueSettings

scope = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@scope.command()
def show(redis: Redis = None, as_json: AsJson = False) -> None:
    """Say what all counts of the namespace depend on, beside the payload."""
    settings, state = _look(redis)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(state.scope))
        return
    if not state.scope:
        typer.echo(f"Namespace {settings.namespace} has no scope: its first worker writes it.")
    for name, value in state.scope.items():
        typer.echo(f"{name:<18} {value}")


@scope.command()
def reset(
    redis: Redis = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Empty the cache, so that workers with other settings may start in this namespace.

    All of the namespace's workers must have ended; jobs stay queued for those that start next.
    Exit status:
    0 done, 1 not confirmed, 2 wrong usage, 4 anything else, such as a living worker.
    """
    settings, state = _look(redis)
    cached = "more than 100,000" if state.cached is None else f"{state.cached:,}"
    depends = ", ".join(f"{name} = {value}" for name, value in state.scope.items()) or "nothing yet"
    typer.echo(f"Namespace {settings.namespace}: its counts depend on {depends}.")
    typer.echo(f"Lost: {cached} results of the cache, each a call to count again.")
    typer.echo(f"Kept: {state.depth:,} queued jobs, {state.inbox:,} requests, {state.dead:,} dead.")
    if not yes and not _confirmed(settings.namespace):
        typer.echo("Nothing was changed.")
        raise typer.Exit(ExitStatus.REFUSED)
    typer.echo(f"Done: {_reset(settings):,} results are gone; the next worker writes its scope.")


def _confirmed(namespace: str) -> bool:
    """Ask a person for the namespace's name.

    Raises:
        typer.BadParameter: nobody is there.
    """
    import sys

    if not sys.stdin.isatty():
        raise typer.BadParameter("is needed where nobody can be asked", param_hint="--yes")
    answer = typer.prompt(f"Type {namespace} to go on", default="", show_default=False)
    return bool(answer == namespace)


def _look(redis_url: str | None) -> "tuple[QueueSettings, PoolState]":
    import os

    import anyio

    from weighbridge.settings import QueueSettings, load
    from weighbridge_worker.cli.assembly import inspect_pool

    settings = load(QueueSettings, os.environ, redis_url=redis_url)
    return settings, anyio.run(inspect_pool, settings)


def _reset(settings: "QueueSettings") -> int:
    import anyio

    return anyio.run(_reset_on_server, settings)


async def _reset_on_server(settings: "QueueSettings") -> int:
    from weighbridge.connection import connect
    from weighbridge.keys import Keys
    from weighbridge.scope_reset import reset_scope
    from weighbridge.scripts import Scripts

    keys = Keys(settings.namespace)
    async with connect(settings.redis_url) as redis:
        return await reset_scope(redis, keys, Scripts(keys))
