"""Sends spans where OpenTelemetry's own variables say, if the extra ``tracing`` is installed."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from structlog.typing import FilteringBoundLogger

from weighbridge.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTERS = ("otlp", "console", "none")

FLUSH_S = 3.0
"""How long the last spans may hold up the end."""


@asynccontextmanager
async def tracing(
    environ: Mapping[str, str], service: str, log: FilteringBoundLogger
) -> AsyncIterator["Tracer | None"]:
    """Give a tracer while the block runs; None where nobody wants spans.

    A provider that was set beforehand, as by ``opentelemetry-instrument``, is used as it is.

    Raises:
        SettingsError: ``OTEL_TRACES_EXPORTER`` names an exporter that there is not.
    """
    exporter = wanted_exporter(environ)
    if (ready := _ready_tracer()) is not None:
        yield ready
        return
    provider = _provider(exporter, service, log) if exporter != "none" else None
    if provider is None:
        yield None
        return
    log.info("tracing_started", exporter=exporter)
    try:
        yield provider.get_tracer("weighbridge", version("weighbridge"))
    finally:
        with anyio.move_on_after(FLUSH_S, shield=True):
            await to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)


def wanted_exporter(environ: Mapping[str, str]) -> str:
    """Read which exporter is wanted: ``otlp``, ``console`` or ``none``.

    Raises:
        SettingsError: it is another.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "none"
    default = "otlp" if any(environ.get(name) for name in ENDPOINTS) else "none"
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or default
    if named not in EXPORTERS:
        raise SettingsError(f"OTEL_TRACES_EXPORTER takes {', '.join(EXPORTERS)}, not {named!r}")
    return named


def _ready_tracer() -> "Tracer | None":
    """Give the tracer of a provider that somebody set; nothing is imported to find out."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None or isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
        return None
    ready: Tracer = api.get_tracer("weighbridge", version("weighbridge"))
    return ready


def _provider(exporter: str, service: str, log: FilteringBoundLogger) -> "TracerProvider | None":
    try:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            ConsoleSpanExporter,
            SpanExporter,
        )

        chosen: SpanExporter
        if exporter == "console":
            chosen = ConsoleSpanExporter(out=sys.stderr)
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            chosen = OTLPSpanExporter()
    except ImportError:
        log.warning("tracing_not_installed", install="pip install 'weighbridge[tracing]'")
        return None
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go before ours.
    named = {"service.name": f"weighbridge-{service}", "service.version": version("weighbridge")}
    provider = TracerProvider(
        resource=Resource.create(named).merge(OTELResourceDetector().detect())
    )
    provider.add_span_processor(BatchSpanProcessor(chosen))
    return provider
