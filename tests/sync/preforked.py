"""A service that opens its client before it forks, as gunicorn's preload and Celery's prefork do.

Prints what the tests look at as JSON.
"""

import gc
import json
import os
import sys
from typing import Any

import pytest
import redis

from weighbridge.errors import QueueUnreachable
from weighbridge.sync import Client

NAME = "preforked"


def payload(text: str) -> dict[str, Any]:
    """Make a payload of one message."""
    return {"model": "claude-test", "messages": [{"role": "user", "content": text}]}


def connections(url: str) -> set[int]:
    """List the connections of this program; before a fork they are its own."""
    with redis.Redis.from_url(url) as looker:
        return {int(row["id"]) for row in looker.client_list() if row["name"] == NAME}


def child(wb: Client, stream: Any, number: int) -> None:
    """Count by the inherited client, try the parent's iterator, and end as a process does."""
    assert wb.count(payload(f"child {number}"), timeout_s=30).cache == "miss"
    with pytest.raises(QueueUnreachable, match="forked"):
        next(stream)
    gc.collect()
    sys.exit(0)


def main(url: str) -> None:
    """Count, fork, and count again."""
    wb = Client.connect(f"{url}?client_name={NAME}")
    wb.count(payload("parent"), timeout_s=30)
    stream = wb.count_many([payload("first"), payload("second")], ordered=True, in_flight=1)
    next(stream)
    before = connections(url)
    children = []
    for number in range(3):
        pid = os.fork()
        if pid == 0:
            child(wb, stream, number)
        children.append(pid)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    rest = [item.index for item in stream]
    again = wb.count(payload("parent again"), timeout_s=30)
    kept = bool(before) and before <= connections(url)
    print(json.dumps({"children": statuses, "rest": rest, "again": again.cache, "kept": kept}))


if __name__ == "__main__":
    main(sys.argv[1])
