"""From a request body as somebody wrote it to the payload that is hashed, stored and sent.

Only what decides meaning or countability is checked here; the API decides the rest.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, cast

from weighbridge.canonical import arrange_body
from weighbridge.conversation import read_conversation, write_conversation
from weighbridge.countable import check_countable
from weighbridge.errors import MalformedPayload, PayloadTooLarge
from weighbridge.nesting import nests_deeper
from weighbridge.records import Payload
from weighbridge.strict_json import (
    MAX_DEPTH,
    encoded,
    read_json,
    read_python,
    too_deep,
    write_json,
)

MAX_BODY_BYTES: Final = 32 * 2**20
"""The API's bound, https://platform.claude.com/docs/en/api/errors."""

_DROPPED: Final = frozenset(
    {
        "container",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "inference_geo",
        "max_tokens",
        "metadata",
        "service_tier",
        "stop_sequences",
        "stream",
        "temperature",
        "top_k",
        "top_p",
    }
)
"""Fields of a Messages body that add no tokens and that count_tokens does not take.

The difference between the SDK's ``types/beta/message_create_params.py`` and
``types/beta/message_count_tokens_params.py``, less ``thread``: that one stands for messages.
"""

_BETA_NAME: Final = re.compile(r"[!-+\--~]+")
"""Visible ASCII but the comma, which joins the names in the header."""


def check_payload(
    raw: bytes | str | Mapping[str, object],
    *,
    betas: Iterable[str] = (),
    max_bytes: int = MAX_BODY_BYTES,
) -> Payload:
    """Turn a Messages or count_tokens body into its canonical payload.

    Args:
        raw: JSON text, or a mapping that means the same; it is not changed.
        betas: names for the ``anthropic-beta`` header, besides those in the body's ``betas``.
        max_bytes: bound on JSON text as it came, and on the canonical bytes.

    Raises:
        MalformedPayload: no JSON object with ``model`` and ``messages``, or of uncertain meaning.
        PayloadTooLarge: more than ``max_bytes``.
        NotCountablePayload: the endpoint refuses this kind.
    """
    text = _text(raw, max_bytes)
    plain = read_conversation(text, _DROPPED) if text else write_conversation(raw, _DROPPED)
    if plain is not None:
        names = _sorted_betas(betas, None)
        _check_size(len(plain.body), max_bytes)
        return Payload(plain.body, plain.model, names)
    body = _tree(raw if text is None else text)
    names = _sorted_betas(betas, body.pop("betas", None))
    # Dropped only once they are known to be sound: a payload is malformed wherever it is.
    if not _DROPPED.isdisjoint(body):
        write_json([body.pop(field) for field in sorted(_DROPPED) if field in body])
    _move_output_format(body)
    model = _checked_model(body)
    _check_messages(body)
    check_countable(body)
    canonical = write_json(arrange_body(body))
    _check_size(len(canonical), max_bytes)
    return Payload(canonical, model, names)


def _text(raw: object, max_bytes: int) -> bytes | None:
    """Give a body's JSON text; None for a mapping."""
    if not isinstance(raw, bytes | str):
        if isinstance(raw, Mapping):
            return None
        raise MalformedPayload(f"a {type(raw).__name__} is no payload: send JSON text or a dict")
    text = encoded(raw) if isinstance(raw, str) else raw
    _check_size(len(text), max_bytes)
    return text


def _tree(raw: object) -> dict[str, object]:
    tree = read_python(dict(raw)) if isinstance(raw, Mapping) else read_json(cast("bytes", raw))
    if not isinstance(tree, dict):
        raise MalformedPayload("the payload must be a JSON object with model and messages")
    return tree


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise PayloadTooLarge(
            f"the payload has {size:,} bytes, the limit is {max_bytes:,}:"
            " send fewer or smaller images and documents, or a shorter history"
        )


def _sorted_betas(given: Iterable[str], in_body: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(in_body, list | None):
        raise MalformedPayload("betas must be a list of names, not one text")
    names: list[object] = [*given, *(in_body or ())]
    if not names:
        return ()
    return tuple(sorted({beta_name(name) for name in names}))


def beta_name(name: object) -> str:
    """Check a name for the ``anthropic-beta`` header.

    Raises:
        MalformedPayload: it is none.
    """
    if not isinstance(name, str) or not _BETA_NAME.fullmatch(name):
        raise MalformedPayload(
            "a name in betas is not visible ASCII without commas: send one name an entry"
        )
    return name


def _move_output_format(body: dict[str, object]) -> None:
    """Move the older ``output_format`` to ``output_config.format``, as the SDK does."""
    form = body.pop("output_format", None)
    if form is None:
        return
    config = body.get("output_config")
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise MalformedPayload("output_config must be an object to take output_format in")
    if config.get("format") is not None:
        raise MalformedPayload(
            "output_format and output_config.format exclude each other: keep one"
        )
    if nests_deeper(write_json(form), MAX_DEPTH - 2):  # there it stands a level deeper
        raise too_deep()
    body["output_config"] = {**config, "format": form}


def _checked_model(body: Mapping[str, object]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise MalformedPayload("model is missing: name the model to count for, as a string")
    return model


def _check_messages(body: Mapping[str, object]) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise MalformedPayload("messages is missing: send a list of at least one message")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise MalformedPayload(f"messages[{index}] must be an object with role and content")
        if "role" not in message:
            raise MalformedPayload(f'messages[{index}] has no role: say "user" or "assistant"')
        # A system message may only set options and say nothing (BetaSystemMessageParam).
        if "content" not in message and message["role"] != "system":
            raise MalformedPayload(f"messages[{index}] has no content: send text or blocks")
