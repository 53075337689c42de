"""One server process: its start, its answers, and every way it ends."""

import os
import signal
import socket
from pathlib import Path

import pytest
import redis
from support.processes import eventually, first_line, holder, is_running
from support.redis_server import server_binaries

from weighbridge.errors import QueueUnreachable, SettingsError
from weighbridge_worker.server import SOCKET_PATH_LIMIT, ServerProcess, probe

each_binary = pytest.mark.parametrize("binary", server_binaries(), ids=lambda path: path.name)
any_binary = server_binaries()[0]


def server_pid(server: ServerProcess) -> int:
    with redis.Redis.from_url(server.url) as client:
        return int(client.info("server")["process_id"])


@each_binary
def test_a_server_starts_answers_and_stops(binary: Path, tmp_path: Path) -> None:
    server = ServerProcess(binary, tmp_path)
    server.start()
    pid = server_pid(server)
    assert probe(server.socket_path) == "ready"
    assert not server.ended
    server.stop()
    assert server.ended
    assert not is_running(pid)
    assert probe(server.socket_path) == "absent"


def test_a_server_cannot_be_reached_by_other_users_nor_by_ctrl_c(tmp_path: Path) -> None:
    server = ServerProcess(any_binary, tmp_path)
    server.start()
    try:
        assert server.socket_path.stat().st_mode & 0o077 == 0
        assert os.getsid(server_pid(server)) != os.getsid(0)
    finally:
        server.stop()


@each_binary
def test_a_payload_of_32_megabytes_passes_and_nothing_is_ever_evicted(
    binary: Path, tmp_path: Path
) -> None:
    server = ServerProcess(binary, tmp_path)
    server.start()
    payload = b"x" * (32 << 20)
    try:
        with redis.Redis.from_url(server.url) as client:
            client.set("payload", payload)
            assert client.get("payload") == payload
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    finally:
        server.stop()


def test_stopping_a_server_that_ended_or_never_ran_is_harmless(tmp_path: Path) -> None:
    server = ServerProcess(any_binary, tmp_path)
    server.stop()
    server.kill()
    server.start()
    server.kill()
    server.stop()
    server.stop()
    assert server.ended


def test_a_server_that_crashed_starts_again_with_its_data(tmp_path: Path) -> None:
    server = ServerProcess(any_binary, tmp_path, persistent=True)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
            client.connection_pool.disconnect()
            server.kill()
            assert server.ended
            server.start()
            assert client.get("kept") == b"yes"
    finally:
        server.stop()


def test_a_server_that_still_reads_its_file_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ServerProcess(any_binary, tmp_path, persistent=True)
    server.start()
    with redis.Redis.from_url(server.url) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(6000):
            pipeline.set(f"key{number}", number)
        pipeline.execute()
    server.stop()
    slow = ["--key-load-delay", "100"]  # µs a key; it answers between every 1024
    server = ServerProcess(any_binary, tmp_path, persistent=True, arguments=slow)
    monkeypatch.setattr("weighbridge_worker.server.START_TIMEOUT_S", 0.2)
    server.spawn()
    try:
        assert eventually(lambda: probe(server.socket_path) == "loading")
        server.wait_ready()
        with redis.Redis.from_url(server.url) as client:
            assert client.dbsize() == 6000
    finally:
        server.stop()


def test_more_arguments_win_and_a_port_listens_on_the_loopback_only(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    more = ["--maxmemory-policy", "allkeys-lru"]
    server = ServerProcess(any_binary, tmp_path, port=port, arguments=more)
    server.start()
    try:
        with redis.Redis(port=port) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
    finally:
        server.stop()


def test_a_server_that_ends_at_once_is_explained_by_its_log(tmp_path: Path) -> None:
    server = ServerProcess(any_binary, tmp_path, arguments=["--no-such-option", "1"])
    with pytest.raises(
        QueueUnreachable, match=r"(?s)ended at once; the end of its log.*no-such-op"
    ):
        server.start()
    assert server.ended


def test_a_program_that_is_no_server_is_explained_by_its_log(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "gone", tmp_path)
    with pytest.raises(QueueUnreachable, match=r"(?s)ended at once; .*(not found|No such)"):
        server.start()


def test_a_socket_path_beyond_the_systems_limit_is_explained(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * SOCKET_PATH_LIMIT)
    with pytest.raises(SettingsError, match=rf"takes {SOCKET_PATH_LIMIT}; use .* a shorter path"):
        ServerProcess(any_binary, folder)


def test_a_socket_path_at_the_systems_limit_works(tmp_path: Path) -> None:
    name = "s" * (SOCKET_PATH_LIMIT - len(os.fsencode(tmp_path)) - 1)
    server = ServerProcess(any_binary, tmp_path, socket_path=tmp_path / name)
    server.start()
    server.stop()
    assert server.ended


def test_the_url_reaches_a_folder_with_odd_characters(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20?#@é"
    folder.mkdir()
    server = ServerProcess(any_binary, folder)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
    finally:
        server.stop()


@each_binary
def test_no_server_outlives_a_parent_that_was_killed(binary: Path, tmp_path: Path) -> None:
    with holder("server", binary, tmp_path, 10) as parent:
        pid = int(first_line(parent))
        watchdog = os.getpgid(pid)
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        assert eventually(lambda: not is_running(pid))
        assert eventually(lambda: not is_running(watchdog))


def test_a_server_that_does_not_react_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    with holder("server", any_binary, tmp_path, 0) as parent:
        pid = int(first_line(parent))
        os.kill(pid, signal.SIGSTOP)
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        assert eventually(lambda: not is_running(pid))


def test_a_forked_child_of_the_parent_does_not_keep_the_server(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with holder("server", any_binary, tmp_path, 10) as parent:
        pid = int(first_line(parent))
        parent.communicate("fork\n", timeout=10)
        assert not is_running(pid)
        os.close(os.open(tmp_path / "fifo", os.O_WRONLY))  # lets the child end


def test_a_server_that_does_not_react_is_killed_after_its_grace(tmp_path: Path) -> None:
    server = ServerProcess(any_binary, tmp_path, grace_s=0)
    server.start()
    pid = server_pid(server)
    os.kill(pid, signal.SIGSTOP)
    server.stop()
    assert server.ended
    assert not is_running(pid)


def test_the_log_of_a_crash_is_kept_but_does_not_grow_for_ever(tmp_path: Path) -> None:
    server = ServerProcess(any_binary, tmp_path)
    server.log_path.write_text("an earlier start\n")
    server.start()
    server.stop()
    assert server.log_path.read_text().startswith("an earlier start\n")
    server.log_path.write_bytes(b"x" * 1_000_001)
    server.start()
    server.stop()
    assert server.log_path.stat().st_size < 100_000
