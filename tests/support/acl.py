"""The users of ``deploy/redis/users.acl``, with passwords, on a server for tests."""

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

REDIS_FILES = Path(__file__).parents[2] / "deploy" / "redis"
USERS = ("producer", "worker", "operator", "gateway", "scaler")
BOTH = "both"
"""A user of the tests' own: what counts with workers of its own is a producer and a worker."""

UNDER_ACL = os.environ.get("WEIGHBRIDGE_TEST_ACL") == "1"

SERVED = "WEIGHBRIDGE_TEST_ACL_URL"
"""The variable that names the server that has these users; a test's own server has none."""

PRODUCERS = ("count", "guard", "route", "prune", "compare", "audit")

ROLES = {
    "weighbridge.client": "producer",
    "weighbridge.uses.run_budget": "producer",
    "weighbridge.uses.review": "producer",
    "weighbridge.uses.review_desk": "operator",
    "weighbridge.bucket": "worker",
    "weighbridge_worker.pool": "worker",
    "weighbridge_worker.startup": "worker",
    "weighbridge_worker.cli.assembly": "operator",
    "weighbridge_worker.gateway.service": "gateway",
    "weighbridge_worker.cli.dead_letters": "operator",
}
"""Who the modules that connect are."""


def users_file(folder: Path) -> Path:
    """Write the file with passwords; the default user is left on, for the tests' own looks."""
    text = (REDIS_FILES / "users.acl").read_text()
    for user in USERS:
        text = text.replace(f"user {user} on ", f"user {user} on >pw ")
    path = folder / "users.acl"
    text += f"user {BOTH} on >pw {_rules(text, 'producer')} {_rules(text, 'worker')}\n"
    path.write_text(text.replace("user default off", "user default on nopass ~* &* +@all"))
    return path


def _rules(text: str, user: str) -> str:
    [line] = [line for line in text.splitlines() if line.startswith(f"user {user} ")]
    root, _, _ = line.partition(" >pw ")[2].partition(" (")
    return root.replace("resetkeys resetchannels ", "").replace("-@all ", "")


def as_user(url: str, user: str, password: str = "pw") -> str:
    """Name a user in a server's URL."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{user}:{password}@{rest}"


def log_in_by_role(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let every module that connects to this server log in as the user that it would be."""
    monkeypatch.setenv(SERVED, url)
    for module, user in ROLES.items():
        for name in ("connect", "connect_unrepeated"):
            original = getattr(importlib.import_module(module), name, None)
            if original is not None:
                monkeypatch.setattr(f"{module}.{name}", _logging_in(original, user))


def _logging_in(connect: Callable[[str], Any], user: str) -> Callable[[str], Any]:
    def connect_as(url: str) -> Any:
        return connect(as_user(url, user) if url == os.environ.get(SERVED) else url)

    return connect_as


def command_as_role(
    words: Sequence[str], env: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Let a command that is to reach this server log in as the user that it would be."""
    served = os.environ.get(SERVED)
    role = BOTH if "--with-workers" in words else _role(words[0]) if words else "operator"

    def told(text: str) -> str:
        return as_user(text, role) if served and text == served else text

    return [told(word) for word in words], {name: told(value) for name, value in env.items()}


def _role(command: str) -> str:
    if command in {"worker", "gateway"}:
        return command
    return "producer" if command in PRODUCERS else "operator"


def refusals(client: redis.Redis) -> list[str]:
    """List what the ACL refused our users, but redis-py's naming of itself, which it may refuse."""
    entries = [
        f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in client.acl_log()
    ]
    return [entry for entry in entries if "client" not in entry]
