"""An offline estimate of a request body's input tokens: pure, fast, and always called an estimate.

A count is the frame of the conversation, the hidden preamble of tool use (documented by model),
the text by class of characters (``text_tokens.py``) with schemas and tool inputs as spaced JSON,
and media by the documented formulas (``images.py``, ``pdf.py``).

The weights below are a robust ridge regression on 116 recorded counts of text and tools, nearly
all ``usage`` of real Messages calls with Claude Sonnet, Haiku and Opus 4 to 5, most of them short.
Ten-fold cross-validated, near-identical bodies in one fold, absolute relative error, median and
90th percentile:

========================================= === ======= ====
kind                                        N  median  p90
========================================= === ======= ====
text and tools together                   116   2.3 %  22 %
text only                                  30    13 %  22 %
with tools                                 67   0.7 %  29 %
with thinking                              19     6 %  16 %
with an output format                      12   0.9 %   4 %
the newer tokenizer (Opus 4.7 and later)   14    15 %  23 %
========================================= === ======= ====

Which terms there are was chosen with all rows in view; their weights were cross-validated. Eight
of the rows with tools are recordings of an earlier, shorter preamble, which nothing in the body
tells; without them all rows together have 1.8 and 15 %. Text-only rows mostly have 8 to 60
tokens, where two tokens weigh. The 30 % of the newer tokenizer are documented, not fitted; the 14
rows that have it are short. Documents (5 PDFs, 2 texts) and images (1) are too few to calibrate.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from weighbridge_worker.sandbox.images import Image, image_tokens, read_image
from weighbridge_worker.sandbox.model_facts import Generation, model_facts
from weighbridge_worker.sandbox.pdf import pdf_tokens
from weighbridge_worker.sandbox.text_tokens import text_tokens

_FRAME: Final = 7.0
_TURN: Final = 3.0
_TOOL_USE: Final = 21.0
_TOOL_RESULT: Final = 21.0
_OUTPUT_FORMAT: Final = 128.0
_TASK_BUDGET: Final = 38.0
_TEXT_DOCUMENT: Final = 38.0

_CLIENT_TOOLS: Final = {
    "bash_": 245.0,
    "text_editor_": 700.0,
    "computer_": 735.0,
    "browser_": 735.0,
    "memory_": 1069.0,
}
"""Tools whose schema the API adds, by the beginning of their type, in the older tokenizer.

Documented at https://platform.claude.com/docs/en/about-claude/pricing, but memory, which one
recording gives, and the browser, which is taken to cost what the computer does.
"""

_LARGEST_SIDE: Final = 8000
"""Pixels, https://platform.claude.com/docs/en/build-with-claude/vision."""

Body = Mapping[str, Any]


class UnreadableMedia(ValueError):
    """An image or a PDF that the API would refuse, in its words."""


def estimate(body: Body) -> int:
    """Return about how many input tokens the API would count for a checked body.

    Raises:
        UnreadableMedia: an image or a PDF cannot be read.
    """
    return round(_Estimate(body).tokens())


class _Estimate:
    """One body's sum, with the facts about its model at hand."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._facts = model_facts(body["model"])
        self._generation: Generation = self._facts.generation

    def tokens(self) -> float:
        messages = self._body["messages"]
        tokens = _FRAME + self._content(self._body.get("system"))
        tokens += self._tools() + self._thinking() + self._output()
        tokens += sum(_TURN for one, following in _neighbours(messages) if one != following)
        forgotten = 0 if self._generation.keeps_thinking else _last_question(messages)
        for index, message in enumerate(messages):
            content = message.get("content")
            tokens += self._content(_without_thinking(content) if index < forgotten else content)
        return tokens

    def _text(self, text: str) -> float:
        return text_tokens(text) * self._generation.text_scale

    def _json(self, value: object) -> float:
        return self._text(json.dumps(value, ensure_ascii=False))

    def _tools(self) -> float:
        tools = self._body.get("tools")
        if not tools:
            return 0.0
        choice = (self._body.get("tool_choice") or {}).get("type")
        forced = choice in ("any", "tool")
        preamble = self._facts.forced_preamble if forced else self._facts.tools_preamble
        return preamble + sum(map(self._tool, tools))

    def _tool(self, tool: Body) -> float:
        kind = tool.get("type") or "custom"
        for beginning, tokens in _CLIENT_TOOLS.items():
            if kind.startswith(beginning):
                return tokens * self._generation.text_scale
        shown = ("name", "description", "input_schema", "input_examples")
        return self._json({field: tool[field] for field in shown if field in tool})

    def _thinking(self) -> float:
        kind = (self._body.get("thinking") or {}).get("type")
        if kind == "enabled":
            return self._generation.thinking
        if kind == "adaptive" and not self._body.get("tools"):
            return self._generation.adaptive_thinking
        return 0.0

    def _output(self) -> float:
        config = self._body.get("output_config") or {}
        tokens = _TASK_BUDGET if config.get("task_budget") else 0.0
        if form := config.get("format"):
            tokens += _OUTPUT_FORMAT + self._json(form.get("schema"))
        return tokens

    def _content(self, content: str | Iterable[Body] | None) -> float:
        if isinstance(content, str):
            return self._text(content)
        return sum(self._block(block) for block in content or ())

    def _block(self, block: Body) -> float:
        match block:
            case {"type": "text", "text": text} | {"type": "thinking", "thinking": text}:
                return self._text(text)
            case {"type": "image", "source": source}:
                return image_tokens(_image(source), self._generation.images)
            case {"type": "document", "source": source}:
                return self._document(block, source)
            case {"type": "redacted_thinking"}:
                return 0.0
        return self._tool_block(block)

    def _tool_block(self, block: Body) -> float:
        match block:
            case {"type": "tool_use", "name": name, "input": given}:
                return _TOOL_USE + self._text(name) + self._json(given)
            case {"type": "tool_result"}:
                return _TOOL_RESULT + self._content(block.get("content"))
        return self._json(block)

    def _document(self, block: Body, source: Body) -> float:
        about = sum(self._text(block.get(field) or "") for field in ("title", "context"))
        if source["type"] == "base64":
            return about + self._pdf(source["data"])
        content = source["data"] if source["type"] == "text" else source["content"]
        return about + _TEXT_DOCUMENT + self._content(content)

    def _pdf(self, data: str) -> float:
        try:
            return pdf_tokens(_decoded(data), self._generation.text_scale)
        except ValueError:
            raise UnreadableMedia("The PDF specified was not valid.") from None


def _image(source: Body) -> Image:
    try:
        image = read_image(_decoded(source["data"]))
    except ValueError:
        raise UnreadableMedia("Could not process image") from None
    media_type = source["media_type"]
    if image.media_type != media_type:
        raise UnreadableMedia(
            f"The image was specified using the {media_type} media type, but the image appears to"
            f" be a {image.media_type} image"
        )
    if max(image.width, image.height) > _LARGEST_SIDE:
        raise UnreadableMedia(
            f"At least one of the image dimensions exceed max allowed size: {_LARGEST_SIDE} pixels"
        )
    return image


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise ValueError("the data is not base64") from None


def _neighbours(messages: list[Body]) -> Iterable[tuple[str, str]]:
    return pairwise(message["role"] for message in messages)


def _without_thinking(content: str | list[Body] | None) -> str | list[Body] | None:
    if not isinstance(content, list):
        return content
    return [block for block in content if block["type"] != "thinking"]


def _last_question(messages: list[Body]) -> int:
    """Return where the user last spoke otherwise than by tool results; 0 if nowhere."""
    for index in range(len(messages) - 1, 0, -1):
        if messages[index]["role"] == "user" and not _is_tool_result(messages[index]):
            return index
    return 0


def _is_tool_result(message: Body) -> bool:
    content = message.get("content") or ()
    return not isinstance(content, str) and any(block["type"] == "tool_result" for block in content)
