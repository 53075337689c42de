"""What ``weighbridge count`` says of a file as a whole: dollars, spread, the largest, a page."""

import json
from pathlib import Path

from support.commands import EXAMPLES, environment, run


def write(path: Path, *sizes: int, model: str = "claude-haiku-4-5") -> Path:
    """Write payloads of about so many tokens."""
    bodies = [
        {"id": f"p{n}", "payload": {"model": model, "messages": [message("word " * size)]}}
        for n, size in enumerate(sizes)
    ]
    path.write_text("\n".join(map(json.dumps, bodies)))
    return path


def message(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_the_examples_have_dollars_a_spread_and_the_largest(tmp_path: Path) -> None:
    page = tmp_path / "count.html"
    words = ("count", str(EXAMPLES), "-o", str(tmp_path / "out.jsonl"), "--summary")
    done = run(*words, "--html", str(page), env=environment(tmp_path, COLUMNS="120"))
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    head = next(line for line in lines if line.startswith("model"))
    assert head.split() == ["model", "payloads", "input", "tokens", "USD", "USD", "batch"]
    [total] = [line.split() for line in lines if line.startswith("all")]
    assert total[1] == "121"
    assert total[3].startswith("~$")
    start = lines.index("The largest") + 1
    largest = [line.split() for line in lines[start : start + 10]]
    sizes = [int(row[0].strip("~").replace(",", "")) for row in largest]
    assert sizes == sorted(sizes, reverse=True)
    assert all(row[1].startswith(str(EXAMPLES)) for row in largest)
    html = page.read_text()
    assert "offline estimates" in html
    assert "pdf-report" in html
    assert all(word not in html for word in ("<script", "http:", "https:", "src="))


def test_a_model_without_a_price_has_a_dash_and_the_rest_their_dollars(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    known = write(tmp_path / "a", 5).read_text()
    file.write_text(known + "\n" + write(tmp_path / "b", 5, model="claude-nonsense").read_text())
    done = run("count", str(file), "--summary", env=environment(tmp_path))
    assert done.returncode == 0
    rows = {line.split()[0]: line.split() for line in done.stderr.splitlines() if line}
    assert rows["claude-nonsense"][-2:] == ["–", "–"]
    assert rows["claude-haiku-4-5"][-1].startswith("~$0.")
    assert rows["all"][-1] == rows["claude-haiku-4-5"][-1]


def test_an_operators_own_price_is_used(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[models.claude-nonsense]\ninput = 1_000_000\noutput = 1\n")
    file = write(tmp_path / "in.jsonl", 5, model="claude-nonsense")
    words = ("count", str(file), "--summary", "--prices", str(prices))
    done = run(*words, env=environment(tmp_path))
    rows = {line.split()[0]: line.split() for line in done.stderr.splitlines() if line}
    tokens = rows["claude-nonsense"][2].strip("~")
    assert rows["claude-nonsense"][-2:] == [f"~${tokens}.00", "–"]


def test_few_payloads_are_no_distribution(tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", 5, 6)
    done = run("count", str(file), "--summary", env=environment(tmp_path))
    assert "The largest" not in done.stderr
