"""Tools in the shapes in which people keep them."""

from typing import Any

import pytest

from weighbridge.errors import MalformedPayload
from weighbridge.uses.toolset import read_tools

SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}
READ = {"name": "look", "description": "Look it up.", "input_schema": SCHEMA}
MCP = {
    "name": "look",
    "title": "Look",
    "description": "Look it up.",
    "inputSchema": SCHEMA,
    "outputSchema": SCHEMA,
    "annotations": {"readOnlyHint": True},
}
CHAT = {"type": "function", "function": {**READ, "parameters": SCHEMA, "strict": True}}
RESPONSES = {"type": "function", "name": "look", "description": "Look it up.", "parameters": SCHEMA}


@pytest.mark.parametrize("tool", [READ, MCP, CHAT, RESPONSES])
def test_every_shape_is_read_as_the_same_tool(tool: dict[str, Any]) -> None:
    assert read_tools([tool]) == [READ]


@pytest.mark.parametrize(
    "document",
    [[MCP], {"tools": [MCP]}, {"jsonrpc": "2.0", "id": 1, "result": {"tools": [MCP]}}],
)
def test_a_set_may_stand_alone_or_in_what_holds_it(document: object) -> None:
    assert read_tools(document) == [READ]


def test_the_order_of_a_schema_is_kept() -> None:
    [tool] = read_tools([CHAT])
    assert list(tool["input_schema"]["properties"]) == ["b", "a"]


def test_a_tool_of_anthropics_own_is_left_as_it_is() -> None:
    own = {"type": "memory_20250818", "name": "memory"}
    assert read_tools([own]) == [own]
    toolset = {"type": "mcp_toolset", "mcp_server_name": "files"}
    assert read_tools([toolset]) == [toolset]


def test_an_openai_function_without_parameters_takes_none() -> None:
    [tool] = read_tools([{"type": "function", "function": {"name": "now"}}])
    assert tool == {"name": "now", "input_schema": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "no tools"),
        ({"tools": []}, "no tools"),
        ({"result": None}, "no tools"),
        ("tools", "no tools"),
        ([1], r"tools\[0\] must be an object"),
        ([READ, {"description": "x"}], r"tools\[1\] has no name"),
        ([{"type": "function", "function": 1}], r"tools\[0\] has no name"),
    ],
)
def test_what_is_no_set_of_tools_is_refused(document: object, words: str) -> None:
    with pytest.raises(MalformedPayload, match=words):
        read_tools(document)
