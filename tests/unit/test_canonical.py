"""Where the order of keys matters, and what only looks alike."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from support.bodies import CACHE, PNG, USER, Raw, body, canonical, having, saying

from weighbridge.payload import check_payload

Build = Callable[[Any], dict[str, object]]


def swapped(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same object, its own keys in reverse."""
    return dict(reversed(list(value.items())))


FREE = {"zeta": {"b": 1, "a": 2}, "alpha": [{"d": 3, "c": 4}]}
FREE_OTHERWISE = swapped(FREE)
FREE_WITHIN = {"zeta": {"a": 2, "b": 1}, "alpha": [{"d": 3, "c": 4}]}
FREE_IN_LIST = {"zeta": {"b": 1, "a": 2}, "alpha": [{"c": 4, "d": 3}]}

FREE_PLACES: dict[str, Build] = {
    "input of tool_use": lambda free: saying(
        [{"type": "tool_use", "id": "t", "name": "n", "input": free}]
    ),
    "input of server_tool_use": lambda free: saying(
        [{"type": "server_tool_use", "id": "t", "name": "advisor", "input": free}]
    ),
    "input of mcp_tool_use": lambda free: saying(
        [{"type": "mcp_tool_use", "id": "t", "name": "n", "server_name": "s", "input": free}]
    ),
    "input_schema": lambda free: body(tools=[{"name": "n", "input_schema": free}]),
    "input_examples": lambda free: body(
        tools=[{"name": "n", "input_schema": {}, "input_examples": [free]}]
    ),
    "schema in output_config": lambda free: body(
        output_config={"format": {"type": "json_schema", "schema": free}}
    ),
    "schema in output_format": lambda free: body(
        output_format={"type": "json_schema", "schema": free}
    ),
    "tools of mcp_tool_listing": lambda free: saying(
        [{"type": "mcp_tool_listing", "mcp_server_name": "s", "tools": [{"input_schema": free}]}]
    ),
    "configs of a toolset": lambda free: body(
        tools=[{"type": "browser_toolset_20260801", "configs": free}]
    ),
    "definition in tool_addition": lambda free: saying(
        [{"type": "tool_addition", "tool": {"type": "tool_definition", "definition": free}}]
    ),
    "unknown field of the body": lambda free: body(invented=free),
    "known field of the body without fixed inner order": lambda free: body(context_management=free),
    "unknown field of a message": lambda free: body(messages=[{**USER, "invented": free}]),
    "unknown field of a block": lambda free: saying(
        [{"type": "text", "text": "x", "invented": free}]
    ),
    "content of an unknown block": lambda free: saying([{"type": "invented", "content": [free]}]),
    "source of an unknown block": lambda free: saying([{"type": "invented", "source": free}]),
    "content of an unknown source": lambda free: saying(
        [{"type": "document", "source": {"type": "invented", "content": [free]}}]
    ),
    "unknown field of a source": lambda free: saying(
        [{"type": "image", "source": {**PNG, "invented": free}}]
    ),
    "unknown field of a tool": lambda free: body(tools=[{"name": "n", "invented": free}]),
    "unknown field of cache_control": lambda free: body(
        cache_control={"type": "ephemeral", "invented": free}
    ),
    "unknown field of thinking": lambda free: body(thinking={"type": "enabled", "invented": free}),
    "unknown field of tool_choice": lambda free: body(
        tool_choice={"type": "auto", "invented": free}
    ),
    "unknown field of output_config": lambda free: body(output_config={"invented": free}),
}


@pytest.mark.parametrize("place", FREE_PLACES)
@pytest.mark.parametrize(
    "other", [FREE_OTHERWISE, FREE_WITHIN, FREE_IN_LIST], ids=["outermost", "within", "in list"]
)
def test_free_json_keeps_its_order(place: str, other: Mapping[str, object]) -> None:
    build = FREE_PLACES[place]
    assert canonical(build(FREE)) != canonical(build(other))
    assert json.dumps(FREE, separators=(",", ":")).encode() in canonical(build(FREE))
    assert json.dumps(other, separators=(",", ":")).encode() in canonical(build(other))


PLACE_OF_TEXT = {"type": "char_location", "cited_text": "x", "document_index": 0}

API_PLACES: dict[str, tuple[Build, Mapping[str, object]]] = {
    "body": (lambda api: api, body(system="s", max_tokens=5)),
    "message": (lambda api: body(messages=[api]), USER),
    "system block": (lambda api: body(system=[api]), {"type": "text", "text": "x"}),
    "text block": (lambda api: saying([api]), {"type": "text", "text": "x"}),
    "tool_use block": (
        lambda api: saying([api]),
        {"type": "tool_use", "id": "t", "name": "n", "input": {}},
    ),
    "tool_result block": (
        lambda api: saying([api]),
        {"type": "tool_result", "tool_use_id": "t", "content": "x", "is_error": False},
    ),
    "unknown block": (lambda api: saying([api]), {"type": "invented", "field": 1}),
    "block in a tool_result": (
        lambda api: saying([{"type": "tool_result", "tool_use_id": "t", "content": [api]}]),
        {"type": "text", "text": "x"},
    ),
    "block in an mcp_tool_result": (
        lambda api: saying([{"type": "mcp_tool_result", "tool_use_id": "t", "content": [api]}]),
        {"type": "text", "text": "x"},
    ),
    "block in a search_result": (
        lambda api: saying(
            [{"type": "search_result", "source": "s", "title": "t", "content": [api]}]
        ),
        {"type": "text", "text": "x"},
    ),
    "block in a content source": (
        lambda api: saying([{"type": "document", "source": {"type": "content", "content": [api]}}]),
        {"type": "text", "text": "x"},
    ),
    "source of an image": (lambda api: saying([{"type": "image", "source": api}]), PNG),
    "source of a document": (lambda api: saying([{"type": "document", "source": api}]), PNG),
    "content source": (
        lambda api: saying([{"type": "document", "source": api}]),
        {"type": "content", "content": "x"},
    ),
    "source in a tool_result": (
        lambda api: saying(
            [{"type": "tool_result", "content": [{"type": "image", "source": api}]}]
        ),
        PNG,
    ),
    "cache_control of the body": (lambda api: body(cache_control=api), CACHE),
    "cache_control of a block": (
        lambda api: saying([{"type": "tool_use", "input": {}, "cache_control": api}]),
        CACHE,
    ),
    "cache_control of an unknown block": (
        lambda api: saying([{"type": "invented", "cache_control": api}]),
        CACHE,
    ),
    "cache_control of a tool": (
        lambda api: body(tools=[{"name": "n", "cache_control": api}]),
        CACHE,
    ),
    "citations of a document": (
        lambda api: saying([{"type": "document", "source": PNG, "citations": api}]),
        {"enabled": True, "invented": 1},
    ),
    "citation of a text": (
        lambda api: saying([{"type": "text", "text": "x", "citations": [api]}]),
        PLACE_OF_TEXT,
    ),
    "tool": (lambda api: body(tools=[api]), {"name": "n", "input_schema": {}}),
    "tool of an unknown type": (lambda api: body(tools=[api]), {"type": "new_1", "name": "n"}),
    "tool_choice": (lambda api: body(tool_choice=api), {"type": "tool", "name": "n"}),
    "thinking": (lambda api: body(thinking=api), {"type": "enabled", "budget_tokens": 1024}),
    "output_config": (lambda api: body(output_config=api), {"effort": "low", "format": None}),
    "format in output_config": (
        lambda api: body(output_config={"format": api}),
        {"type": "json_schema", "schema": {}},
    ),
    "output_format": (
        lambda api: body(output_format=api),
        {"type": "json_schema", "schema": {}},
    ),
}


@pytest.mark.parametrize("place", API_PLACES)
def test_the_order_of_keys_in_an_api_object_does_not_matter(place: str) -> None:
    build, api = API_PLACES[place]
    assert list(swapped(api)) != list(api)
    assert canonical(build(api)) == canonical(build(swapped(api)))


NEAR_MISSES: dict[str, tuple[Raw, Raw]] = {
    "1 and 1.0": (having("1"), having("1.0")),
    "0 and -0": (having("0"), having("-0")),
    "0.0 and -0.0": (having("0.0"), having("-0.0")),
    "true and 1": (having("true"), having("1")),
    "null and absent": (body(invented=None), body()),
    "neighbours beyond 2^53": (having("9007199254740992"), having("9007199254740993")),
    "neighbours beyond 2^64": (having("18446744073709551616"), having("18446744073709551617")),
    "an integer and its float": (having("100000"), having("1e5")),
    "neighbouring doubles": (having("0.1"), having("0.10000000000000002")),
    "a number and its text": (having("1"), having('"1"')),
    "shorthand and one block": (saying("Hello"), saying([{"type": "text", "text": "Hello"}])),
    "system as text and as a block": (
        body(system="s"),
        body(system=[{"type": "text", "text": "s"}]),
    ),
    "with and without cache_control": (
        saying([{"type": "text", "text": "x", "cache_control": CACHE}]),
        saying([{"type": "text", "text": "x"}]),
    ),
    "trailing space": (saying("Hello"), saying("Hello ")),
    "leading newline": (saying("Hello"), saying("\nHello")),
    "composed and decomposed": (saying("\u00e9"), saying("e\u0301")),
    "no-break space": (saying("a b"), saying("a\u00a0b")),
    "order of messages": (
        body(messages=[USER, {"role": "assistant", "content": "Hi"}]),
        body(messages=[{"role": "assistant", "content": "Hi"}, USER]),
    ),
    "order of tools": (
        body(tools=[{"name": "a"}, {"name": "b"}]),
        body(tools=[{"name": "b"}, {"name": "a"}]),
    ),
    "order of blocks": (
        saying([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        saying([{"type": "text", "text": "b"}, {"type": "text", "text": "a"}]),
    ),
    "model": (body(), body(model="claude-opus-5")),
    "empty and absent tools": (body(tools=[]), body()),
    "custom and untyped tool": (
        body(tools=[{"name": "n", "type": "custom"}]),
        body(tools=[{"name": "n"}]),
    ),
    "is_error false and absent": (
        saying([{"type": "tool_result", "tool_use_id": "t", "is_error": False}]),
        saying([{"type": "tool_result", "tool_use_id": "t"}]),
    ),
    "unknown field and none": (body(invented=1), body()),
    "thread and none": (body(thread={"id": "t"}), body()),
    "speed": (body(speed="fast"), body()),
    "escaped backslash": (saying("\\n"), saying("\n")),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_only_looks_alike_stays_apart(name: str) -> None:
    one, other = NEAR_MISSES[name]
    assert canonical(one) != canonical(other)


SAME: dict[str, tuple[Raw, Raw]] = {
    "white space": (json.dumps(body()), json.dumps(body(), indent="\t\r\n ")),
    "a newline at the end": (json.dumps(body()), json.dumps(body()) + "\n"),
    "escapes": (
        json.dumps(saying("é😀/\x7f"), ensure_ascii=True),
        json.dumps(saying("é😀/\x7f"), ensure_ascii=False),
    ),
    "an escaped letter": (having('"abc"'), having('"\\u0061b\\u0063"')),
    "an escaped solidus": (having('"a/b"'), having('"a\\/b"')),
    "an escaped key": (having("1"), having("1").replace("model", "\\u006dodel")),
    "text and bytes": (json.dumps(body()), json.dumps(body()).encode()),
    "trailing zero": (having("1.1"), having("1.10")),
    "exponents": (having("100000.0"), having("1E+5")),
    "tuple and list": (body(messages=(USER,)), body()),
    "mapping and dict": (MappingProxyType(body()), body()),
    "ordered dict": (body(messages=[OrderedDict(USER)]), body()),
    "output_format moved": (
        body(output_format={"type": "json_schema", "schema": FREE}),
        body(output_config={"format": {"type": "json_schema", "schema": FREE}}),
    ),
    "output_format joins effort": (
        body(output_format={"type": "json_schema"}, output_config={"effort": "low"}),
        body(output_config={"effort": "low", "format": {"type": "json_schema"}}),
    ),
    "output_format replaces null": (
        body(output_format={"type": "json_schema"}, output_config={"format": None}),
        body(output_config={"format": {"type": "json_schema"}}),
    ),
    "output_format null": (body(output_format=None), body()),
    "no betas": (body(betas=[]), body()),
}


@pytest.mark.parametrize("name", SAME)
def test_one_meaning_has_one_canonical_form(name: str) -> None:
    one, other = SAME[name]
    assert check_payload(one) == check_payload(other)


def test_canonical_bytes_are_compact_sorted_and_utf8() -> None:
    raw = '{ "messages": [{"role": "user", "content": "\\u00e9 \\u0000 \\" "}], "model": "m" }'
    assert canonical(raw).decode() == (
        '{"messages":[{"content":"é \\u0000 \\" ","role":"user"}],"model":"m"}'
    )
