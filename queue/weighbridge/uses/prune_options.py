"""How a conversation is to be pruned."""

from dataclasses import dataclass
from decimal import Decimal

from weighbridge.errors import SettingsError
from weighbridge.uses.cuts import Strategy
from weighbridge.uses.prices import Prices


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """How a conversation is to be pruned.

    Args:
        max_input_tokens: the most input and reserved output together, in tokens.
        max_usd: the most that input and reserved output may cost together; needs ``prices``.
        target: the share of the limit to prune to, once pruning is due. Every cut changes the
            prompt's beginning and so loses the provider's cache; below 1 cuts are rarer.
        keep_last_turns: newest turns that never go.
        keep_first_turn: whether the first turn, often the task itself, stays too.
        reserve_output: tokens of both budgets that are kept for the answer.
        previous: turns that were dropped last time, where the whole history is given again: the
            first guess, and with a target below 1 it stays as long as it is within the limit.
        strategy: ``linear`` drops one turn at a time, for comparison.
        strip_context_management: take the field out. With it the endpoint clears contexts by
            itself, from a threshold on, so that more may count as less; without this it is refused.

    Raises:
        SettingsError: an option makes no sense.
    """

    max_input_tokens: int | None = None
    max_usd: Decimal | None = None
    target: float = 1.0
    keep_last_turns: int = 1
    keep_first_turn: bool = False
    reserve_output: int = 0
    previous: int = 0
    prices: Prices | None = None
    strategy: Strategy = "bracket"
    strip_context_management: bool = False

    def __post_init__(self) -> None:
        """Check what does not depend on the payload."""
        if not 0 < self.target <= 1:
            raise SettingsError(
                f"target takes a share of the limit above 0, up to 1, not {self.target}"
            )
        if self.keep_last_turns < 1:
            raise SettingsError(
                f"keep_last_turns takes a number from 1, not {self.keep_last_turns}"
            )
