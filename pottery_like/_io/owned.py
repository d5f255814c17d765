"""The keys of anonymous containers, which go when the process that made them ends."""

from __future__ import annotations

import atexit
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing import util
from typing import Generic, Protocol, TypeVar

# Imported for its exit handler: handlers run in reverse, and the server must outlive the keys' removal.
import pottery_like.embedded  # noqa: F401
from pottery_like._core.op import Op


class _HasClient(Protocol):
    @property
    def client(self) -> object: ...


R = TypeVar("R", bound=_HasClient)


def at_end(function: Callable[[], None]) -> None:
    """Call a function when this process ends."""
    if multiprocessing.parent_process() is None:
        atexit.register(function)
    else:
        # Children of multiprocessing end without running exit handlers.
        util.Finalize(None, function, exitpriority=10)


class Owned(Generic[R]):
    """The operations that remove this process's anonymous keys, with the runner for each.

    :param remove: runs them.
    """

    def __init__(self, remove: Callable[[R, list[Op[None]]], None]) -> None:
        self._remove = remove
        self._ops: dict[bytes, tuple[R, Op[None]]] = {}
        self._watching = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def add(self, runner: R, op: Op[None]) -> None:
        """Take over a key."""
        if not self._watching:
            self._watching = True
            at_end(self._remove_all)
        self._ops[op.keys[0]] = runner, op

    def discard(self, key: bytes) -> bool:
        """Give up a key; whether it was this process's."""
        return self._ops.pop(key, None) is not None

    def _forget(self) -> None:
        self._ops.clear()
        self._watching = False

    def _remove_all(self) -> None:
        by_client: dict[int, tuple[R, list[Op[None]]]] = {}
        for runner, op in self._ops.values():
            by_client.setdefault(id(runner.client), (runner, []))[1].append(op)
        self._ops.clear()
        for runner, ops in by_client.values():
            try:
                self._remove(runner, ops)
            except Exception:  # the process is ending, and the server may be gone already
                continue
