"""Dead letters: what they say, how they are found, and how they are dropped."""

import pytest
from support.dead_letters import (
    DAY_MS,
    FIELDS,
    bury,
    bury_twice,
    dead,
    fields_of,
    payload_ttl,
    write_letter,
)
from support.queue_under_test import QueueUnderTest

from weighbridge.dead import PAGE
from weighbridge.errors import UnknownDeadLetter
from weighbridge.exchange import Submission
from weighbridge.jobs import Verdict
from weighbridge.letters import DeadLetter, Selection
from weighbridge.records import Failed, Job, Lane, Payload, read_result

HOUR_S = 3600.0
pytestmark = pytest.mark.asyncio


async def test_a_letter_has_what_a_replay_needs(queue: QueueUnderTest) -> None:
    payload = Payload(b"a", "claude-sonnet-5", ("beta-1", "beta-2"))
    job = Job(queue.digest("a"), payload, Lane.INTERACTIVE, "team-1", 60_000_000)
    await queue.store_payload("a")
    await queue.submit_reply(Submission(job))
    await queue.fail(await queue.take_one(), code="timeout")
    [letter] = await dead(queue).find()
    assert 0 <= letter.age_s < HOUR_S
    assert letter == DeadLetter(
        id=letter.id,
        digest=job.digest,
        code="timeout",
        lane=Lane.INTERACTIVE,
        producer="team-1",
        model="claude-sonnet-5",
        betas=("beta-1", "beta-2"),
        attempts=1,
        deliveries=1,
        age_s=letter.age_s,
        kept=True,
    )


async def test_a_letter_holds_no_text_of_payload_or_message(queue: QueueUnderTest) -> None:
    await queue.submit("canary-payload")
    lease = await queue.take_one()
    said = Failed(digest=lease.digest, model="m", code="invalid_request", message="canary-message")
    await queue.jobs.settle([Verdict(lease, said)])
    [(_, fields)] = await queue.redis.xrange(queue.keys.dead)
    assert [name.decode() for name in fields] == FIELDS
    assert b"canary" not in b"".join(fields.values())


async def test_letters_are_found_newest_first(queue: QueueUnderTest) -> None:
    await bury(queue, "a", "b", "c")
    assert queue.names(await dead(queue).find()) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(), ["new-2", "new-1", "old-2", "old-1"]),
        (Selection(code="poison"), ["new-2", "old-2"]),
        (Selection(code="unheard_of"), []),
        (Selection(older_than_s=HOUR_S), ["old-2", "old-1"]),
        (Selection(younger_than_s=HOUR_S), ["new-2", "new-1"]),
        (Selection(older_than_s=HOUR_S, younger_than_s=HOUR_S), []),
        (Selection(older_than_s=1e12), []),
        (Selection(code="poison", younger_than_s=HOUR_S), ["new-2"]),
    ],
)
async def test_letters_are_selected_by_code_and_age(
    queue: QueueUnderTest, selection: Selection, found: list[str]
) -> None:
    await write_letter(queue, "old-1", "timeout", entry="1000-0")
    await write_letter(queue, "old-2", "poison", entry="1000-1")
    await bury(queue, "new-1", code="timeout")
    await bury(queue, "new-2", code="poison")
    assert queue.names(await dead(queue).find(selection)) == found


async def test_letters_are_selected_by_the_beginning_of_their_digest(queue: QueueUnderTest) -> None:
    await bury(queue, "a", "b")
    for length in (8, 64):
        selection = Selection(digest=queue.digest("a")[:length])
        assert queue.names(await dead(queue).find(selection)) == ["a"]


async def test_age_is_told_by_the_entry_against_the_servers_clock(queue: QueueUnderTest) -> None:
    await write_letter(queue, "old", "timeout", entry="5000-0")
    [letter] = await dead(queue).find()
    seconds, _ = await queue.redis.time()
    assert seconds - letter.age_s == pytest.approx(5, abs=60)


async def test_a_letter_from_before_the_clock_jumped_back_is_listed(queue: QueueUnderTest) -> None:
    seconds, _ = await queue.redis.time()
    await write_letter(queue, "later", "timeout", entry=f"{(seconds + 7200) * 1000}-0")
    [letter] = await dead(queue).find()
    assert letter.age_s == 0


async def test_many_letters_are_read_page_by_page(queue: QueueUnderTest) -> None:
    many = [f"job-{number}" for number in range(2 * PAGE + 1)]
    for number, name in enumerate(many):
        await write_letter(queue, name, "timeout", entry=f"{1 + number // 3}-{number}")
    letters = dead(queue)
    assert queue.names(await letters.find()) == many[::-1]
    assert queue.names(await letters.find(limit=PAGE + 1)) == many[: -PAGE - 2 : -1]


async def test_a_letter_is_named_by_its_entry_or_its_digest(queue: QueueUnderTest) -> None:
    await bury(queue, "a", "b")
    letters = dead(queue)
    for letter in await letters.find():
        for name in (letter.id, letter.digest, letter.digest[:8]):
            [found] = await letters.named(name)
            assert found.id == letter.id


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("1-1", "there is no dead letter 1-1"),
        ("abcdef0123456789", "there is no dead letter abcdef0123456789"),
        ("abcdef", "at least 8 hexadecimal digits"),
        ("*", "at least 8 hexadecimal digits"),
    ],
)
async def test_a_name_of_no_letter_is_refused(queue: QueueUnderTest, name: str, said: str) -> None:
    await bury(queue, "a")
    with pytest.raises(UnknownDeadLetter, match=said):
        await dead(queue).named(name)


async def test_a_beginning_of_several_digests_is_refused(queue: QueueUnderTest) -> None:
    for last in "12":
        await queue.redis.xadd(queue.keys.dead, fields_of("abcdef01" * 7 + "abcdef0" + last))
    with pytest.raises(UnknownDeadLetter, match="several digests begin with abcdef01"):
        await dead(queue).named("abcdef01")


async def test_a_look_says_what_is_left_of_the_job(queue: QueueUnderTest) -> None:
    await bury(queue, "four")
    letters = dead(queue)
    [letter] = await letters.find()
    state = await letters.look(letter)
    assert isinstance(state.result, Failed)
    assert (state.live, state.payload_bytes) == (False, 4)
    assert 0 < (state.payload_s or 0) <= DAY_MS / 1000
    await letters.replay(letter)
    state = await letters.look(letter)
    assert (state.live, state.payload_s, state.result) == (True, None, None)


async def test_a_dropped_letter_takes_its_payload_along(queue: QueueUnderTest) -> None:
    await bury(queue, "a", "b")
    b, a = await dead(queue).find()
    assert await dead(queue).drop([a]) == 1
    assert queue.names(await dead(queue).find()) == ["b"]
    assert (await queue.has_payload("a"), await queue.has_payload("b")) == (False, True)
    assert await dead(queue).drop([a, b]) == 1
    assert await queue.redis.xlen(queue.keys.dead) == 0


async def test_a_dropped_letter_leaves_the_result_to_its_waiters(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    await dead(queue).drop(await dead(queue).find())
    assert isinstance(read_result(await queue.result("a")), Failed)


async def test_a_dropped_letter_leaves_a_live_job_its_payload(queue: QueueUnderTest) -> None:
    await bury(queue, "a")
    await queue.submit("a", force=True)
    assert await dead(queue).drop(await dead(queue).find()) == 1
    assert await payload_ttl(queue, "a") == -1
    assert await queue.work_off() == ["a"]


async def test_a_withdrawn_job_whose_letter_was_dropped_leaves_no_payload(
    queue: QueueUnderTest,
) -> None:
    await bury(queue, "a")
    await queue.submit("a", force=True)
    await dead(queue).drop(await dead(queue).find())
    assert await queue.cancel("a") == "withdrawn"
    assert not await queue.has_payload("a")


async def test_many_letters_are_dropped_in_one_go(queue: QueueUnderTest) -> None:
    for number in range(PAGE + 1):
        await write_letter(queue, f"job-{number}", "timeout", entry=f"1-{number}")
    assert await dead(queue).drop(await dead(queue).find()) == PAGE + 1


async def test_a_digest_names_all_its_letters(queue: QueueUnderTest) -> None:
    await bury_twice(queue, "a")
    found = await dead(queue).named(queue.digest("a"))
    assert [letter.code for letter in found] == ["second", "first"]


async def test_the_payload_goes_with_the_newest_letter_of_its_digest(queue: QueueUnderTest) -> None:
    await bury_twice(queue, "a")
    second, first = await dead(queue).find()
    assert await dead(queue).drop([first]) == 1
    assert 0 < await payload_ttl(queue, "a") <= DAY_MS
    assert await dead(queue).drop([second]) == 1
    assert not await queue.has_payload("a")
