"""The pytest plugin: one fixture. Whoever does not ask for it imports this file and nothing else,
for pytest loads it in every project beside which Weighbridge is installed.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from weighbridge.testing import WeighbridgePool

MISSING = (
    "the fixture weighbridge_pool needs more than a producer does ({}); install it with\n"
    "    pip install 'weighbridge[worker,local]'"
)


@pytest.fixture
def weighbridge_pool() -> "Iterator[WeighbridgePool]":
    """Run a server, a worker and a sandbox in the API's place, for this test alone."""
    try:
        from weighbridge.errors import SettingsError  # noqa: PLC0415
        from weighbridge_worker.testing import sandbox_pool  # noqa: PLC0415
    except ImportError as error:
        pytest.fail(MISSING.format(error), pytrace=False)
    running = sandbox_pool()
    try:
        pool = running.__enter__()
    except SettingsError as error:
        pytest.fail(MISSING.format(error), pytrace=False)
    try:
        yield pool
    finally:
        running.__exit__(None, None, None)
