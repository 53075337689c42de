"""What the producers sent, what each payload must come to, and what they were answered."""

import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import Any

import anyio
from support.pools import until

from weighbridge import Client, Counted
from weighbridge.digest import digest_of
from weighbridge.payload import check_payload
from weighbridge.records import Outcome
from weighbridge_worker.sandbox import Sandbox
from weighbridge_worker.sandbox.weighing import weigh

LARGE = " and so on" * 1000
"""Makes a payload that does not travel with its lease: its worker reads it."""


@dataclass(frozen=True, slots=True)
class Load:
    """A payload, the names it goes by in the queue and at the endpoint, and its right count."""

    body: dict[str, Any]
    digest: str
    sha256: str
    tokens: int


def make_load(text: str, **fields: Any) -> Load:
    """Make a load of one message."""
    body = {
        "model": "claude-sonnet-5-5",
        "messages": [{"role": "user", "content": text}],
        **fields,
    }
    payload = check_payload(body)
    verdict = weigh(payload.body).verdict
    tokens = verdict if isinstance(verdict, int) else -1
    sha256 = hashlib.sha256(payload.body).hexdigest()
    return Load(body, digest_of(payload, partition="", key=None), sha256, tokens)


def make_loads(count: int, *, seed: int = 0) -> list[Load]:
    """Make different loads of some hundred different counts."""
    return [make_load("weigh " * (n % 97) + f"lorry {n} of {seed}") for n in range(count)]


@dataclass(slots=True)
class ProducersLedger:
    """Every accepted load and its answer, with the moment on the stand-in's clock."""

    loads: list[Load]
    stand_in: Sandbox
    answers: dict[int, Outcome] = field(default_factory=dict)
    answered_at: dict[int, float] = field(default_factory=dict)
    owed: dict[int, str] = field(default_factory=dict)
    """Loads that must fail, and their codes; all others must be counted."""

    def note(self, index: int, outcome: Outcome) -> None:
        """Note an answer."""
        self.answers[index] = outcome
        self.answered_at[index] = self.stand_in.ledger.now()

    async def count(self, wb: Client, indexes: Iterable[int], *, in_flight: int = 1000) -> None:
        """Count loads as one producer."""
        chosen = list(indexes)
        bodies = (self.loads[index].body for index in chosen)
        async for item in wb.count_many(bodies, in_flight=in_flight):
            self.note(chosen[item.index], item.outcome)

    async def feed(self, wb: Client, size: int, enough: anyio.Event, *, seed: int) -> None:
        """Count new loads until there were ``size`` and it is enough, some hundred at once."""

        async def bodies() -> AsyncGenerator[dict[str, Any], None]:
            while len(self.loads) < size or not enough.is_set():
                number = len(self.loads)
                pages = LARGE if number % 8 == 0 else ""
                self.loads.append(make_load(f"lorry {number} of {seed}{pages}"))
                yield self.loads[-1].body

        async for item in wb.count_many(bodies(), in_flight=200):
            self.note(item.index, item.outcome)

    async def reaches(self, answers: int, *, within_s: float = 300.0) -> None:
        """Wait until so many loads were answered."""
        await until(lambda: len(self.answers) >= answers, within_s=within_s)

    @property
    def lost(self) -> int:
        """Loads without the outcome that they were owed."""
        return sum(not self._paid(index) for index in range(len(self.loads)))

    def _paid(self, index: int) -> bool:
        answer = self.answers.get(index)
        if (code := self.owed.get(index)) is not None:
            return getattr(answer, "code", None) == code
        return isinstance(answer, Counted)

    @property
    def wrong(self) -> int:
        """Counts that are not their own payload's."""
        return sum(
            isinstance(answer, Counted)
            and (answer.input_tokens, answer.digest)
            != (self.loads[index].tokens, self.loads[index].digest)
            for index, answer in self.answers.items()
        )

    @property
    def failures(self) -> Counter[str]:
        """Codes of the failures that nobody was owed."""
        return Counter(
            getattr(answer, "code", "?")
            for index, answer in self.answers.items()
            if not isinstance(answer, Counted) and index not in self.owed
        )

    @property
    def calls(self) -> Counter[str]:
        """Calls by payload, as the endpoint saw them."""
        return Counter(attempt.sha256 for attempt in self.stand_in.ledger.attempts)

    def recovery_s(self, fault_at: float) -> float | None:
        """Seconds until the last answer of what the endpoint had seen and nobody had been told."""
        index_of = {load.sha256: index for index, load in enumerate(self.loads)}
        met = {
            index_of[attempt.sha256]
            for attempt in self.stand_in.ledger.attempts
            if attempt.at < fault_at and attempt.sha256 in index_of
        }
        waits = [
            self.answered_at[index] - fault_at
            for index in met
            if self.answered_at.get(index, 0.0) > fault_at
        ]
        return max(waits, default=None)
