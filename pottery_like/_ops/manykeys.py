"""What a container does that has more than one key: all of them live and go together."""

from __future__ import annotations

from datetime import timedelta

from pottery_like._core.lua import script
from pottery_like._core.op import Op, ok
from pottery_like._ops.common import KeyOps, milliseconds, truth


class ManyKeysOps(KeyOps):
    """Operations on a container's keys as a whole."""

    def all_keys(self, key: bytes) -> tuple[bytes, ...]:
        """Return every key that such a container has when its first is ``key``."""
        return (key,)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every key of this container."""
        return self.all_keys(self.key)

    def clear(self) -> Op[None]:
        """Remove the keys: UNLINK."""
        return Op("UNLINK", self.keys, (), ok, True)

    def expire(self, ttl: float | timedelta) -> Op[bool]:
        """Let the keys expire together; whether there are any: one script."""
        return Op(script("keys_expire"), self.keys, (milliseconds(ttl),), truth, True)

    def ttl(self) -> Op[float | None]:
        """Return the seconds left, or None: one script."""
        return Op(script("keys_ttl"), self.keys, (), lambda reply: reply / 1000 if reply >= 0 else None, True)

    def persist(self) -> Op[bool]:
        """Cancel the expiry; whether there was one: one script."""
        return Op(script("keys_persist"), self.keys, (), truth, False)

    def copy_to(self, target: bytes) -> Op[None]:
        """Copy the keys, expiry included: one script."""
        return Op(script("keys_copy"), (*self.keys, *self.all_keys(target)), (), ok, True)
