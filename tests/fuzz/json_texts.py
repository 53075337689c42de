"""JSON as nobody should write it: texts by a grammar with faults, and valid texts mutated."""

import json
from collections.abc import Callable, Sequence
from random import Random

from support.bodies import CACHE, PNG, body, saying
from support.commands import public_payloads

LONGEST_SAMPLE = 6_000
"""Bytes of a valid payload that is mutated; longer ones only cost time."""

SCALARS = (
    *("null", "true", "false", "0", "-0", "1", "-1", "1.0", "1e5", "1E+400", "-1e-400", "0.1"),
    *("NaN", "Infinity", "-Infinity", "nan", "01", "1.", ".5", "+1", "0x10", "1_000", "--1"),
    *("9007199254740993", "1" * 4300, "1" * 4301, "-" + "9" * 9999, "0." + "3" * 400),
    *('""', '"a"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\u00"'),
    *('"\\x41"', '"\t"', '"\\"', '"unended', "'a'", '"\u2028"', '"\\ufeff"', "undefined", ""),
)
KEYS = (
    *("model", "messages", "role", "content", "type", "text", "source", "data", "tools", "system"),
    *("betas", "max_tokens", "metadata", "output_format", "output_config", "format", "input"),
    *("input_schema", "cache_control", "tool_choice", "thinking", "citations", "mcp_servers"),
    *("", "x_future", "\\ud800", "\\u006dodel", "__proto__", "a" * 300),
)
NEST = ("[", '{"a":', '[{"content":', '{"type":"tool_result","content":[')
BYTES = (
    *(
        b"\xff",
        b"\x00",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\xf0\x9f",
    ),
    *(b"\xef\xbb\xbf", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\u", b"\\ud83d", b"\n"),
)
"""Broken UTF-8 (overlong, surrogates, too high, truncated), a BOM, and what JSON is made of."""

Mutation = Callable[[Random, bytes], bytes]


def samples() -> list[bytes]:
    """Return valid payloads of every kind, and a few that are refused."""
    made = [
        body(system=[{"type": "text", "text": "s", "cache_control": CACHE}], betas=["b-1", "a-2"]),
        body(tools=[{"name": "t", "input_schema": {"b": 1, "a": [1.0, 1]}}], tool_choice=None),
        body(output_format={"type": "json_schema", "schema": {}}, max_tokens=5, stream=True),
        saying([{"type": "image", "source": PNG}, {"type": "document", "source": PNG}]),
        saying([{"type": "tool_result", "content": [{"type": "text", "text": "ü€😀"}]}]),
        saying([{"type": "image", "source": {"type": "url", "url": "https://example.com"}}]),
    ]
    found = public_payloads()
    return [json.dumps(at).encode() for at in made] + [
        text for text in found if len(text) <= LONGEST_SAMPLE
    ]


def written(random: Random, depth: int = 0) -> str:
    """Write JSON by a grammar that is not quite JSON's."""
    roll = random.random()
    if depth > 5 or roll < 0.4:
        return random.choice(SCALARS)
    comma = random.choice((",", ",", ",", ",,", ", ", "", ";"))
    if roll < 0.6:
        return (
            "[" + comma.join(written(random, depth + 1) for _ in range(random.randrange(4))) + "]"
        )
    pairs = (
        f'"{random.choice(KEYS)}":{written(random, depth + 1)}' for _ in range(random.randrange(5))
    )
    return "{" + comma.join(pairs) + "}"


def nested(random: Random) -> bytes:
    """Nest deeply, closed or not, alone or within a field of a payload."""
    depth = random.choice((1, 60, 127, 128, 129, 200, 1_000, random.randrange(50_000)))
    opener = random.choice(NEST)
    closers = "".join({"[": "]", "{": "}"}[mark] for mark in reversed(opener) if mark in "[{")
    text = opener * depth + random.choice(("", "1", '"]]]"')) + closers * random.choice((depth, 1))
    if random.random() < 0.5:
        return text.encode()
    return json.dumps(body(x=0)).replace('"x": 0', f'"x": {text}').encode()


def _cut(random: Random, text: bytes) -> bytes:
    return text[: random.randrange(len(text) + 1)]


def _flip(random: Random, text: bytes) -> bytes:
    at = random.randrange(len(text) + 1)
    return text[:at] + bytes([random.randrange(256)]) + text[at + 1 :]


def _insert(random: Random, text: bytes) -> bytes:
    at = random.randrange(len(text) + 1)
    return text[:at] + random.choice(BYTES) + text[at:]


def _drop(random: Random, text: bytes) -> bytes:
    at = random.randrange(len(text) + 1)
    return text[:at] + text[at + random.randrange(1, 20) :]


def _repeat(random: Random, text: bytes) -> bytes:
    start = random.randrange(len(text) + 1)
    end = start + random.randrange(200)
    return text[:end] + text[start:]


def _put_scalar(random: Random, text: bytes) -> bytes:
    return _put(random, text, random.choice(SCALARS))


def _put_written(random: Random, text: bytes) -> bytes:
    return _put(random, text, written(random))


def _put_field(random: Random, text: bytes) -> bytes:
    """Put one more field behind some opening brace; often its key is there already."""
    field = f'"{random.choice(KEYS)}":{random.choice(SCALARS)},'
    places = [at for at, byte in enumerate(text) if byte == ord("{")]
    at = random.choice(places) + 1 if places else 0
    return text[:at] + field.encode(errors="surrogatepass") + text[at:]


def _put(random: Random, text: bytes, value: str) -> bytes:
    """Put a value in the place of what stands between some colon and the next comma."""
    places = [at for at, byte in enumerate(text) if byte == ord(":")]
    at = random.choice(places) + 1 if places else 0
    end = text.find(b",", at)
    return text[:at] + value.encode() + (text[end:] if end >= 0 else b"}")


MUTATIONS: Sequence[Mutation] = (
    *(_cut, _flip, _insert, _drop, _repeat),
    *(_put_scalar, _put_scalar, _put_written, _put_field, _put_field),
)


def mutated(random: Random, text: bytes) -> bytes:
    """Change a text in a place or two."""
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        text = random.choice(MUTATIONS)(random, text)
    return text
