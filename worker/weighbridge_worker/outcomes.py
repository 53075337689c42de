"""How one worker's calls went since its last visit, for the fleet to judge the endpoint by."""

from weighbridge.exchange import Calls


class Outcomes:
    """Counts calls of the newest generation of penalties; a report that is lost costs little."""

    def __init__(self) -> None:
        self._generation = 0
        self._answered = 0
        self._failed = 0

    def follow(self, generation: int) -> None:
        """Begin anew if the fleet was penalised: earlier calls tell nothing new."""
        if generation != self._generation:
            self._generation = generation
            self._answered = self._failed = 0

    def note(self, generation: int, *, failed: bool) -> None:
        """Count one call."""
        if generation == self._generation:
            self._failed += failed
            self._answered += not failed

    def report(self) -> Calls:
        """Return what was counted, and begin anew."""
        calls = Calls(self._answered, self._failed, self._generation)
        self._answered = self._failed = 0
        return calls
