"""Producers that use the client: a process of several, which ends its files when its stdin ends.

``python -m chaos.producers URL SEED FIRST COUNT`` prints their tally as one line of JSON.
"""

import sys
from random import Random

import anyio
from anyio import to_thread
from chaos.payloads import file_of, payload
from chaos.tally import Tally

from weighbridge import Client, Lane
from weighbridge.errors import QueueUnreachable
from weighbridge.settings import QueueSettings

AGAIN_S = 0.3


async def produce(url: str, seed: int, producer: int, stopping: anyio.Event) -> Tally:
    """Have file after file counted, until told to stop; the last one is finished."""
    tally, turn = Tally(), 0
    settings = QueueSettings(redis_url=url, producer=f"producer-{producer}")
    while not stopping.is_set():
        numbers = file_of(seed, producer, turn)
        tally.asked += len(numbers)
        lane = Random(f"{seed}:{producer}:{turn}").choice(list(Lane))
        while numbers:
            try:
                async with Client(settings) as client:
                    numbers = await _ask(client, numbers, lane, tally)
            except QueueUnreachable:
                tally.unreachable += 1
                await anyio.sleep(AGAIN_S)
        turn += 1
    return tally


async def _ask(client: Client, numbers: list[int], lane: Lane, tally: Tally) -> list[int]:
    """Ask for what has no count yet, as often as it takes; returns what is left of it."""
    try:
        while numbers:
            open_ = dict(enumerate(numbers))
            async for item in client.count_many((payload(n) for n in numbers), lane=lane):
                if tally.note(open_[item.index], item.outcome):
                    del open_[item.index]
            numbers = list(open_.values())
    except QueueUnreachable:
        tally.unreachable += 1
        return list(open_.values())
    return numbers


async def _main(url: str, seed: int, first: int, count: int) -> None:
    stopping, tally = anyio.Event(), Tally()

    async def one(producer: int) -> None:
        tally.add(await produce(url, seed, producer, stopping))

    async with anyio.create_task_group() as tasks:
        for producer in range(first, first + count):
            tasks.start_soon(one, producer)
        await to_thread.run_sync(sys.stdin.read)
        stopping.set()
    print(tally.to_json().decode(), flush=True)


if __name__ == "__main__":
    anyio.run(_main, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
