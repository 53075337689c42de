"""One input an index: the same seed and index always make the same one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from fuzz.json_texts import mutated, nested, samples, written

FIELDS = (
    b"id",
    b"betas",
    b"lane",
    b"producer",
    b"partition",
    b"deadline_ms",
    b"bell",
    b"traceparent",
)
WORDS = (
    *(
        b"",
        b"0",
        b"1",
        b"-1",
        b"86400000",
        b"86400001",
        b"1e3",
        b"1_0",
        b" 7 ",
        b"9" * 5000,
        b"NaN",
    ),
    *(b"interactive", b"batch", b"BATCH", b"a,b", b"a, ,b", b",", b"a b", b"x" * 128, b"x" * 129),
    *(b"order-17", b"../..", b"a\nb", b"a\x00b", b"%s", b"\xff\xfe", b"\xed\xa0\x80", "ü".encode()),
    *("١٢".encode(), b"a:b.c_d-e", b"{ns}", b"beta-2025-01-01"),
)
ODD: Sequence[Any] = (
    *(float("nan"), float("inf"), 1e308, -0.0, 10**4300, -(10**9999), True, None, "\ud800", "😀"),
    *(b"bytes", {1, 2}, object(), {1: 2}, {"\udfff": 1}, (1, 2), 1j, range(3), ..., {}, []),
)


@dataclass(frozen=True, slots=True)
class Input:
    """A payload as text or as Python's own types, or the fields of an inbox entry."""

    payload: Any
    fields: dict[bytes, bytes] | None = None
    betas: Sequence[Any] = ()


class Inputs:
    """All inputs of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._samples = samples()

    def at(self, index: int) -> Input:
        """Make one input."""
        random = Random(f"{self._seed}:{index}")
        kind = random.random()
        text = self._text(random)
        if kind < 0.4:
            return Input(text)
        if kind < 0.5:
            return Input(text.decode(errors="surrogateescape"), betas=(random.choice(ODD),))
        if kind < 0.7:
            return Input(self._tree(random))
        return Input(text, fields=self._fields(random, text))

    def _text(self, random: Random) -> bytes:
        kind = random.random()
        if kind < 0.75:
            return mutated(random, random.choice(self._samples))
        if kind < 0.9:
            return written(random).encode(errors="surrogatepass")
        if kind < 0.98:
            return random.randbytes(random.randrange(200))
        return nested(random)

    def _fields(self, random: Random, text: bytes) -> dict[bytes, bytes]:
        fields = {b"payload": text} if random.random() < 0.98 else {}
        for name in FIELDS:
            if random.random() < 0.3:
                fields[name] = random.choice(WORDS)
        if random.random() < 0.1:
            fields[random.randbytes(random.randrange(9))] = random.choice(WORDS)
        return fields or {b"": b""}

    def _tree(self, random: Random) -> Any:
        """Make a dict, with a value that has no place in JSON put somewhere."""
        tree = json.loads(random.choice(self._samples))
        for _ in range(random.randrange(3)):
            holder, value = tree, _odd(random)
            while isinstance(holder, dict | list) and holder:
                key = random.choice(
                    list(holder) if isinstance(holder, dict) else range(len(holder))
                )
                if random.random() < 0.3 or not isinstance(holder[key], dict | list):
                    holder[key] = value
                    break
                holder = holder[key]
        return tree


def _odd(random: Random) -> Any:
    if random.random() < 0.9:
        return random.choice(ODD)
    value: Any = 1
    for _ in range(random.choice((100, 127, 128, 5_000))):
        value = [value] if random.random() < 0.5 else {"a": value}
    return value
