"""What the endpoint is known to refuse is refused before a permit is spent, and nothing else."""

import json
from collections.abc import Mapping

import pytest
from support.bodies import PNG, USER, body, canonical, saying

from weighbridge.errors import NotCountablePayload
from weighbridge.payload import check_payload

URL = {"type": "url", "url": "https://example.com/x"}
FILE = {"type": "file", "file_id": "file_1"}
DOCUMENT = {"type": "document", "source": URL}


def image(source: object) -> dict[str, object]:
    return {"type": "image", "source": source}


NOT_COUNTABLE: Mapping[str, tuple[Mapping[str, object], str]] = {
    "image from a URL": (
        saying([{"type": "text", "text": "x"}, image(URL)]),
        r"messages\[0\].content\[1\]: .* image from a URL; send the image as base64",
    ),
    "image file": (saying([image(FILE)]), "image from the Files API; send the image as base64"),
    "document from a URL": (saying([DOCUMENT]), "document from a URL; send the PDF as base64"),
    "document file": (
        saying([{"type": "document", "source": FILE}]),
        "document from the Files API; send the PDF as base64",
    ),
    "in a tool_result": (
        saying([{"type": "tool_result", "tool_use_id": "t", "content": [image(URL)]}]),
        r"messages\[0\].content\[0\].content\[0\]: .*base64",
    ),
    "in an mcp_tool_result": (
        saying([{"type": "mcp_tool_result", "tool_use_id": "t", "content": [image(URL)]}]),
        "base64",
    ),
    "in a content source": (
        saying([{"type": "document", "source": {"type": "content", "content": [image(FILE)]}}]),
        r"content\[0\].source.content\[0\]: .*base64",
    ),
    "in a content source of a tool_result": (
        saying(
            [
                {
                    "type": "tool_result",
                    "content": [
                        {"type": "document", "source": {"type": "content", "content": [image(URL)]}}
                    ],
                }
            ]
        ),
        "base64",
    ),
    "in the system prompt": (body(system=[image(URL)]), r"system\[0\]: .*base64"),
    "in a later message": (
        body(messages=[USER, {"role": "user", "content": [DOCUMENT]}]),
        r"messages\[1\]",
    ),
    "MCP servers": (
        body(mcp_servers=[{"type": "url", "name": "s", "url": "https://example.com"}]),
        "mcp_servers: the API does not count the MCP connector; list the server's tools",
    ),
    "MCP toolset": (
        body(tools=[{"name": "n"}, {"type": "mcp_toolset", "mcp_server_name": "s"}]),
        r"tools\[1\]: .* MCP connector",
    ),
} | {
    kind: (body(tools=[{"type": kind, "name": "n"}]), f"server tool {family}; leave it out")
    for kind, family in {
        "web_search_20250305": "web search",
        "web_search_20270101": "web search",
        "web_fetch_20260318": "web fetch",
        "code_execution_20260521": "code execution",
        "tool_search_tool_bm25": "tool search",
        "tool_search_tool_regex_20251119": "tool search",
    }.items()
}


@pytest.mark.parametrize("name", NOT_COUNTABLE)
def test_what_the_endpoint_refuses_is_refused_before_a_permit_is_spent(name: str) -> None:
    raw, sentence = NOT_COUNTABLE[name]
    with pytest.raises(NotCountablePayload, match=sentence) as caught:
        check_payload(raw)
    assert caught.value.code == "not_countable"
    with pytest.raises(NotCountablePayload, match=sentence):
        check_payload(json.dumps(raw))


COUNTABLE: Mapping[str, Mapping[str, object]] = {
    "base64 image": saying([image(PNG)]),
    "base64 image in a tool_result": saying([{"type": "tool_result", "content": [image(PNG)]}]),
    "text document": saying([{"type": "document", "source": {"type": "text", "data": "x"}}]),
    "source of a new type": saying([image({"type": "new"})]),
    "search result with a URL": saying(
        [{"type": "search_result", "source": "https://example.com", "title": "t", "content": []}]
    ),
    "a url in a tool's input": saying([{"type": "tool_use", "input": {"source": URL}}]),
    "an image in a tool's input": saying([{"type": "tool_use", "input": [image(URL)]}]),
    "a toolset in a schema": body(tools=[{"name": "n", "input_schema": {"type": "mcp_toolset"}}]),
    "server tool blocks of the past": saying(
        [{"type": "server_tool_use", "id": "t", "name": "web_search", "input": {}}]
    ),
    "no MCP servers": body(mcp_servers=[]),
    "a tool named like a server tool": body(tools=[{"name": "web_search_20250305"}]),
    "fields of odd types": body(
        tools=[{"type": ["web_search_20250305"]}, {"type": None}, "x", 5],
        system=[{"type": {}, "source": 5}, [image(URL)], None],
        messages=[
            {"role": "user", "content": [{"type": 5}, 7, {"type": "image", "source": ["url"]}]},
            {"role": "user", "content": [image({"type": ["url"]}), {"type": "tool_result"}]},
            {"role": "user", "content": None},
        ],
    ),
} | {
    f"tool {kind}": body(tools=[{"type": kind, "name": "n"}])
    for kind in (
        "custom",
        "bash_20250124",
        "text_editor_20250728",
        "memory_20250818",
        "computer_20251124",
        "computer_toolset_20260801",
        "browser_toolset_20260801",
        "advisor_20260301",
        "invented_20270101",
    )
}


@pytest.mark.parametrize("name", COUNTABLE)
def test_whatever_is_not_known_to_be_refused_passes(name: str) -> None:
    assert json.loads(canonical(COUNTABLE[name])) == json.loads(json.dumps(COUNTABLE[name]))


@pytest.mark.parametrize("name", NOT_COUNTABLE)
def test_a_refusal_never_quotes_the_payload(name: str) -> None:
    with pytest.raises(NotCountablePayload) as caught:
        check_payload(NOT_COUNTABLE[name][0])
    assert "example.com" not in str(caught.value)
    assert "file_1" not in str(caught.value)
