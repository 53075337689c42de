"""Bodies for properties, with the oracle built in.

``Api`` marks the objects whose keys the API knows and whose order is therefore free; every other
object is free JSON. The text that the code under test reads does not show the marks.
"""

from typing import Any

from hypothesis import strategies as st


class Api(dict[str, Any]):
    """An object whose keys have no order."""


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**53 - 2, max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
)
free_json = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)
free_objects = st.dictionaries(st.text(max_size=3), free_json, max_size=2)


def api(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[Api]:
    """Objects of the API with these fields; now and then with a field of the future."""
    known = {**(optional or {}), "x_future": free_json}
    return st.fixed_dictionaries(required, optional=known).map(Api)


cache_control = api({"type": st.just("ephemeral")}, {"ttl": st.sampled_from(["5m", "1h"])})
marked: dict[str, Any] = {"cache_control": cache_control}
citation = api({"type": st.just("char_location"), "cited_text": st.text(max_size=5)})
base64_source = api({"type": st.just("base64"), "data": st.text(max_size=20)})
text_block = api(
    {"type": st.just("text"), "text": st.text(max_size=8)},
    {**marked, "citations": st.lists(citation, max_size=2)},
)
image_block = api({"type": st.just("image"), "source": base64_source}, marked)
content_source = api(
    {"type": st.just("content"), "content": st.lists(text_block | image_block, max_size=2)}
)
document_block = api(
    {"type": st.just("document"), "source": base64_source | content_source},
    {**marked, "citations": api({"enabled": st.booleans()}), "title": st.text(max_size=5)},
)
tool_use_block = api(
    {
        "type": st.sampled_from(["tool_use", "server_tool_use", "mcp_tool_use"]),
        "name": st.text(max_size=5),
        "input": free_objects,
    },
    marked,
)
tool_result_block = api(
    {"type": st.just("tool_result"), "tool_use_id": st.text(max_size=5)},
    {
        "content": st.text(max_size=8)
        | st.lists(text_block | image_block | document_block, max_size=2)
    },
)
unknown_block = api({"type": st.just("invented"), "content": free_json}, marked)
blocks = st.lists(
    text_block | image_block | document_block | tool_use_block | tool_result_block | unknown_block,
    max_size=2,
)
message = api(
    {"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=8) | blocks},
)
tool = api(
    {"name": st.text(max_size=8), "input_schema": free_objects},
    {**marked, "input_examples": st.lists(free_objects, max_size=2)},
)
output_format = api({"type": st.just("json_schema"), "schema": free_objects})
bodies = api(
    {
        "model": st.text(min_size=1, max_size=10),
        "messages": st.lists(message, min_size=1, max_size=2),
    },
    {
        **marked,
        "system": st.text(max_size=8) | st.lists(text_block, max_size=2),
        "tools": st.lists(tool, max_size=2),
        "tool_choice": api({"type": st.just("auto")}),
        "thinking": api({"type": st.just("enabled"), "budget_tokens": st.integers()}),
        "output_config": api({"format": output_format}, {"effort": st.just("low")}),
    },
)
