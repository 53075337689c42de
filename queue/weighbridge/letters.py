"""Dead letters as they stand in their stream, and which of them are meant."""

from collections.abc import Mapping
from dataclasses import dataclass

from weighbridge.records import Lane


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that failed for good.

    Args:
        id: of the entry in the stream of dead letters.
        attempts: calls that were made for it.
        deliveries: leases that were not given back.
        age_s: since it was buried, by the server's clock.
        kept: whether its payload is there for a replay.
    """

    id: str
    digest: str
    code: str
    lane: Lane
    producer: str
    model: str
    betas: tuple[str, ...]
    attempts: int
    deliveries: int
    age_s: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters; what is left out does not matter.

    Args:
        digest: what it begins with.
    """

    code: str | None = None
    older_than_s: float | None = None
    younger_than_s: float | None = None
    digest: str = ""


def matches(fields: Mapping[bytes, bytes], selection: Selection) -> bool:
    """Say whether an entry is one that is meant; its age is not looked at."""
    if selection.code is not None and fields[b"code"] != selection.code.encode():
        return False
    return fields[b"digest"].startswith(selection.digest.encode())


def read_letter(
    entry: str, fields: Mapping[bytes, bytes], now_ms: int, *, kept: bool
) -> DeadLetter:
    """Read an entry of the stream; its id tells when it was buried."""
    texts = {name.decode(): value.decode() for name, value in fields.items()}
    return DeadLetter(
        id=entry,
        digest=texts["digest"],
        code=texts["code"],
        lane=Lane(texts["lane"]),
        producer=texts["producer"],
        model=texts["model"],
        betas=tuple(beta for beta in texts.get("betas", "").split(",") if beta),
        attempts=int(texts["attempts"]),
        deliveries=int(texts["deliveries"]),
        age_s=max(0, now_ms - int(entry.partition("-")[0])) / 1000,
        kept=kept,
    )
