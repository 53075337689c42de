"""``POST /v1/jobs`` and ``GET /v1/jobs/{id}``: submit now, ask later, wait as long as it suits."""

from functools import partial
from typing import Final

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from weighbridge.errors import ResultTimeout, UnknownJob
from weighbridge.records import Lane, Result, Ticket
from weighbridge_worker.gateway.api_errors import ApiError
from weighbridge_worker.gateway.count_tokens import read_head
from weighbridge_worker.gateway.job_states import JobState, state_of
from weighbridge_worker.gateway.service import Gateway
from weighbridge_worker.gateway.tenants import Tenant
from weighbridge_worker.gateway.while_connected import while_connected

JOBS_PATH: Final = "/v1/jobs"

MAX_WAIT_S: Final = 60
"""The longest poll; proxies cut an answer that takes longer to begin."""

NO_JOB: Final = ApiError(
    404,
    "no job of yours goes by this id, or its result is gone: submit the payload again",
    code=UnknownJob.code,
)
"""Word for word the same for ids that never were, ids of others, and jobs that are forgotten."""


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the guarded routes."""
    jobs = JobsEndpoint(gateway)
    return [
        Route(JOBS_PATH, jobs.submit, methods=["POST"]),
        Route(JOBS_PATH + "/{id}", jobs.state, methods=["GET"]),
    ]


class JobsEndpoint:
    """Both endpoints."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._ids = gateway.job_ids
        self._look = gateway.job_look

    async def submit(self, request: Request) -> Response:
        """Put a payload into the queue.

        Raises:
            ApiError: the head asks for what is not there, or the body is too large.
            WeighbridgeError: the payload is refused, or the queue is.
        """
        tenant: Tenant = request.state.tenant
        asked = read_head(request.scope, tenant, self._gateway.settings.patience_s, Lane.BATCH)
        with self._gateway.bodies.open() as body:
            ticket = await self._gateway.client.submit(
                await body.read(request.scope, request.receive),
                lane=asked.lane,
                betas=asked.betas,
                producer=tenant.name,
                partition=tenant.partition,
            )
        job_id = await self._ids.make(tenant.name, ticket.digest)
        answer = _answer(state_of(job_id, ticket.digest, await self._at_once(ticket)), 202)
        answer.headers["location"] = f"{JOBS_PATH}/{job_id}"
        answer.headers["x-weighbridge-cache"] = ticket.cache
        return answer

    async def _at_once(self, ticket: Ticket) -> Result | None:
        if ticket.cache != "hit":
            return None
        try:
            return await self._look.look(ticket.digest)
        except UnknownJob:  # forgotten this very moment; whoever asks for it will be told
            return None

    async def state(self, request: Request) -> Response:
        """Say how a job stands, once it has ended or the wait is over.

        Raises:
            ApiError: there is no such job of the tenant's.
            WeighbridgeError: the queue is unreachable.
        """
        wait_s = _wait_s(request.query_params)
        job_id = request.path_params["id"]
        digest = await self._ids.read(request.state.tenant.name, job_id)
        if digest is None:
            raise NO_JOB
        try:
            result = await self._look.look(digest)
            if result is None and wait_s:
                result = await while_connected(
                    request.receive,
                    partial(self._wait, digest, wait_s),
                    last_call=self._gateway.last_call,
                )
        except UnknownJob:
            raise NO_JOB from None
        return _answer(state_of(job_id, digest, result), 200)

    async def _wait(self, digest: str, wait_s: float) -> Result | None:
        try:
            return await self._gateway.client.result(digest, timeout_s=wait_s)
        except ResultTimeout:
            return None


def _answer(state: JobState, status: int) -> Response:
    return Response(
        msgspec.json.encode(state),
        status_code=status,
        media_type="application/json",
        headers={"cache-control": "no-store", "x-weighbridge-digest": state.digest},
    )


def _wait_s(query: QueryParams) -> float:
    text = query.get("wait", "0")
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = -1.0
    if not 0 <= wait_s <= MAX_WAIT_S:  # also refuses nan
        raise ApiError(400, f"wait takes seconds from 0 to {MAX_WAIT_S}", code="bad_query")
    return wait_s
