"""How many commands clients send to a server, without those that scripts run in it."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

END = "the end of the count"


@contextmanager
def sent_commands(url: str) -> Iterator[Counter[str]]:
    """Count by name what clients send while the block runs; complete once it has been left."""
    sent: Counter[str] = Counter()
    with (
        Redis.from_url(url) as watcher,
        Redis.from_url(url) as marker,
        watcher.monitor() as monitor,
    ):
        seen = threading.Thread(target=_count, args=(monitor.listen(), sent))
        seen.start()
        try:
            yield sent
        finally:
            marker.echo(END)
            seen.join(timeout=60)


def _count(commands: Iterator[dict[str, str]], sent: Counter[str]) -> None:
    for command in commands:
        name, _, rest = command["command"].partition(" ")
        if rest == END:
            return
        if command["client_type"] != "lua" and name not in {"HELLO", "CLIENT"}:
            sent[name.upper()] += 1
