"""The commands and their options; what each does stands in a file of its own."""

from pathlib import Path
from typing import Annotated

import typer

from weighbridge.errors import PayloadError, SettingsError, UnknownPrice, WeighbridgeError
from weighbridge.records import Lane
from weighbridge_worker.cli.audit import audit
from weighbridge_worker.cli.compare import compare
from weighbridge_worker.cli.dead import dead
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.cli.guard import guard
from weighbridge_worker.cli.limit import limit
from weighbridge_worker.cli.options import AsJson, PricesFile, Redis, Rpm, WithWorkers
from weighbridge_worker.cli.prune import prune
from weighbridge_worker.cli.review import review
from weighbridge_worker.cli.route import route
from weighbridge_worker.cli.scope import scope
from weighbridge_worker.settings import MAX_PROCESSES

app = typer.Typer(
    help="Count the input tokens of Claude payloads, before anyone pays for them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def run() -> int:
    """Run the command line; returns the exit status."""
    try:
        app()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else ExitStatus.ERROR
    except WeighbridgeError as error:
        return _report(error)
    except BaseExceptionGroup as group:
        return _report_group(group)
    except Exception:
        return _report_unexpected()
    return ExitStatus.OK


def _report(error: WeighbridgeError) -> int:
    typer.echo(f"weighbridge: {error}", err=True)
    usage = isinstance(error, SettingsError | UnknownPrice | PayloadError)
    return ExitStatus.USAGE if usage else ExitStatus.ERROR


def _report_unexpected() -> int:
    """Show where a bug is, as Python itself would, but with a status of its own."""
    import traceback

    traceback.print_exc()
    return ExitStatus.ERROR


def _report_group(group: BaseExceptionGroup[BaseException]) -> int:
    """Find the error that ended a task group; the others in it are its consequences."""
    ours = group.subgroup(WeighbridgeError)
    if ours is None and isinstance(group, Exception):
        return _report_unexpected()
    if ours is None:
        raise group
    error: BaseException = ours
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, WeighbridgeError)  # noqa: S101 - the subgroup holds no others
    return _report(error)


@app.command()
def count(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE…|-]",
            help='JSONL: a payload a line, or {"id": …, "payload": {…}}; - is standard input.',
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="OUT", help="Where the results go [default: stdout]."
        ),
    ] = None,
    redis: Redis = None,
    rpm: Rpm = None,
    lane: Annotated[Lane, typer.Option(help="The lane to queue in.")] = Lane.BATCH,
    model: Annotated[
        str | None, typer.Option(help="Count for this model, whatever the payloads name.")
    ] = None,
    with_workers: WithWorkers = False,
    summary: Annotated[
        bool | None,
        typer.Option("--summary/--no-summary", help="Tables at the end [default: in a terminal]."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary as a page, too.")
    ] = None,
    prices: PricesFile = None,
) -> None:
    """Count a file of payloads.

    Without a server it starts an embedded one, without an API key it estimates offline.
    Exit status:
    0 all counted, 3 some failed, 2 wrong usage, 4 anything else.
    """
    from weighbridge_worker.cli.count import CountOptions, run_count

    raise typer.Exit(
        run_count(
            CountOptions(
                files=tuple(files or ("-",)),
                output=output,
                redis_url=redis,
                rpm=rpm,
                lane=lane,
                model=model,
                with_workers=with_workers,
                summary=summary,
                html=html,
                prices=prices,
            )
        )
    )


@app.command()
def worker(
    redis: Redis = None,
    rpm: Rpm = None,
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Calls at once [env: WEIGHBRIDGE_CONCURRENCY]."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_PROCESSES,
            help="Workers, a process each, under one parent [env: WEIGHBRIDGE_PROCESSES].",
        ),
    ] = None,
) -> None:
    """Run a worker until SIGTERM, which lets it finish; a second one makes it stop at once."""
    from weighbridge_worker.cli.worker import run_worker

    raise typer.Exit(
        run_worker(redis_url=redis, rpm=rpm, concurrency=concurrency, processes=processes)
    )


@app.command(hidden=True)
def worker_process() -> None:
    """Run one of several workers, as their parent starts it."""
    from weighbridge_worker.cli.worker import run_worker_process

    raise typer.Exit(run_worker_process())


@app.command()
def gateway(
    redis: Redis = None,
    host: Annotated[
        str | None, typer.Option(help="The address [env: WEIGHBRIDGE_GATEWAY_HOST].")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The port [env: WEIGHBRIDGE_GATEWAY_PORT]."),
    ] = None,
) -> None:
    """Serve the count_tokens endpoint before the pool, until SIGTERM; then finish what is open.

    Callers change their base URL and nothing else; WEIGHBRIDGE_TOKENS_FILE says who may call.
    """
    from weighbridge_worker.cli.gateway import run_gateway

    raise typer.Exit(run_gateway(redis_url=redis, host=host, port=port))


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8399,
    rpm: Annotated[int, typer.Option(min=1, help="Its limit, calls a minute.")] = 3000,
    depth: Annotated[int, typer.Option(min=1, help="Calls it takes at once.")] = 50,
    latency: Annotated[float, typer.Option(min=0, help="Seconds before each answer.")] = 0.0,
) -> None:
    """Serve a stand-in for the count_tokens endpoint, which answers with estimates."""
    from weighbridge_worker.cli.sandbox import run_sandbox

    raise typer.Exit(run_sandbox(host=host, port=port, rpm=rpm, depth=depth, latency_s=latency))


@app.command()
def status(
    redis: Redis = None,
    as_json: AsJson = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on looking; without a terminal, a line a change."),
    ] = False,
) -> None:
    """Show the pool: whether it is well, depth, workers, rate used of the limit, cache."""
    from weighbridge_worker.cli.status import run_status
    from weighbridge_worker.cli.status_watch import run_watch

    if watch and as_json:
        typer.echo("weighbridge: --json looks once; leave one of --json and --watch out", err=True)
        raise typer.Exit(ExitStatus.USAGE)
    if watch:
        raise typer.Exit(run_watch(redis_url=redis))
    raise typer.Exit(run_status(redis_url=redis, as_json=as_json))


@app.command()
def doctor(redis: Redis = None, as_json: AsJson = False) -> None:
    """Check the queue's server, and say what is wrong and what to change; it changes nothing.

    Exit status:
    0 nothing is bad, 1 something is, 2 wrong usage.
    """
    from weighbridge_worker.cli.doctor import run_doctor

    raise typer.Exit(run_doctor(redis_url=redis, as_json=as_json))


@app.command()
def health(
    live: Annotated[
        bool, typer.Option("--live", help="Ask only whether it lives, not whether it is ready.")
    ] = False,
) -> None:
    """Say whether the worker of this container is ready, or lives, in one line.

    It asks the worker on WEIGHBRIDGE_HEALTH_PORT, for health checks that run a command.
    Exit status:
    0 it is, 1 it is not or does not answer, 2 wrong usage.
    """
    from weighbridge_worker.cli.health import run_health

    raise typer.Exit(run_health(live=live))


@app.command()
def probe(
    model: Annotated[str | None, typer.Option(help="The model to name in the call.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make one real call and report the endpoint's latency, headers and limit.

    It needs the credentials that a worker needs, takes no permit and costs nothing.
    Exit status:
    0 the endpoint counted, 2 wrong usage, 4 anything else.
    """
    from weighbridge_worker.cli.probe import run_probe

    raise typer.Exit(run_probe(model=model, as_json=as_json))


# In the order in which the help lists them.
app.command()(guard)
app.command()(route)
app.command()(prune)
app.command()(compare)
app.command()(audit)
app.add_typer(limit, name="limit", help="See and change the limit of a running fleet.")
app.add_typer(scope, name="scope", help="See and reset what all counts depend on.")
app.add_typer(review, name="review", help="See, approve and drop what the guard refused.")
app.add_typer(dead, name="dead", help="See, replay or drop the jobs that failed for good.")
