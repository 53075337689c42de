"""A tracer whose spans stay in this process, to be looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

SLOT_MISSED = "slot_missed"
"""What a busy machine makes of a job now and then; its next slot has a span of its own."""


@dataclass
class Recorded:
    """A provider of its own, so that no test sees another's spans."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    provider: TracerProvider = field(default_factory=TracerProvider)

    def __post_init__(self) -> None:
        """Have the spans kept."""
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def tracer(self, name: str = "test") -> Tracer:
        """Give a tracer."""
        return self.provider.get_tracer(name)

    def named(self, name: str) -> list[ReadableSpan]:
        """Find the spans of a name that have ended, in the order of their ends."""
        return [
            span
            for span in self.exporter.get_finished_spans()
            if span.name == name and attributes(span).get("weighbridge.outcome") != SLOT_MISSED
        ]


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Give a span's trace and its own number."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def parent(span: ReadableSpan) -> tuple[int, int] | None:
    """Give the trace and the number of a span's parent."""
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """Give a span's attributes."""
    return span.attributes or {}
