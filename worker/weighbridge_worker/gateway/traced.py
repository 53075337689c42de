"""The trace of a request: what it brings goes on with its jobs, within a span if anybody traces."""

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = (b"traceparent", b"tracestate")

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "_OTHER"
"""What the conventions call a method that is none of these."""

_propagator: Final = TraceContextTextMapPropagator()


class Traced:
    """Gives each request's trace context to the jobs that it makes.

    Args:
        tracer: makes a span a request; without one the caller's context goes on as it came.
        direct: paths that are routes of their own, found without the router.
    """

    def __init__(self, app: ASGIApp, *, tracer: Tracer | None, direct: Container[str]) -> None:
        self._app = app
        self._tracer = tracer
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            return
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
        method = scope["method"] if scope["method"] in METHODS else OTHER
        with tracer.start_as_current_span(
            method,
            context=_propagator.extract(carrier, Context()),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope["scheme"]},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note(span, method, self._route(scope), message["status"])
                await send(message)

            await self._app(scope, receive, noted)

    def _route(self, scope: Scope) -> str:
        """Name the route that was found, or none: a path that anybody may make up is no name."""
        if scope["path"] in self._direct:
            return str(scope["path"])
        return str(getattr(scope.get("route"), "path", ""))


def _note(span: trace.Span, method: str, route: str, status: int) -> None:
    if route:
        span.update_name(f"{method} {route}")
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
