"""The JSON that the endpoints answer with, as types."""

from typing import Literal

import msgspec


class TokenCount(msgspec.Struct, frozen=True):
    """A count, as the API answers it."""

    input_tokens: int


class Details(msgspec.Struct, frozen=True):
    """``error_code`` is a stable word of ours."""

    error_code: str


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """``type`` is one of the API's, ``message`` a sentence for people."""

    type: str
    message: str
    details: Details | msgspec.UnsetType = msgspec.UNSET


class ErrorDocument(msgspec.Struct, frozen=True):
    """An error, as the API answers it."""

    type: Literal["error"]
    error: ErrorBody
    request_id: str


class Health(msgspec.Struct, frozen=True):
    """Whether the gateway is well, and why not."""

    ready: bool
    why: list[str]
