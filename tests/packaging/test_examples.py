"""The example file is what ``make demo`` and its README promise."""

import json
from pathlib import Path

import pytest

from weighbridge.digest import digest_of
from weighbridge.errors import PayloadError
from weighbridge.payload import check_payload

BAD_LINES = {23, 58, 97}
"""Not JSON, a picture by URL, and no messages."""

REPEATS = ("-again", "-reordered", "-escaped", "-spaced", "-compact", "-as-sent")


@pytest.fixture(scope="module")
def lines(root: Path) -> list[str]:
    path = root / "deploy" / "examples" / "payloads.jsonl"
    return path.read_text(encoding="utf-8").splitlines()


def _digest(line: str) -> str:
    record = json.loads(line)
    return digest_of(check_payload(record.get("payload", record)))


def test_exactly_the_three_bad_lines_are_refused(lines: list[str]) -> None:
    refused = set()
    for number, line in enumerate(lines, 1):
        try:
            _digest(line)
        except (PayloadError, json.JSONDecodeError):
            refused.add(number)
    assert len(lines) >= 100
    assert refused == BAD_LINES


def test_only_the_lines_named_as_repeats_repeat_an_earlier_one(lines: list[str]) -> None:
    seen: set[str] = set()
    repeats = 0
    for number, line in enumerate(lines, 1):
        if number in BAD_LINES:
            continue
        digest, name = _digest(line), str(json.loads(line).get("id"))
        assert (digest in seen) == name.endswith(REPEATS), name
        repeats += digest in seen
        seen.add(digest)
    assert repeats == 15
