"""How decisions say what their counts cost, and how they are written."""

from dataclasses import dataclass
from decimal import Decimal

from weighbridge.records import CacheUse, Counted, Failed, NotCountable, Source
from weighbridge.uses.decisions import Tally, tally, to_json


def counted(cache: CacheUse, source: Source = "api") -> Counted:
    return Counted(digest="d", model="m", input_tokens=3, source=source, counted_at=1, cache=cache)


def test_a_tally_tells_calls_from_hits_and_joins() -> None:
    outcomes = [counted("miss"), counted("hit"), counted("hit"), counted("joined")]
    failed = Failed(code="x", message="y", cache="miss")
    refused = NotCountable(code="not_countable", message="z")
    assert tally([*outcomes, failed, refused]) == Tally(6, 1, 2, estimated=False)


def test_one_estimate_makes_the_whole_an_estimate() -> None:
    assert tally([counted("hit", "estimate"), counted("miss")]).estimated
    assert (Tally() + tally([counted("miss", "estimate")])).estimated
    assert Tally(1, 1, 0) + Tally(2, 0, 2) == Tally(3, 1, 2)


def test_dollars_travel_as_exact_text() -> None:
    @dataclass(frozen=True)
    class Decision:
        usd: Decimal
        fits: bool

    text = to_json(Decision(Decimal("0.0500005"), fits=True))
    assert text == b'{"usd":"0.0500005","fits":true}'
