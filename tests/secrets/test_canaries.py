"""Planted secrets are found nowhere that they may not be, however a run goes."""

import json
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis
from aiohttp import web
from anyio import to_thread
from support.acl import as_user
from support.commands import COMMAND, environment, rows, run
from support.own_server import own_server
from support.pools import until

from weighbridge import Client, QueueSettings, QueueUnreachable
from weighbridge.keys import Keys

API_KEY = "sk-canary-api-key-7341"
ADMIN_KEY = "sk-canary-admin-key-9175"
PASSWORD = "canary-redis-password-5502"
DIGEST_KEY = "canary-digest-key-2218"
TEXT = "canary payload text 6093"
SECRETS = (API_KEY, ADMIN_KEY, PASSWORD, DIGEST_KEY)
KEYS = Keys()


def payload(word: str) -> dict[str, object]:
    """Make a payload whose fate the endpoint reads in it."""
    return {"model": "claude-test", "messages": [{"role": "user", "content": f"{TEXT} {word}"}]}


async def answer(request: web.Request) -> web.Response:
    """Answer as the payload says, and repeat the payload and the key wherever that is possible."""
    body = (await request.read()).decode()
    said = f"{body} {request.headers.get('authorization')} {request.headers.get('x-api-key')}"
    for word, status in (("bad", 400), ("unauthorized", 401), ("broken", 500), ("busy", 429)):
        if f"{TEXT} {word}" in body:
            error = {"type": "error", "error": {"type": "x", "message": said}}
            return web.json_response(error, status=status, headers={"x-echo": "1"})
    if f"{TEXT} hangs" in body:
        await anyio.sleep(60)
    return web.json_response({"input_tokens": 7})


@asynccontextmanager
async def endpoint() -> AsyncIterator[str]:
    """Run the endpoint; yields its base URL."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def settings(home: Path, url: str, base_url: str) -> dict[str, str]:
    """Make the environment of a run that says as much as it can be made to."""
    return environment(
        home,
        WEIGHBRIDGE_REDIS_URL=as_user(url, "default", PASSWORD),
        WEIGHBRIDGE_DIGEST_KEY=DIGEST_KEY,
        WEIGHBRIDGE_RPM="6000",
        WEIGHBRIDGE_MAX_ATTEMPTS="2",
        WEIGHBRIDGE_LOG_LEVEL="debug",
        ANTHROPIC_LOG="debug",
        ANTHROPIC_API_KEY=API_KEY,
        ANTHROPIC_ADMIN_KEY=ADMIN_KEY,
        ANTHROPIC_BASE_URL=base_url,
        PYTHONASYNCIODEBUG="1",
        OTEL_TRACES_EXPORTER="console",
        OTEL_BSP_SCHEDULE_DELAY="50",
    )


def metrics(port: int) -> str:
    """Read what a worker exposes."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return bytes(answer.read()).decode()


def command_line(pid: int) -> str:
    """Read what everybody on the machine may read of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def dump(client: "redis.Redis") -> dict[str, str]:
    """Read every key of a server, as text."""
    readers: dict[str, Callable[[str], Any]] = {
        "string": client.get,
        "hash": client.hgetall,
        "set": client.smembers,
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "stream": client.xrange,
    }
    keys: list[str] = [key.decode() for key in client.scan_iter(count=1000)]
    kinds: Any = [client.type(key) for key in keys]
    return {key: repr(readers[kind.decode()](key)) for key, kind in zip(keys, kinds, strict=True)}


@pytest.mark.asyncio
async def test_nothing_planted_comes_out(tmp_path: Path) -> None:
    with own_server(tmp_path / "server") as server, redis.Redis.from_url(server.url) as looking:
        looking.ping()  # before the password: this connection stays
        looking.config_set("requirepass", PASSWORD)
        async with endpoint() as base_url:
            env = settings(tmp_path, server.url, base_url)
            port = free_port()
            log = tmp_path / "worker.log"
            lines = []
            with log.open("wb") as stream:
                own_env = env | {"WEIGHBRIDGE_HEALTH_PORT": str(port)}
                worker = subprocess.Popen([*COMMAND, "worker"], env=own_env, stderr=stream)
                try:
                    await until(lambda: looking.zcard(KEYS.workers), within_s=60)
                    lines.append(command_line(worker.pid))
                    source = tmp_path / "in.jsonl"
                    words = ("good", "bad", "broken", "good again")
                    source.write_bytes(b"\n".join(encode(payload(word)) for word in words))
                    counted = await to_thread.run_sync(
                        lambda: run("count", str(source), "--no-summary", env=env)
                    )
                    await client_submits(server.url, "hangs", "unauthorized")
                    await until(lambda: "key_refused" in log.read_text(), within_s=30)
                    await until(lambda: "process weighbridge" in log.read_text(), within_s=30)
                    exposed = await to_thread.run_sync(metrics, port)
                    stored = dump(looking)
                finally:
                    worker.kill()  # a crash, with a call in flight
                    worker.wait(10)
            looking.flushall()
            own = await to_thread.run_sync(
                lambda: run("count", "--with-workers", "-", env=env, stdin=encode(payload("new")))
            )
    assert [row["status"] for row in rows(counted.stdout)] == [
        "counted",
        "failed",
        "failed",
        "counted",
    ]
    assert own.returncode == 0, own.stderr
    for place, text in {
        "worker's log, and its spans": log.read_text(),
        "metrics": exposed,
        "count's stderr": counted.stderr,
        "stderr of count --with-workers": own.stderr,
        "command line": "".join(lines),
    }.items():
        assert_clean(place, text, *SECRETS, TEXT)
    assert any(TEXT in value for value in stored.values()), "the search would find nothing"
    assert 'weighbridge_worker_calls_total{outcome="key_refused"} ' in exposed
    assert "anthropic.messages.count_tokens" in log.read_text()
    for key, value in stored.items():
        assert_clean("key", key, *SECRETS, TEXT)
        assert_clean(key, value, *SECRETS)
        # The payload itself, and what the endpoint said of it to whoever sent it.
        if not key.startswith((KEYS.payload(""), "weighbridge:1:result:")):
            assert_clean(key, value, TEXT)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def encode(body: dict[str, object]) -> bytes:
    """Write a body."""
    return json.dumps(body).encode()


async def client_submits(url: str, *words: str) -> None:
    """Put payloads into the queue."""
    own = QueueSettings(redis_url=as_user(url, "default", PASSWORD), digest_key=DIGEST_KEY.encode())
    async with Client.connect(settings=own) as wb:
        for word in words:
            await wb.submit(payload(word))


def assert_clean(place: str, text: str, *canaries: str) -> None:
    """Assert that no canary is in a text."""
    found = [canary for canary in canaries if canary in text]
    assert not found, f"{found} in {place}: {text[max(0, text.find(found[0]) - 200) :][:400]}"


@pytest.mark.asyncio
async def test_an_exception_of_a_full_server_holds_no_payload(tmp_path: Path) -> None:
    """redis-py puts a pipeline's arguments before the server's words."""
    with own_server(tmp_path, "--maxmemory 1") as server:
        async with Client.connect(settings=QueueSettings(server.url, namespace="x")) as wb:
            with pytest.raises(QueueUnreachable, match="is full") as caught:
                await wb.submit({"cache_control": TEXT} | payload(""))
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
