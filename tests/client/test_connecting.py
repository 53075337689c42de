"""A client whose server answers at first and is gone a moment later."""

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from weighbridge import Client, QueueUnreachable
from weighbridge_worker.server import ServerProcess, find_server_binary

pytestmark = pytest.mark.asyncio


async def test_a_server_lost_between_greeting_and_subscription_is_unreachable(
    tmp_path: Path,
) -> None:
    server = ServerProcess(find_server_binary(), tmp_path)
    server.start()

    class Late(Client):
        async def _check_digest_key(self) -> None:
            await super()._check_digest_key()
            server.stop()

    async with anyio.create_task_group() as tasks:
        with pytest.raises(QueueUnreachable, match="does not answer"):
            async with Late.connect(server.url):
                pass
        # The client's own group has been left, so that ours can be.
        tasks.start_soon(anyio.lowlevel.checkpoint)
