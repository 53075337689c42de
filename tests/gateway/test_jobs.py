"""``/v1/jobs``: submitted by one request, asked for by another, and only by who submitted."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from redis.asyncio import Redis
from support.gateway_under_test import ALICE, BOB, running_gateway, tokens_file
from support.line_client import MODEL, payload
from support.pools import live_jobs, until

from weighbridge.connection import connect
from weighbridge.keys import Keys
from weighbridge_worker.gateway.job_ids import JobIds

pytestmark = pytest.mark.asyncio

SHARED = f"""
[tenants.alice]
tokens = ["{ALICE}"]
partition = "both"

[tenants.bob]
tokens = ["{BOB}"]
partition = "both"
"""
UNKNOWN = "job_" + "A" * 64


def asker(base_url: str, token: str = "") -> httpx2.AsyncClient:
    """Make a client that shows a token."""
    headers = {"x-api-key": token} if token else {}
    return httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=30)


def answer_of(response: httpx2.Response) -> tuple[int, Mapping[str, str], Any]:
    """Take what differs between any two requests off an answer."""
    own = {"request-id", "date"}
    headers = {name: value for name, value in response.headers.items() if name not in own}
    return response.status_code, headers, response.json() | {"request_id": ""}


async def test_a_job_is_queued_and_then_counted(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, asker(gateway.base_url) as client:
        gateway.stand_in.gate.close()
        made = await client.post("/v1/jobs", json=payload("hello"))
        assert made.status_code == 202
        job = made.json()
        assert job == {"status": "queued", "id": job["id"], "digest": job["digest"]}
        assert made.headers["location"] == f"/v1/jobs/{job['id']}"
        assert made.headers["x-weighbridge-cache"] == "miss"
        seen = await client.get(made.headers["location"])
        assert (seen.status_code, seen.json()) == (200, job)

        async def waits() -> None:
            polled = await client.get(made.headers["location"], params={"wait": "30"})
            answers.append(polled.json())

        answers: list[Any] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waits)
            await gateway.stand_in.gate.holds(1)
            gateway.stand_in.gate.open()
        again = await client.post("/v1/jobs", json=payload("hello"))
        direct = await client.post("/v1/messages/count_tokens", json=payload("hello"))
    [counted] = answers
    assert counted["status"] == "counted"
    assert (counted["id"], counted["digest"], counted["model"]) == (
        job["id"],
        job["digest"],
        MODEL,
    )
    assert counted["input_tokens"] == direct.json()["input_tokens"]
    assert (again.status_code, again.json()) == (202, counted)
    assert again.headers["x-weighbridge-cache"] == "hit"


async def test_a_wait_ends_with_its_time_and_the_job_goes_on(redis_url: str) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        asker(gateway.base_url) as client,
    ):
        job = (await client.post("/v1/jobs", json=payload("hello"))).json()
        polled = await client.get(f"/v1/jobs/{job['id']}", params={"wait": "0.2"})
    assert (polled.status_code, polled.json()) == (200, job)
    assert await live_jobs(redis_url) == 1


async def test_a_job_that_fails_says_why(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, asker(gateway.base_url) as client:
        job = (await client.post("/v1/jobs", json=payload("hello", system=7))).json()
        polled = await client.get(f"/v1/jobs/{job['id']}", params={"wait": "30"})
    assert polled.status_code == 200
    failed = polled.json()
    assert (failed["status"], failed["code"], failed["attempts"]) == (
        "failed",
        "invalid_request",
        1,
    )
    assert failed["message"]


async def test_a_payload_that_cannot_be_counted_makes_no_job(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, asker(gateway.base_url) as client:
        refused = await client.post("/v1/jobs", content=b"{not json")
        large = await client.post("/v1/jobs", content=b" " * (32 * 2**20 + 1))
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert (large.status_code, large.json()["error"]["type"]) == (413, "request_too_large")


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "soon", ""])
async def test_a_wait_beyond_its_bounds_is_refused(redis_url: str, wait: str) -> None:
    async with (
        running_gateway(redis_url, pool=False) as gateway,
        asker(gateway.base_url) as client,
    ):
        answer = await client.get(f"/v1/jobs/{UNKNOWN}", params={"wait": wait})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"]["error_code"] == "bad_query"


@pytest.mark.parametrize("tokens", [None, SHARED], ids=["apart", "sharing"])
async def test_another_tenants_job_is_as_unknown_as_one_that_never_was(
    redis_url: str, tmp_path: Path, tokens: str | None
) -> None:
    file = tokens_file(tmp_path, tokens) if tokens else tokens_file(tmp_path)
    async with (
        running_gateway(redis_url, tokens_file=file) as gateway,
        asker(gateway.base_url, ALICE) as alice,
        asker(gateway.base_url, BOB) as bob,
    ):
        made = await alice.post("/v1/jobs", json=payload("hello"))
        job = made.json()
        own = await alice.get(made.headers["location"], params={"wait": "30"})
        assert own.json()["status"] == "counted"
        foreign = await bob.get(made.headers["location"])
        waiting = await bob.get(made.headers["location"], params={"wait": "30"})
        never = await bob.get(f"/v1/jobs/{UNKNOWN}")
        nonsense = await bob.get("/v1/jobs/nonsense")
        digest = await bob.get(f"/v1/jobs/{job['digest']}")
        theirs = (await bob.post("/v1/jobs", json=payload("hello"))).json()
        back = await alice.get(f"/v1/jobs/{theirs['id']}")
        still = await bob.get(made.headers["location"])
    assert never.status_code == 404
    assert never.json()["error"]["type"] == "not_found_error"
    for answer in (foreign, waiting, nonsense, digest, back, still):
        assert answer_of(answer) == answer_of(never)
    assert theirs["id"] != job["id"]
    assert (theirs["digest"] == job["digest"]) is (tokens == SHARED)


async def test_an_id_cannot_be_made_from_another_ids_parts(redis_url: str, tmp_path: Path) -> None:
    async with (
        running_gateway(redis_url, tokens_file=tokens_file(tmp_path, SHARED)) as gateway,
        asker(gateway.base_url, ALICE) as alice,
        asker(gateway.base_url, BOB) as bob,
    ):
        theirs = (await alice.post("/v1/jobs", json=payload("secret"))).json()["id"]
        own = (await bob.post("/v1/jobs", json=payload("own"))).json()["id"]
        data, seal = _parts(theirs)[0], _parts(own)[1]
        forged = "job_" + base64.urlsafe_b64encode(data + seal).decode()
        answer = await bob.get(f"/v1/jobs/{forged}")
        assert (await bob.get(f"/v1/jobs/{own}")).status_code == 200
    assert answer.status_code == 404


def _parts(job_id: str) -> tuple[bytes, bytes]:
    data = base64.urlsafe_b64decode(job_id.removeprefix("job_"))
    return data[:32], data[32:]


async def test_a_job_that_is_forgotten_is_unknown(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, asker(gateway.base_url) as client:
        job = (await client.post("/v1/jobs", json=payload("hello"))).json()
        await client.get(f"/v1/jobs/{job['id']}", params={"wait": "30"})
        async with Redis.from_url(redis_url) as redis:
            await redis.delete(Keys().result(job["digest"]))
        gone = await client.get(f"/v1/jobs/{job['id']}")
        waited = await client.get(f"/v1/jobs/{job['id']}", params={"wait": "30"})
        never = await client.get(f"/v1/jobs/{UNKNOWN}")
    assert answer_of(gone) == answer_of(waited) == answer_of(never)
    assert gone.status_code == 404


async def test_every_gateway_of_a_namespace_reads_the_same_ids(redis_url: str) -> None:
    async with connect(redis_url) as one, connect(redis_url) as other:
        here, there = JobIds(one, Keys()), JobIds(other, Keys())
        elsewhere = JobIds(other, Keys("elsewhere"))
        digest = "ab" * 32
        job_id = await here.make("alice", digest)
        assert await there.read("alice", job_id) == digest
        assert await there.read("bob", job_id) is None
        assert await elsewhere.read("alice", job_id) is None


@pytest.mark.parametrize("token", ["", "wrong-wrong-wrong-wrong"])
async def test_jobs_take_a_token(redis_url: str, tmp_path: Path, token: str) -> None:
    async with (
        running_gateway(redis_url, pool=False, tokens_file=tokens_file(tmp_path)) as gateway,
        asker(gateway.base_url, token) as client,
    ):
        posted = await client.post("/v1/jobs", json=payload("hello"))
        got = await client.get(f"/v1/jobs/{UNKNOWN}")
    assert (posted.status_code, got.status_code) == (401, 401)
    assert not await live_jobs(redis_url)


async def test_a_poll_is_answered_when_the_gateway_stops(redis_url: str) -> None:
    async with running_gateway(redis_url) as gateway, asker(gateway.base_url) as client:
        gateway.stand_in.gate.close()
        job = (await client.post("/v1/jobs", json=payload("hello"))).json()
        answers: list[httpx2.Response] = []

        async def waits() -> None:
            answers.append(await client.get(f"/v1/jobs/{job['id']}", params={"wait": "60"}))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waits)
            await gateway.stand_in.gate.holds(1)
            gateway.gateway.last_call.set()
            await until(lambda: answers)
            gateway.stand_in.gate.open()
    assert answers[0].status_code == 503
    assert answers[0].headers["retry-after"] == "1"
