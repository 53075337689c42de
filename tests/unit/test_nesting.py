"""The depth of JSON text, measured in pieces, is that of one walk from end to end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.nesting import PIECE_BYTES, nests_deeper

BOUND = 8
JSON = st.recursive(
    st.text(alphabet='\\"[]{}n/é ') | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='\\"[{'), inner, max_size=4)
    ),
    max_leaves=60,
)


@given(JSON)
def test_the_depth_is_that_of_the_parsed_value(value: object) -> None:
    for ascii_only in (True, False):
        raw = json.dumps(value, ensure_ascii=ascii_only).encode()
        for bound in range(4):
            assert nests_deeper(raw, bound) == (depth(value) > bound)


@pytest.mark.parametrize("shift", range(-4, 5))
@pytest.mark.parametrize("backslashes", [0, 2, 4, 5 * PIECE_BYTES])
@pytest.mark.parametrize("quotes", [0, 1, 2])
def test_a_string_across_the_edge_of_a_piece_hides_its_brackets(
    shift: int, backslashes: int, quotes: int
) -> None:
    filler = b"x" * (PIECE_BYTES + shift - BOUND)
    string = b'"' + filler + b"\\" * backslashes + rb"\"" * quotes + b'[[[["'
    nested = b"[" * (BOUND - 1) + b"[" + string + b",1]" + b"]" * (BOUND - 1)
    assert json.loads(nested)
    assert not nests_deeper(nested, BOUND)
    assert nests_deeper(b"[" + nested + b"]", BOUND)


def depth(value: object) -> int:
    """Measure a value's nesting by recursion."""
    if not isinstance(value, list | dict):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0)
