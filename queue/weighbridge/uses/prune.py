"""Prune a conversation to a budget: whole turns go, oldest first, and the rest stays valid."""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from anyio import to_thread

from weighbridge.errors import PayloadTooLarge
from weighbridge.preparation import RawPayload
from weighbridge.records import Counted, Failed, Lane, NotCountable, Outcome, Source
from weighbridge.uses.cuts import Search, Strategy, Task, search
from weighbridge.uses.decisions import Counts, Tally, count_together, tally
from weighbridge.uses.history import History, read_history
from weighbridge.uses.prices import Prices, Usage
from weighbridge.uses.prune_options import PruneOptions
from weighbridge.uses.token_limit import token_limit


@dataclass(frozen=True, slots=True)
class Candidate:
    """A history that was weighed.

    Args:
        input_tokens: None if the API takes no body as large as this one.
        usd: what it costs with the output reserved; None where no prices were given.
    """

    dropped_turns: int
    dropped_messages: int
    input_tokens: int | None
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What became of a conversation.

    Args:
        status: ``fits``; ``over`` if even the shortest history allowed is over the limit;
            ``not_countable`` or ``failed`` if a count could not be had, with ``code`` and
            ``message``.
        payload: the pruned body; None unless it fits.
        turns, messages: of the whole history.
        dropped_instructions: system messages among the dropped ones; their rules no longer hold.
        limit: the most input tokens that keep to all budgets.
        target: what was aimed at once something had to go.
        chosen: what stays, counted within its budget; of an ``over`` result the shortest history
            allowed.
        longer: the next longer history, counted over the target; None if nothing was dropped.
        whole: the history as it came; None if it did not have to be counted.
        maximal: no longer history would do: nothing was dropped, or ``longer`` proves it.
    """

    status: Literal["fits", "over", "not_countable", "failed"]
    fits: bool
    payload: dict[str, Any] | None
    model: str
    turns: int
    messages: int
    dropped_turns: int
    dropped_messages: int
    dropped_instructions: int
    limit: int
    target: int
    chosen: Candidate | None
    longer: Candidate | None
    whole: Candidate | None
    maximal: bool
    source: Source | None
    tally: Tally
    price_version: str | None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """A payload and its options, checked; what is left needs counts."""

    history: History
    options: PruneOptions
    limit: int

    async def prune(self, counter: Counts, *, lane: Lane = Lane.INTERACTIVE) -> PruneResult:
        """Carry it out.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        options, history = self.options, self.history
        scale = _Scale(counter, history, lane, options.prices, options.reserve_output)
        task = Task(
            limit=self.limit,
            target=math.floor(round(self.limit * options.target, 6)),
            weights=history.weights,
            fixed=history.fixed_weight,
            previous=options.previous,
        )
        cut = await scale.settle(search(task, options.strategy))
        return _result(task, scale, cut)


async def plan_prune(payload: RawPayload, options: PruneOptions) -> PrunePlan:
    """Check all that can be checked without a count.

    Raises:
        SettingsError: a budget makes no sense.
        UnknownPrice: USD are wanted and the model has no price.
        MalformedPayload: the payload is no sound request body.
        BrokenHistory: the API would refuse the history; nothing is repaired silently.
    """
    history = await read_history(
        payload,
        keep_last=options.keep_last_turns,
        keep_first=options.keep_first_turn,
        strip_context_management=options.strip_context_management,
    )
    limit = token_limit(
        history.model,
        max_input_tokens=options.max_input_tokens,
        max_usd=options.max_usd,
        reserve_output=options.reserve_output,
        prices=options.prices,
    )
    return PrunePlan(history, options, limit)


async def prune(
    counter: Counts,
    payload: RawPayload,
    *,
    max_input_tokens: int | None = None,
    max_usd: Decimal | None = None,
    target: float = 1.0,
    keep_last_turns: int = 1,
    keep_first_turn: bool = False,
    reserve_output: int = 0,
    previous: PruneResult | int = 0,
    prices: Prices | None = None,
    strategy: Strategy = "bracket",
    strip_context_management: bool = False,
    lane: Lane = Lane.INTERACTIVE,
) -> PruneResult:
    """Drop the oldest turns until the rest keeps to the budget; system and tools stay as they are.

    Every history that is counted is valid by itself. What fits is not touched. A turn with a system
    message that changes the tools stays, and so do all after it. ``PruneOptions`` explains the
    options.

    Args:
        previous: the last result for this conversation, or its ``dropped_turns``.

    Raises:
        SettingsError: a budget or an option makes no sense.
        UnknownPrice: USD are wanted and the model has no price.
        MalformedPayload: the payload is no sound request body.
        BrokenHistory: the API would refuse the history; nothing is repaired silently.
        QueueUnreachable: the server does not answer.
    """
    options = PruneOptions(
        max_input_tokens=max_input_tokens,
        max_usd=max_usd,
        target=target,
        keep_last_turns=keep_last_turns,
        keep_first_turn=keep_first_turn,
        reserve_output=reserve_output,
        previous=previous.dropped_turns if isinstance(previous, PruneResult) else previous,
        prices=prices,
        strategy=strategy,
        strip_context_management=strip_context_management,
    )
    plan = await plan_prune(payload, options)
    return await plan.prune(counter, lane=lane)


class _Scale:
    """Weighs cuts, each at most once."""

    def __init__(
        self,
        counter: Counts,
        history: History,
        lane: Lane,
        prices: Prices | None,
        output_tokens: int,
    ) -> None:
        self.history = history
        self.prices = prices
        self.outcomes: dict[int, Outcome] = {}
        self._counter = counter
        self._lane = lane
        self._output_tokens = output_tokens

    async def settle(self, steps: Search) -> int | None:
        """Weigh what a search asks for; returns its answer, None if a count was not to be had."""
        if self.history.refused is not None:
            self.outcomes[0] = self.history.refused
            return None
        try:
            cut = next(steps)
            while (tokens := await self._weigh(cut)) is not None:
                cut = steps.send(tokens)
        except StopIteration as done:
            return int(done.value)
        return None

    async def _weigh(self, cut: int) -> float | None:
        if cut not in self.outcomes:
            text = await to_thread.run_sync(self.history.pruned_text, cut)
            [self.outcomes[cut]] = await count_together(self._counter, [text], self._lane)
        outcome = self.outcomes[cut]
        if isinstance(outcome, Counted):
            return outcome.input_tokens
        return math.inf if outcome.code == PayloadTooLarge.code else None

    def candidate(self, cut: int) -> Candidate | None:
        """Tell what was weighed at a cut; None if nothing was."""
        outcome = self.outcomes.get(cut)
        if outcome is None:
            return None
        tokens = outcome.input_tokens if isinstance(outcome, Counted) else None
        dropped = sum(turn.stop - turn.start for turn in self.history.dropped(cut))
        return Candidate(cut, dropped, tokens, self._usd(tokens))

    def _usd(self, tokens: int | None) -> Decimal | None:
        if tokens is None or self.prices is None:
            return None
        return self.prices.usd(self.history.model, Usage(tokens, self._output_tokens)).total


def _result(task: Task, scale: _Scale, cut: int | None) -> PruneResult:
    history, outcomes = scale.history, list(scale.outcomes.values())
    chosen = None if cut is None else scale.candidate(cut)
    longer = scale.candidate(cut - 1) if cut else None
    fits = chosen is not None and _within(chosen, task.limit)
    gone = history.dropped(cut or 0) if fits else ()
    failure = outcomes[-1] if cut is None else None
    sources = {outcome.source for outcome in outcomes if isinstance(outcome, Counted)}
    return PruneResult(
        status=_status(failure, fits),
        fits=fits,
        payload=history.pruned(cut or 0) if fits else None,
        model=history.model,
        turns=len(history.turns),
        messages=history.turns[-1].stop,
        dropped_turns=len(gone),
        dropped_messages=sum(turn.stop - turn.start for turn in gone),
        dropped_instructions=sum(turn.instructions for turn in gone),
        limit=task.limit,
        target=task.target,
        chosen=chosen,
        longer=longer,
        whole=scale.candidate(0),
        maximal=fits and (cut == 0 or (longer is not None and not _within(longer, task.target))),
        source="estimate" if "estimate" in sources else next(iter(sources), None),
        tally=tally(outcomes),
        price_version=scale.prices.version if scale.prices else None,
        code=failure.code if isinstance(failure, Failed | NotCountable) else None,
        message=failure.message if isinstance(failure, Failed | NotCountable) else None,
    )


def _status(
    failure: Outcome | None, fits: bool
) -> Literal["fits", "over", "not_countable", "failed"]:
    if isinstance(failure, NotCountable):
        return "not_countable"
    if failure is not None:
        return "failed"
    return "fits" if fits else "over"


def _within(candidate: Candidate, tokens: int) -> bool:
    return candidate.input_tokens is not None and candidate.input_tokens <= tokens
