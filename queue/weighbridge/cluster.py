"""A Redis Cluster behind the commands of one server.

redis-py's client finds a key's node. What it lacks is patience: it repeats at once, so that a
fail-over of seconds outlasts its repetitions, and its pipelines close every connection first, those
of other tasks too. Here a failed command is repeated with growing pauses, and only the map of the
slots is read again.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, cast

import anyio
from redis._parsers import AsyncCommandsParser
from redis.asyncio.cluster import ClusterNode, ClusterPipeline, ClusterPubSub, RedisCluster
from redis.asyncio.retry import Retry
from redis.exceptions import (
    ConnectionError,  # noqa: A004 - redis-py's own
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
)

from weighbridge.link import LINKS
from weighbridge.retries import PASSING, never, server_error
from weighbridge.server_url import Host

T = TypeVar("T")

LOOK_EVERY_S = 0.25
"""Between two readings of the map: hundreds of waiting commands need no more than one reader."""

MANY_KEYS = frozenset({"DEL", "EXISTS", "MGET", "UNLINK"})


class KeyFirst(AsyncCommandsParser):
    """Knows where our commands have their keys; redis-py's own asks a node, which may be gone."""

    async def initialize(self, node: ClusterNode | None = None) -> None:
        """Ask nobody."""

    async def get_keys(self, *args: Any) -> tuple[Any, ...]:
        """Return a command's keys."""
        if args[0] == "XREADGROUP":
            return args[-2:-1]  # STREAMS key id: we read one stream at a time
        return args[1:] if args[0] in MANY_KEYS else args[1:2]


class ClusterClient(RedisCluster):
    """A client of all nodes.

    Args:
        nodes: some of them, to learn the others from.
        retry: says how long a command is repeated.
        options: for the connections.
    """

    def __init__(self, nodes: tuple[Host, ...], *, retry: Retry, **options: Any) -> None:
        super().__init__(
            startup_nodes=[ClusterNode(host, port) for host, port in nodes],
            # The map still names a primary that has just died, and a slot that nobody keeps fails
            # by itself.
            require_full_coverage=False,
            retry=never(),
            **options,
        )
        kind = self.connection_kwargs["connection_class"]
        self.connection_kwargs["connection_class"] = LINKS[kind]  # of the nodes that the map names
        self.commands_parser = KeyFirst()
        self._patience = retry
        self._looked_at = -LOOK_EVERY_S

    async def initialize(self, *args: Any, **options: Any) -> "ClusterClient":
        """Read the map of the slots, if that is due.

        Raises:
            ConnectionError: no node answers with one.
        """
        await anyio.sleep(max(0.0, self._looked_at + LOOK_EVERY_S - anyio.current_time()))
        self._looked_at = anyio.current_time()
        try:
            await super().initialize(*args, **options)
        except RedisClusterException as error:
            raise _connection_error(error) from error.__cause__
        return self

    async def read_map(self) -> None:
        """Read the map of the slots again; the connections stay.

        Raises:
            ConnectionError: no node answers with one.
        """
        self.map_is_old()
        await self.initialize()

    def map_is_old(self) -> None:
        """Have the next command read the map of the slots first."""
        self._initialize = True

    async def aclose(self) -> None:
        """Close all connections, those of a client that would look at the map next as well."""
        await super().aclose()
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command on its key's node."""
        once = partial(super().execute_command, *args, **options)
        return await self.patiently(once)

    async def patiently(self, do: Callable[[], Awaitable[T]]) -> T:
        """Do something until it succeeds, as often and as long as the client may.

        Raises:
            RedisError: it still fails.
        """
        try:
            return await self._patience.call_with_retry(do, _leave_alone)
        except SlotNotCoveredError as error:  # none of redis-py's own tree either
            raise ConnectionError(str(error)) from None

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> "PatientPipeline":
        """Make a pipeline; what goes to one node goes there together."""
        return PatientPipeline(self)  # type: ignore[abstract]  # as redis-py's own is

    def pubsub(self, *args: Any, **options: Any) -> "Subscription":
        """Make a subscription; the nodes pass every message on to each other."""
        return Subscription(self, **options)

    async def _execute_pipeline_by_slot(  # type: ignore[override]  # of the synchronous one
        self, command: Any, slots_to_args: Any
    ) -> list[Any]:
        """Send a command of many keys, one a slot; redis-py's own repeats it at the same nodes."""
        pipe = self.pipeline()
        for args in slots_to_args.values():
            pipe.execute_command(command, *args)
        return await pipe.execute()

    async def node_of(self, key: str) -> ClusterNode:
        """Return the primary that keeps a key.

        Raises:
            SlotNotCoveredError: there is none.
        """
        await self._ready()
        return cast("ClusterNode", self.get_node_from_key(key))

    async def primaries(self) -> list[ClusterNode]:
        """Return the nodes that keep slots."""
        await self._ready()
        nodes: list[ClusterNode] = self.get_primaries()
        return nodes

    async def _ready(self) -> None:
        if self._initialize:
            await self.patiently(self.initialize)


class PatientPipeline(ClusterPipeline):
    """A pipeline that is repeated as its client's commands are."""

    def __init__(self, client: ClusterClient) -> None:
        super().__init__(client)
        self._client = client
        self._asked: list[tuple[Any, ...]] = []
        self._key: str | None = None

    def beside(self, key: str) -> None:
        """Send everything to the node that keeps a key, whatever the commands' own keys."""
        self._key = key

    def __len__(self) -> int:
        return len(self._asked)

    def execute_command(self, *args: Any, **options: Any) -> "PatientPipeline":
        """Append a command."""
        self._asked.append(args)
        return self

    def unlink(self, *names: Any) -> Any:
        """Append an UNLINK a slot; redis-py's own is a coroutine here."""
        return self._split_command_across_slots("UNLINK", *names)

    async def execute(
        self, raise_on_error: bool = True, allow_redirections: bool = True
    ) -> list[Any]:
        """Send the commands, and return their answers in their order."""
        asked, self._asked = self._asked, []
        return await self._client.patiently(partial(self._once, asked, raise_on_error))

    async def _once(self, asked: list[tuple[Any, ...]], raise_on_error: bool) -> list[Any]:
        place = {} if self._key is None else {"target_nodes": await self._client.node_of(self._key)}
        for args in asked:
            super().execute_command(*args, **place)
        try:
            answers: list[Any] = await super().execute(raise_on_error)
            _raise_passing(answers)
        except PASSING:
            self._client.map_is_old()
            raise
        return answers


class Subscription(ClusterPubSub):
    """Subscribes anew, at the node that has the channel's slot then, when its node is gone."""

    def __init__(self, client: ClusterClient, **options: Any) -> None:
        super().__init__(client, **options)
        self._client = client
        self._wanted: tuple[Any, ...] = ()
        self._stands = False

    async def subscribe(self, *channels: Any, **handlers: Any) -> None:
        """Subscribe to channels."""
        self._wanted = channels
        await self._client.node_of(channels[0])
        await super().subscribe(*channels, **handlers)
        self._stands = True

    async def get_message(self, *args: Any, **options: Any) -> Any:
        """Wait for a message."""
        if not self._stands:
            await self._begin_anew()
        try:
            return await super().get_message(*args, **options)
        except RedisError:
            self._stands = False
            raise

    async def _begin_anew(self) -> None:
        await self.aclose()
        self.connection_pool = cast("Any", None)
        await self._client.read_map()
        await self.subscribe(*self._wanted)


async def _leave_alone(_: Exception) -> None:
    """A failed attempt leaves nothing to clean up."""


def _raise_passing(answers: list[Any]) -> None:
    for answer in answers:
        if isinstance(answer, PASSING):
            raise answer


def _connection_error(error: RedisClusterException) -> RedisError:
    """Give an error that is none of redis-py's own tree its place there."""
    cause = error.__cause__
    said = server_error(cause) if isinstance(cause, Exception) else error
    return said if isinstance(said, RedisError) else ConnectionError(str(error))
