# SPDX-License-Identifier: Apache-2.0
"""What an SMTP server is attacked with, as octets over a raw socket: content and framing (C), commands and addresses (A), TLS and login (S), limits, PROXY.

The upstream records every octet. Whatever a client does: lines there end in CRLF only, each dot at a line's start is ours, and no word of the content or
of an argument is a command.
"""
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402
import scripted  # noqa: E402
import stage  # noqa: E402

ME, TO = "me@victim.example", "to@elsewhere.example"
HEAD = b"Date: x\r\nMessage-ID: <1@x>\r\n\r\n"
EVIL = b"MAIL FROM:<evil@elsewhere.example>\r\nRCPT TO:<prey@elsewhere.example>\r\nDATA\r\nSubject: evil\r\n\r\nevil words"
BARE = "554 5.6.0"

SHORT = {"timeouts": {"proxy_header": "1s", "tls_handshake": "1s", "login": "3s", "command": "2s", "data": "2s", "data_rate": "100000"}}
BALANCED = {"tls": "none", "plaintext_auth": "yes", "proxy_protocol": "yes"}
SETTINGS = {
    "refuse": {"content": {"line_ends": "refuse"}},
    "repair": {"content": {"show_client_address": "yes"}, "limits": {"message_size": "300k"}},
    "short": SHORT,
    "caps": {"limits": {"connections_per_address": "4", "connections_per_account": "2"}},
    "total": {"limits": {"connections": "6"}},
}
LISTENERS = {
    "refuse": {"tls2": {"tls": "implicit"}, "names": {"tls": "implicit", "certificates": "one two"}},
    "short": {"proxied": {**BALANCED, "trusted_proxies": "127.0.0.0/8"},
              "proxied-tls": {"tls": "implicit", "proxy_protocol": "yes", "trusted_proxies": "127.0.0.0/8 ::1"},
              "untrusted": {**BALANCED, "trusted_proxies": "192.0.2.0/24"}},
    "caps": {"proxied": {**BALANCED, "trusted_proxies": "127.0.0.0/8"}},
}


class Theatre:
    """The daemons, one for each of SETTINGS, started when first asked for."""

    def __init__(self, folder):
        self.folder, self.rigs, self.ups = folder, {}, {}
        self.pairs = {name: stage.certificate(folder / "pairs", name, names=(f"{name}.test",)) for name in ("one", "two")}

    def rig(self, name):
        if name in self.rigs:
            return self.rigs[name]
        up = self.ups[name] = scripted.Scripted().start()
        settings = dict(SETTINGS[name])
        if name == "refuse":
            for n, (chain, key) in self.pairs.items():
                settings[f"certificate {n}"] = {"chain_file": chain, "key_file": key}
        hashed = dialog.fast_hash(dialog.PASSWORD)
        accounts = dialog.PLANS + "".join(
            f"[account {a}]\nplan = boundless\nroute = up\nsenders = {whose}\n[profile {a}/up]\nhost = 127.0.0.1\nport = {up.port}\ntls = none\n"
            f"[domain {a}.example]\naccount = {a}\n[mailbox me@{a}.example]\npassword_hash = {hashed}\n" for a, whose in (("victim", "own"), ("other", "any")))
        rig = dialog.Rig(self.folder / name, settings=settings, directory=accounts, listeners=LISTENERS.get(name),
                         upstream_ports=[up.port])
        self.rigs[name] = rig.start()
        rig.up = up
        return rig

    def stop(self):
        problems = []
        for rig in self.rigs.values():
            try:
                rig.stop()
            except AssertionError as e:
                problems.append(str(e))
        for up in self.ups.values():
            up.stop()
        assert not problems, "\n".join(problems)


@pytest.fixture(scope="module")
def theatre(tmp_path_factory):
    t = Theatre(tmp_path_factory.mktemp("threats"))
    try:
        yield t
    finally:
        t.stop()


def fixture_of(name):
    @pytest.fixture(name=name)
    def one(theatre):
        rig = theatre.rig(name)
        rig.up.fresh()
        return rig
    return one


refuse, repair, short, caps, total = (fixture_of(n) for n in SETTINGS)


@pytest.fixture(params=["refuse", "repair"])
def both(request, theatre):
    rig = theatre.rig(request.param)
    rig.up.fresh()
    rig.repairs = request.param == "repair"
    return rig


# ---- what must hold upstream

def odd(data):
    """Line ends and octets that must never leave."""
    return re.findall(rb"(?<!\r)\n|\r(?!\n)|\0", data)


def assert_clean(up):
    """Only CRLF, no NUL; every line of content that starts with a dot is stuffed; nothing was injected."""
    octets = up.octets()
    assert not odd(octets), octets[-400:]
    for peer in up.peers:
        for content in peer.contents:
            for line in content[:-3].split(b"\r\n"):
                assert not line.startswith(b".") or line.startswith(b".."), line
        for line in peer.lines:
            assert b"evil" not in line and b"prey" not in line, line


def body_of(message):
    """What arrived behind the field that Byway adds."""
    head = re.match(rb"Received: (?:from [^\r]*\r\n\t)?by relay\.test \(Byway/\w+\)\r\n\twith \w+ id \w+;\r\n\t[^\r]*\r\n", message)
    assert head, message[:200]
    return message[head.end():]


def envelope(c, sender=ME, to=TO):
    assert c.say(f"MAIL FROM:<{sender}>").startswith("250")
    assert c.say(f"RCPT TO:<{to}>").startswith("250")
    assert c.say("DATA").startswith("354")


def still_works(c, up, sender=ME):
    """The session is usable: a whole message more."""
    before = len(up.messages)
    said = c.message(sender, [TO], HEAD + b"fine\r\n")
    assert said[-1].startswith("250"), said
    assert len(up.messages) == before + 1
    assert up.messages[-1]["content"].endswith(b"\r\n\r\nfine\r\n")


# ---- a reference for content: 30 lines

def reference(wire, repair):
    """Content as a client sends it, up to and with its true end -> the message that may arrive, or None."""
    body, end, rest = (b"\r\n" + wire).partition(b"\r\n.\r\n")
    assert end and not rest
    lines = (body + b"\r\n").split(b"\r\n")[1:-1]
    out = []
    for line in lines:
        if not repair and odd(line):
            return None
        if line.startswith(b"."):
            line = line[1:]
        if line.endswith(b"\r"):  # CR CR LF is one line end
            line = line[:-1]
        line = re.sub(rb"([\r\n])\.\.", rb"\1.", line)  # a stuffed dot behind a repaired end
        out.append(re.sub(rb"[\r\n]", b"\r\n", line.replace(b"\0", b"")) + b"\r\n")
    return b"".join(out)


def test_reference():
    assert reference(b".\r\n", False) == b""
    assert reference(b"a\r\n..b\r\n.\r\n", False) == b"a\r\n.b\r\n"
    assert reference(b"a\n.\r\n.\r\n", False) is None
    assert reference(b"a\n.\r\n.\r\n", True) == b"a\r\n.\r\n"
    assert reference(b"a\r\r\n.x\r.\0y\r\n.\r\n", True) == b"a\r\nx\r\n.y\r\n"
    assert reference(b"a\n..\n...b\r\n.\r\n", True) == b"a\r\n.\r\n..b\r\n"


# ---- C: content and framing

ODD_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
            b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\n\n.\n\n", b"\r\n.\x1b\r\n\n.\r\n"]


@pytest.mark.parametrize("end", ODD_ENDS, ids=lambda e: e.hex())
def test_c1_c2_c3_false_end(both, end):
    """SMTP smuggling: only CRLF.CRLF ends content, and what follows a false end is content or nothing."""
    wire = HEAD + b"line" + end + EVIL + b"\r\n.\r\n"
    with both.user(ME) as c:
        envelope(c)
        c.send(wire)
        said = c.reply()
        if both.repairs:
            assert said.startswith("250"), said
            assert [m["from"] for m in both.up.messages] == [ME]
            assert body_of(both.up.messages[0]["content"]) == reference(wire, True)
        else:
            assert said.startswith(BARE), said
            assert both.up.dots == 0 and not both.up.messages
        assert_clean(both.up)
        still_works(c, both.up)
        assert_clean(both.up)


@pytest.mark.parametrize("chunked", [False, True], ids=["DATA", "BDAT"])
def test_c4_stray_cr(both, chunked):
    """Programs that turn LF into CRLF twice."""
    content = HEAD + b"one\r\r\ntwo\r\r\n"
    with both.user(ME) as c:
        if chunked:
            c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
            c.send(b"BDAT %d LAST\r\n" % len(content) + content)
            said = c.reply()
        else:
            envelope(c)
            c.send(content + b".\r\n")
            said = c.reply()
        if both.repairs:
            assert said.startswith("250")
            assert body_of(both.up.messages[0]["content"]) == HEAD + b"one\r\ntwo\r\n"
        else:
            assert said.startswith(BARE) and "bare cr" in said.lower()
        assert_clean(both.up)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("content", [b"", b".\r\n", b"..\r\n", b".x\r\n", b"...\r\n\r\n", HEAD, b"a" * 998 + b"\r\n"],
                         ids=["empty", "dot", "dots", "dotx", "more", "head", "998"])
def test_c5_stuffing_and_splits(refuse, content, secure):
    """Stuffing, octet for octet, with the end cut at each of its octets, over packets and over records."""
    stuffed = b"".join(b"." + line if line.startswith(b".") else line for line in content.splitlines(keepends=True))
    wire = HEAD + stuffed + b".\r\n"
    with refuse.user(ME, "tls" if secure else "legacy") as c:
        for cut in range(1, 6):
            envelope(c)
            c.send(wire[:-cut])
            time.sleep(0.002)
            c.send(wire[-cut:])
            assert c.reply().startswith("250")
            assert body_of(refuse.up.messages[-1]["content"]) == HEAD + content
    assert_clean(refuse.up)


def test_c6_c7_too_large(repair):
    """Octets are counted, not believed; a false end inside counts for nothing; one answer, at the true end."""
    with repair.user(ME) as c:
        assert c.say(f"MAIL FROM:<{ME}> SIZE=1").startswith("250")
        assert c.say(f"RCPT TO:<{TO}>").startswith("250")
        assert c.say("DATA").startswith("354")
        c.send(HEAD + b"x" * 400000 + b"\n.\nHELP\r\n.\nHELP\r\n" + EVIL + b"\r\n")
        assert c.line(0.1) is None
        c.send(b".\r\n")
        assert c.reply().startswith("552 5.2.3")
        assert repair.up.dots == 0
        assert_clean(repair.up)
        still_works(c, repair.up)
    for size, said in ((b"18446744073709551617", "552"), (b"-1", "501"), (b"1 SIZE=2", "501"), (b"307201", "552"), (b"0x10", "501")):
        with repair.user(ME) as c:
            assert c.say(b"MAIL FROM:<%s> SIZE=%s" % (ME.encode(), size)).startswith(said)


def test_c8_content_before_354(refuse):
    """The whole session in one write: the body is never run."""
    with refuse.user(ME) as c:
        c.send(b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (ME.encode(), TO.encode()) + EVIL + b"\r\n.\r\nQUIT\r\n")
        said = [c.reply() for _ in range(3)]
        assert said[2].startswith("554 5.5.0"), said
        assert c.is_over()
    assert refuse.up.dots == 0
    assert_clean(refuse.up)
    for answer in ("554 5.7.1 no", "451 4.3.0 no", "354 yes"):
        refuse.up.fresh({"data": scripted.then(scripted.pause(0.15), answer)})
        with refuse.user(ME) as c:
            c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
            c.send(b"DATA\r\n")
            time.sleep(0.05)
            c.send(EVIL + b"\r\n.\r\n")
            assert c.reply().startswith("554 5.5.0")
            assert c.is_over()
        assert refuse.up.dots == 0
        assert_clean(refuse.up)


def test_c9_next_transaction_behind_the_dot(refuse):
    """Many transactions, each pipelined behind the dot before it: all are answered, in order."""
    with refuse.user(ME) as c:
        envelope(c)
        for i in range(20):
            c.send(HEAD + b"n%d\r\n.\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (i, ME.encode(), TO.encode()))
            said = [c.reply() for _ in range(4)]
            assert [s[:3] for s in said] == ["250", "250", "250", "354"], said
        c.send(HEAD + b"n20\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n")
        assert [c.reply()[:3] for _ in range(4)] == ["250", "250", "250", "221"]
    bodies = [m["content"].split(b"\r\n")[-2] for m in refuse.up.messages]
    assert bodies == [b"n%d" % i for i in range(21)]


def test_c10_tiny_chunks(refuse):
    """A hundred thousand chunks of one octet: the message arrives, memory stays what it was."""
    body = HEAD + bytes(random.Random(10).choices(b"abc .\t", k=40000)) + b"\r\n"
    refuse.user(ME).close()
    with refuse.user(ME) as c:
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
        before = refuse.memory()
        got, stop = [], threading.Event()

        def read():
            while not stop.is_set() and len(got) < len(body):
                r = c.reply()
                if r is None:
                    return
                got.append(r)

        reader = threading.Thread(target=read)
        reader.start()
        pieces = [b"BDAT 1\r\n" + body[i:i + 1] for i in range(len(body) - 1)] + [b"BDAT 1 LAST\r\n" + body[-1:]]
        for i in range(0, len(pieces), 500):
            c.raw(b"".join(pieces[i:i + 500]))
        reader.join(60 * stage.SLOW)
        stop.set()
        assert len(got) == len(body) and got[-1].startswith("250") and "upstream" in got[-1], got[-1:]
        assert refuse.memory() - before < 8192 * stage.SLOW
    assert body_of(refuse.up.messages[0]["content"]) == body


@pytest.mark.parametrize("octets", [
    b"BDAT 18446744073709551616\r\n", b"BDAT -1\r\n", b"BDAT\r\n", b"BDAT x LAST\r\n", b"BDAT 1 LAST x\r\n", b"BDAT 0x10\r\n",
    b"BDAT 99999999999999999999999\r\n", b"BDAT 1,LAST\r\n"], ids=lambda o: o.decode().strip())
def test_c10_absurd_chunks(refuse, octets):
    """Nobody knows where such a chunk ends: answered once, closed, and nothing behind it is run."""
    with refuse.user(ME) as c:
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
        c.send(octets + b"RSET\r\n" + EVIL)
        assert c.reply().startswith("501")
        assert c.is_over()
    assert_clean(refuse.up)


def test_c10_chunk_behind_close_notify(refuse):
    """The shape of CVE-2026-45185: goodbye inside a chunk, then clear text."""
    for how in ("BDAT 400 LAST", "BDAT 40", "DATA"):
        with refuse.user(ME, "tls") as c:
            c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
            c.send(how.encode() + b"\r\n")
            if how == "DATA":
                assert c.reply().startswith("354")
            c.send(HEAD)
            c.close_notify()
            c.raw(b"x" * 400 + b"\r\n.\r\nNOOP\r\n")
            assert c.is_over()
            row = refuse.log.wait("session", id=c.id)
            assert row and row["close"] in ("client gone", "client reset"), row
    assert refuse.up.dots == 0 and not refuse.up.messages
    assert_clean(refuse.up)


def test_c11_high_octets_pass_unchanged(refuse):
    body = HEAD + bytes(range(128, 256)) + b"\r\n"
    with refuse.user(ME) as c:
        assert c.message(ME, [TO], body)[-1].startswith("250")
    assert body_of(refuse.up.messages[0]["content"]) == body
    assert b"8BITMIME" not in refuse.up.messages[0]["mail"]


def test_c12_endless_line(refuse):
    """A line of a million octets passes as it is, in bounded memory."""
    body = HEAD + b"x" * 1000000 + b"\r\n." + b"y" * 1000000 + b"\r\n"
    with refuse.user(ME) as c:
        c.say("NOOP")
        before = refuse.memory()
        assert c.message(ME, [TO], body)[-1].startswith("250")
        assert refuse.memory() - before < 4096 * stage.SLOW
    assert body_of(refuse.up.messages[0]["content"]) == HEAD + b"x" * 1000000 + b"\r\n" + b"y" * 1000000 + b"\r\n"


def test_c13_loop(refuse):
    """Our own token in a Received field is a loop at once, wherever it stands; too many fields are one later."""
    with refuse.user(ME) as c:
        assert c.message(ME, [TO], HEAD + b"x\r\n")[-1].startswith("250")
        arrived = refuse.up.messages[0]["content"]
        assert c.message(ME, [TO], b"Received: from a by b; x\r\n" + arrived)[-1].startswith("554 5.4.6")
        assert c.message(ME, [TO], b"received :\r\n (x)\r\n by q;x\r\n" * 51 + HEAD)[-1].startswith("554 5.4.6")
        assert c.message(ME, [TO], b"Received: x\r\n" * 50 + HEAD + b"Received: x\r\n" * 100)[-1].startswith("250")
    assert len(refuse.up.messages) == 2


def test_c14_ehlo_argument_in_received(repair):
    """What a client calls itself goes into Received only if it is a name."""
    for argument, shown in ((b"good.example", b"good.example"), (b"[127.0.0.1]", b"[127.0.0.1]"), (b"a(b", b"unknown"),
                            (b"x) (by evil", b"unknown"), (b"a;b", b"unknown"), ("ü.example".encode(), b"unknown"),
                            (b"a_b", b"unknown"), (b"[127.0.0.1", b"unknown"), (b"a\"b", b"unknown"), (b"-", b"unknown"),
                            (b"x" * 200 + b".example", b"unknown")):
        with repair.user(ME) as c:
            assert c.say(b"EHLO " + argument).startswith("250")
            assert c.message(ME, [TO], HEAD)[-1].startswith("250")
        first = repair.up.messages[-1]["content"].split(b"\r\n")[0]
        assert first == b"Received: from " + shown + b" ([127.0.0.1])", first


def test_c15_nothing_of_the_envelope_is_left(both):
    """After every final answer, of whatever kind: RCPT, DATA and BDAT without MAIL are 503."""
    def sent(c):
        assert c.message(ME, [TO], HEAD)[-1].startswith("250")

    def refused(c):
        both.up.fresh({"dot": "554 5.7.1 no"})
        assert c.message(ME, [TO], HEAD)[-1].startswith("554")

    def deferred(c):
        both.up.fresh({"data": "451 4.3.0 no"})
        assert c.message(ME, [TO], HEAD)[-1].startswith("451")

    def lost(c):
        both.up.fresh({"content": scripted.close})
        assert c.message(ME, [TO], HEAD)[-1].startswith("451")

    def bare(c):
        assert c.message(ME, [TO], HEAD + b"x\ny\r\n")[-1][:3] in ("554", "250")

    def loop(c):
        assert c.message(ME, [TO], b"Received: x\r\n" * 60)[-1].startswith("554")

    def no_recipient(c):
        both.up.fresh({"rcpt": "550 5.1.1 no"})
        assert c.message(ME, [TO], HEAD)[-1].startswith("55")

    def rset(c):
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
        assert c.say("RSET").startswith("250")

    def ehlo(c):
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
        assert c.say("EHLO again.example").startswith("250")

    def helo(c):
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
        assert c.say("HELO again.example").startswith("250")

    def bdat(c):
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
        assert c.say(b"BDAT 3\r\nx") .startswith("250")
        assert c.say("RSET").startswith("250")

    for how in (sent, refused, deferred, lost, bare, loop, no_recipient, rset, ehlo, helo, bdat):
        with both.user(ME) as c:
            how(c)
            said = [c.say("RCPT TO:<prey@elsewhere.example>"), c.say("DATA"), c.say(b"BDAT 4 LAST\r\nab")]
            assert all(s and s.startswith("503") for s in said), (how.__name__, said)
            both.up.fresh()
            still_works(c, both.up)
            assert_clean(both.up)


# ---- differential

def random_body(rng):
    """Octets that matter, and long runs between them."""
    out = b""
    for _ in range(rng.randrange(1, 30)):
        kind = rng.randrange(10)
        if kind < 6:
            out += bytes(rng.choices(b"\r\n.\r\n.\0ab\xff", k=rng.randrange(1, 8)))
        elif kind < 9:
            out += bytes(rng.choices(b"abc .", k=rng.randrange(0, 100))) + b"\r\n"
        else:
            out += bytes(rng.choices(b"xyz", k=rng.randrange(0, 5000)))
    if rng.randrange(2):  # one that is whole
        out = re.sub(rb"\r\n|\r|\n", b"\r\n", out.replace(b"\0", b""))
    return out


def true_end(wire):
    """The wire up to and with its first true end."""
    body, end, _ = (b"\r\n" + wire).partition(b"\r\n.\r\n")
    return (body + end)[2:]


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_differential(both, secure):
    """Random content, cut at random: what arrives is what the reference says, or nothing arrives."""
    rng = random.Random(20 + both.repairs + 2 * secure)
    c = both.user(ME, "tls" if secure else "legacy")
    arrived = 0
    for n in range(90):
        wire = true_end(HEAD + random_body(rng) + b"\r\n.\r\n")
        wish = reference(wire, both.repairs)
        envelope(c)
        at = 0
        while at < len(wire):
            cut = at + rng.choice((1, 1, 2, 3, 7, 64, 1000, 100000))
            c.send(wire[at:cut])
            at = cut
            if rng.randrange(3) == 0:
                time.sleep(0.0003)
        said = c.reply()
        if wish is None:
            assert said.startswith(BARE), (n, said, wire)
        else:
            arrived += 1
            assert said.startswith("250"), (n, said, wire)
            assert body_of(both.up.messages[-1]["content"]) == wish, (n, wire)
        assert len(both.up.messages) == both.up.dots == arrived, (n, wire)
    c.close()
    assert_clean(both.up)
    assert arrived > 30


def test_differential_chunks(both):
    """The same in chunks: there are no dots, all octets count."""
    rng = random.Random(31 + both.repairs)
    c = both.user(ME)
    arrived = 0
    for n in range(80):
        body = random_body(rng)
        if not body.endswith(b"\r\n"):
            body += b"\r\n"
        bad = odd(body)
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
        wire, at, chunks = HEAD + body, 0, 0
        while at < len(wire):
            piece = wire[at:at + rng.choice((1, 2, 3, 50, 5000))]
            at += len(piece)
            c.send(b"BDAT %d%s\r\n" % (len(piece), b" LAST" if at == len(wire) else b"") + piece)
            chunks += 1
            said = c.reply()
            if not said.startswith("250"):
                break
        if bad and not both.repairs:
            assert said.startswith(BARE), (n, said, wire)
            continue
        arrived += 1
        assert said.startswith("250") and "upstream" in said, (n, said)
        if not bad:
            assert body_of(both.up.messages[-1]["content"]) == wire, n
        assert len(both.up.messages) == both.up.dots == arrived
    c.close()
    assert_clean(both.up)
    assert arrived > 20


def test_differential_header(both):
    """Random octets in the header section: the lines there are clean whatever came."""
    rng = random.Random(47 + both.repairs)
    c = both.user(ME)
    names = [b"Bcc", b"Received", b"Subject", b"X-SMTPAPI", b"Date", b"", b" ", b".", b"Message-ID", b"x" * 600]
    for n in range(60):
        head = b""
        for _ in range(rng.randrange(0, 12)):
            head += rng.choice(names) + rng.choice((b":", b" :", b"", b": ")) + bytes(rng.choices(b"ab\r\n\t ,:<>\xff", k=rng.randrange(12)))
            head += rng.choice((b"\r\n", b"\r\n ", b"\n", b"\r\n\r\n"))
        wire = true_end(head + b"\r\n.\r\n")
        envelope(c)
        c.send(wire)
        assert c.reply()[:3] in ("250", "554"), wire
    c.close()
    assert_clean(both.up)


# ---- A: commands and addresses

INJECTED = [
    b"<b@elsewhere.example>\rRCPT TO:<evil@elsewhere.example>", b"<b@elsewhere.example>\nRCPT TO:<evil@elsewhere.example>",
    b"<b@elsewhere.example\r\n RCPT TO:<evil@elsewhere.example>>", b"<b\0@elsewhere.example>", b"<b\x1b@elsewhere.example>",
    b"<b\x7f@elsewhere.example>", b"<b\xc0\x8d\xc0\x8aevil@elsewhere.example>", b"<b\xed\xa0\x80@elsewhere.example>",
    b'<"foo@psres.net> ORCPT=evil@admin.com"@test.com>', b'<"evil@gmail.com x"@internal.domain>x',
    b'<"a\\\rb"@elsewhere.example>', b'<"a\nb"@elsewhere.example>', b"<" + b'"' + b"q" * 2000 + b'"' + b"@elsewhere.example>",
    b"<b@elsewhere.example> NOTIFY=NEVER\rRCPT TO:<evil@elsewhere.example>", b"<b@elsewhere.example> ORCPT=rfc822;evil\x0d@x",
    b"<b@elsewhere.example> ORCPT=rfc822;a+0D+0ARCPT=TO:<evil@x>", b"<b@elsewhere.example>, <evil@elsewhere.example>",
    b"<b@elsewhere.example><evil@elsewhere.example>", b"b@elsewhere.example evil@elsewhere.example",
    b"<evil@elsewhere.example@elsewhere.example>", b"<evil@elsewhere.example", b"evil@elsewhere.example>",
    b"<l" + b"o" * 64 + b"ng@elsewhere.example>", b"<b@" + b"d" * 64 + b".example>", b"<b@" + b"d." * 130 + b"example>",
    b"<b@elsewhere.example> SIZE=1", b"<b@[127.0.0.1>", b"<b@[::1]>", b"<b@ elsewhere.example>", b"< b @elsewhere.example>",
    b"<b@elsewhere..example>", b"<.@elsewhere.example>", b"b@elsewhere.example,evil@elsewhere.example",
    b"b@elsewhere.example <evil@elsewhere.example>", b'"evil@elsewhere.example" <b@elsewhere.example>', b"<<b@elsewhere.example>>",
    b"evil@elsewhere.example, B <b@elsewhere.example>", b"b@elsewhere.example\rRCPT TO:evil@elsewhere.example",
]


@pytest.mark.parametrize("argument", INJECTED, ids=lambda a: repr(a)[2:42])
def test_a1_a2_a5_a6_injection_at_rcpt(refuse, argument):
    """Refused, or written anew; either way the upstream sees one recipient a command, and never EVIL."""
    with refuse.user(ME) as c:
        assert c.say(f"MAIL FROM:<{ME}>").startswith("250")
        said = c.say(b"RCPT TO:" + argument)
        assert said[:1] == "5", said
        while (more := c.reply(0.05)) is not None:
            assert more[:1] == "5", more
        assert c.say(f"RCPT TO:<{TO}>").startswith("250")
        assert c.say("DATA").startswith("354")
        c.send(HEAD + b".\r\n")
        assert c.reply().startswith("250")
    assert refuse.up.messages[-1]["to"] == [TO]
    assert_clean(refuse.up)


def test_a3_no_narrowing(refuse):
    """U+760D U+760A and their like stay what they are."""
    name = "a\u760d\u760aRCPT TO:evil"
    with refuse.user(ME) as c:
        assert c.say(f"MAIL FROM:<{ME}> SMTPUTF8").startswith("250")
        assert c.say(f"RCPT TO:<{name}@elsewhere.example>").startswith("501")
        assert c.say("RCPT TO:<a\u760d\u760ab@elsewhere.example>").startswith("250")
        assert c.say("DATA").startswith("354")
        c.send(HEAD + b".\r\n")
        assert c.reply().startswith("250")
    assert refuse.up.messages[-1]["to"] == ["a\u760d\u760ab@elsewhere.example"]
    assert_clean(refuse.up)


@pytest.mark.parametrize("argument", [
    b"SIZE=100\rRCPT TO:<evil@x>", b"SIZE=100\nRCPT TO:<evil@x>", b"BODY=8BITMIME\x00", b"ENVID=a\rb", b"ENVID=+0D+0AEVIL x",
    b"AUTH=<evil>\r", b"RET=FULL\x0b", b"SIZE=1 evil=1", b"XEVIL"], ids=repr)
def test_a4_injection_by_parameters(refuse, argument):
    with refuse.user(ME) as c:
        assert c.say(b"MAIL FROM:<%s> %s" % (ME.encode(), argument))[:1] == "5"
        while c.reply(0.05) is not None:
            pass
        still_works(c, refuse.up)
    assert_clean(refuse.up)


def test_a4_parameters_are_written_anew(refuse):
    with refuse.user(ME) as c:
        assert c.say(f"mail from: <{ME}>   size=0012   body=7bit  ret=Full envid=a+2Bb auth=<>").startswith("250")
        assert c.say(f"rcpt to:<{TO}>  notify=Delay,failure").startswith("250")
        c.say("RSET")
        c.say("NOOP")
    lines = refuse.up.peers[-1].lines
    assert lines[1] == b"MAIL FROM:<%s> SIZE=1036 RET=FULL ENVID=a+2Bb\r\n" % ME.encode(), lines
    assert lines[2] == b"RCPT TO:<%s> NOTIFY=FAILURE,DELAY\r\n" % TO.encode(), lines


@pytest.mark.parametrize("local", [";sleep 66;", "${run{x}}", "$(id)", "`id`", "|prog", "=?utf-8?q?evil=40a=3e=00?=foo", "a%b", "a!b"])
def test_a7_a8_addresses_are_data(refuse, local):
    """Either it is a local part, and passes as it is, or it is none; nothing is expanded."""
    with refuse.user(ME) as c:
        c.say(f"MAIL FROM:<{ME}>")
        said = c.say(f"RCPT TO:<{local}@elsewhere.example>")
        if said.startswith("250"):
            assert refuse.up.peers[-1].lines[-1] == f"RCPT TO:<{local}@elsewhere.example>\r\n".encode()
        else:
            assert said.startswith("501 5.1.3")


def test_a9_endless_command(refuse):
    """A megabyte without a line end: one answer, no memory; the next line is a command again."""
    with refuse.client() as c:
        c.hello()
        before = refuse.memory()
        c.send(b"EHLO " + b"x" * 1000000)
        assert c.reply().startswith("500 5.5.2")
        c.send(b"y" * 1000000)
        assert c.line(0.2) is None
        assert refuse.memory() - before < 2048 * stage.SLOW
        c.send(b"\nstill the same\r\n")
        assert c.say("NOOP").startswith("250")


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "get"])
@pytest.mark.parametrize("listener", ["legacy", "starttls", "tls"])
def test_a10_http(refuse, verb, listener):
    """A web browser that was led here is answered once."""
    with refuse.client(listener) as c:
        if listener == "tls":
            c.secure()
        c.greet()
        c.send(f"{verb} / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<{ME}>\r\n")
        assert c.reply().startswith("554 5.5.0")
        assert c.is_over()


def test_a10_http_spoken_to_tls(refuse):
    with refuse.client("tls") as c:
        c.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while c.fill():
            pass
        assert b"HTTP" not in c.buf and b"220" not in c.buf and c.ended


def test_a10_junk_ends(refuse):
    with refuse.client() as c:
        c.greet()
        c.raw(b"Host: x\r\nCookie: y\r\n" * 30)
        said = []
        while (r := c.reply()) is not None:
            said.append(r[:3])
        assert said == ["500"] * 20 + ["421"]


@pytest.mark.parametrize("line", ["XCLIENT LOGIN=admin", "XFORWARD ADDR=192.0.2.1", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2", "ETRN x",
                                  "TURN", "EXPN list", "BURL imap://x LAST", "VRFY me", "HELP", "NOOP x", "XEXPS GSSAPI", "SAML x"])
def test_a11_a12_nothing_goes_upstream(refuse, line):
    with refuse.user(ME) as c:
        assert c.say(line)[:3] in ("500", "502", "252", "214", "250")
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
        assert c.say(line)[:3] in ("500", "502", "252", "214", "250")
        assert c.say("DATA").startswith("354")
        c.send(HEAD + b".\r\n")
        assert c.reply().startswith("250")
    assert [w.split()[0] for w in refuse.up.peers[-1].lines] == [b"EHLO", b"MAIL", b"RCPT", b"DATA"]


def test_a13_a_foreign_sender_is_known_by_its_login(refuse):
    """Who may be sender is the account's own setting; whoever it is, the log names the login. Another account's domain is nobody's to use (S6)."""
    for login, sender in ((ME, "ceo@nobodys.example"), (ME, "me@other.example"), ("me@other.example", ME)):
        with refuse.user(login) as c:
            assert c.message(sender, [TO], HEAD)[0].startswith("550 5.7.1")
    with refuse.user("me@other.example") as c:
        assert c.message("ceo@nobodys.example", [TO], HEAD)[-1].startswith("250")
    row = refuse.log.wait("message", **{"from": "ceo@nobodys.example", "outcome": "sent"})
    assert row and row["sender"] == "me@other.example"


# ---- S: TLS, STARTTLS, AUTH

@pytest.mark.parametrize("glued", [b"EHLO x\r\n", b"RSET\r\nMAIL FROM:<>\r\n", b"\x16\x03\x01", b"x", b"\r\n"], ids=repr)
def test_s1_starttls_injection(refuse, glued):
    """Octets in clear behind STARTTLS end the session; none of them is run."""
    with refuse.client("starttls") as c:
        c.hello()
        c.send(b"STARTTLS\r\n" + glued)
        assert c.reply().startswith("554 5.5.0")
        assert c.is_over()
    assert refuse.log.wait("session", id=c.id)["close"] == "STARTTLS injection"


def test_s1_clear_text_into_the_handshake(refuse):
    """The same a moment later: it is no handshake."""
    with refuse.client("starttls") as c:
        c.hello()
        assert c.say("STARTTLS").startswith("220")
        c.raw(b"EHLO x\r\nMAIL FROM:<>\r\n")
        while c.fill():
            pass
        assert b"250" not in c.buf and c.ended
    assert refuse.log.wait("session", id=c.id)["close"] == "TLS failed"


def test_s2_all_is_forgotten(refuse):
    with refuse.client("starttls") as c:
        c.hello()
        assert c.say("STARTTLS").startswith("220")
        c.secure()
        assert c.say(f"MAIL FROM:<{ME}>").startswith("503")
        assert c.login(ME).startswith("503")
        assert "STARTTLS" not in c.say("EHLO x")
        assert c.say("STARTTLS").startswith("503")
        assert c.login(ME).startswith("235")
        assert c.say("STARTTLS").startswith("503")


def test_s3_auth_needs_tls(refuse):
    with refuse.client("starttls") as c:
        assert "AUTH" not in c.hello()
        for line in ("AUTH PLAIN AGEAYg==", "AUTH LOGIN", "AUTH NTLM", "AUTH"):
            assert c.say(line).startswith("538 5.7.11")
    assert not refuse.log.find("auth", id=c.id)


@pytest.mark.parametrize("how", ["FIN", "half", "RST", "close_notify", "close_notify, dot"])
@pytest.mark.parametrize("listener", ["legacy", "tls"])
def test_s4_s5_client_leaves_in_the_middle(refuse, listener, how):
    """Whatever the goodbye: the upstream never sees a dot, and its connection is cut."""
    if "notify" in how and listener == "legacy":
        pytest.skip("no TLS there")
    c = refuse.user(ME, listener)
    envelope(c)
    c.send(HEAD + b"some words\r\n" * 5000)
    stage.wait_until(lambda: b"some words" in refuse.up.octets(), 3)
    if "notify" in how:
        c.close_notify()
        if "dot" in how:
            c.raw(b"\r\n.\r\n")
    if how == "half":
        c.half()
    elif how == "RST":
        c.reset()
    else:
        c.close()
    row = refuse.log.wait("session", id=c.id)
    assert row and row["close"] in ("client gone", "client reset"), row
    assert refuse.log.wait("message", session=c.id)["outcome"] == "dropped"
    peer = refuse.up.peers[-1]
    assert stage.wait_until(lambda: peer.end, 5), "the upstream connection was left open"
    assert refuse.up.dots == 0 and not peer.octets.endswith(b".\r\n")
    c.close()


def test_client_leaves_before_content(refuse):
    """Then the upstream's connection is worth keeping: RSET."""
    with refuse.user(ME) as c:
        c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
    assert stage.wait_until(lambda: refuse.up.peers[-1].lines[-1] == b"RSET\r\n", 3)
    with refuse.user(ME) as c:
        still_works(c, refuse.up)
    assert len(refuse.up.peers) == 1


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_s6_versions(refuse):
    """TLS 1.2 and 1.3, nothing older."""
    for version, shown in ((ssl.TLSVersion.TLSv1_2, "1.2"), (ssl.TLSVersion.TLSv1_3, "1.3")):
        with refuse.client("tls") as c:
            c.secure(context=dialog.trusting(minimum_version=version, maximum_version=version))
            c.hello()
            assert c.tls.version().endswith(shown)
            c.say("QUIT")
        assert refuse.log.wait("session", id=c.id)["tls"].endswith(shown)
    old = dialog.trusting()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with refuse.client("tls") as c:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            c.secure(context=old)


def test_s6_no_renegotiation(refuse):
    """A client that asks for a second handshake inside the first gets none."""
    done = subprocess.Popen(["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{refuse.ports['tls']}"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in (b"EHLO x\r\n", b"R\n", b"NOOP\r\n", b"QUIT\r\n"):
            time.sleep(0.3)
            done.stdin.write(line)
            done.stdin.flush()
    except BrokenPipeError:
        pass
    said, _ = done.communicate(timeout=20)
    assert b"220 relay.test" in said and b"RENEGOTIATING" in said
    assert b"renegotiation" in said.lower().replace(b"secure renegotiation", b"").replace(b"renegotiating", b""), said[-500:]
    with refuse.client("tls") as c:
        c.secure()
        assert c.greet().startswith("220")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_s6_tickets_stay_with_their_listener(refuse, version):
    """A ticket saves a handshake where it was given, and is worth nothing elsewhere."""
    context = dialog.trusting(minimum_version=getattr(ssl.TLSVersion, version), maximum_version=getattr(ssl.TLSVersion, version))

    def visit(listener, session=None):
        with refuse.client(listener) as c:
            if listener == "starttls":
                c.hello()
                c.say("STARTTLS")
            c.secure(context=context, session=session)
            if listener != "starttls":
                c.greet()
            assert c.say("EHLO x").startswith("250")
            assert c.say("NOOP").startswith("250")
            return c.tls.session_reused, c.tls.session

    for first, others in (("tls", ("tls2", "starttls")), ("starttls", ("tls", "tls2"))):
        reused, session = visit(first)
        assert not reused and session.has_ticket
        assert visit(first, session)[0], "the ticket is worth nothing at home"
        for other in others:
            assert not visit(other, session)[0], f"a ticket of {first} is good at {other}"
        assert visit(first, session)[0]


def test_sni_chooses(refuse, theatre):
    """Names choose among certificates; who names none, or another, gets the first."""
    def shown(name):
        with refuse.client("names") as c:
            c.secure(host=name)
            return ssl.DER_cert_to_PEM_cert(c.tls.getpeercert(True)).strip()

    one, two = (theatre.pairs[n][0].read_text().strip() for n in ("one", "two"))
    assert shown("one.test") == one
    assert shown("two.test") == two
    assert shown("TWO.test") == two
    assert shown(None) == one
    assert shown("three.test") == one


def test_s7_tls_on_plain_and_half_a_hello(refuse):
    with refuse.client("starttls") as c:
        c.greet()
        c.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100))
        assert c.reply().startswith("554 5.5.0")
        assert c.is_over()


@pytest.mark.parametrize("response", [
    "=", "AA==", "AAA=", "!!!", "AG1l", "A", "AG1lAHB3AA==", "====", "AG1lAHB3\x00", "AG1l AHB3", "\u00e9"], ids=repr)
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
def test_s11_responses(refuse, response, later):
    """What cannot be decoded or means nothing is refused, and the session goes on."""
    with refuse.user(ME) as c:
        pass
    with refuse.client() as c:
        c.hello()
        if later:
            assert c.say("AUTH PLAIN").startswith("334")
            said = c.say(response)
        else:
            said = c.say(f"AUTH PLAIN {response}")
        assert said[:3] in ("501", "535"), said
        assert c.say("NOOP").startswith("250")
        assert c.login(ME).startswith("235")


@pytest.mark.parametrize("name", ["me\n@victim.example", "me\r\nRSET", "\x1b[2J", "a" * 5000, "me@victim.example\x7f", "a:b", "' or 1=1 --", "%s%n", "\xff"])
def test_s11_names(refuse, name):
    import base64
    with refuse.client() as c:
        c.hello()
        word = base64.b64encode(b"\0" + name.encode("latin-1") + b"\0" + dialog.PASSWORD.encode()).decode()
        assert c.say(f"AUTH PLAIN {word}").startswith("535")
        assert c.login(ME).startswith("235")
    raw = refuse.byway.log.read_bytes()
    assert b"\x1b[2J" not in raw and dialog.PASSWORD.encode() not in raw


def test_s12_auth_twice_or_inside_a_transaction(refuse):
    with refuse.user(ME) as c:
        assert c.login("me@other.example").startswith("503")
        assert c.say(f"MAIL FROM:<{ME}>").startswith("250")
        assert c.login("me@other.example").startswith("503")
        assert c.say(f"RCPT TO:<{TO}>").startswith("250")
        assert c.login("me@other.example").startswith("503")


# ---- limits

def clock(fn):
    start = time.monotonic()
    got = fn()
    return got, time.monotonic() - start


def slack(seconds):
    return seconds + 1.5 * stage.SLOW


def test_command_deadline_is_the_commands(short):
    """Who sends an octet now and then is cut like who sends none."""
    with short.user(ME) as c:
        for drip in (False, True):
            c2 = short.user(ME) if drip else c
            start = time.monotonic()
            said = None
            while said is None and time.monotonic() - start < slack(4):
                if drip:
                    c2.send(b"N")
                said = c2.reply(0.2)
            took = time.monotonic() - start
            assert said and said.startswith("421 4.4.2"), said
            assert 1.5 < took < slack(2), took
            assert c2.is_over()
            c2.close()


def test_commands_start_the_deadline_anew(short):
    with short.user(ME) as c:
        for _ in range(4):
            time.sleep(1)
            assert c.say("NOOP").startswith("250")


def test_login_deadline_is_for_all_before_it(short):
    """However busy: who has not logged in after `login` goes."""
    with short.client() as c:
        c.hello()
        start = time.monotonic()
        said = ""
        while said is not None and not said.startswith("421") and time.monotonic() - start < 8:
            said = c.say("NOOP", 1)
            time.sleep(0.2)
        assert said and said.startswith("421 4.4.2"), said
        assert 2 < time.monotonic() - start < slack(3)
        assert c.is_over()


@pytest.mark.parametrize("octets", [b"", b"\x16\x03\x01\x01\x00\x01"], ids=["silent", "fragment"])
def test_s7_handshake_deadline(short, octets):
    with short.client("tls") as c:
        c.raw(octets)
        over, took = clock(lambda: c.is_over(8))
        assert over and 0.5 < took < slack(1)


def test_s7_handshake_dripped(short):
    """One octet at a time does not lengthen it."""
    with short.client("tls") as c:
        c.raw(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03")
        start = time.monotonic()
        while not c.ended and time.monotonic() - start < 8:
            c.raw(b"x")
            c.fill(0.1)
        assert c.ended and time.monotonic() - start < slack(1)


def test_starttls_handshake_deadline(short):
    with short.client("starttls") as c:
        c.hello()
        assert c.say("STARTTLS").startswith("220")
        over, took = clock(lambda: c.is_over(8))
        assert over and took < slack(1)


def test_content_that_stands_still(short):
    c = short.user(ME)
    envelope(c)
    c.send(HEAD)
    said, took = clock(c.reply)
    assert said.startswith("421 4.4.2") and 1 < took < slack(2)
    assert c.is_over()
    assert short.up.dots == 0
    c.close()


class Slow(threading.Thread):
    """A client whose content comes too slowly, in the background: the first half minute is forgiven."""

    def __init__(self, rig):
        super().__init__(daemon=True)
        self.c = rig.user(ME)
        envelope(self.c)
        self.said, self.began = None, time.monotonic()
        self.start()

    def run(self):
        while time.monotonic() - self.began < 45:
            self.c.send(b"slowly\r\n")
            self.said = self.c.reply(0.5)
            if self.said or self.c.ended:
                break
        self.took = time.monotonic() - self.began


@pytest.fixture(scope="module", autouse=True)
def slow(theatre):
    yield Slow(theatre.rig("short"))


def never_reads(rig, c, octets, seconds):
    """Sends and never reads. The worker's growth in KiB."""
    before, most = rig.memory(), 0
    c.sock.setblocking(False)
    end = time.monotonic() + seconds * stage.SLOW
    sent = 0
    while time.monotonic() < end and not rig.log.find("session", id=c.id):
        try:
            sent += c.sock.send(octets)
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            break
        most = max(most, rig.memory() - before)
    return most, sent


def test_r4_replies_are_never_read(short):
    """Empty chunks without end, no answer ever read: reading stops, memory is bounded, the deadline ends it."""
    c = short.user(ME, rcvbuf=2048)
    c.say(f"MAIL FROM:<{ME}>"), c.say(f"RCPT TO:<{TO}>")
    grown, sent = never_reads(short, c, b"BDAT 0\r\n" * 2000, 10)
    row = short.log.wait("session", 10, id=c.id)
    assert row and row["close"] in ("timeout", "client reset"), row
    assert grown < 2048 * stage.SLOW, f"{grown} KiB for {sent} octets"
    c.close()


def test_r4_many_never_read(short):
    """Twenty of them at once."""
    all_of = [short.user(ME, rcvbuf=2048) for _ in range(20)]
    before = short.memory()
    for c in all_of:
        c.sock.setblocking(False)
        try:
            while c.sock.send(b"HELP\r\n" * 2000):
                pass
        except OSError:
            pass
    time.sleep(0.2)
    grown = short.memory() - before
    with short.user("me@other.example") as c:
        assert c.say("NOOP").startswith("250")
    for c in all_of:
        assert short.log.wait("session", 10, id=c.id), "still there"
        c.close()
    assert grown < 20 * 100 * stage.SLOW, f"{grown} KiB"


def test_r4_many_recipients_never_read(refuse):
    """A hundred recipients, long answers, all in one write, and nothing read until all is said: in order, nothing lost."""
    refuse.up.fresh({"rcpt": "550 5.1.1 " + "long words " * 30})
    with refuse.user(ME, rcvbuf=2048) as c:
        c.send(f"MAIL FROM:<{ME}>\r\n" + "".join(f"RCPT TO:<r{i}@elsewhere.example>\r\n" for i in range(100)) * 3 + "DATA\r\n")
        time.sleep(0.5)
        said = [c.reply() for _ in range(302)]
        assert said[0].startswith("250") and said[-1].startswith("554")
        assert all(s.startswith("550 5.1.1 long words") for s in said[1:-1]), {s[:40] for s in said[1:-1]}
        assert c.say("NOOP").startswith("250")


def test_r3_header_without_end(refuse):
    """A header section of megabytes, in one field and in many: refused at its end (L9), in bounded memory."""
    with refuse.user(ME) as c:
        c.say("NOOP")
        before = refuse.memory()
        for head in (b"Subject: x\r\n" + b" folded and folded and folded\r\n" * 150000, b"X-Field: value of it\r\n" * 200000,
                     b"x" * 3000000 + b":\r\n", b"Bcc: a@b,\r\n" + b" c@d,\r\n" * 200000):
            envelope(c)
            c.send(head + HEAD + b"end\r\n.\r\n")
            assert c.reply().startswith("554 5.6.0 The header section is too large")
            assert refuse.up.dots == 0 and not refuse.up.messages
        still_works(c, refuse.up)
        assert refuse.memory() - before < 4096 * stage.SLOW


def test_a_client_that_half_closes_is_still_answered(refuse):
    """All in one write, then FIN, as a script with nc does: what needs no upstream is answered."""
    with refuse.client() as c:
        c.send(b"EHLO x\r\nNOOP\r\nRSET\r\nVRFY x\r\nQUIT\r\n")
        c.half()
        said = [c.reply()[:3] for _ in range(6)]
        assert said == ["220", "250", "250", "250", "252", "221"]
        assert c.is_over()


def test_p6_cap_of_an_address(caps):
    """421 4.7.0, before TLS; other addresses are served."""
    held = [caps.client(source="127.0.0.9") for _ in range(4)]
    assert all(c.greet().startswith("220") for c in held)
    for listener in ("legacy", "starttls", "tls"):
        with caps.client(listener, source="127.0.0.9") as c:
            assert c.reply().startswith("421 4.7.0"), listener
            assert c.is_over()
    with caps.client(source="127.0.0.10") as c:
        assert c.greet().startswith("220")
    held.pop().leave()
    assert stage.wait_until(lambda: greeted(caps, source="127.0.0.9"), 3)
    for c in held:
        c.close()


def greeted(rig, listener="legacy", **how):
    with rig.client(listener, **how) as c:
        return (c.greet() or "").startswith("220")


def test_p6_cap_of_an_account(caps):
    """The third session of an account hears 421 at its login; another account does not."""
    held = [caps.user(ME, source=f"127.0.1.{i}") for i in (1, 2)]
    with caps.client(source="127.0.1.3") as c:
        c.hello()
        assert c.login(ME).startswith("421 4.7.0")
        assert c.is_over()
    with caps.user("me@other.example", source="127.0.1.4") as c:
        assert c.say("NOOP").startswith("250")
    assert held[0].say("NOOP").startswith("250")
    held.pop().leave()
    assert stage.wait_until(lambda: logs_in(caps), 3)
    for c in held:
        c.close()


def logs_in(rig):
    with rig.client(source="127.0.1.5") as c:
        c.hello()
        return c.login(ME).startswith("235")


def test_p6_proxied_addresses_are_capped(caps):
    """Behind a balancer the cap is the client's, not the balancer's."""
    def visit(address):
        c = caps.client("proxied")
        c.raw(f"PROXY TCP4 {address} 192.0.2.1 1000 25\r\n".encode())
        return c, c.reply()

    held = [visit("198.51.100.7") for _ in range(4)]
    assert all(said.startswith("220") for _, said in held)
    c, said = visit("198.51.100.7")
    assert said.startswith("421 4.7.0")
    c2, said = visit("198.51.100.8")
    assert said.startswith("220")
    for c in [h for h, _ in held] + [c, c2]:
        c.leave()


def test_p6_the_oldest_without_login_is_shed(total):
    """Full: the oldest that has not logged in makes way; those that have stay."""
    assert stage.wait_until(lambda: not sessions(total), 5)
    users = [total.user(ME), total.user(ME)]
    guests = []
    for _ in range(4):
        guests.append(total.client())
        guests[-1].hello()
    newcomer = total.client()
    assert newcomer.greet().startswith("220")
    assert guests[0].reply().startswith("421 4.7.0") and guests[0].is_over()
    assert guests[1].say("NOOP").startswith("250")
    assert all(u.say("NOOP").startswith("250") for u in users)
    for g in guests[1:] + [newcomer]:
        assert g.say("EHLO x").startswith("250")
        assert g.login(ME).startswith("235")
    with total.client() as c:
        assert c.reply().startswith("421 4.7.0"), "all are logged in: the newcomer goes"
        assert c.is_over()
    for c in users + guests + [newcomer]:
        c.close()


def sessions(rig):
    status = rig.byway.cli("status", json_out=True)
    return status.get("sessions", sum(w.get("sessions", 0) for w in status.get("workers", [])))


# ---- the PROXY protocol

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command=1, family=0x11, source="198.51.100.9", dest="192.0.2.1", ports=(4321, 25), extra=b"", version=2):
    kind = {0x11: socket.AF_INET, 0x21: socket.AF_INET6}.get(family)
    body = (socket.inet_pton(kind, source) + socket.inet_pton(kind, dest) + struct.pack(">HH", *ports)) if kind else b""
    body += extra
    return SIGNATURE + bytes([version << 4 | command, family]) + struct.pack(">H", len(body)) + body


GOOD_HEADERS = [
    (b"PROXY TCP4 198.51.100.9 192.0.2.1 4321 25\r\n", "198.51.100.9"), (b"PROXY TCP6 2001:db8::9 2001:db8::1 1 2\r\n", "2001:db8::9"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"), (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"), (v2(), "198.51.100.9"),
    (v2(family=0x21, source="2001:db8::9", dest="2001:db8::1"), "2001:db8::9"), (v2(command=0), "127.0.0.1"),
    (v2(command=0, family=0), "127.0.0.1"), (v2(family=0), "127.0.0.1"), (v2(extra=b"\x04\x00\x03abc"), "198.51.100.9"),
]


@pytest.mark.parametrize("header,address", GOOD_HEADERS, ids=lambda h: repr(h)[:40])
@pytest.mark.parametrize("how", ["whole", "glued", "bytes", "tls"])
def test_proxy_header(short, header, address, how):
    with short.client("proxied-tls" if how == "tls" else "proxied") as c:
        if how == "bytes":
            c.drip(header, 0.001)
        elif how == "glued":
            c.raw(header + b"EHLO early.example\r\n")
        else:
            c.raw(header)
        if how == "tls":
            time.sleep(0.02)
            c.secure()
        assert c.greet().startswith("220")
        if how == "glued":
            assert c.reply().startswith("250")
        assert c.say("QUIT").startswith("221")
    assert short.log.wait("session", id=c.id)["client"] == address


@pytest.mark.parametrize("header", [GOOD_HEADERS[0][0], v2()], ids=["1", "2"])
def test_proxy_header_and_client_hello_in_one_segment(short, header):
    """A balancer that has the client's first octets already sends them with its header."""
    with short.client("proxied-tls") as c:
        whole = c.raw
        c.raw = lambda data: (whole(header + data), setattr(c, "raw", whole))
        c.secure()
        assert c.greet().startswith("220")
        assert c.say("QUIT").startswith("221")
    assert short.log.wait("session", id=c.id)["client"] == "198.51.100.9"


BAD_HEADERS = [
    b"EHLO x\r\n", b"PROXY\r\n", b"PROXY TCP4 198.51.100.9 192.0.2.1 4321\r\n", b"PROXY TCP4 2001:db8::9 192.0.2.1 4321 25\r\n",
    b"PROXY TCP4 198.51.100.9 192.0.2.1 4321 65536\r\n", b"PROXY TCP4 198.51.100.999 192.0.2.1 1 2\r\n",
    b"PROXY TCP4  198.51.100.9 192.0.2.1 1 2\r\n", b"PROXY TCP4 198.51.100.9 192.0.2.1 1 2 \r\n", b"PROXY TCP4 198.51.100.9 192.0.2.1 1 2\n",
    b"PROXY TCP4 198.51.100.9 192.0.2.1 1 2\rX", b"proxy TCP4 198.51.100.9 192.0.2.1 1 2\r\n", b"PROXY TCP5 198.51.100.9 192.0.2.1 1 2\r\n",
    b"PROXY TCP4 198.51.100.9 192.0.2.1 -1 2\r\n", b"PROXY " + b"x" * 200, b"\r\n\r\n\0\r\nQUIX\n", v2(version=1), v2(command=2),
    v2(family=0x12), SIGNATURE + b"\x21\x11\x00\x04abcd", SIGNATURE + b"\x21\x21\x00\x0c" + bytes(12), SIGNATURE + b"\x21\x11\xff\xff",
    b"\x16\x03\x01\x00\xf4\x01", b"GET / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("header", BAD_HEADERS, ids=lambda h: repr(h)[:40])
def test_proxy_header_broken(short, header):
    """Closed without a word."""
    with short.client("proxied") as c:
        c.raw(header)
        over, took = clock(lambda: c.is_over(4))
        assert over and not c.buf


def test_proxy_header_slow(short):
    with short.client("proxied") as c:
        c.raw(b"PROXY TCP4 ")
        over, took = clock(lambda: c.is_over(8))
        assert over and 0.5 < took < slack(1)
    with short.client("proxied") as c:
        start = time.monotonic()
        while not c.ended and time.monotonic() - start < 8:
            c.raw(b"PROXY TCP4 198.51.100.9 192.0.2.1 4321 25"[:1])
            c.fill(0.1)
        assert c.ended


def test_proxy_header_from_anybody(short):
    """Only balancers that are listed are believed."""
    with short.client("untrusted") as c:
        c.raw(b"PROXY TCP4 198.51.100.9 192.0.2.1 4321 25\r\n")
        assert c.is_over() and not c.buf
    with short.client("legacy") as c:
        c.raw(b"PROXY TCP4 198.51.100.9 192.0.2.1 4321 25\r\n")
        assert c.greet().startswith("220")
        assert c.reply().startswith("500")
        c.say("QUIT")
    assert short.log.wait("session", id=c.id)["client"] == "127.0.0.1"


# ---- at last

def test_content_too_slow(slow, short):
    """P6: after half a minute content must have come at data_rate on the average."""
    slow.join(60)
    assert slow.said and slow.said.startswith("421 4.4.2"), slow.said
    assert 29 < slow.took < 42
    assert short.log.wait("session", id=slow.c.id)["close"] == "too slow"
    assert short.up.dots == 0


def test_the_log_is_one_line_an_event(theatre):
    """S14: whatever was thrown at it, each line of the log is one JSON object without control characters."""
    for rig in theatre.rigs.values():
        raw = rig.byway.log.read_bytes()
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw)
        rig.log.read()
