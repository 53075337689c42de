"""``weighbridge guard`` and ``weighbridge review``, run as people run them."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from redis import Redis
from support.commands import EXAMPLES, environment, rows, run

from weighbridge.keys import Keys

NIGHTLY = EXAMPLES.parent / "guard" / "nightly.jsonl"
LIMITS = ("--max-input-tokens", "2000", "--max-usd", "0.01", "--run-budget-usd", "0.03", "--batch")


def payload(words: int, **fields: Any) -> dict[str, Any]:
    """Make a payload of about so many tokens."""
    body = {"model": "claude-sonnet-5-5", "max_tokens": 10}
    return body | {"messages": [{"role": "user", "content": "word " * words}]} | fields


def write(path: Path, *lines: Any) -> str:
    """Write a file of payloads."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts))
    return str(path)


def test_the_nightly_batch_is_what_its_readme_says(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = run(
        *("guard", str(NIGHTLY), *LIMITS, "--run", "nightly", "--review", "-o", str(out)),
        env=environment(tmp_path),
    )
    assert done.returncode == 3, done.stderr
    admitted = rows(out.read_text())
    assert len(admitted) == 20
    lines = NIGHTLY.read_text().splitlines()
    assert set(out.read_text().splitlines()) < set(lines), "admitted lines come out as they were"
    refused = {"ticket-4007", "ticket-4011", "ticket-4015", "ticket-4019", "ticket-4024-scan"}
    assert {json.loads(line)["id"] for line in lines} - {row["id"] for row in admitted} == refused
    assert "Run nightly: ~$0.0" in done.stdout
    assert "ticket-4007  over_input_tokens: ~" in done.stdout
    assert "ticket-4011  over_usd: ~$0.016" in done.stdout


def test_all_admitted_is_status_0_and_one_refused_is_1(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", payload(20), payload(900))
    env = environment(tmp_path)
    done = run("guard", source, "--max-input-tokens", "5000", env=env)
    assert done.returncode == 0, done.stderr
    assert "admitted" in done.stdout
    assert "USD" not in done.stdout, "no money was asked for"
    done = run("guard", source, "--max-input-tokens", "500", env=env)
    assert done.returncode == 1, done.stderr


def test_rows_are_exact_and_name_their_line(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {"id": "a", "payload": payload(20)}, "", payload(900))
    words = ("guard", source, "--max-usd", "0.001", "--jsonl")
    done = run(*words, env=environment(tmp_path))
    assert done.returncode == 1, done.stderr
    first, second = rows(done.stdout)
    assert (first["line"], first["id"], first["verdict"], first["reason"]) == (
        1,
        "a",
        "allow",
        None,
    )
    assert (second["line"], second["id"], second["reason"]) == (3, None, "over_usd")
    worst = Decimal(second["usd_worst"])
    assert worst == Decimal(second["usd_input"]) + Decimal("0.0001")
    assert Decimal(second["over_by"]) == worst - Decimal("0.001")
    assert first["tally"]["estimated"]


def test_the_summary_is_one_object(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", payload(20), payload(900), "not json")
    words = ("guard", source, "--max-input-tokens", "500", "--run-budget-usd", "1", "--json")
    done = run(*words, env=environment(tmp_path))
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["documents"], summary["admitted"]["documents"]) == (3, 1)
    assert set(summary["refused"]) == {"over_input_tokens", "not_countable"}
    spent = Decimal(summary["run"]["spent"])
    assert spent == Decimal(summary["admitted"]["usd_worst"]) > 0
    assert summary["run"]["reserved"] == "0"
    assert summary["tally"]["counts_used"] == 3
    done = run(*words[:4], "--json", env=environment(tmp_path))
    assert json.loads(done.stdout)["admitted"] == {"documents": 1, "input_tokens": ANY}


def test_one_budget_holds_for_all_who_name_its_run(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", *(payload(20 + n) for n in range(4)))
    env = environment(tmp_path)
    words = ("guard", source, "--run", "shared", "--json", "--run-budget-usd", "0.0008")
    first, second = (run(*words, env=env) for _ in range(2))
    reports = [json.loads(done.stdout) for done in (first, second)]
    admitted = sum(report["admitted"]["documents"] for report in reports)
    assert 4 <= admitted < 8
    assert Decimal(reports[1]["run"]["left"]) >= 0
    assert second.returncode == 1
    other = run(*words[:-1], "9", env=env)
    assert other.returncode == 2
    assert "has a budget of $0.0008, not $9" in other.stderr


def test_an_unknown_price_is_status_2_and_says_what_to_do(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", payload(20, model="claude-next"), payload(20))
    env = environment(tmp_path)
    done = run("guard", source, "--max-usd", "1", env=env)
    assert done.returncode == 2, done.stderr
    assert "no price is known for the model 'claude-next'; name it in a prices file" in done.stdout
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.claude-next]\ninput = 1\noutput = 2\n")
    done = run("guard", source, "--max-usd", "1", "--prices", str(prices), env=env)
    assert done.returncode == 0, done.stderr


def test_max_tokens_can_be_given_for_bodies_without(tmp_path: Path) -> None:
    body = payload(20)
    del body["max_tokens"]
    source = write(tmp_path / "in.jsonl", body)
    env = environment(tmp_path)
    unknown = run("guard", source, "--max-usd", "1", env=env)
    given = run("guard", source, "--max-usd", "1", "--max-tokens", "10", env=env)
    by_input = run("guard", source, "--max-usd", "1", "--input-only", env=env)
    assert (unknown.returncode, given.returncode, by_input.returncode) == (1, 0, 0)
    assert "no_max_tokens" in unknown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give a limit"),
        (("--max-usd", "cheap"), "takes dollars, such as 0.25, not 'cheap'"),
        (("--max-usd", "-1"), "takes dollars"),
        (("--max-usd", "1", "--run", "x"), "--run needs --run-budget-usd"),
        (("--run-budget-usd", "1", "--run", "a b"), "a run's name takes 1 to 64 letters"),
        (("--run-budget-usd", "10000000"), "from 0 to 1,000,000"),
        (("--max-input-tokens", "1", "--json", "--jsonl"), "exclude each other"),
        (("--max-usd", "1", "--prices", "nowhere.toml"), "cannot read the prices file"),
        (("--max-usd", "1", "-o", "/nowhere/out.jsonl"), "cannot write"),
    ],
)
def test_wrong_usage_is_explained_with_status_2(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    source = write(tmp_path / "in.jsonl", payload(20))
    done = run("guard", source, *words, env=environment(tmp_path))
    assert done.returncode == 2, done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_a_refusal_is_reviewed_and_admitted_once(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {"id": "big", "payload": payload(900)}, payload(950))
    env = environment(tmp_path)
    log = tmp_path / "refused.jsonl"
    words = ("guard", source, "--max-input-tokens", "500", "--review", "--jsonl")
    done = run(*words, "--review-file", str(log), "--keep-payloads", env=env)
    assert done.returncode == 1, done.stderr
    big, other = (row["digest"] for row in rows(done.stdout))
    assert [row["digest"] for row in rows(log.read_text())] == [big, other]

    listed = run("review", "list", env=env)
    assert listed.returncode == 0, listed.stderr
    assert f"{big[:12]}  " in listed.stdout
    assert "in.jsonl:1  big  over_input_tokens: ~" in listed.stdout
    shown = run("review", "show", big[:12], "--json", env=env)
    entry = json.loads(shown.stdout)
    assert (entry["digest"], entry["metadata"]["id"]) == (big, "big")
    assert json.loads(entry["payload"]) == payload(900)
    assert "word word" in run("review", "show", big, env=env).stdout

    assert run("review", "drop", other, env=env).returncode == 0
    approved = run("review", "approve", big[:12], env=env)
    assert (approved.returncode, approved.stdout) == (0, f"{big}  will be admitted once.\n")
    assert run("review", "list", env=env).stdout == "The review log is empty.\n"

    reasons = [[row["reason"] for row in rows(run(*words, env=env).stdout)] for _ in range(2)]
    assert reasons == [["approved", "over_input_tokens"], ["over_input_tokens"] * 2]


def test_a_name_that_means_nothing_is_one_line(tmp_path: Path) -> None:
    done = run("review", "approve", "abcdef", env=environment(tmp_path))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "weighbridge: nothing in the review log goes by 'abcdef'; see review list\n"
    )


def test_a_server_that_was_named_holds_the_budget_and_the_log(
    tmp_path: Path, redis_url: str
) -> None:
    source = write(tmp_path / "in.jsonl", payload(20), payload(900))
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    words = ("guard", source, "--max-input-tokens", "500", "--run-budget-usd", "1", "--review")
    done = run(*words, "--run", "named", "--with-workers", env=env)
    assert done.returncode == 1, done.stderr
    with Redis.from_url(redis_url) as redis:
        assert redis.hget(Keys().budget("named"), "limit") == b"1000000000"
        assert redis.xlen(Keys().review) == 1
    assert "over_input_tokens" in run("review", "list", env=env).stdout
