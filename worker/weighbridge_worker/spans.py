"""The spans of a worker: one each time it has a job in hand, and below it one a call.

They hang below the span in which the producer submitted the job, and link to those of producers
that joined it. Names and attributes follow OpenTelemetry's conventions for messaging and for HTTP
clients, and the SDK's own for its calls (anthropic 2.12, _tracing.py). No payload, key or message
of the endpoint is ever in one, so that exceptions are not recorded.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from weighbridge.records import Failed, Lease
from weighbridge.trace_context import unpack_trace
from weighbridge_worker.calls import CallError, Tokens
from weighbridge_worker.executor import Decision, Hold, Release, Retry, Settle

COUNT_SPAN: Final = "anthropic.messages.count_tokens"
COUNT_ROUTE: Final = "/v1/messages/count_tokens"
MAX_MODEL: Final = 100
"""Characters of a model's name, which the producer chose."""

_propagator: Final = TraceContextTextMapPropagator()


class Spans:
    """Makes one worker's spans.

    Args:
        namespace: the queue's, for the spans' name.
        base_url: the endpoint's.
    """

    def __init__(self, tracer: Tracer, namespace: str, base_url: str) -> None:
        self._tracer = tracer
        self._name = f"process {namespace}"
        self._queue = {
            "messaging.system": "weighbridge",
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": namespace,
            "gen_ai.provider.name": "anthropic",
        }
        self._endpoint = _endpoint(base_url)

    @contextmanager
    def job(self, lease: Lease) -> Iterator[Span]:
        """Open the span of a job that this worker has in hand, below its producer's."""
        made, joined = unpack_trace(lease.trace)
        with self._tracer.start_as_current_span(
            self._name,
            context=_propagator.extract(made, Context()),
            kind=SpanKind.CONSUMER,
            links=[Link(_context(headers)) for headers in joined],
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            if span.is_recording():
                span.set_attributes({**self._queue, **_of_lease(lease)})
            yield span

    @contextmanager
    def call(self) -> Iterator[Span]:
        """Open the span of one HTTP attempt, below the job's."""
        with self._tracer.start_as_current_span(
            COUNT_SPAN,
            kind=SpanKind.CLIENT,
            attributes=self._endpoint,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield span


def note_decision(span: Span, decision: Decision) -> None:
    """Say in a job's span how the job goes on."""
    if not span.is_recording():
        return
    outcome, code = _outcome(decision)
    span.set_attribute("weighbridge.outcome", outcome)
    if code:
        span.set_attribute("error.type", code)
    if outcome == "failed":
        span.set_status(Status(StatusCode.ERROR))


def note_answer(span: Span, tokens: Tokens) -> None:
    """Say in a call's span that it gave a count."""
    if span.is_recording():
        span.set_attribute("http.response.status_code", 200)
        span.set_attribute("anthropic.message.count_tokens.input_tokens", tokens.input_tokens)
        span.set_attribute("weighbridge.source", tokens.source)


def note_failure(span: Span, error: Exception) -> None:
    """Say in a call's span how it failed, by the stable word and not in the endpoint's own."""
    code = error.failure_code if isinstance(error, CallError) else type(error).__name__
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR))


def _outcome(decision: Decision) -> tuple[str, str]:
    if isinstance(decision, Settle):
        failed = decision.result if isinstance(decision.result, Failed) else None
        return ("failed", failed.code) if failed else ("counted", "")
    if isinstance(decision, Retry):
        return "retried", decision.code
    if isinstance(decision, Release):
        return "released", decision.code
    assert isinstance(decision, Hold)  # noqa: S101 - the last of them
    return "slot_missed", ""


def _of_lease(lease: Lease) -> Mapping[str, AttributeValue]:
    return {
        "messaging.message.id": lease.digest[:12],
        "gen_ai.request.model": lease.model[:MAX_MODEL],
        "weighbridge.lane": str(lease.lane),
        "weighbridge.deliveries": lease.deliveries,
        "weighbridge.attempts": lease.attempts,
        "weighbridge.queued_s": lease.age_us / 1_000_000,
    }


def _endpoint(base_url: str) -> dict[str, AttributeValue]:
    url = urlsplit(base_url)
    return {
        "gen_ai.provider.name": "anthropic",
        "http.request.method": "POST",
        "http.route": COUNT_ROUTE,
        "server.address": url.hostname or "",
        "server.port": url.port or (80 if url.scheme == "http" else 443),
    }


def _context(headers: Mapping[str, str]) -> trace.SpanContext:
    return get_current_span(_propagator.extract(headers, Context())).get_span_context()
