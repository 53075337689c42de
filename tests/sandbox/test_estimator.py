"""What adds tokens to an estimate, and what does not."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_worker.sandbox.estimator import UnreadableMedia, estimate

OLD, NEW = "claude-sonnet-4-5", "claude-opus-4-8"
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Paris"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "Sunny"}
THOUGHT = {"type": "thinking", "thinking": "They ask about the weather. " * 5, "signature": "s"}
PNG_28 = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x1c\0\0\0\x1c\x08\x02\0\0\0"
).decode()


def user(content: object) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: object) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def tokens(*messages: dict[str, Any], model: str = OLD, **fields: object) -> int:
    return estimate({"model": model, "messages": list(messages) or [user("Hello")], **fields})


def image(data: str = PNG_28, media_type: str = "image/png") -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def test_one_word_costs_the_frame_and_the_word() -> None:
    assert tokens() == 8


def test_the_shorthand_and_a_text_block_cost_the_same() -> None:
    assert tokens(user("Hello there")) == tokens(user([{"type": "text", "text": "Hello there"}]))


@given(st.text(), st.text(), st.sampled_from([OLD, NEW]))
def test_more_text_never_costs_less(start: str, more: str, model: str) -> None:
    assert tokens(user(start + more), model=model) >= tokens(user(start), model=model)


def test_the_system_prompt_counts() -> None:
    assert tokens(system="You weigh lorries.") > tokens()


def test_newer_tokenizers_make_about_30_percent_more_of_a_text() -> None:
    text = user("The bridge weighs every lorry before it may drive on. " * 50)
    assert 1.28 < tokens(text, model=NEW) / tokens(text, model=OLD) < 1.32


@pytest.mark.parametrize(
    ("model", "free", "forced"),
    [
        ("claude-opus-4-8", 290, 410),
        ("claude-opus-4-7", 675, 804),
        ("claude-opus-5", 286, 406),
        ("claude-sonnet-5", 354, 474),
        ("claude-sonnet-4-6", 497, 589),
        ("claude-sonnet-4-5-20250929", 496, 588),
        ("claude-haiku-4-5", 496, 588),
        ("claude-sonnet-4-20250514", 313, 315),
    ],
)
def test_tools_bring_the_documented_preamble(model: str, free: int, forced: int) -> None:
    def preamble(choice: str) -> int:
        tool = {"name": "t", "input_schema": {"type": "object"}}
        given_tool = tokens(model=model, tools=[tool], tool_choice={"type": choice, "name": "t"})
        second = tokens(model=model, tools=[tool] * 2, tool_choice={"type": choice, "name": "t"})
        return 2 * given_tool - second - tokens(model=model)

    assert preamble("auto") == pytest.approx(free, abs=2)
    assert preamble("none") == pytest.approx(free, abs=2)
    assert preamble("any") == pytest.approx(forced, abs=2)
    assert preamble("tool") == pytest.approx(forced, abs=2)


def test_an_unknown_model_is_taken_for_one_of_the_newest() -> None:
    text = user("The bridge weighs every lorry. " * 50)
    assert tokens(text, model="claude-epic-9") == tokens(text, model=NEW)


def test_a_longer_schema_costs_more() -> None:
    longer = {**WEATHER, "description": "Get the weather of a city, today and for ten days"}
    assert tokens(tools=[longer]) > tokens(tools=[WEATHER])


def test_tools_of_the_api_cost_what_is_documented_although_they_show_no_schema() -> None:
    bash = {"type": "bash_20250124", "name": "bash"}
    assert tokens(tools=[bash]) == tokens() + 496 + 245


def test_a_tool_use_and_its_result_cost_their_frames_and_texts() -> None:
    asked = [user("Weather?"), assistant("Let me see."), user("Sunny")]
    called = [
        user("Weather?"),
        assistant([{"type": "text", "text": "Let me see."}, CALL]),
        user([RESULT]),
    ]
    assert tokens(*called) - tokens(*asked) > 42


def test_thinking_of_earlier_turns_counts_only_where_the_model_keeps_it() -> None:
    def difference(model: str) -> int:
        def history(answer: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [user("Weather?"), assistant(answer), user("And tomorrow?")]

        text = {"type": "text", "text": "Sunny."}
        return tokens(*history([THOUGHT, text]), model=model) - tokens(
            *history([text]), model=model
        )

    assert difference("claude-sonnet-4-5") == 0
    assert difference("claude-opus-4-6") > 20


def test_thinking_within_the_running_tool_use_counts() -> None:
    def running(*answer: dict[str, Any]) -> int:
        return tokens(user("Weather?"), assistant(list(answer)), user([RESULT]), tools=[WEATHER])

    assert running(THOUGHT, CALL) - running(CALL) > 20


def test_redacted_thinking_costs_nothing() -> None:
    redacted = {"type": "redacted_thinking", "data": "x" * 1000}
    text = {"type": "text", "text": "Sunny."}
    messages = [user("Weather?"), assistant([redacted, text])]
    assert tokens(*messages) == tokens(messages[0], assistant([text]))


def test_extended_thinking_costs_a_preamble_in_the_older_models() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    assert tokens(thinking=thinking) == tokens() + 30
    assert tokens(model=NEW, thinking={"type": "adaptive"}) == tokens(model=NEW)


def test_an_output_format_costs_a_preamble_and_its_schema() -> None:
    form = {"type": "json_schema", "schema": WEATHER["input_schema"]}
    assert tokens(output_config={"format": form}) > tokens() + 128
    assert tokens(output_config={"effort": "low"}) == tokens()


def test_an_image_costs_its_tiles_wherever_it_stands() -> None:
    assert tokens(user([image()])) == 7 + 1 + 3
    in_result = {**RESULT, "content": [image()]}
    text_result = {**RESULT, "content": [{"type": "text", "text": ""}]}
    history = [user("Weather?"), assistant([CALL])]
    assert tokens(*history, user([in_result])) == tokens(*history, user([text_result])) + 4


@pytest.mark.parametrize(
    ("data", "media_type", "words"),
    [
        ("%%%", "image/png", "Could not process image"),
        ("iVBORw0KGgo=", "image/png", "Could not process image"),
        (PNG_28, "image/webp", "appears to be a image/png image"),
        (
            base64.b64encode(base64.b64decode(PNG_28)[:16] + b"\0\0\x20\0\0\0\0\x01").decode(),
            "image/png",
            "exceed max allowed size: 8000 pixels",
        ),
    ],
)
def test_an_image_that_the_api_refuses_is_refused(data: str, media_type: str, words: str) -> None:
    with pytest.raises(UnreadableMedia, match=words):
        tokens(user([image(data, media_type)]))


def document(source: dict[str, Any], **fields: object) -> dict[str, Any]:
    return {"type": "document", "source": source, **fields}


def test_documents_count_by_pages_or_by_text() -> None:
    data = base64.b64encode(b"%PDF-1.4\n<</Type/Page>>").decode()
    page = document({"type": "base64", "media_type": "application/pdf", "data": data})
    text = document({"type": "text", "media_type": "text/plain", "data": "Hello"}, title="A title")
    blocks = document({"type": "content", "content": [{"type": "text", "text": "Hello"}]})
    assert tokens(user([page])) == 7 + 1590
    assert tokens(user([text])) > tokens(user([blocks])) == 7 + 38 + 1


def test_a_broken_pdf_is_refused() -> None:
    broken = document({"type": "base64", "media_type": "application/pdf", "data": "aGVsbG8="})
    with pytest.raises(UnreadableMedia, match="PDF specified was not valid"):
        tokens(user([broken]))


def test_a_block_of_tomorrow_counts_by_its_text() -> None:
    assert tokens(user([{"type": "hologram", "caption": "a lorry on a bridge"}])) > 15
