"""Worker processes that are killed, drained and stopped, and started again like by a supervisor."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import anyio

LOOK_S = 0.1

GOODBYES = (0, -signal.SIGTERM)
"""How a drained worker ends; by the signal itself if it came while Python was still importing."""


class Workers:
    """A fleet of as many processes as there are commands.

    Args:
        commands: one a worker; two versions run side by side where they differ.
        log: what all of them say.
    """

    def __init__(
        self, commands: Sequence[Sequence[str]], env: Mapping[str, str], log: Path
    ) -> None:
        self._commands = commands
        self._env = env
        self.log = log
        self._processes: list[subprocess.Popen[bytes]] = []
        self._leaving = False
        self.exits: Counter[int] = Counter()

    async def run(self) -> None:
        """Start all, and start again what ends, until ``leave``."""
        self._processes = [self._start(command) for command in self._commands]
        while not self._leaving:
            for place, process in enumerate(self._processes):
                if process.poll() is not None:
                    self.exits[process.returncode] += 1
                    self._processes[place] = self._start(self._commands[place])
            await anyio.sleep(LOOK_S)

    def kill(self, random: Random) -> None:
        """Let one die."""
        random.choice(self._processes).kill()

    def drain(self, random: Random) -> None:
        """Send one away in peace."""
        random.choice(self._processes).terminate()

    async def stop(self, random: Random, seconds: float) -> None:
        """Let one stand still for a while."""
        process = random.choice(self._processes)
        self._signal(process, signal.SIGSTOP)
        await anyio.sleep(seconds)
        self._signal(process, signal.SIGCONT)

    async def leave(self, within_s: float) -> bool:
        """Drain all; True if every one of them said goodbye within the time."""
        self._leaving = True
        for process in self._processes:
            process.terminate()
        with anyio.move_on_after(within_s):
            while any(process.poll() is None for process in self._processes):
                await anyio.sleep(LOOK_S)
        return all(process.poll() in GOODBYES for process in self._processes)

    def end(self) -> None:
        """End whatever runs still."""
        self._leaving = True
        for process in self._processes:
            process.kill()
            process.wait()

    def _start(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*command, "worker"], env=dict(self._env), stdout=log, stderr=log
            )

    def _signal(self, process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
        if process.poll() is None:
            os.kill(process.pid, number)
