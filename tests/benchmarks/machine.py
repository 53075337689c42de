"""What the machine was like while something was measured; it stands beside each figure."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _ticks() -> list[int]:
    """Read the processors' ticks: all but the first word of /proc/stat."""
    with Path("/proc/stat").open() as stat:
        return [int(word) for word in stat.readline().split()[1:]]


@contextmanager
def observed() -> Iterator[dict[str, float]]:
    """Note load, steal and how busy the machine was while the block ran; set once it is left."""
    seen: dict[str, float] = {}
    before = _ticks()
    yield seen
    ticks = [after - start for start, after in zip(before, _ticks(), strict=True)]
    total = max(1, sum(ticks))
    seen |= {"load": os.getloadavg()[0], "steal": ticks[7] / total, "busy": 1 - ticks[3] / total}


def process_cpu_s(pid: int) -> float:
    """Read the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(within_s: float = 5.0) -> None:
    """Wait until the processors are idle for half a second, but not for ever."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with observed() as seen:
            time.sleep(0.5)
        if seen["busy"] < 0.15:
            return
