"""The results that a process keeps by itself: the local tier of a redis_cache()."""

from __future__ import annotations

import math
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from pottery_like._core.keys import sibling
from pottery_like._core.op import Op
from pottery_like._ops.flight import Hit
from pottery_like._ops.memo import MemoOps


class Near:
    """The results that were used last, until they change or expire.

    The server names the hash that has changed, not the field: any change, a new result included, removes all results.

    :param ops: the function's.
    :param lock: makes the lock that guards it.
    """

    def __init__(self, ops: MemoOps, lock: Callable[[], AbstractContextManager[Any]]) -> None:
        self.prefixes: tuple[bytes, ...] = (ops.key, sibling(ops.key, ""))
        self._keys = frozenset((ops.key, ops.marks))
        self._most = ops.options.local
        self._early = ops.options.early
        self._make_lock = lock
        self._lock = lock()
        self._kept: OrderedDict[bytes, tuple[Hit, float]] = OrderedDict()
        self._expected: dict[bytes, object] = {}

    def find(self, field: bytes) -> Hit | None:
        """Return a result that is still good."""
        with self._lock:
            found = self._kept.get(field)
            if found is None:
                return None
            if time.monotonic() >= found[1]:
                del self._kept[field]
                return None
            self._kept.move_to_end(field)
            return found[0]

    def expect(self, field: bytes) -> object:
        """Announce that a result will be asked for."""
        mark = object()
        with self._lock:
            self._expected[field] = mark
        return mark

    def keep(self, field: bytes, mark: object, found: Any, sent: float) -> None:
        """Keep what an answer has brought, unless something was heard of it meanwhile.

        :param mark: what announced it.
        :param sent: when it was asked for, in ``time.monotonic()``'s seconds.
        """
        with self._lock:
            if self._expected.get(field) is not mark:
                return
            del self._expected[field]
            # An old result that is served while another one is computed isn't kept.
            if isinstance(found, Hit) and found.ttl > 0:
                self._kept[field] = found, sent + found.ttl - self._sooner(found)
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)

    def _sooner(self, hit: Hit) -> float:
        # Here, too, somebody must come to renew it before it expires.
        if not self._early or hit.ttl == math.inf or hit.raw.startswith(b"|"):
            return 0.0
        took = int(hit.raw.split(b" ", 2)[1]) / 1000
        return -took * self._early * math.log(1.0 - random.random())

    def written(self, op: Op[Any]) -> None:
        """Forget the result that this process has replaced."""
        field: Any = op.args[1]
        with self._lock:
            self._kept.pop(field, None)
            self._expected.pop(field, None)

    # What the listener calls.

    def invalidate(self, keys: Sequence[bytes]) -> None:
        """Forget all if the hash was changed."""
        if not self._keys.isdisjoint(keys):
            self.drop()

    def drop(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()
            self._expected.clear()

    def sweep(self, now: float) -> float:
        """Do nothing: a look at the clock is part of a hit."""
        return math.inf

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._lock = self._make_lock()
