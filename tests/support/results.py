"""Results as an endpoint's answers would make them."""

from weighbridge.records import Counted, Failed


def counted(digest: str, tokens: int = 7) -> Counted:
    """Make a count."""
    return Counted(
        digest=digest, model="claude-sonnet-5", input_tokens=tokens, source="api", counted_at=1
    )


def failed(digest: str, code: str = "invalid_request") -> Failed:
    """Make a failure."""
    return Failed(digest=digest, model="claude-sonnet-5", code=code, message="no", attempts=1)
