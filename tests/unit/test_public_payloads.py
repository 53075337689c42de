"""500 public payloads with duplicates, re-spellings and near misses make exactly 375 calls."""

import json
import lzma
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from weighbridge.digest import digest_of
from weighbridge.payload import check_payload

DATA = Path(__file__).parents[1] / "data"
CALLS = 375


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    with lzma.open(DATA / "payloads_public.jsonl.xz") as file:
        return file.read().splitlines()


@pytest.fixture(scope="module")
def manifest() -> list[dict[str, Any]]:
    text = (DATA / "payloads_public.manifest.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def digests(lines: list[bytes]) -> list[str]:
    return [digest_of(check_payload(line)) for line in lines]


def expected_group(entry: dict[str, Any]) -> object:
    """``deep`` changed the order of keys in free JSON: a payload of its own for us."""
    return ("deep", entry["line"]) if entry["deep"] else entry["group"]


def test_the_lines_make_exactly_375_digests(digests: list[str]) -> None:
    assert len(digests) == 500
    assert len(set(digests)) == CALLS


def test_the_lines_fall_into_exactly_the_manifest_s_groups(
    digests: list[str], manifest: list[dict[str, Any]]
) -> None:
    expected: defaultdict[object, set[int]] = defaultdict(set)
    found: defaultdict[str, set[int]] = defaultdict(set)
    for entry, digest in zip(manifest, digests, strict=True):
        expected[expected_group(entry)].add(entry["line"])
        found[digest].add(entry["line"])
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected.values()))
    assert len(expected) == CALLS


def test_no_near_miss_is_merged_with_what_it_resembles(
    digests: list[str], manifest: list[dict[str, Any]]
) -> None:
    near_misses = [entry for entry in manifest if entry["kind"] == "near_miss"]
    assert len(near_misses) == 20
    for entry in near_misses:
        assert digests[entry["line"]] != digests[entry["of"]], entry["variant"]


def test_every_duplicate_is_merged_unless_free_json_was_reordered(
    digests: list[str], manifest: list[dict[str, Any]]
) -> None:
    duplicates = [e for e in manifest if e["kind"] in ("exact_dup", "reorder_dup")]
    assert len(duplicates) == 150
    for entry in duplicates:
        merged = digests[entry["line"]] == digests[entry["of"]]
        assert merged is not bool(entry["deep"]), entry


def test_text_and_mapping_give_the_same_payload(lines: list[bytes]) -> None:
    for line in lines:
        assert check_payload(json.loads(line)) == check_payload(line)


def test_canonical_bytes_mean_what_the_line_meant_and_are_their_own_form(
    lines: list[bytes],
) -> None:
    for line in lines:
        body = check_payload(line).body
        assert json.loads(body) == json.loads(line)
        assert check_payload(body).body == body
