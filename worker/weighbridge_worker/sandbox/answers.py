"""How a count, an error and each fault look on the wire."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from weighbridge_worker.sandbox.api_errors import (
    FORBIDDEN,
    OVERLOADED,
    RAMP_LIMIT,
    SERVER_ERROR,
    SPEND_LIMIT,
    WRONG_KEY,
    ApiError,
)
from weighbridge_worker.sandbox.faults import Fault

_JSON: Final = "application/json"
_HTML: Final = "text/html"
_LONGER: Final = 16
"""Bytes promised beyond those that a cut body has."""

FAULT_ERRORS: Final[Mapping[Fault, ApiError]] = {
    Fault.RAMP_LIMITED: RAMP_LIMIT,
    Fault.SPEND_LIMITED: SPEND_LIMIT,
    Fault.SERVER_ERROR: SERVER_ERROR,
    Fault.OVERLOADED: OVERLOADED,
    Fault.UNAUTHORIZED: WRONG_KEY,
    Fault.FORBIDDEN: FORBIDDEN,
}

_WRONG_BODIES: Final[Mapping[Fault, bytes]] = {
    Fault.TRUNCATED: b'{"input_tok',
    Fault.NULL_COUNT: b'{"input_tokens":null}',
    Fault.NEGATIVE_COUNT: b'{"input_tokens":-1}',
    Fault.STRING_COUNT: b'{"input_tokens":"12"}',
    Fault.EXPONENT_COUNT: b'{"input_tokens":1e3}',
    Fault.BOOLEAN_COUNT: b'{"input_tokens":true}',
    Fault.NO_COUNT: b"{}",
    Fault.LIST_ANSWER: b"[12]",
}
_PAGE: Final = b"<html><body>Please wait while we check your browser</body></html>"

NO_ANSWER: Final = frozenset({Fault.DROPPED, Fault.HANGING})
"""Faults that leave the client without a status."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it should be sent."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    content_type: str = _JSON


def spoiled(answer: Answer, fault: Fault | None) -> Answer:
    """Return what the fault makes of an answer: a 200 that gives no count, or the answer."""
    if fault is Fault.HTML:
        return replace(answer, status=200, body=_PAGE, content_type=_HTML)
    if fault is not None and fault in _WRONG_BODIES:
        return replace(answer, status=200, body=_WRONG_BODIES[fault])
    return answer


async def send(
    request: web.Request, answer: Answer, fault: Fault | None, drip_s: float
) -> web.StreamResponse:
    """Send an answer, in the way of the fault if it has one of its own."""
    match fault:
        case Fault.HANGING:
            await asyncio.Event().wait()
        case Fault.DROPPED:
            _hang_up(request)
        case Fault.CUT_BODY:
            return await _cut(request, answer)
        case Fault.SLOW_BODY:
            return await _drip(request, answer, drip_s)
    return web.Response(
        status=answer.status,
        body=answer.body,
        headers=answer.headers,
        content_type=answer.content_type,
    )


async def _cut(request: web.Request, answer: Answer) -> web.StreamResponse:
    stream = await _begin(request, answer, length=len(answer.body) + _LONGER)
    await stream.write(answer.body)
    _hang_up(request)
    return stream


async def _drip(request: web.Request, answer: Answer, drip_s: float) -> web.StreamResponse:
    stream = await _begin(request, answer, length=len(answer.body))
    for at in range(len(answer.body)):
        await asyncio.sleep(drip_s)
        await stream.write(answer.body[at : at + 1])
    return stream


async def _begin(request: web.Request, answer: Answer, *, length: int) -> web.StreamResponse:
    stream = web.StreamResponse(status=answer.status, headers=answer.headers)
    stream.content_type = answer.content_type
    stream.content_length = length
    await stream.prepare(request)
    return stream


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
