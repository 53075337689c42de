"""What the OpenAPI document says of each endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from weighbridge_worker.gateway.count_tokens import COUNT_PATH
from weighbridge_worker.gateway.counts import COUNTS_PATH, MEDIA_TYPE
from weighbridge_worker.gateway.documents import Health, TokenCount
from weighbridge_worker.gateway.job_states import JobState
from weighbridge_worker.gateway.jobs import JOBS_PATH

JSON: Final = "application/json"
DOCUMENT_PATH: Final = "/openapi.json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One status of an operation.

    Args:
        document: the type of its JSON, or the schema of another text.
        headers: names of the document's headers besides ``request-id``.
    """

    description: str
    document: Any
    media_type: str = JSON
    headers: tuple[str, ...] = ()
    links: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Args:
        parameters: names of the document's parameters.
        body: media type and schema of the request, or None; JSON must be there.
        errors: statuses besides those that any guarded endpoint may answer.
        public: asked without a token.
    """

    path: str
    method: str
    name: str
    summary: str
    description: str
    answers: Mapping[int, Answer]
    parameters: tuple[str, ...] = ()
    body: tuple[str, Mapping[str, Any]] | None = None
    errors: tuple[int, ...] = ()
    public: bool = False


BODY_ERRORS: Final = (400, 408, 413, 415, 529)
PAYLOAD: Final = (JSON, {"$ref": "#/components/schemas/Payload"})
LINES: Final = {
    "type": "string",
    "description": "A line each: a Payload, or an object with `payload` and an `id` of your own, a"
    " text or a whole number. Empty lines are passed over.",
}
ROWS: Final = {
    "type": "string",
    "description": "A line each: a CountedLine or a FailedLine.",
}
COUNT_HEADERS: Final = ("x-weighbridge-cache", "x-weighbridge-digest")

OPERATIONS: Final = (
    Operation(
        COUNT_PATH,
        "post",
        "countTokens",
        "Count one payload's input tokens, as the API does",
        "Waits up to its patience for the count; then the answer is 429, the job goes on, and its"
        " count will be in the cache. The lane is `interactive` unless asked otherwise.",
        {
            200: Answer(
                "The count.",
                TokenCount,
                headers=(*COUNT_HEADERS, "x-weighbridge-wait", "x-weighbridge-source"),
            )
        },
        parameters=("betas", "lane", "patience"),
        body=PAYLOAD,
        errors=(*BODY_ERRORS, 404, 504),
    ),
    Operation(
        COUNTS_PATH,
        "post",
        "countLines",
        "Count many payloads, a line each",
        "Results are sent as they come, while the body is still being read: read while you send."
        " Every line that is not empty has a result line, a wrong one too; what ends a request"
        " early is said in the result lines of what was left (`slow`, `stopping`,"
        " `queue_unreachable`). The jobs of a client that leaves go on, for the cache. The lane is"
        " `batch` unless asked otherwise.",
        {200: Answer("Result lines.", ROWS, MEDIA_TYPE)},
        parameters=("betas", "lane", "lane_query", "ordered"),
        body=(MEDIA_TYPE, LINES),
        errors=(400, 408, 415, 529),
    ),
    Operation(
        JOBS_PATH,
        "post",
        "submitJob",
        "Submit one payload and go on",
        "The same payload is the same job. Its id is of use to no other tenant. The lane is `batch`"
        " unless asked otherwise.",
        {
            202: Answer(
                "The job, with its count if that was in the cache.",
                JobState,
                headers=("location", *COUNT_HEADERS),
                links={
                    "state": {
                        "operationId": "readJob",
                        "parameters": {"id": "$response.body#/id"},
                    }
                },
            )
        },
        parameters=("betas", "lane"),
        body=PAYLOAD,
        errors=BODY_ERRORS,
    ),
    Operation(
        JOBS_PATH + "/{id}",
        "get",
        "readJob",
        "See how a job stands, or wait for its end",
        "A count is kept as long as the cache keeps it, a failure for five minutes; then the job is"
        " as unknown as one that never was, or one of another tenant.",
        {200: Answer("The job.", JobState, headers=("x-weighbridge-digest",))},
        parameters=("id", "wait"),
        errors=(400, 404),
    ),
    Operation(
        "/live",
        "get",
        "live",
        "Whether the gateway runs",
        "For probes.",
        {200: Answer("It does.", Health)},
        public=True,
    ),
    Operation(
        "/ready",
        "get",
        "ready",
        "Whether the gateway's queue answers",
        "For probes.",
        {200: Answer("It does.", Health), 503: Answer("It does not.", Health)},
        public=True,
    ),
    Operation(
        DOCUMENT_PATH,
        "get",
        "openapi",
        "This document",
        "OpenAPI 3.1.",
        {200: Answer("The document.", {"type": "object"})},
        public=True,
    ),
)

ERROR_WORDS: Final[Mapping[int, str]] = {
    400: "The request or its payload is wrong.",
    401: "No token, or none that is known.",
    403: "The token may not do this.",
    404: "There is no such model or job.",
    408: "The request came too slowly.",
    409: "Another replay is under way.",
    413: "The body is too large.",
    415: "The body is compressed.",
    429: "The token's rate is reached, or the count took longer than the patience.",
    500: "An error of the gateway's or the pool's own.",
    503: "The queue cannot be reached, or the gateway stops.",
    504: "The job could not be counted in time.",
    529: "The queue or the gateway is full.",
}
ALWAYS: Final = (500, 503)
GUARDED: Final = (401, 403, 429)
