import gc
import weakref
from collections.abc import Iterator

import pytest

from weighbridge_worker.cli.collector import collect_less, importing


class Node:
    """An object that can be part of a cycle."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _collector_as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_the_collector_does_not_look_while_a_block_imports() -> None:
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_does_not_look_at_what_a_block_imported() -> None:
    with importing():
        node = Node()
    assert all(seen is not node for seen in gc.get_objects())


def test_an_import_that_fails_leaves_the_collector_at_work() -> None:
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()


def test_cycles_that_come_later_are_still_collected() -> None:
    collect_less()
    gone = weakref.ref(Node())
    gc.collect()
    assert gone() is None
