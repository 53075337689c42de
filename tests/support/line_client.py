"""A client of ``POST /v1/counts`` that sends and reads at once, as it likes."""

import json
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

MODEL = "claude-sonnet-5-5"


def payload(text: str, **fields: Any) -> dict[str, Any]:
    """Make a payload of one message."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


def jsonl(*lines: Any) -> bytes:
    """Write lines; bytes as they are."""
    return b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )


@asynccontextmanager
async def counting(
    base_url: str,
    body: bytes | AsyncIterable[bytes],
    *,
    token: str = "",
    headers: Mapping[str, str] | None = None,
    **query: str,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Send a body of lines; the answer may be read while it is still being sent."""
    access = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=110)) as session,
        session.post(
            base_url + "/v1/counts", data=body, params=query, headers={**access, **(headers or {})}
        ) as answer,
    ):
        yield answer


async def next_row(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read one result line."""
    line = await answer.content.readline()
    row: dict[str, Any] = json.loads(line)
    return row


async def count_lines(base_url: str, body: bytes, **given: Any) -> list[dict[str, Any]]:
    """Send a body and read all result lines."""
    async with counting(base_url, body, **given) as answer:
        text = await answer.read()
        assert answer.status == 200, text
        assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in text.splitlines()]
