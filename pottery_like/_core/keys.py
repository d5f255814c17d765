"""Hash slots, and the names of the further keys that a container needs."""

from __future__ import annotations

import uuid
from array import array
from binascii import crc_hqx
from functools import cache, lru_cache
from itertools import count

SLOTS = 16384
RANDOM_PREFIX = "pottery:"


def hash_tag(key: bytes) -> bytes | None:
    """Return the part of ``key`` that alone decides its slot, or None when the whole key does.

    >>> hash_tag(b"{user:7}:basket")
    b'user:7'
    >>> hash_tag(b"basket") is None
    True
    """
    start = key.find(b"{")
    if start < 0:
        return None
    end = key.find(b"}", start + 1)
    return key[start + 1 : end] if end > start + 1 else None


@lru_cache(maxsize=4096)
def slot(key: bytes) -> int:
    """Return the Redis Cluster hash slot of ``key``: CRC16 (XMODEM) of its hash tag, modulo 16384.

    >>> slot(b"{user:7}:basket") == slot(b"user:7")
    True
    """
    return crc_hqx(hash_tag(key) or key, 0) % SLOTS


def slot_tag(number: int) -> bytes:
    """Return a hash tag for a slot: the smallest number that is in it.

    >>> slot_tag(slot(b"a}b"))
    b'20658'
    """
    return b"%d" % _tags()[number]


@cache
def _tags() -> array[int]:
    """Return the smallest number in each slot.  It takes some 50 ms, and only keys with strange braces need it."""
    found: dict[int, int] = {}
    numbers = count()
    while len(found) < SLOTS:
        number = next(numbers)
        found.setdefault(crc_hqx(b"%d" % number, 0) % SLOTS, number)
    return array("L", [found[each] for each in range(SLOTS)])


def sibling(key: bytes, suffix: str) -> bytes:
    """Return a further key for the container at ``key``, in the same hash slot.

    >>> sibling(b"basket", "staging")
    b'{basket}:staging'
    >>> sibling(b"{user:7}:basket", "staging")
    b'{user:7}:basket:staging'
    >>> sibling(b"a}b", "staging")
    b'{20658}:a}b:staging'
    """
    if hash_tag(key) is not None:
        return key + b":" + suffix.encode()
    if b"}" in key:
        return b"{%b}:%b:%b" % (slot_tag(slot(key)), key, suffix.encode())
    return b"{" + key + b"}:" + suffix.encode()


def container_key(key: str) -> bytes:
    """Check a container's key and return its bytes.

    :raises TypeError: not a ``str``.
    :raises ValueError: empty, or holds a lone surrogate.
    """
    if not isinstance(key, str):
        raise TypeError(f"key must be a str, not {type(key).__name__}")
    if not key:
        raise ValueError("key must not be empty")
    return key.encode()


def random_key() -> str:
    """Return a new name for an anonymous container."""
    return f"{RANDOM_PREFIX}{uuid.uuid4()}"


def random_sibling(key: bytes, purpose: str) -> bytes:
    """Return a new name in the slot of ``key``: for a copy, or for a value built aside."""
    return sibling(key, f"{purpose}:{uuid.uuid4()}")
