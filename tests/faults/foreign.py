"""A producer without our client: XADD and GET, and XADD again where no reply comes."""

import json

import anyio
from faults.loads import ProducersLedger
from faults.stage import KEYS, Stage
from support.pools import until

from weighbridge.records import read_result

PATIENT_S = 1.0
"""After so long without a reply the request is written again, under a new id."""

AT_ONCE = 100


async def count_as_foreigner(stage: Stage, ledger: ProducersLedger) -> None:
    """Count every load through the inbox, some at once."""
    left = list(range(len(ledger.loads)))
    with anyio.move_on_after(stage.run.patience_s):
        while left:
            chosen, left = left[:AT_ONCE], left[AT_ONCE:]
            while chosen:
                chosen = await _ask(stage, ledger, chosen)


async def _ask(stage: Stage, ledger: ProducersLedger, indexes: list[int]) -> list[int]:
    """Write requests and wait for their replies; returns those that got none in time."""
    pipe = stage.redis.pipeline(transaction=False)
    for index in indexes:
        pipe.xadd(KEYS.inbox, {"payload": json.dumps(ledger.loads[index].body)})
    entries = dict(zip(indexes, await pipe.execute(), strict=True))
    with anyio.move_on_after(PATIENT_S):
        while entries:
            replies = await stage.redis.mget(
                [KEYS.reply(entry.decode()) for entry in entries.values()]
            )
            for index, reply in zip(list(entries), replies, strict=True):
                if reply is not None:
                    result = read_result(reply)
                    assert result is not None, f"no result: {reply!r}"
                    ledger.note(index, result)
                    del entries[index]
            await anyio.sleep(0.01)
    return list(entries)


async def ask_raw(stage: Stage, text: bytes) -> bytes:
    """Write bytes as they are and return the reply."""
    entry = await stage.redis.xadd(KEYS.inbox, {"payload": text})
    replies: list[bytes] = []

    async def answered() -> bool:
        reply = await stage.redis.get(KEYS.reply(entry.decode()))
        replies.extend([reply] if reply is not None else [])
        return bool(replies)

    await until(answered)
    return replies[0]
