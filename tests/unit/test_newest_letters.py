"""What a process knows of the newest dead letters: it reads what is new, and all after a loss."""

from weighbridge.newest_letters import NEWEST, NewestLetters

Row = tuple[bytes, dict[bytes, bytes]]


def rows(*ids: int, code: str = "timeout") -> list[Row]:
    """Make entries, the newest first."""
    return [(b"%d-0" % at, {b"code": code.encode()}) for at in ids]


def test_only_what_is_new_is_read() -> None:
    letters = NewestLetters()
    assert letters.unread == "-"
    assert letters.add(rows(3, 1), 2)
    assert letters.unread == "(3-0"
    assert letters.add([], 2)
    assert letters.add(rows(9, 7, code="poison"), 4)
    assert letters.codes() == {"poison": 2, "timeout": 2}
    assert letters.codes(since_ms=3) == {"poison": 2, "timeout": 1}


def test_after_a_loss_all_is_read_again() -> None:
    letters = NewestLetters()
    letters.add(rows(3, 2, 1), 3)
    assert not letters.add([], 2)
    assert (letters.unread, letters.codes()) == ("-", {})
    assert letters.add(rows(3, 1), 2)
    assert letters.codes() == {"timeout": 2}


def test_a_loss_that_new_letters_make_up_for_is_a_loss() -> None:
    letters = NewestLetters()
    letters.add(rows(3, 2, 1), 3)
    assert not letters.add(rows(4), 3)


def test_a_longer_stream_is_known_by_its_newest() -> None:
    letters = NewestLetters()
    assert letters.add(rows(*range(5000, 5000 - NEWEST, -1)), 4000)
    assert letters.add(rows(6000, code="poison"), 4001)
    assert letters.codes() == {"timeout": NEWEST - 1, "poison": 1}
    assert not letters.add(rows(*range(8000, 8000 - NEWEST, -1)), 7000)
