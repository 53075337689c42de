"""``weighbridge compare`` on its example and on what people get wrong."""

import json
from pathlib import Path

import pytest
from support.commands import environment, run

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples" / "compare"
BASE = str(EXAMPLES / "base.json")


def variants(*names: str) -> tuple[str, ...]:
    """Name example prompts."""
    return tuple(word for name in names for word in ("--variant", f"{name}={EXAMPLES / name}.txt"))


ALL = variants("handbook", "guided", "terse")


def test_the_example_is_ranked_and_the_most_concise_chosen(tmp_path: Path) -> None:
    done = run("compare", BASE, *ALL, "--target", "250", env=environment(tmp_path))
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()[1:4]
    assert first.split()[0] == "terse"
    assert first.rstrip().endswith("◂")
    assert (second.split()[0], third.split()[0]) == ("guided", "handbook")
    assert "terse is the most concise that fits." in done.stdout


def test_json_holds_the_whole_comparison(tmp_path: Path) -> None:
    env = environment(tmp_path)
    done = run("compare", BASE, *ALL, "--control", "guided", "--json", env=env)
    compared = json.loads(done.stdout)
    assert compared["control"] == "guided"
    assert [row["name"] for row in compared["variants"]] == ["terse", "guided", "handbook"]
    assert compared["variants"][1]["vs_control"] == 0
    assert float(compared["variants"][0]["usd"]) > 0
    assert compared["price_version"].startswith("genai-prices ")


def test_nothing_that_fits_is_status_1(tmp_path: Path) -> None:
    done = run("compare", BASE, *ALL, "--target", "5", env=environment(tmp_path))
    assert done.returncode == 1
    assert "None fits." in done.stdout


def test_a_variant_that_cannot_be_counted_does_not_sink_the_rest(tmp_path: Path) -> None:
    patch = tmp_path / "picture.json"
    image = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    patch.write_text(json.dumps({"messages": [{"role": "user", "content": [image]}]}))
    words = ("compare", BASE, *variants("terse"), "--variant", f"picture={patch}")
    done = run(*words, env=environment(tmp_path, COLUMNS="120"))
    assert done.returncode == 3
    assert "not_countable" in done.stdout
    assert "the API does not count the image from a URL" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((BASE,), "--variant"),
        ((BASE, "--variant", "terse"), "--variant takes NAME=FILE"),
        ((BASE, *variants("terse", "terse")), "two variants are called 'terse'"),
        ((BASE, *ALL, "--control", "other"), "--control names no variant"),
        (("nowhere.json", *ALL), "cannot read nowhere.json"),
        ((str(EXAMPLES / "terse.txt"), *ALL), "is no JSON"),
    ],
)
def test_wrong_usage_is_status_2(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run("compare", *arguments, env=environment(tmp_path, COLUMNS="200"))
    assert done.returncode == 2
    assert words in done.stderr
