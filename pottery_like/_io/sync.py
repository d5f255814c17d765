"""The synchronous runner: sends operations through redis-py's pooled connections.

It drives the connections itself instead of calling ``Redis.execute_command``: that halves the cost of a call, and
only so can it decide which operations may be sent twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeAlias, TypeVar

from redis import BlockingConnectionPool, ConnectionPool, Redis, RedisCluster
from redis.exceptions import RedisError, ResponseError, TimeoutError

from pottery_like._core.driving import drive
from pottery_like._core.op import Batch, Done, Op, Page, Paging, Pause, Program, Take, Task, Wait
from pottery_like._io.inherited import know
from pottery_like._io.waiting import Waiting, keep_alive
from pottery_like._io.wire import (
    CLOSED,
    IDLE_ONLY,
    POOL_ARGUMENTS,
    Attempt,
    Note,
    NoteOf,
    Recovery,
    Settings,
    Unsent,
    Words,
    closed_in_use,
    decoded,
    give_up,
    note_all,
    pack,
    packed,
    refuse,
    repeatable,
)

T = TypeVar("T")

Client: TypeAlias = Redis | RedisCluster


class Runner:
    """Runs operations on one client: ``redis.Redis`` (Sentinel's included) or ``redis.RedisCluster``.

    :ivar round_trips: how many exchanges it has begun.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.clustered = isinstance(client, RedisCluster)
        self.round_trips = 0
        know(client)
        if isinstance(client, RedisCluster):
            kwargs = client.get_connection_kwargs()
            attempts = getattr(client, "cluster_error_retry_attempts", 0)
            self._settings = Settings.of(getattr(client, "retry", None), kwargs.get("socket_timeout"), True, attempts)
        else:
            kwargs = client.connection_pool.connection_kwargs
            self._settings = Settings.of(kwargs.get("retry"), kwargs.get("socket_timeout"), False)

    def run(self, op: Task[T], note: Note | None = None) -> T:
        """Run one operation and return its result."""
        if isinstance(op, Done):
            return op.value
        started = time.monotonic()
        try:
            reply = self._exchange(self._pool(op), op.argv(), note=note)
        except (RedisError, OSError, Unsent) as error:
            if note is not None:
                note(None)
            reply = self._recover(op, started, error, note)
        result: T = decoded(self.client, op, reply)
        return result

    def run_on(self, connection: Any, op: Op[T], over: Callable[[bool], None]) -> T:
        """Run one operation on a connection of the caller's, which is not used for further attempts.

        :param over: called when the connection is free again, with whether it brought the answer.
        """
        started, answered = time.monotonic(), False
        try:
            try:
                reply = self._say(connection, op.argv(), asking=False)
                answered = True
            finally:
                over(answered)
        except (RedisError, OSError) as error:
            reply = self._recover(op, started, error)
        result: T = decoded(self.client, op, reply)
        return result

    def step(self, step: Task[Any] | Batch | Pause | Take[Any] | Wait[Any]) -> Any:
        """Take one step of a program."""
        if isinstance(step, Op | Done):
            return self.run(step)
        if isinstance(step, Take):
            return self.run(step.op)
        if isinstance(step, Batch):
            return self.batch(step)
        if isinstance(step, Wait):
            return self.wait(step)
        time.sleep(step.seconds)
        return None

    def wait(self, wait: Wait[T]) -> T:
        """Wait on the server and return the result; across lost connections, and beyond the socket timeout."""
        waiting = Waiting(self.client, wait, self._settings)
        attempt = Attempt()
        while True:
            op = waiting.next()
            try:
                reply = self._held(self._prepared(op, attempt), waiting)
            except (RedisError, OSError, Unsent) as error:
                attempt = waiting.after(error)
                time.sleep(attempt.pause)
                continue
            if waiting.over(reply):
                result: T = decoded(self.client, op, reply)
                return result

    def _held(self, pool: ConnectionPool, waiting: Waiting) -> Any:
        try:
            connection = pool.get_connection(*POOL_ARGUMENTS)
        except (RedisError, OSError) as error:
            raise Unsent(error) from error
        except CLOSED as error:
            raise Unsent(closed_in_use(error)) from error
        self.round_trips += 1
        try:
            words = waiting.words()
            connection.send_packed_command(connection.pack_commands(words))
            waiting.told([self._reply(connection) for _ in words[1:]])
            sock = _socket(connection)
            keep_alive(sock)
            timeout = sock.gettimeout()
            try:
                sock.settimeout(waiting.due)
                try:
                    return connection.read_response(disable_decoding=True, disconnect_on_error=False)
                except TimeoutError:
                    sock.settimeout(waiting.grace)
                    self._unblock(pool, waiting)
                    return connection.read_response(disable_decoding=True, disconnect_on_error=False)
            finally:
                sock.settimeout(timeout)
        except ResponseError:
            raise
        except (RedisError, OSError):
            connection.disconnect()
            raise
        except CLOSED as error:
            connection.disconnect()
            raise closed_in_use(error) from error
        except BaseException:  # such as KeyboardInterrupt
            self._withdraw(pool, connection, waiting)
            raise
        finally:
            pool.release(connection)

    def _reply(self, connection: Any) -> Any:
        try:
            return connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error

    def _unblock(self, pool: ConnectionPool, waiting: Waiting) -> bool:
        """End a wait on the server; whether it could be asked to."""
        words = waiting.unblock()
        if words is None or isinstance(pool, BlockingConnectionPool):
            # Such a pool might let the caller wait for a second connection, longer than for the server.
            return False
        try:
            self._exchange(pool, words)
        except (RedisError, OSError, Unsent):
            return False
        return True

    def _withdraw(self, pool: ConnectionPool, connection: Any, waiting: Waiting) -> None:
        """Stop waiting, and put back what had come already."""
        try:
            if not self._unblock(pool, waiting):
                connection.disconnect()
                return
            undo = waiting.undo(connection.read_response(disable_decoding=True))
            if undo is not None:
                self.run(undo)
        except BaseException:
            # The interruption that led here is what the caller must see.
            connection.disconnect()

    def drive(self, program: Program[T], first: Op[Any] | Batch | Pause | Take[Any] | Wait[Any] | None = None) -> T:
        """Run a program to its end and return its result.

        :param first: the step that it has yielded already.
        """
        return drive(program, self.step, first)

    def iterate(self, paging: Paging) -> Iterator[Any]:
        """Run an iteration, yielding its elements."""
        # Unlike a generator that yields from each page, this resumes no Python frame for each element.
        return chain.from_iterable(self._pages(paging))

    def _pages(self, paging: Paging) -> Iterator[Iterable[Any]]:
        result = None
        while True:
            try:
                step = paging.send(result)
            except StopIteration:
                return
            if isinstance(step, Page):
                yield step.items
                result = None
            else:
                result = self.step(step)

    def batch(self, batch: Batch, note: NoteOf | None = None) -> list[Any]:
        """Send operations together and return their results; what fails raises after all have been answered."""
        if batch.atomic:
            return self._transaction(batch.ops)
        results: list[Any] = [None] * len(batch.ops)
        for pool, indexes in self._grouped(batch.ops):
            ops = [batch.ops[index] for index in indexes]
            noted = None if note is None else partial(note_all, note, indexes)
            for index, reply in zip(indexes, self._together(pool, ops, pack(ops), noted), strict=True):
                results[index] = reply
        return self._decoded(batch.ops, results, note)

    def _decoded(self, ops: Sequence[Op[Any]], replies: list[Any], note: NoteOf | None) -> list[Any]:
        for index, (op, reply) in enumerate(zip(ops, replies, strict=True)):
            if isinstance(reply, ResponseError):
                if not repeatable(reply, self._settings.cluster):
                    refuse(self.client, op, reply)
                if note is not None:
                    note(index, None)
                replies[index] = self._recover(op, time.monotonic(), reply)
        return [decoded(self.client, op, reply) for op, reply in zip(ops, replies, strict=True)]

    def _transaction(self, ops: tuple[Op[Any], ...]) -> list[Any]:
        started, first = time.monotonic(), ops[0]
        recovery = Recovery(self.client, first, self._settings, started)
        pool = self._pool(first)
        while True:
            queued = self._together(pool, ops, [("MULTI",), *pack(ops), ("EXEC",)])
            replies = queued.pop()
            if not isinstance(replies, ResponseError):
                for op, reply in zip(ops, replies, strict=True):
                    if isinstance(reply, ResponseError):
                        refuse(self.client, op, reply)
                return [decoded(self.client, op, reply) for op, reply in zip(ops, replies, strict=True)]
            # EXEC was refused as a whole, because of the first command that could not be queued.
            error = next((reply for reply in queued if isinstance(reply, ResponseError)), replies)
            attempt = recovery.after(error)
            if attempt.asking:
                # A slot on its way to another server can't be asked for in a transaction.
                return [self.run(op) for op in ops]
            pool = self._prepared(first, attempt)

    def _grouped(self, ops: Sequence[Op[Any]]) -> list[tuple[ConnectionPool, list[int]]]:
        groups: dict[int, tuple[ConnectionPool, list[int]]] = {}
        for index, op in enumerate(ops):
            pool = self._pool(op)
            groups.setdefault(id(pool), (pool, []))[1].append(index)
        return list(groups.values())

    def _pool(self, op: Op[Any]) -> ConnectionPool:
        client = self.client
        if isinstance(client, Redis):
            return client.connection_pool
        try:
            node = client.nodes_manager.get_node_from_slot(op.slot)
            return client.get_redis_connection(node).connection_pool
        except (RedisError, OSError) as error:
            raise Unsent(error) from error

    def _exchange(self, pool: ConnectionPool, argv: Words, *, asking: bool = False, note: Note | None = None) -> Any:
        try:
            connection = pool.get_connection(*POOL_ARGUMENTS)
        except (RedisError, OSError) as error:
            raise Unsent(error) from error
        except CLOSED as error:
            drop_idle(pool)
            raise Unsent(closed_in_use(error)) from error
        except BaseException:
            drop_idle(pool)
            raise
        try:
            if note is not None:
                note(connection)
            return self._say(connection, argv, asking=asking)
        finally:
            pool.release(connection)

    def _say(self, connection: Any, argv: Words, *, asking: bool) -> Any:
        self.round_trips += 1
        # A client-side cache (cache_config=) wraps its connections; it takes only what its client's methods send.
        wire = getattr(connection, "_conn", connection)
        try:
            if asking:
                wire.send_command("ASKING")
                wire.read_response()
            data = packed(argv)
            if data is None:
                wire.send_command(*argv)
            else:
                wire.send_packed_command(data)
            return wire.read_response(disable_decoding=True)
        except ResponseError:
            raise
        except CLOSED as error:
            connection.disconnect()
            raise closed_in_use(error) from error
        except BaseException:
            # A reply may still come: nobody else may read it off this connection.
            connection.disconnect()
            raise

    def _together(
        self, pool: ConnectionPool, ops: Sequence[Op[Any]], argvs: list[Words], note: Note | None = None
    ) -> list[Any]:
        try:
            connection = pool.get_connection(*POOL_ARGUMENTS)
        except (RedisError, OSError) as error:
            give_up(self.client, ops[0], Unsent(error))
        except CLOSED as error:
            drop_idle(pool)
            give_up(self.client, ops[0], Unsent(closed_in_use(error)))
        except BaseException:
            drop_idle(pool)
            raise
        self.round_trips += 1
        replies: list[Any] = []
        try:
            if note is not None:
                note(connection)
            connection.send_packed_command(connection.pack_commands(argvs))
            while len(replies) < len(argvs):
                try:
                    replies.append(connection.read_response(disable_decoding=True))
                except ResponseError as error:
                    replies.append(error)
        except (RedisError, OSError) as error:
            connection.disconnect()
            give_up(self.client, ops[0], error)
        except CLOSED as error:
            connection.disconnect()
            give_up(self.client, ops[0], closed_in_use(error))
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)
        return replies

    def _recover(self, op: Op[Any], started: float, error: Exception, note: Note | None = None) -> Any:
        recovery = Recovery(self.client, op, self._settings, started)
        while True:
            attempt = recovery.after(error)
            if attempt.pause:
                time.sleep(attempt.pause)
            try:
                pool = self._prepared(op, attempt)
                argv = op.eval_argv() if attempt.source else op.argv()
                return self._exchange(pool, argv, asking=attempt.asking, note=note)
            except (RedisError, OSError, Unsent) as failure:
                error = failure

    def _prepared(self, op: Op[Any], attempt: Attempt) -> ConnectionPool:
        client = self.client
        if isinstance(client, Redis):
            return client.connection_pool
        if attempt.refresh:
            try:
                client.nodes_manager.initialize()
            except (RedisError, OSError) as error:
                raise Unsent(error) from error
        if attempt.node is not None:
            node = client.get_node(*attempt.node)
            if node is not None:
                return client.get_redis_connection(node).connection_pool
        return self._pool(op)


def _socket(connection: Any) -> Any:
    # A connection with client-side caching is wrapped.
    return getattr(connection, "_conn", connection)._sock


def drop_idle(pool: ConnectionPool) -> None:
    """Close a pool's idle connections, after a signal handler's exception (KeyboardInterrupt) came out of it.

    One of them may have been cut short in its greeting, whose replies would be taken for other commands'.
    """
    pool.disconnect(*IDLE_ONLY)
