"""The client without an event loop in processes that fork, and that somebody interrupts."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import redis
from support.pool_threads import pool_thread
from support.pools import Answers
from support.processes import eventually

from weighbridge.keys import Keys

KEYS = Keys()
FOLDER = Path(__file__).parent
ENVIRON = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

INTERRUPTED = """
import signal
import sys
from weighbridge.sync import Client

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever who runs the tests ignores

body = {"model": "claude-test", "messages": [{"role": "user", "content": "nobody counts this"}]}
with Client.connect(sys.argv[1]) as wb:
    CALL
"""


def test_forked_processes_connect_anew_and_leave_their_parents_connections_alone(
    redis_url: str,
) -> None:
    with pool_thread(redis_url, Answers()):
        done = subprocess.run(
            [sys.executable, str(FOLDER / "preforked.py"), redis_url],
            env=ENVIRON,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {"children": [0, 0, 0], "rest": [1], "again": "miss", "kept": True}
    assert "Traceback" not in done.stderr, done.stderr


def _interrupt(redis_url: str, call: str) -> tuple[int, str]:
    """Send Ctrl-C to a program that waits for a job which nobody counts."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED.replace("CALL", call), redis_url],
            env=ENVIRON,
            stderr=subprocess.PIPE,
            text=True,
        ) as program,
        redis.Redis.from_url(redis_url) as looker,
    ):
        try:
            assert eventually(lambda: looker.zcard(KEYS.deadlines) == 1, within_s=60)
            program.send_signal(signal.SIGINT)
            _, said = program.communicate(timeout=30)
        finally:
            program.kill()
    return program.returncode, said


def test_ctrl_c_ends_a_wait_for_one_count(redis_url: str) -> None:
    status, said = _interrupt(redis_url, "wb.count(body, timeout_s=3600)")
    assert status == -signal.SIGINT
    assert said.strip().endswith("KeyboardInterrupt")


def test_ctrl_c_ends_a_loop_over_many(redis_url: str) -> None:
    status, said = _interrupt(redis_url, "list(wb.count_many([body]))")
    assert status == -signal.SIGINT
    assert said.strip().endswith("KeyboardInterrupt")
