"""Runs that share one state folder: start, join, and what is refused."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
import redis.asyncio
from support.processes import first_line, holder, is_running
from support.redis_server import starts

from weighbridge.errors import QueueUnreachable, SettingsError
from weighbridge_worker import embedded
from weighbridge_worker.embedded import embedded_server


async def server_pid(url: str) -> int:
    async with redis.asyncio.Redis.from_url(url) as client:
        return int((await client.info("server"))["process_id"])


@pytest.mark.asyncio
async def test_the_first_run_starts_a_server_and_leaves_none(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "state") as url:
        assert url.startswith("unix:///")
        pid = await server_pid(url)
        assert is_running(pid)
    assert not is_running(pid)


@pytest.mark.asyncio
async def test_what_was_written_outlives_the_run_and_is_private(tmp_path: Path) -> None:
    state = tmp_path / "home" / "state"
    async with embedded_server(state) as url, redis.asyncio.Redis.from_url(url) as client:
        await client.set("count", 42)
    async with embedded_server(state) as url, redis.asyncio.Redis.from_url(url) as client:
        assert await client.get("count") == b"42"
    assert state.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in (state / "appendonlydir").iterdir())


@pytest.mark.asyncio
async def test_a_second_run_joins_the_running_server(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "state") as url:
        pid = await server_pid(url)
        async with embedded_server(tmp_path / "state") as joined:
            assert joined == url
            assert await server_pid(joined) == pid
        assert await server_pid(url) == pid


@pytest.mark.asyncio
async def test_a_link_to_the_state_folder_joins_the_same_server(tmp_path: Path) -> None:
    state, link = tmp_path / "state", tmp_path / "link"
    link.symlink_to(state)
    async with embedded_server(state) as url, embedded_server(link) as joined:
        assert joined == url


@pytest.mark.asyncio
async def test_two_state_folders_have_a_server_each(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "one") as one, embedded_server(tmp_path / "two") as two:
        assert await server_pid(one) != await server_pid(two)


@pytest.mark.asyncio
async def test_first_runs_at_once_share_one_server(tmp_path: Path) -> None:
    seen: list[int] = []
    everyone = anyio.Event()

    async def run() -> None:
        async with embedded_server(tmp_path / "state") as url:
            seen.append(await server_pid(url))
            if len(seen) == 6:
                everyone.set()
            await everyone.wait()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(run)
    assert len(set(seen)) == 1
    assert starts(tmp_path / "state") == 1


def test_first_processes_at_once_share_one_server(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with holder("run", state) as one, holder("run", state) as two:
        assert first_line(one) == first_line(two)
        assert starts(state) == 1


@pytest.mark.asyncio
async def test_an_error_of_the_caller_arrives_as_itself_and_ends_the_server(tmp_path: Path) -> None:
    pids: list[int] = []

    async def failing_run() -> None:
        async with embedded_server(tmp_path / "state") as url:
            pids.append(await server_pid(url))
            raise KeyError("mine") from ValueError("its cause")

    with pytest.raises(KeyError, match="mine") as raised:
        await failing_run()
    assert isinstance(raised.value.__cause__, ValueError)
    assert not is_running(pids[0])


@pytest.mark.asyncio
async def test_a_cancelled_run_leaves_no_server(tmp_path: Path) -> None:
    pid = 0
    with anyio.CancelScope() as scope:
        async with embedded_server(tmp_path / "state") as url:
            pid = await server_pid(url)
            scope.cancel()
            await anyio.sleep_forever()
    assert not is_running(pid)


@pytest.mark.asyncio
async def test_a_server_that_does_not_start_is_explained(tmp_path: Path) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text('#!/bin/sh\necho "Redis server v=7.0.15"\necho "no luck today"\n')
    broken.chmod(0o755)
    with pytest.raises(QueueUnreachable, match=r"(?s)ended at once; .*no luck today"):
        async with embedded_server(tmp_path / "state", binary=broken):
            pass
    async with embedded_server(tmp_path / "state") as url:
        assert is_running(await server_pid(url)), "the failed start left its lock behind"


@pytest.mark.asyncio
async def test_a_folder_in_use_without_a_server_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "JOIN_TIMEOUT_S", 0.2)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(QueueUnreachable, match="is in use, but no server answers on /tmp/"):
            async with embedded_server(tmp_path):
                pass


def hostile_link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def hostile_open(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


def hostile_owner(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, -1)


@pytest.mark.asyncio
@pytest.mark.parametrize("hostile", [hostile_link, hostile_open, hostile_owner])
async def test_a_socket_folder_that_another_may_have_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(embedded, "SOCKET_ROOT", tmp_path)
    hostile(tmp_path / f"weighbridge-{os.geteuid()}")
    with pytest.raises(SettingsError, match="must be a folder of your own that nobody else can"):
        async with embedded_server(tmp_path / "state"):
            pass


@pytest.mark.asyncio
async def test_a_state_folder_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    hostile_open(tmp_path / "state")
    with pytest.raises(SettingsError, match=r"chmod 700 /.*/state"):
        async with embedded_server(tmp_path / "state"):
            pass


@pytest.mark.asyncio
async def test_a_state_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="set WEIGHBRIDGE_STATE_DIR to a folder that you can"):
        async with embedded_server(tmp_path / "file" / "state"):
            pass
