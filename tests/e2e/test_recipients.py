# SPDX-License-Identifier: Apache-2.0
"""Verdicts for recipients, and who may send at all: EHLO, AUTH and the refusals at MAIL (BEHAVIOUR L2, P2 to P5, A1 to A7, S1 to S4, Q6, Q7)."""
import base64
import re
import socket
import time

import pytest
import stage
from talk import Talk, split_received

LETTER = (b"Date: Fri, 01 May 2026 10:00:00 +0200\r\nMessage-ID: <1@client.example>\r\nFrom: <me@author.example>\r\n"
          b"Subject: to many\r\n\r\nHello.\r\n")
TO = "you@elsewhere.example"
PLAIN, PIPE = "plain", "pipe"  # an upstream that takes one command at a time, one that takes them all
both = pytest.mark.parametrize("route", [PLAIN, PIPE])


def address(n):
    return f"r{n}@elsewhere.example"


REFUSE = {address(n): f"550 5.1.1 <{address(n)}>: no such user, said {n}" for n in range(3, 500, 7)}
REFUSE |= {"full@elsewhere.example": "452 4.2.2 Mailbox full", "later@elsewhere.example": "450 4.2.1 Greylisted, come back",
           "policy@elsewhere.example": "550 5.7.1 Not from you", "bare@elsewhere.example": "550 no enhanced code",
           "auth@elsewhere.example": "530 5.7.0 Authenticate first", "closing@elsewhere.example": "454 4.7.0 TLS not available",
           "long@elsewhere.example": "550-5.1.1 first line\r\n550-5.1.1 second line\r\n550 5.1.1 third line"}
SENDERS = {"evil@plain.example": "550 5.7.1 I know you", "evil@pipe.example": "550 5.7.1 I know you"}


@pytest.fixture(scope="module")
def upstreams(stack):
    return {
        PLAIN: stack.enter_context(stage.Upstream(refuse=REFUSE, sender_refuse=SENDERS)),
        PIPE: stack.enter_context(stage.Upstream(refuse=REFUSE, sender_refuse=SENDERS, offers=("PIPELINING", "LIMITS RCPTMAX=400"),
                                                 size=1000000)),
        "native": stack.enter_context(stage.Upstream(offers=("DSN",))),
    }


PLANS = """\
[plan wide]
recipients = 500
[plan fifty]
can_send = no
recipients = 50
[plan tiny]
recipients = 3
size_max = 100k
"""
ACCOUNTS = {"plain": "plan = wide\nroute = up", "pipe": "plan = wide\nroute = up", "native": "plan = wide", "tiny": "plan = tiny",
            "nano": "plan = nano", "own": "plan = fifty\nroute = up", "broken": "plan = fifty\nroute = up", "closed": "plan = wide\nstate = closed",
            "late": "plan = wide\nregistered = 2026-03-01", "early": "plan = wide\nregistered = 2026-02-18",
            "known": "plan = wide\nregistered = 2026-03-01\nowner_verified = yes"}
IPS = {"127.0.0.50": "account = native", "127.0.0.51": "account = native\nstate = blocked", "127.0.0.52": "account = closed",
       "127.0.0.56/30": "account = own"}


def directory(byway, upstreams):
    password = byway.secret("password", "secret")
    text = PLANS
    ports = {PLAIN: upstreams[PLAIN].port, PIPE: upstreams[PIPE].port, "own": upstreams[PLAIN].port, "broken": byway.closed}
    for name, keys in ACCOUNTS.items():
        text += f"[account {name}]\n{keys}\nsenders = any\n[domain {name}.example]\naccount = {name}\n"
        text += f"[mailbox me@{name}.example]\npassword_file = {password}\n"
        if name in ports:
            text += f"[profile {name}/up]\nhost = 127.0.0.1\nport = {ports[name]}\ntls = none\n"
    for network, keys in IPS.items():
        text += f"[ip {network}]\n{keys}\n"
    for state in ("paused_owner", "paused_admin", "paused_abuse", "blocked"):
        text += f"[mailbox {state}@native.example]\nstate = {state}\npassword_file = {password}\n"
    for name in ("changing", "resetting", "dev"):
        text += f"[mailbox {name}@native.example]\npassword_file = {password}\nsandboxed = {'yes' if name == 'dev' else 'no'}\n"
    return text


@pytest.fixture(scope="module")
def byway(folder, stage_byway, upstreams):
    legacy, balanced = stage.free_port(), stage.free_port()
    b = stage.Byway(folder / "byway", ports={"legacy": legacy, "balanced": balanced}, settings={
        "upstream": {},
        "directory": {"remember": "2s"},
        "guessing": {"delay": 0, "name_failures": 0, "address_failures": 0},
        "mta one": {"host": "127.0.0.1", "port": upstreams["native"].port, "tls": "none"},
        "listener legacy": {"address": f"127.0.0.1:{legacy}", "tls": "none", "plaintext_auth": "yes"},
        "listener balanced": {"address": f"127.0.0.1:{balanced}", "proxy_protocol": "yes", "trusted_proxies": "127.0.0.60"}})
    b.closed = stage.free_port()
    b.settings["upstream"]["allow_ports"] = " ".join(str(p) for p in {u.port for u in upstreams.values()} | {b.closed})
    b.folder.mkdir()
    return stage_byway(b, directory(b, upstreams))


def me(name):
    return (f"me@{name}.example", "secret")


def pipelined(t, sender, recipients, data="DATA"):
    """All of the envelope in one write; the answers to MAIL, to each RCPT and to what follows."""
    t.raw(f"MAIL FROM:<{sender}>\r\n" + "".join(f"RCPT TO:<{r}>\r\n" for r in recipients) + f"{data}\r\n")
    return t.read(), [t.read() for _ in recipients], t.read()


def check_verdicts(recipients, replies):
    for r, reply in zip(recipients, replies):
        if r in REFUSE:
            assert str(reply) == REFUSE[r]
        else:
            assert str(reply) == f"250 2.1.5 <{r}> ok"


# Verdicts

@both
@pytest.mark.parametrize("count", [1, 2, 500])
def test_L2_each_recipient_has_the_upstreams_own_verdict(byway, upstreams, route, count):
    upstreams[route].take()
    recipients = [address(n) for n in range(count)]
    with Talk(byway, login=me(route)) as t:
        t.cmd(f"MAIL FROM:<me@{route}.example>", 250)
        check_verdicts(recipients, [t.cmd(f"RCPT TO:<{r}>") for r in recipients])
        assert t.data(LETTER).code == 250
    got, = upstreams[route].take()
    assert got["to"] == [r for r in recipients if r not in REFUSE]
    assert split_received(got["content"])[1] == LETTER


@both
@pytest.mark.parametrize("mode", ["starttls", "tls"])
@pytest.mark.parametrize("count", [1, 20, 500])
def test_L2_verdicts_keep_their_order_when_all_came_in_one_write(byway, upstreams, route, count, mode):
    upstreams[route].take()
    recipients = [address(n) for n in range(count)]
    with Talk(byway, mode, login=me(route)) as t:
        for _ in range(2):  # on a new connection upstream, then on a used one
            mail, replies, go = pipelined(t, f"me@{route}.example", recipients)
            assert (mail.code, go.code) == (250, 354)
            check_verdicts(recipients, replies)
            t.raw(LETTER + b".\r\n")
            assert t.read().code == 250
    for got in upstreams[route].take():
        assert got["to"] == [r for r in recipients if r not in REFUSE]
        assert split_received(got["content"])[1] == LETTER


@both
def test_L2_verdicts_of_many_kinds(byway, upstreams, route):
    """What would make a client doubt its own password or connection is said otherwise."""
    upstreams[route].take()
    said = {"full": "452 4.2.2 Mailbox full", "later": "450 4.2.1 Greylisted, come back", "policy": "550 5.7.1 Not from you",
            "bare": "550 5.0.0 no enhanced code", "auth": "451 4.3.5 The upstream's settings are wrong on its side or ours",
            "closing": "451 4.7.0 TLS not available", "long": "550 5.1.1 first line second line third line"}
    with Talk(byway, login=me(route)) as t:
        t.cmd(f"MAIL FROM:<me@{route}.example>", 250)
        for name, reply in said.items():
            assert str(t.cmd(f"RCPT TO:<{name}@elsewhere.example>")) == reply
        t.cmd(f"RCPT TO:<{TO}>", 250)
        assert t.data(LETTER).code == 250
    assert upstreams[route].take()[0]["to"] == [TO]


@both
def test_L2_all_refused(byway, upstreams, route):
    upstreams[route].take()
    bad = list(REFUSE)[:5]
    with Talk(byway, login=me(route)) as t:
        t.cmd(f"MAIL FROM:<me@{route}.example>", 250)
        check_verdicts(bad, [t.cmd(f"RCPT TO:<{r}>") for r in bad])
        assert str(t.cmd("DATA")) == "554 5.5.1 No valid recipients"
        mail, replies, last = pipelined(t, f"me@{route}.example", bad)
        assert mail.code == 250
        check_verdicts(bad, replies)
        assert str(last) == "554 5.5.1 No valid recipients"
        assert t.send(f"me@{route}.example", [TO], LETTER).code == 250
    assert [g["to"] for g in upstreams[route].take()] == [[TO]]


@both
def test_L2_a_refused_sender_is_told_at_rcpt(byway, upstreams, route):
    upstreams[route].take()
    with Talk(byway, login=me(route)) as t:
        t.cmd(f"MAIL FROM:<evil@{route}.example>", 250)
        assert str(t.cmd(f"RCPT TO:<{TO}>")) == "550 5.7.1 I know you"
        assert t.cmd("DATA").code == 554
        mail, replies, last = pipelined(t, f"evil@{route}.example", [TO, address(1)])
        assert [mail.code] + [str(r) for r in replies] == [250, "550 5.7.1 I know you", "550 5.7.1 I know you"]
        assert last.code in (550, 554)
        assert t.send(f"me@{route}.example", [TO], LETTER).code == 250
    assert len(upstreams[route].take()) == 1


@both
def test_L2_duplicates_and_odd_addresses_pass(byway, upstreams, route):
    upstreams[route].take()
    recipients = [TO, TO, "YOU@elsewhere.example", TO, "a+b=c@elsewhere.example", "!#$%&'*/?^_`{|}~@elsewhere.example", "x" * 64 + "@elsewhere.example",
                  "you@[192.0.2.1]"]
    with Talk(byway, login=me(route)) as t:
        assert t.send(f"me@{route}.example", recipients, LETTER).code == 250
    assert upstreams[route].take()[0]["to"] == recipients


@both
def test_L2_source_routes_are_dropped_and_quotes_kept(byway, upstreams, route):
    upstreams[route].take()
    with Talk(byway, login=me(route)) as t:
        t.cmd(f"MAIL FROM:<@hop.example,@hop2.example:me@{route}.example>", 250)
        t.cmd("RCPT TO:<@hop.example:you@elsewhere.example>", 250)
        t.cmd('RCPT TO:<"john doe"@elsewhere.example>', 250)
        t.cmd("RCPT TO: <blank@elsewhere.example>", 250)
        assert t.data(LETTER).code == 250
    got, = upstreams[route].take()
    assert got["from"] == f"me@{route}.example"
    assert [r.replace('"', "") for r in got["to"]] == [TO, "john doe@elsewhere.example", "blank@elsewhere.example"]


@both
def test_L2_the_empty_sender(byway, upstreams, route):
    upstreams[route].take()
    with Talk(byway, login=me(route)) as t:
        assert t.send("", [TO], LETTER).code == 250
    assert upstreams[route].take()[0]["from"] in ("", "<>")  # as aiosmtpd writes it


def test_L5_what_the_client_heard_is_in_the_log(byway, upstreams):
    with Talk(byway, login=me(PLAIN)) as t:
        t.cmd(f"MAIL FROM:<me@{PLAIN}.example>", 250)
        t.cmd(f"RCPT TO:<{address(3)}>", 550)
        t.cmd(f"RCPT TO:<{TO}>", 250)
        reply = t.data(LETTER)
    name = re.match(r"Ok (\S+) ", reply.words)[1]
    row = byway.wait_event("message", id=name)
    assert (row["outcome"], row["nrcpt"], row["accepted"], row["sender"]) == ("sent", 2, 1, f"me@{PLAIN}.example")
    assert row["said"] in reply.words
    assert byway.wait_event("recipient", id=name, to=address(3))["code"] == 550


# Caps

def surplus(t, recipients):
    return [str(t.cmd(f"RCPT TO:<{r}>")) for r in recipients]


def test_Q6_the_plans_cap(byway, upstreams):
    upstreams["native"].take()
    wish = "550 5.5.3 too many recipients (3 per message on your plan)"
    with Talk(byway, login=me("tiny")) as t:
        t.mail("me@tiny.example", *[address(n) for n in (0, 1, 2)])
        assert surplus(t, [address(4), address(5)]) == [wish] * 2
        reply = t.cmd("DATA")
        assert (reply.code, reply.enhanced) == (554, "5.5.3")
        mail, replies, last = pipelined(t, "me@tiny.example", [address(n) for n in (0, 1, 2, 4, 5)])
        assert [str(r) for r in replies[3:]] == [wish] * 2 and (last.code, last.enhanced) == (554, "5.5.3")
        t.mail("me@tiny.example", *[address(n) for n in (0, 1, 2)])
        assert surplus(t, [address(4)]) == [wish]
        t.raw(b"BDAT 5 LAST\r\nA: b\n")
        reply = t.read()
        assert (reply.code, reply.enhanced) == (554, "5.5.3")
        t.cmd("RSET", 250)
        assert not upstreams["native"].take()
        assert t.send("me@tiny.example", [address(n) for n in (0, 1, 2)], LETTER).code == 250
    assert [g["to"] for g in upstreams["native"].take()] == [[address(n) for n in (0, 1, 2)]]


def test_Q6_refused_recipients_do_not_count(byway, upstreams):
    upstreams[PLAIN].take()
    good, bad = [f"g{n}@elsewhere.example" for n in range(50)], list(REFUSE)[:10]
    with Talk(byway, login=me("own")) as t:
        t.cmd("MAIL FROM:<me@own.example>", 250)
        for r in bad + good:
            t.cmd(f"RCPT TO:<{r}>")
        assert str(t.cmd(f"RCPT TO:<{TO}>")) == "550 5.5.3 too many recipients (50 per message on your plan)"
        t.cmd("RSET", 250)
        mail, replies, go = pipelined(t, "me@own.example", bad + good)
        check_verdicts(bad + good, replies)
        assert go.code == 354
        t.raw(LETTER + b".\r\n")
        assert t.read().code == 250
    assert [g["to"] for g in upstreams[PLAIN].take()] == [good]


def test_Q7_too_large_at_mail_and_at_the_end(byway, upstreams):
    upstreams["native"].take()
    line = b"x" * 98 + b"\r\n"
    with Talk(byway, login=me("tiny")) as t:
        assert str(t.cmd("MAIL FROM:<me@tiny.example> SIZE=102401")) == "552 5.2.3 Message too large"
        assert str(t.cmd("MAIL FROM:<me@tiny.example> SIZE=99999999999999999999")) == "552 5.2.3 Message too large"
        t.mail("me@tiny.example", TO, options="SIZE=1000")
        assert str(t.data(LETTER + line * 1024)) == "552 5.2.3 Message too large"
        t.mail("me@tiny.example", TO)
        assert str(t.bdat(LETTER + line * 1024)[-1]) == "552 5.2.3 Message too large"
        assert not upstreams["native"].take()
        whole = LETTER + line * ((102400 - len(LETTER)) // 100)
        whole += b"y" * (102400 - len(whole) - 2) + b"\r\n"
        assert t.send("me@tiny.example", [TO], whole, options="SIZE=102400").code == 250
        assert t.send("me@tiny.example", [TO], b"X: 1\r\n" + whole).code == 552
    got, = upstreams["native"].take()
    assert split_received(got["content"])[1] == whole


def test_Q7_what_the_upstream_finds_too_large(byway, upstreams):
    upstreams[PIPE].take()
    with Talk(byway, login=me(PIPE)) as t:
        t.mail("me@pipe.example", TO)  # whoever comes first makes its size known (P9)
        t.cmd("RSET", 250)
        reply = t.cmd("MAIL FROM:<me@pipe.example> SIZE=1000001")
        assert (reply.code, reply.enhanced) == (552, "5.2.3")
        reply = t.send("me@pipe.example", [TO], LETTER + b"z" * 70 + b"\r\n" + (b"x" * 98 + b"\r\n") * 11000)
        assert (reply.code, reply.enhanced) == (552, "5.2.3"), reply
        assert t.send("me@pipe.example", [TO], LETTER).code == 250
    assert len(upstreams[PIPE].take()) == 1


# EHLO

ALWAYS = ["PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "DSN"]
LAST = ["ENHANCEDSTATUSCODES", "CHUNKING"]  # nobody waits for these (P7)


def test_P4_ehlo_before_and_after_tls(byway):
    with Talk(byway, "plain") as t:
        assert t.greeting.code == 220 and t.greeting.words.startswith("relay.test ESMTP")
        assert t.cmd("EHLO c.example", 250).keywords == ALWAYS + ["STARTTLS"] + LAST
    for mode in ("starttls", "tls"):
        with Talk(byway, mode) as t:
            assert t.ehlo.keywords == ALWAYS + ["AUTH PLAIN LOGIN"] + LAST
            t.login(*me("native"))
            assert t.cmd("EHLO c.example", 250).keywords == ["PIPELINING", "SIZE 26214400", *ALWAYS[2:], "LIMITS RCPTMAX=500", *LAST]
    with Talk(byway, login=me("tiny")) as t:
        assert {"SIZE 102400", "LIMITS RCPTMAX=3"} < set(t.cmd("EHLO c.example", 250).keywords)


def test_P4_ehlo_tells_of_the_upstream_once_it_is_known(byway):
    def told():
        with Talk(byway, login=me(PIPE)) as t:
            t.cmd(f"MAIL FROM:<me@{PIPE}.example>", 250)
            t.cmd(f"RCPT TO:<{TO}>", 250)
            t.cmd("RSET", 250)
            return {"SIZE 1000000", "LIMITS RCPTMAX=400"} < set(t.cmd("EHLO c.example", 250).keywords)

    assert all([told() for _ in range(6)])


def test_P2_auth_before_tls(byway):
    with Talk(byway, "plain") as t:
        t.cmd("EHLO c.example", 250)
        reply = t.auth(*me("native"))
        assert (reply.code, reply.enhanced) == (538, "5.7.11")
        assert t.cmd("MAIL FROM:<me@native.example>").code == 550
    with Talk(byway, "plain", port=byway.ports["legacy"]) as t:
        assert t.cmd("EHLO c.example", 250).keywords == ALWAYS + ["AUTH PLAIN LOGIN"] + LAST
        assert t.cmd("STARTTLS").code == 502
        t.login(*me("native"))
        t.mail("me@native.example", TO)


# AUTH

def test_A1_the_ways_to_log_in(byway):
    name, password = me("native")
    encoded = [base64.b64encode(s.encode()).decode() for s in (name, password, f"\0{name}\0{password}", name.upper())]
    with Talk(byway) as t:
        assert str(t.auth(name, password, authzid=name)) == "235 2.7.0 Authentication succeeded"
        assert t.auth(name, password).code == 503
    with Talk(byway) as t:
        assert t.cmd("AUTH PLAIN").code == 334
        assert t.cmd(encoded[2]).code == 235
    for first in ("AUTH LOGIN", f"auth login {encoded[0]}"):
        with Talk(byway, "tls") as t:
            reply = t.cmd(first, 334)
            if first == "AUTH LOGIN":
                assert reply.words == "VXNlcm5hbWU6"
                reply = t.cmd(encoded[0], 334)
            assert reply.words == "UGFzc3dvcmQ6"
            t.cmd(encoded[1], 235)


def test_A1_what_fails_to_log_in(byway):
    name, password = me("native")
    wish = "535 5.7.8 Authentication failed"
    for bad in ((name, "wrong"), ("nobody@native.example", password), ("nobody@nowhere.example", password), (name, ""),
                (name, password + " "), ("owner", password)):
        with Talk(byway) as t:
            assert str(t.auth(*bad)) == wish, bad
    with Talk(byway) as t:
        assert str(t.auth(name, password, authzid="other@native.example")) == wish
        assert str(t.cmd("AUTH CRAM-MD5")).startswith("504 5.5.4")
        t.cmd("AUTH PLAIN", 334)
        assert t.cmd("*").code == 501
        t.login(name, password)


def test_A3_three_failures_end_the_connection(byway):
    with Talk(byway) as t:
        assert [t.auth("me@native.example", f"wrong{n}").code for n in range(3)] == [535] * 3
        reply = t.read()
        assert (reply.code, reply.enhanced) == (421, "4.7.0")
        assert t.is_closed()


@pytest.mark.parametrize("state", ["paused_owner", "paused_admin", "paused_abuse"])
def test_A4_a_paused_mailbox_cannot_log_in(byway, state):
    with Talk(byway) as t:
        assert str(t.auth(f"{state}@native.example", "secret")) == "535 5.7.8 Authentication failed"


# MAIL

def at_mail(byway, name, mode="starttls"):
    with Talk(byway, mode, login=me(name)) as t:
        return str(t.cmd(f"MAIL FROM:<me@{name}.example>"))


def test_A5_relay_is_denied_without_login(byway, upstreams):
    for mode in ("plain", "starttls", "tls"):
        with Talk(byway, mode) as t:
            t.cmd("EHLO c.example", 250)
            assert str(t.cmd("MAIL FROM:<me@native.example>")) == "550 5.7.1 Relay access denied - please authenticate"
            assert t.cmd(f"RCPT TO:<{TO}>").code == 503
            t.login(*me("native")) if mode != "plain" else None
            assert mode == "plain" or t.cmd("MAIL FROM:<me@native.example>").code == 250


def test_A6_an_address_is_an_identity(byway, upstreams):
    for source, route, sender in (("127.0.0.50", "native", "printer@native.example"), ("127.0.0.57", PLAIN, "printer@own.example")):
        upstreams[route].take()
        for mode in ("plain", "tls"):
            with Talk(byway, mode, source=source) as t:
                t.cmd("EHLO c.example", 250)
                assert t.send(sender, [TO], LETTER).code == 250
        assert [g["from"] for g in upstreams[route].take()] == [sender] * 2
    for source, wish in (("127.0.0.51", "550 5.7.1 That IP address is not allowed to send"),
                         ("127.0.0.52", "550 5.7.1 That smtp username is not allowed to send"),
                         ("127.0.0.49", "550 5.7.1 Relay access denied - please authenticate"),
                         ("127.0.0.55", "550 5.7.1 Relay access denied - please authenticate")):
        with Talk(byway, "plain", source=source) as t:
            t.cmd("EHLO c.example", 250)
            assert str(t.cmd("MAIL FROM:<printer@native.example>")) == wish


def test_A6_a_login_counts_more_than_the_address(byway, upstreams):
    upstreams[PLAIN].take(), upstreams["native"].take()
    with Talk(byway, source="127.0.0.50", login=me(PLAIN)) as t:
        assert t.send(f"me@{PLAIN}.example", [TO], LETTER).code == 250
    assert len(upstreams[PLAIN].take()) == 1 and not upstreams["native"].take()


def test_A6_blocked_users_and_closed_accounts(byway):
    """They may fail at AUTH already; where they do not, MAIL tells."""
    for name in ("blocked@native.example", "me@closed.example"):
        with Talk(byway) as t:
            reply = t.auth(name, "secret")
            if reply.code == 235:
                assert str(t.cmd(f"MAIL FROM:<{name}>")) == "550 5.7.1 That smtp username is not allowed to send"
            else:
                assert str(reply) == "535 5.7.8 Authentication failed"


def test_A7_a_sandboxed_user_is_accepted_and_its_mail_discarded(byway, upstreams):
    upstreams["native"].take()
    with Talk(byway, login=("dev@native.example", "secret")) as t:
        reply = t.send("dev@native.example", [TO], LETTER)
    assert reply.code == 250
    assert not upstreams["native"].take()


SUSPENDED = {
    "suspended_billing": "There is a billing issue with your account. Please update payment details or contact support.",
    "suspended_deliverability": "We've temporarily paused outbound mail because too many of your recent messages were rejected by recipient servers. "
                                "This is usually a quick fix - please reach out to support and we'll help you get sending again.",
    "suspended_abuse": "Your account is temporarily restricted. Please contact support for details.",
}


def soon(t, sender, wish):
    """The seconds until MAIL is answered so."""
    begin = time.monotonic()
    while True:
        reply = t.cmd(f"MAIL FROM:<{sender}>")
        if reply.code == 250:
            t.cmd("RSET", 250)
        took = time.monotonic() - begin
        if str(reply).startswith(wish):
            return took
        assert took < 10, reply
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["native", "own"])
def test_S1_suspension_stops_open_sessions_within_a_second(byway, name):
    sender = f"me@{name}.example"
    with Talk(byway, login=me(name)) as t, Talk(byway, "tls", login=me(name)) as other:
        for state, words in SUSPENDED.items():
            t.cmd(f"MAIL FROM:<{sender}>", 250)
            t.cmd("RSET", 250)
            byway.cli("account", "set", name, "--state", state)
            assert soon(t, sender, f"554 5.7.7 {words}") < 1
            assert soon(other, sender, f"554 5.7.7 {words}") < 1
            assert at_mail(byway, name) == f"554 5.7.7 {words}"
            byway.cli("account", "set", name, "--state", "active")
            assert soon(t, sender, "250") < 1
            assert soon(other, sender, "250") < 1


def test_S4_pause_block_and_resume_act_on_open_sessions(byway):
    name = "changing@native.example"
    with Talk(byway, login=(name, "secret")) as t:
        for state, wish in (("paused_owner", "554 5.7.7"), ("active", "250"), ("paused_abuse", "554 5.7.7"), ("paused_admin", "554 5.7.7"),
                            ("blocked", "550 5.7.1 That smtp username is not allowed to send"), ("active", "250")):
            byway.cli("mailbox", "set", name, "--state", state)
            assert soon(t, name, wish) < 1
        byway.cli("mailbox", "remove", name, "--yes")
        assert soon(t, name, "550 5.7.1 That smtp username is not allowed to send") < 1
    with Talk(byway) as t:
        assert t.auth(name, "secret").code == 535


def test_S4_a_change_leaves_the_transaction_in_hand_alone(byway, upstreams):
    upstreams["native"].take()
    with Talk(byway, login=me("native")) as t:
        t.mail("me@native.example", TO)
        t.cmd("DATA", 354)
        byway.cli("account", "set", "native", "--state", "suspended_billing")
        try:
            with Talk(byway, login=me("native")) as other:
                soon(other, "me@native.example", "554")
            t.raw(LETTER + b".\r\n")
            assert t.read().code == 250
            soon(t, "me@native.example", "554")
        finally:
            byway.cli("account", "set", "native", "--state", "active")
            with Talk(byway, login=me("native")) as other:
                soon(other, "me@native.example", "250")
    assert len(upstreams["native"].take()) == 1


def test_S2_an_owner_who_never_confirmed(byway):
    assert at_mail(byway, "late") == "554 5.7.7 Sending blocked - please verify your email."
    assert at_mail(byway, "early") == "250 2.1.0 Sender ok"
    assert at_mail(byway, "known") == "250 2.1.0 Sender ok"
    with Talk(byway, login=me("late")) as t:
        byway.cli("account", "set", "late", "--owner-verified", "yes")
        assert soon(t, "me@late.example", "250") < 1
    byway.cli("account", "set", "late", "--owner-verified", "no")


def test_S3_a_plan_that_cannot_send(byway, upstreams):
    wish = "554 5.7.7 Your plan does not include sending; upgrade, or set up your own SMTP provider"
    with Talk(byway, login=me("nano")) as t:
        assert str(t.cmd("MAIL FROM:<me@nano.example>")) == wish
        byway.cli("account", "set", "nano", "--plan", "starter")
        assert soon(t, "me@nano.example", "250") < 1
        byway.cli("account", "set", "nano", "--plan", "nano")
        assert soon(t, "me@nano.example", wish) < 1


def test_S3_its_own_upstream_sends_and_when_broken_its_error_wins(byway, upstreams):
    upstreams[PLAIN].take()
    with Talk(byway, login=me("own")) as t:
        assert t.send("me@own.example", [TO], LETTER).code == 250
    assert len(upstreams[PLAIN].take()) == 1
    with Talk(byway, login=me("broken")) as t:
        t.cmd("MAIL FROM:<me@broken.example>", 250)
        assert str(t.cmd(f"RCPT TO:<{TO}>")) == "451 4.4.1 No connection to the upstream"
        assert t.cmd("DATA").code in (451, 554)


def test_A2_a_new_password_counts(byway):
    name = "resetting@native.example"
    with Talk(byway) as t:
        t.login(name, "secret")
    byway.cli("mailbox", "passwd", name, "--password-stdin", stdin="another secret\n")
    changed = time.monotonic()

    def logs_in(password):
        with Talk(byway) as t:
            return t.auth(name, password).code == 235

    assert stage.wait_until(lambda: logs_in("another secret"), 1, every=0.05)
    assert stage.wait_until(lambda: not logs_in("secret"), 4)
    assert time.monotonic() - changed < 60


# The PROXY protocol

def test_P1_proxy_header_names_the_client(byway, upstreams):
    upstreams["native"].take()
    v1 = b"PROXY TCP4 127.0.0.50 127.0.0.1 12345 25\r\n"
    v2 = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + socket.inet_aton("127.0.0.50") + socket.inet_aton("127.0.0.1") + b"\x30\x39\x00\x19")
    for header in (v1, v2):
        with Talk(byway, "plain", source="127.0.0.60", port=byway.ports["balanced"], greet=False) as t:
            t.raw(header)
            assert t.read().code == 220
            t.cmd("EHLO c.example", 250)
            assert t.send("printer@native.example", [TO], LETTER).code == 250
        received, _ = split_received(upstreams["native"].take()[0]["content"])
        assert received["address"] == b"127.0.0.50"
    with Talk(byway, "plain", source="127.0.0.61", port=byway.ports["balanced"], greet=False) as t:
        t.raw(v1)
        assert t.is_closed()
    with Talk(byway, "plain", source="127.0.0.60", port=byway.ports["balanced"], greet=False) as t:
        t.raw(b"EHLO c.example\r\n")
        assert t.is_closed()
