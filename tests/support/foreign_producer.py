"""A producer of any language: plain Redis commands, and the keys as the protocol spells them."""

import json
from typing import Any

from redis.asyncio import Redis
from support.pools import until

INBOX = "{weighbridge}:1:inbox"
HELLO = {"model": "claude-test", "messages": [{"role": "user", "content": "hello"}]}


async def ask(redis: Redis, fields: dict[Any, Any]) -> str:
    """Put a request into the inbox as a foreign producer would; returns the entry's id."""
    entry = await redis.xadd(INBOX, fields)
    assert isinstance(entry, bytes)
    return entry.decode()


async def reply(redis: Redis, reply_id: str, *, within_s: float = 10.0) -> dict[str, Any]:
    """Wait for a reply as a foreign producer would: by GET."""
    key = f"{{weighbridge}}:1:reply:{reply_id}"
    await until(lambda: redis.exists(key), within_s=within_s)
    answered: dict[str, Any] = json.loads(await redis.get(key) or b"")
    return answered


async def gone(redis: Redis) -> None:
    """Wait until the inbox holds nothing, neither unread nor pending."""

    async def empty() -> bool:
        pending = await redis.xpending(INBOX, "workers")
        return await redis.xlen(INBOX) == 0 and pending["pending"] == 0

    await until(empty)
