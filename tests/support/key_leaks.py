"""Find Redis keys that would stay for ever."""

import re

import redis

_KEY = re.compile(r"(?P<prefix>\{[^{}]*\}:\d+:)(?P<name>.+)", re.DOTALL)
_STANDING = re.compile(
    r"(ready|fair):[^:]+|leased|later|deadlines|bucket|scope|inbox|dead|review|job_ids", re.DOTALL
)
_OF_A_JOB = re.compile(r"(?:job|payload|replies):(?P<digest>.+)", re.DOTALL)


def leaked_keys(client: redis.Redis) -> list[str]:
    """Return the keys without a TTL that may not be without one, sorted.

    Allowed are the live sets, the fair order, bucket, scope, inbox, dead letters, the review log
    and the secret of the jobs' ids; and of a job its hash, payload and replies while its digest
    stands in the namespace's ``deadlines``, and the count of bytes while any does.
    """
    names = sorted(set(client.scan_iter(count=1000)))
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.pttl(name)
    without_ttl = [name for name, left in zip(names, pipeline.execute(), strict=True) if left == -1]
    return [name.decode(errors="replace") for name in without_ttl if not _may_stay(client, name)]


def _may_stay(client: redis.Redis, name: bytes) -> bool:
    key = _KEY.fullmatch(name.decode(errors="replace"))
    if key is None:
        return False
    if _STANDING.fullmatch(key["name"]):
        return True
    if key["name"] == "bytes":
        return bool(client.exists(f"{key['prefix']}deadlines"))
    job = _OF_A_JOB.fullmatch(key["name"])
    return job is not None and client.zscore(f"{key['prefix']}deadlines", job["digest"]) is not None
