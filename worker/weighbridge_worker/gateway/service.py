"""What the endpoints work with, put together once at the start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from opentelemetry.trace import Tracer
from structlog.typing import FilteringBoundLogger

from weighbridge.admin import Admin
from weighbridge.bucket import Bucket
from weighbridge.client import Client
from weighbridge.connection import connect
from weighbridge.dead import DeadLetters
from weighbridge.keys import Keys
from weighbridge.scripts import Scripts
from weighbridge.settings import QueueSettings
from weighbridge_worker.gateway.bounds import BodyBudget
from weighbridge_worker.gateway.job_ids import JobIds
from weighbridge_worker.gateway.job_look import JobLook
from weighbridge_worker.gateway.lookout import Lookout
from weighbridge_worker.gateway.settings import GatewaySettings
from weighbridge_worker.gateway.tally import Tally
from weighbridge_worker.gateway.tenants import Tenants, read_tenants
from weighbridge_worker.settings import SAFE_RPM
from weighbridge_worker.watch.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Gateway:
    """What an endpoint may need.

    Args:
        client: counts; call it with the tenant's name as ``producer`` and its ``partition``.
        admin: a look at the pool.
        dead: the dead letters, for operators.
        tenants: who may ask; None where everybody on this machine may.
        job_ids: names jobs for tenants; job_look: how they stand.
        bodies: the bytes of requests that are held at once.
        lookout: looks at the pool for all who watch it.
        tracer: makes a span a request; None where nobody traces.
        last_call: set when whoever still waits must be answered, for the gateway stops.
    """

    settings: GatewaySettings
    client: Client
    admin: Admin
    dead: DeadLetters
    tenants: Tenants | None
    log: FilteringBoundLogger
    job_ids: JobIds
    job_look: JobLook
    bodies: BodyBudget
    lookout: Lookout
    tally: Tally = field(default_factory=Tally)
    last_call: anyio.Event = field(default_factory=anyio.Event)
    tracer: Tracer | None = None


@asynccontextmanager
async def open_gateway(
    queue: QueueSettings,
    settings: GatewaySettings,
    log: FilteringBoundLogger,
    *,
    tracer: Tracer | None = None,
) -> AsyncIterator[Gateway]:
    """Connect to the queue, and read who may ask.

    Raises:
        QueueUnreachable: the server does not answer, or refuses us.
        SettingsError: the tokens file is wrong.
    """
    tenants = read_tenants(Path(settings.tokens_file)) if settings.tokens_file else None
    redis, keys = connect(queue.redis_url), Keys(queue.namespace)
    scripts = Scripts(keys)
    dead = DeadLetters(
        redis,
        keys,
        scripts,
        max_queue=queue.max_queue,
        max_bytes=queue.max_queue_bytes,
        deadline_us=int(queue.deadline_s * 1e6),
    )
    admin = Admin(redis, keys, Bucket(redis, keys, scripts, rpm=SAFE_RPM))
    tally = Tally()
    watcher = Watcher(
        admin, queue.namespace, answers=lambda: tally.cache, max_queue=queue.max_queue
    )
    lookout = Lookout(watcher, log)
    try:
        async with Client.connect(settings=queue) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(lookout.run)
            yield Gateway(
                settings=settings,
                client=client,
                admin=admin,
                dead=dead,
                tenants=tenants,
                log=log,
                job_ids=JobIds(redis, keys),
                job_look=JobLook(redis, keys),
                bodies=BodyBudget(settings.max_body_bytes),
                lookout=lookout,
                tally=tally,
                tracer=tracer,
            )
            tasks.cancel_scope.cancel()
    finally:
        await redis.aclose()
