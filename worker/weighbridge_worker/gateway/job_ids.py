"""Ids of jobs for tenants: each opens only with the name of the tenant that submitted the job.

A digest alone would be no id: whoever can guess a payload could ask whether another tenant has had
it counted. So an id is the digest, sealed for one tenant with a secret that never leaves the
queue's server and its gateways. Nobody but a gateway can make one, and none needs to be stored.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

from weighbridge.connection import RedisClient, queue_errors
from weighbridge.keys import Keys

SECRET_BYTES: Final = 32
SEAL_BYTES: Final = 16

_ID: Final = re.compile(r"job_([A-Za-z0-9_-]{64})")
"""A digest and its seal are 48 bytes, which make 64 characters and none to fill up with."""


class JobIds:
    """Makes and reads ids; all gateways of a namespace share one secret."""

    def __init__(self, redis: RedisClient, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def make(self, tenant: str, digest: str) -> str:
        """Seal a digest for a tenant.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        data = bytes.fromhex(digest)
        seal = _seal(await self._secret(), tenant, data)
        return "job_" + base64.urlsafe_b64encode(data + seal).decode()

    async def read(self, tenant: str, job_id: str) -> str | None:
        """Return the digest, or None if this is no id of this tenant's.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        found = _ID.fullmatch(job_id)
        if found is None:
            return None
        data = base64.urlsafe_b64decode(found[1])
        digest, seal = data[:-SEAL_BYTES], data[-SEAL_BYTES:]
        known = hmac.compare_digest(seal, _seal(await self._secret(), tenant, digest))
        return digest.hex() if known else None

    async def _secret(self) -> bytes:
        """Read the secret, or make it. It is read each time: an emptied server has another one."""
        with queue_errors():
            pipe = self._redis.pipeline(transaction=False)
            pipe.set(self._keys.job_ids, secrets.token_bytes(SECRET_BYTES), nx=True)
            pipe.get(self._keys.job_ids)
            _, secret = await pipe.execute()
        return bytes(secret)


def _seal(secret: bytes, tenant: str, digest: bytes) -> bytes:
    # A digest has one length, so that no two pairs of a tenant and a digest read alike.
    return hmac.digest(secret, digest + tenant.encode(), hashlib.sha256)[:SEAL_BYTES]
