"""One job on its way: into the queue, and on to its result, as often as its record vanishes."""

import anyio

from weighbridge.connection import queue_errors
from weighbridge.errors import QueueFull
from weighbridge.exchange import Submission
from weighbridge.mailbox import Expectation, Mailbox
from weighbridge.records import Job, Result, with_cache
from weighbridge.submitter import Admission, Submitter


class JobWait:
    """Submits single jobs of one client and waits for their results."""

    def __init__(self, submitter: Submitter, mailbox: Mailbox) -> None:
        self._submitter = submitter
        self._mailbox = mailbox

    async def admit(self, job: Job, *, fresh: bool = False) -> Admission:
        """Submit a job.

        Raises:
            QueueFull: the queue's bound is reached.
            QueueUnreachable: the server does not answer.
        """
        with queue_errors():
            [admission] = await self._submitter.submit([Submission(job)], fresh=fresh)
        if isinstance(admission, QueueFull):
            raise admission
        return admission

    async def admit_and_wait(self, job: Job, *, fresh: bool) -> Result:
        """Submit a job and wait for its result; it says how the job was admitted."""
        send, receive = anyio.create_memory_object_stream[Result | None](1)
        with send, receive:
            while True:
                expectation = Expectation(job.digest, send.send_nowait)
                with self._mailbox.expecting(expectation):
                    admission = await self.admit(job, fresh=fresh)
                    if admission.result is not None:
                        return with_cache(admission.result, admission.cache)
                    expectation.submitted = True
                    result = await receive.receive()
                if result is not None:
                    return with_cache(result, admission.cache)
                fresh = False

    async def wait(self, digest: str) -> Result | None:
        """Wait for the result of a job that was submitted; None if its record vanished."""
        send, receive = anyio.create_memory_object_stream[Result | None](1)
        with send, receive:
            expectation = Expectation(digest, send.send_nowait)
            expectation.submitted = True
            with self._mailbox.expecting(expectation):
                await self._mailbox.look_for_vanished([digest])
                return await receive.receive()
