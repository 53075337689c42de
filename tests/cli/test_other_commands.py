"""``worker``, ``sandbox``, ``status`` and the command itself, run as people run them."""

import json
import signal
from pathlib import Path

import anyio
import pytest
from support.commands import environment, rows, run, started
from support.processes import eventually

from weighbridge import Client
from weighbridge_worker.cli.app import run as run_app
from weighbridge_worker.cli.exit_status import ExitStatus

COMMANDS = ("count", "worker", "limit", "scope", "dead", "sandbox", "status", "health", "probe")


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = run("--help", env=environment(tmp_path))
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def test_no_arguments_show_the_help_with_status_2(tmp_path: Path) -> None:
    done = run(env=environment(tmp_path))
    assert done.returncode == 2
    assert "count" in done.stdout + done.stderr


def test_status_of_an_empty_server_says_how_to_start_a_worker(
    tmp_path: Path, redis_url: str
) -> None:
    done = run("status", "--redis", redis_url, env=environment(tmp_path))
    assert done.returncode == 0
    assert "weighbridge worker" in done.stdout


def test_status_shows_the_bytes_of_what_is_queued(tmp_path: Path, redis_url: str) -> None:
    async def submit() -> int:
        async with Client.connect(redis_url) as wb:
            ticket = await wb.submit({"model": "m", "messages": [{"role": "user", "content": "x"}]})
            return len(ticket.job.payload.body)

    size = anyio.run(submit)
    state = run("status", "--json", "--redis", redis_url, env=environment(tmp_path)).stdout
    shown = run("status", "--redis", redis_url, env=environment(tmp_path)).stdout
    assert json.loads(state)["queue_bytes"] == size
    assert f"{size} bytes" in shown


def test_status_without_a_server_is_one_line(tmp_path: Path) -> None:
    done = run("status", "--redis", "redis://127.0.0.1:1", env=environment(tmp_path))
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1


def test_a_worker_without_a_key_says_what_to_set(tmp_path: Path, redis_url: str) -> None:
    done = run("worker", "--redis", redis_url, env=environment(tmp_path))
    assert done.returncode == 2
    assert "ANTHROPIC_API_KEY" in done.stderr
    assert "sandbox" in done.stderr


def test_settings_are_refused_by_name(tmp_path: Path, redis_url: str) -> None:
    env = environment(tmp_path, ANTHROPIC_API_KEY="k", WEIGHBRIDGE_LEASE="5")
    done = run("worker", "--redis", redis_url, env=env)
    assert done.returncode == 2
    assert "WEIGHBRIDGE_LEASE" in done.stderr


def test_a_pool_of_processes_counts_and_drains(tmp_path: Path, redis_url: str) -> None:
    """The way through all commands: a sandbox, a worker, a count through them, a status."""
    source = tmp_path / "in.jsonl"
    body = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "hello"}]}
    source.write_text(json.dumps(body))
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    with started("sandbox", "--port", "0", env=env) as sandbox:
        assert sandbox.stderr is not None
        said = [sandbox.stderr.readline(), sandbox.stderr.readline()]
        base_url = said[1].split("ANTHROPIC_BASE_URL=")[1].split()[0]
        keys = {"ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "canary-key"}
        with started("worker", "--rpm", "600", env=env | keys) as worker:
            assert eventually(lambda: _workers(env) == 1, within_s=30)
            done = run("count", str(source), env=env)
            assert done.returncode == 0, done.stderr
            assert [row["source"] for row in rows(done.stdout)] == ["estimate"]
            state = json.loads(run("status", "--json", env=env).stdout)
            shown = run("status", env=env).stdout
            worker.send_signal(signal.SIGTERM)
            _, log = worker.communicate(timeout=30)
    assert worker.returncode == 0, log
    assert (state["depth"], state["cached"], state["rpm"]) == (0, 1, 600)
    assert base_url in shown
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events == ["started", "draining", "stopped"]
    assert "canary-key" not in log
    assert _workers(env) == 0


def _workers(env: dict[str, str]) -> int:
    return len(json.loads(run("status", "--json", env=env).stdout)["workers"])


@pytest.mark.parametrize(
    "trouble", [RuntimeError("a bug"), ExceptionGroup("tasks", [RuntimeError("a bug")])]
)
def test_unexpected_trouble_has_a_status_of_its_own(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise trouble

    monkeypatch.setattr("weighbridge_worker.cli.app.app", fail)
    assert run_app() == ExitStatus.ERROR
    assert int(ExitStatus.ERROR) == 4
    assert "RuntimeError: a bug" in capsys.readouterr().err
