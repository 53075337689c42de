"""The users of ``deploy/redis/users.acl``, with passwords, on a server for tests."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

REDIS_FILES = Path(__file__).parents[2] / "deploy" / "redis"
USERS = ("producer", "worker", "operator", "gateway")
UNDER_ACL = os.environ.get("WEIGHBRIDGE_TEST_ACL") == "1"

ROLES = {
    "weighbridge.client": "producer",
    "weighbridge.bucket": "worker",
    "weighbridge_worker.pool": "worker",
    "weighbridge_worker.startup": "worker",
    "weighbridge_worker.cli.assembly": "operator",
    "weighbridge_worker.gateway.service": "gateway",
}
"""Who the modules that connect are."""


def users_file(folder: Path) -> Path:
    """Write the file with passwords; the default user is left on, for the tests' own looks."""
    text = (REDIS_FILES / "users.acl").read_text()
    for user in USERS:
        text = text.replace(f"user {user} on ", f"user {user} on >pw ")
    path = folder / "users.acl"
    path.write_text(text.replace("user default off", "user default on nopass ~* &* +@all"))
    return path


def as_user(url: str, user: str, password: str = "pw") -> str:
    """Name a user in a server's URL."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{user}:{password}@{rest}"


def log_in_by_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every module that connects log in as the user that it would be."""
    for module, user in ROLES.items():
        for name in ("connect", "connect_unrepeated"):
            original = getattr(importlib.import_module(module), name, None)
            if original is not None:
                monkeypatch.setattr(f"{module}.{name}", _logging_in(original, user))


def _logging_in(connect: Callable[[str], Any], user: str) -> Callable[[str], Any]:
    def connect_as(url: str) -> Any:
        return connect(url if "@" in url else as_user(url, user))

    return connect_as


def refusals(client: redis.Redis) -> list[str]:
    """List what the ACL refused our users, but redis-py's naming of itself, which it may refuse."""
    entries = [
        f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in client.acl_log()
    ]
    return [entry for entry in entries if "client" not in entry]
