"""What each tool of a set costs: its marginal tokens, and the preamble that no tool owns.

Counts are not additive: tools share a preamble of hundreds of tokens, which is shown on its own and
never spread over them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from statistics import median
from typing import Any, Literal

from weighbridge.errors import PayloadError
from weighbridge.payload import check_payload
from weighbridge.records import Counted, Lane, Outcome
from weighbridge.uses.decisions import Counts, Tally, count_together, tally
from weighbridge.uses.prices import Prices, Usage
from weighbridge.uses.toolset import Tool

Suggestion = Literal["keep", "shorten", "remove", ""]

PROBE = "x"
"""The one user message of every arm; it is in all of them, so that it decides nothing."""

LARGE_TOKENS = 200
LARGE_BY_MEDIAN = 2.0
"""A tool of that many tokens, and that many times the middle one, is worth a shorter text."""

EMPTY_SCHEMA = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Volume:
    """A month of use.

    Args:
        requests: that carry the tools.
        uses: how often each tool was called in them, by name.
    """

    requests: int
    uses: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class ToolCost:
    """One tool's part.

    Args:
        tokens: what the request loses without it; None where that could not be counted.
        share: of what all tools add, preamble included.
        usd_month: what these tokens cost at the volume.
        tokens_per_use: what the prompts carry for one actual call of the tool.
        code: why it could not be counted, or empty; the message says it for people.
    """

    name: str
    tokens: int | None = None
    share: float | None = None
    usd_month: Decimal | None = None
    uses: int | None = None
    tokens_per_use: float | None = None
    suggestion: Suggestion = ""
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Split:
    """Where one tool's tokens lie: ``rest`` is its name and frame."""

    name: str
    description: int
    schema: int
    rest: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole set; ``none + preamble + the tools' tokens = all``.

    Args:
        none: tokens of the probe alone.
        all: tokens of the probe with every countable tool.
        added: what the tools add together.
        preamble: what they share; None where a tool could not be counted, or where there is but
            one, whose tokens then hold it.
        code: why the set could not be counted, or empty.
    """

    model: str
    tools: tuple[ToolCost, ...]
    none: int = 0
    all: int = 0
    added: int = 0
    preamble: int | None = None
    usd_month: Decimal | None = None
    split: Split | None = None
    tally: Tally = field(default_factory=Tally)
    price_version: str | None = None
    code: str = ""
    message: str = ""


async def audit(
    counts: Counts,
    tools: Sequence[Tool],
    *,
    model: str,
    tool_choice: Mapping[str, Any] | None = None,
    prices: Prices | None = None,
    volume: Volume | None = None,
    split: str | None = None,
    lane: Lane = Lane.INTERACTIVE,
) -> Audit:
    """Weigh a set of tools: one count without any, one with all, one without each.

    Args:
        tools: in Anthropic's form, as ``read_tools`` gives them.
        tool_choice: held equal in all counts, for the preamble depends on it; left out of the one
            that lacks the tool it names.
        volume: for dollars a month and tokens a use; needs ``prices`` for the former.
        split: a tool to take apart, which takes two counts more.

    Raises:
        UnknownPrice: the model has no price, and one was asked for.
        QueueUnreachable: the server does not answer.
    """
    if prices is not None:
        prices.facts(model)
    arms = _Arms(model, tools, tool_choice)
    sound = [index for index, row in enumerate(arms.rows) if not row.code]
    plan = [arms.body([]), arms.body(sound)]
    if len(sound) > 1:
        plan += [arms.body([other for other in sound if other != index]) for index in sound]
    apart = next((index for index in sound if arms.rows[index].name == split), None)
    if apart is not None:
        plan += [arms.body(sound, {apart: part}) for part in _parts(tools[apart])]
    outcomes = await count_together(counts, plan, lane)
    weighed = _weigh(arms.rows, sound, outcomes)
    if not weighed.code and apart is not None:
        weighed = replace(weighed, split=_split(weighed, apart, outcomes[-2:]))
    money = _Money(model, prices, volume)
    return _valued(replace(weighed, model=model, tally=tally(outcomes)), money)


class _Arms:
    """The bodies that are counted: the same but for the tools they hold."""

    def __init__(
        self, model: str, tools: Sequence[Tool], tool_choice: Mapping[str, Any] | None
    ) -> None:
        self._model = model
        self._tools = tools
        self._choice = tool_choice
        names = [_name(tool) for tool in tools]
        self.rows = [
            self._check(tool, repeated=_name(tool) in names[:index])
            for index, tool in enumerate(tools)
        ]

    def body(
        self, kept: Sequence[int], instead: Mapping[int, Tool] | None = None
    ) -> dict[str, Any]:
        """Make the body with these tools, some of them in another form."""
        messages = [{"role": "user", "content": PROBE}]
        tools = [(instead or {}).get(index, self._tools[index]) for index in kept]
        body: dict[str, Any] = {"model": self._model, "messages": messages}
        return body | ({"tools": tools} | self._choice_among(tools) if tools else {})

    def _choice_among(self, tools: Sequence[Tool]) -> dict[str, Any]:
        """Give the choice, unless it names a tool that is not there."""
        if self._choice is None or self._choice.get("name") not in (None, *map(_name, tools)):
            return {}
        return {"tool_choice": dict(self._choice)}

    def _check(self, tool: Tool, *, repeated: bool) -> ToolCost:
        name = _name(tool)
        if repeated:
            return ToolCost(name, code="duplicate_name", message="an earlier tool has this name")
        try:
            check_payload({**self.body([]), "tools": [tool]})
        except PayloadError as error:
            return ToolCost(name, code=error.code, message=str(error))
        return ToolCost(name)


def _name(tool: Tool) -> str:
    return str(tool.get("name", tool.get("mcp_server_name", "")))


def _parts(tool: Tool) -> list[Tool]:
    """Give a tool without its description, and without what its schema says."""
    silent = {name: value for name, value in tool.items() if name != "description"}
    return [silent, {**tool, "input_schema": EMPTY_SCHEMA}]


def _weigh(rows: Sequence[ToolCost], sound: Sequence[int], outcomes: Sequence[Outcome]) -> Audit:
    none, everything, *without = outcomes[: 2 + len(sound)]
    if not isinstance(none, Counted):
        return Audit("", tuple(rows), code=none.code, message=none.message)
    if not isinstance(everything, Counted):
        return Audit("", tuple(rows), code=everything.code, message=everything.message)
    added = everything.input_tokens - none.input_tokens
    if len(sound) == 1:
        without = [none]
    weighed = list(rows)
    for index, outcome in zip(sound, without, strict=False):
        weighed[index] = _row(rows[index], outcome, everything.input_tokens, added)
    marginals = [weighed[index].tokens for index in sound]
    known = [tokens for tokens in marginals if tokens is not None]
    whole = len(known) == len(sound) > 1
    return Audit(
        "",
        tuple(weighed),
        none=none.input_tokens,
        all=everything.input_tokens,
        added=added,
        preamble=added - sum(known) if whole else None,
    )


def _row(row: ToolCost, without: Outcome, everything: int, added: int) -> ToolCost:
    if not isinstance(without, Counted):
        return replace(row, code=without.code, message=without.message)
    tokens = everything - without.input_tokens
    return replace(row, tokens=tokens, share=round(tokens / added, 4) if added else None)


def _split(weighed: Audit, index: int, outcomes: Sequence[Outcome]) -> Split | None:
    tokens = weighed.tools[index].tokens
    silent, shapeless = (
        weighed.all - outcome.input_tokens if isinstance(outcome, Counted) else None
        for outcome in outcomes
    )
    if tokens is None or silent is None or shapeless is None:
        return None
    name = weighed.tools[index].name
    return Split(name, silent, shapeless, tokens - silent - shapeless)


@dataclass(frozen=True, slots=True)
class _Money:
    """What tokens cost in a month, where that was asked for."""

    model: str
    prices: Prices | None
    volume: Volume | None

    def month(self, tokens: int | None) -> Decimal | None:
        if tokens is None or self.prices is None or self.volume is None:
            return None
        return self.prices.usd(self.model, Usage(max(0, tokens))).input * self.volume.requests


def _valued(weighed: Audit, money: _Money) -> Audit:
    """Add dollars, uses and suggestions."""
    volume = money.volume
    sizes = [row.tokens for row in weighed.tools if row.tokens is not None]
    middle = median(sizes) if sizes else 0
    rows = []
    for row in weighed.tools:
        uses = volume.uses.get(row.name, 0) if volume and volume.uses is not None else None
        carried = row.tokens * volume.requests if volume and row.tokens is not None else None
        rows.append(
            replace(
                row,
                usd_month=money.month(row.tokens),
                uses=uses,
                tokens_per_use=round(carried / uses, 1) if carried and uses else None,
                suggestion=_suggest(row.tokens, uses, middle),
            )
        )
    return replace(
        weighed,
        tools=tuple(rows),
        usd_month=money.month(weighed.added),
        price_version=money.prices.version if money.prices else None,
    )


def _suggest(tokens: int | None, uses: int | None, middle: float) -> Suggestion:
    if tokens is None:
        return ""
    if uses == 0:
        return "remove"
    large = tokens >= LARGE_TOKENS and tokens >= LARGE_BY_MEDIAN * middle
    return "shorten" if large else "keep"
