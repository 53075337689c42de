"""Preparation: large bodies are checked beside the event loop, and nothing else about them changes.

A body that is checked on the loop leaves no other task a turn until it is done.
"""

import json
from collections.abc import Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from weighbridge.digest import digest_of
from weighbridge.errors import PayloadError, PayloadTooLarge
from weighbridge.payload import MAX_BODY_BYTES, check_payload
from weighbridge.preparation import LARGE_BYTES, Preparation, Prepared, RawPayload, is_large

pytestmark = pytest.mark.asyncio

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}


def with_image(size: int) -> dict[str, Any]:
    """Make a body with one image of so many characters."""
    image = IMAGE | {"source": IMAGE["source"] | {"data": "A" * size}}  # type: ignore[operator]
    return {"model": "claude-test", "messages": [{"role": "user", "content": [image]}]}


def with_messages(count: int) -> dict[str, Any]:
    """Make a body with so many small messages."""
    messages = [{"role": "user", "content": "x"} for _ in range(count)]
    return {"model": "claude-test", "messages": messages}


LARGE = [with_image(LARGE_BYTES), with_messages(LARGE_BYTES // 16)]


@pytest.mark.parametrize("body", LARGE, ids=["image", "messages"])
@pytest.mark.parametrize("form", ["bytes", "str", "mapping"])
async def test_the_loop_turns_while_a_large_body_is_checked(
    body: dict[str, Any], form: str
) -> None:
    raw = in_form(body, form)
    prepared, turns = await prepare_and_count_turns(raw)
    assert turns > 0
    payload = check_payload(raw)
    assert prepared == Prepared(digest_of(payload), payload)


@pytest.mark.parametrize("form", ["bytes", "str", "mapping"])
async def test_a_small_body_is_checked_at_once(form: str) -> None:
    _, turns = await prepare_and_count_turns(in_form(with_image(100), form))
    assert turns == 0


@pytest.mark.parametrize("form", ["bytes", "str", "mapping"])
async def test_a_large_body_that_is_refused_says_why(form: str) -> None:
    body = with_image(LARGE_BYTES) | {"betas": "no list"}
    with pytest.raises(PayloadError, match="betas"):
        await Preparation(digest_key=None).prepare(in_form(body, form))


async def test_betas_given_as_one_text_are_refused_for_large_bodies_too() -> None:
    with pytest.raises(PayloadError, match="betas"):
        await Preparation(digest_key=None).prepare(with_image(LARGE_BYTES), betas="one-text")


async def test_a_circle_in_a_mapping_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(PayloadError, match="128"):
        await Preparation(digest_key=None).prepare({"model": "m", "messages": circle})


@pytest.mark.parametrize("form", ["bytes", "str", "mapping"])
async def test_a_body_beyond_the_endpoints_bound_is_refused(form: str) -> None:
    with pytest.raises(PayloadTooLarge, match="33,554,432"):
        await Preparation(digest_key=None, max_bytes=2**40).prepare(
            in_form(with_image(MAX_BODY_BYTES), form)
        )


async def test_text_is_measured_in_bytes_not_characters() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "é" * 600}]}
    with pytest.raises(PayloadTooLarge):
        await Preparation(digest_key=None, max_bytes=1000).prepare(
            json.dumps(body, ensure_ascii=False)
        )


async def test_spaces_count_in_a_body_as_it_came() -> None:
    text = json.dumps(with_messages(1)) + " " * 1000
    with pytest.raises(PayloadTooLarge):
        await Preparation(digest_key=None, max_bytes=1000).prepare(text)


async def test_a_body_beyond_the_queues_whole_bound_is_refused() -> None:
    with pytest.raises(PayloadTooLarge, match="1,000"):
        await Preparation(digest_key=None, max_bytes=1000).prepare(with_image(1000))


async def test_what_is_large_is_told_by_text_and_by_number() -> None:
    assert not is_large(with_image(LARGE_BYTES // 2))
    assert is_large(with_image(LARGE_BYTES))
    assert is_large(with_messages(LARGE_BYTES))
    assert not is_large({})
    assert is_large(b" " * LARGE_BYTES)


def in_form(body: Mapping[str, Any], form: str) -> RawPayload:
    """Write a body as text, or leave it."""
    if form == "mapping":
        return body
    text = json.dumps(body)
    return text.encode() if form == "bytes" else text


async def prepare_and_count_turns(raw: RawPayload) -> tuple[Prepared, int]:
    """Prepare a body, and count the turns that another task gets meanwhile."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turn)
        await anyio.lowlevel.checkpoint()
        before = turns
        prepared = await Preparation(digest_key=None).prepare(raw)
        during = turns - before
        tasks.cancel_scope.cancel()
    return prepared, during
