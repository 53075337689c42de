"""Which models share a tokenizer, as far as that is known.

A count holds for the tokenizer that it was made with: the newer one makes about 30 % more of the
same text (https://platform.claude.com/docs/en/build-with-claude/token-counting). Models are listed
as far as they are known, November 2026: a model that is not, next year's or another maker's, is a
family of its own, so that it is counted for itself. Within a family counts may still differ by
some hundred tokens where there are tools, for their hidden preamble differs by model.
"""

import re
from collections.abc import Mapping
from typing import Final

Version = tuple[int, int]

_OLDER: Final = "claude-3-to-4.6"
_NEWER: Final = "claude-4.7-to-5.5"

_KNOWN: Final[Mapping[str, tuple[tuple[Version, Version, str], ...]]] = {
    "opus": (((3, 0), (4, 6), _OLDER), ((4, 7), (5, 5), _NEWER)),
    "sonnet": (((3, 0), (4, 6), _OLDER), ((5, 0), (5, 5), _NEWER)),
    "haiku": (((3, 0), (4, 5), _OLDER), ((5, 5), (5, 5), _NEWER)),
    "fable": (((5, 0), (5, 2), _NEWER),),
    "mythos": (((5, 0), (5, 2), _NEWER),),
}
"""For each line of models, from which version to which it has which tokenizer."""

_NAME: Final = re.compile(r"claude-(?P<line>[a-z]+)-(?P<major>\d)(?:-(?P<minor>\d))?(?:-\d{8})?")
_OLDER_NAME: Final = re.compile(
    r"claude-(?P<major>3)(?:-(?P<minor>\d))?-(?P<line>[a-z]+)(?:-\d{8}|-latest)?"
)


def family(model: str, own: Mapping[str, str] | None = None) -> str:
    """Name a model's tokenizer family; equal names share a tokenizer.

    Args:
        own: families by model that an operator knows better.
    """
    if own and model in own:
        return own[model]
    found = _NAME.fullmatch(model) or _OLDER_NAME.fullmatch(model)
    if found is None:
        return model
    version = int(found["major"]), int(found["minor"] or 0)
    for first, last, name in _KNOWN.get(found["line"], ()):
        if first <= version <= last:
            return name
    return model
