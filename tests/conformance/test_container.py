"""What every container has, whatever its type."""

from __future__ import annotations

import copy
import datetime
import pickle
from typing import Any

import pytest

import pottery_like
from pottery_like import KeyExistsError
from tests.conftest import Maker
from tests.support.calls import FILL
from tests.support.facade import unwrap
from tests.support.strategies import kind, uncarried

NAMES = sorted(FILL)


def plain(container: Any) -> Any:
    """Return the contents as a builtin."""
    for name in ("to_counter", "to_dict", "to_set", "to_list"):
        if hasattr(container, name):
            return getattr(container, name)()
    raise AssertionError(container)


@pytest.mark.parametrize("name", NAMES)
def test_lifetime(make: Maker, name: str) -> None:
    container = make(name, FILL[name](3))
    assert container.ttl() is None
    assert container.persist() is False
    assert container.expire(100) is True
    assert 99 < container.ttl() <= 100
    assert container.expire(datetime.timedelta(minutes=1)) is True
    assert 59 < container.ttl() <= 60
    assert container.persist() is True
    assert container.ttl() is None
    container.clear()
    assert len(container) == 0
    assert container.expire(1) is False


@pytest.mark.parametrize("name", NAMES)
def test_expiry_survives_changes(make: Maker, name: str) -> None:
    container = make(name, FILL[name](3))
    container.expire(100)
    if name in {"RedisDict", "RedisCounter"}:
        container.update({"new": 1})
    elif name == "RedisSet":
        container.update({"new"})
        container.intersection_update({"new", "k0", "k1"})
        container.symmetric_difference_update({"other"})
    else:
        container.extend([3, 1, 2])
        container.insert(1, 7)
        container.reverse()
        container.remove(7)
    assert 99 < container.ttl() <= 100


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf")])
def test_expire_refuses_bad_numbers(make: Maker, name: str, ttl: float) -> None:
    if make.setup.topology == "standalone":
        container = make(name, FILL[name](3))
        with pytest.raises(ValueError, match="ttl"):
            container.expire(ttl)
        with pytest.raises(TypeError):
            container.expire("soon")
        assert container.ttl() is None


@pytest.mark.parametrize("name", NAMES)
def test_existing_key(make: Maker, name: str) -> None:
    """Opening shares the data; filling what exists is refused, and changes nothing."""
    first = make(name, FILL[name](3))
    again = make(name, key=first.key)
    assert plain(again) == plain(first)
    before = plain(first)
    for n in (1, 2500):
        with pytest.raises(KeyExistsError) as caught:
            make(name, FILL[name](n), key=first.key)
        assert caught.value.key == first.key
        assert caught.value.redis is make.client
    assert plain(first) == before


@pytest.mark.parametrize("name", NAMES)
def test_copy_is_another_container(make: Maker, name: str) -> None:
    first = make(name, FILL[name](3))
    second = first.copy()
    assert second.key != first.key
    assert plain(second) == plain(first)
    second.clear()
    assert len(first) == 3
    if make.loop is None:
        for duplicate in (copy.copy(first), copy.deepcopy(first)):
            assert duplicate.key != first.key
            assert plain(duplicate) == plain(first)
            duplicate.clear()
    else:
        for function in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="await"):
                function(unwrap(first))


@pytest.mark.parametrize("name", NAMES)
def test_pickle_is_a_reference(make: Maker, name: str) -> None:
    if make.loop is None:
        first = make(name, FILL[name](3))
        second = pickle.loads(pickle.dumps(first))
        assert type(second) is type(first)
        assert second.key == first.key
        assert plain(second) == plain(first)
        second.clear()
        assert len(first) == 0
        second.redis.close()


@pytest.mark.parametrize("name", NAMES)
def test_equality_with_its_like(make: Maker, name: str) -> None:
    first, second, other = make(name, FILL[name](3)), make(name, FILL[name](3)), make(name, FILL[name](2))
    assert first.__eq__(second)
    assert not first.__eq__(other)
    assert first.__eq__(make(name, key=first.key))
    if make.loop is None:
        assert first != other
        assert first != object()
        with pytest.raises(TypeError, match="unhashable"):
            hash(first)


@pytest.mark.parametrize("name", NAMES)
def test_named_containers_outlive_their_block(make: Maker, name: str) -> None:
    if make.loop is None:
        with make(name, FILL[name](3)) as container:
            pass
        assert len(container) == 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", uncarried, ids=kind)
def test_what_json_cannot_carry_is_refused(redis: Any, name: str, value: Any) -> None:
    """With TypeError or ValueError naming the type; nothing is sent, so nothing changes."""
    container = getattr(pottery_like, name)(FILL[name](3), redis=redis, key=f"refuse:{name}")
    before, trips = plain(container), container._runner.round_trips
    store = {
        "RedisDict": [lambda: container.__setitem__("k", value), lambda: container.update({"a": 1, "b": value})],
        "RedisSet": [lambda: container.add(value), lambda: container.update(["a", value])],
        "RedisCounter": [lambda: container.__setitem__("k", value), lambda: container.update({"a": 1, "b": value})],
    }.get(name, [lambda: container.append(value), lambda: container.extend([1, value])])
    for call in store:
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        if not (name == "RedisSet" and isinstance(value, set | list | dict)):
            assert type(value).__name__ in str(caught.value) or "key of type" in str(caught.value)
    assert container._runner.round_trips == trips + (name == "RedisCounter") * 0
    assert plain(container) == before
    container.clear()


@pytest.mark.parametrize("name", NAMES)
def test_circular_values_are_refused(redis: Any, name: str) -> None:
    if name in {"RedisDict", "RedisList", "RedisDeque"}:
        circle: list[Any] = []
        circle.append(circle)
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        container = getattr(pottery_like, name)(redis=redis, key=f"circle:{name}")
        for value in (circle, deep):
            with pytest.raises(ValueError, match="list"):
                container.__setitem__("k", value) if name == "RedisDict" else container.append(value)
        assert len(container) == 0


@pytest.mark.parametrize("name", NAMES)
def test_bad_arguments(name: str) -> None:
    cls, twin = getattr(pottery_like, name), getattr(pottery_like, f"AIO{name}")
    for each in (cls, twin):
        with pytest.raises(TypeError, match="key"):
            each(key=b"bytes")
        with pytest.raises(TypeError, match="redis"):
            each(redis=5)
        with pytest.raises(TypeError, match="not both"):
            each(redis="redis://a", redis_url="redis://b")
    import redis
    import redis.asyncio

    with pytest.raises(TypeError, match=r"synchronous redis-py client"):
        cls(redis=redis.asyncio.Redis())
    with pytest.raises(TypeError, match=r"redis\.asyncio client"):
        twin(redis=redis.Redis())


@pytest.mark.parametrize("name", NAMES)
def test_sync_says_how_durable(make: Maker, name: str) -> None:
    assert make(name, FILL[name](3)).sync() == "memory"
