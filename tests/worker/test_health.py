"""A worker's health: the judgement, and what a real worker says of itself as things go wrong."""

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from redis import Redis
from support.commands import environment, run, started
from support.own_server import own_server
from support.pools import Answers, running_pool, until
from support.probes import get
from support.processes import eventually
from support.topologies import free_ports

from weighbridge import Client
from weighbridge.connection import connect
from weighbridge.jobs import Jobs
from weighbridge.keys import Keys
from weighbridge_worker.calls import KeyRefused
from weighbridge_worker.health import LIVE_S, READY_S, SETTLE_S, HealthFacts, HealthReport, judge
from weighbridge_worker.pool import Pool

KEYS = Keys()
NOW = 1000.0
WELL = HealthFacts(
    turned_at=NOW - 4,
    taken_at=NOW - 4,
    settled_at=None,
    unsettled_since=None,
    in_flight=3,
    draining=False,
    barred="",
    sit_out_s=0.0,
    hold="",
)
LONG_AGO = NOW - LIVE_S - 1
HELLO = {"model": "claude-test", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("facts", "live", "ready", "words"),
    [
        (WELL, True, True, ""),
        (replace(WELL, taken_at=NOW - READY_S), True, True, ""),
        (replace(WELL, taken_at=NOW - READY_S - 1), True, False, "not answered for 16 s"),
        (replace(WELL, taken_at=None), True, False, "not started"),
        (replace(WELL, turned_at=LONG_AGO, taken_at=LONG_AGO), False, False, "stuck for 121 s"),
        (replace(WELL, turned_at=LONG_AGO, draining=True), True, False, "draining"),
        (replace(WELL, unsettled_since=NOW - SETTLE_S), True, True, ""),
        (replace(WELL, unsettled_since=NOW - SETTLE_S - 1), True, False, "waited for 16 s"),
        (replace(WELL, barred="key_refused"), True, False, "refuses the key"),
        (replace(WELL, barred="failing_alone"), True, False, "other workers' do not"),
        (replace(WELL, sit_out_s=1.6), True, True, ""),
        (replace(WELL, sit_out_s=6.4), True, False, "sitting out"),
    ],
)
def test_a_worker_is_judged_by_what_was_seen(
    facts: HealthFacts, live: bool, ready: bool, words: str
) -> None:
    report = judge(facts, NOW)
    assert (report.live, report.ready) == (live, ready)
    assert words in "; ".join(report.why)
    assert bool(report.why) is not ready


def test_what_holds_the_whole_fleet_is_a_note_and_no_fault() -> None:
    report = judge(replace(WELL, hold="spend_limit", paused=True), NOW)
    assert report.ready
    assert report.notes == ("the fleet holds: spend_limit", "an operator has paused the fleet")


async def _ready(pool: Pool) -> bool:
    return (await pool.health()).ready


@pytest.mark.asyncio
async def test_a_worker_is_ready_after_its_first_visit_and_not_in_its_drain(
    redis_url: str,
) -> None:
    answers = Answers()
    answers.gate = anyio.Event()
    async with Client.connect(redis_url) as wb, running_pool(redis_url, answers) as pool:
        await until(lambda: _ready(pool))
        ticket = await wb.submit(HELLO)
        await until(lambda: answers.bodies)
        assert (await pool.health()).in_flight == 1
        answers.gate.set()
        await wb.result(ticket)
        await until(lambda: _settled(pool))
        pool.drain()
        report = await pool.health()
        assert (report.live, report.ready, report.why) == (True, False, ("draining",))


async def _settled(pool: Pool) -> bool:
    report = await pool.health()
    return report.settled_s is not None and report.in_flight == 0


@pytest.mark.asyncio
async def test_a_worker_whose_key_is_refused_is_not_ready(redis_url: str) -> None:
    answers = Answers(error=lambda _: KeyRefused("key_refused", "invalid x-api-key"))
    async with (
        Client.connect(redis_url) as wb,
        running_pool(redis_url, answers) as pool,
        connect(redis_url) as redis,
    ):
        await wb.submit(HELLO)

        async def refused() -> bool:
            return "refuses the key" in "; ".join((await pool.health()).why)

        await until(refused)
        await redis.flushall()


@pytest.mark.asyncio
async def test_an_operators_pause_is_said_and_the_worker_stays_ready(redis_url: str) -> None:
    async with running_pool(redis_url, Answers()) as pool, connect(redis_url) as redis:
        await until(lambda: _ready(pool))
        await redis.hset(KEYS.bucket, "paused", 1)
        report = await pool.health()
    assert report.ready
    assert report.notes == ("an operator has paused the fleet",)


@pytest.mark.asyncio
async def test_a_taker_that_is_blocked_is_not_ready_and_then_not_live(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The take never returns, as by a bug; the loop's clock is moved, not waited for."""
    blocked = anyio.Event()

    async def block(*_: object) -> None:
        blocked.set()
        await anyio.sleep_forever()

    async with running_pool(redis_url, Answers()) as pool:
        await until(lambda: _ready(pool))
        monkeypatch.setattr(Jobs, "take", block)
        with anyio.fail_after(20):
            await blocked.wait()
        now = anyio.current_time()
        assert (await _report_at(pool, now, monkeypatch)).ready
        later = await _report_at(pool, now + READY_S + 6, monkeypatch)
        assert (later.live, later.ready) == (True, False)
        assert not (await _report_at(pool, now + LIVE_S + 1, monkeypatch)).live
        pool.stop()


async def _report_at(pool: Pool, at: float, monkeypatch: pytest.MonkeyPatch) -> HealthReport:
    """Judge as if it were later."""
    with monkeypatch.context() as patch:
        patch.setattr("weighbridge_worker.pool.judge", lambda facts, _: judge(facts, at))
        return await pool.health()


def test_a_stopped_server_makes_a_worker_unready_but_not_dead_until_it_goes_on(
    tmp_path: Path,
) -> None:
    [port] = free_ports(1)
    with own_server(tmp_path / "server") as server:
        env = environment(
            tmp_path,
            WEIGHBRIDGE_REDIS_URL=server.url,
            WEIGHBRIDGE_RPM="600",
            WEIGHBRIDGE_HEALTH_PORT=str(port),
            ANTHROPIC_API_KEY="k",
            ANTHROPIC_BASE_URL="http://127.0.0.1:1",
        )
        assert run("health", env=env).returncode == 1
        with Redis.from_url(server.url) as redis, started("worker", env=env) as worker:
            pid = int(redis.info("server")["process_id"])
            assert eventually(lambda: get(port, "/ready")[0] == 200, within_s=30)
            well = run("health", env=env)
            assert (well.returncode, well.stdout) == (0, "ready; 0 in flight\n")
            _signal(pid, signal.SIGSTOP)
            try:
                assert eventually(lambda: get(port, "/ready")[0] == 503, within_s=40)
                ill = run("health", env=env)
                assert ill.returncode == 1
                assert ill.stdout.startswith("not ready; the queue has not answered for")
                assert len(ill.stdout.splitlines()) == 1
                assert run("health", "--live", env=env).returncode == 0
            finally:
                _signal(pid, signal.SIGCONT)
            assert eventually(lambda: get(port, "/ready")[0] == 200, within_s=30)
            _signal(worker.pid, signal.SIGSTOP)  # a loop that stands still
            try:
                silent = run("health", "--live", env=env)
            finally:
                _signal(worker.pid, signal.SIGCONT)
            assert silent.returncode == 1
            assert "no worker answers" in silent.stdout
            worker.send_signal(signal.SIGTERM)
            _, log = worker.communicate(timeout=30)
        assert worker.returncode == 0, log


def _signal(pid: int, number: int) -> None:
    os.kill(pid, number)


def test_health_without_a_port_says_what_to_set(tmp_path: Path) -> None:
    done = run("health", env=environment(tmp_path))
    assert done.returncode == 2
    assert "WEIGHBRIDGE_HEALTH_PORT" in done.stderr


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, redis_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = environment(
            tmp_path,
            WEIGHBRIDGE_REDIS_URL=redis_url,
            WEIGHBRIDGE_RPM="60",
            WEIGHBRIDGE_HEALTH_PORT=str(taken.getsockname()[1]),
            ANTHROPIC_API_KEY="k",
        )
        done = run("worker", env=env)
    assert done.returncode == 2
    assert "WEIGHBRIDGE_HEALTH_PORT" in done.stderr
    assert len(done.stderr.splitlines()) == 1
