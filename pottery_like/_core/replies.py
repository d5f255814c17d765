"""Reading what a listening connection brings, byte by byte as it comes.

A server that tracks keys may name a million of them in one message.  So a message isn't gathered first: its keys are
handed on in portions, as soon as they are there, and memory holds no more than one portion and one unfinished word.
Keys of consecutive messages are handed on together.
"""

from __future__ import annotations

from typing import Any, Final

INVALIDATE: Final = b"__redis__:invalidate"
"""The channel on which a server names the keys that changed."""

_HEAD: Final = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*"

_MORE: Final = object()

_MINUS: Final = ord("-")

MANY: Final = 64
"""From so many keys in a message on they are first taken apart all at once."""

_LENGTHS: Final = {b"$%d" % length: length for length in range(1024)}


class Keys(list[bytes]):
    """Keys that have changed."""


class Flush:
    """Everything may have changed."""


class Refusal(str):
    """An error reply."""


class Replies:
    """What a RESP2 connection brings."""

    def __init__(self) -> None:
        self._buffer = b""
        self._keys_left = 0

    def feed(self, data: bytes) -> list[Any]:
        """Take bytes, and return what is complete by them: :class:`Keys`, :class:`Flush`, or any other reply."""
        buffer = self._buffer + data if self._buffer else data
        position, found = 0, list[Any]()
        keys = Keys()
        while position < len(buffer):
            if self._keys_left:
                if not keys:
                    found.append(keys)
                position = self._read_keys(buffer, position, keys)
                if self._keys_left:
                    break
            elif buffer.startswith(_HEAD, position):
                start = position + len(_HEAD)
                end = buffer.find(b"\r\n", start)
                if end < 0:
                    break
                position = end + 2
                # A null instead of keys: all of them.
                if buffer[start] == _MINUS:
                    found.append(Flush())
                    keys = Keys()
                else:
                    self._keys_left = int(buffer[start:end])
            else:
                reply, after = _reply(buffer, position)
                if reply is _MORE:
                    break
                position = after
                found.append(_told(reply))
                keys = Keys()
        self._buffer = buffer[position:]
        return found

    def _read_keys(self, buffer: bytes, position: int, keys: Keys) -> int:
        """Append the keys that begin at a position; return where the complete ones end."""
        if self._keys_left >= MANY:
            position = self._read_many(buffer, position, keys)
        left, length = self._keys_left, len(buffer)
        find, append = buffer.find, keys.append
        while left:
            start = find(b"\r\n", position) + 2
            if start < 2:
                break
            end = start + int(buffer[position + 1 : start - 2])
            if end + 2 > length:
                break
            append(buffer[start:end])
            position = end + 2
            left -= 1
        self._keys_left = left
        return position

    def _read_many(self, buffer: bytes, position: int, keys: Keys) -> int:
        parts = buffer[position:].split(b"\r\n", 2 * self._keys_left)
        count = (len(parts) - 1) // 2
        heads, found = parts[0 : 2 * count : 2], parts[1 : 2 * count : 2]
        # A key may hold a line's end itself.  Then a length is wrong somewhere, and they are read one by one.
        if list(map(_LENGTHS.get, heads)) != list(map(len, found)):
            return position
        keys += found
        self._keys_left -= count
        return position + sum(map(len, heads)) + sum(map(len, found)) + 4 * count


def _told(reply: Any) -> Any:
    # Older servers tell of a flush by a null that is no array.
    if isinstance(reply, list) and len(reply) == 3 and reply[:2] == [b"message", INVALIDATE]:
        return Flush() if reply[2] is None else Keys(reply[2])
    return reply


def _reply(buffer: bytes, position: int) -> tuple[Any, int]:
    """Return the reply that begins at a position, and where it ends."""
    end = buffer.find(b"\r\n", position)
    if end < 0:
        return _MORE, position
    kind, text, after = buffer[position : position + 1], buffer[position + 1 : end], end + 2
    if kind == b"+":
        return text, after
    if kind == b"-":
        return Refusal(text.decode(errors="replace")), after
    if kind == b":":
        return int(text), after
    if kind not in (b"$", b"*"):
        raise ValueError(f"not a reply: {kind!r}")
    count = int(text)
    if count < 0:
        return None, after
    if kind == b"$":
        if after + count + 2 > len(buffer):
            return _MORE, position
        return buffer[after : after + count], after + count + 2
    items = []
    for _ in range(count):
        item, after = _reply(buffer, after)
        if item is _MORE:
            return _MORE, position
        items.append(item)
    return items, after
