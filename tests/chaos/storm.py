"""What befalls a fleet: one disturbance after the other, drawn by a seed."""

import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

import anyio
import redis
from anyio import to_thread
from chaos.workers import Workers

from weighbridge_worker.sandbox import Fault, Sandbox
from weighbridge_worker.server import ServerProcess

CALM_S = (0.2, 1.5)
"""Between two disturbances."""

PROGRESS = 30
PATIENCE_S = 8.0
"""Nor is there a next one before so many calls were made, or so long none: a fleet that is killed
faster than it starts proves nothing."""

GARBAGE = (
    *(Fault.TRUNCATED, Fault.HTML, Fault.NULL_COUNT, Fault.NEGATIVE_COUNT, Fault.STRING_COUNT),
    *(Fault.EXPONENT_COUNT, Fault.BOOLEAN_COUNT, Fault.NO_COUNT, Fault.LIST_ANSWER),
)
WEATHER: dict[str, dict[Fault, float]] = {
    "fair": {},
    "throttled": {Fault.RATE_LIMITED: 0.1, Fault.RAMP_LIMITED: 0.02},
    "failing": {Fault.SERVER_ERROR: 0.3, Fault.OVERLOADED: 0.2},
    "cut": {Fault.DROPPED: 0.2, Fault.CUT_BODY: 0.2},
    "slow": {Fault.SLOW_BODY: 0.2, Fault.HANGING: 0.1},
    "garbage": dict.fromkeys(GARBAGE, 0.05),
}


class Storm:
    """Disturbs workers, server and endpoint until cancelled; ``calm`` heals everything."""

    def __init__(
        self, workers: Workers, server: ServerProcess, stand_in: Sandbox, random: Random
    ) -> None:
        self._workers = workers
        self._server = server
        self._stand_in = stand_in
        self._random = random
        self.done: Counter[str] = Counter()

    async def run(self) -> None:
        """Disturb."""
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "kill": self._kill,
            "drain": self._drain,
            "stop": self._stop,
            "restart": self._restart,
            "pause": self._pause,
            "evict": self._evict,
            "weather": self._change_weather,
        }
        weights = [4, 2, 2, 2, 1, 1, 4]
        while True:
            await anyio.sleep(self._random.uniform(*CALM_S))
            await self._progress()
            [step] = self._random.choices(list(steps), weights)
            # To its end: half a restart would leave no server.
            with anyio.CancelScope(shield=True):
                await steps[step]()
            self.done[step] += 1

    def calm(self) -> None:
        """Let the endpoint be healthy; whatever else was disturbed is healed already."""
        self._stand_in.faults.clear()

    async def _progress(self) -> None:
        wanted = len(self._stand_in.ledger) + PROGRESS
        with anyio.move_on_after(PATIENCE_S):
            while len(self._stand_in.ledger) < wanted:
                await anyio.sleep(0.05)

    async def _kill(self) -> None:
        self._workers.kill(self._random)

    async def _drain(self) -> None:
        self._workers.drain(self._random)

    async def _stop(self) -> None:
        await self._workers.stop(self._random, self._random.choice((0.3, 1.0, 6.0)))

    async def _restart(self) -> None:
        """Kill the server like a crash, and start it again on the same socket and file."""
        await to_thread.run_sync(self._server.kill)
        await anyio.sleep(self._random.choice((0, 0, 1.0, 5.0)))
        await to_thread.run_sync(self._server.start)

    async def _pause(self) -> None:
        pid = await to_thread.run_sync(self._server_pid)
        os.kill(pid, signal.SIGSTOP)
        await anyio.sleep(self._random.choice((0.2, 1.0, 4.0)))
        os.kill(pid, signal.SIGCONT)

    async def _evict(self) -> None:
        await to_thread.run_sync(self._flush_scripts)

    async def _change_weather(self) -> None:
        kind = self._random.choice(list(WEATHER))
        self._stand_in.faults.set_probabilities(WEATHER[kind])
        self.done[kind] += 1

    def _server_pid(self) -> int:
        with redis.Redis.from_url(self._server.url) as client:
            return int(client.info("server")["process_id"])

    def _flush_scripts(self) -> None:
        with redis.Redis.from_url(self._server.url) as client:
            client.script_flush()
