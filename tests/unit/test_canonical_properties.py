"""The canonical form as properties: same meaning, same digest; another meaning, another digest.

What means the same is decided by the strategies, which mark the objects of the API.
"""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.payload_strategies import Api, bodies, free_objects, scalars

from weighbridge.digest import digest_of
from weighbridge.errors import PayloadError
from weighbridge.payload import check_payload
from weighbridge.records import Payload

WHITE_SPACE = ["", "", " ", "\n", "\t\r\n  "]


def respelled(value: object, dice: random.Random) -> str:
    """Write JSON that means the same: other white space, other escapes, other order where free."""

    def space() -> str:
        return dice.choice(WHITE_SPACE)

    if isinstance(value, dict):
        items = list(value.items())
        if isinstance(value, Api):
            dice.shuffle(items)
        members = [
            f"{space()}{respelled(key, dice)}{space()}:{space()}{respelled(item, dice)}{space()}"
            for key, item in items
        ]
        return "{" + (",".join(members) or space()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(space() + respelled(item, dice) + space() for item in value) + "]"
    if isinstance(value, str):
        return '"' + "".join(escaped(character, dice) for character in value) + '"'
    return json.dumps(value)


def escaped(character: str, dice: random.Random) -> str:
    short = json.dumps(character)[1:-1]
    units = character.encode("utf-16-be")
    hexed = "".join(f"\\u{units[i]:02X}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    may_stand = character >= " " and character not in '"\\'
    return dice.choice([short, hexed, character if may_stand else short])


def digest(raw: object) -> str:
    return digest_of(check_payload(raw))  # type: ignore[arg-type]


@given(bodies, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_same_meaning_has_the_same_digest(body: Api, dice: random.Random) -> None:
    assert digest(respelled(body, dice)) == digest(respelled(body, dice)) == digest(body)


@given(bodies)
@settings(max_examples=100, deadline=None)
def test_a_mapping_means_what_its_json_text_means(body: Api) -> None:
    assert check_payload(body) == check_payload(json.dumps(body))


@given(bodies)
@settings(max_examples=100, deadline=None)
def test_canonical_bytes_parse_back_and_are_their_own_form(body: Api) -> None:
    canonical = check_payload(body).body
    assert json.loads(canonical) == body
    assert check_payload(canonical).body == canonical


@given(st.integers(120, 136), st.lists(st.text('[]{}"\\\n\x00/bu', max_size=9), max_size=6))
@settings(max_examples=150, deadline=None)
def test_nesting_is_counted_exactly_whatever_strings_stand_between(
    levels: int, texts: list[str]
) -> None:
    innermost: object = texts
    for level in range(levels - 2):
        innermost = [*texts[:1], innermost] if level % 2 else {"".join(texts[1:]): innermost}
    raw = {"model": "m", "messages": [{"role": "user", "content": "x"}], "x_future": innermost}
    assert (digest_or_refusal(json.dumps(raw)) == "malformed_payload") is (levels > 128)
    assert digest_or_refusal(raw) == digest_or_refusal(json.dumps(raw))


Place = tuple[Any, Any]


def places(value: object) -> Iterator[Place]:
    """Every container with every key or index in it, but for what names a block's type."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in ("type", "role"):
                yield value, key
            yield from places(item)


def another(value: object) -> object:
    """A value that differs from it in the least way."""
    if isinstance(value, str):
        return value + " "
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return float(value) if value == 0 else value + 1
    if isinstance(value, float):
        return repr(value)
    return {"other": value} if value is None else None


@given(bodies, st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_value_changes_the_digest_or_is_refused(body: Api, data: st.DataObject) -> None:
    changed = copy.deepcopy(body)
    container, key = data.draw(st.sampled_from(list(places(changed))))
    container[key] = another(container[key])
    assert digest_or_refusal(changed) != digest(body)


def digest_or_refusal(raw: object) -> str:
    try:
        return digest(raw)
    except PayloadError as error:
        return error.code


@given(free_objects.filter(lambda free: len(free) > 1), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("place", ["input_schema", "input_examples", "input", "schema", "unknown"])
def test_the_order_of_free_json_changes_the_digest(
    place: str, free: dict[str, Any], dice: random.Random
) -> None:
    items = list(free.items())
    dice.shuffle(items)
    same_order = list(free) == [key for key, _ in items]
    assert (digest(holding(place, free)) == digest(holding(place, dict(items)))) is same_order


def holding(place: str, free: dict[str, Any]) -> dict[str, Any]:
    use = {"type": "tool_use", "id": "t", "name": "n", "input": free if place == "input" else {}}
    tool = {
        "name": "n",
        "input_schema": free if place == "input_schema" else {},
        "input_examples": [free if place == "input_examples" else {}],
    }
    schema = {"type": "json_schema", "schema": free if place == "schema" else {}}
    return {
        "model": "m",
        "messages": [{"role": "assistant", "content": [use]}],
        "tools": [tool],
        "output_config": {"format": schema},
        "x_unknown": free if place == "unknown" else {},
    }


def checked(raw: bytes | str) -> Payload | None:
    """Check; anything raised but a refusal of ours fails the test that asks."""
    try:
        return check_payload(raw)
    except PayloadError:
        return None


@given(st.binary(max_size=200) | st.text(max_size=200))
@settings(max_examples=300, deadline=None)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'"' + b"\\" * 99_999)
@example(b"9" * 100_000)
@example("\ud800")
def test_no_bytes_and_no_text_raise_anything_but_a_refusal(raw: bytes | str) -> None:
    payload = checked(raw)
    assert payload is None or payload.body


SPLINTERS = [
    b"",
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\",
    b"\\ud800",
    b"\\u0000",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"0.1000000000000000055511151231257827",
    b"9" * 5000,
    b"null",
    b'"type":"image","source":{"type":"url"}',
    b'"type":["image"],"source":7',
    b'"betas":["a"],',
    b'"output_format":{},',
    b"[" * 130,
    b"]" * 130,
]


@given(bodies, st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_payload_is_refused_or_still_sound(body: Api, data: st.DataObject) -> None:
    raw = json.dumps(body, ensure_ascii=data.draw(st.booleans())).encode()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 10)))
        raw = raw[:start] + data.draw(st.sampled_from(SPLINTERS)) + raw[end:]
    payload = checked(raw)
    if payload is not None:
        json.loads(payload.body)
        assert check_payload(payload.body, betas=payload.betas) == payload


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(scalars, inner)))
@settings(max_examples=60, deadline=None)
def test_python_values_in_odd_places_raise_nothing_but_a_refusal(odd: object) -> None:
    for field in ("model", "messages", "system", "tools", "betas", "output_format", "mcp_servers"):
        given_body = {"model": "m", "messages": [{"role": "user", "content": odd}], field: odd}
        assert len(digest_or_refusal(given_body)) > 0
    for block in ({"type": odd}, {"type": "image", "source": odd}, {"type": "text", "text": odd}):
        assert digest_or_refusal({"model": "m", "messages": [{"role": "user", "content": [block]}]})
