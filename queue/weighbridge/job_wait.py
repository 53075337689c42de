"""One job on its way: into the queue, and on to its result, as often as its record vanishes."""

import asyncio

from weighbridge.connection import patience, queue_errors
from weighbridge.errors import CountFailed
from weighbridge.lookup import Lookup
from weighbridge.mailbox import Expectation, Mailbox
from weighbridge.records import Counted, Job, Result, with_cache
from weighbridge.submit_batches import SubmitBatches
from weighbridge.submitter import Admission, Submitter


class JobWait:
    """Submits single jobs of one client and waits for their results."""

    def __init__(self, submitter: Submitter, batches: SubmitBatches, mailbox: Mailbox) -> None:
        self._submitter = submitter
        self._batches = batches
        self._mailbox = mailbox
        self._lookup = Lookup(submitter.look)

    async def run(self) -> None:
        """Answer looks until cancelled."""
        await self._lookup.run()

    async def admit(self, job: Job, *, fresh: bool = False) -> Admission:
        """Submit a job.

        Raises:
            QueueFull: the queue's bound is reached.
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            return await self._batches.submit(job, fresh=fresh)

    async def look(self, digest: str) -> Result | None:
        """Give a result that is there and would answer; None where its job has to be submitted.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        result = await self._lookup.look(digest)
        return None if result is None else with_cache(result, "hit")

    async def count(self, job: Job, *, fresh: bool, timeout_s: float) -> Counted:
        """Submit a job and wait for its count; it says how the job was admitted.

        Raises:
            CountFailed: the job ended without a count.
            QueueFull: the queue's bound is reached.
            ResultTimeout: nothing within ``timeout_s``; the job goes on.
            QueueUnreachable: the server does not answer.
        """
        with patience(timeout_s), queue_errors():
            result = await self._admit_and_wait(job, fresh=fresh)
        if isinstance(result, Counted):
            return result
        raise CountFailed(result.code, result.message, digest=result.digest)

    async def _admit_and_wait(self, job: Job, *, fresh: bool) -> Result:
        while True:
            answer, expectation = _expected(job.digest)
            with self._mailbox.expecting(expectation):
                admission = await self.admit(job, fresh=fresh)
                if admission.result is not None:
                    return with_cache(admission.result, admission.cache)
                expectation.submitted = True
                result = await answer
            if result is not None:
                return with_cache(result, admission.cache)
            fresh = False

    async def wait(self, digest: str) -> Result | None:
        """Wait for the result of a job that was submitted; None if its record vanished."""
        answer, expectation = _expected(digest)
        expectation.submitted = True
        with self._mailbox.expecting(expectation):
            await self._mailbox.look_for_vanished([digest])
            return await answer


def _expected(digest: str) -> tuple[asyncio.Future[Result | None], Expectation]:
    answer: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()

    def deliver(result: Result | None) -> None:
        if not answer.done():  # whoever waits may have left
            answer.set_result(result)

    return answer, Expectation(digest, deliver)
