"""A TCP proxy in front of a server that counts round trips, and loses replies when told to."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Forwards to ``port``.

    :ivar round_trips: how often a client has written after it had read everything before.
    :ivar lose: how many further replies are read from the server and not passed on; the connection is closed instead.
    :ivar spare: what is in data that isn't lost.
    :ivar frozen: whether nothing is passed on, in neither direction, while all connections stay open.
    :ivar silent: whether lost replies leave the connection open, so that the client has to time out.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.round_trips = 0
        self.lose = 0
        self.spare: bytes | None = None
        self.silent = False
        self.frozen = False
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open |= {client, server}
        waiting = False
        with selectors.DefaultSelector() as selector, client, server:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while True:
                while self.frozen:
                    time.sleep(0.005)
                for ready, _ in selector.select():
                    while self.frozen:
                        time.sleep(0.005)
                    source = ready.fileobj
                    assert isinstance(source, socket.socket)
                    try:
                        data = source.recv(1 << 20)
                        if not data:
                            return
                        if source is client:
                            self.round_trips += not waiting
                            waiting = True
                            server.sendall(data)
                            continue
                        if self.lose > 0 and not (self.spare and self.spare in data):
                            self.lose -= 1
                            if self.silent:
                                continue
                            return
                        waiting = False
                        client.sendall(data)
                    except OSError:
                        return

    def close(self) -> None:
        """Refuse and close all connections."""
        # Closed only, it would take one more: accept() goes on with what it has.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Run a proxy for the block."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
