"""The arguments of redis_cache()."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from pottery_like._ops.common import milliseconds
from pottery_like._ops.flight import LEASE

TIMEOUT = 60.0
"""Seconds that a cache lives after its last access, by default as in Pottery."""

Policy = Literal["lru", "lfu"]
OnError = Literal["raise", "compute"]
Statistics = Literal["process", "server"]


@dataclass(frozen=True, slots=True)
class Options:
    """What redis_cache() was told, beside where the cache is and of which function.

    :raises TypeError: or ValueError, for what can't be meant.
    """

    timeout: float | timedelta | None = TIMEOUT
    ttl: float | timedelta | Callable[[Any], float | timedelta | None] | None = None
    maxsize: int | None = None
    policy: Policy = "lru"
    cache_if: Callable[[Any], object] | None = None
    early: float = 0.0
    stale: float | timedelta = 0.0
    stale_on_error: bool = False
    tags: Sequence[str] | Callable[..., Iterable[str]] = ()
    prefixes: int = 0
    typed: bool = False
    ignore: str | Sequence[str] = ()
    key_builder: Callable[..., Any] | None = None
    lease: float | timedelta = LEASE
    on_error: OnError = "raise"
    statistics: Statistics = "process"
    local: int = 0
    _ms: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("timeout", "ttl", "stale", "lease"):
            value = getattr(self, name)
            # Pottery takes 0 for no timeout.
            unset = value is None or callable(value) or (value in (0, timedelta()) and name in {"timeout", "stale"})
            self._ms[name] = 0 if unset else milliseconds(getattr(self, name), name)
        _whole("maxsize", 0 if self.maxsize is None else self.maxsize)
        _whole("prefixes", self.prefixes)
        _whole("local", self.local)
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, not {getattr(self, name)!r}")
        for name in ("cache_if", "key_builder"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise TypeError(f"{name} must be callable, not {type(getattr(self, name)).__name__}")
        if isinstance(self.early, bool) or not isinstance(self.early, int | float):
            raise TypeError(f"early must be a number, not {type(self.early).__name__}")
        if not 0 <= self.early < math.inf or self.prefixes < 0 or self.local < 0:
            raise ValueError("early=, prefixes= and local= must not be negative, nor infinite")
        if isinstance(self.tags, str):
            raise TypeError("tags must be a list of strs, or a function that returns one; not a str")
        if not callable(self.tags) and not (
            isinstance(self.tags, Iterable) and all(isinstance(tag, str) for tag in self.tags)
        ):
            raise TypeError(f"tags must be a list of strs, or a function that returns one; not {self.tags!r}")
        self._check_pairs()

    def _check_pairs(self) -> None:
        if (self.early or self._ms["stale"]) and self.ttl is None:
            raise ValueError("early= and stale= are about results that expire: give ttl=, too")
        if self.stale_on_error and not self._ms["stale"]:
            raise ValueError("stale_on_error= needs stale=, the seconds for which an old result will do")
        if self.local and self._ms["timeout"]:
            raise ValueError(
                "the server isn't told of local hits, from which timeout= counts: give timeout=None, or ttl="
            )
        if self.local and self.statistics == "server":
            raise ValueError("the server isn't told of local hits: with local=, there is no statistics='server'")
        if self.key_builder is not None and (self.ignore or self.typed):
            raise ValueError("with key_builder=, ignore= and typed= have nothing to say")

    def milliseconds(self, name: str) -> int:
        """Return one of the durations, 0 for none."""
        return self._ms[name]

    @property
    def most(self) -> int | None:
        """``maxsize`` as functools takes it: nothing is cached for 0 or less."""
        return None if self.maxsize is None else max(0, self.maxsize)

    @property
    def marked(self) -> bool:
        """Whether entries can become invalid without being removed."""
        return bool(self.tags) or self.prefixes > 0

    def parameters(self) -> dict[str, Any]:
        """Return what ``cache_parameters()`` does."""
        names = [name for name in self.__slots__ if not name.startswith("_")]
        return {**{name: getattr(self, name) for name in names}, "maxsize": self.most}


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")


_CHOICES = {"policy": ("lru", "lfu"), "on_error": ("raise", "compute"), "statistics": ("process", "server")}
