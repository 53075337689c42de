"""What a queue has stored: a look at it, and a hand in it where no script would put one.

Jobs go by short names. Nobody can move a server's clock, so time passes by shifting every stamp
that the queue has stored.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

from redis.exceptions import ResponseError

from weighbridge.keys import Keys
from weighbridge.letters import DeadLetter
from weighbridge.records import Lane, Lease
from weighbridge.scripts import INBOX_GROUP

LEASE_S = 30.0
ORPHAN_TTL_MS = 600_000
STAMPS = (
    *("tat", "idle_from", "turn", "blocked_until", "seen_until", "cut_at", "probe_at"),
    *("well_at", "visited", "settle_until", "suspects_until"),
)
"""The moments that the bucket's hash holds."""

PLACES = (*(f"ready:{lane}" for lane in Lane), "leased", "later")


class StoredQueue:
    """The keys of one namespace.

    Args:
        client: any, because redis-py types every reply for both of its decodings.
    """

    def __init__(self, client: Any, keys: Keys) -> None:
        self.redis = client
        self.keys = keys
        self._names: dict[str, str] = {}

    def digest(self, name: str) -> str:
        """Return the digest of the job that goes by this name."""
        digest = sha256(name.encode()).hexdigest()
        self._names[digest] = name
        return digest

    def names(self, found: Iterable[Lease | DeadLetter]) -> list[str]:
        """Return the names of leased jobs or dead letters."""
        return [self._names[one.digest] for one in found]

    async def ready(self, lane: Lane = Lane.BATCH) -> list[str]:
        """Return the names of the jobs that wait in a lane, in their order."""
        members = await self.redis.zrange(self.keys.ready(lane), 0, -1)
        return [self._names[member.decode()] for member in members]

    async def places(self, name: str) -> list[str]:
        """Return the sets in which a job stands, its deadline left aside."""
        digest = self.digest(name)
        return [
            place
            for place in PLACES
            if await self.redis.zscore(self.keys.prefix + place, digest) is not None
        ]

    async def field(self, name: str, field_name: str) -> str | None:
        """Read a field of a job's hash."""
        value = await self.redis.hget(self.keys.job(self.digest(name)), field_name)
        return None if value is None else value.decode()

    async def deliveries(self, name: str) -> int:
        """Return how often a job was delivered and not given back."""
        return int(await self.field(name, "deliveries") or 0)

    async def queue_bytes(self) -> int:
        """Return the bytes counted of the live jobs' payloads."""
        return int(await self.redis.hget(self.keys.bytes, "sum") or 0)

    async def depth(self) -> int:
        """Return the number of live jobs."""
        return int(await self.redis.zcard(self.keys.deadlines))

    async def deadline_s(self, name: str) -> float:
        """Return the seconds until a job's deadline."""
        deadline: float = await self.redis.zscore(self.keys.deadlines, self.digest(name))
        now_s: int = (await self.redis.time())[0]
        return deadline / 1_000_000 - now_s

    async def has_payload(self, name: str) -> bool:
        """Say whether a payload is stored."""
        return bool(await self.redis.exists(self.keys.payload(self.digest(name))))

    async def result(self, name: str) -> bytes | None:
        """Read a job's result."""
        text: bytes | None = await self.redis.get(self.keys.result(self.digest(name)))
        return text

    async def slots(self, leases: Sequence[Lease], lease_s: float = LEASE_S) -> list[int]:
        """Return the slots of running leases on the server's clock, in µs, in their order."""
        ends = [await self.redis.zscore(self.keys.leased, lease.digest) for lease in leases]
        return sorted(int(end - lease_s * 1_000_000) for end in ends if end is not None)

    async def read_inbox_entry(self) -> str:
        """Put an entry into the inbox and let a worker read it; returns its id."""
        try:
            await self.redis.xgroup_create(self.keys.inbox, INBOX_GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        entry: bytes = await self.redis.xadd(self.keys.inbox, {"payload": "{}"})
        await self.redis.xreadgroup(INBOX_GROUP, "worker", {self.keys.inbox: ">"})
        return entry.decode()

    async def inbox(self) -> tuple[int, int]:
        """Return how many entries the inbox holds, and how many of them are unacknowledged."""
        pending = await self.redis.xpending(self.keys.inbox, INBOX_GROUP)
        return await self.redis.xlen(self.keys.inbox), pending["pending"]

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for every stamp stored; a negative time is the server's clock jumping back.

        Keys' TTLs stand still.
        """
        shift = int(seconds * 1_000_000)
        keys = self.keys
        sets = (keys.leased, keys.later, keys.deadlines, keys.workers)
        pipe = self.redis.pipeline(transaction=False)
        for key in sets:
            pipe.zrange(key, 0, -1)
        pipe.hmget(keys.bucket, STAMPS)
        *members, stamps = await pipe.execute()
        for key, present in zip(sets, members, strict=True):
            for member in present:
                pipe.zincrby(key, -shift, member)
        for name, stamp in zip(STAMPS, stamps, strict=True):
            if stamp is not None:
                pipe.hset(keys.bucket, name, str(int(stamp) - shift))
        await pipe.execute()

    async def end_leases(self, *names: str) -> None:
        """End the leases of these jobs, or of all, as if their workers had died long ago."""
        digests = [self.digest(name) for name in names]
        for member in digests or await self.redis.zrange(self.keys.leased, 0, -1):
            await self.redis.zadd(self.keys.leased, {member: 1}, xx=True)

    async def make_due(self, *names: str) -> None:
        """Let the delay of these retries be over."""
        for name in names:
            await self.redis.zadd(self.keys.later, {self.digest(name): 1}, xx=True)

    async def postpone(self, *names: str, seconds: float) -> None:
        """Set the delay of these retries anew."""
        now_s: int = (await self.redis.time())[0]
        for name in names:
            due_us = int((now_s + seconds) * 1_000_000)
            await self.redis.zadd(self.keys.later, {self.digest(name): due_us}, xx=True)

    async def expire(self, name: str) -> None:
        """Let a job's deadline pass."""
        await self.redis.zadd(self.keys.deadlines, {self.digest(name): 1}, xx=True)

    async def delete_job(self, name: str) -> None:
        """Delete a job's hash by hand, which no script does: its entries become ghosts."""
        await self.redis.delete(self.keys.job(self.digest(name)))

    async def delete_payload(self, name: str) -> None:
        """Delete a payload by hand."""
        await self.redis.delete(self.keys.payload(self.digest(name)))

    async def inconsistencies(self) -> list[str]:
        """Say in what the stored queue breaks its layout: a live job stands in exactly one set."""
        standing, live = await self._standing()
        pipe = self.redis.pipeline(transaction=False)
        for digest in standing:
            pipe.hmget(self.keys.job(digest), ["lane", "deliveries"])
        jobs = await pipe.execute() if standing else []
        found = [f"{digest[:8]} has no place or no deadline" for digest in live ^ set(standing)]
        for (digest, places), (lane, deliveries) in zip(standing.items(), jobs, strict=True):
            allowed = {"leased", "later", f"ready:{(lane or b'?').decode()}"}
            if lane is None or len(places) != 1 or not allowed.issuperset(places):
                found.append(f"{digest[:8]} of lane {lane!r} stands in {places}")
            if int(deliveries or 0) < 0:
                found.append(f"{digest[:8]} has {deliveries!r} deliveries")
        return found + await self._miscounted(live)

    async def _miscounted(self, live: set[str]) -> list[str]:
        """Say where the counted bytes are not those of the live jobs' payloads."""
        stored = await self.redis.hgetall(self.keys.bytes)
        sizes = {name.decode(): int(size) for name, size in stored.items()}
        total = sizes.pop("sum", 0)
        found = [f"{digest[:8]} is live or counted, not both" for digest in live ^ set(sizes)]
        if total != sum(sizes.values()):
            found.append(f"{total} bytes counted, {sum(sizes.values())} in all jobs")
        for digest, size in sizes.items():
            length = await self.redis.strlen(self.keys.payload(digest))
            if length not in {0, size}:  # 0: deleted by hand
                found.append(f"{digest[:8]} counts {size} bytes and has {length}")
        return found

    async def _standing(self) -> tuple[dict[str, list[str]], set[str]]:
        """Return the places of every digest, and the digests that have a deadline."""
        pipe = self.redis.pipeline(transaction=False)
        for place in (*PLACES, "deadlines"):
            pipe.zrange(self.keys.prefix + place, 0, -1)
        *members, live = await pipe.execute()
        standing: dict[str, list[str]] = {}
        for place, digests in zip(PLACES, members, strict=True):
            for digest in digests:
                standing.setdefault(digest.decode(), []).append(place)
        return standing, {digest.decode() for digest in live}


def gaps(slots: list[int]) -> list[int]:
    """Return the distances between slots that follow each other."""
    return [later - earlier for earlier, later in pairwise(slots)]
