"""Where the command counts: which server, whose workers, the API or the sandbox."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import anyio
import typer

from weighbridge.admin import Admin, PoolState
from weighbridge.bucket import Bucket
from weighbridge.client import Client
from weighbridge.connection import connect
from weighbridge.errors import QueueUnreachable, SettingsError
from weighbridge.keys import Keys
from weighbridge.scope import make_scope, scope_id
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings, load
from weighbridge_worker.logs import make_logger
from weighbridge_worker.settings import (
    ANTHROPIC_VERSION,
    SAFE_RPM,
    Rpm,
    WorkerSettings,
    parse_rpm,
)
from weighbridge_worker.watch.limit_words import describe_limit

SANDBOX_RPM = 3000
SANDBOX_DEPTH = 50
SANDBOX_SCOPE = "sandbox"


@dataclass(frozen=True, slots=True)
class Setup:
    """What a counting command needs to know before it starts anything.

    Args:
        embedded: no server was named, so one is started.
        own_workers: this process counts; otherwise the server's workers do.
        estimates: no credentials were found, so the sandbox answers.
    """

    queue: QueueSettings
    worker: WorkerSettings
    embedded: bool
    own_workers: bool
    estimates: bool

    @property
    def scope(self) -> dict[str, str]:
        """What the counts of this set-up depend on."""
        return make_scope(
            base_url=SANDBOX_SCOPE if self.estimates else self.worker.base_url,
            anthropic_version=ANTHROPIC_VERSION,
            digest_key=self.queue.digest_key,
        )


def given_rpm(text: str | None) -> Rpm | None:
    """Read ``--rpm``.

    Raises:
        typer.BadParameter: it is no rate.
    """
    try:
        return None if text is None else parse_rpm(text)
    except ValueError as error:
        raise typer.BadParameter(f"takes {error}, not {text!r}", param_hint="--rpm") from None


def read_setup(
    environ: Mapping[str, str], *, redis_url: str | None, rpm: Rpm | None, with_workers: bool
) -> Setup:
    """Decide the set-up.

    Raises:
        SettingsError: a setting is wrong.
    """
    embedded = not (redis_url or environ.get("WEIGHBRIDGE_REDIS_URL"))
    queue = load(QueueSettings, environ, redis_url=redis_url)
    worker = load(WorkerSettings, environ, rpm=rpm)
    estimates = not (worker.api_key or worker.auth_token)
    if estimates and not isinstance(worker.rpm, int):
        worker = replace(worker, rpm=SANDBOX_RPM)
    return Setup(queue, worker, embedded, embedded or with_workers, estimates)


def say(text: str) -> None:
    """Tell a person something that belongs neither into the results nor into a log."""
    typer.echo(text, err=True)


def explain(setup: Setup) -> None:
    """Say what this run assumes: that it estimates, or at which rate it calls."""
    if not setup.own_workers:
        return
    if setup.estimates:
        say("No ANTHROPIC_API_KEY: the sandbox answers, offline. Counts are estimates (~).")
    elif setup.worker.rpm is None:
        say(
            f"Calling at {SAFE_RPM} requests a minute, the lowest limit ever published; "
            "set --rpm (or WEIGHBRIDGE_RPM) to your organisation's."
        )


@asynccontextmanager
async def open_client(setup: Setup) -> AsyncIterator[Client]:
    """Start what the set-up needs and give a client of it; stop it all at the end.

    Raises:
        QueueUnreachable: the server does not answer, or has no living worker.
    """
    async with AsyncExitStack() as stack:
        setup = replace(setup, queue=await stack.enter_async_context(open_server(setup)))
        if setup.own_workers:
            await stack.enter_async_context(_workers(setup))
        else:
            await _expect_workers(setup)
        yield await stack.enter_async_context(Client.connect(settings=setup.queue))


@asynccontextmanager
async def open_server(setup: Setup) -> AsyncIterator[QueueSettings]:
    """Start a server if none was named; gives the settings that reach it."""
    if not setup.embedded:
        yield setup.queue
        return
    async with _embedded(setup) as url:
        yield replace(setup.queue, redis_url=url)


@asynccontextmanager
async def _embedded(setup: Setup) -> AsyncIterator[str]:
    from pathlib import Path

    from weighbridge_worker.embedded import embedded_server, state_home

    name = f"{SANDBOX_SCOPE if setup.estimates else 'api'}-{scope_id(setup.scope)}"
    given = os.environ.get("WEIGHBRIDGE_REDIS_SERVER")
    async with embedded_server(
        state_home(os.environ) / name, binary=Path(given) if given else None
    ) as url:
        yield url


@asynccontextmanager
async def _workers(setup: Setup) -> AsyncIterator[None]:
    """Count in this process while the block runs; what is still queued then stays queued."""
    from weighbridge_worker.cli.auto_rate import resolve_rate, say_found
    from weighbridge_worker.counter import anthropic_counter
    from weighbridge_worker.pool import open_pool
    from weighbridge_worker.startup import check_server

    log = make_logger("warning", "console")
    await check_server(setup.queue, log)
    async with AsyncExitStack() as stack:
        worker = setup.worker
        if setup.estimates:
            worker = await stack.enter_async_context(_sandboxed(worker))
        counter = await stack.enter_async_context(anthropic_counter(worker))
        worker = await resolve_rate(setup.queue, worker, counter, say_found)
        pool = await stack.enter_async_context(
            open_pool(setup.queue, worker, counter, setup.scope, log, leaves_if_refused=True)
        )
        async with anyio.create_task_group() as tasks:
            await tasks.start(pool.run)
            try:
                yield
            finally:
                pool.stop()


@asynccontextmanager
async def _sandboxed(worker: WorkerSettings) -> AsyncIterator[WorkerSettings]:
    from weighbridge_worker.sandbox import SandboxSettings, sandbox

    settings = SandboxSettings(rpm=worker.rate, depth=SANDBOX_DEPTH)
    async with sandbox(settings) as running:
        yield replace(worker, base_url=running.base_url, api_key=SANDBOX_SCOPE)


@asynccontextmanager
async def open_admin(queue: QueueSettings) -> AsyncIterator[Admin]:
    """Connect for looks at a namespace."""
    keys = Keys(queue.namespace)
    async with connect(queue.redis_url) as redis:
        yield Admin(redis, keys, Bucket(redis, keys, Scripts(keys), rpm=SAFE_RPM))


async def inspect_pool(queue: QueueSettings) -> PoolState:
    """Look at all of a namespace, as an operator may.

    Raises:
        QueueUnreachable: the server does not answer.
    """
    async with open_admin(queue) as admin:
        return await admin.inspect()


async def _expect_workers(setup: Setup) -> None:
    async with open_admin(setup.queue) as admin:
        workers, limit = await admin.fleet()
    if not workers:
        raise QueueUnreachable(
            f"no living worker in namespace {setup.queue.namespace!r}; start one with"
            " `weighbridge worker`, or add --with-workers to count in this process"
        )
    if limit.paused or limit.hold:
        say(f"The fleet waits: {describe_limit(limit)}.")


def require_credentials(worker: WorkerSettings) -> None:
    """Refuse to start a worker that could not make a call.

    Raises:
        SettingsError: neither key nor token is set.
    """
    if not (worker.api_key or worker.auth_token):
        raise SettingsError(
            "ANTHROPIC_API_KEY is not set. To try without one, run `weighbridge sandbox` and set"
            " ANTHROPIC_BASE_URL=http://127.0.0.1:8399 ANTHROPIC_API_KEY=sandbox"
        )
