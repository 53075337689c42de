"""Payloads of a known size and price, and a pool that counts them by their length."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from support.pools import Answers, running_pool

from weighbridge import Client
from weighbridge.uses.guard import Guard, GuardDecision

MODEL = "claude-sonnet-5-5"
"""$2 a million tokens in, $10 out; half in a batch."""


def payload(tokens: int, **fields: Any) -> dict[str, Any]:
    """Make a payload of so many tokens, to be answered in at most 100."""
    bare = {"model": MODEL, "messages": [{"role": "user", "content": ""}]}
    room = tokens - len(json.dumps(bare, separators=(",", ":")))
    messages = [{"role": "user", "content": "x" * room}]
    return bare | {"messages": messages, "max_tokens": 100} | fields


def usd(tokens: int, max_tokens: int = 100) -> Decimal:
    """Price a request."""
    return (2 * Decimal(tokens) + 10 * Decimal(max_tokens)) / 1_000_000


@asynccontextmanager
async def counting(url: str, counter: Answers | None = None) -> AsyncIterator[Client]:
    """Run a worker and a client."""
    async with running_pool(url, counter or Answers()), Client.connect(url) as wb:
        yield wb


async def filtered(guard: Guard, documents: Any, **options: Any) -> list[GuardDecision]:
    """Filter to the end."""
    return [decision async for decision in guard.filter(documents, **options)]


def reasons(decisions: list[GuardDecision]) -> list[str | None]:
    """Return the reasons in their order."""
    return [decision.reason for decision in decisions]
