"""The commands of a pool as processes of their own: stand-in, workers, gateway."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from weighbridge.figures import WorkerFigures, read_figures, summed
from weighbridge.keys import Keys

COMMAND = (sys.executable, "-m", "weighbridge_worker")
WITHIN_S = 60.0

Env = dict[str, str]


@dataclass(frozen=True, slots=True)
class Service:
    """A process, and the address at which it answers."""

    pid: int
    base_url: str


def environment(url: str, folder: Path) -> Env:
    """Make the environment of a queue's commands: nothing of ours but what Python needs."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return kept | {"HOME": str(folder), "WEIGHBRIDGE_REDIS_URL": url}


@contextmanager
def stand_in(env: Env, *, rpm: int, depth: int, latency_s: float) -> Iterator[Service]:
    """Run a stand-in for the endpoint."""
    words = ["sandbox", "--port", "0", "--rpm", str(rpm), "--depth", str(depth)]
    with _running([*COMMAND, *words, "--latency", str(latency_s)], env) as process:
        assert process.stderr is not None
        said = process.stderr.readline() + process.stderr.readline()
        yield Service(process.pid, said.split("ANTHROPIC_BASE_URL=")[1].split()[0])


@contextmanager
def worker(env: Env, endpoint: str) -> Iterator[int]:
    """Run a worker against an endpoint; gives its process's id, and waits for nothing."""
    told = env | {"ANTHROPIC_BASE_URL": endpoint, "ANTHROPIC_API_KEY": "bench"}
    with _running([*COMMAND, "worker"], told, heard=False) as process:
        yield process.pid


@contextmanager
def gateway(env: Env) -> Iterator[Service]:
    """Run a gateway that asks nobody for a token."""
    told = env | {"WEIGHBRIDGE_LOG_FORMAT": "json"}
    with _running([*COMMAND, "gateway", "--port", "0"], told) as process:
        assert process.stderr is not None
        while "base_url" not in (said := json.loads(process.stderr.readline())):
            pass
        yield Service(process.pid, said["base_url"])


@contextmanager
def _running(
    words: list[str], env: Env, *, heard: bool = True
) -> "Iterator[subprocess.Popen[str]]":
    stderr = subprocess.PIPE if heard else subprocess.DEVNULL
    with subprocess.Popen(words, env=env, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_workers(redis: "Redis", workers: int) -> None:
    """Wait until so many have visited the queue."""
    deadline = time.monotonic() + WITHIN_S
    while redis.zcard(Keys().workers) < workers:
        assert time.monotonic() < deadline, "the workers did not come"
        time.sleep(0.05)


def worker_figures(redis: "Redis") -> WorkerFigures:
    """Add up what the workers say that they have done; two seconds old at most."""
    keys = Keys()
    names: list[Any] = redis.zrange(keys.workers, 0, -1)
    written: list[Any] = [redis.hget(keys.worker(name.decode()), "figures") for name in names]
    return summed(map(read_figures, written))
