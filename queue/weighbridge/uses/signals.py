"""Signs that a payload needs a larger model than its size says. They can only raise."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]

Signal = Callable[[Body], str | None]
"""Names the smallest model that suits a body, or None for no opinion."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Asks for a model at least where a body has all that the rule names.

    Args:
        to: the model.
        tools, images, turns: at least so many; a turn is a user message without a tool's result.
        thinking: extended or adaptive thinking is on.
    """

    to: str
    tools: int = 0
    images: int = 0
    turns: int = 0
    thinking: bool = False

    def __call__(self, body: Body) -> str | None:
        """Name the model if the rule holds."""
        holds = (
            _tools(body) >= self.tools
            and _images(body) >= self.images
            and _turns(body) >= self.turns
            and (_thinks(body) or not self.thinking)
        )
        return self.to if holds else None


def _tools(body: Body) -> int:
    tools = body.get("tools")
    return len(tools) if isinstance(tools, list | tuple) else 0


def _images(body: Body) -> int:
    return sum(kind == "image" for message in _messages(body) for kind in _kinds(message))


def _turns(body: Body) -> int:
    asked = (message for message in _messages(body) if message.get("role") == "user")
    return sum("tool_result" not in _kinds(message) for message in asked)


def _thinks(body: Body) -> bool:
    thinking = body.get("thinking")
    return isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive")


def _messages(body: Body) -> Iterator[Body]:
    messages = body.get("messages")
    if isinstance(messages, list | tuple):
        yield from (message for message in messages if isinstance(message, Mapping))


def _kinds(holder: Body) -> list[object]:
    """List the types of a message's blocks, of those in its tools' results too."""
    content = holder.get("content")
    if not isinstance(content, list | tuple):
        return []
    blocks = [block for block in content if isinstance(block, Mapping)]
    inner = [kind for block in blocks for kind in _kinds(block)]
    return [block.get("type") for block in blocks] + inner
