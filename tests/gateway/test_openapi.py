"""The OpenAPI document against a running gateway: what it says is so, and it says it all."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from starlette.routing import Route
from support.gateway_under_test import OPERATOR, GatewayUnderTest, running_gateway, tokens_file
from support.line_client import count_lines, jsonl, payload

from weighbridge_worker.gateway.app import build_app
from weighbridge_worker.gateway.counts import MEDIA_TYPE
from weighbridge_worker.gateway.openapi import openapi

NO_JSON = re.compile(r"/|/metrics|/v1/live|/dashboard.*")
"""Routes that answer with pages, metrics and streams."""

CONFIG = schemathesis.Config.from_dict(
    {
        # HTTP lets any request have headers that mean nothing to its server.
        "generation": {"allow-extra-parameters": False},
        # What is in a payload the API decides, which refuses more than its schema says; and a short
        # patience may end in 429.
        "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "429"]}},
        # A job is taken before the API has seen its payload, and any bytes are lines.
        "operations": [
            {"include-path": path, "checks": {"negative_data_rejection": {"enabled": False}}}
            for path in ("/v1/jobs", "/v1/counts")
        ],
    }
)

schema = schemathesis.openapi.from_dict(openapi(guarded=True), config=CONFIG)


@schemathesis.serializer(MEDIA_TYPE)
def lines_as_they_are(_context: Any, value: Any) -> bytes:
    """Send lines as a body of text."""
    return str(value).encode(errors="surrogatepass")


@schemathesis.deserializer(MEDIA_TYPE)
def rows_as_they_are(_context: Any, response: Any) -> str:
    """Take result lines as a text."""
    return str(response.content.decode())


@schema.auth()
class Token:
    """Shows an operator's token, where a case does not show a wrong one."""

    def get(self, _case: Any, _context: Any) -> str:
        """Return what is shown."""
        return OPERATOR

    def set(self, case: Any, data: str, _context: Any) -> None:
        """Show it."""
        case.headers["x-api-key"] = data


@pytest.fixture
def gateway(redis_url: str, tmp_path: Path) -> Iterator[GatewayUnderTest]:
    """Run a gateway on a loop of its own."""
    with start_blocking_portal() as portal:
        running = running_gateway(redis_url, tokens_file=tokens_file(tmp_path))
        with portal.wrap_async_context_manager(running) as gateway:
            yield gateway


# The tool's own strategies draw so in places.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@schema.parametrize()
@settings(
    max_examples=10,  # besides about a hundred an endpoint that the tool works out
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_gateway_answers_as_the_document_says(gateway: GatewayUnderTest, case: Any) -> None:
    case.call_and_validate(base_url=gateway.base_url)


def test_the_document_is_served_to_everybody(gateway: GatewayUnderTest) -> None:
    with urllib.request.urlopen(f"{gateway.base_url}/openapi.json") as answer:
        assert answer.headers["content-type"] == "application/json"
        assert json.load(answer) == json.loads(json.dumps(openapi(guarded=True)))


def test_every_route_is_in_the_document_and_the_other_way_round(gateway: GatewayUnderTest) -> None:
    served = set()
    for route in build_app(gateway.gateway).routes:
        assert isinstance(route, Route)
        if not NO_JSON.fullmatch(route.path):
            methods = (route.methods or set()) - {"HEAD"} or {"GET"}
            served |= {(route.path, method.lower()) for method in methods}
    document = openapi(guarded=True)
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert described == served


def test_what_the_document_refers_to_is_there() -> None:
    document = openapi(guarded=True)
    references = set(re.findall(r'"#/components/(\w+)/([^"]+)"', json.dumps(document)))
    assert len(references) > 20
    for kind, name in references:
        assert name in document["components"][kind]


def test_a_gateway_without_tokens_asks_for_none() -> None:
    operations = [one for item in openapi(guarded=False)["paths"].values() for one in item.values()]
    assert all(operation["security"] == [] for operation in operations)


@pytest.mark.asyncio
async def test_result_lines_are_what_the_document_says(redis_url: str) -> None:
    document = openapi(guarded=True)
    validators = {
        status: jsonschema_rs.validator_for(
            {**document["components"]["schemas"][name], "additionalProperties": False}
        )
        for status, name in (("counted", "CountedLine"), ("failed", "FailedLine"))
    }
    lines = jsonl(payload("hello"), {"id": "own", "payload": payload("hello")}, b"{", b"\xff")
    async with running_gateway(redis_url) as gateway:
        rows = await count_lines(gateway.base_url, lines)
    assert {row["status"] for row in rows} == {"counted", "failed"}
    for row in rows:
        validators[row["status"]].validate(row)
