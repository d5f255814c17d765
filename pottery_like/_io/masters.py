"""Several independent masters, asked together and without threads: write to each of them, then read from each."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from redis import BlockingConnectionPool, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError, TimeoutError
from redis.retry import Retry

from pottery_like._core.op import Op, Pause
from pottery_like._core.quorum import Answers, Ask, Consultation
from pottery_like._io import servers
from pottery_like._io.health import GRACE, TIMEOUT, Health, failure
from pottery_like._io.lanes import readable
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
                answers.results[0] = self._lines[0].runner.run(ask.to(0))
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
            round_.send(indexes)
            round_.receive()
        finally:
            round_.abandon()


class _Letter:
    """One operation on its way to one master and back."""

    __slots__ = ("connection", "ends", "index", "line", "op", "started")

    def __init__(self, index: int, line: _Line, op: Op[Any]) -> None:
        self.index, self.line, self.op = index, line, op
        self.started = self.ends = 0.0
        self.connection: Any = None
        self.restart()

    def restart(self) -> None:
        """Count the time from now on."""
        self.started = time.monotonic()
        self.ends = self.started + self.line.health.timeout

    def close(self) -> None:
        """Give the connection back, closed: a reply that still comes is nobody else's."""
        self.connection.disconnect()
        self.release()

    def release(self) -> None:
        """Give the connection back."""
        assert self.line.pool is not None
        connection, self.connection = self.connection, None
        self.line.pool.release(connection)


class _Round:
    """One question on its way to several masters and back."""

    def __init__(self, lines: Sequence[_Line], ask: Ask[Any], answers: Answers[Any]) -> None:
        self._lines = lines
        self._ask = ask
        self._answers = answers
        self._sent: dict[int, _Letter] = {}

    def send(self, indexes: Iterable[int]) -> None:
        """Get a connection to each master first, then send to all of them closely together."""
        letters = [_Letter(index, self._lines[index], self._ask.to(index)) for index in indexes]
        try:
            ready = [letter for letter in letters if self._connect(letter)]
            packed: dict[int, Any] = {}
            for letter in ready:
                self._post(letter, packed)
        except BaseException:
            for letter in letters:
                if letter.connection is not None:
                    letter.close()
            self._sent.clear()
            raise

    def _connect(self, letter: _Letter) -> bool:
        line = letter.line
        if line.pool is None:
            # A cluster finds the node by itself, and follows redirections.
            try:
                self._succeed(letter, line.runner.run(letter.op))
            except Exception as error:
                self._fail(letter, error)
            return False
        try:
            letter.connection = line.pool.get_connection(*POOL_ARGUMENTS)
        except (RedisError, OSError) as error:
            self._fail(letter, failure(line.client, letter.op, error, sent=False))
            return False
        return True

    def _post(self, letter: _Letter, packed: dict[int, Any]) -> None:
        op, connection = letter.op, letter.connection
        words = packed.get(id(op))
        if words is None:
            words = packed[id(op)] = connection.pack_command(*op.argv())
        letter.restart()
        try:
            connection.send_packed_command(words)
            self._sent[connection._sock.fileno()] = letter
        except (RedisError, OSError) as error:
            letter.close()
            self._fail(letter, failure(letter.line.client, op, error))

    def receive(self) -> None:
        """Read the replies, each until its master's timeout, and what comes late only for a little while."""
        settled, until = self._ask.settled, float("inf")
        sent = self._sent
        while sent:
            if settled is not None and settled(self._answers.results.values()):
                until, settled = time.monotonic() + GRACE, None
            end = min(until, *[letter.ends for letter in sent.values()])
            ready = readable(sent, end - time.monotonic())
            for file in ready:
                self._read(file)
            if not ready:
                now = time.monotonic()
                for file in [file for file, letter in sent.items() if min(until, letter.ends) <= now]:
                    self._drop(sent.pop(file))

    def abandon(self) -> None:
        """Close what is still waiting, when something interrupted it."""
        for letter in self._sent.values():
            letter.close()
        self._sent.clear()

    def _read(self, file: int) -> None:
        letter = self._sent[file]
        try:
            try:
                reply = letter.connection.read_response(disable_decoding=True)
            except NoScriptError:
                letter.connection.send_command(*letter.op.eval_argv())
                return
        except ResponseError as error:
            del self._sent[file]
            letter.release()
            self._fail(letter, failure(letter.line.client, letter.op, error))
            return
        except (RedisError, OSError) as error:
            del self._sent[file]
            letter.close()
            self._fail(letter, failure(letter.line.client, letter.op, error))
            return
        del self._sent[file]
        letter.release()
        try:
            self._succeed(letter, decoded(letter.line.client, letter.op, reply))
        except Exception as error:
            self._fail(letter, error)

    def _drop(self, letter: _Letter) -> None:
        letter.close()
        self._fail(letter, failure(letter.line.client, letter.op, TimeoutError("no reply in time")))

    def _succeed(self, letter: _Letter, result: Any) -> None:
        letter.line.health.answered()
        self._answers.results[letter.index] = result

    def _fail(self, letter: _Letter, error: Exception) -> None:
        letter.line.health.failed(error, time.monotonic() - letter.started)
        self._answers.errors[letter.index] = error
