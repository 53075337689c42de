"""The verdict: what matters most comes first, in plain words, under a code that stays."""

from typing import Any

import pytest
from support.pool_states import WELL, pool, worker

from weighbridge.admin import PoolState
from weighbridge.bucket import FAILING
from weighbridge_worker.watch.verdict import Level, Trend, describe_span, judge, permitted_rpm

QUIET = Trend()


@pytest.mark.parametrize(
    ("state", "code", "level", "words"),
    [
        (WELL, "well", Level.WELL, "Well: idle, nothing waits."),
        (pool(batch=1), "well", Level.WELL, "1 job under way, about 1 s of work"),
        (pool(batch=30_000), "well", Level.WELL, "30,000 jobs under way, about 5 min of work"),
        (pool(workers=()), "no_worker", Level.ATTENTION, "No worker runs, and nothing waits."),
        (pool(workers=(), inbox=2), "no_worker", Level.TROUBLE, "No worker runs, and 2 jobs wait."),
        (pool({"paused": True}), "paused", Level.HELD, "Held: an operator paused the fleet"),
        (pool({"blocked_s": 12.0}), "penalty", Level.HELD, "Held for 12 s more"),
        (pool({"hold": FAILING}), "failing", Level.TROUBLE, "most calls to the endpoint fail"),
        (
            pool({"hold": "enforced_spend_limit_reached"}),
            "on_hold",
            Level.TROUBLE,
            "Held: the organisation's spend limit is reached.",
        ),
        (
            pool(workers=(worker(state="key_refused"),)),
            "keys_refused",
            Level.TROUBLE,
            "refuses the key of every worker",
        ),
        (
            pool(workers=(worker("a", "key_refused"), worker("b"))),
            "key_refused",
            Level.ATTENTION,
            "1 of 2 workers",
        ),
        (
            pool(workers=(worker("a", "failing_alone"), worker("b"))),
            "failing_alone",
            Level.ATTENTION,
            "1 of 2",
        ),
        (pool(workers=(worker(state="sitting_out"),)), "sitting_out", Level.ATTENTION, "1 of 1"),
        (pool(dead=9, dead_recent={"timeout": 9}), "well", Level.WELL, "Well"),
        (
            pool(dead=12, dead_recent={"poison": 2, "timeout": 10}),
            "dead_growing",
            Level.ATTENTION,
            "growing: 12 in the last five minutes, most of them timeout.",
        ),
        (pool({"share": 0.5}), "well", Level.WELL, "idle"),
        (pool({"share": 0.5}, batch=9), "slowed", Level.ATTENTION, "Slowed to 50% of the limit"),
        (pool({"seen_rpm": 600}, batch=9), "slowed", Level.ATTENTION, "Slowed to 10%"),
    ],
)
def test_a_state_has_a_verdict(state: PoolState, code: str, level: Level, words: str) -> None:
    verdict = judge(state, QUIET)
    assert (verdict.code, verdict.level) == (code, level)
    assert words in verdict.text
    assert verdict.further == ()


@pytest.mark.parametrize(
    ("trend", "codes"),
    [
        (Trend(used_share=0.69), ["underused"]),
        (Trend(used_share=0.71), ["well"]),
        (Trend(max_queue=100), ["nearly_full"]),
        (Trend(max_queue=1000), ["well"]),
        (Trend(used_share=0.1, max_queue=100), ["nearly_full", "underused"]),
    ],
)
def test_a_trend_tells_what_one_look_does_not(trend: Trend, codes: list[str]) -> None:
    verdict = judge(pool(batch=95), trend)
    assert [verdict.code, *(finding.code for finding in verdict.further)] == codes


def test_the_worst_comes_first_and_nothing_is_left_out() -> None:
    state = pool(
        {"paused": True, "blocked_s": 3.0}, workers=(), batch=4, dead=20, dead_recent={"lost": 20}
    )
    verdict = judge(state, Trend(used_share=0.1))
    codes = [verdict.code, *(finding.code for finding in verdict.further)]
    assert codes == ["no_worker", "paused", "penalty", "dead_growing"]
    assert verdict.further[2].text.endswith("20 in the last five minutes, all lost.")


@pytest.mark.parametrize(
    ("limit", "permitted"),
    [
        ({}, 6000),
        ({"share": 0.5}, 3000),
        ({"seen_rpm": 600}, 600),
        ({"seen_rpm": 5000, "share": 0.5}, 3000),
        ({"paused": True}, 0),
        ({"hold": FAILING}, 0),
        ({"blocked_s": 0.5}, 0),
        ({"rpm": 0}, 0),
    ],
)
def test_what_is_permitted_now(limit: dict[str, Any], permitted: float) -> None:
    assert permitted_rpm(pool(limit).limit) == permitted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (89, "89 s"), (90, "2 min"), (5300, "88 min"), (7200, "2 h")],
)
def test_a_span_is_told_as_roughly_as_it_is_known(seconds: float, words: str) -> None:
    assert describe_span(seconds) == words
