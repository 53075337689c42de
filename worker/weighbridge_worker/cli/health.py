"""``weighbridge health``: ask this container's worker or gateway how it is, for probes."""

import http.client
import json
import os
from typing import Any

import typer

from weighbridge_worker.cli.exit_status import ExitStatus

TIMEOUT_S = 3.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what such a listener is asked at


def run_health(*, live: bool) -> int:
    """Run the command; returns the exit status."""
    from weighbridge.settings import load
    from weighbridge_worker.settings import WorkerSettings

    settings = load(WorkerSettings, os.environ)
    if not settings.health_port:
        typer.echo(
            "WEIGHBRIDGE_HEALTH_PORT is not set; set it, such as to 8398, for the worker and for"
            " this command alike",
            err=True,
        )
        return ExitStatus.USAGE
    host = EVERYWHERE.get(settings.health_host, settings.health_host)
    try:
        good, report = _ask(host, settings.health_port, "/live" if live else "/ready")
    except (OSError, http.client.HTTPException, ValueError) as error:
        typer.echo(f"no worker answers on {host} port {settings.health_port} ({_kind(error)})")
        return ExitStatus.REFUSED
    typer.echo(_line(report, "live" if live else "ready", good=good))
    return ExitStatus.OK if good else ExitStatus.REFUSED


def _ask(host: str, port: int, path: str) -> tuple[bool, dict[str, Any]]:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status == 200, dict(json.loads(response.read()))
    finally:
        connection.close()


def _kind(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _line(report: dict[str, Any], word: str, *, good: bool) -> str:
    said = [word if good else f"not {word}", *report["why"], *report.get("notes", [])]
    in_flight = report.get("in_flight")  # a gateway, asked at its own port, has none
    return "; ".join(said if in_flight is None else [*said, f"{in_flight} in flight"])
