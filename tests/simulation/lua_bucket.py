"""The shared bucket as it ships: its Lua, run in virtual time without a server.

The parts are pure arithmetic, so the very lines that Redis runs can be simulated a million times.
"""

from collections.abc import Callable
from importlib.resources import files
from typing import Any, NamedTuple

from lupa.lua51 import LuaRuntime

from weighbridge.exchange import Calls, Failing

NO_CALLS = Calls()

PARTS = ("regrowth", "bucket", "outage", "turns")

# What `take` does with the parts; the state stays on Lua's side, as it stays in Redis.
ENTRY = """
local fields = {}
local api = {}

local callers = {}

function api.visit(now, interval, living, left, want, answered, failed, generation, worker, lone)
  local bucket = open_bucket(fields, now, interval)
  local caller = callers[worker] or {answered_in_row = 0, failed_in_row = 0, failing_at = 0}
  callers[worker], caller.lone = caller, lone
  local failing = judge_calls(bucket, caller, answered, failed, generation)
  if keeps_off(bucket, caller, failing) then want = 0 end
  local visit = begin_visit(bucket, living, left)
  local slots = {}
  while #slots < math.min(want, visit.quota) do slots[#slots + 1] = use_slot(bucket) end
  local wait = end_visit(bucket, visit)
  fields = bucket
  return wait, longest_sleep(living), bucket.generation, bucket.iv, bucket.hold, failing,
    unpack(slots)
end

function api.penalise(now, interval, wait, generation, hold, ramp)
  local bucket = open_bucket(fields, now, interval)
  penalise_bucket(bucket, wait, generation, hold, ramp)
  fields = bucket
end

function api.resume(now, interval)
  local bucket = open_bucket(fields, now, interval)
  resume_bucket(bucket)
  fields = bucket
end

function api.probed(now, interval)
  local bucket = open_bucket(fields, now, interval)
  end_hold(bucket)
  fields = bucket
end

function api.share(now, interval) return share_of(open_bucket(fields, now, interval), now) end

function api.stored()
  local stored = {hold = fields.hold}
  for _, name in ipairs(BUCKET_FIELDS) do stored[name] = fields[name] end
  return stored
end

function api.store(name, value) fields[name] = value end

function api.lose() fields = {} end

return api
"""


class Visit(NamedTuple):
    """What one visit brought.

    Args:
        wait: µs until the worker's turn.
        longest_sleep: µs after which it should look even so.
        generation: of the bucket's penalties, to be named by a 429 of these slots.
        interval: µs between two slots at the rate in force.
        hold: why a slot is a probe's, or empty.
        failing: whose calls mostly fail by this visit.
        slots: moments of the granted permits, µs by the server's clock.
    """

    wait: float
    longest_sleep: float
    generation: int
    interval: float
    hold: str
    failing: Failing
    slots: tuple[float, ...]


def shipped(part: str) -> str:
    """Return the source of one part of the scripts."""
    return (files("weighbridge") / "lua" / "parts" / f"{part}.lua").read_text(encoding="utf-8")


def unchanged(source: str) -> str:
    """Leave the shipped source as it is."""
    return source


class LuaBucket:
    """One limit's bucket, empty at first.

    Args:
        interval: µs between two slots at the full rate, for as long as none is stored.
        change: edits the source before it is loaded, so that variants can be compared.
    """

    def __init__(self, interval: int, *, change: Callable[[str], str] = unchanged) -> None:
        self.interval = interval
        source = change("".join(shipped(part) for part in PARTS)) + ENTRY
        self._api: Any = LuaRuntime(unpack_returned_tuples=True).execute(source)

    def visit(
        self,
        now: int,
        living: int,
        left: int | None,
        want: int,
        calls: Calls = NO_CALLS,
        *,
        worker: int = 0,
        lone: bool = False,
    ) -> Visit:
        """Come for at most ``want`` slots.

        Args:
            now: µs by the server's clock.
            living: workers seen lately.
            left: µs that remain of this worker's turn; None if it has none.
            calls: how those since its last visit went.
            worker: which it is.
            lone: whether it stays away, for its calls alone fail.
        """
        went = (calls.answered, calls.failed, calls.generation)
        reply = self._api.visit(now, self.interval, living, left, want, *went, worker, lone)
        wait, longest, generation, interval, hold, failing, *slots = reply
        return Visit(wait, longest, generation, interval, hold, failing, tuple(slots))

    def penalise(
        self, now: int, wait: int, generation: int, hold: str = "", *, ramp: bool = False
    ) -> None:
        """Report a 429 of a call that was permitted in this generation."""
        self._api.penalise(now, self.interval, wait, generation, hold, ramp)

    def resume(self, now: int) -> None:
        """End a pause and a hold."""
        self._api.resume(now, self.interval)

    def probed(self, now: int) -> None:
        """End a hold, for its probe succeeded."""
        self._api.probed(now, self.interval)

    def share(self, now: int) -> int:
        """Return the share of the full rate in force, in millionths."""
        return int(self._api.share(now, self.interval))

    def stored(self) -> dict[str, Any]:
        """Return the fields as the last call left them."""
        return dict(self._api.stored().items())

    def store(self, name: str, value: float | str | None) -> None:
        """Overwrite one field; None removes it."""
        self._api.store(name, value)

    def lose(self) -> None:
        """Remove every field, as a lost key does."""
        self._api.lose()
