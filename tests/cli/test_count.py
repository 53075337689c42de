"""``weighbridge count``, run as people run it."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.commands import EXAMPLES, environment, rows, run, started
from support.processes import eventually


def payload(text: str, **fields: Any) -> dict[str, Any]:
    """Make a payload of one message."""
    return {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": text}]} | fields


def write(path: Path, *lines: Any) -> str:
    """Write a file of payloads."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts))
    return str(path)


def test_a_newcomer_gets_counts_out_of_a_file_with_one_command(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.jsonl",
        {"id": "first", "payload": payload("hello")},
        "",
        payload("hello"),
        {"id": 7, "payload": payload("goodbye")},
    )
    done = run("count", source, env=environment(tmp_path))
    assert done.returncode == 0, done.stderr
    first, second, third = rows(done.stdout)
    assert (first["line"], first["id"], first["status"]) == (1, "first", "counted")
    assert (second["line"], second["id"]) == (3, None)
    assert (third["line"], third["id"]) == (4, 7)
    assert first["digest"] == second["digest"] != third["digest"]
    assert {first["cache"], second["cache"]} <= {"miss", "joined", "hit"}
    assert {row["source"] for row in (first, second, third)} == {"estimate"}
    assert "estimates (~)" in done.stderr


def test_bad_lines_fail_by_themselves_and_the_status_says_so(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.jsonl", payload("hello"), "{not json", payload("a", messages=[]), "[]"
    )
    done = run("count", source, env=environment(tmp_path))
    assert done.returncode == 3, done.stderr
    good, *bad = rows(done.stdout)
    assert good["status"] == "counted"
    assert [row["status"] for row in bad] == ["failed"] * 3
    assert [row["line"] for row in bad] == [2, 3, 4]
    assert all(row["code"] and row["message"] for row in bad)


def test_the_second_run_answers_from_the_cache(tmp_path: Path) -> None:
    out, env = tmp_path / "out.jsonl", environment(tmp_path)
    first = run("count", str(EXAMPLES), "-o", str(out), env=env)
    before = rows(out.read_text())
    second = run("count", str(EXAMPLES), "-o", str(out), "--summary", env=env)
    after = rows(out.read_text())
    assert (first.returncode, second.returncode) == (3, 3), first.stderr + second.stderr
    assert [row["line"] for row in after if row["status"] == "failed"] == [23, 58, 97]
    counted = [row for row in after if row["status"] == "counted"]
    assert {row["cache"] for row in counted} == {"hit"}
    assert [row.get("input_tokens") for row in before] == [row.get("input_tokens") for row in after]
    assert "0 counted anew" in second.stderr
    assert "~" in second.stderr


def test_a_named_model_is_counted_for(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", payload("hello"), "{not json")
    done = run("count", source, "--model", "claude-haiku-4-5", env=environment(tmp_path))
    good, bad = rows(done.stdout)
    assert good["model"] == "claude-haiku-4-5"
    assert bad["code"] == "malformed_payload"


def test_standard_input_is_a_file_too(tmp_path: Path) -> None:
    text = json.dumps(payload("hello")).encode()
    done = run("count", "-", env=environment(tmp_path), stdin=text)
    assert [row["status"] for row in rows(done.stdout)] == ["counted"]


def test_rows_of_several_files_name_theirs(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}.jsonl", payload(name)) for name in ("a", "b")]
    done = run("count", *files, env=environment(tmp_path))
    assert [(row["file"], row["line"]) for row in rows(done.stdout)] == [
        (name, 1) for name in files
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("count", "missing.jsonl"), "there is no file missing.jsonl"),
        (("count", "--rpm", "0", "-"), "--rpm"),
        (("count", "--lane", "fast", "-"), "--lane"),
        (("count", "-", "-o", "/nowhere/out.jsonl"), "cannot write"),
        (("count", "-", "--redis", "http://x"), "redis://"),
        (("weigh",), "weigh"),
    ],
)
def test_wrong_usage_is_explained_with_status_2(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(*words, env=environment(tmp_path))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_input_is_not_overwritten_by_its_results(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", payload("hello"))
    done = run("count", source, "-o", source, env=environment(tmp_path))
    assert done.returncode == 2
    assert json.loads(Path(source).read_text()) == payload("hello")


def test_a_server_without_workers_is_reported_at_once(tmp_path: Path, redis_url: str) -> None:
    source = write(tmp_path / "in.jsonl", payload("hello"))
    done = run("count", source, "--redis", redis_url, env=environment(tmp_path))
    assert done.returncode == 4
    assert "weighbridge worker" in done.stderr
    assert "--with-workers" in done.stderr


def test_with_workers_counts_on_the_given_server(tmp_path: Path, redis_url: str) -> None:
    source = write(tmp_path / "in.jsonl", payload("hello"))
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    done = run("count", source, "--with-workers", env=env)
    assert done.returncode == 0, done.stderr
    with Redis.from_url(redis_url) as redis:
        [row] = rows(done.stdout)
        assert redis.exists(f"weighbridge:1:result:{{{row['digest']}}}")


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", payload("hello"))
    done = run("count", source, "--redis", "redis://127.0.0.1:1", env=environment(tmp_path))
    assert done.returncode == 4
    assert done.stderr.startswith("weighbridge: the Redis server does not answer")
    assert len(done.stderr.splitlines()) == 1


def test_without_a_rate_a_key_is_used_at_the_lowest_published_limit(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl")
    env = environment(tmp_path, ANTHROPIC_API_KEY="sk-canary")
    done = run("count", source, env=env)
    assert done.returncode == 0
    assert "100 requests a minute" in done.stderr
    assert "--rpm" in done.stderr
    assert "sk-canary" not in done.stderr


def test_ctrl_c_keeps_what_was_counted_and_the_next_run_goes_on(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", *(payload(f"hello {n}") for n in range(60)))
    out, env = tmp_path / "out.jsonl", environment(tmp_path)
    with started("count", source, "--rpm", "300", "-o", str(out), env=env) as process:
        assert eventually(lambda: out.exists() and out.stat().st_size > 0, within_s=60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "run it again" in said
    assert "Traceback" not in said
    kept = rows(out.read_text())
    assert 0 < len(kept) < 60
    again = run("count", source, "--rpm", "6000", "-o", str(out), env=env)
    assert again.returncode == 0, again.stderr
    cached = {row["line"] for row in rows(out.read_text()) if row["cache"] == "hit"}
    assert {row["line"] for row in kept} <= cached
