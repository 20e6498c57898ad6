# SPDX-License-Identifier: Apache-2.0
"""byway explain, usage, limits, trace, and the states they tell of (H1, H2, S1 to S4, A4, A6)."""
import contextlib
import gzip
import json
import lzma
import os
import re
import socket
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import stage
import talk

DIRECTORY = """[plan tiny]
can_send = yes
mailbox_day = 3
account_day = 100
account_hour = 100
recipients = 2
[account acme]
plan = pro
owner_verified = yes
[profile acme/mg]
host = localhost
port = {port}
tls = none
username = relay
password_file = {folder}/mg.pw
[domain acme.example]
account = acme
verified = yes
[domain own.example]
account = acme
route = mg
[mailbox alice@acme.example]
password_file = {folder}/pw
[mailbox bob@acme.example]
password_file = {folder}/pw
[mailbox carol@own.example]
password_file = {folder}/pw
[account small]
plan = tiny
owner_verified = yes
[domain small.example]
account = small
[mailbox dave@small.example]
password_file = {folder}/pw
[account free]
plan = nano
owner_verified = yes
[domain free.example]
account = free
[mailbox erin@free.example]
password_file = {folder}/pw
[account late]
plan = starter
registered = 2026-02-19
[domain late.example]
account = late
[mailbox frank@late.example]
password_file = {folder}/pw
[account strict]
plan = starter
owner_verified = yes
restrict_senders = yes
allowed_senders = other@strict.example
[domain strict.example]
account = strict
[mailbox gina@strict.example]
password_file = {folder}/pw
[ip 127.0.0.77]
account = acme
"""
LETTER = b"Subject: x\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def upstream(stack):
    return stack.enter_context(stage.Upstream(refuse={"no@elsewhere.example": "550 5.1.1 no such user here",
                                                      "policy@elsewhere.example": "550 5.7.1 your SPF says no"}))


@pytest.fixture(scope="module")
def own(stack):
    return stack.enter_context(stage.Upstream(users={"relay": "right"}))


@pytest.fixture(scope="module", params=["json", "text"])
def byway(request, folder, stack, stage_byway, upstream, own):
    b = stage.Byway(folder / request.param, settings={
        "mta one": {"host": "127.0.0.1", "port": upstream.port, "tls": "none"},
        "upstream": {"allow_networks": "127.0.0.0/8 ::1", "allow_ports": str(own.port)},
        "log": {"format": request.param}, "guessing": {"name_free": 100, "address_free": 100, "address_failures": 0}})
    b.folder.mkdir(parents=True)
    b.secret("pw", "secret")
    b.secret("mg.pw", "wrong")
    return stage_byway(b, DIRECTORY.format(folder=b.folder, port=own.port))


def session(byway, name, **how):
    return talk.Talk(byway, "tls", login=(name, "secret"), **how)


def explain(byway, name, *args, failing=0, status=None):
    done = byway.cli("explain", name, *args, "--json", check=False)
    got = json.loads(done.stdout)
    assert done.returncode == (0 if got["failing"] is None and got["smtp"] is None else 69)
    if failing != 0:
        assert got["failing"] == failing, got
    if status:
        number, word = status
        assert got["checks"][number - 1]["status"] == word, got["checks"][number - 1]
    assert [c["number"] for c in got["checks"]] == list(range(1, 11))
    # Advice speaks of whom it is about, not of ACCOUNT or MAILBOX.
    assert not re.search(r"\$|\b(ACCOUNT|ADDRESS|MAILBOX|DOMAIN|PROFILE)\b", " ".join(c["todo"] or "" for c in got["checks"]))
    return got


def heard(reply):
    return f"{reply['code']} {reply['enhanced']} {reply['text']}"


def refused_mail(byway, name):
    with session(byway, name) as t:
        return str(t.cmd(f"MAIL FROM:<{name}>"))


# ---- the ten checks, each against what the SMTP path says

def test_nothing_stands_against_it(byway):
    got = explain(byway, "alice@acme.example", failing=None)
    assert got["smtp"] is None and got["account"] == "acme" and got["route"] == "native"
    assert "Nothing stands against its mail here." in byway.cli("explain", "alice@acme.example")


def test_1_owner(byway):
    got = explain(byway, "frank@late.example", failing=1)
    assert heard(got["smtp"]) == refused_mail(byway, "frank@late.example") == \
        "554 5.7.7 Sending blocked - please verify your email."
    with session(byway, "frank@late.example") as t:
        assert t.cmd("MAIL FROM:<frank@late.example>").code == 554
        byway.cli("verify", "late")
        assert stage.wait_until(lambda: t.cmd("MAIL FROM:<frank@late.example>").code == 250, 1)
    explain(byway, "frank@late.example", failing=None, status=(1, "ok"))


def test_1_owner_within_the_grace(byway):
    byway.cli("account", "set", "late", "--owner-verified", "no", "--registered", time.strftime("%Y-%m-%d"))
    got = explain(byway, "frank@late.example", failing=None, status=(1, "note"))
    assert "mail stops at" in got["checks"][0]["finding"] and got["smtp"] is None
    byway.cli("account", "set", "late", "--registered", "2026-02-18")
    got = explain(byway, "frank@late.example", status=(1, "ok"))
    assert "Registered before 19 February 2026" in got["checks"][0]["finding"]


def test_2_domain(byway):
    got = explain(byway, "carol@own.example", status=(2, "note"))
    assert got["checks"][1]["finding"].startswith("Domain not verified: own.example; senders = own: ")
    explain(byway, "alice@acme.example", status=(2, "ok"))


def test_2_sender_rules(byway):
    got = explain(byway, "gina@strict.example", failing=2)
    assert heard(got["smtp"]) == refused_mail(byway, "gina@strict.example") == \
        "550 5.7.1 That SMTP sender is not on your allowed list"


def test_3_plan(byway):
    got = explain(byway, "erin@free.example", failing=3)
    assert heard(got["smtp"]) == refused_mail(byway, "erin@free.example")
    assert got["smtp"]["id"] == "plan_cannot_send" and got["route"] is None


def test_4_limits(byway):
    with session(byway, "dave@small.example") as t:
        for _ in range(3):
            assert t.send("dave@small.example", ["x@elsewhere.example"], LETTER).code == 250
        said = str(t.cmd("MAIL FROM:<dave@small.example>"))
    got = explain(byway, "dave@small.example", failing=4)
    assert said.startswith(heard(got["smtp"]) + " (3 of 3 today") and got["smtp"]["id"] == "quota_mailbox_day"
    assert got["checks"][3]["finding"].startswith("3 of 3 today; next at ")
    usage = byway.cli("usage", "dave@small.example", json_out=True)
    day = {x["limit"]: x for x in usage["limits"]}
    assert (day["mailbox_day"]["used"], day["mailbox_day"]["cap"]) == (3, 3)
    assert day["mailbox_day"]["resets"] % 86400 == 0 and day["account_day"]["used"] == 3
    assert "mailbox_day" not in {x["limit"] for x in byway.cli("usage", "small", json_out=True)["limits"]}
    assert "mailbox_day" in byway.cli("limits", "show", "dave@small.example")
    byway.cli("limits", "reset", "dave@small.example")
    explain(byway, "dave@small.example", failing=None, status=(4, "ok"))
    with session(byway, "dave@small.example") as t:
        t.cmd("MAIL FROM:<dave@small.example>", 250)


def test_5_recipients(byway):
    byway.cli("limits", "reset", "dave@small.example")
    with session(byway, "dave@small.example") as t:
        t.mail("dave@small.example", "a@elsewhere.example", "b@elsewhere.example")
        assert t.cmd("RCPT TO:<c@elsewhere.example>").code == 550
        assert t.cmd("DATA").code == 554
    got = explain(byway, "dave@small.example", status=(5, "note"))
    assert got["checks"][4]["finding"].startswith("Up to 2 recipients per message; one more, and nobody gets it; 1 refused")


def test_the_last_refusal_is_the_last(byway):
    """Whichever worker said it, and many in one second."""
    byway.cli("limits", "reset", "dave@small.example")
    for n in range(12):
        with session(byway, "dave@small.example") as t:
            if n % 2:
                t.mail("dave@small.example", "a@elsewhere.example", "b@elsewhere.example")
                assert t.cmd("RCPT TO:<c@elsewhere.example>").code == 550
                assert t.cmd("DATA").code == 554
            else:
                assert t.cmd("MAIL FROM:<dave@small.example> SIZE=999999999").code == 552
        last = byway.cli("usage", "dave@small.example", json_out=True)["refusals"][0]
        assert last["code"] == (554 if n % 2 else 552), (n, last)


@pytest.mark.parametrize("by", ["owner", "admin", "abuse"])
def test_6_paused(byway, by):
    with session(byway, "bob@acme.example") as t:
        byway.cli("mailbox", "pause", "bob@acme.example", "--by", by)
        assert stage.wait_until(lambda: str(t.cmd("RSET")) and str(t.cmd("MAIL FROM:<bob@acme.example>")) ==
                                "554 5.7.7 This mailbox is paused", 1)
    got = explain(byway, "bob@acme.example", failing=6)
    with talk.Talk(byway, "tls") as t:
        assert heard(got["smtp"]) == str(t.auth("bob@acme.example", "secret")) == "535 5.7.8 Authentication failed"
    assert f"paused-{by}" in got["checks"][5]["finding"]
    assert byway.cli("resume", "bob@acme.example", json_out=True) == {
        "kind": "mailbox", "name": "bob@acme.example", "was": f"paused-{by}", "state": "active"}
    assert stage.wait_until(lambda: explain(byway, "bob@acme.example")["failing"] is None, 2)


def test_6_blocked(byway):
    byway.cli("block", "bob@acme.example")
    got = explain(byway, "bob@acme.example", failing=6)
    assert heard(got["smtp"]) == refused_mail(byway, "bob@acme.example") == \
        "550 5.7.1 That smtp username is not allowed to send"
    assert "byway unblock" in byway.cli("resume", "bob@acme.example", check=False).stderr
    byway.cli("unblock", "bob@acme.example")


def test_blocked_address(byway):
    assert explain(byway, "127.0.0.77", failing=None)["name"].startswith("127.0.0.77")
    byway.cli("ip", "block", "127.0.0.77")
    time.sleep(0.5)  # each worker has looked
    assert stage.wait_until(lambda: explain(byway, "127.0.0.77")["failing"] == 6, 2)
    with talk.Talk(byway, "tls", source="127.0.0.77") as t:
        said = str(t.cmd("MAIL FROM:<x@acme.example>"))
    assert said == heard(explain(byway, "127.0.0.77")["smtp"]) == "550 5.7.1 That IP address is not allowed to send"
    byway.cli("unblock", "127.0.0.77")


@pytest.mark.parametrize("reason, words", [
    ("billing", "There is a billing issue with your account. Please update payment details or contact support."),
    ("deliverability", "We've temporarily paused outbound mail because too many of your recent messages were rejected by "
     "recipient servers. This is usually a quick fix - please reach out to support and we'll help you get sending again."),
    ("abuse", "Your account is temporarily restricted. Please contact support for details.")])
def test_7_suspended(byway, reason, words):
    with session(byway, "alice@acme.example") as t:
        byway.cli("suspend", "acme", "--reason", reason)
        assert stage.wait_until(lambda: str(t.cmd("RSET")) and t.cmd("MAIL FROM:<alice@acme.example>").words == words, 1)
    got = explain(byway, "alice@acme.example", failing=7)
    assert heard(got["smtp"]) == f"554 5.7.7 {words}"
    byway.cli("account", "resume", "acme")
    assert stage.wait_until(lambda: explain(byway, "alice@acme.example")["failing"] is None, 2)


def test_8_login(byway):
    with talk.Talk(byway, "tls") as t:
        for _ in range(2):
            assert t.auth("alice@acme.example", "guess").code == 535
    got = explain(byway, "alice@acme.example", failing=None, status=(8, "note"))
    assert got["checks"][7]["finding"].startswith("2 failed log-ins, the last at ")
    assert got["checks"][7]["finding"].endswith(": wrong password")


def test_8_no_such_mailbox(byway):
    got = explain(byway, "nobody@acme.example", failing=8)
    assert heard(got["smtp"]) == "535 5.7.8 Authentication failed"
    assert "There is no mailbox of that name" in byway.cli("explain", "nobody@acme.example", check=False).stdout
    assert byway.cli("usage", "nobody@acme.example", check=False).returncode == 67


def test_9_own_upstream(byway, own):
    with session(byway, "carol@own.example") as t:
        for _ in range(3):
            t.cmd("MAIL FROM:<carol@own.example>", 250)
            said = str(t.cmd("RCPT TO:<x@elsewhere.example>"))
            assert said == "550 5.3.5 Your SMTP provider did not accept the stored credentials"
            t.cmd("RSET", 250)
    got = explain(byway, "carol@own.example", failing=9)
    assert got["route"] == "mg" and "535" in got["checks"][8]["finding"]
    assert got["smtp"] is None and heard(got["checks"][8]["reply"]) == said
    todo = "Check the user name and set the password again: byway profile passwd acme/mg."
    assert got["checks"][8]["todo"] == todo
    shown = byway.cli("explain", "carol@own.example", check=False)
    assert shown.returncode == 69 and "Nothing stands against" not in shown.stdout and todo in shown.stdout
    assert todo in byway.cli("profile", "health", "acme/mg")
    mg = {p["name"]: p for p in byway.cli("usage", "acme", json_out=True)["profiles"]}["mg"]
    assert mg["todo"] == todo and mg["state"] in ("refused", "failing") and mg["class"] == "auth" and mg["failed"] >= 3
    assert "wrong" not in json.dumps(mg)
    byway.secret("mg.pw", "right")
    byway.cli("profile", "passwd", "acme/mg", "--password-file", byway.folder / "mg.pw")

    def sends():
        with session(byway, "carol@own.example") as t:
            t.cmd("MAIL FROM:<carol@own.example>", 250)
            return t.cmd("RCPT TO:<x@elsewhere.example>").code == 250 and t.data(LETTER).code == 250

    assert stage.wait_until(sends, 2)
    explain(byway, "carol@own.example", failing=None, status=(9, "ok"))


# What a profile's server does to its mail: the class, what RCPT hears, a word of the advice.
TROUBLES = {
    "suspended": (["220 x", "250 x", "550 5.7.0 Account disabled"], "account", "Log in at the provider"),
    "sender": (["220 x", "250 x", "550 5.7.1 The domain is not verified"], "sender", "Verify the sender's domain"),
    "quota": (["220 x", "250 x", "550 5.4.5 Daily user sending limit exceeded"], "quota", "quota at the provider"),
    "held": (["220 x", "250 x", "451 4.7.0 Too many messages, rate limit exceeded"], "rate", "asked too often"),
    "greeting": (["554 5.7.1 no mail from there"], "greeting", "blocked there"),
    "silent": (["what is this"], "protocol", "no SMTP server"),
    "refused": (None, "connect", "a firewall is in the way"),
    "nowhere": ("no-such-host.invalid", "dns_", "name"),
    "banned": ("203.0.113.9", "denied", "not allowed"),
}


def answering(stack, lines):
    """A server that answers each command with the next of LINES."""
    def serve(listening):
        while True:
            try:
                s, _ = listening.accept()
            except OSError:
                return
            with s:
                for i, line in enumerate(lines):
                    if i:
                        s.recv(4096)
                    s.sendall(line.encode() + b"\r\n")
                s.settimeout(1)
                try:
                    while s.recv(4096):
                        s.sendall(b"250 x\r\n")
                except OSError:
                    pass

    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=serve, args=(listening,), daemon=True).start()
    return listening.getsockname()[1]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_H0_the_truth_of_every_trouble_upstream(byway, stack, trouble):
    how, cause, advice = TROUBLES[trouble]
    host = how if isinstance(how, str) else "127.0.0.1"
    port = answering(stack, how) if isinstance(how, list) else stage.free_port()
    name = f"{trouble}.example"
    byway.cli("profile", "add", f"acme/{trouble}", "--host", host, "--port", port, "--tls", "none", "--username", "", check=False)
    byway.cli("domain", "add", name, "--account", "acme", "--route", trouble)
    byway.cli("mailbox", "add", f"box@{name}", "--password-file", byway.folder / "pw")
    with session(byway, f"box@{name}") as t:
        t.cmd(f"MAIL FROM:<box@{name}>", 250)
        said = t.cmd("RCPT TO:<x@elsewhere.example>")
        assert said.code >= 400
    got = explain(byway, f"box@{name}", failing=9)
    check = got["checks"][8]
    assert check["reply"]["id"].startswith(cause) and check["reply"]["code"] == said.code, (said, check)
    assert advice in check["todo"] and "ACCOUNT" not in check["todo"]
    shown = byway.cli("explain", f"box@{name}", check=False).stdout
    assert "Nothing stands against" not in shown and check["todo"] in shown
    profile = {p["name"]: p for p in byway.cli("usage", "acme", json_out=True)["profiles"]}[trouble]
    assert profile["todo"] == check["todo"] and profile["state"] in ("failing", "held")


def test_H0_a_credential_that_cannot_be_opened(byway, own):
    byway.cli("profile", "add", "acme/sealed", "--host", "127.0.0.1", "--port", own.port, "--tls", "none", "--username", "relay",
              "--password-file", byway.folder / "mg.pw")
    byway.cli("domain", "add", "sealed.example", "--account", "acme", "--route", "sealed")
    byway.cli("mailbox", "add", "box@sealed.example", "--password-file", byway.folder / "pw")
    with contextlib.closing(sqlite3.connect(byway.folder / "state/directory.db")) as db, db:
        # By hand: the password was sealed for another host.
        db.execute("UPDATE profile SET host = 'localhost' WHERE name = 'sealed'")
    with session(byway, "box@sealed.example") as t:
        t.cmd("MAIL FROM:<box@sealed.example>", 250)
        said = t.cmd("RCPT TO:<x@elsewhere.example>")
    check = explain(byway, "box@sealed.example", failing=9)["checks"][8]
    assert heard(check["reply"]) == str(said) == "451 4.3.0 The stored credentials cannot be opened"
    assert check["todo"].endswith("byway profile passwd acme/sealed.")


def test_H0_no_server_of_the_operators(tmp_path):
    b = stage.Byway(tmp_path)
    b.init()
    b.secret("pw", "secret")
    b.apply("[account solo]\nplan = pro\nowner_verified = yes\n[domain solo.example]\naccount = solo\n"
            f"[mailbox me@solo.example]\npassword_file = {b.folder}/pw\n")
    with b:
        with session(b, "me@solo.example") as t:
            said = str(t.cmd("MAIL FROM:<me@solo.example>"))
        got = explain(b, "me@solo.example", failing=9)
        assert heard(got["smtp"]) == heard(got["checks"][8]["reply"]) == said == "554 5.3.5 No outgoing server is set up for your account"
        assert "byway profile add solo/own" in got["checks"][8]["todo"]
        assert "Nothing stands against" not in b.cli("explain", "me@solo.example", check=False).stdout


def test_advice_names_whom_it_is_about(byway):
    todo = {n: explain(byway, name)["checks"][n - 1]["todo"] for n, name in ((2, "gina@strict.example"), (3, "erin@free.example"))}
    assert "Add gina@strict.example, or @strict.example" in todo[2] and "byway account set strict --allowed-senders" in todo[2]
    assert "byway account set free --plan" in todo[3] and "byway profile add free/own" in todo[3]


def test_10_recipient(byway):
    with session(byway, "alice@acme.example") as t:
        t.cmd("MAIL FROM:<alice@acme.example>", 250)
        assert t.cmd("RCPT TO:<no@elsewhere.example>").code == 550
        assert t.cmd("RCPT TO:<policy@elsewhere.example>").code == 550
    got = explain(byway, "alice@acme.example", "--to", "you@elsewhere.example", failing=None, status=(10, "note"))
    assert "your SPF says no" in got["checks"][9]["finding"] or "no such user" in got["checks"][9]["finding"]
    explain(byway, "alice@acme.example", "--to", "you@third.example", status=(10, "ok"))
    rows = byway.cli("usage", "alice@acme.example", json_out=True)["refusals"]
    assert any(r["cause"] == "rcpt" and r["count"] >= 2 and r["to"] == "policy@elsewhere.example" for r in rows), rows
    shown = byway.cli("usage", "acme")
    assert "your SPF says no" in shown and "native" in shown


# ---- all of it

def test_all_shows_ten(byway):
    shown = byway.cli("explain", "alice@acme.example", "--all")
    assert "The recipient's server is rejecting" in shown and "Account-owner email" in shown


def test_an_account_is_not_explained(byway):
    done = byway.cli("explain", "acme", check=False)
    assert done.returncode == 69 and "not the account acme" in done.stderr


def test_closed_account_is_not_resumed_by_accident(byway):
    byway.cli("account", "set", "late", "--state", "closed")
    assert "--state active" in byway.cli("resume", "late", check=False).stderr
    byway.cli("account", "set", "late", "--state", "active")


def test_wrong_words(byway):
    assert byway.cli("suspend", "acme", check=False).returncode == 64
    assert byway.cli("suspend", "acme", "--reason", "boredom", check=False).returncode == 65
    assert byway.cli("pause", "bob@acme.example", "--by", "me", check=False).returncode == 65
    assert byway.cli("pause", "nobody@acme.example", check=False).returncode == 67
    assert byway.cli("block", "acme", check=False).returncode == 64
    assert byway.cli("explain", "a b", check=False).returncode == 64


# ---- trace

def test_trace_message_and_session(byway):
    with session(byway, "alice@acme.example") as t:
        session_id = str(t.greeting).split()[-1]
        first = t.send("alice@acme.example", ["x@elsewhere.example"], LETTER)
        t.cmd("MAIL FROM:<alice@acme.example>", 250)
        assert t.cmd("RCPT TO:<no@elsewhere.example>").code == 550
        t.cmd("RSET", 250)
        second = t.send("alice@acme.example", ["y@elsewhere.example"], LETTER)
        t.cmd("QUIT", 221)
    one, two = (r.words.split()[1] for r in (first, second))

    def story(name):
        done = byway.cli("trace", name, "--json", check=False)
        return json.loads(done.stdout)

    assert stage.wait_until(lambda: "session" in {r["ev"] for r in story(session_id)})
    rows = story(session_id)
    assert [r["ev"] for r in rows if r["ev"] in ("auth", "message", "session")][0] == "auth"
    assert {r["id"] for r in rows if r["ev"] == "message"} >= {one, two}
    assert rows[-1]["ev"] == "session" and rows[-1]["close"] == "quit"
    rows = story(one)
    assert {r["id"] for r in rows} == {one, session_id} and any(r.get("outcome") == "sent" for r in rows)
    # Moved away by logrotate, it is found all the same.
    byway.log.rename(f"{byway.log}.1")
    byway.cli("reopen")
    assert {r["id"] for r in story(two)} == {two, session_id}
    assert "alice@acme.example" in byway.cli("trace", two)


def test_trace_by_the_id_that_the_client_heard(byway, tmp_path, monkeypatch):
    """A refusal ends with the id of the message, or of the session where there is none (L12); what the log tells of it names the account."""
    with session(byway, "alice@acme.example") as t:
        session_id = str(t.greeting).split()[-1]
        byway.cli("suspend", "acme", "--reason", "billing")
        try:
            at_mail = stage.wait_until(lambda: (r := t.cmd("MAIL FROM:<alice@acme.example>")).code == 554 and r or not t.cmd("RSET"))
        finally:
            byway.cli("resume", "acme")
        assert at_mail.about == session_id
        stage.wait_until(lambda: t.cmd("MAIL FROM:<alice@acme.example>").code == 250)
        at_rcpt = t.cmd("RCPT TO:<no@elsewhere.example>")
        at_data = t.cmd("DATA")
        assert at_rcpt.code == 550 and at_data.code == 554 and at_rcpt.about == at_data.about != session_id
        t.cmd("QUIT", 221)

    def story(name, *how):
        return json.loads(byway.cli("trace", name, *how, "--json", check=False).stdout)

    rows = stage.wait_until(lambda: (r := story(at_rcpt.about)) and r[-1]["ev"] == "session" and r)
    assert {(r["ev"], r["account_name"]) for r in rows if "account_name" in r} >= {("message", "acme"), ("session", "acme"), ("auth", "acme")}
    refused = [r for r in story(at_mail.about) if r["ev"] == "refused"]
    assert {(r["reply"], r["account_name"]) for r in refused} == {("suspended_billing", "acme")}
    # Compressed by logrotate, it is found all the same; so it is where the log goes to the journal.
    packed = tmp_path / "old.log"
    packed.write_text("")
    for tail, tool in ((".1.gz", gzip), (".2.xz", lzma)):
        with tool.open(f"{packed}{tail}", "wb") as f:
            f.write(byway.log.read_bytes())
        assert {r["id"] for r in story(at_rcpt.about, "--log", str(packed))} == {at_rcpt.about, session_id}
        Path(f"{packed}{tail}").rename(tmp_path / f"other{tail}")
    (tmp_path / "old.log.3.gz").write_bytes(b"not packed")
    assert byway.cli("trace", at_rcpt.about, "--log", str(packed), check=False).returncode == 66
    journal = tmp_path / "journalctl"
    journal.write_text(f"#!/bin/sh\nexec cat {byway.log}\n")
    journal.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert {r["id"] for r in story(at_rcpt.about, "--log", "-")} == {at_rcpt.about, session_id}
    journal.write_text("#!/bin/sh\nexit 1\n")
    failed = byway.cli("trace", at_rcpt.about, "--log", "-", check=False)
    assert failed.returncode == 66 and "--log FILE" in failed.stderr


def test_trace_nothing(byway):
    assert byway.cli("trace", "nosuchid12345", check=False).returncode == 67
    assert byway.cli("trace", "x", check=False).returncode == 64
