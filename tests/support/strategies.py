"""Values that JSON can carry, and some that it can't."""

from __future__ import annotations

from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)

# Few, so that they meet again.  Booleans are left out: unlike in Python, they are not 0 and 1 here.
keys = st.sampled_from(
    ["a", "b", "", "é", "\N{GRINNING FACE}", 0, 1, -1, 2**70, 1.5, 1.0, -0.0, 1e22, None, (), ("a", 1), (1.0, (2,))]
)

unhashable: list[object] = [[], {}, {1}, [1], ([],)]
uncarried: list[object] = [
    float("nan"),
    float("inf"),
    -float("inf"),
    b"bytes",
    {1, 2},
    frozenset({1}),
    object(),
    1j,
    "\ud800",
    ["x", "a\udfffb"],
    {1: "int key"},
    {"nested": [{2: 3}]},
    {"\ud800": 1},
]
"""What JSON can't carry, in value position."""


def kind(value: object) -> str:
    """Name a value in a test's id."""
    return type(value).__name__
