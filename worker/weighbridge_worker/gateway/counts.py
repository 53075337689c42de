"""``POST /v1/counts``: many payloads in one request, a line each; their results as they come."""

from typing import Final

from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from weighbridge.payload import beta_name
from weighbridge.records import Lane
from weighbridge_worker.gateway.api_errors import ApiError
from weighbridge_worker.gateway.bounds import refuse_by_head
from weighbridge_worker.gateway.count_tokens import lane_of, read_head
from weighbridge_worker.gateway.counts_run import CountsOrder, CountsRun
from weighbridge_worker.gateway.service import Gateway
from weighbridge_worker.gateway.tenants import Tenant

COUNTS_PATH: Final = "/v1/counts"
MEDIA_TYPE: Final = "application/x-ndjson"


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the guarded routes."""
    return [Route(COUNTS_PATH, Counts(gateway), methods=["POST"])]


class Counts:
    """The endpoint; plain ASGI, for it answers while it still reads."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            ApiError: the head asks for what is not there.
            MalformedPayload: a beta's name is none.
            ClientDisconnect: the client left.
        """
        order = self._order(scope)
        headers = [(b"content-type", MEDIA_TYPE.encode())]
        # At once: many a client sends its first line only when it has the head.
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await CountsRun(self._gateway, order, scope["state"]["connection"], receive, send).run()

    def _order(self, scope: Scope) -> CountsOrder:
        refuse_by_head(scope, limit=None)
        tenant: Tenant = scope["state"]["tenant"]
        asked = read_head(scope, tenant, self._gateway.settings.patience_s, Lane.BATCH)
        query = QueryParams(scope["query_string"])
        return CountsOrder(
            tenant=tenant,
            lane=lane_of(query["lane"], tenant) if "lane" in query else asked.lane,
            betas=tuple(beta_name(beta) for beta in asked.betas),
            ordered=_switch(query.get("ordered", "false")),
            limiter=scope["state"]["limiter"],
        )


def _switch(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ApiError(400, "ordered takes true or false", code="bad_query")
    return text == "true"
