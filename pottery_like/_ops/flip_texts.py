"""How FlipCache's keys and values become bytes: FlipCache's own layout, ``name:key`` and plain text."""

from __future__ import annotations

import json
import numbers
from collections.abc import Callable
from typing import Any

from pottery_like._core.keys import hash_tag
from pottery_like.codecs import broken
from pottery_like.exceptions import DecodeError

KEY_TYPES = ("str", "int")
VALUE_TYPES = ("str", "int", "json", "custom")

_dump = json.JSONEncoder(allow_nan=False).encode
_load = json.JSONDecoder().decode


class Names:
    """A cache's keys and their Redis keys.  Keys that are equal in Python have one Redis key.

    :param name: the cache's name.
    :param key_type: ``"str"`` or ``"int"``: as what keys come back.
    :raises TypeError: ``name`` isn't a str.
    :raises ValueError: ``name`` is empty, or ``key_type`` neither of the two.
    """

    def __init__(self, name: str, key_type: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        if not name:
            raise ValueError("name must not be empty")
        if key_type not in KEY_TYPES:
            raise ValueError(f"key_type must be 'str' or 'int', not {key_type!r}")
        self.name = name
        self.prefix = f"{name}:".encode()
        self.key_type = key_type
        self._words = key_type == "str"
        self._text: Any = text if self._words else _int_text

    def encode(self, key: Any) -> bytes:
        """Return the Redis key.

        :raises TypeError: ``key`` is unhashable, or its text would not be the same in another process.
        :raises ValueError: ``key`` isn't an int, where keys are; it is NaN, or has a lone surrogate.
        """
        if type(key) is str and self._words:
            return self.prefix + key.encode()
        hash(key)
        return self.prefix + str(self._text(key)).encode()

    def decode(self, name: bytes) -> Any:
        """Return the key of a Redis key of this cache; None when nobody can have stored it."""
        raw = name[len(self.prefix) :]
        try:
            found = raw.decode()
            if self.key_type == "str":
                return found
            number = int(found)
        except ValueError:
            return None
        return number if str(number) == found else None

    def pattern(self) -> bytes:
        """Return the glob pattern of the cache's Redis keys."""
        escaped = bytearray()
        for each in self.prefix:
            if each in b"*?[]^\\":
                escaped += b"\\"
            escaped.append(each)
        return bytes(escaped) + b"*"


def text(key: Any) -> str:
    """Return the text of a key: that of ``str()``, and one for all that are equal.

    >>> text(1), text(True), text(1.0), text(("a", 1.0)), text(None)
    ('1', '1', '1', "('a', 1)", 'None')
    """
    if isinstance(key, str):
        return str.__str__(key)
    return str(_plain(key))


def _plain(key: Any) -> Any:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, tuple):
        return tuple(map(_plain, key))
    if isinstance(key, numbers.Number):
        return _number(key)
    if isinstance(key, frozenset):
        raise TypeError("a frozenset can't be a key: its text has no order")
    kind = type(key)
    shown: Any = kind.__str__, kind.__repr__
    if shown == (object.__str__, object.__repr__):
        raise TypeError(f"{kind.__name__} can't be a key: its text would not be the same in another process")
    return key


def _number(key: Any) -> Any:
    if key != key:  # noqa: PLR0124
        raise ValueError("NaN can't be a key: it equals nothing")
    if isinstance(key, complex):
        return _number(key.real) if not key.imag else key
    try:
        whole = int(key)
        if whole == key:
            return whole
        rounded = float(key)
        return rounded if rounded == key else key
    except (TypeError, ValueError, OverflowError):  # infinite, or complex
        return key


def _int_text(key: Any) -> str:
    try:
        number = int(key)
    except (TypeError, OverflowError):
        raise TypeError(f"with key_type='int' keys are ints, not {type(key).__name__}") from None
    if number != key and not isinstance(key, str | bytes):
        raise ValueError(f"with key_type='int' keys are ints, not {key!r}")
    return str(number)


def beside(key: bytes, purpose: bytes, clustered: bool = True) -> bytes | None:
    """Return a further key in the slot of ``key`` and outside every cache; None where there can be none.

    :param clustered: whether the slot matters.

    >>> beside(b"users:7", b"flights")
    b'{users:7}/flights'
    >>> beside(b"{users}:7", b"flights")
    b'{users}/flights:{users}:7'
    """
    tag = hash_tag(key)
    if tag is not None:
        return b"{" + tag + b"}/" + purpose + b":" + key
    if b"}" in key:
        return None if clustered else b"{}/" + purpose + b":" + key
    return b"{" + key + b"}/" + purpose


def is_beside(key: bytes, purpose: bytes, prefix: bytes) -> bool:
    """Return whether :func:`beside` may have made a key of one with this prefix."""
    if key.startswith(b"{" + prefix) and key.endswith(b"}/" + purpose):
        return True
    return key.startswith(b"{") and b"}/" + purpose + b":" + prefix in key


class Texts:
    """A cache's values and their bytes.

    :param value_type: ``"str"``, ``"int"``, ``"json"`` or ``"custom"``.
    :param encoder: of custom values, to str or bytes.
    :param decoder: of custom values, from str, or from bytes with ``raw``.
    :param raw: give the decoder bytes.
    :param codec: used instead of ``value_type``.
    :raises TypeError: an encoder and a decoder are needed, or given where they don't belong, or not callable.
    :raises ValueError: ``value_type`` is none of the four.
    """

    def __init__(
        self,
        value_type: str,
        encoder: Callable[[Any], Any] | None,
        decoder: Callable[[Any], Any] | None,
        raw: bool,
        codec: Any,
    ) -> None:
        if value_type not in VALUE_TYPES:
            raise ValueError(f"value_type must be 'str', 'int', 'json' or 'custom', not {value_type!r}")
        if codec is not None and value_type != "str":
            raise TypeError("give codec or value_type, not both")
        if codec is not None and not (hasattr(codec, "encode") and hasattr(codec, "decode")):
            raise TypeError(f"codec must have encode() and decode(), which {type(codec).__name__} has not")
        if value_type == "custom" and not (callable(encoder) and callable(decoder)):
            raise TypeError("value_type='custom' needs functions as value_encoder and value_decoder")
        if value_type != "custom" and not (encoder is None and decoder is None):
            raise TypeError("value_encoder and value_decoder belong to value_type='custom'")
        self.value_type = value_type if codec is None else "codec"
        self.none = self.value_type not in ("str", "int")
        """Whether None can be a value."""
        self._raw = raw
        self._from_custom, self._to_custom = encoder, decoder
        self._encode: Callable[[Any], Any]
        self._decode: Callable[[bytes], Any]
        if codec is not None:
            self._encode, self._decode = codec.encode, codec.decode
        else:
            self._encode = {"str": str, "int": _int_of, "json": _json, "custom": encoder}[value_type]  # type: ignore[assignment]
            self._decode = {"str": bytes.decode, "int": int, "json": _from_json, "custom": self._custom}[value_type]  # type: ignore[assignment]

    def encode(self, value: Any) -> bytes:
        """Return the bytes to store.

        :raises TypeError: or ValueError, ``value`` can't be stored as this type.
        """
        made = self._encode(value)
        if isinstance(made, str):
            return made.encode()
        if isinstance(made, bytes | bytearray | memoryview):
            return bytes(made)
        if self.value_type == "custom" and isinstance(made, int | float) and not isinstance(made, bool):
            return repr(made).encode()
        raise TypeError(f"the encoder returned {type(made).__name__}, which is neither str nor bytes")

    def decode(self, raw: bytes) -> Any:
        """Return the value.

        :raises DecodeError: ``raw`` isn't of this type.
        """
        try:
            return self._decode(raw)
        except DecodeError:
            raise
        except Exception as error:
            raise broken(raw, error) from error

    def _custom(self, raw: bytes) -> Any:
        assert self._to_custom is not None
        return self._to_custom(raw if self._raw else raw.decode())


def _int_of(value: Any) -> str:
    if isinstance(value, str | bytes):
        return str(int(value))
    if not isinstance(value, numbers.Number):
        raise TypeError(f"with value_type='int' values are ints, not {type(value).__name__}")
    number = int(value)  # type: ignore[call-overload]
    if number != value:
        raise ValueError(f"with value_type='int' values are ints, not {value!r}")
    return str(number)


def _json(value: Any) -> str:
    try:
        made: str = _dump(value)
    except RecursionError:
        raise ValueError(f"{type(value).__name__} is nested too deeply for JSON") from None
    except (TypeError, ValueError) as error:
        raise type(error)(f"{type(value).__name__} can't be stored as JSON: {error}") from None
    return made


def _from_json(raw: bytes) -> Any:
    return _load(raw.decode())
