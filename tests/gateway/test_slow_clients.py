"""Slow, fat and many clients: cut, and nobody else notices."""

import socket
from contextlib import AsyncExitStack

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream
from support.gateway_under_test import COUNT_PATH, GatewayUnderTest, running_gateway
from support.pools import until

pytestmark = pytest.mark.asyncio
ASK = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "Hello"}]}
HEAD = f"POST {COUNT_PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\n".encode()
LIVE = b"GET /live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
BODY = HEAD + b"content-length: 1000\r\n\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
SOON_S = 0.3
"""A read time-out; whoever is cut after it is waited for much longer."""


async def answer_of(stream: SocketStream) -> bytes:
    """Read until the server closes."""
    read = b""
    with anyio.fail_after(60):
        try:
            while True:
                read += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return read


async def connected(stack: AsyncExitStack, gateway: GatewayUnderTest, sent: bytes) -> SocketStream:
    """Open a connection and send something."""
    stream = await stack.enter_async_context(
        await anyio.connect_tcp("127.0.0.1", gateway.server.port)
    )
    if sent:
        await stream.send(sent)
    return stream


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST", HEAD, BODY, BODY + b'{"model":', CHUNKED, CHUNKED + b"9\r\n", HEAD * 2],
    ids=["nothing", "method", "head", "body", "begun", "chunked", "chunk", "two heads"],
)
async def test_a_request_that_does_not_come_whole_is_cut(redis_url: str, sent: bytes) -> None:
    async with (
        running_gateway(redis_url, pool=False, read_timeout_s=SOON_S) as gateway,
        AsyncExitStack() as stack,
    ):
        answer = await answer_of(await connected(stack, gateway, sent))
        assert answer.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))
        assert b"invalid_request_error" in answer
        await until(lambda: gateway.gateway.bodies.held == 0)
        await until(lambda: not gateway.server.connections)


@pytest.mark.parametrize("start", [HEAD, BODY], ids=["in the head", "in the body"])
async def test_dripping_does_not_keep_a_connection(redis_url: str, start: bytes) -> None:
    async with (
        running_gateway(redis_url, pool=False, read_timeout_s=SOON_S) as gateway,
        AsyncExitStack() as stack,
        anyio.create_task_group() as tasks,
    ):
        stream = await connected(stack, gateway, start)

        async def drip() -> None:
            while True:
                try:
                    await stream.send(b"x")
                except anyio.BrokenResourceError:
                    return
                await anyio.sleep(SOON_S / 10)

        tasks.start_soon(drip)
        assert (await answer_of(stream)).startswith(b"HTTP/1.1 408 ")
        tasks.cancel_scope.cancel()


async def test_who_does_not_read_his_answers_is_cut(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False, read_timeout_s=SOON_S) as gateway,
        AsyncExitStack() as stack,
    ):
        gateway.server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        stream = await connected(stack, gateway, b"")
        await until(lambda: gateway.server.connections)
        with pytest.raises(anyio.BrokenResourceError):
            await _ask_and_not_read(stream, gateway)
        await until(lambda: not gateway.server.connections)


async def _ask_and_not_read(stream: SocketStream, gateway: GatewayUnderTest) -> None:
    answered = gateway.gateway.tally.statuses
    wanted = 0

    def done() -> bool:
        return answered[200] == wanted or not gateway.server.connections

    for _ in range(1000):
        await stream.send(LIVE * 20)
        wanted += 20
        await until(done)


async def test_who_asks_far_ahead_of_his_answers_is_cut(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        AsyncExitStack() as stack,
    ):
        stream = await connected(stack, gateway, LIVE * 1000)
        await answer_of(stream)
        assert gateway.gateway.tally.statuses[200] < 100


async def test_a_thousand_slow_clients_do_not_block_a_fast_one(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, AsyncExitStack() as stack:
        for number in range(1000):
            await connected(stack, gateway, HEAD if number % 2 else BODY)
        await until(lambda: gateway.server.connections == 1000, within_s=30)
        async with httpx2.AsyncClient(base_url=gateway.base_url) as client:
            for _ in range(20):
                assert (await client.post(COUNT_PATH, json=ASK)).status_code == 200


async def test_beyond_the_bound_connections_are_refused(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False, max_connections=2) as gateway,
        AsyncExitStack() as stack,
    ):
        first = await connected(stack, gateway, HEAD)
        await connected(stack, gateway, HEAD)
        await until(lambda: gateway.server.connections == 2)
        answer = await answer_of(await connected(stack, gateway, b""))
        assert answer.startswith(b"HTTP/1.1 529 ")
        assert b"overloaded_error" in answer
        await first.aclose()
        await until(lambda: gateway.server.connections == 1)
        async with httpx2.AsyncClient(base_url=gateway.base_url) as client:
            assert (await client.get("/live")).status_code == 200


async def test_a_head_without_end_is_cut(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        AsyncExitStack() as stack,
    ):
        stream = await connected(stack, gateway, HEAD)
        with pytest.raises(anyio.BrokenResourceError):
            await _send_fields(stream, 1000)
        await until(lambda: not gateway.server.connections)


async def _send_fields(stream: SocketStream, count: int) -> None:
    for number in range(count):
        await stream.send(b"x-%d: %b\r\n" % (number, b"y" * 8000))


async def test_what_is_no_http_gets_an_answer_in_our_shape(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        AsyncExitStack() as stack,
    ):
        for sent in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", HEAD + b"no colon\r\n\r\n"):
            answer = await answer_of(await connected(stack, gateway, sent))
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b'"type":"error"' in answer


async def test_bodies_that_are_under_way_count(redis_url: str) -> None:
    size = 20 * 2**20
    head = HEAD + b"content-length: %d\r\n\r\n" % (size + 1)
    async with (
        running_gateway(redis_url, pool=False, max_body_bytes=32 * 2**20) as gateway,
        AsyncExitStack() as stack,
    ):
        first = await connected(stack, gateway, head + b" " * size)
        await until(lambda: gateway.gateway.bodies.held == size, within_s=60)
        second = await connected(stack, gateway, head + b" " * size)
        with anyio.fail_after(60):
            assert (await second.receive()).startswith(b"HTTP/1.1 529 ")
        await first.aclose()
        await until(lambda: gateway.gateway.bodies.held == 0)
