# SPDX-License-Identifier: Apache-2.0
"""What goes wrong upstream, phase by phase, each through the whole proxy: what the client hears, what the log says, and what must never happen.

Never 2xx that the upstream did not say for that message; never a dot after a broken message; never a code that means something else to the client; and the
session goes on: the next message, by a healthy upstream, arrives.
"""
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402
import scripted  # noqa: E402
import stage  # noqa: E402
from scripted import close, endless, long_line, pause, reset, silent, then  # noqa: E402

ME, TO = "me@fine.example", ["a@elsewhere.example", "b@elsewhere.example"]
HEAD = b"Date: x\r\nMessage-ID: <1@x>\r\n\r\n"
LOGIN = {"postmaster@fine.example": "upstream-pw"}
NEVER = ("421", "432", "454", "530", "534", "535", "538")

LOST, UNKNOWN, PROTOCOL, TLS, CONNECT = "451 4.4.2", "451 4.4.2 {unknown}", "451 4.5.0", "451 4.7.5", "451 4.4.1"
GARBAGE = "HTTP/1.1 400 Bad Request\r\n"
MIXED = "250-one\r\n550 two\r\n"
LETTERS = "25 ok\r\n"


def stop_reading(peer):
    """Takes no more content and says nothing."""
    peer.server.gate.wait(20 * stage.SLOW)
    raise scripted.Over


def glued(peer):
    """STARTTLS answered, with more behind it that nothing protects."""
    peer.say(b"220 2.0.0 go\r\n250-upstream.example\r\n250 AUTH PLAIN\r\n")
    peer.hang(2)


def glued_half(peer):
    peer.say(b"220 2.0.0 go\r\n250-ups")
    peer.hang(2)


def clear_greeting(peer):
    time.sleep(0.05)
    peer.say("220 this port does not speak TLS")
    peer.hang(2)


def half_reply(peer):
    peer.say(b"250-2.0.0 nearly\r\n")
    peer.close()


# (phase, name, what the upstream does, what the client hears first that is no success, tls)
def cells():
    both = [("closed", close, LOST), ("reset", reset, LOST), ("silent", silent, LOST), ("garbage", GARBAGE, PROTOCOL),
            ("mixed", MIXED, PROTOCOL), ("letters", LETTERS, PROTOCOL), ("endless", endless(250), PROTOCOL),
            ("long line", long_line(250), PROTOCOL), ("NUL", b"250 a\0b\r\n", PROTOCOL), ("666", "666 no", PROTOCOL),
            ("1yz", "150 wait", PROTOCOL)]

    def rows(phase, special, tls=None):
        done = {name for name, _, _ in special}
        for name, act, told in [row for row in both if row[0] not in done] + special:
            yield phase, name, act, told, tls

    yield from rows("greeting", [
        ("reset", then(pause(0.05), reset), LOST),  # at once it would be a connection that failed
        ("421", "421 4.3.2 busy", CONNECT), ("4yz", "450 later", CONNECT), ("5yz", "554 5.7.1 not you", "451 4.3.2"),
        ("3yz", "354 what", PROTOCOL), ("two", b"220 a\r\n220 b\r\n", PROTOCOL)])
    yield from rows("ehlo", [
        ("421", "421 4.3.2 busy", "451 4.3.0"), ("4yz", "450 later", "451 4.3.0"), ("5yz", "502 no EHLO", None),
        ("3yz", "354 what", PROTOCOL), ("two", b"250-x\r\n250 PIPELINING\r\n250 b\r\n", PROTOCOL)])
    yield "ehlo", "5yz with TLS", "502 no EHLO", "451 4.3.5", "starttls"
    yield "ehlo", "no STARTTLS", "250 upstream.example", "451 4.3.5", "starttls"
    yield from rows("starttls", [
        ("421", "421 4.3.2 busy", TLS), ("4yz", "454 4.7.0 no", TLS), ("5yz", "502 no", TLS), ("3yz", "334 what", TLS),
        ("mixed", "220-a\r\n454 b\r\n", PROTOCOL), ("endless", endless(220), PROTOCOL), ("long line", long_line(220), PROTOCOL),
        ("glued", glued, PROTOCOL), ("glued half", glued_half, TLS)], "starttls")
    for mode in ("starttls", "implicit"):
        # Reset at once it would be a connection that failed, or one that did not, as the kernel likes.
        for name, act in (("closed", close), ("reset", then(pause(0.05), reset)), ("silent", silent), ("garbage", clear_greeting)):
            yield "tls", f"{name} {mode}", act, TLS, mode
        for name in ("wrong name", "unknown CA", "expired"):
            yield "tls", f"{name} {mode}", None, TLS, mode
    yield from rows("auth", [
        ("421", "421 4.3.2 busy", "451 4.3.0"), ("4yz", "454 4.7.0 later", "451 4.3.0"), ("5yz", "535 5.7.8 wrong", "550 5.3.5"),
        ("534", "534 5.7.9 other mechanism", "550 5.3.5"), ("503", "503 5.5.1 AUTH not available", "451 4.3.5"),
        ("rate", "535 5.7.8 Too many connections", "451 4.4.5"), ("suspended", "525 5.7.13 your account is disabled", "550 5.7.0"),
        ("3yz", then("334 bW9yZQ==", lambda p: p.hang(2)), PROTOCOL)], "starttls")
    yield from rows("mail", [
        ("421", "421 4.3.2 busy", "451 4.3.2"), ("4yz", "452 4.3.1 full", "452 4.3.1"), ("5yz", "550 5.7.1 not this sender", "550 5.7.1"),
        ("530", "530 5.7.0 log in first", "550 5.3.5"), ("3yz", "354 what", PROTOCOL), ("quota", "550 5.4.5 daily sending quota exceeded", "451 4.7.0"),
        ("552", "552 5.3.4 too big", "552 5.2.3"), ("mailgun", "421 Domain x is not allowed to send: Account disabled", "451 4.0.0")])
    yield from rows("rcpt", [
        ("421", "421 4.3.2 busy", "451 4.3.2"), ("4yz", "450 4.2.1 later", "450 4.2.1"), ("5yz", "550 5.1.1 nobody", "550 5.1.1"),
        ("3yz", "354 what", PROTOCOL), ("many", "452 4.5.3 too many recipients", "452 4.5.3"), ("454", "454 4.7.1 relay later", "451 4.7.1")])
    yield from rows("data", [
        ("421", "421 4.3.2 busy", "451 4.3.2"), ("4yz", "450 4.3.0 later", "450 4.3.0"), ("5yz", "554 5.7.1 no", "554 5.7.1"),
        ("2yz", "250 ok", PROTOCOL), ("3yz other", "334 what", PROTOCOL), ("two", b"354 go\r\n250 2.0.0 queued already\r\n", PROTOCOL),
        ("mixed", "354-a\r\n250 b\r\n", PROTOCOL), ("endless", endless(354), PROTOCOL), ("long line", long_line(354), PROTOCOL)])
    yield from rows("content", [
        ("silent", stop_reading, LOST), ("421", "421 4.3.2 busy", "451 4.3.2"), ("4yz", "452 4.3.1 full", "452 4.3.1"),
        ("5yz", "554 5.7.1 spam", "554 5.7.1"), ("2yz", "250 2.0.0 queued already", PROTOCOL), ("3yz", "354 more", PROTOCOL),
        ("5yz and closed", then("552 5.3.4 too big", close), "552 5.2.3")])
    unknown = [(name, act, UNKNOWN) for name, act, _ in both]
    yield from rows("dot", unknown + [
        ("421", "421 4.3.2 busy", "451 4.3.2"), ("4yz", "452 4.3.1 full", "452 4.3.1"), ("5yz", "554 5.7.1 spam", "554 5.7.1"),
        ("535", "535 5.7.8 what", "554 5.7.1"), ("3yz", "354 more", UNKNOWN), ("half", half_reply, UNKNOWN),
        ("421 and closed", then("421 4.3.2 busy", close), "451 4.3.2"), ("two", b"250 2.0.0 one\r\n550 5.0.0 two\r\n", None)])


CELLS = list(cells())
IDS = [f"{phase}-{name}" for phase, name, _, _, _ in CELLS]


class Theatre:
    """The daemon, and an upstream with a domain and a profile for each cell; fine.example's is healthy."""

    def __init__(self, folder):
        self.folder, self.ups, self.sections = folder, {}, []
        self.pairs = {"right": stage.certificate(folder / "right"), "unknown CA": stage.certificate(folder / "unknown"),
                      "wrong name": stage.certificate(folder / "wrong", names=("other.test",), addresses=("127.0.0.2",)),
                      "expired": self.expired(stage.certificate(folder / "expired"))}
        self.fine = self.add("fine", {}, None)
        self.extra()
        for (phase, name, act, _, tls), key in zip(CELLS, IDS):
            on = {} if act is None else {phase: [None, act] if phase == "rcpt" else act}
            self.add(key, on, tls, pair=name.rsplit(" ", 1)[0] if act is None else "right", login=phase == "auth")
        self.rig = dialog.Rig(folder / "byway", upstream_ports=sorted(u.port for u in self.ups.values()), settings={
            "upstream": {"allow_networks": "127.0.0.0/8 ::1", "wait": "5s", "allow_ports": self.ports(),
                         **{f"{t}_timeout": "1s" for t in ("connect", "greeting", "tls", "ehlo", "auth", "mail", "rcpt", "data", "content",
                                                           "final")}}})
        b = self.rig.byway
        b.folder.mkdir(parents=True, exist_ok=True)
        password = b.secret("upstream.pw", LOGIN["postmaster@fine.example"])
        hashed = dialog.fast_hash(dialog.PASSWORD)
        self.rig.directory = (
            dialog.PLANS + f"[account fine]\nplan = boundless\nroute = fine\n[mailbox {ME}]\npassword_hash = {hashed}\n"
            + "\n".join(self.sections).replace("@PASSWORD@", str(password)))
        self.rig.start()

    def ports(self):
        return " ".join(str(p) for p in sorted({u.port for u in self.ups.values()} | set(self.odd_ports)))

    @staticmethod
    def slug(key):
        return key.lower().replace(" ", "-")

    def profile(self, key, host, port, tls="none", login=False):
        s = self.slug(key)
        self.sections.append(
            f"[profile fine/{s}]\nhost = {host}\nport = {port}\ntls = {tls}\n"
            + (f"ca_file = {self.pairs[self.trusts(key)][0]}\n" if tls != "none" else "")
            + ("username = postmaster@fine.example\npassword_file = @PASSWORD@\n" if login else "")
            + f"[domain {s}.example]\naccount = fine\n" + (f"route = {s}\n" if s != "fine" else ""))

    @staticmethod
    def trusts(key):
        # Only the certificate that is tested may be what is wrong with it.
        return next((p for p in ("wrong name", "expired") if p in key), "right")

    def add(self, key, on, tls, pair="right", login=False):
        up = scripted.Scripted(on, tls=tls, pair=self.pairs[pair], users=LOGIN if login else None)
        up.gate = self.gate = getattr(self, "gate", None) or __import__("threading").Event()
        if key.startswith("content-silent"):
            up.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.ups[key] = up.start()
        self.profile(key, "localhost" if tls else "127.0.0.1", up.port, tls or "none", login)
        return up

    def extra(self):
        """Hosts that cannot be reached, each in its way."""
        self.full = socket.socket()  # its backlog is full: nobody answers
        self.full.bind(("127.0.0.1", 0))
        self.full.listen(0)
        self.fillers = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(self.full.getsockname())
            self.fillers.append(s)
        refused = stage.free_port()
        self.odd_ports = [self.full.getsockname()[1], refused]
        self.profile("refused", "127.0.0.1", refused)
        self.profile("unreachable", "127.255.255.255", refused)
        self.profile("silent", "127.0.0.1", self.full.getsockname()[1])
        self.profile("private", "10.255.255.1", refused)
        self.profile("no-host", "host.that.is.not.invalid", refused)

    @staticmethod
    def expired(pair):
        chain, key = pair
        old = chain.with_suffix(".old")
        subprocess.run(["openssl", "x509", "-in", chain, "-signkey", key, "-days", "-1", "-out", old], check=True, capture_output=True)
        old.replace(chain)
        return pair

    def stop(self):
        self.gate.set()
        try:
            self.rig.stop()
        finally:
            for up in self.ups.values():
                up.stop()
            for s in self.fillers + [self.full]:
                s.close()


@pytest.fixture(scope="module")
def theatre(tmp_path_factory):
    t = Theatre(tmp_path_factory.mktemp("faults"))
    try:
        yield t
    finally:
        t.stop()


@pytest.fixture
def rig(theatre):
    return theatre.rig


@pytest.fixture
def fine(theatre):
    return theatre.fine.fresh()


def spoken(c, sender, content, pipelined):
    """A transaction as far as it goes: the replies to MAIL, RCPT, RCPT, DATA, the end."""
    said = []
    if pipelined:
        c.send(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{TO[0]}>\r\nRCPT TO:<{TO[1]}>\r\nDATA\r\n")
        said += [c.reply() for _ in range(4)]
    else:
        said += [c.say(f"MAIL FROM:<{sender}>"), c.say(f"RCPT TO:<{TO[0]}>"), c.say(f"RCPT TO:<{TO[1]}>"), c.say("DATA")]
    if said[3] and said[3].startswith("354"):
        c.send(content + b".\r\n")
        said.append(c.reply())
    assert None not in said, said
    return said


def first_failure(said):
    return next((s for s in said if s[0] in "45"), None)


def assert_safe(said):
    """BEHAVIOUR 7, for whatever was said."""
    for s in said:
        for line in s.split("\n"):
            assert not line.startswith(NEVER), said
            assert line[0] in "245" or line.startswith("354"), said
            assert len(line) <= 510 and line.isascii() and line.isprintable(), said
            assert "postmaster" not in line and "upstream-pw" not in line, said


def assert_usable(c, fine):
    """The session goes on: MAIL to a healthy upstream, at once."""
    before = len(fine.messages)
    said = spoken(c, ME, HEAD + b"fine\r\n", False)
    assert said[-1].startswith("250"), said
    assert len(fine.messages) == before + 1


def content_for(phase):
    # Large enough that an upstream which stops reading is noticed.
    return HEAD + b"0123456789 some words that fill a line\r\n" * (150000 if phase == "content" else 10)


@pytest.mark.parametrize("pipelined", [False, True], ids=["step", "piped"])
@pytest.mark.parametrize("cell", range(len(CELLS)), ids=IDS)
def test_cell(theatre, fine, rig, cell, pipelined):
    phase, name, act, told, tls = CELLS[cell]
    if pipelined and (name in ("silent", "long line", "endless") or phase in ("tls", "starttls")) and phase not in ("dot", "rcpt"):
        pytest.skip("the same as step by step, and slow")
    up = theatre.ups[IDS[cell]]
    on = up.on
    up.fresh(on)
    sender = f"me@{theatre.slug(IDS[cell])}.example"
    memory = rig.memory()
    with rig.user(ME) as c:
        said = spoken(c, sender, content_for(phase), pipelined)
        assert_safe(said)
        if told is None:
            assert said[-1].startswith("250 2.0.0"), said
            assert len(up.messages) == 1
        else:
            check_refusal(theatre, rig, c, said, phase, name, told, up)
        assert_usable(c, fine)
    if name in ("endless", "long line") or phase == "content":
        assert rig.memory() - memory < 8 * 1024 * stage.SLOW
    for peer in up.peers:
        if tls == "starttls":
            assert b"AUTH" not in peer.clear and b"MAIL" not in peer.clear


def check_refusal(theatre, rig, c, said, phase, name, told, up):
    unknown = "{unknown}" in told
    code = told.split(" {")[0]
    assert first_failure(said).startswith(code), (said, told)
    # No success without the upstream's own, for that message.
    partly = phase == "rcpt" and name in ("4yz", "5yz", "many", "454")
    if partly:
        assert said[-1].startswith("250") and len(up.messages) == 1 and up.messages[0]["to"] == TO[:1], said
        return
    assert said[-1][0] in "45", said
    assert not up.messages
    assert up.dots == (1 if phase == "dot" else 0)
    if phase not in ("content", "dot") and (phase, name) != ("data", "two"):
        assert len(said) == 4, "354 was said"
    if code[0] == "4":
        # What is temporary is not made permanent; DATA for nobody is told as what it is.
        assert all(s[0] in "24" or s.startswith(("354", "554 5.5.1")) for s in said), said
    row = rig.log.wait("message", session=c.id, **{"from": f"me@{theatre.slug(phase + '-' + name)}.example"})
    assert row, "no row in the log"
    assert (row["outcome"] == "unknown") == unknown, row
    if phase in ("data", "content", "dot"):
        assert row["code"] == int(said[-1][:3]) and row["outcome"] == (
            "unknown" if unknown else "deferred" if said[-1][0] == "4" else "refused"), row


@pytest.mark.parametrize("where,told", [("refused", CONNECT), ("unreachable", CONNECT), ("silent", CONNECT), ("private", "451 4.4.4"),
                                        ("no-host", "451 4.4.")])
def test_no_connection(theatre, fine, rig, where, told):
    with rig.user(ME) as c:
        said = spoken(c, f"me@{where}.example", HEAD, False)
        assert_safe(said)
        assert first_failure(said).startswith(told), said
        assert len(said) == 4
        assert_usable(c, fine)


def test_mail_is_answered_at_once(theatre, rig):
    """However slow the upstream: MAIL hears our own verdict, and QUIT is not held up."""
    with rig.user(ME) as c:
        start = time.monotonic()
        assert c.say("MAIL FROM:<me@greeting-silent.example>").startswith("250")
        assert time.monotonic() - start < 0.5 * stage.SLOW
        assert c.say("QUIT").startswith("221")


def test_a_refused_credential_is_not_asked_again(theatre, fine, rig):
    """Three refusals open the breaker: the same answer, and the upstream has its peace."""
    up = theatre.ups["auth-5yz"]
    up.fresh(up.on)
    with rig.user(ME) as c:
        for _ in range(5):
            said = spoken(c, "me@auth-5yz.example", HEAD, False)
            assert first_failure(said).startswith("550 5.3.5"), said
            assert "wrong" not in first_failure(said)
        assert len(up.peers) <= 3
        assert_usable(c, fine)


# ---- connections that are used again

def send(c, sender=ME, body=b"x\r\n"):
    return spoken(c, sender, HEAD + body, False)


def test_a_dead_idle_connection_is_replaced_unseen(rig, fine):
    """The upstream hangs up between messages: noticed at once."""
    with rig.user(ME) as c:
        assert send(c)[-1].startswith("250")
        for p in list(fine.peers):
            p.sock.shutdown(socket.SHUT_RDWR)
        stage.wait_until(lambda: fine.peers[0].end, 2)
        assert send(c)[-1].startswith("250")
    assert len(fine.messages) == 2 and len(fine.peers) == 2


@pytest.mark.parametrize("act", [close, reset, "421 4.4.2 idle too long", then("421 4.4.2 idle too long", close)],
                         ids=["closed", "reset", "421", "421 and closed"])
@pytest.mark.parametrize("phase", ["mail", "rcpt", "data"])
def test_a_stale_connection_is_replaced_once(rig, theatre, fine, phase, act):
    """It proves dead only when it is used again, before content: a new one, once, unseen by the client."""
    used = 2 if phase == "rcpt" else 1
    fine.fresh({phase: [None] * used + [act]})
    with rig.user(ME) as c:
        assert send(c)[-1].startswith("250")
        said = send(c, body=b"second\r\n")
        assert [s[:3] for s in said] == ["250", "250", "250", "354", "250"], said
    assert len(fine.messages) == 2 and len(fine.peers) == 2
    assert fine.messages[1]["to"] == TO


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data"])
def test_a_fresh_connection_is_not_replaced(rig, fine, phase):
    """The new one dies too: no third, and the client hears it."""
    used = 2 if phase == "rcpt" else 1
    fine.fresh({phase: [None] * used + [close, close]})
    with rig.user(ME) as c:
        assert send(c)[-1].startswith("250")
        said = send(c)
        assert said[-1][0] in "45" and first_failure(said).startswith(LOST), said
        assert len(fine.peers) == 2
        assert send(c)[-1].startswith("250")


def test_replaced_and_then_refused(rig, fine):
    """A recipient that the dead connection had accepted, and the new one refuses: nobody may think that all is well."""
    fine.fresh({"data": [None, close], "rcpt": [None] * 4 + ["550 5.1.1 not any more"]})
    with rig.user(ME) as c:
        assert send(c)[-1].startswith("250")
        said = send(c)
        assert said[-1].startswith("451"), said
    assert len(fine.messages) == 1


@pytest.mark.parametrize("phase", ["content", "dot"])
@pytest.mark.parametrize("act", [close, reset], ids=["closed", "reset"])
def test_nothing_is_tried_again_once_content_went(rig, fine, phase, act):
    fine.fresh({phase: [None, act]})
    with rig.user(ME) as c:
        assert send(c)[-1].startswith("250")
        said = spoken(c, ME, content_for("content") if phase == "content" else HEAD, False)
        assert said[-1].startswith("451 4.4.2"), said
        row = rig.log.wait("message", session=c.id, code=451)
        assert (row["outcome"] == "unknown") == (phase == "dot")
        assert len(fine.peers) == 1 and len(fine.messages) == 1
        assert send(c)[-1].startswith("250")


def test_a_second_answer_does_not_reach_the_next_message(rig, fine):
    """Two answers to one dot: the first counts, and the connection is not trusted any more."""
    fine.fresh({"dot": [then(b"250 2.0.0 one\r\n550 5.0.0 two\r\n", pause(0.01))]})
    with rig.user(ME) as c:
        assert send(c)[-1].startswith("250 2.0.0")
        said = send(c)
        assert [s[:3] for s in said] == ["250", "250", "250", "354", "250"], said
    assert stage.wait_until(lambda: len(fine.messages) == 2, 2) and len(fine.peers) == 2


def test_a_late_second_answer(rig, fine):
    """It comes when the connection is idle: that one is not used again."""
    fine.fresh({"dot": [then("250 2.0.0 one", pause(0.1), "250 2.0.0 again")]})
    with rig.user(ME) as c:
        assert send(c)[-1].startswith("250 2.0.0")
        time.sleep(0.3)
        assert send(c)[-1].startswith("250 2.0.0")
    assert len(fine.messages) == 2 and len(fine.peers) == 2


# ---- the client leaves

@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("answer,outcome", [("250 2.0.0 Ok: queued", "sent"), ("554 5.7.1 no", "refused"), ("451 4.3.0 later", "deferred"),
                                            (close, "unknown")], ids=["sent", "refused", "deferred", "unknown"])
def test_the_client_leaves_after_its_dot(rig, fine, answer, outcome, how):
    """The upstream's answer is still read and logged."""
    fine.fresh({"dot": then(pause(0.3), answer)})
    c = rig.user(ME)
    c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO[0]}>")
    assert c.say("DATA").startswith("354")
    c.send(HEAD + b".\r\n")
    assert stage.wait_until(lambda: fine.dots, 3)
    getattr(c, how)()
    row = rig.log.wait("message", session=c.id)
    assert row and row["outcome"] == outcome, row
    assert fine.dots == 1
    with rig.user(ME) as c:
        fine.fresh()
        assert_usable(c, fine)


@pytest.mark.parametrize("how", ["close", "reset", "half"])
def test_the_client_leaves_before_its_dot(rig, fine, how):
    c = rig.user(ME)
    c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO[0]}>")
    assert c.say("DATA").startswith("354")
    c.send(HEAD + b"words\r\n.")
    stage.wait_until(lambda: b"words" in fine.octets(), 3)
    getattr(c, how)()
    row = rig.log.wait("message", session=c.id)
    assert row and row["outcome"] == "dropped", row
    assert stage.wait_until(lambda: fine.peers[-1].end, 3)
    assert fine.dots == 0
    c.sock.close()


@pytest.mark.parametrize("phase", ["greeting", "mail", "rcpt", "data", "dot"])
def test_the_client_leaves_while_the_upstream_thinks(rig, fine, phase):
    """At any step; what is left of it harms nobody."""
    fine.fresh({phase: then(pause(0.15), "220 x" if phase == "greeting" else "354 go" if phase == "data" else "250 2.0.0 ok")})
    c = rig.user(ME)
    c.send(f"MAIL FROM:<{ME}>\r\nRCPT TO:<{TO[0]}>\r\nDATA\r\n")
    time.sleep(0.05)
    if phase == "dot":
        [c.reply() for _ in range(3)]
        c.send(HEAD + b".\r\n")
    c.reset()
    assert rig.log.wait("session", id=c.id)
    time.sleep(0.2)
    fine.fresh()
    with rig.user(ME) as c:
        assert_usable(c, fine)


# ---- STARTTLS, seen from both sides

def test_what_was_said_before_tls_is_forgotten(theatre, fine, rig):
    """Offers in clear count for nothing: here AUTH is offered only there, and PIPELINING too."""
    up = theatre.ups["auth-closed"]
    up.fresh({"ehlo": ["250-upstream.example\r\n250-AUTH PLAIN\r\n250-PIPELINING\r\n250 STARTTLS", "250 upstream.example"]})
    with rig.user(ME) as c:
        said = spoken(c, "me@auth-closed.example", HEAD, False)
        assert first_failure(said).startswith("451 4.3.5"), said
    assert b"AUTH" not in up.octets()


def test_the_password_goes_only_through_tls(theatre, fine, rig):
    up = theatre.ups["auth-closed"]
    up.fresh()
    with rig.user(ME) as c:
        assert spoken(c, "me@auth-closed.example", HEAD, False)[-1].startswith("250")
    assert up.messages[0]["login"] == "postmaster@fine.example" and up.messages[0]["secure"]
    assert b"AUTH" not in bytes(up.peers[0].clear)
    raw = rig.byway.log.read_text()
    assert LOGIN["postmaster@fine.example"] not in raw
