"""``POST /v1/messages/count_tokens``, as the API answers it."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from weighbridge.errors import CountFailed, ResultTimeout
from weighbridge.records import Counted, Job, Lane
from weighbridge_worker.gateway.api_errors import ApiError, error_of
from weighbridge_worker.gateway.known_bodies import KnownBodies
from weighbridge_worker.gateway.outlook import Outlook
from weighbridge_worker.gateway.service import Gateway
from weighbridge_worker.gateway.tenants import Tenant
from weighbridge_worker.gateway.while_connected import while_connected

COUNT_PATH: Final = "/v1/messages/count_tokens"

COUNTING_BETA: Final = "token-counting-2024-11-01"
"""What the SDK adds to its beta calls (anthropic 2.12, resources/beta/messages/messages.py), and
the workers to theirs; left out of the digest, so that both kinds of calls share their counts."""

LANE: Final = b"x-weighbridge-lane"
PATIENCE: Final = b"x-weighbridge-patience"
BETAS: Final = b"anthropic-beta"

MIN_PATIENCE_S: Final = 0.1
"""Enough to get the job into the queue, so that asking again finds it there or counted."""


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the guarded routes."""
    return [Route(COUNT_PATH, CountTokens(gateway), methods=["POST"])]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request's head says: how long it waits, in which lane, with which betas."""

    patience_s: float
    lane: Lane
    betas: tuple[str, ...]


class CountTokens:
    """The endpoint; plain ASGI, for most of what it does is to answer from the cache."""

    def __init__(self, gateway: Gateway) -> None:
        self._client = gateway.client
        self._settings = gateway.settings
        self._bodies = gateway.bodies
        self._tally = gateway.tally
        self._last_call = gateway.last_call
        self._outlook = Outlook(gateway.admin)
        self._known = KnownBodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            ApiError: the answer is no count.
            WeighbridgeError: likewise.
        """
        tenant: Tenant = scope["state"]["tenant"]
        asked = read_head(scope, tenant, self._settings.patience_s)
        with self._bodies.open() as body:
            raw = await body.read(scope, receive)
            began = time.monotonic()
            name = self._known.name(raw, asked.betas, tenant.partition)
            known = self._known.digest(name)
            counted = None if known is None else await self._cached(known)
            if counted is None:
                job = await self._client.prepare(
                    raw,
                    lane=asked.lane,
                    betas=asked.betas,
                    producer=tenant.name,
                    partition=tenant.partition,
                )
                self._known.note(name, job.digest)
                counted = await self._count(job, asked.patience_s, receive)
        await self._answer(counted, time.monotonic() - began, send)

    async def _cached(self, digest: str) -> Counted | None:
        cached = await self._client.cached(digest)
        return cached if isinstance(cached, Counted) else None

    async def _count(self, job: Job, patience_s: float, receive: Receive) -> Counted:
        cached = await self._cached(job.digest)
        if cached is not None:
            return cached
        try:
            return await while_connected(
                receive,
                partial(self._client.count_job, job, timeout_s=patience_s),
                last_call=self._last_call,
            )
        except ResultTimeout:
            raise await self._impatient(job, patience_s) from None
        except CountFailed as failed:
            error = error_of(failed)
            error.headers["x-weighbridge-digest"] = job.digest
            raise error from None

    async def _impatient(self, job: Job, patience_s: float) -> ApiError:
        view = await self._outlook.look(job.lane)
        return ApiError(
            429,
            f"not counted within {patience_s:g} s: {view.words}; ask again for its count",
            code=ResultTimeout.code,
            retry_after_s=view.ready_in_s,
            headers={"x-weighbridge-digest": job.digest},
        )

    async def _answer(self, counted: Counted, waited_s: float, send: Send) -> None:
        cache = counted.cache or "miss"
        self._tally.cache[cache] += 1
        self._tally.waits.note(waited_s)
        body = b'{"input_tokens":%d}' % counted.input_tokens
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-weighbridge-cache", cache.encode()),
            (b"x-weighbridge-digest", counted.digest.encode()),
            (b"x-weighbridge-wait", b"%.3f" % waited_s),
        ]
        if counted.source == "estimate":
            headers.append((b"x-weighbridge-source", b"estimate"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def read_head(
    scope: Scope, tenant: Tenant, patience_s: float, lane: Lane = Lane.INTERACTIVE
) -> Asked:
    """Read what the headers ask for.

    Args:
        lane: where neither they nor the tenant say.

    Raises:
        ApiError: a header says what it cannot, or asks for a lane that the tenant may not use.
    """
    head = dict(scope["headers"])
    lane = tenant.lane or lane
    if LANE in head:
        lane = lane_of(head[LANE].decode("latin-1").strip(), tenant)
    if PATIENCE in head:
        patience_s = min(patience_s, _patience(head[PATIENCE].decode("latin-1").strip()))
    return Asked(patience_s, lane, _betas(scope) if BETAS in head else ())


def _betas(scope: Scope) -> tuple[str, ...]:
    """Read the names from one header or several."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == BETAS]
    names = (name.strip() for line in lines for name in line.split(","))
    return tuple(name for name in names if name not in {"", COUNTING_BETA})


def lane_of(text: str, tenant: Tenant) -> Lane:
    """Read a lane that the tenant may use.

    Raises:
        ApiError: it is none, or another's.
    """
    try:
        lane = Lane(text)
    except ValueError:
        raise ApiError(
            400, "x-weighbridge-lane takes interactive or batch", code="bad_header"
        ) from None
    if tenant.lane is not None and lane is not tenant.lane:
        raise ApiError(
            403, f"this token may use the lane {tenant.lane} only", code="lane_not_allowed"
        )
    return lane


def _patience(text: str) -> float:
    try:
        asked = float(text)
    except ValueError:
        asked = -1.0
    if not MIN_PATIENCE_S <= asked <= 86_400:  # also refuses nan
        raise ApiError(
            400,
            f"x-weighbridge-patience takes seconds from {MIN_PATIENCE_S} to 86400",
            code="bad_header",
        )
    return asked
