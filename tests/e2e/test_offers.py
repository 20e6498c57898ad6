# SPDX-License-Identifier: Apache-2.0
"""What a route can do is known to every worker after the first contact, and still after a restart (P9)."""
import json
import socket

import stage
import talk

TO = "you@elsewhere.example"
KNOWN = {"SIZE 1000000", "LIMITS RCPTMAX=400"}


def test_P9_every_worker_knows_and_a_restart_forgets_nothing(tmp_path, stack):
    up = stack.enter_context(stage.Upstream(offers=("LIMITS RCPTMAX=400",), size=1000000, smtputf8=False))
    native = stack.enter_context(stage.Upstream(size=2000000))
    b = stage.Byway(tmp_path, workers=4, settings={
        "upstream": {"allow_networks": "127.0.0.0/8 ::1", "allow_ports": str(up.port)},
        "mta one": {"host": "127.0.0.1", "port": native.port, "tls": "none"}})
    b.init()
    b.secret("pw", "secret")
    b.apply("[plan wide]\ncan_send = yes\nrecipients = 500\n" + "".join(
        f"[account {name}]\nplan = wide\n{more}[domain {name}.example]\naccount = {name}\n[mailbox me@{name}.example]\npassword_file = {b.folder}/pw\n"
        for name, more in (("own", "route = up\n"), ("pool", "")))
        + f"[profile own/up]\nhost = 127.0.0.1\nport = {up.port}\ntls = none\n")

    def session(name):
        return talk.Talk(b, "tls", login=(f"me@{name}.example", "secret"))

    def keywords(name):
        with session(name) as t:
            return set(t.cmd("EHLO c.example", 250).keywords)

    def contact(name):
        with session(name) as t:
            t.mail(f"me@{name}.example", TO)
            t.cmd("RSET", 250)

    def all_know():
        # Connections enough for each of the four workers.
        told = [keywords("own") for _ in range(24)]
        assert all(KNOWN < t and "SMTPUTF8" not in t for t in told), told
        assert all("SIZE 2000000" in keywords("pool") for _ in range(24))
        with session("own") as t:
            # What the route does not carry is said at MAIL, before anybody is asked.
            assert str(t.cmd("MAIL FROM:<me@own.example> SIZE=1000001")) == "552 5.2.3 Message too large"
            assert t.cmd("MAIL FROM:<me@own.example> SIZE=1000000").code == 250

    with b:
        assert not KNOWN & keywords("own")
        contact("own")
        contact("pool")
        all_know()
    # Nobody answers any more: what is told can only be what was kept.
    up.stop()
    native.stop()
    with b:
        all_know()
        # Settings that change are another upstream.
        b.cli("profile", "set", "own/up", "--host", "localhost")
        assert stage.wait_until(lambda: not KNOWN & keywords("own"))
    assert not b.faults()


def test_P9_a_profiles_test_tells_the_daemon(tmp_path, stack):
    """Before the first message: a test of the stored profile as it is, and no other, is what the workers know from then on."""
    up = stack.enter_context(stage.Upstream(offers=("LIMITS RCPTMAX=400",), size=1000000, smtputf8=False))
    b = stage.Byway(tmp_path, workers=4, settings={"upstream": {"allow_networks": "127.0.0.0/8 ::1", "allow_ports": str(up.port)}})
    b.init()
    b.secret("pw", "secret")
    b.apply("[plan wide]\ncan_send = yes\nrecipients = 500\n[account own]\nplan = wide\nroute = up\n[domain own.example]\naccount = own\n"
            f"[mailbox me@own.example]\npassword_file = {b.folder}/pw\n[profile own/up]\nhost = 127.0.0.1\nport = {up.port}\ntls = none\n")

    def keywords():
        with talk.Talk(b, "tls", login=("me@own.example", "secret")) as t:
            return set(t.cmd("EHLO c.example", 250).keywords)

    assert b.cli("profile", "test", "own/up", check=False)  # nobody listens yet: no matter
    with b:
        b.cli("profile", "test", "own/up", "--host", "localhost", check=False)  # other values than the stored ones
        assert not KNOWN & keywords()
        b.cli("profile", "test", "own/up", check=False)
        assert all(KNOWN < keywords() for _ in range(12))
        for words in ("", "x", "1 1 h 25 1", "1 1 h 99999 1 1", "1 1  25 1 1", "1 1 h 25 1 0"):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(b.folder / "ctl.sock"))
                s.sendall(f"offer {words}\n".encode())
                assert json.loads(s.makefile().read())["ok"] is False
    assert not b.faults()
