"""The probes and the metrics of several worker processes, answered by their parent for all.

They share the one port that is known outside: each process reports to its parent, on a free port
of the loopback. A container is as ready, and as live, as its worst process, for it is restarted
as a whole. A worker's own metrics carry its number in the label ``process``; those of the
namespace, which are the same at each, come from one.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import aiohttp
import anyio
import msgspec
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from weighbridge_worker.exposition import encoded
from weighbridge_worker.health import HealthReport
from weighbridge_worker.health_server import health_server

T = TypeVar("T")

HEALTH_S = 2.5
"""A process takes half a second at most, on a server that hangs; a probe waits for three."""

METRICS_S = 5.0
"""The same and two seconds more; a scraper waits for ten."""

OWN = ("weighbridge_worker_", "process_")
"""Families that differ from process to process."""

READY = "weighbridge_worker_ready"


class Reporting(Protocol):
    """A process, as far as it is asked."""

    @property
    def number(self) -> int: ...
    @property
    def port(self) -> int | None:
        """None before its start."""
        ...

    @property
    def ended(self) -> bool: ...


def joint_health_server(
    processes: Sequence[Reporting], host: str, port: int
) -> AbstractAsyncContextManager[None]:
    """Answer for all processes while the block runs.

    Raises:
        SettingsError: the address cannot be had.
    """

    async def report() -> HealthReport:
        return joined(await _of_each(processes, _report))

    async def expose(accept: str) -> tuple[bytes, str]:
        return encoded(labelled(await _of_each(processes, _metrics)), accept)

    return health_server(report, expose, host, port)


def joined(reports: Mapping[int, HealthReport]) -> HealthReport:
    """Judge a container by its processes' reports, by their numbers."""
    all_of_them = reports.values()
    taken = [report.taken_s for report in all_of_them if report.taken_s is not None]
    settled = [report.settled_s for report in all_of_them if report.settled_s is not None]
    return HealthReport(
        live=all(report.live for report in all_of_them),
        ready=bool(reports) and all(report.ready for report in all_of_them),
        why=tuple(
            f"process {number}: {why}" for number, report in reports.items() for why in report.why
        ),
        notes=tuple(dict.fromkeys(note for report in all_of_them for note in report.notes)),
        in_flight=sum(report.in_flight for report in all_of_them),
        taken_s=max(taken, default=None) if len(taken) == len(reports) else None,
        settled_s=min(settled, default=None),
    )


def labelled(texts: Mapping[int, bytes]) -> Iterator[Metric]:
    """Join the metrics of processes, by their numbers; of a silent one it is told that it is not
    ready."""
    families: dict[str, Metric] = {}
    for number, text in texts.items():
        for told in text_string_to_metric_families(text.decode()):
            own = told.name.startswith(OWN)
            if not own and told.name in families:
                continue
            family = families.setdefault(told.name, _empty(told))
            for sample in told.samples:
                labels = {**sample.labels, "process": str(number)} if own else sample.labels
                family.add_sample(sample.name, labels, sample.value)
    if ready := families.get(READY):
        for number in (number for number, text in texts.items() if not text):
            ready.add_sample(READY, {"process": str(number)}, 0)
    yield from families.values()


def _empty(told: Metric) -> Metric:
    return Metric(told.name, told.documentation, told.type, told.unit)


async def _of_each(
    processes: Iterable[Reporting], ask: Callable[[Reporting], Awaitable[T]]
) -> dict[int, T]:
    """Ask all at once, but for those that are gone, and keep their order."""
    asked = [process for process in processes if not process.ended]
    answers: dict[int, T] = {}

    async def note(process: Reporting) -> None:
        answers[process.number] = await ask(process)

    async with anyio.create_task_group() as tasks:
        for process in asked:
            tasks.start_soon(note, process)
    return {process.number: answers[process.number] for process in asked}


async def _report(process: Reporting) -> HealthReport:
    if not process.port:
        return _unready("it has not started yet", live=True)
    body = await _ask(process.port, "/ready", HEALTH_S)
    if not body:
        return _unready("it does not answer", live=False)
    return msgspec.json.decode(body, type=HealthReport)


def _unready(why: str, *, live: bool) -> HealthReport:
    return HealthReport(live, False, (why,), (), 0, None, None)


async def _metrics(process: Reporting) -> bytes:
    return await _ask(process.port, "/metrics", METRICS_S) if process.port else b""


async def _ask(port: int, path: str, within_s: float) -> bytes:
    """Ask a process; nothing if it stays silent, or breaks."""
    patience = aiohttp.ClientTimeout(total=within_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=patience) as session,
            session.get(f"http://127.0.0.1:{port}{path}") as answer,
        ):
            return await answer.read() if answer.status != 500 else b""
    except (aiohttp.ClientError, TimeoutError):
        return b""
