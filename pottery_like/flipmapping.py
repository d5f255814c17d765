"""FlipCache as a mapping of the keys in Redis: what dict's own methods would say of the local tier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from typing_extensions import Self

from pottery_like.flipbase import FlipBase, K, V
from pottery_like.flipviews import FlipItemsView, FlipKeysView, FlipValuesView


class FlipMapping(FlipBase[K, V]):
    """Iteration, comparison and combination: by the keys in Redis."""

    def __iter__(self) -> Iterator[K]:
        """``iter(cache)``: the keys in Redis, in no order.  O(database), 1 round trip per thousand keys there, and 1.

        Keys that are there from beginning to end come exactly once.
        """
        self._settled()
        return self._runner.iterate(self._scan.keys(self._anchors()))

    def _values(self) -> Iterator[V]:
        self._settled()
        return self._runner.iterate(self._scan.values(self._anchors()))

    def _items(self) -> Iterator[tuple[K, V]]:
        self._settled()
        return self._runner.iterate(self._scan.items(self._anchors()))

    def __len__(self) -> int:
        """``len(cache)``: how many keys there are in Redis.  O(database), as iteration."""
        self._settled()
        return self._drive(self._scan.size(self._anchors()))

    def __bool__(self) -> bool:
        """Whether there is any key in Redis.  As iteration, as far as the first key."""
        return any(True for _ in self)

    def keys(self) -> FlipKeysView[K]:  # type: ignore[override]
        """Return a live view of the keys in Redis."""
        return FlipKeysView(self)

    def values(self) -> FlipValuesView[V]:  # type: ignore[override]
        """Return a live view of the values in Redis.  As iteration, and 1 more round trip per page."""
        return FlipValuesView(self)

    def items(self) -> FlipItemsView[K, V]:  # type: ignore[override]
        """Return a live view of the items in Redis.  As iteration, and 1 more round trip per page."""
        return FlipItemsView(self)

    def to_dict(self) -> dict[K, V]:
        """Return a plain dict of all items.  As ``dict(cache.items())``."""
        self._settled()
        return self._drive(self._scan.to_dict(self._anchors()))

    def copy(self) -> dict[K, V]:
        """Return a plain dict of all items: as :meth:`to_dict`."""
        return self.to_dict()

    def __copy__(self) -> dict[K, V]:
        return self.to_dict()

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[K, V]:
        return self.to_dict()

    def __eq__(self, other: object) -> bool:
        """``cache == other``, for any mapping: the items in Redis.  As iteration."""
        if self is other:
            return True
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.to_dict() == (other.to_dict() if isinstance(other, FlipMapping) else dict(other))

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = None  # type: ignore[assignment]
    __reversed__ = None  # type: ignore[assignment]

    def __or__(self, other: Any) -> dict[Any, Any]:
        """``cache | other``: a plain dict.  As iteration."""
        return self.to_dict() | dict(other.items()) if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Any) -> dict[Any, Any]:
        """``other | cache``: a plain dict.  As iteration."""
        return dict(other.items()) | self.to_dict() if isinstance(other, Mapping) else NotImplemented

    def __ior__(self, other: Any) -> Self:  # type: ignore[override]
        """``cache |= other``: as update()."""
        self.update(other)
        return self
