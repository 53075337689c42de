"""Request bodies for tests."""

import json
from collections.abc import Mapping

from weighbridge.payload import check_payload

Raw = bytes | str | Mapping[str, object]

USER = {"role": "user", "content": "Hello"}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
CACHE = {"type": "ephemeral", "ttl": "1h"}


def body(**fields: object) -> dict[str, object]:
    """Make the smallest body with these fields besides, or instead."""
    return {"model": "claude-sonnet-5", "messages": [USER], **fields}


def saying(content: object) -> dict[str, object]:
    """Make a body of one message with this content."""
    return body(messages=[{"role": "user", "content": content}])


def having(literal: str) -> str:
    """Write a body in which a field of the future holds the literal as it stands here."""
    return json.dumps(body(later=0)).replace('"later": 0', f'"later": {literal}')


def canonical(raw: Raw) -> bytes:
    """Check the body and return its canonical bytes."""
    return check_payload(raw).body
