"""What a container object knows, in either world: its key, its codec, where its server is."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from pottery_like._core.keys import container_key, random_key
from pottery_like._ops.common import KeyOps

OpsT = TypeVar("OpsT", bound=KeyOps)

_OWN = frozenset({"_anonymous", "_key", "_source", "_codec", "_extra", "_made_runner", "_ops"})
_OWN |= {"_filling", "_filled_by", "_loop", "__orig_class__"}


class Handle(Generic[OpsT]):
    """A reference to a key.  Two handles on one key are one container."""

    _OPS: ClassVar[Any]
    """The class of its operations, called with the key, the codec, and what else pickling must carry."""

    _ops: OpsT

    def _attach(self, source: Any, key: str, codec: Any, **extra: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"key must be a str, not {type(key).__name__}")
        if codec is not None and not (hasattr(codec, "encode") and hasattr(codec, "decode")):
            raise TypeError(f"codec must have encode() and decode(), which {type(codec).__name__} has not")
        self._anonymous = key == ""
        self._key = key or random_key()
        self._source = source
        self._codec = codec
        self._extra = extra
        self._made_runner: Any = None
        self._ops = self._OPS(container_key(self._key), codec, **extra)

    def _attributes(self) -> dict[str, Any]:
        """What a subclass has put on the object beside what is kept here: copies and pickles carry it on."""
        return {name: value for name, value in vars(self).items() if name not in _OWN}

    @property
    def key(self) -> str:
        """The Redis key.  An anonymous container's is random."""
        return self._key
