"""How FlipCache's keys and values become bytes: FlipCache's own layout, ``name:key`` and plain text."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any
from uuid import UUID

from pottery_like._core.keys import hash_tag, slot, slot_tag
from pottery_like.codecs import broken
from pottery_like.exceptions import DecodeError

KEY_TYPES = ("str", "int")
VALUE_TYPES = ("str", "int", "json", "custom")
LONGEST = 4000
"""Digits of a whole Decimal: Python makes texts of little longer ints."""

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

        :raises TypeError: ``key`` is of another type than those that have one text for all equal keys.
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
    if isinstance(key, bytes):
        return bytes(key)
    if isinstance(key, Enum):
        return str(key)
    # Not what inherits from these: it may differ from its equals, or look like what isn't equal.
    if type(key) is datetime:
        # The fold is no part of what is compared, and moments in different zones may be one.
        return key.replace(tzinfo=None, fold=0) if key.utcoffset() is None else key.astimezone(timezone.utc)
    if key is None or type(key) in (date, timedelta, UUID):
        return key
    raise TypeError(
        f"{type(key).__name__} can't be a key: its equals may have other texts; give its str(), for example"
    )


def _number(key: Any) -> Any:
    """Return one number for all that are equal."""
    if type(key) is int:
        return key
    if key != key:  # noqa: PLR0124
        raise ValueError("NaN can't be a key: it equals nothing")
    if isinstance(key, complex):
        # 0j makes of a part that is -0.0, and equals 0.0, the latter.
        return key + 0j if key.imag else _number(key.real)
    if isinstance(key, Decimal) and key.is_finite() and key.adjusted() > LONGEST:
        raise ValueError("a Decimal with that many digits can't be a key")
    try:
        rounded = float(key)
        if rounded == key:
            return int(key) if math.isfinite(rounded) and rounded == int(rounded) else rounded
    except OverflowError:  # an int, or a Fraction, beyond the range of float
        pass
    except TypeError:
        raise TypeError(f"{type(key).__name__} can't be a key: it is no number with a text of its own") from None
    if not isinstance(key, numbers.Integral | Fraction | Decimal):
        raise TypeError(f"{type(key).__name__} can't be a key: it is no number with a text of its own")
    if key == int(key):
        return int(key)
    return _decimal(key) if isinstance(key, Decimal) else _fraction(Fraction(key))


def _decimal(key: Decimal) -> Decimal:
    """Return a Decimal without the zeros at its end; normalize() would round it."""
    sign, digits, exponent = key.as_tuple()
    assert isinstance(exponent, int)
    while digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    return Decimal((sign, digits, exponent))


def _fraction(key: Fraction) -> Fraction | Decimal:
    """Return the Decimal that a Fraction equals, if there is one."""
    rest, twos, fives = key.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest > 1:
        return key
    places = max(twos, fives)
    digits = tuple(map(int, str(abs(key.numerator) * 10**places // key.denominator)))
    return Decimal((int(key < 0), digits, -places))


def _int_text(key: Any) -> str:
    try:
        number = int(key)
    except (TypeError, OverflowError):
        raise TypeError(f"with key_type='int' keys are ints, not {type(key).__name__}") from None
    if number != key and not isinstance(key, str | bytes):
        raise ValueError(f"with key_type='int' keys are ints, not {key!r}")
    return str(number)


def beside(key: bytes, purpose: bytes) -> bytes:
    """Return a further key in the slot of ``key`` and outside every cache.

    >>> beside(b"users:7", b"flights")
    b'{users:7}/flights'
    >>> beside(b"{users}:7", b"flights")
    b'{users}/flights:{users}:7'
    """
    tag = hash_tag(key)
    if tag is not None:
        return b"{" + tag + b"}/" + purpose + b":" + key
    if b"}" in key:
        return b"{" + slot_tag(slot(key)) + b"}/" + purpose + b":" + key
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
    try:
        number = int(value)  # type: ignore[call-overload]
    except OverflowError:
        raise ValueError(f"with value_type='int' values are ints, not {value!r}") from None
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
