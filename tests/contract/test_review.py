"""The review log: refusals go in once, and what was approved comes out once."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.errors import NotReviewable, SettingsError
from weighbridge.uses.guard_decision import GuardDecision
from weighbridge.uses.review import ReviewLog
from weighbridge.uses.review_desk import ReviewDesk

pytestmark = pytest.mark.asyncio

DIGEST = "ab" * 32
REFUSAL = GuardDecision(
    index=3,
    verdict="reject",
    reason="over_usd",
    digest=DIGEST,
    model="claude-sonnet-5-5",
    input_tokens=500_000,
    max_tokens=1000,
    usd_input=Decimal("1"),
    usd_worst=Decimal("1.01"),
    limit=Decimal("0.5"),
    over_by=Decimal("0.51"),
    metadata={"customer": "7"},
)


def log_of(queue: QueueUnderTest, **options: object) -> ReviewLog:
    """Return the guard's side."""
    return ReviewLog(queue.hands.producer, queue.keys, flags=queue.flags, **options)  # type: ignore[arg-type]


def desk_of(queue: QueueUnderTest) -> ReviewDesk:
    """Return the person's side."""
    return ReviewDesk(queue.hands.operator, queue.keys, flags=queue.flags)


async def approved(queue: QueueUnderTest, refusal: GuardDecision = REFUSAL) -> ReviewLog:
    """Write a refusal and approve it."""
    log = log_of(queue)
    await log.write([refusal], {})
    await desk_of(queue).approve(DIGEST)
    return log


async def test_a_refusal_is_listed_whole_with_its_time(queue: QueueUnderTest) -> None:
    await log_of(queue).write([REFUSAL], {})
    [entry] = await desk_of(queue).entries()
    assert entry.refusal == REFUSAL
    now_s, _ = await queue.redis.time()
    assert abs(entry.at - now_s) < 60


async def test_the_log_is_bounded_and_keeps_the_newest(queue: QueueUnderTest) -> None:
    refusals = [replace(REFUSAL, index=index) for index in range(9)]
    await log_of(queue, most=5).write(refusals, {})
    assert [each.refusal.index for each in await desk_of(queue).entries()] == [4, 5, 6, 7, 8]


async def test_a_long_log_is_read_in_pages(queue: QueueUnderTest) -> None:
    await log_of(queue).write([replace(REFUSAL, index=index) for index in range(1201)], {})
    assert [each.refusal.index for each in await desk_of(queue).entries()] == list(range(1201))


async def test_a_repeated_script_writes_once(queue: QueueUnderTest) -> None:
    scripts = log_of(queue)._scripts
    for _ in range(3):
        await scripts.write(queue.redis, [b"{}"], operation="one", most=10)
    assert await queue.redis.xlen(queue.keys.review) == 1


async def test_payloads_are_kept_only_if_asked_for_and_for_a_time(queue: QueueUnderTest) -> None:
    await log_of(queue).write([REFUSAL], {})
    [entry] = await desk_of(queue).entries()
    assert await desk_of(queue).payload(entry) is None
    await log_of(queue, keep_payloads=True).write([REFUSAL], {3: {"model": "m"}})
    assert await desk_of(queue).payload(entry) == b'{"model":"m"}'
    assert await queue.redis.ttl(queue.keys.review_payload(DIGEST)) > 0


async def test_the_file_has_the_same_lines(queue: QueueUnderTest, tmp_path: Path) -> None:
    log = log_of(queue, file=tmp_path / "refused.jsonl")
    await log.write([REFUSAL], {})
    await log.write([REFUSAL], {})
    first, second = (tmp_path / "refused.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(first)["at"] <= msgspec.json.decode(second)["at"]
    assert msgspec.json.decode(first, type=GuardDecision) == REFUSAL


async def test_a_file_that_cannot_be_written_is_one_clear_error(
    queue: QueueUnderTest, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="cannot write the review file"):
        await log_of(queue, file=tmp_path / "no" / "file").write([REFUSAL], {})


async def test_what_nobody_approved_cannot_be_claimed(queue: QueueUnderTest) -> None:
    log = log_of(queue)
    await log.write([REFUSAL], {})
    assert await log.claim([REFUSAL], "me") == [False]


async def test_an_approval_is_claimed_once(queue: QueueUnderTest) -> None:
    log = await approved(queue)
    again = replace(REFUSAL, index=4)
    assert await log.claim([REFUSAL, again], "me") == [True, False]
    assert await log.claim([REFUSAL], "you") == [False]
    assert await desk_of(queue).entries() == []


async def test_a_repeated_claim_hears_the_same(queue: QueueUnderTest) -> None:
    log = await approved(queue)
    assert await log.claim([REFUSAL], "me") == [True]
    assert await log.claim([REFUSAL], "me") == [True]


async def test_a_claim_that_is_given_back_is_there_for_the_next(queue: QueueUnderTest) -> None:
    log = await approved(queue)
    await log.claim([REFUSAL], "me")
    await log.give_back([REFUSAL], "you")
    assert await log.claim([REFUSAL], "you") == [False]
    await log.give_back([REFUSAL], "me")
    assert await log.claim([REFUSAL], "you") == [True]


async def test_an_approval_does_not_cover_a_higher_price(queue: QueueUnderTest) -> None:
    log = await approved(queue)
    dearer = replace(REFUSAL, usd_worst=Decimal("1.010000001"))
    assert await log.claim([dearer], "me") == [False]
    cheaper = replace(REFUSAL, usd_worst=Decimal("0.7"))
    assert await log.claim([cheaper], "me") == [True]


async def test_an_approval_of_tokens_alone_does_not_cover_money(queue: QueueUnderTest) -> None:
    tokens = replace(
        REFUSAL, reason="over_input_tokens", usd_input=None, usd_worst=None, limit=10, over_by=5
    )
    log = await approved(queue, tokens)
    assert await log.claim([REFUSAL], "me") == [False]
    assert await log.claim([tokens], "me") == [True]


async def test_two_who_approve_the_same_entry_admit_it_once(queue: QueueUnderTest) -> None:
    log = await approved(queue)
    assert await log.claim([REFUSAL], "me") == [True]
    key = queue.keys.approval(DIGEST)
    approval = (await queue.redis.hget(key, "approval")).decode()
    await desk_of(queue)._scripts.approve(
        queue.redis, DIGEST, approval=approval, most=None, ttl_ms=1000, entries=[]
    )
    assert await log.claim([REFUSAL], "you") == [False]


async def test_a_later_refusal_can_be_approved_anew(queue: QueueUnderTest) -> None:
    log = await approved(queue)
    await log.claim([REFUSAL], "me")
    await log.write([REFUSAL], {})
    await desk_of(queue).approve(DIGEST[:8])
    assert await log.claim([REFUSAL], "you") == [True]


async def test_dropping_strikes_all_entries_of_a_digest_and_its_payload(
    queue: QueueUnderTest,
) -> None:
    log = log_of(queue, keep_payloads=True)
    other = replace(REFUSAL, digest="cd" * 32)
    await log.write([REFUSAL, REFUSAL, other], {3: b"{}"})
    assert len(await desk_of(queue).drop(DIGEST[:6])) == 2
    assert [each.refusal for each in await desk_of(queue).entries()] == [other]
    assert await queue.redis.exists(queue.keys.review_payload(DIGEST)) == 0
    assert await log.claim([REFUSAL], "me") == [False]


async def test_a_refusal_without_a_digest_goes_by_its_entry(queue: QueueUnderTest) -> None:
    await log_of(queue).write([replace(REFUSAL, digest=None, reason="not_countable")], {})
    [entry] = await desk_of(queue).entries()
    with pytest.raises(NotReviewable, match="refused as not_countable, which no approval"):
        await desk_of(queue).approve(entry.id)
    await desk_of(queue).drop(entry.id)
    assert await desk_of(queue).entries() == []


async def test_no_approval_makes_money(queue: QueueUnderTest) -> None:
    await log_of(queue).write([replace(REFUSAL, reason="over_run_budget")], {})
    with pytest.raises(NotReviewable, match="over_run_budget"):
        await desk_of(queue).approve(DIGEST)


async def test_a_name_that_means_nothing_or_too_much_is_refused(queue: QueueUnderTest) -> None:
    others = [replace(REFUSAL, digest=DIGEST[:8] + digit * 56) for digit in "12"]
    await log_of(queue).write(others, {})
    with pytest.raises(NotReviewable, match="nothing in the review log goes by 'ab'"):
        await desk_of(queue).find("ab")
    with pytest.raises(NotReviewable, match="2 digests begin with"):
        await desk_of(queue).find(DIGEST[:8])
