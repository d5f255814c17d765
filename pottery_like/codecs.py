"""How elements become bytes.

JSON is the default, byte for byte as ``json.dumps(x, sort_keys=True)`` writes it, so data of Pottery opens
unchanged.  The other codecs are chosen with ``codec=``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import pickle
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any, Generic, Protocol, TypeVar, overload

from pottery_like._adapters import adapter
from pottery_like._hints import shown
from pottery_like.exceptions import DecodeError

T = TypeVar("T")

_encode_any = json.JSONEncoder(sort_keys=True, allow_nan=False).encode
_decode_text = json.JSONDecoder().decode


class Codec(Protocol[T]):
    """What ``codec=`` takes: any object with these two methods.

    ``encode`` raises TypeError or ValueError for what it can't carry.  Whatever ``decode`` raises reaches the
    user as :exc:`~pottery_like.DecodeError`.
    """

    def encode(self, value: T, /) -> bytes:
        """Return the bytes to store."""
        ...

    def decode(self, raw: bytes, /) -> T:
        """Return the value that ``raw`` stands for."""
        ...


def _refuse_foreign(value: Any) -> None:
    """Refuse what ``json.dumps`` would change silently: object names that aren't strings."""
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(
                    f"the names in a JSON object are str; this dict has a key of type {type(name).__name__}"
                )
            _refuse_foreign(item)
    elif isinstance(value, list | tuple):
        for item in value:
            kind = type(item)
            if kind is not str and kind is not int:
                _refuse_foreign(item)


def _refuse_surrogates(value: Any, text: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{type(value).__name__} with a lone surrogate can't be stored: {error}") from None


def dumps(value: Any) -> str:
    """Return ``value`` as JSON text, refusing whatever would not come back as it went in.

    :raises TypeError: a type that JSON doesn't have.
    :raises ValueError: NaN, an infinity, a lone surrogate, a circular or too deeply nested value.
    """
    kind = type(value)
    if kind is str:
        text = encode_basestring_ascii(value)
    elif kind is int:
        try:
            return int.__repr__(value)
        except ValueError as error:
            raise ValueError(f"int can't be stored as JSON: {error}") from None
    else:
        try:
            text = _encode_any(value)
            if kind is not bool and value is not None:
                _refuse_foreign(value)
        except RecursionError:
            raise ValueError(f"{kind.__name__} is nested too deeply for JSON") from None
        except ValueError as error:
            raise ValueError(f"{kind.__name__} can't be stored as JSON: {error}") from None
        except TypeError as error:
            raise TypeError(f"{kind.__name__} can't be stored as JSON: {error}") from None
    if "\\ud" in text:
        _refuse_surrogates(value, text)
    return text


def loads(raw: bytes) -> Any:
    """Return the value of JSON text."""
    return _decode_text(raw.decode())


def broken(raw: bytes, error: Exception) -> DecodeError:
    """Return the exception for bytes that can't be decoded."""
    shown = raw if len(raw) <= 80 else raw[:77] + b"..."
    return DecodeError(message=f"can't decode {shown!r}: {error}", raw=raw)


class JSONCodec:
    """JSON text: the default.

    Tuples are stored as arrays and come back as lists.  NaN, infinities, bytes, sets, dicts with keys other
    than ``str``, lone surrogates and arbitrary objects are refused with TypeError or ValueError.

    >>> JSONCodec().encode({"b": 1, "a": [True, None]})
    b'{"a": [true, null], "b": 1}'
    """

    def encode(self, value: Any, /) -> bytes:
        """Return ``value`` as JSON text.  O(size)"""
        return dumps(value).encode()

    def decode(self, raw: bytes, /) -> Any:
        """Return the value of the JSON text ``raw``.  O(size)"""
        return _decode_text(raw.decode())

    def decode_many(self, raws: Sequence[bytes], /) -> list[Any]:
        """Decode a page of elements in one parse."""
        values: list[Any] = _decode_text("[" + b",\n".join(raws).decode() + "]")
        if len(values) != len(raws):
            raise ValueError("an element is not one JSON value")
        return values

    def __repr__(self) -> str:
        return "JSONCodec()"


class PickleCodec:
    """Pickle, signed: any Python object, but only for data that nobody else can write.

    Unpickling runs whatever code the bytes name, so whoever can write to the server could run code in your
    process.  Each value therefore carries an HMAC-SHA256 under ``secret``; bytes without a valid one are never
    unpickled.

    :param secret: the HMAC key, at least 16 bytes, the same in every process.
    :raises TypeError: ``secret`` isn't bytes.
    :raises ValueError: ``secret`` is too short.
    """

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes):
            raise TypeError(f"secret must be bytes, not {type(secret).__name__}")
        if len(secret) < 16:
            raise ValueError("secret must have at least 16 bytes")
        self._secret = secret

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)

    def encode(self, value: Any, /) -> bytes:
        """Return the signature and the pickle of ``value``."""
        try:
            body = pickle.dumps(value)
        except (pickle.PicklingError, AttributeError, RecursionError) as error:
            raise TypeError(f"{type(value).__name__} can't be pickled: {error}") from None
        return self._sign(body) + body

    def decode(self, raw: bytes, /) -> Any:
        """Check the signature, then unpickle."""
        signature, body = raw[:32], raw[32:]
        if not hmac.compare_digest(signature, self._sign(body)):
            raise ValueError("signature does not match")
        return pickle.loads(body)

    def __repr__(self) -> str:
        return "PickleCodec(...)"


class MsgpackCodec:
    """MessagePack: smaller and faster than JSON, with bytes as values.  Needs the ``msgpack`` extra.

    Tuples come back as lists, except in keys; integers are limited to 64 bits.
    """

    def __init__(self) -> None:
        import msgpack

        self._pack = msgpack.packb
        self._unpack = msgpack.unpackb

    def encode(self, value: Any, /) -> bytes:
        """Return ``value`` as MessagePack."""
        try:
            packed: Any = self._pack(value)
        except OverflowError as error:
            raise ValueError(f"{type(value).__name__} can't be stored as MessagePack: {error}") from None
        return bytes(packed)

    def decode(self, raw: bytes, /) -> Any:
        """Return the value of the MessagePack ``raw``."""
        try:
            return self._unpack(raw, strict_map_key=False)
        except TypeError:
            # A key that was a tuple: lists can't be keys.
            return self._unpack(raw, strict_map_key=False, object_pairs_hook=_with_tuples)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def __repr__(self) -> str:
        return "MsgpackCodec()"


def _with_tuples(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    return {_hashable(name): value for name, value in pairs}


def _hashable(name: Any) -> Any:
    return tuple(map(_hashable, name)) if isinstance(name, list) else name


class TypedCodec(Generic[T]):
    """Values of one type, as JSON: dataclasses, nested as their hints say, and pydantic's and msgspec's models.

    The hints may use ``bool``, ``int``, ``float``, ``str``, ``bytes``, ``None``, ``Any``; dates, times, durations,
    ``Decimal``, ``UUID``; enumerations and ``Literal``; ``list``, ``tuple``, ``set``, ``frozenset``, ``dict``;
    dataclasses (generic ones, too), named tuples, ``TypedDict``; unions of what JSON tells apart; ``Annotated`` and
    ``NewType``.  If there is a pydantic or a msgspec model in the type, that library reads and writes it all.

    Values are checked on writing and on reading.  Fields with a default may be missing in what is read, and fields that
    the type doesn't have are ignored.

    :param kind: the type.
    :raises TypeError: something in it can't be written, or couldn't be told apart when it is read.

    >>> @dataclasses.dataclass
    ... class Point:
    ...     x: int
    ...     y: int
    >>> codec = TypedCodec(list[Point])
    >>> codec.encode([Point(1, 2)])
    b'[{"x": 1, "y": 2}]'
    >>> codec.decode(b'[{"x": 1, "y": 2}]')
    [Point(x=1, y=2)]
    """

    @overload
    def __init__(self, kind: type[T]) -> None: ...
    @overload
    def __init__(self, kind: Any) -> None: ...
    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._to_json, self._from_json = adapter(kind)

    def encode(self, value: T, /) -> bytes:
        """Return ``value`` as JSON text.

        :raises TypeError: or ValueError: it isn't of the type, or JSON can't carry it.
        """
        try:
            return dumps(self._to_json(value)).encode()
        except RecursionError:
            raise ValueError(f"{type(value).__name__} is nested too deeply, or holds itself") from None

    def decode(self, raw: bytes, /) -> T:
        """Return the value that the JSON text ``raw`` describes."""
        value: T = self._from_json(raw)
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._kind,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(self._kind)})"


class DataclassCodec(TypedCodec[T]):
    """:class:`TypedCodec` for one dataclass.

    :param cls: the dataclass.
    :raises TypeError: ``cls`` isn't a dataclass, or has a field that can't be written.
    """

    def __init__(self, cls: type[T]) -> None:
        if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
            raise TypeError(f"{cls!r} is not a dataclass")
        super().__init__(cls)
