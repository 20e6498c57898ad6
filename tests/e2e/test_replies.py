# SPDX-License-Identifier: Apache-2.0
"""Every refusal that the two services' help pages name, provoked in the real dialogue, word by word, in both reply profiles.

WORDS is what those pages say, with the codes of BEHAVIOUR. Each provocation gives what the client heard.
"""
import re

import dns
import pytest
import stage
import talk

YOU = "you@elsewhere.example"
LETTER = b"From: <%s>\r\nTo: <you@elsewhere.example>\r\nSubject: x\r\n\r\nHello.\r\n"

ZONE = {"empty.example": {"TXT": ["nothing else"]}, "fails.example": dns.SERVFAIL}

# The rows of the catalogue, in the words that the client must hear. What stands behind `...` varies.
WORDS = {
    # The page "Common Sending Errors".
    "relay_denied": "550 5.7.1 Relay access denied - please authenticate",
    "from_not_verified": "550 5.7.1 From header sender domain not verified",
    "unrouteable_address": "550 5.1.7 Unrouteable address",
    "unroutable_domain": "550 5.1.8 Unroutable domain",
    "user_blocked": "550 5.7.1 That smtp username is not allowed to send",
    "account_closed": "550 5.7.1 That smtp username is not allowed to send",
    "address_blocked": "550 5.7.1 That IP address is not allowed to send",
    "sender_not_allowed": "550 5.7.1 That SMTP sender is not on your allowed list",
    "quota_month": r"552 5\.7\.0 Your monthly email allowance is exhausted \(1 of 1 this month; next at \S+ 00:00 UTC\)",
    "rate_user": r"550 5\.7\.1 Your username has exceeded the allowed sending rate \(1 of 1 this minute; next at \S+ UTC\)",
    "rate_address": r"550 5\.7\.1 Your IP address exceeded the allowed sending rate \(1 of 1 this minute; next at \S+ UTC\)",
    # Not from us but from an upstream that verifies senders: its words pass.
    "upstream_verification": r"550 5\.7\.1 Verification failed for <me@acme\.example>",
    "upstream_unable": r"550 5\.7\.1 Unable to verify sender address",
    # The page "I Can't Send Emails".
    "unverified_owner": "554 5.7.7 Sending blocked - please verify your email.",
    "plan_cannot_send": "554 5.7.7 Your plan does not include sending; upgrade, or set up your own SMTP provider",
    "quota_hour": "421 4.7.0 user has exceeded sending quota (1 of 1 this hour; next at ...",
    "quota_mailbox_day": "450 4.7.0 user has exceeded sending quota (1 of 1 today; next at ...",
    "quota_account_day": "450 4.7.0 user has exceeded sending quota (1 of 1 today in all mailboxes; next at ...",
    "too_many_rcpt": "550 5.5.3 too many recipients (2 per message on your plan)",
    "too_many_rcpt_message": "554 5.5.3 too many recipients...",
    "mailbox_paused": "554 5.7.7 This mailbox is paused",
    "suspended_billing": "554 5.7.7 There is a billing issue with your account. Please update payment details or contact support.",
    "suspended_deliverability":
        "554 5.7.7 We've temporarily paused outbound mail because too many of your recent messages were rejected by recipient "
        "servers. This is usually a quick fix - please reach out to support and we'll help you get sending again.",
    "suspended_abuse": "554 5.7.7 Your account is temporarily restricted. Please contact support for details.",
    "own_upstream": "550 5.3.5 Your SMTP provider did not accept the stored credentials",
    "upstream_no_mailbox": "550 5.1.1 no such user here",
    "upstream_policy": "550 5.7.1 rejected by policy",
    "too_large": "552 5.2.3 Message too large",
    "too_large_said": "552 5.2.3 Message too large",
}
LOGIN = {"trekmail": "535 5.7.8 Authentication failed", "smtp2go": "535 5.7.8 Incorrect authentication data"}
LOGINS = ["auth_wrong_password", "auth_owners_password", "auth_unknown", "auth_paused", "auth_malformed", "auth_other_identity"]

PLANS = {"hour": "account_hour = 1", "day": "mailbox_day = 1", "aday": "account_day = 1", "month": "monthly = 1",
         "few": "recipients = 2", "small": "size_max = 1024"}
ACCOUNTS = {
    "acme": "", "strict": "senders = verified\n", "narrow": "restrict_senders = yes\nallowed_senders = a@b.example\n",
    "checked": "check_sender_domain = yes\nsenders = any\n", "nano": "plan = nano\n", "late": "registered = 2026-02-19\nowner_verified = no\n",
    "closed": "state = closed\n", "billing": "state = suspended_billing\n", "deliverability": "state = suspended_deliverability\n",
    "abuse": "state = suspended_abuse\n", "byo": "plan = nano\n", "rate": "", "paused": "", "blocked": "",
    **{name: f"plan = p_{name}\n" for name in PLANS},
}
MAILBOXES = {"rate": "rate_per_minute = 1\n", "blocked": "state = blocked\n"}


def directory(folder, port):
    text = "".join(f"[plan p_{name}]\ncan_send = yes\n{more}\n" for name, more in PLANS.items())
    for name, more in ACCOUNTS.items():
        text += f"[account {name}]\n" + ("" if "plan" in more else "plan = agency\n") + more
        text += "" if "owner_verified" in more else "owner_verified = yes\n"
        if name == "byo":
            text += f"[profile byo/mg]\nhost = 127.0.0.1\nport = {port}\ntls = none\nusername = relay\npassword_file = {folder}/mg\n"
        text += f"[domain {name}.example]\naccount = {name}\n[mailbox me@{name}.example]\npassword_file = {folder}/pw\n"
        text += MAILBOXES.get(name, "")
    text += "[ip 127.0.0.71]\naccount = acme\nstate = blocked\n[ip 127.0.0.72]\naccount = acme\nrate_per_minute = 1\n"
    return text


@pytest.fixture(scope="module")
def places(stack):
    return (stack.enter_context(stage.Upstream(
        refuse={"no@elsewhere.example": "550 5.1.1 no such user here", "policy@elsewhere.example": "550 5.7.1 rejected by policy"},
        sender_refuse={"verify@acme.example": "550 Verification failed for <me@acme.example>",
                       "unable@acme.example": "550 Unable to verify sender address"})),
        stack.enter_context(stage.Upstream(users={"relay": "right"})), stack.enter_context(dns.Server(dict(ZONE))))


@pytest.fixture(scope="module", params=["trekmail", "smtp2go"])
def byway(request, folder, stage_byway, places):
    upstream, own, names = places
    b = stage.Byway(folder / request.param, settings={
        "server": {"replies": request.param}, "dns": {"resolver": names.address, "timeout": "1s"},
        "upstream": {"allow_ports": f"{upstream.port} {own.port}"},
        "mta one": {"host": "127.0.0.1", "port": upstream.port, "tls": "none"},
        "guessing": {"name_failures": 0, "address_failures": 0}})
    b.folder.mkdir(parents=True)
    b.secret("pw", "secret")
    b.secret("mg", "wrong")
    b.profile = request.param
    return stage_byway(b, directory(b.folder, own.port))


# ---- provoking

def me(name):
    return f"me@{name}.example"


def logged_in(byway, name):
    return talk.Talk(byway, "tls", login=(me(name), "secret"))


def at_mail(byway, name, sender=None):
    with logged_in(byway, name) as t:
        return t.cmd(f"MAIL FROM:<{sender or me(name)}>")


def at_rcpt(byway, name, to=YOU, sender=None):
    with logged_in(byway, name) as t:
        t.cmd(f"MAIL FROM:<{sender or me(name)}>", 250)
        return t.cmd(f"RCPT TO:<{to}>")


def after_content(byway, name, content=None):
    with logged_in(byway, name) as t:
        return t.send(me(name), [YOU], content or LETTER % me(name).encode())


def second_mail(byway, name, **how):
    """The first message passes; what the second one hears, at MAIL or at DATA."""
    with talk.Talk(byway, "tls", **(how or {"login": (me(name), "secret")})) as t:
        assert t.send(me(name), [YOU], LETTER % me(name).encode()).code == 250
        reply = t.cmd(f"MAIL FROM:<{me(name)}>")
        if reply.code == 250:
            t.cmd(f"RCPT TO:<{YOU}>", 250)
            reply = t.cmd("DATA")
        if reply.code == 421:
            assert t.is_closed()
        return reply


def without_login(byway, source):
    with talk.Talk(byway, "tls", source=source) as t:
        return t.cmd("MAIL FROM:<me@acme.example>")


def surplus(byway, last):
    with logged_in(byway, "few") as t:
        t.mail(me("few"), "a@elsewhere.example", "b@elsewhere.example")
        reply = t.cmd(f"RCPT TO:<{YOU}>")
        return t.cmd("DATA") if last else reply


def paused_meanwhile(byway):
    with logged_in(byway, "paused") as t:
        t.cmd(f"MAIL FROM:<{me('paused')}>", 250)
        t.cmd("RSET", 250)
        byway.cli("pause", me("paused"))

        def refused():
            reply = t.cmd(f"MAIL FROM:<{me('paused')}>")
            if reply.code == 250:
                t.cmd("RSET", 250)
            return reply if reply.code != 250 else None

        return stage.wait_until(refused, 2)


def said_too_large(byway):
    with logged_in(byway, "small") as t:
        return t.cmd(f"MAIL FROM:<{me('small')}> SIZE=2048")


PROVOKE = {
    "relay_denied": lambda b: without_login(b, "127.0.0.70"),
    "from_not_verified": lambda b: after_content(b, "strict"),
    "unrouteable_address": lambda b: at_mail(b, "checked", "nobody@checked.example"),
    "unroutable_domain": lambda b: at_mail(b, "checked", "x@empty.example"),
    "user_blocked": lambda b: at_mail(b, "blocked"),
    "account_closed": lambda b: at_mail(b, "closed"),
    "address_blocked": lambda b: without_login(b, "127.0.0.71"),
    "sender_not_allowed": lambda b: at_mail(b, "narrow"),
    "quota_month": lambda b: second_mail(b, "month"),
    "rate_user": lambda b: second_mail(b, "rate"),
    "rate_address": lambda b: second_mail(b, "acme", source="127.0.0.72"),
    "upstream_verification": lambda b: at_rcpt(b, "acme", sender="verify@acme.example"),
    "upstream_unable": lambda b: at_rcpt(b, "acme", sender="unable@acme.example"),
    "unverified_owner": lambda b: at_mail(b, "late"),
    "plan_cannot_send": lambda b: at_mail(b, "nano"),
    "quota_hour": lambda b: second_mail(b, "hour"),
    "quota_mailbox_day": lambda b: second_mail(b, "day"),
    "quota_account_day": lambda b: second_mail(b, "aday"),
    "too_many_rcpt": lambda b: surplus(b, False),
    "too_many_rcpt_message": lambda b: surplus(b, True),
    "mailbox_paused": paused_meanwhile,
    "suspended_billing": lambda b: at_mail(b, "billing"),
    "suspended_deliverability": lambda b: at_mail(b, "deliverability"),
    "suspended_abuse": lambda b: at_mail(b, "abuse"),
    "own_upstream": lambda b: at_rcpt(b, "byo"),
    "upstream_no_mailbox": lambda b: at_rcpt(b, "acme", "no@elsewhere.example"),
    "upstream_policy": lambda b: at_rcpt(b, "acme", "policy@elsewhere.example"),
    "too_large": lambda b: after_content(b, "small", b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 1000),
    "too_large_said": said_too_large,
}


@pytest.mark.parametrize("name", WORDS)
def test_refusal(byway, name):
    heard = str(PROVOKE[name](byway))
    wanted = WORDS[name]
    if "\\" in wanted:
        assert re.fullmatch(wanted, heard), heard
    elif wanted.endswith("..."):
        assert heard.startswith(wanted[:-3]), heard
    else:
        assert heard == wanted


def auth(byway, name, password, authzid=""):
    with talk.Talk(byway, "tls") as t:
        return str(t.auth(name, password, authzid))


@pytest.mark.parametrize("name", LOGINS)
def test_login_refused(byway, name):
    if name == "auth_paused":
        byway.cli("pause", me("paused"))
    heard = {
        "auth_wrong_password": lambda: auth(byway, me("acme"), "wrong"),
        "auth_owners_password": lambda: auth(byway, "acme", "secret"),
        "auth_unknown": lambda: auth(byway, "nobody@acme.example", "secret"),
        "auth_paused": lambda: auth(byway, me("paused"), "secret"),
        "auth_malformed": lambda: auth(byway, "", "secret"),
        "auth_other_identity": lambda: auth(byway, me("acme"), "secret", me("strict")),
    }[name]()
    assert heard == LOGIN[byway.profile]


def test_nothing_is_left_out():
    """Every row of the catalogue that refuses a sender's mail is provoked here or stands below with the reason why not."""
    rows = dict(re.findall(r"^REPLY\((\w+), (\d+)", (stage.ROOT / "conf/reply.def").read_text(), re.M))
    elsewhere = {
        # Said of the command's form or order: tests/dialog.
        "bad_sequence", "line_too_long", "not_text", "unknown_command", "not_implemented", "syntax", "need_ehlo",
        "need_mail", "need_rcpt", "nested_mail", "bad_sender_path", "bad_rcpt_path", "param_unknown", "need_smtputf8",
        "no_binarymime", "mixed_content", "tls_active", "tls_not_offered", "tls_glued", "not_smtp", "tls_on_plain",
        "improper_pipelining", "auth_needs_tls", "auth_not_offered", "auth_mechanism", "auth_base64", "auth_cancelled", "auth_again",
        "no_valid_rcpt", "no_rcpt_now", "bare_line_end", "header_too_large", "loop", "too_many_errors", "timeout", "too_slow", "shutting_down", "too_many_connections",
        # tests/e2e/test_guessing.py, test_senders.py, test_process.py, test_flood.py and the counters' tests.
        "auth_too_many", "from_missing", "from_unreadable", "from_twice", "sender_dns_failed", "counters_down", "profile_missing",
        "auth_unavailable", "directory_down", "no_memory", "quota_never", "too_many_idle",
        # Said by sender callouts: test_callout.py.
        "sender_refused", "sender_unverifiable",
        "auth_failed",
        # Where there is no [mta]: tests/dialog/no-native.dlg.
        "no_route",
    }
    refusals = {name.lower() for name, code in rows.items() if int(code) >= 400}
    assert refusals - elsewhere - set(WORDS) == set()


def test_rows_are_counted_and_logged(byway):
    before = byway.cli("status", json_out=True)["counters"]["replies_sender_not_allowed"]
    at_mail(byway, "narrow")
    assert byway.cli("status", json_out=True)["counters"]["replies_sender_not_allowed"] == before + 1
    assert byway.wait_event("refused", reply="sender_not_allowed", code=550)
    assert byway.wait_event("reply", reply="sender_not_allowed")


# ---- an operator's own words

def test_reload_swaps_the_words(tmp_path, places):
    with_words = stage.Byway(tmp_path, settings={"mta one": {"host": "127.0.0.1", "port": places[0].port, "tls": "none"}})
    with_words.init()
    with_words.secret("pw", "secret")
    with_words.secret("mg", "wrong")
    with_words.apply(directory(with_words.folder, places[1].port))
    profile = with_words.etc / "ours.ini"
    with with_words as byway, talk.Talk(byway, "tls") as t:
        assert str(t.cmd("MAIL FROM:<a@b.example>")) == WORDS["relay_denied"]
        profile.write_text("; ours\n[replies]\nrelay_denied = 553 5.7.3 Log in first; see https://help.example/\n")
        byway.settings["server"]["replies"] = "./ours.ini"
        byway.write_ini()
        byway.cli("reload")
        # The session that was open before says it as well.
        assert str(t.cmd("MAIL FROM:<a@b.example>")) == "553 5.7.3 Log in first; see https://help.example/"
        assert "relay_denied = 553 5.7.3 Log in first" in byway.cli("replies", "print")
        profile.write_text("[replies]\nrelay_denyed = 553 5.7.3 x\nloop = 554 4.4.6 x\nauth_too_many = 450 4.7.0 x\n")
        done = byway.cli("config", "check", check=False)
        assert done.returncode == 78
        assert 'ours.ini:2: there is no reply "relay_denyed"; did you mean "relay_denied"?' in done.stderr
        assert "ours.ini:3: loop: code 554 and enhanced code 4.x.x are of different classes" in done.stderr
        assert "ours.ini:4: auth_too_many: 421 must stay: we close then" in done.stderr
        assert byway.cli("reload", check=False).returncode == 78
        assert str(t.cmd("MAIL FROM:<a@b.example>")).startswith("553 5.7.3")
        byway.settings["server"]["replies"] = "smtp2go"
        byway.write_ini()
        byway.cli("reload")
        assert str(t.auth("a@b.example", "x")) == LOGIN["smtp2go"]
    assert not with_words.faults()


def test_shipped_profiles_are_what_the_tool_prints(byway):
    for name in ("trekmail", "smtp2go"):
        rows = dict(re.findall(r"^(\w+) = (.*)$", byway.cli("replies", "print", name), re.M))
        shipped = dict(re.findall(r"^(\w+) = (.*)$", (stage.ROOT / f"dist/replies/{name}.ini").read_text(), re.M))
        assert {k: rows[k] for k in shipped} == shipped
        assert rows["auth_failed"] == LOGIN[name]
