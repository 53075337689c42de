"""Tools as people keep them: Anthropic's, MCP's ``tools/list`` and OpenAI's shapes, read as one."""

from collections.abc import Mapping
from typing import Any

from weighbridge.errors import MalformedPayload

Tool = Mapping[str, Any]


def read_tools(document: object) -> list[Tool]:
    """Read a set of tools.

    Args:
        document: a list of tools, or an object that holds one under ``tools`` or
            ``result.tools``, as MCP's reply to ``tools/list`` and a request body do.

    Raises:
        MalformedPayload: there is no list of tools, or one of them has no name.
    """
    if isinstance(document, Mapping):
        result = document.get("result", document)
        document = result.get("tools") if isinstance(result, Mapping) else None
    if not isinstance(document, list) or not document:
        raise MalformedPayload("no tools: send a list of them, or an object with one under 'tools'")
    return [_read(tool, f"tools[{index}]") for index, tool in enumerate(document)]


def _read(tool: object, place: str) -> Tool:
    if not isinstance(tool, Mapping):
        raise MalformedPayload(f"{place} must be an object")
    read = _of_openai(tool) if tool.get("type") == "function" else _of_mcp(tool)
    # A toolset of the MCP connector goes by its server's name; it is told uncountable later.
    if not isinstance(read.get("name", read.get("mcp_server_name")), str):
        raise MalformedPayload(f"{place} has no name")
    return read


def _of_openai(tool: Mapping[str, Any]) -> Tool:
    """Read the nested form of Chat Completions and the flat one of Responses."""
    function = tool.get("function", tool)
    if not isinstance(function, Mapping):
        return {}
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return _without_none(function, "name", "description") | {"input_schema": schema}


def _of_mcp(tool: Mapping[str, Any]) -> Tool:
    """Read MCP's form; titles, annotations and output schemas never reach the prompt."""
    if "inputSchema" not in tool:
        return tool
    return _without_none(tool, "name", "description") | {"input_schema": tool["inputSchema"]}


def _without_none(tool: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: tool[name] for name in names if tool.get(name) is not None}
