"""A real gateway for tests: uvicorn on a free loopback port, and what stands behind it.

A test opens it itself: a fixture would leave its cancel scopes in another task.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.trace import Tracer
from support.pools import running_pool

from weighbridge.settings import QueueSettings
from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.gateway.server import GatewayServer, serving
from weighbridge_worker.gateway.service import Gateway, open_gateway
from weighbridge_worker.gateway.settings import GatewaySettings
from weighbridge_worker.logs import make_logger
from weighbridge_worker.sandbox import Sandbox, SandboxSettings, sandbox
from weighbridge_worker.settings import WorkerSettings

COUNT_PATH = "/v1/messages/count_tokens"
OPERATOR = "operator-operator-operator"
ALICE = "alice-alice-alice-alice"
BOB = "bob-bob-bob-bob-bob-bob"
TOKENS = f"""
[tenants.operator]
tokens = ["{OPERATOR}"]
operator = true

[tenants.alice]
tokens = ["{ALICE}"]

[tenants.bob]
tokens = ["{BOB}"]
lane = "batch"
"""


@dataclass(frozen=True, slots=True)
class GatewayUnderTest:
    """A running gateway; ``base_url`` is what a caller's SDK is given."""

    base_url: str
    gateway: Gateway
    server: GatewayServer
    stand_in: Sandbox


def tokens_file(folder: Path, text: str = TOKENS) -> str:
    """Write a tokens file that only we can read."""
    path = folder / "tokens.toml"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@asynccontextmanager
async def running_gateway(
    url: str,
    *,
    pool: bool = True,
    queue: QueueSettings | None = None,
    rpm: int = 60_000,
    tracer: Tracer | None = None,
    **settings: Any,
) -> AsyncIterator[GatewayUnderTest]:
    """Run a gateway and a stand-in while the block runs, and a worker between them if ``pool``."""
    async with sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in:
        worker = WorkerSettings(base_url=stand_in.base_url, api_key="test")
        async with (
            anthropic_counter(worker) as counter,
            _pool(url, counter, rpm=rpm, runs=pool, tracer=tracer),
            only_gateway(url, stand_in, queue=queue, tracer=tracer, **settings) as running,
        ):
            yield running


@asynccontextmanager
async def only_gateway(
    url: str,
    stand_in: Sandbox,
    *,
    queue: QueueSettings | None = None,
    tracer: Tracer | None = None,
    **settings: Any,
) -> AsyncIterator[GatewayUnderTest]:
    """Run a gateway alone while the block runs."""
    chosen = GatewaySettings(**{"port": 0, "drain_s": 1.0, **settings})
    log = make_logger("error", "json")
    async with (
        open_gateway(queue or QueueSettings(redis_url=url), chosen, log, tracer=tracer) as gateway,
        serving(gateway) as server,
    ):
        yield GatewayUnderTest(server.base_url, gateway, server, stand_in)


@asynccontextmanager
async def _pool(
    url: str, counter: Any, *, rpm: int, runs: bool, tracer: Tracer | None
) -> AsyncIterator[None]:
    if not runs:
        yield
        return
    async with running_pool(url, counter, rpm=rpm, tracer=tracer):
        yield
