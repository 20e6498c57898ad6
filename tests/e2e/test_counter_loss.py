# SPDX-License-Identifier: Apache-2.0
"""Counters that are lost: killed, frozen, slow, restarted empty, short of memory, one of three gone, both ends restarted (BEHAVIOUR Q10)."""
import os
import signal
import socket
import time

import pytest

import limited
import stage
from limited import left, talk, try_one

TIMEOUT_MS = 300  # far above what a turn may take, so that one that waited would show
TURN_MS = 20 * stage.SLOW
CAP = 200


@pytest.fixture(scope="module")
def upstream(stack):
    return stack.enter_context(stage.Upstream())


@pytest.fixture
def daemons(folder, upstream, request):
    """start(name, counters) -> a running daemon with the accounts a0 to a9 and tight."""
    started = []

    def start(name, counters, workers=2):
        b = limited.byway(folder / f"{request.node.name}-{name}", upstream.port, {"timeout": f"{TIMEOUT_MS}ms", **counters}, workers,
                          name=f"{name}.test")
        b.init()
        b.apply(limited.directory(b, {**{f"a{i}": {"account_hour": CAP, "unit": "messages"} for i in range(10)},
                                      "tight": {"account_hour": 3}}))
        started.append(b)
        return b.start()

    yield start
    for b in started:
        if b.process is None:
            continue
        status = b.stop()
        assert not b.faults(), b.faults()
        assert status == 0, b.said()


def fill(b, account, n):
    with talk(b, account) as t:
        for _ in range(n):
            reply = limited.send(t, account)
            assert reply.code == 250, reply


def used(b, account):
    return CAP - left(b, account, CAP)


def told(b, account):
    """What `byway usage` says was used this hour; asks nothing of the limits."""
    return next(row["used"] for row in b.cli("usage", account, json_out=True)["limits"] if row["limit"] == "account_hour")


def state(b, word):
    return stage.wait_until(lambda: b.events("counters", state=word), 15)


def is_up(b):
    """All workers use all servers."""
    def look():
        workers = b.cli("status", json_out=True)["workers"]
        return all(w["answered"] and all(s["up"] for s in w["counters"]["servers"]) for w in workers)

    return stage.wait_until(look, 20, 0.1)


def quick(b, account):
    """A message while something is wrong: passes, and nobody waited much longer than the timeout."""
    began = time.monotonic()
    reply = try_one(b, account)
    assert reply.code == 250, reply
    return time.monotonic() - began


def test_killed_and_empty(daemons):
    """Two nodes: mail flows on; when the server is back, empty, the counts are what they were."""
    with limited.Memcached() as m:
        nodes = [daemons(f"n{i}", limited.servers(m)) for i in range(2)]
        fill(nodes[0], "a0", 60)
        fill(nodes[1], "a0", 40)
        fill(nodes[1], "a1", 30)
        for b in nodes:
            limited.worst_ms(b)
        m.kill()
        for b in nodes:
            for _ in range(5):
                assert quick(b, "a0") < 3 * TIMEOUT_MS / 1000 * stage.SLOW
            assert state(b, "lost")
        m.start()
        for b in nodes:
            assert is_up(b) and state(b, "back") and state(b, "empty")
        time.sleep(0.5)
        assert abs(used(nodes[0], "a0") - 110) <= 1
        assert abs(used(nodes[1], "a1") - 30) <= 1
        for b in nodes:
            assert limited.worst_ms(b) < TURN_MS


def test_frozen(daemons):
    with limited.Memcached() as m:
        b = daemons("n", limited.servers(m))
        fill(b, "a0", 50)
        limited.worst_ms(b)
        m.freeze()
        times = [quick(b, "a0") for _ in range(20)]
        assert max(times) < 3 * TIMEOUT_MS / 1000 * stage.SLOW, times
        assert state(b, "lost")
        assert sorted(times)[10] < TIMEOUT_MS / 1000, times  # most did not wait at all
        m.thaw()
        assert is_up(b) and state(b, "back")
        time.sleep(0.5)
        assert used(b, "a0") == 70
        assert limited.worst_ms(b) < TURN_MS


@pytest.mark.parametrize("loss", ["local", "closed", "open"])
def test_unheard_reset(daemons, loss):
    with limited.Memcached() as m:
        b = daemons("n", {**limited.servers(m), "on_counter_loss": loss})
        fill(b, "a0", 5)
        m.freeze()
        try_one(b, "a0")
        assert state(b, "lost")
        answer = b.cli("limits", "reset", "a0", check=False)
        assert answer.returncode == 69 and f"127.0.0.1:{m.port} cannot be reached" in answer.stderr and "a0" in answer.stderr, answer
        assert told(b, "a0") == 0
        m.thaw()
        assert is_up(b) and state(b, "back")
        b.cli("limits", "reset", "a0")
        assert told(b, "a0") == 0


def test_limits_hold_while_lost(daemons):
    with limited.Memcached() as m:
        b = daemons("n", limited.servers(m))
        fill(b, "tight", 1)
        m.kill()
        assert left(b, "tight") == 2
        assert try_one(b, "tight").code == 421
        m.start()
        assert is_up(b)
        assert try_one(b, "tight").code == 421


@pytest.mark.parametrize("word, first, over", [("closed", 451, 451), ("open", 250, 250)])
def test_on_counter_loss(daemons, word, first, over):
    with limited.Memcached() as m:
        b = daemons("n", {**limited.servers(m), "on_counter_loss": word})
        fill(b, "tight", 2)
        m.kill()
        codes = [try_one(b, "tight") for _ in range(4)]
        assert codes[0].code == first and codes[-1].code == over, codes
        if word == "closed":
            assert str(codes[0]) == "451 4.3.0 The sending limits cannot be checked now, try again later"
        m.start()
        assert is_up(b)
        assert stage.wait_until(lambda: left(b, "tight") == (1 if word == "closed" else 0))
        assert try_one(b, "tight").code == 421


def test_slow(daemons):
    """200 ms late: within the timeout it is slow mail; beyond it, it is a server that is lost."""
    with limited.Memcached() as m:
        door = limited.SlowDoor(m.port)
        b = daemons("n", {"servers": f"127.0.0.1:{door.port}", "timeout": "100ms"})
        fill(b, "a0", 20)
        limited.worst_ms(b)
        door.delay = 0.2
        times = [quick(b, "a0") for _ in range(20)]
        assert state(b, "lost")
        assert sorted(times)[10] < 0.1 * stage.SLOW, times
        assert limited.worst_ms(b) < TURN_MS
        door.delay = 0
        assert is_up(b)
        time.sleep(0.5)
        # What was on its way while it was slow counted as made, and was: nothing is missing, little is twice.
        assert 40 <= used(b, "a0") <= 41
        door.close()


def test_one_of_three(daemons):
    with limited.Memcached() as one, limited.Memcached() as two, limited.Memcached() as three:
        nodes = [daemons(f"n{i}", limited.servers(one, two, three)) for i in range(2)]
        for i in range(10):
            fill(nodes[i % 2], f"a{i}", 10)
        two.kill()
        for i in range(10):
            fill(nodes[i % 2], f"a{i}", 10)
        assert state(nodes[0], "lost")
        two.start()
        for b in nodes:
            assert is_up(b)
        time.sleep(0.5)
        assert [used(nodes[(i + 1) % 2], f"a{i}") for i in range(0, 10, 3)] == [20] * 4


def junk(m):
    """Fills the memory that is there for things of a counter's size."""
    with socket.create_connection(("127.0.0.1", m.port)) as s:
        for size in (1, 20, 40, 60):
            s.sendall(b"".join(b"set byway.junk.%d.%06d 0 0 %d noreply\r\n%s\r\n" % (size, i, size, b"x" * size) for i in range(40000)))
        s.sendall(b"get done\r\n")
        s.recv(100)


def test_evicting(daemons):
    """A server that forgets, because others fill its memory: it is noticed, and what was forgotten is put back."""
    with limited.Memcached(memory=2, evicts=True) as m:
        nodes = [daemons(f"n{i}", limited.servers(m)) for i in range(2)]
        fill(nodes[0], "a0", 50)
        fill(nodes[1], "a0", 50)
        junk(m)
        fill(nodes[0], "a0", 5)
        fill(nodes[1], "a0", 5)
        time.sleep(1.5)
        for b in nodes:
            assert is_up(b)
        assert any(b.events("counters", state="evicting") or b.events("counters", state="empty") for b in nodes)
        assert abs(used(nodes[0], "a0") - 110) <= 2


def test_full(daemons):
    """A server without room for new numbers (-M): counted here meanwhile."""
    with limited.Memcached(memory=2) as m:
        b = daemons("n", limited.servers(m))
        junk(m)
        assert left(b, "tight") == 3
        assert try_one(b, "tight").code == 421


def test_both_restart(daemons):
    """Daemon and server at once: the counts come from the checkpoint."""
    with limited.Memcached() as m:
        b = daemons("n", limited.servers(m))
        fill(b, "a0", 80)
        b.stop()
        m.kill()
        m.start()
        b.start()
        assert used(b, "a0") == 80


def test_daemon_restarts_alone(daemons):
    """The server has the counts still: nothing is put there twice."""
    with limited.Memcached() as m:
        b = daemons("n", limited.servers(m))
        fill(b, "a0", 80)
        b.stop()
        b.start()
        fill(b, "a0", 5)
        b.stop()
        b.start()
        assert used(b, "a0") == 85


def test_shared_memory_restart(daemons):
    b = daemons("n", {})
    fill(b, "a0", 80)
    b.stop()
    b.start()
    fill(b, "a0", 10)
    b.stop()
    b.start()
    assert used(b, "a0") == 90


def test_killed_daemon(daemons):
    """No last checkpoint: what the last one held is there."""
    b = daemons("n", {})
    fill(b, "a0", 80)
    time.sleep(2.5 * stage.SLOW)
    fill(b, "a0", 3)
    workers = b.workers()
    b.process.kill()
    b.process.wait()
    stage.Byway.running.remove(b)
    assert stage.wait_until(lambda: not any(os.path.exists(f"/proc/{w}") for w in workers))
    b.start()
    assert 80 <= used(b, "a0") <= 83


@pytest.mark.parametrize("backend", ["shared", "memcached"])
def test_worker_dies(daemons, backend):
    with limited.Memcached() as m:
        b = daemons("n", limited.servers(m) if backend == "memcached" else {})
        b.steady = False
        fill(b, "a0", 40)
        for w in b.workers():
            os.kill(w, signal.SIGKILL)
        assert stage.wait_until(lambda: len(b.cli("status", json_out=True)["workers"]) == 2 and all(
            w["state"] == "up" for w in b.cli("status", json_out=True)["workers"]))
        assert used(b, "a0") == 40


def test_memcached_on_a_socket(folder, daemons):
    """Two nodes count together through a socket's path, and a server that goes is told of by it."""
    path = folder / "mc.sock"
    server = stage.Memcached(path=path).start()
    try:
        a, b = (daemons(name, {"servers": str(path)}) for name in ("sock1", "sock2"))
        fill(a, "a0", 3)
        fill(b, "a0", 2)
        assert used(a, "a0") == 5  # tried to the end: nothing is left at the other either
        assert used(b, "a0") == CAP
    finally:
        server.stop()
    fill(a, "a1", 1)
    assert state(a, "lost")[-1]["server"] == str(path)
