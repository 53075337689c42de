"""``weighbridge worker --processes``: real processes under one parent, on a real server."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from support.commands import environment, run, started
from support.own_server import own_server
from support.pools import live_jobs, until
from support.probes import get
from support.processes import eventually, is_running
from support.topologies import free_ports
from support.warm_start import RunningCommand
from support.worker_processes import fleet

from weighbridge import Client, Counted
from weighbridge.keys import Keys
from weighbridge_worker.sandbox import Sandbox, SandboxSettings, sandbox

KEYS = Keys()
JOBS = 60
QUICK = {"CALL_DEADLINE": "2", "LEASE": "3"}
KILLED = 137


def payload(number: int) -> dict[str, Any]:
    """Make one of many payloads."""
    message = {"role": "user", "content": f"payload number {number}"}
    return {"model": "claude-sonnet-5-5", "messages": [message]}


@asynccontextmanager
async def two(
    url: str, home: Path, **settings: str
) -> AsyncIterator[tuple[Sandbox, RunningCommand, list[int]]]:
    """Run two processes under a parent; gives the stand-in, the parent and the processes' ids."""
    named = {f"WEIGHBRIDGE_{name}": value for name, value in settings.items()}
    async with (
        sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in,
        fleet(url, home, 1, stand_in, rpm=6000, WEIGHBRIDGE_PROCESSES="2", **named) as [parent],
    ):
        yield stand_in, parent, await workers(url)


async def workers(url: str) -> list[int]:
    """List the processes of the namespace's workers, by what they call themselves."""
    async with Redis.from_url(url) as redis:
        names: Any = await redis.zrange(KEYS.workers, 0, -1)
    return [int(name.split(b":")[-2]) for name in names]


async def hold_calls(url: str, stand_in: Sandbox) -> None:
    """Queue jobs, and return when their calls are in flight at the endpoint."""
    stand_in.gate.close()
    async with Client.connect(url) as wb:
        for number in range(JOBS):
            await wb.submit(payload(number))
    with anyio.fail_after(60):
        await stand_in.gate.holds(10)


async def end(parent: RunningCommand, *, within_s: float = 30) -> int:
    """Wait for the end; returns the exit status."""
    return await to_thread.run_sync(lambda: parent.wait(within_s))


async def finish(url: str, home: Path, stand_in: Sandbox) -> None:
    """Let another worker work the queue off, and assert that nothing was lost."""
    stand_in.gate.open()
    async with fleet(url, home, 1, stand_in, rpm=6000), Client.connect(url) as wb:
        items = [item async for item in wb.count_many(payload(n) for n in range(JOBS))]
    assert len(items) == JOBS
    assert all(isinstance(item.outcome, Counted) for item in items)
    assert await live_jobs(url) == 0


async def gone(pids: list[int]) -> None:
    """Wait until no process runs."""
    await until(lambda: not any(map(is_running, pids)), within_s=30)


@pytest.mark.asyncio
async def test_both_processes_count_and_the_parent_tells_of_both(
    redis_url: str, tmp_path: Path
) -> None:
    [port] = free_ports(1)
    async with two(redis_url, tmp_path, HEALTH_PORT=str(port)) as (stand_in, parent, pids):
        assert len(pids) == 2
        assert parent.pid not in pids
        async with Client.connect(redis_url) as wb:
            items = [item async for item in wb.count_many(payload(n) for n in range(400))]
        assert all(isinstance(item.outcome, Counted) for item in items)
        calls = Counter(attempt.sha256 for attempt in stand_in.ledger.attempts)
        assert (len(calls), calls.total()) == (400, 400)
        counted = await to_thread.run_sync(counts_by_process, port)
        assert set(counted) == {"1", "2"}
        assert sum(counted.values()) == 400
        assert all(counted.values())
        parent.send_signal(signal.SIGTERM)
        assert await end(parent) == 0
    await gone(pids)


def counts_by_process(port: int) -> dict[str, float]:
    """Ask the parent for its metrics; gives the calls that counted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        sample.labels["process"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name == "weighbridge_worker_calls" and sample.labels["outcome"] == "counted"
    }


@pytest.mark.asyncio
async def test_when_one_process_is_killed_the_other_drains_and_nothing_is_lost(
    redis_url: str, tmp_path: Path
) -> None:
    async with two(redis_url, tmp_path, **QUICK) as (stand_in, parent, [killed, other]):
        await hold_calls(redis_url, stand_in)
        os.kill(killed, signal.SIGKILL)
        stand_in.gate.open()
        assert await end(parent) == KILLED
        await gone([killed, other])
        assert await workers(redis_url) == [killed], "the other has taken its leave"
        await finish(redis_url, tmp_path, stand_in)


@pytest.mark.asyncio
async def test_when_the_parent_is_killed_the_processes_drain(
    redis_url: str, tmp_path: Path
) -> None:
    async with two(redis_url, tmp_path) as (stand_in, parent, pids):
        await hold_calls(redis_url, stand_in)
        parent.kill()
        stand_in.gate.open()
        await gone(pids)
        async with Redis.from_url(redis_url) as redis:
            assert await redis.zcard(KEYS.leased) == 0
        assert await workers(redis_url) == []
        assert await live_jobs(redis_url) == JOBS - len(stand_in.ledger), "a call that was cut"


@pytest.mark.asyncio
async def test_a_signal_to_every_process_at_once_is_one_drain(
    redis_url: str, tmp_path: Path
) -> None:
    """As a supervisor sends it that signals a whole control group."""
    async with two(redis_url, tmp_path) as (stand_in, parent, pids):
        await hold_calls(redis_url, stand_in)
        for pid in (parent.pid, *pids):
            os.kill(pid, signal.SIGTERM)
        await until(lambda: _only_calls_leased(redis_url, stand_in), within_s=20)
        stand_in.gate.open()
        assert await end(parent) == 0
        assert await live_jobs(redis_url) == JOBS - len(stand_in.ledger), "a call that was cut"


async def _only_calls_leased(url: str, stand_in: Sandbox) -> bool:
    """Whether what had not begun has been given back: the drain is on."""
    async with Redis.from_url(url) as redis:
        return int(await redis.zcard(KEYS.leased)) == stand_in.gate.held


@pytest.mark.asyncio
async def test_a_process_that_stands_still_is_killed_after_the_grace(
    redis_url: str, tmp_path: Path
) -> None:
    times = {"CALL_DEADLINE": "0.5", "DRAIN": "1", "GRACE": "5"}
    async with two(redis_url, tmp_path, **times) as (_, parent, pids):
        os.kill(pids[0], signal.SIGSTOP)
        parent.send_signal(signal.SIGTERM)
        assert await end(parent) == KILLED
        await gone(pids)


@pytest.mark.asyncio
async def test_a_container_is_as_well_as_its_worst_process(redis_url: str, tmp_path: Path) -> None:
    [port] = free_ports(1)
    env = environment(tmp_path, WEIGHBRIDGE_HEALTH_PORT=str(port))
    async with two(redis_url, tmp_path, HEALTH_PORT=str(port)) as (_, parent, pids):
        await until(lambda: answers(port, 200), within_s=30)
        well = await to_thread.run_sync(lambda: run("health", env=env))
        assert (well.returncode, well.stdout) == (0, "ready; 0 in flight\n")
        os.kill(pids[1], signal.SIGSTOP)
        ill = await to_thread.run_sync(lambda: run("health", "--live", env=env))
        os.kill(pids[1], signal.SIGCONT)
        assert ill.returncode == 1
        assert ill.stdout.startswith("not live; process ")
        assert "does not answer" in ill.stdout
        await until(lambda: answers(port, 200), within_s=30)
        parent.send_signal(signal.SIGTERM)
        assert await end(parent) == 0


async def answers(port: int, status: int) -> bool:
    """Whether the container is ready, or not."""
    return (await to_thread.run_sync(get, port, "/ready"))[0] == status


def settings(home: Path, **extra: str) -> dict[str, str]:
    """Make the environment of three processes."""
    return environment(
        home,
        WEIGHBRIDGE_PROCESSES="3",
        ANTHROPIC_API_KEY="k",
        ANTHROPIC_BASE_URL="http://127.0.0.1:1",
        **extra,
    )


def in_a_wrong_setting(home: Path) -> dict[str, str]:
    return settings(home, WEIGHBRIDGE_RPM="many")


def with_no_server(home: Path) -> dict[str, str]:
    url = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    return settings(home, WEIGHBRIDGE_RPM="60", WEIGHBRIDGE_REDIS_URL=url)


@pytest.mark.parametrize(
    ("wrong", "status"), [(in_a_wrong_setting, 2), (with_no_server, 4)], ids=["setting", "server"]
)
def test_what_keeps_all_from_starting_is_said_once(
    tmp_path: Path, wrong: Callable[[Path], dict[str, str]], status: int
) -> None:
    done = run("worker", env=wrong(tmp_path))
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_port_that_is_taken_is_said_once(tmp_path: Path, redis_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env = settings(
            tmp_path,
            WEIGHBRIDGE_RPM="60",
            WEIGHBRIDGE_REDIS_URL=redis_url,
            WEIGHBRIDGE_HEALTH_PORT=port,
        )
        done = run("worker", env=env)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "WEIGHBRIDGE_HEALTH_PORT" in done.stderr


def test_a_signal_before_the_first_has_started_ends_it_in_order(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a server that never answers
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        env = settings(
            tmp_path,
            WEIGHBRIDGE_RPM="60",
            WEIGHBRIDGE_REDIS_URL=url,
            WEIGHBRIDGE_HEALTH_PORT=str(port),
        )
        with started("worker", env=env) as parent:
            silent.settimeout(30)
            connection, _ = silent.accept()
            status, said = get(port, "/ready")
            assert status == 503
            assert said["live"]
            assert said["why"] == [f"process {n}: it has not started yet" for n in (1, 2, 3)]
            parent.send_signal(signal.SIGTERM)
            _, log = parent.communicate(timeout=30)
            connection.close()
    assert (parent.returncode, log) == (0, "")


def test_options_reach_every_process_and_no_secret_its_command_line(tmp_path: Path) -> None:
    with own_server(tmp_path / "server") as server:
        words = ("--redis", server.url, "--rpm", "600", "--concurrency", "7", "--processes", "2")
        with started("worker", *words, env=settings(tmp_path)) as parent:
            assert parent.stderr is not None
            lines = [json.loads(parent.stderr.readline()) for _ in range(2)]
            assert [line["event"] for line in lines] == ["started", "started"]
            assert {(line["rpm"], line["concurrency"]) for line in lines} == {(600, 7)}
            pids = [int(line["worker"].split(":")[-2]) for line in lines]
            for pid in pids:
                ps = ["ps", "-o", "args=", "-p", str(pid)]
                shown = subprocess.run(ps, capture_output=True, text=True, check=True).stdout
                assert shown.endswith("weighbridge_worker worker-process\n")
            os.kill(pids[0], signal.SIGKILL)
            _, log = parent.communicate(timeout=30)
        told = [json.loads(line) for line in log.splitlines()]
        [ended] = [line for line in told if line["event"] == "process_ended"]
        assert (ended["status"], parent.returncode) == (-signal.SIGKILL, KILLED)
        assert eventually(lambda: not any(map(is_running, pids)))


def test_a_process_of_nobody_says_who_starts_it(tmp_path: Path) -> None:
    done = run("worker-process", env=settings(tmp_path, WEIGHBRIDGE_RPM="60"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--processes" in done.stderr
