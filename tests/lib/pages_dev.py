# SPDX-License-Identifier: Apache-2.0
"""The pages of console/pages/ on loopback, before a real Byway and its real API: for tests, and for who works on the pages.

    BYWAY_BUILD=$PWD/build/san /usr/bin/python3 tests/lib/pages_dev.py

serves them with a sample directory until it is interrupted. `/v1` goes to `byway-console api`; who signs in, and whose account
is whose, is told here: a person of PEOPLE, a word of LINKS behind `/sign-in#`, and a session in a cookie.
"""
import http.client
import http.server
import json
import re
import secrets
import smtplib
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import unquote

import dns
import stage

PAGES = stage.ROOT / "console/pages"
POLICY = ("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
          "frame-ancestors 'none'; base-uri 'none'")
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
PASSWORD = "correct horse"
DIRECTORY = """
[account bakery]
plan = starter
owner_verified = yes
owner_email = ann@bakery.example
[profile bakery/mailgun]
host = localhost
port = {port}
tls = none
username = relay
password_file = {secret}
[profile bakery/postmark]
provider = postmark
username = token
password_file = {secret}
[domain bakery.example]
account = bakery
verified = yes
dkim_selector = s1
route = mailgun
[domain shop.bakery.example]
account = bakery
[mailbox ann@bakery.example]
password_file = {secret}
[mailbox orders@bakery.example]
password_file = {secret}
[mailbox till@bakery.example]
password_file = {secret}
state = paused-owner
[mailbox news@bakery.example]
password_file = {secret}
state = paused-abuse
[mailbox lab@shop.bakery.example]
password_file = {secret}
sandboxed = yes
[account nano]
plan = nano
owner_verified = yes
owner_email = nora@nano.example
[domain nano.example]
account = nano
[mailbox nora@nano.example]
password_file = {secret}
[plan tiny]
can_send = yes
mailbox_day = 2
account_day = 20
account_hour = 100
recipients = 2
[account tiny]
plan = tiny
owner_verified = yes
owner_email = tim@tiny.example
[profile tiny/own]
host = localhost
port = {port}
tls = none
username = relay
password_file = {secret}
[domain tiny.example]
account = tiny
route = own
[mailbox tim@tiny.example]
password_file = {secret}
[account unpaid]
plan = pro
owner_verified = yes
state = suspended-billing
[account bounced]
plan = pro
owner_verified = no
registered = 2026-03-01
state = suspended-deliverability
[account barred]
plan = pro
owner_verified = yes
state = suspended-abuse
[account unsure]
plan = pro
owner_verified = no
owner_signup = email
registered = 2026-03-01
[domain unsure.example]
account = unsure
[mailbox una@unsure.example]
password_file = {secret}
"""
ZONE = {
    "bakery.example": {"TXT": ["v=spf1 include:spf.relay.test ~all"], "MX": ["10 mx.bakery.example"]},
    "mx.bakery.example": {"A": ["192.0.2.1"]},
    "s1._domainkey.bakery.example": {"TXT": ["v=DKIM1; k=rsa; p=MIGf"]},
    "_dmarc.bakery.example": {"TXT": ["v=DMARC1; p=none"]},
    "localhost": {"A": ["127.0.0.1"]},
}
ALL = ("bakery", "nano", "tiny", "unpaid", "bounced", "barred", "unsure")
PEOPLE = {
    "ann@bakery.example": {"name": "Ann Baker", "role": "none", "accounts": [{"name": "bakery", "role": "owner"}]},
    "nora@nano.example": {"name": "Nora", "role": "none", "accounts": [{"name": "nano", "role": "owner"}]},
    "vic@bakery.example": {"name": "Vic", "role": "none", "accounts": [{"name": "bakery", "role": "viewer"}]},
    "all@hoster.example": {"name": "Ali", "role": "none", "accounts": [{"name": name, "role": "owner"} for name in ALL]},
    "ops@hoster.example": {"name": "Olga", "role": "operator", "accounts": []},
}
# What the API will have: answered here, until it has them.
MORE_CALLS = [("post", "/v1/accounts/{account}/owner-verification"), ("post", "/v1/accounts/{account}/profiles/test"),
              ("post", "/v1/accounts/{account}/profiles/{profile}/test")]
MANAGERS = re.compile(r"/v1/accounts/[^/?]+/(owner-verification|mailboxes|profiles|domains/[^/]+/(verify|route)|route)\b")


class Sample:
    """A Byway with its API, an upstream that takes mail, and mail that went through."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.upstream = stage.Upstream(users={"relay": PASSWORD}, refuse={"gone@x.example": "550 5.1.1 No such user here"})
        self.upstream.start()
        self.names = dns.Server(dict(ZONE)).__enter__()
        self.byway = stage.Byway(self.folder / "byway", settings={
            "upstream": {"allow_networks": "127.0.0.0/8"}, "dns": {"resolver": self.names.address, "timeout": "2s", "spf_include": "spf.relay.test"},
        }).init()
        secret = self.byway.secret("pw", PASSWORD)
        self.byway.apply(DIRECTORY.format(port=self.upstream.port, secret=secret))
        self.byway.start()
        self.socket = self.folder / "api.sock"
        with open(self.folder / "api.log", "wb") as log:
            self.api = subprocess.Popen([stage.BUILD / "byway-console", "api", "-c", self.byway.ini, "--socket", self.socket],
                                        stdout=log, stderr=log)
        if not stage.wait_until(lambda: self.socket.exists() or self.api.poll() is not None, 20) or self.api.poll() is not None:
            raise RuntimeError((self.folder / "api.log").read_text())

    def send(self, mailbox, to, text="Hello"):
        """Sends a message as MAILBOX; gives what was refused."""
        with smtplib.SMTP_SSL("127.0.0.1", self.byway.ports["tls"], timeout=30, context=ssl._create_unverified_context()) as client:
            client.login(mailbox, PASSWORD)
            try:
                return client.sendmail(mailbox, to, f"From: {mailbox}\r\nTo: {to}\r\nSubject: {text}\r\n\r\n{text}\r\n")
            except smtplib.SMTPException as e:
                return e

    def stop(self):
        stage.stop(self.api)
        self.byway.stop()
        self.upstream.stop()
        self.names.__exit__(None, None, None)


class Handler(http.server.BaseHTTPRequestHandler):
    """A request: an asset, a page, what has to do with signing in, or a call that the API answers."""

    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def say(self, status, body, kind="application/json", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY,
                            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
                            **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def problem(self, status, detail):
        self.say(status, {"type": "about:blank", "title": detail, "status": status, "detail": detail}, "application/problem+json")

    def session(self):
        found = re.search(r"\bbyway=(\w+)", self.headers.get("Cookie", ""))
        return self.server.sessions.get(found.group(1)) if found else None

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path.startswith("/v1/"):
            self.call(path)
        elif path.startswith("/assets/"):
            file = PAGES / path.removeprefix("/assets/")
            if file.parent == PAGES and file.suffix in TYPES and file.is_file():
                self.say(200, file.read_bytes(), TYPES[file.suffix])
            else:
                self.problem(404, "There is no such file")
        else:
            self.say(200, (PAGES / "index.html").read_bytes(), TYPES[".html"])

    def do_POST(self):
        self.call(self.path.partition("?")[0])

    do_PUT = do_PATCH = do_DELETE = do_POST

    def call(self, path):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.command != "GET" and self.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            self.problem(403, "Another site's request")
        elif path.startswith("/v1/sign-in/") or path == "/v1/owner-verification":
            self.sign_in(path.rpartition("/")[2], json.loads(body))
        elif not self.session():
            self.problem(401, "Sign in first")
        elif path == "/v1/session" and self.command == "GET":
            self.say(200, self.told(self.session()))
        elif self.headers.get("X-Byway-CSRF") != self.session()["csrf"]:
            self.problem(403, "The page is too old, load it again")
        elif path == "/v1/session":
            del self.server.sessions[self.session()["session"]]
            self.say(200, {}, Set_Cookie="byway=; Max-Age=0; Path=/")
        elif path == "/v1/session/sign-ins":
            self.say(200, {"items": [{"when": "2026-11-25T14:02:11Z", "how": "password", "address": "192.0.2.7", "agent": "Firefox"}]})
        elif self.ends_anothers_pause(path):
            self.problem(409, "This pause is not yours to end")
        elif not self.may(path):
            self.problem(404, "There is nothing of that name")
        elif self.command == "POST" and path.endswith("/owner-verification"):
            self.server.mailed = self.server.link(path.split("/")[3], "verify")
            self.say(200, {})
        elif self.command == "POST" and re.fullmatch(r"/v1/accounts/[^/]+/profiles/([^/]+/)?test", path):
            self.try_profile(path, json.loads(body))
        else:
            self.ask_api(body)

    def told(self, session):
        return {name: session[name] for name in ("csrf", "person", "accounts", "expires")}

    def may(self, path):
        """Whether the one who is signed in may call PATH."""
        session = self.session()
        if session["person"]["role"] == "operator" or path in ("/v1/openapi.json", "/v1/providers"):
            return True
        role = next((a["role"] for a in session["accounts"] if path == f"/v1/accounts/{a['name']}" or
                     path.startswith(f"/v1/accounts/{a['name']}/")), None)
        if self.command == "GET":
            return role is not None or path.startswith("/v1/plans/")
        return role in ("owner", "manager") and MANAGERS.match(path) is not None

    def ends_anothers_pause(self, path):
        found = re.fullmatch(r"/v1/accounts/[^/]+/mailboxes/([^/]+)/resume", path)
        if not found or self.session()["person"]["role"] == "operator":
            return False
        return self.server.tool("mailbox", "show", unquote(found.group(1)), stdin="").get("state") in ("paused-admin", "paused-abuse")

    def sign_in(self, way, said):
        address = said.get("address", "").lower() if way == "password" else self.server.links.pop(said.get("token"), None)
        if way == "owner-verification" and address:
            self.server.tool("verify", address, stdin="")
            self.say(200, {"account": address})
        elif way == "owner-verification":
            self.problem(410, "This link is not the latest one, or was used")
        elif way == "password" and (said.get("password") != PASSWORD or address not in PEOPLE):
            self.problem(401, "The address or the password is wrong")
        elif address is None:
            self.problem(410, "This link was used already, or is too old")
        else:
            person = PEOPLE[address]
            session = {"session": secrets.token_hex(16), "csrf": secrets.token_hex(16), "expires": "2030-01-01T00:00:00Z",
                       "person": {"email": address, "name": person["name"], "role": person["role"]}, "accounts": person["accounts"]}
            self.server.sessions[session["session"]] = session
            self.say(200, self.told(session), Set_Cookie=f"byway={session['session']}; HttpOnly; SameSite=Lax; Path=/")

    def try_profile(self, path, said):
        """What the API is to say of a profile's test, out of the tool's mouth: a line a step, and the end of it."""
        account, name = re.fullmatch(r"/v1/accounts/([^/]+)/profiles/(?:([^/]+)/)?test", path).groups()
        words = [f"--{k.replace('_', '-')}={v}" for k, v in said.items() if k not in ("password", "check_only")]
        words += ["--check-only"] * bool(said.get("check_only")) + ["--password-stdin"] * ("password" in said)
        done = self.server.tool("profile", "test", f"{account}/{name or 'new-one'}", *words, stdin=said.get("password", "") + "\n")
        if "steps" not in done:
            self.problem(422, done["error"])
            return
        lines = [*done.pop("steps"), done]
        self.say(200, b"".join(json.dumps(line).encode() + b"\n" for line in lines), "application/x-ndjson")

    def ask_api(self, body):
        asked = http.client.HTTPConnection("localhost", timeout=60)
        asked.sock = socket.socket(socket.AF_UNIX)
        asked.sock.connect(str(self.server.api))
        headers = {name: self.headers[name] for name in ("Content-Type", "If-Match") if self.headers[name]}
        asked.request(self.command, self.path, body or None, headers)
        answer = asked.getresponse()
        extra = {"ETag": answer.headers["ETag"]} if answer.headers["ETag"] else {}
        text = answer.read()
        if self.path == "/v1/openapi.json":
            text = json.dumps({"paths": json.loads(text)["paths"] | {path: {method: {}} for method, path in MORE_CALLS}}).encode()
        self.say(answer.status, text, answer.headers["Content-Type"], **extra)
        asked.close()


class Pages(http.server.ThreadingHTTPServer):
    """Serves the pages before the API of SAMPLE; links: {word: address of a person}."""

    daemon_threads = True

    def __init__(self, sample):
        super().__init__(("127.0.0.1", stage.free_port()), Handler)
        self.api, self.sample, self.sessions, self.links, self.mailed = sample.socket, sample, {}, {}, None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def tool(self, *words, stdin):
        """What `byway` says to WORDS, as JSON, also where it fails."""
        done = self.sample.byway.cli(*words, "--json", stdin=stdin, check=False)
        return json.loads(done.stdout or done.stderr)

    def link(self, address, page="sign-in"):
        """A URL that works once: signs the person ADDRESS in, or what PAGE does."""
        word = secrets.token_hex(8)
        self.links[word] = address
        return f"{self.url}/{page}#{word}"

    def stop(self):
        self.shutdown()
        self.server_close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        sample = Sample(folder)
        for n in range(5):
            sample.send("ann@bakery.example", f"guest{n}@x.example")
            sample.send("orders@bakery.example", "gone@x.example")
        pages = Pages(sample)
        try:
            print("\n".join(pages.link(address) for address in PEOPLE), flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
        finally:
            pages.stop()
            sample.stop()


if __name__ == "__main__":
    main()
