"""Servers that take over for each other: a Cluster, and a primary that sentinels watch."""

import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from support.own_server import own_server
from support.processes import eventually
from support.redis_server import server_binaries

from weighbridge_worker.server import ServerProcess

SLOTS = 16_384
NODE_TIMEOUT_MS = 2000
"""Longer than this machine's stalls, shorter than a test's patience."""

READY_S = 60.0
SERVICE = "wb"


@dataclass(frozen=True, slots=True)
class Topology:
    """Running servers, one of which keeps the queue.

    Args:
        primary: finds the one that does at the moment.
    """

    url: str
    servers: tuple[ServerProcess, ...]
    primary: Callable[[], ServerProcess]

    def flush(self) -> None:
        """Empty all primaries."""
        for server in self.servers:
            with redis.Redis.from_url(server.url) as client, suppress(redis.RedisError):
                client.flushall()


def free_ports(count: int) -> list[int]:
    """Find ports of the loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def ask(server: ServerProcess, *command: Any) -> Any:
    """Send one command to a server."""
    with redis.Redis.from_url(server.url) as client:
        return client.execute_command(*command)


@contextmanager
def cluster(
    folder: Path, *arguments: str, replicas: bool = True, binary: Path | None = None
) -> Iterator[Topology]:
    """Run three primaries, each with a replica, or without."""
    count = 6 if replicas else 3
    ports = free_ports(2 * count)
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        servers = []
        for index, (port, bus) in enumerate(zip(ports[:count], ports[count:], strict=True)):
            words = (
                "--cluster-enabled yes --cluster-replica-validity-factor 0"
                f" --cluster-node-timeout {NODE_TIMEOUT_MS} --cluster-port {bus}"
            )
            own = own_server(folder / str(index), words, *arguments, port=port, binary=binary)
            servers.append(stack.enter_context(own))
        _join(servers, ports[:count], ports[count:])
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports[:3])
        yield Topology(url, tuple(servers), lambda: _keeper(servers, ports[:count]))


def _join(servers: Sequence[ServerProcess], ports: Sequence[int], buses: Sequence[int]) -> None:
    bounds = [0, SLOTS // 3, 2 * SLOTS // 3, SLOTS]
    for server, low, high in zip(servers, bounds, bounds[1:], strict=False):
        ask(server, "CLUSTER", "ADDSLOTSRANGE", low, high - 1)
    for index, server in enumerate(servers):
        ask(server, "CLUSTER", "SET-CONFIG-EPOCH", index + 1)
    for port, bus in zip(ports[1:], buses[1:], strict=True):
        ask(servers[0], "CLUSTER", "MEET", "127.0.0.1", port, bus)
    assert eventually(lambda: all(_knows(one, len(servers)) for one in servers), within_s=READY_S)
    for replica, primary in zip(servers[3:], servers, strict=False):
        ask(replica, "CLUSTER", "REPLICATE", ask(primary, "CLUSTER", "MYID").decode())
    assert eventually(lambda: all(_is_well(one) for one in servers), within_s=READY_S)
    replicas = servers[3:]
    assert eventually(lambda: all(_is_linked(one) for one in replicas), within_s=READY_S)


def _knows(server: ServerProcess, count: int) -> bool:
    info = ask(server, "CLUSTER", "INFO")
    text = info if isinstance(info, dict) else dict(_pairs(info))
    return text.get("cluster_known_nodes") == str(count)


def _is_well(server: ServerProcess) -> bool:
    info = ask(server, "CLUSTER", "INFO")
    text = info if isinstance(info, dict) else dict(_pairs(info))
    return text.get("cluster_state") == "ok"


def _pairs(text: bytes) -> Iterator[tuple[str, str]]:
    for line in text.decode().splitlines():
        name, _, value = line.partition(":")
        yield name, value


def _is_linked(server: ServerProcess) -> bool:
    return bool(ask(server, "INFO").get("master_link_status") == "up")


def _keeper(servers: Sequence[ServerProcess], ports: Sequence[int]) -> ServerProcess:
    """Find the primary that keeps the default namespace."""
    for server in servers:
        if server.ended:
            continue
        with redis.Redis.from_url(server.url) as client:
            slot = client.execute_command("CLUSTER KEYSLOT", "{weighbridge}")
            ranges = client.execute_command("CLUSTER SLOTS")
        return servers[ports.index(_port_of(ranges, slot))]
    raise AssertionError("no server runs")


def _port_of(ranges: Any, slot: int) -> int:
    if isinstance(ranges, dict):
        [found] = [
            kept["primary"][1] for (low, high), kept in ranges.items() if low <= slot <= high
        ]
    else:
        [found] = [kept[2][1] for kept in ranges if kept[0] <= slot <= kept[1]]
    return int(found)


@contextmanager
def watched_primary(
    folder: Path, *arguments: str, sentinel_lines: Sequence[str] = (), binary: Path | None = None
) -> Iterator[Topology]:
    """Run a primary and two replicas, watched by three sentinels."""
    chosen = binary or server_binaries()[0]
    ports, sentinel_ports = free_ports(3), free_ports(3)
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        servers = []
        for index, port in enumerate(ports):
            follow = (f"--replicaof 127.0.0.1 {ports[0]}",) if index else ()
            own = own_server(folder / str(index), *follow, *arguments, port=port, binary=chosen)
            servers.append(stack.enter_context(own))
        assert eventually(lambda: all(_is_linked(one) for one in servers[1:]), within_s=READY_S)
        for port in sentinel_ports:
            stack.enter_context(
                _sentinel(folder / f"s{port}", chosen, port, ports[0], sentinel_lines)
            )
        assert eventually(lambda: all(map(_sees_all, sentinel_ports)), within_s=READY_S)
        hosts = ",".join(f"127.0.0.1:{port}" for port in sentinel_ports)

        def keeper() -> ServerProcess:
            with redis.Redis(port=sentinel_ports[0]) as client:
                _, port = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)
            return servers[ports.index(int(port))]

        yield Topology(f"redis+sentinel://{hosts}/{SERVICE}/0", tuple(servers), keeper)


@contextmanager
def _sentinel(
    folder: Path, binary: Path, port: int, watched: int, lines: Sequence[str]
) -> Iterator[None]:
    folder.mkdir()
    text = [
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor {SERVICE} 127.0.0.1 {watched} 2",
        f"sentinel down-after-milliseconds {SERVICE} {NODE_TIMEOUT_MS}",
        f"sentinel failover-timeout {SERVICE} 10000",
        *lines,
    ]
    config = folder / "sentinel.conf"
    config.write_text("\n".join(text) + "\n")
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [str(binary), str(config), "--sentinel"], stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield
        finally:
            process.kill()


def _sees_all(port: int) -> bool:
    try:
        with redis.Redis(port=port) as client:
            state = client.sentinel_master(SERVICE)
    except redis.RedisError:
        return False
    return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == 2)
