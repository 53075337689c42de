"""JSON documents named on the command line."""

import sys
from pathlib import Path
from typing import Any

import msgspec
import typer


def read_text(path: Path) -> bytes:
    """Read a file; ``-`` is standard input.

    Raises:
        typer.BadParameter: it cannot be read.
    """
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}") from None


def read_document(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        typer.BadParameter: it cannot be read, or is no JSON.
    """
    try:
        return msgspec.json.decode(read_text(path))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} is no JSON: {error}") from None


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        typer.BadParameter: it holds anything else.
    """
    document = read_document(path)
    if not isinstance(document, dict):
        raise typer.BadParameter(f"{path} must hold a JSON object")
    return document


def write_text(path: Path, text: str) -> None:
    """Write a file.

    Raises:
        typer.BadParameter: it cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from None
