"""The users of ``deploy/redis/users.acl``, with passwords, on a server for tests."""

from pathlib import Path

REDIS_FILES = Path(__file__).parents[2] / "deploy" / "redis"
USERS = ("producer", "worker", "operator")


def users_file(folder: Path) -> Path:
    """Write the file with passwords; the default user is left on, for the tests' own looks."""
    text = (REDIS_FILES / "users.acl").read_text()
    for user in USERS:
        text = text.replace(f"user {user} on ", f"user {user} on >pw ")
    path = folder / "users.acl"
    path.write_text(text.replace("user default off", "user default on nopass ~* &* +@all"))
    return path
