"""The trace of a request: what it brings goes on with its jobs, within a span if anybody traces."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = (b"traceparent", b"tracestate")

_propagator: Final = TraceContextTextMapPropagator()


class Traced:
    """Gives each request's trace context to the jobs that it makes.

    Args:
        tracer: makes a span a request; without one the caller's context goes on as it came.
    """

    def __init__(self, app: ASGIApp, *, tracer: Tracer | None) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in HEADERS
        }
        if self._tracer is not None:
            await self._in_span(self._tracer, carrier, scope, receive, send)
        elif carrier:
            with _within(carrier):
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _in_span(
        self,
        tracer: Tracer,
        carrier: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        with tracer.start_as_current_span(
            str(scope["method"]),
            context=_propagator.extract(carrier, Context()),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": scope["method"], "url.scheme": scope["scheme"]},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note(span, scope, message["status"])
                await send(message)

            await self._app(scope, receive, noted)


def _note(span: trace.Span, scope: Scope, status: int) -> None:
    """Name the span by the route that was found: a path that anybody may make up is no name."""
    route = getattr(scope.get("route"), "path", None)
    if route is not None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


@contextmanager
def _within(carrier: Mapping[str, str]) -> Iterator[None]:
    token = attach(_propagator.extract(carrier, Context()))
    try:
        yield
    finally:
        detach(token)
