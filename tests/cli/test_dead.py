"""``weighbridge dead``, run as people run it: jobs that failed for good, and a second try."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync
from redis.asyncio import Redis
from support.commands import environment, rows, run
from support.pools import Answers, running_pool, until
from support.worker_processes import fleet

from weighbridge import Client, Counted, CountFailed, Failed
from weighbridge.errors import QueueFull
from weighbridge.keys import Keys
from weighbridge.records import Result
from weighbridge_worker.calls import PermanentFailure
from weighbridge_worker.cli.duration import describe_duration, parse_duration
from weighbridge_worker.replays import ReplayTally
from weighbridge_worker.sandbox import sandbox
from weighbridge_worker.sandbox.faults import Fault

pytestmark = pytest.mark.asyncio
KEYS = Keys()


class Commands:
    """The command on one server, beside whatever the test's own loop runs."""

    def __init__(self, url: str, home: Path) -> None:
        self._env = environment(home, WEIGHBRIDGE_REDIS_URL=url)

    async def ends(self, *words: str, **extra: str) -> tuple[int, str, str]:
        """Run ``weighbridge dead``; return its status and what it says, white space made even."""
        done = await run_sync(partial(run, "dead", *words, env=self._env | extra))
        assert "Traceback" not in done.stderr
        return done.returncode, " ".join(done.stdout.split()), " ".join(done.stderr.split())

    async def says(self, *words: str, **extra: str) -> str:
        """Run ``weighbridge dead``, which must succeed; return what it says."""
        status, said, wrong = await self.ends(*words, **extra)
        assert (status, wrong) == (0, "")
        return said

    async def lists(self, *words: str) -> list[dict[str, Any]]:
        """List letters for machines."""
        done = await run_sync(partial(run, "dead", "list", "--json", *words, env=self._env))
        assert done.returncode == 0, done.stderr
        return rows(done.stdout)


@pytest.fixture
def dead(redis_url: str, tmp_path: Path) -> Commands:
    """Give the command on the test's server."""
    return Commands(redis_url, tmp_path)


def payload(text: str) -> dict[str, Any]:
    """Make a payload of one message."""
    return {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": text}]}


async def bury(url: str, *texts: str, code: str = "invalid_request", **settings: Any) -> list[str]:
    """Let payloads fail for good, one after the other; returns their digests."""
    refusing = Answers(error=lambda _: PermanentFailure(code, "no"))
    digests = []
    async with running_pool(url, refusing, **settings), Client.connect(url) as wb:
        for text in texts:
            ticket = await wb.submit(payload(text))
            assert isinstance(await wb.result(ticket), Failed)
            digests.append(ticket.digest)
    return digests


async def wait_for(wb: Client, digest: str, results: list[Result]) -> None:
    """Wait for a result, and note it."""
    results.append(await wb.result(digest))


async def stored(url: str, key: str) -> bool:
    """Say whether a key is there."""
    async with Redis.from_url(url) as redis:
        return bool(await redis.exists(key))


async def has_payload(url: str, digest: str) -> bool:
    """Say whether a payload is stored."""
    return await stored(url, KEYS.payload(digest))


async def test_a_failed_job_is_listed_replayed_and_counted_once_the_endpoint_is_well(
    redis_url: str, tmp_path: Path, dead: Commands
) -> None:
    results: list[Result] = []
    async with (
        sandbox() as stand_in,
        fleet(redis_url, tmp_path, 1, stand_in, rpm=3000, WEIGHBRIDGE_MAX_ATTEMPTS="1"),
        Client.connect(redis_url) as wb,
    ):
        stand_in.faults.set_probabilities({Fault.SERVER_ERROR: 1.0})
        with pytest.raises(CountFailed) as failure:
            await wb.count(payload("canary"))
        [letter] = await dead.lists()
        shown = await dead.says("show", letter["digest"][:8])
        stand_in.faults.clear()
        stand_in.gate.close()
        said = await dead.says("replay", "--all")
        await until(lambda: stand_in.gate.held == 1)
        # Whoever waits while the job is under way again gets the new record, not the old one.
        assert not await stored(redis_url, KEYS.result(letter["digest"]))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for, wb, letter["digest"], results)
            stand_in.gate.open()
        left = await dead.says("list")
    assert (letter["digest"], letter["code"]) == (failure.value.digest, failure.value.failure_code)
    assert (letter["attempts"], letter["lane"], letter["kept"]) == (1, "interactive", True)
    assert "canary" not in json.dumps(letter) + shown
    assert f"code {letter['code']}" in shown
    assert "result failed: " in shown
    assert said == "Replayed 1 of 1."
    assert [type(result) for result in results] == [Counted]
    assert left == "No dead letter matches."


async def test_a_list_is_a_table_for_people(redis_url: str, dead: Commands) -> None:
    [digest] = await bury(redis_url, "a")
    said = await dead.says("list")
    assert said.startswith("id age code model lane producer attempts payload digest ")
    assert "invalid_request claude-sonnet-5-5 batch" in said
    assert said.endswith(f"1 kept {digest[:12]}")


async def test_letters_are_filtered(redis_url: str, dead: Commands) -> None:
    [first] = await bury(redis_url, "a", code="invalid_request")
    [second] = await bury(redis_url, "b", code="not_found")
    assert [row["digest"] for row in await dead.lists()] == [second, first]
    assert [row["digest"] for row in await dead.lists("--code", "not_found")] == [second]
    assert [row["digest"] for row in await dead.lists("--digest", first[:10])] == [first]
    assert await dead.lists("--older-than", "2h") == []
    assert len(await dead.lists("--younger-than", "3d")) == 2


async def test_a_longer_list_says_that_there_is_more(redis_url: str, dead: Commands) -> None:
    await bury(redis_url, "a", "b")
    _, said, more = await dead.ends("list", "--limit", "1")
    assert said.count("invalid_request") == 1
    assert more == "There are more than these 1; --limit shows them."


async def test_status_counts_them_by_code(redis_url: str, tmp_path: Path, dead: Commands) -> None:
    await bury(redis_url, "a", code="timeout")
    await bury(redis_url, "b", "c", code="poison")
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    said = (await run_sync(partial(run, "status", env=env))).stdout
    shown = json.loads((await run_sync(partial(run, "status", "--json", env=env))).stdout)
    assert "3 (2 poison, 1 timeout); see `weighbridge dead list`" in " ".join(said.split())
    assert shown["dead_codes"] == {"poison": 2, "timeout": 1}


async def test_show_for_machines_holds_letter_and_result(redis_url: str, dead: Commands) -> None:
    [digest] = await bury(redis_url, "a")
    shown = json.loads(await dead.says("show", digest, "--json"))
    assert (shown["digest"], shown["code"], shown["live"]) == (digest, "invalid_request", False)
    assert shown["result"]["message"] == "no"
    assert shown["payload_bytes"] > 0
    assert 0 < shown["payload_s"] <= 86_400


async def test_what_is_dropped_is_gone(redis_url: str, dead: Commands) -> None:
    first, second, third = await bury(redis_url, "a", "b", "c")
    assert await dead.says("drop", first[:8]) == "Dropped 1 dead letter."
    assert [row["digest"] for row in await dead.lists()] == [third, second]
    assert not await has_payload(redis_url, first)
    entry = (await dead.lists())[0]["id"]
    assert await dead.says("drop", entry, third) == "Dropped 1 dead letter."
    assert await dead.says("drop", "--code", "poison") == "Dropped 0 dead letters."
    assert await has_payload(redis_url, second)
    assert await dead.says("drop", "--all") == "Dropped 1 dead letter."
    assert not await has_payload(redis_url, second)


async def test_replayed_jobs_keep_their_order(redis_url: str, dead: Commands) -> None:
    digests = await bury(redis_url, "a", "b", "c")
    assert await dead.says("replay", *digests[::-1]) == "Replayed 3 of 3."
    async with Redis.from_url(redis_url) as redis:
        ready: list[Any] = await redis.zrange("{weighbridge}:1:ready:batch", 0, -1)
    assert [member.decode() for member in ready] == digests


async def test_a_letter_whose_payload_is_gone_stays_listed(redis_url: str, dead: Commands) -> None:
    [digest] = await bury(redis_url, "a", dead_ttl_s=0)
    assert not await has_payload(redis_url, digest)
    status, said, _ = await dead.ends("replay", "--all")
    assert status == 3
    assert said == "Replayed 0 of 1; 1 without a payload any more (payload_gone), still listed."
    [letter] = await dead.lists()
    assert (letter["digest"], letter["kept"]) == (digest, False)
    assert "payload gone: it cannot be replayed" in await dead.says("show", digest)


async def test_a_full_queue_stops_a_replay_which_says_how_far_it_came(
    redis_url: str, dead: Commands
) -> None:
    await bury(redis_url, "a", "b", "c")
    status, said, why = await dead.ends("replay", "--all", WEIGHBRIDGE_MAX_QUEUE="1")
    assert (status, said) == (4, "Replayed 1 of 3; 2 not tried.")
    assert "the queue is full: 1 jobs" in why
    assert len(await dead.lists()) == 2
    assert await dead.says("replay", "--all") == "Replayed 2 of 2."


async def test_what_was_counted_meanwhile_only_leaves_the_list(
    redis_url: str, dead: Commands
) -> None:
    [digest] = await bury(redis_url, "a", code="timeout")
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        assert isinstance(await wb.result(await wb.submit(payload("a"))), Counted)
    said = await dead.says("replay", digest)
    assert said == "Replayed 0 of 1; 1 counted already, removed from the list."
    assert await dead.lists() == []


@pytest.mark.parametrize("command", ["replay", "drop"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say which dead letters"),
        (("abcdef01", "--all"), "not both"),
        (("1-1", "--code", "timeout"), "not both"),
        (("--older-than", "2 hours"), "a span such as 30s, 15m, 2h or 3d"),
        (("--younger-than", "-1s"), "a span such as 30s, 15m, 2h or 3d"),
    ],
)
async def test_no_letter_is_guessed(
    dead: Commands, command: str, words: tuple[str, ...], said: str
) -> None:
    status, out, why = await dead.ends(command, *words)
    assert (status, out) == (2, "")
    assert said in why


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("show", "1-1"), 4, "there is no dead letter 1-1"),
        (("show", "abc"), 4, "at least 8 hexadecimal digits"),
        (("replay", "1-1"), 4, "there is no dead letter 1-1"),
        (("drop", "abcdef0123"), 4, "there is no dead letter abcdef0123"),
        (("list", "--limit", "0"), 2, "--limit"),
        (("show",), 2, "ID|DIGEST"),
        (("list", "--redis", "redis://127.0.0.1:1"), 4, "does not answer"),
        (("replay", "--all", "--redis", "redis://127.0.0.1:1"), 4, "does not answer"),
    ],
)
async def test_what_cannot_be_done_is_said(
    dead: Commands, words: tuple[str, ...], status: int, said: str
) -> None:
    ended, out, why = await dead.ends(*words)
    assert (ended, out) == (status, "")
    assert said in why


async def test_an_empty_list_is_no_error(dead: Commands) -> None:
    assert await dead.says("list") == "No dead letter matches."
    assert await dead.says("list", "--json") == ""
    assert await dead.says("replay", "--all") == "No dead letter matches."
    assert await dead.says("drop", "--all") == "Dropped 0 dead letters."


@pytest.mark.parametrize(
    ("text", "seconds", "said"),
    [
        ("0s", 0, "0 s"),
        ("30s", 30, "30 s"),
        ("15m", 900, "15 m"),
        ("119m", 7140, "1 h"),
        ("2h", 7200, "2 h"),
        ("3d", 259_200, "3 d"),
    ],
)
async def test_spans_are_read_and_said(text: str, seconds: float, said: str) -> None:
    assert parse_duration(text) == seconds
    assert describe_duration(seconds) == said


async def test_a_replay_tells_all_its_outcomes() -> None:
    tally = ReplayTally(found=6, stopped=QueueFull(1, 10, 1.0, bound="jobs"))
    tally.outcomes.update(replayed=2, counted=1, payload_gone=1)
    assert tally.describe() == (
        "Replayed 2 of 6; 1 counted already, removed from the list;"
        " 1 without a payload any more (payload_gone), still listed; 2 not tried."
    )
