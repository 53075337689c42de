"""``weighbridge status --watch``: the verdict in a terminal, or a line a change without one."""

import io
import signal
from functools import partial
from pathlib import Path

import pytest
from anyio.to_thread import run_sync
from rich.console import Console
from support.commands import environment, run, started
from support.pool_states import pool, worker
from support.processes import first_line

from weighbridge.figures import WorkerFigures
from weighbridge_worker.cli.status_screen import screen
from weighbridge_worker.watch.history import Columns, History, Point
from weighbridge_worker.watch.snapshot import Snapshot, describe_pool
from weighbridge_worker.watch.verdict import Trend, judge, unreachable

BUSY = pool(
    {"share": 0.5, "granted": 900},
    interactive=3,
    batch=6000,
    later=2,
    inbox=1,
    dead=30,
    dead_codes={"timeout": 28, "poison": 2},
    dead_recent={"timeout": 12},
    workers=(worker("host:1", "taking"), worker("host:2", "sitting_out")),
)


def shown(seen: Snapshot, columns: Columns) -> str:
    """Print a snapshot on a wide terminal; white space made even."""
    text = io.StringIO()
    Console(file=text, width=120, highlight=False).print(screen(seen, columns))
    return " ".join(text.getvalue().split())


def test_the_screen_says_what_the_page_says() -> None:
    history = History()
    for at, granted in ((0.0, 0), (10.0, 400)):
        history.add(Point(at, granted, 3000.0, 6000, 3, 6000, {"hit": 1}, WorkerFigures()))
    verdict = judge(BUSY, Trend())
    seen = Snapshot(7, 10.0, "weighbridge", verdict, describe_pool(BUSY, history))
    text = shown(seen, history.columns())
    for words in (
        "▲ Dead letters are growing: 12 in the last five minutes, all timeout.",
        "▲ 1 of 2 workers sitting out, for missed slots.",
        "▲ Slowed to 50% of the limit",
        "2,400 of 6,000 a minute, 40%",
        "interactive 3 waiting, about 1 s",
        "batch 6,000 waiting, about 2 min",
        "inbox 1 not taken in yet",
        "host:2 1 sitting out, for it kept missing its slots",
        "30 dead letters; see `weighbridge dead list`",
        "28 timeout 12 of them new",
    ):
        assert words in text


def test_an_empty_pool_says_how_to_begin() -> None:
    empty = pool({"rpm": 0}, workers=())
    history = History()
    history.add(Point(0.0, 0, 0.0, 0, 0, 0, {}, WorkerFigures()))
    verdict = judge(empty, Trend())
    text = shown(
        Snapshot(1, 0.0, "weighbridge", verdict, describe_pool(empty, history)), history.columns()
    )
    assert "No worker yet: start one with `weighbridge worker`." in text
    assert "no limit is set yet" in text
    assert "No dead letters." in text


def test_a_pool_that_cannot_be_seen_is_only_a_verdict() -> None:
    seen = Snapshot(1, 0.0, "weighbridge", unreachable("gone."), None)
    assert "✖ The pool cannot be seen: gone." in shown(seen, History().columns())


def test_without_a_terminal_it_tells_a_line_and_ends_with_ctrl_c(
    redis_url: str, tmp_path: Path
) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    with started("status", "--watch", env=env) as process:
        line = first_line(process, within_s=60)
        process.send_signal(signal.SIGINT)
        rest, wrong = process.communicate(timeout=60)
    assert line.endswith("Z attention: No worker runs, and nothing waits.")
    assert (process.returncode, rest, wrong) == (0, "", "")


@pytest.mark.asyncio
async def test_json_looks_once(redis_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, WEIGHBRIDGE_REDIS_URL=redis_url)
    done = await run_sync(partial(run, "status", "--watch", "--json", env=env))
    assert done.returncode == 2
    assert "leave one of --json and --watch out" in done.stderr
