"""What a guard is asked, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from weighbridge.errors import SettingsError
from weighbridge.preparation import RawPayload
from weighbridge.uses.decisions import Tally
from weighbridge.uses.nano_usd import check_usd

Reason = Literal[
    "over_input_tokens",
    "over_usd",
    "over_run_budget",
    "no_max_tokens",
    "unknown_price",
    "not_countable",
    "count_failed",
    "approved",
    "uncounted",
]
"""Stable, for machines. ``approved`` and ``uncounted`` admit: a person said so, or the caller lets
pass what could not be counted. The others refuse."""

Judged = Literal["worst", "input"]
"""Which price is held against limits: with all of ``max_tokens`` written, or of the input alone."""


@dataclass(frozen=True, slots=True)
class Document:
    """A payload with what its caller knows of it.

    Args:
        max_tokens: where the body names none.
        metadata: JSON, for the decision and the review log; not looked at.
    """

    payload: RawPayload
    max_tokens: int | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may come to; None is no limit, and what meets a limit exactly is admitted.

    Args:
        judged: which price is held against ``max_usd``, and reserved of a run's budget.

    Raises:
        SettingsError: a limit is none.
    """

    max_input_tokens: int | None = None
    max_usd: Decimal | None = None
    judged: Judged = "worst"

    def __post_init__(self) -> None:
        if self.max_input_tokens is not None and self.max_input_tokens < 0:
            raise SettingsError(f"max_input_tokens takes 0 or more, not {self.max_input_tokens}")
        if self.max_usd is not None:
            check_usd(self.max_usd, "max_usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardDecision:
    """Whether a payload may be sent, and why.

    Args:
        index: its place in the input.
        digest: None if the payload was refused before it became a job.
        reason: None if it was admitted under all limits.
        message: a sentence for people, where the reason does not say it all.
        limit: the one that refused it, in tokens or dollars; ``over_by`` is how far it went over.
        usd_input: the price of the input alone; None if no money was asked for.
        usd_worst: with all of ``max_tokens`` written; None if that is not known.
        judged: which of the two is held against limits.
        run: the run whose budget was asked; None if none was.
        reservation: what to settle or release in it; None if nothing was reserved.
    """

    index: int
    verdict: Literal["allow", "reject"] = "allow"
    reason: Reason | None = None
    message: str = ""
    digest: str | None = None
    model: str = ""
    input_tokens: int | None = None
    max_tokens: int | None = None
    usd_input: Decimal | None = None
    usd_worst: Decimal | None = None
    limit: Decimal | int | None = None
    over_by: Decimal | int | None = None
    judged: Judged = "worst"
    run: str | None = None
    reservation: str | None = None
    metadata: Mapping[str, Any] | None = None
    tally: Tally = field(default_factory=Tally)
    price_version: str | None = None

    @property
    def allowed(self) -> bool:
        """Whether the payload may be sent."""
        return self.verdict == "allow"

    @property
    def price(self) -> Decimal | None:
        """The price that limits are held against; None if it is not known."""
        return self.usd_worst if self.judged == "worst" else self.usd_input
