"""Which of several prompts weighs least: all counted together, ranked, priced.

It measures size, not quality.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from weighbridge.errors import MalformedPayload, UnknownPrice
from weighbridge.records import Counted, Lane, Outcome
from weighbridge.uses.decisions import Counts, Tally, count_together, tally
from weighbridge.uses.prices import Prices, Usage

Patch = Mapping[str, Any]
"""Top-level fields that replace the base's; None takes one out."""

FRAME: Final[Patch] = {"system": None}
"""What the base weighs without a system prompt: the frame that all variants share."""

CALLS = 1000


@dataclass(frozen=True, slots=True)
class VariantSize:
    """One variant.

    Args:
        tokens: of the whole request; None where it could not be counted.
        net: of them, what the variant adds to the frame; the provider could cache that much.
        vs_control: tokens more (or fewer) than the control's.
        vs_target: tokens over (or under) the target.
        bytes: of the system prompt's text, in UTF-8.
        usd: for a thousand calls; usd_cached: with the net part read from the cache; usd_batch: in
            a batch; each None where that price is not known.
        below_cache_minimum: whether the net part is too short to be cached at all, so that a longer
            prompt may cost less; None where the minimum is not known.
        code: why it could not be counted, or empty; the message says it for people.
    """

    name: str
    tokens: int | None = None
    net: int | None = None
    vs_control: int | None = None
    vs_target: int | None = None
    bytes: int = 0
    usd: Decimal | None = None
    usd_cached: Decimal | None = None
    usd_batch: Decimal | None = None
    below_cache_minimum: bool | None = None
    code: str = ""
    message: str = ""

    @property
    def fits(self) -> bool:
        """Whether it was counted, and is not over the target if there is one."""
        return self.tokens is not None and (self.vs_target is None or self.vs_target <= 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All variants, the most concise first, those that could not be counted last.

    Args:
        chosen: the most concise that is not over the target; None if there is none.
        frame: tokens of the base without a system prompt; None if that could not be counted.
    """

    model: str
    control: str
    target: int | None
    variants: tuple[VariantSize, ...]
    chosen: str | None
    frame: int | None
    tally: Tally
    price_version: str | None


async def compare(
    counts: Counts,
    base: Mapping[str, Any],
    variants: Mapping[str, Patch],
    *,
    target: int | None = None,
    control: str | None = None,
    prices: Prices | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Comparison:
    """Count n variants and their common frame: n + 1 counts, all at once.

    Args:
        base: a request body; each variant is laid over it.
        variants: patches by name, such as ``{"short": {"system": "Answer in one word."}}``.
        target: tokens that the whole request may have.
        control: the variant that the others are held against; the first by default.
        prices: for dollars a thousand calls.

    Raises:
        MalformedPayload: there are no variants, or none is called as the control.
        UnknownPrice: the model has no price, and one was asked for.
        QueueUnreachable: the server does not answer.
    """
    if not variants or (control is not None and control not in variants):
        raise MalformedPayload(f"there is no variant {control!r} among {list(variants)}")
    model = str(base.get("model", ""))
    if prices is not None:
        prices.facts(model)
    bodies = {name: _patched(base, patch) for name, patch in variants.items()}
    outcomes = await count_together(counts, [_patched(base, FRAME), *bodies.values()], lane)
    frame, *sizes = outcomes
    held_against = control or next(iter(variants))
    rows = [
        _row(name, bodies[name], outcome) for name, outcome in zip(variants, sizes, strict=True)
    ]
    standard = next(row.tokens for row in rows if row.name == held_against)
    context = _Context(_tokens(frame), standard, target, model, prices)
    ranked = sorted((context.complete(row) for row in rows), key=_rank)
    return Comparison(
        model=model,
        control=held_against,
        target=target,
        variants=tuple(ranked),
        chosen=next((row.name for row in ranked if row.fits), None),
        frame=_tokens(frame),
        tally=tally(outcomes),
        price_version=prices.version if prices else None,
    )


def _patched(base: Mapping[str, Any], patch: Patch) -> dict[str, Any]:
    merged = {**base, **patch}
    return {name: value for name, value in merged.items() if value is not None}


def _tokens(outcome: Outcome) -> int | None:
    return outcome.input_tokens if isinstance(outcome, Counted) else None


def _row(name: str, body: Mapping[str, Any], outcome: Outcome) -> VariantSize:
    size = len(_text(body.get("system")).encode())
    if isinstance(outcome, Counted):
        return VariantSize(name, tokens=outcome.input_tokens, bytes=size)
    return VariantSize(name, bytes=size, code=outcome.code, message=outcome.message)


def _text(system: object) -> str:
    if isinstance(system, str):
        return system
    blocks = system if isinstance(system, list) else []
    return "".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def _rank(row: VariantSize) -> tuple[bool, int, str]:
    return (row.tokens is None, row.tokens or 0, row.name)


@dataclass(frozen=True, slots=True)
class _Context:
    """What a variant is held against."""

    frame: int | None
    standard: int | None
    target: int | None
    model: str
    prices: Prices | None

    def complete(self, row: VariantSize) -> VariantSize:
        """Add differences and dollars."""
        if row.tokens is None:
            return row
        net = None if self.frame is None else row.tokens - self.frame
        return replace(
            row,
            net=net,
            vs_control=None if self.standard is None else row.tokens - self.standard,
            vs_target=None if self.target is None else row.tokens - self.target,
            usd=self._usd(Usage(row.tokens)),
            usd_cached=None if net is None else self._cached(row.tokens, max(0, net)),
            usd_batch=self._usd(Usage(row.tokens), batch=True),
            below_cache_minimum=None if net is None else self._below_minimum(net),
        )

    def _usd(self, usage: Usage, *, batch: bool = False) -> Decimal | None:
        if self.prices is None:
            return None
        try:
            return self.prices.usd(self.model, usage, batch=batch).input * CALLS
        except UnknownPrice:
            return None

    def _cached(self, tokens: int, net: int) -> Decimal | None:
        """Price the calls after the first; a part below the minimum is not cached."""
        read = 0 if self._below_minimum(net) else net
        return self._usd(Usage(tokens, cache_read=read))

    def _below_minimum(self, net: int) -> bool | None:
        minimum = self.prices.facts(self.model).cache_minimum if self.prices else None
        return None if minimum is None else net < minimum
