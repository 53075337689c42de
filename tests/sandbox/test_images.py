"""Sizes from headers, and the documented formula."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_worker.sandbox.images import Image, image_tokens, read_image
from weighbridge_worker.sandbox.model_facts import ImageBounds, model_facts

AROUND = 3
STANDARD = model_facts("claude-sonnet-4-5").generation.images
HIGH = model_facts("claude-opus-4-8").generation.images
SIDES = st.integers(1, 8000)


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0"


def jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    tables = b"\xff\xdb" + struct.pack(">H", 67) + bytes(65)
    return (
        b"\xff\xd8\xff\xe0"
        + struct.pack(">H", 16)
        + b"JFIF".ljust(14, b"\0")
        + tables
        + b"\xff\xff\xc2"
        + frame
    )


def webp(form: bytes, rest: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + form + b"\0\0\0\0" + rest


def lossy(width: int, height: int) -> bytes:
    return webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height))


def lossless(width: int, height: int) -> bytes:
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14))


def extended(width: int, height: int) -> bytes:
    sides = (side.to_bytes(3, "little") for side in (width - 1, height - 1))
    return webp(b"VP8X", b"\0\0\0\0" + b"".join(sides))


@pytest.mark.parametrize(
    ("make", "media_type"),
    [
        (png, "image/png"),
        (gif, "image/gif"),
        (jpeg, "image/jpeg"),
        (lossy, "image/webp"),
        (lossless, "image/webp"),
        (extended, "image/webp"),
    ],
)
@given(width=SIDES, height=SIDES)
def test_the_header_gives_the_size(make, media_type: str, width: int, height: int) -> None:  # type: ignore[no-untyped-def]
    assert read_image(make(width, height)) == Image(media_type, width, height)


@given(
    st.one_of(
        st.binary(),
        st.sampled_from([png, gif, jpeg, lossy, extended]).flatmap(
            lambda make: st.integers(0, 30).map(lambda end: make(9, 9)[:end])
        ),
    )
)
def test_any_bytes_are_an_image_or_refused(data: bytes) -> None:
    try:
        image = read_image(data)
    except ValueError:
        return
    assert image.width > 0
    assert image.height > 0


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        read_image(png(0, 5))


@pytest.mark.parametrize(
    ("width", "height", "tiles"),
    [(28, 28, 1), (29, 28, 2), (360, 540, 13 * 20), (1000, 1000, 36 * 36), (1092, 1092, 39 * 39)],
)
def test_an_image_costs_its_tiles_of_28_pixels(width: int, height: int, tiles: int) -> None:
    assert image_tokens(Image("image/png", width, height), STANDARD) == tiles + AROUND


@given(SIDES, SIDES, st.sampled_from([STANDARD, HIGH]))
def test_a_large_image_never_costs_more_than_the_bound(
    width: int, height: int, bounds: ImageBounds
) -> None:
    assert image_tokens(Image("image/png", width, height), bounds) <= bounds.tiles + AROUND


def test_a_long_narrow_image_is_scaled_by_its_edge() -> None:
    assert image_tokens(Image("image/png", 3136, 56), STANDARD) == 56 * 1 + AROUND


def test_newer_models_see_more_of_a_large_image() -> None:
    photo = Image("image/jpeg", 4000, 3000)
    assert image_tokens(photo, STANDARD) <= 1568 + AROUND
    assert 4500 < image_tokens(photo, HIGH) <= 4784 + AROUND
