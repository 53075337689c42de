"""What tokens cost in US dollars: genai-prices' bundled data, and an operator's own file over it.

Nothing is fetched and nothing is guessed: a model or a processing mode without a price is an error.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weighbridge.errors import SettingsError, UnknownPrice

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, TieredPrices

PROVIDER = "anthropic"

CACHE_MINIMA = {
    **dict.fromkeys(("claude-opus-4-5", "claude-opus-4-6", "claude-opus-4-7"), 4096),
    "claude-haiku-4-5": 4096,
    **dict.fromkeys(("claude-opus-4-0", "claude-opus-4-1", "claude-sonnet-4-0"), 1024),
    **dict.fromkeys(("claude-sonnet-4-5", "claude-sonnet-4-6"), 1024),
    "claude-haiku-5-5": 512,
}
"""Tokens (https://platform.claude.com/docs/en/build-with-claude/prompt-caching); genai-prices does
not hold them. A model that is not here has a minimum that we do not know."""

BATCH = {"processing": "batch"}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request.

    Args:
        input_tokens: all of the prompt, what is read from and written to the cache included.
        cache_write: written for five minutes; cache_write_1h: for an hour, on top.
    """

    input_tokens: int
    output_tokens: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0


@dataclass(frozen=True, slots=True)
class Usd:
    """What a request costs, in exact dollars."""

    input: Decimal
    output: Decimal

    @property
    def total(self) -> Decimal:
        """Input and output."""
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the price data know of a model.

    Args:
        window: the most input tokens it takes; None if unknown.
        cliffs: prompt sizes above which the whole request costs another price, ascending.
        cache_minimum: the fewest tokens of a prefix that the provider caches; None if unknown.
    """

    model: str
    window: int | None
    cliffs: tuple[int, ...]
    cache_minimum: int | None


class _Rates(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """USD per million tokens."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None


class _Above(_Rates):
    """The rates of the whole request when its prompt is larger than ``tokens``."""

    tokens: int


class _OwnModel(_Rates):
    """One model of an operator's file; ``batch`` is the share of these rates in a batch."""

    batch: Decimal | None = None
    window: int | None = None
    cache_minimum: int | None = None
    above: list[_Above] = []


class _OwnPrices(msgspec.Struct, forbid_unknown_fields=True):
    models: dict[str, _OwnModel]


class Prices:
    """A table of prices.

    Args:
        version: where the table comes from, for the record of every decision.
    """

    def __init__(
        self, snapshot: "DataSnapshot", version: str, cache_minima: Mapping[str, int]
    ) -> None:
        self._snapshot = snapshot
        self._cache_minima = cache_minima
        self.version = version

    @classmethod
    def load(cls, own: Path | None = None) -> "Prices":
        """Read the bundled table and lay an operator's own over it.

        Args:
            own: TOML, a table ``[models."<name>"]`` each: USD per million tokens ``input``,
                ``output``, optional ``cache_read``, ``cache_write``, ``cache_write_1h``, ``batch``
                (a share), ``window``, ``cache_minimum``, and ``[[models."<name>".above]]`` with
                ``tokens`` and rates.

        Raises:
            SettingsError: genai-prices is not installed, or the file makes no sense.
        """
        try:
            from genai_prices.data import providers  # noqa: PLC0415 - half a second, only for money
            from genai_prices.data_snapshot import DataSnapshot  # noqa: PLC0415
        except ImportError:
            raise SettingsError(
                "prices need one package more: pip install 'weighbridge[prices]'"
            ) from None
        [bundled] = [provider for provider in providers if provider.id == PROVIDER]
        table = f"genai-prices {version('genai-prices')}"
        models, cache_minima = list(bundled.models), dict(CACHE_MINIMA)
        if own is not None:
            text, given = _read_own(own)
            models = [_model(name, rates) for name, rates in given.models.items()] + models
            table += f" + {own.name} {hashlib.sha256(text).hexdigest()[:8]}"
            for name, rates in given.models.items():
                if rates.cache_minimum is not None:
                    cache_minima[name] = rates.cache_minimum
        snapshot = DataSnapshot([replace(bundled, models=models)], from_auto_update=False)
        return cls(snapshot, table, cache_minima)

    def usd(self, model: str, usage: Usage, *, batch: bool = False) -> Usd:
        """Price a request.

        Raises:
            UnknownPrice: the model, or its price in a batch, is not in the table.
        """
        from genai_prices import Usage as Priced  # noqa: PLC0415

        found, now = self._find(model), datetime.now(UTC)
        if batch and not _has_batch_price(found, now):
            raise UnknownPrice(f"no batch price is known for the model {model!r}; {_REMEDY}")
        tokens = Priced(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write + usage.cache_write_1h,
            cache_write_1h_tokens=usage.cache_write_1h,
        )
        price = found.get_prices(now, BATCH if batch else None).calc_price(tokens)
        return Usd(price["input_price"], price["output_price"])

    def facts(self, model: str) -> ModelFacts:
        """Tell a model's window and price cliffs.

        Raises:
            UnknownPrice: the model is not in the table.
        """
        found = self._find(model)
        price = found.get_prices(datetime.now(UTC)).input_mtok
        tiers = getattr(price, "tiers", [])
        return ModelFacts(
            found.id,
            found.context_window,
            tuple(tier.start for tier in tiers),
            self._cache_minima.get(found.id),
        )

    def _find(self, model: str) -> "ModelInfo":
        try:
            _, found = self._snapshot.find_provider_model(model, None, PROVIDER, None)
        except LookupError:
            raise UnknownPrice(f"no price is known for the model {model!r}; {_REMEDY}") from None
        return found


_REMEDY = "name it in a prices file (--prices FILE), or update the package genai-prices"


def _has_batch_price(model: "ModelInfo", now: datetime) -> bool:
    return any(
        variant.when == BATCH and (variant.constraint is None or variant.constraint.active(now))
        for variant in model.price_variants or ()
    )


def _read_own(path: Path) -> tuple[bytes, _OwnPrices]:
    try:
        text = path.read_bytes()
        table = tomllib.loads(text.decode(), parse_float=Decimal)
        return text, msgspec.convert(table, _OwnPrices)
    except OSError as error:
        raise SettingsError(f"cannot read the prices file {path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"the prices file {path} makes no sense: {error}") from None


def _model(name: str, own: _OwnModel) -> "ModelInfo":
    from genai_prices.types import ClauseEquals, ModelInfo  # noqa: PLC0415

    return ModelInfo(
        id=name,
        match=ClauseEquals(equals=name.lower()),
        context_window=own.window,
        prices=_rates(own, Decimal(1)),
        price_variants=_batch_variants(own),
    )


def _batch_variants(own: _OwnModel) -> "list[PriceVariant]":
    from genai_prices.types import PriceVariant  # noqa: PLC0415

    if own.batch is None:
        return []
    return [PriceVariant(when=dict(BATCH), prices=_rates(own, own.batch))]


def _rates(own: _OwnModel, share: Decimal) -> "ModelPrice":
    from genai_prices.types import ModelPrice  # noqa: PLC0415

    names = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    return ModelPrice(
        **{f"{name}_mtok": tiers for name in names if (tiers := _tiers(own, name, share))}
    )


def _tiers(own: _OwnModel, name: str, share: Decimal) -> "TieredPrices | None":
    """Give one rate with its cliffs; a cliff that does not name it keeps the rate below."""
    from genai_prices.types import Tier, TieredPrices  # noqa: PLC0415

    base: Decimal | None = getattr(own, name)
    if base is None:
        return None
    tiers = [
        Tier(start=above.tokens, price=(getattr(above, name) or base) * share)
        for above in own.above
    ]
    return TieredPrices(base=base * share, tiers=tiers)
