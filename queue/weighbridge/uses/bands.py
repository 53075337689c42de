"""Bands: which model takes payloads of which size, and what must hold of them before they are used.

A band takes payloads of its ``start`` tokens and more (inclusive), up to but not including its
``below`` (exclusive): with ``below = 2000`` a payload of 1,999 tokens is in, one of 2,000 is in the
next band. The bands leave no gap and do not overlap; models stand from the smallest to the largest.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import msgspec

from weighbridge.errors import SettingsError
from weighbridge.uses.families import family
from weighbridge.uses.prices import Prices
from weighbridge.uses.signals import Rule


@dataclass(frozen=True, slots=True)
class Band:
    """One model and the input tokens for which it is meant.

    Args:
        below: exclusive; None for no bound, which only the last band may have.
        start: inclusive; None for where the band before it ends, 0 for the first.
        window: the most input and output tokens together; None for what the prices know of it.
    """

    model: str
    below: int | None = None
    start: int | None = None
    window: int | None = None

    def takes(self, tokens: int) -> bool:
        """Tell whether a payload is small enough for this band."""
        return self.below is None or tokens < self.below


@dataclass(frozen=True, slots=True)
class Bands:
    """All bands, checked.

    Args:
        reference: the model that counts first; None for that of the smallest band in question.
        families: tokenizer families by model, where an operator knows better than the table.
        rules: signs of complexity.

    Raises:
        SettingsError: the bands leave a gap, overlap, or name a model that is none of theirs.
    """

    bands: tuple[Band, ...]
    reference: str | None = None
    families: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if not self.bands:
            raise SettingsError("give at least one band")
        if self.bands[0].start not in (None, 0):
            raise SettingsError(f"the first band, {self.bands[0].model!r}, must start at 0")
        for band in self.bands[:-1]:
            if band.below is None:
                raise SettingsError(f"only the last band may lack below, not {band.model!r}")
        for lower, upper in pairwise(self.bands):
            _check_neighbours(lower, upper)
        for band in self.bands:
            self._check_band(band)
        for rule in self.rules:
            self.place(rule.to, "a rule's `to`")

    def _check_band(self, band: Band) -> None:
        if band.below is not None and band.below <= (band.start or 0):
            raise SettingsError(f"the band of {band.model!r} is empty: raise its below")
        if band.window is not None and band.window < 1:
            raise SettingsError(f"the window of {band.model!r} takes a number of tokens from 1")
        if sum(other.model == band.model for other in self.bands) > 1:
            raise SettingsError(f"{band.model!r} has two bands: join them")

    def place(self, model: str, what: str) -> int:
        """Give the place of a model's band, from 0 for the smallest.

        Raises:
            SettingsError: it has none; the message names ``what`` asked for it.
        """
        models = [band.model for band in self.bands]
        if model not in models:
            raise SettingsError(f"{what} takes one of {', '.join(models)}, not {model!r}")
        return models.index(model)

    def start(self, place: int) -> int:
        """Give the tokens from which a band is meant."""
        return (self.bands[place - 1].below or 0) if place else 0

    def family(self, model: str) -> str:
        """Name a model's tokenizer family."""
        return family(model, self.families)

    def windows(self, prices: Prices | None) -> tuple[int, ...]:
        """Give each band's window, and so make sure that every model is known.

        Raises:
            UnknownPrice: prices are given and do not know a model.
            SettingsError: nobody knows a window.
        """
        if prices is not None and self.reference is not None:
            prices.facts(self.reference)
        return tuple(_window(band, prices) for band in self.bands)


def _check_neighbours(lower: Band, upper: Band) -> None:
    assert lower.below is not None  # noqa: S101 - checked before
    between = f"between the bands of {lower.model!r} and {upper.model!r}"
    if upper.start is not None and upper.start != lower.below:
        fault = "a gap" if upper.start > lower.below else "an overlap"
        raise SettingsError(f"{fault} {between}: below {lower.below:,}, start {upper.start:,}")
    if upper.below is not None and upper.below <= lower.below:
        raise SettingsError(f"{between}, below must rise: {lower.below:,}, {upper.below:,}")


def _window(band: Band, prices: Prices | None) -> int:
    known = prices.facts(band.model).window if prices else None
    window = band.window or known
    if window is None:
        raise SettingsError(f"the window of {band.model!r} is not known: set window in its band")
    return window


class _BandTable(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    below: int | None = None
    start: int | None = None
    window: int | None = None


class _RuleTable(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    tools: int = 0
    images: int = 0
    turns: int = 0
    thinking: bool = False


class _File(msgspec.Struct, forbid_unknown_fields=True):
    bands: list[_BandTable]
    reference: str | None = None
    families: dict[str, str] = {}
    raises: list[_RuleTable] = msgspec.field(name="raise", default_factory=list)


def read_bands(path: Path) -> Bands:
    """Read bands from TOML: ``[[bands]]``, ``[[raise]]``, ``[families]`` and ``reference``.

    Raises:
        SettingsError: the file cannot be read, or makes no sense.
    """
    try:
        table = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
        return Bands(
            bands=tuple(Band(**msgspec.structs.asdict(band)) for band in table.bands),
            reference=table.reference,
            families=table.families,
            rules=tuple(Rule(**msgspec.structs.asdict(rule)) for rule in table.raises),
        )
    except OSError as error:
        raise SettingsError(f"cannot read the bands file {path}: {error.strerror}") from None
    except (
        UnicodeDecodeError,
        tomllib.TOMLDecodeError,
        msgspec.ValidationError,
        SettingsError,
    ) as error:
        raise SettingsError(f"the bands file {path} makes no sense: {error}") from None
