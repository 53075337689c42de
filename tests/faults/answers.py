"""Rows 16 to 18: answers that are no counts, payloads and keys that the endpoint refuses."""

from dataclasses import replace

import anyio
from faults.endpoint import settings
from faults.forked import work
from faults.loads import ProducersLedger, make_load, make_loads
from faults.report import FaultReport
from faults.stage import KEYS, Run, Stage, open_stage
from support.gateways import gateway
from support.pools import until

from weighbridge_worker.sandbox import Fault

NO_COUNTS = (
    Fault.TRUNCATED,
    Fault.CUT_BODY,
    Fault.HTML,
    Fault.NO_COUNT,
    Fault.LIST_ANSWER,
    Fault.NEGATIVE_COUNT,
    Fault.EXPONENT_COUNT,
    Fault.STRING_COUNT,
    Fault.NULL_COUNT,
    Fault.BOOLEAN_COUNT,
)
ATTEMPTS = 3


async def no_counts(run: Run) -> FaultReport:
    """Row 16: a 200 that holds no count is tried again, then fails, and is never cached."""
    async with open_stage(run, lease={}, WEIGHBRIDGE_MAX_ATTEMPTS=str(ATTEMPTS)) as stage:
        reports = []
        kinds = NO_COUNTS[:: 4 if run.quick else 1]
        for number, fault in enumerate(kinds):
            loads = make_loads(run.size, seed=run.seed + number)
            await _never_right(stage, fault, loads[0].digest, stage.producers(loads))
            # As many good answers as there were bad ones: where most calls fail, the fleet holds,
            # and no job fails.
            others = make_loads(run.size * ATTEMPTS, seed=-run.seed - number - 1)
            again = stage.producers([*loads, *others])
            await stage.count_all(again)
            reports.append(await stage.judge(16, "200 without a count", again, kills=1))
        calls = len(stage.stand_in.ledger)
        report = FaultReport.of_all(reports)
        expected = len(kinds) * run.size * (ATTEMPTS + 1 + ATTEMPTS)
        broken = list(report.broken)
        if calls != expected:
            broken.append(f"{calls} calls instead of {expected}")
        return report.with_broken(broken, f"{ATTEMPTS} attempts each, then counted anew")


async def _never_right(stage: Stage, fault: Fault, digest: str, ledger: ProducersLedger) -> None:
    """Fail every attempt, and see that the failure says so."""
    code = "connection" if fault is Fault.CUT_BODY else "bad_response"
    ledger.owed.update(dict.fromkeys(range(len(ledger.loads)), code))
    stage.stand_in.faults.set_probabilities({fault: 1.0})
    stage.note_fault()
    await stage.count_all(ledger)
    stage.stand_in.faults.clear()
    answers = {getattr(answer, "code", "counted") for answer in ledger.answers.values()}
    assert ledger.lost == 0, f"{fault} ended as {answers}"
    stored = await stage.redis.get(KEYS.result(digest)) or b""
    assert b'"counted"' not in stored


async def refused_payloads(run: Run) -> FaultReport:
    """Row 17: 400, 413, 422: failed at once, one call each, and the producer learns the code."""
    reports = []
    async with open_stage(run, stand_in=settings(max_body_bytes=2000)) as stage:
        wrong = [
            make_load("", messages=[{"role": "robot", "content": f"lorry {n}"}])
            for n in range(run.size)
        ]
        large = [make_load("weigh " * 1000 + str(n)) for n in range(run.size)]
        for loads, code in ((wrong, "invalid_request"), (large, "payload_too_large")):
            reports.append(await _refused(stage, loads, code))
        calls = len(stage.stand_in.ledger)
        broken = [] if calls == 2 * run.size else [f"{calls} calls for {2 * run.size} payloads"]
        reports.append(reports.pop().with_broken([*reports[-1].broken, *broken]))
    text = '{"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}'
    async with gateway(422, text) as url, open_stage(run, ANTHROPIC_BASE_URL=url) as stage:
        reports.append(await _refused(stage, make_loads(run.size), "invalid_request"))
    return FaultReport.of_all(reports)


async def _refused(stage: Stage, loads: list, code: str) -> FaultReport:  # type: ignore[type-arg]
    ledger = stage.producers(loads)
    ledger.owed.update(dict.fromkeys(range(len(loads)), code))
    await stage.count_all(ledger)
    report = await stage.judge(17, "400, 413, 422", ledger)
    told = {getattr(answer, "code", "counted") for answer in ledger.answers.values()}
    return report if told == {code} else report.with_broken([f"told {told} instead of {code}"])


async def refused_key(run: Run) -> FaultReport:
    """Row 18: 401, 403: the worker stays away, nothing is failed, and the work goes on with a new
    key, or once the old one is accepted.
    """
    async with open_stage(run, workers=0, stand_in=settings(api_key="right")) as stage:
        wrong = await _barred(stage, 401, "a new key", ANTHROPIC_API_KEY="wrong")
    folder = run.folder / "forbidden"
    folder.mkdir()
    async with open_stage(replace(run, folder=folder), workers=0) as stage:
        stage.stand_in.faults.set_probabilities({Fault.FORBIDDEN: 1.0})
        forbidden = await _barred(stage, 403, "permission")
    report = FaultReport.of_all([wrong, forbidden])
    return report.with_broken(report.broken, wrong.figures)


async def _barred(stage: Stage, status: int, remedy: str, **environ: str) -> FaultReport:
    """Start a worker that is refused, see it stay away, and then help."""
    [worker] = await stage.fleet.start(1, work, **environ)
    ledger = stage.producers(make_loads(stage.run.size, seed=stage.run.seed))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.count_all, ledger)
        stage.note_fault()
        await until(lambda: _state(stage, worker.name, b"key_refused"))
        assert not ledger.answers
        stage.stand_in.faults.clear()
        if environ:
            await stage.fleet.start(1, ANTHROPIC_API_KEY="right")
    refused = sum(attempt.status == status for attempt in stage.stand_in.ledger.attempts)
    broken = [] if refused <= 40 else [f"{refused} calls answered {status}"]
    if worker.exit_status is not None:
        broken.append("the worker ended")
    figures = f"{refused} calls answered {status}, then {remedy}"
    return await stage.judge(18, "key refused", ledger, broken=broken, figures=figures)


async def _state(stage: Stage, worker: str, state: bytes) -> bool:
    return bool(await stage.redis.hget(KEYS.worker(worker), "state") == state)
