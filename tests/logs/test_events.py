"""The page of the log's events and the code say the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "deploy" / "logs" / "README.md"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)

Events = dict[str, tuple[str, set[str]]]
"""By name: the level, and all fields that the event may have."""


def on_the_page() -> Events:
    """Read the page's tables."""
    rows = ROW.findall(PAGE.read_text())
    assert len({name for name, *_ in rows}) == len(rows), "an event stands there twice"
    return {name: (level, set(re.findall(r"`(\w+)`", fields))) for name, level, fields in rows}


def in_the_code() -> Events:
    """Read every call of a logger in the worker's package."""
    events: Events = {}
    for path in sorted((ROOT / "worker" / "weighbridge_worker").rglob("*.py")):
        for call in log_calls(ast.parse(path.read_text())):
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            assert isinstance(call.func, ast.Attribute)
            [event] = call.args
            name = event.value if isinstance(event, ast.Constant) else None
            assert isinstance(name, str), f"{place}: an event's name must stand there"
            level, fields = events.setdefault(name, (call.func.attr, set()))
            assert level == call.func.attr, f"{place}: {name} is a {level} elsewhere"
            assert all(word.arg for word in call.keywords), f"{place}: fields must stand there"
            fields.update(str(word.arg) for word in call.keywords)
    return events


def log_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Find the calls of what is called ``log`` or ``_log``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            logger = node.func.value
            name = logger.attr if isinstance(logger, ast.Attribute) else getattr(logger, "id", "")
            if name in {"log", "_log"} and node.func.attr in LEVELS:
                yield node


def test_the_page_lists_every_event_with_its_level_and_fields_and_no_other() -> None:
    code = in_the_code()
    assert len(code) > 30
    assert code == on_the_page()


def test_no_event_has_a_field_that_could_hold_a_payload_or_a_key() -> None:
    told = {field for _, fields in in_the_code().values() for field in fields}
    assert not told & {"payload", "body", "text", "message", "key", "token", "password", "url"}
