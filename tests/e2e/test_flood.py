# SPDX-License-Identifier: Apache-2.0
"""Clients that keep Byway busy without sending mail (P6): they are counted and sent away, and in the meantime nobody else waits for them."""
import multiprocessing
import select
import statistics
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402
import scripted  # noqa: E402
import stage  # noqa: E402

ME = "me@flood.example"
HEAD = b"Date: x\r\nMessage-ID: <1@x>\r\n\r\n"
OVER = "421 4.7.0 Too many commands that bring no message on"
IDLE = ["NOOP", "RSET", "VRFY x", "HELP", "EHLO again", "HELO again"]


@pytest.fixture(scope="module")
def up():
    """In a process of its own: the probe must not wait for the upstream's Python."""
    u = scripted.Scripted()
    process = multiprocessing.Process(target=lambda: (u.start(), time.sleep(3600)), daemon=True)
    process.start()
    yield u
    process.terminate()
    process.join()
    u.listening.close()


@pytest.fixture(scope="module")
def rig(folder, up):
    hashed = dialog.fast_hash(dialog.PASSWORD)
    r = dialog.Rig(folder / "flood", upstream_ports=[up.port], directory=(
        "[plan crowd]\ncan_send = yes\nrecipients = 5000\n[account flood]\nplan = crowd\nroute = up\n"
        f"[profile flood/up]\nhost = 127.0.0.1\nport = {up.port}\ntls = none\n"
        f"[domain flood.example]\naccount = flood\n[mailbox {ME}]\npassword_hash = {hashed}\n")).start()
    yield r
    r.stop()


def message(c):
    for line in (f"MAIL FROM:<{ME}>", "RCPT TO:<a@elsewhere.example>", "DATA"):
        assert c.say(line)[0] in "23"
    c.send(HEAD + b".\r\n")
    assert c.reply().startswith("250 2.0.0")


@pytest.mark.parametrize("pipelined", [False, True], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("line", IDLE + ["all of them"])
def test_counted_between_messages(rig, line, pipelined):
    lines = (IDLE * 40 if line == "all of them" else [line] * 240)[:205]
    with rig.user(ME) as c:
        if pipelined:
            c.send("\r\n".join(lines[:100]) + "\r\n")
        for n in range(100):
            said = c.reply() if pipelined else c.say(lines[n])
            assert said[0] == "2", (n, said)
        message(c)  # counts from nothing again
        for n in range(100):
            assert c.say(lines[100 + n])[0] == "2", n
        assert c.say(lines[200]) == OVER and c.is_over()
        row = rig.log.wait("session", id=c.id)
        assert row["close"] == "too many commands without a message" and row["reply"] == "too_many_idle"


def test_a_transaction_given_up_brings_nothing_on(rig):
    with rig.user(ME) as c:
        for _ in range(100):
            assert c.say(f"MAIL FROM:<{ME}>").startswith("250") and c.say("RSET").startswith("250")
        assert c.say(f"MAIL FROM:<{ME}>").startswith("250") and c.say("RSET") == OVER


@pytest.mark.parametrize("line", IDLE)
def test_counted_before_login(rig, line):
    with rig.client() as c:
        c.greet()
        for n in range(20):
            assert c.say(line)[0] == "2", n
        assert c.say(line) == OVER and c.is_over()


def test_login_counts_anew(rig):
    with rig.client() as c:
        c.hello()
        for _ in range(18):
            c.say("NOOP")
        assert c.login(ME).startswith("235")
        for n in range(100):
            assert c.say("NOOP").startswith("250"), n
        assert c.say("NOOP") == OVER


# ---- beside a flood

def latency(rig, seconds):
    """Of a session that asks a little: the median, in seconds."""
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        with rig.user(ME) as c:
            for _ in range(20):
                began = time.monotonic()
                assert c.say("NOOP").startswith("250")
                took.append(time.monotonic() - began)
                time.sleep(0.002)
    return statistics.median(took)


def write(c, data):
    """Sends without looking; reads what comes."""
    c.sock.setblocking(False)
    at = 0
    while at < len(data):
        readable, writable, _ = select.select([c.sock], [c.sock], [], 1)
        try:
            if readable and not c.sock.recv(1 << 20):
                return False
            if writable:
                at += c.sock.send(data[at:at + (1 << 16)])
        except BlockingIOError:
            continue
        except OSError:
            return False
    return True


FLOODS = {
    "idle commands": (b"", b"NOOP\r\nRSET\r\n" * 5000),
    "unknown commands": (b"", b"WHAT\r\n" * 10000),
    "recipients": (b"MAIL FROM:<me@flood.example>\r\n", b"RCPT TO:<>\r\nRCPT TO:<b@elsewhere.example>\r\n" * 2000),
    "transactions": (b"", b"MAIL FROM:<me@flood.example>\r\nRSET\r\n" * 2000),
    "a line without end": (b"", b"x" * (1 << 22)),
    "a chunk that nobody wants": (b"BDAT 999999999\r\n", b"x" * (1 << 22)),
    "content": (b"MAIL FROM:<me@flood.example>\r\nRCPT TO:<a@elsewhere.example>\r\nBDAT 999999999\r\n" + HEAD, b"x\r\n" * (1 << 20)),
}


def flood(rig, kind, over):
    """In a process of its own: the probe must not wait for the flood's Python."""
    first, data = FLOODS[kind]
    while not over.is_set():
        with rig.user(ME) as c:
            if write(c, first):
                for _ in range(50):
                    if over.is_set() or not write(c, data):
                        break


@pytest.mark.parametrize("kind", list(FLOODS))
def test_others_do_not_wait(rig, kind):
    quiet = latency(rig, 1)
    over = multiprocessing.Event()
    one = multiprocessing.Process(target=flood, args=(rig, kind, over), daemon=True)
    one.start()
    time.sleep(0.2)
    busy = latency(rig, 2)
    assert one.is_alive()
    over.set()
    one.join(10 * stage.SLOW)
    print(kind, quiet, busy)
    assert busy < 40 * quiet, (quiet, busy)


def test_what_waits_is_taken_up_again(rig):
    """A turn does so much for one session; the rest comes in the next turns, though the client sends no more."""
    with rig.user(ME) as c:
        one = f"MAIL FROM:<{ME}>\r\nRCPT TO:<a@elsewhere.example>\r\n".encode() + b"BDAT %d LAST\r\n" % len(HEAD) + HEAD
        c.send(one * 300)
        for n in range(300):
            assert [c.reply()[:9] for _ in range(3)] == ["250 2.1.0", "250 2.1.5", "250 2.0.0"], n
        c.send(b"NOOP\r\n" * 90)
        assert all(c.reply() == "250 2.0.0 Ok" for _ in range(90))


# ---- descriptors

@pytest.fixture(scope="module")
def capped(folder):
    r = dialog.Rig(folder / "capped", settings={"limits": {"connections_per_address": 5}}).start()
    yield r
    r.stop()


def sockets(rig):
    """Of the workers: how many descriptors that are sockets."""
    return sum(1 for pid in rig.byway.workers() for f in Path(f"/proc/{pid}/fd").iterdir() if str(f.readlink()).startswith("socket:"))


def test_over_the_cap_no_descriptor_is_held(capped):
    """Who is over the cap is told, and closed at once, though the client keeps its end open."""
    assert stage.wait_until(lambda: capped.byway.cli("status", json_out=True)["gauges"]["sessions_open"] == 0, 5)
    before = sockets(capped)
    crowd = [capped.client() for _ in range(60)]
    said = [c.reply() for c in crowd]
    assert sum(s.startswith("220") for s in said) == 5 and sum(s.startswith("421 4.7.0") for s in said) == 55
    try:  # the last one's may be closed a moment after its words came
        assert stage.wait_until(lambda: sockets(capped) <= before + 5, 1)
    finally:
        for c in crowd:
            c.close()


def test_who_is_being_closed_counts(capped):
    """Goodbye is not yet gone: a client that does not close its end is still one of those that the cap is about."""
    gauges = lambda: capped.byway.cli("status", json_out=True)["gauges"]  # noqa: E731
    assert stage.wait_until(lambda: gauges()["sessions_open"] == 0, 5)
    staying = [capped.client() for _ in range(5)]
    for c in staying:
        c.greet()
        assert c.say("QUIT").startswith("221")
    with capped.client() as c:
        assert c.reply().startswith("421 4.7.0")
    for c in staying:
        c.close()

    def room():
        with capped.client() as c:
            return c.reply().startswith("220")
    assert stage.wait_until(room, 5)
