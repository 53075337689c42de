"""Numbered payloads, the files in which they overlap, and the count that each must get."""

from functools import cache
from random import Random
from typing import Any

from weighbridge.payload import check_payload
from weighbridge_worker.sandbox.weighing import weigh

FILE = 150
WINDOW = 400
STEP = 200
"""A round's files draw from a window of numbers that moves on by a step; so all overlap."""


def payload(number: int) -> dict[str, Any]:
    """Make a payload; its length, and so its count, follows from its number."""
    text = f"payload number {number} " + "word " * (number * 7919 % 97)
    return {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": text}]}


@cache
def expected(number: int) -> int:
    """Return the count that the stand-in gives for a payload."""
    verdict = weigh(check_payload(payload(number)).body).verdict
    assert isinstance(verdict, int)
    return verdict


def file_of(seed: int, producer: int, turn: int) -> list[int]:
    """Return the numbers in a producer's file of one turn; some stand there twice."""
    random = Random(f"{seed}:{producer}:{turn}")
    return random.choices(range(turn * STEP, turn * STEP + WINDOW), k=FILE)
