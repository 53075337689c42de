"""An examination of the server that the settings name; it changes nothing."""

import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from weighbridge.connection import (
    RedisClient,
    ask_server,
    connect_unrepeated,
    walk,
)
from weighbridge.errors import WeighbridgeError
from weighbridge.keys import Keys
from weighbridge.records import Lane
from weighbridge.scope import check_digest_key
from weighbridge.server_facts import read_facts
from weighbridge.server_url import parse_server_url
from weighbridge.settings import QueueSettings
from weighbridge_worker.diagnosis import Finding, diagnose, latency
from weighbridge_worker.rehearsal import refused_by_role
from weighbridge_worker.startup import complaints, explained

EXAMINATION_S = 60.0
TRIPS = 20
LOOKED_AT = 1000
"""Live jobs whose places are checked."""

ROUNDS = 100
"""Thousands of keys that a search for stranded payloads walks through."""

CONFIG = (
    "appendfsync",
    "client-output-buffer-limit",
    "min-replicas-to-write",
    "save",
    "tcp-keepalive",
    "timeout",
)


async def examine(settings: QueueSettings) -> list[Finding]:
    """Look at everything; what cannot be asked ends the examination as its last finding."""
    redis = connect_unrepeated(settings.redis_url)
    found = [_transport(settings)]
    try:
        with anyio.fail_after(EXAMINATION_S):
            async for finding in Doctor(redis, settings).findings():
                found.append(finding)  # noqa: PERF401 - what was found before an error counts
    except (RedisError, TimeoutError) as error:
        said = explained(error) if isinstance(error, RedisError) else "no answer within a minute"
        found.append(Finding("reachable", "bad", str(said)))
    finally:
        with anyio.move_on_after(5, shield=True):
            await redis.aclose()
    return found


class Doctor:
    """One namespace's server under examination."""

    def __init__(self, redis: RedisClient, settings: QueueSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._keys = Keys(settings.namespace)

    async def findings(self) -> AsyncIterator[Finding]:
        """Look at one thing after the other.

        Raises:
            RedisError: the server does not answer, or refuses us.
        """
        yield await self._greeting()
        yield latency([await self._trip_ms() for _ in range(TRIPS)])
        yield await self._rights()
        for finding in await self._fitness():
            yield finding
        info = await self._one("INFO")
        if isinstance(info, dict):
            config = await self._config()
            for finding in diagnose(info, config, wait_replicas=self._settings.wait_replicas):
                yield finding
            if info.get("cluster_enabled"):
                yield await self._slots()
        yield await self._scope()
        yield await self._jobs()
        yield await self._payloads()

    async def _one(self, *command: str | int) -> Any:
        """Ask one thing; None where the server does not let us."""
        [answer] = await ask_server(self._redis, self._keys.bucket, [command])
        if isinstance(answer, ResponseError):
            return None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _greeting(self) -> Finding:
        [answer] = await ask_server(self._redis, self._keys.bucket, [("PING",)])
        if isinstance(answer, Exception) and not isinstance(answer, NoPermissionError):
            raise answer
        return Finding("reachable", "ok", "it answers, and accepts our user")

    async def _trip_ms(self) -> float:
        began = time.perf_counter()
        await self._one("PING")
        return (time.perf_counter() - began) * 1000

    async def _rights(self) -> Finding:
        refused = await refused_by_role(self._redis, self._keys)
        able = [role for role, commands in refused.items() if not commands]
        said = "; ".join(
            f"{role} lacks {', '.join(commands)}" for role, commands in refused.items() if commands
        )
        may = f"may act as {', '.join(able)}" if able else "may act as nobody"
        if able:
            return Finding("rights", "ok", f"{may}; {said}" if said else may)
        return Finding("rights", "bad", f"{may}: {said}", "see deploy/redis/users.acl")

    async def _fitness(self) -> list[Finding]:
        facts = await read_facts(self._redis, self._keys)
        wrong = complaints(facts, self._keys)
        version = "" if facts.version is None else ".".join(map(str, facts.version))
        well = {
            "version": f"{facts.product} {version}" if version else None,
            "role": "primary" if facts.role else None,
            "eviction": facts.policy,
            "clock": "steady",
        }
        return [_fit(check, said, wrong.get(check)) for check, said in well.items()]

    async def _config(self) -> dict[str, Any]:
        answer = await self._one("CONFIG GET", *CONFIG)
        return dict(answer) if isinstance(answer, dict) else {}

    async def _slots(self) -> Finding:
        info = await self._one("CLUSTER INFO") or {}
        slot = await self._one("CLUSTER KEYSLOT", self._keys.prefix)
        at = f"the namespace's slot is {slot}" if slot is not None else "a node of a cluster"
        state = info.get("cluster_state", "ok")
        if parse_server_url(self._settings.redis_url).kind != "cluster":
            return Finding(
                "cluster",
                "bad",
                f"{at}, and the URL names one node",
                "WEIGHBRIDGE_REDIS_URL=redis+cluster://host:port,host:port (rediss+… with TLS)",
            )
        if state != "ok":
            said = f"{at}; the cluster's state is {state}"
            return Finding("cluster", "bad", said, "redis-cli CLUSTER INFO says more")
        return Finding("cluster", "ok", at)

    async def _scope(self) -> Finding:
        scope = await self._one("HGETALL", self._keys.scope)
        if not scope:
            return Finding("scope", "ok", "none yet: no worker has started in this namespace")
        said = {name.decode(): value.decode() for name, value in scope.items()}
        try:
            check_digest_key(
                scope.get(b"digest_key"), self._settings.digest_key, self._settings.namespace
            )
        except WeighbridgeError as error:
            return Finding("scope", "bad", str(error))
        return Finding("scope", "ok", ", ".join(f"{name} {said[name]}" for name in sorted(said)))

    async def _jobs(self) -> Finding:
        """Look whether live jobs stand in one of the sets; a few may change it meanwhile."""
        keys = self._keys
        places = (keys.ready(Lane.INTERACTIVE), keys.ready(Lane.BATCH), keys.leased, keys.later)
        live = await self._one("ZCARD", keys.deadlines)
        digests = await self._one("ZRANGE", keys.deadlines, 0, LOOKED_AT - 1)
        if digests is None:
            return Finding("jobs", "warn", "not for this user")
        pipe = self._redis.pipeline(transaction=False)
        for digest in digests:
            for place in places:
                pipe.zscore(place, digest)
            pipe.zscore(keys.deadlines, digest)
        rows = await pipe.execute() if digests else []
        width = len(places) + 1
        lost = sum(
            rows[start + width - 1] is not None
            and all(score is None for score in rows[start : start + width - 1])
            for start in range(0, len(rows), width)
        )
        if lost:
            return Finding(
                "jobs",
                "warn",
                f"{lost:,} of {len(digests):,} live jobs stand in no set; their deadline ends them",
                "submit them again after that",
            )
        return Finding("jobs", "ok", f"{live:,} live")

    async def _payloads(self) -> Finding:
        """Search payloads that nothing will remove; only an operator may walk."""
        stranded = rounds = 0
        try:
            async for page in walk(self._redis, f"{self._keys.payload('')}*", count=1000):
                stranded += await self._stranded(page)
                rounds += 1
                if rounds == ROUNDS:
                    break
        except NoPermissionError:
            return Finding("payloads", "ok", "not searched: SCAN is for operators")
        if stranded:
            return Finding(
                "payloads",
                "warn",
                f"{stranded:,} payloads without a job stay for ever",
                f"UNLINK those of '{self._keys.payload('')}*' that have no TTL and no job",
            )
        return Finding("payloads", "ok", "none is stranded")

    async def _stranded(self, page: list[bytes]) -> int:
        if not page:
            return 0
        pipe = self._redis.pipeline(transaction=False)
        for key in page:
            pipe.pttl(key)
            pipe.hexists(self._keys.job(key.decode().rpartition(":")[2]), "lane")
        answers = await pipe.execute()
        return sum(
            ttl == -1 and not lives for ttl, lives in zip(answers[::2], answers[1::2], strict=True)
        )


def _transport(settings: QueueSettings) -> Finding:
    server = parse_server_url(settings.redis_url)
    kind = {"single": "one server", "sentinel": "sentinels", "cluster": "a cluster"}[server.kind]
    if server.tls:
        return Finding("transport", "ok", f"{kind}, over TLS")
    if settings.redis_url.startswith("unix"):
        return Finding("transport", "ok", "a unix socket")
    if settings.allow_plaintext:
        return Finding(
            "transport",
            "warn",
            f"{kind}, in clear text: payloads and password can be read on their way",
            "rediss:// (rediss+sentinel://, rediss+cluster://)",
        )
    return Finding("transport", "ok", f"{kind}, on this machine")


def _fit(check: str, said: str | None, complaint: str | None) -> Finding:
    if complaint:
        what, _, change = complaint.partition(": ")
        return Finding(check, "bad", what, change)
    if said is None:
        return Finding(check, "warn", "the server does not tell")
    return Finding(check, "ok", said)
