"""What the wire contract's page and schemas say, as tests read it."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs

QUEUE = Path(__file__).parents[2] / "queue"
PAGE = QUEUE / "PROTOCOL.md"
SCHEMAS = QUEUE / "schemas"


def section(name: str) -> str:
    """Return what stands between a section's marks."""
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", PAGE.read_text(), re.S)
    assert found is not None, f"PROTOCOL.md has no section {name}"
    return found[1]


def first_column(name: str) -> set[str]:
    """Return the words of a table's first column."""
    rows = section(name).splitlines()[2:]
    words = [row.split("|")[1].strip().strip("`") for row in rows]
    assert len(words) == len(set(words))
    return set(words)


def schema(name: str) -> dict[str, Any]:
    """Read a schema."""
    read: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())
    return read


def validate(name: str, record: Any) -> None:
    """Hold a record against its schema.

    Raises:
        jsonschema_rs.ValidationError: it does not fit.
    """
    registry = jsonschema_rs.Registry([("json-schema:///result.json", schema("result"))])
    jsonschema_rs.validator_for(schema(name), registry=registry).validate(record)


def known_fields(name: str) -> set[str]:
    """Return the fields that a schema names, those of its alternatives and of what it builds on."""
    named = schema(name)
    parts = [named, *named.get("oneOf", [])]
    fields = {field for part in parts for field in part.get("properties", {})}
    return fields | (known_fields("result") if "allOf" in named else set())
