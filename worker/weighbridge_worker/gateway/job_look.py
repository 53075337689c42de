"""A look at how a job stands, without waiting."""

from weighbridge.connection import RedisClient, queue_errors, read_values
from weighbridge.errors import UnknownJob
from weighbridge.keys import Keys
from weighbridge.records import Result, read_result


class JobLook:
    """Looks at jobs by their digests."""

    def __init__(self, redis: RedisClient, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def look(self, digest: str) -> Result | None:
        """Give a job's result, or None while the job is live.

        The order matters: a result is written before its job ends, so a job that is gone in the
        first look has its result in the second.

        Raises:
            UnknownJob: there is neither.
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            lives = await self._redis.hexists(self._keys.job(digest), "lane")
            [text] = await read_values(self._redis, [self._keys.result(digest)])
        result = read_result(text)
        if result is None and not lives:
            raise UnknownJob(f"no job and no result for {digest[:12]}…")
        return result
