"""What a guard reads: documents on their way to the count, and back as judged decisions."""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from typing import TypeAlias

from anyio import to_thread

from weighbridge.count_stream import Item
from weighbridge.preparation import LARGE_BYTES, RawPayload
from weighbridge.raw_payloads import each_of
from weighbridge.uses.admission import Admission
from weighbridge.uses.guard_decision import Document, GuardDecision

Documents: TypeAlias = Iterable[RawPayload | Document] | AsyncIterable[RawPayload | Document]


class GuardSource:
    """One run's documents.

    Args:
        max_tokens: where neither the body nor the document names any.
        keep: payloads are needed until their decision is made, for the review log.
    """

    def __init__(
        self, admission: Admission, documents: Documents, max_tokens: int | None, *, keep: bool
    ) -> None:
        self._admission = admission
        self._documents = documents
        self._max_tokens = max_tokens
        self._keep = keep
        self._begun: dict[int, GuardDecision] = {}
        self._refused: deque[GuardDecision] = deque()
        self.kept: dict[int, RawPayload] = {}

    async def payloads(self) -> AsyncGenerator[RawPayload, None]:
        """Yield what is to be counted; what is refused before that waits for its turn."""
        index = counted = 0
        async for each in each_of(self._documents):
            document = each if isinstance(each, Document) else Document(each)
            decision = await self._begin(index, document)
            index += 1
            if self._keep:
                self.kept[decision.index] = document.payload
            if not decision.allowed:
                self._refused.append(decision)
                continue
            self._begun[counted] = decision
            counted += 1
            yield document.payload

    def judged(self, items: Iterable[Item]) -> list[GuardDecision]:
        """Judge counts; what was refused uncounted comes out before what followed it."""
        decisions: list[GuardDecision] = []
        for item in items:
            begun = self._begun.pop(item.index)
            while self._refused and self._refused[0].index < begun.index:
                decisions.append(self._refused.popleft())
            decisions.append(self._admission.judge(begun, item.digest, item.outcome))
        return decisions

    def rest(self) -> list[GuardDecision]:
        """Give what was refused uncounted after the last count."""
        rest = list(self._refused)
        self._refused.clear()
        return rest

    def forget(self, decisions: Sequence[GuardDecision]) -> None:
        """Let go of the payloads of decisions that are made."""
        for decision in decisions:
            self.kept.pop(decision.index, None)

    async def _begin(self, index: int, document: Document) -> GuardDecision:
        payload = document.payload
        if isinstance(payload, bytes | str) and len(payload) >= LARGE_BYTES:
            begin = self._admission.begin
            return await to_thread.run_sync(begin, index, document, self._max_tokens)
        return self._admission.begin(index, document, self._max_tokens)
