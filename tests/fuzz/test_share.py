"""A small share of ``make fuzz``: no input makes the readers raise what is not an error of ours."""

from fuzz import misbehaving
from fuzz.run import Report, try_all, try_share

SEED = 20_261_125


def test_no_input_of_a_small_share_crashes() -> None:
    report = try_share(SEED, range(3_000))
    print(f"seed {SEED}")
    assert report.faults == []
    assert report.accepted > 300, "mutations that only break teach nothing"


def test_shares_add_up_over_processes() -> None:
    alone = try_share(SEED, range(200))
    together = try_all(SEED, 200, 2)
    assert (together.tried, together.accepted, together.faults) == (200, alone.accepted, [])


def test_the_slowest_of_all_shares_is_named() -> None:
    report = Report(slowest_s=1.0, slowest=7)
    report.add(Report(slowest_s=2.0, slowest=9))
    assert (report.slowest_s, report.slowest) == (2.0, 9)


def test_a_hang_is_seen_and_its_input_named() -> None:
    assert try_all(SEED, 10, 1, work=misbehaving.hang, hang_s=0.2).faults == ["hang at 2"]


def test_a_dead_interpreter_is_seen_and_its_input_named() -> None:
    report = try_all(SEED, 10, 2, work=misbehaving.die)
    assert sorted(report.faults) == ["the process died (3) at 2", "the process died (3) at 3"]
