"""Settings: read once from the environment, at the edge, each checked and explained."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from weighbridge.errors import SettingsError
from weighbridge.plaintext import goes_in_plaintext
from weighbridge.server_url import checked_url, with_tls_files

S = TypeVar("S")
Parse = Callable[[str], Any]
"""Turns a variable's text into its value; a ValueError's text completes "<name> takes …"."""

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as the documentation lists it."""

    variable: str
    default: str
    meaning: str
    secret: bool
    parse: Parse


def option(
    variable: str,
    default: Any,
    meaning: str,
    *,
    parse: Parse,
    shown: str = "",
    secret: bool = False,
) -> Any:
    """Declare a dataclass field that is read from ``variable``.

    A secret may also come from the file that ``<variable>_FILE`` names; it is never repeated in an
    error or a repr. ``shown`` is the default as the documentation words it.
    """
    worded = shown or (f"{default:g}" if isinstance(default, float) else str(default))
    described = Option(variable, worded, meaning, secret, parse)
    return field(default=default, repr=not secret, metadata={"option": described})


def options(settings: type[Any]) -> list[Option]:
    """List a settings class's options in their order."""
    return [declared.metadata["option"] for declared in fields(settings) if declared.metadata]


def load(settings: type[S], environ: Mapping[str, str], **given: Any) -> S:
    """Read settings; what the caller gives (command-line options) goes before the environment.

    Raises:
        SettingsError: a value is wrong; the message names the variable and what it takes.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for declared in fields(settings):  # type: ignore[arg-type]
        if declared.metadata and declared.name not in values:
            values[declared.name] = _read(declared, environ)
    return settings(**values)


def _read(declared: "Field[Any]", environ: Mapping[str, str]) -> Any:
    described: Option = declared.metadata["option"]
    text = environ.get(described.variable, "")
    if described.secret and not text:
        text = _read_file(described.variable, environ)
    if not text:
        if declared.default is MISSING:  # pragma: no cover - option() always gives one
            raise SettingsError(f"{described.variable} is not set")
        return declared.default
    return parse_option(described, text)


def _read_file(variable: str, environ: Mapping[str, str]) -> str:
    path = environ.get(f"{variable}_FILE", "")
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{variable}_FILE names a file that cannot be read ({type(error).__name__})"
        ) from None


def parse_option(described: Option, text: str) -> Any:
    """Turn an option's text into its value.

    Raises:
        SettingsError: the text is none the option takes.
    """
    try:
        return described.parse(text)
    except ValueError as error:
        shown = "" if described.secret else f", not {text!r}"
        raise SettingsError(f"{described.variable} takes {error}{shown}") from None


def whole(low: int, high: int) -> Parse:
    """Parse a whole number between bounds, both included."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise ValueError(f"a whole number from {low:,} to {high:,}")
        return number

    return parse


def seconds(low: float, high: float) -> Parse:
    """Parse a span of seconds between bounds, both included."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:  # also refuses nan
            raise ValueError(f"seconds from {low:,g} to {high:,g}")
        return number

    return parse


def switch(text: str) -> bool:
    """Parse a switch: 1 is on, 0 is off."""
    if text not in {"0", "1"}:
        raise ValueError("1 for on or 0 for off")
    return text == "1"


def share(text: str) -> float:
    """Parse a share: 0 is off, otherwise from 0.05 up to but not including 1."""
    number = seconds(0, 1)(text) if re.fullmatch(r"[0-9.]+", text) else -1.0
    if number != 0 and not 0.05 <= number < 1:
        raise ValueError("a share from 0.05 to below 1, or 0 for off")
    return float(number)


def matching(pattern: str, words: str) -> Parse:
    """Parse a text of one shape, described by ``words``."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(words)
        return text

    return parse


def existing_file(text: str) -> str:
    """Parse the path of a file that is there."""
    if not Path(text).is_file():
        raise ValueError("the path of a file that is there")
    return text


def text_key(text: str) -> bytes:
    """Parse a key for keyed hashing, at least 16 bytes of text."""
    if len(text.encode()) < 16:
        raise ValueError("a secret of at least 16 characters")
    return text.encode()


NAME = r"[A-Za-z0-9_.-]{1,64}"
NAME_WORDS = "1 to 64 letters, digits, '_', '.' or '-'"


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What a producer and a worker of one pool share."""

    redis_url: str = option(
        "WEIGHBRIDGE_REDIS_URL",
        "redis://127.0.0.1:6379/0",
        "The queue's server; `rediss://` for TLS, `unix://` for a socket, "
        "`redis+sentinel://host,host/service/0`, `redis+cluster://host,host` (`rediss+…` for TLS). "
        "`weighbridge count` starts an embedded one where this is not set.",
        parse=checked_url,
        secret=True,
    )
    redis_ca: str = option(
        "WEIGHBRIDGE_REDIS_CA",
        "",
        "A file with the CA that signed the server's certificate.",
        parse=existing_file,
        shown="the system's",
    )
    redis_cert: str = option(
        "WEIGHBRIDGE_REDIS_CERT",
        "",
        "A file with our own certificate, for a server that asks for one.",
        parse=existing_file,
        shown="none",
    )
    redis_key: str = option(
        "WEIGHBRIDGE_REDIS_KEY",
        "",
        "The file with its key, if that is not in the same one.",
        parse=existing_file,
        shown="none",
    )
    wait_replicas: int = option(
        "WEIGHBRIDGE_WAIT_REPLICAS",
        0,
        "Replicas that must have a submitted job before `submit` returns, so that a fail-over to "
        "one of them does not lose it; `count` needs none, it submits again.",
        parse=whole(0, 16),
    )
    allow_plaintext: bool = option(
        "WEIGHBRIDGE_ALLOW_PLAINTEXT",
        False,
        "1 lets a `redis://` URL name another machine, so that payloads and the password travel in "
        "clear text: for networks that only you can read, such as one between containers.",
        parse=switch,
        shown="off",
    )
    namespace: str = option(
        "WEIGHBRIDGE_NAMESPACE",
        "weighbridge",
        "The first part of every key; one namespace is one pool with one limit.",
        parse=matching(NAME, NAME_WORDS),
    )
    partition: str = option(
        "WEIGHBRIDGE_PARTITION",
        "",
        "Tenants that must not share counts: part of every digest.",
        parse=matching(NAME, NAME_WORDS),
        shown="none",
    )
    digest_key: bytes | None = option(
        "WEIGHBRIDGE_DIGEST_KEY",
        None,
        "Digests become HMACs, so that nobody who reads keys can confirm a guessed prompt. "
        "The same for every producer and worker.",
        parse=text_key,
        shown="none",
        secret=True,
    )
    producer: str = option(
        "WEIGHBRIDGE_PRODUCER",
        "",
        "Who submits: the unit of fair sharing within a lane.",
        parse=matching(NAME, NAME_WORDS),
        shown="the host's name",
    )
    max_queue: int = option(
        "WEIGHBRIDGE_MAX_QUEUE",
        100_000,
        "Live jobs the queue takes before it refuses more.",
        parse=whole(1, 100_000_000),
    )
    max_queue_bytes: int = option(
        "WEIGHBRIDGE_MAX_QUEUE_BYTES",
        2**30,
        "Bytes of live jobs' payloads the queue takes before it refuses more; at least the largest "
        "payload's 32 MiB, so that an empty queue takes any.",
        parse=whole(32 * 2**20, 2**50),
    )
    deadline_s: float = option(
        "WEIGHBRIDGE_JOB_DEADLINE",
        DAY_S,
        "Seconds after which a job that nobody could count ends as `expired`.",
        parse=seconds(1, DAY_S),
    )

    def __post_init__(self) -> None:
        """Check what the options mean together.

        Raises:
            SettingsError: payloads would travel in clear text, and nobody said that they may.
        """
        # One text says it all, so that whoever connects by the URL uses the files.
        url = with_tls_files(self.redis_url, self.redis_ca, self.redis_cert, self.redis_key)
        object.__setattr__(self, "redis_url", url)
        if not self.allow_plaintext and goes_in_plaintext(self.redis_url):
            raise SettingsError(
                "WEIGHBRIDGE_REDIS_URL (or --redis) names another machine without TLS: use"
                " rediss://, or set WEIGHBRIDGE_ALLOW_PLAINTEXT=1 (in code:"
                " QueueSettings(allow_plaintext=True)) if nobody else can read that network"
            )
