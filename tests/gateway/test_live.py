"""The live stream and the snapshot: one look for all, within bounds, over when the gateway is."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from support.gateway_under_test import ALICE, OPERATOR, running_gateway, tokens_file
from support.pools import until

from weighbridge.admin import Admin, PoolState
from weighbridge_worker.gateway import live, lookout
from weighbridge_worker.gateway.live import LiveStream
from weighbridge_worker.gateway.lookout import Lookout
from weighbridge_worker.gateway.tenants import EVERYBODY
from weighbridge_worker.logs import make_logger
from weighbridge_worker.watch.history import Columns, History
from weighbridge_worker.watch.snapshot import Snapshot
from weighbridge_worker.watch.verdict import unreachable

pytestmark = pytest.mark.asyncio
LOG = make_logger("error", "json")
PATIENCE = aiohttp.ClientTimeout(total=60)


class Looks:
    """A watcher that looks at nothing and counts."""

    def __init__(self) -> None:
        self.number = 0

    async def look(self) -> Snapshot:
        """Look at nothing."""
        self.number += 1
        await anyio.lowlevel.checkpoint()
        return Snapshot(self.number, float(self.number), "weighbridge", unreachable("x"), None)

    def columns(self) -> Columns:
        """Remember nothing."""
        return History().columns()


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Read events until the stream ends."""
    name = ""
    async for line in response.content:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


@asynccontextmanager
async def asking(base_url: str, **headers: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client."""
    async with aiohttp.ClientSession(base_url, headers=headers, timeout=PATIENCE) as session:
        yield session


async def test_a_stream_begins_with_the_last_minutes_and_goes_on(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, rpm=6000) as gateway,
        asking(gateway.base_url) as session,
        session.get("/v1/live") as response,
    ):
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        seen: list[tuple[str, Any]] = []
        async for event in events(response):
            seen.append(event)
            if len(seen) == 4:
                break
    assert [name for name, _ in seen] == ["history", "snapshot", "snapshot", "snapshot"]
    history, *snapshots = (data for _, data in seen)
    assert set(history) == {"at_s", "used", "permitted", "limit", "interactive", "batch"}
    numbers = [snapshot["number"] for snapshot in snapshots]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    assert snapshots[2]["verdict"]["code"] == "well"
    assert snapshots[2]["pool"]["rate"]["limit"] == 6000


async def test_all_viewers_share_each_look(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        asking(gateway.base_url) as session,
        session.get("/v1/live") as one,
        session.get("/v1/live") as other,
    ):
        seen: list[dict[int, Any]] = [{}, {}]

        async def read(place: int, response: aiohttp.ClientResponse) -> None:
            async for name, data in events(response):
                if name == "snapshot":
                    seen[place][data["number"]] = data
                if len(seen[0].keys() & seen[1].keys()) >= 2:
                    return

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, 0, one)
            tasks.start_soon(read, 1, other)
    shared = seen[0].keys() & seen[1].keys()
    assert all(seen[0][number] == seen[1][number] for number in shared)


async def test_a_snapshot_is_a_look_that_was_made_after_it_was_asked_for(redis_url: str) -> None:
    async with running_gateway(redis_url, pool=False) as gateway, asking(gateway.base_url) as wb:
        numbers = []
        for _ in range(2):
            async with wb.get("/v1/snapshot") as response:
                assert (response.status, response.content_type) == (200, "application/json")
                numbers.append((await response.json())["number"])
    assert numbers[0] < numbers[1]


async def test_viewers_are_bounded_and_a_place_is_free_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "MAX_VIEWERS", 1)
    async with running_gateway(redis_url, pool=False) as gateway, asking(gateway.base_url) as wb:
        async with wb.get("/v1/live") as first:
            await anext(events(first))
            async with wb.get("/v1/live") as second:
                assert (second.status, second.headers["retry-after"]) == (503, "10")
                error = (await second.json())["error"]
                assert error["details"]["error_code"] == "too_many_viewers"
            first.close()
        await until(lambda: gateway.gateway.lookout.viewers == 0)
        async with wb.get("/v1/live") as third:
            assert third.status == 200


async def test_streams_end_with_the_gateway(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False, drain_s=60.0) as gateway,
        asking(gateway.base_url) as session,
        session.get("/v1/live") as response,
    ):
        stream = events(response)
        assert (await anext(stream))[0] == "history"
        gateway.server.stop()
        async for name, _ in stream:  # ends whole, or aiohttp would raise
            assert name == "snapshot"
    assert gateway.gateway.lookout.viewers == 0


async def test_nobody_looks_while_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "EVERY_S", 0.001)
    monkeypatch.setattr(lookout, "UNWATCHED_S", 3600.0)
    looks = Looks()
    watched = Lookout(looks, LOG)  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watched.run)
        await until(lambda: looks.number == 1)
        await anyio.sleep(0.1)  # a hundred looks' time; a slow machine makes the test no stricter
        assert looks.number == 1
        with watched.watching():
            await until(lambda: looks.number > 3)
        tasks.cancel_scope.cancel()


async def test_a_look_that_breaks_leaves_the_gateway_alone(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_given: Any, **_named: Any) -> PoolState:
        raise ValueError("secret")

    monkeypatch.setattr(Admin, "inspect", broken)
    async with running_gateway(redis_url) as gateway, asking(gateway.base_url) as session:
        async with session.get("/v1/snapshot") as response:
            seen = await response.json()
        async with session.get("/live") as response:
            assert response.status == 200
    assert (seen["pool"], seen["verdict"]["code"]) == (None, "unreachable")
    assert seen["verdict"]["text"] == "The pool cannot be seen: a look at it broke (ValueError)"


async def test_a_viewer_that_takes_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SLOW_S", 0.01)
    watched = Lookout(Looks(), LOG)  # type: ignore[arg-type]
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if len(sent) > 1:
            await anyio.sleep_forever()

    async def receive() -> Any:
        await anyio.sleep_forever()

    scope = {"type": "http", "headers": [], "state": {"tenant": EVERYBODY}}
    with anyio.fail_after(30):
        await LiveStream(watched)(scope, receive, send)
    assert (sent, watched.viewers) == (["http.response.start", "http.response.body"], 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/live"),
        ("GET", "/v1/snapshot"),
        ("GET", "/v1/dead-letters"),
        ("POST", "/v1/dead-letters/replay"),
    ],
)
async def test_what_operators_see_is_for_operators(
    redis_url: str, tmp_path: Path, method: str, path: str
) -> None:
    file = tokens_file(tmp_path)
    statuses = []
    async with (
        running_gateway(redis_url, pool=False, tokens_file=file) as gateway,
        asking(gateway.base_url) as session,
    ):
        for token in ("", "wrong-wrong-wrong-wrong", ALICE, OPERATOR):
            headers = {"x-api-key": token, "content-type": "application/json"}
            async with session.request(
                method, path, headers=headers, data=b'{"code": "x"}'
            ) as response:
                statuses.append(response.status)
    assert statuses == [401, 401, 403, 200]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"host": "evil.example:80", "origin": "http://evil.example:80"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/live", "/v1/snapshot", "/v1/dead-letters"])
async def test_another_sites_page_learns_nothing_where_access_is_off(
    redis_url: str, headers: dict[str, str], path: str
) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        asking(gateway.base_url) as session,
        session.get(path, headers=headers) as response,
    ):
        assert response.status == 403
        assert "namespace" not in await response.text()
