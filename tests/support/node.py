"""Programs that tests run under node, with what ``tests/npm`` locks."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

NPM = Path(__file__).parents[1] / "npm"
INSTALL_S = 110


def run_node(script: str, *words: str, within_s: float = 60) -> str:
    """Run a script of ``tests/npm`` to its end; returns what it printed."""
    node = install()
    done = subprocess.run(
        [node, NPM / script, *words],
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install() -> str:
    """Install what is locked unless it is there; returns node's path.

    Two processes of one test run may come here at once.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("needs node and npm on PATH")
    lock = NPM / "package-lock.json"
    stamp = NPM / "node_modules" / ".installed"
    with lock.open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text() != wanted:
            done = subprocess.run(
                [npm, "ci"], cwd=NPM, capture_output=True, text=True, timeout=INSTALL_S, check=False
            )
            assert done.returncode == 0, done.stderr
            stamp.write_text(wanted)
    return node
