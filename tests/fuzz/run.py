"""Many inputs over several processes; a watcher sees which of them crashed, died or hangs."""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import anyio
from fuzz.inputs import Inputs
from fuzz.targets import make_target

HANG_S = 30.0
"""For one input of some kilobytes: nothing but a hang takes that long."""

START_S = 120.0
"""Until a process has its first input."""

LOOK_S = 0.1

Work = Callable[[Connection, int, Sequence[int], Any], None]
"""Tries a share: told where to report, the seed, the indexes, and where to say which is tried."""


@dataclass(slots=True)
class Report:
    """What became of a share of the inputs."""

    tried: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    slowest: int = -1
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Add another share."""
        self.tried += other.tried
        self.accepted += other.accepted
        self.faults += other.faults
        if other.slowest_s > self.slowest_s:
            self.slowest_s, self.slowest = other.slowest_s, other.slowest


def try_share(seed: int, indexes: Sequence[int], at: Any = None) -> Report:
    """Try inputs in this process; ``at.value`` tells a watcher which one is being tried."""
    return anyio.run(_try_share, seed, indexes, at)


async def _try_share(seed: int, indexes: Sequence[int], at: Any) -> Report:
    inputs, try_input, report = Inputs(seed), make_target(), Report()
    for index in indexes:
        if at is not None:
            at.value = index
        given = inputs.at(index)
        began = time.perf_counter()
        try:
            report.accepted += await try_input(given) == "accepted"
        except Exception:
            report.faults.append(f"crash at {index}:\n{traceback.format_exc(limit=-4)}")
        took = time.perf_counter() - began
        if took > report.slowest_s:
            report.slowest_s, report.slowest = took, index
        report.tried += 1
    return report


def try_all(
    seed: int, inputs: int, processes: int, *, work: Work | None = None, hang_s: float = HANG_S
) -> Report:
    """Try inputs in processes of their own; ``work`` in place of trying them is for tests."""
    shares = [
        _Share(seed, range(start, inputs, processes), work or _work, hang_s)
        for start in range(processes)
    ]
    report = Report()
    for part in _watched(shares):
        report.add(part)
    return report


def _watched(shares: list["_Share"]) -> Iterator[Report]:
    waiting = list(shares)
    while waiting:
        time.sleep(LOOK_S)
        for share in list(waiting):
            if (part := share.look()) is not None:
                waiting.remove(share)
                yield part


class _Share:
    """One process and the inputs that it tries."""

    def __init__(self, seed: int, indexes: Sequence[int], work: Work, hang_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._at = context.Value("q", -1, lock=False)
        self._reports, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=work, args=(theirs, seed, indexes, self._at))
        self._process.start()
        theirs.close()
        self._seen = (-1, time.monotonic())
        self._hang_s = hang_s

    def look(self) -> Report | None:
        """Return what became of the share, once that is known."""
        if self._reports.poll():
            return self._received()
        index, since = self._at.value, self._seen[1]
        if index != self._seen[0]:
            self._seen = (index, time.monotonic())
        elif time.monotonic() - since > (START_S if index < 0 else self._hang_s):
            self._process.kill()
            self._process.join()
            return Report(tried=1, faults=[f"hang at {index}"])
        return None

    def _received(self) -> Report:
        try:
            report: Report = self._reports.recv()
        except EOFError:
            self._process.join()
            word = f"the process died ({self._process.exitcode}) at {self._at.value}"
            return Report(tried=1, faults=[word])
        self._process.join()
        return report


def _work(reports: Connection, seed: int, indexes: Sequence[int], at: Any) -> None:
    reports.send(try_share(seed, indexes, at))
    reports.close()
