"""Where the spans go: OpenTelemetry's own variables, a real exporter, a collector on loopback."""

import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from anyio import to_thread
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
from structlog.testing import CapturingLogger
from support.commands import COMMAND, environment
from support.pools import until

from weighbridge import Client, SettingsError
from weighbridge_worker.cli.tracing import tracing, wanted_exporter
from weighbridge_worker.sandbox import SandboxSettings, sandbox

OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"
HELLO = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize(
    ("environ", "exporter"),
    [
        ({}, "none"),
        ({OTLP: "http://localhost:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({OTLP: "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"}, "none"),
        ({OTLP: "http://localhost:4318", "OTEL_SDK_DISABLED": "true"}, "none"),
    ],
)
def test_the_exporter_is_what_the_variables_say(environ: dict[str, str], exporter: str) -> None:
    assert wanted_exporter(environ) == exporter


@pytest.mark.asyncio
async def test_an_exporter_that_there_is_not_is_named() -> None:
    with pytest.raises(SettingsError, match="OTEL_TRACES_EXPORTER takes otlp, console, none"):
        async with tracing({"OTEL_TRACES_EXPORTER": "zipkin"}, "worker", CapturingLogger()):
            pass


@pytest.mark.asyncio
async def test_without_the_variables_there_is_no_tracer() -> None:
    async with tracing({}, "worker", CapturingLogger()) as tracer:
        assert tracer is None


@asynccontextmanager
async def collector(received: list[ResourceSpans]) -> AsyncIterator[str]:
    """Run a collector that keeps what it gets; yields its address."""

    async def take(request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        received.extend(sent.resource_spans)
        return web.Response()

    application = web.Application()
    application.router.add_post("/v1/traces", take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
async def test_a_workers_spans_reach_a_collector_by_the_end_of_its_drain(
    redis_url: str, tmp_path: Path
) -> None:
    received: list[ResourceSpans] = []
    async with (
        collector(received) as address,
        sandbox(SandboxSettings(rpm=60_000, depth=1000)) as stand_in,
        Client.connect(redis_url) as wb,
    ):
        env = environment(
            tmp_path,
            WEIGHBRIDGE_REDIS_URL=redis_url,
            WEIGHBRIDGE_RPM="6000",
            ANTHROPIC_BASE_URL=stand_in.base_url,
            ANTHROPIC_API_KEY="test",
            OTEL_EXPORTER_OTLP_ENDPOINT=address,
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        )
        worker = subprocess.Popen([*COMMAND, "worker"], env=env, stderr=subprocess.PIPE)
        try:
            await wb.count(HELLO)
            worker.send_signal(signal.SIGTERM)
            _, said = await to_thread.run_sync(lambda: worker.communicate(timeout=60))
        finally:
            worker.kill()
        assert worker.returncode == 0, said
        await until(lambda: len(names_of(received)) >= 2)
    assert names_of(received) >= {"process weighbridge", "anthropic.messages.count_tokens"}
    assert b"tracing_started" in said
    resource = {one.key: one.value.string_value for one in received[0].resource.attributes}
    assert resource["service.name"] == "weighbridge-worker"
    assert resource["deployment.environment.name"] == "test"


def names_of(received: list[ResourceSpans]) -> set[str]:
    """Give the names of all spans that came."""
    return {span.name for of in received for scope in of.scope_spans for span in scope.spans}
