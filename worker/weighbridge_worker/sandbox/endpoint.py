"""``POST /v1/messages/count_tokens``, as the API answers it, or as the fault schedule says."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from aiohttp import hdrs, web

from weighbridge_worker.calls import SANDBOX_HEADER
from weighbridge_worker.sandbox.answers import FAULT_ERRORS, NO_ANSWER, Answer, send, spoiled
from weighbridge_worker.sandbox.api_errors import (
    NO_KEY,
    NOT_ALLOWED,
    NOT_FOUND,
    SPEND_LIMIT,
    TOO_LARGE,
    WRONG_KEY,
    ApiError,
    rate_limited,
)
from weighbridge_worker.sandbox.bucket import TokenBucket
from weighbridge_worker.sandbox.faults import Fault, Faults
from weighbridge_worker.sandbox.gate import Gate
from weighbridge_worker.sandbox.ledger import Ledger
from weighbridge_worker.sandbox.settings import ABSENT, RIGHT, SandboxSettings
from weighbridge_worker.sandbox.weighing import weigh

COUNT_PATH: Final = "/v1/messages/count_tokens"

_OUR_HEADERS: Final = "weighbridge-"
_IN_A_THREAD: Final = 256 * 1024
"""Bytes of a body from which on its estimate would hold up the other calls."""


class CountEndpoint:
    """Answers calls, and writes each into the ledger."""

    def __init__(
        self,
        settings: SandboxSettings,
        *,
        bucket: TokenBucket,
        faults: Faults,
        gate: Gate,
        ledger: Ledger,
    ) -> None:
        self._settings = settings
        self._bucket = bucket
        self._faults = faults
        self._gate = gate
        self._ledger = ledger
        self._jitter = Random(settings.seed)  # noqa: S311 - latencies that repeat, not a secret

    async def count(self, request: web.Request) -> web.StreamResponse:
        """Answer a call; without an answer, its attempt keeps the status None."""
        index = self._ledger.arrive(_ours(request))
        # Decided at the moment of arrival, before anything waits: so the ledger can be checked
        # against the bucket.
        refusal = self._refuse(request)
        fault = None if refusal else self._faults.draw()
        if fault:
            self._ledger.meet(index, fault)
        verdict = await self._read(request, index)
        refusal = refusal or self._fault_error(fault)
        answer = spoiled(self._answer(refusal or verdict, index), fault)
        await self._gate.passed()
        await self._wait()
        if fault not in NO_ANSWER:
            self._ledger.answer(index, answer.status)
        return await send(request, answer, fault, self._settings.drip_s)

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        """Answer a call to another path or by another method."""
        error = NOT_ALLOWED if request.path == COUNT_PATH else NOT_FOUND
        answer = Answer(error.status, error.body("req_sandbox_elsewhere"), {})
        return await send(request, answer, None, 0)

    def _refuse(self, request: web.Request) -> ApiError | None:
        key = key_of(request)
        if not key:
            return NO_KEY
        if self._settings.api_key not in (None, key):
            return WRONG_KEY
        if not self._bucket.take():
            return rate_limited(self._settings.rpm)
        return None

    def _fault_error(self, fault: Fault | None) -> ApiError | None:
        if fault is Fault.RATE_LIMITED:
            return rate_limited(self._settings.rpm)
        return FAULT_ERRORS.get(fault) if fault else None

    async def _read(self, request: web.Request, index: int) -> int | ApiError:
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return TOO_LARGE
        large = len(raw) > _IN_A_THREAD
        weighed = await asyncio.to_thread(weigh, raw) if large else weigh(raw)
        self._ledger.read(index, sha256=weighed.sha256, model=weighed.model, length=len(raw))
        return weighed.verdict

    def _answer(self, verdict: int | ApiError, index: int) -> Answer:
        request_id = f"req_sandbox{index:013d}"
        headers = {"request-id": request_id}
        if self._settings.rate_headers:
            headers |= self._rate_headers()
        if isinstance(verdict, int):
            headers[SANDBOX_HEADER] = "estimate"
            return Answer(200, b'{"input_tokens":%d}' % verdict, headers)
        if verdict.status == 429 and verdict is not SPEND_LIMIT:
            headers |= self._retry_after()
        return Answer(verdict.status, verdict.body(request_id), headers)

    def _rate_headers(self) -> dict[str, str]:
        full = datetime.now(UTC) + timedelta(seconds=self._bucket.full_in_s)
        return {
            "anthropic-ratelimit-requests-limit": f"{self._settings.rpm:.0f}",
            "anthropic-ratelimit-requests-remaining": str(self._bucket.remaining),
            "anthropic-ratelimit-requests-reset": f"{full:%Y-%m-%dT%H:%M:%SZ}",
        }

    def _retry_after(self) -> dict[str, str]:
        value = self._settings.retry_after
        if value == ABSENT:
            return {}
        if value == RIGHT:
            value = str(max(1, math.ceil(self._bucket.next_in_s)))
        return {"retry-after": value}

    async def _wait(self) -> None:
        latency = self._settings.latency_s
        if self._settings.jitter_s:
            latency += self._jitter.expovariate(1 / self._settings.jitter_s)
        if latency:
            await asyncio.sleep(latency)


def key_of(request: web.Request) -> str:
    """Read the key from either of the headers that the API takes it in."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return request.headers.get("x-api-key", "") or bearer


def _ours(request: web.Request) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in request.headers.items()
        if name.lower().startswith(_OUR_HEADERS)
    }
