"""A program that forks commands; it has loaded the libraries that they import, and nothing of ours.

Most of a command's start is the import of the SDK, which is the same every time. Each request on
the socket that is passed on is a length, as many bytes of JSON (``words``, ``env``, ``folder``) and
four descriptors: the command's three streams, and a socket on which its process's id is answered
and, when it has ended, its status. The program ends with the socket.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import sys
from typing import NamedTuple

LIBRARIES = (
    *("aiolimiter", "anthropic", "anyio", "genai_prices", "msgspec", "opentelemetry.trace"),
    *("prometheus_client", "redis.asyncio", "rich.console", "rich.table", "structlog", "typer"),
)
OURS = "weighbridge"
LENGTH = struct.Struct("!i")


class Request(NamedTuple):
    """A command to start.

    Args:
        descriptors: its three streams, and the socket for the answers.
    """

    words: list[str]
    env: dict[str, str]
    folder: str
    descriptors: list[int]


def receive(link: socket.socket) -> Request | None:
    """Wait for the next request; None if there will be none."""
    head, descriptors, _, _ = socket.recv_fds(link, LENGTH.size, 4)
    if not head:
        return None
    [length] = LENGTH.unpack(head)
    told = json.loads(link.recv(length, socket.MSG_WAITALL))
    return Request(told["words"], told["env"], told["folder"], descriptors)


def serve(link: socket.socket) -> Request | None:
    """Fork at each request; returns in a command's own process, with what it is to be."""
    while (request := receive(link)) is not None:
        if os.fork() == 0:
            link.close()
            keep(request)
            return request
        for descriptor in request.descriptors:
            os.close(descriptor)
    return None


def keep(request: Request) -> None:
    """Fork the command, and stay to tell its id and its end; returns in the command alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        return
    *streams, answers = request.descriptors
    for descriptor in streams:
        os.close(descriptor)
    with socket.socket(fileno=answers) as link:
        link.sendall(LENGTH.pack(pid))
        _, status = os.waitpid(pid, 0)
        link.sendall(LENGTH.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def become(request: Request) -> None:
    """Be as the interpreter that ``python -m`` starts: streams, environment, folder, signals."""
    for stream, descriptor in enumerate(request.descriptors[:3]):
        os.dup2(descriptor, stream)
    for descriptor in request.descriptors:
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.folder)
    sys.path.insert(0, request.folder)
    sys.argv = ["-m", *request.words]


def main() -> None:
    """Load, then serve until the tests have ended."""
    for library in LIBRARIES:
        importlib.import_module(library)
    loaded = sorted(name for name in sys.modules if name.startswith(OURS))
    assert not loaded, f"a command must load what is ours by itself: {loaded}"
    gc.collect()
    gc.freeze()  # what is shared by all stays so
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the keepers end unwatched
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        become(request)
        runpy.run_module("weighbridge_worker", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
