"""Counts the payloads of a JSONL file through Weighbridge's inbox, with redis-py and nothing else.

    pip install redis
    REDIS_URL=redis://127.0.0.1:6379 python count.py payloads.jsonl > results.jsonl

Prints a JSON line a payload as the replies come, with its line number. Exits with 3 if any of them
is no count. The contract is queue/PROTOCOL.md. In Python `weighbridge.sync.Client` does all this.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import redis
from redis import exceptions

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
PREFIX = "{" + os.environ.get("WEIGHBRIDGE_NAMESPACE", "weighbridge") + "}:1:"
WINDOW = 200  # requests on their way; the inbox has no bound of its own
SILENCE_S = 5  # the longest wait on the bells before a look at the replies themselves
ASK_AGAIN_S = float(os.environ.get("ASK_AGAIN_S", "60"))  # a duplicate joins its job, at no cost
GIVE_UP_S = float(os.environ.get("GIVE_UP_S", "3600"))
TRIES = 3  # of a payload whose failure may pass

# Whoever sends the same payload again under these codes gets the same answer again.
FINAL = {
    *("bad_request", "invalid_request", "malformed_payload", "not_countable"),
    *("payload_too_large", "poison"),
}
# The link broke, or the server is loading, full, or no primary just now.
PASSING = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.TryAgainError,
)


@dataclass(frozen=True)
class Request:
    line: int
    payload: bytes
    begun_at: float
    asked_at: float = 0.0
    tries: int = 1


def surely(command: Callable[[], Any]) -> Any:
    """Repeat a command until the server has answered it: writing a request twice does no harm."""
    while True:
        try:
            return command()
        except PASSING as error:
            print(f"redis: {type(error).__name__}", file=sys.stderr)
            time.sleep(0.5)


class Producer:
    def __init__(self, client: redis.Redis) -> None:
        self.redis = client
        self.waiting: dict[str, Request] = {}
        self.failures = 0

    def ask(self, request: Request) -> None:
        reply_id = uuid.uuid4().hex  # fresh: a used one would find the old reply
        self.waiting[reply_id] = replace(request, asked_at=time.monotonic())
        fields: Any = {"payload": request.payload, "id": reply_id, "bell": "1"}
        surely(lambda: self.redis.xadd(PREFIX + "inbox", fields))

    def wait(self) -> None:
        bells = [f"{PREFIX}bell:{reply_id}" for reply_id in self.waiting]
        rung: Any = None
        with suppress(*PASSING):
            rung = self.redis.blpop(bells, timeout=SILENCE_S)
        if rung:
            self.deliver(rung[1])
        else:
            self.look()

    def look(self) -> None:
        """Nothing rang: a bell may be lost with its connection, its reply stays for an hour."""
        keys = [f"{PREFIX}reply:{reply_id}" for reply_id in self.waiting]
        for text in surely(lambda: self.redis.mget(keys)):
            if text:
                self.deliver(text)
        now = time.monotonic()
        for reply_id, request in list(self.waiting.items()):
            gave_up = now - request.begun_at >= GIVE_UP_S
            if not gave_up and now - request.asked_at < ASK_AGAIN_S:
                continue
            del self.waiting[reply_id]
            if not gave_up:
                self.ask(request)
            else:
                said = {"status": "failed", "code": "no_reply", "message": "nobody answered"}
                self.report(request.line, said)

    def deliver(self, text: bytes) -> None:
        reply = json.loads(text)
        request = self.waiting.pop(reply["id"], None)
        if request is None:  # by the bell and by a look
            return
        passing = reply["status"] == "failed" and reply["code"] not in FINAL
        if passing and request.tries < TRIES:
            self.ask(replace(request, tries=request.tries + 1))
        else:
            self.report(request.line, reply)

    def report(self, line: int, reply: dict[str, Any]) -> None:
        self.failures += reply["status"] != "counted"
        print(json.dumps({"line": line, **reply}), flush=True)


def main(path: str) -> int:
    # The time-out is longer than the longest wait on the bells.
    with redis.Redis.from_url(URL, socket_timeout=2 * SILENCE_S) as client:
        producer = Producer(client)
        with open(0 if path == "-" else path, "rb") as lines:
            for number, payload in enumerate(lines, 1):
                if not payload.strip():
                    continue
                while len(producer.waiting) >= WINDOW:
                    producer.wait()
                producer.ask(Request(number, payload, time.monotonic()))
        while producer.waiting:
            producer.wait()
    return 3 if producer.failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or ["-"]))
