"""A ``count_many`` without a queue: the stand-in's own check and estimate, called directly."""

import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import Any

from weighbridge.count_stream import Item
from weighbridge.digest import digest_of
from weighbridge.errors import PayloadError
from weighbridge.payload import check_payload
from weighbridge.preparation import RawPayload
from weighbridge.records import Counted, Failed, Lane, NotCountable, Outcome, Payload
from weighbridge_worker.sandbox.weighing import weigh

Answer = Callable[[Payload], int | Outcome]


def weighed(payload: Payload) -> int | Outcome:
    """Answer as the stand-in would."""
    verdict = weigh(payload.body).verdict
    if isinstance(verdict, int):
        return verdict
    return Failed(model=payload.model, code="invalid_request", message=verdict.message)


class Scale:
    """Counts at once, and notes what it was given; an answer may be tokens or a whole outcome."""

    def __init__(self, answer: Answer = weighed) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.lanes: set[Lane] = set()
        self._answer = answer
        self._known: dict[str, Outcome] = {}

    async def count_many(
        self,
        payloads: Iterable[RawPayload] | AsyncIterable[RawPayload],
        *,
        lane: Lane,
        ordered: bool,
    ) -> AsyncGenerator[Item, None]:
        """Count payloads, as the client does."""
        self.lanes.add(lane)
        if isinstance(payloads, AsyncIterable):
            place = 0
            async for raw in payloads:
                yield self._item(place, raw)
                place += 1
        else:
            for place, raw in enumerate(payloads):
                yield self._item(place, raw)

    def _item(self, index: int, raw: RawPayload) -> Item:
        try:
            payload = check_payload(raw)
        except PayloadError as error:
            return Item(index, None, NotCountable(code=error.code, message=str(error)))
        self.bodies.append(json.loads(payload.body))
        digest = digest_of(payload)
        if digest not in self._known:
            self._known[digest] = self._outcome(digest, payload)
        return Item(index, digest, self._known[digest])

    def _outcome(self, digest: str, payload: Payload) -> Outcome:
        answer = self._answer(payload)
        if not isinstance(answer, int):
            return answer
        return Counted(
            digest=digest,
            model=payload.model,
            input_tokens=answer,
            source="estimate",
            counted_at=1,
            cache="miss",
        )
