"""``weighbridge probe``: one real call, reported; in this process, but once as people run it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync
from support.commands import environment, run

from weighbridge import SettingsError
from weighbridge.settings import options
from weighbridge_worker.cli.probe import ProbeFailed, run_probe
from weighbridge_worker.sandbox import Fault, SandboxSettings, sandbox
from weighbridge_worker.settings import SAFE_RPM, WorkerSettings

pytestmark = pytest.mark.asyncio
Probe = Callable[..., Any]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Probe:
    """Give the command with an environment of its own; it runs beside the test's loop."""
    for option in options(WorkerSettings):
        monkeypatch.delenv(option.variable, raising=False)

    async def call(
        base_url: str, *, model: str | None = None, as_json: bool = True, **environ: str
    ) -> tuple[int, str]:
        environ = {"ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "sk-canary"} | environ
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        status = await run_sync(partial(run_probe, model=model, as_json=as_json))
        return status, capsys.readouterr().out

    return call


async def test_a_newcomer_learns_the_limit_with_one_command(tmp_path: Path) -> None:
    settings = SandboxSettings(rpm=1234, admin_key="sk-admin-canary")
    async with sandbox(settings) as stand_in:
        env = environment(
            tmp_path,
            ANTHROPIC_BASE_URL=stand_in.base_url,
            ANTHROPIC_API_KEY="sk-canary",
            ANTHROPIC_ADMIN_KEY="sk-admin-canary",
        )
        done = await run_sync(partial(run, "probe", env=env))
        assert [attempt.status for attempt in stand_in.ledger.attempts] == [200]
    assert done.returncode == 0, done.stderr
    for line in (
        f"endpoint      {stand_in.base_url}\n",
        "answer        200 in ",
        "header        anthropic-ratelimit-requests-limit: 1234\n",
        "Admin API     1,234 counting calls a minute",
        "recommended   --rpm 1234\n",
    ):
        assert line in done.stdout
    assert "canary" not in done.stdout + done.stderr


async def test_the_report_is_there_for_machines(probe: Probe) -> None:
    async with sandbox(SandboxSettings(rpm=1234, depth=9)) as stand_in:
        status, out = await probe(stand_in.base_url, model="claude-haiku-5-5")
        assert [attempt.model for attempt in stand_in.ledger.attempts] == ["claude-haiku-5-5"]
    report = json.loads(out)
    assert report.pop("latency_ms") > 0
    headers = report.pop("rate_limit_headers")
    assert headers["anthropic-ratelimit-requests-remaining"] == "8"
    assert (status, report) == (
        0,
        {
            "base_url": stand_in.base_url,
            "model": "claude-haiku-5-5",
            "status": 200,
            "input_tokens": report["input_tokens"],
            "source": "estimate",
            "retry_after": None,
            "admin_limit": None,
            "admin_answer": "no_key",
            "recommended_rpm": 1234,
            "recommended_by": "headers",
        },
    )
    assert report["input_tokens"] > 0


async def test_without_headers_the_careful_rate_is_recommended(probe: Probe) -> None:
    async with sandbox(SandboxSettings(rate_headers=False, admin_api=False)) as stand_in:
        _, text = await probe(stand_in.base_url, as_json=False, ANTHROPIC_ADMIN_KEY="admin")
    assert "none about rate limits" in text
    assert "does not tell the limit (forbidden)" in text
    assert f"--rpm {SAFE_RPM}, unless the Limits page" in text


async def test_a_429_is_reported_with_its_pause_and_no_success(probe: Probe) -> None:
    async with sandbox(SandboxSettings(retry_after="7")) as stand_in:
        stand_in.faults.set_next([Fault.RATE_LIMITED] * 2)
        status, out = await probe(stand_in.base_url)
        _, text = await probe(stand_in.base_url, as_json=False)
        assert len(stand_in.ledger) == 2
    report = json.loads(out)
    assert (status, report["status"], report["retry_after"]) == (4, 429, "7")
    assert (report["input_tokens"], report["recommended_rpm"]) == (None, 3000)
    assert "retry-after   7" in text


@pytest.mark.parametrize(
    ("settings", "model", "fault", "said"),
    [
        (SandboxSettings(api_key="right"), None, None, "(key_refused); is ANTHROPIC_API_KEY"),
        (SandboxSettings(), "claude-does-not-exist", None, "(not_found); --model names another"),
        (SandboxSettings(), None, Fault.SERVER_ERROR, "gave no count: Internal server error"),
        (SandboxSettings(), None, Fault.HTML, "without a count (bad_response)"),
    ],
)
async def test_an_endpoint_that_does_not_count_is_one_line(
    probe: Probe, settings: SandboxSettings, model: str | None, fault: Fault | None, said: str
) -> None:
    async with sandbox(settings) as stand_in:
        stand_in.faults.set_next([fault])
        with pytest.raises(ProbeFailed) as caught:
            await probe(stand_in.base_url, model=model)
    assert str(caught.value).startswith(stand_in.base_url)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_an_endpoint_that_is_not_there_is_one_line_with_status_4(tmp_path: Path) -> None:
    env = environment(
        tmp_path, ANTHROPIC_BASE_URL="http://127.0.0.1:1", ANTHROPIC_API_KEY="sk-canary"
    )
    done = await run_sync(partial(run, "probe", env=env))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "weighbridge: http://127.0.0.1:1 gave no count:"
        " the connection to the endpoint broke (connection)\n"
    )


async def test_without_a_key_it_says_what_to_set(probe: Probe) -> None:
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY is not set"):
        await probe("http://127.0.0.1:1", ANTHROPIC_API_KEY="")
