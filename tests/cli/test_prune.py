"""``weighbridge prune``, run as people run it."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import environment, run
from support.histories import answer, faults, said

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "prune" / "chat.json"


def write(path: Path, messages: list[dict[str, Any]], **fields: Any) -> str:
    """Write a body to a file."""
    path.write_text(json.dumps({"model": "claude-sonnet-5-5", "messages": messages, **fields}))
    return str(path)


def test_the_example_is_pruned_and_proved(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ("prune", str(EXAMPLE), "--max-input-tokens", "2500", "--target", "0.8")
    done = run(*words, "-o", str(out), env=environment(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "estimates (~)" in done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["history", "turns", "messages", "input", "tokens"]
    assert [line[0] for line in lines[1:4]] == ["whole", "a", "kept"]
    assert lines[2][-2:] == ["over", "2,000"]
    assert lines[3][-2:] == ["within", "2,000"]
    assert lines[3][3].startswith("~")
    whole, pruned = json.loads(EXAMPLE.read_text()), json.loads(out.read_text())
    assert faults(pruned["messages"]) == []
    assert pruned["messages"] == whole["messages"][-len(pruned["messages"]) :]
    assert {**pruned, "messages": 0} == {**whole, "messages": 0}

    decision = json.loads(run(*words, "--json", "--linear", env=environment(tmp_path)).stdout)
    assert decision["payload"] == pruned
    assert decision["maximal"]
    assert decision["chosen"]["input_tokens"] <= 2000 < decision["longer"]["input_tokens"]
    assert decision["source"] == "estimate"


def test_the_body_can_go_on_in_a_pipe(tmp_path: Path) -> None:
    words = ("prune", "-", "--max-usd", "0.004", "-o", "-", "--json")
    done = run(*words, env=environment(tmp_path), stdin=EXAMPLE.read_bytes())
    assert done.returncode == 0, done.stderr
    assert faults(json.loads(done.stdout)["messages"]) == []
    decision = json.loads(done.stderr.splitlines()[-1])
    assert decision["payload"] is None
    assert decision["limit"] == 2000
    assert float(decision["chosen"]["usd"]) <= 0.004 < float(decision["longer"]["usd"])
    assert decision["price_version"].startswith("genai-prices")


def test_what_does_not_fit_is_status_1_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    source = write(tmp_path / "in.json", [said("user", "word " * 900)])
    done = run(
        "prune", source, "--max-input-tokens", "100", "-o", str(out), env=environment(tmp_path)
    )
    assert done.returncode == 1, done.stderr
    assert "does not fit" in done.stdout
    assert "over 100" in done.stdout
    assert not out.exists()


def test_what_cannot_be_counted_is_status_3(tmp_path: Path) -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    source = write(tmp_path / "in.json", [said("user", [image])])
    done = run("prune", source, "--max-input-tokens", "100", env=environment(tmp_path))
    assert done.returncode == 3, done.stderr
    assert "No count: not_countable: " in done.stdout


ASK = said("user", "hello")


@pytest.mark.parametrize(
    ("messages", "words", "said_of_it"),
    [
        ([ASK], (), "give a budget"),
        ([ASK], ("--max-input-tokens", "0"), "--max-input-tokens"),
        ([ASK], ("--max-usd", "much"), "--max-usd"),
        ([ASK], ("--max-input-tokens", "9", "-o", "/nowhere/out.json"), "cannot write"),
        ([said("user", [answer("t")])], ("--max-input-tokens", "9"), "messages[0]"),
    ],
)
def test_wrong_usage_and_broken_histories_are_status_2(
    tmp_path: Path, messages: list[dict[str, Any]], words: tuple[str, ...], said_of_it: str
) -> None:
    source = write(tmp_path / "in.json", messages)
    done = run("prune", source, *words, env=environment(tmp_path))
    assert done.returncode == 2, done.stderr
    assert said_of_it in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [("--target", "2"), ("--keep-last-turns", "0"), ("--max-usd", "1")]
)
def test_wrong_options_are_told_before_anything_is_started(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    source = write(tmp_path / "in.json", [ASK], model="claude-unheard-of")
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL="redis://127.0.0.1:1")
    done = run("prune", source, "--max-input-tokens", "9", *words, env=env)
    assert (done.returncode, done.stdout) == (2, ""), "the server that is not there was not asked"


def test_the_input_is_not_overwritten_and_an_unknown_price_is_no_guess(tmp_path: Path) -> None:
    source = write(tmp_path / "in.json", [ASK], model="claude-unheard-of")
    same = run("prune", source, "--max-input-tokens", "9", "-o", source, env=environment(tmp_path))
    assert same.returncode == 2
    unknown = run("prune", source, "--max-usd", "1", env=environment(tmp_path))
    assert unknown.returncode == 2
    assert "no price is known for the model 'claude-unheard-of'" in unknown.stderr
    assert json.loads(Path(source).read_text())["messages"] == [ASK]
