"""``weighbridge route``, run as people run it."""

import json
from pathlib import Path

import pytest
from support.commands import environment, rows, run

FOLDER = Path(__file__).parents[2] / "deploy" / "examples" / "route"
BANDS, REQUESTS = str(FOLDER / "bands.toml"), str(FOLDER / "requests.jsonl")
ROUTES = {
    "title": "claude-haiku-4-5",
    "translate": "claude-haiku-4-5",
    "classify": "claude-haiku-4-5",
    "summary": "claude-sonnet-5-5",
    "handbook": "claude-opus-5-5",
    "shop-agent": "claude-sonnet-5-5",
    "many-tools": "claude-sonnet-5-5",
    "proof": "claude-opus-5-5",
    "remote-picture": None,
}
GOOD = {"messages": [{"role": "user", "content": "hello"}]}


def test_the_example_goes_where_its_bands_say(tmp_path: Path) -> None:
    env = environment(tmp_path)
    done = run("route", REQUESTS, "--bands", BANDS, "--jsonl", env=env)
    assert done.returncode == 3, done.stderr
    decisions = rows(done.stdout)
    assert {decision["id"]: decision["model"] for decision in decisions} == ROUTES
    assert [decision["line"] for decision in decisions] == list(range(1, 10))
    assert {decision["source"] for decision in decisions} == {"estimate", None}
    by_id = {decision["id"]: decision for decision in decisions}
    assert by_id["proof"]["escalated"] == ["complexity"]
    assert by_id["summary"]["counted_with"] == "claude-sonnet-5-5"
    assert by_id["remote-picture"]["code"] == "not_countable"
    assert all(decision["tally"]["counts_used"] <= 2 for decision in decisions)

    table = run("route", REQUESTS, "--bands", BANDS, env=env)
    assert table.returncode == 3, table.stderr
    shown = [line.split() for line in table.stdout.splitlines()]
    for name, model in ROUTES.items():
        assert [name, model or "not_countable"] in [line[1:3] for line in shown]
    assert ["claude-haiku-4-5", "3"] in [line[:2] for line in shown]
    assert "requests.jsonl:9  not_countable: messages[0]" in table.stdout


def test_a_floor_strictness_and_room_for_the_answer(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps(GOOD))
    words = ("route", str(source), "--bands", BANDS, "--jsonl", "--strict")
    env = environment(tmp_path)
    done = run(*words, "--floor", "claude-sonnet-5-5", env=env)
    [decision] = rows(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (decision["model"], decision["escalated"]) == ("claude-sonnet-5-5", ["floor"])
    assert decision["tally"]["counts_used"] == 2
    done = run(*words, "--max-output", "5000000", env=env)
    [decision] = rows(done.stdout)
    assert done.returncode == 1, done.stderr
    assert (decision["status"], decision["model"]) == ("nothing_fits", None)


@pytest.mark.parametrize(
    ("bands", "words", "said_of_it"),
    [
        ("[[bands]]\nmodel = 'claude-opus-5-5'\nstart = 5", (), "must start at 0"),
        ("[[bands]]\nmodel = 'claude-unheard-of'", (), "no price is known"),
        ("bands = 3", (), "makes no sense"),
        ("[[bands]]\nmodel = 'claude-opus-5-5'", ("--floor", "claude-x"), "--floor takes one of"),
        ("[[bands]]\nmodel = 'claude-opus-5-5'", ("--max-output", "-1"), "--max-output"),
        ("[[bands]]\nmodel = 'claude-opus-5-5'", ("missing.jsonl",), "there is no file missing"),
    ],
)
def test_wrong_usage_is_status_2_before_anything_is_counted(
    tmp_path: Path, bands: str, words: tuple[str, ...], said_of_it: str
) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(GOOD))
    (tmp_path / "bands.toml").write_text(bands)
    files = (str(tmp_path / "in.jsonl"), "--bands", str(tmp_path / "bands.toml"))
    done = run("route", *files, *words, env=environment(tmp_path))
    assert done.returncode == 2, done.stderr
    assert said_of_it in done.stderr
    assert "estimates" not in done.stderr
    assert "Traceback" not in done.stderr
