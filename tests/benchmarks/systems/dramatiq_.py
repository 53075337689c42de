import os
import sys

import dramatiq
from benchmarks.systems.system import URL, tick
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

BULK = "none: send() in a loop (group.run does the same)"
WAIT = "get_result(block=True): BRPOPLPUSH"
DEFAULT_POLL = POLL = 0

backend = RedisBackend(url=URL)
broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=backend, result_ttl=600_000))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop(payload):
    tick()
    return 1


class Producer:
    def __init__(self, poll):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        pass

    async def one(self, payload):
        return noop.send(payload)

    async def bulk(self, payloads):
        return [noop.send(p) for p in payloads]

    async def wait(self, message):
        return message.get_result(block=True, timeout=30_000)

    async def stored(self, messages):
        return backend.client.exists(*(backend.build_message_key(m) for m in messages))


def run_worker(concurrency, poll):
    args = [
        "benchmarks.systems.dramatiq_:broker",
        "--processes",
        "1",
        "--threads",
        str(concurrency),
    ]
    os.execv(sys.executable, [sys.executable, "-m", "dramatiq", "--skip-logging", *args])
