"""Whether replicas have a job, for producers that submit it and go away."""

import secrets
from collections.abc import Sequence

from weighbridge.connection import RedisClient, ask_server, queue_errors
from weighbridge.errors import NotReplicated
from weighbridge.keys import Keys

WAIT_MS = 1000
"""How long replicas may take; one that is well needs a round trip."""

MARK_MS = 1000


class Replication:
    """Waits until so many replicas have what was submitted; 0 waits for none."""

    def __init__(self, redis: RedisClient, keys: Keys, *, replicas: int) -> None:
        self._redis = redis
        self._keys = keys
        self._replicas = replicas

    async def reached(self, digests: Sequence[str]) -> bool:
        """Wait for the replicas; False if a job is not there any more: a fail-over lost it.

        Replicas follow in the order of the writes, so that one which has the mark has the jobs that
        were there before it. The mark is a write of this connection, as WAIT counts only those.

        Raises:
            NotReplicated: too few replicas have it.
            QueueUnreachable: the server does not answer.
        """
        if self._replicas == 0 or not digests:
            return True
        mark = self._keys.mark(secrets.token_hex(8))
        with queue_errors():
            answers = await ask_server(
                self._redis,
                mark,
                [
                    *(("EXISTS", self._keys.job(digest)) for digest in digests),
                    ("SET", mark, "", "PX", MARK_MS),
                    ("WAIT", self._replicas, WAIT_MS),
                ],
            )
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        *there, _, have = answers
        if all(there) and have < self._replicas:
            raise NotReplicated(
                f"all is queued, but {have} of {self._replicas} replicas have it after"
                f" {WAIT_MS / 1000:g} s: submit it again to wait once more, and see to the replicas"
                " (weighbridge doctor)"
            )
        return all(there)
