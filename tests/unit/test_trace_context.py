"""The line in which a trace context travels with a job."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider

from weighbridge import trace_context
from weighbridge.trace_context import current_trace, pack_trace, unpack_trace

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("parent", "state", "line"),
    [
        (PARENT, "", PARENT),
        (PARENT, "a=1,b=2 2", f"{PARENT} a=1,b=2 2"),
        (PARENT, "a=\n00-x", PARENT),
        (PARENT, "a=" + "x" * 600, PARENT),
        (PARENT + "-more", "", ""),
        ("cc" + PARENT[2:] + "-more", "", "cc" + PARENT[2:]),
        ("cc" + PARENT[2:] + "more", "", ""),
        ("ff" + PARENT[2:], "", ""),
        (PARENT.upper(), "", ""),
        (PARENT[:-1], "", ""),
        (PARENT.replace("b7ad6b7169203331", "0" * 16), "", ""),
        ("", "a=1", ""),
    ],
)
def test_only_a_context_of_the_standard_makes_a_line(parent: str, state: str, line: str) -> None:
    assert pack_trace(parent, state) == line


def test_the_lines_of_a_job_come_apart() -> None:
    assert unpack_trace("") == ({}, [])
    assert unpack_trace(PARENT) == ({"traceparent": PARENT}, [])
    made, joined = unpack_trace(f"\n{PARENT} a=1\n{PARENT}")
    assert made == {}
    assert joined == [{"traceparent": PARENT, "tracestate": "a=1"}, {"traceparent": PARENT}]


def test_the_current_span_is_the_context() -> None:
    assert current_trace() == ""
    with TracerProvider().get_tracer("test").start_as_current_span("x") as span:
        context = span.get_span_context()
        line = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        assert current_trace() == line


def test_a_program_that_does_not_trace_imports_nothing_for_it() -> None:
    """The module is loaded alone: redis-py brings its own metrics where OpenTelemetry is there."""
    code = (
        "import runpy, sys;"
        f"trace = runpy.run_path({trace_context.__file__!r})['current_trace']();"
        "assert trace == '';"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
