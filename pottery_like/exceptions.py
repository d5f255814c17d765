"""What the library raises beside the builtins' own exceptions.

Errors of the connection and of the server come as redis-py's exceptions.  Where a class here describes one of
them more closely, what is raised is an instance of both, so handlers written for redis-py go on working.
"""

from __future__ import annotations

from collections.abc import Iterable
from queue import Empty, Full
from typing import Any


class PotteryError(Exception):
    """Base of the containers' exceptions.

    :param redis: the client of the container concerned.
    :param key: the key of the container concerned.
    """

    def __init__(self, redis: Any = None, key: str | None = None, message: str = "") -> None:
        super().__init__(redis, key, message)
        self.redis = redis
        self.key = key
        self.message = message

    def __str__(self) -> str:
        return self.message or (f"key {self.key!r}" if self.key is not None else type(self).__name__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Clients hold sockets and locks: an error that crosses a process boundary leaves its client behind.
        return _rebuilt, (type(self).__name__, None, self.key, self.message)


class KeyExistsError(PotteryError):
    """A container was to be filled at its creation, but its key exists already."""


class RandomKeyError(PotteryError, RuntimeError):
    """No unused random key was found."""


class QueueEmptyError(PotteryError, Empty):
    """A queue had no item within the time allowed."""


class QueueFullError(PotteryError, Full):
    """A queue had no room within the time allowed."""


class LeaseLostError(PotteryError, RuntimeError):
    """An item's lease ran out, and the item has gone back to its queue: somebody else may be working on it."""


class OutcomeUnknownError(PotteryError):
    """The operation was sent, but its reply was lost: it may have run once, or not at all.

    It is also a redis-py ``ConnectionError`` or ``TimeoutError``, whichever happened.
    """


class WrongTypeError(PotteryError, TypeError):
    """The key holds a Redis type that isn't the container's.  It is also a redis-py ``ResponseError``."""


class DecodeError(PotteryError, ValueError):
    """The server returned bytes that the container's codec can't read.

    :ivar raw: those bytes.  Where the operation removed the element (``pop``), this is all that is left of it.
    :ivar item: of ``popitem()``, the bytes of the key and of the value that it removed, of which one can't be read.
    """

    def __init__(
        self,
        redis: Any = None,
        key: str | None = None,
        message: str = "",
        raw: bytes = b"",
        item: tuple[bytes, bytes] | None = None,
    ) -> None:
        super().__init__(redis, key, message)
        self.raw = raw
        self.item = item

    def locate(self, operation: str, key: bytes) -> None:
        """Say where the bytes were found."""
        self.key = key.decode(errors="replace")
        self.message = f"{operation} on {self.key!r}: {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self).__name__, None, self.key, self.message, self.raw, self.item)


class ConcurrentEditError(PotteryError, RuntimeError):
    """Somebody else changed a value while it was being edited; the edit was not written."""


class FilterParametersError(PotteryError, ValueError):
    """A Bloom filter was opened, or was to be combined, with parameters other than those it was made with."""


class FilterFullError(PotteryError, OverflowError):
    """A scalable Bloom filter can't grow any further."""


class ServerNotFoundError(PotteryError, ConnectionError):
    """No client or URL was given, and no server was found."""


class PrimitiveError(Exception):
    """Base of the distributed primitives' exceptions.

    :param key: the primitive's key.
    :param masters: its Redis masters.
    :param redis_errors: what the masters raised.
    """

    def __init__(self, key: str, masters: Iterable[Any] = (), redis_errors: Iterable[Exception] = ()) -> None:
        super().__init__(key, masters, redis_errors)
        self.key = key
        self.masters = masters
        self.redis_errors = redis_errors

    def __str__(self) -> str:
        errors = "; ".join(map(str, self.redis_errors))
        return f"key {self.key!r}: {errors}" if errors else f"key {self.key!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        # As with PotteryError, the clients stay behind.
        return type(self), (self.key, (), tuple(self.redis_errors))


class QuorumNotAchieved(PrimitiveError, RuntimeError):
    """Too few masters agreed."""


class TooManyExtensions(PrimitiveError, RuntimeError):
    """The lock was extended as often as it may be."""


class ExtendUnlockedLock(PrimitiveError, RuntimeError):
    """A lock was to be extended that isn't held."""


class ReleaseUnlockedLock(PrimitiveError, RuntimeError):
    """A lock was to be released that isn't held."""


class QuorumIsImpossible(PrimitiveError, RuntimeError):
    """Too many masters failed for a quorum."""


class PotteryWarning(Warning):
    """Base of the library's warnings."""


class InefficientAccessWarning(PotteryWarning):
    """An operation takes time in proportion to the container's size.

    Kept for Pottery's users who filter it; this library's docstrings say what each operation costs instead.
    """


class EmbeddedServerWarning(PotteryWarning):
    """No server was named or found, so an embedded one was started; its data ends with the process."""


class FlipConflictWarning(PotteryWarning):
    """A value was not written back, because its key was changed elsewhere meanwhile."""


class UnwrittenWarning(PotteryWarning):
    """The process ended with changes that could not be written back."""


class BypassedWarning(PotteryWarning):
    """The server doesn't let a cache follow changes, so it keeps nothing in memory."""


def _rebuilt(name: str, *args: Any) -> PotteryError:
    error: PotteryError = globals()[name](*args)
    return error
