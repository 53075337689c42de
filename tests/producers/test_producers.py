"""The producers of ``deploy/producers``: plain Redis commands of another language's client."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis
from support.node import NPM, install
from support.pool_threads import pool_thread
from support.pools import Answers
from support.processes import eventually
from support.redis_server import server_binaries

from weighbridge.digest import digest_of
from weighbridge.keys import Keys
from weighbridge.payload import check_payload
from weighbridge_worker.calls import PassingFailure
from weighbridge_worker.server import ServerProcess
from weighbridge_worker.testing import sandbox_pool

FOLDER = Path(__file__).parents[2] / "deploy" / "producers"
KEYS = Keys()
LANGUAGES = ("node", "python", "shell")
PATIENT = ("node", "python")
"""These ask again by themselves."""


def canonical(text: str) -> bytes:
    """Make a payload's canonical bytes."""
    body = {"model": "claude-test", "messages": [{"role": "user", "content": text}]}
    return check_payload(body).body


def command(language: str, folder: Path) -> list[str]:
    """Return what runs a language's producer; skip the test where it cannot run here."""
    if language == "python":
        return [sys.executable, str(FOLDER / "count.py")]
    if language == "shell":
        if shutil.which("redis-cli") is None:
            pytest.skip("redis-cli is not installed")
        return ["sh", str(FOLDER / "count.sh")]
    node = install()
    shutil.copy(FOLDER / "count.mjs", folder)
    (folder / "node_modules").symlink_to(NPM / "node_modules")
    return [node, str(folder / "count.mjs")]


@contextmanager
def producing(
    language: str, url: str, folder: Path, payloads: Sequence[bytes], **more: str
) -> Iterator["subprocess.Popen[str]"]:
    """Run a producer while the block runs."""
    lines = folder / "payloads.jsonl"
    lines.write_bytes(b"".join(payload + b"\n" for payload in payloads))
    environ = {**os.environ, "REDIS_URL": url, "REDIS_CLI": f"redis-cli -s {url[7:]}", **more}
    with subprocess.Popen(
        [*command(language, folder), str(lines)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


pytestmark = pytest.mark.timeout(300)


def replies(process: "subprocess.Popen[str]", status: int) -> list[dict[str, Any]]:
    """Wait for a producer's end; returns what it printed, in the payloads' order if it says it."""
    out, said = process.communicate(timeout=200)
    assert process.returncode == status, said
    rows = [json.loads(line) for line in out.splitlines()]
    return sorted(rows, key=lambda row: row.get("line", 0))


@contextmanager
def own_server(folder: Path, *, persistent: bool) -> Iterator[ServerProcess]:
    """Run a server that a test may restart."""
    server = ServerProcess(server_binaries()[0], folder, persistent=persistent)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.parametrize(("language", "count"), [("node", 1000), ("python", 300), ("shell", 30)])
def test_every_payload_is_answered_under_our_own_digest(
    language: str, count: int, tmp_path: Path
) -> None:
    payloads = [canonical(f"number {number}") for number in range(count)]
    with (
        sandbox_pool() as pool,
        producing(language, pool.url, tmp_path, payloads) as process,
    ):
        answered = replies(process, 0)
    assert [row["digest"] for row in answered] == [
        digest_of(check_payload(payload)) for payload in payloads
    ]
    assert {(row["status"], row["source"]) for row in answered} == {("counted", "estimate")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_failure_is_reported_and_the_others_go_on(
    language: str, redis_url: str, tmp_path: Path
) -> None:
    payloads = [canonical("good"), b"{", b'{"model": "caf\xc3\xa9"}', canonical("as well")]
    with (
        pool_thread(redis_url, Answers()),
        producing(language, redis_url, tmp_path, payloads) as process,
    ):
        answered = replies(process, 3)
    assert [row.get("code") for row in answered] == [
        None,
        "malformed_payload",
        "malformed_payload",
        None,
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_restart_of_the_server_costs_no_answer(language: str, tmp_path: Path) -> None:
    payloads = [canonical(f"number {number}") for number in range(20)]
    answers = Answers()
    with own_server(tmp_path, persistent=True) as server, pool_thread(server.url, answers) as loop:
        answers.gate = loop.call(anyio.Event)
        with producing(language, server.url, tmp_path, payloads) as process:
            with redis.Redis.from_url(server.url) as looker:
                assert eventually(lambda: looker.zcard(KEYS.deadlines) == 20, within_s=60)
            server.stop()
            server.start()
            loop.call(answers.gate.set)
            answered = replies(process, 0)
    assert Counter(row["status"] for row in answered) == {"counted": 20}
    assert len({row["digest"] for row in answered}) == 20


@pytest.mark.parametrize("language", PATIENT)
def test_what_a_server_lost_is_asked_again(language: str, tmp_path: Path) -> None:
    payloads = [canonical(f"number {number}") for number in range(20)]
    with (
        own_server(tmp_path, persistent=False) as server,
        producing(language, server.url, tmp_path, payloads, ASK_AGAIN_S="1") as process,
    ):
        with redis.Redis.from_url(server.url) as looker:
            assert eventually(lambda: looker.xlen(KEYS.inbox) == 20, within_s=60)
        server.stop()
        server.start()
        with pool_thread(server.url, Answers()):
            answered = replies(process, 0)
    assert Counter(row["status"] for row in answered) == {"counted": 20}


@pytest.mark.parametrize("language", PATIENT)
def test_a_failure_that_may_pass_is_asked_again(
    language: str, redis_url: str, tmp_path: Path
) -> None:
    seen: Counter[bytes] = Counter()

    def fails_first(body: bytes) -> Exception | None:
        seen[body] += 1
        return PassingFailure("timeout", "too slow") if seen[body] == 1 else None

    payloads = [canonical(f"number {number}") for number in range(5)]
    with (
        pool_thread(redis_url, Answers(error=fails_first), max_attempts=1),
        producing(language, redis_url, tmp_path, payloads) as process,
    ):
        answered = replies(process, 0)
    assert Counter(row["status"] for row in answered) == {"counted": 5}
    assert set(seen.values()) == {2}


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_nobody_answers_a_producer_gives_up(
    language: str, redis_url: str, tmp_path: Path
) -> None:
    with producing(language, redis_url, tmp_path, [canonical("a")], GIVE_UP_S="1") as process:
        answered = replies(process, 3)
    assert [row["code"] for row in answered] == ["no_reply"]
    with redis.Redis.from_url(redis_url) as cleaner:
        cleaner.delete(KEYS.inbox)
