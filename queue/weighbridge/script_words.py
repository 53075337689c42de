"""How records are spelled among a script's arguments, and in its reply."""

from collections.abc import Sequence
from typing import Any

from weighbridge.exchange import Submission
from weighbridge.records import Lane, Lease
from weighbridge.script import Arg


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
    digest, token, verdict, slot, ends, *rest = row
    deliveries, attempts, lane, model, betas, producer, age, trace, _ = rest
    return Lease(
        digest=text_of(digest),
        token=int(token),
        verdict=text_of(verdict),
        slot_us=int(slot),
        ends_us=int(ends),
        deliveries=int(deliveries),
        attempts=int(attempts),
        lane=Lane(text_of(lane)),
        model=text_of(model),
        betas=tuple(beta for beta in text_of(betas).split(",") if beta),
        producer=text_of(producer),
        age_us=int(age),
        trace=text_of(trace),
    )


def text_of(value: Any) -> Any:
    """Read a word of a reply."""
    return value.decode() if isinstance(value, bytes) else value
