"""Elements of which the server keeps only a trace: they are encoded, never decoded.

They need not be hashable, as nothing but their text counts.  Equal objects have one text, as far as JSON can say it:
``1.0`` is stored as ``1``.  Pottery stored it as ``1.0``, so such a number is looked up by both.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pottery_like.codecs import Codec, JSONCodec, dumps

T = TypeVar("T")

_FINAL = (str, int)


def _one_spelling(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list | tuple):
        return [_one_spelling(item) for item in value]
    if isinstance(value, dict):
        return {name: _one_spelling(item) for name, item in value.items()}
    return value


class Texts(Generic[T]):
    """The texts that stand for elements."""

    def __init__(self, codec: Codec[T] | None = None) -> None:
        self.codec: Codec[Any] = JSONCodec() if codec is None else codec
        self._json = type(self.codec) is JSONCodec

    def encode(self, value: T) -> bytes:
        """Return the bytes that stand for an element.

        :raises TypeError: or ValueError, when the codec can't carry ``value``.
        """
        if not self._json:
            return self.codec.encode(value)
        text = dumps(value)
        return (text if type(value) in _FINAL else dumps(_one_spelling(value))).encode()

    def find(self, value: object) -> tuple[bytes, ...]:
        """Return every text by which ``value`` may have been stored; none when it can't be in any container."""
        try:
            usual = self.encode(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return ()
        if not self._json or type(value) in _FINAL:
            return (usual,)
        return tuple(dict.fromkeys((usual, dumps(value).encode())))
