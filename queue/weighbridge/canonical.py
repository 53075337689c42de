"""The order of keys in the canonical body.

Keys are sorted only in objects that the API knows by their position. Everything else is free
JSON and keeps its order, because there order reaches the prompt: ``input_schema``,
``input_examples``, the ``input`` of every kind of tool use, output schemas, and whatever an
unknown field holds. Positions after the SDK's types,
https://github.com/anthropics/anthropic-sdk-python/blob/main/src/anthropic/types/beta/message_count_tokens_params.py
"""

from collections.abc import Callable, Mapping
from typing import Final

Arrange = Callable[[object], object]


def arrange_body(body: object) -> object:
    """Sort the keys of a request body wherever the position says that they are the API's."""
    return _BODY(body)


def _object(**fields: Arrange) -> Arrange:
    """Make what sorts an object's own keys, and arranges no more of it than these fields."""

    def arrange(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {k: fields[k](value[k]) if k in fields else value[k] for k in sorted(value)}

    return arrange


def _list_of(arrange: Arrange) -> Arrange:
    def arrange_all(value: object) -> object:
        return [arrange(item) for item in value] if isinstance(value, list) else value

    return arrange_all


def _by_type(kinds: Mapping[str, Arrange], other: Arrange) -> Arrange:
    def arrange(value: object) -> object:
        kind = value.get("type") if isinstance(value, dict) else None
        return (kinds.get(kind, other) if isinstance(kind, str) else other)(value)

    return arrange


def _blocks(value: object) -> object:
    return _LIST_OF_BLOCKS(value)


def _citations(value: object) -> object:
    """A document's citations are a setting, a text block's are a list of places."""
    return _LIST_OF_LEAVES(value) if isinstance(value, list) else _LEAF(value)


_LEAF: Final = _object()
_LIST_OF_LEAVES: Final = _list_of(_LEAF)
_SOURCE: Final = _by_type({"content": _object(content=_blocks)}, other=_LEAF)

_BLOCK: Final = _by_type(
    {
        "text": _object(cache_control=_LEAF, citations=_citations),
        "image": _object(cache_control=_LEAF, source=_SOURCE),
        "document": _object(cache_control=_LEAF, citations=_citations, source=_SOURCE),
        "search_result": _object(cache_control=_LEAF, citations=_citations, content=_blocks),
        "tool_result": _object(cache_control=_LEAF, content=_blocks),
        "mcp_tool_result": _object(cache_control=_LEAF, content=_blocks),
    },
    other=_object(cache_control=_LEAF),
)
_LIST_OF_BLOCKS: Final = _list_of(_BLOCK)

_BODY: Final = _object(
    cache_control=_LEAF,
    messages=_list_of(_object(content=_blocks)),
    output_config=_object(format=_LEAF),
    system=_blocks,
    thinking=_LEAF,
    tool_choice=_LEAF,
    tools=_list_of(_object(cache_control=_LEAF)),
)
