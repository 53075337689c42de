"""Dollars as whole nanodollars, exact in Redis and in Lua.

A nanodollar is one token at $0.001 a million, so rates in whole thousandths of a dollar a million
make whole amounts. What is finer is rounded up: never is too little reserved.
"""

from decimal import ROUND_CEILING, Decimal

from weighbridge.errors import SettingsError

NANO = 1_000_000_000

MOST_USD = 1_000_000
"""The largest budget: sums of several lie below 2**53, up to where Lua's numbers are exact."""


def to_nano(usd: Decimal) -> int:
    """Turn dollars into nanodollars, rounded up; what no budget could hold becomes one too many."""
    return min(int((usd * NANO).to_integral_value(rounding=ROUND_CEILING)), MOST_USD * NANO + 1)


def from_nano(nano: int) -> Decimal:
    """Turn nanodollars into dollars."""
    return Decimal(nano) / NANO


def check_usd(usd: Decimal, name: str) -> Decimal:
    """Check a limit in dollars; ``name`` is how the caller calls it.

    Raises:
        SettingsError: it is negative, no number, or more than ``MOST_USD``.
    """
    if not usd.is_finite() or not 0 <= usd <= MOST_USD:
        raise SettingsError(f"{name} takes dollars from 0 to {MOST_USD:,}, not {usd}")
    return usd
