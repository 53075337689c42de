"""What one fault came to: figures, and the promises that did not hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

SUMS = ("tried", "kills", "lost", "wrong", "extra_calls")


@dataclass(frozen=True, slots=True)
class FaultReport:
    """One row of the fault table, caused.

    Args:
        number: its number in the table.
        tried: jobs, or whatever the row counts.
        kills: how often the fault was caused.
        lost: accepted jobs without the outcome they were promised.
        wrong: answers that are not their own payload's.
        over_limit: calls that an endpoint's bucket of the assumed depth would have refused.
        extra_calls: calls beyond one a payload.
        recovery_p50_s: seconds from a fault to the last answer of the calls it met; None where
            nothing had to recover.
        seed: repeats the run's choices.
        broken: other promises that did not hold, a sentence each.
        figures: what else the row measures.
    """

    number: int
    name: str
    tried: int
    kills: int = 0
    lost: int = 0
    wrong: int = 0
    over_limit: int = 0
    extra_calls: int = 0
    recovery_p50_s: float | None = None
    recovery_p99_s: float | None = None
    seed: int = 0
    broken: tuple[str, ...] = ()
    figures: str = ""

    @classmethod
    def of_all(cls, reports: "Sequence[FaultReport]") -> "FaultReport":
        """Sum up the reports of one row that was caused in several ways."""
        last = reports[-1]
        recoveries = [r.recovery_p99_s for r in reports if r.recovery_p99_s is not None]
        return replace(
            last,
            **{name: sum(getattr(r, name) for r in reports) for name in SUMS},
            recovery_p50_s=percentile(recoveries, 0.5),
            recovery_p99_s=max(recoveries, default=None),
            over_limit=max(report.over_limit for report in reports),
            broken=tuple(sentence for report in reports for sentence in report.broken),
        )

    @property
    def kept(self) -> bool:
        """Whether the row's promise held."""
        return not (self.lost or self.wrong or self.over_limit or self.broken)

    def with_broken(self, broken: Sequence[str], figures: str = "") -> "FaultReport":
        """Return the report with all the promises that did not hold, and more figures."""
        both = "  ".join(filter(None, (self.figures, figures)))
        return replace(self, broken=tuple(broken), figures=both)

    def line(self) -> str:
        """Write the report as one line."""
        words = [
            f"{self.number:>2}  {self.name:<34}",
            f"tried {self.tried:>6,}  kills {self.kills:>5,}",
            f"lost {self.lost}  wrong {self.wrong}  over limit {self.over_limit}",
            f"extra calls {self.extra_calls:>4,}",
            f"recovery p50 {_seconds(self.recovery_p50_s)} p99 {_seconds(self.recovery_p99_s)}",
            f"seed {self.seed}",
            *([self.figures] if self.figures else []),
            *(f"BROKEN: {sentence}" for sentence in self.broken),
        ]
        return "  ".join(words)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which this share of the values lies; None if there is none."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _seconds(value: float | None) -> str:
    return "    –" if value is None else f"{value:5.2f}s"
