"""``deploy/redis/users.acl``: each role can do its work, and no more."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import redis
from redis.exceptions import NoPermissionError
from support.acl import REDIS_FILES, UNDER_ACL, USERS, as_user, users_file
from support.commands import environment, run
from support.gateway_under_test import only_gateway
from support.own_server import own_server
from support.pools import running_pool
from support.redis_server import server_binaries

from weighbridge import CountFailed, QueueSettings
from weighbridge.keys import Keys
from weighbridge_worker.counter import anthropic_counter
from weighbridge_worker.logs import make_logger
from weighbridge_worker.rehearsal import named, rehearsal
from weighbridge_worker.sandbox import sandbox
from weighbridge_worker.sandbox.request_check import MISSING_MODEL
from weighbridge_worker.settings import WorkerSettings
from weighbridge_worker.startup import check_server

KEYS = Keys()
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a server that has the users."""
    folder = tmp_path_factory.mktemp("acl")
    with own_server(folder, f"--aclfile {users_file(folder)}") as server:
        yield server.url


def test_the_file_lets_nobody_in_before_passwords_are_added() -> None:
    users = (REDIS_FILES / "users.acl").read_text().splitlines()
    assert users[0] == "user default off"
    assert [line.split()[1] for line in users[1:]] == list(USERS)
    assert not any(word[0] in "><#!" or word == "nopass" for line in users for word in line.split())


def test_a_worker_has_the_commands_that_the_start_up_check_tries_and_no_others() -> None:
    [line] = [
        line
        for line in (REDIS_FILES / "users.acl").read_text().splitlines()
        if line.startswith("user worker ")
    ]
    tried = {named(command).replace(" ", "|").lower() for command in rehearsal(KEYS, "scratch")}
    given = {word[1:] for word in line.split() if word.startswith("+")}
    assert given == tried | {"cluster|slots", "info", "select"}


@pytest.mark.parametrize("binary", server_binaries(), ids=lambda path: path.name)
def test_the_configuration_is_taken_and_suits_a_worker(binary: Path, tmp_path: Path) -> None:
    lines = (REDIS_FILES / "redis.conf").read_text().splitlines()
    options = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    options["aclfile"] = str(users_file(tmp_path))
    words = [f"--{name} {value}" for name, value in options.items() if value != '""']
    with own_server(tmp_path, *words, binary=binary) as server:
        settings = QueueSettings(redis_url=as_user(server.url, "worker"))
        anyio.run(check_server, settings, make_logger("error", "json"))
        with redis.Redis.from_url(server.url) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(
    "command",
    [
        "KEYS *",
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET *",
        "CONFIG SET maxmemory-policy allkeys-lru",
        "CLIENT KILL TYPE normal",
        "CLIENT LIST",
        "ACL LIST",
        "SHUTDOWN",
        "MONITOR",
        "GET foreign",
        "HGET {other}:1:bucket tat",
        "EVAL return(redis.call('GET','foreign')) 0",
        "EVAL return(redis.call('FLUSHALL')) 0",
        "PUBLISH foreign x",
    ],
)
def test_no_role_reaches_beyond_its_namespace(url: str, user: str, command: str) -> None:
    with (
        redis.Redis.from_url(as_user(url, user)) as client,
        pytest.raises(redis.ResponseError) as caught,
    ):
        client.execute_command(*command.split(" "))
    # Redis and Valkey word a script's refusal each in its own way.
    words = ("executing the script", "ACL failure in script", "access at least one of the keys")
    said = str(caught.value)
    assert isinstance(caught.value, NoPermissionError) or any(word in said for word in words)


def test_a_producer_writes_no_results(url: str) -> None:
    with (
        redis.Redis.from_url(as_user(url, "producer")) as client,
        pytest.raises(NoPermissionError),
    ):
        client.set(KEYS.result("0" * 64), "{}")


RESET = ("scope", "reset", "--yes")


def test_an_operator_looks_and_changes_the_limit(url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=as_user(url, "operator"))
    limits = (("limit", "pause"), ("limit", "resume"), ("limit", "set", "60"))
    for words in (
        *limits,
        ("dead", "list"),
        ("dead", "replay", "--all"),
        ("review", "list"),
        RESET,
    ):
        done = run(*words, env=env)
        assert done.returncode == 0, done.stderr
    status = run("status", "--json", env=env)
    assert status.returncode == 0, status.stderr
    assert (json.loads(status.stdout)["rpm"], json.loads(status.stdout)["cached"]) == (60, 0)


@pytest.mark.asyncio
async def test_a_gateway_counts_looks_and_replays(url: str) -> None:
    asked = {"model": MISSING_MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    async with sandbox() as stand_in:
        worker = WorkerSettings(base_url=stand_in.base_url, api_key="test")
        async with (
            anthropic_counter(worker) as counter,
            running_pool(as_user(url, "worker"), counter),
            only_gateway(as_user(url, "gateway"), stand_in) as running,
        ):
            gateway = running.gateway
            with pytest.raises(CountFailed):
                await gateway.client.count(asked)
            await gateway.client.count(asked | {"model": "claude-sonnet-5-5"})
            assert (await gateway.admin.inspect(count_cached=False)).dead == 1
            [letter] = await gateway.dead.find()
            assert await gateway.dead.replay(letter) == "replayed"
            with pytest.raises(CountFailed):
                await gateway.client.count(asked)


HEART = {
    "clients": ("client", "inbox"),
    "processes": (
        "fleet/test_fleet.py::test_500_payloads_make_375_calls_and_a_second_run_none",
        "cli/test_scope.py",
    ),
    "scripts": ("contract/test_submitter.py", "contract/test_settle.py"),
}
"""What of the suite runs under the users in each run of it; all of it passes under them."""


@pytest.mark.skipif(UNDER_ACL, reason="this run is under the ACL already")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("selection", HEART.values(), ids=HEART.keys())
def test_every_role_does_its_work_under_these_users(selection: tuple[str, ...]) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-k",
            "not fake",
            *(str(TESTS / name) for name in selection),
        ],
        cwd=TESTS.parent,
        env=os.environ | {"WEIGHBRIDGE_TEST_ACL": "1"},
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
