"""``weighbridge doctor``: what is wrong with a server, and what to change."""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

import anyio
import msgspec

from weighbridge.settings import QueueSettings, load
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.diagnosis import Finding
from weighbridge_worker.doctor import examine

STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}


def run_doctor(*, redis_url: str | None, as_json: bool) -> int:
    """Run the command; returns the exit status."""
    settings = load(QueueSettings, os.environ, redis_url=redis_url)
    findings = anyio.run(examine, settings)
    if as_json:
        shown = [asdict(finding) for finding in findings]
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
    else:
        _print(settings.namespace, findings)
    bad = any(finding.verdict == "bad" for finding in findings)
    return ExitStatus.REFUSED if bad else ExitStatus.OK


def _print(namespace: str, findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        change = f"\n[bold]→[/] {escape(finding.change)}" if finding.change else ""
        verdict = f"[{STYLES[finding.verdict]}]{finding.verdict:<4}[/]"
        table.add_row(verdict, finding.check, escape(finding.said) + change)
    console.print(f"The server of namespace {escape(namespace)}\n")
    console.print(table)
    counts = [sum(one.verdict == verdict for one in findings) for verdict in ("bad", "warn")]
    console.print(f"\n{counts[0]} bad, {counts[1]} to think about.")
