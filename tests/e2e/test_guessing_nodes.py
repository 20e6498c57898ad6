# SPDX-License-Identifier: Apache-2.0
"""Failed log-ins count over all nodes (A3): two daemons, one memcached; without it each node goes on by itself."""
import shutil
import signal
import socket
import time

import pytest
import stage
import talk

pytestmark = pytest.mark.skipif(shutil.which("memcached") is None, reason="no memcached")

NAMES = ["alice", "bob", "carol", "dave"]
DIRECTORY = "[account acme]\nplan = pro\nowner_verified = yes\n[domain acme.example]\naccount = acme\n" + "".join(
    f"[mailbox {n}@acme.example]\npassword_file = {{folder}}/{n}.pw\n" for n in NAMES)
RULES = {"window": "24h", "name_failures": 4, "name_free": 10, "address_failures": 6, "address_free": 10, "per_user": 0, "delay": "0"}


class Nodes:
    def __init__(self, folder):
        self.memcached = stage.Memcached().start()
        self.all = []
        for i in range(2):
            b = stage.Byway(folder / f"node{i}", settings={
                "guessing": RULES, "limits": {"login_failures": 100},
                "counters": {"servers": f"127.0.0.1:{self.memcached.port}"}})
            b.init()
            for n in NAMES:
                b.secret(f"{n}.pw", f"secret of {n}")
            b.apply(DIRECTORY.format(folder=b.folder))
            if i > 0:  # nodes share the master key
                shutil.copy(self.all[0].etc / "vault.key", b.etc / "vault.key")
            self.all.append(b)

    def commands(self, text):
        """What memcached says to a command that ends with END."""
        with socket.create_connection(("127.0.0.1", self.memcached.port), 5) as s:
            s.sendall(text.encode() + b"\r\n")
            got = b""
            while not got.endswith(b"END\r\n"):
                got += s.recv(65536)
        return got.decode()

    def keys(self):
        return [line.split()[0][4:] for line in self.commands("lru_crawler metadump all").splitlines() if line.startswith("key=")]

    def orders(self):
        return sum(s["orders"] for b in self.all for w in b.cli("status", json_out=True)["workers"] for s in w["counters"]["servers"])


@pytest.fixture
def nodes(tmp_path):
    n = Nodes(tmp_path)
    try:
        with n.all[0], n.all[1]:
            yield n
        for b in n.all:
            assert not b.faults(), b.faults()
    finally:
        n.memcached.process.send_signal(signal.SIGCONT)
        n.memcached.stop()


def attempt(byway, source, name, password):
    with talk.Talk(byway, "tls", source=source) as t:
        began = time.monotonic()
        code = t.auth(f"{name}@acme.example" if "@" not in name else name, password).code
        return code, time.monotonic() - began


def wrong(byway, source, name):
    return attempt(byway, source, name, "guess")[0]


def right(byway, source, name):
    return attempt(byway, source, name, f"secret of {name}")[0]


def test_guesses_count_at_all_nodes(nodes):
    a, b = nodes.all
    codes = [wrong(nodes.all[i % 2], f"127.0.1.{i + 1}", "alice") for i in range(8)]
    assert codes == [535] * 4 + [421] * 4
    # The right password is not heard either, at either node; other names are.
    assert right(a, "127.0.2.1", "alice") == right(b, "127.0.2.1", "alice") == 421
    assert right(b, "127.0.2.1", "bob") == 235


def test_addresses_count_at_all_nodes(nodes):
    a, b = nodes.all
    codes = [wrong(nodes.all[i % 2], "127.0.3.1", f"nobody{i}@acme.example") for i in range(8)]
    assert codes == [535] * 6 + [421] * 2
    assert right(b, "127.0.3.1", "carol") == 235  # a right password is always taken
    assert wrong(b, "127.0.3.2", "nobody@acme.example") == 535


def test_owner_known_at_one_node_is_known_at_all(nodes):
    a, b = nodes.all
    assert right(a, "127.0.0.9", "alice") == 235
    assert [wrong(b, f"127.0.1.{i}", "alice") for i in range(1, 7)] == [535] * 4 + [421] * 2
    assert right(b, "127.0.2.1", "alice") == 421
    assert right(b, "127.0.0.9", "alice") == 235
    assert right(a, "127.0.0.9", "alice") == 235


def test_forgiven_everywhere(nodes):
    a, b = nodes.all
    assert [wrong(a, f"127.0.1.{i}", "dave") for i in range(1, 6)] == [535] * 4 + [421]
    assert right(b, "127.0.2.1", "dave") == 421
    a.cli("forgive", "dave@acme.example")
    assert stage.wait_until(lambda: right(b, "127.0.2.1", "dave") == 235, 2)


def test_names_and_addresses_are_not_in_memcached(nodes):
    for b in nodes.all:
        right(b, "127.0.0.9", "alice")
        wrong(b, "127.0.1.1", "alice")
        wrong(b, "127.0.1.1", "nobody@acme.example")
    time.sleep(0.2)
    keys = nodes.keys()
    kinds = {k.split(".")[1][0] for k in keys if not k.startswith("byway")}
    assert {"N", "A", "P", "U"} <= kinds, keys
    text = "\n".join(keys).lower()
    for secret in ("alice", "nobody", "acme", "127.0", "7f000001", "7f000101", "7f000009"):
        assert secret not in text
        assert secret.encode().hex() not in text
    # One of each at both nodes: they call a name and an address alike.
    n = [k for k in keys if k.split(".")[1].startswith("N")]
    p = [k for k in keys if k.split(".")[1].startswith("P")]
    assert len(n) == 2 and len(p) == 1, keys


def test_known_pairs_ask_nobody(nodes):
    a = nodes.all[0]
    # With two workers, the pair is in memory that both share.
    assert right(a, "127.0.0.9", "alice") == 235
    time.sleep(0.2)
    before = nodes.orders()
    for _ in range(3):
        assert right(a, "127.0.0.9", "alice") == 235
        assert wrong(a, "127.0.0.9", "alice") == 535
    assert nodes.orders() == before
    wrong(a, "127.0.0.10", "alice")
    assert stage.wait_until(lambda: nodes.orders() > before, 2)


def test_client_that_leaves_while_nodes_are_asked(nodes):
    a, b = nodes.all
    clients = [talk.Talk(b, "tls", source=f"127.0.8.{i}") for i in range(1, 9)]
    nodes.memcached.process.send_signal(signal.SIGSTOP)
    for t in clients:
        t.raw("AUTH PLAIN AGFsaWNlQGFjbWUuZXhhbXBsZQBndWVzcw==\r\n")
        t.close()
    assert stage.wait_until(lambda: b.cli("status", json_out=True)["gauges"]["sessions_open"] == 0)
    nodes.memcached.process.send_signal(signal.SIGCONT)
    assert right(b, "127.0.8.9", "bob") == 235


def test_frozen_memcached_holds_nobody_up(nodes):
    a, b = nodes.all
    assert wrong(a, "127.0.1.1", "alice") == 535
    usual = min(attempt(a, f"127.0.4.{i}", "bob", "guess")[1] for i in range(1, 3))
    nodes.memcached.process.send_signal(signal.SIGSTOP)
    took = []
    for i in range(4):
        code, seconds = attempt(b, f"127.0.5.{i + 1}", "carol", "secret of carol")
        assert code == 235
        took.append(seconds)
    # The time-out is 50 ms; a connection that has to be made anew may take another.
    assert max(took) < (usual + 0.5) * stage.SLOW, took
    # Each node goes on with what it has counted itself.
    assert [wrong(a, f"127.0.6.{i}", "alice") for i in range(1, 7)] == [535] * 3 + [421] * 3
    assert wrong(b, "127.0.6.1", "alice") == 535
    nodes.memcached.process.send_signal(signal.SIGCONT)
    assert stage.wait_until(lambda: all(b.events("counters", state="back") for b in nodes.all if b.events("counters", state="lost")), 15)
    assert [wrong(a, f"127.0.7.{i}", "dave") for i in range(1, 4)] == [535] * 3
    assert stage.wait_until(lambda: wrong(b, "127.0.7.9", "dave") == 421, 5)
