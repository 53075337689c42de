"""Logs: one event a decision, JSON in a container, readable in a terminal.

No payload, key or password is ever logged: events carry the first 12 digits of a digest, codes,
counts and sizes. Library loggers are held at warning, for the SDK's own debug log prints payloads.
"""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def make_logger(level: str, form: str, stream: TextIO = sys.stderr) -> FilteringBoundLogger:
    """Make a worker's logger.

    Args:
        level: debug, info, warning or error.
        form: json, console, or auto: console where the stream is a terminal.
    """
    hold_libraries()
    console = form == "console" or (form == "auto" and stream.isatty())
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=_console(stream) if console else _json(),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
    )
    return logger


def hold_libraries() -> None:
    """Hold library loggers at warning; again after the SDK's import, which obeys ANTHROPIC_LOG."""
    for library in ("anthropic", "httpx2", "httpcore2", "aiohttp", "redis", "asyncio"):
        logging.getLogger(library).setLevel(logging.WARNING)


def _console(stream: TextIO) -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _json() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ]
