"""How records are spelled among a script's arguments, and in its reply."""

from collections.abc import Sequence
from typing import Any

from weighbridge.exchange import Submission
from weighbridge.records import Lane, Lease
from weighbridge.script import Arg

_LANES = {lane.encode(): lane for lane in Lane}


def submission_args(submission: Submission) -> list[Arg]:
    """Spell a submission, eleven arguments."""
    job = submission.job
    return [
        job.digest,
        job.lane,
        job.producer,
        job.payload.model,
        ",".join(job.payload.betas),
        job.deadline_us,
        int(submission.force),
        submission.reply,
        submission.entry,
        job.trace,
        job.payload.body if submission.along else "",
    ]


def read_lease(row: Sequence[Any]) -> Lease:
    """Read a lease; its payload, the last word, is left where it is."""
    digest, token, verdict, slot, ends, deliveries, attempts, lane, *words = row
    model, betas, producer, age, trace, _ = words
    return Lease(
        digest=digest.decode(),
        token=int(token),
        verdict=verdict.decode(),
        slot_us=int(slot),
        ends_us=int(ends),
        deliveries=deliveries,
        attempts=attempts,
        lane=_LANES[lane],
        model=model.decode(),
        betas=tuple(beta for beta in betas.decode().split(",") if beta) if betas else (),
        producer=producer.decode(),
        age_us=int(age),
        trace=trace.decode(),
    )


def text_of(value: Any) -> Any:
    """Read a word of a reply."""
    return value.decode() if isinstance(value, bytes) else value
