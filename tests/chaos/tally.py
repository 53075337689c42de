"""What a producer was told."""

from dataclasses import dataclass, field

import msgspec
from chaos.payloads import expected

from weighbridge.records import Counted, Outcome


@dataclass(slots=True)
class Tally:
    """The answers of one producer, or of several.

    Args:
        failures: codes of failures, each of which was asked again.
        lost: numbers that were asked and never answered.
    """

    asked: int = 0
    answers: int = 0
    unreachable: int = 0
    numbers: set[int] = field(default_factory=set)
    failures: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    def note(self, number: int, outcome: Outcome) -> bool:
        """Note an answer; False if its payload must be asked again."""
        self.answers += 1
        if not isinstance(outcome, Counted):
            self._count(outcome.code, 1)
            return False
        self.numbers.add(number)
        if outcome.input_tokens != expected(number):
            self.wrong.append(f"{number}: {outcome.input_tokens}, not {expected(number)}")
        return True

    def add(self, other: "Tally") -> None:
        """Add another producer's."""
        self.asked += other.asked
        self.answers += other.answers
        self.unreachable += other.unreachable
        self.numbers |= other.numbers
        for code, times in other.failures.items():
            self._count(code, times)
        self.wrong += other.wrong
        self.lost += other.lost

    def _count(self, code: str, times: int) -> None:
        self.failures[code] = self.failures.get(code, 0) + times

    def to_json(self) -> bytes:
        """Write it in one line."""
        return msgspec.json.encode(self)


def read_tally(text: bytes) -> Tally:
    """Read what ``to_json`` wrote."""
    return msgspec.json.decode(text, type=Tally)
