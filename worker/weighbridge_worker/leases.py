"""The leases in one process: those whose calls run or wait for slots, and those that missed one."""

from collections.abc import Sequence

from weighbridge.records import Lease
from weighbridge_worker.executor import HeldLease

SUSPECT_FROM = 3
"""The delivery from which a job may be poison; the number stands in take.lua too."""


class Leases:
    """What one worker holds, by the leases' tokens."""

    def __init__(self) -> None:
        self._held: dict[int, HeldLease] = {}
        self._missed: dict[int, HeldLease] = {}

    def __len__(self) -> int:
        """All of them."""
        return len(self._held)

    @property
    def busy(self) -> int:
        """Those whose calls run or wait for their slots."""
        return len(self._held) - len(self._missed)

    @property
    def suspects(self) -> int:
        """Those whose jobs may be poison."""
        return sum(held.lease.deliveries >= SUSPECT_FROM for held in self._held.values())

    @property
    def missed(self) -> list[HeldLease]:
        """Those that missed their slots and wait for others, the oldest first."""
        return list(self._missed.values())

    @property
    def all(self) -> list[HeldLease]:
        """All of them, the oldest first."""
        return list(self._held.values())

    def waits(self, token: int) -> bool:
        """Whether this lease waits for another slot."""
        return token in self._missed

    def begin(self, held: HeldLease) -> None:
        """Note a lease whose slot lies ahead, a new one or one that missed its last."""
        self._held[held.lease.token] = held
        self._missed.pop(held.lease.token, None)

    def miss(self, held: HeldLease) -> None:
        """Note that a lease waits for another slot."""
        self._missed[held.lease.token] = held

    def missed_before(self, lease: Lease) -> HeldLease | None:
        """Find what this worker has of a lease that waits for another slot."""
        return self._missed.get(lease.token)

    def end(self, token: int) -> None:
        """Forget a lease."""
        self._held.pop(token, None)
        self._missed.pop(token, None)

    def end_all(self, leases: Sequence[HeldLease]) -> None:
        """Forget leases."""
        for held in leases:
            self.end(held.lease.token)
