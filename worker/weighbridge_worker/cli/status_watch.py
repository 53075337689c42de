"""``weighbridge status --watch``: the pool in a terminal, once a second, until Ctrl-C."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import typer

from weighbridge.admin import Admin
from weighbridge.bucket import Bucket
from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings, load
from weighbridge_worker.cli import interrupt
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.settings import SAFE_RPM
from weighbridge_worker.watch.snapshot import Snapshot
from weighbridge_worker.watch.watcher import Watcher

EVERY_S = 1.0


def run_watch(*, redis_url: str | None) -> int:
    """Run the command; returns the exit status."""
    settings = load(QueueSettings, os.environ, redis_url=redis_url)
    try:
        interrupt.run(_draw if sys.stdout.isatty() else _tell, settings)
    except KeyboardInterrupt:  # the way out
        return ExitStatus.OK
    return ExitStatus.OK


@asynccontextmanager
async def _watcher(settings: QueueSettings) -> AsyncIterator[Watcher]:
    redis, keys = connect(settings.redis_url), Keys(settings.namespace)
    try:
        admin = Admin(redis, keys, Bucket(redis, keys, Scripts(keys), rpm=SAFE_RPM))
        yield Watcher(admin, settings.namespace, max_queue=settings.max_queue)
    finally:
        await redis.aclose()


async def _looks(watcher: Watcher) -> AsyncIterator[Snapshot]:
    while True:
        yield await watcher.look()
        await anyio.sleep(EVERY_S)


async def _draw(settings: QueueSettings) -> None:
    from rich.console import Console
    from rich.live import Live

    from weighbridge_worker.cli.status_screen import screen

    console = Console(highlight=False)
    async with _watcher(settings) as watcher:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            async for seen in _looks(watcher):
                live.update(screen(seen, watcher.columns()), refresh=True)


async def _tell(settings: QueueSettings) -> None:
    """Say where nobody can draw: a line whenever the verdict changes, not its numbers."""
    told: tuple[str, ...] = ()
    async with _watcher(settings) as watcher:
        async for seen in _looks(watcher):
            verdict = seen.verdict
            codes = (verdict.code, *(finding.code for finding in verdict.further))
            if codes != told:
                told = codes
                texts = (verdict.text, *(finding.text for finding in verdict.further))
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                typer.echo(f"{now} {verdict.level}: {' '.join(texts)}")
                sys.stdout.flush()
