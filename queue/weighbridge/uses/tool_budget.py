"""What a set of tools may add: a gate for continuous integration."""

from weighbridge.errors import WeighbridgeError
from weighbridge.uses.audit import Audit


class OverBudget(WeighbridgeError):
    """The tools add more than they may."""

    code = "over_budget"


def check_budget(
    weighed: Audit,
    *,
    budget: int | None = None,
    baseline: int | None = None,
    max_increase: float = 0.0,
) -> None:
    """Let a set of tools pass that adds no more than it may.

    Args:
        budget: tokens that all tools may add together.
        baseline: tokens that they added before.
        max_increase: the share by which that may grow.

    Raises:
        OverBudget: they add more; the message says by how much.
    """
    if budget is not None and weighed.added > budget:
        over = weighed.added - budget
        raise OverBudget(
            f"the tools add {weighed.added:,} tokens, {over:,} over the budget of {budget:,}"
        )
    if baseline is not None and weighed.added > baseline * (1 + max_increase):
        grown = weighed.added / baseline - 1 if baseline else float("inf")
        raise OverBudget(
            f"the tools add {weighed.added:,} tokens, {grown:.1%} more than the {baseline:,} of the"
            f" baseline; {max_increase:.1%} are allowed"
        )
