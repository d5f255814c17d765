"""The views that FlipCache's keys(), values() and items() return: live, page by page."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pottery_like.flipmapping import FlipMapping

K = TypeVar("K")
V = TypeVar("V")


class FlipKeysView(KeysView[K]):
    """The keys of a FlipCache."""

    _mapping: FlipMapping[Any, Any]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"


class FlipValuesView(ValuesView[V]):
    """The values of a FlipCache."""

    _mapping: FlipMapping[Any, Any]

    def __contains__(self, value: object) -> bool:
        return any(each == value for each in self)

    def __iter__(self) -> Iterator[V]:
        return self._mapping._values()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"


class FlipItemsView(ItemsView[K, V]):
    """The items of a FlipCache."""

    _mapping: FlipMapping[Any, Any]

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        key, value = item
        return key in self._mapping and bool(self._mapping.get(key) == value)

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping._items()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)!r})"
