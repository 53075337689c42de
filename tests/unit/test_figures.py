"""A worker's figures: they add up, they subtract, and a newer worker's are read as far as known."""

import random

import msgspec
import pytest

from weighbridge.figures import (
    BOUNDS_S,
    NO_COUNTS,
    Durations,
    Histogram,
    WorkerFigures,
    encode_figures,
    read_figures,
    summed,
)


def of(*durations: float) -> Histogram:
    """Make the histogram of durations."""
    taken = Durations()
    for seconds in durations:
        taken.note(seconds)
    return taken.histogram()


BUSY = WorkerFigures(
    calls={"counted": 7, "throttled": 2},
    failed={"timeout": 1},
    inbox={"hit": 3, "miss": 4},
    slots_missed=1,
    penalties=1,
    wait=of(0.02, 3.0),
    call=of(0.1),
    total=of(0.2, 9000.0),
)


def test_figures_survive_their_json() -> None:
    assert read_figures(encode_figures(BUSY)) == BUSY


def test_a_worker_that_did_nothing_writes_nothing() -> None:
    assert encode_figures(WorkerFigures()) == b"{}"


@pytest.mark.parametrize(
    "text", [None, b"", b"[]", b"{", b'{"calls": 3}', b'{"wait": {"counts": [1, 2]}}', b"\xff"]
)
def test_what_is_no_figures_counts_as_none(text: bytes | None) -> None:
    assert read_figures(text) == WorkerFigures()


def test_fields_of_a_newer_worker_are_passed_over() -> None:
    tree = msgspec.json.decode(encode_figures(BUSY)) | {"teleported": 3}
    assert read_figures(msgspec.json.encode(tree)) == BUSY


def test_a_sum_less_one_of_its_parts_is_the_other() -> None:
    other = WorkerFigures(calls={"counted": 1, "failed": 5}, wait=of(0.5), total=of(1.0))
    both = summed([BUSY, other])
    assert (both.attempts, both.counted, both.rate_limited) == (15, 8, 2)
    assert both.since(BUSY) == other
    assert both.since(other) == BUSY
    assert summed([]) == WorkerFigures()


def test_a_fleet_that_lost_a_worker_shows_no_negative_numbers() -> None:
    assert WorkerFigures().since(BUSY) == WorkerFigures()


def test_a_bound_belongs_to_the_bucket_below_it() -> None:
    assert of(*BOUNDS_S).counts == (*[1] * len(BOUNDS_S), 0)
    assert of(BOUNDS_S[-1] + 1).counts == (*NO_COUNTS[1:], 1)


def test_a_quantile_is_within_its_bucket_of_the_true_one() -> None:
    seed = 20_261_125
    draw = random.Random(seed)
    durations = sorted(draw.lognormvariate(-2, 1.5) for _ in range(2000))
    histogram = of(*durations)
    for share in (0.01, 0.5, 0.9, 0.99, 1.0):
        true = durations[max(0, round(share * len(durations)) - 1)]
        guess = histogram.quantile(share)
        assert guess is not None
        bucket = of(true).counts.index(1)
        below = BOUNDS_S[bucket - 1] if bucket else 0.0
        assert below <= guess <= BOUNDS_S[bucket], (seed, share)
    assert histogram.mean_s == pytest.approx(sum(durations) / 2000)


def test_quantiles_of_nothing_and_beyond_the_last_bound() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().mean_s is None
    assert of(1e6).quantile(0.99) == BOUNDS_S[-1]
    assert of(0.004).quantile(0.0) == 0.0
