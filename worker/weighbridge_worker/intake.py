"""Reads the inbox: requests of producers that use plain Redis commands instead of our client.

An entry leaves the inbox only together with its job's birth or its reply. While the queue is full
the intake stops reading, and the inbox keeps.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
from anyio.lowlevel import checkpoint
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from structlog.typing import FilteringBoundLogger

from weighbridge.connection import RedisClient
from weighbridge.errors import QueueFull, WeighbridgeError
from weighbridge.exchange import Submission
from weighbridge.keys import Keys
from weighbridge.preparation import Preparation
from weighbridge.records import Failed, Job, Lane, Result, encode_reply
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings
from weighbridge.submitter import Submitter
from weighbridge.trace_context import pack_trace
from weighbridge_worker.executor import Draining
from weighbridge_worker.inbox import Inbox, Request
from weighbridge_worker.tally import Tally

Asked = tuple[Request, Submission]

CRASHED: Final = Failed(
    code="internal_error", message="the worker could not handle this entry; its log says why"
)

MAX_DELIVERIES = 5
"""An entry that so many readers left behind is answered as poison: it may have killed them."""

PAUSE_S = 1.0
"""Between two tries while the queue is full, the inbox broken or the server away."""

NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
NAME_WORDS = "takes 1 to 128 letters, digits, '_', '.', ':' or '-'"


class BadRequest(WeighbridgeError):
    """An inbox entry whose fields make no sense."""

    code = "bad_request"


class PoisonRequest(WeighbridgeError):
    """An inbox entry that nobody ever finished handling."""

    code = "poison"


class Intake:
    """One worker's reader of the inbox.

    Args:
        reading: never repeats a command.
    """

    def __init__(
        self,
        redis: RedisClient,
        reading: RedisClient,
        keys: Keys,
        scripts: Scripts,
        settings: QueueSettings,
        draining: Draining,
        tally: Tally,
        log: FilteringBoundLogger,
        *,
        worker: str,
        reply_ttl_ms: int,
    ) -> None:
        self._redis = redis
        self._scripts = scripts
        self._settings = settings
        self._draining = draining
        self._tally = tally
        self._log = log
        self._reply_ttl_ms = reply_ttl_ms
        self._inbox = Inbox(redis, reading, keys, scripts, worker=worker)
        self._preparation = Preparation(
            digest_key=settings.digest_key, max_bytes=settings.max_queue_bytes
        )
        # Nobody of ours waits for these jobs: their replies do.
        self._submitter = Submitter(
            redis,
            keys,
            scripts,
            waiter="",
            max_queue=settings.max_queue,
            max_bytes=settings.max_queue_bytes,
        )

    def wake(self) -> None:
        """End an idle wait, so that a drain need not sit it out."""
        self._inbox.wake()

    async def run(self) -> None:
        """Read and handle until the drain; what others left is taken over with free hands only."""
        while not self._draining.is_set():
            try:
                await self._inbox.retire_dead()
                await self._handle(await self._inbox.take_over())
                await self._handle(await self._inbox.read())
            except RedisError as error:
                await self._recover(error)
        await self._leave()

    async def _recover(self, error: RedisError) -> None:
        """Wait, then see to the group; of a server that is away the taker tells."""
        if isinstance(error, ResponseError):
            self._log.warning("inbox_unreadable", error=str(error).partition(" ")[0])
        self._inbox.distrust()
        await self._pause()

    async def _pause(self) -> None:
        with anyio.move_on_after(PAUSE_S):
            await self._draining.wait()

    async def _leave(self) -> None:
        """Handle what was delivered to us in the moment in which the drain cut the read."""
        try:
            await self._handle(await self._inbox.read_own())
            await self._inbox.leave()
        except RedisError:
            return  # what is left is taken over by another worker

    async def _handle(self, requests: Sequence[Request]) -> None:
        asked = []
        for request in requests:
            await checkpoint()  # many small ones together would stall the loop
            try:
                asked.append((request, await self._submission(request)))
            except WeighbridgeError as error:
                self._tally.taken_in("refused")
                await self._answer(request, Failed(code=error.code, message=str(error)))
            except Exception as error:  # a bug must not end the worker, nor come back for ever
                self._log.error("request_crashed", entry=request.entry, error=type(error).__name__)
                await self._answer(request, CRASHED)
        while asked:
            asked = await self._submit(asked)

    async def _submit(self, asked: Sequence[Asked]) -> list[Asked]:
        """Submit; returns those that a full queue refused, after a pause. A drain drops them:
        they stay in the inbox for the next worker.
        """
        try:
            admissions = await self._submitter.submit([submission for _, submission in asked])
        except (OutOfMemoryError, WeighbridgeError):
            self._log.warning("server_full", waiting=len(asked))
            return await self._wait(asked)
        refused = []
        for pair, admission in zip(asked, admissions, strict=True):
            if isinstance(admission, QueueFull):
                refused.append(pair)
                continue
            self._tally.taken_in(admission.cache)
            if admission.result is not None:
                await self._answer(pair[0], admission.result)
        if not refused:
            return []
        self._log.warning("queue_full", waiting=len(refused))
        return await self._wait(refused)

    async def _wait(self, refused: Sequence[Asked]) -> list[Asked]:
        await self._pause()
        if self._draining.is_set():
            return []
        await self._inbox.keep([request for request, _ in refused])
        return list(refused)

    async def _answer(self, request: Request, result: Result) -> None:
        reply_id = _reply_id(request)
        text = encode_reply(reply_id, request.entry, result)
        await self._scripts.answer(
            self._redis,
            [(request.entry, reply_id, _bell(request), text)],
            reply_ttl_ms=self._reply_ttl_ms,
        )

    async def _submission(self, request: Request) -> Submission:
        """Check a request.

        Raises:
            BadRequest: a field makes no sense.
            PayloadError: the payload cannot be counted as it is.
            PoisonRequest: too many readers had it.
        """
        fields = request.fields
        if request.deliveries > MAX_DELIVERIES:
            raise PoisonRequest(
                f"{MAX_DELIVERIES} workers died or fell silent over this entry; it was not read"
                " again"
            )
        if "payload" not in fields:
            raise BadRequest("the entry has no field 'payload'; XADD … * payload '<json>'")
        prepared = await self._preparation.prepare(
            fields["payload"],
            betas=_betas(fields),
            partition=_name(fields, "partition", self._settings.partition),
        )
        _name(fields, "id", request.entry)
        job = Job(
            prepared.digest,
            prepared.payload,
            _lane(fields),
            _name(fields, "producer", "inbox"),
            _deadline_us(fields, self._settings.deadline_s),
            _trace(fields),
        )
        reply = f"{request.entry} {int(_bell(request))} {_reply_id(request)}"
        return Submission(job, reply=reply, entry=request.entry)


def _reply_id(request: Request) -> str:
    """Return the producer's own id if it is usable, else the entry's."""
    own = request.fields.get("id", b"").decode(errors="replace")
    return own if NAME.fullmatch(own) else request.entry


def _bell(request: Request) -> bool:
    """Tell whether the producer waits on the bell."""
    return request.fields.get("bell", b"") not in {b"", b"0"}


def _name(fields: Mapping[str, bytes], field: str, default: str) -> str:
    text = fields.get(field, b"").decode(errors="replace")
    if text and not NAME.fullmatch(text):
        raise BadRequest(f"the field {field!r} {NAME_WORDS}")
    return text or default


def _betas(fields: Mapping[str, bytes]) -> list[str]:
    text = fields.get("betas", b"").decode(errors="replace")
    return [beta.strip() for beta in text.split(",") if beta.strip()]


def _lane(fields: Mapping[str, bytes]) -> Lane:
    try:
        return Lane(fields.get("lane", b"batch").decode(errors="replace"))
    except ValueError:
        raise BadRequest("the field 'lane' takes interactive or batch") from None


def _trace(fields: Mapping[str, bytes]) -> str:
    """Return the producer's trace context; what is none is passed over, as the W3C wants it."""
    parent, state = (fields.get(name, b"") for name in ("traceparent", "tracestate"))
    return pack_trace(parent.decode(errors="replace"), state.decode(errors="replace"))


def _deadline_us(fields: Mapping[str, bytes], default_s: float) -> int:
    text = fields.get("deadline_ms", b"")
    try:
        milliseconds = int(text) if text else int(default_s * 1000)
    except ValueError:
        milliseconds = 0
    if not 1 <= milliseconds <= 86_400_000:
        raise BadRequest("the field 'deadline_ms' takes a whole number from 1 to 86,400,000")
    return milliseconds * 1000
