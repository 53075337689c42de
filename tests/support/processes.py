"""Real processes for tests, watched with deadlines."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HOLDER = Path(__file__).with_name("holder.py")


def is_running(pid: int) -> bool:
    """Say whether the process runs; a zombie does not."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def eventually(condition: Callable[[], bool], *, within_s: float = 10) -> bool:
    """Wait until the condition holds; false if it does not within the time."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def holder(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run ``holder.py`` with the tests' import path; it is killed at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, str(HOLDER), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str], *, within_s: float = 20) -> str:
    """Return the first line that the process prints."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], within_s)
    assert readable, f"nothing printed within {within_s} s"
    return process.stdout.readline().strip()
