"""A worker process's end of the link to its parent, where several run under one.

The link is a socket in the place of standard input. The parent sends orders, a byte each; the
process sends a line once it takes jobs. Orders are no signals, for a supervisor may signal every
process of a container: with the parent's own, a first SIGTERM would look like a second. And when
the parent ends, however that comes, so does the link: the process drains, it is no orphan.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import anyio
from anyio.abc import TaskStatus
from structlog.typing import FilteringBoundLogger

from weighbridge.errors import SettingsError

DRAIN, STOP = b"d", b"s"
STDIN = 0


class ParentLink:
    """The process's end.

    Args:
        link: the socket.
        listener: where the process's health is asked for, by its parent alone; None for nowhere.
    """

    def __init__(self, link: socket.socket, listener: socket.socket | None) -> None:
        self._link = link
        self.listener = listener

    def started(self, value: None = None) -> None:
        """Tell the parent that jobs are taken, and at which port it may ask; 0 for none."""
        port = self.listener.getsockname()[1] if self.listener else 0
        with suppress(OSError):  # the parent is gone, which ``heed`` sees
            self._link.sendall(b"%d\n" % port)

    async def heed(
        self,
        drain: Callable[[], None],
        stop: Callable[[], None],
        log: FilteringBoundLogger,
        *,
        task_status: TaskStatus[None],
    ) -> None:
        """Do as the parent orders; runs until cancelled, or until the parent is gone."""
        task_status.started()
        while True:
            orders = await received(self._link)
            if not orders:
                log.warning("parent_gone")
                drain()
                return
            if STOP in orders:
                stop()
            elif DRAIN in orders:
                drain()


async def received(link: socket.socket) -> bytes:
    """Wait for what the other end sends; nothing once that is gone."""
    await anyio.wait_readable(link)
    try:
        return link.recv(16)
    except ConnectionError:  # it has left something unread
        return b""


@contextmanager
def parent_link(*, reports: bool) -> Iterator[ParentLink]:
    """Take over the link that the parent left as standard input.

    Args:
        reports: listen on a free port of the loopback, for the parent to ask.

    Raises:
        SettingsError: standard input is none.
    """
    try:
        link = socket.socket(fileno=os.dup(STDIN))
    except OSError:
        raise SettingsError("`weighbridge worker --processes` starts this, nobody else") from None
    with closing(link):
        if not reports:
            yield ParentLink(link, None)
            return
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            yield ParentLink(link, listener)
