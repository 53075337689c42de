"""A producer that submits and goes away may wait until replicas have the job."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from support.own_server import own_server
from support.processes import eventually
from support.topologies import Topology, cluster, free_ports

from weighbridge import Client, NotReplicated, QueueSettings
from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge.replication import Replication
from weighbridge_worker.server import ServerProcess

pytestmark = pytest.mark.asyncio

PAYLOAD = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "Hello"}]}
Pair = tuple[ServerProcess, ServerProcess]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Run a primary and its replica."""
    [port] = free_ports(1)
    with ExitStack() as stack:
        primary = stack.enter_context(own_server(tmp_path / "p", port=port))
        follow = f"--replicaof 127.0.0.1 {port} --repl-diskless-sync-delay 0"
        replica = stack.enter_context(own_server(tmp_path / "r", follow))
        with redis.Redis.from_url(replica.url) as client:
            assert eventually(lambda: client.info()["master_link_status"] == "up", within_s=60)
        yield primary, replica


def waiting_for(url: str, replicas: int) -> QueueSettings:
    return QueueSettings(redis_url=url, wait_replicas=replicas)


async def test_a_submitted_job_is_on_the_replica(pair: Pair) -> None:
    primary, replica = pair
    async with Client.connect(settings=waiting_for(primary.url, 1)) as wb:
        ticket = await wb.submit(PAYLOAD)
    with redis.Redis.from_url(replica.url) as client:
        assert client.hget(Keys().job(ticket.digest), "lane") == b"batch"
        assert client.exists(Keys().payload(ticket.digest))


async def test_too_few_replicas_are_said_and_the_job_is_queued(pair: Pair) -> None:
    primary, replica = pair
    replica.kill()
    async with Client.connect(settings=waiting_for(primary.url, 1)) as wb:
        with pytest.raises(NotReplicated, match="0 of 1 replicas have it after 1 s"):
            await wb.submit(PAYLOAD)
    with redis.Redis.from_url(primary.url) as client:
        assert client.zcard(Keys().deadlines) == 1


async def test_without_the_setting_nobody_waits(pair: Pair) -> None:
    primary, replica = pair
    replica.kill()
    async with Client.connect(settings=waiting_for(primary.url, 0)) as wb:
        assert (await wb.submit(PAYLOAD)).cache == "miss"


async def test_a_job_that_a_failover_lost_is_submitted_again(pair: Pair) -> None:
    primary, _ = pair

    class Losing(Replication):
        losses = 1

        async def reached(self, digests: Sequence[str]) -> bool:
            if self.losses:
                self.losses -= 1
                async with connect(primary.url) as client:
                    await client.flushall()
            return await super().reached(digests)

    async with (
        Client.connect(settings=waiting_for(primary.url, 1)) as wb,
        connect(primary.url) as client,
    ):
        wb._replication = Losing(client, Keys(), replicas=1)
        ticket = await wb.submit(PAYLOAD)
        assert await client.hget(Keys().job(ticket.digest), "lane") == b"batch"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    """Run a cluster with replicas."""
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


async def test_on_a_cluster_the_replica_of_the_queue_is_waited_for(nodes: Topology) -> None:
    async with Client.connect(settings=waiting_for(nodes.url, 1)) as wb:
        assert (await wb.submit(PAYLOAD)).cache == "miss"
    async with Client.connect(settings=waiting_for(nodes.url, 2)) as wb:
        with pytest.raises(NotReplicated, match="1 of 2"):
            await wb.submit(PAYLOAD)
