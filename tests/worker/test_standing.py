"""How long a worker stays away, and what brings it back."""

import pytest

from weighbridge_worker.standing import Bar, Standing


class Clock:
    """A loop's clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("weighbridge_worker.standing.loop_time", lambda: self.now)


@pytest.mark.parametrize(
    ("why", "rests"),
    [
        ("failing_alone", [1, 2, 4, 8, 16, 32, 60, 60]),
        ("key_refused", [10, 20, 40, 80, 160, 300, 300, 300]),
    ],
)
def test_probes_grow_rare(monkeypatch: pytest.MonkeyPatch, why: Bar, rests: list[float]) -> None:
    clock, standing = Clock(monkeypatch), Standing()
    found = []
    for _ in rests:
        standing.bar(why)
        found.append(standing.rest_s())
        clock.now += standing.rest_s()
    assert found == rests
    assert standing.state == why


def test_a_failure_from_before_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, standing = Clock(monkeypatch), Standing()
    assert standing.bar("failing_alone")
    clock.now += 0.5
    assert not standing.bar("failing_alone")
    assert standing.rest_s() == 0.5


def test_who_comes_back_does_so_at_once_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, standing = Clock(monkeypatch), Standing()
    standing.bar("failing_alone")
    clock.now += 1
    standing.bar("failing_alone")
    assert standing.unbar("failing_alone")
    assert (standing.state, standing.rest_s()) == ("taking", 0)
    assert standing.bar("failing_alone")
    assert standing.rest_s() == 1


def test_an_answer_to_one_reason_does_not_lift_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    standing = Standing()
    standing.bar("key_refused")
    assert not standing.unbar("failing_alone")
    assert standing.state == "key_refused"
