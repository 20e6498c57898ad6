# SPDX-License-Identifier: Apache-2.0
"""byway-console api, from outside: what it makes, shows, changes, refuses; over its unix socket, by hand-written requests."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("BYWAY_BUILD", ROOT / "build/release")).resolve()
SECRET = "s3cret-Pa55word-äö"
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:")


class Daemon(threading.Thread):
    """A control socket that tells what it was asked."""

    def __init__(self, path, answer):
        super().__init__(daemon=True)
        self.asked, self.answer = [], answer
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(8)
        self.start()

    def run(self):
        while True:
            try:
                with self.socket.accept()[0] as client:
                    self.asked.append(client.makefile("rb").readline().decode())
                    client.sendall(json.dumps(self.answer).encode() + b"\n")
            except OSError:
                return


class Reply:
    def __init__(self, octets):
        self.octets = octets
        head, _, self.body = octets.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if lines[0].startswith("HTTP/1.1 ") else 0
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return self.octets.decode("utf-8", "replace")


class Api:
    def __init__(self, path, more="", upstream=""):
        self.dir = Path(path)
        self.config = self.dir / "byway.ini"
        self.socket = self.dir / "api.sock"
        self.log = self.dir / "api.log"
        self.tool("init", "--dir", self.dir, "--name", "relay.example.net", "--listen", "127.0.0.1:2525",
                  "--listen-tls", "127.0.0.1:8465", "--control", self.dir / "control.sock")
        self.config.write_text(self.config.read_text().replace("[upstream]\n", f"[upstream]\n{upstream}") + more)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([BUILD / "byway-console", "api", "-c", self.config, "--socket", self.socket],
                                            stdout=log, stderr=log, cwd=path)
        until = time.monotonic() + 30
        while not self.socket.exists() and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert self.socket.exists(), self.log.read_text()

    def tool(self, *words):
        done = subprocess.run([BUILD / "byway", "-c", self.config, *map(str, words)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False)
        assert done.returncode == 0, done.stdout.decode()
        return done.stdout.decode()

    def raw(self, octets):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(self.socket))
            s.sendall(octets)
            got = b""
            while True:
                try:
                    part = s.recv(65536)
                except ConnectionResetError:
                    break
                if not part:
                    break
                got += part
        return got

    def call(self, method, path, body=None, **headers):
        text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        reply = Reply(self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + text))
        assert reply.headers["connection"] == "close", reply
        assert reply.headers["cache-control"] == "no-store", reply
        assert SECRET.encode() not in reply.body and SECRET not in reply.body.decode(), reply
        return reply

    def ok(self, method, path, body=None, status=(200, 201), **headers):
        reply = self.call(method, path, body, **headers)
        assert reply.status in status, reply
        return reply.json

    def refused(self, status, method, path, body=None, says="", **headers):
        reply = self.call(method, path, body, **headers)
        assert reply.status == status, reply
        assert reply.headers["content-type"] == "application/problem+json", reply
        problem = reply.json
        assert problem["status"] == status and problem["type"] and problem["title"], problem
        assert says in problem["detail"], problem
        return problem

    def fill(self):
        self.ok("PUT", "/v1/accounts/acme", {"plan": "pro", "owner_verified": True})
        self.ok("PUT", "/v1/accounts/acme/domains/acme.example", {"verified": True})
        self.ok("PUT", "/v1/accounts/acme/mailboxes/alice@acme.example", {"password": SECRET})
        self.ok("PUT", "/v1/accounts/acme/profiles/mg", {"host": "smtp.mg.example", "username": "u", "password": SECRET})
        self.ok("PUT", "/v1/accounts/acme/ips/192.0.2.0%2F24", {})
        self.ok("PUT", "/v1/accounts/other", {"plan": "starter"})
        self.ok("PUT", "/v1/accounts/other/domains/other.example", {})
        return self

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log.read_text()
        assert not self.socket.exists()
        log = self.log.read_text()
        assert not SANITIZER.search(log), log
        assert SECRET not in log


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path / "byway")
    yield api
    api.end()


# ---- objects ------------------------------------------------------------------------------------

OBJECTS = {
    "/v1/plans/gold": {"mailbox_day": 7},
    "/v1/accounts/acme": {"plan": "starter", "renewal_day": 3},
    "/v1/accounts/acme/domains/acme.example": {"dkim_selector": "s1"},
    "/v1/accounts/acme/mailboxes/alice@acme.example": {"sandboxed": True, "password": SECRET},
    "/v1/accounts/acme/profiles/mg": {"host": "smtp.mg.example", "username": "u", "password": SECRET, "pin": "ab" * 32},
    "/v1/accounts/acme/ips/192.0.2.0%2F24": {"rate_per_minute": 9},
}


def test_socket_is_the_operators(api):
    assert stat.S_IMODE(os.stat(api.socket).st_mode) == 0o660


def test_two_writes_are_one(api):
    """Every kind of object: made, written again, shown, listed, changed, removed."""
    api.fill()
    for path, body in OBJECTS.items():
        first = api.call("PUT", path, body)
        assert first.status in (200, 201), first
        second = api.call("PUT", path, body)
        assert second.status == 200, second
        drop = {"password_set", "version"}  # a password that is set twice was set twice
        assert {k: v for k, v in first.json.items() if k not in drop} == {k: v for k, v in second.json.items() if k not in drop}
        shown = api.ok("GET", path)
        assert shown == second.json
        for name, value in body.items():
            assert name == "password" or shown[name] == value
        assert "password" not in shown and "password_hash" not in shown
        listed = api.ok("GET", path.rsplit("/", 1)[0])
        assert shown in listed["items"] and listed["next"] is None
    for path in reversed(OBJECTS):
        api.ok("DELETE", path)
        api.refused(404, "GET", path)
        api.refused(404, "DELETE", path)


def test_the_tool_sees_the_same(api):
    api.fill()
    told = json.loads(api.tool("mailbox", "show", "alice@acme.example", "--json"))
    assert told == api.ok("GET", "/v1/accounts/acme/mailboxes/alice@acme.example")
    told = json.loads(api.tool("profile", "show", "acme/mg", "--json"))
    assert told == api.ok("GET", "/v1/accounts/acme/profiles/mg") and told["has_password"] is True


def test_pages_of_a_list(api):
    api.fill()
    names = [f"u{i:02}@acme.example" for i in range(7)] + ["alice@acme.example"]
    for name in names[:-1]:
        api.ok("PUT", f"/v1/accounts/acme/mailboxes/{name}", {"password": "x" * 12})
    seen, after = [], ""
    while True:
        page = api.ok("GET", f"/v1/accounts/acme/mailboxes?limit=3{after}")
        assert len(page["items"]) <= 3
        seen += [item["address"] for item in page["items"]]
        if page["next"] is None:
            break
        after = "&after=" + quote(page["next"])
    assert sorted(seen) == sorted(names) and len(seen) == len(set(seen))
    api.refused(404, "GET", "/v1/accounts/acme/mailboxes?after=nobody@acme.example")
    for limit in ("0", "1001", "-1", "x", ""):
        api.refused(422, "GET", f"/v1/plans?limit={limit}")


@pytest.mark.parametrize("method,path,body,status,says", [
    ("PUT", "/v1/accounts/new", {}, 422, "plan: a new one needs it"),
    ("PUT", "/v1/accounts/new", {"plan": "pro", "renewal_day": 32}, 422, "renewal_day"),
    ("PUT", "/v1/accounts/new", {"plan": "pro", "renewal_day": "3"}, 422, "a whole number"),
    ("PUT", "/v1/accounts/new", {"plan": "pro", "owner_verified": "yes"}, 422, "true or false"),
    ("PUT", "/v1/accounts/new", {"plan": "pro", "senders_rule": "own"}, 422, "shown, not set"),
    ("PUT", "/v1/accounts/new", {"plan": "pro", "name": "old"}, 422, "the path names another"),
    ("PUT", "/v1/accounts/new", {"plan": "no-such"}, 404, "no plan no-such"),
    ("PUT", "/v1/accounts/n%20w", {"plan": "pro"}, 422, ""),
    ("PATCH", "/v1/accounts/new", {"plan": "pro"}, 404, "no account new"),
    ("PUT", "/v1/accounts/acme/mailboxes/bob@acme.example", {}, 422, "password: a new one needs it"),
    ("PUT", "/v1/accounts/acme/mailboxes/bob@acme.example", {"password": ""}, 422, "it is empty"),
    ("PUT", "/v1/accounts/acme/mailboxes/bob@acme.example", {"password": 7}, 422, "password: a string"),
    ("PUT", "/v1/accounts/acme/mailboxes/bob@nowhere.example", {"password": "x"}, 404, "no domain nowhere.example"),
    ("PUT", "/v1/accounts/none/domains/x.example", {}, 404, "no account none"),
    ("PATCH", "/v1/accounts/acme/profiles/mg", {"host": "other.example"}, 422, "password"),
    ("DELETE", "/v1/accounts/acme", None, 409, "whole=1"),
    ("PUT", "/v1/accounts/acme", b'{"plan": "pro", "plan": "nano"}', 400, "not JSON"),
    ("PUT", "/v1/accounts/acme", b"[" * 40, 400, "nested"),
    ("PUT", "/v1/accounts/acme", b"[]", 400, "one JSON object"),
    ("PUT", "/v1/accounts/acme", b'"' + SECRET.encode(), 400, "not JSON"),
    ("PUT", "/v1/accounts/acme?forc=1", {}, 422, "forc"),
    ("GET", "/v1/nothing", None, 404, ""),
    ("GET", "/v1/accounts/", None, 404, ""),
    ("POST", "/v1/accounts", {}, 405, ""),
    ("GET", "/v1/accounts/%0a", None, 404, ""),
    ("GET", "/v1/accounts/%zz", None, 404, ""),
])
def test_refusals(api, method, path, body, status, says):
    api.fill()
    before = api.tool("export")
    api.refused(status, method, path, body, says=says)
    assert api.tool("export") == before


def test_a_slip_is_told(api):
    problem = api.refused(422, "PUT", "/v1/accounts/new", {"plam": "pro"})
    assert problem["field"] == "plam" and problem["did_you_mean"] == "plan"


def test_if_match(api):
    api.fill()
    path = "/v1/accounts/acme"
    tag = api.call("GET", path).headers["etag"]
    assert api.call("PATCH", path, {"renewal_day": 5}, If_Match=f'"other", {tag}').status == 200
    api.refused(412, "PATCH", path, {"renewal_day": 6}, If_Match=tag)
    api.refused(412, "DELETE", path + "?whole=1", If_Match=tag)
    api.refused(412, "PUT", "/v1/accounts/fresh", {"plan": "pro"}, If_Match="*")
    assert api.ok("GET", path)["renewal_day"] == 5
    assert api.ok("PATCH", path, {"renewal_day": 7}, If_Match="*")["renewal_day"] == 7


def test_what_is_anothers_is_not_there(api):
    """Each operation that names an account and something of it: by another account's path, 404, and nothing changes."""
    api.fill()
    before = api.tool("export")
    owned = {"domain": "acme.example", "mailbox": "alice@acme.example", "profile": "mg", "ip": quote("192.0.2.0/24", "")}
    tried = 0
    for path, methods in api.ok("GET", "/v1/openapi.json")["paths"].items():
        names = [n for n in owned if "{" + n + "}" in path]
        if not names:
            continue
        target = path.replace("{account}", "other")
        for name in names:
            target = target.replace("{" + name + "}", owned[name])
        for method in methods:
            body = {"password": "x"} if method == "patch" and "mailboxes" in path else {} if method in ("put", "patch") else None
            body = {"route": "native"} if method == "put" and path.endswith("/route") else body
            reply = api.call(method.upper(), target, body)
            makes = method == "put" and names[0] in ("profile", "domain", "ip") and path.endswith("}")
            # A name that all share cannot be made a second time; a profile's is its account's alone.
            assert reply.status == (422 if makes and names[0] == "profile" else 409 if makes else 404), (method, target, reply)
            tried += 1
    assert tried >= 20
    assert api.tool("export") == before


# ---- states -------------------------------------------------------------------------------------

def test_states_of_an_account(api):
    api.fill()
    for reason in ("billing", "deliverability", "abuse"):
        assert api.ok("POST", "/v1/accounts/acme/suspend", {"reason": reason})["state"] == f"suspended-{reason}"
        assert api.ok("GET", "/v1/accounts/acme")["state"] == f"suspended-{reason}"
    for body in ({}, {"reason": "mood"}, {"reason": "active"}):
        api.refused(409, "POST", "/v1/accounts/acme/suspend", body, says="billing, deliverability or abuse")
    assert api.ok("POST", "/v1/accounts/acme/resume")["was"] == "suspended-abuse"
    assert api.ok("POST", "/v1/accounts/other/verify-owner") == {
        "kind": "account", "name": "other", "was": "not verified", "state": "verified"}
    api.refused(404, "POST", "/v1/accounts/nobody/resume")
    api.refused(422, "POST", "/v1/accounts/acme/resume", {"reason": "billing"})


def test_states_of_a_mailbox(api):
    api.fill()
    path = "/v1/accounts/acme/mailboxes/alice@acme.example"
    for by in ("owner", "admin", "abuse"):
        assert api.ok("POST", path + "/pause", {"by": by})["state"] == f"paused-{by}"
    assert api.ok("POST", path + "/pause")["state"] == "paused-admin"
    api.refused(409, "POST", path + "/unblock", says="paused, not blocked")
    assert api.ok("POST", path + "/resume")["state"] == "active"
    assert api.ok("POST", path + "/block")["state"] == "blocked"
    api.refused(409, "POST", path + "/resume", says="blocked, not paused")
    assert api.ok("POST", path + "/unblock")["state"] == "active"


def test_passwords(api):
    api.fill()
    path = "/v1/accounts/acme/mailboxes/alice@acme.example/password"
    made = api.ok("POST", path)["password"]
    assert len(made) >= 20 and made != api.ok("POST", path)["password"]
    assert api.ok("POST", path, {"password": SECRET}) == {"address": "alice@acme.example"}
    api.refused(422, "POST", path, {"password": ""})
    api.refused(404, "POST", path.replace("alice", "nobody"))


# ---- the daemon, the document -------------------------------------------------------------------

def test_a_daemon_that_is_not_there(api):
    api.refused(503, "GET", "/v1/status", says="is bywayd running?")
    api.refused(503, "POST", "/v1/reload", says="is bywayd running?")


def test_what_the_daemon_is_asked(api):
    api.fill()
    daemon = Daemon(api.dir / "control.sock", {"ok": True, "limits": [{"used": 3}]})
    a, m = "/v1/accounts/acme", "/v1/accounts/acme/mailboxes/ALICE@acme.example"
    for method, path, word in (
            ("GET", "/v1/status", "status"), ("POST", "/v1/reload", "reload"), ("GET", "/v1/accounts/ACME/usage", "usage acme"),
            ("GET", m + "/usage", "usage alice@acme.example"), ("GET", m + "/explain", "explain alice@acme.example"),
            ("GET", m + "/explain?to=b%40x.example", "explain alice@acme.example b@x.example"),
            ("POST", a + "/limits/reset", "limits reset acme"), ("POST", m + "/limits/reset", "limits reset alice@acme.example")):
        assert api.ok(method, path) == daemon.answer
        assert daemon.asked.pop() == word + "\n"
    for path in ("/v1/accounts/nobody/usage", "/v1/accounts/acme%20x/usage", "/v1/accounts/acme%0Areload/usage",
                 m.replace("acme/", "other/") + "/usage"):
        api.refused(404, "GET", path)
    for to in ("x", "a%20b@x.example", "a@x.example%20y"):
        api.refused(422, "GET", m + "/explain?to=" + to)
    assert daemon.asked == []
    daemon.answer = {"ok": False, "error": "there is no such account yet"}
    api.refused(404, "GET", a + "/usage")


def test_a_billing_modules_day(api):
    """The verbs of a billing module, as docs/API.md gives them; each one that a panel repeats does no harm."""
    Daemon(api.dir / "control.sock", {"ok": True})
    account, mailbox = "/v1/accounts/acme", "/v1/accounts/acme/mailboxes/a@acme.example"
    day = [
        ("GET", "/v1/status", None),
        ("PUT", account, {"plan": "pro", "owner_verified": True}),
        ("PUT", account + "/domains/acme.example", {}),
        ("PUT", mailbox, {"password": SECRET}),
        ("POST", account + "/suspend", {"reason": "billing"}),
        ("POST", account + "/resume", None),
        ("PATCH", account, {"plan": "agency"}),
        ("POST", mailbox + "/password", {"password": SECRET + "2"}),
    ]
    for method, path, body in day:
        first, second = api.ok(method, path, body), api.ok(method, path, body)
        assert {k: v for k, v in first.items() if k != "was"} == {k: v for k, v in second.items() if k != "was"}
    assert api.ok("GET", account)["plan"] == "agency" and api.ok("GET", account)["state"] == "active"
    api.ok("DELETE", account + "?whole=1")
    api.refused(404, "GET", account)
    api.refused(404, "GET", mailbox)


def test_printed_description_is_the_served_one(api):
    told = subprocess.run([BUILD / "byway-console", "openapi"], stdout=subprocess.PIPE, timeout=30, check=True).stdout
    assert json.loads(told) == api.ok("GET", "/v1/openapi.json")


# ---- requests that are none ---------------------------------------------------------------------

BODY = b'{"plan": "pro"}'
PUT = b"PUT /v1/accounts/smuggled HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + BODY


def put(line=b"PUT /v1/accounts/evil HTTP/1.1", *fields, body=BODY, host=b"Host: x"):
    head = [line] + ([host] if host else []) + [b"Content-Type: application/json", *fields]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


LENGTH = b"Content-Length: 15"
MALFORMED = {
    "length and chunked": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + PUT),
    "chunked": put(b"PUT /v1/accounts/evil HTTP/1.1", b"Transfer-Encoding: chunked", body=b"f\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunked, oddly written": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"Transfer-Encoding: xchunked"),
    "two lengths": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"Content-Length: 0"),
    "the same length twice": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, LENGTH),
    "a list of lengths": put(b"PUT /v1/accounts/evil HTTP/1.1", b"Content-Length: 15, 15"),
    "a signed length": put(b"PUT /v1/accounts/evil HTTP/1.1", b"Content-Length: +15"),
    "a negative length": put(b"PUT /v1/accounts/evil HTTP/1.1", b"Content-Length: -1"),
    "a length in hex": put(b"PUT /v1/accounts/evil HTTP/1.1", b"Content-Length: 0xf"),
    "a huge length": put(b"PUT /v1/accounts/evil HTTP/1.1", b"Content-Length: 99999999999999999999999"),
    "a body beyond the cap": put(b"PUT /v1/accounts/evil HTTP/1.1", b"Content-Length: 65537"),
    "blank before the colon": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"Content-Length : 0"),
    "no host": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, host=None),
    "two hosts": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"Host: y"),
    "bare CR in a field": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"X: a\rContent-Length: 0"),
    "a bell in a field": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"X: a\ab"),
    "control character in a name": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"X\x01: a"),
    "a field without a colon": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"nonsense"),
    "a field without a name": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b": value"),
    "HTTP/1.0": put(b"PUT /v1/accounts/evil HTTP/1.0", LENGTH),
    "HTTP/2.0": put(b"PUT /v1/accounts/evil HTTP/2.0", LENGTH),
    "no version": put(b"PUT /v1/accounts/evil", LENGTH),
    "an unknown method": put(b"BREW /v1/accounts/evil HTTP/1.1", LENGTH),
    "a blank in the target": put(b"PUT /v1/accounts/ evil HTTP/1.1", LENGTH),
    "an absolute target": put(b"PUT http://x/v1/accounts/evil HTTP/1.1", LENGTH),
    "two slashes": put(b"PUT //v1/accounts/evil HTTP/1.1", LENGTH),
    "a body with GET": b"GET /v1/plans HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n" + BODY,
    "another type of body": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH).replace(b"application/json", b"text/plain"),
    "a token that nobody made": put(b"PUT /v1/accounts/evil HTTP/1.1", LENGTH, b"Authorization: Bearer bwy_x"),
}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    api = Api(tmp_path_factory.mktemp("api") / "byway")
    yield api
    api.end()


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_refused(quiet, name):
    before = quiet.tool("export")
    got = quiet.raw(MALFORMED[name] + PUT)
    # libmicrohttpd 0.9.75 says the head of its own refusals twice.
    assert all(int(status) >= 400 for status in re.findall(rb"HTTP/1\.1 (\d+)", got)), got
    assert quiet.tool("export") == before


def test_nothing_behind_a_request_is_read(quiet):
    got = quiet.raw(b"GET /v1/plans HTTP/1.1\r\nHost: x\r\n\r\n" + PUT)
    assert got.count(b"HTTP/1.1 200") == 1 and got.count(b"HTTP/1.1 ") == 1
    quiet.refused(404, "GET", "/v1/accounts/smuggled")


def test_who_says_little_is_not_waited_for(quiet):
    """A body that does not come, a head that does not end: others are served meanwhile."""
    waiting = []
    for octets in (PUT[:-5], b"GET /v1/plans HTTP/1.1\r\nHos", b""):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(quiet.socket))
        s.sendall(octets)
        waiting.append(s)
    quiet.ok("GET", "/v1/plans")
    for s in waiting:
        s.close()
    quiet.refused(404, "GET", "/v1/accounts/smuggled")


def test_a_second_one_leaves_the_first_alone(quiet):
    done = subprocess.run([BUILD / "byway-console", "api", "-c", quiet.config, "--socket", quiet.socket],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, check=False)
    assert done.returncode == 69 and b"served already" in done.stdout, done.stdout
    quiet.ok("GET", "/v1/plans")
