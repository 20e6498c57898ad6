# SPDX-License-Identifier: Apache-2.0
"""Replies leave in the order of the commands, whole, none dropped, also for a client that sends all and reads nothing for a while (proxy/dialogue/answer.c)."""
import sys
import socket
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402
import scripted  # noqa: E402
import stage  # noqa: E402

ME = "me@order.example"
HEAD = b"Date: x\r\nMessage-ID: <1@x>\r\n\r\n"
WORDS = "x" * 360


@pytest.fixture(scope="module")
def up():
    u = scripted.Scripted().start()
    yield u
    u.stop()


@pytest.fixture(scope="module")
def rig(folder, up):
    hashed = dialog.fast_hash(dialog.PASSWORD)
    r = dialog.Rig(folder / "order", upstream_ports=[up.port], settings={"limits": {"session_memory": "64M"}}, directory=(
        "[plan crowd]\ncan_send = yes\nrecipients = 7000\n[account order]\nplan = crowd\nroute = up\n"
        f"[profile order/up]\nhost = 127.0.0.1\nport = {up.port}\ntls = none\n"
        f"[domain order.example]\naccount = order\n[mailbox {ME}]\npassword_hash = {hashed}\n")).start()
    yield r
    r.stop()


def kernel_holds():
    """Octets that the kernel takes for a client with a small window that reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(server.getsockname())
        with server.accept()[0] as one:
            one.setblocking(False)
            n = 0
            try:
                while True:
                    n += one.send(b"x" * 16384)
            except BlockingIOError:
                return n


# The upstream's verdicts on a part of the recipients nearly fill the kernel; those on the rest, which come together when DATA is in too (BDAT waits for them), do not fit.
REST = 900
PART = max(0, kernel_holds() - 200000) // (len(WORDS) + len("250 2.1.5 <r1000@elsewhere.example> \r\n"))
MANY = PART + REST


def verdict(peer):
    """Each recipient's verdict names it, in many words."""
    who = scripted.address(peer.lines[-1])
    n = int(who[1:].split("@")[0])
    if n == PART:
        while peer.buf.count(b"RCPT") < REST - 1:
            peer.read()
        time.sleep(0.2)
    peer.say(f"250 2.1.5 {who} {WORDS}" if n % 3 else f"550 5.1.1 {who} {WORDS}")


def pipeline(c, last):
    """MAIL, a crowd of recipients and LAST without reading a reply."""
    lines = [f"MAIL FROM:<{ME}>"] + [f"RCPT TO:<r{n}@elsewhere.example>" for n in range(MANY)]
    c.send("\r\n".join(lines).encode() + b"\r\n" + last)


def check(c, up):
    """What the client hears once it reads: when the upstream has said all its verdicts, and the client's window has long been shut."""
    assert stage.wait_until(lambda: up.count.get("rcpt") == MANY, 20)
    time.sleep(0.3)
    assert c.reply().startswith("250 2.1.0")
    for n in range(MANY):
        said = c.reply()
        assert said and said.startswith("250 2.1.5" if n % 3 else "550 5.1.1") and f"r{n}@elsewhere.example" in said, (n, said)


@pytest.mark.parametrize("answer", ["354 go on", "452 4.3.1 full", scripted.close], ids=["354", "452", "lost"])
@pytest.mark.parametrize("form", ["DATA", "BDAT"])
def test_the_answer_follows_the_verdicts(rig, up, form, answer):
    up.fresh({"rcpt": verdict})
    up.on["data"] = answer
    content = HEAD + b"all of it\r\n"
    with rig.user(ME, rcvbuf=2048, timeout=10) as c:
        pipeline(c, b"DATA\r\n" if form == "DATA" else b"BDAT %d LAST\r\n" % len(content) + content)
        check(c, up)
        if form == "DATA" and answer == "354 go on":
            assert c.reply().startswith("354")
            c.send(content + b".\r\n")
        said = c.reply()
        assert said.startswith({"354 go on": "250 2.0.0", "452 4.3.1 full": "452 4.3.1"}.get(answer, "451 4.4.2")), said
        assert c.say("NOOP").startswith("250 2.0.0 Ok")
        assert c.say("QUIT").startswith("221")
    assert len(up.messages) == (answer == "354 go on")


def test_MAIL_is_answered_while_the_upstream_thinks_of_a_recipient(rig, up):
    """Its 250 may leave with the first verdict, but waits for none."""
    heard = threading.Event()

    def slow(peer):
        heard.wait(20)
        peer.say("250 2.1.5 ok")

    up.fresh({"rcpt": slow})
    with rig.user(ME, timeout=10) as c:
        for _ in range(3):
            heard.clear()
            c.send(f"MAIL FROM:<{ME}>\r\nRCPT TO:<a@elsewhere.example>\r\n".encode())
            assert c.reply().startswith("250 2.1.0")
            heard.set()
            assert c.reply().startswith("250 2.1.5")
            assert c.say("RSET").startswith("250")


def test_commands_behind_a_crowd(rig, up):
    """What is answered by us waits for the verdicts before it; RSET then ends the transaction."""
    up.fresh({"rcpt": verdict})
    with rig.user(ME, rcvbuf=2048, timeout=10) as c:
        pipeline(c, b"RCPT TO:<@>\r\nRSET\r\nNOOP\r\nDATA\r\n")
        check(c, up)
        assert [c.reply()[:3] for _ in range(4)] == ["501", "250", "250", "503"]


def test_a_client_that_reads_nothing_is_not_listened_to(rig, up):
    """Replies that have no room stop the reading of commands: the client's own writing comes to a stand, and nothing is lost."""
    up.fresh()
    with rig.user(ME, rcvbuf=2048, timeout=10) as c:
        c.sock.setblocking(False)
        asked = 0
        line = b"HELP\r\n"
        try:
            while asked < 60:
                asked += c.sock.send(line) // len(line)
        except BlockingIOError:
            pass
        c.sock.setblocking(True)
        said = [c.reply() for _ in range(asked)]
        assert all(s and s.startswith("214 2.0.0") for s in said)


def test_content_waits_for_room_too(rig, up):
    """The last word finds room, however little the client reads."""
    up.fresh()
    with rig.user(ME, rcvbuf=2048, timeout=10) as c:
        whole = f"MAIL FROM:<{ME}>\r\nRCPT TO:<r1@elsewhere.example>\r\n".encode() + b"BDAT %d LAST\r\n" % len(HEAD) + HEAD
        rounds = 400
        sender = threading.Thread(target=c.send, args=(whole * rounds,), daemon=True)
        sender.start()
        time.sleep(0.5)
        for n in range(rounds):
            assert [c.reply()[:9] for _ in range(3)] == ["250 2.1.0", "250 2.1.5", "250 2.0.0"], n
        sender.join(5)
    assert len(up.messages) == rounds
