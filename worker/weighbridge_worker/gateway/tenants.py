"""Who may ask: tenants and their tokens, from a file that is read once at the start.

A TOML file with a table a tenant::

    [tenants.billing]
    tokens = ["sha256:<64 hexadecimal digits>"]  # or the token itself; several, to change one
    lane = "batch"        # the only lane it may use; both if left out
    rate = 600            # requests a minute that one gateway takes from it; any number if left out
    partition = "shared"  # who has the same one shares counts; its own if left out
    operator = true       # sees the pool and may replay dead letters; false if left out
"""

import hashlib
import hmac
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from weighbridge.errors import SettingsError
from weighbridge.records import Lane
from weighbridge.settings import NAME, NAME_WORDS

HASHED: Final = re.compile(r"sha256:([0-9a-f]{64})")
MIN_TOKEN: Final = 16
TOKEN: Final = re.compile(rf"[!-~]{{{MIN_TOKEN},512}}")
VARIABLE: Final = "WEIGHBRIDGE_TOKENS_FILE"


@dataclass(frozen=True, slots=True)
class Tenant:
    """Somebody who may ask.

    Args:
        name: the producer of its jobs, the unit of fair sharing.
        lane: the only lane it may use, or None.
        rate: requests a minute that one gateway takes from it, or None.
        partition: part of its digests; None is the queue's own.
        operator: whether it sees and changes the pool.
    """

    name: str
    lane: Lane | None = None
    rate: int | None = None
    partition: str | None = None
    operator: bool = False


EVERYBODY: Final = Tenant(name="local", operator=True)
"""Whoever reaches a gateway without a tokens file, which only this machine can."""


class Tenants:
    """Finds tenants by their tokens.

    Args:
        hashed: tenants by the SHA-256 of their tokens.
    """

    def __init__(self, hashed: Mapping[bytes, Tenant]) -> None:
        self._hashed = {key: (key, tenant) for key, tenant in hashed.items()}

    def find(self, token: bytes) -> Tenant | None:
        """Find whose token this is, in a time that tells nothing of the others.

        What a look-up's time could tell is about the hash, which nobody can choose.
        """
        asked = hashlib.sha256(token).digest()
        known, tenant = self._hashed.get(asked, (bytes(32), None))
        return tenant if hmac.compare_digest(known, asked) else None


def read_tenants(path: Path) -> Tenants:
    """Read a tokens file.

    Raises:
        SettingsError: it cannot be read or says nonsense, or others could read or change it.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = tomllib.load(stream)
    except OSError as error:
        raise SettingsError(f"{VARIABLE} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        where = error if isinstance(error, UnicodeDecodeError) else _place(error)
        raise SettingsError(f"{VARIABLE} is no TOML: {where}") from None
    tables = content.get("tenants")
    if set(content) != {"tenants"} or not isinstance(tables, dict) or not tables:
        raise SettingsError(f"{VARIABLE} takes tables [tenants.<name>] and nothing beside them")
    _check_mode(mode, tables)
    return Tenants(_by_hash(tables))


def _place(error: tomllib.TOMLDecodeError) -> str:
    """Give the error's place and not its text, which may quote a token."""
    found = re.search(r"\(at [^)]*\)", str(error))
    return found[0] if found else "see its syntax"


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """A tenant as the file has it."""

    tokens: list[str]
    lane: Lane | None = None
    rate: int | None = None
    partition: str | None = None
    operator: bool = False


def _by_hash(tables: Mapping[str, Any]) -> dict[bytes, Tenant]:
    hashed: dict[bytes, Tenant] = {}
    for name, given in tables.items():
        table = _read(name, given)
        tenant = Tenant(
            name=name,
            lane=table.lane,
            rate=table.rate,
            partition=name if table.partition is None else table.partition,
            operator=table.operator,
        )
        for token in table.tokens:
            key = _hash(name, token)
            if key in hashed:
                raise _wrong(name, f"a token that {hashed[key].name} has already")
            hashed[key] = tenant
    return hashed


def _read(name: str, given: Any) -> _Table:
    if not re.fullmatch(NAME, name):
        raise SettingsError(f"{VARIABLE}: a tenant's name takes {NAME_WORDS}")
    try:
        table = msgspec.convert(given, _Table)
    except msgspec.ValidationError as error:
        raise _wrong(name, str(error)) from None
    if not table.tokens:
        raise _wrong(name, "no tokens")
    if table.rate is not None and table.rate < 1:
        raise _wrong(name, "a rate below 1 a minute")
    if table.partition and not re.fullmatch(NAME, table.partition):
        raise _wrong(name, f"a partition that is not {NAME_WORDS}")
    return table


def _hash(name: str, token: str) -> bytes:
    if found := HASHED.fullmatch(token):
        return bytes.fromhex(found[1])
    if token.startswith("sha256:") or not TOKEN.fullmatch(token):
        raise _wrong(
            name,
            f"a token that is neither sha256:<64 hexadecimal digits> nor {MIN_TOKEN} to 512"
            " visible ASCII characters",
        )
    return hashlib.sha256(token.encode()).digest()


def _wrong(name: str, what: str) -> SettingsError:
    return SettingsError(f"{VARIABLE}: tenant {name} has {what}")


def _check_mode(mode: int, tables: Mapping[str, Any]) -> None:
    """A file of hashes may be read by all; who could change it could let anybody in."""
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingsError(f"{VARIABLE} can be changed by others: chmod go-w it")
    if mode & stat.S_IROTH and not all(_is_hashed(table) for table in tables.values()):
        raise SettingsError(
            f"{VARIABLE} holds tokens that everybody here can read: chmod o-r it, or write"
            " sha256:… instead"
        )


def _is_hashed(table: Any) -> bool:
    tokens = table.get("tokens", []) if isinstance(table, dict) else []
    return all(isinstance(token, str) and HASHED.fullmatch(token) for token in tokens)
