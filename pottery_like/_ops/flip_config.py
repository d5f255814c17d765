"""What FlipCache is made of, from the arguments that both worlds have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from pottery_like._core.local import LocalTier
from pottery_like._core.localviews import MappedTier
from pottery_like._ops.common import milliseconds
from pottery_like._ops.flight import LEASE
from pottery_like._ops.flip_back import FlipBack
from pottery_like._ops.flip_core import FlipCore
from pottery_like._ops.flip_scan import FlipScan
from pottery_like._ops.flip_tags import FlipTags
from pottery_like._ops.flip_texts import Names, Texts
from pottery_like._ops.flipcache import FlipOps

EVICTIONS = ("fifo", "lru", "lfu")
COHERENCES = ("tracking", "pubsub", None)
POLICIES = ("through", "back")

_MAPPING = ("__getitem__", "__setitem__", "__delitem__", "__contains__", "__len__", "clear")


@dataclass(frozen=True)
class FlipConfig:
    """A cache's settings; the shells' docstrings describe them."""

    name: str
    local_max: int = 100
    expire_time: float | timedelta | None = None
    key_type: str = "str"
    value_type: str = "str"
    value_default: Any = None
    value_encoder: Callable[[Any], Any] | None = None
    value_decoder: Callable[[Any], Any] | None = None
    refresh_expire_time_on_get: bool = False
    codec: Any = None
    eviction: Any = "fifo"
    coherence: str | None = "tracking"
    max_stale: float = 1.0
    write: str = "through"
    dirty_max: int = 100
    flush_interval: float | None = 1.0
    on_conflict: Callable[[Any], object] | None = None
    loader: Callable[[Any], Any] | None = None
    lease: float = LEASE
    on_update: Callable[[Any], object] | None = None
    on_delete: Callable[[Any], object] | None = None
    count_hits: bool = False

    def __post_init__(self) -> None:
        _number(self.local_max, "local_max", 0)
        _number(self.dirty_max, "dirty_max", 1)
        _choice(self.write, "write", POLICIES)
        _choice(self.coherence, "coherence", COHERENCES)
        milliseconds(self.max_stale, "max_stale")
        milliseconds(self.lease, "lease")
        if self.flush_interval is not None:
            milliseconds(self.flush_interval, "flush_interval")
        for name in ("on_conflict", "loader", "on_update", "on_delete"):
            function = getattr(self, name)
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be callable, not {type(function).__name__}")
        if isinstance(self.eviction, str):
            _choice(self.eviction, "eviction", EVICTIONS)
        elif isinstance(self.eviction, type):
            raise TypeError(f"eviction must be a mapping, not a class: {self.eviction.__name__}(...)")
        elif not all(hasattr(self.eviction, name) for name in _MAPPING):
            raise TypeError(f"eviction must be {EVICTIONS} or a mutable mapping, not {type(self.eviction).__name__}")
        if self.write == "back" and (not self.local_max or self.mapped):
            raise ValueError("write='back' needs a local tier whose evictions it knows: local_max, and no mapping")
        if self.coherence is None and self.tells:
            raise ValueError("on_update and on_delete need a coherence")

    @property
    def mapped(self) -> bool:
        """Whether the local tier is a mapping of the user's."""
        return not isinstance(self.eviction, str)

    @property
    def tells(self) -> bool:
        """Whether callbacks are to be told of changes."""
        return bool(self.on_update or self.on_delete)

    @property
    def listens(self) -> bool:
        """Whether changes made elsewhere are of interest."""
        return self.coherence is not None and (self.local_max > 0 or self.tells)

    def given(self) -> dict[str, Any]:
        """Return the settings that differ from the usual."""
        return {each.name: getattr(self, each.name) for each in fields(self) if self._set(each)}

    def _set(self, field: Any) -> bool:
        return field.name == "name" or getattr(self, field.name) is not field.default


class FlipParts:
    """A cache's operations and programs, and its local tier.

    :param config: its settings.
    :param lock: guards the local tier; re-entrant.
    :param raw: a custom decoder is given bytes.
    :param data: a dict that is to hold the local tier's plain values too.
    """

    def __init__(
        self, config: FlipConfig, lock: AbstractContextManager[Any], raw: bool, data: dict[Any, Any] | None = None
    ) -> None:
        names = Names(config.name, config.key_type)
        texts = Texts(config.value_type, config.value_encoder, config.value_decoder, raw=raw, codec=config.codec)
        self.ops = FlipOps(
            names,
            texts,
            expire_time=config.expire_time,
            refresh=config.refresh_expire_time_on_get,
            default=config.value_default,
            publish=config.coherence == "pubsub",
        )
        self.tier: LocalTier | None = None
        if config.mapped and config.local_max:
            self.tier = MappedTier(names.prefix, config.eviction, lock, names.encode)
        elif config.local_max:
            self.tier = LocalTier(names.prefix, config.local_max, config.eviction, lock, data)
        if self.tier is not None:
            self.tier.default = self.ops.default()
        # Whoever wants to be told of changes is, without a local tier too.
        self.ear = self.tier or LocalTier(names.prefix, 1, "fifo", lock)
        loaded = config.loader is not None
        self.core = FlipCore(self.ops, self.tier, config.coherence is not None and not loaded)
        self.scan = FlipScan(self.core)
        self.tags = FlipTags(self.core)
        self.back: FlipBack | None = None
        if config.write == "back" and self.tier is not None:
            self.core.remember = True
            self.back = FlipBack(self.core, self.tier, config.dirty_max)
        self._config = config

    def portable(self) -> dict[str, Any]:
        """Return the settings that differ from the usual, to be pickled: a mapping without what is in it."""
        settings = self._config.given()
        if isinstance(self.tier, MappedTier):
            settings["eviction"] = self.tier.emptied()
        return settings


def _number(value: object, name: str, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def _choice(value: object, name: str, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def seconds_to_wait(wait_for_lock: object, max_wait: float) -> float:
    """Return how long get_or_set() waits for somebody else's computation.

    :raises TypeError: or ValueError, ``max_wait`` is no number of seconds.
    """
    if not wait_for_lock:
        return 0.0
    return math.inf if max_wait == math.inf else milliseconds(max_wait, "max_wait") / 1000
