"""Every attempt that reached the stand-in, with the moment of its arrival: the tests' oracle."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial


@dataclass(frozen=True, slots=True)
class Attempt:
    """One HTTP request to the counting endpoint.

    Args:
        index: its place in the order of arrival, from 0; never given twice.
        at: seconds from the server's start, on a monotonic clock, when its head had come.
        status: what it was answered; None while it waits, and for good if it got no answer.
        fault: the injected fault that it met, if any.
        bytes: length of the body.
        headers: the request headers whose name begins with ``weighbridge-``.
    """

    index: int
    at: float
    status: int | None = None
    fault: str | None = None
    sha256: str = ""
    model: str = ""
    bytes: int = 0
    headers: dict[str, str] = field(default_factory=dict)


class Ledger:
    """Keeps the last ``size`` attempts."""

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self._size = size
        self._clock = clock
        self._start = clock()
        self._attempts: dict[int, Attempt] = {}
        self._arrived = 0

    def __len__(self) -> int:
        return len(self._attempts)

    @property
    def attempts(self) -> list[Attempt]:
        """All attempts, in the order of their arrival."""
        return list(self._attempts.values())

    def now(self) -> float:
        """Seconds from the server's start, as in ``Attempt.at``."""
        return self._clock() - self._start

    def since(self, index: int) -> list[Attempt]:
        """Return the attempts from an index on."""
        return [attempt for attempt in self._attempts.values() if attempt.index >= index]

    def arrive(self, headers: dict[str, str]) -> int:
        """Note an arrival; returns its index."""
        index = self._arrived
        self._arrived += 1
        self._attempts[index] = Attempt(index=index, at=self.now(), headers=headers)
        if len(self._attempts) > self._size:
            del self._attempts[next(iter(self._attempts))]
        return index

    def read(self, index: int, *, sha256: str, model: str, length: int) -> None:
        """Note what the attempt's body was."""
        self._change(index, partial(replace, sha256=sha256, model=model, bytes=length))

    def meet(self, index: int, fault: str) -> None:
        """Note the fault that the attempt met."""
        self._change(index, partial(replace, fault=fault))

    def answer(self, index: int, status: int) -> None:
        """Note how the attempt was answered."""
        self._change(index, partial(replace, status=status))

    def clear(self) -> None:
        """Forget the attempts; indices go on, so that calls in flight come back to none of them."""
        self._attempts.clear()

    def _change(self, index: int, change: Callable[[Attempt], Attempt]) -> None:
        if (attempt := self._attempts.get(index)) is not None:
            self._attempts[index] = change(attempt)
