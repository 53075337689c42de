"""The command as people run it: a process of its own, with an environment of its own."""

import json
import lzma
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from support.acl import command_as_role
from support.warm_start import Forker

COMMAND = (sys.executable, "-m", "weighbridge_worker")
DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples" / "payloads.jsonl"
PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "TMPDIR")


def environment(home: Path, **extra: str) -> dict[str, str]:
    """Make an environment with a home of its own and nothing of the tester's settings."""
    return _passed_on() | {"HOME": str(home)} | extra


def _passed_on() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def warm(env: Mapping[str, str]) -> Forker | None:
    """Return what forks commands in this environment; None where they have to start cold."""
    if sys.platform != "linux":
        return None
    forker = _forker()
    return forker if forker.can_be(env) else None


@cache
def _forker() -> Forker:
    return Forker(_passed_on())


def run(
    *words: str, env: Mapping[str, str], stdin: bytes = b"", within_s: float = 90
) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    told, told_env = command_as_role(words, env)
    if forker := warm(told_env):
        status, out, err = forker.run(told, told_env, stdin, within_s)
        return subprocess.CompletedProcess([*COMMAND, *told], status, out.decode(), err.decode())
    done = subprocess.run(
        [*COMMAND, *told],
        env=told_env,
        input=stdin,
        capture_output=True,
        timeout=within_s,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@contextmanager
def started(*words: str, env: Mapping[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """Run the command while the block runs; kill it if it still runs then."""
    told, told_env = command_as_role(words, env)
    with subprocess.Popen(
        [*COMMAND, *told], env=told_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def rows(text: str) -> list[dict[str, Any]]:
    """Read JSONL."""
    return [json.loads(line) for line in text.splitlines()]


def public_payloads() -> list[bytes]:
    """Read the 500 generated payloads."""
    with lzma.open(DATA / "payloads_public.jsonl.xz") as stream:
        return stream.read().splitlines()


def public_manifest() -> list[dict[str, Any]]:
    """Read what is known of the 500 payloads."""
    return rows((DATA / "payloads_public.manifest.jsonl").read_text())
