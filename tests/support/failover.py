"""Masters with replicas that take over while a test goes on: watched by a Sentinel, or in a cluster."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any, TypeVar

import redis

from tests.support.servers import AT_ONCE, Node, formed, free_port, launch_cluster, wait_until

PATIENCE = 40
"""Seconds for what takes two or three; an election that fails is repeated after five or six."""


def asked(port: int, *words: str | int) -> Any:
    """Return a server's answer, or None if it has none."""
    try:
        with redis.Redis(port=port, socket_timeout=1, retry=None, decode_responses=True) as client:
            return client.execute_command(*words)
    except redis.RedisError:
        return None


def is_master(node: Node) -> bool:
    """Whether a node says that it is a master."""
    return (asked(node.port, "ROLE") or [""])[0] == "master"


def history_of(master: Node) -> Any:
    """Return what names a master's history; a replica begins a new one when it takes over."""
    return (asked(master.port, "INFO", "replication") or {}).get("master_replid")


def follows(replica: Node, master: Node) -> bool:
    """Whether a replica has everything that its master had when this was called."""
    before = asked(master.port, "ROLE")
    now = asked(replica.port, "ROLE")
    return bool(
        before
        and now
        and before[0] == "master"
        and now[0] == "slave"
        and (now[2], now[3]) == (master.port, "connected")
        and now[4] >= before[1]
    )


class Place:
    """Servers whose masters are replaced.

    :ivar port: where clients begin.
    :ivar reigns: a master's port, and from when to when what it had was there to stay.
    """

    port: int

    def __init__(self) -> None:
        self.reigns: list[tuple[int, float, float]] = []
        self._since: dict[int, tuple[float, Any]] = {}

    def _reign(self, master: Node) -> None:
        self._since[master.port] = time.monotonic(), history_of(master)

    def _abdicate(self, master: Node, replica: Node) -> None:
        """Wait until the replica has what the master has, before something happens to the master."""
        moment = 0.0

        def followed() -> bool:
            nonlocal moment
            moment = time.monotonic()
            return follows(replica, master)

        wait_until(followed, "the replica is in sync", PATIENCE)
        self._end(master, moment)

    def _end(self, master: Node, moment: float) -> None:
        since, history = self._since.pop(master.port)
        # Otherwise it was replaced for a while because it seemed to be dead, on a busy machine.
        if history is not None and history == history_of(master):
            self.reigns.append((master.port, since, moment))

    @property
    def masters(self) -> list[Node]:
        """The present masters."""
        raise NotImplementedError

    def end(self) -> None:
        """Note that nothing more will happen."""
        for master in self.masters:
            self._end(master, math.inf)

    def start(self) -> None:
        """Start all processes, and wait until they are ready."""
        raise NotImplementedError

    def close(self) -> None:
        """End all processes."""
        raise NotImplementedError


class Watched(Place):
    """A master and its replica, of which a Sentinel says who the master is."""

    def __init__(self, program: str, directory: Path) -> None:
        super().__init__()
        self.master, self.replica = Node(program, AT_ONCE), Node(program)
        self._config = directory / "sentinel.conf"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start all processes, and wait until they are ready."""
        self.master.start()
        self._behind(self.replica).start()
        wait_until(lambda: follows(self.replica, self.master), "the replica is in sync", PATIENCE)
        wait_until(self._watching, "the Sentinel answers", PATIENCE)
        self._settle()
        self._reign(self.master)

    def _watching(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            # Again, if it has ended: somebody else may have taken its port.
            self.port = free_port()
            self._config.write_text(
                f"port {self.port}\ndir {self._config.parent}\nsentinel monitor m 127.0.0.1 {self.master.port} 1\n"
                "sentinel down-after-milliseconds m 700\nsentinel failover-timeout m 2000\n"
            )
            words = [self.master.program, str(self._config), "--sentinel"]
            self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        # It asks and tells every few seconds otherwise, and so leaves a master that came back alone for eight.
        quick = ("PING-PERIOD", 250, "INFO-PERIOD", 200, "PUBLISH-PERIOD", 300)
        return asked(self.port, "SENTINEL", "DEBUG", *quick) is not None

    @property
    def masters(self) -> list[Node]:
        """The present master."""
        return [self.master]

    def _behind(self, node: Node) -> Node:
        node.options = (*AT_ONCE, "--replicaof", "127.0.0.1", str(self.master.port))
        return node

    def _settle(self) -> None:
        wait_until(lambda: follows(self.replica, self.master), "the replica is in sync", PATIENCE)

        def known() -> bool:
            found = asked(self.port, "SENTINEL", "REPLICAS", "m") or []
            return [(each["flags"], each["port"]) for each in found] == [("slave", str(self.replica.port))]

        wait_until(known, "the Sentinel knows the replica, and no other", PATIENCE)

    def _replaced(self) -> Node:
        def named() -> bool:
            found = asked(self.port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m")
            return found is not None and int(found[1]) == self.replica.port

        wait_until(named, "the Sentinel names the other one", PATIENCE)
        self.master, self.replica = self.replica, self.master
        self._reign(self.master)
        return self.replica

    def fail_over(self) -> None:
        """Ask for it: the old master goes on for a second, and for those who talk to it nothing has happened."""
        self._abdicate(self.master, self.replica)
        wait_until(lambda: asked(self.port, "SENTINEL", "FAILOVER", "m"), "a failover begins", PATIENCE)
        self._replaced()
        self._settle()

    def kill(self) -> None:
        """Kill the master; it comes back as a replica."""
        self._abdicate(self.master, self.replica)
        self.master.kill()
        self._behind(self._replaced()).start()
        self._settle()

    def pause(self) -> None:
        """Silence the master until it is replaced; it comes back, and takes itself for the master for a second."""
        self._abdicate(self.master, self.replica)
        self.master.signal(SIGSTOP)
        old = self._replaced()
        time.sleep(0.3)
        old.signal(SIGCONT)
        self._settle()

    def close(self) -> None:
        """End all processes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for node in (self.master, self.replica):
            node.stop()


class Clustered(Place):
    """Three masters with a replica each."""

    def __init__(self, program: str) -> None:
        super().__init__()
        nodes = launch_cluster(program, 3, 700)
        self.pairs = [[nodes[index], nodes[index + 3]] for index in range(3)]
        # Nobody mistreats this one.
        self.port = nodes[2].port

    def start(self) -> None:
        """Wait until they are ready; they have been started."""
        nodes = [node for pair in self.pairs for node in pair]
        wait_until(lambda: formed(nodes), "the cluster is formed", PATIENCE)
        for pair in self.pairs:
            self._settle(pair)
            self._reign(pair[0])

    @property
    def masters(self) -> list[Node]:
        """The present masters."""
        return [master for master, _ in self.pairs]

    @staticmethod
    def _settle(pair: list[Node]) -> None:
        wait_until(lambda: follows(pair[1], pair[0]), "the replica is in sync", PATIENCE)

    def _replaced(self, pair: list[Node]) -> Node:
        wait_until(lambda: is_master(pair[1]), "the replica is the master", PATIENCE)
        pair.reverse()
        self._reign(pair[0])
        return pair[1]

    def fail_over(self) -> None:
        """Have the first master replaced by its replica."""
        pair = self.pairs[0]
        self._abdicate(*pair)
        asked(pair[1].port, "CLUSTER", "FAILOVER")
        self._replaced(pair)
        self._settle(pair)

    def kill(self) -> None:
        """Kill the second master; it comes back as a replica."""
        pair = self.pairs[1]
        self._abdicate(*pair)
        pair[0].kill()
        self._replaced(pair).start()
        self._settle(pair)

    def silence(self) -> None:
        """Silence the second master; kill it when it has been replaced and others have written to the new one."""
        pair = self.pairs[1]
        self._abdicate(*pair)
        pair[0].signal(SIGSTOP)
        old = self._replaced(pair)
        time.sleep(1)
        old.kill()
        old.start()
        self._settle(pair)

    def close(self) -> None:
        """End all processes."""
        for node in (node for pair in self.pairs for node in pair):
            node.stop()


P = TypeVar("P", bound=Place)


@contextmanager
def running(place: P) -> Iterator[P]:
    """Have the servers for the block."""
    try:
        place.start()
        yield place
    finally:
        place.close()
