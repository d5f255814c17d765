"""The one thread of a process that listens for changes, for all caches."""

from __future__ import annotations

import contextlib
import math
import os
import select
import selectors
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from pottery_like._io.links import Link

if TYPE_CHECKING:
    from pottery_like._io.tracking import Tracker

UNLINKED = 0.5
"""Seconds after which it is looked whether trackers without links are still there: nobody says when one is gone."""
LONGEST = 60.0
"""Seconds to sleep when nothing is due."""
TURN = 0.002
"""Seconds; who waits longer for his turn at the interpreter waits for a thread that computes without a rest."""
ASIDE = 0.0001
"""Seconds that let another thread begin its turn."""
EAGER, PROBE = 50, 1
"""How many turns are asked for in advance once one came late, each that comes in time counting down; and how many after
the first news, to see whether they come late."""
QUIET = 200
"""How many turns without news, too: some seconds."""


class Ends:
    """Notices the end of connections on which others talk, without a look at what comes there.

    Where there is no epoll it notices nothing, and the next question to the server has no answer.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._links: dict[int, Link] = {}
        self._poll: Any = select.epoll() if hasattr(select, "epoll") else None
        if self._poll is not None:
            selector.register(self._poll, selectors.EVENT_READ, self._look)

    def watch(self, link: Link) -> None:
        """Have a link die with its tracked connection."""
        if self._poll is not None:
            number = link.tracked_socket.fileno()
            self._poll.register(number, select.EPOLLRDHUP)
            self._links[number] = link

    def _look(self) -> None:
        for number, _ in self._poll.poll(0):
            self._links[number].die()

    def close(self) -> None:
        """Watch no more."""
        if self._poll is not None:
            self._poll.close()


class Listener:
    """Serves the links of all trackers; its thread runs while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trackers: weakref.WeakSet[Tracker] = weakref.WeakSet()
        self._links: list[Link] = []
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None
        self._eager = self._quiet = self._told = 0

    def serve(self, tracker: Tracker) -> None:
        """Look after a tracker, until it wants no more."""
        with self._lock:
            self._trackers.add(tracker)
            if self._thread is None:
                receiver, self._waker = socket.socketpair()
                receiver.setblocking(False)
                self._waker.setblocking(False)
                self._thread = threading.Thread(
                    target=self._work, args=(receiver, self._waker), name="pottery_like listening", daemon=True
                )
                self._thread.start()

    def take(self, link: Link) -> None:
        """Listen to a link."""
        with self._lock:
            self._links.append(link)
        self.wake()

    def wake(self) -> None:
        """Have the thread look at once."""
        waker = self._waker
        if waker is not None:
            # It is full only if the thread has not looked yet, and closed only if it has ended.
            with contextlib.suppress(OSError):
                waker.send(b".")

    def _work(self, receiver: socket.socket, waker: socket.socket) -> None:
        try:
            while self._rounds(receiver):
                pass
        except BaseException:
            self._fail()
            raise
        finally:
            receiver.close()
            waker.close()

    def _fail(self) -> None:
        """Have nobody rely on a thread that ends; the next reader begins anew."""
        with self._lock:
            self._thread = self._waker = None
            links, self._links = self._links, []
            trackers = list(self._trackers)
        for link in links:
            link.die()
            link.close()
        for tracker in trackers:
            tracker.rest()

    def _rounds(self, receiver: socket.socket) -> bool:
        """Serve the links until others are to be served; whether there is anything left to serve."""
        links = self._current()
        asking: set[Link] = set()
        with selectors.DefaultSelector() as selector, contextlib.closing(Ends(selector)) as ends:
            selector.register(receiver, selectors.EVENT_READ)
            for link in list(links):
                try:
                    selector.register(link.listening_socket, selectors.EVENT_READ, link.hear)
                    ends.watch(link)
                    if link.asking:
                        asking.add(link)
                        selector.register(link.tracked_socket, selectors.EVENT_READ, link.hear_tracked)
                except (KeyError, ValueError, OSError):  # closed meanwhile
                    link.die()
            while True:
                now = time.monotonic()
                due = self._trackers_due(now)
                for link in links:
                    if not link.dead:
                        link.ask(now)
                    if link.asking != (link in asking):
                        self._follow(selector, link, asking)
                    due = min(due, link.next)
                if any(link.dead or link.owner() is None for link in links) or len(links) != len(self._links):
                    return True
                if not self._trackers and self._ended():
                    return False
                longest = LONGEST if links else UNLINKED
                for key, _ in self._wait(selector, links, min(longest, due - time.monotonic())):
                    if key.data is not None:
                        key.data()
                    else:
                        with contextlib.suppress(BlockingIOError):
                            receiver.recv(4096)
                self._note_news(links)

    def _note_news(self, links: list[Link]) -> None:
        """Note whether there have been news."""
        told, before = sum(link.news for link in links), self._told
        self._told = told
        if told != before:
            self._quiet = 0
            # On Windows all waiting takes long.
            if not self._eager and os.name != "nt":
                self._eager = PROBE

    def _wait(self, selector: selectors.BaseSelector, links: list[Link], seconds: float) -> list[Any]:
        """Return what there is to be read, having waited for it."""
        if not self._eager:
            return selector.select(max(0.0, seconds))
        # A thread that computes lets another one have its turn 5 ms after that was woken.  So the turn is asked for
        # before there is any news, which then has to wait for half as long.
        until = time.monotonic() + seconds
        events: list[Any] = []
        while self._quiet < QUIET:
            began = time.monotonic()
            if self._eager == EAGER:
                time.sleep(ASIDE)
            else:
                events = selector.select(max(0.0, min(TURN / 2, until - began)))
            now = time.monotonic()
            if now - began < TURN:
                self._eager -= 1
                return events
            self._eager = EAGER
            for link in links:
                if link.prompt:
                    link.hear()
            events = events or selector.select(0)
            self._quiet += 1
            self._note_news(links)
            if events or now >= until or any(link.dead for link in links):
                return events
        self._eager = self._quiet = 0
        return events

    def _follow(self, selector: selectors.BaseSelector, link: Link, asking: set[Link]) -> None:
        try:
            if link.asking:
                selector.register(link.tracked_socket, selectors.EVENT_READ, link.hear_tracked)
                asking.add(link)
            else:
                asking.discard(link)
                selector.unregister(link.tracked_socket)
        except (KeyError, ValueError, OSError):
            link.die()

    def _current(self) -> list[Link]:
        """Return the links that live, having closed the others."""
        with self._lock:
            gone = [link for link in self._links if link.dead or link.owner() is None]
            self._links = links = [link for link in self._links if link not in gone]
        for link in gone:
            link.close()
            tracker = link.owner()
            if tracker is not None:
                tracker.lost(link)
        return list(links)

    def _trackers_due(self, now: float) -> float:
        due = math.inf
        for tracker in list(self._trackers):
            due = min(due, tracker.attend(now))
        return due

    def _ended(self) -> bool:
        with self._lock:
            if self._trackers or self._links:
                return False
            self._thread = self._waker = None
            return True

    def leave(self, tracker: Tracker) -> None:
        """Look after a tracker no more."""
        with self._lock:
            self._trackers.discard(tracker)
        self.wake()


listener = Listener()


def _renew() -> None:
    # The thread stayed with the parent.
    global listener
    old, listener = listener, Listener()
    if old._waker is not None:
        old._waker.close()
    for link in old._links:
        link.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def the_listener() -> Listener:
    """Return this process's listener."""
    return listener
