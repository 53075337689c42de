"""Count Claude payloads through a shared, rate-limited pool of workers.

::

    async with Client.connect("redis://127.0.0.1:6379/0") as wb:
        counted = await wb.count({"model": "…", "messages": [...]})
"""

from weighbridge.bulk_submit import Submitted
from weighbridge.client import Client
from weighbridge.count_stream import Item
from weighbridge.errors import (
    CountFailed,
    MalformedPayload,
    NotCountablePayload,
    NotReplicated,
    PayloadError,
    PayloadTooLarge,
    QueueFull,
    QueueUnreachable,
    ResultTimeout,
    ScopeMismatch,
    SettingsError,
    UnknownJob,
    WeighbridgeError,
)
from weighbridge.records import Counted, Failed, Lane, NotCountable, Outcome, Result, Ticket
from weighbridge.settings import QueueSettings

__all__ = [
    "Client",
    "CountFailed",
    "Counted",
    "Failed",
    "Item",
    "Lane",
    "MalformedPayload",
    "NotCountable",
    "NotCountablePayload",
    "NotReplicated",
    "Outcome",
    "PayloadError",
    "PayloadTooLarge",
    "QueueFull",
    "QueueSettings",
    "QueueUnreachable",
    "Result",
    "ResultTimeout",
    "ScopeMismatch",
    "SettingsError",
    "Submitted",
    "Ticket",
    "UnknownJob",
    "WeighbridgeError",
]
