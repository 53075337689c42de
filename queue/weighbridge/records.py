"""What travels: frozen records, pure data.

Those that are made for every payload are structs of msgspec, which are five times as fast to make
as frozen dataclasses; holding nothing that could hold them, they need no look by the collector.

Times are integers in microseconds and waits are relative, so that no container's clock matters.
"""

from enum import StrEnum
from typing import Literal

import msgspec

WIRE_VERSION = 1
"""The version in every key; two versions of the worker can run side by side."""


class Lane(StrEnum):
    """``interactive`` goes before ``batch``."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


Source = Literal["api", "estimate"]
"""Where a count comes from; an estimate is never presented as a count."""

CacheUse = Literal["hit", "joined", "miss"]
"""``hit``: the result was there; ``joined``: the job was; ``miss``: this submit made the job."""


class Payload(msgspec.Struct, frozen=True, gc=False):
    """A checked request body for count_tokens.

    Args:
        body: the canonical bytes, which are hashed, stored and sent as they are.
        model: the model named in the body.
        betas: sorted, unique names for the ``anthropic-beta`` header.
    """

    body: bytes
    model: str
    betas: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Payload(model={self.model!r}, {len(self.body)} bytes)"


class Job(msgspec.Struct, frozen=True, gc=False):
    """A payload on its way into the queue; the digest is its identity."""

    digest: str
    payload: Payload
    lane: Lane
    producer: str
    deadline_us: int
    """From the moment of the submit."""
    trace: str = ""
    """The submitter's trace context, see ``trace_context.py``; or empty."""


class Lease(msgspec.Struct, frozen=True):
    """The time-bounded right to make one call for a job.

    Args:
        verdict: empty for a call; otherwise the code under which the job must be ended uncalled.
        slot_us: wait until the permit allows the call, counted from the start of the request.
        ends_us: when the lease ends, counted likewise.
        trace: the trace contexts of those who submitted the job, see ``trace_context.py``.
    """

    digest: str
    token: int
    verdict: str
    slot_us: int
    ends_us: int
    deliveries: int
    attempts: int
    lane: Lane
    model: str
    betas: tuple[str, ...]
    producer: str
    age_us: int
    trace: str = ""


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """What a submit gives: enough to wait for the result, and to submit again if it is lost."""

    job: Job
    cache: CacheUse

    @property
    def digest(self) -> str:
        """The payload's digest: the job's id, and the name of its result."""
        return self.job.digest


class Counted(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="status",
    tag="counted",
    kw_only=True,
    omit_defaults=True,
):
    """A payload's input tokens.

    Args:
        source: ``estimate`` where a stand-in answered instead of the API.
        counted_at: Unix seconds of the answer.
        cache: how this caller came by it; never stored.
    """

    digest: str
    model: str
    input_tokens: int
    source: Source
    counted_at: int
    cache: CacheUse | None = None


class Failed(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="status",
    tag="failed",
    kw_only=True,
    omit_defaults=True,
):
    """A job that ended without a count: the stable ``code``, and a sentence for people.

    A request that never became a job has no digest and no model.
    """

    digest: str = ""
    model: str = ""
    code: str
    message: str
    attempts: int = 0
    cache: CacheUse | None = None


class NotCountable(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="status",
    tag="not_countable",
    kw_only=True,
    omit_defaults=True,
):
    """A payload that was refused before it became a job; it has no digest and took no permit."""

    code: str
    message: str


Result = Counted | Failed
Outcome = Counted | Failed | NotCountable

Told = Result | str
"""What is told of a job that ended: its result, or its digest alone where that is to be read."""

_results: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)
_told: msgspec.json.Decoder[list[Told]] = msgspec.json.Decoder(list[Told])

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises over a text that is none of ours, invalid as UTF-8 or deeply nested, say."""


def encode_result(result: Result) -> bytes:
    """Write a result as the JSON that travels; how this caller came by it is left out."""
    if result.cache is not None:
        result = msgspec.structs.replace(result, cache=None)
    return msgspec.json.encode(result)


def encode_reply(reply_id: str, entry: str, result: Result) -> bytes:
    """Write a result as the reply to an inbox entry; settle.lua writes the same form."""
    head = msgspec.json.encode({"id": reply_id, "entry": entry})
    return head[:-1] + b"," + encode_result(result)[1:]


def with_cache(result: Result, cache: CacheUse) -> Result:
    """Note how this caller came by a result."""
    return msgspec.structs.replace(result, cache=cache)


def read_result(text: bytes | None) -> Result | None:
    """Read a result; None where there is none, or a text that is none of ours."""
    try:
        return None if text is None else _results.decode(text)
    except _UNREADABLE:
        return None


def read_told(message: bytes) -> list[Told]:
    """Read what settle.lua tells of one call's jobs; nothing from a text that is none of ours."""
    try:
        return _told.decode(message)
    except _UNREADABLE:
        return []
