"""Empty a namespace's cache, so that its counts may depend on something else."""

from contextlib import aclosing

from weighbridge.connection import RedisClient, queue_errors, walk
from weighbridge.errors import ScopeInUse
from weighbridge.keys import Keys
from weighbridge.scripts import Scripts

SCANNED = 1000
"""Keys a step of the walk looks at."""


async def reset_scope(redis: RedisClient, keys: Keys, scripts: Scripts) -> int:
    """Forget a namespace's scope, then its results; returns how many.

    The order matters: whoever starts in between writes the new scope, and loses but a count. Jobs
    stay queued.

    Raises:
        ScopeInUse: a worker lives, and its counts depend on the scope.
        QueueUnreachable: the server does not answer.
    """
    with queue_errors():
        living = await scripts.reset_scope(redis)
        if living:
            raise ScopeInUse(keys.namespace, living)
        removed = 0
        async with aclosing(walk(redis, keys.any_result, count=SCANNED)) as pages:
            async for page in pages:
                pipe = redis.pipeline(transaction=False)
                for key in page:
                    pipe.unlink(key)
                removed += sum(await pipe.execute()) if page else 0
        return removed
