"""The views that RedisDict's keys(), values() and items() return: live, like a dict's."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Set, ValuesView
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from pottery_like.dict import RedisDict

K = TypeVar("K")
V = TypeVar("V")


class _View(Generic[K, V]):
    _dict: RedisDict[K, V]

    @property
    def mapping(self) -> MappingProxyType[K, V]:
        """The dict that this view shows, read-only."""
        return MappingProxyType(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"  # type: ignore[call-overload]


class _Algebra(_View[K, V]):
    """Set algebra by one read of the whole view; what the builtin's view does with it is the result."""

    def _read(self) -> Any:
        raise NotImplementedError

    def __and__(self, other: Iterable[Any]) -> set[Any]:
        return self._read() & other  # type: ignore[no-any-return]

    def __or__(self, other: Iterable[Any]) -> set[Any]:
        return self._read() | other  # type: ignore[no-any-return]

    def __sub__(self, other: Iterable[Any]) -> set[Any]:
        return self._read() - other  # type: ignore[no-any-return]

    def __xor__(self, other: Iterable[Any]) -> set[Any]:
        return self._read() ^ other  # type: ignore[no-any-return]

    def __rand__(self, other: Iterable[Any]) -> set[Any]:
        return other & self._read()  # type: ignore[no-any-return]

    def __ror__(self, other: Iterable[Any]) -> set[Any]:
        return other | self._read()  # type: ignore[no-any-return]

    def __rsub__(self, other: Iterable[Any]) -> set[Any]:
        return other - self._read()  # type: ignore[no-any-return]

    def __rxor__(self, other: Iterable[Any]) -> set[Any]:
        return other ^ self._read()  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return bool(self._read() == _plain(other)) if isinstance(other, Set) else NotImplemented

    def __le__(self, other: Set[Any]) -> bool:
        return bool(self._read() <= _plain(other)) if isinstance(other, Set) else NotImplemented

    def __lt__(self, other: Set[Any]) -> bool:
        return bool(self._read() < _plain(other)) if isinstance(other, Set) else NotImplemented

    def __ge__(self, other: Set[Any]) -> bool:
        return bool(self._read() >= _plain(other)) if isinstance(other, Set) else NotImplemented

    def __gt__(self, other: Set[Any]) -> bool:
        return bool(self._read() > _plain(other)) if isinstance(other, Set) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Whether the two have nothing in common.  O(n), 1 round trip."""
        return bool(self._read().isdisjoint(other))


def _plain(other: Any) -> Any:
    return other._read() if isinstance(other, _Algebra) else other


class RedisKeysView(_Algebra[K, V], KeysView[K]):
    """``d.keys()``: iteration and membership as the dict's, set algebra in one round trip."""

    def __init__(self, mapping: RedisDict[K, V]) -> None:
        self._dict = mapping

    def _read(self) -> Any:
        return dict.fromkeys(self._dict._run(self._dict._ops.keys())).keys()

    def __and__(self, other: Iterable[Any]) -> set[Any]:
        candidates = list(other)
        found = self._dict._run(self._dict._ops.contains_many(candidates))
        return {candidate for candidate, there in zip(candidates, found, strict=True) if there}

    __rand__ = __and__

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Whether no element of ``other`` is a key.  O(len(other)), 1 round trip."""
        return not any(self._dict._run(self._dict._ops.contains_many(other)))

    def __contains__(self, key: object) -> bool:
        return key in self._dict

    def __iter__(self) -> Iterator[K]:
        return iter(self._dict)

    def __reversed__(self) -> Iterator[K]:
        return reversed(self._dict)


class RedisValuesView(_View[K, V], ValuesView[V]):
    """``d.values()``."""

    def __init__(self, mapping: RedisDict[K, V]) -> None:
        self._dict = mapping

    def __contains__(self, value: object) -> bool:
        return self._dict._run(self._dict._ops.contains_value(value))

    def __iter__(self) -> Iterator[V]:
        return self._dict._iterate(self._dict._ops.scan_values())

    def __reversed__(self) -> Iterator[V]:
        return iter(self._dict._drive(self._dict._ops.reversed_values()))


class RedisItemsView(_Algebra[K, V], ItemsView[K, V]):
    """``d.items()``: set algebra in one round trip, with hashable values, as with dict."""

    def __init__(self, mapping: RedisDict[K, V]) -> None:
        self._dict = mapping

    def _read(self) -> Any:
        return self._dict.to_dict().items()

    def __contains__(self, item: object) -> bool:
        if not (isinstance(item, tuple) and len(item) == 2):
            return False
        return self._dict._run(self._dict._ops.contains_item(*item))

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._dict._iterate(self._dict._ops.scan_items())

    def __reversed__(self) -> Iterator[tuple[K, V]]:
        return iter(self._dict._drive(self._dict._ops.reversed_items()))
