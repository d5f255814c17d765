"""Operations of what several may hold at once: the read-write lock and the semaphore, on one master."""

from __future__ import annotations

from pottery_like._core.keys import container_key, sibling
from pottery_like._core.lua import script
from pottery_like._core.op import Op
from pottery_like._ops.locks import Answer, LockOps, answered

READ, WRITE, SLOT = "r", "w", "s"


class SharedOps(LockOps):
    """What is sent about one key.

    :param name: the key, without the prefix.
    :param prefix: the prefix.
    :param letter: how this holder shares: with readers, alone, or up to a limit.
    :param limit: how many may hold it at once, where that is limited.
    """

    def __init__(self, name: str, prefix: str, letter: str, limit: int = 0) -> None:
        container_key(name)
        self.key = container_key(f"{prefix}:{name}")
        self._keys = (self.key, sibling(self.key, "waiters"))
        self._letter = letter.encode()
        self._limit = limit
        self._scripts = {verb: script(f"shared_{verb}") for verb in ("acquire", "release", "extend", "left")}

    def entry(self, token: str, lease: int, channel: str) -> str:
        """Return what stands for a waiter in the line; empty without a channel."""
        return f"{token} {lease} {channel} {self._letter.decode()} {self._limit}" if channel else ""

    def acquire(self, token: str, lease: int, channel: str, *, again: bool) -> Op[Answer]:
        """Come in, or join the line if there is a channel."""
        args = (token.encode(), lease, channel.encode(), b"1" if again else b"", self._letter, self._limit)
        return Op(self._scripts["acquire"], self._keys, args, answered, False)

    def join(self, token: str, lease: int, channel: str) -> None:
        """Join the line if there is one: who fits comes in past it, so that takes the script."""

    def release(self, token: str, entry: str) -> Op[bool]:
        """Go out, leave the line, and let in who fits now."""
        return Op(self._scripts["release"], self._keys, (token.encode(), entry.encode(), self._letter), bool, False)

    def extend(self, token: str, lease: int) -> Op[bool]:
        """Let the lease begin anew."""
        return Op(self._scripts["extend"], self._keys[:1], (token.encode(), lease, self._letter), bool, True)

    def left(self, token: str) -> Op[int]:
        """Return the milliseconds until the lease ends."""
        return Op(self._scripts["left"], self._keys[:1], (token.encode(), self._letter), int, True)


def slots(value: object) -> int:
    """Check a semaphore's value.

    :raises TypeError: not an int.
    :raises ValueError: less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"value must be an int, not {type(value).__name__}")
    if not 1 <= value < 2**53:
        raise ValueError("a semaphore's value must be 1 or more")
    return value
