"""``weighbridge status``: the pool at a glance."""

import os
import sys
from dataclasses import asdict

import anyio
import msgspec

from weighbridge.admin import PoolState, WorkerState
from weighbridge.settings import QueueSettings, load
from weighbridge_worker.cli.assembly import inspect_pool
from weighbridge_worker.watch.limit_words import describe_limit
from weighbridge_worker.watch.snapshot import STATES
from weighbridge_worker.watch.verdict import Trend, judge


def run_status(*, redis_url: str | None, as_json: bool) -> int:
    """Run the command; returns the exit status."""
    settings = load(QueueSettings, os.environ, redis_url=redis_url)
    state = anyio.run(inspect_pool, settings)
    if as_json:
        shown = asdict(state) | {"depth": state.depth}
        shown |= shown.pop("limit")
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
    else:
        _print(settings.namespace, state)
    return 0


def _print(namespace: str, state: PoolState) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in _rows(namespace, state):
        table.add_row(name, value)
    console.print(table)
    if not state.workers:
        console.print("\nNo living worker. Start one: weighbridge worker")


def _rows(namespace: str, state: PoolState) -> list[tuple[str, str]]:
    limit = state.limit
    of_limit = f" of {limit.rpm:,}" if limit.rpm else ""
    eta = f", about {state.depth / limit.rpm * 60:,.0f} s of work" if limit.rpm else ""
    cached = "many" if state.cached is None else f"{state.cached:,}"
    verdict = judge(state, Trend())
    return [
        ("verdict", " ".join([verdict.text, *(finding.text for finding in verdict.further)])),
        ("namespace", f"{namespace}  ({state.scope.get('base_url', 'no worker yet')})"),
        ("queued", f"{state.interactive:,} interactive, {state.batch:,} batch{eta}"),
        ("in flight", f"{state.leased:,}"),
        ("later", f"{state.later:,} waiting for a retry"),
        ("payloads", f"{state.queue_bytes:,} bytes"),
        ("inbox", f"{state.inbox:,}"),
        ("dead", _dead(state)),
        ("rate", f"{limit.used_rpm:,.0f}{of_limit} a minute"),
        ("limit", describe_limit(limit)),
        ("cache", f"{cached} results"),
        *(("worker", _worker(worker)) for worker in state.workers),
    ]


def _dead(state: PoolState) -> str:
    if not state.dead:
        return "0"
    codes = ", ".join(f"{number:,} {code}" for code, number in state.dead_codes.items())
    counted = sum(state.dead_codes.values())
    newest = f"the newest {counted:,}: " if counted < state.dead else ""
    return f"{state.dead:,} ({newest}{codes}); see `weighbridge dead list`"


def _worker(worker: WorkerState) -> str:
    state = STATES.get(worker.state, worker.state)
    return f"{worker.worker}  {worker.version}, {state}, seen {worker.seen_s:.1f} s ago"
