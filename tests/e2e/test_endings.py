# SPDX-License-Identifier: Apache-2.0
"""However a transaction ends, in whatever phase (L10): one line `message` in the log, the quota settled (kept where the outcome is unknown or good), and a
session, or a daemon, that goes on.
"""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402
import scripted  # noqa: E402
import stage  # noqa: E402

ME, TO = "me@ends.example", "a@elsewhere.example"
HEAD = b"Date: x\r\nMessage-ID: <1@x>\r\n\r\n"
PLAN = "[plan counted]\ncan_send = yes\nrecipients = 3\naccount_hour = 100000\n"


def silent_once(peer):
    """Never answers this; the next connection is served."""
    peer.hang()


class Place:
    """A daemon whose account's upstream does as it is told, and whose counters are asked."""

    def __init__(self, folder, **settings):
        self.up = scripted.Scripted().start()
        hashed = dialog.fast_hash(dialog.PASSWORD)
        self.rig = dialog.Rig(folder, upstream_ports=[self.up.port], settings=settings, directory=PLAN + (
            f"[account ends]\nplan = counted\nroute = up\n[profile ends/up]\nhost = 127.0.0.1\nport = {self.up.port}\ntls = none\n"
            f"[domain ends.example]\naccount = ends\n[mailbox {ME}]\npassword_hash = {hashed}\n")).start()

    def used(self):
        assert stage.wait_until(lambda: self.rig.byway.cli("usage", "ends", check=False).returncode == 0, 10), "no worker comes up"
        rows = {r["limit"]: r for r in self.rig.byway.cli("usage", "ends", json_out=True)["limits"]}
        return rows["account_hour"]["used"]

    def message(self, c):
        """A whole message on C: it must be taken."""
        assert c.say(f"MAIL FROM:<{ME}>").startswith("250"), "MAIL"
        assert c.say(f"RCPT TO:<{TO}>").startswith("250"), "RCPT"
        assert c.say("DATA").startswith("354")
        c.send(HEAD + b"usable\r\n.\r\n")
        assert c.reply().startswith("250 2.0.0"), "the dot"

    def lines(self, c, n=1):
        """The session's messages in the log, as soon as there are N."""
        stage.wait_until(lambda: len(self.rig.log.find("message", session=c.id)) >= n, 3)
        return self.rig.log.find("message", session=c.id)

    def stop(self):
        self.up.stop()
        self.rig.stop()


@pytest.fixture(scope="module")
def place(folder):
    p = Place(folder / "place")
    yield p
    p.stop()


# Phases: each leaves a client in it. on: what the upstream does out of the ordinary to keep it there.

def in_mail(c):
    assert c.say(f"MAIL FROM:<{ME}>").startswith("250")


def in_rcpt(c):
    in_mail(c)
    assert c.say(f"RCPT TO:<{TO}>").startswith("250")


def asked(c):
    in_rcpt(c)
    c.send("DATA\r\n")


def asked_by_bdat(c):
    in_rcpt(c)
    c.send(b"BDAT 60\r\n" + HEAD)


def in_content(c):
    in_rcpt(c)
    assert c.say("DATA").startswith("354")
    c.send(HEAD + b"half a\r\n")


def between_chunks(c):
    in_rcpt(c)
    c.send(b"BDAT %d\r\n" % len(HEAD) + HEAD)
    assert c.reply().startswith("250")


def in_chunk(c):
    between_chunks(c)
    c.send(b"BDAT 100\r\nhalf a")


def after_dot(c):
    in_rcpt(c)
    assert c.say("DATA").startswith("354")
    c.send(HEAD + b"whole\r\n.\r\n")


def after_last(c):
    in_rcpt(c)
    c.send(b"BDAT %d LAST\r\n" % len(HEAD) + HEAD)


PHASES = {"mail": (in_mail, {}), "rcpt": (in_rcpt, {}), "asked": (asked, {"data": silent_once}), "asked by BDAT": (asked_by_bdat, {"data": silent_once}),
          "content": (in_content, {}), "between chunks": (between_chunks, {}), "in a chunk": (in_chunk, {}), "dot": (after_dot, {"dot": silent_once}),
          "last chunk": (after_last, {"dot": silent_once})}
OPEN = ("mail", "rcpt", "between chunks")      # a command is read
OUT = ("dot", "last chunk")                    # the upstream may have it


def reached(place, phase):
    """The upstream is where the phase wants it."""
    word = {"asked": b"DATA\r\n", "asked by BDAT": b"DATA\r\n"}.get(phase)
    if word:
        assert stage.wait_until(lambda: word in place.up.octets(), 5)
    if phase in OUT:
        assert stage.wait_until(lambda: place.up.dots, 5)


# Ways. Each gives (outcome, why, code) of the log, what stays charged, and whether the session lives.

def by_verb(line, why):
    def act(place, c, phase):
        assert c.say(line).startswith("250")
        return ("given-up", why, 0), 0, True
    return act


def by_quit(place, c, phase):
    assert c.say("QUIT").startswith("221")
    return ("dropped", "quit", 0), 0, False


def by_leaving(how, why):
    def act(place, c, phase):
        getattr(c, how)()
        if phase in OUT:  # the upstream's word is awaited; here it never comes, and the connection is lost
            assert stage.wait_until(lambda: place.rig.log.find("session", id=c.id), 5)
            place.up.fresh()
            return ("unknown", "the client had left", 451), 1, False
        return ("dropped", why, 0), 0, False
    return act


def by_upstream(place, c, phase):
    """It hangs up: the client hears of it at the next step that has an answer."""
    place.up.fresh()
    if phase == "rcpt":
        return None  # a reused connection may die between: nothing is lost
    if phase == "content":
        c.send(b".\r\n")
    elif phase == "between chunks":
        # Seen before the last chunk goes: else nobody knows what became of it.
        assert stage.wait_until(lambda: not stage.connected_to(place.up.port), 5)
        c.send(b"BDAT 1 LAST\r\nx")
    elif phase == "in a chunk":
        c.send(b"x" * 94)
    elif phase == "asked by BDAT":
        c.send(b"x" * (60 - len(HEAD)))
    said = c.reply()
    assert said and said.startswith("451 4.4.2"), said
    return ("unknown", None, 451) if phase in OUT else ("deferred", None, 451), phase in OUT, True


def by_glued_content(place, c, phase):
    c.send(b"content\r\n")
    place.up.on = {}
    place.up.fresh()
    assert c.reply().startswith("554 5.5.0")
    return ("dropped", "improper pipelining", 0), 0, False


def by_bare_line_end(place, c, phase):
    c.send(b"bare\nlf\r\n.\r\n")
    assert c.reply().startswith("554 5.6.0")
    return ("refused", "bare_line_end", 554), 0, True


def by_loop(place, c, phase):
    many = b"Received: x\r\n" * 60 + b"\r\n"
    c.send(b"BDAT %d LAST\r\n" % len(many) + many)
    assert c.reply().startswith("554 5.4.6")
    return ("refused", "loop", 554), 0, True


def by_refused_data(place, c, phase):
    place.up.on = {"data": "452 4.3.1 full"}
    assert c.say("DATA").startswith("452 4.3.1")
    return ("deferred", None, 452), 0, True


def by_refused_bdat(place, c, phase):
    place.up.on = {"data": "452 4.3.1 full"}
    c.send(b"BDAT 3\r\nx\r\n")
    assert c.reply().startswith("452 4.3.1")
    return ("deferred", None, 452), 0, True


def by_too_many(word, more):
    def act(place, c, phase):
        for n in range(4):
            said = c.say(f"RCPT TO:<r{n}@elsewhere.example>")
        assert said.startswith("550 5.5.3")
        c.send(word + b"\r\n" + more)
        assert c.reply().startswith("554 5.5.3")
        return ("refused", "too_many_rcpt_message", 554), 0, True
    return act


def by_bdat_without_rcpt(place, c, phase):
    c.send(b"BDAT 3\r\nx\r\n")
    assert c.reply().startswith("503 5.5.1")
    return ("refused", "need_rcpt", 503), 0, True


def by_malformed_bdat(place, c, phase):
    assert c.say("BDAT many").startswith("501")
    return ("dropped", "improper pipelining", 0), 0, False


WAYS = {
    "RSET": (by_verb("RSET", "RSET"), OPEN), "EHLO": (by_verb("EHLO again", "EHLO"), OPEN), "HELO": (by_verb("HELO again", "HELO"), OPEN),
    "QUIT": (by_quit, OPEN), "client closes": (by_leaving("close", "client gone"), tuple(PHASES)),
    "client resets": (by_leaving("reset", "client reset"), tuple(PHASES)), "client half closes": (by_leaving("half", "client gone"), tuple(PHASES)),
    "upstream closes": (by_upstream, tuple(p for p in PHASES if p not in ("mail", "rcpt"))),
    "content before the answer": (by_glued_content, ("asked",)),
    "upstream refuses DATA": (by_refused_data, ("rcpt",)), "upstream refuses BDAT": (by_refused_bdat, ("rcpt",)),
    "too many, DATA": (by_too_many(b"DATA", b""), ("mail", "rcpt")), "too many, BDAT": (by_too_many(b"BDAT 3", b"x\r\n"), ("mail", "rcpt")),
    "BDAT without RCPT": (by_bdat_without_rcpt, ("mail",)), "malformed BDAT": (by_malformed_bdat, OPEN),
}
CELLS = [(way, phase) for way, (_, phases) in WAYS.items() for phase in phases]


@pytest.mark.parametrize("way, phase", CELLS, ids=[f"{w}-{p}" for w, p in CELLS])
def test_one_end(place, way, phase):
    reach, on = PHASES[phase]
    place.up.fresh(on)
    before = place.used()
    c = place.rig.user(ME)
    reach(c)
    reached(place, phase)
    (outcome, why, code), kept, lives = WAYS[way][0](place, c, phase)
    row = place.rig.log.wait("message", session=c.id)
    assert row, place.rig.log.of_session(c.id)
    assert (row["outcome"], row["code"]) == (outcome, code) and (why is None or row["why"] == why), row
    assert stage.wait_until(lambda: place.used() == before + kept, 3), (place.used() - before, kept)
    place.up.fresh()
    if lives:
        assert c.say("RCPT TO:<x@elsewhere.example>").startswith("503"), "nothing is left of it"
        place.message(c)
        assert len(place.lines(c, 2)) == 2
    else:
        assert len(place.lines(c)) == 1
        with place.rig.user(ME) as again:
            place.message(again)
    assert place.used() == before + kept + 1
    c.leave()


def test_line_ends_refused(folder):
    """Where they are not repaired: told after the true end, and over."""
    p = Place(folder / "refuse", content={"line_ends": "refuse"})
    try:
        c = p.rig.user(ME)
        in_content(c)
        want, kept, _ = by_bare_line_end(p, c, "content")
        row = p.rig.log.wait("message", session=c.id)
        assert (row["outcome"], row["why"], row["code"]) == want and p.used() == kept
        p.message(c)
        assert len(p.lines(c, 2)) == 2 and p.used() == 1
        c.leave()
    finally:
        p.stop()


@pytest.mark.parametrize("phase", list(PHASES))
def test_stop(folder, phase):
    """The daemon is stopped: what an upstream may have taken stays charged (BEHAVIOUR 7), all else is given back."""
    p = Place(folder / f"stop-{phase.replace(' ', '-')}", server={"drain_timeout": "1s"}, counters={"checkpoint": "1s"})
    try:
        reach, on = PHASES[phase]
        p.up.fresh(on)
        c = p.rig.user(ME)
        reach(c)
        reached(p, phase)
        b = p.rig.byway
        assert b.stop() == 0
        rows = p.lines(c)
        assert len(rows) == 1, rows
        assert (rows[0]["outcome"], rows[0]["code"]) == (("unknown", 451) if phase in OUT else ("dropped", 0)), rows
        b.start()
        p.rig.await_ports()
        assert p.used() == (phase in OUT)
        p.up.fresh()
        with p.rig.user(ME) as again:
            p.message(again)
    finally:
        p.stop()


@pytest.fixture(scope="module")
def short(folder):
    p = Place(folder / "short", timeouts={"command": "1s", "data": "1s"})
    yield p
    p.stop()


@pytest.mark.parametrize("phase", [p for p in PHASES if p not in OUT and not p.startswith("asked")])
def test_timeout(short, phase):
    short.up.fresh(PHASES[phase][1])
    before = short.used()
    with short.rig.user(ME) as c:
        PHASES[phase][0](c)
        assert c.reply(5).startswith("421 4.4.2") and c.is_over()
        rows = [short.rig.log.wait("message", session=c.id)]
        assert rows[0]["outcome"] == "dropped" and rows[0]["why"] == "timeout"
        assert len(short.lines(c)) == 1 and short.used() == before


# ---- a refused chunk (RFC 3030, 2)

def test_half_a_message_is_never_delivered(place):
    """What follows a refused chunk cannot complete it: before, the second chunk went out as the whole message."""
    place.up.fresh()
    before = place.used()
    with place.rig.user(ME) as c:
        in_mail(c)
        c.send(b"BDAT %d\r\n" % len(HEAD) + HEAD + f"RCPT TO:<{TO}>\r\n".encode() + b"BDAT 6 LAST\r\nhalf\r\n" + b"DATA\r\n")
        assert [c.reply()[:3] for _ in range(4)] == ["503", "503", "503", "503"]
        place.message(c)
    assert [m["content"].endswith(b"usable\r\n") for m in place.up.messages] == [True]
    assert place.used() == before + 1
