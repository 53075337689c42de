"""Prices as rates, for those who price thousands of requests a second.

A request's price is its tokens times a rate that depends on its prompt's size alone, so a handful
of prices stand for all others. They are the table's own, and exact.
"""

import time
from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal

from weighbridge.uses.prices import Prices, Usage, Usd

KEPT_S = 60.0
"""Rates are looked up again after so long, because prices change at a date."""


@dataclass(frozen=True, slots=True)
class _Rates:
    """Dollars a token, of prompts up to each cliff and of those above the last."""

    cliffs: tuple[int, ...]
    steps: tuple[tuple[Decimal, Decimal], ...]
    read_at: float


class Rates:
    """Prices of input and output tokens, looked up once a model and mode."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._known: dict[tuple[str, bool], _Rates] = {}

    @property
    def version(self) -> str:
        """Where the prices come from."""
        return self._prices.version

    def usd(self, model: str, input_tokens: int, output_tokens: int = 0, *, batch: bool) -> Usd:
        """Price a request, the same as ``Prices.usd`` does.

        Raises:
            UnknownPrice: the model, or its price in a batch, is not in the table.
        """
        rates = self._rates(model, batch)
        input_usd, output_usd = rates.steps[bisect_left(rates.cliffs, input_tokens)]
        return Usd(input_usd * input_tokens, output_usd * output_tokens)

    def _rates(self, model: str, batch: bool) -> _Rates:
        known = self._known.get((model, batch))
        if known is None or time.monotonic() - known.read_at > KEPT_S:
            known = self._known[model, batch] = self._read(model, batch)
        return known

    def _read(self, model: str, batch: bool) -> _Rates:
        cliffs = self._prices.facts(model).cliffs
        steps = []
        for tokens in (1, *(cliff + 1 for cliff in cliffs)):
            price = self._prices.usd(model, Usage(tokens, 1), batch=batch)
            steps.append((price.input / tokens, price.output))
        return _Rates(cliffs, tuple(steps), time.monotonic())
