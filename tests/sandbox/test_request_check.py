"""What is refused before it is counted, and that anything at all gets an answer."""

import base64
import hashlib
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_worker.sandbox.api_errors import ApiError
from weighbridge_worker.sandbox.weighing import weigh

PUBLIC = Path(__file__).parents[1] / "data" / "payloads_public.jsonl.xz"
HELLO = {"role": "user", "content": "Hello"}
CALL = {"type": "tool_use", "id": "t1", "name": "weigh", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "12 t"}
TOOL = {"name": "weigh", "input_schema": {"type": "object"}}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "claude-opus-4-8", "messages": [HELLO], **fields}


def saying(content: object, role: str = "user") -> dict[str, Any]:
    return body(messages=[{"role": role, "content": content}])


def source(**fields: Any) -> dict[str, Any]:
    return saying([{"type": "image", "source": fields}])


def verdict(given_body: object) -> int | ApiError:
    return weigh(json.dumps(given_body).encode()).verdict


REFUSED: dict[str, tuple[object, str]] = {
    "no object": ([], "must be a JSON object"),
    "no model": ({"messages": [HELLO]}, "model: Field required"),
    "a model that is no text": (body(model=4), "model: Input has the wrong type"),
    "no messages": ({"model": "m"}, "messages: Field required"),
    "an empty list": (body(messages=[]), "at least one message is required"),
    "messages of the wrong kind": (body(messages="Hello"), "messages: Input has the wrong type"),
    "a message of the wrong kind": (body(messages=["Hello"]), "messages.0: Input should be"),
    "an unknown role": (body(messages=[{"role": "tool", "content": "x"}]), "messages.0.role"),
    "no content": (body(messages=[{"role": "user"}]), "messages.0.content: Field required"),
    "empty content": (saying(""), "non-empty content"),
    "empty content early on": (
        body(messages=[HELLO, {"role": "assistant", "content": []}, HELLO]),
        "messages.1: all messages must have non-empty content",
    ),
    "content of the wrong kind": (saying(5), "valid string or list"),
    "a block of the wrong kind": (saying(["x"]), "messages.0.content.0: Input should be an object"),
    "a block without a type": (
        saying([{"text": "x"}]),
        "messages.0.content.0.type: Field required",
    ),
    "an empty text block": (saying([{"type": "text", "text": ""}]), "must be non-empty"),
    "a text block without text": (
        saying([{"type": "text"}]),
        "content.0.text.text: Field required",
    ),
    "a text that is none": (saying([{"type": "text", "text": 5}]), "wrong type"),
    "an image by URL": (
        source(type="url", url="https://example.org/a.png"),
        "Send images and PDFs",
    ),
    "an image by file": (source(type="file", file_id="f"), "Send images and PDFs as base64"),
    "an unknown source": (source(type="s3"), "does not match any of the expected tags"),
    "an image without data": (
        source(type="base64", media_type="image/png"),
        "data: Field required",
    ),
    "a TIFF": (source(type="base64", media_type="image/tiff", data="eA=="), "media_type: Input"),
    "an unreadable image": (
        source(type="base64", media_type="image/png", data="eA=="),
        "Could not process image",
    ),
    "a document by URL": (
        saying([{"type": "document", "source": {"type": "url", "url": "https://example.org"}}]),
        "Send images and PDFs",
    ),
    "an image by URL in a tool result": (
        saying([{**RESULT, "content": [{"type": "image", "source": {"type": "url"}}]}]),
        "messages.0.content.0.tool_result.content.0.image.source",
    ),
    "a document title that is no text": (
        saying([{"type": "document", "source": {"type": "text", "data": "x"}, "title": 5}]),
        "title: Input has the wrong type",
    ),
    "web search": (
        body(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
        "tools.0: server tools are not supported",
    ),
    "code execution": (
        body(tools=[TOOL, {"type": "code_execution_20260521", "name": "x"}]),
        "tools.1: server tools are not supported",
    ),
    "the MCP connector": (body(mcp_servers=[{"url": "x"}]), "MCP connector"),
    "a tool without a name": (body(tools=[{"input_schema": {}}]), "tools.0.custom.name: Field"),
    "a tool name with a space": (body(tools=[{**TOOL, "name": "a b"}]), "should match pattern"),
    "a tool without a schema": (body(tools=[{"name": "a"}]), "input_schema: Field required"),
    "a schema of an array": (
        body(tools=[{"name": "a", "input_schema": {"type": "array"}}]),
        "Input should be 'object'",
    ),
    "two tools of one name": (body(tools=[TOOL, TOOL]), "Tool names must be unique"),
    "tools of the wrong kind": (body(tools={"a": 1}), "tools: Input should be a valid list"),
    "no tools, but no list of none either": (body(tools={}), "tools: Input should be a valid list"),
    "a tool type of the wrong kind": (body(tools=[{"type": 5}]), "tools.0.type"),
    "a system prompt of the wrong kind": (body(system=5), "system: Input should be"),
    "thinking of the wrong kind": (body(thinking=True), "thinking: Input has the wrong type"),
    "a choice of the wrong kind": (
        body(tool_choice="any"),
        "tool_choice: Input has the wrong type",
    ),
    "an output format of the wrong kind": (body(output_config={"format": "json"}), "output_config"),
    "a tool use that is not answered": (
        body(messages=[HELLO, {"role": "assistant", "content": [CALL]}, HELLO]),
        "`tool_use` ids were found without `tool_result` blocks",
    ),
    "an answer without a tool use": (saying([RESULT]), "unexpected `tool_use_id` found"),
}


@pytest.mark.parametrize(("given_body", "words"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_as_an_invalid_request(given_body: object, words: str) -> None:
    error = verdict(given_body)
    assert isinstance(error, ApiError)
    assert (error.status, error.kind) == (400, "invalid_request_error")
    assert words in error.message


TAKEN: dict[str, dict[str, Any]] = {
    "a prefill": body(messages=[HELLO, {"role": "assistant", "content": "The weight is"}]),
    "an empty prefill": body(messages=[HELLO, {"role": "assistant", "content": ""}]),
    "a system message": body(messages=[HELLO, {"role": "system", "content": "Be brief."}]),
    "a system message that says nothing": body(messages=[HELLO, {"role": "system"}]),
    "a system message within a tool use": body(
        messages=[
            HELLO,
            {"role": "assistant", "content": [CALL]},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [RESULT]},
        ]
    ),
    "two user messages in a row": body(messages=[HELLO, HELLO]),
    "results in two messages": body(
        messages=[
            HELLO,
            {"role": "assistant", "content": [CALL, {**CALL, "id": "t2"}]},
            {"role": "user", "content": [RESULT]},
            {"role": "user", "content": [{**RESULT, "tool_use_id": "t2"}]},
        ]
    ),
    "an open tool use at the end": body(messages=[HELLO, {"role": "assistant", "content": [CALL]}]),
    "the advisor": body(tools=[{"type": "advisor_20260301", "name": "advisor", "model": "m"}]),
    "a tool of the API": body(tools=[{"type": "memory_20250818", "name": "memory"}]),
    "fields and blocks of tomorrow": saying([{"type": "hologram", "depth": 3}]) | {"speed": "warp"},
    "nulls": body(system=None, tools=None, tool_choice=None, thinking=None, output_config=None),
    "system blocks": body(system=[{"type": "text", "text": "Be brief."}]),
}


@pytest.mark.parametrize("given_body", TAKEN.values(), ids=TAKEN)
def test_it_is_counted(given_body: dict[str, Any]) -> None:
    tokens = verdict(given_body)
    assert isinstance(tokens, int)
    assert tokens > 0


def test_a_model_that_does_not_exist_is_not_found() -> None:
    error = verdict(body(model="claude-does-not-exist"))
    assert isinstance(error, ApiError)
    assert (error.status, error.kind) == (404, "not_found_error")
    assert error.message == "model: claude-does-not-exist"


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff", b'{"model": NaN}', b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000],
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    error = weigh(raw).verdict
    assert isinstance(error, ApiError)
    assert error.status == 400


def test_every_public_payload_is_counted() -> None:
    with lzma.open(PUBLIC) as file:
        assert all(isinstance(weigh(line).verdict, int) for line in file)


def test_the_answer_names_the_bodys_digest_and_model() -> None:
    raw = json.dumps(body()).encode()
    weighed = weigh(raw)
    assert (weighed.sha256, weighed.model) == (hashlib.sha256(raw).hexdigest(), "claude-opus-4-8")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *("text", "image", "document", "tool_use", "tool_result", "thinking", "hologram"),
        *("base64", "url", "content", "image/png", "application/pdf"),
        *("enabled", "any", "json_schema", "custom", "bash_1"),
    ]
)
DATA = st.sampled_from([base64.b64encode(b"%PDF-1.4").decode(), "iVBORw0KGgo=", "%"])
ANYTHING = JSON | NAMES | DATA


def objects(*fields: str, inner: st.SearchStrategy[Any] = ANYTHING) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(fields, inner))


SOURCES = objects("type", "data", "media_type", "content")
BLOCKS = objects(
    "type", "text", "source", "id", "name", "input", "tool_use_id", "content", "thinking", "title",
    inner=ANYTHING | SOURCES,
)  # fmt: skip
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"])},
    optional={"content": ANYTHING | st.lists(BLOCKS | ANYTHING, max_size=3)},
)
BODIES = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["m", "claude-sonnet-4-5"]),
        "messages": st.lists(MESSAGES, max_size=3),
    },
    optional={
        "system": ANYTHING | st.lists(BLOCKS, max_size=2),
        "tools": ANYTHING
        | st.lists(objects("type", "name", "description", "input_schema"), max_size=2),
        "tool_choice": ANYTHING | objects("type", "name"),
        "thinking": ANYTHING | objects("type"),
        "output_config": ANYTHING
        | objects("format", "task_budget", inner=ANYTHING | objects("schema")),
    },
)


@given(BODIES | JSON)
def test_any_body_is_counted_or_refused(given_body: object) -> None:
    answer = verdict(given_body)
    assert isinstance(answer, ApiError) or answer > 0


@given(st.binary())
def test_any_bytes_are_counted_or_refused(raw: bytes) -> None:
    assert isinstance(weigh(raw).verdict, ApiError)
