"""The newest dead letters as one process knows them, so that a look reads no more than is new."""

from collections import Counter
from collections.abc import Mapping, Sequence

NEWEST = 1000
"""Dead letters whose codes a look counts."""


class NewestLetters:
    """Ids and codes, the newest first; pure."""

    def __init__(self) -> None:
        self._known: list[tuple[bytes, str]] = []
        self._length = 0

    @property
    def unread(self) -> str:
        """Where the part of the stream begins that is not known yet."""
        return f"({self._known[0][0].decode()}" if self._known else "-"

    def add(self, rows: Sequence[tuple[bytes, Mapping[bytes, bytes]]], length: int) -> bool:
        """Take in what came since, the newest first, and the stream's length now.

        Returns False where the numbers do not fit, for letters were replayed, dropped or trimmed:
        then nothing is known any more, and all has to be read.
        """
        fits = not self._known or self._length + len(rows) == length
        new = [(entry, fields[b"code"].decode()) for entry, fields in rows]
        self._known = [*new, *self._known][:NEWEST] if fits else []
        self._length = length
        return fits

    def codes(self, *, since_ms: int = 0) -> dict[str, int]:
        """Count letters by code, the most frequent first; an id begins with when it was buried."""
        codes = (code for entry, code in self._known if int(entry.partition(b"-")[0]) >= since_ms)
        return dict(Counter(codes).most_common())
