"""Bands, tokenizer families and signs of complexity: what they mean, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from support.histories import answer, said, text

from weighbridge.errors import SettingsError, UnknownPrice
from weighbridge.uses.bands import Band, Bands, read_bands
from weighbridge.uses.families import family
from weighbridge.uses.prices import Prices
from weighbridge.uses.signals import Rule

SMALL, MIDDLE, LARGE = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
THREE = (Band(SMALL, below=2000), Band(MIDDLE, below=50_000), Band(LARGE))

FILE = """
reference = "claude-haiku-4-5"

[[bands]]
model = "claude-haiku-5-5"
below = 2_000

[[bands]]
model = "claude-next"
start = 2_000
window = 300_000

[[raise]]
to = "claude-next"
tools = 8
thinking = true

[families]
claude-next = "of-next-year"
"""


def test_a_bound_is_exclusive_and_a_start_inclusive() -> None:
    bands = Bands(THREE)
    assert [band.takes(1_999) for band in THREE] == [True, True, True]
    assert [band.takes(2_000) for band in THREE] == [False, True, True]
    assert [bands.start(place) for place in range(3)] == [0, 2_000, 50_000]


def test_a_file_says_it_all(tmp_path: Path) -> None:
    path = tmp_path / "bands.toml"
    path.write_text(FILE)
    assert read_bands(path) == Bands(
        bands=(
            Band("claude-haiku-5-5", below=2000),
            Band("claude-next", start=2000, window=300_000),
        ),
        reference="claude-haiku-4-5",
        families={"claude-next": "of-next-year"},
        rules=(Rule("claude-next", tools=8, thinking=True),),
    )


@pytest.mark.parametrize(
    ("bands", "said_of_it"),
    [
        ([], "at least one band"),
        ([Band("a", below=10, start=5)], "the first band, 'a', must start at 0"),
        ([Band("a"), Band("b")], "only the last band may lack below, not 'a'"),
        ([Band("a", 10), Band("b", start=12)], "a gap between the bands of 'a' and 'b': below 10,"),
        ([Band("a", 10), Band("b", start=9)], "an overlap between the bands of 'a' and 'b'"),
        ([Band("a", 10), Band("b", 10)], "below must rise: 10, 10"),
        ([Band("a", 10), Band("b", 5)], "below must rise: 10, 5"),
        ([Band("a", 0)], "the band of 'a' is empty"),
        ([Band("a", 10), Band("a")], "'a' has two bands"),
        ([Band("a", window=0)], "the window of 'a' takes"),
    ],
)
def test_bands_that_make_no_sense_are_refused_at_the_start(
    bands: list[Band], said_of_it: str
) -> None:
    with pytest.raises(SettingsError, match=said_of_it):
        Bands(tuple(bands))


def test_a_rule_names_a_band() -> None:
    with pytest.raises(SettingsError, match="a rule's `to` takes one of claude-haiku-5-5, "):
        Bands(THREE, rules=(Rule("claude-unheard-of"),))


@pytest.mark.parametrize(
    "text_of_it",
    [
        "bands = 3",
        "[[bands]]\nmodel = 3",
        "[[bands]]\nmodel = 'a'\nbellow = 3",
        "[[bands]]\nmodel = 'a'\nstart = 3",
        "[[bands]\n",
        "",
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_name(tmp_path: Path, text_of_it: str) -> None:
    path = tmp_path / "bands.toml"
    path.write_text(text_of_it)
    with pytest.raises(SettingsError, match=r"bands\.toml makes no sense"):
        read_bands(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read the bands file"):
        read_bands(tmp_path / "bands.toml")


def test_windows_come_from_the_band_or_else_from_the_prices() -> None:
    prices = Prices.load()
    own = Bands((Band("claude-haiku-4-5", 10), Band(LARGE, window=300_000)))
    assert own.windows(prices) == (200_000, 300_000)
    with pytest.raises(SettingsError, match="the window of 'claude-haiku-4-5' is not known"):
        own.windows(None)
    with pytest.raises(UnknownPrice, match="claude-unheard-of"):
        Bands((Band("claude-unheard-of", window=5),)).windows(prices)
    with pytest.raises(UnknownPrice, match="claude-misspelt"):
        Bands(THREE, reference="claude-misspelt").windows(prices)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("claude-opus-4-6", "claude-opus-4-7"),
        ("claude-opus-4-20250514", "claude-opus-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-5-5"),
        ("claude-haiku-4-5", "claude-haiku-5-5"),
        ("claude-3-5-haiku-latest", "claude-fable-5-2"),
        ("claude-3-opus-20240229", "claude-mythos-5"),
    ],
)
def test_known_models_are_of_one_of_two_families(older: str, newer: str) -> None:
    assert family(older) == family("claude-sonnet-4-6")
    assert family(newer) == family("claude-opus-5-5")
    assert family(older) != family(newer)


@pytest.mark.parametrize(
    "model",
    ["claude-opus-6", "claude-sonnet-5-9", "claude-haiku-5", "claude-ode-1", "gpt-9", "my-model"],
)
def test_a_model_that_is_not_known_is_a_family_of_its_own(model: str) -> None:
    assert family(model) == model
    assert family(model, {model: family("claude-opus-5-5")}) == family("claude-opus-5-5")


BUSY: dict[str, Any] = {
    "thinking": {"type": "adaptive"},
    "tools": [{"name": "a"}, {"name": "b"}],
    "messages": [
        said("user", [text("one"), {"type": "image", "source": {}}]),
        said("assistant", "well"),
        said("user", [answer("t") | {"content": [{"type": "image", "source": {}}]}]),
        said("user", "two"),
    ],
}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (Rule("m"), True),
        (Rule("m", tools=2, images=2, turns=2, thinking=True), True),
        (Rule("m", tools=3), False),
        (Rule("m", images=3), False),
        (Rule("m", turns=3), False),
    ],
)
def test_a_rule_holds_where_all_that_it_names_holds(rule: Rule, holds: bool) -> None:
    assert rule(BUSY) == ("m" if holds else None)


def test_a_rule_says_nothing_of_bodies_that_make_no_sense() -> None:
    for body in ({}, {"messages": 3, "tools": 3, "thinking": 3}, {"messages": [3, {"content": 3}]}):
        assert Rule("m", images=1)(body) is None
        assert Rule("m", thinking=True)(body) is None
