"""``GET /openapi.json``: the gateway's endpoints as an OpenAPI 3.1 document.

Answers are described by the types that are encoded; a test asks a running gateway by the document.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from weighbridge_worker.gateway.documents import ErrorDocument
from weighbridge_worker.gateway.openapi_parts import HEADERS, PARAMETERS, PAYLOAD, SECURITY
from weighbridge_worker.gateway.operations import (
    ALWAYS,
    DOCUMENT_PATH,
    ERROR_WORDS,
    GUARDED,
    JSON,
    OPERATIONS,
    Answer,
    Operation,
)
from weighbridge_worker.gateway.operator_operations import (
    OPERATOR_OPERATIONS,
    OPERATOR_PARAMETERS,
)
from weighbridge_worker.gateway.service import Gateway
from weighbridge_worker.lines import CountedLine, FailedLine

ALL: Final = (*OPERATIONS, *OPERATOR_OPERATIONS)
REF: Final = "#/components/schemas/{name}"


def routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the public routes."""
    document = msgspec.json.encode(openapi(guarded=gateway.tenants is not None))

    async def read(_request: Request) -> Response:
        return Response(document, media_type=JSON)

    return [Route(DOCUMENT_PATH, read, methods=["GET"])]


def openapi(*, guarded: bool) -> dict[str, Any]:
    """Make the document.

    Args:
        guarded: whether the gateway asks for tokens.
    """
    schemas, components = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for operation in ALL:
        described = _operation(operation, schemas, guarded=guarded)
        paths.setdefault(operation.path, {})[operation.method] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weighbridge",
            "version": version("weighbridge"),
            "description": "Counts Claude payloads' input tokens through a shared, rate-limited"
            " pool of workers.",
        },
        "paths": paths,
        "components": {
            "schemas": components | {"Payload": PAYLOAD},
            "parameters": PARAMETERS | OPERATOR_PARAMETERS,
            "headers": HEADERS,
            "responses": {str(status): _error(status) for status in ERROR_WORDS},
            "securitySchemes": SECURITY,
        },
    }


def _schemas() -> tuple[dict[Any, Any], dict[str, Any]]:
    """Describe all types once; a type's schema by the type, and what the schemas refer to."""
    types = list(
        {
            answer.document: None
            for operation in ALL
            for answer in operation.answers.values()
            if not isinstance(answer.document, Mapping)
        }
    )
    rows = [CountedLine, FailedLine]
    schemas, components = msgspec.json.schema_components(
        [*types, ErrorDocument, *rows], ref_template=REF
    )
    return dict(zip([*types, ErrorDocument], schemas, strict=False)), dict(components)


def _operation(
    operation: Operation, schemas: Mapping[Any, Any], *, guarded: bool
) -> dict[str, Any]:
    public = operation.public or not guarded
    answers = {
        str(status): _answer(answer, schemas) for status, answer in operation.answers.items()
    }
    described = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [{"$ref": f"#/components/parameters/{one}"} for one in operation.parameters],
        "security": [] if public else [{name: []} for name in SECURITY],
        "responses": answers | _errors(operation),
    }
    if operation.body is not None:
        media_type, schema = operation.body
        described["requestBody"] = {
            "required": media_type == JSON,
            "content": {media_type: {"schema": schema}},
        }
    return described


def _answer(answer: Answer, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    inline = isinstance(answer.document, Mapping)
    schema = answer.document if inline else schemas[answer.document]
    return {
        "description": answer.description,
        "headers": _headers("request-id", *answer.headers),
        "content": {answer.media_type: {"schema": schema}},
        "links": answer.links,
    }


def _errors(operation: Operation) -> dict[str, Any]:
    own = () if operation.public else (*GUARDED, *operation.errors)
    statuses = sorted({*own, *ALWAYS} - set(operation.answers))
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _error(status: int) -> dict[str, Any]:
    return {
        "description": ERROR_WORDS[status],
        "headers": _headers("request-id", "retry-after"),
        "content": {JSON: {"schema": {"$ref": REF.format(name=ErrorDocument.__name__)}}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
