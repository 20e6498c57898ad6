# SPDX-License-Identifier: Apache-2.0
"""byway profile test (BEHAVIOUR R8): each step with the server's own words, and one thing to do about the one that fails."""
import json
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402
import https  # noqa: E402
import scripted  # noqa: E402
import stage  # noqa: E402
from scripted import close, silent  # noqa: E402
from test_oauth import Server, Tokens  # noqa: E402

LOGIN = {"me@acme.example": "upstream-secret"}
STEPS = ["resolve", "allowed", "connect", "greeting", "ehlo", "tls", "auth", "mail", "rcpt", "data", "accepted"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An installation; the probe needs no daemon."""
    b = stage.Byway(tmp_path_factory.mktemp("probe"))
    b.init()
    b.cli("account", "add", "acme", "--plan", "pro")
    return b


@pytest.fixture
def upstream(pair):
    ups = []

    def start(on=None, **how):
        how.setdefault("tls", "starttls")
        ups.append(scripted.Scripted(on, users=how.pop("users", LOGIN), pair=pair, **how).start())
        return ups[-1]

    yield start
    for up in ups:
        up.stop()


def test(place, up, *more, password="upstream-secret", host="localhost", tls=None, pair=None, ports=True):
    args = ["profile", "test", "--host", host, "--port", str(up.port), "--tls", tls or up.tls or "none"]
    if up.users:
        args += ["--username", "me@acme.example", "--password-stdin"]
    if up.pair and (tls or up.tls):
        args += ["--ca", str(up.pair[0])]
    done = place.cli(*args, *more, "--json", stdin=password + "\n", check=False)
    return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


test.__test__ = False


def states(report):
    return {s["step"]: s["state"] for s in report["steps"]}


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_R8_all_steps(place, upstream, tls):
    up = upstream(tls=tls)
    status, report, said = test(place, up, "--to", "you@elsewhere.example")
    assert status == 0 and report["ok"], report
    assert [s["step"] for s in report["steps"]] == STEPS and set(states(report).values()) == {"ok"}
    assert "localhost" in report["certificate"] and report["verified"] and "TLSv1" in report["peer"]
    assert "PIPELINING" in report["capabilities"]
    assert report["steps"][3]["said"].startswith("220 ") and "queued as" in report["steps"][-1]["said"]
    assert "AUTH PLAIN ***" in report["transcript"] and "upstream-secret" not in said
    assert up.messages[0]["from"] == "me@acme.example" and up.messages[0]["to"] == ["you@elsewhere.example"]


def test_R8_no_recipient_no_message(place, upstream):
    up = upstream()
    status, report, _ = test(place, up)
    assert status == 0 and states(report)["auth"] == "ok" and states(report)["mail"] == "not reached"
    assert b"MAIL" not in bytes(up.peers[0].octets)


def test_R8_check_only(place, upstream):
    up = upstream()
    status, report, _ = test(place, up, "--to", "you@elsewhere.example", "--check-only")
    assert status == 0 and states(report)["rcpt"] == "ok" and states(report)["data"] == "not reached"
    assert not up.messages and b"DATA" not in bytes(up.peers[0].octets)


# what the upstream does, the step that fails, its class, a word of the advice
FAULTS = [
    ({"greeting": "554 5.7.1 not you"}, "greeting", "greeting", "address"), ({"greeting": close}, "greeting", "lost", "closed"),
    ({"ehlo": "550 no"}, "ehlo", "config", "does not offer"), ({"starttls": "454 4.7.0 no"}, "tls", "tls", "TLS mode"),
    ({"auth": "535 5.7.8 wrong"}, "auth", "auth", "password"), ({"auth": "535 5.7.8 Too many connections"}, "auth", "rate", "too often"),
    ({"mail": "550 5.7.1 not this sender"}, "mail", "sender", "Verify"), ({"mail": "550 5.4.5 daily sending quota exceeded"}, "mail", "quota", "quota"),
    ({"rcpt": "550 5.1.1 nobody"}, "rcpt", "rcpt", "--to"), ({"data": "554 5.7.1 no"}, "data", "content", "refuses"),
    ({"dot": "554 5.7.1 spam"}, "accepted", "content", "refuses"), ({"dot": close}, "accepted", "unknown", "closed")]


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{f[1]}-{f[2]}" for f in FAULTS])
def test_R8_the_failing_step(place, upstream, fault):
    on, step, class_, advice = fault
    status, report, said = test(place, upstream(on), "--to", "you@elsewhere.example")
    assert status == 69 and not report["ok"]
    assert (report["failed"], report["class"]) == (step, class_), report
    assert states(report)[step] == "failed" and advice in report["action"]
    assert all(s["state"] in ("ok", "skipped") for s in report["steps"][:STEPS.index(step)])
    words = list(on.values())[0]
    if isinstance(words, str):
        assert words in report["steps"][STEPS.index(step)]["said"]
    assert "upstream-secret" not in said


def test_R8_the_certificate(place, upstream, tmp_path):
    other = stage.certificate(tmp_path, "other.test", names=("other.test",), addresses=("127.0.0.9",))
    up = upstream()
    up.pair = other
    status, report, _ = test(place, up)
    assert status == 69 and (report["failed"], report["class"]) == ("tls", "tls")


def test_R5_the_guard_is_asked(place, upstream):
    up = upstream(tls=None, users=None)
    for host in ("10.255.255.1", "169.254.169.254"):
        status, report, _ = test(place, up, host=host)
        assert status == 69 and (report["failed"], report["class"]) == ("allowed", "denied")
        assert report["steps"][1]["said"] == "host not allowed"


def test_R8_no_such_host(place, upstream):
    status, report, _ = test(place, upstream(), host="host.that.is.not.invalid")
    assert status == 69 and report["failed"] == "resolve" and report["class"] in ("dns_none", "dns_temp")


def test_R8_never_longer_than_twenty_seconds(place, upstream):
    status, report, _ = test(place, upstream({"ehlo": silent}))
    assert status == 69 and report["failed"] == "ehlo" and 15e6 < report["us"] < 25e6
    assert "no answer in time" in report["steps"][4]["said"]


@pytest.mark.parametrize("speaks, asked, tells", [
    ("implicit", "starttls", "--tls implicit"), ("implicit", "none", "--tls implicit"), ("starttls", "implicit", "--tls starttls")])
def test_R12_a_wrong_tls_mode_is_told(place, upstream, speaks, asked, tells):
    up = upstream(tls=speaks)
    status, report, said = test(place, up, tls=asked)
    assert status == 69 and not report["ok"] and report["failed"] in ("greeting", "tls")
    assert tells in report["action"] and str(up.port) in report["action"], report["action"]
    assert report["us"] < 25e6 and "upstream-secret" not in said
    assert up.peers and not any(line.upper().startswith(b"AUTH") for peer in up.peers for line in peer.lines)


def test_R12_silence_is_not_a_wrong_mode(place, upstream):
    """Neither mode gets a word: nothing is said of modes."""
    status, report, _ = test(place, upstream({"greeting": silent}))
    assert status == 69 and report["failed"] == "greeting" and "--tls" not in report["action"], report["action"]


def test_R8_a_stored_profile(place, upstream):
    up = upstream()
    place.cli("profile", "add", "acme/mine", "--host", "localhost", "--port", str(up.port), "--ca", str(up.pair[0]),
              "--username", "me@acme.example", "--password-stdin", stdin="upstream-secret\n")
    assert place.cli("profile", "test", "acme/mine", json_out=True)["ok"]
    assert "The profile works" in place.cli("profile", "test", "acme/mine", "--to", "you@elsewhere.example")
    assert len(up.messages) == 1
    # Its password was given for another port.
    done = place.cli("profile", "test", "acme/mine", "--port", str(stage.free_port()), check=False, stdin="")
    assert done.returncode == 64 and "password" in done.stderr


def test_R8_advice_knows_the_provider(place, upstream):
    up = upstream({"auth": "535 5.7.8 Username and Password not accepted"})
    _, report, _ = test(place, up, "--provider", "gmail")
    assert report["class"] == "auth" and "App passwords" in report["action"]


def test_presets(place):
    place.cli("profile", "add", "acme/mg", "--provider", "mailgun", "--region", "eu", "--username", "postmaster@mg.acme.example",
              "--password-stdin", stdin="secret\n")
    got = place.cli("profile", "show", "acme/mg", json_out=True)
    assert (got["host"], got["port"], got["tls"], got["region"]) == ("smtp.eu.mailgun.org", 587, "starttls", "eu")
    place.cli("profile", "add", "acme/sg", "--provider", "sendgrid", "--password-stdin", stdin="secret\n")
    assert place.cli("profile", "show", "acme/sg", json_out=True)["username"] == "apikey"
    done = place.cli("profile", "add", "acme/ses", "--provider", "ses", "--username", "x", "--password-stdin", stdin="s\n", check=False)
    assert done.returncode == 64 and "region" in done.stderr
    assert "mailgun" in place.cli("provider", "list") and "SMTP credentials" in place.cli("provider", "show", "ses")


# ---- OAuth2 -------------------------------------------------------------------------------------

SECRET, REFRESH = "client-secret-of-one", "refresh-token-0"
BEARER = STEPS[:6] + ["token"] + STEPS[6:]


@pytest.fixture(scope="module")
def trusting(tmp_path_factory, pair):
    """An installation whose [upstream] ca_file is the tests' CA."""
    b = stage.Byway(tmp_path_factory.mktemp("probe-https"), settings={"upstream": {"ca_file": pair[0]}})
    b.init()
    b.cli("account", "add", "acme", "--plan", "pro")
    return b


@pytest.fixture
def oauth(trusting, pair, request):
    """A server that takes tokens, their endpoint, and a profile of both with a refresh token."""
    name = "acme/" + re.sub(r"\W", "_", request.node.name)
    with Server(pair, "XOAUTH2") as server, Tokens(pair, [server]) as tokens:
        trusting.cli("profile", "add", name, "--host", "localhost", "--port", str(server.port), "--tls", "implicit",
                     "--username", "box@acme.example", "--auth", "oauth2", "--oauth-client", "client-1",
                     "--token-endpoint", f"https://localhost:{tokens.port}/token", "--ca", str(pair[0]), "--password-stdin", stdin=SECRET + "\n")
        trusting.cli("profile", "authorize", name, "--token-stdin", stdin=REFRESH + "\n")
        yield name, server, tokens


def again(place, *args, stdin=""):
    done = place.cli("profile", "test", *args, "--json", stdin=stdin, check=False)
    return done.returncode, json.loads(done.stdout), done.stdout + done.stderr


def test_R8_oauth(trusting, oauth):
    name, server, tokens = oauth
    status, report, said = again(trusting, name, "--to", "you@elsewhere.example")
    assert status == 0 and [s["step"] for s in report["steps"]] == BEARER and set(states(report).values()) == {"ok"}, report
    [form] = tokens.forms()
    assert (form["grant_type"], form["refresh_token"], form["client_secret"]) == ("refresh_token", REFRESH, SECRET)
    assert len(server.messages) == 1
    assert not any(word in said for word in (SECRET, REFRESH, "access-"))


def test_R8_oauth_a_new_refresh_token_is_stored(trusting, oauth):
    name, _, tokens = oauth
    tokens.rotates = True
    for n in range(1, 4):
        status, report, said = again(trusting, name)
        assert status == 0 and states(report)["token"] == states(report)["auth"] == "ok", report
        assert tokens.refresh == f"refresh-token-{n}" and tokens.refresh not in said
        assert tokens.forms()[0]["refresh_token"] == f"refresh-token-{n - 1}"


TOKEN_FAULTS = [
    (dict(status=400, body={"error": "invalid_grant", "error_description": "Token has been\r\nexpired or revoked."}), "auth",
     "OAuth: invalid_grant: Token has been??expired or revoked.", "authorize"),
    (dict(status=401, body={"error": "invalid_client", "error_description": f"no client with {SECRET}"}), "auth", "OAuth: HTTP status 401", "authorize"),
    (dict(status=503, body="down"), "auth_temp", "OAuth: HTTP status 503", "--token-endpoint"),
    (dict(cut="accept"), "auth_temp", "OAuth: ", "--token-endpoint")]


@pytest.mark.parametrize("fault", TOKEN_FAULTS, ids=["grant", "client", "down", "cut"])
def test_R8_oauth_no_token(trusting, oauth, fault):
    name, server, tokens = oauth
    how, class_, words, advice = fault
    tokens.once(**how)
    status, report, said = again(trusting, name)
    assert status == 69 and (report["failed"], report["class"]) == ("token", class_), report
    assert report["steps"][6]["said"].startswith(words) and advice in report["action"]
    assert states(report)["tls"] == "ok" and states(report)["auth"] == "not reached" and not server.seen
    assert SECRET not in said and REFRESH not in said


def test_R8_oauth_the_token_is_refused(trusting, oauth):
    name, server, tokens = oauth
    for _ in range(2):
        tokens.once(200, {"access_token": "worthless", "expires_in": 3600})
    status, report, _ = again(trusting, name)
    assert status == 69 and (report["failed"], report["class"]) == ("auth", "auth") and states(report)["token"] == "ok"


@pytest.mark.parametrize("option", ["--host", "--token-endpoint", "--port"])
def test_R8_oauth_secrets_stay_where_they_belong(trusting, oauth, option):
    name, server, tokens = oauth
    value = {"--host": "127.0.0.1", "--token-endpoint": f"https://localhost:{tokens.port}/other", "--port": "465"}[option]
    done = trusting.cli("profile", "test", name, option, value, "--password-stdin", stdin="x\n", check=False)
    assert done.returncode == 64 and "refresh token" in done.stderr
    assert not tokens.take() and not server.seen


# ---- by the provider's API ----------------------------------------------------------------------

API_STEPS = ["resolve", "allowed", "connect", "tls", "request", "accepted"]
KEY = "key-0123456789abcdef-of-mailgun"


@pytest.fixture
def api(pair):
    with https.Api(pair) as server:
        yield server.say(200, {"id": "<1@mg.acme.example>", "message": "Queued. Thank you."})


def test_api(place, api, *more, provider="mailgun", username="mg.acme.example", host="localhost", ca=True):
    args = ["--provider", provider, "--transport", "api", "--host", host, "--password-stdin"]
    args += [] if "--port" in more else ["--port", str(api.port)]
    args += ["--username", username] if username else []
    args += ["--ca", str(place.ca)] if ca else []
    return again(place, *args, *more, stdin=KEY + "\n")


test_api.__test__ = False


@pytest.fixture
def by_api(place, pair):
    place.ca = pair[0]
    return place


@pytest.mark.parametrize("provider, username", [("mailgun", "mg.acme.example"), ("ses", "AKIDEXAMPLE"), ("sparkpost", None), ("sendgrid", None)])
def test_R8_api_all_steps(by_api, api, provider, username):
    more = ["--region", "eu-west-1"] if provider == "ses" else []
    status, report, said = test_api(by_api, api, "--to", "you@elsewhere.example", "--from", "me@acme.example", *more, provider=provider, username=username)
    assert status == 0 and report["ok"], report
    assert [s["step"] for s in report["steps"]] == API_STEPS and set(states(report).values()) == {"ok"}
    assert "localhost" in report["certificate"] and report["verified"]
    assert "TLSv1" in report["peer"] and report["peer"].startswith(f"localhost[127.0.0.1]:{api.port}")
    [request] = api.take()
    assert b"you@elsewhere.example" in request.body and request.path in report["steps"][4]["said"]
    assert "S: 200 " in report["transcript"] and KEY not in said


@pytest.mark.parametrize("more", [[], ["--to", "you@elsewhere.example", "--check-only"]])
def test_R8_api_nothing_is_sent(by_api, api, more):
    status, report, _ = test_api(by_api, api, *more)
    assert status == 0 and report["ok"] and states(report) == dict.fromkeys(API_STEPS[:4], "ok") | {"request": "skipped", "accepted": "not reached"}, report
    assert "nothing was sent" in report["steps"][4]["said"] and "localhost" in report["certificate"]
    assert api.connections == 1 and not api.take()


API_FAULTS = [
    (dict(status=401, body="Forbidden"), "request", "auth", "API key"),
    (dict(status=429, body={"message": "slow down"}), "request", "rate", "too often"),
    (dict(cut="answer"), "accepted", "unknown", "closed"), (dict(cut="accept"), "tls", "tls", "certificate")]


@pytest.mark.parametrize("fault", API_FAULTS, ids=[f"{f[1]}-{f[2]}" for f in API_FAULTS])
def test_R8_api_the_failing_step(by_api, api, fault):
    how, step, class_, advice = fault
    api.once(**how)
    status, report, said = test_api(by_api, api, "--to", "you@elsewhere.example", "--from", "me@acme.example")
    assert status == 69 and (report["failed"], report["class"]) == (step, class_), report
    assert states(report)[step] == "failed" and advice in report["action"] and KEY not in said


def test_R8_api_who_does_not_answer(by_api, api):
    status, report, _ = test_api(by_api, api, ca=False)
    assert status == 69 and (report["failed"], report["class"]) == ("tls", "tls") and states(report)["connect"] == "ok", report
    status, report, _ = test_api(by_api, api, host="10.255.255.1")
    assert status == 69 and (report["failed"], report["class"]) == ("allowed", "denied")
    status, report, _ = test_api(by_api, api, "--port", str(stage.free_port()))
    assert status == 69 and (report["failed"], report["class"]) == ("connect", "connect"), report
    assert not api.take()


def test_R8_api_a_stored_profile(by_api, api):
    by_api.cli("profile", "add", "acme/api", "--provider", "mailgun", "--transport", "api", "--host", "localhost", "--port", str(api.port),
               "--ca", str(by_api.ca), "--username", "mg.acme.example", "--password-stdin", stdin=KEY + "\n")
    assert "the key was not tried" in by_api.cli("profile", "test", "acme/api")
    assert "The profile works" in by_api.cli("profile", "test", "acme/api", "--to", "you@elsewhere.example")
    assert len(api.take()) == 1
