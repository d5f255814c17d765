"""What codecs carry, and what they refuse."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pottery_like._core.elements import Members, Values
from pottery_like.codecs import DataclassCodec, JSONCodec, MsgpackCodec, PickleCodec, dumps
from pottery_like.exceptions import DecodeError
from tests.support.strategies import keys, kind, texts, uncarried, values

SECRET = b"sixteen bytes or more"


@dataclasses.dataclass
class Point:
    x: int
    y: int


@given(values)
def test_json_is_what_json_writes(value: Any) -> None:
    assert dumps(value) == json.dumps(value, sort_keys=True)
    assert JSONCodec().decode(JSONCodec().encode(value)) == value


@pytest.mark.parametrize("value", uncarried, ids=kind)
def test_json_refuses(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        dumps(value)


@given(keys)
def test_keys_have_one_spelling(key: Any) -> None:
    members: Members[Any] = Members()
    assert members.decode(members.encode(key)) == key
    if isinstance(key, int):
        assert members.encode(key) == members.encode(float(key)) or float(key) != key


@given(values)
def test_spellings_hold_every_equal_value(value: Any) -> None:
    codec: Values[Any] = Values()
    texts = codec.spellings(value)
    assert texts[0] == codec.encode(value)
    assert all(codec.decode(text) == value for text in texts)


def test_spellings_of_numbers() -> None:
    codec: Values[Any] = Values()
    assert set(codec.spellings(1)) == {b"1", b"1.0", b"true"}
    assert set(codec.spellings(0.0)) == {b"0", b"0.0", b"-0.0", b"false"}
    assert set(codec.spellings([2])) == {b"[2]", b"[2.0]"}
    assert codec.spellings(1.5) == (b"1.5",)
    assert codec.spellings(b"bytes") == ()
    assert len(codec.spellings([1] * 10)) == 1, "too many: only the usual one"


def test_pickle_is_signed() -> None:
    codec = PickleCodec(SECRET)
    raw = codec.encode({1, 2})
    assert codec.decode(raw) == {1, 2}
    for forged in (b"", raw[:-1], raw[:40] + b"x" + raw[41:], pickle.dumps("unsigned")):
        with pytest.raises(ValueError, match="signature"):
            codec.decode(forged)
    with pytest.raises(ValueError, match="signature"):
        PickleCodec(b"another sixteen bytes").decode(raw)
    with pytest.raises(TypeError, match="function"):
        codec.encode(lambda: None)
    with pytest.raises(ValueError, match="16"):
        PickleCodec(b"short")
    with pytest.raises(TypeError):
        PickleCodec("text")  # type: ignore[arg-type]


class Bomb:
    """Unpickling this runs code."""

    went_off = False

    def __reduce__(self) -> Any:
        return setattr, (Bomb, "went_off", True)


@given(st.data())
def test_tampered_pickles_are_not_unpickled(data: Any) -> None:
    codec = PickleCodec(SECRET)
    body = pickle.dumps([Bomb()])
    signed = codec._sign(pickle.dumps("harmless")) + body
    raw = data.draw(
        st.sampled_from([body, b"\0" * 32 + body, hashlib.sha256(body).digest() + body, signed])
        | st.binary(max_size=40).map(lambda junk: junk + body)
    )
    with pytest.raises(ValueError, match="signature does not match"):
        codec.decode(raw)
    good = codec.encode([1, "two"])
    place = data.draw(st.integers(0, len(good) - 1))
    bad = good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :]
    with pytest.raises(ValueError, match="signature does not match"):
        codec.decode(bad)
    assert not Bomb.went_off


def test_a_signed_pickle_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)))
    with pytest.raises(ValueError, match="signature"):
        PickleCodec(SECRET).decode(PickleCodec(SECRET).encode(1))
    assert len(compared) == 1, "and by nothing else"


@given(values | st.binary(max_size=5) | st.sets(st.integers()) | st.tuples(st.integers(), st.dates()))
def test_pickle_comes_back(value: Any) -> None:
    found = PickleCodec(SECRET).decode(PickleCodec(SECRET).encode(value))
    assert found == value
    assert type(found) is type(value)


packed_keys = st.integers(0, 9) | texts | st.binary(max_size=3) | st.tuples(st.integers(0, 9), st.tuples(texts))
packable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(packed_keys, inner, max_size=3),
    max_leaves=6,
)


@given(packable)
def test_msgpack_comes_back(value: Any) -> None:
    found = MsgpackCodec().decode(MsgpackCodec().encode(value))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**70, 1j, "\ud800", ["a", {"b": Point}]], ids=kind)
def test_msgpack_refuses(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        MsgpackCodec().encode(value)


def test_msgpack() -> None:
    codec = MsgpackCodec()
    assert codec.decode(codec.encode({"a": [b"bytes", 1]})) == {"a": [b"bytes", 1]}
    for value in (object(), 2**70):
        with pytest.raises((TypeError, ValueError)):
            codec.encode(value)
    assert pickle.loads(pickle.dumps(codec)).encode(1) == b"\x01"


def test_dataclass() -> None:
    codec = DataclassCodec(Point)
    assert codec.decode(codec.encode(Point(1, 2))) == Point(1, 2)
    with pytest.raises(TypeError, match="Point, not dict"):
        codec.encode({"x": 1})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not a dataclass"):
        DataclassCodec(int)


def test_codecs_of_a_dict(redis: Any) -> None:
    from pottery_like import RedisDict

    for codec, value in ((PickleCodec(SECRET), {1}), (MsgpackCodec(), b"b"), (DataclassCodec(Point), Point(1, 2))):
        subject: RedisDict[str, Any] = RedisDict({"k": value}, redis=redis, key="codec", codec=codec)
        assert subject.to_dict() == {"k": value}
        assert pickle.loads(pickle.dumps(subject))["k"] == value
        with pytest.raises(DecodeError):
            RedisDict(redis=redis, key="codec", codec=PickleCodec(b"another sixteen bytes"))["k"]
        subject.clear()


def test_a_page_with_a_broken_element_names_it() -> None:
    codec: Values[Any] = Values()
    for bad in (b"nonsense", b"1, 2", b"\xff", b"", b"[1", b'"a'):
        with pytest.raises(DecodeError) as caught:
            codec.decode_many([b"1", bad, b"3"])
        assert caught.value.raw == bad
