"""What the command's exit status means."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """Stable, for scripts.

    ``REFUSED`` is an answer: a use's no (over a limit, nothing fits), a worker that is not ready, a
    server that the doctor finds unfit.
    ``ERROR`` is trouble on the way to one, such as a server that is away, whatever was asked.
    """

    OK = 0
    REFUSED = 1
    USAGE = 2
    SOME_FAILED = 3
    ERROR = 4
    INTERRUPTED = 130
