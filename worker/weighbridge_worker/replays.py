"""Dead letters replayed one after the other, and what became of them in a line."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from weighbridge.dead import DeadLetters, Replayed
from weighbridge.errors import WeighbridgeError
from weighbridge.letters import DeadLetter


@dataclass(slots=True)
class ReplayTally:
    """What became of the letters that were to be replayed.

    Args:
        stopped: why the rest were not tried, if an error is why.
    """

    found: int = 0
    outcomes: Counter[Replayed] = field(default_factory=Counter)
    stopped: WeighbridgeError | None = None

    @property
    def not_tried(self) -> int:
        """Letters that it did not come to."""
        return self.found - self.outcomes.total()

    def describe(self) -> str:
        """Say it in a line."""
        said = [f"Replayed {self.outcomes['replayed']:,} of {self.found:,}"]
        if counted := self.outcomes["counted"]:
            said.append(f"{counted:,} counted already, removed from the list")
        if gone := self.outcomes["payload_gone"]:
            said.append(f"{gone:,} without a payload any more (payload_gone), still listed")
        if self.not_tried:
            said.append(f"{self.not_tried:,} not tried")
        return "; ".join(said) + "."


async def replay_each(
    letters: DeadLetters,
    chosen: Sequence[DeadLetter],
    tally: ReplayTally,
    *,
    within_s: float = float("inf"),
) -> None:
    """Replay letters that come newest first, the oldest first, until an error or the time's end."""
    end = anyio.current_time() + within_s
    for letter in reversed(chosen):
        if anyio.current_time() > end:
            return
        try:
            outcome = await letters.replay(letter)
        except WeighbridgeError as error:
            tally.stopped = error
            return
        tally.outcomes[outcome] += 1
