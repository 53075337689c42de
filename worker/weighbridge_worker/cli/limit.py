"""``weighbridge limit``: see and change the limit of a running fleet, without a restart."""

from typing import TYPE_CHECKING, Annotated

import typer

from weighbridge_worker.cli.options import AsJson, Redis

if TYPE_CHECKING:
    from weighbridge.bucket import BucketState
    from weighbridge.exchange import LimitAction
    from weighbridge.settings import QueueSettings

limit = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@limit.command()
def show(redis: Redis = None, as_json: AsJson = False) -> None:
    """Say what the limit is, and what holds it down."""
    state = _run(redis)
    if as_json:
        from dataclasses import asdict

        import msgspec

        typer.echo(msgspec.json.encode(asdict(state)))
    else:
        _say(state)


@limit.command("set")
def set_rpm(
    rpm: Annotated[int, typer.Argument(metavar="RPM", min=1, max=1_000_000)],
    redis: Redis = None,
) -> None:
    """Set the calls a minute; it holds against the workers' own settings, until release."""
    _say(_run(redis, "set", rpm))


@limit.command()
def release(redis: Redis = None) -> None:
    """Give the rate back to the workers' own setting."""
    _say(_run(redis, "release"))


@limit.command()
def pause(redis: Redis = None) -> None:
    """Let no more calls begin; what is queued waits."""
    _say(_run(redis, "pause"))


@limit.command()
def resume(redis: Redis = None) -> None:
    """End a pause, an operator's or the fleet's own, and a hold."""
    _say(_run(redis, "resume"))


def _say(state: "BucketState") -> None:
    from weighbridge_worker.watch.limit_words import describe_limit

    typer.echo(describe_limit(state) + ".")


def _run(
    redis_url: str | None, action: "LimitAction | None" = None, rpm: int | None = None
) -> "BucketState":
    import os

    import anyio

    from weighbridge.settings import QueueSettings, load

    return anyio.run(_change, load(QueueSettings, os.environ, redis_url=redis_url), action, rpm)


async def _change(
    settings: "QueueSettings", action: "LimitAction | None", rpm: int | None
) -> "BucketState":
    """Change the limit, if anything is to be changed, and read it.

    Raises:
        QueueUnreachable: the server does not answer.
    """
    from weighbridge.bucket import Bucket
    from weighbridge.connection import connect, queue_errors
    from weighbridge.keys import Keys
    from weighbridge.scripts import Scripts
    from weighbridge_worker.settings import SAFE_RPM

    keys = Keys(settings.namespace)
    with queue_errors():
        async with connect(settings.redis_url) as redis:
            bucket = Bucket(redis, keys, Scripts(keys), rpm=SAFE_RPM)
            if action is not None:
                await bucket.change(action, rpm=rpm)
            return await bucket.inspect()
