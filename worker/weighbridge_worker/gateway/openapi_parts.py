"""What the OpenAPI document's operations refer to: parameters, headers, payloads, access."""

from typing import Any, Final, get_args

from weighbridge.records import CacheUse, Lane, Source
from weighbridge_worker.gateway.count_tokens import MIN_PATIENCE_S
from weighbridge_worker.gateway.jobs import MAX_WAIT_S

_LANE: Final = {"type": "string", "enum": [lane.value for lane in Lane]}
_TEXT: Final = {"type": "string", "minLength": 1}

PARAMETERS: Final[dict[str, Any]] = {
    "betas": {
        "name": "anthropic-beta",
        "in": "header",
        "description": "Beta names, joined by commas; they are part of what is counted.",
        "schema": {"type": "string", "pattern": r"^ *([!-+\--~]+)? *(, *([!-+\--~]+)? *)*$"},
        "example": "context-1m-2025-08-07",
    },
    "lane": {
        "name": "x-weighbridge-lane",
        "in": "header",
        "description": "`interactive` goes before `batch`; a token may be bound to one of them.",
        "schema": _LANE,
    },
    "lane_query": {
        "name": "lane",
        "in": "query",
        "description": "The same, before the header's.",
        "schema": _LANE,
    },
    "patience": {
        "name": "x-weighbridge-patience",
        "in": "header",
        "description": "Seconds to wait for the count; the gateway's own patience bounds it.",
        "schema": {"type": "number", "minimum": MIN_PATIENCE_S, "maximum": 86_400},
    },
    "ordered": {
        "name": "ordered",
        "in": "query",
        "description": "`true` for results in the order of their lines.",
        "schema": {"type": "boolean", "default": False},
    },
    "wait": {
        "name": "wait",
        "in": "query",
        "description": "Seconds to wait for the job's end.",
        "schema": {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S, "default": 0},
    },
    "id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "What submitting the job answered.",
        "schema": {"type": "string", "pattern": "^job_[A-Za-z0-9_-]{64}$"},
    },
}

HEADERS: Final[dict[str, Any]] = {
    "request-id": {
        "description": "Names the request in the gateway's log.",
        "required": True,
        "schema": _TEXT,
    },
    "retry-after": {
        "description": "Seconds after which asking again makes sense, where that is known.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "location": {"description": "Where to ask.", "required": True, "schema": _TEXT},
    "x-weighbridge-cache": {
        "description": "`hit`: the count was there; `joined`: its job was; `miss`: neither.",
        "required": True,
        "schema": {"type": "string", "enum": list(get_args(CacheUse))},
    },
    "x-weighbridge-digest": {
        "description": "The payload's digest, the same for the same payload.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "x-weighbridge-wait": {
        "description": "Seconds from the body's last byte to the count.",
        "required": True,
        "schema": {"type": "number", "minimum": 0},
    },
    "x-weighbridge-source": {
        "description": "`estimate` where a stand-in answered instead of the API.",
        "schema": {"type": "string", "enum": list(get_args(Source))},
    },
}

SECURITY: Final[dict[str, Any]] = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}

PAYLOAD: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What the API's own count_tokens takes, and what only its messages endpoint"
    " takes, which adds no tokens and is left out. Fields that stand not here are passed on: the"
    " API decides about them. No `url` and `file` sources, no server tools.",
    "required": ["model", "messages"],
    "properties": {
        "model": _TEXT,
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["role", "content"],
                "properties": {
                    "role": {"type": "string", "enum": ["user", "assistant"]},
                    "content": {
                        "anyOf": [
                            _TEXT,
                            {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "object",
                                    "required": ["type"],
                                    "properties": {"type": {"type": "string"}},
                                },
                            },
                        ]
                    },
                },
            },
        },
        "system": {"type": ["string", "array", "null"]},
        "tools": {"type": ["array", "null"], "items": {"type": "object"}},
    },
    "example": {
        "model": "claude-sonnet-5-5",
        "messages": [{"role": "user", "content": "How many tokens is this?"}],
    },
}
