"""``weighbridge doctor`` against servers that are well, and against each that is not."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from support.acl import as_user, users_file
from support.own_server import own_server
from support.topologies import cluster, free_ports
from typer.testing import CliRunner

from weighbridge import QueueSettings
from weighbridge.keys import Keys
from weighbridge_worker.cli.app import app
from weighbridge_worker.diagnosis import Finding, diagnose, latency
from weighbridge_worker.doctor import examine

GOOD_INFO: dict[str, Any] = {
    "maxmemory": 2**30,
    "used_memory": 2**20,
    "aof_enabled": 1,
    "connected_slaves": 1,
}
GOOD_CONFIG: dict[str, Any] = {
    "appendfsync": "everysec",
    "client-output-buffer-limit": "normal 0 0 0 slave 1 1 60 pubsub 33554432 8388608 60",
    "min-replicas-to-write": "1",
    "save": "",
    "tcp-keepalive": "300",
    "timeout": "0",
}


async def look(url: str, **settings: Any) -> dict[str, Finding]:
    """Examine a server; findings by what was looked at, the last one of a kind."""
    found = await examine(QueueSettings(redis_url=url, **settings))
    return {finding.check: finding for finding in found}


def judged(
    info: dict[str, Any], config: dict[str, Any], wait_replicas: int = 0
) -> dict[str, Finding]:
    """Judge figures."""
    told = diagnose(GOOD_INFO | info, config and GOOD_CONFIG | config, wait_replicas=wait_replicas)
    return {finding.check: finding for finding in told}


@pytest.mark.asyncio
async def test_a_good_server_has_nothing_bad(tmp_path: Path) -> None:
    words = "--appendonly yes --maxmemory 100mb"
    with own_server(tmp_path / "s", words) as server:
        found = await look(server.url)
    assert {check for check, one in found.items() if one.verdict != "ok"} <= {"latency"}
    for check in ("transport", "reachable", "rights", "version", "role", "eviction", "clock"):
        assert check in found
    assert "producer, worker, operator" in found["rights"].said


@pytest.mark.asyncio
async def test_examining_changes_nothing(redis_url: str) -> None:
    await look(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("*") == []


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_bad() -> None:
    found = await look("redis://127.0.0.1:1/0")
    assert found["reachable"].verdict == "bad"
    assert "does not answer" in found["reachable"].said


@pytest.mark.asyncio
async def test_an_evicting_server_and_a_replica_are_bad(tmp_path: Path) -> None:
    [port] = free_ports(1)
    evicting = "--maxmemory-policy allkeys-lru"
    follow = f"--replicaof 127.0.0.1 {port} --replica-read-only no"
    with own_server(tmp_path / "p", evicting, port=port) as server:
        eviction = (await look(server.url))["eviction"]
        with own_server(tmp_path / "r", follow) as replica:
            role = (await look(replica.url))["role"]
    assert eviction.verdict == role.verdict == "bad"
    assert "CONFIG SET maxmemory-policy noeviction" in eviction.change


@pytest.mark.asyncio
@pytest.mark.parametrize("user", ["producer", "worker", "operator"])
async def test_each_user_may_act_as_what_it_is(tmp_path: Path, user: str) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    with own_server(folder, "--aclfile", str(users_file(folder))) as server:
        found = await look(as_user(server.url, user))
    assert found["rights"].verdict == "ok"
    able = found["rights"].said.partition(";")[0].removeprefix("may act as ").split(", ")
    assert user in able
    assert ("operator" in able) == (user == "operator")
    assert ("worker" in able) == (user == "worker")
    assert "bad" not in {finding.verdict for finding in found.values()}


@pytest.mark.asyncio
async def test_a_user_without_rights_is_bad_and_a_wrong_password_too(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "users.acl").write_text(
        "user default on nopass ~* &* +@all\nuser nobody on >pw ~* +ping +get\n"
    )
    with own_server(folder, "--aclfile", str(folder / "users.acl")) as server:
        rights = (await look(as_user(server.url, "nobody")))["rights"]
        refused = (await look(as_user(server.url, "nobody", "wrong")))["reachable"]
    assert rights.verdict == refused.verdict == "bad"
    assert "EVALSHA" in rights.said
    assert "refuses our user or password" in refused.said
    assert "wrong" not in refused.said


@pytest.mark.asyncio
async def test_what_is_stranded_is_reported_and_left(redis_url: str) -> None:
    keys = Keys()
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.payload("a" * 64), "{}")
        client.zadd(keys.deadlines, {"b" * 64: 9e15})
        found = await look(redis_url)
        assert client.exists(keys.payload("a" * 64), keys.deadlines) == 2
        client.flushall()
    assert found["payloads"].said.startswith("1 payloads without a job")
    assert found["jobs"].said.startswith("1 of 1 live jobs stand in no set")


@pytest.mark.asyncio
async def test_another_digest_key_is_bad(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.hset(Keys().scope, "digest_key", "none")
        found = await look(redis_url, digest_key=b"0123456789abcdef")
        client.flushall()
    assert found["scope"].verdict == "bad"


@pytest.mark.asyncio
async def test_a_node_of_a_cluster_wants_a_clusters_url(tmp_path: Path) -> None:
    with cluster(tmp_path, replicas=False) as nodes:
        well = await look(nodes.url)
        keeper = await look(nodes.primary().url)
    assert well["cluster"].verdict == "ok"
    assert keeper["cluster"].verdict == "bad"
    assert "redis+cluster://" in keeper["cluster"].change


@pytest.mark.parametrize(
    ("info", "config", "replicas", "check", "verdict"),
    [
        ({}, {}, 1, "replicas", "ok"),
        ({"connected_slaves": 0}, {"save": ""}, 0, "replicas", "ok"),
        ({}, {"min-replicas-to-write": "0"}, 0, "replicas", "warn"),
        ({}, {"save": ""}, 2, "replicas", "bad"),
        ({"maxmemory": 0}, {"save": ""}, 0, "memory", "warn"),
        ({"used_memory": 2**30}, {"save": ""}, 0, "memory", "bad"),
        ({}, {"appendfsync": "no"}, 0, "persistence", "warn"),
        ({"aof_last_write_status": "err"}, {"save": ""}, 0, "persistence", "bad"),
        ({"aof_enabled": 0}, {"save": "60 1"}, 0, "persistence", "warn"),
        ({"aof_enabled": 0}, {"save": ""}, 0, "persistence", "warn"),
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "err"}, {}, 0, "persistence", "bad"),
        ({}, {"timeout": "10"}, 0, "idle", "warn"),
        ({}, {"tcp-keepalive": "0"}, 0, "idle", "warn"),
        ({}, {"client-output-buffer-limit": "pubsub 1024 0 0"}, 0, "buffers", "warn"),
        ({}, {"client-output-buffer-limit": "pubsub 0 0 0"}, 0, "buffers", "ok"),
        ({}, {}, 0, "config", "warn"),
    ],
)
def test_figures_are_judged(
    info: dict[str, Any], config: dict[str, Any], replicas: int, check: str, verdict: str
) -> None:
    finding = judged(info, config, replicas)[check]
    assert finding.verdict == verdict
    assert finding.change or finding.verdict == "ok" or check == "config"


def test_a_long_way_is_judged_by_its_middle() -> None:
    assert latency([0.2] * 9 + [300.0]).verdict == "ok"
    assert latency([20.0] * 10).verdict == "warn"
    assert latency([200.0] * 10).verdict == "bad"


def test_the_command_says_it_in_lines_and_in_json(redis_url: str) -> None:
    shown = CliRunner().invoke(app, ["doctor", "--redis", redis_url])
    assert shown.exit_code == 0
    assert "reachable" in shown.stdout
    listed = CliRunner().invoke(app, ["doctor", "--redis", redis_url, "--json"])
    findings = msgspec.json.decode(listed.stdout, type=list[Finding])
    assert {finding.verdict for finding in findings} <= {"ok", "warn"}


def test_the_commands_status_says_whether_something_is_bad() -> None:
    assert CliRunner().invoke(app, ["doctor", "--redis", "redis://127.0.0.1:1/0"]).exit_code == 1
