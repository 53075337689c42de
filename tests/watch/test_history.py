"""The last minutes: rates and figures of a span, and a fleet whose members come and go."""

from typing import Any

import pytest
from support.pool_states import worker

from weighbridge.figures import WorkerFigures
from weighbridge_worker.watch.history import Fleet, History, Point


def point(at_s: float, **changes: Any) -> Point:
    """Make a look at a busy pool."""
    given: dict[str, Any] = {
        "granted": 0,
        "permitted": 600.0,
        "limit": 600,
        "interactive": 100,
        "batch": 0,
        "cache": {},
        "figures": WorkerFigures(),
    }
    return Point(at_s, **(given | changes))


def history(*points: Point) -> History:
    """Make a history."""
    made = History()
    for each in points:
        made.add(each)
    return made


def seconds(last: int, *, per_s: int = 10, **changes: Any) -> list[Point]:
    """Make a look a second, each with so many permits more."""
    return [point(float(at), granted=at * per_s, **changes) for at in range(last + 1)]


def test_one_look_tells_no_rate() -> None:
    assert history(point(5.0)).used_rpm(10) is None
    assert history(point(5.0)).columns().used == (None,)


def test_a_rate_is_that_of_the_last_ten_seconds() -> None:
    made = history(*seconds(20), point(21.0, granted=200 + 1000))
    assert made.used_rpm(10) == pytest.approx((1200 - 110) / 10 * 60)
    assert made.columns().used[20] == 600.0


def test_what_is_older_than_ten_minutes_is_forgotten() -> None:
    made = history(*seconds(700))
    assert made.columns().at_s[0] == 100.0
    assert len(made.columns().used) == len(made.columns().at_s) == 601


def test_a_limit_that_nobody_set_is_no_number() -> None:
    columns = history(point(1.0, limit=0, permitted=0.0)).columns()
    assert (columns.limit, columns.permitted) == ((None,), (None,))


@pytest.mark.parametrize(
    ("points", "share"),
    [
        (seconds(29), None),
        (seconds(30), 1.0),
        (seconds(30, per_s=5), 0.5),
        (seconds(30, per_s=5, interactive=1, batch=99), 0.5),
        ([*seconds(29), point(30.0, granted=300, interactive=99)], None),
        ([*seconds(29), point(30.0, granted=300, permitted=0.0)], None),
    ],
)
def test_a_share_is_told_where_ten_seconds_work_waited_all_the_time(
    points: list[Point], share: float | None
) -> None:
    assert history(*points).used_share() == (None if share is None else pytest.approx(share))


def test_recent_answers_are_the_difference_of_two_looks() -> None:
    made = history(
        point(0.0, cache={"hit": 5, "joined": 0, "miss": 1}),
        point(61.0, cache={"hit": 9, "joined": 1, "miss": 1}),
    )
    assert made.recent_cache(60) == {"hit": 4, "joined": 1, "miss": 0}


def did(calls: int) -> WorkerFigures:
    """Make figures of so many calls."""
    return WorkerFigures(calls={"counted": calls})


def test_a_fleet_keeps_what_a_worker_did_that_went() -> None:
    fleet = Fleet()
    assert fleet.add((worker("a", figures=did(100)),)).counted == 0
    assert fleet.add((worker("a", figures=did(130)), worker("b", figures=did(7)))).counted == 37
    assert fleet.add((worker("b", figures=did(9)),)).counted == 39
    assert fleet.add((worker("a", figures=did(131)), worker("b", figures=did(9)))).counted == 40
