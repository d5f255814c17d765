"""Slots and siblings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from pottery_like._core.keys import SLOTS, container_key, sibling, slot, slot_tag
from pottery_like._core.op import Op, ok


@given(st.binary(min_size=1))
def test_slot_is_the_clusters(key: bytes) -> None:
    assert slot(key) == key_slot(key)


@given(st.text(st.sampled_from("ab{}:"), min_size=1, max_size=8).map(str.encode))
def test_a_sibling_is_in_the_slot(key: bytes) -> None:
    other = sibling(key, "more")
    assert slot(other) == slot(key) == key_slot(other)
    assert other != key


def test_every_slot_has_a_tag() -> None:
    for number in (0, 1, SLOTS // 2, SLOTS - 1):
        assert key_slot(slot_tag(number)) == number


def test_bad_keys() -> None:
    for bad, error in ((b"k", TypeError), (1, TypeError), ("", ValueError), ("\ud800", ValueError)):
        with pytest.raises(error):
            container_key(bad)  # type: ignore[arg-type]


def test_an_op_keeps_to_one_slot() -> None:
    assert Op("SUNION", (b"{a}1", b"{a}2"), (), ok, True).slot == slot(b"a")
    with pytest.raises(ValueError, match="not in one hash slot"):
        Op("SUNION", (b"a", b"b"), (), ok, True).slot  # noqa: B018
