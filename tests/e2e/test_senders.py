# SPDX-License-Identifier: Apache-2.0
"""Who may send, and under whose name: BEHAVIOUR A4, A6, A7, S1 to S6, H4.

Every refusal is compared word by word, and nothing may have reached the upstream. Name servers here answer, fail, stay silent and lie.
"""
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import dns
import pytest
import stage
from talk import Talk

YOU = "you@elsewhere.example"
WITHIN = 1.0  # seconds in which a change must act on open sessions (S4)

ZONE = {
    "good.example": {"MX": ["10 mx.good.example"]},
    "mx.good.example": {"A": ["192.0.2.1"]},
    "host.example": {"AAAA": ["2001:db8::1"]},
    "null.example": {"MX": ["0 ."], "A": ["192.0.2.1"]},
    "empty.example": {"TXT": ["nothing else"]},
    "dead.example": {"MX": ["10 gone.example"], "A": ["192.0.2.1"]},
    "alias.example": {"CNAME": ["good.example"]},
    "fails.example": dns.SERVFAIL,
    "refuses.example": dns.REFUSED,
    "silent.example": dns.SILENT,
    "lies.example": dns.LIES,
    "slow.example": dns.LATER(1.0, {"A": ["192.0.2.1"]}),
    "half.example": {"MX": ["10 fails.example", "20 gone.example"]},
    # byway domain verify
    "right.example": {"TXT": ["google-site-verification=1", "v=spf1 include:spf.relay.test ~all"], "MX": ["10 mx.good.example"]},
    "s1._domainkey.right.example": {"TXT": ["v=DKIM1; k=rsa; p=" + "MIGf" * 200]},
    "_dmarc.right.example": {"TXT": ["v=DMARC1; p=none"]},
    "partly.example": {"TXT": ["v=spf1 a -all"]},
    "s1._domainkey.partly.example": {"CNAME": ["s1.keys.example"]},
    "s1.keys.example": {"TXT": ["k=rsa; p="]},
    "twice.example": {"TXT": ["v=spf1 include:spf.relay.test -all", "v=spf1 -all"]},
    "s1._domainkey.twice.example": {"TXT": ["v=DKIM1; p=MIGf"]},
    "broken.example": dns.SERVFAIL,
}

ACCOUNTS = {
    "plain": "",
    "strict": "senders = verified\nverified_senders = single@other.example\n",
    "narrow": "restrict_senders = yes\nallowed_senders = @narrow.example, one@other.example\n",
    "checked": "check_sender_domain = yes\n",
    "late": "registered = 2026-02-19T00:00:00Z\n",
    "early": "registered = 2026-02-18T23:59:59Z\n",
    "google": "registered = 2026-03-01T00:00:00Z\nowner_signup = google\n",
    "facebook": "registered = 2026-03-01T00:00:00Z\nowner_signup = facebook\n",
    "sand": "",
    "state": "",
    "nano": "plan = nano\n",
    "own": "plan = nano\n",
    "limited": "",
    "tight": "senders = own\nverified_senders = single@other.example, me@plain.example\n",
    "loose": "senders = any\n",
    "default": "plan = starter\nsenders = inherit\n",
}


@pytest.fixture(scope="module")
def names(stack):
    return stack.enter_context(dns.Server(dict(ZONE)))


@pytest.fixture(scope="module")
def upstream(stack):
    return stack.enter_context(stage.Upstream())


@pytest.fixture(scope="module")
def byway(folder, stage_byway, upstream, names):
    b = stage.Byway(folder, settings={
        "dns": {"resolver": names.address, "timeout": "1s", "spf_include": "spf.relay.test"},
        "upstream": {"allow_ports": upstream.port},
        "mta one": {"host": "127.0.0.1", "port": upstream.port, "tls": "none"}})
    folder.mkdir(exist_ok=True)
    b.secret("pw", "secret")
    text = ""
    for account, more in ACCOUNTS.items():
        text += f"[account {account}]\n" + ("" if "plan" in more else "plan = agency\n")
        text += more + ("" if "senders = " in more.replace("_senders", "") else "senders = any\n") + ("" if "registered" in more else "owner_verified = yes\n")
        if account == "own":
            text += f"[profile own/up]\nhost = 127.0.0.1\nport = {upstream.port}\ntls = none\n"
        text += f"[domain {account}.example]\naccount = {account}\n[mailbox me@{account}.example]\npassword_file = {b.folder}/pw\n"
    text += "[domain second.strict.example]\naccount = strict\nverified = yes\n[domain right.example]\naccount = strict\n"
    text += "[ip 127.0.0.9]\naccount = state\n[ip 127.0.0.10]\naccount = sand\nsandboxed = yes\n"
    for domain in ("partly", "twice", "broken"):
        text += f"[domain {domain}.example]\naccount = plain\ndkim_selector = s1\n"
    return stage_byway(b, text)


def login(byway, account):
    return Talk(byway, "tls", login=(f"me@{account}.example", "secret"))


def letter(sender, header=None):
    header = f"From: <{sender}>\r\n" if header is None else header
    return header.encode() + b"To: <you@elsewhere.example>\r\nSubject: x\r\n\r\nHello.\r\n"


def send(talk, sender, header=None, content=None):
    """The first refusal, or the last word."""
    for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{YOU}>"):
        reply = talk.cmd(line)
        if reply.code != 250:
            return reply
    return talk.data(content or letter(sender, header))


def change(byway, *args):
    """Runs the control tool; when it was done."""
    byway.cli(*args)
    return time.monotonic()


def acts(ask, wanted, since):
    """Seconds from SINCE until ASK gives WANTED."""
    end = since + 5 * stage.SLOW
    while time.monotonic() < end:
        before = time.monotonic()
        got = ask()
        if wanted in got:
            return before - since
        time.sleep(0.05)  # asking costs a RSET, and a session has a hundred of them (P6)
    raise AssertionError(f"still {got!r}, not {wanted!r}")


# ---- S5: the header's From ---------------------------------------------------------------------------

NOT_VERIFIED = "550 5.7.1 From header sender domain not verified"
NOT_ALLOWED = "550 5.7.1 That SMTP sender is not on your allowed list"
MISSING = "550 5.7.1 The message has no From header with an address, and your account's sender rules need one"
UNREADABLE = "550 5.7.1 The From header cannot be read as a list of addresses, and your account's sender rules need one"
TWICE = "550 5.7.1 The message has more than one From header"

VERIFIED = [
    ("From: me@second.strict.example\r\n", None),
    ("From: Me <ME@Second.Strict.EXAMPLE>\r\n", None),
    ("From: \"boss@bank.example\" <single@other.example>\r\n", None),
    ("From: =?utf-8?Q?boss=40bank.example?=\r\n <me@second.strict.example>\r\n", None),
    ("From: me@strict.example\r\n", NOT_VERIFIED),
    ("From: boss@bank.example\r\n", NOT_VERIFIED),
    ("From: other@other.example\r\n", NOT_VERIFIED),
    ("From: me@second.strict.example,\r\n\tboss@bank.example\r\n", NOT_VERIFIED),
    ("From: All: me@second.strict.example, boss@bank.example;\r\n", NOT_VERIFIED),
    ("from : boss@bank.example\r\n", NOT_VERIFIED),
    ("From: x@sub.second.strict.example\r\n", NOT_VERIFIED),
    ("Sender: me@second.strict.example\r\n", MISSING),
    ("From:\r\n", MISSING),
    ("From: Nobody:;\r\n", MISSING),
    ("From: me@second.strict.example\r\nFrom: boss@bank.example\r\n", TWICE),
    ("From: me@second.strict.example\r\nFROM :\r\n me@second.strict.example\r\n", TWICE),
    ("From: boss@bank.example <me@second.strict.example>\r\n", NOT_VERIFIED),
    ("From: [TICKET] Support <me@second.strict.example>\r\n", None),
    ("From: Doe, John\r\n <me@second.strict.example>\r\n", None),
    ("From: <<me@second.strict.example>>\r\n", None),
    ("From: me@second.strict.example;\r\n", None),
    ("From: 'me@second.strict.example' <me@second.strict.example>\r\n", None),
    ("From: Doe, \"boss@bank.example\" <me@second.strict.example>\r\n", NOT_VERIFIED),
    ("From: <boss@bank.example> <me@second.strict.example>\r\n", NOT_VERIFIED),
    ("From: Boss @ bank.example <me@second.strict.example>\r\n", UNREADABLE),
    ("From: Doe, John\r\n", UNREADABLE),
    ("From: root (Cron Daemon)\r\n", UNREADABLE),
    ("From: " + "(" * 7000 + "<me@second.strict.example>\r\n", None),
    ("From: =?utf-8?Q?boss=40bank.example=3E?=@second.strict.example\r\n", UNREADABLE),
    ("From: " + "x " * 5000 + "<me@second.strict.example>\r\n", UNREADABLE),
]


def check(talk, upstream, sender, header, refusal, chunks=None):
    upstream.take()
    if chunks:
        talk.mail(sender, YOU)
        reply = talk.bdat(letter(sender, header), *chunks)[-1]
    else:
        reply = send(talk, sender, header)
    if refusal:
        assert str(reply) == refusal
        assert upstream.take() == []
    else:
        assert reply.code == 250, reply
        assert len(upstream.take()) == 1


@pytest.mark.parametrize("header, refusal", VERIFIED)
def test_from_must_be_verified(byway, upstream, header, refusal):
    with login(byway, "strict") as talk:
        check(talk, upstream, "me@strict.example", header, refusal)
        check(talk, upstream, "me@strict.example", "From: me@second.strict.example\r\n", None)  # the session goes on
        if len(header) < 1000:
            check(talk, upstream, "me@strict.example", header, refusal, chunks=(3, 5, 20))
    if refusal:
        row = byway.wait_event("message", sender="me@strict.example", outcome="refused", code=550)
        assert row["why"] in ("from_not_verified", "from_missing", "from_unreadable", "from_twice")


@pytest.mark.parametrize("header, refusal", [row for row in VERIFIED if len(row[0]) < 1000])
def test_without_rules_from_is_the_clients_own(byway, upstream, header, refusal):
    with login(byway, "plain") as talk:
        header = re.sub("strict", "nobodys", header, flags=re.I)  # strict.example is another account's: S6
        check(talk, upstream, "anybody@bank.example", header, None)


def test_from_in_the_body_is_no_from(byway, upstream):
    with login(byway, "strict") as talk:
        for content in (b"\r\nFrom: me@second.strict.example\r\n", b"From me@x Sat\r\n\r\nFrom: me@second.strict.example\r\n",
                        b"Subject: x\r\n\r\nFrom: me@second.strict.example\r\n", b"Subject: only a header\r\n", b""):
            upstream.take()
            assert str(send(talk, "me@strict.example", content=content or b"\r\n")) == MISSING
            assert upstream.take() == []


def test_a_large_message_with_a_false_name_is_swallowed(byway, upstream):
    upstream.take()
    with login(byway, "strict") as talk:
        content = letter("", "From: boss@bank.example\r\n") + b"0123456789abcdef" * 4 * 80000
        assert str(send(talk, "me@strict.example", content=content)) == NOT_VERIFIED
        check(talk, upstream, "me@strict.example", "From: me@second.strict.example\r\n", None)


@pytest.mark.parametrize("sender, header, refusal", [
    ("me@narrow.example", "From: me@narrow.example\r\n", None),
    ("any@NARROW.example", "From: One <one@Other.example>\r\n", None),
    ("one@other.example", "From: me@narrow.example, one@other.example\r\n", None),
    ("", "From: me@narrow.example\r\n", None),
    ("two@other.example", None, NOT_ALLOWED),
    ("me@sub.narrow.example", None, NOT_ALLOWED),
    ("me@narrow.example", "From: two@other.example\r\n", NOT_ALLOWED),
    ("me@narrow.example", "From: me@narrow.example, two@other.example\r\n", NOT_ALLOWED),
    ("", "From: boss@bank.example\r\n", NOT_ALLOWED),
    ("me@narrow.example", "", MISSING),
])
def test_restricted_senders(byway, upstream, sender, header, refusal):
    with login(byway, "narrow") as talk:
        check(talk, upstream, sender, header, refusal)


# ---- S6: whose name mail bears -----------------------------------------------------------------------

OWN, SINGLE, OTHERS, FOREIGN = "me@{}.example", "single@other.example", "me@nano.example", "boss@bank.example"


@pytest.mark.parametrize("account, address, envelope, header", [
    ("tight", OWN, None, None),
    ("tight", SINGLE, None, None),
    ("tight", FOREIGN, NOT_ALLOWED, NOT_ALLOWED),
    ("tight", OTHERS, NOT_ALLOWED, NOT_ALLOWED),
    ("tight", "me@plain.example", NOT_ALLOWED, NOT_ALLOWED),  # a verified single address of another account's domain
    ("tight", "me@sub.tight.example", NOT_ALLOWED, NOT_ALLOWED),
    ("default", OWN, None, None),
    ("default", FOREIGN, NOT_ALLOWED, NOT_ALLOWED),
    ("default", OTHERS, NOT_ALLOWED, NOT_ALLOWED),
    ("strict", OWN, None, NOT_VERIFIED),
    ("strict", "me@second.strict.example", None, None),
    ("strict", SINGLE, None, None),
    ("strict", FOREIGN, None, NOT_VERIFIED),
    ("strict", OTHERS, NOT_ALLOWED, NOT_ALLOWED),
    ("loose", OWN, None, None),
    ("loose", FOREIGN, None, None),
    ("loose", OTHERS, NOT_ALLOWED, NOT_ALLOWED),
    ("loose", OTHERS.upper(), NOT_ALLOWED, NOT_ALLOWED),
])
def test_whose_name_mail_bears(byway, upstream, account, address, envelope, header):
    good = {"strict": "me@second.strict.example"}.get(account, OWN.format(account))
    address = address.format(account)
    with login(byway, account) as talk:
        check(talk, upstream, address, f"From: {good}\r\n", envelope)
        check(talk, upstream, good, f"From: {address}\r\n", header)
        check(talk, upstream, "", f"From: {address}\r\n", header)
        check(talk, upstream, good, f"From: {good}, Another <{address}>\r\n", header)


@pytest.mark.parametrize("header, refusal", [
    (f"From: x@one.example\r\nFrom: {OTHERS}\r\n", NOT_ALLOWED),
    (f"From: boss <{OTHERS}\r\n", NOT_ALLOWED),
    ("From: boss\r\n", None),
    ("From: x@one.example\r\nFrom: y@two.example\r\n", None),
    ("", None),
    ("From: " + ", ".join(f"u{i}@d{i}.example" for i in range(60)) + "\r\n", None),
    ("From: " + ", ".join(f"v{i}@e{i}.example" for i in range(60)) + f", {OTHERS}\r\n", NOT_ALLOWED),
])
def test_any_name_but_anothers(byway, upstream, header, refusal):
    with login(byway, "loose") as talk:
        for _ in range(2):  # asked, then known
            check(talk, upstream, "x@one.example", header, refusal)


def test_content_in_chunks_waits_for_the_directory(byway, upstream):
    with login(byway, "loose") as talk:
        for sender, code in (("w@chunk1.example", 250), (OTHERS, 550), ("w@chunk2.example", 250)):
            content = letter(sender)
            for line in ("MAIL FROM:<x@one.example>", f"RCPT TO:<{YOU}>"):
                assert talk.cmd(line).code == 250
            talk.raw(f"BDAT {len(content)} LAST\r\n".encode() + content + b"NOOP\r\n")
            assert talk.read().code == code and talk.read().code == 250
    assert [m["from"] for m in upstream.take()] == ["x@one.example"] * 2


def test_a_domain_that_gets_an_owner(byway, upstream):
    """What was nobody's is refused once it is another account's, in sessions that are open too."""
    with login(byway, "loose") as talk:
        check(talk, upstream, "me@late-comer.example", None, None)
        done = change(byway, "domain", "add", "late-comer.example", "--account", "plain")
        took = acts(lambda: str(send(talk, "me@late-comer.example")), NOT_ALLOWED, done)
        took = max(took, acts(lambda: str(send(talk, "", "From: me@late-comer.example\r\n")), NOT_ALLOWED, done))
        byway.cli("domain", "remove", "late-comer.example")
    upstream.take()
    assert took < WITHIN * stage.SLOW


@pytest.mark.parametrize("account, rule", [("tight", "own"), ("strict", "verified"), ("loose", "any"), ("default", "own")])
def test_the_rule_is_told(byway, account, rule):
    assert byway.cli("account", "show", account, json_out=True)["senders_rule"] == rule
    assert f"senders = {rule}" in byway.cli("explain", f"me@{account}.example", check=False).stdout


def test_rules_that_change_act_on_open_sessions(byway, upstream):
    with login(byway, "plain") as talk:
        assert send(talk, "boss@bank.example").code == 250
        done = change(byway, "account", "set", "plain", "--restrict-senders", "yes", "--allowed-senders", "@plain.example")
        took = acts(lambda: str(send(talk, "boss@bank.example")), NOT_ALLOWED, done)
        done = change(byway, "account", "set", "plain", "--restrict-senders", "no", "--senders", "verified")
        took = max(took, acts(lambda: str(send(talk, "me@plain.example")), NOT_VERIFIED, done))
        done = change(byway, "domain", "set", "plain.example", "--verified", "yes")
        took = max(took, acts(lambda: str(send(talk, "me@plain.example")), "250 2.0.0", done))
        change(byway, "account", "set", "plain", "--senders", "any", "--allowed-senders", "")
    assert took < WITHIN * stage.SLOW


# ---- S5: the envelope sender's domain -----------------------------------------------------------------

NO_DOMAIN = "550 5.1.8 Unroutable domain"
NO_ADDRESS = "550 5.1.7 Unrouteable address"
NO_DNS = "451 4.4.3 The sender's domain cannot be looked up now, try again later"


@pytest.mark.parametrize("sender, refusal", [
    ("x@good.example", None), ("x@GOOD.example", None), ("x@host.example", None), ("x@alias.example", None), ("", None),
    ("me@checked.example", None), ("Me@Checked.Example", None), ("me+news@checked.example", None),
    ("x@null.example", NO_DOMAIN), ("x@empty.example", NO_DOMAIN), ("x@dead.example", NO_DOMAIN), ("x@gone.example", NO_DOMAIN),
    ("x@localhost", NO_DOMAIN), ("x@[192.0.2.1]", NO_ADDRESS), ("nobody@checked.example", NO_ADDRESS),
    ("\"me\"@checked.example", None), ("x@fails.example", NO_DNS), ("x@refuses.example", NO_DNS), ("x@silent.example", NO_DNS),
    ("x@lies.example", NO_DNS), ("x@half.example", NO_DNS),
])
def test_sender_domain(byway, upstream, sender, refusal):
    with login(byway, "checked") as talk:
        check(talk, upstream, sender, "From: x@good.example\r\n", refusal)
    if refusal:
        wanted = {"550 5.1.8": "unroutable_domain", "550 5.1.7": "unrouteable_address", "451 4.4.3": "sender_dns_failed"}
        assert byway.wait_event("refused", reply=wanted[refusal[:9]], **{"from": sender})


def test_bad_syntax_is_a_matter_of_its_own(byway):
    with login(byway, "checked") as talk:
        assert str(talk.cmd("MAIL FROM:<x@>")).startswith("501 5.1.7")


def test_look_ups_are_for_those_who_asked(byway, names):
    with login(byway, "plain") as talk:
        talk.cmd("MAIL FROM:<x@nobody-asks.example>", 250)
    assert not [n for n, _ in names.asked if n == "nobody-asks.example"]


def test_answers_are_remembered(byway, names):
    names.table.update({"kept.example": {"A": ["192.0.2.1"]}})
    with login(byway, "checked") as talk:
        for _ in range(5):
            talk.cmd("MAIL FROM:<x@kept.example>", 250)
            talk.cmd("RSET", 250)
    assert names.asked.count(("kept.example", "MX")) == 1


def test_a_slow_name_server_keeps_nobody_else_waiting(byway, names):
    """Twelve sessions wait for name servers that say nothing; another sends meanwhile."""
    names.table.update({f"s{i}.silent.example": dns.SILENT for i in range(12)})
    def hang(i):
        with login(byway, "checked") as talk:
            return str(talk.cmd(f"MAIL FROM:<x@s{i}.silent.example>"))

    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(hang, i) for i in range(12)]
        time.sleep(0.3)
        began = time.monotonic()
        with login(byway, "plain") as talk:
            assert send(talk, "me@plain.example").code == 250
        took = time.monotonic() - began
        assert not all(w.done() for w in waiting)
        assert {w.result() for w in waiting} == {NO_DNS}
    assert took < 1 * stage.SLOW


def test_what_is_pipelined_behind_a_look_up_keeps_its_place(byway, upstream):
    upstream.take()
    with login(byway, "checked") as talk:
        talk.raw(f"MAIL FROM:<x@slow.example>\r\nRCPT TO:<{YOU}>\r\nNOOP\r\nDATA\r\n")
        assert [talk.read().code for _ in range(4)] == [250, 250, 250, 354]
        talk.raw(letter("x@slow.example") + b".\r\n")
        assert talk.read().code == 250
    assert len(upstream.take()) == 1


def test_a_client_that_leaves_while_we_look_up(byway, names):
    names.table["left.silent.example"] = dns.SILENT
    for _ in range(5):
        with login(byway, "checked") as talk:
            talk.raw("MAIL FROM:<x@left.silent.example>\r\n")
    time.sleep(2.5)
    with login(byway, "checked") as talk:
        talk.cmd("MAIL FROM:<x@good.example>", 250)


def into_sandbox(byway, account, value="yes"):
    """Changed, and seen by every worker."""
    change(byway, "mailbox", "set", f"me@{account}.example", "--sandboxed", value)
    time.sleep(0.4 * stage.SLOW)


# ---- A7: the sandbox ------------------------------------------------------------------------------------

def sandboxed(byway, talk, upstream, account="sand", **how):
    before = upstream.connections
    upstream.take()
    talk.mail(f"me@{account}.example", YOU, "two@elsewhere.example")
    content = letter(f"me@{account}.example") + b"x" * 70 + b"\r\n"
    reply = talk.bdat(content, 10, 20)[-1] if how.get("chunks") else talk.data(content)
    words = str(reply)
    assert words.startswith("250 2.0.0 Ok ") and words.endswith(" (sandbox: discarded, nothing was sent)"), words
    row = byway.wait_event("message", id=words.split()[3])
    assert row["outcome"] == "sandboxed" and row["accepted"] == 2 and row["route"] == "sandbox" and "upstream" in row
    assert upstream.take() == [] and upstream.connections == before
    return row


def test_sandboxed_mailbox(byway, upstream):
    into_sandbox(byway, "sand")
    with login(byway, "sand") as talk:
        sandboxed(byway, talk, upstream)
        sandboxed(byway, talk, upstream, chunks=True)
        talk.mail("me@sand.example", YOU)
        talk.cmd("RSET", 250)
        big = letter("me@sand.example") + (b"x" * 998 + b"\r\n") * 3000
        assert "(sandbox: discarded" in str(send(talk, "me@sand.example", content=big))
        # Everything else is as usual.
        assert str(send(talk, "me@sand.example", content=b"A:\r\n" * 1001 + b"\r\nx\r\n")).startswith("554 5.6.0")
        too_big = f"MAIL FROM:<me@sand.example> SIZE={10 ** 9}"
        assert str(talk.cmd(too_big)).startswith("552")
        talk.cmd("DATA", 503)
        talk.raw(f"MAIL FROM:<me@sand.example>\r\nRCPT TO:<{YOU}>\r\nRCPT TO:<bad\r\nDATA\r\n")
        assert [talk.read().code for _ in range(4)] == [250, 250, 501, 354]
        talk.raw(letter("me@sand.example") + b".\r\nMAIL FROM:<me@sand.example>\r\nRSET\r\nQUIT\r\n")
        assert [talk.read().code for _ in range(4)] == [250, 250, 250, 221]


def test_sandboxed_mail_counts_like_other_mail(byway):
    """Who tries a program out learns of limits too."""
    byway.cli("plan", "add", "tiny", "--account-day", "4", "--recipients", "2")
    change(byway, "account", "set", "limited", "--plan", "tiny")
    into_sandbox(byway, "limited")
    with login(byway, "limited") as talk:
        for _ in range(2):
            talk.mail("me@limited.example", YOU, "two@elsewhere.example")
            assert "(sandbox:" in str(talk.data(letter("me@limited.example")))
        assert str(talk.cmd("MAIL FROM:<me@limited.example>")).startswith("450 4.7.0 user has exceeded sending quota (4 of 4")


def test_sandboxed_address(byway, upstream):
    with Talk(byway, "plain", source="127.0.0.10") as talk:
        talk.cmd("EHLO x", 250)
        sandboxed(byway, talk, upstream)


def test_sandboxed_octets_before_354_are_pipelining(byway):
    into_sandbox(byway, "sand")
    with login(byway, "sand") as talk:
        talk.mail("me@sand.example", YOU)
        talk.raw(b"DATA\r\nFrom: x@y\r\n\r\nx\r\n.\r\n")
        assert str(talk.read()).startswith("554 5.5.0")
        assert talk.is_closed()


def test_out_of_the_sandbox(byway, upstream):
    into_sandbox(byway, "sand")
    with login(byway, "sand") as talk:
        sandboxed(byway, talk, upstream)
        done = change(byway, "mailbox", "set", "me@sand.example", "--sandboxed", "no")
        took = acts(lambda: str(send(talk, "me@sand.example")), "(upstream: ", done)
    assert took < WITHIN * stage.SLOW
    assert upstream.take()


def test_sender_rules_hold_in_the_sandbox(byway):
    into_sandbox(byway, "strict")
    with login(byway, "strict") as talk:
        assert str(send(talk, "me@strict.example", "From: boss@bank.example\r\n")) == NOT_VERIFIED
        assert "(sandbox:" in str(send(talk, "me@strict.example", "From: me@second.strict.example\r\n"))
    into_sandbox(byway, "strict", "no")


# ---- S1, S3, S4, A4, A6: states ---------------------------------------------------------------------------

BILLING = "554 5.7.7 There is a billing issue with your account. Please update payment details or contact support."
DELIVERABILITY = ("554 5.7.7 We've temporarily paused outbound mail because too many of your recent messages were rejected by recipient "
                  "servers. This is usually a quick fix - please reach out to support and we'll help you get sending again.")
ABUSE = "554 5.7.7 Your account is temporarily restricted. Please contact support for details."
USER = "550 5.7.1 That smtp username is not allowed to send"
ADDRESS = "550 5.7.1 That IP address is not allowed to send"
OWNER = "554 5.7.7 Sending blocked - please verify your email."
NO_LOGIN = "535 5.7.8 Authentication failed"


def mail_of(talk, account):
    def ask():
        reply = talk.cmd(f"MAIL FROM:<me@{account}.example>")
        if reply.code == 250:
            talk.cmd("RSET", 250)
        return str(reply)

    return ask


@pytest.mark.parametrize("state, refusal", [
    ("suspended_billing", BILLING), ("suspended_deliverability", DELIVERABILITY), ("suspended_abuse", ABUSE), ("closed", USER)])
def test_account_states(byway, state, refusal):
    with login(byway, "state") as talk, Talk(byway, "plain", source="127.0.0.9") as by_address:
        by_address.cmd("EHLO x", 250)
        ask = mail_of(talk, "state")
        assert ask().startswith("250"), ask()
        done = change(byway, "account", "set", "state", "--state", state)
        took = acts(ask, refusal, done)
        acts(mail_of(by_address, "state"), refusal, done)
        with login(byway, "state") as late:  # AUTH says nothing of it
            assert mail_of(late, "state")() == refusal
        done = change(byway, "account", "set", "state", "--state", "active")
        took = max(took, acts(ask, "250", done))
    print(f"{state}: {took * 1000:.0f} ms")
    assert took < WITHIN * stage.SLOW


@pytest.mark.parametrize("account", ["state", "own"])
def test_suspension_stops_own_upstreams_too(byway, account):
    byway.cli("account", "set", account, "--state", "suspended_billing")
    with login(byway, account) as talk:
        acts(mail_of(talk, account), BILLING, time.monotonic())
    byway.cli("account", "set", account, "--state", "active")


@pytest.mark.parametrize("state, why", [
    ("paused_owner", "paused by owner"), ("paused_admin", "paused by admin"), ("paused_abuse", "paused for abuse")])
def test_paused_mailbox(byway, state, why):
    with login(byway, "state") as talk:
        done = change(byway, "mailbox", "set", "me@state.example", "--state", state)
        took = acts(mail_of(talk, "state"), "554 5.7.7 This mailbox is paused", done)
        with Talk(byway, "tls") as late:
            assert str(late.auth("me@state.example", "secret")) == NO_LOGIN
        assert byway.wait_event("auth", result="refused", why=why)
        done = change(byway, "mailbox", "set", "me@state.example", "--state", "active")
        took = max(took, acts(mail_of(talk, "state"), "250", done))
    with login(byway, "state") as late:
        assert mail_of(late, "state")().startswith("250")
    assert took < WITHIN * stage.SLOW


def test_blocked_user(byway):
    with login(byway, "state") as talk:
        done = change(byway, "mailbox", "set", "me@state.example", "--state", "blocked")
        assert acts(mail_of(talk, "state"), USER, done) < WITHIN * stage.SLOW
        with login(byway, "state") as late:
            assert mail_of(late, "state")() == USER
        change(byway, "mailbox", "set", "me@state.example", "--state", "active")
        acts(mail_of(talk, "state"), "250", time.monotonic())


def test_blocked_address(byway):
    with Talk(byway, "plain", source="127.0.0.9") as talk:
        talk.cmd("EHLO x", 250)
        ask = mail_of(talk, "state")
        assert ask().startswith("250")
        done = change(byway, "ip", "set", "127.0.0.9", "--state", "blocked")
        assert acts(ask, ADDRESS, done) < WITHIN * stage.SLOW
        done = change(byway, "ip", "set", "127.0.0.9", "--state", "active")
        assert acts(ask, "250", done) < WITHIN * stage.SLOW


def test_unknown_address(byway):
    with Talk(byway, "plain", source="127.0.0.11") as talk:
        talk.cmd("EHLO x", 250)
        assert str(talk.cmd("MAIL FROM:<a@b.example>")) == "550 5.7.1 Relay access denied - please authenticate"


def test_plan_that_cannot_send(byway, upstream):
    upstream.take()
    with login(byway, "nano") as talk:
        assert str(mail_of(talk, "nano")()).startswith("554 5.7.7 Your plan does not include sending")
        done = change(byway, "account", "set", "nano", "--plan", "starter")
        assert acts(mail_of(talk, "nano"), "250", done) < WITHIN * stage.SLOW
        change(byway, "account", "set", "nano", "--plan", "nano")
    with login(byway, "own") as talk:
        assert send(talk, "me@own.example").code == 250
    assert len(upstream.take()) == 1


@pytest.mark.parametrize("account, late", [("late", True), ("early", False), ("google", False), ("facebook", True)])
def test_owner_not_verified(byway, account, late):
    with login(byway, account) as talk:
        ask = mail_of(talk, account)
        if not late:
            assert ask().startswith("250")
            return
        assert ask() == OWNER
        done = change(byway, "account", "set", account, "--owner-verified", "yes")
        assert acts(ask, "250", done) < WITHIN * stage.SLOW
        change(byway, "account", "set", account, "--owner-verified", "no")
        acts(ask, OWNER, time.monotonic())


def test_owner_in_the_grace_of_a_week(byway):
    now = time.time()
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    with login(byway, "late") as talk:
        ask = mail_of(talk, "late")
        change(byway, "account", "set", "late", "--registered", time.strftime(stamp, time.gmtime(now - 7 * 86400 + 3600)))
        acts(ask, "250", time.monotonic())
        change(byway, "account", "set", "late", "--registered", time.strftime(stamp, time.gmtime(now - 7 * 86400 - 60)))
        acts(ask, OWNER, time.monotonic())
        # The week ends while the session is open.
        change(byway, "account", "set", "late", "--registered", time.strftime(stamp, time.gmtime(time.time() - 7 * 86400 + 3)))
        acts(ask, "250", time.monotonic())
        acts(ask, OWNER, time.monotonic())
        change(byway, "account", "set", "late", "--registered", "2026-02-19T00:00:00Z")


def test_owner_refused_at_auth_where_the_operator_says_so(byway):
    def set_option(word):
        byway.settings.setdefault("senders", {})["unverified_owner"] = word
        byway.write_ini()
        byway.cli("reload")

    with login(byway, "late") as before:
        set_option("auth")
        try:
            with Talk(byway, "tls") as talk:
                assert str(talk.auth("me@late.example", "secret")) == NO_LOGIN
                assert byway.wait_event("auth", result="refused", why="owner's address not confirmed")
                assert talk.auth("me@google.example", "secret").code == 235
            # What explain says is what is heard (H0).
            told = byway.cli("explain", "me@late.example", "--json", check=False)
            smtp = json.loads(told.stdout)["smtp"]
            assert told.returncode == 69 and f"{smtp['code']} {smtp['enhanced']} {smtp['text']}" == NO_LOGIN
            with Talk(byway, "tls") as talk:
                assert talk.auth("me@early.example", "secret").code == 235
            acts(mail_of(before, "late"), OWNER, time.monotonic())  # who was in already hears it at MAIL
        finally:
            set_option("mail")
    with login(byway, "late") as talk:
        assert mail_of(talk, "late")() == OWNER


# ---- H4: byway domain verify -------------------------------------------------------------------------------

def verify(byway, domain):
    done = byway.cli("domain", "verify", domain, "--json", check=False)
    shown = byway.cli("domain", "show", domain, json_out=True)
    return done.returncode, json.loads(done.stdout), shown["verified"]


def by_name(answer):
    return {r["record"]: r for r in answer["records"]}


def test_verify_says_what_is_missing_then_sets_active(byway, upstream):
    status, answer, verified = verify(byway, "right.example")  # no selector yet
    assert (status, answer["status"], verified) == (65, "Domain not verified", False)
    assert by_name(answer)["dkim"]["found"] is False and "--dkim-selector" in by_name(answer)["dkim"]["should"]
    with login(byway, "strict") as talk:
        assert str(send(talk, "me@strict.example", "From: x@right.example\r\n")) == NOT_VERIFIED
        byway.cli("domain", "set", "right.example", "--dkim-selector", "s1")
        status, answer, verified = verify(byway, "right.example")
        assert (status, answer["status"], verified) == (0, "Active", True), answer
        assert all(r["ok"] for r in answer["records"]), answer
        acts(lambda: str(send(talk, "me@strict.example", "From: x@right.example\r\n")), "250", time.monotonic())
    text = byway.cli("domain", "verify", "right.example")
    assert "Active" in text and "spf" in text


def test_verify_of_a_domain_that_lacks_some(byway):
    byway.cli("domain", "set", "partly.example", "--verified", "yes")
    status, answer, verified = verify(byway, "partly.example")
    assert (status, answer["status"], verified) == (65, "Domain not verified", False)
    rows = by_name(answer)
    assert rows["spf"]["found"] and not rows["spf"]["ok"]
    assert rows["spf"]["should"] == "v=spf1 include:spf.relay.test a -all"
    assert not rows["dkim"]["ok"] and rows["dkim"]["name"] == "s1._domainkey.partly.example"
    assert not rows["dmarc"]["found"] and not rows["dmarc"]["required"]
    assert rows["dmarc"]["name"] == "_dmarc.partly.example" and rows["dmarc"]["should"].startswith("v=DMARC1")
    text = byway.cli("domain", "verify", "partly.example", check=False)
    assert text.returncode == 65 and "Domain not verified" in text.stdout


def test_verify_of_a_domain_with_two_spf_records(byway):
    status, answer, verified = verify(byway, "twice.example")
    assert (status, verified) == (65, False) and not by_name(answer)["spf"]["ok"]
    assert "one" in by_name(answer)["spf"]["why"]


def test_verify_changes_nothing_when_nobody_can_say(byway):
    byway.cli("domain", "set", "broken.example", "--verified", "yes")
    done = byway.cli("domain", "verify", "broken.example", "--json", check=False)
    assert done.returncode == 75
    assert byway.cli("domain", "show", "broken.example", json_out=True)["verified"] is True


def test_verify_of_no_domain(byway):
    assert byway.cli("domain", "verify", "unknown.example", check=False).returncode == 67
