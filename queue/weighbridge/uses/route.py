"""Route payloads to the smallest model that suits them, by what they count with that model."""

import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from weighbridge.errors import MalformedPayload
from weighbridge.preparation import RawPayload
from weighbridge.records import Lane, NotCountable
from weighbridge.strict_json import encoded, read_json
from weighbridge.uses.banding import Wish, walk
from weighbridge.uses.bands import Bands
from weighbridge.uses.prices import Prices
from weighbridge.uses.route_decision import RouteDecision, decision
from weighbridge.uses.route_stream import CountsFed, RouteStream, Trip
from weighbridge.uses.signals import Signal


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
        counter: CountsFed,
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
        decisions = self.route_many([payload], max_output=max_output, floor=floor)
        async with aclosing(decisions):
            return await anext(decisions)

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
        least = 0 if floor is None else self._bands.place(floor, "the floor")
        trips = (
            self._trip(place, _read(payload), max_output, least)
            for place, payload in enumerate(payloads)
        )
        arrived = RouteStream(trips).run(self._counter, self._lane)
        async with aclosing(arrived):
            async for trip in arrived:
                assert trip.found is not None  # noqa: S101 - it has arrived
                yield decision(trip.found, trip.wish, self._prices)

    def _trip(
        self,
        place: int,
        body: dict[str, Any] | NotCountable,
        max_output: int | None,
        floor: int,
    ) -> Trip:
        wish = self._wish(body, max_output, floor)
        return Trip(place, body, wish, walk(self._bands, self._windows, wish))

    def _wish(
        self, body: dict[str, Any] | NotCountable, max_output: int | None, floor: int
    ) -> Wish:
        if isinstance(body, NotCountable):
            return Wish(max_output or 0, floor=floor)
        named = [model for signal in self._signals if (model := signal(body)) is not None]
        raised = [self._bands.place(model, "a complexity signal") for model in named]
        given = body.get("max_tokens")
        own = given if isinstance(given, int) and not isinstance(given, bool) else 0
        return Wish(
            max_output=max(0, own) if max_output is None else max_output,
            floor=floor,
            least=max(raised, default=0),
            strict=self._strict,
        )


def _read(payload: RawPayload) -> dict[str, Any] | NotCountable:
    """Read a body; its model is chosen here, so it needs none."""
    if isinstance(payload, Mapping):
        return dict(payload)
    try:
        text = encoded(payload) if isinstance(payload, str) else payload
        read_json(text)  # for what json.loads would let pass, duplicate keys for instance
        body = json.loads(text)
        if isinstance(body, dict):
            return body
        raise MalformedPayload("the payload must be a JSON object with messages")
    except MalformedPayload as error:
        return NotCountable(code=error.code, message=str(error))
