"""Every command a worker sends, in a form that changes nothing, to learn which are refused.

A script may run no command that its caller may not, so that what the scripts need stands here too.
The ACL in ``deploy/redis`` gives a worker these and no others; a test holds the two together.
"""

import secrets
from collections.abc import Iterable, Sequence

from redis.exceptions import NoPermissionError, OutOfMemoryError

from weighbridge.connection import RedisClient, ask_server
from weighbridge.keys import Keys
from weighbridge.scripts import INBOX_GROUP

Command = tuple[str | int | float, ...]

SCRATCH_MS = 60_000

PRODUCER_NOT = frozenset(
    (
        *(
            "LTRIM",
            "PUBLISH",
            "SPOP",
            "XAUTOCLAIM",
            "XCLAIM",
            "XGROUP CREATE",
            "XGROUP DELCONSUMER",
        ),
        *("XINFO CONSUMERS", "XPENDING", "XRANGE", "XREADGROUP", "ZPOPMIN"),
    )
)
OPERATOR_NOT = PRODUCER_NOT - {"XRANGE"} | {"BLPOP", "XADD", "ZRANGEBYSCORE"}
OPERATOR = frozenset({"SCAN", "XREVRANGE"})
"""What the other roles of ``deploy/redis/users.acl`` need less, or more, than a worker."""


async def refused_commands(redis: RedisClient, keys: Keys) -> list[str]:
    """Return the names of the commands that the server's ACL refuses us.

    Raises:
        ReadOnlyError: the server is a replica.
        RedisError: it does not answer, does not know us, or cannot write.
    """
    scratch = f"{keys.prefix}check:{secrets.token_hex(8)}"
    try:
        await redis.set(scratch, "", px=SCRATCH_MS)
    except NoPermissionError:
        return ["SET"]
    except OutOfMemoryError:
        pass  # a full server refuses what is new, and is drained by the rest
    return _names(await _refused(redis, scratch, rehearsal(keys, scratch)))


async def refused_by_role(redis: RedisClient, keys: Keys) -> dict[str, list[str]]:
    """Return, for each role that our user might have, what the server refuses it.

    Raises:
        RedisError: as ``refused_commands``.
    """
    scratch = f"{keys.prefix}check:{secrets.token_hex(8)}"
    commands = rehearsal(keys, scratch)
    refused = await _refused(redis, scratch, [*commands[:-1], *others(keys, scratch)])
    every = {named(command) for command in commands}
    roles = {
        "producer": every - PRODUCER_NOT,
        "worker": every,
        "operator": every - OPERATOR_NOT | OPERATOR,
    }
    writing = ("SET", keys.result("check"))
    return {
        role: _names(
            command
            for command in refused
            if named(command) in needs
            and not (role == "producer" and command[:2] == writing)  # it reads results only
        )
        for role, needs in roles.items()
    }


async def _refused(redis: RedisClient, scratch: str, commands: Sequence[Command]) -> list[Command]:
    answers = await ask_server(redis, scratch, commands)
    return [
        command
        for command, answer in zip(commands, answers, strict=True)
        if isinstance(answer, NoPermissionError)
    ]


def _names(commands: Iterable[Command]) -> list[str]:
    return list(dict.fromkeys(named(command) for command in commands))


def named(command: Command) -> str:
    """Give a command's name, with the second word where the first is a container of several."""
    return " ".join(str(word) for word in command[: 2 if command[0] in {"XGROUP", "XINFO"} else 1])


def others(keys: Keys, scratch: str) -> list[Command]:
    """List what only producers and operators send; the last one removes the scratch key."""
    return [
        ("SET", f"{scratch}:absent", "", "PX", 1, "XX"),
        ("SCAN", 0, "MATCH", keys.any_result, "COUNT", 1),
        ("XREVRANGE", scratch, "+", "-", "COUNT", 1),
        ("UNLINK", scratch),
    ]


def rehearsal(keys: Keys, scratch: str) -> list[Command]:
    """List the commands; ``scratch`` is a string with a TTL, which all but the last leave alone.

    A string is the wrong type for most, and a key that is not there brings the others nothing to
    do. The last one removes it.
    """
    absent, result = f"{scratch}:absent", keys.result("check")
    return [
        ("BLPOP", scratch, 0.01),
        ("DEL", absent),
        ("EVAL", "return 1", 0),
        ("EVALSHA", "0" * 40, 0),
        ("EXISTS", scratch),
        ("GET", result),
        ("HDEL", scratch, "f"),
        ("HEXISTS", scratch, "f"),
        ("HGET", scratch, "f"),
        ("HGETALL", scratch),
        ("HINCRBY", scratch, "f", 1),
        ("HLEN", scratch),
        ("HMGET", scratch, "f"),
        ("HSET", scratch, "f", 1),
        ("HSETNX", scratch, "f", 1),
        ("LLEN", scratch),
        ("LTRIM", scratch, 0, 0),
        ("MGET", scratch, result),
        ("PERSIST", absent),
        ("PEXPIRE", absent, 1),
        ("PING",),
        ("PTTL", absent),
        ("PUBLISH", keys.done, ""),
        ("PUBLISH", keys.told, "[]"),
        ("RPUSH", scratch, 1),
        ("SADD", scratch, 1),
        ("SET", result, "", "PX", 1, "XX"),
        ("SPOP", scratch, 1),
        ("STRLEN", absent),
        ("TIME",),
        ("XACK", scratch, INBOX_GROUP, "1-1"),
        ("XADD", scratch, "*", "f", 1),
        ("XAUTOCLAIM", scratch, INBOX_GROUP, "check", 1, "0"),
        ("XCLAIM", scratch, INBOX_GROUP, "check", 1, "1-1"),
        ("XDEL", scratch, "1-1"),
        ("XLEN", scratch),
        ("XGROUP", "CREATE", scratch, INBOX_GROUP, "0"),
        ("XGROUP", "DELCONSUMER", scratch, INBOX_GROUP, "check"),
        ("XINFO", "CONSUMERS", scratch, INBOX_GROUP),
        ("XPENDING", scratch, INBOX_GROUP),
        ("XRANGE", scratch, "-", "+", "COUNT", 1),
        ("XREADGROUP", "GROUP", INBOX_GROUP, "check", "STREAMS", scratch, ">"),
        ("ZADD", scratch, 1, "m"),
        ("ZCARD", scratch),
        ("ZPOPMIN", scratch),
        ("ZRANGE", scratch, 0, 0),
        ("ZRANGEBYSCORE", scratch, 0, 0),
        ("ZREM", scratch, "m"),
        ("ZREMRANGEBYSCORE", scratch, 0, 0),
        ("ZSCORE", scratch, "m"),
        ("UNLINK", scratch),
    ]
