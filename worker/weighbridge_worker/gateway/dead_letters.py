"""``/v1/dead-letters``: the jobs that failed for good, for operators; replay by code.

A replay is asked for with a token in a header and with JSON, neither of which a page of another
site can send; without a tokens file the ``Host`` and ``Origin`` are looked at (see ``access``).
"""

from dataclasses import asdict
from typing import Final

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from weighbridge.letters import Selection
from weighbridge_worker.gateway.access import require_operator
from weighbridge_worker.gateway.api_errors import ApiError, error_of
from weighbridge_worker.gateway.service import Gateway
from weighbridge_worker.replays import ReplayTally, replay_each

MAX_LISTED: Final = 1000
MAX_BODY: Final = 4096

REPLAY_S: Final = 20.0
"""How long one request may replay; what it did not come to is listed still."""

WANTS_JSON: Final = ApiError(415, "send JSON, as application/json", code="not_json")
UNDER_WAY: Final = ApiError(
    409, "a replay is under way; try again", code="replay_under_way", retry_after_s=5
)


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/dead-letters/replay``."""

    code: str


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the guarded routes."""
    letters = DeadLetterDesk(gateway)
    return [
        Route("/v1/dead-letters", letters.find, methods=["GET"]),
        Route("/v1/dead-letters/replay", letters.replay, methods=["POST"]),
    ]


class DeadLetterDesk:
    """An operator's hands on the dead letters; one replay at a time."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._replaying = anyio.Lock()

    async def find(self, request: Request) -> Response:
        """List letters, the newest first: ``?code=`` and ``?limit=`` narrow it."""
        require_operator(request)
        limit = _limit(request.query_params.get("limit", "100"))
        selection = Selection(code=request.query_params.get("code"))
        found = await self._gateway.dead.find(selection, limit=limit + 1)
        shown = [asdict(letter) for letter in found[:limit]]
        return _json({"letters": shown, "more": len(found) > limit})

    async def replay(self, request: Request) -> Response:
        """Replay the letters of one code, the oldest first."""
        require_operator(request)
        code = (await self._asked(request)).code
        if self._replaying.locked():
            raise UNDER_WAY
        async with self._replaying:
            chosen = await self._gateway.dead.find(Selection(code=code))
            tally = ReplayTally(found=len(chosen))
            await replay_each(self._gateway.dead, chosen, tally, within_s=REPLAY_S)
        self._gateway.log.info(
            "dead_letters_replayed",
            tenant=request.state.tenant.name,
            code=code,
            found=tally.found,
            replayed=tally.outcomes["replayed"],
        )
        return _json(_described(tally))

    async def _asked(self, request: Request) -> ReplayRequest:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise WANTS_JSON
        with self._gateway.bodies.open() as body:
            text = await body.read(request.scope, request.receive, MAX_BODY)
        try:
            return msgspec.json.decode(text, type=ReplayRequest)
        except msgspec.DecodeError as error:
            raise ApiError(
                400, f'send {{"code": "<why they failed>"}}: {error}', code="wrong_request"
            ) from None


def _described(tally: ReplayTally) -> dict[str, object]:
    stopped = None if tally.stopped is None else error_of(tally.stopped).message
    said = tally.describe() if tally.found else "No dead letter failed with this code any more."
    return {
        "found": tally.found,
        "replayed": tally.outcomes["replayed"],
        "counted": tally.outcomes["counted"],
        "payload_gone": tally.outcomes["payload_gone"],
        "not_tried": tally.not_tried,
        "stopped": stopped,
        "said": f"{said} Stopped: {stopped}." if stopped else said,
    }


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LISTED):
        raise ApiError(400, f"limit takes 1 to {MAX_LISTED:,}", code="wrong_request")
    return int(text)


def _json(value: object) -> Response:
    return Response(
        msgspec.json.encode(value),
        media_type="application/json",
        headers={"cache-control": "no-store"},
    )
