"""The commonest bodies by a short way: a model, and a conversation of text, pictures and PDFs.

All their keys are known by their position, so their canonical form has all of them sorted; the
endpoint counts every one; and they nest no deeper than a picture's source. What is not plainly such
a body is left to the long way, and every error with it.
"""

from typing import Final, NamedTuple, cast

import msgspec

SMALL_BYTES: Final = 64 * 1024
"""Longer text is read in pieces: one call holds every thread of the interpreter up."""

FEW_QUOTES: Final = 4096
"""But not where it has no more quotes: a few long strings are copied at the speed of memory."""

MANY_MESSAGES: Final = 256
"""More are written in pieces, likewise."""

_FIELDS: Final = frozenset({"messages", "model", "system"})
_MESSAGE: Final = frozenset({"content", "role"})
_TEXT: Final = frozenset({"text", "type"})
_PICTURE: Final = frozenset({"source", "type"})
_SOURCE: Final = frozenset({"data", "media_type", "type"})
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
    quotes = _quotes(raw)
    if len(raw) > SMALL_BYTES and quotes > FEW_QUOTES:
        return None
    if b"\\" in raw and b"\\u0022" in raw:
        return None
    try:
        body = _READER.decode(raw)
    except Exception:  # the long way says what it is
        return None
    found = write_conversation(body, dropped)
    if found is None:
        return None
    kept = _quotes(found.body) + 2 * len(dropped.intersection(body))
    return found if kept == quotes else None


def _quotes(text: bytes) -> int:
    """Count the quotes; of a long text no more than are few."""
    if len(text) <= SMALL_BYTES:
        return text.count(b'"')
    # A count goes byte by byte, a search at the speed of memory.
    count, at = 0, text.find(b'"')
    while at >= 0 and count <= FEW_QUOTES:
        count, at = count + 1, text.find(b'"', at + 1)
    return count


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
    if type(block) is not dict:
        return False
    kind = block.get("type")
    if kind == "text":
        return block.keys() == _TEXT and type(kind) is type(block["text"]) is str
    is_picture = kind in ("image", "document") and type(kind) is str
    return is_picture and block.keys() == _PICTURE and _is_base64(block["source"])


def _is_base64(source: object) -> bool:
    return (
        type(source) is dict
        and source.keys() == _SOURCE
        and source["type"] == "base64"
        and all(type(value) is str for value in source.values())
    )
