"""Who touches a queue under test: its owner may do all, each role only what its ACL user may."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from support.acl import UNDER_ACL, as_user

from weighbridge.connection import Command, RedisClient, connect, connect_unrepeated
from weighbridge.script import Arg, Script
from weighbridge.scripts import Scripts

ROLES = ("producer", "worker", "operator")
PRODUCERS = ("submit", "cancel", "retract")
OPERATORS = ("drop", "limit", "scope_reset")


@dataclass(frozen=True, slots=True)
class Hands:
    """Clients of one server, all the same where it has no users.

    Args:
        owner: for what no script of ours does, and for looks.
        taking: the worker's, which repeats nothing.
    """

    owner: RedisClient
    producer: RedisClient
    worker: RedisClient
    operator: RedisClient
    taking: RedisClient


class AsRole:
    """A script that is run by the role that runs it in earnest, whatever client is given."""

    def __init__(self, script: Script, client: RedisClient, owner: RedisClient) -> None:
        self._script = script
        self._client = client
        self._owner = owner

    async def __call__(
        self,
        redis: RedisClient,
        keys: Sequence[str],
        args: Sequence[Arg],
        *,
        first: Sequence[Command] = (),
    ) -> Any:
        client = self._client if redis is self._owner else redis
        return await self._script(client, keys, args, first=first)


def let_roles_run(scripts: Scripts, hands: Hands) -> None:
    """Give each script of a namespace to its role."""
    for name, script in list(vars(scripts).items()):
        if isinstance(script, Script):
            word = name.removeprefix("_")
            client = hands.producer if word in PRODUCERS else hands.worker
            client = hands.operator if word in OPERATORS else client
            setattr(scripts, name, AsRole(script, client, hands.owner))


def one_hand(client: RedisClient) -> Hands:
    """Let one client be everybody."""
    return Hands(client, client, client, client, client)


@asynccontextmanager
async def hands_on(url: str) -> AsyncIterator[Hands]:
    """Connect everybody, and close the connections."""

    owner = connect(url)
    producer = worker = operator = owner
    taking = connect_unrepeated(as_user(url, "worker") if UNDER_ACL else url)
    if UNDER_ACL:
        producer, worker, operator = (connect(as_user(url, user)) for user in ROLES)
    try:
        yield Hands(owner, producer, worker, operator, taking)
    finally:
        for client in (owner, producer, worker, operator, taking):
            await client.aclose()
