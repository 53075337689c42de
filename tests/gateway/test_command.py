"""The command: what it refuses to start with, and how it says so."""

import json
import socket
import sys
from pathlib import Path

import pytest
from support.commands import environment, run, started
from support.gateway_under_test import tokens_file

from weighbridge import SettingsError
from weighbridge_worker.cli.gateway import run_gateway


def test_it_says_where_it_answers(redis_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url, WEIGHBRIDGE_LOG_FORMAT="json")
    env["WEIGHBRIDGE_TOKENS_FILE"] = tokens_file(tmp_path)
    with started("gateway", "--port", "0", "--host", "127.0.0.1", env=env) as process:
        assert process.stderr is not None
        said = json.loads(process.stderr.readline())
    assert (said["event"], said["open"]) == ("gateway_started", False)
    assert said["base_url"].startswith("http://127.0.0.1:")


def test_it_answers_no_other_machine_without_a_tokens_file(redis_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    done = run("gateway", "--host", "0.0.0.0", env=env)
    assert done.returncode == 2
    assert "WEIGHBRIDGE_TOKENS_FILE" in done.stderr


def test_a_port_that_is_taken_is_explained(redis_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("gateway", "--port", str(taken.getsockname()[1]), env=env)
    assert done.returncode == 2
    assert "choose another port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_queue_that_is_not_there_is_explained(tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL="redis://127.0.0.1:1/0")
    done = run("gateway", "--port", "0", env=env)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SettingsError, match=r"pip install 'weighbridge\[gateway\]'"):
        run_gateway(redis_url=None, host=None, port=None)
