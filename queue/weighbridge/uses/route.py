"""Route payloads to the smallest model that suits them, by what they count with that model."""

import json
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from weighbridge.client import RawPayload
from weighbridge.errors import MalformedPayload
from weighbridge.records import Lane, NotCountable, Outcome
from weighbridge.strict_json import encoded, read_json
from weighbridge.uses.banding import Found, Walk, Wish, walk
from weighbridge.uses.bands import Bands
from weighbridge.uses.decisions import Counts, count_together
from weighbridge.uses.prices import Prices
from weighbridge.uses.route_decision import RouteDecision, decision
from weighbridge.uses.signals import Signal

TOGETHER = 256
"""Payloads of a stream that are decided together, so that their counts travel together."""


class Router:
    """Decides by bands.

    Args:
        complexity: names the smallest model that a body deserves, whatever its size; besides the
            bands' own rules.
        strict: count with every candidate at once, instead of with one and, where the chosen model
            has another tokenizer, with that one too.

    Raises:
        SettingsError: a band's window is not known.
        UnknownPrice: prices are given and do not know a band's model.
    """

    def __init__(
        self,
        counter: Counts,
        bands: Bands,
        *,
        prices: Prices | None = None,
        complexity: Signal | None = None,
        strict: bool = False,
        lane: Lane = Lane.INTERACTIVE,
    ) -> None:
        self._counter = counter
        self._bands = bands
        self._windows = bands.windows(prices)
        self._prices = prices
        self._signals: tuple[Signal, ...] = (*bands.rules, *([complexity] if complexity else []))
        self._strict = strict
        self._lane = lane

    async def route(
        self, payload: RawPayload, *, max_output: int | None = None, floor: str | None = None
    ) -> RouteDecision:
        """Decide one payload; the model that it names does not matter.

        Args:
            max_output: tokens kept for the answer; None for the body's own ``max_tokens``, else 0.
            floor: the smallest model that the caller accepts.

        Raises:
            SettingsError: the floor or a signal names a model without a band.
            QueueUnreachable: the server does not answer.
        """
        [decision] = await self._decide([payload], max_output, floor)
        return decision

    async def route_many(
        self,
        payloads: Iterable[RawPayload],
        *,
        max_output: int | None = None,
        floor: str | None = None,
    ) -> AsyncGenerator[RouteDecision, None]:
        """Decide many payloads; yields a decision a payload, in their order.

        Raises:
            SettingsError: the floor or a signal names a model without a band.
            QueueUnreachable: the server does not answer.
        """
        source = iter(payloads)
        while chunk := list(islice(source, TOGETHER)):
            for decided in await self._decide(chunk, max_output, floor):
                yield decided

    async def _decide(
        self, payloads: Sequence[RawPayload], max_output: int | None, floor: str | None
    ) -> list[RouteDecision]:
        bodies = [_read(payload) for payload in payloads]
        wishes = [self._wish(body, max_output, floor) for body in bodies]
        walks = [walk(self._bands, self._windows, wish) for wish in wishes]
        found = await self._walk_all(walks, bodies)
        return [decision(one, wish, self._prices) for one, wish in zip(found, wishes, strict=True)]

    def _wish(
        self, body: dict[str, Any] | NotCountable, max_output: int | None, floor: str | None
    ) -> Wish:
        least = 0 if floor is None else self._bands.place(floor, "the floor")
        if isinstance(body, NotCountable):
            return Wish(max_output or 0, floor=least)
        named = [model for signal in self._signals if (model := signal(body)) is not None]
        raised = [self._bands.place(model, "a complexity signal") for model in named]
        given = body.get("max_tokens")
        own = given if isinstance(given, int) and not isinstance(given, bool) else 0
        return Wish(
            max_output=max(0, own) if max_output is None else max_output,
            floor=least,
            least=max(raised, default=0),
            strict=self._strict,
        )

    async def _walk_all(
        self, walks: Sequence[Walk], bodies: Sequence[dict[str, Any] | NotCountable]
    ) -> list[Found]:
        """Run walks in step, so that each round's counts travel together."""
        found: dict[int, Found] = {}
        wanted = {place: next(steps) for place, steps in enumerate(walks)}
        while wanted:
            outcomes = await self._count(wanted, bodies)
            again = {}
            for place in wanted:
                try:
                    again[place] = walks[place].send(outcomes[place])
                except StopIteration as done:
                    found[place] = done.value
            wanted = again
        return [found[place] for place in range(len(walks))]

    async def _count(
        self, wanted: Mapping[int, list[str]], bodies: Sequence[dict[str, Any] | NotCountable]
    ) -> dict[int, list[Outcome]]:
        named = {place: _named(bodies[place], models) for place, models in wanted.items()}
        payloads = [body for several in named.values() for body in several]
        counts = iter(await count_together(self._counter, payloads, self._lane))
        outcomes: dict[int, list[Outcome]] = {}
        for place, models in wanted.items():
            body = bodies[place]
            if isinstance(body, NotCountable):
                outcomes[place] = [body] * len(models)
            else:
                outcomes[place] = list(islice(counts, len(models)))
        return outcomes


def _read(payload: RawPayload) -> dict[str, Any] | NotCountable:
    """Read a body; its model is chosen here, so it needs none."""
    if isinstance(payload, Mapping):
        return dict(payload)
    text = encoded(payload) if isinstance(payload, str) else payload
    try:
        read_json(text)  # for what json.loads would let pass, duplicate keys for instance
        body = json.loads(text)
        if isinstance(body, dict):
            return body
        raise MalformedPayload("the payload must be a JSON object with messages")
    except MalformedPayload as error:
        return NotCountable(code=error.code, message=str(error))


def _named(body: dict[str, Any] | NotCountable, models: Sequence[str]) -> Iterator[dict[str, Any]]:
    if not isinstance(body, NotCountable):
        for model in models:
            yield body | {"model": model}
