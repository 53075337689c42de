"""The schemas against the types, and against what a real pool writes."""

import json
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from redis.asyncio import Redis
from support.foreign_producer import HELLO, ask, reply
from support.pools import Answers, running_pool, until
from support.protocol_page import SCHEMAS, known_fields, schema, validate

from weighbridge import Client, Counted, Failed
from weighbridge.keys import Keys
from weighbridge_worker.calls import PermanentFailure

KEYS = Keys()
RECORDS = ("result", "reply", "inbox_entry", "dead_letter", "job")


def opened(url: str) -> Any:
    """Open a client; redis-py types every reply for both of its decodings."""
    return Redis.from_url(url)


def texts(fields: dict[bytes, bytes]) -> dict[str, str]:
    """Read a hash or a stream's entry."""
    return {name.decode(): value.decode() for name, value in fields.items()}


def fits(name: str, record: dict[str, Any]) -> None:
    """Hold a record against its schema, and that no field goes unnamed there."""
    validate(name, record)
    assert {field for field in record if not field.startswith("waiter:")} <= known_fields(name)


def test_there_is_a_schema_for_every_record_and_each_is_one() -> None:
    files = {path.stem for path in SCHEMAS.glob("*.json")} - {"digest_vectors"}
    assert files == set(RECORDS)
    for name in RECORDS:
        jsonschema_rs.meta.validate(schema(name))


@pytest.mark.parametrize("kind", [Counted, Failed])
def test_a_results_schema_has_the_fields_of_its_type(kind: Any) -> None:
    status = kind.__struct_config__.tag
    [branch] = [part for part in schema("result")["oneOf"] if part["title"] == status]
    fields = [field for field in msgspec.structs.fields(kind) if field.name != "cache"]
    assert list(branch["properties"]) == ["status", *(field.encode_name for field in fields)]
    required = [field.encode_name for field in fields if field.required]
    assert sorted(branch["required"]) == sorted(["status", *required])
    derived = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    for field in fields:
        ours, theirs = branch["properties"][field.encode_name], derived[field.encode_name]
        assert ours.get("type") == theirs.get("type")
        assert ours.get("enum") == theirs.get("enum")


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_a_newer_version_still_fits(name: str) -> None:
    digest = "0" * 64
    smallest: dict[str, dict[str, Any]] = {
        "result": {"status": "failed", "code": "timeout", "message": "…"},
        "reply": {"id": "a", "entry": "1-0", "status": "failed", "code": "x", "message": "…"},
        "inbox_entry": {"payload": "{}"},
        "dead_letter": {
            "digest": digest,
            "code": "timeout",
            "lane": "batch",
            "producer": "p",
            "model": "m",
            "betas": "",
            "attempts": "8",
            "deliveries": "0",
        },
        "job": {"settled": "counted"},
    }
    validate(name, smallest[name])
    validate(name, {**smallest[name], "invented_in_version_9": "x"})


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("result", {"status": "counting"}),
        ("result", {"status": "counted", "digest": "0" * 64}),
        ("reply", {"status": "failed", "code": "x", "message": "…"}),
        ("inbox_entry", {"payload": "{}", "lane": "fast"}),
        ("inbox_entry", {"payload": "{}", "id": "not an id"}),
        ("inbox_entry", {"id": "a"}),
        ("job", {"deliveries": "0"}),
    ],
)
def test_what_is_none_of_ours_does_not_fit(name: str, record: dict[str, Any]) -> None:
    with pytest.raises(jsonschema_rs.ValidationError):
        validate(name, record)


@pytest.mark.asyncio
async def test_what_a_pool_writes_fits(redis_url: str) -> None:
    refusal = PermanentFailure("invalid_request", "no such thing")
    answers = Answers(error=lambda body: refusal if b"odd" in body else None)
    odd = {**HELLO, "messages": [{"role": "user", "content": "odd"}]}
    requests = [
        {"payload": json.dumps(HELLO), "id": "counted", "bell": "1", "lane": "interactive"},
        {"payload": json.dumps(odd), "id": "failed", "betas": "a,b", "deadline_ms": "60000"},
        {"payload": "{", "id": "refused", "producer": "p"},
        {"payload": json.dumps(HELLO), "id": "other", "partition": "t", "producer": "p"},
    ]
    async with opened(redis_url) as redis, running_pool(redis_url, answers):
        for request in requests:
            fits("inbox_entry", request)
            await ask(redis, request)
        replies = {request["id"]: await reply(redis, request["id"]) for request in requests}
        for answered in replies.values():
            fits("reply", answered)
        for name in ("counted", "failed", "other"):
            text = await redis.get(KEYS.result(replies[name]["digest"]))
            fits("result", json.loads(text))
            fits("job", texts(await redis.hgetall(KEYS.job(replies[name]["digest"]))))
        rung = await redis.lindex(KEYS.bell("counted"), 0)
        assert json.loads(rung) == replies["counted"]
        [(_, letter)] = await redis.xrange(KEYS.dead)
        fits("dead_letter", texts(letter))
    assert [answered["status"] for answered in replies.values()].count("counted") == 2


@pytest.mark.asyncio
async def test_a_live_job_fits_before_and_during_its_call(redis_url: str) -> None:
    answers = Answers()
    async with opened(redis_url) as redis, Client.connect(redis_url) as wb:
        ticket = await wb.submit(HELLO, betas=["b", "a"])
        fits("job", texts(await redis.hgetall(KEYS.job(ticket.digest))))
        answers.gate = type(answers.gate)()
        async with running_pool(redis_url, answers):
            await until(lambda: answers.bodies)
            job = texts(await redis.hgetall(KEYS.job(ticket.digest)))
            fits("job", job)
            answers.gate.set()
            await wb.result(ticket)
    assert {"lane", "token"} <= set(job)
