"""JSONL in, JSONL out: what a line of payloads means, and what a line of results says."""

from typing import Literal

import msgspec

from weighbridge.count_stream import Item
from weighbridge.records import CacheUse, Counted, Source

LineId = str | int | None


class _Envelope(msgspec.Struct):
    """A line of the form ``{"id": …, "payload": {…}}``."""

    payload: msgspec.Raw
    id: LineId = None


class CountedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was counted; ``line`` counts from 1, ``id`` is the line's own."""

    line: int
    id: LineId
    digest: str
    status: Literal["counted"]
    model: str
    input_tokens: int
    source: Source
    cache: CacheUse | None


class FailedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was not; without a digest where it never became a job."""

    line: int
    id: LineId
    digest: str | None
    status: Literal["failed"]
    code: str
    message: str


def open_line(text: bytes) -> tuple[LineId, bytes]:
    """Split a line into its id and its payload; a bare payload has no id.

    What is neither is left for the payload check to refuse.
    """
    try:
        envelope = msgspec.json.decode(text, type=_Envelope)
    except msgspec.DecodeError:
        return None, text
    return envelope.id, bytes(envelope.payload)


def line_result(line: int, line_id: LineId, item: Item) -> CountedLine | FailedLine:
    """Say what became of a line."""
    outcome = item.outcome
    if isinstance(outcome, Counted):
        return CountedLine(
            line=line,
            id=line_id,
            digest=outcome.digest,
            status="counted",
            model=outcome.model,
            input_tokens=outcome.input_tokens,
            source=outcome.source,
            cache=outcome.cache,
        )
    return failed_line(line, line_id, item.digest, outcome.code, outcome.message)


def failed_line(
    line: int, line_id: LineId, digest: str | None, code: str, message: str
) -> FailedLine:
    """Say why a line was not counted."""
    return FailedLine(
        line=line, id=line_id, digest=digest, status="failed", code=code, message=message
    )
