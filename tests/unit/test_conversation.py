"""The short way of a plain conversation leads where the long one does, or nowhere."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.canonical import arrange_body
from weighbridge.conversation import (
    FEW_QUOTES,
    MANY_MESSAGES,
    SMALL_BYTES,
    read_conversation,
    write_conversation,
)
from weighbridge.errors import PayloadError
from weighbridge.payload import check_payload
from weighbridge.strict_json import read_json, write_json

DROPPED = frozenset({"max_tokens", "stream"})
TEXT = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(['"', '\\"', "\\u0022"])
SOURCE = st.fixed_dictionaries(
    {"type": st.sampled_from(["base64", "url"]), "media_type": TEXT, "data": TEXT}
)
BLOCK = st.fixed_dictionaries({"text": TEXT, "type": st.just("text")}) | st.fixed_dictionaries(
    {"type": st.sampled_from(["image", "document"]), "source": SOURCE}
)
CONTENT = TEXT | st.lists(BLOCK, max_size=3)
MESSAGE = st.fixed_dictionaries({"role": TEXT, "content": CONTENT})
BODY = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, min_size=1, max_size=3), "model": st.text("ab", min_size=1)},
    optional={"system": CONTENT, "max_tokens": st.integers(), "stream": st.booleans()},
)


def long_way(raw: bytes) -> bytes:
    tree: Any = read_json(raw)
    return write_json(arrange_body({k: v for k, v in tree.items() if k not in DROPPED}))


@given(BODY, st.booleans())
def test_both_ways_lead_to_the_same_body(body: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(body, ensure_ascii=ascii_only).encode()
    for found in (read_conversation(raw, DROPPED), write_conversation(body, DROPPED)):
        assert found is None or found.body == long_way(raw)


def test_a_conversation_of_text_takes_the_short_way() -> None:
    body = {
        "model": "m",
        "max_tokens": 1,
        "system": [{"type": "text", "text": 'say "x"'}],
        "messages": [{"role": "user", "content": "é\n"}],
    }
    raw = json.dumps(body).encode()
    found = read_conversation(raw, DROPPED)
    assert found is not None
    assert found == write_conversation(body, DROPPED) == ("m", long_way(raw))


def picture(data: object, kind: str = "base64") -> dict[str, Any]:
    """Make a body that shows a picture."""
    source = {"type": kind, "media_type": "image/png", "data": data}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


def test_a_large_picture_takes_the_short_way() -> None:
    raw = json.dumps(picture("x" * 2 * SMALL_BYTES)).encode()
    found = read_conversation(raw, DROPPED)
    assert found is not None
    assert found.body == long_way(raw)


def test_a_large_body_of_many_strings_is_read_in_pieces() -> None:
    content = [{"type": "text", "text": "x" * 100}] * (FEW_QUOTES // 4)
    raw = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()
    assert len(raw) > SMALL_BYTES
    assert read_conversation(raw, DROPPED) is None


HELLO = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"messages": [HELLO]},
        {"model": "m", "messages": []},
        {"model": "m", "messages": [HELLO], "tools": []},
        {"model": "m", "messages": [HELLO], "system": None},
        {"model": "m", "messages": [HELLO], "max_tokens": "1"},
        {"model": "m", "messages": [HELLO], "max_tokens": 2**63},
        {"model": "m", "messages": [HELLO] * (MANY_MESSAGES + 1)},
        {"model": "m", "messages": [{"role": "user"}]},
        {"model": "m", "messages": [{**HELLO, "id": 1}]},
        {"model": "m", "messages": [{"role": "user", "content": ("x",)}]},
        {"model": "m", "messages": [{"role": "user", "content": "\ud800"}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "image"}]}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "image", "text": ""}]}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
        picture("", kind="url"),
        picture(1),
        picture({}),
    ],
)
def test_whatever_else_there_is_goes_the_long_way(body: object) -> None:
    assert write_conversation(body, DROPPED) is None


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"m","model":"m","messages":[{"role":"user","content":"x"}]}',
        b'{"model":"m","model":"m","messages":[{"role":"user","content":"\\u0022\\u0022"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"x","c\\u006fntent":"y"}]}',
        b'{"model":"m","max_tokens":1,"max_tokens":1,"messages":[{"role":"user","content":"x"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"x"}]} x',
        b"\xff",
    ],
)
def test_a_key_that_stands_twice_does_not_slip_through(raw: bytes) -> None:
    assert read_conversation(raw, DROPPED) is None
    with pytest.raises(PayloadError):
        check_payload(raw)
