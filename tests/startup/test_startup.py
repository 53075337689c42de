"""Each server that cannot keep a queue is refused at the start, by a line that says what to do."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis import Redis
from support.acl import as_user, users_file
from support.commands import environment, run
from support.own_server import own_server
from support.pools import until
from support.redis_server import server_binaries

from weighbridge import QueueSettings
from weighbridge.connection import connect
from weighbridge.errors import QueueUnreachable, ServerUnfit
from weighbridge.keys import Keys
from weighbridge.server_facts import ServerFacts, read_facts
from weighbridge_worker.cli.assembly import inspect_pool
from weighbridge_worker.logs import make_logger
from weighbridge_worker.server import ServerProcess, probe
from weighbridge_worker.startup import check_server, judge, untold

pytestmark = pytest.mark.asyncio
KEYS = Keys()
SOUND = ServerFacts("Redis", (7, 0), "noeviction", "master", 10**15, 5, None)


async def check(url: str) -> None:
    """Check a server as a worker does."""
    await check_server(QueueSettings(redis_url=url), make_logger("error", "json"))


async def test_a_sound_server_passes_and_keeps_nothing_of_the_check(redis_url: str) -> None:
    await check(redis_url)
    with Redis.from_url(redis_url) as redis:
        assert redis.dbsize() == 0


@pytest.mark.parametrize("binary", server_binaries(), ids=lambda path: path.name)
async def test_every_server_of_ours_tells_all_facts(tmp_path: Path, binary: Path) -> None:
    with own_server(tmp_path, binary=binary) as server:
        async with connect(server.url) as redis:
            facts = await read_facts(redis, KEYS)
    assert untold(facts) == []
    assert facts.product == ("Valkey" if "valkey" in binary.name else "Redis")
    judge(facts, KEYS)


async def test_a_server_that_may_evict_is_refused(tmp_path: Path) -> None:
    with (
        own_server(tmp_path, "--maxmemory-policy allkeys-lru") as server,
        pytest.raises(ServerUnfit, match=r"allkeys-lru\): CONFIG SET maxmemory-policy"),
    ):
        await check(server.url)


@pytest.mark.parametrize("more", ["", " --replica-read-only no"])
async def test_a_replica_is_refused(tmp_path: Path, more: str) -> None:
    with (
        own_server(tmp_path, "--replicaof 127.0.0.1 1" + more) as server,
        pytest.raises(ServerUnfit, match="read-only replica"),
    ):
        await check(server.url)


async def test_a_wrong_password_and_none_are_refused(tmp_path: Path) -> None:
    with own_server(tmp_path) as server, Redis.from_url(server.url) as redis:
        redis.config_set("requirepass", "canary-right")
        for url in (server.url, as_user(server.url, "default", "canary-wrong")):
            with pytest.raises(ServerUnfit, match="user or password") as caught:
                await check(url)
            assert "canary" not in str(caught.value)
        await check(as_user(server.url, "default", "canary-right"))
        # Nor does any command repeat for minutes what the server refuses.
        with anyio.fail_after(10), pytest.raises(QueueUnreachable, match="user or password"):
            await inspect_pool(QueueSettings(redis_url=server.url))


async def test_a_user_without_rights_is_told_which_it_lacks(tmp_path: Path) -> None:
    users = users_file(tmp_path)
    users.write_text(users.read_text().replace("+blpop", "").replace("+xgroup|create", ""))
    with own_server(tmp_path, f"--aclfile {users}") as server:
        with pytest.raises(ServerUnfit, match=r"run BLPOP, XGROUP CREATE on keys .*users\.acl"):
            await check(as_user(server.url, "worker"))
        with pytest.raises(ServerUnfit, match=r"run BLPOP, LTRIM, .* on keys"):
            await check(as_user(server.url, "operator"))
        other = QueueSettings(redis_url=as_user(server.url, "worker"), namespace="other")
        with pytest.raises(ServerUnfit, match=r"'\{other\}:1:\*'"):
            await check_server(other, make_logger("error", "json"))


async def test_a_server_that_hides_its_info_is_used_with_a_warning(tmp_path: Path) -> None:
    users = users_file(tmp_path)
    users.write_text(users.read_text().replace(" +info", ""))
    with own_server(tmp_path, f"--aclfile {users}") as server:
        settings = QueueSettings(redis_url=as_user(server.url, "worker"))
        with (tmp_path / "log").open("w") as stream:
            await check_server(settings, make_logger("warning", "json", stream))
    [line] = (tmp_path / "log").read_text().splitlines()
    event = json.loads(line)
    assert event["event"] == "server_not_checked"
    assert "version, maxmemory-policy" in event["hidden"]


async def test_a_full_server_is_no_obstacle(tmp_path: Path) -> None:
    with own_server(tmp_path, "--maxmemory 1") as server:
        await check(server.url)


async def test_an_old_version_is_refused(tmp_path: Path) -> None:
    """A real server whose INFO is made older on its way to us."""
    with own_server(tmp_path) as server, Redis.from_url(server.url) as redis:
        told = redis.info("server")
        new, old = (
            (told["valkey_version"], "7.2.1")
            if "valkey_version" in told
            else (told["redis_version"], "6.2.1")
        )
        old = old.ljust(len(new), "0")[: len(new)]
        async with translating(server.socket_path, new.encode(), old.encode()) as port:
            with pytest.raises(ServerUnfit, match=rf"{old[:3]}; Weighbridge needs Redis 7"):
                await check(f"redis://127.0.0.1:{port}")


@asynccontextmanager
async def translating(socket_path: Path, word: bytes, other: bytes) -> AsyncIterator[int]:
    """Pass bytes to a server's socket, and its own back with a word replaced; yields the port."""

    async def pump(source: Any, sink: Any) -> None:
        while True:
            try:
                data = await source.receive(1 << 20)
                await sink.send(data.replace(word, other))
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def serve(client: Any) -> None:
        async with (
            client,
            await anyio.connect_unix(socket_path) as behind,
            anyio.create_task_group() as pumps,
        ):
            pumps.start_soon(pump, behind, client)
            await pump(client, behind)
            pumps.cancel_scope.cancel()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("facts", "fits"),
    [
        (replace(SOUND, version=(6, 2)), False),
        (replace(SOUND, version=(7, 0)), True),
        (replace(SOUND, product="Valkey", version=(7, 2)), False),
        (replace(SOUND, product="Valkey", version=(8, 0)), True),
        (replace(SOUND, version=None, policy=None, role=None), True),
        (replace(SOUND, policy="volatile-lru"), False),
        (replace(SOUND, role="slave"), False),
        (replace(SOUND, stepped_us=-1), False),
        (replace(SOUND, visited_us=SOUND.clock_us - 10**12), True),
        (replace(SOUND, visited_us=SOUND.clock_us + 4_000_000), True),
        (replace(SOUND, visited_us=SOUND.clock_us + 6_000_000), False),
    ],
)
async def test_facts_are_judged_one_by_one(facts: ServerFacts, fits: bool) -> None:
    if fits:
        judge(facts, KEYS)
    else:
        with pytest.raises(ServerUnfit):
            judge(facts, KEYS)


async def test_a_clock_behind_what_was_stored_is_refused_until_the_stamp_is_dropped(
    redis_url: str,
) -> None:
    with Redis.from_url(redis_url) as redis:
        seconds, _ = redis.time()
        redis.hset(KEYS.bucket, "visited", (seconds + 3600) * 1_000_000)
        with pytest.raises(
            ServerUnfit, match=r"3,\d\d\d s behind.*HDEL '\{weighbridge\}:1:bucket'"
        ):
            await check(redis_url)
        redis.hdel(KEYS.bucket, "visited")
        await check(redis_url)


async def test_a_server_that_still_loads_is_reported(tmp_path: Path) -> None:
    with own_server(tmp_path) as server, Redis.from_url(server.url) as redis:
        pipe = redis.pipeline(transaction=False)
        for number in range(40_000):
            pipe.set(f"key:{number}", "x")
        pipe.execute()
        redis.save()
    # Half a millisecond a key: it loads for twenty seconds.
    slow = ("--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024")
    loading = ServerProcess(server_binaries()[0], tmp_path, arguments=slow)
    loading.spawn()
    try:
        await until(lambda: probe(loading.socket_path) == "loading")
        with pytest.raises(QueueUnreachable, match="still loads"):
            await check(loading.url)
    finally:
        loading.kill()


@pytest.mark.parametrize("words", [("worker",), ("count", "--with-workers", "-")])
async def test_the_commands_say_it_in_one_line_with_status_2(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    with own_server(tmp_path / "server", "--maxmemory-policy allkeys-lru") as server:
        env = environment(
            tmp_path, WEIGHBRIDGE_REDIS_URL=server.url, ANTHROPIC_API_KEY="k", WEIGHBRIDGE_RPM="60"
        )
        done = run(*words, env=env)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("weighbridge: ")
    assert "maxmemory-policy noeviction" in line


async def test_a_worker_without_a_server_ends_with_status_4(tmp_path: Path) -> None:
    env = environment(
        tmp_path,
        WEIGHBRIDGE_REDIS_URL="redis://127.0.0.1:1",
        ANTHROPIC_API_KEY="k",
        WEIGHBRIDGE_RPM="60",
    )
    done = run("worker", env=env)
    assert done.returncode == 4
    [line] = done.stderr.splitlines()
    assert "does not answer" in line
