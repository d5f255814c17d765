"""What a FlipCache is underneath: a dict that holds the local tier, and programs that run when it has no answer."""

from __future__ import annotations

import os
import threading
import uuid
import warnings
import weakref
from collections import deque
from functools import partial
from typing import Any

from typing_extensions import TypeVar

from pottery_like._core.driving import drive
from pottery_like._core.lua import Script
from pottery_like._core.op import Op
from pottery_like._io import servers, unwritten
from pottery_like._io.anchors import anchors
from pottery_like._io.events import Teller
from pottery_like._io.flights import Flights
from pottery_like._io.following import Trusting
from pottery_like._io.sync import Client, Runner
from pottery_like._io.tracking import Tracker, tracker
from pottery_like._ops.flip_back import FlipBack
from pottery_like._ops.flip_config import FlipConfig, FlipParts
from pottery_like._ops.flip_core import FlipProgram, Read, ReadMany, Write
from pottery_like.exceptions import BypassedWarning, FlipConflictWarning

K = TypeVar("K", default=Any)
V = TypeVar("V", default=Any)
T = TypeVar("T")
Follower = Tracker | Trusting

# C code, such as json's, takes a dict without items for empty before it asks it anything.  A str, as in a dict that
# has other keys too, strings are looked up more slowly.
_NEVER_EMPTY = f"\0pottery_like:{uuid.uuid4()}"


class _Touching(dict[Any, Any]):
    """Notes every hit as a use; they are looked at when something is to be evicted."""

    __slots__ = ()
    _data: dict[Any, Any]
    _used: deque[Any]

    def __getitem__(self, key: Any) -> Any:
        # The interpreter has short cuts for exactly these two lines, the second one for nothing but a plain dict.
        self._used.append(key)
        try:
            return self._data[key]
        except KeyError:
            pass
        return self.__missing__(key)  # type: ignore[attr-defined]


class _Looking(dict[Any, Any]):
    """Looks at the clock, and counts, at every hit."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        entry = self._tier.hit(key)  # type: ignore[attr-defined]
        if entry is None:
            return self.__missing__(key)  # type: ignore[attr-defined]
        self._core.local_hits += 1  # type: ignore[attr-defined]
        return entry.value


_variants: dict[tuple[type, type], type] = {}


def _variant(cls: type, config: FlipConfig) -> type:
    """Return the class whose hits do what these settings ask for, and no more."""
    if not config.local_max:
        return cls
    if config.coherence is None or config.count_hits or config.mapped:
        mixin: type = _Looking
    elif config.eviction in ("lru", "lfu"):
        mixin = _Touching
    else:
        return cls
    made = _variants.get((cls, mixin))
    if made is None:
        body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__, "_plain": cls}
        # Just before dict, whose subclass it is: a subclass's own __getitem__() comes first.
        made = _variants[cls, mixin] = type(cls.__name__, (cls, mixin), body)
    return made


class FlipBase(dict[K, V]):
    """The machinery of a FlipCache, of which users see nothing."""

    # What every hit of an LRU cache needs is found faster in slots.
    __slots__ = ("__dict__", "__weakref__", "_data", "_used")

    _plain: type | None = None
    _config: FlipConfig
    _source: Any

    def _attach(self, source: Any, config: FlipConfig) -> None:
        # Not in __new__, as a subclass's constructor may take other arguments.
        self.__class__ = _variant(type(self), config)
        self._config = config
        self._source = source
        data: dict[Any, Any] = self
        dict.__setitem__(data, _NEVER_EMPTY, None)
        if isinstance(self, _Touching):
            data = self._data = {}
        parts = FlipParts(config, threading.RLock(), not servers.decodes(source), data)
        self._core, self._scan, self._tags, self._back = parts.core, parts.scan, parts.tags, parts.back
        # With both, what the dict shows for a key that is to be removed is the default.
        self._peeks = self._plain is None and (parts.back is None or parts.core.ops.default_raw is None)
        self._parts = parts
        self._tier = parts.tier
        if self._tier is not None:
            self._used = self._tier.used
        self._made_runner: Runner | None = None
        self._made_follower: Follower | None = None
        self._made_flights: Flights | None = None
        self._teller: Teller | None = None
        self._renew()
        _all[id(self)] = weakref.ref(self, partial(_gone, id(self)))

    def _forked(self) -> None:
        # The parent writes what is to be written.
        if self._back is not None:
            self._back.renew()
        if self._tier is not None:
            self._tier.renew()
        if self._teller is not None:
            self._teller.renew()
        self._renew()

    def _renew(self) -> None:
        self._guard = threading.RLock()
        self._flushing = threading.RLock()
        self._flusher: threading.Thread | None = None
        self._hurry = threading.Event()

    @property
    def _runner(self) -> Runner:
        runner = self._made_runner
        if runner is None:
            runner = self._made_runner = Runner(servers.sync_client(self._source))
            self._core.ops.clustered = runner.clustered
        return runner

    def _listen(self) -> Follower:
        """Return what knows whether an answer may be kept; listening begins here."""
        made = self._made_follower
        if made is None:
            with self._guard:
                made = self._made_follower or self._follow()
        return made

    def _follow(self) -> Follower:
        config, runner, ear = self._config, self._runner, self._parts.ear
        made: Follower
        if not config.listens:
            made = Trusting(runner)
        else:
            made = tracker(runner, config.max_stale, messages=config.coherence == "pubsub")
            ear.wake = made.wake
            if config.tells:
                self._teller = Teller(runner, self._core.ops.names, config.on_update, config.on_delete)
                ear.heard = self._teller.changes.heard
            made.watch(ear)
            if made.reason:
                warnings.warn(
                    f"{self._config.name!r} keeps nothing in memory, as the server refuses to report changes: "
                    f"{made.reason}",
                    BypassedWarning,
                    stacklevel=6,
                )
        self._made_follower = made
        return made

    def _deafen(self) -> None:
        """Listen no more; so nothing may be kept."""
        made, self._made_follower = self._made_follower, None
        if isinstance(made, Tracker):
            made.forget(self._parts.ear)
            self._parts.ear.drop()

    @property
    def _flights(self) -> Flights:
        if self._made_flights is None:
            self._made_flights = Flights(self._runner)
        return self._made_flights

    def _anchors(self) -> tuple[bytes, ...]:
        return anchors(self._runner.client)

    def _step(self, step: Any) -> Any:
        if isinstance(step, Read):
            return self._listen().read(step.op)
        if isinstance(step, Write):
            if isinstance(self._listen(), Tracker) and isinstance(step.op.command, Script):
                # What a script has written is reported to whoever sent it, too.
                return self._runner.run(step.op), False
            result, kept = self._listen().write(step.op, self._parts.ear)
            if kept and self._teller is not None:
                # The server doesn't report what went this way.
                self._teller.changes.heard(step.op.keys)
            return result, kept
        if isinstance(step, ReadMany):
            return self._listen().batch(step.ops)
        return self._runner.step(step)

    def _drive(self, program: FlipProgram[T]) -> T:
        if self._made_follower is None and self._tier is not None:
            # What is announced before the listening begins would not be kept.
            self._listen()
        elif self._made_runner is None:
            _ = self._runner  # which tells the operations whether it is a cluster
        try:
            return drive(program, self._step)
        finally:
            # When it was interrupted: what it has begun must be known to be over.
            program.close()

    def _introduce(self) -> None:
        if not self._scan.introduced:
            self._drive(self._scan.introduce())

    # Writing back.

    def _change(self, program: FlipProgram[bool]) -> None:
        """Make a change that is written in time."""
        unwritten.keep(self)
        due = self._drive(program)
        if due:
            self.flush()
        elif self._config.flush_interval is not None and self._flusher is None:
            with self._guard:
                if self._flusher is None:
                    self._flusher = threading.Thread(
                        target=_flush_regularly,
                        args=(weakref.ref(self), self._hurry, self._config.flush_interval),
                        name="pottery_like writing back",
                        daemon=True,
                    )
                    self._flusher.start()

    def flush(self) -> None:
        """Write what was not written yet; with ``write='through'`` there is nothing to do."""
        back = self._back
        if back is None or not back.dirty:
            return
        try:
            with self._flushing:
                self._drive(back.flush())
                with back.tier.lock:
                    if not back.dirty:
                        unwritten.release(self)
        finally:
            self._report(back)

    def _settled(self) -> None:
        """Write what was not written yet, before the server is asked about it."""
        if self._back is not None:
            self.flush()

    def _report(self, back: FlipBack) -> None:
        """Tell of all conflicts, and raise the first exception of the user's function then."""
        failed: Exception | None = None
        for each in back.untold():
            try:
                if self._config.on_conflict is not None:
                    self._config.on_conflict(each)
                else:
                    warnings.warn(
                        f"{self._config.name!r}: {each.key!r} was changed elsewhere; {each.mine!r} was not written",
                        FlipConflictWarning,
                        stacklevel=5,
                    )
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _unwritten(self) -> tuple[Runner, list[tuple[list[Any], Op[Any]]]] | None:
        """Return what is still to be written when the process ends."""
        if self._back is None or not self._back.dirty:
            return None
        return self._runner, self._back.batches()

    def _settle(self, changes: list[Any], reply: Any) -> None:
        """Note what became of changes written at the process's end."""
        if self._back is not None:
            self._back.settle(changes, reply)
            try:
                self._report(self._back)
            except Exception as error:
                _warn(f"{self._config.name!r}: on_conflict has failed: {error!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a reference: the settings, and the client's arguments (its password included)."""
        return _revived, (self._plain or type(self), servers.portable(self._source), self._parts.portable())


def _revived(cls: type[FlipBase[Any, Any]], source: str | bytes, settings: dict[str, Any]) -> FlipBase[Any, Any]:
    return cls(**settings, redis=servers.revived(source))


def _flush_regularly(reference: weakref.ref[FlipBase[Any, Any]], hurry: threading.Event, interval: float) -> None:
    while True:
        hurry.wait(interval)
        cache = reference()
        if cache is None:
            return
        try:
            cache.flush()
        except Exception as error:
            # What is unwritten stays so, shows in stats().dirty, and is tried again.
            hurry.clear()
            _warn(f"{cache._config.name!r}: writing what waits, or on_conflict, has failed: {error!r}")
        with cache._guard:
            if not (cache._back and cache._back.dirty):
                cache._flusher = None
                return
        del cache


def _warn(text: str) -> None:
    try:
        warnings.warn(text, RuntimeWarning, stacklevel=2)
    except RuntimeWarning as error:  # warnings are errors here, and the thread is to go on
        threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))


# A dict can't be in a WeakSet, as it has no hash.
_all: dict[int, weakref.ref[FlipBase[Any, Any]]] = {}


def _gone(number: int, _: object) -> None:
    _all.pop(number, None)


def _renew_all() -> None:
    for reference in list(_all.values()):
        cache = reference()
        if cache is not None:
            cache._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


def checked_client(redis_protocol: Any, redis: Any, redis_url: str | None) -> Any:
    """Return the client or URL that was given under whichever name.

    :raises TypeError: it is neither, or there are two.
    """
    if redis_protocol is not None and redis is not None:
        raise TypeError("give redis_protocol or redis, not both")
    return servers.checked(redis if redis_protocol is None else redis_protocol, redis_url, Client)
