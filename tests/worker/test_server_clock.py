"""What round trips tell of the server's clock."""

from hypothesis import given
from hypothesis import strategies as st

from weighbridge.server_clock import ServerClock

START = 1_795_000_000.0
ROUNDING = 1e-5
WAYS = st.floats(0, 0.2)


@given(
    offset=st.floats(-1e6, 1e6),
    trips=st.lists(st.tuples(st.floats(0, 60), WAYS, WAYS), min_size=1, max_size=20),
    drift=st.floats(-1e-4, 1e-4),
)
def test_a_moment_is_never_reached_early_and_never_given_up_late(
    offset: float, trips: list[tuple[float, float, float]], drift: float
) -> None:
    clock, now = ServerClock(), 0.0
    for pause, out, back in trips:
        asked_at = now + pause
        read = START + offset + (asked_at + out) * (1 + drift)
        now = asked_at + out + back
        clock.learn(asked_at=asked_at, read=read, replied_at=now)
        reached_at = asked_at + out
        assert clock.possibly_from(read) - ROUNDING <= reached_at
        assert clock.surely_from(read) + ROUNDING >= reached_at


def test_a_reply_that_was_held_up_costs_nothing_once_the_clock_is_known() -> None:
    clock = ServerClock()
    clock.learn(asked_at=1.0, read=START + 1.0005, replied_at=1.001)
    clock.learn(asked_at=2.0, read=START + 2.0005, replied_at=2.5)
    assert clock.surely_from(START + 2.1) < 2.102
    assert clock.possibly_from(START + 2.1) > 2.098


def test_a_way_that_stays_longer_is_learnt_within_some_visits() -> None:
    clock = ServerClock()
    clock.learn(asked_at=0.0, read=START + 0.0005, replied_at=0.001)
    for visit in range(1, 12):
        clock.learn(asked_at=visit, read=START + visit + 0.25, replied_at=visit + 0.5)
    assert clock.surely_from(START + 12.25) > 12.45


def test_a_jump_of_the_servers_clock_is_followed_at_once() -> None:
    for jump in (-3600.0, 3600.0):
        clock = ServerClock()
        clock.learn(asked_at=1.0, read=START + 1.0005, replied_at=1.001)
        clock.learn(asked_at=2.0, read=START + jump + 2.0005, replied_at=2.001)
        assert 2.09 < clock.possibly_from(START + jump + 2.1) < 2.1 + ROUNDING
        assert 2.1 - ROUNDING < clock.surely_from(START + jump + 2.1) < 2.11
