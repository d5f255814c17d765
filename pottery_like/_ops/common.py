"""What all containers do with their key as a whole."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Literal, TypeVar

from pottery_like._core.keys import random_sibling, sibling, slot
from pottery_like._core.lua import CHUNK, script
from pottery_like._core.op import Argument, Batch, NodeOp, Op, Program, ok
from pottery_like.exceptions import KeyExistsError, PotteryError

T = TypeVar("T")

COMMANDS_AT_ONCE = 50
"""How many chunks of a bulk write are sent before their replies are read."""

STAGING_SECONDS = 3600
"""What is built aside disappears after so long when its builder dies."""

WAIT_MILLISECONDS = 400
"""How long one WAIT or WAITAOF blocks, which must be less than a client's socket timeout."""

Durability = Literal["disk", "replicas", "memory"]


def milliseconds(ttl: float | timedelta, name: str = "ttl") -> int:
    """Return a duration in whole milliseconds, at least 1.

    :raises TypeError: not a number or timedelta.
    :raises ValueError: not positive, or not finite.
    """
    if isinstance(ttl, timedelta):
        ttl = ttl.total_seconds()
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise TypeError(f"{name} must be a number of seconds or a timedelta, not {type(ttl).__name__}")
    if not (math.isfinite(ttl) and ttl > 0):
        raise ValueError(f"{name} must be positive and finite, not {ttl}")
    return max(1, round(ttl * 1000))


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield ``items`` in lists of ``size``.

    >>> list(chunks("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def flat(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """Return pairs as one row of alternating firsts and seconds."""
    return tuple(item for pair in pairs for item in pair)


def paired(reply: Any) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Return the fields and the values of a hash's reply, a map (RESP3) or a flat array (RESP2)."""
    if isinstance(reply, dict):
        return list(reply), list(reply.values())
    return reply[::2], reply[1::2]


def truth(reply: Any) -> bool:
    """Decode 1 and 0."""
    return bool(reply)


def count(reply: Any) -> int:
    """Decode a number."""
    return int(reply)


def in_batches(ops: Iterable[Op[Any]]) -> Program[list[Any]]:
    """Run many operations, pipelined, in bounded memory; return all results."""
    results: list[Any] = []
    for group in chunks(ops, COMMANDS_AT_ONCE):
        results += yield Batch(tuple(group))
    return results


class KeyOps:
    """Operations on a container's key, whatever its type.

    :ivar clustered: whether different slots may be on different servers, which only the client knows.
    """

    clustered = True

    def __init__(self, key: bytes) -> None:
        self.key = key

    def near(self, other: KeyOps) -> bool:
        """Whether one operation can use the keys of both, given that they have one client."""
        return not self.clustered or slot(self.key) == slot(other.key)

    def _op(
        self,
        command: str,
        *args: Argument,
        decode: Callable[[Any], T],
        idempotent: bool = True,
    ) -> Op[T]:
        return Op(command, (self.key,), args, decode, idempotent)

    def _script(
        self,
        name: str,
        *args: Argument,
        decode: Callable[[Any], T],
        idempotent: bool = False,
        keys: tuple[bytes, ...] = (),
    ) -> Op[T]:
        return Op(script(name), (self.key, *keys), args, decode, idempotent)

    def clear(self) -> Op[None]:
        """Remove the key."""
        return self._op("UNLINK", decode=ok)

    def expire(self, ttl: float | timedelta) -> Op[bool]:
        """Let the key expire; whether there is one."""
        return self._op("PEXPIRE", milliseconds(ttl), decode=truth)

    def ttl(self) -> Op[float | None]:
        """Return the seconds left, or None."""
        return self._op("PTTL", decode=lambda reply: reply / 1000 if reply >= 0 else None)

    def persist(self) -> Op[bool]:
        """Cancel the expiry; whether there was one."""
        return self._op("PERSIST", decode=truth, idempotent=False)

    def copy_to(self, target: bytes) -> Op[None]:
        """Copy the key, expiry included."""
        return Op("COPY", (self.key, target), (b"REPLACE",), ok, True)

    def create(self, command: str, encoded: Sequence[bytes], width: int) -> Program[None]:
        """Fill the container, which must not exist, atomically.

        Up to a chunk it is one script.  More is built aside, pipelined, and put in place in one step at the end.

        :param command: the command that adds elements.
        :param encoded: the words for it, ``width`` of them per element.
        :raises KeyExistsError: the key exists.
        """
        if not encoded:
            return
        if len(encoded) <= CHUNK * width:
            yield self._script("create", command.encode(), *encoded, decode=_created)
            return
        staging = random_sibling(self.key, "new")
        fill = (Op(command, (staging,), tuple(part), ok, False) for part in chunks(encoded, CHUNK * width))
        expire = Op("EXPIRE", (staging,), (STAGING_SECONDS,), ok, True)
        exists = self._op("EXISTS", decode=_absent)
        for index, group in enumerate(chunks(fill, COMMANDS_AT_ONCE)):
            yield Batch((exists, *group, expire) if index == 0 else tuple(group))
        yield self._script("publish", keys=(staging,), decode=_created)

    def sync(self, timeout: float) -> Program[Durability]:
        """Wait until what was written before is on disk, or on the replicas."""
        deadline = time.monotonic() + milliseconds(timeout, "timeout") / 1000
        # WAIT and WAITAOF speak of their connection's own last write, so each goes behind one.
        write = Op("SET", (sibling(self.key, "sync"),), (b"", b"PX", 1), ok, True)
        try:
            yield from self._wait(deadline, write, "WAITAOF", (1, 0, WAIT_MILLISECONDS), lambda reply: reply[0] >= 1)
            return "disk"
        except Exception as error:
            # The server doesn't know the command (before Redis 7.2), or has no append-only file.
            if isinstance(error, PotteryError | TimeoutError) or "WAITAOF" not in str(error):
                raise
        replicas = yield self._about_node("INFO", (b"replication",), _replicas)
        if not replicas:
            return "memory"
        yield from self._wait(deadline, write, "WAIT", (replicas, WAIT_MILLISECONDS), lambda reply: reply >= replicas)
        return "replicas"

    def _wait(
        self,
        deadline: float,
        write: Op[None],
        command: str,
        args: tuple[Argument, ...],
        reached: Callable[[Any], bool],
    ) -> Program[None]:
        # In slices, as a client's socket timeout may be short.
        while not (yield Batch((write, self._about_node(command, args, reached))))[1]:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{command}: not confirmed within the timeout")

    def _about_node(self, command: str, args: tuple[Argument, ...], decode: Callable[[Any], T]) -> Op[T]:
        return NodeOp(command, (self.key,), args, decode, True)


def _created(reply: Any) -> None:
    if not reply:
        raise KeyExistsError()


def _absent(reply: Any) -> None:
    if reply:
        raise KeyExistsError()


def _replicas(reply: bytes) -> int:
    found = re.search(rb"connected_slaves:(\d+)", reply)
    return int(found[1]) if found else 0
