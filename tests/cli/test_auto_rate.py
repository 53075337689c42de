"""``--rpm``: a number, ``auto``, or a usage error; run as people run it."""

import json
import signal
from functools import partial
from pathlib import Path

import pytest
from anyio.to_thread import run_sync
from support.commands import environment, rows, run, started
from support.pools import until

from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge_worker.sandbox import SandboxSettings, sandbox

pytestmark = pytest.mark.asyncio
BODY = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "hello"}]}


async def test_a_worker_on_auto_says_what_it_found_and_from_where(
    redis_url: str, tmp_path: Path
) -> None:
    async def offered() -> bool:
        async with connect(redis_url) as redis:
            return bool(await redis.exists(Keys().bucket))

    async with sandbox(SandboxSettings(rpm=1200, admin_api=False)) as stand_in:
        env = environment(
            tmp_path,
            WEIGHBRIDGE_REDIS_URL=redis_url,
            ANTHROPIC_BASE_URL=stand_in.base_url,
            ANTHROPIC_API_KEY="sk-canary",
            ANTHROPIC_ADMIN_KEY="sk-admin-canary",
        )
        with started("worker", "--rpm", "auto", env=env) as worker:
            await until(offered, within_s=60)
            worker.send_signal(signal.SIGTERM)
            _, log = await run_sync(partial(worker.communicate, timeout=30))
    assert worker.returncode == 0, log
    said = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in said[:3]] == ["rate_not_told", "rate_found", "started"]
    assert (said[0]["by"], said[0]["code"]) == ("admin_api", "forbidden")
    assert (said[1]["rpm"], said[1]["source"], said[2]["rpm"]) == (1200, "headers", 1200)
    assert "canary" not in log


async def test_a_count_on_auto_tells_the_person(redis_url: str, tmp_path: Path) -> None:
    async with sandbox(SandboxSettings(rpm=1200, rate_headers=False)) as stand_in:
        env = environment(
            tmp_path,
            WEIGHBRIDGE_REDIS_URL=redis_url,
            WEIGHBRIDGE_RPM="auto",
            ANTHROPIC_BASE_URL=stand_in.base_url,
            ANTHROPIC_API_KEY="sk-canary",
        )
        counting = partial(run, "count", "--with-workers", env=env, stdin=json.dumps(BODY).encode())
        done = await run_sync(counting)
    assert [row["status"] for row in rows(done.stdout)] == ["counted"]
    asked, found = done.stderr.splitlines()
    assert asked == "The endpoint does not tell the limit (no_headers)."
    assert found.startswith("Calling at 100 requests a minute, the lowest limit ever published")


async def test_auto_without_a_key_is_the_sandboxs_own_rate(tmp_path: Path) -> None:
    env = environment(tmp_path)
    body = json.dumps(BODY).encode()
    done = await run_sync(partial(run, "count", "--rpm", "auto", env=env, stdin=body))
    assert [row["source"] for row in rows(done.stdout)] == ["estimate"], done.stderr
    assert "Calling at" not in done.stderr


@pytest.mark.parametrize("command", ["count", "worker"])
@pytest.mark.parametrize("rpm", ["0", "many", "1.5", "1000001", "AUTO"])
async def test_a_wrong_rate_is_a_usage_error_that_names_it(
    tmp_path: Path, command: str, rpm: str
) -> None:
    env = environment(tmp_path)
    done = await run_sync(partial(run, command, "--rpm", rpm, env=env))
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert f"--rpm: takes a whole number from 1 to 1,000,000, or auto, not '{rpm}'" in said
