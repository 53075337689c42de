"""A server of a test's own, set up as the test wants it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.redis_server import server_binaries

from weighbridge_worker.server import ServerProcess


@contextmanager
def own_server(
    folder: Path, *arguments: str, port: int = 0, binary: Path | None = None
) -> Iterator[ServerProcess]:
    """Run a server with more arguments while the block runs."""
    folder.mkdir(exist_ok=True)
    server = ServerProcess(
        binary or server_binaries()[0], folder, arguments=_words(arguments), port=port
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _words(arguments: Sequence[str]) -> list[str]:
    return [word for argument in arguments for word in argument.split(" ")]
