"""The command: what it refuses to start with, and how it says so."""

import json
import socket
import sys
from pathlib import Path

import httpx2
import pytest
from support.commands import environment, run, started
from support.gateway_under_test import ALICE, COUNT_PATH, tokens_file

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


def test_neither_payloads_nor_tokens_reach_the_log(redis_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url, WEIGHBRIDGE_LOG_FORMAT="json")
    env |= {"WEIGHBRIDGE_TOKENS_FILE": tokens_file(tmp_path), "WEIGHBRIDGE_LOG_LEVEL": "debug"}
    canary = "canary-canary-canary"
    with started("gateway", "--port", "0", env=env) as process:
        assert process.stderr is not None
        base_url = json.loads(process.stderr.readline())["base_url"]
        with httpx2.Client(base_url=base_url) as client:
            for body in (b'{"canary-canary-canary":1}', b"canary-canary-canary", b'["\\ud800"]'):
                for token in (canary, ALICE):
                    headers = {"x-api-key": token, "anthropic-beta": canary}
                    answer = client.post(COUNT_PATH, content=body, headers=headers)
                    assert answer.status_code in {400, 401}
                    assert "canary" not in answer.text
        process.terminate()
        process.wait(30)
        log = process.stderr.read()
    assert log.count("request_refused") == 6
    assert "canary" not in log
    assert ALICE not in log


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
    assert done.returncode == 4
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SettingsError, match=r"pip install 'weighbridge\[gateway\]'"):
        run_gateway(redis_url=None, host=None, port=None)
