"""What happens to the runs that stay when a server or its owner ends, and what is on disk then."""

import fcntl
import os
import signal
from pathlib import Path
from typing import IO

import anyio
import pytest
import redis.asyncio
from redis.exceptions import RedisError
from support.processes import eventually, first_line, holder, is_running
from support.redis_server import server_binaries, starts

from weighbridge.connection import connect
from weighbridge_worker.embedded import POLL_S, embedded_server


async def process_id(client: redis.asyncio.Redis) -> int:
    return int((await client.info("server"))["process_id"])


async def successor(client: redis.asyncio.Redis, pid: int) -> int:
    """Wait for a server other than the given one, with a client that only reconnects."""
    with anyio.fail_after(10):
        while True:
            try:
                if (found := await process_id(client)) != pid:
                    return found
            except (RedisError, OSError):
                pass
            await anyio.sleep(0.02)


@pytest.mark.asyncio
async def test_a_joined_run_goes_on_with_the_data_when_the_owner_leaves(tmp_path: Path) -> None:
    state = tmp_path / "state"
    owner_may_leave = anyio.Event()

    async def own(*, task_status: anyio.abc.TaskStatus[str]) -> None:
        async with embedded_server(state) as url:
            task_status.started(url)
            await owner_may_leave.wait()

    async with anyio.create_task_group() as tasks:
        url = await tasks.start(own)
        async with embedded_server(state) as joined, redis.asyncio.Redis.from_url(joined) as client:
            assert joined == url
            await client.set("count", 42)
            old = await process_id(client)
            owner_may_leave.set()
            assert is_running(await successor(client, old))
            assert not is_running(old)
            assert await client.get("count") == b"42"


@pytest.mark.asyncio
async def test_a_joined_run_goes_on_with_the_data_when_the_owner_is_killed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with holder("run", state) as owner:
        url = first_line(owner)
        async with embedded_server(state) as joined, redis.asyncio.Redis.from_url(joined) as client:
            assert joined == url
            await client.set("count", 42)
            old = await process_id(client)
            owner.send_signal(signal.SIGKILL)
            new = await successor(client, old)
            assert not is_running(old)
            assert await client.get("count") == b"42"
    assert not is_running(new)


@pytest.mark.asyncio
async def test_the_projects_own_client_bridges_the_owners_end_by_its_retries(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    with holder("run", state) as owner:
        url = first_line(owner)
        async with embedded_server(state), connect(url) as client:
            await client.set("count", 42)
            owner.send_signal(signal.SIGKILL)
            with anyio.fail_after(10):
                while starts(state) < 2:
                    assert await client.get("count") == b"42"
                    await anyio.sleep(0.01)
            assert await client.get("count") == b"42"


@pytest.mark.asyncio
async def test_nobody_succeeds_a_server_that_still_lives(tmp_path: Path) -> None:
    """The owner is gone but its server hangs: two servers on one file would be worse than none."""
    state = tmp_path / "state"
    with holder("run", state) as owner:
        url = first_line(owner)
        async with embedded_server(state), redis.asyncio.Redis.from_url(url) as client:
            old = await process_id(client)
            os.kill(old, signal.SIGSTOP)
            owner.send_signal(signal.SIGKILL)
            owner.wait(10)
            await anyio.sleep(5 * POLL_S)  # time enough to make the mistake
            assert starts(state) == 1
            os.kill(old, signal.SIGCONT)
            assert await successor(client, old) != old
            assert not is_running(old)
            assert starts(state) == 2


@pytest.mark.asyncio
async def test_a_server_that_crashed_is_started_again_with_its_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        embedded_server(tmp_path / "state") as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("count", 42)
        old = await process_id(client)
        os.kill(old, signal.SIGKILL)
        await successor(client, old)
        assert await client.get("count") == b"42"
    assert "the embedded server ended and is started again" in caplog.text


@pytest.mark.asyncio
async def test_a_damaged_end_of_the_file_does_not_prevent_the_next_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with embedded_server(state) as url, redis.asyncio.Redis.from_url(url) as client:
        await client.set("first", 1)
        await client.set("second", 2)
    (written,) = (state / "appendonlydir").glob("*.incr.aof")
    with written.open("r+b") as file:
        file.truncate(written.stat().st_size - 5)
    async with embedded_server(state) as url, redis.asyncio.Redis.from_url(url) as client:
        assert await client.mget("first", "second") == [b"1", None]


@pytest.mark.skipif(len(server_binaries()) < 2, reason="one server on this machine")
@pytest.mark.asyncio
@pytest.mark.parametrize("reverse", [False, True])
async def test_what_one_server_wrote_another_one_reads(tmp_path: Path, reverse: bool) -> None:
    """Redis 7 refuses Valkey 9's binary preamble, and the server found may change by an install."""
    first, second = sorted(server_binaries(), reverse=reverse)
    state = tmp_path / "state"
    async with (
        embedded_server(state, binary=first) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        await client.set("result", "r", ex=600)
        await client.hset("job", mapping={"lane": "batch"})
        await client.zadd("ready", {"digest": 1.5})
        await client.xgroup_create("inbox", "workers", id="0", mkstream=True)
        await client.xadd("inbox", {"payload": "{}"})
        await client.xreadgroup("workers", "w", {"inbox": ">"})
        await client.bgrewriteaof()
        with anyio.fail_after(10):
            while (await client.info("persistence"))["aof_rewrite_in_progress"]:
                await anyio.sleep(0.02)
    async with (
        embedded_server(state, binary=second) as url,
        redis.asyncio.Redis.from_url(url) as client,
    ):
        assert 0 < await client.ttl("result") <= 600
        assert await client.hgetall("job") == {b"lane": b"batch"}
        assert await client.zscore("ready", "digest") == 1.5
        assert (await client.xpending("inbox", "workers"))["pending"] == 1


@pytest.mark.parametrize("binary", server_binaries(), ids=lambda path: path.name)
def test_a_server_keeps_the_lock_it_is_given_until_it_ends(binary: Path, tmp_path: Path) -> None:
    with holder("server", binary, tmp_path, 10) as parent, (tmp_path / "lock").open("w") as lock:
        assert is_running(int(first_line(parent)))
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        parent.communicate(timeout=10)
        assert eventually(lambda: is_free(lock))


def is_free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
