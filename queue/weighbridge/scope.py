"""What all counts of a pool depend on beside the payload."""

import hashlib

from weighbridge.errors import ScopeMismatch


def digest_key_id(key: bytes | None) -> str:
    """Name a digest key without giving it away; ``none`` without one."""
    if key is None:
        return "none"
    return hashlib.sha256(b"weighbridge digest key\0" + key).hexdigest()[:16]


def make_scope(
    *, base_url: str, anthropic_version: str, digest_key: bytes | None
) -> dict[str, str]:
    """Name the scope of a pool that calls ``base_url``; a namespace has one."""
    return {
        "base_url": base_url.rstrip("/"),
        "anthropic_version": anthropic_version,
        "digest_key": digest_key_id(digest_key),
    }


def scope_id(scope: dict[str, str]) -> str:
    """Name a scope in 16 hex digits, for the folder of its state."""
    text = "\0".join(f"{name}={value}" for name, value in sorted(scope.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_digest_key(theirs: bytes | str | None, ours: bytes | None, namespace: str) -> None:
    """Compare a client's digest key with the id of the one that a namespace's workers use.

    Raises:
        ScopeMismatch: they differ.
    """
    if theirs is not None and theirs != digest_key_id(ours).encode():
        raise ScopeMismatch(
            f"the workers of namespace {namespace!r} use another WEIGHBRIDGE_DIGEST_KEY; set the"
            " same one here, or choose another WEIGHBRIDGE_NAMESPACE"
        )
