"""Which band takes a payload: the walk from the smallest band up, free of any I/O.

The walk is a generator: it yields the models to count with, is sent their outcomes in the same
order, and returns what it found. It takes the first band, from the smallest that floor and signals
leave, whose bound and window hold the payload. So it can only go up.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from weighbridge.records import Counted, Outcome
from weighbridge.uses.bands import Band, Bands

Verdict = Literal[
    "chosen",
    "below_floor",
    "too_simple",
    "too_small",
    "window_exceeded",
    "not_counted",
    "not_needed",
]
"""Why a band was taken or passed over: ``too_simple`` by a signal, ``too_small`` by its bound."""

Walk = Generator[list[str], Sequence[Outcome], "Found"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is known of a payload before it is counted.

    Args:
        max_output: tokens of the window that are kept for the answer.
        floor, least: places of the smallest bands that the caller and the signals allow.
        strict: count with every candidate, at once.
    """

    max_output: int = 0
    floor: int = 0
    least: int = 0
    strict: bool = False

    @property
    def start(self) -> int:
        """The first band in question."""
        return max(self.floor, self.least)


@dataclass(slots=True)
class Found:
    """What a walk has found out.

    Args:
        place: the chosen band's; None if none was.
        verdicts: by place, of the bands that were looked at.
        outcomes: by the model that was counted with.
        failure: the outcome that ended the walk without a decision.
    """

    bands: Bands
    place: int | None = None
    failure: Outcome | None = None
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def counted(self, model: str) -> Counted | None:
        """Give the count that holds for a model: its own, or one by its tokenizer family."""
        own = self.outcomes.get(model)
        if own is not None:
            return own if isinstance(own, Counted) else None
        wanted = self.bands.family(model)
        for name, outcome in self.outcomes.items():
            if isinstance(outcome, Counted) and self.bands.family(name) == wanted:
                return outcome
        return None

    def reference(self) -> Counted | None:
        """Give the first count that succeeded, whatever tokenizer it was made with."""
        counts = (outcome for outcome in self.outcomes.values() if isinstance(outcome, Counted))
        return next(counts, None)

    def decided_by(self) -> Counted | None:
        """Give the count that the decision rests on: the chosen model's if there is one."""
        model = self.bands.bands[-1 if self.place is None else self.place].model
        return self.counted(model) or self.reference()

    def by_size(self) -> int | None:
        """Give the place of the first band whose bound holds the first count."""
        counted = self.reference()
        if counted is None:
            return None
        places = (
            at for at, band in enumerate(self.bands.bands) if band.takes(counted.input_tokens)
        )
        return next(places, None)

    def first_failure(self) -> Outcome | None:
        """Give a count that was wanted and not had."""
        failures = (one for one in self.outcomes.values() if not isinstance(one, Counted))
        return next(failures, None)

    def name_of(self, counted: Counted | None) -> str | None:
        """Name the model that a count was asked for."""
        names = (name for name, outcome in self.outcomes.items() if outcome is counted)
        return next(names, None)


def walk(bands: Bands, windows: Sequence[int], wish: Wish) -> Walk:
    """Walk from the smallest band in question to the first that takes the payload."""
    found = Found(bands)
    for place in range(wish.start):
        found.verdicts[place] = "below_floor" if place < wish.floor else "too_simple"
    candidates = bands.bands[wish.start :]
    first = bands.reference or candidates[0].model
    models = [band.model for band in candidates] if wish.strict else [first]
    found.outcomes |= zip(models, (yield models), strict=True)
    if found.reference() is None:
        found.failure = found.outcomes[models[0]]
        return found
    for place, band in enumerate(candidates, start=wish.start):
        verdict = _judge(found, band, windows[place], wish)
        if verdict == "chosen" and _is_of_another_family(found, band, wish):
            [outcome] = yield [band.model]
            found.outcomes[band.model] = outcome
            if not isinstance(outcome, Counted):
                found.failure = outcome
                return found
            verdict = _judge(found, band, windows[place], wish)
        found.verdicts[place] = verdict
        if verdict == "chosen":
            found.place = place
            break
    if found.place is None:
        found.failure = found.first_failure()
    return found


def _judge(found: Found, band: Band, window: int, wish: Wish) -> Verdict:
    counted = found.counted(band.model)
    if counted is None and not wish.strict:
        counted = found.reference()
    if counted is None:
        return "not_counted"
    if not band.takes(counted.input_tokens):
        return "too_small"
    if counted.input_tokens + wish.max_output > window:
        return "window_exceeded"
    return "chosen"


def _is_of_another_family(found: Found, band: Band, wish: Wish) -> bool:
    """Tell whether the chosen model should count for itself; two counts are the most."""
    return not wish.strict and found.counted(band.model) is None and len(found.outcomes) < 2
