"""How requests of ``POST /v1/counts`` end that do not end well."""

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from support.gateway_under_test import GatewayUnderTest, running_gateway
from support.line_client import count_lines, counting, jsonl, next_row, payload
from support.own_server import own_server
from support.pools import live_jobs, until

from weighbridge_worker.gateway.bounds import BodyBudget
from weighbridge_worker.gateway.line_reader import LineReader
from weighbridge_worker.gateway.line_source import LineSource

pytestmark = pytest.mark.asyncio


def head(gateway: GatewayUnderTest) -> bytes:
    """Begin a request whose body comes in chunks."""
    host = urlsplit(gateway.base_url).netloc
    return (
        f"POST /v1/counts HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    )


def chunk(data: bytes) -> bytes:
    """Frame a piece of the body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


async def connected(gateway: GatewayUnderTest) -> anyio.abc.SocketStream:
    """Open a connection of a client that we play ourselves."""
    address = urlsplit(gateway.base_url)
    return await anyio.connect_tcp(str(address.hostname), int(address.port or 0))


async def everything(stream: anyio.abc.SocketStream) -> bytes:
    """Read until the other side closes."""
    read = b""
    with anyio.fail_after(30):
        try:
            async for data in stream:
                read += data
        except anyio.BrokenResourceError:
            pass
    return read


async def test_a_client_that_leaves_leaves_its_jobs_for_the_cache(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway:
        gateway.stand_in.gate.close()
        client = await connected(gateway)
        await client.send(head(gateway) + chunk(jsonl(payload("hello"))))
        await gateway.stand_in.gate.holds(1)
        await client.aclose()
        await until(lambda: gateway.gateway.bodies.held == 0)
        gateway.stand_in.gate.open()
        [row] = await count_lines(gateway.base_url, jsonl(payload("hello")))
        assert len(gateway.stand_in.ledger) == 1
    assert row["status"] == "counted"
    assert row["cache"] in {"hit", "joined"}


async def test_a_line_that_a_leaving_client_did_not_end_is_not_counted(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway:
        client = await connected(gateway)
        await client.send(head(gateway) + chunk(jsonl(payload("hello")).rstrip()))
        await until(lambda: gateway.gateway.bodies.held)
        await client.aclose()
        await until(lambda: gateway.gateway.bodies.held == 0)
        assert not len(gateway.stand_in.ledger)
        assert not await live_jobs(redis_url)


async def test_a_client_that_does_not_read_is_cut(redis_url: str) -> None:
    # A refused line's result holds its id, so that few lines fill what the kernel buffers.
    line = jsonl({"id": "x" * 2**20, "payload": {}})
    async with running_gateway(redis_url, read_timeout_s=0.5) as gateway:
        client = await connected(gateway)
        client.extra(anyio.abc.SocketAttribute.raw_socket).setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, 4096
        )
        with anyio.fail_after(30), pytest.raises(anyio.BrokenResourceError):  # noqa: PT012
            await client.send(head(gateway))
            while True:
                await client.send(chunk(line))
        await until(lambda: gateway.gateway.bodies.held == 0)
        await client.aclose()


async def test_a_client_that_sends_nothing_and_is_owed_nothing_is_told_and_cut(
    redis_url: str,
) -> None:
    async with running_gateway(redis_url, read_timeout_s=0.3) as gateway:
        client = await connected(gateway)
        await client.send(head(gateway) + chunk(jsonl(payload("hello")) + b'{"id": "half'))
        # What comes behind the answer's end is about the rest of the body, which never comes.
        answer, ended, _ = (await everything(client)).partition(b"\r\n0\r\n\r\n")
        await client.aclose()
    assert ended
    rows = [json.loads(line) for line in answer.splitlines() if line.startswith(b"{")]
    assert [(row["line"], row["status"]) for row in rows] == [(1, "counted"), (2, "failed")]
    assert rows[1]["code"] == "slow"


async def test_a_client_that_is_owed_a_result_may_be_silent() -> None:
    reader = LineReader(BodyBudget(1000))
    receives: list[int] = []
    messages: list[Any] = [{"type": "http.request", "body": b"{}\n", "more_body": True}]

    async def receive() -> Any:
        receives.append(len(receives))
        if messages:
            return messages.pop()
        if len(receives) == 5:
            reader.give_back(1)
        return await anyio.sleep_forever()

    source = LineSource(receive, reader, patience_s=0.05)
    with anyio.fail_after(10):
        assert [line.number async for line in source.lines()] == [1]
    assert source.ending == "slow"
    assert len(receives) >= 5


async def test_a_client_that_trickles_a_line_without_end_is_cut() -> None:
    reader = LineReader(BodyBudget(10_000_000))

    async def receive() -> Any:
        await anyio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    source = LineSource(receive, reader, patience_s=0.2)
    with anyio.fail_after(10):
        assert [line async for line in source.lines()] == []
    assert source.ending == "slow"


async def test_a_gateway_that_stops_says_so_in_the_lines_that_are_left(redis_url: str) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield jsonl({"id": "left", "payload": payload("hello")})
        await anyio.sleep_forever()

    async with running_gateway(redis_url) as gateway:
        gateway.stand_in.gate.close()
        async with counting(gateway.base_url, body()) as answer:
            await gateway.stand_in.gate.holds(1)
            gateway.server.stop_now()
            row = await next_row(answer)
            assert await answer.content.read() == b""
        gateway.stand_in.gate.open()
    assert (row["line"], row["id"], row["status"]) == (1, "left", "failed")
    assert row["code"] == "stopping"


async def test_a_queue_that_is_lost_is_said_in_the_lines_that_are_left(tmp_path: Path) -> None:
    lost = anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield jsonl({"id": "a", "payload": payload("one")})
        await lost.wait()
        yield jsonl({"id": "b", "payload": payload("two")})
        await anyio.sleep_forever()

    with own_server(tmp_path / "server") as server:
        async with (
            running_gateway(server.url, pool=False) as gateway,
            counting(gateway.base_url, body()) as answer,
        ):
            await until(lambda: live_jobs(server.url))
            server.stop()
            lost.set()
            rows = [await next_row(answer), await next_row(answer)]
            assert await answer.content.read() == b""
            assert gateway.gateway.bodies.held == 0
    assert [(row["line"], row["id"], row["code"]) for row in rows] == [
        (1, "a", "queue_unreachable"),
        (2, "b", "queue_unreachable"),
    ]
    assert "redis" not in rows[0]["message"].lower()


async def read_all(reader: LineReader, *chunks: bytes) -> list[tuple[int, bytes, str]]:
    """Feed a body, giving no line back."""
    lines = [line for piece in chunks async for line in reader.feed(piece)]
    lines += reader.end()
    return [(line.number, line.text, line.refusal.code if line.refusal else "") for line in lines]


async def test_lines_are_the_same_however_the_body_is_cut() -> None:
    body = b"one\n\n \r\ntwo\r\n" + b"x" * 20 + b"\nthree"
    whole = await read_all(LineReader(BodyBudget(1000), max_line=10), body)
    assert whole == [
        (1, b"one", ""),
        (4, b"two\r", ""),
        (5, b"", "payload_too_large"),
        (6, b"three", ""),
    ]
    for size in range(1, 12):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        assert await read_all(LineReader(BodyBudget(1000), max_line=10), *pieces) == whole


async def test_a_line_for_which_there_is_no_memory_is_refused_by_itself() -> None:
    budget = BodyBudget(10)
    reader = LineReader(budget)
    assert await read_all(reader, b"x" * 11 + b"\n" + b"y" * 5) == [
        (1, b"", "gateway_full"),
        (2, b"yyyyy", ""),
    ]
    reader.close()
    assert budget.held == 0


async def test_a_line_waits_for_memory_that_lines_on_their_way_will_give_back() -> None:
    budget = BodyBudget(10)
    reader = LineReader(budget)
    read: list[int] = []

    async def feed() -> None:
        async for line in reader.feed(b"123456\nabcdef\n"):
            read.append(line.number)  # noqa: PERF401 - one by one

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed)
        await until(lambda: read == [1])
        await anyio.wait_all_tasks_blocked()
        assert read == [1]
        reader.give_back(1)
        await until(lambda: read == [1, 2])
    reader.close()
    assert budget.held == 0
