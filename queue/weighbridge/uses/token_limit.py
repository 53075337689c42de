"""A budget in tokens and one in dollars, as one limit in tokens."""

from bisect import bisect_right
from decimal import Decimal

from weighbridge.errors import SettingsError
from weighbridge.uses.prices import Prices, Usage

MOST = 2**31
"""Tokens beyond which no limit is looked for."""


def token_limit(
    model: str,
    *,
    max_input_tokens: int | None,
    max_usd: Decimal | None,
    reserve_output: int,
    prices: Prices | None,
) -> int:
    """Give the most input tokens that keep to both budgets, with room for the answer in both.

    Raises:
        SettingsError: no budget is given, one cannot be kept by any request, or prices lack.
        UnknownPrice: the model has no price.
    """
    if max_input_tokens is None and max_usd is None:
        raise SettingsError("give a budget: max_input_tokens, max_usd, or both")
    if reserve_output < 0:
        raise SettingsError("reserve_output takes a number of tokens from 0")
    limits = []
    if max_input_tokens is not None:
        limits.append(max_input_tokens - reserve_output)
        if limits[0] < 1:
            raise SettingsError(
                f"max_input_tokens {max_input_tokens:,} less reserve_output {reserve_output:,}"
                " leaves no input: raise the one or lower the other"
            )
    if max_usd is not None:
        if prices is None:
            raise SettingsError("a budget in USD needs prices: pass prices=Prices.load()")
        limits.append(affordable_tokens(prices, model, max_usd, reserve_output))
    return min(limits)


def affordable_tokens(prices: Prices, model: str, max_usd: Decimal, output_tokens: int = 0) -> int:
    """Give the most input tokens up to which every request costs at most ``max_usd``.

    Between two price cliffs the price rises with the tokens, so the search goes from cliff to
    cliff. 0 means that no request is that cheap.

    Raises:
        UnknownPrice: the model has no price.
    """

    def usd(tokens: int) -> Decimal:
        return prices.usd(model, Usage(tokens, output_tokens)).total

    start = 1
    for stop in (*prices.facts(model).cliffs, MOST):
        within = bisect_right(range(start, stop + 1), max_usd, key=usd)
        if start + within <= stop:
            return start + within - 1
        start = stop + 1
    return MOST
