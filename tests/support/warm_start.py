"""Commands in processes of their own that need not import the SDK again: forked by ``forker.py``.

What is ours they load themselves, each for itself, in the environment and the folder that they are
given. ``started`` and many others start commands cold, as people do.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Protocol, Self

from support.forker import LENGTH

FORKER = Path(__file__).with_name("forker.py")
READ_EARLY = ("PYTHON", "LANG", "LC_", "TMPDIR")
"""How the names of the variables begin that an interpreter reads once, at its start."""

START_S = 60.0


class RunningCommand(Protocol):
    """What tests do with a command that runs."""

    @property
    def pid(self) -> int:
        """The process's id."""

    def send_signal(self, sig: int, /) -> None:
        """Send a signal, unless it is known to have ended."""

    def kill(self) -> None:
        """Send SIGKILL, unless it is known to have ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit status, negative for a signal's number."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class ForkedCommand:
    """A command that was forked."""

    def __init__(self, answers: socket.socket) -> None:
        self._answers = answers
        self._status: int | None = None
        self.pid = self._answer(START_S)

    def _answer(self, timeout: float | None) -> int:
        self._answers.settimeout(timeout)
        told = self._answers.recv(LENGTH.size)
        if not told:
            raise ConnectionError("the process that forks commands is gone")
        return int(LENGTH.unpack(told)[0])

    def send_signal(self, sig: int) -> None:
        """Send a signal, unless it is known to have ended."""
        try:
            self.wait(0)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """Send SIGKILL, unless it is known to have ended."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; returns the exit status, negative for a signal's number."""
        if self._status is None:
            try:
                self._status = self._answer(timeout)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0) from None
        return self._status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._answers.close()


class Forker:
    """The process that forks; it ends with this one.

    Args:
        env: its environment; commands are forked in those that begin alike.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._early = _early(env)
        self._link, theirs = socket.socketpair()
        self._one_at_a_time = Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(FORKER), str(theirs.fileno())],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._end)

    def can_be(self, env: Mapping[str, str]) -> bool:
        """Say whether a forked command does in this environment what one does that starts cold."""
        return _early(env) == self._early

    def fork(
        self, words: Sequence[str], env: Mapping[str, str], streams: Sequence[int]
    ) -> ForkedCommand:
        """Start a command on these descriptors for its three streams."""
        ours, theirs = socket.socketpair()
        told = json.dumps({"words": list(words), "env": dict(env), "folder": os.getcwd()}).encode()
        with theirs, self._one_at_a_time:
            head = LENGTH.pack(len(told))
            socket.send_fds(self._link, [head], [*streams, theirs.fileno()])
            self._link.sendall(told)
        return ForkedCommand(ours)

    def run(
        self, words: Sequence[str], env: Mapping[str, str], stdin: bytes, within_s: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command to its end; returns its status and what it wrote."""
        feed, out, err = os.pipe(), os.pipe(), os.pipe()
        theirs = (feed[0], out[1], err[1])
        with ThreadPoolExecutor(3) as threads, self.fork(words, env, theirs) as command:
            for descriptor in theirs:
                os.close(descriptor)
            threads.submit(_write, feed[1], stdin)
            written = [threads.submit(_read, end) for end in (out[0], err[0])]
            try:
                status = command.wait(within_s)
            except BaseException:
                command.kill()
                raise
        return status, written[0].result(), written[1].result()

    def _end(self) -> None:
        self._link.close()
        self._process.wait(START_S)


def _early(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(READ_EARLY)}


def _write(descriptor: int, data: bytes) -> None:
    with suppress(BrokenPipeError), open(descriptor, "wb") as stream:
        stream.write(data)


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as stream:
        return stream.read()
