"""Several independent masters, asked together and without threads: write to each of them, then read from each."""

from __future__ import annotations

import select
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from redis import BlockingConnectionPool, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError, TimeoutError
from redis.retry import Retry

from pottery_like._core.op import Pause
from pottery_like._core.quorum import Answers, Ask, Consultation
from pottery_like._io import servers
from pottery_like._io.health import GRACE, TIMEOUT, Health, failure
from pottery_like._io.sync import Client, Runner
from pottery_like._io.wire import POOL_ARGUMENTS, decoded

T = TypeVar("T")


class _Line:
    """The connections to one master.

    They are the client's own arguments in a pool of this module's: its own would repeat a failed connect with
    pauses, for many seconds, while the other masters wait.
    """

    def __init__(self, client: Client, timeout: float) -> None:
        self.client = client
        arguments = servers.connection_arguments(client)
        self.health = Health(timeout, arguments.get("socket_timeout"))
        self.runner = Runner(client)
        self.pool: ConnectionPool | None = None
        if isinstance(client, Redis):
            self.pool = client.connection_pool
            if type(self.pool) in (ConnectionPool, BlockingConnectionPool):
                limits = {"socket_timeout": self.health.timeout, "socket_connect_timeout": self.health.timeout}
                arguments |= {**limits, "retry": Retry(NoBackoff(), 0)}
                self.pool = ConnectionPool(connection_class=self.pool.connection_class, **arguments)


_lines: weakref.WeakValueDictionary[tuple[int, float], _Line] = weakref.WeakValueDictionary()


def _line(client: Client, timeout: float) -> _Line:
    # A line holds its client, so no other client has this id meanwhile.
    return _lines.get((id(client), timeout)) or _lines.setdefault((id(client), timeout), _Line(client, timeout))


def _readable(files: Iterable[int], seconds: float) -> list[int]:
    if hasattr(select, "poll"):
        poll = select.poll()
        for file in files:
            poll.register(file, select.POLLIN)
        return [file for file, _ in poll.poll(max(0.0, seconds) * 1000)]
    return select.select(list(files), [], [], max(0.0, seconds))[0]


class Masters:
    """Runs questions on one master or several.

    One master alone is asked as any container's server is: with its client's own retries and timeouts.

    :param clients: one client for each.
    :param timeout: how long to wait for a master, in seconds; a client's own ``socket_timeout`` may shorten it.
    """

    def __init__(self, clients: Sequence[Client], timeout: float = TIMEOUT) -> None:
        self.clients = tuple(clients)
        self._lines = [_line(client, timeout) for client in self.clients]

    def __len__(self) -> int:
        return len(self.clients)

    def ask(self, ask: Ask[T]) -> Answers[T]:
        """Put one question to the masters.  Takes as long as the slowest of them, at most its timeout."""
        answers: Answers[T] = Answers({}, {})
        if len(self._lines) == 1:
            try:
                answers.results[0] = self._lines[0].runner.run(ask.op)
            except Exception as error:
                answers.errors[0] = error
            return answers
        indexes = range(len(self)) if ask.among is None else sorted(ask.among)
        if ask.settled is None:
            self._exchange(ask, indexes, answers)
            return answers
        trusted = [index for index in indexes if self._lines[index].health.trusted]
        self._exchange(ask, trusted, answers)
        others = [index for index in indexes if index not in trusted]
        if ask.settled(answers.results.values()):
            answers.errors.update((index, self._lines[index].health.skipped()) for index in others)
        else:
            self._exchange(ask, others, answers)
        return answers

    def drive(self, consultation: Consultation[T]) -> T:
        """Run a consultation to its end and return its result."""
        try:
            step = next(consultation)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(consultation)
                else:
                    step = consultation.send(self.ask(step))
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _exchange(self, ask: Ask[T], indexes: Sequence[int], answers: Answers[T]) -> None:
        round_ = _Round(self._lines, ask, answers)
        try:
            for index in indexes:
                round_.send(index)
            round_.receive()
        finally:
            round_.abandon()


class _Round:
    """One operation on its way to several masters and back."""

    def __init__(self, lines: Sequence[_Line], ask: Ask[Any], answers: Answers[Any]) -> None:
        self._lines = lines
        self._ask = ask
        self._answers = answers
        self._sent: dict[int, tuple[int, Any, float]] = {}

    def send(self, index: int) -> None:
        line, op, started = self._lines[index], self._ask.op, time.monotonic()
        if line.pool is None:
            # A cluster finds the node by itself, and follows redirections.
            try:
                self._succeed(index, line.runner.run(op))
            except Exception as error:
                self._fail(index, error, started)
            return
        try:
            connection = line.pool.get_connection(*POOL_ARGUMENTS)
        except (RedisError, OSError) as error:
            self._fail(index, failure(line.client, op, error, sent=False), started)
            return
        try:
            connection.send_command(*op.argv())
            socket: Any = connection._sock
            self._sent[socket.fileno()] = index, connection, started
        except BaseException as error:
            self._close(line, connection)
            if not isinstance(error, RedisError | OSError):
                raise
            self._fail(index, failure(line.client, op, error), started)

    def receive(self) -> None:
        """Read the replies, each until its master's timeout, and what comes late only for a little while."""
        settled, until = self._ask.settled, float("inf")
        while self._sent:
            if until == float("inf") and settled is not None and settled(self._answers.results.values()):
                until = time.monotonic() + GRACE
            ends = {
                file: min(until, started + self._lines[index].health.timeout)
                for file, (index, _, started) in self._sent.items()
            }
            ready = _readable(self._sent, min(ends.values()) - time.monotonic())
            for file in ready:
                self._read(file)
            if not ready:
                now = time.monotonic()
                for file in [file for file, end in ends.items() if end <= now]:
                    self._drop(file)

    def abandon(self) -> None:
        """Close what is still waiting, when something interrupted it."""
        for index, connection, _ in self._sent.values():
            self._close(self._lines[index], connection)
        self._sent.clear()

    def _read(self, file: int) -> None:
        index, connection, started = self._sent[file]
        line, op = self._lines[index], self._ask.op
        try:
            reply = connection.read_response(disable_decoding=True)
        except NoScriptError:
            self._again(file)
            return
        except ResponseError as error:
            del self._sent[file]
            self._pool(line).release(connection)
            self._fail(index, failure(line.client, op, error), started)
            return
        except (RedisError, OSError) as error:
            del self._sent[file]
            self._close(line, connection)
            self._fail(index, failure(line.client, op, error), started)
            return
        del self._sent[file]
        self._pool(line).release(connection)
        try:
            self._succeed(index, decoded(line.client, op, reply))
        except Exception as error:
            self._fail(index, error, started)

    def _again(self, file: int) -> None:
        index, connection, started = self._sent[file]
        try:
            connection.send_command(*self._ask.op.eval_argv())
        except (RedisError, OSError) as error:
            del self._sent[file]
            line = self._lines[index]
            self._close(line, connection)
            self._fail(index, failure(line.client, self._ask.op, error), started)

    def _drop(self, file: int) -> None:
        index, connection, started = self._sent.pop(file)
        line = self._lines[index]
        self._close(line, connection)
        late = TimeoutError("no reply in time")
        self._fail(index, failure(line.client, self._ask.op, late), started)

    def _close(self, line: _Line, connection: Any) -> None:
        # A reply may still come: nobody else may read it off this connection.
        connection.disconnect()
        self._pool(line).release(connection)

    @staticmethod
    def _pool(line: _Line) -> ConnectionPool:
        assert line.pool is not None
        return line.pool

    def _succeed(self, index: int, result: Any) -> None:
        self._lines[index].health.answered()
        self._answers.results[index] = result

    def _fail(self, index: int, error: Exception, started: float) -> None:
        self._lines[index].health.failed(error, time.monotonic() - started)
        self._answers.errors[index] = error
