"""How many slots a worker has before it at once: no more than it keeps.

Like a sender's window: each slot that is met widens it a little, a take that missed one halves it.
So a process on a busy machine, or at a rate that no process could use, comes down to what it can
do, and leaves the rest of the slots to others.
"""

STEPS = 32
"""Windows full of slots that it takes to come back from the least to the most."""


class Window:
    """One worker's window, in slots; pure.

    Args:
        most: its places, for more would never be used.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = float(most)
        self._step = max(1.0, most / STEPS)
        self._ahead: set[int] = set()
        self._cut_at = 0

    @property
    def size(self) -> int:
        """Slots that may lie ahead."""
        return int(self._size)

    @property
    def room(self) -> int:
        """Slots that may be asked for now."""
        return max(0, self.size - len(self._ahead))

    def granted(self, token: int) -> None:
        """Note a slot that lies ahead, by its lease's token."""
        self._ahead.add(token)

    def given_up(self, token: int) -> None:
        """Note a slot that was neither met nor missed."""
        self._ahead.discard(token)

    def met(self, token: int) -> None:
        """Note a slot that was used."""
        self._ahead.discard(token)
        self._size = min(self._most, self._size + self._step / self._size)

    def missed(self, token: int, *, operation: int, newest: int) -> bool:
        """Note a slot that was missed; True if the window was at its least already.

        Takes that were under way when the window was last cut say nothing new.
        """
        self._ahead.discard(token)
        if operation <= self._cut_at:
            return self.size == 1
        least, self._cut_at = self.size == 1, newest
        self._size = max(1.0, self._size / 2)
        return least
