"""The shape of a payload: fields, betas, sizes, and what is no payload at all."""

import json

import pytest
from support.bodies import CACHE, USER, body, canonical, having, saying

from weighbridge.errors import MalformedPayload, PayloadTooLarge
from weighbridge.payload import MAX_BODY_BYTES, check_payload

DROPPED = {
    "container": "c",
    "diagnostics": None,
    "fallback_credit_token": "t",
    "fallbacks": "default",
    "inference_geo": "eu",
    "max_tokens": 100,
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "stop_sequences": ["x"],
    "stream": True,
    "temperature": 0.5,
    "top_k": 5,
    "top_p": 0.5,
}
KEPT = {
    "billing_policy": {"type": "billing_policy"},
    "cache_control": CACHE,
    "compaction": {"type": "summarize"},
    "context_management": {"edits": []},
    "mcp_servers": [],
    "output_config": {"effort": "low"},
    "speed": "fast",
    "system": "s",
    "thinking": {"type": "adaptive"},
    "thread": {"id": "t"},
    "tool_choice": {"type": "auto"},
    "tools": [{"name": "n", "input_schema": {}}],
    "invented_next_year": {"b": 1, "a": {"d": 1, "c": [1.0, None]}},
}


@pytest.mark.parametrize("field", DROPPED)
def test_fields_that_count_tokens_does_not_take_are_dropped(field: str) -> None:
    assert canonical(body(**{field: DROPPED[field]})) == canonical(body())


@pytest.mark.parametrize("field", KEPT)
def test_every_other_field_is_kept_and_sent(field: str) -> None:
    sent = json.loads(canonical(body(**{field: KEPT[field]})))
    assert sent[field] == KEPT[field]


@pytest.mark.parametrize("field", DROPPED)
def test_only_the_top_level_drops_fields(field: str) -> None:
    message = {**USER, field: DROPPED[field]}
    assert json.loads(canonical(body(messages=[message])))["messages"] == [message]


def test_betas_of_the_body_and_of_the_call_are_joined_sorted_and_leave_the_body() -> None:
    payload = check_payload(body(betas=["b-2", "a-1"]), betas=["c-3", "a-1"])
    assert payload.betas == ("a-1", "b-2", "c-3")
    assert payload.body == canonical(body())


@pytest.mark.parametrize("name", ["", "a,b", "a b", "a\n", "\x00", "é", 1, None, "a\tb"])
def test_a_beta_name_that_would_break_the_header_is_refused(name: object) -> None:
    with pytest.raises(MalformedPayload, match="betas"):
        check_payload(body(), betas=[name])  # type: ignore[list-item]
    with pytest.raises(MalformedPayload, match="betas"):
        check_payload(body(betas=[name]))


@pytest.mark.parametrize("betas", ["a-1", {"a": 1}, 1, True])
def test_betas_that_are_no_list_are_refused(betas: object) -> None:
    with pytest.raises(MalformedPayload, match="betas must be a list"):
        check_payload(body(betas=betas))


def test_betas_given_as_one_text_are_refused() -> None:
    with pytest.raises(MalformedPayload, match="betas must be a list"):
        check_payload(body(), betas="a-1")


def test_the_caller_s_mapping_is_not_changed() -> None:
    given = body(max_tokens=5, betas=["b-1"], output_format={"type": "json_schema"})
    before = json.dumps(given)
    check_payload(given)
    assert json.dumps(given) == before


def test_the_model_travels_with_the_payload() -> None:
    assert check_payload(body(model="claude-haiku-4-5")).model == "claude-haiku-4-5"


NO_PAYLOAD: dict[str, tuple[object, str]] = {
    "a list": (b"[]", "must be a JSON object"),
    "a string": (b'"x"', "must be a JSON object"),
    "null": (b"null", "must be a JSON object"),
    "another type": ([body()], "a list is no payload"),
    "None": (None, "a NoneType is no payload"),
    "an empty object": (b"{}", "model is missing"),
    "model empty": (body(model=""), "model is missing"),
    "model no string": (body(model=5), "model is missing"),
    "messages absent": ({"model": "m"}, "messages is missing"),
    "messages empty": (body(messages=[]), "messages is missing"),
    "messages no list": (body(messages={"role": "user"}), "messages is missing"),
    "message no object": (body(messages=[USER, "x"]), r"messages\[1\] must be an object"),
    "message without role": (body(messages=[{"content": "x"}]), r"messages\[0\] has no role"),
    "message without content": (body(messages=[{"role": "user"}]), r"messages\[0\] has no content"),
    "two output formats": (
        body(output_format={"type": "a"}, output_config={"format": {"type": "b"}}),
        "exclude each other",
    ),
    "output_config no object": (
        body(output_format={"type": "a"}, output_config=[]),
        "output_config must be an object",
    ),
}


@pytest.mark.parametrize("name", NO_PAYLOAD)
def test_what_is_no_payload_is_refused(name: str) -> None:
    raw, sentence = NO_PAYLOAD[name]
    with pytest.raises(MalformedPayload, match=sentence):
        check_payload(raw)  # type: ignore[arg-type]


def test_a_system_message_may_say_nothing() -> None:
    quiet = {"role": "system", "output_config": {"effort": "low"}}
    assert canonical(body(messages=[USER, quiet]))


def sized(size: int) -> bytes:
    shell = len(canonical(saying("")))
    return canonical(saying("x" * (size - shell)))


def test_the_limit_is_the_api_s() -> None:
    assert MAX_BODY_BYTES == 33_554_432


def test_a_body_of_just_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert len(check_payload(sized(1000), max_bytes=1000).body) == 1000
    with pytest.raises(PayloadTooLarge, match=r"1,001 bytes, the limit is 1,000") as caught:
        check_payload(sized(1001), max_bytes=1000)
    assert caught.value.code == "payload_too_large"


def test_size_is_checked_before_anything_is_parsed() -> None:
    with pytest.raises(PayloadTooLarge):
        check_payload(b"\xff" * 101, max_bytes=100)
    with pytest.raises(PayloadTooLarge):
        check_payload(json.dumps(body(), indent=200), max_bytes=500)


def test_a_mapping_is_measured_by_its_canonical_bytes() -> None:
    given = json.loads(sized(1000))
    assert check_payload(given, max_bytes=1000)
    with pytest.raises(PayloadTooLarge):
        check_payload(given, max_bytes=999)
    assert check_payload({**given, "metadata": {"user_id": "x" * 5000}}, max_bytes=1000)


def test_canonical_bytes_that_outgrow_the_text_are_measured_too() -> None:
    raw = having("[" + ",".join(["1e5"] * 200) + "]")
    with pytest.raises(PayloadTooLarge):
        check_payload(raw, max_bytes=len(raw))


@pytest.mark.parametrize(("levels", "taken"), [(126, True), (127, False)])
def test_what_moves_a_level_deeper_still_nests_no_deeper_than_is_taken(
    levels: int, taken: bool
) -> None:
    """Found by `make fuzz`: the canonical body must be one that would be taken itself."""
    form: object = 1
    for _ in range(levels):
        form = [form]
    raw = body(output_format=form)
    if taken:
        check_payload(check_payload(raw).body)
    else:
        with pytest.raises(MalformedPayload, match="nested deeper than 128"):
            check_payload(raw)
