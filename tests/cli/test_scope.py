"""``weighbridge scope``: what all counts depend on, and how it is given up."""

import json
from pathlib import Path

import pytest
from redis import Redis
from support.commands import environment, run
from support.pools import SCOPE, Answers, running_pool

from weighbridge import Client
from weighbridge.keys import Keys
from weighbridge_worker.cli.scope import _confirmed

KEYS = Keys()
HELLO = {"model": "claude-test", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def counted(redis_url: str) -> str:
    """Return the URL of a server that holds a scope, and two results of two namespaces."""
    with Redis.from_url(redis_url) as redis:
        redis.hset(KEYS.scope, mapping=dict(SCOPE))
        for keys in (KEYS, Keys("other")):
            redis.set(keys.result("0" * 64), "{}", ex=60)
    return redis_url


def test_show_says_what_counts_depend_on(counted: str, tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=counted)
    assert json.loads(run("scope", "show", "--json", env=env).stdout) == SCOPE
    assert run("scope", "show", env=env).stdout.splitlines()[0].split() == ["base_url", "test"]


def test_show_of_a_new_namespace(redis_url: str, tmp_path: Path) -> None:
    done = run("scope", "show", env=environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url))
    assert (done.returncode, "has no scope" in done.stdout) == (0, True)


def test_reset_empties_this_namespaces_cache_alone(counted: str, tmp_path: Path) -> None:
    done = run("scope", "reset", "--yes", env=environment(tmp_path, WEIGHBRIDGE_REDIS_URL=counted))
    assert done.returncode == 0, done.stderr
    assert "base_url = test" in done.stdout
    assert "Lost: 1 results" in done.stdout
    assert "Done: 1 results are gone" in done.stdout
    with Redis.from_url(counted) as redis:
        assert not redis.exists(KEYS.scope, KEYS.result("0" * 64))
        assert redis.exists(Keys("other").result("0" * 64))


def test_reset_wants_a_yes_where_nobody_can_be_asked(counted: str, tmp_path: Path) -> None:
    done = run("scope", "reset", env=environment(tmp_path, WEIGHBRIDGE_REDIS_URL=counted))
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert "Lost: 1 results" in done.stdout
    with Redis.from_url(counted) as redis:
        assert redis.exists(KEYS.scope)


@pytest.mark.parametrize(("typed", "goes_on"), [("weighbridge", True), ("yes", False), ("", False)])
def test_a_person_types_the_namespace(
    typed: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda *_args, **_options: typed)
    assert _confirmed("weighbridge") is goes_on


@pytest.mark.asyncio
async def test_reset_is_refused_while_a_worker_lives(redis_url: str, tmp_path: Path) -> None:
    from functools import partial

    from anyio.to_thread import run_sync

    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    async with running_pool(redis_url, Answers()), Client.connect(redis_url) as wb:
        await wb.count(HELLO)
        done = await run_sync(partial(run, "scope", "reset", "--yes", env=env))
        assert done.returncode == 4
        assert "has living workers" in done.stderr
        assert (await wb.count(HELLO)).cache == "hit"
    done = await run_sync(partial(run, "scope", "reset", "--yes", env=env))
    assert done.returncode == 0, done.stderr
