"""Conducting the locks' dialogues in the synchronous world, and renewing leases in the background."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import redis

from pottery_like._core.dialogue import Await, Dialogue, Forget, Listen, Spread, Step, patience
from pottery_like._io import servers
from pottery_like._io.hub import the_hub
from pottery_like._io.lanes import Way, spread, way
from pottery_like._ops.holds import Hold, now
from pottery_like._ops.locks import Locking

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
    :param lease: seconds, by which the masters' time for an answer is measured.
    """

    def __init__(self, masters: tuple[Any, ...], key: bytes, lease: float) -> None:
        sources = masters or (None,)
        timeout = patience(lease, len(sources))
        self._clients = [client_of(master) for master in sources]
        self.ways: tuple[Way, ...] = tuple(way(client, key, timeout) for client in self._clients)

    def conduct(self, dialogue: Dialogue[T]) -> T:
        """Conduct a dialogue to its end and return its result."""
        try:
            step = next(dialogue)
            while True:
                try:
                    result = self._take(step)
                except BaseException as error:
                    step = dialogue.throw(error)
                else:
                    step = dialogue.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _take(self, step: Step) -> Any:
        if isinstance(step, Spread):
            return spread(self.ways, step)
        if isinstance(step, Listen):
            return the_hub().listen(self.ways, step.token, connect=step.connect)
        if isinstance(step, Await):
            return the_hub().wait(step.token, step.seconds, last=step.last)
        assert isinstance(step, Forget)
        the_hub().forget(step.token)
        return None


class Renewer:
    """Renews the leases of all locks on the same masters: one thread for them."""

    def __init__(self, ways: tuple[Way, ...]) -> None:
        self._ways = ways
        self._changed = threading.Condition()
        self._kept: dict[Hold, tuple[Locking, Callable[[], None]]] = {}
        self._due: dict[Hold, float] = {}
        self._thread: threading.Thread | None = None

    def keep(self, hold: Hold, locking: Locking, lost: Callable[[], None]) -> None:
        """Renew this lease until it is released; call ``lost`` if that fails."""
        with self._changed:
            self._kept[hold] = locking, lost
            self._due[hold] = now() + locking.lease / 3
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pottery_like renewal", daemon=True)
                self._thread.start()
            self._changed.notify()

    def drop(self, hold: Hold) -> None:
        """Stop renewing."""
        with self._changed:
            self._kept.pop(hold, None)
            self._due.pop(hold, None)

    def _work(self) -> None:
        idle = False
        while True:
            with self._changed:
                if not self._due:
                    if idle:
                        self._thread = None
                        with _guard:
                            _renewers.pop(self._ways, None)
                        return
                    idle = not self._changed.wait(5)
                    continue
                idle = False
                first = min(self._due.values())
                if first > now():
                    self._changed.wait(first - now())
                    continue
                # Those due soon go along with those due now.
                batch = {
                    hold: locking for hold, (locking, _) in self._kept.items()
                    if self._due[hold] - now() <= locking.lease / 8
                }  # fmt: skip
            self._renew(batch)

    def _renew(self, batch: dict[Hold, Locking]) -> None:
        started = now()
        steps = [locking.renewal(hold) for hold, locking in batch.items()]
        ops = tuple(op for step in steps for op in step.ops)
        timeout = min(locking.lease for locking in batch.values()) / 6
        replies = spread(self._ways * len(batch), Spread(ops, lambda: ops, timeout))
        width = len(self._ways)
        for index, (hold, locking) in enumerate(batch.items()):
            renewed = locking.renewed(hold, started, replies[index * width : (index + 1) * width])
            with self._changed:
                if hold not in self._kept:
                    continue
                if not hold.lost and not hold.released:
                    self._due[hold] = now() + locking.lease / (3 if renewed else 12)
                    continue
                _, lost = self._kept.pop(hold)
                del self._due[hold]
            if hold.lost:
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
