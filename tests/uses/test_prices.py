"""Dollars: as genai-prices has them, an operator's own over them, and never a guess."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage as Priced
from genai_prices import calc_price

from weighbridge.errors import SettingsError, UnknownPrice
from weighbridge.uses.prices import ModelFacts, Prices, Usage

OWN = """
[models.claude-next]
input = 2.00
output = 10.00
cache_read = 0.20
batch = 0.5
window = 500_000
cache_minimum = 2048

[[models.claude-next.above]]
tokens = 1000
input = 4.00
output = 20.00
"""


@pytest.fixture(scope="module")
def prices() -> Prices:
    """Return the bundled table."""
    return Prices.load()


@pytest.fixture
def own(tmp_path: Path) -> Prices:
    """Return the table with a model of an operator's."""
    path = tmp_path / "prices.toml"
    path.write_text(OWN)
    return Prices.load(path)


CASES: list[tuple[str, dict[str, int], bool]] = [
    *[
        ("claude-haiku-5-5", {"input_tokens": n}, b)
        for n in (100_000, 100_001)
        for b in (False, True)
    ],
    *[
        ("claude-sonnet-4-5", {"input_tokens": n, "output_tokens": 7}, False)
        for n in (200_000, 200_001)
    ],
    ("claude-haiku-5-5", {"input_tokens": 100_001, "output_tokens": 500}, False),
    ("claude-haiku-5-5", {"input_tokens": 0}, False),
    ("claude-haiku-4-5", {"input_tokens": 1}, False),
    ("claude-haiku-4-5-20251001", {"input_tokens": 123_456, "output_tokens": 78}, True),
    ("claude-sonnet-5-5", {"input_tokens": 1_000_000, "output_tokens": 64_000}, False),
    ("claude-sonnet-5-5", {"input_tokens": 5_000, "cache_read": 4_000}, False),
    ("claude-sonnet-5-5", {"input_tokens": 5_000, "cache_read": 4_000, "cache_write": 500}, True),
    (
        "claude-sonnet-5-5",
        {"input_tokens": 5_000, "cache_write": 500, "cache_write_1h": 300},
        False,
    ),
    ("claude-sonnet-5", {"input_tokens": 10, "output_tokens": 10}, False),
    ("claude-opus-5-5", {"input_tokens": 9_999, "output_tokens": 1}, True),
    ("claude-opus-5-5", {"input_tokens": 9_999, "cache_read": 9_999}, False),
    ("claude-opus-5", {"input_tokens": 9_999, "cache_write_1h": 9_999}, False),
    ("claude-opus-4-8", {"input_tokens": 31, "output_tokens": 17}, False),
    ("claude-fable-5-2", {"input_tokens": 77, "cache_read": 70}, False),
]


@pytest.mark.parametrize(("model", "usage", "batch"), CASES)
def test_dollars_are_those_of_genai_prices(
    prices: Prices, model: str, usage: dict[str, int], batch: bool
) -> None:
    tokens = Priced(
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens", 0),
        cache_read_tokens=usage.get("cache_read", 0),
        cache_write_tokens=usage.get("cache_write", 0) + usage.get("cache_write_1h", 0),
        cache_write_1h_tokens=usage.get("cache_write_1h", 0),
    )
    context: Any = {"processing": "batch"} if batch else None
    expected = calc_price(tokens, model, provider_id="anthropic", price_context=context)
    price = prices.usd(model, Usage(**usage), batch=batch)
    assert (price.input, price.output) == (expected.input_price, expected.output_price)


def test_the_cases_are_twenty_at_least() -> None:
    assert len(CASES) >= 20


def test_one_token_over_the_cliff_makes_the_whole_request_five_times_as_dear(
    prices: Prices,
) -> None:
    assert prices.usd("claude-haiku-5-5", Usage(100_000)).total == Decimal("0.01")
    assert prices.usd("claude-haiku-5-5", Usage(100_001)).total == Decimal("0.0500005")
    assert prices.facts("claude-haiku-5-5").cliffs == (100_000,)


def test_windows_and_cliffs_are_known(prices: Prices) -> None:
    assert prices.facts("claude-sonnet-4-5") == ModelFacts(
        "claude-sonnet-4-5", 200_000, (200_000,), 1024
    )
    assert prices.facts("claude-opus-5-5").window == 1_000_000


def test_an_unknown_model_is_an_error_that_says_what_to_do(prices: Prices) -> None:
    with pytest.raises(UnknownPrice, match="'claude-nonsense'; name it in a prices file"):
        prices.usd("claude-nonsense", Usage(1))
    with pytest.raises(UnknownPrice):
        prices.facts("claude-nonsense")


def test_a_batch_price_that_is_not_known_is_not_guessed(prices: Prices) -> None:
    assert prices.usd("claude-opus-4-1", Usage(1)).total > 0
    with pytest.raises(UnknownPrice, match="no batch price"):
        prices.usd("claude-opus-4-1", Usage(1), batch=True)


def test_an_operators_own_model_has_cliffs_cache_and_batch(own: Prices) -> None:
    assert own.usd("claude-next", Usage(1000, 10)).total == Decimal("0.0021")
    assert own.usd("claude-next", Usage(1001, 10)).total == Decimal("0.004204")
    assert own.usd("claude-next", Usage(1000, 10), batch=True).total == Decimal("0.00105")
    assert own.usd("claude-next", Usage(1000, cache_read=900)).total == Decimal("0.00038")
    assert own.facts("claude-next") == ModelFacts("claude-next", 500_000, (1000,), 2048)


def test_an_own_file_leaves_the_others_as_they_are_and_names_itself(
    own: Prices, prices: Prices
) -> None:
    assert own.usd("claude-opus-5-5", Usage(3)) == prices.usd("claude-opus-5-5", Usage(3))
    assert prices.version.startswith("genai-prices ")
    assert own.version.startswith(prices.version + " + prices.toml ")


@pytest.mark.parametrize(
    "text",
    [
        "[models",
        "[models.x]\ninput = 1",
        "[models.x]\ninput = 1\noutput = 'a lot'",
        "[models.x]\ninput = 1\noutput = 2\ncache = 3",
        "models = 3",
    ],
)
def test_an_own_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"prices\.toml makes no sense"):
        Prices.load(path)


def test_an_own_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read the prices file"):
        Prices.load(tmp_path / "prices.toml")
