"""The chaos driver is no better than its verdict: whatever is lost, wrong or left spoils it."""

from dataclasses import replace
from typing import Any

import pytest
import redis
from chaos.payloads import expected, file_of, payload
from chaos.tally import Tally, read_tally
from chaos.verdict import Rest, Verdict, look

from weighbridge.keys import Keys
from weighbridge.payload import check_payload
from weighbridge.records import Counted, Failed


def counted(number: int, tokens: int) -> Counted:
    """Make an answer."""
    model = str(payload(number)["model"])
    return Counted(digest="d", model=model, input_tokens=tokens, source="estimate", counted_at=1)


GOOD = Verdict(
    tally=Tally(asked=1, answers=1, numbers={1}),
    rest=Rest({"leased": 0, "inbox": 0}),
    calls=1,
    over=-2.0,
    healed=True,
    storm={"kill": 3},
    exits={-9: 3},
    tracebacks=0,
    seconds=1.0,
    seed=7,
)


def test_a_run_that_kept_every_promise_is_good() -> None:
    assert GOOD.good
    assert "lost 0, wrong 0, left: nothing, keys without TTL 0, over limit 0.0" in GOOD.line()
    assert GOOD.line().endswith("seed 7")


@pytest.mark.parametrize(
    "broken",
    [
        {"tally": Tally(asked=2, answers=1, lost=[2])},
        {"tally": Tally(asked=1, answers=1, wrong=["1: 5, not 6"])},
        {"tally": Tally()},
        {"rest": Rest({"leased": 1})},
        {"rest": Rest({}, ("a key",))},
        {"over": 0.5},
        {"healed": False},
        {"tracebacks": 1},
    ],
)
def test_one_broken_promise_spoils_it(broken: dict[str, Any]) -> None:
    assert not replace(GOOD, **broken).good


def test_a_wrong_count_is_noted_and_a_failure_asked_again() -> None:
    tally = Tally()
    assert tally.note(5, counted(5, expected(5)))
    assert tally.note(6, counted(6, expected(6) + 1))
    assert not tally.note(7, Failed(code="overloaded", message="no"))
    assert [text.partition(":")[0] for text in tally.wrong] == ["6"]
    total = Tally()
    total.add(read_tally(tally.to_json()))
    total.add(tally)
    assert (total.answers, total.failures, total.numbers) == (6, {"overloaded": 2}, {5, 6})


def test_files_of_one_turn_overlap_and_those_of_the_next_bring_new_payloads() -> None:
    first, second = (set(file_of(1, producer, 0)) for producer in (0, 1))
    assert first & second
    assert first != second
    assert set(file_of(1, 0, 1)) - set(range(max(first) + 1))
    assert len({check_payload(payload(number)).body for number in range(100)}) == 100


def test_what_is_left_on_the_server_is_seen(redis_url: str) -> None:
    keys = Keys()
    assert look(redis_url).empty
    with redis.Redis.from_url(redis_url) as client:
        client.zadd(keys.later, {"digest": 1})
        client.set("forgotten", 1)
        rest = look(redis_url)
        client.flushall()
    assert not rest.empty
    assert (rest.sizes["later"], rest.leaked) == (1, ("forgotten",))
