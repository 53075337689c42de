"""A run's budget: never overshot, exact, and what the dead had reserved goes back."""

import random
from decimal import Decimal

import pytest
from support.queue_under_test import QueueUnderTest

from weighbridge.errors import BudgetMismatch, SettingsError
from weighbridge.uses.run_budget import BudgetState, RunBudget

pytestmark = pytest.mark.asyncio

DOLLAR = Decimal(1)
NANO = Decimal("0.000000001")
DAYS_US = 3 * 86_400_000_000


def budget_of(queue: QueueUnderTest, limit: str = "10", *, run: str = "nightly") -> RunBudget:
    """Return a run's budget, not opened yet."""
    return RunBudget(
        queue.hands.producer, queue.keys, run=run, limit=Decimal(limit), flags=queue.flags
    )


async def opened(queue: QueueUnderTest, limit: str = "10") -> RunBudget:
    """Return an open budget."""
    budget = budget_of(queue, limit)
    await budget.open()
    return budget


async def shift_leases(queue: QueueUnderTest, by_us: int) -> None:
    """Move the end of every lease."""
    key = queue.keys.budget_held("nightly")
    for reservation, end in await queue.redis.zrange(key, 0, -1, withscores=True):
        await queue.redis.zadd(key, {reservation: end + by_us})


async def reserve(budget: RunBudget, *dollars: str) -> list[str]:
    """Reserve amounts that must all fit; returns their ids."""
    reservations = await budget.reserve([Decimal(usd) for usd in dollars])
    assert all(reservation.granted for reservation in reservations)
    return [reservation.id for reservation in reservations]


async def figures(budget: RunBudget) -> tuple[str, str]:
    """Return what is spent and what is reserved."""
    state = await budget.inspect()
    return str(state.spent), str(state.reserved)


async def test_a_new_run_has_all_of_its_budget(queue: QueueUnderTest) -> None:
    state = await budget_of(queue).open()
    assert state == BudgetState("nightly", Decimal(10), Decimal(0), Decimal(0))
    assert state.left == 10


async def test_what_fits_to_the_last_nanodollar_is_granted_and_one_more_is_not(
    queue: QueueUnderTest,
) -> None:
    budget = await opened(queue)
    fits, over = await budget.reserve([10 * DOLLAR, NANO])
    assert fits.granted
    assert (over.granted, over.left) == (False, Decimal(0))


async def test_a_refusal_says_what_was_left_and_takes_nothing(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    _, refused, small = await budget.reserve([8 * DOLLAR, 3 * DOLLAR, 2 * DOLLAR])
    assert refused.left == 2
    assert small.granted, "each amount is judged by itself"


async def test_the_largest_budget_is_exact(queue: QueueUnderTest) -> None:
    budget = await opened(queue, "1000000")
    most = 1_000_000 * DOLLAR - NANO
    first, over, last = await budget.reserve([most, 2 * NANO, NANO])
    assert (first.granted, over.left, last.granted) == (True, NANO, True)
    assert (await budget.inspect()).left == 0


async def test_an_amount_that_no_budget_holds_is_refused(queue: QueueUnderTest) -> None:
    [absurd] = await (await opened(queue, "1000000")).reserve([Decimal("1e30")])
    assert not absurd.granted


async def test_an_amount_finer_than_a_nanodollar_is_rounded_up(queue: QueueUnderTest) -> None:
    budget = await opened(queue, "0.000000002")
    one, two, three = await budget.reserve([NANO / 10] * 3)
    assert (one.usd, one.granted, two.granted, three.granted) == (NANO, True, True, False)


async def test_settling_gives_back_what_was_not_spent(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    [first, second] = await reserve(budget, "4", "6")
    assert await budget.settle({first: DOLLAR, second: None}) == ("settled", "settled")
    assert await figures(budget) == ("7", "0")
    await reserve(budget, "3")


async def test_releasing_gives_all_back(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    await budget.release(await reserve(budget, "4", "6"))
    assert await figures(budget) == ("0", "0")


async def test_more_than_was_reserved_counts_and_ends_the_run(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    [reservation] = await reserve(budget, "9")
    await budget.settle({reservation: 12 * DOLLAR})
    [refused] = await budget.reserve([NANO])
    assert refused.left == -2


async def test_a_repeated_settlement_does_nothing(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    [reservation] = await reserve(budget, "4")
    assert await budget.settle({reservation: DOLLAR}) == ("settled",)
    assert await budget.settle({reservation: DOLLAR}) == ("unknown",)
    assert await figures(budget) == ("1", "0")


async def test_a_repeated_reservation_reserves_once(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    for _ in range(3):
        [reservation] = await budget.reserve([6 * DOLLAR], ids=["mine"])
        assert reservation.granted
    assert await figures(budget) == ("0", "6")


async def test_spending_at_once_leaves_nothing_to_settle_and_repeats_harmlessly(
    queue: QueueUnderTest,
) -> None:
    budget = await opened(queue)
    for _ in range(3):
        [reservation] = await budget.reserve([6 * DOLLAR], ids=["mine"], spend=True)
        assert reservation.granted
    assert await figures(budget) == ("6", "0")
    await shift_leases(queue, -DAYS_US)
    assert await figures(budget) == ("6", "0")
    assert await queue.redis.exists(queue.keys.budget_held("nightly")) == 0
    assert await queue.redis.exists(queue.keys.budget_amounts("nightly")) == 0


async def test_an_ended_lease_gives_its_money_back(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    await reserve(budget, "4", "6")
    await shift_leases(queue, -DAYS_US)
    await reserve(budget, "10")


async def test_many_ended_leases_go_back_before_anybody_is_refused(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    for _ in range(10):
        await reserve(budget, *["0.01"] * 100)
    await shift_leases(queue, -DAYS_US)
    await reserve(budget, "10")


async def test_a_settlement_after_the_lease_counts_once(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    [late] = await reserve(budget, "4")
    await shift_leases(queue, -DAYS_US)
    await reserve(budget, "5")
    assert await budget.settle({late: 3 * DOLLAR}) == ("late",)
    assert await budget.settle({late: 3 * DOLLAR}) == ("unknown",)
    assert await figures(budget) == ("3", "5")


async def test_the_same_id_again_renews_the_lease(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    await budget.reserve([4 * DOLLAR], ids=["mine"])
    key = queue.keys.budget_held("nightly")
    before = await queue.redis.zscore(key, "mine")
    await shift_leases(queue, -1_000_000)
    await budget.reserve([4 * DOLLAR], ids=["mine"])
    assert await queue.redis.zscore(key, "mine") >= before
    assert await figures(budget) == ("0", "4")


async def test_a_clock_that_jumped_back_keeps_no_money_for_ever(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    await reserve(budget, "10")
    await shift_leases(queue, DAYS_US)
    await reserve(budget, "10")


async def test_another_limit_for_the_same_run_is_refused_by_both_numbers(
    queue: QueueUnderTest,
) -> None:
    await opened(queue, "10")
    with pytest.raises(BudgetMismatch, match=r"has a budget of \$10, not \$12"):
        await budget_of(queue, "12").open()
    with pytest.raises(BudgetMismatch, match=r"\$10, not \$12"):
        await budget_of(queue, "12").reserve([DOLLAR])


async def test_a_run_that_is_gone_grants_nothing(queue: QueueUnderTest) -> None:
    budget = await opened(queue)
    [reservation] = await reserve(budget, "1")
    await queue.redis.flushall()
    await queue.bucket.offer()
    with pytest.raises(BudgetMismatch, match="is gone"):
        await budget.reserve([DOLLAR])
    with pytest.raises(BudgetMismatch, match="is gone"):
        await budget.inspect()
    assert await budget.settle({reservation: None}) == ("unknown",)


async def test_runs_do_not_share(queue: QueueUnderTest) -> None:
    other = budget_of(queue, run="hourly")
    await other.open()
    await reserve(await opened(queue), "10")
    await reserve(other, "10")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"run": "a run"}, "a run's name takes 1 to 64 letters"),
        ({"limit": Decimal(-1)}, "dollars from 0 to 1,000,000, not -1"),
        ({"limit": Decimal("nan")}, "not NaN"),
        ({"limit": Decimal(1_000_001)}, "not 1000001"),
        ({"lease_s": 0.5}, "1 to 86,400 seconds, not 0.5"),
    ],
)
@pytest.mark.server_only(reason="nothing is sent")
async def test_what_makes_no_sense_is_refused_with_what_would(
    queue: QueueUnderTest, fields: dict[str, object], said: str
) -> None:
    given = {"run": "nightly", "limit": DOLLAR} | fields
    with pytest.raises(SettingsError, match=said):
        RunBudget(queue.hands.producer, queue.keys, **given)  # type: ignore[arg-type]


async def test_a_random_walk_keeps_the_books(queue: QueueUnderTest) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    budget = await opened(queue, "1")
    held: dict[str, Decimal] = {}
    spent = Decimal(0)
    for _ in range(150):
        if rng.random() < 0.6:
            amounts = [Decimal(rng.randrange(1, 10**8)) / 10**9 for _ in range(rng.randrange(1, 5))]
            for reservation in await budget.reserve(amounts):
                left = 1 - spent - sum(held.values())
                assert reservation.granted == (reservation.usd <= left)
                if reservation.granted:
                    held[reservation.id] = reservation.usd
                else:
                    assert reservation.left == left
        elif held:
            name = rng.choice(list(held))
            real = held.pop(name) * rng.randrange(0, 11) / 10
            assert await budget.settle({name: real}) == ("settled",)
            spent += -(-int(real * 10**10) // 10) * NANO
        state = await budget.inspect()
        assert (state.spent, state.reserved) == (spent, sum(held.values()))
        assert state.spent + state.reserved <= state.limit
