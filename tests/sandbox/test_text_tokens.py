"""Texts by their classes of characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_worker.sandbox.text_tokens import text_tokens

SCRIPTS = "".join(
    (
        'aZ09 _-?!\n\t{}"',
        "éßğ",
        "αΩ",
        "жЯ",
        "אב",
        "عر",
        "हिं",
        "தம்",
        "ไท",
        "한국",
        "かナ",
        "漢字",
        "、。",
        "🚀👩\u200d💻",
        "½№",
    )
)
TEXTS = st.one_of(st.text(), st.text(alphabet=SCRIPTS, max_size=60))


@given(TEXTS, TEXTS)
def test_a_longer_text_never_has_fewer_tokens_than_its_beginning(start: str, more: str) -> None:
    assert text_tokens(start + more) >= text_tokens(start) - 1e-9


@given(TEXTS)
def test_every_text_but_blanks_weighs_something(text: str) -> None:
    assert text_tokens(text + ".") > 0
    assert text_tokens(" \t \r ") == 0


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("one two", "two one"),
        ("getURLOf", "GetUrlOf"),
        ("1234", "12 34"),
        ("a\n\n\nb", "a\nb"),
        ("((((", "("),
    ],
)
def test_pieces_of_one_class_weigh_the_same(text: str, same: str) -> None:
    assert text_tokens(text) == pytest.approx(text_tokens(same))


def test_plain_english_is_about_four_characters_a_token() -> None:
    text = "The bridge weighs every lorry before it may drive on, and writes the weight down. "
    assert 3.5 < len(text) * 20 / text_tokens(text * 20) < 5


@pytest.mark.parametrize(("script", "character"), [("Han", "漢"), ("Kana", "か"), ("Hangul", "한")])
def test_east_asian_characters_are_about_a_token_each(script: str, character: str) -> None:
    assert 90 < text_tokens(character * 100) < 140, script


def test_a_question_mark_is_punctuation_although_it_stands_in_for_the_foreign() -> None:
    assert text_tokens("so?") == pytest.approx(text_tokens("so!"))
    assert text_tokens("sé") > text_tokens("s?")
