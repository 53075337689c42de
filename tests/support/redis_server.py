"""The Redis-protocol server that the tests run against."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.acl import UNDER_ACL, users_file

from weighbridge_worker.server import ServerProcess, find_server_binary, packaged_binary


def server_binaries() -> list[Path]:
    """Return every different server on this machine: the one on PATH and the packaged one."""
    return list(dict.fromkeys(binary for binary in (_default(), packaged_binary()) if binary))


def starts(folder: Path) -> int:
    """Count the servers that came up in a folder, by its log."""
    return (folder / "server.log").read_text().count("eady to accept connections")


@contextmanager
def server_for_tests(folder: Path) -> Iterator[str]:
    """Yield the URL of a server without persistence, and end it.

    ``WEIGHBRIDGE_TEST_REDIS_URL`` names a server that runs already: **its data are deleted**.
    ``WEIGHBRIDGE_TEST_SERVER`` is the path of a binary to start instead of the default one.
    """
    if url := os.environ.get("WEIGHBRIDGE_TEST_REDIS_URL"):
        yield url
        return
    arguments = ("--aclfile", str(users_file(folder))) if UNDER_ACL else ()
    server = ServerProcess(_default(), folder, arguments=arguments)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def _default() -> Path:
    given = os.environ.get("WEIGHBRIDGE_TEST_SERVER")
    return find_server_binary(Path(given) if given else None)
