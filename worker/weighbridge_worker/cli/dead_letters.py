"""What ``weighbridge dead`` does: finds letters, replays them one by one, drops them."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

import anyio
import msgspec
import typer

from weighbridge.connection import connect, queue_errors
from weighbridge.dead import DeadLetters, LetterState
from weighbridge.keys import Keys
from weighbridge.letters import DeadLetter, Selection
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings, load
from weighbridge_worker.cli.dead_words import print_letter, print_letters
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.replays import ReplayTally, replay_each

NONE_MATCHES = "No dead letter matches."


def run_list(selection: Selection, *, limit: int, redis_url: str | None, as_json: bool) -> int:
    """List letters; returns the exit status."""
    found = anyio.run(_find, _settings(redis_url), selection, limit + 1)
    shown = found[:limit]
    if as_json:
        for letter in shown:
            typer.echo(msgspec.json.encode(asdict(letter)))
    elif shown:
        print_letters(shown)
    else:
        typer.echo(NONE_MATCHES)
    if len(found) > limit:
        typer.echo(f"There are more than these {limit:,}; --limit shows them.", err=True)
    return ExitStatus.OK


def run_show(name: str, *, redis_url: str | None, as_json: bool) -> int:
    """Show a letter; returns the exit status.

    Raises:
        UnknownDeadLetter: the name is none of one.
    """
    state = anyio.run(_look, _settings(redis_url), name)
    if as_json:
        shown = asdict(state)
        typer.echo(msgspec.json.encode(shown.pop("letter") | shown))
    else:
        print_letter(state)
    return ExitStatus.OK


def run_replay(names: Sequence[str], selection: Selection, *, redis_url: str | None) -> int:
    """Replay letters; returns the exit status.

    Raises:
        UnknownDeadLetter: a name is none of one; nothing is replayed then.
    """
    tally = ReplayTally()
    anyio.run(_replay, _settings(redis_url), names, selection, tally)
    typer.echo(tally.describe() if tally.found else NONE_MATCHES)
    if tally.stopped:
        typer.echo(f"weighbridge: {tally.stopped}", err=True)
        return ExitStatus.ERROR
    return ExitStatus.SOME_FAILED if tally.outcomes["payload_gone"] else ExitStatus.OK


def run_drop(names: Sequence[str], selection: Selection, *, redis_url: str | None) -> int:
    """Drop letters; returns the exit status.

    Raises:
        UnknownDeadLetter: a name is none of one; nothing is dropped then.
    """
    dropped = anyio.run(_drop, _settings(redis_url), names, selection)
    typer.echo(f"Dropped {dropped:,} dead letter{'' if dropped == 1 else 's'}.")
    return ExitStatus.OK


def _settings(redis_url: str | None) -> QueueSettings:
    return load(QueueSettings, os.environ, redis_url=redis_url)


@asynccontextmanager
async def _opened(settings: QueueSettings) -> AsyncIterator[DeadLetters]:
    keys = Keys(settings.namespace)
    with queue_errors():
        async with connect(settings.redis_url) as redis:
            yield DeadLetters(
                redis,
                keys,
                Scripts(keys),
                max_queue=settings.max_queue,
                max_bytes=settings.max_queue_bytes,
                deadline_us=int(settings.deadline_s * 1_000_000),
            )


async def _find(settings: QueueSettings, selection: Selection, limit: int) -> list[DeadLetter]:
    async with _opened(settings) as letters:
        return await letters.find(selection, limit=limit)


async def _look(settings: QueueSettings, name: str) -> LetterState:
    async with _opened(settings) as letters:
        newest, *_ = await letters.named(name)
        return await letters.look(newest)


async def _replay(
    settings: QueueSettings, names: Sequence[str], selection: Selection, tally: ReplayTally
) -> None:
    async with _opened(settings) as letters:
        chosen = await _choose(letters, names, selection)
        tally.found = len(chosen)
        await replay_each(letters, chosen, tally)


async def _drop(settings: QueueSettings, names: Sequence[str], selection: Selection) -> int:
    async with _opened(settings) as letters:
        return await letters.drop(await _choose(letters, names, selection))


async def _choose(
    letters: DeadLetters, names: Sequence[str], selection: Selection
) -> list[DeadLetter]:
    """Find what is meant, newest first; a letter that is named twice is meant once."""
    if not names:
        return await letters.find(selection)
    named = {letter.id: letter for name in names for letter in await letters.named(name)}
    return sorted(named.values(), key=lambda letter: letter.age_s)
