"""How many slots a worker has before it at once."""

from weighbridge_worker.window import Window


def test_a_take_that_missed_slots_halves_the_window_once() -> None:
    window = Window(64)
    for token in range(64):
        window.granted(token)
    assert window.room == 0
    for token in range(10):
        assert not window.missed(token, operation=1, newest=2)
    window.missed(10, operation=2, newest=3)  # was under way at the cut
    assert window.size == 32
    window.missed(11, operation=3, newest=3)
    assert window.size == 16


def test_slots_that_are_met_widen_it_to_its_most_and_no_further() -> None:
    window = Window(64)
    for operation in range(1, 20):
        least = window.missed(0, operation=operation, newest=operation)
    assert least
    assert window.size == 1
    for token in range(64 * 32):
        window.granted(token)
        window.met(token)
    assert window.size == window.room == 64


def test_a_slot_that_was_given_up_leaves_the_window_as_it_was() -> None:
    window = Window(4)
    window.granted(1)
    assert window.room == 3
    window.given_up(1)
    assert (window.room, window.size) == (4, 4)
