"""The shipped bucket under random schedules, held against exact arithmetic.

Workers come at their turns and out of turn, penalties fall, the server's clock jumps, keys are
lost, the rate changes. What the Lua grants is judged in fractions and in real time, which the
server's clock only estimates. Integers are µs.
"""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from simulation.lua_bucket import LuaBucket, Visit

from weighbridge.exchange import Calls
from weighbridge.regrowth import share_of

START = 1_795_000_000_000_000
MILLISECOND = 1_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3_600 * SECOND
HORIZON = 100 * MILLISECOND
MAX_PAUSE = MINUTE
MAX_HOLD = 600 * SECOND
WHOLE = 1_000_000
REGROWTH = MINUTE
RETURN = 105 * SECOND
LEAST = Fraction(1, 20)
WORKERS = 3

RATES = st.sampled_from([6, 60, 100, 300, 1_000, 3_000, 5_000, 20_000, 100_000, 1_000_000])
PAUSES = st.one_of(
    st.integers(0, 2 * SECOND), st.integers(0, MAX_PAUSE), st.sampled_from([-SECOND, 10**15])
)
WAITS = st.one_of(
    st.integers(0, 5 * MILLISECOND),
    st.integers(0, 300 * MILLISECOND),
    st.integers(0, 5 * SECOND),
    st.just(11 * SECOND),
)
STEPS = st.one_of(
    st.sampled_from([-HOUR, HOUR]),
    st.integers(-MINUTE, MINUTE),
    st.integers(-200 * MILLISECOND, 200 * MILLISECOND),
)


def interval_us(per_minute: int) -> int:
    return -(-MINUTE // per_minute)


def bucket_of(per_minute: int) -> LuaBucket:
    return LuaBucket(interval_us(per_minute))


def exact_interval(bucket: LuaBucket, now: int) -> Fraction:
    """Return the interval at the rate in force, not rounded."""
    return Fraction(bucket.interval * WHOLE, bucket.share(now))


def horizon_of(interval: Fraction | int) -> Fraction:
    return Fraction(max(HORIZON, interval))


def exact_cut(share: int, crest: int, *, ramp: bool) -> Fraction:
    """Return what a 429 at a share leaves, if the last one came at the crest."""
    expected = share >= crest * 96 // 100
    kept = Fraction(25, 100) if ramp else Fraction(9, 10) if expected else Fraction(8, 10)
    return min(Fraction(share, WHOLE), max(LEAST, Fraction(share, WHOLE) * kept))


def plateau(crest: int) -> tuple[Fraction, Fraction]:
    """Return the shares between which the rate regrows slowly."""
    return Fraction(crest, WHOLE) * Fraction(96, 100), Fraction(crest, WHOLE) * Fraction(101, 100)


def exact_share(cut: int, crest: int, since: int) -> Fraction:
    """Return the share of the rate at some time after a cut, not rounded: three straight lines."""
    (start, end), share, time = plateau(crest), Fraction(cut, WHOLE), Fraction(since)
    crossing = RETURN - (1 - end) * REGROWTH
    for to, height, duration in (
        (start, Fraction(1), Fraction(REGROWTH)),
        (end, end - start, crossing),
        (Fraction(2), Fraction(1), Fraction(REGROWTH)),
    ):
        if share < to:
            climb = min(time, (to - share) * duration / height)
            share, time = share + climb * height / duration, time - climb
    return min(Fraction(1), share)


class Schedule(RuleBasedStateMachine):
    """Anything that may happen to a bucket; what must hold is checked as it happens."""

    def __init__(self) -> None:
        super().__init__()
        self.real = 0
        self.offset = START
        self.due: list[int | None] = [None] * WORKERS
        self.slots: list[int] = []
        self.apart = Fraction(0)
        self.forgotten = False
        self.extra = Fraction(0)
        self.last_tat = 0

    @initialize(per_minute=RATES, slow_start=st.sampled_from([0, 0, 10_000, 100_000]))
    def begin(self, per_minute: int, slow_start: int) -> None:
        self.bucket = bucket_of(per_minute)
        self.fastest = self.bucket.interval
        self.bucket.store("slow_start", slow_start)

    @property
    def now(self) -> int:
        return self.real + self.offset

    @property
    def stored(self) -> dict[str, Any]:
        return self.bucket.stored()

    @rule(wait=WAITS)
    def time_passes(self, wait: int) -> None:
        self.real += wait

    @rule(worker=st.integers(0, WORKERS - 1), want=st.integers(1, 70))
    def a_worker_comes(self, worker: int, want: int) -> None:
        due = self.due[worker]
        visit = self.bucket.visit(self.now, WORKERS, None if due is None else due - self.real, want)
        self.due[worker] = self.real + int(visit.wait)
        self.judge(visit, want)

    @rule(turns=st.integers(1, 20))
    def the_fleet_works(self, turns: int) -> None:
        """Let each worker come when its turn comes."""
        for _ in range(turns):
            dues = [self.real if due is None else due for due in self.due]
            worker = dues.index(min(dues))
            self.real = max(self.real, dues[worker])
            self.a_worker_comes(worker, 70)

    @rule(wait=PAUSES, stale=st.booleans(), ramp=st.booleans())
    def a_429_is_reported(self, wait: int, stale: bool, ramp: bool) -> None:
        before = self.bucket.share(self.now)
        crest = self.stored.get("crest") or 0
        generation = self.stored.get("generation") or 0
        self.bucket.penalise(self.now, wait, generation - stale, ramp=ramp)
        assert self.stored["blocked_until"] <= self.now + MAX_PAUSE
        assert self.stored["generation"] == generation + (not stale)
        left = Fraction(before, WHOLE) if stale else exact_cut(before, crest, ramp=ramp)
        assert 0 <= left - Fraction(self.bucket.share(self.now), WHOLE) < Fraction(1, WHOLE)
        if not stale:
            assert self.stored["crest"] == (0 if ramp else before)

    @rule(answered=st.integers(0, 30), failed=st.integers(0, 30), stale=st.booleans())
    def calls_are_reported(self, answered: int, failed: int, stale: bool) -> None:
        before = self.bucket.share(self.now)
        generation, held, failures = (
            self.stored.get(name) or 0 for name in ("generation", "hold", "failures")
        )
        visit = self.bucket.visit(
            self.now, WORKERS, None, 0, Calls(answered, failed, generation - stale)
        )
        if not held and not stale:
            failures = max(0, failures + failed - answered)
            held = failures >= 20 and 2 * failures * int(visit.interval) >= SECOND
            failures *= not held
            generation += held
        assert bool(visit.hold) == bool(held)
        assert (self.stored["failures"], self.stored["generation"]) == (failures, generation)
        assert self.bucket.share(self.now) == before

    @rule()
    def a_probe_succeeds(self) -> None:
        before, held = self.bucket.share(self.now), self.stored.get("hold")
        self.bucket.probed(self.now)
        assert not self.stored["hold"]
        left = max(min(LEAST, Fraction(before, WHOLE)), Fraction(before, WHOLE * (1 + bool(held))))
        assert 0 <= left - Fraction(self.bucket.share(self.now), WHOLE) < Fraction(1, WHOLE)

    @rule(step=STEPS)
    def the_clock_jumps(self, step: int) -> None:
        self.offset += step
        self.last_tat = 0
        if step > 0:
            self.forget()

    @rule()
    def the_key_is_lost(self) -> None:
        self.bucket.lose()
        self.last_tat = 0
        self.forget()

    @rule(per_minute=RATES)
    def the_rate_is_set(self, per_minute: int) -> None:
        self.bucket.interval = interval_us(per_minute)
        self.bucket.store("interval", self.bucket.interval)
        self.fastest = min(self.fastest, self.bucket.interval)

    @rule()
    def an_operator_resumes(self) -> None:
        self.bucket.resume(self.now)
        self.last_tat = 0

    @invariant()
    def only_exact_integers_are_stored(self) -> None:
        for name, value in self.stored.items() if hasattr(self, "bucket") else ():
            if name != "hold":
                assert float(value).is_integer(), name
                assert abs(value) < 2**53, name

    def teardown(self) -> None:
        """In every window: the rate, one more, and what a bucket that forgot may give again."""
        lowest = Fraction(0)
        for count, slot in enumerate(sorted(self.slots)):
            ahead = count - Fraction(slot, self.fastest)
            lowest = min(lowest, ahead) if count else ahead
            assert ahead - lowest <= self.extra

    def forget(self) -> None:
        """Note that the bucket knows no more what lies ahead: that much may be given again."""
        self.forgotten = True
        self.extra += horizon_of(self.fastest) / self.fastest + 2

    def judge(self, visit: Visit, want: int) -> None:
        apart = exact_interval(self.bucket, self.now)
        assert len(visit.slots) <= want
        assert float(visit.wait).is_integer()
        assert visit.wait >= 0
        for slot in visit.slots:
            assert self.now <= slot <= self.now + horizon_of(apart) + 1
            real = int(slot) - self.offset
            if self.slots and not self.forgotten:
                assert real - self.slots[-1] >= min(self.apart, apart), "slots too close"
            self.slots.append(real)
            self.apart, self.forgotten = apart, False
        assert self.stored["tat"] >= self.last_tat, "tat went back"
        self.last_tat = self.stored["tat"]


TestSchedule = pytest.mark.timeout(100)(Schedule.TestCase)
TestSchedule.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@given(RATES, st.integers(1, 200))
def test_a_new_or_lost_bucket_is_empty(per_minute: int, want: int) -> None:
    bucket = bucket_of(per_minute)
    for now in (START, START + MINUTE):
        bucket.lose()
        slots = bucket.visit(now, 1, None, want).slots
        assert slots[0] - now in {0, 10 * MILLISECOND}
        assert len(slots) <= horizon_of(bucket.interval) / bucket.interval + 1
        assert all(b - a == bucket.interval for a, b in pairwise(slots))


def first_slot(bucket: LuaBucket, start: int) -> int:
    """Come every few milliseconds until a slot is granted."""
    for now in range(start, start + 2 * MINUTE, 5 * MILLISECOND):
        slots = bucket.visit(now, 1, None, 1).slots
        if slots:
            return int(slots[0])
    raise AssertionError("two minutes without a slot")


@given(
    per_minute=st.sampled_from([60, 300, 3_000, 20_000]),
    step=st.one_of(st.just(HOUR), st.integers(1, 2 * MINUTE)),
    pause=st.one_of(st.just(0), st.integers(1, 5 * SECOND)),
)
@settings(max_examples=60, deadline=None)
def test_when_the_clock_jumps_back_the_fleet_stalls_no_longer_than_it_had_to_wait(
    per_minute: int, step: int, pause: int
) -> None:
    bucket = bucket_of(per_minute)
    bucket.visit(START, 1, None, 1_000)
    if pause:
        bucket.penalise(START, pause, 0)
    now = START - step
    interval = exact_interval(bucket, now)
    assert first_slot(bucket, now) <= now + pause + horizon_of(interval) + 2 * interval


@given(st.sampled_from([300, 3_000, 20_000]), st.integers(2, 50), st.integers(0, SECOND))
def test_all_the_429s_of_one_generation_make_one_cut_and_the_longest_pause_counts(
    per_minute: int, storm: int, apart: int
) -> None:
    bucket = bucket_of(per_minute)
    generation = bucket.visit(START, 1, None, 1).generation
    shares, ends = [], []
    for number in range(storm):
        now = START + number * apart // storm
        pause = (number * 7_919) % (3 * SECOND)
        bucket.penalise(now, pause, generation)
        ends.append(now + pause)
        shares.append(bucket.share(START + apart))
    assert set(shares) == {shares[0]}
    assert shares[0] < WHOLE
    assert bucket.stored()["generation"] == generation + 1
    assert bucket.stored()["blocked_until"] == max(ends)
    assert first_slot(bucket, START + apart) >= max(ends)


SHARES = st.integers(int(LEAST * WHOLE), WHOLE)


@given(SHARES, st.one_of(st.just(0), SHARES), st.lists(st.integers(0, 200 * SECOND), max_size=9))
def test_the_rate_regrows_as_the_exact_model_does(cut: int, crest: int, times: list[int]) -> None:
    bucket = bucket_of(3_000)
    for name, value in {"cut": cut, "crest": crest, "cut_at": START}.items():
        bucket.store(name, value)
    shares = [bucket.share(START + time) for time in sorted(times)]
    assert shares == sorted(shares)
    # Seen from outside it is the same; but for its rounding it is the exact one.
    assert shares == [share_of(cut, crest, time) for time in sorted(times)]
    for share, time in zip(shares, sorted(times), strict=True):
        # A millionth is a long way on a low plateau.
        early, late = (
            exact_share(cut, crest, max(0, time + apart))
            for apart in (-50 * MILLISECOND, 50 * MILLISECOND)
        )
        assert early - Fraction(2, WHOLE) <= Fraction(share, WHOLE) <= late + Fraction(2, WHOLE)
    assert bucket.share(START + 120 * SECOND + max(0, crest * 4 // 5 - cut) * 60) == WHOLE


@given(st.integers(1, 6))
@settings(max_examples=10, deadline=None)
def test_the_rate_regrows_in_straight_lines_and_wholly(penalties: int) -> None:
    bucket = bucket_of(3_000)
    now = START
    for generation in range(penalties):
        bucket.penalise(now, 0, generation)
        now += 3 * SECOND
    shares = [bucket.share(now + second * SECOND) for second in range(600)]
    steps = [b - a for a, b in pairwise(shares)]
    assert all(step >= 0 for step in steps)
    assert shares[-1] == WHOLE
    kinks = sum(abs(b - a) > 1 for a, b in pairwise(steps))
    assert kinks <= 6, "three slopes, and a second in which each ends"


def test_a_hold_grants_a_probe_at_growing_intervals_until_it_ends() -> None:
    bucket = bucket_of(3_000)
    bucket.penalise(START, SECOND, 0, "spend_limit")
    slots: list[float] = []
    for now in range(START, START + 3_600 * SECOND, SECOND // 2):
        slots += bucket.visit(now, 1, None, 50).slots
    waits = [b - a for a, b in pairwise(slots)]
    assert slots[0] - START >= SECOND
    assert all(2 * a - SECOND <= b <= 2 * a + SECOND for a, b in pairwise(waits) if b < MAX_HOLD)
    assert max(waits) <= MAX_HOLD + SECOND
    assert len(slots) <= 20
    bucket.resume(now)
    assert len(bucket.visit(now, 1, None, 50).slots) > 1


def test_after_idleness_a_slow_start_begins_at_its_share() -> None:
    bucket = bucket_of(3_000)
    bucket.visit(START, 1, None, 5)
    bucket.store("slow_start", 100_000)
    assert bucket.share(START + 9 * SECOND) == WHOLE
    now = START + 11 * SECOND
    slots = bucket.visit(now, 1, None, 50).slots
    assert bucket.share(now) == 100_000
    assert all(b - a == 10 * bucket.interval for a, b in pairwise(slots))


def test_a_slow_start_below_the_least_share_is_not_raised_by_a_429() -> None:
    bucket = bucket_of(3_000)
    bucket.store("slow_start", 10_000)
    bucket.visit(START, 1, None, 1)
    before = bucket.share(START)
    bucket.penalise(START, 0, 0)
    assert bucket.share(START) <= before == 10_000
