"""A snapshot of the pool as a terminal shows it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from weighbridge_worker.watch.history import Columns
from weighbridge_worker.watch.snapshot import LaneDepth, Latency, Pool, Snapshot
from weighbridge_worker.watch.verdict import Level, describe_span

MARKS = {
    Level.WELL: ("●", "green"),
    Level.ATTENTION: ("▲", "yellow"),
    Level.HELD: ("■", "blue"),
    Level.TROUBLE: ("✖", "red"),
}
"""A sign and a colour each: nobody has to tell colours apart."""

STEPS = "▁▂▃▄▅▆▇█"
DRAWN = 60
BAR = 30


def screen(seen: Snapshot, columns: Columns) -> RenderableType:
    """Lay a snapshot out."""
    parts: list[RenderableType] = [_head(seen), _verdict(seen)]
    if seen.pool is not None:
        parts += [_facts(seen.pool, columns), _latency(seen.pool), _workers(seen.pool)]
        parts += [_dead(seen.pool)]
    parts.append(Text("Ctrl-C ends this.", style="dim"))
    return Padding(Group(*parts), (1, 2))


def _head(seen: Snapshot) -> Text:
    endpoint = seen.pool.endpoint if seen.pool else ""
    return Text.assemble(
        ("weighbridge", "bold"), f"  {seen.namespace}", (f"  {endpoint}", "dim"), end="\n\n"
    )


def _verdict(seen: Snapshot) -> Text:
    said = Text()
    verdict = seen.verdict
    for level, text, weight in (
        (verdict.level, verdict.text, "bold "),
        *((finding.level, finding.text, "") for finding in verdict.further),
    ):
        mark, colour = MARKS[level]
        said.append(f"{mark} {text}\n", style=f"{weight}{colour}")
    return said


def _facts(pool: Pool, columns: Columns) -> RenderableType:
    rate, queue, work = pool.rate, pool.queue, pool.work
    table = _grid("bold")
    table.add_row("rate", _rate(pool))
    table.add_row("", _sparkline(columns.used[-DRAWN:], rate.limit))
    table.add_row("limit", rate.words)
    for lane in queue.lanes:
        table.add_row(lane.lane, _lane(lane))
    table.add_row("in flight", f"{queue.in_flight:,}; {queue.later:,} waiting for a retry")
    if queue.inbox:
        table.add_row("inbox", f"{queue.inbox:,} not taken in yet")
    hits, joined, misses = (work.cache.get(use, 0) for use in ("hit", "joined", "miss"))
    table.add_row("answers", f"{hits:,} hits, {joined:,} joined, {misses:,} misses in a minute")
    taken = pool.refusals
    table.add_row(
        "refusals",
        f"{taken.throttled:,} calls refused with 429, {taken.penalties:,} pauses,"
        f" {taken.slots_missed:,} slots missed in ten minutes",
    )
    return Padding(table, (0, 0, 1, 0))


def _rate(pool: Pool) -> Text:
    rate = pool.rate
    if not rate.limit:
        return Text("no limit is set yet")
    used = rate.used or 0.0
    share = min(1.0, used / rate.limit)
    full = round(share * BAR)
    return Text.assemble(
        ("━" * full, "cyan"),
        ("━" * (BAR - full), "bright_black"),
        f"  {used:,.0f} of {rate.limit:,} a minute, {share:.0%}",
    )


def _sparkline(used: Sequence[float | None], limit: int) -> Text:
    top = max([limit, 1, *(value for value in used if value)])
    drawn = [" " if value is None else STEPS[min(7, int(value / top * 8))] for value in used]
    return Text("".join(drawn), style="cyan")


def _lane(lane: LaneDepth) -> str:
    if not lane.ready:
        return "0"
    left = "no end in sight" if lane.eta_s is None else f"about {describe_span(lane.eta_s)}"
    return f"{lane.ready:,} waiting, {left}"


def _latency(pool: Pool) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in ("seconds", "p50", "p99", "in a minute"):
        table.add_column(name, justify="left" if name == "seconds" else "right")
    for name, latency in (
        ("wait", pool.work.wait),
        ("call", pool.work.call),
        ("total", pool.work.total),
    ):
        table.add_row(name, *_quantiles(latency))
    return Padding(table, (0, 0, 1, 0))


def _quantiles(latency: Latency) -> tuple[str, str, str]:
    p50, p99 = (
        "–" if value is None else f"{value:.3g}" for value in (latency.p50_s, latency.p99_s)
    )
    return p50, p99, f"{latency.count:,}"


def _workers(pool: Pool) -> RenderableType:
    if not pool.workers:
        return Text("No worker yet: start one with `weighbridge worker`.\n")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for name in ("worker", "version", "state", "seen"):
        table.add_column(name)
    for worker in pool.workers:
        table.add_row(
            Text(worker.worker),
            worker.version,
            Text(worker.words, style="" if worker.state == "taking" else "yellow"),
            f"{worker.seen_s:.1f} s ago",
        )
    return Padding(table, (0, 0, 1, 0))


def _dead(pool: Pool) -> RenderableType:
    if not pool.dead.total:
        return Text("No dead letters.\n")
    table = _grid("")
    for code, number in pool.dead.codes.items():
        new = pool.dead.recent.get(code, 0)
        table.add_row(f"{number:,}", Text(code), f"{new:,} of them new" if new else "")
    head = Text(f"{pool.dead.total:,} dead letters; see `weighbridge dead list`", style="bold")
    return Padding(Group(head, table), (0, 0, 1, 0))


def _grid(style: str) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(style=style)
    table.add_column()
    table.add_column(style="dim")
    return table
