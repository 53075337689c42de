"""Submits of many tasks together: what is asked for while one is under way goes with the next."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from anyio.abc import TaskGroup

from weighbridge.errors import QueueUnreachable
from weighbridge.exchange import Submission
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

    Args:
        tasks: the client's group; a caller that goes away leaves its job to be submitted.
    """

    def __init__(self, tasks: TaskGroup, submitter: Submitter) -> None:
        self._tasks = tasks
        self._submitter = submitter
        self._asked: list[_Asked] = []
        self._running = False

    async def submit(self, job: Job, *, fresh: bool) -> Admission:
        """Submit a job.

        Raises:
            QueueFull: the queue's bound is reached.
            RedisError: the server does not answer, or refuses.
        """
        asked = _Asked(job, fresh, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if not self._running:
            self._running = True
            self._tasks.start_soon(self._run)
        return await asked.answer

    async def _run(self) -> None:
        """Submit until nobody asks any more."""
        batch: list[_Asked] = []
        try:
            while batch := self._batch():
                await self._submit(batch)
        finally:
            self._running = False
            for asked in [*batch, *self._asked]:  # none, unless the client was closed
                asked.give(QueueUnreachable("the client was closed before it submitted the job"))

    def _batch(self) -> list[_Asked]:
        """Take the next few that want the same."""
        size, count = 0, 0
        for asked in self._asked[:BATCH]:
            if size >= BATCH_BYTES or asked.fresh != self._asked[0].fresh:
                break
            size += len(asked.job.payload.body)
            count += 1
        batch, self._asked = self._asked[:count], self._asked[count:]
        return batch

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
