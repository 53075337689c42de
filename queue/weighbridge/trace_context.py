"""The trace context that travels with a job, in the W3C's form (https://www.w3.org/TR/trace-context).

A job carries one line a context, ``traceparent`` or ``traceparent tracestate``: first that of who
made the job, empty if there was none, then those of who joined it.
"""

import re
import sys
from collections.abc import Iterator

TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
LENGTH = 55
"""Of a traceparent; a version after 00 may go on behind it, and is cut there."""

TRACESTATE = re.compile(r"[ -~]{1,512}")


def current_trace() -> str:
    """Return the caller's trace context, or nothing if he does not trace.

    Nothing is imported: in a program that traces the API of OpenTelemetry is there already.
    """
    look = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    if look is None:
        return ""
    context = look().get_span_context()
    if not context.is_valid:
        return ""
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    return pack_trace(parent, context.trace_state.to_header())


def pack_trace(traceparent: str, tracestate: str = "") -> str:
    """Make the line of a context; nothing of one that is not valid, for it is to be passed over."""
    parent = traceparent[:LENGTH]
    longer = traceparent[LENGTH:]
    if not TRACEPARENT.fullmatch(parent) or (longer and (parent[:2] == "00" or longer[0] != "-")):
        return ""
    state = tracestate.strip()
    return f"{parent} {state}" if TRACESTATE.fullmatch(state) else parent


def unpack_trace(trace: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Give the contexts of who made a job and of who joined it, each as its headers."""
    made, *joined = (dict(_headers(line)) for line in trace.split("\n"))
    return made, [headers for headers in joined if headers]


def _headers(line: str) -> Iterator[tuple[str, str]]:
    parent, _, state = line.partition(" ")
    if parent:
        yield "traceparent", parent
    if state:
        yield "tracestate", state
