"""The search, driven by a plain list of tokens: the bracket against its oracle."""

import math

from hypothesis import example, given
from hypothesis import strategies as st
from support.histories import UNHURRIED

from weighbridge.uses.cuts import PATIENCE, Search, Task, search


def drive(steps: Search, tokens: list[float]) -> tuple[int, list[int]]:
    """Answer a search from a list; return the cut and what was weighed, each once."""
    weighed: dict[int, float] = {}
    try:
        cut = next(steps)
        while True:
            assert 0 <= cut < len(tokens)
            weighed[cut] = tokens[cut]
            cut = steps.send(tokens[cut])
    except StopIteration as done:
        return int(done.value), list(weighed)


def falling(numbers: list[int], last: int) -> list[int]:
    """Sum up from the end: what stays at each cut."""
    return [last + sum(numbers[cut:]) for cut in range(len(numbers) + 1)]


@st.composite
def tasks(draw: st.DrawFn) -> tuple[Task, list[float]]:
    """Draw turns whose weights may tell much or nothing of their tokens."""
    turns = draw(st.lists(st.integers(0, 3000), min_size=0, max_size=40))
    tokens: list[float] = list(falling(turns, draw(st.integers(1, 3000))))
    honest = draw(st.booleans())
    weights = turns if honest else [draw(st.integers(0, 9000)) for _ in turns]
    # Budgets at, just over and just under what a cut leaves: that is where mistakes show.
    edges = st.sampled_from(tokens).map(int)
    near = st.integers(-1, 1)
    limit = max(0, draw(edges) + draw(near))
    too_large = draw(st.integers(0, len(tokens) // 2))
    if draw(st.integers(0, 5)) == 0:
        tokens[:too_large] = [math.inf] * too_large
    target = max(0, min(limit, draw(st.just(limit) | edges) + draw(near)))
    previous = draw(st.integers(0, len(tokens) + 1))
    fixed = draw(st.integers(0, 5000))
    return Task(limit, target, falling(weights, draw(st.integers(1, 99))), fixed, previous), tokens


@UNHURRIED
@given(tasks())
@example((Task(5, 5, [9, 9, 9], 0, 0), [7, 6, 6]))
def test_the_bracket_finds_what_one_at_a_time_finds(drawn: tuple[Task, list[float]]) -> None:
    task, tokens = drawn
    cut, weighed = drive(search(task), tokens)
    assert cut == drive(search(task, "linear"), tokens)[0]
    assert len(weighed) <= PATIENCE + 2 + math.ceil(math.log2(len(tokens) + 1))


@UNHURRIED
@given(tasks())
def test_an_answer_was_weighed_and_so_was_the_proof_that_nothing_longer_would_do(
    drawn: tuple[Task, list[float]],
) -> None:
    task, tokens = drawn
    cut, weighed = drive(search(task), tokens)
    assert cut in weighed
    if tokens[cut] > task.limit:
        assert {0, task.last} <= set(weighed), "both numbers of what cannot fit"
    elif cut:
        assert cut - 1 in weighed
        assert tokens[cut - 1] > task.target


@UNHURRIED
@given(tasks())
def test_at_a_target_of_the_whole_limit_the_previous_cut_changes_no_answer(
    drawn: tuple[Task, list[float]],
) -> None:
    task, tokens = drawn
    full = Task(task.limit, task.limit, task.weights, task.fixed, task.previous)
    without = Task(task.limit, task.limit, task.weights, task.fixed)
    assert drive(search(full), tokens)[0] == drive(search(without), tokens)[0]


@UNHURRIED
@given(st.lists(st.integers(0, 9000), min_size=1, max_size=30), st.integers(0, 9000))
def test_tokens_that_do_not_fall_never_make_an_answer_over_the_limit_that_says_it_fits(
    tokens: list[int], limit: int
) -> None:
    weights = list(range(len(tokens), 0, -1))
    cut, weighed = drive(search(Task(limit, limit, weights)), [float(n) for n in tokens])
    assert cut in weighed
    assert tokens[cut] <= limit or cut == len(tokens) - 1


def test_honest_weights_take_three_calls_and_what_fits_takes_one() -> None:
    tokens: list[float] = [float(n) for n in falling([100] * 60, 100)]
    weights = falling([400] * 60, 400)
    assert drive(search(Task(9999, 9999, weights)), tokens) == (0, [0])
    assert drive(search(Task(1550, 1550, weights)), tokens) == (46, [0, 46, 45])
    assert drive(search(Task(1550, 1550, weights, previous=46)), tokens) == (46, [46, 45])


def test_the_previous_cut_stays_while_it_is_within_the_limit() -> None:
    tokens: list[float] = [float(n) for n in falling([100] * 9, 100)]
    weights = falling([400] * 9, 400)
    # 400 to 500 tokens are left: over the target, within the limit.
    assert drive(search(Task(500, 350, weights, previous=5)), tokens) == (5, [5, 4])
    # A turn later they are over it, and the cut goes down to the target.
    assert drive(search(Task(450, 350, weights, previous=5)), tokens)[0] == 7
    # A raised limit brings history back.
    assert drive(search(Task(5000, 350, weights, previous=8)), tokens)[0] == 0


def test_a_single_giant_turn_ends_the_search_with_both_numbers() -> None:
    assert drive(search(Task(5, 5, [7])), [9]) == (0, [0])
    cut, weighed = drive(search(Task(5, 5, [9, 8, 7])), [9, 8, 7])
    assert (cut, sorted(weighed)) == (2, [0, 2])


def test_a_body_that_the_api_does_not_take_is_over_every_budget() -> None:
    tokens = [math.inf, math.inf, 900, 500, 100]
    cut, weighed = drive(search(Task(1000, 1000, [900, 700, 90, 50, 10])), tokens)
    assert cut == 2
    assert 1 in weighed
