"""Submits of many tasks together: what is asked for while one is under way goes with the next."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from weighbridge.errors import QueueUnreachable
from weighbridge.exchange import Submission
from weighbridge.gathering import Gathering
from weighbridge.records import Job
from weighbridge.submitter import BATCH, BATCH_BYTES, Admission, Submitter


@dataclass(slots=True, eq=False)
class _Asked:
    """One job that somebody submits, and what becomes of it."""

    job: Job
    fresh: bool
    answer: asyncio.Future[Admission]

    def give(self, answer: Admission | Exception) -> None:
        if self.answer.done():  # whoever asked has left
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class SubmitBatches:
    """Submits single jobs of one client's tasks, in as few round trips as they need.

    It submits in a task of its own: a caller that goes away leaves its job to be submitted.
    """

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._asked = Gathering[_Asked]()
        self._runs = False

    async def submit(self, job: Job, *, fresh: bool) -> Admission:
        """Submit a job.

        Raises:
            QueueFull: the queue's bound is reached.
            RedisError: the server does not answer, or refuses.
            RuntimeError: the client is not open.
        """
        if not self._runs:
            raise RuntimeError("the client is not open: use it within its async with")
        asked = _Asked(job, fresh, asyncio.get_running_loop().create_future())
        self._asked.put(asked)
        return await asked.answer

    async def run(self) -> None:
        """Submit until cancelled."""
        batch: list[_Asked] = []
        self._runs = True
        try:
            while True:
                await self._asked.wait()
                batch = self._batch()
                await self._submit(batch)
        finally:
            self._runs = False
            for asked in [*batch, *self._asked.take_all()]:
                asked.give(QueueUnreachable("the client was closed before it submitted the job"))

    def _batch(self) -> list[_Asked]:
        """Take the next few that want the same."""
        found, size = self._asked.take(BATCH), 0
        for count, asked in enumerate(found):
            if size >= BATCH_BYTES or asked.fresh != found[0].fresh:
                self._asked.put_back(found[count:])
                return found[:count]
            size += len(asked.job.payload.body)
        return found

    async def _submit(self, batch: Sequence[_Asked]) -> None:
        submissions = [Submission(asked.job) for asked in batch]
        try:
            answers = await self._submitter.submit(submissions, fresh=batch[0].fresh)
        except Exception as error:  # each caller's to see
            for asked in batch:
                asked.give(error)
        else:
            for asked, answer in zip(batch, answers, strict=True):
                asked.give(answer)
