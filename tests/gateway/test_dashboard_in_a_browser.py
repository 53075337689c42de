"""The dashboard in a headless Chromium: it moves, asks no other host, and everybody can read it."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from anyio.to_thread import run_sync
from support.gateway_under_test import (
    OPERATOR,
    only_gateway,
    running_gateway,
    tokens_file,
)
from support.node import NPM, install
from support.pools import Answers, running_pool

from weighbridge import Client, Failed
from weighbridge_worker.calls import PermanentFailure
from weighbridge_worker.sandbox import sandbox

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]
PATIENCE_S = 300


def payload(text: str) -> dict[str, Any]:
    """Make a payload."""
    return {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": text}]}


class Browser:
    """A scenario of ``dashboard.mjs`` under way."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._text = TextReceiveStream(process.stdout)
        self._process = process
        self._rest = ""

    async def line(self) -> str:
        """Return the next line that it prints."""
        while "\n" not in self._rest:
            self._rest += await self._text.receive()
        line, _, self._rest = self._rest.partition("\n")
        return line

    async def seen(self) -> dict[str, Any]:
        """Return what it saw, once it is through."""
        try:
            line = await self.line()
        except anyio.EndOfStream:
            pytest.fail("the browser's scenario failed; its own words stand above")
        seen: dict[str, Any] = json.loads(line)
        assert await self._process.wait() == 0
        return seen


@asynccontextmanager
async def browsing(base_url: str, scenario: str, *words: str) -> AsyncIterator[Browser]:
    """Run a scenario against a gateway."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium on PATH")
    node = await run_sync(install)
    command = [node, str(NPM / "dashboard.mjs"), chromium, base_url, scenario, *words]
    with anyio.fail_after(PATIENCE_S):
        async with await anyio.open_process(command, stdin=None, stderr=None) as process:
            try:
                yield Browser(process)
            finally:
                if process.returncode is None:
                    process.kill()


def check(seen: dict[str, Any], base_url: str) -> None:
    """No complaint, no other host, no barrier, nothing wider than its screen."""
    assert {urlsplit(url).netloc for url in seen["requested"]} == {urlsplit(base_url).netloc}
    assert seen["said"] == []
    assert {name: found for name, found in seen["violations"].items() if found} == {}
    assert {name: wider for name, wider in seen["overflow"].items() if wider > 0} == {}


async def bury(url: str) -> None:
    """Let two jobs fail for good."""
    refusing = Answers(error=lambda _: PermanentFailure("timeout", "no"))
    async with running_pool(url, refusing), Client.connect(url) as wb:
        for text in ("one", "two"):
            assert isinstance(await wb.result(await wb.submit(payload(text))), Failed)


async def keep_submitting(wb: Client) -> None:
    """Submit payloads, each another one, for as long as the test runs."""
    number = 0
    while True:
        await wb.submit(payload(f"number {number}"))
        number += 1
        await anyio.sleep(0.02)


async def test_it_moves_while_a_load_runs_and_everybody_can_read_it(redis_url: str) -> None:
    await bury(redis_url)
    async with (
        running_gateway(redis_url, rpm=6000) as gateway,
        Client.connect(redis_url) as wb,
        anyio.create_task_group() as load,
        browsing(gateway.base_url, "load") as browser,
    ):
        load.start_soon(keep_submitting, wb)
        seen = await browser.seen()
        load.cancel_scope.cancel()
    check(seen, gateway.base_url)
    assert seen["granted"][0] < seen["granted"][1] < seen["granted"][2]
    assert seen["verdict"]
    assert seen["title"].endswith("– Weighbridge")
    assert seen["chart"].startswith("Calls a minute, the last minute")
    assert "limit 6,000 now" in seen["chart"]
    assert (seen["left"], seen["focused"]) == ("", "Replay those that failed with timeout")
    assert seen["replayed"] == "Replayed 2 of 2."
    assert len(seen["violations"]) == 5


async def test_it_asks_for_an_operators_token_and_keeps_it_in_the_tab(
    redis_url: str, tmp_path: Path
) -> None:
    file = tokens_file(tmp_path)
    async with (
        running_gateway(redis_url, pool=False, tokens_file=file) as gateway,
        browsing(gateway.base_url, "access", OPERATOR) as browser,
    ):
        seen = await browser.seen()
    # Chromium itself notes an answer of 401 as an error; the page says nothing.
    refusals = [line for line in seen["said"] if "status of 401" in line]
    assert seen["said"] == refusals
    check(seen | {"said": []}, gateway.base_url)
    assert seen["hidden"]
    assert seen["refused"] == "Refused: invalid x-api-key."
    assert (seen["kept"], seen["signedIn"]) == (0, True)
    assert "Start one with weighbridge worker" in seen["empty"]


async def test_a_lost_connection_is_said_and_made_again(redis_url: str) -> None:
    async with sandbox() as stand_in, only_gateway(redis_url, stand_in) as first:
        port = urlsplit(first.base_url).port
        async with browsing(first.base_url, "lost") as browser:
            assert await browser.line() == "live"
            first.server.stop()
            assert await browser.line() == "lost"
            async with only_gateway(redis_url, stand_in, port=port) as second:
                seen = await browser.seen()
    assert second.base_url == first.base_url
    assert seen["lost"].startswith("Connection lost: the gateway ")
    assert (seen["stale"], seen["verdict"][:31]) == ("1", "No news from the gateway since ")
    assert all("net::ERR_CONNECTION_REFUSED" in line for line in seen["said"])
    check(seen | {"said": []}, first.base_url)
