"""``/_sandbox/…``: look at a running stand-in, and change what it does."""

from typing import Any, Final

import msgspec
from aiohttp import web

from weighbridge_worker.sandbox.faults import Fault, Faults
from weighbridge_worker.sandbox.gate import Gate
from weighbridge_worker.sandbox.ledger import Ledger


class FaultSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``PUT /_sandbox/faults``; it replaces the whole schedule.

    Args:
        next: what the next attempts meet, in order; null is a healthy answer.
        probabilities: how probable each fault is after that; the sum is at most 1.
    """

    next: list[Fault | None] = []
    probabilities: dict[Fault, float] = {}


class GateState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``PUT /_sandbox/gate``."""

    open: bool


_FAULTS_TAKE: Final = (
    'send {"next": [fault or null, …], "probabilities": {fault: share, …}}; faults are '
    + ", ".join(Fault)
)
_GATE_TAKES: Final = 'send {"open": true} or {"open": false}'
_SINCE_TAKES: Final = "since takes the index of an attempt, 0 or more"


class Control:
    """The handlers of the control paths; they need no key."""

    def __init__(self, *, faults: Faults, gate: Gate, ledger: Ledger) -> None:
        self._faults = faults
        self._gate = gate
        self._ledger = ledger

    def routes(self) -> list[web.RouteDef]:
        """Return the paths with their handlers."""
        return [
            web.get("/_sandbox/health", self.health),
            web.get("/_sandbox/ledger", self.read_ledger),
            web.delete("/_sandbox/ledger", self.clear_ledger),
            web.get("/_sandbox/faults", self.read_faults),
            web.put("/_sandbox/faults", self.set_faults),
            web.get("/_sandbox/gate", self.read_gate),
            web.put("/_sandbox/gate", self.set_gate),
        ]

    async def health(self, _request: web.Request) -> web.Response:
        """Say that the server answers."""
        return _json({"status": "ok"})

    async def read_ledger(self, request: web.Request) -> web.Response:
        """Return the attempts from ``?since=`` on, or all."""
        since = request.query.get("since", "0")
        if not (since.isascii() and since.isdigit()):
            return _wrong(_SINCE_TAKES)
        return _json({"attempts": self._ledger.since(int(since))})

    async def clear_ledger(self, _request: web.Request) -> web.Response:
        """Forget the attempts."""
        self._ledger.clear()
        return _json({"attempts": []})

    async def read_faults(self, _request: web.Request) -> web.Response:
        """Return the schedule."""
        return _json(self._faults.describe())

    async def set_faults(self, request: web.Request) -> web.Response:
        """Replace the schedule."""
        try:
            schedule = msgspec.json.decode(await request.read(), type=FaultSchedule)
            self._faults.set_probabilities(schedule.probabilities)
        except ValueError as error:  # msgspec's errors are among them
            return _wrong(f"{error}; {_FAULTS_TAKE}")
        self._faults.set_next(schedule.next)
        return _json(self._faults.describe())

    async def read_gate(self, _request: web.Request) -> web.Response:
        """Say whether the gate is open, and how many calls it holds."""
        return _json({"open": self._gate.is_open, "held": self._gate.held})

    async def set_gate(self, request: web.Request) -> web.Response:
        """Open or close the gate."""
        try:
            wanted = msgspec.json.decode(await request.read(), type=GateState)
        except ValueError as error:
            return _wrong(f"{error}; {_GATE_TAKES}")
        if wanted.open:
            self._gate.open()
        else:
            self._gate.close()
        return await self.read_gate(request)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )


def _wrong(sentence: str) -> web.Response:
    return _json({"error": sentence}, 400)
