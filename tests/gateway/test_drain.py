"""SIGTERM to a real gateway process: what is open is answered, nothing new is taken."""

import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio import to_thread
from support.commands import environment, started
from support.gateway_under_test import COUNT_PATH
from support.pools import until
from support.sandbox_pool import sandbox_pool

from weighbridge_worker.sandbox import Sandbox

pytestmark = pytest.mark.asyncio
ASK = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "Hello"}]}


@asynccontextmanager
async def held_request(
    url: str, home: Path, **settings: str
) -> AsyncIterator[tuple["subprocess.Popen[str]", Sandbox, list[httpx2.Response], str]]:
    """Run a gateway that waits for a count which the endpoint holds back."""
    env = environment(home, WEIGHBRIDGE_REDIS_URL=url, WEIGHBRIDGE_LOG_FORMAT="json", **settings)
    answers: list[httpx2.Response] = []
    async with sandbox_pool(url) as (_, stand_in):
        stand_in.gate.close()
        with started("gateway", "--port", "0", env=env) as process:
            base_url = await to_thread.run_sync(_told, process)

            async def ask() -> None:
                async with httpx2.AsyncClient(base_url=base_url, timeout=60) as client:
                    answers.append(await client.post(COUNT_PATH, json=ASK))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                with anyio.fail_after(60):
                    await stand_in.gate.holds(1)
                process.send_signal(signal.SIGTERM)
                await until(lambda: not _listens(base_url), within_s=30)
                yield process, stand_in, answers, base_url
        stand_in.gate.open()


def _told(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    said: dict[str, Any] = json.loads(process.stderr.readline())
    return str(said["base_url"])


def _listens(base_url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(base_url.rpartition(":")[2])), 5).close()
    except OSError:
        return False
    return True


async def test_a_drain_answers_what_is_open_and_takes_nothing_new(
    redis_url: str, tmp_path: Path
) -> None:
    async with held_request(redis_url, tmp_path) as (process, stand_in, answers, _):
        assert process.poll() is None
        stand_in.gate.open()
        assert await to_thread.run_sync(lambda: process.wait(30)) == 0
        await until(lambda: answers)
    assert answers[0].status_code == 200
    assert answers[0].json()["input_tokens"] > 0


async def test_who_waits_beyond_the_drain_is_told_to_ask_again(
    redis_url: str, tmp_path: Path
) -> None:
    times = {"WEIGHBRIDGE_GATEWAY_DRAIN": "0.5"}
    async with held_request(redis_url, tmp_path, **times) as (process, _, answers, _):
        assert await to_thread.run_sync(lambda: process.wait(30)) == 0
        await until(lambda: answers)
    assert answers[0].status_code == 503
    assert answers[0].json()["error"]["details"]["error_code"] == "stopping"
    assert answers[0].headers["retry-after"] == "1"


async def test_a_second_signal_ends_the_waiting_at_once(redis_url: str, tmp_path: Path) -> None:
    async with held_request(redis_url, tmp_path) as (process, _, answers, _):
        process.send_signal(signal.SIGINT)
        assert await to_thread.run_sync(lambda: process.wait(20)) == 0, "the drain has 25 s"
        await until(lambda: answers)
    assert answers[0].status_code == 503
