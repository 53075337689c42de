"""What is fuzzed, and what must be true of each answer."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal, NoReturn, cast

from fuzz.inputs import Input

from weighbridge.digest import digest_of
from weighbridge.errors import PayloadError, WeighbridgeError
from weighbridge.keys import Keys
from weighbridge.payload import check_payload
from weighbridge.records import Failed, Payload, encode_reply, read_result
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings
from weighbridge_worker.inbox import Request
from weighbridge_worker.intake import Intake
from weighbridge_worker.logs import make_logger
from weighbridge_worker.tally import Tally

ENTRY = "1700000000000-0"
REPLY = re.compile(r"\S+ [01] \S+")
"""A member of ``replies:<digest>``, as settle.lua reads it."""

Answer = Literal["accepted", "refused"]


def make_target() -> Callable[[Input], Awaitable[Answer]]:
    """Make what tries one input; it raises whatever is not an error of ours."""
    reader = _reader()

    async def try_input(given: Input) -> Answer:
        if given.fields is not None:
            return await _try_entry(reader, given.fields)
        return _try_payload(given)

    return try_input


def _try_payload(given: Input) -> Answer:
    try:
        payload = check_payload(given.payload, betas=given.betas)
    except PayloadError:
        return "refused"
    if isinstance(given.payload, bytes | str):
        _check_sound(given.payload)
    _check(payload)
    return "accepted"


def _check_sound(text: bytes | str) -> None:
    """What was accepted has one meaning: no key twice, no NaN, no half character."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs), "a duplicate key was accepted"
        return dict(pairs)

    def constant(word: str) -> NoReturn:
        raise AssertionError(f"{word} was accepted")

    tree = json.loads(text, object_pairs_hook=unique, parse_constant=constant, parse_int=str)
    json.dumps(tree, ensure_ascii=False).encode()


def _check(payload: Payload) -> None:
    """The canonical body is JSON, and its own canonical body."""
    again = check_payload(payload.body, betas=payload.betas)
    assert again == payload, "the canonical form of a canonical body is another"
    assert digest_of(again) == digest_of(payload)
    assert json.loads(payload.body)["model"] == payload.model


async def _try_entry(reader: Intake, fields: dict[bytes, bytes]) -> Answer:
    named = {name.decode(errors="replace"): value for name, value in fields.items()}
    try:
        submission = await reader._submission(Request(ENTRY, named))
    except WeighbridgeError as error:
        failed = Failed(code=error.code, message=str(error))
        assert read_result(encode_reply(ENTRY, ENTRY, failed)) == failed
        return "refused"
    assert REPLY.fullmatch(submission.reply)
    assert not any("," in beta for beta in submission.job.payload.betas)
    _check(submission.job.payload)
    return "accepted"


def _reader() -> Intake:
    """Make an intake that reads requests and never meets a server."""
    nowhere = cast("Any", None)
    keys = Keys()
    return Intake(
        nowhere,
        nowhere,
        keys,
        Scripts(keys),
        QueueSettings(),
        nowhere,
        Tally(),
        make_logger("error", "json"),
        worker="fuzz",
        reply_ttl_ms=1,
    )
