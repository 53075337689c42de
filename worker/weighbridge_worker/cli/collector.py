"""The garbage collector in services that run for long and hold much that never goes.

A look at everything that a worker has imported, the SDK above all, stops its loop for a tenth of a
second, and with it every slot of that time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Spare the collector what the block imports: it looks neither now nor later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_less() -> None:
    """Spare the collector what is there now and stays, and most of its looks at what is new.

    A call or an answer leaves few cycles behind, but its objects set the collector off all the
    time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
