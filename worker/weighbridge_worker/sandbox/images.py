"""The size of an image from its header, and the tokens that it costs.

``⌈width / 28⌉ × ⌈height / 28⌉`` after scaling down to the model's bounds
(https://platform.claude.com/docs/en/build-with-claude/vision). Not calibrated: the one recorded
image costs its tiles and three tokens.
"""

import math
import struct
from dataclasses import dataclass
from typing import Final

from weighbridge_worker.sandbox.model_facts import ImageBounds

TILE: Final = 28
_AROUND_AN_IMAGE: Final = 3

_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers; the three between are tables."""

_JPEG_BARE: Final = frozenset({0x01, 0xFF, *range(0xD0, 0xDA)})
"""Markers without a length of their own."""


@dataclass(frozen=True, slots=True)
class Image:
    """What the header says; ``media_type`` is what the image is, not what it is called."""

    media_type: str
    width: int
    height: int


def read_image(data: bytes) -> Image:
    """Read the header of a PNG, JPEG, GIF or WebP.

    Raises:
        ValueError: it is none of these, or cut short.
    """
    try:
        image = _read(data)
    except (struct.error, IndexError):
        raise ValueError("the image is cut short") from None
    if image.width < 1 or image.height < 1:
        raise ValueError("the image is empty")
    return image


def image_tokens(image: Image, bounds: ImageBounds) -> int:
    """Return the tokens of an image for a model with these bounds."""
    pixels = bounds.tiles * TILE * TILE
    scale = min(
        1.0,
        bounds.edge / max(image.width, image.height),
        math.sqrt(pixels / (image.width * image.height)),
    )
    tiles = math.ceil(image.width * scale / TILE) * math.ceil(image.height * scale / TILE)
    return min(tiles, bounds.tiles) + _AROUND_AN_IMAGE


def _read(data: bytes) -> Image:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return Image("image/png", *struct.unpack_from(">II", data, 16))
    if data.startswith((b"GIF87a", b"GIF89a")):
        return Image("image/gif", *struct.unpack_from("<HH", data, 6))
    if data.startswith(b"\xff\xd8"):
        return _read_jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _read_webp(data)
    raise ValueError("the image is no PNG, JPEG, GIF or WebP")


def _read_jpeg(data: bytes) -> Image:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Image("image/jpeg", width, height)
        if marker in _JPEG_BARE:
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise ValueError("the JPEG has no frame")


def _read_webp(data: bytes) -> Image:
    form = data[12:16]
    if form == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif form == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif form == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("the WebP is of an unknown form")
    return Image("image/webp", width, height)
