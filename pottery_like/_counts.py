"""What ``c[key]`` returns, so that ``c[key] += n`` adds on the server instead of writing a sum made here.

Python turns ``c[key] += n`` into ``c[key] = c[key] + n``.  So ``c[key]`` is a number that knows where and when it
was read, and what has been added to it since.  Assigned to where it came from, it is sent as an increment.

That is right only while the count is what this thread believes it to be: after ``x = c[key]; c[key] = 5``, the
assignment ``c[key] = x + 1`` means what it says.  So the writes of a thread are remembered for it, and those that
replace counts instead of adding to them for all threads of the process.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
from typing import Any

from pottery_like._core.op import Done, Op

LIMIT = 1024
"""How many places a record of writes names; when it is full, everything counts as just written."""

READS = frozenset(["HGET", "HGETALL", "HEXISTS", "HKEYS", "HLEN", "PTTL", "PEXPIRE", "PERSIST", "COPY"])
READS |= {"dict_has", "dict_has_value", "counter_total"}
FIELD_WRITES = frozenset({"HSET", "HDEL", "dict_pop", "dict_setdefault", "dict_swap"})

# All times are ticks of one clock, whose next() is atomic.
_clock = itertools.count(1)


class _Writes:
    """When which counters and fields were last written."""

    def __init__(self) -> None:
        self._ticks: dict[Any, int] = {}
        self._floor = 0

    def note(self, key: bytes, field: bytes | None) -> None:
        if len(self._ticks) >= LIMIT:
            # In this order, what another thread notes in between is kept, or is older than the floor.
            self._ticks.clear()
            self._floor = next(_clock)
        self._ticks[key, field] = next(_clock)

    def since(self, tick: int, key: bytes, field: bytes) -> bool:
        ticks = self._ticks
        return max(self._floor, ticks.get((key, field), 0), ticks.get((key, None), 0)) > tick


class _Thread(threading.local):
    def __init__(self) -> None:
        self.writes = _Writes()


_replacements = _Writes()
_thread = _Thread()


def added(key: bytes, field: bytes | None = None) -> None:
    """Remember that this thread adds to a count, or to any of a counter's."""
    _thread.writes.note(key, field)


def replaced(key: bytes, field: bytes | None = None) -> None:
    """Remember that this process replaces or removes a count, or any of a counter's."""
    _replacements.note(key, field)


def about_to(op: Op[Any] | Done[Any]) -> None:
    """Remember what ``op`` does, unless it only reads."""
    if isinstance(op, Op) and op.name not in READS:
        first = op.args[0] if op.name in FIELD_WRITES else None
        replaced(op.keys[0], first if isinstance(first, bytes) else None)


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """Where and when a count is read."""

    client: Any
    key: bytes
    field: bytes
    tick: int = dataclasses.field(default_factory=_clock.__next__)
    thread: _Writes = dataclasses.field(default_factory=lambda: _thread.writes)

    def result(self, read: Any, value: Any) -> Any:
        """Return a number that remembers this.

        :param read: the count.
        :param value: the number; other than ``read`` when a ``__missing__`` gave it.
        """
        return _tracked(self, read, value, 0 if value is read else value)

    def holds(self, client: Any, key: bytes, field: bytes) -> bool:
        """Whether an assignment to this place can be an increment of what was read."""
        return (
            (self.client is client and self.key == key and self.field == field)
            and self.thread is _thread.writes
            and not self.thread.since(self.tick, key, field)
            and not _replacements.since(self.tick, key, field)
        )


def _tracked(reading: Reading, read: Any, value: Any, amount: Any) -> Any:
    kind = type(value)
    if kind is int:
        return _Int._of(value, reading, read, amount)
    return _Float._of(value, reading, read, amount) if kind is float else value


class _Tracked:
    """A number read from a counter: its reading, the count read, and what was added to it since."""

    _reading: Reading
    read: Any
    amount: Any

    @classmethod
    def _of(cls, value: Any, reading: Reading, read: Any, amount: Any) -> Any:
        number = cls.__new__(cls, value)  # type: ignore[call-arg]
        number._reading, number.read, number.amount = reading, read, amount
        return number

    def _plain(self) -> Any:
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self._moved(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._moved(other, -1)

    def _moved(self, other: Any, sign: int) -> Any:
        if isinstance(other, _Tracked):
            other = other._plain()
        elif type(other) is not int and type(other) is not float and type(other) is not bool:
            return NotImplemented
        return _tracked(self._reading, self.read, self._plain() + sign * other, self.amount + sign * other)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self._plain()), (self._plain(),)


class _Int(_Tracked, int):
    def _plain(self) -> int:
        return int(self)


class _Float(_Tracked, float):
    def _plain(self) -> float:
        return float(self)


def increment(value: Any, client: Any, key: bytes, field: bytes) -> _Tracked | None:
    """Return ``value`` if assigning it to this place is to be sent as an increment."""
    if not isinstance(value, _Tracked) or not value._reading.holds(client, key, field):
        return None
    # A sum of finite floats may be finite while what was added in between isn't.
    return None if isinstance(value.amount, float) and not math.isfinite(value.amount) else value
