"""``weighbridge audit``, as a newcomer, a gate and a person who decides use it."""

import json
from pathlib import Path

import pytest
from support.commands import environment, run

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples" / "audit"
TOOLS, USAGE = EXAMPLES / "tools.json", EXAMPLES / "usage.json"
MODEL = ("--model", "claude-sonnet-5-5")


def small(folder: Path, *names: str) -> Path:
    """Write a set of small tools."""
    path = folder / "tools.json"
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    path.write_text(json.dumps(tools))
    return path


def test_the_example_shows_every_tool_the_preamble_and_the_sum(tmp_path: Path) -> None:
    page = tmp_path / "audit.html"
    done = run(
        *("audit", str(TOOLS), *MODEL, "--requests", "400000", "--usage", str(USAGE)),
        *("--split", "search_catalogue", "--html", str(page)),
        env=environment(tmp_path, COLUMNS="100"),
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len([line for line in lines if "keep" in line]) == 18
    assert lines[1].startswith("search_catalogue")
    assert "shorten" in lines[1]
    assert any(line.startswith("convert_currency") and "remove" in line for line in lines)
    assert any(line.startswith("(shared preamble)") for line in lines)
    assert "search_catalogue: description ~" in done.stdout
    html = page.read_text()
    assert "offline estimates" in html
    assert all(word not in html for word in ("<script", "http:", "https:", "src="))


def test_json_holds_the_whole_audit_and_serves_as_a_baseline(tmp_path: Path) -> None:
    tools, env = small(tmp_path, "one", "two"), environment(tmp_path)
    first = run("audit", str(tools), *MODEL, "--json", env=env)
    audit = json.loads(first.stdout)
    assert [row["name"] for row in audit["tools"]] == ["one", "two"]
    assert audit["none"] + audit["added"] == audit["all"]
    assert audit["tally"]["estimated"] is True
    baseline = tmp_path / "before.json"
    baseline.write_text(first.stdout)
    gate = ("audit", *MODEL, "--baseline", str(baseline), "--max-increase", "5%")
    assert run(*gate, str(tools), env=env).returncode == 0
    grown = run(*gate, str(small(tmp_path, "one", "two", "a_third_tool")), env=env)
    assert grown.returncode == 1
    assert "of the baseline; 5.0% are allowed" in grown.stderr


def test_over_budget_is_status_1_and_says_by_how_much(tmp_path: Path) -> None:
    tools = small(tmp_path, "one")
    done = run("audit", str(tools), *MODEL, "--budget", "10", env=environment(tmp_path))
    assert done.returncode == 1
    assert "over the budget of 10" in done.stderr


def test_a_tool_that_cannot_be_counted_is_named_with_status_3(tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    search = {"type": "web_search_20250305", "name": "web_search"}
    path.write_text(json.dumps([{"name": "one", "input_schema": {"type": "object"}}, search]))
    done = run("audit", str(path), *MODEL, env=environment(tmp_path))
    assert done.returncode == 3
    assert "web_search: tools[0]: the API does not count the server tool web search" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.json",), "cannot read nowhere.json"),
        ((str(TOOLS), "--usage", str(USAGE)), "--usage needs --requests"),
        ((str(TOOLS), "--split", "nothing"), "--split names no tool"),
        ((str(TOOLS), "--max-increase", "much"), "--max-increase takes a share"),
        ((str(TOOLS), "--baseline", str(USAGE)), "no output of weighbridge audit --json"),
        ((str(USAGE),), "no tools"),
        ((str(EXAMPLES.parent / "README.md"),), "is no JSON"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run("audit", *arguments, *MODEL, env=environment(tmp_path, COLUMNS="200"))
    assert done.returncode == 2
    assert words in done.stderr


def test_a_model_without_a_price_is_told_before_anything_is_counted(tmp_path: Path) -> None:
    tools = small(tmp_path, "one")
    arguments = ("audit", str(tools), "--model", "claude-nonsense")
    env = environment(tmp_path)
    assert run(*arguments, env=env).returncode == 0
    done = run(*arguments, "--requests", "10", env=env)
    assert done.returncode == 2
    assert "no price is known for the model 'claude-nonsense'" in done.stderr
