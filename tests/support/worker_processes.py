"""Workers as processes of their own."""

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis
from support.acl import command_as_role
from support.commands import COMMAND, environment, warm
from support.pools import until
from support.warm_start import RunningCommand

from weighbridge_worker.sandbox import Sandbox


@asynccontextmanager
async def fleet(
    url: str, home: Path, size: int, stand_in: Sandbox, *, rpm: int, **settings: str
) -> AsyncIterator[list[RunningCommand]]:
    """Run worker commands while the block runs; kill what is left of them.

    Each may be the parent of several processes; the block begins when all of them work.
    """
    expected = size * int(settings.get("WEIGHBRIDGE_PROCESSES", "1"))
    words, env = command_as_role(
        ["worker"],
        environment(
            home,
            WEIGHBRIDGE_REDIS_URL=url,
            WEIGHBRIDGE_RPM=str(rpm),
            ANTHROPIC_BASE_URL=stand_in.base_url,
            ANTHROPIC_API_KEY="test",
            **settings,
        ),
    )
    with ExitStack() as stack:
        workers = [stack.enter_context(_start(words, env)) for _ in range(size)]
        for worker in workers:
            stack.callback(worker.kill)
        async with Redis.from_url(url) as redis:

            async def all_there() -> bool:
                return bool(await redis.zcard("{weighbridge}:1:workers") >= expected)

            await until(all_there, within_s=60)
        yield workers


def _start(words: Sequence[str], env: Mapping[str, str]) -> RunningCommand:
    if forker := warm(env):
        return forker.fork(words, env, (0, 1, sys.stderr.fileno()))
    return subprocess.Popen([*COMMAND, *words], env=env, stderr=sys.stderr)
