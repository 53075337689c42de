"""How busy the machine was: without it the seconds of a recovery mean little."""

import os
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
IDLE, STOLEN = 3, 7
"""Places of these ticks in the line ``cpu`` (proc(5))."""


@dataclass(frozen=True, slots=True)
class Ticks:
    """Where the processors' time had gone by one moment; nothing where the system does not say."""

    counts: tuple[int, ...] = ()

    @classmethod
    def now(cls) -> "Ticks":
        """Read them."""
        if not STAT.exists():
            return cls()
        return cls(tuple(int(word) for word in STAT.read_text().split("\n", 1)[0].split()[1:9]))

    def since(self) -> str:
        """Say what the machine did from then on, all its processes together."""
        gone = [now - then for now, then in zip(Ticks.now().counts, self.counts, strict=True)]
        if not sum(gone):
            return ""
        busy, stolen = 1 - gone[IDLE] / sum(gone), gone[STOLEN] / sum(gone)
        return f"machine busy {busy:.0%}, steal {stolen:.1%}, load {os.getloadavg()[0]:.1f}"
