"""One exchange with several masters, for both worlds: what goes to whom, and what follows an answer or its absence.

It is a generator that yields what the ways' methods return.  In the synchronous world that is a result already, which
is sent back; in the asyncio world it is a coroutine, which is awaited first.  Nothing here does I/O.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from typing import Any

from redis.exceptions import ConnectionError, NoScriptError, RedisError, ResponseError, TimeoutError

from pottery_like._core.dialogue import UNASKED, Ask, Repeated, majority
from pottery_like._core.op import Op
from pottery_like._io.wire import CLOSED, Unsent, decoded, give_up, refuse

GRACE = 0.05
"""Seconds that late masters get once there is enough, where that is all that is wanted."""
SLICE = 0.01
"""Seconds to wait for one master there, before it is the next one's turn."""
COOL_OFF = 1.0
"""Seconds for which a master that was silent is passed over, while enough others answer; twice as long each time."""
LONGEST_COOL_OFF = 30.0

Work = Generator[Any, Any, None]


class Health:
    """Whether a master is worth waiting for."""

    def __init__(self) -> None:
        self._down_until = 0.0
        self._silences = 0

    @property
    def up(self) -> bool:
        """Whether the master isn't known to be silent."""
        return not self._down_until or time.monotonic() >= self._down_until

    def answered(self) -> None:
        """Note that the master speaks."""
        if self._silences:
            self._silences, self._down_until = 0, 0.0

    def failed(self, error: Exception, seconds: float) -> None:
        """Note a failure that took so long.  One that comes at once, such as a refused connection, costs nothing."""
        if isinstance(error, TimeoutError) or (seconds >= GRACE and not isinstance(error, ResponseError)):
            self._down_until = time.monotonic() + min(LONGEST_COOL_OFF, COOL_OFF * 2.0**self._silences)
            self._silences += 1


class _Parcel:
    """What goes one way."""

    __slots__ = ("began", "connection", "due", "ends", "indexes", "lost", "ops", "unknown", "way")

    def __init__(self, way: Any, ops: Sequence[Op[Any] | None], indexes: list[int]) -> None:
        self.way = way
        self.ops: Any = ops
        self.indexes = indexes
        self.connection: Any = None
        self.due: list[int] = []
        self.unknown: list[int] = []
        self.lost: list[int] = []
        self.began = 0.0
        self.ends = math.inf


class Exchange:
    """One :class:`Ask` step.

    :param ways: the way to each master, a :class:`Health`.  They may repeat: what goes the same way goes together.
        One that is ``direct`` can ``open`` a connection within some seconds, ``give_back`` and ``close`` it, ``send``
        packed operations on it, and ``read`` a reply, where TimeoutError means that it may still come; another can
        ``run`` an operation.
    :ivar results: what the step is answered with, once :meth:`run` has come to its end.
    """

    def __init__(self, ways: Sequence[Any], step: Ask) -> None:
        self.results: list[Any] = [UNASKED] * len(step.ops)
        self._step = step
        self._ways = ways

    def run(self) -> Work:
        """Do it."""
        parcels = self._parcels()
        first = self._first(parcels)
        yield from self._wave(first)
        rest = [parcel for parcel in parcels if parcel not in first]
        if rest and not self._step.spare and not self._enough():
            yield from self._wave(rest)
        elif rest:
            for index in (index for parcel in rest for index in parcel.indexes):
                self.results[index] = TimeoutError("not asked, as it was silent a moment ago")

    def _parcels(self) -> list[_Parcel]:
        ops, parcels = self._step.ops, {}
        for index, (way, op) in enumerate(zip(self._ways, ops, strict=True)):
            if op is not None:
                if id(way) not in parcels:
                    parcels[id(way)] = _Parcel(way, ops, [])
                parcels[id(way)].indexes.append(index)
        return list(parcels.values())

    def _first(self, parcels: list[_Parcel]) -> list[_Parcel]:
        if self._step.enough is None:
            return parcels
        up = [parcel for parcel in parcels if parcel.way.up]
        return up if self._step.spare or len(up) >= majority(len(parcels)) else parcels

    def _enough(self) -> bool:
        enough = self._step.enough
        return enough is not None and enough(
            [each for each in self.results if each is not UNASKED and not isinstance(each, Exception)]
        )

    def _wave(self, parcels: list[_Parcel]) -> Work:
        direct = [parcel for parcel in parcels if parcel.way.direct]
        try:
            yield from self._post(direct)
            if len(direct) < len(parcels):
                for parcel in parcels:
                    if not parcel.way.direct:
                        yield from self._run(parcel)
            yield from self._receive([parcel for parcel in direct if parcel.connection is not None])
            for parcel in direct:
                if parcel.lost and time.monotonic() < parcel.ends:
                    yield from self._repeat(parcel)
        finally:
            yield from self._end_all(direct)

    def _end_all(self, parcels: list[_Parcel]) -> Work:
        for place, parcel in enumerate(parcels):
            if parcel.connection is not None:
                try:
                    yield from self._end(parcel)
                except BaseException:
                    # Interrupted once more: the others' connections must not be lost, either.
                    yield from self._end_all(parcels[place + 1 :])
                    raise

    def _post(self, parcels: list[_Parcel]) -> Work:
        # The connections come first, so that the operations go out closely together.
        for parcel in parcels:
            parcel.began = time.monotonic()
            try:
                parcel.connection = yield parcel.way.open(self._step.timeout)
            except (RedisError, OSError) as error:
                self._fail(parcel, parcel.indexes, error, sent=False)
        for parcel in parcels:
            if parcel.connection is not None:
                parcel.due = parcel.indexes[:]
                parcel.began = time.monotonic()
                parcel.ends = min(parcel.ends, parcel.began + min(parcel.way.timeout, self._step.timeout))
                try:
                    yield parcel.way.send(parcel.connection, [parcel.ops[index].packed() for index in parcel.indexes])
                except (RedisError, OSError) as error:
                    yield from self._break(parcel, error)

    def _run(self, parcel: _Parcel) -> Work:
        again = self._step.again
        for index in parcel.indexes:
            parcel.began = time.monotonic()
            try:
                try:
                    self.results[index] = yield parcel.way.run(parcel.ops[index])
                except ConnectionError:
                    op = None if again is None else again()[index]
                    if op is None:
                        raise
                    result = yield parcel.way.run(op)
                    self.results[index] = Repeated(result)
                parcel.way.answered()
            except Exception as error:
                parcel.way.failed(error, time.monotonic() - parcel.began)
                self.results[index] = error

    def _receive(self, pending: list[_Parcel]) -> Work:
        slice_ = SLICE if self._step.hasty else math.inf
        until = math.inf
        while pending:
            for parcel in list(pending):
                ends = min(parcel.ends, until)
                try:
                    yield from self._read(parcel, min(ends, time.monotonic() + slice_))
                except TimeoutError as error:
                    if time.monotonic() < ends:
                        continue
                    yield from self._retract(parcel)
                    yield from self._break(parcel, error)
                pending.remove(parcel)
                if self._step.hasty and until == math.inf and self._enough():
                    until = time.monotonic() + GRACE

    def _read(self, parcel: _Parcel, until: float) -> Work:
        """Read what is due.

        :raises TimeoutError: it isn't there in time; it is still due.
        """
        way, connection = parcel.way, parcel.connection
        try:
            while parcel.due:
                index = parcel.due[0]
                op = parcel.ops[index]
                try:
                    reply = yield way.read(connection, until - time.monotonic())
                except NoScriptError:
                    parcel.unknown.append(index)
                except ResponseError as error:
                    self._fail(parcel, [index], error)
                else:
                    try:
                        self.results[index] = decoded(way.client, op, reply)
                    except Exception as error:
                        self.results[index] = error
                del parcel.due[0]
                if parcel.unknown and not parcel.due:
                    parcel.due, parcel.unknown = parcel.unknown, []
                    yield way.send(connection, [parcel.ops[each].packed(source=True) for each in parcel.due])
            way.answered()
        except TimeoutError:
            raise
        except (RedisError, OSError) as error:
            yield from self._break(parcel, error)

    def _repeat(self, parcel: _Parcel) -> Work:
        assert self._step.again is not None
        errors = {index: self.results[index] for index in parcel.lost}
        parcel.ops, parcel.indexes, parcel.lost = self._step.again(), parcel.lost, []
        yield from self._post([parcel])
        if parcel.connection is None and not parcel.lost:
            # The first time something was sent.
            self.results = [errors.get(index, result) for index, result in enumerate(self.results)]
        elif parcel.connection is not None:
            yield from self._receive([parcel])
        for index in parcel.indexes:
            if not isinstance(self.results[index], Exception):
                self.results[index] = Repeated(self.results[index])

    def _retract(self, parcel: _Parcel) -> Work:
        # What a silent master was sent it will still run; this comes right after it, whether anybody waits or not.
        if self._step.undo is not None:
            undo = self._step.undo()
            try:
                yield parcel.way.send(parcel.connection, [undo[index].packed(source=True) for index in parcel.due])
            except (RedisError, OSError):
                pass

    def _break(self, parcel: _Parcel, error: Exception) -> Work:
        due, parcel.due, parcel.unknown = [*parcel.unknown, *parcel.due], [], []
        self._fail(parcel, due, error)
        if self._step.again is not None and not isinstance(error, TimeoutError):
            parcel.lost = due
        connection, parcel.connection = parcel.connection, None
        yield parcel.way.close(connection)

    def _fail(self, parcel: _Parcel, indexes: list[int], error: Exception, *, sent: bool = True) -> None:
        parcel.way.failed(error, time.monotonic() - parcel.began)
        for index in indexes:
            self.results[index] = _failure(parcel.way.client, parcel.ops[index], error, sent=sent)

    def _end(self, parcel: _Parcel) -> Work:
        way, connection, due = parcel.way, parcel.connection, parcel.due
        parcel.connection = None
        try:
            # Interrupted.  What can be repeated can also be undone: what has been sent must run before that.
            while due and self._step.again is not None:
                try:
                    yield way.read(connection, way.timeout)
                except ResponseError:
                    pass
                del due[0]
        except (RedisError, OSError, *CLOSED):
            pass
        except BaseException:
            yield way.close(connection)
            raise
        yield way.close(connection) if due else way.give_back(connection)


def _failure(client: Any, op: Op[Any], error: Exception, *, sent: bool) -> Exception:
    try:
        if isinstance(error, ResponseError):
            refuse(client, op, error)
        give_up(client, op, error if sent else Unsent(error))
    except Exception as raised:
        return raised
