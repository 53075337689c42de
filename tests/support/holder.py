"""A process for tests to end: it holds a server or an embedded run until its stdin ends.

``holder.py server BINARY FOLDER GRACE_S`` prints the server's process id; that server alone holds
a lock on ``FOLDER/lock``. ``holder.py run STATE`` prints the URL.
"""

import fcntl
import os
import signal
import sys
from pathlib import Path

import anyio
import redis
from anyio import to_thread

from weighbridge_worker.embedded import embedded_server
from weighbridge_worker.server import ServerProcess


def hold_server(binary: str, folder: str, grace_s: str) -> None:
    """Hold a server; at the line ``fork`` leave a child behind that inherits every descriptor."""
    lock = os.open(Path(folder) / "lock", os.O_RDWR | os.O_CREAT)  # 3 here: the shell's own number
    fcntl.flock(lock, fcntl.LOCK_EX)
    server = ServerProcess(Path(binary), Path(folder), held_fd=lock, grace_s=int(grace_s))
    server.start()
    os.close(lock)
    with redis.Redis.from_url(server.url) as client:
        print(client.info("server")["process_id"], flush=True)
    for line in sys.stdin:
        if line == "fork\n" and os.fork() == 0:
            signal.alarm(30)
            os.close(1)
            os.read(os.open(Path(folder) / "fifo", os.O_RDONLY), 1)
            os._exit(0)
    server.stop()


async def hold_run(state: str) -> None:
    async with embedded_server(Path(state)) as url:
        print(url, flush=True)
        await to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        hold_server(*sys.argv[2:])
    else:
        anyio.run(hold_run, sys.argv[2])
