"""Shares of inputs that end badly, to try the watcher on; here a new process can import them."""

import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any


def hang(_reports: Connection, _seed: int, indexes: Sequence[int], at: Any) -> None:
    """Hang at the third input."""
    at.value = indexes[2]
    time.sleep(600)


def die(_reports: Connection, _seed: int, indexes: Sequence[int], at: Any) -> None:
    """Take the interpreter down at the second input."""
    at.value = indexes[1]
    os._exit(3)
