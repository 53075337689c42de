"""The record of a routing: where a payload goes, why, and what was looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from weighbridge.records import Counted, Failed, NotCountable, Source
from weighbridge.uses.banding import Found, Verdict, Wish
from weighbridge.uses.decisions import Tally, tally
from weighbridge.uses.prices import Prices, Usage

Status = Literal["routed", "nothing_fits", "not_countable", "failed"]
Cause = Literal["floor", "complexity", "window", "recount", "not_counted"]


@dataclass(frozen=True, slots=True)
class Considered:
    """A band as it was looked at.

    Args:
        input_tokens: by this model's tokenizer, counted with ``counted_with``; None if not known.
        usd: of input and reserved output; None where the tokens or the prices are not known.
    """

    model: str
    verdict: Verdict
    input_tokens: int | None
    counted_with: str | None
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Where a payload goes.

    Args:
        status: ``routed``; ``nothing_fits`` if no band holds it; ``not_countable`` or ``failed`` if
            a count could not be had, with ``code`` and ``message``.
        model: the chosen one; None unless routed.
        by_size: the model that the first count alone would have chosen; None if none.
        escalated: why it went above that, in the order in which it happened.
        input_tokens: what decided, counted with ``counted_with``.
        same_tokenizer: whether that is the chosen model's tokenizer; False only where a third
            tokenizer would have taken a third call.
        max_output: tokens of the window that were kept for the answer.
        reason: a sentence for people.
    """

    status: Status
    model: str | None
    by_size: str | None
    escalated: tuple[Cause, ...]
    input_tokens: int | None
    counted_with: str | None
    same_tokenizer: bool
    max_output: int
    usd: Decimal | None
    reason: str
    considered: tuple[Considered, ...]
    source: Source | None
    tally: Tally
    price_version: str | None
    code: str | None = None
    message: str | None = None


def decision(found: Found, wish: Wish, prices: Prices | None) -> RouteDecision:
    """Record what a walk has found."""
    considered = tuple(_considered(found, wish, prices))
    chosen = None if found.place is None else considered[found.place]
    decided_by = found.decided_by()
    failure = found.failure if isinstance(found.failure, Failed | NotCountable) else None
    by_size = found.by_size()
    return RouteDecision(
        status=_status(found),
        model=chosen.model if chosen else None,
        by_size=None if by_size is None else considered[by_size].model,
        escalated=tuple(_causes(found, wish, by_size)),
        input_tokens=decided_by.input_tokens if decided_by else None,
        counted_with=found.name_of(decided_by),
        same_tokenizer=chosen is not None and chosen.input_tokens is not None,
        max_output=wish.max_output,
        usd=chosen.usd if chosen else None,
        reason=_reason(found, wish, decided_by),
        considered=considered,
        source=decided_by.source if decided_by else None,
        tally=tally(found.outcomes.values()),
        price_version=prices.version if prices else None,
        code=failure.code if failure else None,
        message=failure.message if failure else None,
    )


def _considered(found: Found, wish: Wish, prices: Prices | None) -> Iterator[Considered]:
    for place, band in enumerate(found.bands.bands):
        counted = found.counted(band.model)
        tokens = counted.input_tokens if counted else None
        usd = None
        if tokens is not None and prices is not None:
            usd = prices.usd(band.model, Usage(tokens, wish.max_output)).total
        verdict = found.verdicts.get(place, "not_needed")
        yield Considered(band.model, verdict, tokens, found.name_of(counted), usd)


def _status(found: Found) -> Status:
    if isinstance(found.failure, NotCountable):
        return "not_countable"
    if found.failure is not None:
        return "failed"
    return "nothing_fits" if found.place is None else "routed"


def _causes(found: Found, wish: Wish, by_size: int | None) -> Iterator[Cause]:
    """Tell what took the decision above the band of its size."""
    if by_size is None:
        return
    if found.place is not None and found.place <= by_size:
        return
    if wish.floor > by_size:
        yield "floor"
    if wish.least > max(by_size, wish.floor):
        yield "complexity"
    passed = [found.verdicts[place] for place in sorted(found.verdicts) if place >= by_size]
    if "window_exceeded" in passed:
        yield "window"
    if "too_small" in passed:
        yield "recount"
    if "not_counted" in passed:
        yield "not_counted"


def _reason(found: Found, wish: Wish, decided_by: Counted | None) -> str:
    failure = found.failure
    if isinstance(failure, Failed | NotCountable):
        return f"no count: {failure.message}"
    assert decided_by is not None  # noqa: S101 - a walk without a failure has a count
    size = f"{'~' if decided_by.source == 'estimate' else ''}{decided_by.input_tokens:,} tokens"
    if found.place is None:
        return f"{size} and {wish.max_output:,} for the answer fit no band"
    band = found.bands.bands[found.place]
    bound = f"below {band.below:,}" if band.below is not None else "within the last band"
    start = found.bands.start(found.place)
    raised = "" if decided_by.input_tokens >= start else f", raised from below {start:,}"
    return f"{size}: {bound}{raised}"
