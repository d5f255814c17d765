"""Runs the flights of :mod:`pottery_like._ops.flight`: with the function, and this process's other threads."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from pottery_like._core.op import Op
from pottery_like._io.sync import Runner
from pottery_like._io.wire import AWAY
from pottery_like._ops.flight import (
    AGAIN,
    LEAD,
    Compute,
    Depart,
    Flight,
    Hit,
    Join,
    Land,
    Look,
    Outcome,
    Raised,
    Step,
    Store,
    Unstored,
    computing,
)

T = TypeVar("T")


class _Flying:
    """A flight that threads of this process wait for."""

    __slots__ = ("found", "over")

    def __init__(self) -> None:
        self.over = threading.Event()
        self.found: Hit | bytes = AGAIN


class Flights:
    """The flights of one client in this process.

    :param runner: the client's.
    :param write: runs the operations that store results, where the runner doesn't.
    """

    def __init__(self, runner: Runner, write: Callable[[Op[Any]], Any] | None = None) -> None:
        self.runner = runner
        self._write = write or runner.run
        self.renew()
        _all.add(self)

    def renew(self) -> None:
        """Forget all flights, as a forked child has none of its parent's threads."""
        self._lock = threading.Lock()
        self._flying: dict[bytes, _Flying] = {}
        self.held: deque[Callable[[], Op[None]]] = deque()

    def fly(self, flight: Flight[T], function: Callable[[], T]) -> Outcome[T]:
        """Run a flight to its end."""
        mine: dict[bytes, Op[None] | None] = {}
        if self.held:
            self.give_back()
        try:
            step = next(flight)
            while True:
                try:
                    result = self._step(step, function, mine)
                except Exception as error:
                    step = flight.throw(error)
                else:
                    step = flight.send(result)
        except StopIteration as stop:
            outcome: Outcome[T] = stop.value
            return outcome
        finally:
            # Nothing, unless it was interrupted or the stack was full.
            for token, undo in mine.items():
                if undo is not None:
                    self.held.append(partial(_same, undo))
                self._land(token, AGAIN)
            if mine:
                self.give_back()

    def give_back(self) -> None:
        """Give back the leases of those who were interrupted.

        What can't be done now, as the stack is full or for a second interrupt, is done before the next flight.
        """
        with suppress(Exception):
            while self.held:
                undo = self.held.popleft()
                try:
                    self.runner.run(undo())
                except AWAY:
                    # The lease's end says it, too.
                    pass
                except BaseException:
                    self.held.append(undo)
                    raise

    def _step(self, step: Step, function: Callable[[], Any], mine: dict[bytes, Op[None] | None]) -> Any:
        if isinstance(step, Compute):
            return self._call(function, mine)
        if isinstance(step, Store):
            try:
                return self._write(step.op)
            except AWAY as error:
                return Unstored(error, isinstance(error, ResponseError))
        if isinstance(step, Depart):
            with self._lock:
                self._flying.setdefault(step.token, _Flying())
            mine[step.token] = step.undo
            return None
        if isinstance(step, Join):
            return self._join(step, mine)
        if isinstance(step, Land):
            mine.pop(step.token, None)
            self._land(step.token, step.found)
            for other in list(self._flying) if step.late else ():
                self._land(other, AGAIN)
            return None
        if isinstance(step, Look):
            try:
                return self.runner.step(step)
            except AWAY:
                raise
            except BaseException:
                self.held.append(step.back)
                self.give_back()
                raise
        return self.runner.step(step)

    def _call(self, function: Callable[[], Any], mine: dict[bytes, Op[None] | None]) -> Any:
        before = computing.set(computing.get() | mine.keys())
        try:
            return function()
        except Exception as error:
            return Raised(error)
        finally:
            computing.reset(before)

    def _join(self, join: Join, mine: dict[bytes, Op[None] | None]) -> Hit | bytes:
        with self._lock:
            flying = self._flying.get(join.token)
            if flying is None:
                self._flying[join.token] = _Flying()
                mine[join.token] = None
                return LEAD
        return flying.found if flying.over.wait(join.seconds) else AGAIN

    def _land(self, token: bytes, found: Hit | bytes) -> None:
        with self._lock:
            flying = self._flying.pop(token, None)
        if flying is not None:
            flying.found = found
            flying.over.set()


def _same(op: Op[None]) -> Op[None]:
    return op


_all: weakref.WeakSet[Flights] = weakref.WeakSet()


def _renew() -> None:
    for flights in _all:
        flights.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
