"""What the command's exit status means."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """Stable, for scripts."""

    OK = 0
    ERROR = 1
    REFUSED = 1  # a use's answer is no: over a limit, or nothing fits
    USAGE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130
