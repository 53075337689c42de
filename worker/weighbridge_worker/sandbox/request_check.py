"""What the API refuses before it counts: malformed bodies, and kinds that it does not count.

A stand-in must refuse on its own account, so nothing here is shared with the producer's checks. It
is a part of the API's validation, the part that clients meet; fields it does not know pass.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from weighbridge_worker.sandbox.api_errors import ApiError, invalid
from weighbridge_worker.sandbox.tool_pairs import check_tool_pairs

MISSING_MODEL: Final = "claude-does-not-exist"
"""A model that the stand-in does not have; it has every other one."""

_ROLES: Final = ("user", "assistant", "system")
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_SERVER_TOOLS: Final = ("web_search_", "web_fetch_", "code_execution_", "tool_search_", "mcp_")
_IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_SOURCES: Final = {"image": ("base64",), "document": ("base64", "text", "content")}
_REMOTE: Final = ("url", "file")
_HOLDERS: Final = ("tool_result", "search_result")
_REQUIRED: Final[Mapping[str, Mapping[str, type]]] = {
    "text": {"text": str},
    "thinking": {"thinking": str},
    "tool_use": {"id": str, "name": str, "input": dict},
    "tool_result": {"tool_use_id": str},
    "image": {"source": dict},
    "document": {"source": dict},
}

Object = Mapping[str, Any]


def read_body(raw: bytes) -> dict[str, Any]:
    """Parse a request's body and check it.

    Raises:
        ApiError: the answer that the API would give instead of a count.
    """
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise invalid("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise invalid("The request body must be a JSON object")
    _check_model(body)
    _check_options(body)
    _check_tools(body)
    _check_content(body.get("system"), "system")
    _check_messages(body.get("messages"))
    return body


def _check_model(body: Object) -> None:
    model = body.get("model")
    if not isinstance(model, str):
        raise _required("model", model)
    if model == MISSING_MODEL:
        raise ApiError(404, "not_found_error", f"model: {model}")


def _check_options(body: Object) -> None:
    for field in ("tool_choice", "thinking", "output_config"):
        _optional(body, field, dict, field)
    _optional(body.get("output_config") or {}, "format", dict, "output_config.format")


def _check_tools(body: Object) -> None:
    if body.get("mcp_servers"):
        raise invalid("mcp_servers: the MCP connector is not supported by token counting")
    names: list[str] = []
    tools = body.get("tools")
    for place, tool in _objects([] if tools is None else tools, "tools"):
        _optional(tool, "type", str, f"{place}.type")
        kind = tool.get("type") or "custom"
        if kind == "custom":
            names.append(_tool_name(tool, place))
        elif kind.startswith(_SERVER_TOOLS):
            raise invalid(f"{place}: server tools are not supported by token counting")
    if len(set(names)) < len(names):
        raise invalid("tools: Tool names must be unique.")


def _tool_name(tool: Object, place: str) -> str:
    name = tool.get("name")
    if not isinstance(name, str):
        raise _required(f"{place}.custom.name", name)
    if not _TOOL_NAME.fullmatch(name):
        pattern = f"^{_TOOL_NAME.pattern}$"
        raise invalid(f"{place}.custom.name: String should match pattern '{pattern}'")
    schema = tool.get("input_schema")
    if not isinstance(schema, dict):
        raise _required(f"{place}.custom.input_schema", schema)
    if schema.get("type", "object") != "object":
        raise invalid(f"{place}.custom.input_schema.type: Input should be 'object'")
    return name


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list):
        raise _required("messages", messages)
    if not messages:
        raise invalid("messages: at least one message is required")
    for index, (place, message) in enumerate(_objects(messages, "messages")):
        if message.get("role") not in _ROLES:
            raise invalid(f"{place}.role: Input should be 'user', 'assistant' or 'system'")
        content = message.get("content")
        if content is None and message["role"] != "system":
            raise _required(f"{place}.content", content)
        prefill = index == len(messages) - 1 and message["role"] == "assistant"
        if content in ("", []) and not prefill:
            raise invalid(
                f"{place}: all messages must have non-empty content except for the optional final"
                " assistant message"
            )
        _check_content(content, f"{place}.content")
    check_tool_pairs(messages)


def _check_content(content: object, place: str) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise invalid(f"{place}: Input should be a valid string or list")
    for at, block in _objects(content, place):
        _check_block(block, at)


def _check_block(block: Object, place: str) -> None:
    kind = block.get("type")
    if not isinstance(kind, str):
        raise _required(f"{place}.type", kind)
    for field, wanted in _REQUIRED.get(kind, {}).items():
        if not isinstance(block.get(field), wanted):
            raise _required(f"{place}.{kind}.{field}", block.get(field))
    if kind == "text" and block["text"] == "":
        raise invalid("messages: text content blocks must be non-empty")
    if kind in _SOURCES:
        for field in ("title", "context"):
            _optional(block, field, str, f"{place}.{kind}.{field}")
        _check_source(kind, block["source"], f"{place}.{kind}.source")
    elif kind in _HOLDERS:
        _check_content(block.get("content"), f"{place}.{kind}.content")


def _check_source(kind: str, source: Object, place: str) -> None:
    origin = source.get("type")
    if origin in _REMOTE:
        raise invalid(
            f"{place}: `{origin}` sources are not supported by token counting."
            " Send images and PDFs as base64 to count them"
        )
    if origin not in _SOURCES[kind]:
        raise invalid(f"{place}: Input tag '{origin}' does not match any of the expected tags")
    field, wanted = ("content", list | str) if origin == "content" else ("data", str)
    if not isinstance(source.get(field), wanted):
        raise _required(f"{place}.{origin}.{field}", source.get(field))
    if origin == "content":
        _check_content(source["content"], f"{place}.content")
    _check_media_type(kind, origin, source.get("media_type"), place)


def _check_media_type(kind: str, origin: object, media_type: object, place: str) -> None:
    if origin != "base64":
        return
    allowed = _IMAGE_TYPES if kind == "image" else ("application/pdf",)
    if media_type not in allowed:
        listed = " or ".join(f"'{name}'" for name in allowed)
        raise invalid(f"{place}.base64.media_type: Input should be {listed}")


def _objects(items: object, place: str) -> Iterator[tuple[str, Object]]:
    if not isinstance(items, list):
        raise invalid(f"{place}: Input should be a valid list")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise invalid(f"{place}.{index}: Input should be an object")
        yield f"{place}.{index}", item


def _optional(holder: Object, field: str, kind: type, place: str) -> None:
    if not isinstance(holder.get(field), kind | None):
        raise _required(place, holder[field])


def _required(place: str, value: object) -> ApiError:
    return invalid(f"{place}: {'Field required' if value is None else 'Input has the wrong type'}")
