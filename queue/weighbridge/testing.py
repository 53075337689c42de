"""For users' own tests: what the pytest fixture ``weighbridge_pool`` gives.

The fixture comes with the package's pytest plugin; there is nothing to configure::

    def test_my_service(weighbridge_pool: WeighbridgePool, monkeypatch):
        monkeypatch.setenv("WEIGHBRIDGE_REDIS_URL", weighbridge_pool.url)
        ...
        with weighbridge_pool.connect_sync() as wb:
            assert wb.count(body).source == "estimate"

Each test has a server, a worker and a sandbox of its own, offline, in place of the API. It needs
the extras: ``pip install 'weighbridge[worker,local]'``. Without pytest:
``weighbridge_worker.testing.sandbox_pool()``.
"""

from dataclasses import dataclass

from weighbridge import sync
from weighbridge.client import Client
from weighbridge.settings import QueueSettings


@dataclass(frozen=True, slots=True)
class WeighbridgePool:
    """A pool that runs beside a test and counts by estimates.

    Args:
        settings: what reaches its queue.
        sandbox_url: the stand-in's, to ask it for its ledger or for faults.
    """

    settings: QueueSettings
    sandbox_url: str

    @property
    def url(self) -> str:
        """Its server's, for ``WEIGHBRIDGE_REDIS_URL``."""
        return self.settings.redis_url

    def connect(self) -> Client:
        """Make a client of it, for ``async with``, in a test that has an event loop."""
        return Client.connect(settings=self.settings)

    def connect_sync(self) -> sync.Client:
        """Make a client of it, for ``with``, in a test that has none."""
        return sync.Client.connect(settings=self.settings)
