"""The tokens of a PDF: every page as an image, and the text on it.

A page is rendered, and its text is given beside it; the documentation speaks of 1,500 to 3,000
tokens a page (https://platform.claude.com/docs/en/build-with-claude/pdf-support). Not calibrated:
1,590 a page is what near-empty A4 and Letter pages cost in recordings, on either tokenizer. Text
is measured by the glyphs that the page's content shows, in any font and coding.
"""

import re
import zlib
from typing import Final

_PER_PAGE: Final = 1590
_PER_GLYPH: Final = 0.3

_PAGE: Final = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_STREAM: Final = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_TEXT_OBJECT: Final = re.compile(rb"\bBT\b")
_SHOWN: Final = re.compile(rb"\(((?:\\.|[^\\()])*)\)|<([0-9A-Fa-f\s]+)>", re.DOTALL)

_MOST_UNPACKED: Final = 16 * 2**20
"""Bytes a document's streams may unpack to; what comes after is not looked at."""

_ZLIB: Final = (b"\x08", b"\x18", b"\x28", b"\x38", b"\x48", b"\x58", b"\x68", b"\x78")
"""What packed streams begin with: the method, 8, and eight sizes of the window."""


def pdf_tokens(data: bytes, text_scale: float) -> float:
    """Return the tokens of a PDF for a tokenizer of this scale.

    Raises:
        ValueError: it is no PDF.
    """
    if b"%PDF-" not in data[:1024]:
        raise ValueError("the document is no PDF")
    contents = _unpacked(data)
    # Newer files keep their page objects in packed streams too.
    pages = sum(len(_PAGE.findall(part)) for part in (_STREAM.sub(b"", data), *contents))
    glyphs = sum(_glyphs(content) for content in contents if _is_page_content(content))
    return max(pages, 1) * _PER_PAGE + glyphs * _PER_GLYPH * text_scale


def _unpacked(data: bytes) -> list[bytes]:
    room = _MOST_UNPACKED
    contents: list[bytes] = []
    for match in _STREAM.finditer(data):
        content = _inflate(match[1], room)
        contents.append(content)
        room -= len(content)
        if room <= 0:
            break
    return contents


def _inflate(stream: bytes, most: int) -> bytes:
    if not stream.startswith(_ZLIB):
        return stream[:most]
    try:
        return zlib.decompressobj().decompress(stream, most)
    except zlib.error:
        return b""


def _is_page_content(content: bytes) -> bool:
    """Say whether it shows text; fonts and pictures may hold the same letters by chance."""
    return content[:256].isascii() and _TEXT_OBJECT.search(content) is not None


def _glyphs(content: bytes) -> float:
    return sum(
        len(match[1]) if match[1] is not None else len(match[2]) / 2
        for match in _SHOWN.finditer(content)
    )
