"""Rates: the same dollars as the whole table's, in whole nanodollars a token."""

import random
from decimal import Decimal

import pytest
from genai_prices.data import providers

from weighbridge.errors import UnknownPrice
from weighbridge.uses.nano_usd import NANO
from weighbridge.uses.prices import Prices, Usage
from weighbridge.uses.rates import Rates

[ANTHROPIC] = [provider for provider in providers if provider.id == "anthropic"]


@pytest.mark.parametrize("batch", [False, True])
def test_every_model_costs_what_the_table_says(batch: bool) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    prices = Prices.load()
    rates = Rates(prices)
    priced = 0
    for model in ANTHROPIC.models:
        edges = [edge for cliff in prices.facts(model.id).cliffs for edge in (cliff, cliff + 1)]
        for tokens in [0, 1, *edges, rng.randrange(1, 1_000_000)]:
            usage = Usage(tokens, rng.randrange(0, 64_000))
            try:
                expected = prices.usd(model.id, usage, batch=batch)
            except UnknownPrice:
                with pytest.raises(UnknownPrice):
                    rates.usd(model.id, tokens, batch=batch)
                continue
            got = rates.usd(model.id, tokens, usage.output_tokens, batch=batch)
            assert got == expected, model.id
            assert expected.total * NANO == int(expected.total * NANO), "a budget keeps it exactly"
            priced += 1
    assert priced > 20


def test_an_unknown_model_has_no_rate() -> None:
    with pytest.raises(UnknownPrice, match="claude-nonsense"):
        Rates(Prices.load()).usd("claude-nonsense", 1, batch=False)


def test_a_rate_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = Prices.load()
    rates = Rates(prices)
    assert rates.usd("claude-haiku-5-5", 100_000, batch=False).total == Decimal("0.01")
    monkeypatch.setattr(prices, "usd", None)
    assert rates.usd("claude-haiku-5-5", 100_001, batch=False).total == Decimal("0.0500005")
