"""The commonest body by a short way: a model, and a conversation of nothing but text.

All its keys are known by their position, so its canonical form has all of them sorted; the endpoint
counts every one; and it nests no deeper than a block. What is not plainly such a body is left to
the long way, and every error with it.
"""

from typing import Final, NamedTuple, cast

import msgspec

SMALL_BYTES: Final = 64 * 1024
"""Longer text is read in pieces: one call holds every thread of the interpreter up."""

MANY_MESSAGES: Final = 256
"""More are written in pieces, likewise."""

_FIELDS: Final = frozenset({"messages", "model", "system"})
_MESSAGE: Final = frozenset({"content", "role"})
_BLOCK: Final = frozenset({"text", "type"})
_LARGEST: Final = 2**63

_READER: Final = msgspec.json.Decoder()
_WRITER: Final = msgspec.json.Encoder(order="sorted")


class Conversation(NamedTuple):
    """The model, and the canonical body."""

    model: str
    body: bytes


def read_conversation(raw: bytes, dropped: frozenset[str]) -> Conversation | None:
    """Take JSON text the short way; None where it has to go the long one.

    A key that stood twice would be lost in reading, and its quotes with it; quotes within strings
    come and go by the one escape that is looked for.

    Args:
        dropped: fields to leave out, where they are whole numbers or truth values.
    """
    if len(raw) > SMALL_BYTES or (b"\\" in raw and b"\\u0022" in raw):
        return None
    try:
        body = _READER.decode(raw)
    except Exception:  # the long way says what it is
        return None
    found = write_conversation(body, dropped)
    if found is None:
        return None
    quotes = found.body.count(b'"') + 2 * len(dropped.intersection(body))
    return found if quotes == raw.count(b'"') else None


def write_conversation(body: object, dropped: frozenset[str]) -> Conversation | None:
    """Take a body the short way; None where it has to go the long one.

    Args:
        dropped: fields to leave out, where they are whole numbers or truth values.
    """
    if type(body) is not dict:
        return None
    if not body.keys() <= _FIELDS:
        others = body.keys() - _FIELDS
        if not (others <= dropped and all(_is_whole(body[name]) for name in others)):
            return None
        body = {name: value for name, value in body.items() if name in _FIELDS}
    model = body.get("model")
    if type(model) is not str or not model or not _is_text(body):
        return None
    try:
        return Conversation(model, _WRITER.encode(body))
    except Exception:  # half a surrogate pair
        return None


def _is_whole(value: object) -> bool:
    return type(value) in (bool, int) and -_LARGEST < cast("int", value) < _LARGEST


def _is_text(body: dict[str, object]) -> bool:
    messages = body.get("messages")
    if type(messages) is not list or not 0 < len(messages) <= MANY_MESSAGES:
        return False
    return _is_content(body.get("system", "")) and all(map(_is_message, messages))


def _is_message(message: object) -> bool:
    return (
        type(message) is dict
        and message.keys() == _MESSAGE
        and type(message["role"]) is str
        and _is_content(message["content"])
    )


def _is_content(content: object) -> bool:
    return type(content) is str or (type(content) is list and all(map(_is_block, content)))


def _is_block(block: object) -> bool:
    return (
        type(block) is dict
        and block.keys() == _BLOCK
        and type(block["type"]) is type(block["text"]) is str
        and block["type"] == "text"
    )
