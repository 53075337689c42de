"""``weighbridge limit`` on a running fleet, and what ``status`` says of the limit."""

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from redis.asyncio import Redis
from support import pool_states
from support.commands import environment, run
from support.pools import Answers, running_pool, until

from weighbridge import Client
from weighbridge.bucket import FAILING, Bucket, BucketState, Refusal
from weighbridge.exchange import TakeRequest
from weighbridge.keys import Keys
from weighbridge.scripts import Scripts
from weighbridge_worker.counter import HOLD_CODES
from weighbridge_worker.watch.limit_words import HOLDS, describe_limit

pytestmark = pytest.mark.asyncio
KEYS = Keys()
FULL = replace(pool_states.FULL, rpm=5000)


class Commands:
    """The command, run on one server beside whatever the test's own loop runs."""

    def __init__(self, url: str, home: Path) -> None:
        self._env = environment(home, WEIGHBRIDGE_REDIS_URL=url)

    async def say(self, *words: str) -> str:
        """Run the command; return what it prints, its white space made even."""
        done = await run_sync(partial(run, *words, env=self._env))
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())


@pytest.fixture
def weighbridge(redis_url: str, tmp_path: Path) -> Commands:
    """Give the command on the test's server."""
    return Commands(redis_url, tmp_path)


async def submit(wb: Client, numbers: Iterable[int]) -> None:
    """Submit a payload for each number."""
    for number in numbers:
        message = {"role": "user", "content": f"payload {number}"}
        await wb.submit({"model": "claude-test", "messages": [message]})


def bucket_of(redis: "Redis") -> Bucket:
    """Open the bucket as the command does."""
    return Bucket(redis, KEYS, Scripts(KEYS), rpm=100)


async def test_a_set_rate_holds_for_a_running_fleet_without_a_restart(
    redis_url: str, weighbridge: Commands
) -> None:
    answers = Answers()
    async with running_pool(redis_url, answers, rpm=1), Client.connect(redis_url) as wb:
        await submit(wb, range(30))
        await until(lambda: answers.bodies)
        said = await weighbridge.say("limit", "set", "30000")
        # At the workers' own rate this would take half an hour.
        await until(lambda: len(answers.bodies) == 30)
    assert said == "30,000 calls a minute, set by an operator."


async def test_a_set_rate_outlives_the_workers_settings_until_it_is_released(
    redis_url: str, weighbridge: Commands
) -> None:
    await weighbridge.say("limit", "set", "900")
    async with running_pool(redis_url, Answers(), rpm=7000), Redis.from_url(redis_url) as redis:
        state = await bucket_of(redis).inspect()
        assert (state.rpm, state.by_operator) == (900, True)
        said = await weighbridge.say("limit", "release")
        assert said == "7,000 calls a minute, from the workers' setting."
        assert (await bucket_of(redis).inspect()).rpm == 7000


async def test_a_rate_released_before_any_worker_came_is_the_safe_one(
    weighbridge: Commands,
) -> None:
    await weighbridge.say("limit", "set", "900")
    said = await weighbridge.say("limit", "release")
    assert said == "100 calls a minute, from the workers' setting."


async def test_a_paused_fleet_begins_no_call_until_it_is_resumed(
    redis_url: str, weighbridge: Commands
) -> None:
    answers = Answers()
    async with running_pool(redis_url, answers), Client.connect(redis_url) as wb:
        assert "paused by an operator" in await weighbridge.say("limit", "pause")
        await submit(wb, range(3))
        await visited(redis_url)
        assert answers.bodies == []
        assert "paused" not in await weighbridge.say("limit", "resume")
        await until(lambda: len(answers.bodies) == 3)


async def visited(url: str) -> None:
    """Wait until a worker has come once more."""
    async with Redis.from_url(url) as redis:
        seconds, micros = await redis.time()
        now = seconds * 1_000_000 + micros

        async def again() -> bool:
            return bool(await redis.zcount(KEYS.workers, now + 1, "+inf"))

        await until(again)


async def test_resume_ends_a_hold_and_the_fleets_own_pause(
    redis_url: str, weighbridge: Commands
) -> None:
    async with Redis.from_url(redis_url) as redis:
        await bucket_of(redis).penalise(Refusal(50.0, 0, "organization_on_hold"))
        before = await weighbridge.say("limit", "show")
        after = await weighbridge.say("limit", "resume")
    assert "the organisation is on hold" in before
    assert after == "100 calls a minute, from the workers' setting."


async def test_show_says_that_nothing_is_set_and_changes_nothing(
    redis_url: str, weighbridge: Commands
) -> None:
    assert "no rate is set yet" in await weighbridge.say("limit", "show")
    async with Redis.from_url(redis_url) as redis:
        assert await redis.dbsize() == 0


async def test_show_is_there_for_machines(redis_url: str, weighbridge: Commands) -> None:
    await weighbridge.say("limit", "set", "7000")
    async with Redis.from_url(redis_url) as redis:
        await bucket_of(redis).penalise(Refusal(50.0, 0))
    shown = json.loads(await weighbridge.say("limit", "show", "--json"))
    assert 0 < shown.pop("blocked_s") <= 50
    assert shown == {
        "rpm": 7000,
        "by_operator": True,
        "seen_rpm": 0,
        "share": 0.9,
        "paused": False,
        "hold": "",
        "used_rpm": 0.0,
        "granted": 0,
    }


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("limit", "set", "0"), 2, "RPM"),
        (("limit", "set", "many"), 2, "RPM"),
        (("limit", "set"), 2, "RPM"),
        (("limit",), 2, "release"),
        (("limit", "show", "--redis", "redis://127.0.0.1:1"), 4, "does not answer"),
    ],
)
async def test_what_cannot_be_done_is_said(
    tmp_path: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    done = await run_sync(partial(run, *words, env=environment(tmp_path)))
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


STATES = ("taking", "sitting_out", "key_refused", "failing_alone")


async def test_status_says_how_the_limit_and_each_worker_stand(
    redis_url: str, weighbridge: Commands
) -> None:
    async with Redis.from_url(redis_url) as redis:
        bucket = bucket_of(redis)
        await bucket.change("set", rpm=7000)
        await bucket.penalise(Refusal(20.0, 0))
        await bucket.change("pause")
        for state in STATES:
            await Scripts(KEYS).take(redis, visit(state))
        text, machine = await weighbridge.say("status"), await weighbridge.say("status", "--json")
    assert "rate 0 of 7,000 a minute" in text
    assert "limit 7,000 calls a minute, set by an operator; at 90% after a 429" in text
    assert "; paused by an operator until `weighbridge limit resume`; the whole fleet" in text
    assert "taking 1, taking, seen" in text
    assert "sitting_out 1, sitting out, for it kept missing its slots, seen" in text
    assert "key_refused 1, key refused, probing, seen" in text
    assert "failing_alone 1, its calls fail, others' do not" in text
    shown = json.loads(machine)
    assert (shown["rpm"], shown["by_operator"], shown["paused"], shown["share"]) == (
        7000,
        True,
        True,
        0.9,
    )
    states = {worker["worker"]: worker["state"] for worker in shown["workers"]}
    assert states == {state: state for state in STATES}


def visit(state: str) -> TakeRequest:
    """Make the visit of a worker that is named after its state and takes nothing."""
    return TakeRequest(
        worker=state,
        operation=1,
        confirmed=0,
        want=0,
        lease_us=30_000_000,
        interval_us=10_000,
        suspects=0,
        version="1",
        concurrency=1,
        state=state,
    )


async def test_status_of_who_draws_permits_lists_no_worker(
    redis_url: str, weighbridge: Commands
) -> None:
    async with Bucket.connect(redis_url, rpm=6000) as bucket, bucket.permit():
        shown = json.loads(await weighbridge.say("status", "--json"))
    assert shown["workers"] == []
    assert shown["granted"] == 1


async def test_a_cut_is_seen_to_regrow(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        bucket = bucket_of(redis)
        await bucket.penalise(Refusal(1.0, 0))
        assert (await bucket.inspect()).share == 0.9
        for ago_s, share in ((3, 0.95), (45, 0.98), (120, 1.0)):
            await redis.hset(KEYS.bucket, "cut_at", int((time.time() - ago_s) * 1e6))
            assert (await bucket.inspect()).share == pytest.approx(share, abs=0.01)


async def test_a_limit_that_the_headers_told_is_shown_while_it_is_believed(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        bucket = bucket_of(redis)
        await bucket.change("set", rpm=7000)
        await bucket.observe(limit=3000, low=False)
        assert (await bucket.inspect()).seen_rpm == 3000
        await redis.hset(KEYS.bucket, "seen_until", int(time.time() * 1e6) - 1)
        assert (await bucket.inspect()).seen_rpm == 0


async def test_every_whole_rate_is_read_back_as_it_was_set(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        bucket = bucket_of(redis)
        with anyio.fail_after(60):
            for rpm in (1, 7, 50, 90, 333, 5000, 6999, 7000, 7001):
                await bucket.change("set", rpm=rpm)
                assert (await bucket.inspect()).rpm == rpm


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (FULL, "5,000 calls a minute, from the workers' setting"),
        (replace(FULL, rpm=0), "no rate is set yet: the first worker brings it"),
        (replace(FULL, by_operator=True), "set by an operator"),
        (replace(FULL, seen_rpm=3000), "held to 3,000 by the endpoint's own headers"),
        (
            replace(FULL, share=0.7),
            "at 70% after a 429, a sign of one, an outage or idleness, regrowing",
        ),
        (replace(FULL, paused=True), "paused by an operator until `weighbridge limit resume`"),
        (replace(FULL, blocked_s=12.4), "the whole fleet pauses for 12 s more"),
        (
            replace(FULL, hold="enforced_spend_limit_reached", blocked_s=9.0),
            "spend limit is reached: one probe at a growing interval, resumes by itself",
        ),
        (replace(FULL, hold="something_new"), "on hold, something_new: one probe"),
    ],
)
async def test_the_sentence_says_what_holds(state: BucketState, said: str) -> None:
    assert said in describe_limit(state)


async def test_a_healthy_limit_says_nothing_else() -> None:
    for healthy in (FULL, replace(FULL, seen_rpm=6000), replace(FULL, share=0.999)):
        assert describe_limit(healthy) == "5,000 calls a minute, from the workers' setting"


async def test_every_hold_has_words_of_its_own() -> None:
    assert set(HOLDS) == {*HOLD_CODES, FAILING}
