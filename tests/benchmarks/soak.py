"""Whether anything grows over a long soak: memory, descriptors, keys, the server's clients.

A worker with the SDK, a gateway and a client live through it as processes of their own, against a
stand-in that fails a few calls of a thousand, drops a connection now and then and lets a call hang.
What is kept is kept as briefly as the settings allow, so that the keys reach a plateau; at the end
everything that expires is waited for. A figure that grows has a slope in the second half.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import linear_regression

from benchmarks._processes import (
    environment,
    gateway,
    stand_in,
    wait_for_workers,
    worker,
    worker_figures,
)
from benchmarks.machine import observed
from benchmarks.report import Column, Report, Row, parser, publish
from redis import Redis

from weighbridge.keys import Keys
from weighbridge_worker.server import ServerProcess, find_server_binary

KEYS = Keys()
EVERY_S = 10.0
KEPT_S = 300
"""A count's shortest life in the cache; tombstones and what a dead letter keeps live shorter."""

RPM = 12_000
FAULTS = {"server_error": 0.005, "dropped": 0.002, "cut_body": 0.001, "hanging": 0.0001}
SHORT = {"WEIGHBRIDGE_CACHE_TTL": str(KEPT_S), "WEIGHBRIDGE_DEAD_TTL": "60"}
MANY = ("job", "payload", "result", "kept", "replies", "reply", "bell", "worker")
"""Kinds of which there is a key for each job, request or worker; of the others there is one."""
OTHERS = "all others"
JOBS = "jobs"
COLUMNS = [
    Column("first", "after a minute"),
    Column("half", "at half-time"),
    Column("last", "at the end"),
    Column("most", "most"),
    Column("idle", "once all has expired"),
    Column("slope", "growth per 1,000 jobs, second half", "+,.2f"),
]

Sample = dict[str, float]


class Watch:
    """Looks at the processes and at the server."""

    def __init__(self, redis: "Redis", pids: Mapping[str, int]) -> None:
        self._redis = redis
        self.pids = dict(pids)
        self.samples: list[Sample] = []

    def look(self) -> Sample:
        """Take a sample of everything."""
        seen: Sample = {JOBS: worker_figures(self._redis).total.count}
        for name, pid in self.pids.items():
            seen[f"{name}: RSS, KB"] = resident_kb(pid)
            seen[f"{name}: descriptors"] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        seen["server: its data, KB"] = self._redis.info("memory")["used_memory"] / 1024
        seen["server: clients"] = self._redis.info("clients")["connected_clients"]
        return seen | kinds(self._redis)

    def during(self, seconds: float) -> None:
        """Sample at intervals."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(EVERY_S, left))
            self.samples.append(self.look())
            print(json.dumps(self.samples[-1]), file=sys.stderr, flush=True)


def resident_kb(pid: int) -> int:
    """Read what a process holds of memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def kinds(redis: "Redis") -> Sample:
    """Count the keys by kind, and the members of those that may hold many."""
    found = Counter(kind(key.decode()) for key in redis.scan_iter(count=1000))
    sizes = {"deadlines": redis.zcard, "leased": redis.zcard, "later": redis.zcard}
    sizes |= {"workers": redis.zcard, "bytes": redis.hlen, "bucket": redis.hlen}
    sizes |= {"inbox": redis.xlen, "dead": redis.xlen, "doorbell": redis.llen}
    keys = {f"keys: {name}": float(found[name]) for name in (*MANY, OTHERS)}
    members = {f"members: {name}": float(size(getattr(KEYS, name))) for name, size in sizes.items()}
    return keys | members


def kind(key: str) -> str:
    """Name a key without what is its own."""
    bare = key.removeprefix(KEYS.prefix).removeprefix(f"{KEYS.namespace}:1:").partition(":")[0]
    return bare if bare in MANY else OTHERS


def rows(samples: Sequence[Sample], idle: Sample) -> Iterator[Row]:
    """Say of each figure where it began, where it ended and how it grew."""
    first = min(len(samples) - 1, round(60 / EVERY_S))
    half = len(samples) // 2
    jobs = [sample[JOBS] / 1000 for sample in samples]
    for name in samples[0]:
        values = [sample[name] for sample in samples]
        yield {
            "subject": name,
            "first": values[first],
            "half": values[half],
            "last": values[-1],
            "most": max(values),
            "slope": linear_regression(jobs[half:], values[half:]).slope,
            "samples": values,
        } | ({"idle": idle[name]} if name in idle else {})


def break_some(endpoint: str) -> None:
    """Let the stand-in fail a few calls."""
    body = json.dumps({"probabilities": FAULTS}).encode()
    asked = urllib.request.Request(f"{endpoint}/_sandbox/faults", body, method="PUT")
    urllib.request.urlopen(asked).close()


@contextmanager
def client(
    url: str, base_url: str, rate: float, seconds: float
) -> "Iterator[subprocess.Popen[str]]":
    """Run the client."""
    words = [url, base_url, str(rate), str(seconds)]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks._soak_client", *words],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def measure(folder: Path, url: str, rate: float, seconds: float) -> list[Row]:
    """Soak, and wait until everything has expired."""
    env = environment(url, folder) | SHORT | {"WEIGHBRIDGE_RPM": str(RPM)}
    with ExitStack() as stack:
        redis = stack.enter_context(Redis.from_url(url))
        endpoint = stack.enter_context(stand_in(env, rpm=RPM, depth=20, latency_s=0.05))
        pid = stack.enter_context(worker(env, endpoint.base_url))
        entry = stack.enter_context(gateway(env))
        wait_for_workers(redis, 1)
        break_some(endpoint.base_url)
        asking = stack.enter_context(client(url, entry.base_url, rate, seconds))
        server = redis.info("server")["process_id"]
        watch = Watch(
            redis, {"worker": pid, "gateway": entry.pid, "client": asking.pid, "server": server}
        )
        watch.during(seconds - EVERY_S / 2)
        said, _ = asking.communicate(timeout=120)
        print("asked:", said.strip(), file=sys.stderr)
        del watch.pids["client"]
        time.sleep(KEPT_S + 5)
        return list(rows(watch.samples, watch.look()))


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options_of = parser("whether anything grows over a long soak", rounds=1)
    options_of.add_argument("--minutes", type=float, default=10.0, help="of work")
    options_of.add_argument("--rate", type=float, default=150.0, help="payloads a second")
    options = options_of.parse_args(arguments)
    report = Report("Growth over a long soak", COLUMNS)
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            server = ServerProcess(find_server_binary(), Path(name))
            server.start()
            try:
                with observed() as machine:
                    found = measure(Path(name), server.url, options.rate, 60 * options.minutes)
            finally:
                server.stop()
        report.rows.extend(row | machine for row in found)
    publish(report, options)


if __name__ == "__main__":
    main(sys.argv[1:])
