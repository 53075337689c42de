"""Pages and their text."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_worker.sandbox.pdf import pdf_tokens

PAGE = 1590


def pdf(pages: int = 1, *contents: bytes) -> bytes:
    """Enough of a PDF for what counts; every content is packed."""
    objects = b"".join(b"1 0 obj<</Type /Page/Parent 2 0 R>>endobj\n" for _ in range(pages))
    streams = b"".join(
        b"<</Filter/FlateDecode>>stream\n" + zlib.compress(content) + b"\nendstream\n"
        for content in contents
    )
    return b"%PDF-1.7\n<</Type/Pages/Count 1>>\n" + objects + streams + b"%%EOF"


@pytest.mark.parametrize("pages", [1, 2, 100])
def test_every_page_costs_an_image(pages: int) -> None:
    assert pdf_tokens(pdf(pages), 1.0) == pages * PAGE


def test_pages_in_packed_object_streams_are_found() -> None:
    assert pdf_tokens(pdf(0, b"<</Type/Page>><</Type/Page>><</Type/Pages>>"), 1.0) == 2 * PAGE


def test_a_document_has_at_least_one_page() -> None:
    assert pdf_tokens(pdf(0), 1.0) == PAGE


@pytest.mark.parametrize(
    "shown",
    [
        b"(Weighed twice)",
        rb"(Weighe\(\)wice)",
        b"[(Weig) -20 (hed twice)] ",
        b"<5765696768656420747769636565>",
    ],
)
def test_text_is_measured_by_its_glyphs(shown: bytes) -> None:
    text = pdf_tokens(pdf(1, b"BT /F1 12 Tf " + shown + b" TJ ET"), 1.0) - PAGE
    assert text == pytest.approx(0.3 * 14, abs=0.7)


def test_newer_tokenizers_make_more_of_the_text_but_not_of_the_page() -> None:
    document = pdf(1, b"BT (" + b"x" * 1000 + b") Tj ET")
    assert pdf_tokens(document, 1.3) - PAGE == pytest.approx(
        1.3 * (pdf_tokens(document, 1.0) - PAGE)
    )


def test_text_outside_a_text_object_and_in_binaries_is_not_text() -> None:
    binary = bytes(range(128, 256)) + b" BT (not shown) ET"
    assert pdf_tokens(pdf(1, b"q (not shown) Q", binary), 1.0) == PAGE


def test_unpacking_is_bounded() -> None:
    bomb = pdf(1, bytes(40 * 2**20), b"BT (unseen) ET")
    assert pdf_tokens(bomb, 1.0) == PAGE


@given(st.binary())
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no PDF"):
        pdf_tokens(data.replace(b"%PDF-", b""), 1.0)


@given(st.binary())
def test_any_content_after_the_head_is_borne(data: bytes) -> None:
    assert pdf_tokens(b"%PDF-1.4\nstream\n" + data + b"\nendstream", 1.0) >= PAGE
