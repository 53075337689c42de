"""The producer's side for code without an event loop: Django, Flask, Celery, scripts, notebooks.

A thin face over the async client, which runs on an event loop in a thread of its own.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from weighbridge.bulk_submit import Submitted
from weighbridge.count_stream import Item
from weighbridge.loop_thread import LoopThread
from weighbridge.preparation import RawPayload
from weighbridge.records import Counted, Lane, Result, Ticket
from weighbridge.settings import QueueSettings
from weighbridge.sync_stream import SyncStream


class Client:
    """Counts payloads through a pool of workers; its methods may be called from any thread.

    As a context manager it connects at the ``with`` and lets go at its end. Without one, a module
    may keep it: it connects at the first call, and lets go at ``close`` or when the process ends::

        wb = Client.connect("redis://127.0.0.1:6379/0")

        def view(request):
            return wb.count({"model": "…", "messages": [...]}, timeout_s=10).input_tokens

    A process that was forked (gunicorn's preload, Celery's prefork) connects anew at its first
    call and leaves its parent's connections alone. Ctrl-C ends a wait at once. gevent and eventlet,
    which put something else in the place of threads, are not supported.
    """

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        # By process, for a fork's child inherits the object but no thread. Its parent's loop stays
        # referenced: cleaning up there would reach into the poll that both of them share.
        self._loops: dict[int, LoopThread] = {}
        self._locks: dict[int, threading.Lock] = {}

    @classmethod
    def connect(cls, url: str | None = None, *, settings: QueueSettings | None = None) -> Self:
        """Make a client; nothing is sent before the ``with`` or the first call.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``; goes before the settings' own.

        Raises:
            SettingsError: the URL leads to another machine without TLS and the settings do not
                allow that.
        """
        chosen = settings or QueueSettings()
        return cls(replace(chosen, redis_url=url) if url else chosen)

    @property
    def settings(self) -> QueueSettings:
        """What the client was made with: the queue's server and namespace."""
        return self._settings

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            SettingsError: the URL is none that Redis clients know.
            QueueUnreachable: the server does not answer, or refuses us.
            ScopeMismatch: the namespace's workers hash with another digest key.
        """
        self._loop()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections and the thread; calls that still wait are cancelled.

        A later call connects anew.
        """
        process = os.getpid()
        with self._lock(process):
            loop = self._loops.pop(process, None)
        if loop is not None:
            loop.close()

    def submit(
        self,
        payload: RawPayload,
        *,
        lane: Lane = Lane.BATCH,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        fresh: bool = False,
    ) -> Ticket:
        """Put a payload into the queue and go on; its result stays under its digest.

        Args:
            producer: who submits, partition: who may share the count; else the settings' own.
            fresh: count again even if a result is cached.

        Raises:
            PayloadError: it cannot be counted as it is.
            QueueFull: the queue's bound is reached.
            QueueUnreachable: the server does not answer.
        """
        return self._loop().call(
            lambda wb: wb.submit(
                payload,
                lane=lane,
                betas=betas,
                producer=producer,
                partition=partition,
                fresh=fresh,
            )
        )

    def submit_many(
        self,
        payloads: Iterable[RawPayload],
        *,
        lane: Lane = Lane.BATCH,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        fresh: bool = False,
    ) -> list[Submitted]:
        """Put payloads into the queue in as few round trips as they need, and go on.

        Returns as the async client does. The payloads are read in the caller's thread, all of them
        before the first is sent.

        Raises:
            NotReplicated: fewer replicas have some of them than the settings want.
            QueueUnreachable: the server does not answer.
        """
        read = list(payloads)
        return self._loop().call(
            lambda wb: wb.submit_many(
                read,
                lane=lane,
                betas=betas,
                producer=producer,
                partition=partition,
                fresh=fresh,
            )
        )

    def result(self, job: Ticket | str, *, timeout_s: float = 60.0) -> Result:
        """Wait for a job's result, by its ticket or digest.

        A lost record is submitted again where the ticket is given.

        Raises:
            ResultTimeout: nothing within ``timeout_s``; the job goes on.
            UnknownJob: only a digest was given, and neither job nor result has it.
        """
        return self._loop().call(lambda wb: wb.result(job, timeout_s=timeout_s))

    def count(
        self,
        payload: RawPayload,
        *,
        lane: Lane = Lane.INTERACTIVE,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        fresh: bool = False,
        timeout_s: float = 60.0,
    ) -> Counted:
        """Count one payload's input tokens.

        A caller that stops waiting leaves the job to finish for the cache.

        Raises:
            PayloadError: it cannot be counted as it is.
            CountFailed: the job ended without a count.
            QueueFull: the queue's bound is reached.
            ResultTimeout: nothing within ``timeout_s``; the job goes on.
            QueueUnreachable: the server does not answer.
        """
        return self._loop().call(
            lambda wb: wb.count(
                payload,
                lane=lane,
                betas=betas,
                producer=producer,
                partition=partition,
                fresh=fresh,
                timeout_s=timeout_s,
            )
        )

    def count_many(
        self,
        payloads: Iterable[RawPayload],
        *,
        lane: Lane = Lane.BATCH,
        betas: Iterable[str] = (),
        producer: str | None = None,
        partition: str | None = None,
        ordered: bool = False,
        in_flight: int = 1000,
        withdraw: bool = False,
    ) -> Iterator[Item]:
        """Count payloads as they come, with at most ``in_flight`` of them on their way.

        Yields as the async client does. The payloads are read in the caller's thread, between the
        items, so that they may come from its database connection. A loop that is left early should
        ``close`` the iterator, or let go of it.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        names = tuple(betas)
        stream = SyncStream(
            self._loop(),
            lambda wb, source: wb.count_batches(
                source,
                lane=lane,
                betas=names,
                producer=producer,
                partition=partition,
                ordered=ordered,
                in_flight=in_flight,
                withdraw=withdraw,
            ),
            in_flight=in_flight,
        )
        yield from stream.run(payloads)

    def cancel(self, job: Ticket | str) -> bool:
        """Withdraw a job if nobody else waits for it and no worker has it; True if withdrawn.

        Raises:
            QueueUnreachable: the server does not answer.
        """
        return self._loop().call(lambda wb: wb.cancel(job))

    def _loop(self) -> LoopThread:
        process = os.getpid()
        with self._lock(process):
            if process not in self._loops:
                self._loops[process] = LoopThread(self._settings)
            return self._loops[process]

    def _lock(self, process: int) -> threading.Lock:
        """A lock that a thread of the parent held at the fork would stay locked for ever here."""
        return self._locks.setdefault(process, threading.Lock())
