"""``weighbridge dead``: the jobs that failed for good; try them again, or let them go."""

from typing import Annotated

import typer

from weighbridge.letters import Selection
from weighbridge_worker.cli.duration import parse_duration
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.options import AsJson, Redis

dead = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID|DIGEST", help="Entry ids, or digests or their first 8 digits."),
]
Code = Annotated[str | None, typer.Option(metavar="CODE", help="Those that failed with this code.")]
OlderThan = Annotated[
    float | None,
    typer.Option(metavar="SPAN", parser=parse_duration, help="Those from before 30s, 15m, 2h, 3d."),
]
YoungerThan = Annotated[
    float | None,
    typer.Option(metavar="SPAN", parser=parse_duration, help="Those of the last 30s, 15m, 2h, 3d."),
]
Digest = Annotated[
    str, typer.Option(metavar="DIGITS", help="Those whose digest begins so.", show_default=False)
]
All = Annotated[bool, typer.Option("--all", help="All of them, or all that the filters leave.")]


@dead.command("list")
def list_letters(
    code: Code = None,
    older_than: OlderThan = None,
    younger_than: YoungerThan = None,
    digest: Digest = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 100,
    redis: Redis = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters; with --json an object a line."""
    from weighbridge_worker.cli.dead_letters import run_list

    selection = Selection(code, older_than, younger_than, digest)
    raise typer.Exit(run_list(selection, limit=limit, redis_url=redis, as_json=as_json))


@dead.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID|DIGEST")],
    redis: Redis = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter, and what is left of its job; of a digest the newest."""
    from weighbridge_worker.cli.dead_letters import run_show

    raise typer.Exit(run_show(name, redis_url=redis, as_json=as_json))


@dead.command()
def replay(
    names: Names = None,
    code: Code = None,
    older_than: OlderThan = None,
    younger_than: YoungerThan = None,
    digest: Digest = "",
    everything: All = False,
    redis: Redis = None,
) -> None:
    """Put jobs back into their own lane, the oldest first; stops where the queue is full.

    Exit status:
    0 all replayed, 3 some had no payload any more, 2 wrong usage, 4 anything else.
    """
    selection = Selection(code, older_than, younger_than, digest)
    _check_chosen(names, selection, everything=everything)
    from weighbridge_worker.cli.dead_letters import run_replay

    raise typer.Exit(run_replay(tuple(names or ()), selection, redis_url=redis))


@dead.command()
def drop(
    names: Names = None,
    code: Code = None,
    older_than: OlderThan = None,
    younger_than: YoungerThan = None,
    digest: Digest = "",
    everything: All = False,
    redis: Redis = None,
) -> None:
    """Forget dead letters and the payloads kept for them; results stay for their time."""
    selection = Selection(code, older_than, younger_than, digest)
    _check_chosen(names, selection, everything=everything)
    from weighbridge_worker.cli.dead_letters import run_drop

    raise typer.Exit(run_drop(tuple(names or ()), selection, redis_url=redis))


def _check_chosen(names: list[str] | None, selection: Selection, *, everything: bool) -> None:
    """Refuse to guess which letters are meant."""
    filtered = selection != Selection() or everything
    if names and filtered:
        problem = "name letters or filter them, not both"
    elif not names and not filtered:
        problem = (
            "say which dead letters: name them by id or digest, filter them with --code,"
            " --older-than, --younger-than or --digest, or give --all"
        )
    else:
        return
    typer.echo(f"weighbridge: {problem}", err=True)
    raise typer.Exit(ExitStatus.USAGE)
