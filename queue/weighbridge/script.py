"""One Lua script: put together from its file and its parts, and sent by its hash.

The text is sent only where the server does not know it yet.
"""

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

from weighbridge.connection import Command, RedisClient, ask_server

Arg = str | bytes | int


def read_source(name: str, *, flags: bool = True) -> str:
    """Read a script with its parts put in place; without ``flags`` the first line is dropped.

    A server that does not know ``#!lua`` (fakeredis) runs the rest.
    """
    folder = files("weighbridge") / "lua"
    text = (folder / f"{name}.lua").read_text()

    def part(match: re.Match[str]) -> str:
        return (folder / "parts" / f"{match[1]}.lua").read_text()

    source = re.sub(r"^--@include (\w+)$", part, text, flags=re.MULTILINE)
    return source if flags else source.partition("\n")[2]


class Script:
    """One script, sent by its hash."""

    def __init__(self, name: str, *, flags: bool) -> None:
        self.source = read_source(name, flags=flags)
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self,
        redis: RedisClient,
        keys: Sequence[str],
        args: Sequence[Arg],
        *,
        first: Sequence[Command] = (),
    ) -> Any:
        """Run it.

        Args:
            first: commands on keys of the same slot, sent before it in the same round trip.

        Raises:
            RedisError: of the first of them that failed.
        """
        try:
            if not first:
                return await redis.evalsha(self.sha, len(keys), *keys, *args)
            call = ("EVALSHA", self.sha, len(keys), *keys, *args)
            answers = await ask_server(redis, keys[0], [*first, call])
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers[-1]
        except NoScriptError:
            return await redis.eval(self.source, len(keys), *keys, *args)
