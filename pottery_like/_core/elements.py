"""Elements in value position and in key position, and the text that each is stored as.

Values are stored as their codec writes them.  Keys and set members must be found again by their bytes, so they
have one spelling: equal Python objects get equal bytes, as far as JSON can say it (``1`` and ``1.0``; but
``True`` stays ``true``, which is not the ``1`` it equals in Python).

Looking up what can't be encoded finds nothing, as it is in no container; storing it raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product
from typing import Any, Generic, TypeVar

from pottery_like.codecs import Codec, JSONCodec, broken, dumps, loads

T = TypeVar("T")

SPELLINGS = 64
"""A value with more spellings than this is looked up only by the one it would be stored as."""


def _decode_many(codec: Any, raws: Sequence[bytes]) -> list[Any]:
    if not raws:
        return []
    try:
        if hasattr(codec, "decode_many"):
            return list(codec.decode_many(raws))
    except Exception:  # one bad element spoils the page: decoding one by one names it
        pass
    return [_decode(codec, raw) for raw in raws]


def _decode(codec: Codec[T], raw: bytes) -> T:
    try:
        return codec.decode(raw)
    except Exception as error:
        raise broken(raw, error) from error


class Values(Generic[T]):
    """Elements in value position, through a codec."""

    def __init__(self, codec: Codec[T] | None = None) -> None:
        self.codec: Codec[Any] = JSONCodec() if codec is None else codec
        self._json = type(self.codec) is JSONCodec

    def encode(self, value: T) -> bytes:
        """Return the bytes to store.

        :raises TypeError: or ValueError, when the codec can't carry ``value``.
        """
        return dumps(value).encode() if self._json else self.codec.encode(value)

    def decode(self, raw: bytes) -> T:
        """Return the element.

        :raises DecodeError: ``raw`` isn't the codec's.
        """
        try:
            value: T = loads(raw) if self._json else self.codec.decode(raw)
        except Exception as error:
            raise broken(raw, error) from error
        return value

    def decode_many(self, raws: Sequence[bytes]) -> list[T]:
        """Return the elements of a page."""
        return _decode_many(self.codec, raws)

    def spellings(self, value: object) -> tuple[bytes, ...]:
        """Return every text under which something equal to ``value`` may be stored; the usual one first.

        Empty when nothing equal can be stored.
        """
        try:
            usual = self.encode(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return ()
        if not self._json:
            return (usual,)
        texts = list(islice(_spell(value), SPELLINGS + 1))
        if len(texts) > SPELLINGS:
            return (usual,)
        return tuple(dict.fromkeys([usual, *(text.encode() for text in texts)]))


def _spell(value: object) -> Any:
    if isinstance(value, int | float):
        yield from _spell_number(value)
    elif isinstance(value, list | tuple):
        for items in product(*(tuple(islice(_spell(item), SPELLINGS)) for item in value)):
            yield "[" + ", ".join(items) + "]"
    elif isinstance(value, dict):
        names = sorted(value)
        for items in product(*(tuple(islice(_spell(value[name]), SPELLINGS)) for name in names)):
            yield "{" + ", ".join(f"{dumps(name)}: {item}" for name, item in zip(names, items, strict=True)) + "}"
    else:
        yield dumps(value)


def _spell_number(value: int | float) -> Any:
    if value != int(value):
        yield float.__repr__(float(value))
        return
    whole = int(value)
    yield int.__repr__(whole)
    try:
        if float(whole) == whole:
            yield float.__repr__(float(whole))
    except OverflowError:
        pass
    if whole == 0:
        yield "-0.0"
    if whole in (0, 1):
        yield "true" if whole else "false"


def _one_spelling(key: Any) -> Any:
    if isinstance(key, float) and key.is_integer():
        return int(key)
    if isinstance(key, tuple):
        return [_one_spelling(item) for item in key]
    return key


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _as_key(raw: bytes, value: Any) -> Any:
    key = _hashable(value)
    try:
        hash(key)
    except TypeError as error:
        raise broken(raw, error) from error
    return key


class Members(Generic[T]):
    """Elements in key position: hashable, with one spelling; arrays come back as tuples."""

    def __init__(self, codec: Codec[T] | None = None) -> None:
        self.codec: Codec[Any] = JSONCodec() if codec is None else codec
        self._json = type(self.codec) is JSONCodec

    def encode(self, key: T) -> bytes:
        """Return the bytes to store.

        :raises TypeError: ``key`` is unhashable, or the codec can't carry it.
        :raises ValueError: the codec can't carry it.
        """
        if type(key) is str and self._json:
            return dumps(key).encode()
        hash(key)
        return dumps(_one_spelling(key)).encode() if self._json else self.codec.encode(key)

    def find(self, key: object) -> bytes | None:
        """Return the bytes to look up, or None when ``key`` can't be in any container.

        :raises TypeError: ``key`` is unhashable.
        """
        hash(key)
        try:
            return self.encode(key)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None

    def decode(self, raw: bytes) -> T:
        """Return the element.

        :raises DecodeError: ``raw`` isn't the codec's.
        """
        return _as_key(raw, _decode(self.codec, raw))  # type: ignore[no-any-return]

    def decode_many(self, raws: Sequence[bytes]) -> list[T]:
        """Return the elements of a page."""
        values = _decode_many(self.codec, raws)
        if self._json:
            text = b"".join(raws)
            if b"[" not in text and b"{" not in text:
                return values
        pairs = zip(raws, values, strict=True)
        keys: list[Any] = [value if type(value) is str else _as_key(raw, value) for raw, value in pairs]
        return keys
