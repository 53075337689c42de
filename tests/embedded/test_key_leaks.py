"""The check around every test finds a planted leak, and only that."""

import pytest
import redis
from support.key_leaks import leaked_keys

from weighbridge.keys import Keys
from weighbridge.records import Lane

KEYS = Keys("leaks")
DIGEST = "ab" * 32


def test_what_may_stand_for_ever_is_no_leak(redis_url: str) -> None:
    standing = [KEYS.leased, KEYS.later, KEYS.deadlines, KEYS.bucket, KEYS.scope, KEYS.inbox]
    standing += [key for lane in Lane for key in (KEYS.ready(lane), KEYS.fair(lane))]
    with redis.Redis.from_url(redis_url) as client:
        client.mset(dict.fromkeys([*standing, KEYS.dead, KEYS.review], "1"))
        assert leaked_keys(client) == []


@pytest.mark.parametrize(
    "key",
    [
        KEYS.result(DIGEST),
        KEYS.reply("1-1"),
        KEYS.bell("1-1"),
        KEYS.doorbell,
        KEYS.workers,
        KEYS.worker("w1"),
        KEYS.budget("run"),
        KEYS.budget_held("run"),
        KEYS.budget_amounts("run"),
        KEYS.review_payload(DIGEST),
        KEYS.review_written("1"),
        KEYS.approval(DIGEST),
        KEYS.prefix + "ready:batch:more",
        KEYS.prefix + "something",
        "something",
    ],
)
def test_any_other_key_without_a_ttl_is_a_leak_and_with_one_it_is_not(
    redis_url: str, key: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(key, "1")
        assert leaked_keys(client) == [key]
        client.expire(key, 60)
        assert leaked_keys(client) == []


def test_a_jobs_keys_are_leaks_unless_the_job_lives(redis_url: str) -> None:
    keys = sorted([KEYS.job(DIGEST), KEYS.payload(DIGEST), KEYS.replies(DIGEST)])
    with redis.Redis.from_url(redis_url) as client:
        client.mset(dict.fromkeys(keys, "1"))
        client.zadd(KEYS.deadlines, {"another": 1})
        client.zadd(Keys("other").deadlines, {DIGEST: 1})
        assert leaked_keys(client) == keys
        client.zadd(KEYS.deadlines, {DIGEST: 1})
        assert leaked_keys(client) == []


def test_each_test_begins_with_an_empty_server(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
