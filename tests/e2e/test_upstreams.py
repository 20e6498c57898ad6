# SPDX-License-Identifier: Apache-2.0
"""Real servers as upstreams: Postfix as a provider with login and TLS and as a native MTA, aiosmtpd, and smtp-sink with its manners (BEHAVIOUR 6, 7)."""
import email
import hashlib
import os
import random
import re
import ssl

import pytest
import stage
from servers import Postfix, Sink
from talk import Talk, split_received

LOGIN, PASSWORD = "relay@provider.example", "secret of the provider"
TO, OTHER = "you@elsewhere.example", "others@elsewhere.example"
LETTER = (b"Date: Fri, 01 May 2026 10:00:00 +0200\r\nMessage-ID: <1@client.example>\r\nFrom: <me@author.example>\r\n"
          b"Subject: upstream\r\n\r\nHello.\r\n.dot\r\n..\r\n.\r\n")

PLAN = "[plan wide]\nrecipients = 500\nsenders = any\n"

# Profiles to Postfix: account -> (service, keys)
PROFILES = {
    "starttls": ("starttls", "tls = starttls"), "implicit": ("implicit", "tls = implicit"),
    "cram-md5": ("cram-md5", "tls = none"), "login": ("login", "tls = starttls"), "chunkless": ("chunkless", "tls = none"),
    "wrong-password": ("starttls", "tls = starttls"), "wrong-user": ("implicit", "tls = implicit"),
    "no-ca": ("starttls", "tls = starttls"), "pinned": ("starttls", "tls = starttls"), "wrong-pin": ("implicit", "tls = implicit"),
    "wrong-name": ("implicit", "tls = implicit"), "no-starttls": ("cram-md5", "tls = starttls"), "not-tls": ("starttls", "tls = implicit"),
    "nobody-there": (None, "tls = none"), "no-host": ("native", "tls = none"),
}
METHOD = {"starttls": "PLAIN", "implicit": "PLAIN", "cram-md5": "CRAM-MD5", "login": "LOGIN"}

# smtp-sink's flags, and what the client hears: (at RCPT, at DATA, at the end)
OK = "250 2.1.5 Ok"
SENT = "250 2.0.0 Ok"
NOT_NOW = "451 4.5.1 No recipient can be accepted now, try again later"
SINKS = {
    "as it is": ((), OK, "354", SENT),
    "no 8BITMIME": (("-8",), OK, "354", SENT),
    "no PIPELINING": (("-p",), OK, "354", SENT),
    "no ESMTP": (("-e",), OK, "354", SENT),
    "a PIX": (("-P",), OK, "354", SENT),
    "no enhanced codes": (("-E",), OK, "354", SENT),
    "no DSN": (("-N",), OK, "354", SENT),
    "slow": (("-w", "1", "-W", "RCPT:1"), OK, "354", SENT),
    "refuses EHLO": (("-f", "EHLO"), OK, "354", SENT),
    "refuses greetings": (("-f", "EHLO,HELO"), "451 4.3.5", NOT_NOW, None),
    "refuses connections": (("-f", "CONNECT"), "451 4.3.2", NOT_NOW, None),
    "puts connections off": (("-r", "CONNECT"), "451 4.4.1", NOT_NOW, None),
    "hangs up on connections": (("-q", "CONNECT"), "451 4.4.", NOT_NOW, None),
    "refuses MAIL": (("-f", "MAIL", "-B", "550 5.1.8 not you"), "550 5.7.1 not you", "554 5.5.1 No valid recipients", None),
    "puts MAIL off": (("-r", "MAIL", "-b", "451 4.7.1 not now"), "451 4.7.1 not now", NOT_NOW, None),
    "refuses RCPT": (("-f", "RCPT", "-B", "550 5.1.1 no such user"), "550 5.1.1 no such user", "554 5.5.1 No valid recipients", None),
    "puts RCPT off": (("-r", "RCPT", "-b", "450 4.2.0 come back"), "450 4.2.0 come back", NOT_NOW, None),
    "hangs up on RCPT": (("-q", "RCPT"), "451 4.4.2", NOT_NOW, None),
    "sends RCPT away": (("-Q", "RCPT"), "451 4", NOT_NOW, None),
    "refuses DATA": (("-f", "DATA", "-B", "554 5.7.1 no content, please"), OK, "554 5.7.1 no content, please", None),
    "puts DATA off": (("-r", "DATA", "-b", "451 4.3.0 busy"), OK, "451 4.3.0 busy", None),
    "hangs up on DATA": (("-q", "DATA"), OK, "451 4.4.2", None),
    "refuses content": (("-f", ".", "-B", "554 5.7.1 spam"), OK, "354", "554 5.7.1 spam"),
    "puts content off": (("-r", ".", "-b", "451 4.7.1 greylisted"), OK, "354", "451 4.7.1 greylisted"),
    "hangs up on the dot": (("-q", "."), OK, "354", "451 4.4.2"),
    "sends the dot away": (("-Q", "."), OK, "354", "451 4"),
}
IDS = {name: re.sub(r"\W", "-", name).lower() for name in SINKS}


@pytest.fixture(scope="module")
def postfix(stack, pair):
    if os.geteuid() != 0:
        pytest.skip("Postfix needs root")
    return stack.enter_context(Postfix(pair, {LOGIN: PASSWORD}, ["elsewhere.example", "b\u00fccher.example", "sender.example"]))


@pytest.fixture(scope="module")
def ports():
    return {name: stage.free_port() for name in SINKS}


def pin(pair):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair[0].read_text())).hexdigest()


def profile(name, host, port, keys):
    return (f"[account {name}]\nplan = wide\nroute = up\n[profile {name}/up]\nhost = {host}\nport = {port}\n{keys}\n"
            f"[domain {name}.example]\naccount = {name}\n[mailbox me@{name}.example]\npassword_file = {{password}}\n")


def postfix_directory(byway, postfix, pair, closed):
    right, wrong = byway.secret("provider", PASSWORD), byway.secret("wrong", "not " + PASSWORD)
    text = PLAN
    for name, (service, keys) in PROFILES.items():
        port = postfix.ports[service] if service else closed
        host = {"wrong-name": "localhost.localdomain", "no-host": "nowhere.invalid"}.get(name, "localhost")
        keys += "" if name in ("no-ca", "pinned", "wrong-pin") else f"\nca_file = {pair[0]}"
        keys += {"pinned": f"\npin = {pin(pair)}", "wrong-pin": f"\npin = {pin(pair)[::-1]}"}.get(name, "")
        if service not in (None, "chunkless", "native"):
            keys += f"\nusername = {'x' if name == 'wrong-user' else ''}{LOGIN}"
            keys += f"\npassword_file = {wrong if name == 'wrong-password' else right}"
        text += profile(name, host, port, keys)
    return text


@pytest.fixture(scope="module")
def byway(folder, stage_byway, postfix, pair):
    """Towards Postfix: as a provider by profiles, as a native MTA with XCLIENT."""
    b, closed = stage.Byway(folder / "byway"), stage.free_port()
    b.settings["upstream"]["allow_ports"] = " ".join(str(p) for p in [*postfix.ports.values(), closed])
    b.settings["mta one"] = {"host": "127.0.0.1", "port": postfix.ports["xclient"], "tls": "none", "xclient": "yes"}
    b.folder.mkdir()
    text = postfix_directory(b, postfix, pair, closed).replace("{password}", str(b.secret("password", "secret")))
    text += (f"[account native]\nplan = wide\n[domain native.example]\naccount = native\n"
             f"[mailbox me@native.example]\npassword_file = {b.folder}/password\n[ip 127.0.0.90]\naccount = native\n")
    return stage_byway(b, text)


@pytest.fixture(scope="module")
def to_sinks(folder, stage_byway, ports):
    b = stage.Byway(folder / "sinks", workers=1)
    b.settings["upstream"]["allow_ports"] = " ".join(map(str, ports.values()))
    b.folder.mkdir()
    password = b.secret("password", "secret")
    return stage_byway(b, PLAN + "".join(profile(IDS[n], "127.0.0.1", p, "tls = none") for n, p in ports.items()).replace("{password}", str(password)))


def me(name):
    return (f"me@{name}.example", "secret")


def send(byway, name, recipients=(TO,), content=LETTER, options="", rcpt_options="", **how):
    """(the id that the client heard of, the reply)."""
    with Talk(byway, login=me(name), **how) as t:
        t.cmd(f"MAIL FROM:<me@{name}.example>{options}", 250)
        for r in recipients:
            t.cmd(f"RCPT TO:<{r}>{rcpt_options}", 250)
        reply = t.data(content)
    assert reply.code == 250, reply
    found = re.fullmatch(r"Ok \S+ \(upstream: 250 2\.0\.0 Ok: (?:\d+ bytes )?queued as (\w+)\)", reply.words)
    assert found, reply
    return found[1]


def received_by_postfix(content):
    """What stands in the maildir behind our Received:, in CRLF again."""
    return split_received(content.replace(b"\n", b"\r\n"))[1]


# Postfix as a provider

@pytest.mark.parametrize("name", ["starttls", "implicit", "cram-md5", "login"])
@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_R1_a_provider_takes_it_by_its_login_and_queue_id(byway, postfix, name, mode):
    queue_id = send(byway, name, [TO, OTHER], mode=mode)
    got = postfix.wait_for(queue_id, 2)
    assert sorted(m["to"] for m in got) == [OTHER, TO]
    for m in got:
        assert m["from"] == f"me@{name}.example"
        assert m["proto"] == ("ESMTPA" if name == "cram-md5" else "ESMTPSA")
        assert received_by_postfix(m["content"]) == LETTER
    service = PROFILES[name][0]
    assert postfix.logged(rf"{service}/smtpd\[\d+\]: {queue_id}: client=unknown\[127.0.0.1\], sasl_method={METHOD[name]}, sasl_username={LOGIN}$")


def test_L4_chunks_and_data_arrive_alike(byway, postfix):
    r = random.Random(1)
    body = b"".join(r.choice([b"", b".", b".."]) + bytes(r.choices(b"abc \t.\xe4\xff", k=r.randrange(998))) + b"x\r\n" for _ in range(3000))
    content = LETTER + body
    for name in ("starttls", "chunkless", "native"):
        got, = postfix.wait_for(send(byway, name, content=content, options=" BODY=8BITMIME"))
        assert received_by_postfix(got["content"]) == content, name


def test_L4_a_large_message(byway, postfix):
    content = LETTER + (b"0123456789" * 7 + b"\r\n") * 150000
    for name in ("implicit", "chunkless"):
        got, = postfix.wait_for(send(byway, name, content=content))
        assert received_by_postfix(got["content"]) == content
        got["path"].unlink()


def test_L2_a_hundred_recipients_in_one_write(byway, postfix):
    recipients = [f"r{n}@elsewhere.example" for n in range(100)]
    bad = "nobody@elsewhere.example"
    with Talk(byway, login=me("starttls")) as t:
        t.raw("MAIL FROM:<me@starttls.example>\r\n" + "".join(f"RCPT TO:<{r}>\r\n" for r in [bad, *recipients, bad]) + "DATA\r\n")
        assert t.read().code == 250
        replies = [t.read() for _ in range(102)]
        assert t.read().code == 354
        t.raw(LETTER.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        queue_id = re.search(r"queued as (\w+)\)$", t.read().words)[1]
    refusal = f"550 5.7.1 <{bad}>: Recipient address rejected: said the provider"
    assert [str(r) for r in (replies[0], replies[-1])] == [refusal, refusal]
    assert {str(r) for r in replies[1:-1]} == {"250 2.1.5 Ok"}
    assert sorted(m["to"] for m in postfix.wait_for(queue_id, 100)) == sorted(recipients)


def test_L6_one_connection_carries_many_messages(byway, postfix):
    """Of a route that no other test takes: cram-md5 has a service of its own, and its connections are counted anew."""
    before = len(re.findall(r"cram-md5/smtpd\[\d+\]: connect from", postfix.log.read_text()))
    ids = [send(byway, "cram-md5") for _ in range(20)]
    assert len(set(ids)) == 20 and all(len(postfix.wait_for(i)) == 1 for i in ids)
    connects = len(re.findall(r"cram-md5/smtpd\[\d+\]: connect from", postfix.log.read_text())) - before
    assert connects <= 2  # one for each worker


def test_P4_utf8_addresses_through_postfix(byway, postfix):
    content = "Subject: Gr\u00fc\u00dfe\r\n".encode() + LETTER
    for name in ("starttls", "native"):
        queue_id = send(byway, name, ["j\u00fcrgen@elsewhere.example", "you@b\u00fccher.example"], content, options=" SMTPUTF8 BODY=8BITMIME")
        got = postfix.wait_for(queue_id, 2)
        assert sorted(m["to"] for m in got) == ["j\u00fcrgen@elsewhere.example", "you@b\u00fccher.example"]
        assert received_by_postfix(got[0]["content"]) == content


@pytest.mark.parametrize("name", ["starttls", "native"])
def test_P4_delivery_reports_as_asked_for(byway, postfix, name):
    """RET, ENVID, NOTIFY and ORCPT pass: the report that the sender gets names them."""
    envelope = f"id+2B{name}"
    with Talk(byway, login=me(name)) as t:
        t.cmd(f"MAIL FROM:<me@sender.example> RET=HDRS ENVID={envelope}", 250)
        t.cmd(f"RCPT TO:<{TO}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@orig.example", 250)
        t.cmd(f"RCPT TO:<{OTHER}> NOTIFY=NEVER", 250)
        queue_id = re.search(r"queued as (\w+)\)$", t.data(LETTER).words)[1]

    def report():
        return [m for m in postfix.delivered() if f"Original-Envelope-Id: id+{name}".encode() in m["raw"]]

    got = stage.wait_until(report, 15, every=0.1)
    assert got and len(got) == 1 and got[0]["to"] == "me@sender.example" and got[0]["from"] == ""
    mail = email.message_from_bytes(got[0]["raw"])
    status, about = mail.get_payload(1).get_payload()
    assert status["Original-Envelope-Id"] == f"id+{name}" and queue_id in status["X-Postfix-Queue-ID"]
    assert (about["Original-Recipient"], about["Action"]) == ("rfc822;Bob+x@orig.example", "relayed") or (
        about["Original-Recipient"], about["Action"]) == ("rfc822;Bob+x@orig.example", "delivered")
    assert mail.get_payload(2).get_content_type() == "text/rfc822-headers"
    assert OTHER.encode() not in got[0]["raw"]


# What goes wrong with a provider

@pytest.mark.parametrize("name, at_rcpt, at_data", [
    ("wrong-password", "550 5.3.5 Your SMTP provider did not accept the stored credentials", "554 5.5.1 No valid recipients"),
    ("wrong-user", "550 5.3.5 Your SMTP provider did not accept the stored credentials", "554 5.5.1 No valid recipients"),
    ("no-ca", "451 4.7.5 No trustworthy TLS connection to the upstream", None),
    ("wrong-pin", "451 4.7.5 No trustworthy TLS connection to the upstream", None),
    ("not-tls", "451 4.7.5 No trustworthy TLS connection to the upstream", None),
    ("no-starttls", "451 4.3.5 The upstream's settings are wrong on its side or ours", None),
    ("nobody-there", "451 4.4.1 No connection to the upstream", None),
])
def test_R4_trouble_is_told_at_rcpt_and_nothing_is_sent(byway, postfix, name, at_rcpt, at_data):
    with Talk(byway, login=me(name)) as t:
        t.cmd(f"MAIL FROM:<me@{name}.example>", 250)
        assert str(t.cmd(f"RCPT TO:<{TO}>")) == at_rcpt
        assert str(t.cmd("DATA")) == (at_data or NOT_NOW)
        t.cmd("NOOP", 250)
    assert PASSWORD not in byway.log.read_text() and LOGIN not in str(byway.events("message", sender=f"me@{name}.example"))
    assert not [m for m in postfix.delivered() if m["from"] == f"me@{name}.example"]


def test_R4_no_such_host(byway):
    with Talk(byway, login=me("no-host")) as t:
        t.cmd("MAIL FROM:<me@no-host.example>", 250)
        assert str(t.cmd(f"RCPT TO:<{TO}>")).startswith(("451 4.4.4", "451 4.4.3"))


def test_R4_a_certificate_for_another_name(byway, postfix):
    """Reached by a name that resolves to the right address and that the certificate does not hold."""
    with Talk(byway, login=me("wrong-name")) as t:
        t.cmd("MAIL FROM:<me@wrong-name.example>", 250)
        reply = t.cmd(f"RCPT TO:<{TO}>")
    assert str(reply).startswith(("451 4.7.5", "451 4.4."))  # 4.4.x where the resolver does not know the name


def test_R4_a_pin_is_enough(byway, postfix):
    assert len(postfix.wait_for(send(byway, "pinned"))) == 1


def test_R5_hosts_inside_are_not_allowed_by_default(folder, stack, postfix, pair):
    b = stage.Byway(folder / "closed", workers=1)
    b.settings["upstream"] = {"allow_ports": str(postfix.ports["starttls"])}
    b.folder.mkdir()
    right = b.secret("provider", PASSWORD)
    b.init()
    b.apply(PLAN + profile("inside", "localhost", postfix.ports["starttls"], f"tls = starttls\nusername = {LOGIN}\npassword_file = {right}\nca_file = {pair[0]}")
            .replace("{password}", str(b.secret("password", "secret"))))
    with b, Talk(b, login=me("inside")) as t:
        t.cmd("MAIL FROM:<me@inside.example>", 250)
        assert str(t.cmd(f"RCPT TO:<{TO}>")) == "451 4.4.4 Upstream host not allowed"
        assert t.cmd("DATA").code in (451, 554)


# Postfix as a native MTA

def test_R2_xclient_names_each_client(byway, postfix):
    """Clients in turn, over the same few connections: each message is logged with its own client. HELO is another matter: Byway greets anew."""
    seen = {}
    for n in range(12):
        source = f"127.0.0.{91 + n % 3}"
        seen[send(byway, "native", source=source)] = source
    for queue_id, source in seen.items():
        assert postfix.logged(rf"xclient/smtpd\[\d+\]: {queue_id}: client=\S*\[{re.escape(source)}\], .*sasl_username=me@native.example")
        got, = postfix.wait_for(queue_id)
        assert re.match(rb"(?:.+\n)*?Received: from relay.test \(unknown \[" + re.escape(source).encode() + rb"\]\)", got["raw"])
        assert received_by_postfix(got["content"]) == LETTER


def test_R2_xclient_without_a_login_names_none(byway, postfix):
    ids = [send(byway, "native", source="127.0.0.94")]
    with Talk(byway, "plain", source="127.0.0.90") as t:
        t.cmd("EHLO printer.example", 250)
        ids.append(re.search(r"queued as (\w+)\)$", t.send("me@native.example", [TO], LETTER).words)[1])
    assert postfix.logged(rf"{ids[1]}: client=\S*\[127\.0\.0\.90\]")
    assert "me@native.example" not in re.search(rf"{ids[1]}: client=.*", postfix.log.read_text())[0]


# smtp-sink

@pytest.mark.parametrize("name", SINKS, ids=IDS.values())
def test_7_what_the_client_hears_of_an_upstreams_manners(to_sinks, ports, name):
    flags, at_rcpt, at_data, at_end = SINKS[name]
    sender = f"me@{IDS[name]}.example"
    with Sink(*flags, port=ports[name]) as sink, Talk(to_sinks, login=me(IDS[name])) as t:
        for _ in range(2):
            t.cmd(f"MAIL FROM:<{sender}>", 250)
            assert str(t.cmd(f"RCPT TO:<{TO}>")).startswith(at_rcpt)
            reply = t.cmd("DATA")
            assert str(reply).startswith(at_data), reply
            if reply.code == 354:
                t.raw(LETTER.replace(b"\r\n.", b"\r\n..") + b".\r\n")
                reply = t.read()
                assert str(reply).startswith(at_end), reply
            assert t.cmd("NOOP").code == 250
        if at_end == SENT:
            got = sink.take()
            assert [(g["from"].split()[0], g["to"]) for g in got] == [(f"<{sender}>", [f"<{TO}>"])] * 2
            assert all(received_by_postfix(g["content"]) == LETTER for g in got)
            if "-e" in flags or "-P" in flags or "EHLO" in flags:
                assert got[0]["proto"] == "SMTP"


def test_7_lost_after_the_dot_is_unknown(to_sinks, ports):
    name = "hangs up on the dot"
    sender = f"me@{IDS[name]}.example"
    with Sink("-q", ".", port=ports[name]), Talk(to_sinks, login=me(IDS[name])) as t:
        reply = t.send(sender, [TO], LETTER)
        assert str(reply) == "451 4.4.2 Connection to the upstream lost; it may have accepted the message"
        assert to_sinks.wait_event("message", outcome="unknown", sender=sender)


def test_P4_dsn_and_8_bits_where_the_upstream_has_neither(to_sinks, ports):
    for name, flags in (("no DSN", ["-N"]), ("no ESMTP", ["-e"])):
        with Sink(*flags, port=ports[name]) as sink, Talk(to_sinks, login=me(IDS[name])) as t:
            t.cmd(f"MAIL FROM:<me@{IDS[name]}.example> RET=HDRS ENVID=x", 250)
            for notify in ("SUCCESS", "NEVER", "SUCCESS,DELAY"):
                reply = t.cmd(f"RCPT TO:<{TO}> NOTIFY={notify}")
                assert (reply.code, reply.enhanced) == (550, "5.3.3")
            t.cmd(f"RCPT TO:<{TO}> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a@b", 250)
            assert t.data(LETTER).code == 250
            got, = sink.take()
            assert "RET" not in got["from"] and got["to"] == [f"<{TO}>"]
    with Sink("-8", port=ports["no 8BITMIME"]) as sink, Talk(to_sinks, login=me(IDS["no 8BITMIME"])) as t:
        assert t.send(f"me@{IDS['no 8BITMIME']}.example", [TO], LETTER + b"\xe4\r\n").code == 250
        assert t.send(f"me@{IDS['no 8BITMIME']}.example", [TO], LETTER).code == 250
        assert len(sink.take()) == 2


def test_R2_the_pool_skips_the_dead_and_takes_back_the_living(folder, stack, stage_byway):
    one, two = stack.enter_context(Sink()), stack.enter_context(Sink())
    b = stage.Byway(folder / "pool", workers=1, settings={
        "native": {"check": "1s", "dead": "1s"}, "upstream": {},
        "mta one": {"host": "127.0.0.1", "port": one.port, "tls": "none", "weight": 10},
        "mta two": {"host": "127.0.0.1", "port": two.port, "tls": "none", "weight": 30}})
    b.folder.mkdir()
    stage_byway(b, PLAN + "[account native]\nplan = wide\n[domain native.example]\naccount = native\n"
                   f"[mailbox me@native.example]\npassword_file = {b.secret('password', 'secret')}\n")
    with Talk(b, login=me("native")) as t:
        def some(n):
            for _ in range(n):
                assert t.send("me@native.example", [TO], LETTER).code == 250
            return len(one.take()), len(two.take())

        assert some(40) == (10, 30)
        stage.stop(one.process)
        assert some(20) == (0, 20)
        one.start()
        assert stage.wait_until(lambda: some(8)[0] > 0, 10, every=0.2)
