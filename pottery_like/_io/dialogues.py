"""Conducting dialogues with several masters in the synchronous world, and renewing leases in the background."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import redis

from pottery_like._core.dialogue import Ask, Await, Dialogue, Listen, Step
from pottery_like._core.driving import drive
from pottery_like._core.op import Pause
from pottery_like._io import servers
from pottery_like._io.hub import the_hub
from pottery_like._io.lanes import Way, exchange, way
from pottery_like._ops.holds import Hold, now
from pottery_like._ops.locks import Locking
from pottery_like._ops.renewals import Renewals

T = TypeVar("T")

CLIENTS = servers.SYNC


def client_of(master: Any) -> redis.Redis | redis.RedisCluster:
    """Return the client for a master: a client, a URL, a dict of connection arguments, or None: the default server."""
    if isinstance(master, Mapping):
        arguments = {"socket_timeout": servers.TIMEOUT, **master}
        return servers.shared(f"sync {sorted(arguments.items())!r}", lambda: redis.Redis(**arguments))
    return servers.sync_client(master)


class Conductor:
    """Conducts dialogues with some masters.

    :param masters: clients, URLs or dicts; none: the default server.
    :param key: what the dialogues are about.
    :param timeout: seconds that a master may take to answer.
    :param patient: whether one master alone has its client's own retries and timeouts instead.
    """

    def __init__(self, masters: tuple[Any, ...], key: bytes, timeout: float, *, patient: bool = False) -> None:
        self.clients = tuple(client_of(master) for master in masters or (None,))
        patient = patient and len(self.clients) == 1
        self.ways: tuple[Way, ...] = tuple(way(client, key, timeout, patient=patient) for client in self.clients)

    def conduct(self, dialogue: Dialogue[T]) -> T:
        """Conduct a dialogue to its end and return its result."""
        return drive(dialogue, self._take)

    def _take(self, step: Step) -> Any:
        if isinstance(step, Ask):
            return exchange(self.ways, step)
        if isinstance(step, Await):
            return the_hub().wait(step.token, step.seconds, last=step.last)
        if isinstance(step, Listen):
            return the_hub().listen(self.ways, step.token, connect=step.connect)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return the_hub().forget(step.token)


class Renewer:
    """Renews the leases of all locks on the same masters: one thread for them."""

    def __init__(self, ways: tuple[Way, ...]) -> None:
        self._ways = ways
        self._changed = threading.Condition()
        self._renewals = Renewals()
        self._thread: threading.Thread | None = None

    def keep(self, hold: Hold, locking: Locking, lost: Callable[[], None]) -> None:
        """Renew this lease until it is released; call ``lost`` if that fails."""
        with self._changed:
            self._renewals.keep(hold, locking, lost)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pottery_like renewal", daemon=True)
                self._thread.start()
            self._changed.notify()

    def drop(self, hold: Hold) -> None:
        """Stop renewing."""
        with self._changed:
            self._renewals.drop(hold)

    def _work(self) -> None:
        idle = False
        while True:
            with self._changed:
                pause = self._renewals.pause
                if pause is None and idle:
                    self._thread = None
                    with _guard:
                        _renewers.pop(self._ways, None)
                    return
                if pause != 0:
                    idle = not self._changed.wait(5 if pause is None else pause) and pause is None
                    continue
                batch = self._renewals.batch()
            started = now()
            replies = exchange(self._ways * len(batch), self._renewals.ask(batch))
            with self._changed:
                gone = self._renewals.answered(batch, started, replies)
            for _, lost in gone:
                lost()


_renewers: dict[tuple[Way, ...], Renewer] = {}
_guard = threading.Lock()


def renewer(ways: tuple[Way, ...]) -> Renewer:
    """Return the renewer for these masters."""
    with _guard:
        return _renewers.setdefault(ways, Renewer(ways))


def _forget() -> None:
    # A fork's child holds none of its parent's locks, and has none of its threads.
    global _guard
    _guard = threading.Lock()
    _renewers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
