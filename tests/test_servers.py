"""Where a container gets its server: clients of every kind, URLs, the default server, the embedded server."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.sentinel import Sentinel

from pottery_like import AIORedisDict, RedisDict, RedisList, embedded
from tests.support.processes import Child, fork
from tests.support.servers import Node, free_port, programs, speaks_tls, standalone, wait_until

SERVERS = sorted(programs())


@pytest.fixture(params=SERVERS)
def node(request: pytest.FixtureRequest) -> Node:
    return standalone(request.param)


one_server = pytest.mark.parametrize("node", SERVERS[-1:], indirect=True)


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, whose default server is what ``environment`` says."""
    inherited = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(program)],
        check=False,
        capture_output=True,
        text=True,
        env={**inherited, **environment},
        timeout=60,
    )


def test_url(node: Node) -> None:
    for source in ({"redis": f"redis://127.0.0.1:{node.port}/3"}, {"redis_url": f"unix://{node.path}?db=3"}):
        subject: RedisDict[str, int] = RedisDict(key="by-url", **source)  # type: ignore[arg-type]
        subject["a"] = 1
        assert subject.redis.ping()
        assert pickle.loads(pickle.dumps(subject)).to_dict() == {"a": 1}
        subject.redis.close()
    with redis.Redis(port=node.port, db=3) as client:
        assert client.hgetall("by-url") == {b'"a"': b"1"}
        client.delete("by-url")


def test_url_in_asyncio_serves_each_loop(node: Node) -> None:
    subject: AIORedisDict[str, int] = AIORedisDict(redis=f"redis://127.0.0.1:{node.port}/3", key="by-url")

    async def use() -> int:
        await subject.set("a", 1)
        size = await subject.size()
        await subject.clear()
        await subject.redis.aclose()
        return size

    assert asyncio.run(use()) == 1
    assert asyncio.run(use()) == 1


@one_server
def test_redis_url_is_the_default(node: Node) -> None:
    program = """
        from pottery_like import RedisDict
        d = RedisDict(a=1, key='default'); print(d.redis.connection_pool.connection_kwargs['port'], d); d.clear()
    """
    done = python(program, REDIS_URL=f"redis://127.0.0.1:{node.port}/3")
    assert done.stdout == f"{node.port} RedisDict{{'a': 1}}\n", done.stderr


@pytest.mark.skipif(not programs(), reason="no server program")
def test_embedded_server_is_the_last_resort() -> None:
    program = """
        import warnings
        from pottery_like import AIORedisDict, EmbeddedServerWarning, RedisDict
        from pottery_like._io import servers
        servers.LOCAL = 'redis://localhost:1/0'  # as if nothing listened on 6379
        servers._answers = lambda: False
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            d = RedisDict(a=1)
            RedisDict(b=2)
        assert [each.category for each in caught] == [EmbeddedServerWarning], caught
        assert caught[0].filename == '<string>', 'it points at the user'
        print(d, d.redis.connection_pool.connection_kwargs['path'])
    """
    done = python(program)
    assert done.returncode == 0, done.stderr
    shown, path = done.stdout.rsplit(maxsplit=1)
    assert shown == "RedisDict{'a': 1}"
    assert not os.path.exists(path), "the server is gone with its process"


def test_no_server_names_the_ways_out() -> None:
    program = """
        import sys
        from pottery_like import RedisDict, ServerNotFoundError
        from pottery_like._io import servers
        servers._answers = lambda: False
        # As an attribute of the package, the module's name means the function in it.
        sys.modules['pottery_like.embedded'].find_server = lambda: None
        d = RedisDict(key='k')
        try:
            d['a']
        except ServerNotFoundError as error:
            assert isinstance(error, ConnectionError)
            print(error)
    """
    done = python(program)
    for way in ("redis=", "REDIS_URL", "pottery_like[embedded]"):
        assert way in done.stdout, done.stderr


def test_sentinel(node: Node, tmp_path: Path) -> None:
    port = free_port()
    program = programs()[SERVERS[0]]
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {port}\nsentinel monitor master 127.0.0.1 {node.port} 1\n")
    process = subprocess.Popen([program, str(config), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        sentinel = Sentinel([("127.0.0.1", port)], socket_timeout=2)

        def found() -> bool:
            try:
                return bool(sentinel.discover_master("master"))
            except redis.RedisError:
                return False

        wait_until(found, "the sentinel knows the master")
        client = sentinel.master_for("master")
        subject = RedisDict({"a": 1}, redis=client, key="by-sentinel")
        subject["b"] = 2
        assert subject.to_dict() == {"a": 1, "b": 2}
        with pytest.raises(TypeError, match="redis_url"):
            pickle.dumps(subject)
        subject.clear()
        client.close()
        for each in sentinel.sentinels:
            each.close()

        async def use() -> dict[str, int]:
            watch = redis.asyncio.Sentinel([("127.0.0.1", port)], socket_timeout=2)
            master = watch.master_for("master")
            other = await AIORedisDict({"a": 1}, redis=master, key="by-sentinel")
            items = await other.to_dict()
            await other.clear()
            await master.aclose()
            for each in watch.sentinels:
                await each.aclose()
            return items

        assert asyncio.run(use()) == {"a": 1}
    finally:
        process.kill()
        process.wait()


def test_tls(tmp_path: Path) -> None:
    name = next((name for name in SERVERS if speaks_tls(programs()[name])), None)
    if name is None:
        pytest.skip("no server program here speaks TLS")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {certificate}"
    subprocess.run([*command.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    port = free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    secure = Node(
        programs()[name], (*options, "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no")
    ).start()
    arguments: dict[str, Any] = {"port": port, "ssl": True, "ssl_ca_certs": str(certificate)}
    try:
        with redis.Redis(**arguments) as client:
            subject = RedisDict({"a": 1}, redis=client, key="tls")
            assert subject.to_dict() == {"a": 1}
            assert pickle.loads(pickle.dumps(subject))["a"] == 1
            subject.clear()

        async def use() -> int:
            async with redis.asyncio.Redis(**arguments) as client:
                other = await AIORedisDict({"a": 1}, redis=client, key="tls")
                return await other["a"]

        assert asyncio.run(use()) == 1
    finally:
        secure.stop()


def test_embedded_persists_and_excludes(tmp_path: Path) -> None:
    with embedded(tmp_path) as server:
        RedisDict({"a": 1}, redis=server.url, key="kept").redis.close()
        assert oct(os.stat(Path(server.url.removeprefix("unix://")).parent).st_mode)[-3:] == "700"
        with server.client() as client:
            assert RedisDict(redis=client, key="kept").sync() in {"disk", "memory"}
    with embedded(tmp_path) as server, server.client() as client:
        assert RedisDict(redis=client, key="kept").to_dict() == {"a": 1}


def test_embedded_stops_with_its_process() -> None:
    program = """
        import os, signal
        from pottery_like import embedded
        server = embedded()
        print(server.url.removeprefix('unix://'), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = python(program)
    assert done.returncode == -signal.SIGKILL
    wait_until(lambda: not os.path.exists(done.stdout.strip()), "the server has stopped")


def test_embedded_is_not_stopped_by_a_child() -> None:
    with embedded() as server:
        Child(fork, server.close).end()
        with server.client() as client:
            assert client.ping()


ANONYMOUS = """
    import asyncio, os, redis, redis.asyncio
    from pottery_like import AIORedisList, RedisDict, RedisList
    client = redis.Redis(port=PORT, db=4)
    anonymous = RedisList([1], redis=client)
    doubled = anonymous * 2
    named = RedisDict(a=1, redis=client, key='pottery:named')
    forked = os.fork()
    if forked == 0:
        assert anonymous.to_list() == [1]
        own = RedisList([2], redis=client)
        raise SystemExit
    os.waitpid(forked, 0)
    assert client.dbsize() == 3, client.keys()
    async def main():
        aio = redis.asyncio.Redis(port=PORT, db=4)
        await AIORedisList([1], redis=aio)
        async with AIORedisList([3], redis=aio):
            assert await aio.dbsize() == 5
        assert await aio.dbsize() == 4
        await aio.aclose()
    asyncio.run(main())
    with RedisList([5], redis=client) as inside:
        assert client.exists(inside.key)
    assert not client.exists(inside.key)
    del anonymous
    assert client.dbsize() == 4
    client.close()
"""


@one_server
def test_anonymous_keys_go_with_their_process(node: Node) -> None:
    """Not with the object, not from a forked child, and never a named key."""
    with redis.Redis(port=node.port, db=4) as client:
        client.flushdb()
        done = python(ANONYMOUS.replace("PORT", str(node.port)))
        assert done.returncode == 0, done.stderr
        assert client.keys() == [b"pottery:named"]
        client.flushdb()


def test_a_server_that_is_gone_does_not_hold_up_the_end() -> None:
    program = """
        import redis, time
        from pottery_like import RedisList, embedded
        server = embedded()
        client = server.client()
        anonymous = RedisList([1], redis=client)
        server.close()
        print(time.time())
    """
    done = python(program)
    assert time.time() - float(done.stdout) < 2, done.stderr


@one_server
def test_multiprocessing_children_remove_their_anonymous_keys(node: Node) -> None:
    program = """
        import multiprocessing, redis
        from pottery_like import RedisList
        def child(url):
            assert RedisList([1], redis=url).to_list() == [1]
        process = multiprocessing.get_context('fork').Process(target=child, args=('redis://127.0.0.1:PORT/4',))
        process.start(); process.join(); assert process.exitcode == 0
    """
    with redis.Redis(port=node.port, db=4) as client:
        done = python(program.replace("PORT", str(node.port)))
        assert done.returncode == 0, done.stderr
        assert client.dbsize() == 0


def test_threads_share_a_container(node: Node) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with redis.Redis(port=node.port, max_connections=4) as client:
        subject: RedisList[int] = RedisList(redis=client, key="threads")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(subject.append, range(400)))
        assert sorted(subject.to_list()) == list(range(400))
        subject.clear()


def test_no_warning_on_import() -> None:
    command = [sys.executable, "-W", "error", "-c", "import pottery_like"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
