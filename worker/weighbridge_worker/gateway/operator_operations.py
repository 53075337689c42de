"""What the OpenAPI document says of the operators' endpoints."""

from typing import Final

import msgspec

from weighbridge.letters import DeadLetter
from weighbridge_worker.gateway.dead_letters import MAX_LISTED
from weighbridge_worker.gateway.operations import JSON, Answer, Operation
from weighbridge_worker.watch.snapshot import Snapshot


class DeadLetters(msgspec.Struct, frozen=True):
    """The newest letters; ``more`` tells that there are others."""

    letters: list[DeadLetter]
    more: bool


class Replayed(msgspec.Struct, frozen=True):
    """What became of each letter, and why the replay stopped before its end."""

    found: int
    replayed: int
    counted: int
    payload_gone: int
    not_tried: int
    stopped: str | None
    said: str


OPERATOR_PARAMETERS: Final = {
    "code": {
        "name": "code",
        "in": "query",
        "description": "Only letters that failed so.",
        "schema": {"type": "string"},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "How many at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": 100},
    },
}

OPERATOR_OPERATIONS: Final = (
    Operation(
        "/v1/dead-letters",
        "get",
        "listDeadLetters",
        "List jobs that failed for good",
        "For operators; the newest first.",
        {200: Answer("The letters.", DeadLetters, headers=())},
        parameters=("code", "limit"),
        errors=(400,),
    ),
    Operation(
        "/v1/dead-letters/replay",
        "post",
        "replayDeadLetters",
        "Submit jobs again that failed for good",
        "For operators; the oldest first, for 20 s at most.",
        {200: Answer("What became of them.", Replayed)},
        body=(
            JSON,
            {
                "type": "object",
                "required": ["code"],
                "properties": {"code": {"type": "string"}},
                "additionalProperties": False,
            },
        ),
        errors=(400, 408, 409, 413, 415, 529),
    ),
    Operation(
        "/v1/snapshot",
        "get",
        "snapshot",
        "See how the pool stands",
        "For operators; `/v1/live` is a stream of the same, a server-sent event a second.",
        {200: Answer("The pool.", Snapshot)},
    ),
)
