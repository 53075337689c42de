"""``weighbridge probe``: one real call, and all that it shows of the endpoint and its limit."""

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import anyio
import msgspec
import typer

from weighbridge.errors import WeighbridgeError
from weighbridge.settings import load
from weighbridge_worker.calls import CallError, Throttled, Trial
from weighbridge_worker.cli.assembly import require_credentials
from weighbridge_worker.cli.exit_status import ExitStatus
from weighbridge_worker.rate import PROBE_MODEL, Endpoint, probe_body
from weighbridge_worker.settings import MAX_RPM, SAFE_RPM, WorkerSettings

LONGEST_QUOTE = 300
"""Characters of the endpoint's own words that are passed on."""

HINTS = {
    "key_refused": "; is ANTHROPIC_API_KEY right?",
    "not_found": "; --model names another model",
}


class ProbeFailed(WeighbridgeError):
    """The endpoint gave neither a count nor a 429."""

    code = "probe_failed"


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was found.

    Args:
        latency_ms: of the call, on a connection that was open already.
        input_tokens: None if the answer was a 429.
        rate_limit_headers: every one, as it came.
        admin_limit: the organisation's, by the Admin API; None if it did not say.
        admin_answer: ``ok``, ``no_key``, or the code of why it did not say.
        recommended_rpm: never above what anybody said.
        recommended_by: ``admin_api``, ``headers``, or ``assumed`` if nobody said.
    """

    base_url: str
    model: str
    status: int
    latency_ms: float
    input_tokens: int | None
    source: str | None
    rate_limit_headers: dict[str, str]
    retry_after: str | None
    admin_limit: int | None
    admin_answer: str
    recommended_rpm: int
    recommended_by: str


def run_probe(*, model: str | None, as_json: bool) -> int:
    """Run the command; returns the exit status: 0 only if the endpoint counted.

    Raises:
        ProbeFailed: it gave neither a count nor a 429.
    """
    worker = load(WorkerSettings, os.environ)
    require_credentials(worker)
    report = anyio.run(_probe, worker, model or PROBE_MODEL)
    if as_json:
        sys.stdout.write(msgspec.json.encode(asdict(report)).decode() + "\n")
    else:
        for name, value in _rows(report):
            typer.echo(f"{name:<14}{value}")
    return ExitStatus.ERROR if report.input_tokens is None else ExitStatus.OK


async def _probe(worker: WorkerSettings, model: str) -> ProbeReport:
    from weighbridge_worker.counter import anthropic_counter

    async with anthropic_counter(worker) as counter:
        await counter.warm(1)
        try:
            trial = await counter.probe(probe_body(model))
        except CallError as error:
            raise _failed(worker, error) from None
        if trial.failure is not None and not isinstance(trial.failure, Throttled):
            raise _failed(worker, trial.failure)
        admin_limit, admin_answer = await _ask_admin(worker, counter)
        return _report(worker, model, trial, admin_limit, admin_answer)


def _failed(worker: WorkerSettings, error: CallError) -> ProbeFailed:
    words = " ".join(str(error).split())[:LONGEST_QUOTE]
    code = error.failure_code
    return ProbeFailed(f"{worker.base_url} gave no count: {words} ({code}){HINTS.get(code, '')}")


async def _ask_admin(worker: WorkerSettings, endpoint: Endpoint) -> tuple[int | None, str]:
    if not worker.admin_key:
        return None, "no_key"
    try:
        return await endpoint.organisation_limit(worker.admin_key), "ok"
    except CallError as error:
        return None, error.failure_code


def _report(
    worker: WorkerSettings, model: str, trial: Trial, admin_limit: int | None, admin_answer: str
) -> ProbeReport:
    said = [(admin_limit or 0, "admin_api"), (trial.limit, "headers")]
    rpm, by = min((known for known in said if known[0]), default=(SAFE_RPM, "assumed"))
    return ProbeReport(
        base_url=worker.base_url,
        model=model,
        status=trial.status,
        latency_ms=round(trial.latency_s * 1000, 1),
        input_tokens=trial.tokens.input_tokens if trial.tokens else None,
        source=trial.tokens.source if trial.tokens else None,
        rate_limit_headers=trial.rate_headers,
        retry_after=trial.retry_after or None,
        admin_limit=admin_limit,
        admin_answer=admin_answer,
        recommended_rpm=min(rpm, MAX_RPM),
        recommended_by=by,
    )


def _rows(report: ProbeReport) -> Iterator[tuple[str, Any]]:
    yield "endpoint", report.base_url
    yield "answer", f"{report.status} in {report.latency_ms:,.1f} ms"
    if report.input_tokens is not None:
        yield "input tokens", f"{report.input_tokens:,} for {report.model}, source {report.source}"
    if report.retry_after:
        yield "retry-after", report.retry_after
    if not report.rate_limit_headers:
        yield "headers", "none about rate limits: the fleet will learn from 429s alone"
    for name, value in report.rate_limit_headers.items():
        yield "header", f"{name}: {value}"
    yield "Admin API", _admin_words(report)
    yield "recommended", _recommendation(report)


def _admin_words(report: ProbeReport) -> str:
    if report.admin_limit is not None:
        return f"{report.admin_limit:,} counting calls a minute for the organisation"
    if report.admin_answer == "no_key":
        return "not asked: ANTHROPIC_ADMIN_KEY is not set"
    return f"does not tell the limit ({report.admin_answer})"


def _recommendation(report: ProbeReport) -> str:
    words = f"--rpm {report.recommended_rpm}"
    if report.recommended_by == "assumed":
        return f"{words}, unless the Limits page of the Claude Console says more: nobody here does"
    return words
