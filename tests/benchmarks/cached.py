"""What cached counts cost, beside the least that reading and hashing them takes.

``count_many`` on 2 KB payloads against a bare pipelined MGET of the same keys with hashing of the
same bytes; the digest of a 5 MB payload against its SHA-256 and one standard-library JSON parse.
"""

import base64
import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
from benchmarks.machine import observed
from benchmarks.report import Column, Report, parser, publish
from benchmarks.systems.system import make_payload
from redis.asyncio import Redis
from support.sent_commands import sent_commands

from weighbridge import Client
from weighbridge.digest import digest_of
from weighbridge.keys import Keys
from weighbridge.payload import check_payload
from weighbridge.records import Counted, encode_result
from weighbridge_worker.server import ServerProcess, find_server_binary

AT_ONCE = 100
COLUMNS = [
    Column("per_s", "counts a second", spread=True),
    Column("cpu_us", "CPU µs a count", ",.1f"),
    Column("commands", "commands a count", ",.2f"),
]
LARGE = [Column("ms", "ms", ",.1f", spread=True)]


async def store(url: str, texts: Sequence[bytes]) -> list[str]:
    """Write a count for each body under its key; returns the keys."""
    keys = []
    async with Redis.from_url(url) as redis:
        pipe = redis.pipeline(transaction=False)
        for text in texts:
            payload = check_payload(text)
            digest = digest_of(payload)
            keys.append(Keys("weighbridge").result(digest))
            counted = Counted(
                digest=digest, model=payload.model, input_tokens=1, source="api", counted_at=1
            )
            pipe.set(keys[-1], encode_result(counted))
        await pipe.execute()
    return keys


async def bare(url: str, texts: Sequence[bytes], keys: Sequence[str]) -> float:
    """Hash the bodies and read the keys, 100 at a time."""
    async with Redis.from_url(url) as redis:
        await redis.ping()
        start = time.perf_counter()
        for index in range(0, len(keys), AT_ONCE):
            for text in texts[index : index + AT_ONCE]:
                hashlib.sha256(text).hexdigest()
            pipe = redis.pipeline(transaction=False)
            pipe.mget(keys[index : index + AT_ONCE])
            await pipe.execute()
        return time.perf_counter() - start


async def ours(url: str, texts: Sequence[bytes]) -> float:
    """Count the bodies."""
    async with Client.connect(url) as wb:
        start = time.perf_counter()
        async for item in wb.count_many(texts):
            assert isinstance(item.outcome, Counted)
        return time.perf_counter() - start


def measure_many(url: str, number: int, rounds: int) -> Report:
    """Count what is cached."""
    report = Report(f"Cached counts: {number:,} payloads of 2 KB", COLUMNS)
    texts = [json.dumps(make_payload(index)).encode() for index in range(number)]
    keys = anyio.run(store, url, texts)
    with sent_commands(url) as sent:
        anyio.run(ours, url, texts[:2000])
    commands = sent.total() / min(number, 2000)
    for _ in range(rounds):
        for name in ("bare MGET and SHA-256", "count_many"):
            with observed() as machine:
                cpu = time.process_time()
                run = (ours, url, texts) if name == "count_many" else (bare, url, texts, keys)
                took = anyio.run(*run)
                spent = time.process_time() - cpu
            row = {"subject": name, "per_s": number / took, "cpu_us": 1e6 * spent / number}
            report.rows.append(row | machine)
        report.rows[-1]["commands"] = commands
    return report


def measure_large(megabytes: int, rounds: int) -> Report:
    """Hash one payload with a picture of that size."""
    report = Report(f"Digest of a payload of {megabytes} MB", LARGE)
    data = base64.b64encode(random.Random(1).randbytes(megabytes * 750_000)).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    blocks = [{"type": "image", "source": source}]
    message = {"role": "user", "content": blocks}
    text = json.dumps({"model": "claude-sonnet-5-5", "messages": [message]}).encode()
    for _ in range(rounds):
        for name in ("SHA-256 and json.loads", "digest"):
            with observed() as machine:
                start = time.perf_counter()
                if name == "digest":
                    digest_of(check_payload(text))
                else:
                    hashlib.sha256(text).hexdigest()
                    json.loads(text)
                took = time.perf_counter() - start
            report.rows.append({"subject": name, "ms": 1000 * took} | machine)
    return report


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    options_of = parser("cached counts and large digests", rounds=5)
    options_of.add_argument("--number", type=int, default=20_000)
    options = options_of.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(find_server_binary(), Path(folder))
        server.start()
        try:
            publish(measure_many(server.url, options.number, options.rounds), options)
        finally:
            server.stop()
    publish(measure_large(5, options.rounds), options)


if __name__ == "__main__":
    main(sys.argv[1:])
