"""How deep JSON text nests, told before it is parsed, without recursion."""

from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

PIECE_BYTES: Final = 256 * 1024
"""What is looked through at once."""

_MARKS: Final = b'[]{}"'
_AS_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_ALL_BUT_MARKS: Final = bytes(set(range(256)) - set(_MARKS))
# An escape's letter must stay beside its backslash.
_ALL_BUT_MARKS_AND_ESCAPES: Final = bytes(set(_ALL_BUT_MARKS) - set(b"\\/bfnrtu"))


def nests_deeper(raw: bytes, bound: int) -> bool:
    """Tell whether arrays and objects nest deeper than ``bound``, as far as a parser could read."""
    return _may_nest_deeper(raw, bound) and _depth(raw) > bound


def _may_nest_deeper(raw: bytes, bound: int) -> bool:
    """Tell whether enough brackets open for it.

    A search, not a count: it passes over an image's megabytes at the speed of memory.
    """
    return _opens_more(raw, b"[", bound // 2) or _opens_more(raw, b"{", bound // 2)


def _opens_more(raw: bytes, opener: bytes, bound: int) -> bool:
    at = -1
    for _ in range(bound + 1):
        at = raw.find(opener, at + 1)
        if at < 0:
            return False
    return True


def _depth(raw: bytes) -> int:
    """Measure the deepest nesting of the text, as far as a parser could read it."""
    deepest = depth = 0
    for piece in _outside_strings(raw):
        depths = list(accumulate(array("b", piece), initial=depth))
        depth, deepest = depths[-1], max(deepest, *depths)
    return deepest


def _outside_strings(raw: bytes) -> Iterator[bytes]:
    """Yield the brackets outside strings, opening as 1 and closing as -1.

    In pieces, because one call on megabytes would hold every thread of the interpreter up.
    """
    inside, backslash = 0, b""
    for start in range(0, len(raw), PIECE_BYTES):
        piece = raw[start : start + PIECE_BYTES].translate(None, _ALL_BUT_MARKS_AND_ESCAPES)
        # A backslash at the end escapes the next piece's first character.
        piece = (backslash + piece).replace(rb"\\", b"")
        backslash = piece[-1:] if piece.endswith(b"\\") else b""
        # Without escaped ones every quote begins or ends a string.
        piece = piece.removesuffix(b"\\").replace(rb"\"", b"")
        parts = piece.translate(_AS_STEPS, _ALL_BUT_MARKS).split(b'"')
        yield b"".join(parts[inside::2])
        inside = (inside + len(parts) - 1) % 2
