"""What the filters refuse before anything is sent, and what they send."""

from __future__ import annotations

import math
import pickle
from decimal import Decimal
from typing import Any

import pytest

from pottery_like import AIOBloomFilter, BloomFilter, FilterFullError, FilterParametersError, HyperLogLog
from pottery_like._core.op import Batch, Op
from pottery_like._core.texts import Texts
from pottery_like._ops.bloom import BITMAP_BYTES, BloomOps
from pottery_like._ops.bloom_modes import bloom_ops
from pottery_like._ops.hyperloglog import HyperLogLogOps
from pottery_like.codecs import MsgpackCodec

NOWHERE = "redis://127.0.0.1:1"


@pytest.mark.parametrize("cls", [BloomFilter, AIOBloomFilter])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"num_elements": 0}, ValueError),
        ({"num_elements": -5}, ValueError),
        ({"num_elements": 10.0}, TypeError),
        ({"num_elements": "10"}, TypeError),
        ({"num_elements": True}, TypeError),
        ({"num_elements": None}, TypeError),
        ({"num_elements": 10**13}, ValueError),
        ({"num_elements": 10**400}, ValueError),
        ({"false_positives": 0}, ValueError),
        ({"false_positives": 0.0}, ValueError),
        ({"false_positives": 1}, ValueError),
        ({"false_positives": 1.5}, ValueError),
        ({"false_positives": -0.1}, ValueError),
        ({"false_positives": math.nan}, ValueError),
        ({"false_positives": math.inf}, ValueError),
        ({"false_positives": "0.1"}, TypeError),
        ({"false_positives": Decimal("0.1")}, TypeError),
        ({"false_positives": True}, TypeError),
        ({"scalable": 1}, TypeError),
        ({"window": 0}, ValueError),
        ({"window": "1"}, TypeError),
        ({"window": math.nan}, ValueError),
        ({"window": 1, "scalable": True}, ValueError),
        ({"num_elements": 10**9, "scalable": True}, ValueError),
        ({"num_elements": 10**9, "window": 5}, ValueError),
        ({"key": 5}, TypeError),
        ({"redis": 5, "redis_url": None}, TypeError),
    ],
    ids=str,
)
def test_refused(cls: Any, change: dict[str, Any], error: type[Exception]) -> None:
    options = {"num_elements": 10, "false_positives": 0.1, "key": "k", "redis_url": NOWHERE, **change}
    with pytest.raises(error):
        cls(**options)


def test_parameters_have_no_defaults() -> None:
    for options in ({"num_elements": 5}, {"false_positives": 0.1}):
        with pytest.raises(TypeError):
            BloomFilter(**options)  # type: ignore[call-arg]


def test_whatever_is_an_index() -> None:
    class Five:
        def __index__(self) -> int:
            return 5

    assert BloomOps(b"k", num_elements=Five(), false_positives=0.5).num_elements == 5  # type: ignore[arg-type,misc]


def test_errors_survive_pickling() -> None:
    for error in (FilterParametersError(key="k", message="m"), FilterFullError(key="k", message="m")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.key, str(again)) == (type(error), "k", "m")


def ops(**options: Any) -> BloomOps[Any]:
    return bloom_ops(b"k", **{"num_elements": 100, "false_positives": 0.01, **options})


def steps(program: Any) -> list[Any]:
    """Return what a program yields when every reply decodes to nothing."""
    found = []
    try:
        found.append(next(program))
        while True:
            found.append(program.send(None))
    except StopIteration:
        return found


def test_nothing_is_sent_for_nothing() -> None:
    assert steps(ops().update([])) == steps(ops().update([(), {}])) == []
    assert steps(ops().contains_many([object(), {1}])) == []
    assert steps(ops().intersection_update([])) == []
    assert steps(HyperLogLogOps(b"k").update([[]])) == []


def test_a_bitmap_goes_where_it_is_smaller() -> None:
    def sent(num_elements: int) -> Op[None]:
        [op] = steps(ops(num_elements=num_elements).update([range(100)]))
        result: Op[None] = op
        return result

    small, large = sent(100), sent(100_000)
    assert (small.name, large.name) == ("bloom_or", "bloom_update")
    assert len(small.args[1]) == math.ceil(959 / 8)  # type: ignore[arg-type]
    assert len(large.args[1]) == 4 * 7 * 100  # type: ignore[arg-type]
    bound = BITMAP_BYTES * 7 * 100 * 8
    assert ops(num_elements=100_000).bits > bound > ops(num_elements=100).bits


def test_many_go_in_chunks() -> None:
    batch = next(HyperLogLogOps(b"k").update([range(2500)]))
    assert isinstance(batch, Batch)
    assert [len(op.args) for op in batch.ops] == [1000, 1000, 500]
    program = ops(num_elements=10**7).update([range(2500)])
    batch = next(program)
    assert isinstance(batch, Batch)
    hashes = ops(num_elements=10**7).hashes
    assert [len(op.args[1]) // (4 * hashes) for op in batch.ops] == [1000, 1000, 500]  # type: ignore[arg-type]


def test_big_layout() -> None:
    big = ops(num_elements=10**9)
    assert big.keys == (b"k", b"{k}:parameters", b"{k}:bits:1", b"{k}:bits:2")
    positions = big.positions(b'"rajiv"')
    assert positions == [2544922510, 3406888758, 7018510841, 4224745906, 4103042640, 114193499, 3220769283]
    op = big.add("rajiv")
    assert set(op.keys) <= set(big.keys)
    assert len(op.args[2]) == 2 * 7  # type: ignore[arg-type]
    spread = {position // 2**32 for text in range(100) for position in big.positions(b"%d" % text)}
    assert spread == {0, 1, 2}


def test_exactly_2_to_the_32_bits_is_one_string() -> None:
    number = int(2**32 * math.log(2) ** 2 / -math.log(0.01))
    assert ops(num_elements=number).strings == 1
    assert ops(num_elements=number + 1).strings == 2


def test_texts() -> None:
    texts: Texts[Any] = Texts()
    assert texts.encode(1.0) == b"1"
    assert texts.encode(-0.0) == b"0"
    assert texts.encode(1e16) == b"10000000000000000"
    assert texts.encode([1.0, {"a": (2.0, 2.5)}]) == b'[1, {"a": [2, 2.5]}]'
    assert texts.find(1.0) == (b"1", b"1.0")
    assert texts.find([1.0]) == (b"[1]", b"[1.0]")
    assert texts.find("1.0") == (b'"1.0"',)
    assert texts.find(True) == (b"true",)
    assert texts.find(object()) == ()
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert texts.find(deep) == ()
    with pytest.raises(ValueError, match="nested too deeply"):
        texts.encode(deep)
    packed: Texts[Any] = Texts(MsgpackCodec())
    assert packed.find(b"raw") == (packed.encode(b"raw"),)
    assert packed.find(object()) == ()


def test_hyperloglog_is_opened_without_io() -> None:
    assert HyperLogLog(key="k", redis_url=NOWHERE).key == "k"
    assert BloomFilter(num_elements=5, false_positives=0.5, key="k", redis_url=NOWHERE).num_hashes() == 2
