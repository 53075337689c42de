"""The digest: what it depends on, and its fixed bytes."""

import hashlib
import hmac
import itertools
import re

import pytest

from weighbridge.digest import DIGEST_SCHEME, digest_of
from weighbridge.payload import check_payload
from weighbridge.records import Payload

RAW = (
    '{"model": "claude-sonnet-5", "max_tokens": 9, "tools": [{"name": "n", "input_schema":'
    ' {"type": "object", "properties": {"b": {"minimum": 1.50, "maximum": 1e16}, "a": {}}}}],'
    ' "messages": [{"role": "user", "content": "h\\u00e9llo\\b\\u007f"}]}'
)
CANONICAL = (
    '{"messages":[{"content":"h\u00e9llo\\b\u007f","role":"user"}],"model":"claude-sonnet-5",'
    '"tools":[{"input_schema":{"type":"object","properties":{"b":{"minimum":1.5,"maximum":1e+16},'
    '"a":{}}},"name":"n"}]}'
)
PLAIN = "a71032f45ca466b687db5bf25558d81bf3f69cfe26ed44a20286770388abe7be"
KEYED = "704d980f1f77a04ff081b31439ea8bd9db7dd881c9363af89d694a33ad5b76f9"


def payload(body: bytes = b"{}", betas: tuple[str, ...] = ()) -> Payload:
    return Payload(body=body, model="m", betas=betas)


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def test_the_digest_of_a_fixed_payload_never_changes() -> None:
    """A change here empties every cache and orphans every job in flight: raise the scheme."""
    fixed = check_payload(RAW, betas=["b-2", "a-1"])
    assert DIGEST_SCHEME == 1
    assert fixed.body == CANONICAL.encode()
    assert digest_of(fixed, partition="p") == PLAIN
    assert digest_of(fixed, partition="p", key=b"k" * 32) == KEYED


def test_the_hashed_bytes_are_scheme_partition_betas_and_body_with_their_lengths() -> None:
    partition = number(2) + "é".encode()
    betas = number(2) + number(1) + b"a" + number(2) + b"bc"
    framed = number(1) + partition + betas + number(4) + b"body"
    one = payload(b"body", ("a", "bc"))
    assert digest_of(one, partition="é") == hashlib.sha256(framed).hexdigest()
    assert digest_of(one, partition="é", key=b"k") == hmac.digest(b"k", framed, "sha256").hex()


@pytest.mark.parametrize("key", [None, b"", b"k", b"k" * 200])
def test_a_digest_is_64_lower_case_hexadecimal_digits(key: bytes | None) -> None:
    assert re.fullmatch("[0-9a-f]{64}", digest_of(payload(), key=key))


def test_everything_that_may_change_a_count_changes_the_digest() -> None:
    digests = [
        digest_of(payload(b"{}")),
        digest_of(payload(b"{} ")),
        digest_of(payload(b"{}", ("a",))),
        digest_of(payload(b"{}", ("a", "b"))),
        digest_of(payload(b"{}"), partition="p"),
        digest_of(payload(b"{}"), key=b"k"),
        digest_of(payload(b"{}"), key=b"l"),
        digest_of(payload(b"{}"), key=b""),
    ]
    assert len(set(digests)) == len(digests)


def test_text_moved_from_one_part_to_its_neighbour_changes_the_digest() -> None:
    splits = [
        digest_of(payload(text[j:].encode(), (text[i:j],)), partition=text[:i])
        for text in ["aaaa"]
        for i, j in itertools.combinations_with_replacement(range(5), 2)
    ] + [digest_of(payload(b"aa", ("a", "a"))), digest_of(payload(b"aa", ("aa",)))]
    assert len(set(splits)) == len(splits) - 1
    assert splits[-1] in splits[:-2]


def test_the_order_of_betas_given_does_not_matter() -> None:
    one = check_payload(RAW, betas=["a-1", "b-2"])
    other = check_payload(RAW, betas=["b-2", "a-1", "b-2"])
    assert digest_of(one) == digest_of(other)


def test_any_partition_has_a_digest() -> None:
    assert digest_of(payload(), partition="\ud800") != digest_of(payload(), partition="?")


def test_the_model_is_hashed_as_part_of_the_body() -> None:
    assert digest_of(check_payload(RAW)) != digest_of(check_payload(RAW.replace("sonnet", "opus")))
