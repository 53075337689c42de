"""Dollars by model of what a file holds: as single requests, and in a batch."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from weighbridge.errors import SettingsError, UnknownPrice
from weighbridge.uses.prices import Prices, Usage


@dataclass(frozen=True, slots=True)
class Bill:
    """What input costs; None where the price is not known.

    Args:
        plain: as single requests; batch: in a batch.
    """

    plain: Decimal | None = Decimal(0)
    batch: Decimal | None = Decimal(0)

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(_sum(self.plain, other.plain), _sum(self.batch, other.batch))


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


class Till:
    """Prices payloads one by one, for each meets its own cliffs."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._bills: dict[str, Bill] = {}

    @classmethod
    def open(cls, own: Path | None) -> "Till | None":
        """Load the prices; None where none are installed and none were asked for.

        Raises:
            SettingsError: the operator's own file makes no sense.
        """
        try:
            return cls(Prices.load(own))
        except SettingsError:
            if own is not None:
                raise
            return None

    @property
    def version(self) -> str:
        """Where the prices come from."""
        return self._prices.version

    def add(self, model: str, tokens: int) -> None:
        """Add one payload's input to its model's bill."""
        price = Bill(self._price(model, tokens), self._price(model, tokens, batch=True))
        self._bills[model] = self._bills.get(model, Bill()) + price

    def bill(self, model: str) -> Bill:
        """Give a model's bill."""
        return self._bills.get(model, Bill())

    @property
    def total(self) -> Bill:
        """All models, those without a price left aside."""
        known = Bill()
        for bill in self._bills.values():
            known += Bill(bill.plain or Decimal(0), bill.batch or Decimal(0))
        return known

    def _price(self, model: str, tokens: int, *, batch: bool = False) -> Decimal | None:
        try:
            return self._prices.usd(model, Usage(tokens), batch=batch).input
        except UnknownPrice:
            return None
