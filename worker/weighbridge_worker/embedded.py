"""The embedded server: a state folder, its lock, and runs that join and succeed each other.

One run owns the state folder's lock and the server; the others use the server by the same socket
and wait for the lock. The server itself holds the lock open, so a free lock means that it is gone:
no two servers ever write one append-only file, which they would do without an error.
"""

import fcntl
import hashlib
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread

from weighbridge.errors import QueueUnreachable, SettingsError
from weighbridge_worker.server import (
    START_TIMEOUT_S,
    ServerProcess,
    find_server_binary,
    probe,
    socket_url,
)

JOIN_TIMEOUT_S = 2 * START_TIMEOUT_S
"""An owner that cannot start its server gives up before those who wait for it do."""

POLL_S = 0.1
SOCKET_ROOT = Path("/tmp")  # noqa: S108 - short, and the same for every environment; see _private_folder


def state_home(environ: Mapping[str, str]) -> Path:
    """Return the folder that holds a state folder for each scope.

    ``WEIGHBRIDGE_STATE_DIR``, else ``$XDG_STATE_HOME/weighbridge``, else
    ``~/.local/state/weighbridge`` (https://specifications.freedesktop.org/basedir-spec/latest/).

    Raises:
        SettingsError: there is no home directory to fall back to.
    """
    if own := environ.get("WEIGHBRIDGE_STATE_DIR"):
        return Path(own).absolute()
    xdg = Path(environ.get("XDG_STATE_HOME", ""))
    if xdg.is_absolute():  # the specification has relative ones ignored
        return xdg / "weighbridge"
    try:
        home = Path(environ.get("HOME") or Path.home())
    except RuntimeError as error:
        raise SettingsError(
            "there is no home directory for the cache; set WEIGHBRIDGE_STATE_DIR to a folder"
        ) from error
    return home / ".local" / "state" / "weighbridge"


@asynccontextmanager
async def embedded_server(state_dir: Path, *, binary: Path | None = None) -> AsyncIterator[str]:
    """Run or join the server of a state folder and yield its ``unix://`` URL.

    The URL stays valid while the context lasts: when the run that owns the server ends, another
    one starts it again on the same socket, with the same data, within about a second. Clients
    that reconnect notice an interruption.

    Args:
        state_dir: one scope's folder; made if absent, private to this user.
        binary: the server to run; by default the one that ``find_server_binary`` finds.

    Raises:
        SettingsError: there is no server to run, or a folder is not ours alone.
        QueueUnreachable: the server does not start, or its owner's does not answer.
    """
    run = await to_thread.run_sync(_prepare, state_dir, binary)
    only: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.stand_by)
            await run.answering.wait()
            try:
                yield socket_url(run.socket_path)
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        only = group.exceptions[0]
    if only is not None:  # callers catch errors, not groups of one
        raise only from only.__cause__


class _Run:
    """One run's part in a state folder: its server's owner, or waiting to be."""

    def __init__(self, folder: Path, socket_path: Path, binary: Path) -> None:
        self.folder = folder
        self.socket_path = socket_path
        self.binary = binary
        self.answering = anyio.Event()

    async def stand_by(self) -> None:
        """Own the server whenever nobody else does, until cancelled."""
        patience = time.monotonic() + JOIN_TIMEOUT_S
        while True:
            lock = _try_lock(self.folder)
            if lock is not None:
                await self._own(lock)
            elif not self.answering.is_set():
                patience = await self._join(patience)
            await anyio.sleep(POLL_S)

    async def _own(self, lock: int) -> None:
        """Run the server until it ends or this run does; the lock goes with it."""
        server = ServerProcess(
            self.binary,
            self.folder,
            socket_path=self.socket_path,
            persistent=True,
            held_fd=lock,
        )
        try:
            await to_thread.run_sync(server.spawn)
            await to_thread.run_sync(server.wait_ready, abandon_on_cancel=True)
            self.answering.set()
            while not server.ended:  # noqa: ASYNC110 - a process has no event to wait for
                await anyio.sleep(POLL_S)
            logging.getLogger(__name__).warning(
                "the embedded server ended and is started again; its log is %s", server.log_path
            )
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(server.stop)
            os.close(lock)

    async def _join(self, patience: float) -> float:
        """Look once for the owner's server; return until when to go on looking."""
        answer = await to_thread.run_sync(probe, self.socket_path)
        if answer == "ready":
            self.answering.set()
        elif answer == "loading":  # its owner bounds that
            return time.monotonic() + JOIN_TIMEOUT_S
        elif time.monotonic() > patience:
            raise QueueUnreachable(
                f"the state folder {self.folder} is in use, but no server answers on"
                f" {self.socket_path}; end the run that uses it, or set WEIGHBRIDGE_STATE_DIR"
                " to another folder"
            )
        return patience


def _prepare(state_dir: Path, binary: Path | None) -> _Run:
    found = find_server_binary(binary)
    folder = _private_folder(state_dir.resolve())
    sockets = _private_folder(SOCKET_ROOT / f"weighbridge-{os.geteuid()}")
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return _Run(folder, sockets / f"{name}.sock", found)


def _private_folder(path: Path) -> Path:
    """Make the folder if it is absent, and see to it that nobody else can have put files there.

    Raises:
        SettingsError: it cannot be made, is a link, belongs to another, or is open to others.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise SettingsError(
            f"cannot make the folder {path} ({error.strerror}); set WEIGHBRIDGE_STATE_DIR to a"
            " folder that you can write to"
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise SettingsError(
            f"{path} must be a folder of your own that nobody else can enter; remove it, or if it"
            f" is yours and you trust what is in it: chmod 700 {path}"
        )
    return path


def _try_lock(folder: Path) -> int | None:
    """Take the lock if it is free; it lasts until every copy of the descriptor is closed."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unlockable(folder, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise _unlockable(folder, error) from error
    return lock


def _unlockable(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"cannot lock the state folder {folder} ({error.strerror}); set WEIGHBRIDGE_STATE_DIR to a"
        " folder on a local disk"
    )
