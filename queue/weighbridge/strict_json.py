"""JSON read without guessing and written in one spelling.

A tree of this module holds ``dict``, ``list``, ``str``, ``bool``, ``None`` and, for every number,
``msgspec.Raw`` with the number's canonical text: so integers are exact and 1 stays apart from
1.0. The standard library parses, because only its hook sees duplicate keys.

Errors are raised outside ``except`` blocks on purpose: the library's own exceptions carry the
whole payload, and a chained one would carry it into a log.
"""

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Context, Decimal
from math import isfinite
from typing import Final, NoReturn

import msgspec

from weighbridge.errors import MalformedPayload
from weighbridge.nesting import nests_deeper

MAX_DEPTH: Final = 128
"""Arrays and objects within each other, the outermost included."""

MAX_INTEGER_DIGITS: Final = 4300
"""CPython's default bound for reading an integer, whatever this interpreter's setting."""

_NAMEABLE: Final = frozenset(
    {
        "betas",
        "cache_control",
        "citations",
        "content",
        "data",
        "description",
        "format",
        "id",
        "input",
        "input_schema",
        "is_error",
        "max_tokens",
        "media_type",
        "messages",
        "metadata",
        "model",
        "name",
        "output_config",
        "output_format",
        "role",
        "schema",
        "source",
        "stream",
        "system",
        "text",
        "thinking",
        "tool_choice",
        "tool_use_id",
        "tools",
        "ttl",
        "type",
    }
)
"""Names of the API's own fields; any other key may be the payload's text."""

_EXACT: Final = Context(traps=[])


def read_json(raw: bytes) -> object:
    """Parse JSON text.

    Raises:
        MalformedPayload: not UTF-8, not JSON, nested too deeply, or of uncertain meaning.
    """
    text = _decoded(raw)
    if nests_deeper(raw, MAX_DEPTH):
        raise too_deep()
    try:
        return _PARSER.decode(text)
    except json.JSONDecodeError as error:
        # What follows a colon in the library's message may be text of the payload.
        reason = error.msg.partition(":")[0].removesuffix(" starting at")
        fault = f"not JSON: {reason} at line {error.lineno}, column {error.colno}"
    raise MalformedPayload(fault)


def read_python(value: object, depth: int = 1) -> object:
    """Take a value of Python's own JSON types as if it had been read from its JSON text.

    Args:
        value: ``dict``, ``list``, ``tuple`` (an array), ``str``, ``int``, ``float``, ``bool``,
            ``None``, or a subclass of one.
        depth: the level at which the value stands.

    Raises:
        MalformedPayload: some part has no JSON form, or is nested too deeply.
    """
    if isinstance(value, str):
        return _plain(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _python_number(value)
    if not isinstance(value, dict | list | tuple):
        raise _no_json_form(value)
    if depth > MAX_DEPTH:
        raise too_deep()
    if isinstance(value, dict):
        return _python_object(value, depth)
    return [read_python(item, depth + 1) for item in value]


def _python_object(value: dict[object, object], depth: int) -> dict[str, object]:
    found = {
        key if type(key) is str else _python_key(key): (
            item if type(item) is str else read_python(item, depth + 1)
        )
        for key, item in value.items()
    }
    if len(found) != len(value):
        raise _duplicate([_python_key(key) for key in value])
    return found


def write_json(tree: object) -> bytes:
    """Write a tree as compact UTF-8, escaping what JSON demands and no more.

    Raises:
        MalformedPayload: a string holds half a surrogate pair, which has no UTF-8 form.
    """
    try:
        return b"".join(_written(tree))
    except UnicodeEncodeError:
        pass
    raise _half_character()


def encoded(text: str) -> bytes:
    """Encode JSON text as UTF-8.

    Raises:
        MalformedPayload: the text holds half a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass
    raise _half_character()


def _written(tree: object) -> Iterator[bytes]:
    """Yield an object's text, its lists item by item.

    One call on megabytes would hold every thread of the interpreter up.
    """
    if not isinstance(tree, dict) or not tree:
        yield _WRITER.encode(tree)
        return
    before = b"{"
    for key, value in tree.items():
        yield before + _WRITER.encode(key) + b":"
        yield from _written_items(value)
        before = b","
    yield b"}"


def _written_items(value: object) -> Iterator[bytes]:
    if not isinstance(value, list) or not value:
        yield _WRITER.encode(value)
        return
    before = b"["
    for item in value:
        yield before
        yield _WRITER.encode(item)
        before = b","
    yield b"]"


def _decoded(raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise MalformedPayload("the text begins with a byte order mark: send UTF-8 without one")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        start = error.start
    raise MalformedPayload(f"not UTF-8 at byte {start}: send JSON encoded as UTF-8")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _duplicate([name for name, _ in pairs])
    return found


def _plain(text: str) -> str:
    """Reduce a subclass, an enum's member for instance, to the text that it is."""
    return text if type(text) is str else str.__str__(text)


def _python_key(key: object) -> str:
    if not isinstance(key, str):
        raise MalformedPayload(f"a key is of type {type(key).__name__}: keys of JSON are strings")
    return _plain(key)


def _python_number(value: float) -> msgspec.Raw:
    if isinstance(value, int):
        # Decimal prints integers of any length, int only as far as the interpreter's setting.
        return _integer(str(Decimal(value)))
    if not isfinite(value):
        raise _no_number()
    return _float(float.__repr__(value))


def _integer(literal: str) -> msgspec.Raw:
    if len(literal) > MAX_INTEGER_DIGITS and len(literal.lstrip("-")) > MAX_INTEGER_DIGITS:
        raise MalformedPayload(
            f"an integer has more than {MAX_INTEGER_DIGITS:,} digits: send it as a string"
        )
    return msgspec.Raw(literal)


def _float(literal: str) -> msgspec.Raw:
    """Spell a float as the shortest text of its double, as Python's ``repr`` fixes it."""
    shortest = repr(float(literal))
    if shortest != literal and Decimal(literal, _EXACT) != Decimal(shortest, _EXACT):
        raise MalformedPayload(
            "a number would change its value as a double:"
            " write it as the shortest text of its double, or as a string"
        )
    return msgspec.Raw(shortest)


def _constant(_: str) -> NoReturn:
    raise _no_number()


def _no_number() -> MalformedPayload:
    return MalformedPayload("NaN and Infinity are not JSON: send null, a number or a string")


def too_deep() -> MalformedPayload:
    """Make the error for what nests deeper than is taken."""
    return MalformedPayload(f"nested deeper than {MAX_DEPTH} levels: send a flatter payload")


def _duplicate(names: list[str]) -> MalformedPayload:
    repeated = Counter(names).most_common(1)[0][0]
    key = f'the key "{repeated}"' if repeated in _NAMEABLE else "a key"
    return MalformedPayload(f"{key} stands twice in one object: parsers disagree, keep one")


def _half_character() -> MalformedPayload:
    return MalformedPayload(
        "a string holds half a surrogate pair, which is no character: repair or remove it"
    )


def _no_json_form(value: object) -> MalformedPayload:
    return MalformedPayload(
        f"a value is of type {type(value).__name__}, which has no JSON form:"
        " send dicts, lists, strings, numbers, booleans and None"
    )


_PARSER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_float,
    parse_int=_integer,
    parse_constant=_constant,
)
_WRITER: Final = msgspec.json.Encoder()
