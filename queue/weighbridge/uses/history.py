"""A request body as a history that may be cut: what stays and what goes at each cut."""

import json
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from anyio import to_thread

from weighbridge.errors import NotCountablePayload, SettingsError
from weighbridge.payload import check_payload
from weighbridge.preparation import LARGE_BYTES, RawPayload
from weighbridge.records import NotCountable
from weighbridge.uses.turns import Turn, split_turns, weight

MAX_HISTORY_BYTES = 256 * 2**20
"""What is too large for the API may still be pruned; beyond this it is not even read."""

TOOLS_WEIGHT = 1_500
"""Bytes of text for the hidden preamble that tools bring along."""


class History:
    """A body and what may be cut off it.

    Args:
        keep_last: newest turns that never go; keep_first: whether the oldest stays too. Nor does a
            turn that changes the tools, nor any after it.
        refused: set if the endpoint is known to refuse this kind of body.
    """

    def __init__(
        self,
        body: dict[str, Any],
        *,
        keep_last: int,
        keep_first: bool,
        refused: NotCountable | None = None,
    ) -> None:
        self.body = body
        self.refused = refused
        self.model: str = body["model"]
        self.turns = split_turns(body["messages"])
        self._first = 1 if keep_first and len(self.turns) > 1 else 0
        droppable = self.turns[self._first : max(self._first, len(self.turns) - keep_last)]
        last = next((at for at, turn in enumerate(droppable) if turn.stays), len(droppable))
        kept = sum(turn.weight for turn in self.turns)
        falling = accumulate((-turn.weight for turn in self.dropped(last)), initial=kept)
        self.weights = tuple(falling)

    @property
    def fixed_weight(self) -> int:
        """About how much of the tokens no cut takes away, in the unit of ``weights``."""
        rest = {name: part for name, part in self.body.items() if name != "messages"}
        return weight(rest) + (TOOLS_WEIGHT if self.body.get("tools") else 0)

    def dropped(self, cut: int) -> tuple[Turn, ...]:
        """Name the turns that a cut drops: the oldest, but for a first one that stays."""
        return self.turns[self._first : self._first + cut]

    def pruned(self, cut: int) -> dict[str, Any]:
        """Give the body without them; everything else in it is as it was."""
        gone = self.dropped(cut)
        if not gone:
            return self.body
        messages = self.body["messages"]
        return self.body | {"messages": [*messages[: gone[0].start], *messages[gone[-1].stop :]]}

    def pruned_text(self, cut: int) -> bytes:
        """Write that body as JSON."""
        return json.dumps(self.pruned(cut), ensure_ascii=False).encode()


async def read_history(
    payload: RawPayload, *, keep_last: int, keep_first: bool, strip_context_management: bool
) -> History:
    """Read a body; a large one in a thread.

    Raises:
        MalformedPayload: it is no sound request body.
        BrokenHistory: the API would refuse its messages.
        SettingsError: it has ``context_management``, and nobody said to take it out.
    """

    def read() -> History:
        body, refused = _parsed(payload)
        _manage_context(body, strip_context_management)
        return History(body, keep_last=keep_last, keep_first=keep_first, refused=refused)

    if isinstance(payload, bytes | str) and len(payload) >= LARGE_BYTES:
        return await to_thread.run_sync(read)
    return read()


def _parsed(payload: RawPayload) -> tuple[dict[str, Any], NotCountable | None]:
    refused = None
    try:
        check_payload(payload, max_bytes=MAX_HISTORY_BYTES)
    except NotCountablePayload as error:
        refused = NotCountable(code=error.code, message=str(error))
    body = dict(payload) if isinstance(payload, Mapping) else json.loads(payload)
    return body, refused


def _manage_context(body: dict[str, Any], strip: bool) -> None:
    if strip:
        body.pop("context_management", None)
    elif body.get("context_management"):
        raise SettingsError(
            "the payload's context_management clears contexts by itself, so a longer history may"
            " count less; take it out, or have it taken out: strip_context_management=True"
            " (--strip-context-management)"
        )
