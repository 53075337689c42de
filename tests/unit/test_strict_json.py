"""JSON without guessing: numbers, nesting, and everything of uncertain meaning."""

import enum
import json
import sys
from types import MappingProxyType

import pytest
from support.bodies import Raw, body, canonical, having, saying

from weighbridge.errors import MalformedPayload
from weighbridge.payload import check_payload


@pytest.mark.parametrize(
    ("literal", "spelled"),
    [
        ("1e16", "1e+16"),
        ("1E-7", "1e-07"),
        ("12345678901234567000.0", "1.2345678901234567e+19"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("5e-324", "5e-324"),
        ("-0.0", "-0.0"),
        ("0e400", "0.0"),
        ("-0", "-0"),
        ("18446744073709551617", "18446744073709551617"),
    ],
)
def test_numbers_have_one_fixed_spelling(literal: str, spelled: str) -> None:
    assert canonical(having(literal)).startswith(b'{"later":' + spelled.encode() + b',"messages":')


@pytest.mark.parametrize("sign", ["", "-"])
def test_integers_of_up_to_4300_digits_are_exact(sign: str) -> None:
    literal = sign + "9" * 4300
    assert literal.encode() in canonical(having(literal))
    assert canonical(body(later=int(literal))) == canonical(having(literal))


@pytest.mark.parametrize("raw", [having("-1" + "0" * 4300), body(later=10**4300)])
def test_longer_integers_are_refused(raw: Raw) -> None:
    with pytest.raises(MalformedPayload, match="4,300 digits"):
        check_payload(raw)


@pytest.mark.parametrize("setting", [640, 0])
def test_the_interpreter_s_own_bound_on_integers_does_not_matter(setting: int) -> None:
    number = 10**4299
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(setting)
    try:
        assert canonical(body(later=number)) == canonical(having("1" + "0" * 4299))
        with pytest.raises(MalformedPayload, match="4,300 digits"):
            check_payload(having("1" + "0" * 4300))
    finally:
        sys.set_int_max_str_digits(before)


def nested(levels: int) -> str:
    """A body of that many levels: the body itself is one of them."""
    return having("[" * (levels - 1) + "]" * (levels - 1))


@pytest.mark.parametrize("levels", [128, 127, 66])
def test_nesting_up_to_128_levels_is_taken(levels: int) -> None:
    raw = nested(levels)
    assert json.loads(canonical(raw)) == json.loads(raw)
    assert canonical(json.loads(raw)) == canonical(raw)


@pytest.mark.parametrize("levels", [129, 130, 500, 100_000])
def test_nesting_beyond_128_levels_is_refused(levels: int) -> None:
    with pytest.raises(MalformedPayload, match="128"):
        check_payload(nested(levels))


def test_nested_objects_are_counted_like_arrays() -> None:
    assert canonical(having('{"a":' * 127 + "1" + "}" * 127))
    with pytest.raises(MalformedPayload, match="128"):
        check_payload(having('{"a":' * 128 + "1" + "}" * 128))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500,
        "]" * 500 + "{" * 500,
        '"' + "[" * 500,
        "\\" + "[" * 500,
        '\\"' + "{" * 500 + "\\",
        "[" * 500 + "\n",
        "[" * 500 + "\x00",
        "[" * 500 + "/\\",
    ],
)
def test_brackets_inside_strings_do_not_count_as_nesting(text: str) -> None:
    raw = json.dumps(saying([{"type": "text", "text": text}] * 70))
    assert json.loads(canonical(raw)) == json.loads(raw)


def test_arrays_and_objects_in_turn_count_together() -> None:
    with pytest.raises(MalformedPayload, match="128"):
        check_payload('{"a":[' * 64 + "{}" + "]}" * 64)


def test_brackets_after_a_string_that_ends_in_a_backslash_count() -> None:
    with pytest.raises(MalformedPayload, match="128"):
        check_payload(having('["\\\\",' + "[" * 500 + "]" * 500 + "]"))


def test_a_python_value_nested_too_deeply_or_in_a_circle_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(MalformedPayload, match="128"):
        check_payload(body(invented=circle))


LONE = '"\\ud800"'
MALFORMED: dict[str, tuple[Raw, str]] = {
    "nothing": (b"", "not JSON"),
    "white space": (b" \n", "not JSON"),
    "not JSON": (b"{'model': 1}", "line 1, column 2"),
    "cut short": (json.dumps(body())[:-1], "not JSON"),
    "two values": (json.dumps(body()) + "{}", "Extra data"),
    "trailing comma": (having("[1,]"), "not JSON"),
    "comment": (having("1 /* one */"), "not JSON"),
    "leading zero": (having("01"), "not JSON"),
    "plus sign": (having("+1"), "not JSON"),
    "bare point": (having("1."), "not JSON"),
    "control character": (having('"\n"'), "not JSON"),
    "unknown escape": (having('"\\x41"'), "not JSON"),
    "open brackets": (b"[" * 100_000, "128"),
    "open objects": (b'{"a":' * 100_000, "128"),
    "not UTF-8": (b'{"model": "\xff"}', "UTF-8"),
    "UTF-16": (json.dumps(body()).encode("utf-16"), "UTF-8"),
    "UTF-16 without mark": (json.dumps(body()).encode("utf-16-le"), "not JSON"),
    "encoded surrogate": (b'{"model": "\xed\xa0\x80"}', "UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(body()).encode(), "byte order mark"),
    "byte order mark in text": ("\ufeff" + json.dumps(body()), "byte order mark"),
    "NaN": (having("NaN"), "NaN"),
    "Infinity": (having("[Infinity]"), "Infinity"),
    "-Infinity": (having("-Infinity"), "Infinity"),
    "python's nan": (body(invented=float("nan")), "NaN"),
    "python's inf": (body(temperature=float("inf")), "Infinity"),
    "too large a float": (having("1e400"), "change its value"),
    "too small a float": (having("1e-400"), "change its value"),
    "an absurd exponent": (having("1e" + "9" * 30), "change its value"),
    "an absurd negative exponent": (having("1e-" + "9" * 30), "change its value"),
    "more digits than a double": (
        having("0.1000000000000000055511151231257827"),
        "change its value",
    ),
    "duplicate known key": (having('1,"model":"n"'), 'the key "model"'),
    "duplicate key of the payload": (having('{"secret":1,"secret":1}'), "^a key stands twice"),
    "duplicate through an escape": (having('{"secret":1,"s\\u0065cret":1}'), "a key stands twice"),
    "lone high surrogate": (having(LONE), "surrogate"),
    "lone low surrogate": (having('"\\udc00"'), "surrogate"),
    "surrogates the wrong way round": (having('"\\udc00\\ud800"'), "surrogate"),
    "lone surrogate in a key": (having("{" + LONE + ":1}"), "surrogate"),
    "lone surrogate in the text": ('{"model": "\ud800"}', "surrogate"),
    "lone surrogate in a dropped field": (
        body(metadata={"user_id": "\ud800"}),
        "surrogate",
    ),
    "lone surrogate in python": (saying("\ud800"), "surrogate"),
    "bytes as a value": (saying(b"x"), "type bytes"),
    "set as a value": (body(invented={1}), "type set"),
    "object as a value": (body(invented=object()), "type object"),
    "mapping that is no dict": (body(invented=MappingProxyType({})), "type mappingproxy"),
    "bytes as a key": (body(invented={b"k": 1}), "key is of type bytes"),
    "number as a key": (body(invented={1: 1}), "key is of type int"),
    "None as a key": (body(invented={None: 1}), "key is of type NoneType"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_has_no_certain_meaning_is_refused(name: str) -> None:
    raw, sentence = MALFORMED[name]
    with pytest.raises(MalformedPayload, match=sentence) as caught:
        check_payload(raw)
    assert caught.value.code == "malformed_payload"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_refusal_carries_no_other_exception_with_the_payload_in_it(name: str) -> None:
    raw, _ = MALFORMED[name]
    with pytest.raises(MalformedPayload) as caught:
        check_payload(raw)
    assert caught.value.__context__ is None


class Role(enum.StrEnum):
    USER = "user"


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "loud"


class Level(enum.IntEnum):
    THREE = 3


class Twin(str):
    """A key that equals nothing but itself."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def test_subclasses_count_as_what_they_are() -> None:
    odd = body(messages=[{Loud("role"): Role.USER, "content": Loud("Hello")}], invented=Level.THREE)
    assert canonical(odd) == canonical(body(invented=3))


def test_keys_that_become_one_in_json_are_refused() -> None:
    with pytest.raises(MalformedPayload, match="twice"):
        check_payload(body(invented={Twin("secret"): 1, Twin("secret"): 2}))
