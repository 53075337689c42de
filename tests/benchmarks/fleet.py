"""What a fleet of worker processes makes of a limit, judged by the stand-in's ledger.

The stand-in, the workers and the producer are processes of their own on one machine; the machine's
steal and how busy it was stand beside each figure, and what the workers took of the processors.

From its permit to its end: the slot is read from the lease's end as it stands in the queue, the end
is the moment at which a subscriber hears of it, both by the clock of the one machine.
"""

import json
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
from benchmarks._processes import environment, stand_in, wait_for_workers, worker, worker_figures
from benchmarks.machine import observed, process_cpu_s
from benchmarks.report import Column, Report, Row, parser, publish
from redis import Redis

from weighbridge import Client, Lane
from weighbridge.figures import WorkerFigures
from weighbridge.keys import Keys
from weighbridge_worker.server import ServerProcess, find_server_binary

KEYS = Keys()
CASES = ["1@60", "2@300", "1@3000", "2@3000", "4@3000", "8@3000", "1@20000", "2@20000", "4@20000"]
SATURATED = (0.1, 0.97)
"""The share of the calls, by order, that is looked at: neither the start nor the end."""

LEASE_S = 30.0
LOOK_S = 0.04
"""Between two looks at the leases; a job whose call takes longer does not go by unseen."""

FIGURES_S = 10.0
"""The longest wait for the workers' figures; they write what they have done every two seconds."""

COLUMNS = [
    Column("slots", "calls"),
    Column("used", "limit used", ".1%", spread=True),
    Column("refused", "429s", spread=True),
    Column("over", "most calls over rate × window", ".1f"),
    Column("gap_ms", "longest gap, ms", spread=True),
    Column("p50_ms", "slot to settled: p50 ms", spread=True),
    Column("p99_ms", "p99 ms", spread=True),
    Column("scripts", "scripts a call", ".2f"),
    Column("missed", "slots missed", spread=True),
    Column("workers_cpu", "a worker's CPU", ".0%"),
    Column("server_cpu", "the server's", ".0%"),
    Column("busy", "machine busy", ".0%"),
]


@dataclass(frozen=True, slots=True)
class Case:
    """A fleet, its limit, the work and the endpoint's latency."""

    workers: int
    rpm: int
    slots: int
    latency_s: float

    @property
    def env(self) -> dict[str, str]:
        """The workers' settings: room for as many calls as the limit lets be under way."""
        concurrency = max(16, int(self.rpm / 60 * (self.latency_s + 0.2) * 2 / self.workers))
        return {
            "WEIGHBRIDGE_RPM": str(self.rpm),
            "WEIGHBRIDGE_CONCURRENCY": str(concurrency),
            "WEIGHBRIDGE_LEASE": str(LEASE_S),
        }


class Settlings:
    """How long jobs took from their slots until they were heard to be settled, in their order."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._slots: dict[str, float] = {}
        self._over = threading.Event()
        self.took_s: list[float] = []
        self.unseen = 0
        """Jobs that were settled between two looks."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Listen while the block runs."""
        thread = threading.Thread(target=self._listen)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _listen(self) -> None:
        with Redis.from_url(self._url, decode_responses=True) as redis, redis.pubsub() as heard:
            heard.subscribe(KEYS.done)
            look_at = 0.0
            while not self._over.is_set():
                message = heard.get_message(ignore_subscribe_messages=True, timeout=LOOK_S)
                now = time.time()
                if message is not None:
                    self._settled(message["data"].split(","), now)
                if now >= look_at:
                    look_at = now + LOOK_S
                    for digest, ends_us in redis.zrange(KEYS.leased, 0, -1, withscores=True):
                        self._slots[digest] = ends_us / 1_000_000 - LEASE_S

    def _settled(self, digests: Sequence[str], now: float) -> None:
        for digest in digests:
            slot = self._slots.pop(digest, None)
            if slot is None:
                self.unseen += 1
            else:
                self.took_s.append(now - slot)

    def figures(self) -> Row:
        """Look at the saturated share."""
        first, last = (int(len(self.took_s) * share) for share in SATURATED)
        took = sorted(self.took_s[first:last])
        at = {"p50_ms": 0.5, "p99_ms": 0.99}
        found = {name: 1000 * took[int(len(took) * share)] for name, share in at.items() if took}
        return found | {"unseen": self.unseen}


async def fill(url: str, jobs: int) -> None:
    """Queue jobs and wait for none of them."""
    async with Client.connect(url) as wb:
        for number in range(jobs):
            message = {"role": "user", "content": f"payload number {number}"}
            await wb.submit({"model": "claude-sonnet-5-5", "messages": [message]}, lane=Lane.BATCH)


def measure(case: Case) -> Row:
    """Run one case."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = ServerProcess(find_server_binary(), folder)
        server.start()
        stack.callback(server.stop)
        redis = stack.enter_context(Redis.from_url(server.url))
        env = environment(server.url, folder) | case.env
        depth = 20 if case.rpm >= 20_000 else 10
        endpoint = stack.enter_context(
            stand_in(env, rpm=case.rpm, depth=depth, latency_s=case.latency_s)
        )
        pids = [stack.enter_context(worker(env, endpoint.base_url)) for _ in range(case.workers)]
        wait_for_workers(redis, case.workers)
        seen = drained(redis, server.url, case, pids)
        with urllib.request.urlopen(f"{endpoint.base_url}/_sandbox/ledger") as answer:
            attempts = json.load(answer)["attempts"]
        seen["missed"] = reported(redis, len(attempts)).slots_missed
    seen["scripts"] /= len(attempts)
    return figures(attempts, case.rpm) | seen


def reported(redis: "Redis", calls: int) -> WorkerFigures:
    """Wait until the workers have told of all their calls."""
    until = time.monotonic() + FIGURES_S
    while sum((told := worker_figures(redis)).calls.values()) < calls:
        if time.monotonic() > until:
            raise TimeoutError(f"the workers tell of {told.calls} calls, of {calls}")
        time.sleep(0.1)
    return told


def drained(redis: "Redis", url: str, case: Case, pids: Sequence[int]) -> Row:
    """Fill the queue and wait until it is empty; returns what that took."""
    server_pid = redis.info("server")["process_id"]
    redis.config_resetstat()
    settlings = Settlings(url)
    before, server_before = sum(map(process_cpu_s, pids)), process_cpu_s(server_pid)
    began = time.monotonic()
    with observed() as machine, settlings.watched():
        anyio.run(fill, url, case.slots)
        while redis.zcard(KEYS.deadlines):
            time.sleep(0.1)
    elapsed = time.monotonic() - began
    return (
        {
            "workers": case.workers,
            "rpm": case.rpm,
            "workers_cpu": (sum(map(process_cpu_s, pids)) - before) / elapsed / case.workers,
            "server_cpu": (process_cpu_s(server_pid) - server_before) / elapsed,
            "scripts": redis.info("commandstats")["cmdstat_evalsha"]["calls"],
        }
        | settlings.figures()
        | machine
    )


def figures(attempts: list[dict[str, Any]], rpm: int) -> Row:
    """Judge the attempts."""
    times = sorted(attempt["at"] for attempt in attempts)
    first, last = (int(len(times) * share) for share in SATURATED)
    rate = rpm / 60
    return {
        "slots": len(times),
        "used": (last - first) / ((times[last] - times[first]) * rate),
        "refused": sum(attempt["status"] == 429 for attempt in attempts),
        "over": most_over(times, rate),
        "gap_ms": 1000 * max(later - earlier for earlier, later in pairwise(times[first:last])),
    }


def most_over(times: list[float], rate: float) -> float:
    """Find by how many calls the worst of all windows exceeds rate × window."""
    worst, lead = 0.0, float("-inf")
    for count, at in enumerate(times):
        lead = max(lead, at * rate - count)
        worst = max(worst, count + 1 - at * rate + lead)
    return worst


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options_of = parser("a fleet against a limit", rounds=1)
    options_of.add_argument("cases", nargs="*", default=CASES, help="workers@rpm")
    options_of.add_argument("--seconds", type=float, default=15.0, help="of saturated work a case")
    options_of.add_argument("--latency", type=float, default=0.15, help="of the stand-in, seconds")
    options = options_of.parse_args(arguments)
    report = Report(f"A fleet against a limit, {options.latency * 1000:g} ms a call", COLUMNS)
    for _ in range(options.rounds):
        for name in options.cases:
            workers, rpm = map(int, name.split("@"))
            slots = max(200, int(rpm / 60 * options.seconds))
            row = measure(Case(workers, rpm, slots, options.latency))
            report.rows.append({"subject": f"{workers} at {rpm:,}/min"} | row)
            print(json.dumps(report.rows[-1]), file=sys.stderr)
    publish(report, options)


if __name__ == "__main__":
    main(sys.argv[1:])
