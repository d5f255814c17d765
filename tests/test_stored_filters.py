"""What tests/stored_bytes/pottery_filters.py had Pottery itself write opens here, bit for bit."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pottery_like import BloomFilter, HyperLogLog
from pottery_like._ops.bloom import BloomOps
from tests.conftest import Maker

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "stored_bytes" / "pottery_filters.json").read_text())
ELEMENTS: list[Any] = GOLDEN["elements"]
SIZES: dict[str, Any] = {"num_elements": 100, "false_positives": 0.01}


@pytest.mark.parametrize(
    "golden", GOLDEN["filters"], ids=lambda each: f"{each['num_elements']}-{each['false_positives']}"
)
def test_offsets(golden: dict[str, Any]) -> None:
    ops: BloomOps[Any] = BloomOps(
        b"key", num_elements=golden["num_elements"], false_positives=golden["false_positives"]
    )
    assert (ops.bits, ops.hashes) == (golden["size"], golden["num_hashes"])
    for element, offsets in zip(ELEMENTS, golden["offsets"], strict=True):
        # Pottery spelled 1.0 so, and it is looked up by this spelling, too.
        assert ops.positions(ops.texts.find(element)[-1]) == offsets
        if element != 1.0 or isinstance(element, int):
            assert ops.positions(ops.texts.encode(element)) == offsets


def test_parameters_are_stored_so(redis: Any) -> None:
    BloomFilter(["a"], **SIZES, redis=redis, key="golden")
    stored = {key: redis.hget("{golden}:parameters", "parameters") for key in redis.hkeys("{golden}:parameters")}
    assert stored in (
        {"parameters": '{"false_positives": 0.01, "num_elements": 100}'},
        {b"parameters": b'{"false_positives": 0.01, "num_elements": 100}'},
    )
    redis.delete("golden", "{golden}:parameters")


@pytest.mark.parametrize("mode", [{"scalable": True}, {"window": 3600}], ids=str)
def test_own_layouts(redis: Any, mode: dict[str, Any]) -> None:
    subject: BloomFilter[Any] = BloomFilter(ELEMENTS, **SIZES, **mode, redis=redis, key="golden")
    offsets = OWN[next(iter(mode))]
    keys = ["golden", "{golden}:odd"]
    key = next(key for key in keys if redis.exists(key))
    assert all(redis.getbit(key, offset) for offset in offsets)
    assert not any(redis.getbit(key, offset) for offset in set(range(offsets[-1])) - set(offsets))
    subject.clear()


OWN: dict[str, list[int]] = {
    "scalable": [59, 65, 144, 351, 381, 402, 450, 460, 468, 502, 509, 529, 621, 700, 702, 775],
    "window": [7, 18, 24, 25, 39, 53, 61, 66, 69, 80, 82, 83, 108, 136, 143, 148],
}
"""The first bits that are set, in the layouts that are this library's own."""


def test_pottery_filter_opens(make: Maker) -> None:
    key, bits = make.new_key(), base64.b64decode(GOLDEN["bits"])
    make.run(make.client.set(key, bits))
    subject = make("BloomFilter", key=key, **SIZES)
    assert all(subject.contains_many(*ELEMENTS))
    assert len(subject) == GOLDEN["count"]
    assert sum(subject.contains_many(*range(100, 200))) == 0
    for element in ELEMENTS:
        if element != 1.0 or isinstance(element, int):
            assert subject.add(element) is False
    subject.update([element for element in ELEMENTS if element != 1.0 or isinstance(element, int)] * 2)
    assert read(make, key) == bits, "nothing has changed"


def test_pottery_hyperloglog_opens(make: Maker) -> None:
    key, registers = make.new_key(), base64.b64decode(GOLDEN["registers"])
    make.run(make.client.set(key, registers))
    subject = make("HyperLogLog", key=key)
    assert all(subject.contains_many(*ELEMENTS))
    assert len(subject) == GOLDEN["length"]
    assert not any(subject.contains_many(*range(100, 200)))


def test_same_hyperloglog(redis: Any) -> None:
    """The same elements give the same registers as with Pottery, apart from 1.0, which is 1 here."""
    mine = HyperLogLog([element for element in ELEMENTS if element != 1.0 or isinstance(element, int)], redis=redis)
    theirs = HyperLogLog(redis=redis)
    redis.set(theirs.key, base64.b64decode(GOLDEN["registers"]))
    with mine, theirs:
        assert len(mine | theirs) == len(theirs) == len(mine) + 1


def read(make: Maker, key: str) -> Any:
    setup = make.setup
    with type(setup)(setup.server, setup.topology, 2, "sync").client(decode_responses=False) as client:
        return client.get(key)
