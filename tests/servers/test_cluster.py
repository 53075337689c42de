"""A queue on a Cluster: all that a client, a worker and an operator do, each key on its node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from support.pools import until
from support.sandbox_pool import sandbox_pool
from support.topologies import Topology, cluster

from weighbridge import Client, QueueSettings, QueueUnreachable
from weighbridge.admin import Admin
from weighbridge.bucket import Bucket
from weighbridge.connection import connect, read_values, walk
from weighbridge.dead import DeadLetters
from weighbridge.keys import Keys
from weighbridge.records import Counted
from weighbridge.scripts import Scripts
from weighbridge_worker.logs import make_logger
from weighbridge_worker.startup import check_server

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    """Run a cluster of three primaries."""
    with cluster(tmp_path_factory.mktemp("cluster"), replicas=False) as running:
        yield running


def payload(text: str) -> dict[str, object]:
    return {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": text}]}


async def test_results_spread_and_all_else_stands_in_one_slot(nodes: Topology) -> None:
    nodes.flush()
    async with sandbox_pool(nodes.url) as (wb, _):
        items = [item async for item in wb.count_many(payload(f"job {n}") for n in range(60))]
        assert all(isinstance(item.outcome, Counted) for item in items)
        again = [item async for item in wb.count_many(payload(f"job {n}") for n in range(60))]
        assert {item.outcome.cache for item in again if isinstance(item.outcome, Counted)} == {
            "hit"
        }
    keeping = 0
    for server in nodes.servers:
        with redis.Redis.from_url(server.url) as client:
            names = client.keys("*")
        keeping += any(name.startswith(b"{weighbridge}") for name in names)
        assert any(name.startswith(b"weighbridge:1:result") for name in names)
    assert keeping == 1


async def test_what_is_cached_is_read_walked_and_dropped_on_every_node(nodes: Topology) -> None:
    nodes.flush()
    keys = [Keys().result(f"{n:064x}") for n in range(30)]
    async with connect(nodes.url) as client:
        for key in keys[:-1]:
            await client.set(key, key)
        values = await read_values(client, keys)
        assert values == [*(key.encode() for key in keys[:-1]), None]
        found = [name async for page in walk(client, Keys().any_result, count=10) for name in page]
        assert sorted(found) == sorted(key.encode() for key in keys[:-1])
        assert await client.unlink(*keys) == 29


async def test_a_fresh_count_passes_over_the_cache(nodes: Topology) -> None:
    nodes.flush()
    async with sandbox_pool(nodes.url) as (wb, _):
        first = await wb.count(payload("a"))
        second = await wb.count(payload("a"), fresh=True)
        assert (first.cache, second.cache) == ("miss", "miss")


async def test_an_operator_sees_the_pool_and_its_dead_letters(nodes: Topology) -> None:
    nodes.flush()
    keys = Keys()
    async with sandbox_pool(nodes.url) as (wb, _), connect(nodes.url) as client:
        await wb.count(payload("a"))
        admin = Admin(client, keys, Bucket(client, keys, Scripts(keys), rpm=60))
        state = await admin.inspect()
        assert (state.cached, state.depth, len(state.workers)) == (1, 0, 1)
        letters = DeadLetters(
            client, keys, Scripts(keys), max_queue=10, max_bytes=2**25, deadline_us=60_000_000
        )
        assert await letters.find() == []


async def test_a_foreign_producer_is_answered_through_the_inbox(nodes: Topology) -> None:
    nodes.flush()
    keys = Keys()
    async with sandbox_pool(nodes.url), connect(nodes.url) as client:
        body = '{"model":"claude-sonnet-5","messages":[{"role":"user","content":"hi"}]}'
        entry: Any = await client.xadd(keys.inbox, {"payload": body, "bell": "1"})
        rung = await client.blpop([keys.bell(entry.decode())], timeout=10)
        assert rung is not None
        assert await client.get(keys.reply(entry.decode())) == rung[1]


async def test_a_worker_finds_nothing_wrong_with_it(nodes: Topology) -> None:
    nodes.flush()
    await check_server(QueueSettings(redis_url=nodes.url), make_logger("error", "json"))


async def test_a_client_of_one_node_is_told_that_it_is_a_cluster(nodes: Topology) -> None:
    others = [server for server in nodes.servers if server is not nodes.primary()]
    with pytest.raises(QueueUnreachable, match=r"redis\+cluster://"):
        async with Client.connect(others[0].url):
            pass


async def test_no_node_at_all_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(QueueUnreachable, match="does not answer"):
        async with Client.connect("redis+cluster://127.0.0.1:1,127.0.0.1:2"):
            pass


async def test_a_subscription_goes_on_at_another_node(tmp_path: Path) -> None:
    with cluster(tmp_path) as nodes:
        channel = Keys().done
        async with connect(nodes.url) as client, client.pubsub() as pubsub:
            await pubsub.subscribe(channel)
            nodes.primary().kill()
            heard = []

            async def hears() -> bool:
                try:
                    message = await pubsub.get_message(timeout=0.1)
                    send: Any = client.execute_command
                    await send("PUBLISH", channel, "x", target_nodes="random")
                except redis.RedisError:
                    return False
                if message and message["type"] == "message":
                    heard.append(message["data"])
                return bool(heard)

            await until(hears, within_s=60)
            assert heard[0] == b"x"
