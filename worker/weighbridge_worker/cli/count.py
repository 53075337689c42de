"""``weighbridge count``: a file of payloads in, a line of result each out, in input order."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import typer

from weighbridge.client import Client
from weighbridge.count_stream import Item
from weighbridge.records import Lane
from weighbridge_worker.cli import interrupt
from weighbridge_worker.cli.assembly import (
    Setup,
    explain,
    given_rpm,
    open_client,
    read_setup,
    say,
)
from weighbridge_worker.cli.count_page import count_page
from weighbridge_worker.cli.documents import write_text
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.lines import Line, read_lines, row, with_model
from weighbridge_worker.cli.money import Till
from weighbridge_worker.cli.report import Tally, print_summary, show_progress


@dataclass(frozen=True, slots=True)
class CountOptions:
    """The command's options."""

    files: tuple[str, ...]
    output: Path | None
    redis_url: str | None
    rpm: str | None
    lane: Lane
    model: str | None
    with_workers: bool
    summary: bool | None
    html: Path | None
    prices: Path | None


def run_count(options: CountOptions) -> int:
    """Run the command; returns the exit status."""
    setup = read_setup(
        os.environ,
        redis_url=options.redis_url,
        rpm=given_rpm(options.rpm),
        with_workers=options.with_workers,
    )
    check_files(options.files, options.output)
    explain(setup)
    summary = options.summary if options.summary is not None else sys.stderr.isatty()
    tally = Tally(till=Till.open(options.prices) if summary or options.html else None)
    try:
        with _opened(options.output) as out:
            run = _Run(options, out, tally)
            try:
                interrupt.run(run.count, setup)
            finally:
                run.write_early()
    except KeyboardInterrupt:
        say(f"Stopped after {tally.done:,} results; run it again to go on from there.")
        return ExitStatus.INTERRUPTED
    if summary:
        print_summary(tally, sys.stderr)
    if options.html is not None:
        write_text(options.html, count_page(tally, options.files))
    return ExitStatus.SOME_FAILED if tally.failures else ExitStatus.OK


def check_files(files: tuple[str, ...], output: Path | None) -> None:
    """Check the files before anything is started.

    Raises:
        typer.BadParameter: one is not there, or would be overwritten by its own results.
    """
    for name in files:
        path = Path(name)
        if name == "-":
            continue
        if not path.exists() or path.is_dir():
            raise typer.BadParameter(f"there is no file {name}")
        if output is not None and output.exists() and path.samefile(output):
            raise typer.BadParameter(f"{name} is the input; write the results to another file")


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        stream = output.open("wb")
    except OSError as error:
        raise typer.BadParameter(f"cannot write {output}: {error.strerror}") from None
    with stream:
        yield stream


class _Run:
    """Writes rows in input order, each as soon as those before it are there."""

    def __init__(self, options: CountOptions, out: BinaryIO, tally: Tally) -> None:
        self._options = options
        self._out = out
        self._tally = tally
        self._name_file = len(options.files) > 1
        self._read: dict[int, Line] = {}
        self._early: dict[int, bytes] = {}
        self._position = 0

    async def count(self, setup: Setup) -> None:
        """Count all lines."""
        async with open_client(setup) as client:
            with show_progress(self._tally, self._options.files, self._options.output) as advance:
                await self._count(client, advance)

    async def _count(self, client: Client, advance: Callable[[], None]) -> None:
        items = client.count_many(self._payloads(), lane=self._options.lane, withdraw=True)
        async with aclosing(items):
            async for item in items:
                self._take(item)
                advance()

    def _payloads(self) -> Iterator[bytes]:
        for index, line in enumerate(read_lines(self._options.files)):
            self._read[index] = line
            yield (
                with_model(line.payload, self._options.model)
                if self._options.model
                else (line.payload)
            )

    def _take(self, item: Item) -> None:
        line = self._read.pop(item.index)
        self._tally.add(line, item)
        text = row(line, item, name_file=self._name_file)
        self._early[item.index] = msgspec.json.encode(text) + b"\n"
        while self._position in self._early:
            self._out.write(self._early.pop(self._position))
            self._position += 1
        self._out.flush()

    def write_early(self) -> None:
        """Write what came before its turn, when the run ends before its end."""
        for index in sorted(self._early):
            self._out.write(self._early[index])
        self._early.clear()
        self._out.flush()
