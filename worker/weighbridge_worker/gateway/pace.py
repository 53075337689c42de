"""How slow a client may be, and who judges that: its connection, or the endpoint that answers."""

from contextlib import AbstractContextManager
from typing import Final, Protocol

import anyio

MIN_BYTES_PER_S: Final = 16 * 1024
"""What comes more slowly than this over a whole time-out is cut."""


class Connection(Protocol):
    """What an endpoint that judges its client itself needs of its connection."""

    def own_pace(self) -> AbstractContextManager[anyio.Event]:
        """Leave the judging to a block; it gets an event that tells that the client has gone."""
