# SPDX-License-Identifier: Apache-2.0
"""Does the envelope sender exist, by its own server's word: BEHAVIOUR S5.

The servers of the senders' domains answer, refuse, put off, hang up and say nothing; name servers fail. All of them listen on one port of several loopback addresses.
"""
import re
import time
from concurrent.futures import ThreadPoolExecutor

import dns
import pytest
import scripted
import stage
from talk import Talk

YOU = "you@elsewhere.example"
UNABLE = "550 5.1.8 Unable to verify sender address"
NO_DOMAIN = "550 5.1.8 Unroutable domain"
NO_DNS = "451 4.4.3 The sender's domain cannot be looked up now, try again later"

ZONE = {
    "mx.test": {"A": ["127.0.0.1"]}, "down.test": {"A": ["127.0.0.2"]}, "strict.test": {"A": ["127.0.0.3"]}, "old.test": {"A": ["127.0.0.4"]},
    "good.example": {"MX": ["10 mx.test"]},
    "host.example": {"A": ["127.0.0.1"]},
    "second.example": {"MX": ["20 mx.test", "10 down.test"]},
    "down.example": {"MX": ["10 down.test"]},
    "strict.example": {"MX": ["10 strict.test"]},
    "both.example": {"MX": ["10 mx.test", "20 strict.test"]},
    "old.example": {"MX": ["10 old.test"]},
    "private.example": {"A": ["10.255.255.1"]},
    "null.example": {"MX": ["0 ."]},
    "fails.example": dns.SERVFAIL,
    "slow.example": dns.LATER(1.0, {"A": ["127.0.0.1"]}),
}


def by_name(peer):
    """What RCPT hears goes by the local part."""
    name = re.search(rb"<(.*)@", peer.lines[-1])[1].decode().strip('"')
    if name.startswith("no"):
        peer.say("550 5.1.1 no such user here")
    elif name.startswith("later"):
        peer.say("450 4.2.0 greylisted")
    elif name.startswith("lost"):
        peer.close()
    elif name.startswith("silent"):
        peer.hang()
    elif name.startswith("chatter"):
        peer.say("hello?")
    elif name.startswith("more"):
        peer.say("250 2.1.5 ok\r\n250 2.1.5 and another\r\n")
    elif name.startswith("waits"):
        time.sleep(0.5)
        peer.say("250 2.1.5 ok")
    else:
        peer.say("250 2.1.5 ok")


@pytest.fixture(scope="module")
def names(stack):
    return stack.enter_context(dns.Server(dict(ZONE)))


@pytest.fixture(scope="module")
def mx(stack):
    return stack.enter_context(scripted.Scripted(on={"rcpt": by_name}, name="mx.test"))


@pytest.fixture(scope="module")
def strict(stack, mx):
    """Takes no bounces."""
    return stack.enter_context(scripted.Scripted(on={"mail": "550 5.7.1 no null senders"}, host="127.0.0.3", port=mx.port))


@pytest.fixture(scope="module")
def old(stack, mx):
    return stack.enter_context(scripted.Scripted(on={"ehlo": "500 what?"}, host="127.0.0.4", port=mx.port))


@pytest.fixture(scope="module")
def upstream(stack):
    return stack.enter_context(stage.Upstream())


@pytest.fixture(scope="module")
def byway(folder, stage_byway, upstream, names, mx, strict, old):
    b = stage.Byway(folder, settings={
        "server": {"workers": 1},
        "dns": {"resolver": names.address, "timeout": "1s"}, "senders": {"callout_port": mx.port},
        "upstream": {"allow_ports": f"{upstream.port} {mx.port}", "allow_networks": "127.0.0.0/8"},
        "mta one": {"host": "127.0.0.1", "port": upstream.port, "tls": "none"}})
    folder.mkdir(exist_ok=True)
    b.secret("pw", "secret")
    text = ""
    for account, more in {"called": "check_sender_callout = yes\n", "checked": "check_sender_domain = yes\n"}.items():
        text += f"[account {account}]\nplan = agency\nowner_verified = yes\nsenders = any\n{more}"
        text += f"[domain {account}.example]\naccount = {account}\n[mailbox me@{account}.example]\npassword_file = {b.folder}/pw\n"
    return stage_byway(b, text)


def login(byway, account="called"):
    return Talk(byway, "tls", login=(f"me@{account}.example", "secret"))


def mail(byway, sender):
    with login(byway) as talk:
        return str(talk.cmd(f"MAIL FROM:<{sender}>"))


def asked(server, address):
    """How often RCPT named ADDRESS there."""
    wanted = f"RCPT TO:<{address}>\r\n".encode()
    return sum(p.lines.count(wanted) for p in server.peers)


@pytest.mark.parametrize("sender, refusal", [
    ("a@good.example", None), ("a@host.example", None), ("a@second.example", None), ("a@old.example", None), ("A@GOOD.example", None),
    ("\"a b\"@good.example", None), ("", None), ("me@called.example", None),
    ("no@good.example", "550 5.1.7 Verification failed for <no@good.example>"),
    ("no.One@Good.Example", "550 5.1.7 Verification failed for <no.One@Good.Example>"),
    ("later@good.example", UNABLE), ("lost@good.example", UNABLE), ("chatter@good.example", UNABLE), ("more@good.example", UNABLE),
    ("a@strict.example", UNABLE), ("a@down.example", UNABLE), ("a@private.example", UNABLE),
    ("a@null.example", NO_DOMAIN), ("a@gone.example", NO_DOMAIN), ("a@fails.example", NO_DNS),
    ("nobody@called.example", "550 5.1.7 Unrouteable address"), ("x@[127.0.0.1]", "550 5.1.7 Unrouteable address"),
])
def test_callout(byway, sender, refusal):
    heard = mail(byway, sender)
    assert heard == (refusal or "250 2.1.0 Sender ok")
    if refusal:
        wanted = {"550 5.1.7 Verif": "sender_refused", UNABLE[:15]: "sender_unverifiable", NO_DNS[:15]: "sender_dns_failed",
                  NO_DOMAIN[:15]: "unroutable_domain"}.get(refusal[:15], "unrouteable_address")
        assert byway.wait_event("refused", reply=wanted, **{"from": sender})


def test_what_the_server_hears(byway, mx):
    before = len(mx.peers)
    assert mail(byway, "dialogue@good.example").startswith("250")
    peer = mx.peers[before]
    assert stage.wait_until(lambda: peer.lines[-1:] == [b"QUIT\r\n"])
    assert peer.lines[0].startswith(b"EHLO ")
    assert peer.lines[1:] == [b"MAIL FROM:<>\r\n", b"RCPT TO:<dialogue@good.example>\r\n", b"QUIT\r\n"]
    row = byway.wait_event("callout", address="dialogue@good.example")
    assert row["outcome"] == "good" and row["peer"] == "127.0.0.1" and row["said"].startswith("250")


def test_the_next_server_after_no_clear_word(byway, mx, strict):
    before = len(strict.peers)
    assert mail(byway, "later.both@both.example") == UNABLE
    assert asked(mx, "later.both@both.example") == 1 and len(strict.peers) == before + 1


def test_the_only_server_is_asked_again(byway, mx):
    assert mail(byway, "later.again@good.example") == UNABLE
    assert asked(mx, "later.again@good.example") == 2


@pytest.mark.parametrize("name", ["kept", "no.kept", "later.kept"])
def test_answers_are_remembered(byway, mx, name):
    first = mail(byway, f"{name}@good.example")
    n = asked(mx, f"{name}@good.example")
    assert n >= 1
    for _ in range(3):
        assert mail(byway, f"{name}@GOOD.example").lower() == first.lower()
    assert asked(mx, f"{name}@good.example") == n


def test_equal_questions_are_asked_once(byway, mx):
    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(lambda _: mail(byway, "waits.one@good.example"), range(8)))
    assert {h[:3] for h in heard} == {"250"}
    assert asked(mx, "waits.one@good.example") == 1


def test_name_servers_that_fail_are_not_remembered(byway, names):
    names.table["mended.example"] = dns.SERVFAIL
    assert mail(byway, "a@mended.example") == NO_DNS
    names.table["mended.example"] = {"MX": ["10 mx.test"]}
    assert stage.wait_until(lambda: mail(byway, "a@mended.example").startswith("250"), 10, 0.5)


def test_only_those_who_asked_for_it(byway, mx):
    before = len(mx.peers)
    with login(byway, "checked") as talk:
        talk.cmd("MAIL FROM:<no.matter@good.example>", 250)
    assert len(mx.peers) == before
    byway.cli("account", "set", "checked", "--check-sender-callout", "yes")
    with login(byway, "checked") as talk:
        def refused():
            reply = talk.cmd("MAIL FROM:<no.matter@good.example>")
            if reply.code == 250:
                talk.cmd("RSET", 250)
            return str(reply) == "550 5.1.7 Verification failed for <no.matter@good.example>"

        assert stage.wait_until(refused, 2)
    assert "check_sender_callout = yes" in byway.cli("export")


def test_what_is_pipelined_keeps_its_place_and_a_message_goes(byway, upstream):
    upstream.take()
    with login(byway) as talk:
        talk.raw(f"MAIL FROM:<waits.pipe@slow.example>\r\nRCPT TO:<{YOU}>\r\nNOOP\r\nDATA\r\n")
        assert [talk.read().code for _ in range(4)] == [250, 250, 250, 354]
        talk.raw(b"From: a@good.example\r\nSubject: x\r\n\r\nHello.\r\n.\r\n")
        assert talk.read().code == 250
    assert len(upstream.take()) == 1


def test_a_server_that_says_nothing_has_fifteen_seconds(byway):
    """Others are served meanwhile, and clients may leave."""
    for _ in range(3):
        with login(byway) as talk:
            talk.raw("MAIL FROM:<silent.left@good.example>\r\n")
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        waiting = pool.submit(mail, byway, "silent@good.example")
        time.sleep(0.5)
        assert mail(byway, "meanwhile@good.example").startswith("250")
        assert not waiting.done()
        assert waiting.result() == UNABLE
    assert 10 < time.monotonic() - began < 16 * stage.SLOW


def test_calls_that_are_open_at_the_end(byway, names):
    """The daemon leaves in order (the fixture looks): a call hangs, another's names are being looked up."""
    names.table["never.example"] = dns.SILENT
    for sender in ("silent.end@good.example", "a@never.example"):
        with login(byway) as talk:
            talk.raw(f"MAIL FROM:<{sender}>\r\n")
    byway.cli("reload")
    assert mail(byway, "end@good.example").startswith("250")
