"""What the counting endpoint is known to refuse, so that no permit is spent on it.

Only base64 images and PDFs, client tools and the advisor can be counted
(https://platform.claude.com/docs/en/build-with-claude/token-counting). Whatever is not known
to be refused passes: the API decides, and a tool invented next year works the day it appears.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NoReturn

from weighbridge.errors import NotCountablePayload

_SERVER_TOOLS: Final = {
    "web_search_": "web search",
    "web_fetch_": "web fetch",
    "code_execution_": "code execution",
    "tool_search_": "tool search",
}
"""Beginnings of the server tools' types; dated versions follow. The advisor can be counted."""

_REMOTE_SOURCES: Final = {"url": "from a URL", "file": "from the Files API"}
_BASE64: Final = {"image": "send the image as base64", "document": "send the PDF as base64"}
_HOLDERS: Final = frozenset({"tool_result", "mcp_tool_result", "search_result"})


def check_countable(body: Mapping[str, object]) -> None:
    """Let pass what the endpoint may count.

    Raises:
        NotCountablePayload: it holds a ``url`` or ``file`` source, a server tool, or the MCP
            connector; the message says where, and what to do.
    """
    if body.get("mcp_servers"):
        _refuse_connector("mcp_servers")
    for place, tool in _objects(body.get("tools"), "tools"):
        _check_tool(tool, place)
    _check_blocks(body.get("system"), "system")
    for place, message in _objects(body.get("messages"), "messages"):
        _check_blocks(message.get("content"), f"{place}.content")


def _objects(value: object, place: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield f"{place}[{index}]", item


def _check_tool(tool: Mapping[str, object], place: str) -> None:
    kind = tool.get("type")
    if kind == "mcp_toolset":
        _refuse_connector(place)
    if isinstance(kind, str):
        for beginning, name in _SERVER_TOOLS.items():
            if kind.startswith(beginning):
                _refuse(place, f"the server tool {name}", "leave it out")


def _check_blocks(value: object, place: str) -> None:
    for at, block in _objects(value, place):
        kind = block.get("type")
        if kind in ("image", "document"):
            _check_source(str(kind), block.get("source"), at)
        elif isinstance(kind, str) and kind in _HOLDERS:
            _check_blocks(block.get("content"), f"{at}.content")


def _check_source(kind: str, source: object, place: str) -> None:
    if not isinstance(source, dict):
        return
    origin = source.get("type")
    if isinstance(origin, str) and origin in _REMOTE_SOURCES:
        _refuse(place, f"the {kind} {_REMOTE_SOURCES[origin]}", _BASE64[kind])
    if origin == "content":
        _check_blocks(source.get("content"), f"{place}.source.content")


def _refuse_connector(place: str) -> NoReturn:
    _refuse(place, "the MCP connector", "list the server's tools in tools instead")


def _refuse(place: str, what: str, remedy: str) -> NoReturn:
    raise NotCountablePayload(f"{place}: the API does not count {what}; {remedy}")
