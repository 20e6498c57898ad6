# SPDX-License-Identifier: Apache-2.0
"""OAuth2 log-ins upstream: XOAUTH2 and OAUTHBEARER, tokens that are renewed, replaced, revoked (BEHAVIOUR 6 and 7)."""
import base64
import hashlib
import re
import sqlite3
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

import https
import stage
from test_api import RAW, Client

SECRET, REFRESH = "client-secret-of-one", "refresh-token-0"


class Server(stage.Upstream):
    """An SMTP server that takes access tokens: those in .tokens."""

    def __init__(self, pair, mechanism):
        super().__init__(users={"never": "so"}, tls="implicit", pair=pair, mechanisms=())
        self.tokens, self.seen, self.mechanism = set(), [], mechanism
        setattr(self, f"auth_{mechanism}", self.take)

    async def take(self, server, args):
        from aiosmtpd.smtp import AuthResult

        text = base64.b64decode(args[1]).decode()
        name = re.search(r"(?:user=|n,a=)([^\x01,]*)", text).group(1)
        token = text.split("auth=Bearer ")[1].split("\x01")[0]
        good = token in self.tokens
        self.seen.append((name, token, good, text))
        if not good:
            more = await server.challenge_auth(b'{"status":"401","schemes":"bearer"}')
            assert more == {"XOAUTH2": b"", "OAUTHBEARER": b"\x01"}[self.mechanism]
        return AuthResult(success=good, handled=good)


class Tokens(https.Api):
    """A token endpoint. Each answer is another token, which the servers take."""

    def __init__(self, pair, servers):
        super().__init__(pair)
        self.servers, self.count, self.refresh, self.rotates, self.life = servers, 0, REFRESH, False, 3600
        self.usual = https.Answer(handle=self.answer)

    def answer(self, request):
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        self.count += 1
        token = f"access-{self.count}"
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh:
            return https.Answer(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        for server in self.servers:
            server.tokens.add(token)
        body = {"access_token": token, "expires_in": self.life, "token_type": "Bearer"}
        if self.rotates:
            self.refresh = f"refresh-token-{self.count}"
            body["refresh_token"] = self.refresh
        return https.Answer(200, body)

    def forms(self):
        return [dict(urllib.parse.parse_qsl(r.body.decode())) for r in self.take()]


@pytest.fixture(scope="module")
def servers(stack, pair):
    return {m: stack.enter_context(Server(pair, m)) for m in ("XOAUTH2", "OAUTHBEARER")}


@pytest.fixture(scope="module")
def tokens(stack, pair, servers):
    return stack.enter_context(Tokens(pair, servers.values()))


PROFILES = ("google", "bearer", "daemon", "revoked", "later", "rotating", "short", "twice", "browser", "anew", "stuck")


@pytest.fixture(scope="module")
def byway(folder, stage_byway, servers, tokens, pair):
    b = stage.Byway(folder / "oauth", workers=1, settings={"upstream": {
        "ca_file": pair[0], "allow_ports": "25", "idle": 0, "auth_timeout": 3 * stage.SLOW}})
    b.init()
    text = "[account one]\nplan = agency\nsenders = any\n"
    for name in PROFILES:
        server = servers["OAUTHBEARER" if name == "bearer" else "XOAUTH2"]
        text += (f"[profile one/{name}]\nhost = localhost\nport = {server.port}\ntls = implicit\nusername = box@{name}.example\n"
                 f"auth = oauth2\noauth_client = client-1\noauth_scope = https://mail.example/\n"
                 f"token_endpoint = https://localhost:{tokens.port}/token\npassword_file = {b.secret('client.secret', SECRET)}\n"
                 f"[domain {name}.example]\naccount = one\nroute = {name}\n"
                 f"[mailbox box@{name}.example]\npassword_file = {b.secret('box.pw', 'box-password')}\n")
    b.apply(text)
    for name in PROFILES:
        if name not in ("daemon", "browser"):
            b.cli("profile", "authorize", f"one/{name}", "--token-stdin", stdin=REFRESH + "\n")
    return stage_byway(b)


@pytest.fixture(autouse=True)
def fresh(tokens, servers):
    tokens.take()
    tokens.next.clear()
    tokens.refresh, tokens.rotates, tokens.life = REFRESH, False, 3600
    for server in servers.values():
        server.seen.clear()
        server.messages.clear()


def send(byway, name):
    with Client(byway, f"{name}.example") as c:
        code, text = c.deliver("a@x.example", content=RAW)
    return code, text


def rcpt(byway, name):
    with Client(byway, f"{name}.example") as c:
        c.mail(f"box@{name}.example")
        code, text = c.rcpt("a@x.example")
    return code, text.split()[0].decode()


@pytest.mark.parametrize("name, mechanism", [("google", "XOAUTH2"), ("bearer", "OAUTHBEARER")])
def test_a_token_is_had_once_and_used_again(byway, tokens, servers, name, mechanism):
    server = servers[mechanism]
    for _ in range(3):
        assert send(byway, name)[0] == 250
    [form] = tokens.forms()
    assert form == {"grant_type": "refresh_token", "client_id": "client-1", "client_secret": SECRET, "refresh_token": REFRESH,
                    "scope": "https://mail.example/"}
    assert [s[:3] for s in server.seen] == [(f"box@{name}.example", server.seen[0][1], True)] * 3
    if mechanism == "OAUTHBEARER":
        assert server.seen[0][3] == (f"n,a=box@bearer.example,\x01host=localhost\x01port={server.port}\x01"
                                     f"auth=Bearer {server.seen[0][1]}\x01\x01")
    assert "access-" not in byway.log.read_text() and REFRESH not in byway.log.read_text()


def test_one_request_whoever_waits(byway, tokens):
    byway.cli("profile", "set", "one/twice", "--max-connections", "9")
    slow = tokens.usual
    tokens.usual = https.Answer(handle=lambda r: time.sleep(0.5) or tokens.answer(r))
    try:
        got = []
        threads = [threading.Thread(target=lambda: got.append(send(byway, "twice")[0])) for _ in range(5)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    finally:
        tokens.usual = slow
    assert got == [250] * 5
    assert len(tokens.take()) == 1


def test_client_credentials_need_no_refresh_token(byway, tokens):
    assert send(byway, "daemon")[0] == 250
    [form] = tokens.forms()
    assert form["grant_type"] == "client_credentials" and "refresh_token" not in form


def test_a_token_that_is_refused_is_had_anew_once(byway, tokens, servers):
    server = servers["XOAUTH2"]
    assert send(byway, "revoked")[0] == 250
    tokens.take()
    server.tokens.clear()
    assert send(byway, "revoked")[0] == 250
    assert [s[2] for s in server.seen[-2:]] == [False, True]
    assert len(tokens.take()) == 1
    # And no third time.
    server.tokens.clear()
    tokens.next.append(https.Answer(200, {"access_token": "worthless", "expires_in": 3600}))
    assert rcpt(byway, "revoked") == (550, "5.3.5")
    assert len(tokens.take()) == 1


def test_what_the_token_endpoint_says(byway, tokens):
    for answer in (dict(status=503, body="down"), dict(status=429, body={"error": "slow_down"}), dict(cut="answer"),
                   dict(status=400, body={"error": "temporarily_unavailable"}), dict(status=200, body={"token_type": "Bearer"})):
        tokens.next.append(https.Answer(**answer))
        assert rcpt(byway, "later") == (451, "4.3.0")
        assert len(tokens.take()) == 1
        time.sleep(1.1)  # what failed is told to all who ask within a second
    tokens.refresh = "another"
    for _ in range(3):
        assert rcpt(byway, "later") == (550, "5.3.5")
        time.sleep(1.1)
    # The breaker is open now: nobody is asked any more.
    assert len(tokens.take()) == 3
    assert rcpt(byway, "later") == (550, "5.3.5")
    assert not tokens.take()


def test_a_replaced_refresh_token_is_stored_before_it_is_used(byway, tokens):
    def blob():
        with sqlite3.connect(byway.folder / "state/directory.db") as db:
            return db.execute("SELECT refresh_token FROM profile WHERE name = 'rotating'").fetchone()[0]

    tokens.rotates, tokens.life = True, 1
    before = blob()
    for _ in range(3):
        assert send(byway, "rotating")[0] == 250
        assert blob() != before and blob().startswith("v2.")
        before = blob()
        time.sleep(1.1)
    forms = tokens.forms()
    assert [f["refresh_token"] for f in forms][0] == REFRESH
    assert len({f["refresh_token"] for f in forms}) == len(forms) >= 3
    assert tokens.refresh not in byway.log.read_text()
    # Keys can be rotated, and the token still opens.
    byway.cli("key", "rotate")
    assert blob() != before
    assert send(byway, "rotating")[0] == 250


def test_a_new_consent_ends_the_old_access_token(byway, tokens):
    assert send(byway, "anew")[0] == 250
    assert [f["refresh_token"] for f in tokens.forms()] == [REFRESH]
    tokens.refresh = "of-another-consent"
    byway.cli("profile", "authorize", "one/anew", "--token-stdin", stdin=tokens.refresh + "\n")
    assert stage.wait_until(lambda: send(byway, "anew")[0] == 250 and tokens.requests)
    assert [f["refresh_token"] for f in tokens.forms()] == ["of-another-consent"]


def test_a_refresh_token_that_cannot_be_stored_yet_is_not_lost(byway, tokens):
    def blob():
        with sqlite3.connect(byway.folder / "state/directory.db") as db:
            return db.execute("SELECT refresh_token FROM profile WHERE name = 'stuck'").fetchone()[0]

    tokens.rotates, tokens.life = True, 1
    before = blob()
    # Another writer holds the directory for longer than ours waits for it.
    with sqlite3.connect(byway.folder / "state/directory.db", isolation_level=None) as lock:
        lock.execute("BEGIN IMMEDIATE")
        assert send(byway, "stuck")[0] == 250
        time.sleep(1.1)
        assert send(byway, "stuck")[0] == 250  # with one more, got by the one that is not stored
        assert blob() == before
        health = byway.cli("profile", "health", "one/stuck", json_out=True)
        assert health["refresh_token_unstored"] is True
        assert "could not be stored yet" in byway.cli("profile", "health", "one/stuck")
        lock.execute("ROLLBACK")
    assert len(tokens.forms()) >= 2
    assert stage.wait_until(lambda: blob() != before, 20)
    assert stage.wait_until(
        lambda: not byway.cli("profile", "health", "one/stuck", json_out=True)["refresh_token_unstored"])
    log = byway.log.read_text()
    assert "kept in memory and tried again" in log and "is stored now" in log
    # And what is stored is the newest: a start from nothing goes on with it.
    byway.cli("profile", "set", "one/stuck", "--password-stdin", stdin=SECRET)
    assert stage.wait_until(lambda: send(byway, "stuck")[0] == 250)


def test_a_token_is_renewed_ahead_of_its_end(byway, tokens):
    tokens.life = 4
    assert send(byway, "short")[0] == 250
    time.sleep(3.2)
    assert send(byway, "short")[0] == 250  # the old one still; the new one is asked for meanwhile
    assert stage.wait_until(lambda: len(tokens.requests) == 2)


def test_R3_an_edited_endpoint_gets_nothing(byway, tokens):
    done = byway.cli("profile", "set", "one/google", "--token-endpoint", "https://evil.example/token", check=False)
    assert done.returncode != 0 and "again" in done.stderr
    byway.cli("profile", "set", "one/google", "--token-endpoint", "https://evil.example/token", "--password-stdin", stdin=SECRET)
    shown = byway.cli("profile", "show", "one/google", json_out=True)
    assert not shown["has_refresh_token"]


def test_consent_in_a_browser(byway, tokens):
    command = [str(stage.BUILD / "byway"), "-c", str(byway.ini), "profile", "authorize", "one/browser",
               "--consent", "https://consent.example/authorize"]
    tokens.usual, usual = https.Answer(200, {"access_token": "x", "refresh_token": REFRESH}), tokens.usual
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            url = next(line.strip() for line in process.stderr if line.startswith("https://"))
            asked = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(url).query))
            assert asked["code_challenge_method"] == "S256" and asked["client_id"] == "client-1"
            back = asked["redirect_uri"].replace("localhost", "127.0.0.1")
            urllib.request.urlopen(back + "favicon.ico").read()  # browsers ask for that too
            page = urllib.request.urlopen(f"{back}?code=the%2Fcode&state={asked['state']}").read()
            assert b"Done" in page
            out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
    finally:
        tokens.usual = usual
    [form] = tokens.forms()
    assert form["code"] == "the/code" and form["client_secret"] == SECRET and form["grant_type"] == "authorization_code"
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
    assert REFRESH not in out + err
    assert stage.wait_until(lambda: send(byway, "browser")[0] == 250)
