"""JSONL in, JSONL out: a command's lines, of files and in the order of their results."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec
import typer

from weighbridge.count_stream import Item
from weighbridge_worker.lines import LineId, line_result, open_line


@dataclass(frozen=True, slots=True)
class Line:
    """One payload of the input; ``number`` counts from 1, as editors do; ``text`` is all of it."""

    file: str
    number: int
    id: LineId
    payload: bytes
    text: bytes


def read_lines(files: Iterable[str]) -> Iterator[Line]:
    """Read payloads from files; ``-`` is standard input; empty lines are passed over.

    Raises:
        typer.BadParameter: a file cannot be read.
    """
    for name in files:
        with ExitStack() as stack:
            stream = _open(name, stack)
            for number, text in enumerate(stream, start=1):
                if text.strip():
                    yield _line(name, number, text.strip())


def _open(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(open(name, "rb"))
    except OSError as error:
        raise typer.BadParameter(f"cannot read {name}: {error.strerror}") from None


def _line(file: str, number: int, text: bytes) -> Line:
    line_id, payload = open_line(text)
    return Line(file, number, line_id, payload, text)


def with_model(payload: bytes, model: str) -> bytes:
    """Name another model in a payload; what is no object is left for the payload check."""
    try:
        body = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return payload
    body["model"] = msgspec.Raw(msgspec.json.encode(model))
    return msgspec.json.encode(body)


def row(line: Line, item: Item, *, name_file: bool) -> dict[str, Any]:
    """Say what became of a line."""
    head = {"file": line.file} if name_file else {}
    return head | msgspec.structs.asdict(line_result(line.number, line.id, item))
