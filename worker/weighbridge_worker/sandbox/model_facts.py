"""What decides an estimate about a model: its tokenizer, its hidden preamble, its image bounds.

Sources, read in November 2026:
- preambles of tool use, by model and ``tool_choice``:
  https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (pricing);
- the newer tokenizer and its 30 %:
  https://platform.claude.com/docs/en/build-with-claude/token-counting;
- image bounds: https://platform.claude.com/docs/en/build-with-claude/vision;
- thinking of earlier turns: https://platform.claude.com/docs/en/build-with-claude/extended-thinking.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ImageBounds:
    """A larger image is scaled down until both hold.

    Args:
        edge: pixels of the longer side.
        tiles: tiles of 28 by 28 pixels, a token each.
    """

    edge: int
    tiles: int


@dataclass(frozen=True, slots=True)
class Generation:
    """What models of one age share.

    Args:
        text_scale: tokens for one token of the older tokenizer.
        thinking: tokens that extended thinking adds, switched on.
        adaptive_thinking: the same for adaptive thinking, without tools.
        keeps_thinking: thinking blocks of earlier turns count.
    """

    text_scale: float
    images: ImageBounds
    thinking: int
    adaptive_thinking: int
    keeps_thinking: bool


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as the estimator sees it.

    Args:
        tools_preamble: tokens added where tools are given and ``tool_choice`` leaves it free.
        forced_preamble: the same where a tool must be used (``any``, ``tool``).
    """

    generation: Generation
    tools_preamble: int
    forced_preamble: int


_STANDARD: Final = ImageBounds(edge=1568, tiles=1568)
_HIGH_RESOLUTION: Final = ImageBounds(edge=2576, tiles=4784)

_OLD: Final = Generation(1.0, _STANDARD, 30, 18, keeps_thinking=False)
_MIDDLE: Final = Generation(1.0, _STANDARD, 30, 18, keeps_thinking=True)
_NEW: Final = Generation(1.3, _HIGH_RESOLUTION, 0, 0, keeps_thinking=True)

_MODELS: Final = (
    ("opus-5", ModelFacts(_NEW, 286, 406)),
    ("opus-4-8", ModelFacts(_NEW, 290, 410)),
    ("opus-4-7", ModelFacts(_NEW, 675, 804)),
    ("opus-4-6", ModelFacts(_MIDDLE, 497, 589)),
    ("opus-4-5", ModelFacts(_MIDDLE, 496, 588)),
    ("opus-4", ModelFacts(_OLD, 313, 315)),
    ("sonnet-5", ModelFacts(_NEW, 354, 474)),
    ("sonnet-4-6", ModelFacts(_MIDDLE, 497, 589)),
    ("sonnet-4-5", ModelFacts(_OLD, 496, 588)),
    ("sonnet-4", ModelFacts(_OLD, 313, 315)),
    ("haiku-4-5", ModelFacts(_OLD, 496, 588)),
    ("3-5-haiku", ModelFacts(_OLD, 264, 355)),
    ("claude-3", ModelFacts(_OLD, 346, 313)),
)
"""The first whose name is part of the model's; more exact names stand first."""

_OTHERS: Final = ModelFacts(_NEW, 286, 406)
"""For models that the documentation does not list yet: those of the newest that it does."""


def model_facts(model: str) -> ModelFacts:
    """Return what is known of a model, by its name or alias."""
    return next((facts for name, facts in _MODELS if name in model), _OTHERS)
