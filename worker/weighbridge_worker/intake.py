"""Reads the inbox: requests of producers that use plain Redis commands instead of our client.

An entry leaves the inbox only together with its job's birth or its reply. While the queue is full
the intake stops reading, and the inbox keeps.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from redis.exceptions import RedisError, ResponseError
from structlog.typing import FilteringBoundLogger

from weighbridge.connection import POLL_S, RedisClient
from weighbridge.digest import digest_of
from weighbridge.errors import QueueFull, WeighbridgeError
from weighbridge.exchange import Submission
from weighbridge.keys import Keys
from weighbridge.payload import check_payload
from weighbridge.records import Failed, Job, Lane, Result, encode_reply
from weighbridge.scripts import INBOX_GROUP, Scripts
from weighbridge.settings import QueueSettings
from weighbridge.submitter import Admission, Submitter
from weighbridge_worker.executor import Draining

READ_AT_ONCE = 64
READ_BYTES = 8 * 2**20
"""A read that brought more than this is followed by smaller ones: entries hold whole payloads."""

CLAIM_EVERY_S = 30.0
CLAIM_IDLE_MS = 60_000
"""An entry that its reader left for so long is taken over; handling one twice is harmless."""

NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
NAME_WORDS = "takes 1 to 128 letters, digits, '_', '.', ':' or '-'"


class BadRequest(WeighbridgeError):
    """An inbox entry whose fields make no sense."""

    code = "bad_request"


@dataclass(frozen=True, slots=True)
class Request:
    """An inbox entry as it was read."""

    entry: str
    fields: Mapping[str, bytes]

    @property
    def reply_id(self) -> str:
        """The producer's own id if it is usable, else the entry's."""
        own = self.fields.get("id", b"").decode(errors="replace")
        return own if NAME.fullmatch(own) else self.entry

    @property
    def bell(self) -> bool:
        """Whether the producer waits on the bell."""
        return self.fields.get("bell", b"") not in {b"", b"0"}

    @property
    def size(self) -> int:
        """Bytes of all fields."""
        return sum(len(value) for value in self.fields.values())


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
        log: FilteringBoundLogger,
        *,
        worker: str,
        reply_ttl_ms: int,
    ) -> None:
        self._redis = redis
        self._reading = reading
        self._keys = keys
        self._scripts = scripts
        self._settings = settings
        self._draining = draining
        self._log = log
        self._worker = worker
        self._reply_ttl_ms = reply_ttl_ms
        # Nobody of ours waits for these jobs: their replies do.
        self._submitter = Submitter(redis, keys, scripts, waiter="", max_queue=settings.max_queue)
        self._read_at_once = 8
        self._idle = anyio.CancelScope()

    def wake(self) -> None:
        """End an idle wait, so that a drain need not sit it out."""
        self._idle.cancel()

    async def run(self) -> None:
        """Read and handle until the drain."""
        claim_at = anyio.current_time()
        while not self._draining.is_set():
            try:
                if anyio.current_time() >= claim_at:
                    await self._handle(await self._take_over())
                    claim_at = anyio.current_time() + CLAIM_EVERY_S
                await self._handle(await self._read())
            except RedisError as error:
                await self._recover(error)
        await self._handle_unread()

    async def _recover(self, error: RedisError) -> None:
        try:
            if isinstance(error, ResponseError) and "NOGROUP" in str(error):
                await self._create_group()
                return
        except RedisError:
            pass
        with anyio.move_on_after(1.0):
            await self._draining.wait()

    async def _create_group(self) -> None:
        """Create the group from the first entry on: producers may have written before us."""
        try:
            await self._redis.xgroup_create(self._keys.inbox, INBOX_GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _read(self) -> list[Request]:
        reply = None
        with anyio.CancelScope() as self._idle:
            if self._draining.is_set():
                return []  # the drain came before this scope, so that it could not end the wait
            reply = await self._reading.xreadgroup(
                INBOX_GROUP,
                self._worker,
                {self._keys.inbox: ">"},
                count=self._read_at_once,
                block=int(POLL_S * 1000),
            )
        requests = _requests(reply)
        self._suit_size(requests)
        return requests

    def _suit_size(self, requests: Sequence[Request]) -> None:
        if sum(request.size for request in requests) > READ_BYTES:
            self._read_at_once = 1
        elif requests:
            self._read_at_once = min(READ_AT_ONCE, self._read_at_once * 2)

    async def _take_over(self) -> list[Request]:
        reply = await self._redis.xautoclaim(
            self._keys.inbox, INBOX_GROUP, self._worker, CLAIM_IDLE_MS, count=8
        )
        return _requests([(self._keys.inbox, reply[1])])

    async def _handle_unread(self) -> None:
        """Handle what was delivered to us in the moment in which the drain cut the read."""
        try:
            reply = await self._redis.xreadgroup(
                INBOX_GROUP, self._worker, {self._keys.inbox: "0"}, count=READ_AT_ONCE
            )
            await self._handle(_requests(reply))
        except RedisError:
            return  # they are taken over by another worker

    async def _handle(self, requests: Sequence[Request]) -> None:
        submissions = []
        for request in requests:
            try:
                submissions.append((request, self._submission(request)))
            except WeighbridgeError as error:
                await self._answer(request, Failed(code=error.code, message=str(error)))
        while submissions:
            submissions = await self._submit(submissions)

    async def _submit(
        self, asked: Sequence[tuple[Request, Submission]]
    ) -> list[tuple[Request, Submission]]:
        """Submit; returns those that a full queue refused, after a pause. A drain drops them:
        they stay in the inbox for the next worker.
        """
        admissions = await self._submitter.submit([submission for _, submission in asked])
        refused = []
        for pair, admission in zip(asked, admissions, strict=True):
            if isinstance(admission, QueueFull):
                refused.append(pair)
            elif isinstance(admission, Admission) and admission.result is not None:
                await self._answer(pair[0], admission.result)
        if refused:
            self._log.warning("queue_full", waiting=len(refused))
            with anyio.move_on_after(1.0):
                await self._draining.wait()
                return []
        return refused

    async def _answer(self, request: Request, result: Result) -> None:
        text = encode_reply(request.reply_id, request.entry, result)
        await self._scripts.answer(
            self._redis,
            [(request.entry, request.reply_id, request.bell, text)],
            reply_ttl_ms=self._reply_ttl_ms,
        )

    def _submission(self, request: Request) -> Submission:
        """Check a request.

        Raises:
            BadRequest: a field makes no sense.
            PayloadError: the payload cannot be counted as it is.
        """
        fields = request.fields
        if "payload" not in fields:
            raise BadRequest("the entry has no field 'payload'; XADD … * payload '<json>'")
        payload = check_payload(fields["payload"], betas=_betas(fields))
        digest = digest_of(
            payload,
            partition=_name(fields, "partition", self._settings.partition),
            key=self._settings.digest_key,
        )
        _name(fields, "id", request.entry)
        job = Job(
            digest,
            payload,
            _lane(fields),
            _name(fields, "producer", "inbox"),
            _deadline_us(fields, self._settings.deadline_s),
        )
        reply = f"{request.entry} {int(request.bell)} {request.reply_id}"
        return Submission(job, reply=reply, entry=request.entry)


def _requests(reply: Any) -> list[Request]:
    """Read the reply of a stream read; an entry that was deleted meanwhile has no fields."""
    return [
        Request(
            entry.decode(),
            {name.decode(errors="replace"): value for name, value in fields.items()},
        )
        for _, entries in reply or ()
        for entry, fields in entries
        if fields
    ]


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


def _deadline_us(fields: Mapping[str, bytes], default_s: float) -> int:
    text = fields.get("deadline_ms", b"")
    try:
        milliseconds = int(text) if text else int(default_s * 1000)
    except ValueError:
        milliseconds = 0
    if not 1 <= milliseconds <= 86_400_000:
        raise BadRequest("the field 'deadline_ms' takes a whole number from 1 to 86,400,000")
    return milliseconds * 1000
