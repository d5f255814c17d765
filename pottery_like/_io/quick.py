"""Reading a socket without letting go of the interpreter.

``socket.recv`` lets other threads run meanwhile, even if it can't block.  Where they compute, the listening thread
would then wait for its turn twice before it can say what has changed: after it was woken, and again after reading.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable

PORTION = 1 << 16
"""Bytes to read at once."""


def receiver(sock: socket.socket) -> Callable[[], bytes]:
    """Return what reads a socket that doesn't block.

    It raises what ``sock.recv`` raises, such as BlockingIOError where there is nothing to be read.
    """
    try:
        import ctypes

        if isinstance(sock, ssl.SSLSocket):
            raise TypeError("its bytes come from OpenSSL")
        # Unlike CDLL, this calls with the interpreter's lock held.
        receive = ctypes.PyDLL(None, use_errno=True).recv
        again = socket.MSG_DONTWAIT
    except (ImportError, AttributeError, TypeError, OSError):
        return lambda: sock.recv(PORTION)
    receive.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    receive.restype = ctypes.c_ssize_t
    buffer = ctypes.create_string_buffer(PORTION)

    def quick() -> bytes:
        count = receive(sock.fileno(), buffer, PORTION, again)
        if count < 0:
            number = ctypes.get_errno() or errno.EIO
            raise OSError(number, os.strerror(number))
        return ctypes.string_at(buffer, count)

    return quick
