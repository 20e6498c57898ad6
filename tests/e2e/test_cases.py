# SPDX-License-Identifier: Apache-2.0
"""Cases from public reports, row by row: what clients, content, upstreams, certificates and settings of real life get from Byway (BEHAVIOUR P7, P8, S7, R9, R12, L8, L9, 7).

The rows are named as in ../shared/cases/2026-11.md. A row is tried here, or HELD says which test holds it. With -s the outcome of each row is shown.
"""
import base64
import itertools
import re
import socket
import ssl
import subprocess
import tempfile
import time

import dns
import https
import pytest
import scripted
import stage
from talk import Closed, Talk

FACTS = stage.ROOT.parent / "shared/cases/2026-11.md"
ME, YOU, PASSWORD = "me@fine.example", "a@elsewhere.example", "secret"
LETTER = f"From: Me <{ME}>\r\nTo: <{YOU}>\r\nSubject: s\r\n\r\nbody\r\n".encode()
NARROW = ("8BITMIME", "PIPELINING", "SIZE 30000000")  # as SendGrid says it, without SMTPUTF8
USERS = {"login": "upstream secret"}


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


PLAIN = b64(f"\0{ME}\0{PASSWORD}")
assert PLAIN.endswith("=")
MAIL, RCPT = f"MAIL FROM:<{ME}>", f"RCPT TO:<{YOU}>"

# Where another test tries the very row: file, test, and a word of its table.
HELD = {
    "A08": ("dialog/ehlo-latin1.dlg", "LLER-PC"), "A35": ("e2e/test_threats.py", "test_sni_chooses"),
    "A36": ("e2e/test_tls_lists.py", "test_P3_a_listener_takes_these_of_TLS_12"), "A45b": ("e2e/test_clients.py", "by_go"),
    "A56": ("e2e/test_content.py", "test_L10_content_before_the_go_ahead_ends_the_session"),
    **{row: ("e2e/test_verdicts.py", f'"{row.lower()}') for row in (
        "D01", "D04", "D07", "D08", "D09", "D10", "D14", "D15", "D16", "D16b", "D16e", "D17", "D19", "D19b", "D19c", "D20", "D23", "D24", "D25", "D25d",
        "D27", "D27c", "D28", "D29")},
    "B09e": ("e2e/test_senders.py", "From: root (Cron Daemon)"),
    "D31": ("e2e/test_verdicts.py", "test_R7_one_recipients_rate_holds_nobody_else"),
    "C18x": ("e2e/test_tls_upstreams.py", "test_R4_every_kind_of_TLS_delivers"),
    "C21a": ("e2e/test_addresses.py", '"refused"'), "C21c": ("e2e/test_addresses.py", '"deadone"'), "C21d": ("e2e/test_addresses.py", '"deadtwo"'),
    "E03d": ("e2e/test_probe.py", "test_R12_a_wrong_tls_mode_is_told"),
    "C21h": ("e2e/test_addresses.py", '"greets421"'), "C21i-k": ("e2e/test_addresses.py", '"silent"'),
}

# Rows whose right value is not reached: why, and whether passing is a failure.
NOT_YET = {}

# Rows that nothing here tries yet, each with the reason.
NOT_TRIED = {}

SHOWN = {}  # row -> outcomes, for whoever reads the output


def rows(table):
    """One test a form: (row, number) and what stands there."""
    made = []
    for row, forms in table.items():
        for n, form in enumerate(forms if isinstance(forms, list) else [forms], 1):
            why = NOT_YET.get(f"{row}-{n}") or NOT_YET.get(row)
            marks = [pytest.mark.xfail(strict=why[1], reason=why[0])] if why else []
            made.append(pytest.param(row, n, form, id=f"{row}-{n}", marks=marks))
    return made


def note(row, outcome):
    SHOWN.setdefault(row, []).append(outcome)
    print(f"\n{row}: {outcome}")


# ---- The scene: one Byway, an upstream for each way of speaking -------------------------------------------

def prompts(*said):
    """AUTH LOGIN with prompts of one's own, whatever the client's first answer."""
    def act(peer):
        for line in said:
            peer.say(line)
            peer.lines.append(peer.line())
        got = [base64.b64decode(line).decode() for line in peer.lines[-2:]]
        peer.login = got[0]
        peer.say("235 2.7.0 welcome" if got == ["login", USERS["login"]] else "535 5.7.8 wrong")
    return act


def hello(*lines):
    return "".join(f"250{'-' if line is not lines[-1] else ' '}{line}\r\n" for line in lines)


def login_after(code):
    """PLAIN refused as a mechanism, LOGIN taken."""
    def act(peer):
        if peer.lines[-1].upper().startswith(b"AUTH PLAIN"):
            peer.say(code)
            return
        name = base64.b64decode(peer.lines[-1].split()[2]) if len(peer.lines[-1].split()) > 2 else peer.server.ask(peer, b"Username:")
        word = peer.server.ask(peer, b"Password:")
        peer.say("235 2.7.0 welcome" if (name, word) == (b"login", USERS["login"].encode()) else "535 5.7.8 wrong")
    return act


def no_size(peer):
    peer.say("555 5.5.4 Unsupported option: SIZE" if b"SIZE=" in peer.lines[-1] else "250 2.1.0 ok")


GREAT = ("x", "PIPELINING", "8BITMIME")
# row: (what the upstream does, what the client hears first that is no success, or the last 250; what must stand in it)
DIALOGUES = {
    "C01": {"on": {"ehlo": hello("x", "pipelining", "8bitmime", "auth plain login", "size 1000000")}, "users": USERS, "want": "250 2.0.0"},
    "C03": [{"on": {"ehlo": hello("x", "AUTH LOGIN"), "auth": prompts(*said)}, "users": USERS, "want": "250 2.0.0"} for said in (
        ("334 " + b64("User Name\0"), "334 " + b64("Password\0")), ("334 ", "334 "), ("334", "334"), ("334 " + b64("login"), "334 " + b64("Password:")))],
    "C05": {"mechanisms": "GSSAPI NTLM LOGIN", "users": USERS, "want": "250 2.0.0"},
    "C06": {"on": {"ehlo": hello(*GREAT, "X-EXPS GSSAPI NTLM LOGIN", "X-EXPS=LOGIN")}, "users": USERS, "want": "451 4.3.5"},
    "C28": {"mechanisms": "NTLM", "users": USERS, "want": "451 4.3.5"},
    "C29": [{"on": {"auth": login_after(code)}, "users": USERS, "want": "250 2.0.0"} for code in (
        "504 5.5.4 Unrecognized authentication type", "504 5.7.4 not here", "534 5.7.9 Authentication mechanism is too weak")],
    "C30": {"on": {"ehlo": "250-x\r\n250-AUTH\tPLAIN  LOGIN \r\n250-SIZE  1000000  \r\n250 PIPELINING\t\r\n"}, "users": USERS, "want": "250 2.0.0"},
    "C31": {"on": {"ehlo": "250 hi AUTH PLAIN"}, "users": USERS, "want": "451 4.3.5"},
    "C09g": {"on": {"mail": no_size}, "options": " SIZE=500", "want": "5"},
    "C11": {"on": {"mail": scripted.then("550 5.7.1 your words are not wanted here", scripted.close)}, "want": "550 5.7.1", "words": "your words are not wanted"},
    "C11c": {"on": {"mail": scripted.then("421 4.3.2 going away", scripted.close)}, "want": "451"},
    "C24": {"on": {"starttls": "250 2.0.0 ok"}, "tls": "starttls", "want": "451 4.7.5"},
    "D28b": [{"on": {"dot": "553 5.7.1 <me@x>: Sender address rejected: not owned by user login"}, "want": "550 5.7.1|553 5.7.1"},
             {"on": {"mail": "501 mail from address must be same as authorization user"}, "want": "550 5.7.1"},
             {"on": {"dot": '501 5.6.0 "from": missing'}, "want": "554 5.6.0"}],
    "D32": [{"on": {"dot": "550 5.4.5 Daily user sending limit exceeded. For more information"}, "provider": "gmail", "want": "451 4.7.0"},
            {"on": {"auth": "534-5.7.14 <https://accounts.example/signin> Please log in via your web browser\r\n534 5.7.14 and then try again"},
             "provider": "gmail", "users": USERS, "want": "550 5.3.5"}],
}


class Secured(scripted.Scripted):
    """A server whose TLS context is made by HOW(context)."""

    def __init__(self, how, **kw):
        super().__init__(tls="implicit", **kw)
        self.how = how

    def context(self):
        c = super().context()
        self.how(c)
        return c


def at_most(version, ciphers=None):
    def how(c):
        if version == ssl.TLSVersion.TLSv1:
            c.minimum_version = version
        c.maximum_version = version
        if ciphers:
            c.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    return how


def as_it_is(c):
    assert c.options & ssl.OP_CIPHER_SERVER_PREFERENCE


def finite_field(c):
    """TLS 1.2 with DHE alone: for servers that have no elliptic curves. Python offers it only with a group of its own."""
    at_most(OLD, "DHE-RSA-AES128-GCM-SHA256")(c)
    with tempfile.NamedTemporaryFile() as f:
        subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", f.name], check=True, capture_output=True)
        c.load_dh_params(f.name)


OLD = ssl.TLSVersion.TLSv1_2
# row: (key, names, addresses, the profile's host, how, what the client hears)
LAYERS = {
    "C18": [("rsa", ["localhost"], [], "localhost", as_it_is, "250"), ("ecdsa", ["localhost"], [], "localhost", as_it_is, "250"),
            ("rsa4096", ["localhost"], [], "localhost", as_it_is, "250"), ("rsa", ["localhost"], [], "localhost", finite_field, "250")],
    "C18e": ("rsa", ["localhost"], [], "localhost", at_most(ssl.TLSVersion.TLSv1, "ALL"), "451 4.7.5"),
    # CBC and the key exchange by RSA: not by default (RFC 9325), and for who says old_tls.
    "C18c": [("rsa", ["localhost"], [], host, at_most(OLD, cipher), want) for cipher in ("ECDHE-RSA-AES128-SHA", "AES128-SHA", "AES256-GCM-SHA384")
             for host, want in (("localhost", "451 4.7.5"), ("localhost\nold_tls = yes", "250"))],
    "C19a": ("ecdsa", [], ["127.0.0.1"], "127.0.0.1", as_it_is, "250"),
    "C19d": [("ecdsa", [], [], "127.0.0.1", as_it_is, "451 4.7.5"), ("ecdsa", ["127.0.0.1"], [], "127.0.0.1", as_it_is, "451 4.7.5")],
    "C19g": [("ecdsa", ["*.wild.test"], [], "mx.wild.test", as_it_is, "250"), ("ecdsa", ["*.wild.test"], [], "a.mx.wild.test", as_it_is, "451 4.7.5"),
             ("ecdsa", ["mx.wild.test"], [], "MX.Wild.TEST", as_it_is, "250"), ("ecdsa", ["xn--mller-kva.test"], [], "xn--mller-kva.test", as_it_is, "250")],
}


def pair_of(folder, key, names, addresses):
    """A certificate for exactly these, in the subject's name the first address alone."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = {"rsa": ["rsa:2048"], "rsa4096": ["rsa:4096"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]}[key]
    alt = ",".join([f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses])
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", folder / "key", "-out", folder / "crt", "-days", "30", "-subj",
                    f"/CN={'127.0.0.1' if not names else 'x'}", *(["-addext", f"subjectAltName={alt}"] if alt else [])], check=True, capture_output=True)
    return folder / "crt", folder / "key"


# C20: what the server sends behind its own certificate, and what the profile trusts: a young root, and an old one
# that has signed the young one's key too and whose time is over.
CHAINS = {"C20": [
    ("inter cross", "young", "250"), ("inter cross", "young old", "250"), ("inter cross", "old young", "250"), ("inter", "young", "250"),
    ("inter cross young old", "young", "250"), ("old young cross inter", "young old", "250"), ("cross inter", "young", "250"),
    ("inter cross", "old", "451 4.7.5"), ("cross", "young", "451 4.7.5"),
]}


class Authorities:
    """Two roots, an intermediate of the young one, the cross-signed form of the young one, and a server's certificate."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        ca = "basicConstraints=critical,CA:TRUE\n"
        for name in ("old", "young", "inter", "leaf"):
            self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                         "-subj", f"/CN={name}")
        self.sign("old", "old", ca, days=-1)
        self.sign("young", "young", ca)
        self.sign("young", "old", ca, out="cross")
        self.sign("inter", "young", ca)
        self.sign("leaf", "inter", "subjectAltName=DNS:localhost\n")

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)

    def sign(self, who, by, extensions, days=30, out=None):
        (self.folder / "ext").write_text(extensions)
        issuer = ["-signkey", f"{who}.key"] if who == by else ["-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-CAcreateserial"]
        self.openssl("x509", "-req", "-in", f"{who}.csr", *issuer, "-days", str(days), "-extfile", "ext", "-out", f"{out or who}.crt")

    def file(self, name, parts):
        path = self.folder / name
        path.write_text("".join((self.folder / f"{p}.crt").read_text() for p in parts.split()))
        return path


def named(table):
    """(row-n, form) of every form."""
    return [(f"{row}-{n}", form) for row, forms in table.items() for n, form in enumerate(forms if isinstance(forms, list) else [forms], 1)]


BLANKS = ["inner blank", " leading", "trailing ", "with:colon", "ends==", "\ufeffmark", "no\u00a0break"]


class Names(dns.Server):
    """Of half.test the AAAA query has no answer."""

    def answer(self, message, room):
        name, number, _ = dns.question(message)
        return None if (name, number) == ("half.test", dns.TYPES["AAAA"]) else super().answer(message, room)


# C21g: AAAA in trouble, A fine; the other way round; many addresses
HOSTS = {"half.test": {"A": ["127.0.0.1"]}, "six.test": {"AAAA": ["::1"], "A": ["127.0.0.1"]}, "eleven.test": {"A": [f"127.0.0.{n}" for n in range(1, 12)]},
         "smtp_relay.test": {"A": ["127.0.0.1"]}, "broken.test": dns.SERVFAIL, **{h: {"A": ["127.0.0.1"]} for h in ("mx.wild.test", "a.mx.wild.test", "xn--mller-kva.test", "localhost")}}


class Scene:
    def __init__(self, folder, stack, stage_byway):
        self.ups, self.at = {}, {}
        up = self.ups["fine"] = stack.enter_context(scripted.Scripted())
        narrow = self.ups["narrow"] = stack.enter_context(scripted.Scripted(offers=NARROW))
        pair = stage.certificate(folder / "api", key="rsa")
        self.api = stack.enter_context(https.Api(pair))
        self.api.context.maximum_version = OLD  # C18z: RSA, its own order, TLS 1.2
        self.api.context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        b = self.byway = stage.Byway(folder / "byway", workers=1, settings={
            "upstream": {"allow_ports": "25", "greeting_timeout": "3s"}, "dns": {"resolver": stack.enter_context(Names(HOSTS)).address},
            "mta sick": {"host": "127.0.0.1", "port": self.mta("sick", stack, {"greeting": "421 4.3.2 not now"}), "tls": "none"},
            "mta well": {"host": "127.0.0.1", "port": self.mta("well", stack), "tls": "none"}, "guessing": {"delay": 0, "name_failures": 0, "address_failures": 0}})
        b.init()
        self.password = b.secret("pw", PASSWORD)
        self.text = "[plan wide]\ncan_send = yes\nmailbox_day = 100000\naccount_day = 100000\naccount_hour = 100000\n[account one]\nplan = wide\nowner_verified = yes\n"
        self.route("fine", f"host = 127.0.0.1\nport = {up.port}\ntls = none\n")
        self.route("narrow", f"host = 127.0.0.1\nport = {narrow.port}\ntls = none\n")
        self.route("sg", f"provider = sendgrid\ntransport = api\nhost = localhost\nport = {self.api.port}\nca_file = {pair[0]}\n"
                         f"password_file = {b.secret('sg.pw', 'SG.key')}\n")
        login = f"username = login\npassword_file = {b.secret('up.pw', USERS['login'])}\n"
        for key, form in named(DIALOGUES):
            self.dialogue(stack, key.lower(), form, login, pair)
        for key, (kind, names, addresses, host, how, _) in named(LAYERS):
            made = pair_of(folder / key, kind, names, addresses)
            self.ups[key] = stack.enter_context(Secured(how, pair=made))
            self.route(key.lower(), f"host = {host}\nport = {self.ups[key].port}\ntls = implicit\nca_file = {made[0]}\n")
        roots = Authorities(folder / "roots")
        for key, (sent, trusted, _) in named(CHAINS):
            served = roots.file(f"{key}.chain", f"leaf {sent}"), roots.folder / "leaf.key"
            self.ups[key] = stack.enter_context(Secured(as_it_is, pair=served))
            self.route(key.lower(), f"host = localhost\nport = {self.ups[key].port}\ntls = implicit\nca_file = {roots.file(f'{key}.trust', trusted)}\n")
        for n, word in enumerate(BLANKS, 1):
            self.ups[f"E01-{n}"] = stack.enter_context(scripted.Scripted(users={"login": word}))
            path = b.folder / f"blank{n}"
            path.write_bytes(word.encode() + (b"\r\n" if n == 1 else b"\n"))
            path.chmod(0o600)
            self.route(f"e01-{n}", f"host = 127.0.0.1\nport = {self.ups[f'E01-{n}'].port}\ntls = none\nusername = login\npassword_file = {path}\n")
        for name, host in {"under": "smtp_relay", **{h: h for h in ("half", "six", "eleven", "broken")}}.items():
            self.route(name, f"host = {host}.test\nport = {up.port}\ntls = none\n")
        self.text += f"[domain native.example]\naccount = one\nroute = native\n[mailbox me@native.example]\npassword_file = {self.password}\n"
        stage_byway(b, self.text)

    def mta(self, name, stack, on=None):
        self.ups[name] = stack.enter_context(scripted.Scripted(on))
        return self.ups[name].port

    def route(self, name, profile):
        domain = f"{name}.example"
        self.text += f"[profile one/{name}]\n{profile}[domain {domain}]\naccount = one\nroute = {name}\n[mailbox me@{domain}]\npassword_file = {self.password}\n"

    def dialogue(self, stack, key, form, login, pair):
        up = self.ups[key] = stack.enter_context(scripted.Scripted(
            form.get("on"), users=form.get("users"), tls=form.get("tls"), pair=pair, **({"mechanisms": form["mechanisms"]} if "mechanisms" in form else {})))
        provider = f"provider = {form['provider']}\n" if "provider" in form else ""
        self.route(key, f"{provider}host = {'localhost' if 'tls' in form else '127.0.0.1'}\nport = {up.port}\ntls = {form.get('tls', 'none')}\n"
                        f"ca_file = {pair[0]}\n" + (login if "users" in form else "username =\n" if provider else ""))

    def talk(self, name="fine", how="tls"):
        return Talk(self.byway, how, login=(f"me@{name}.example", PASSWORD))

    def send(self, name="fine", content=None, options=""):
        """What the client hears: the first refusal, or the last word."""
        me = f"me@{name}.example"
        with self.talk(name) as t:
            for line in (f"MAIL FROM:<{me}>{options}", RCPT):
                heard = t.cmd(line)
                if heard.code != 250:
                    return heard
            heard = t.cmd("DATA")
            if heard.code == 354:
                content = LETTER if content is None else content
                t.raw(content.replace(ME.encode(), me.encode()).replace(b"\r\n.", b"\r\n..") + b".\r\n")
                heard = t.read()
            return heard


@pytest.fixture(scope="module")
def scene(folder, stack, stage_byway):
    return Scene(folder, stack, stage_byway)


@pytest.fixture(scope="module", autouse=True)
def shown():
    yield
    for row, outcomes in sorted(SHOWN.items()):
        print(f"{row:6} {'; '.join(outcomes)}")


def is_one_of(heard, wanted):
    return str(heard).startswith(tuple(wanted.split("|")))


# ---- A: what clients say ------------------------------------------------------------------------------

# row: (from where: new (greeted), out (EHLO said), in (logged in); the lines; what the last of them hears)
SAID = {
    "A01": [("out", [f"AUTH PLAIN  {PLAIN}"], "235"), ("out", [f"auth plain   {PLAIN}"], "235")],
    "A01c": [("out", [f"AUTH PLAIN {PLAIN} "], "235"), ("out", ["AUTH PLAIN", f"{PLAIN} "], "235")],
    "A01d": ("out", [f"AUTH PLAIN {PLAIN.rstrip('=')}"], "235"),
    "A04": ("out", ["EHLO [IPV6:2001:DB8::1]"], "250"), "A05": ("out", ["EHLO [IPv6:::ffff:10.0.4.47]"], "250"), "A07": ("out", ["EHLO my_host_1"], "250"),
    "A09": ("out", ["EHLO m\u00fcller-pc"], "250"),
    "A10": [("new", ["HELO "], "250"), ("new", ["HELO"], "250")], "A11": [("new", ["EHLO"], "250"), ("new", ["EHLO "], "250")],
    "A13": [("in", [f"MAIL FROM: {ME}"], "250"), ("in", [f"MAIL FROM:{ME}"], "250")],
    "A14c": [("in", [f"MAIL FROM: <{ME}>"], "250"), ("in", [MAIL, f"RCPT TO: <{YOU}>"], "250")],
    "A14d": [("in", [f"MAIL FROM :<{ME}>"], "250"), ("in", [f"MAIL FROM:Me <{ME}>"], "250"), ("in", [f"MAIL FROM:< {ME} >"], "250")],
    "A16": ("in", [f"{MAIL} BODY=8BITMIME AUTH=<{ME}>"], "250"), "A17": ("in", [f"{MAIL} AUTH=me+tag@fine.example"], "250"),
    "A18": [("in", [f"MAIL FROM:<{local}@fine.example>", RCPT], "250") for local in ("ilo.", "a..b", ".a")],
    "A19c": ("in", [MAIL, 'RCPT TO:<"user..name"@docomo.example>'], "250"),
    "A21": ("in", [MAIL, "RCPT TO:<a@under_score.example>"], "250"),
    "A23": [("in", [MAIL, "RCPT TO:<root@localhost>"], "250"), ("in", [MAIL, "RCPT TO:<1@1.1>"], "250")], "A23d": ("in", ["MAIL FROM:<root>"], "501 5.1.7"),
    "A24": ("in", [MAIL, f"{RCPT} ORCPT=rfc822;root"], "250"), "A26": ("in", [MAIL, f"{RCPT} NOTIFY="], "501"),
    "A27": ("in", [MAIL, f"{RCPT} ORCPT=rfc822;user+tag@x"], "501"),
    "A28": [("in", [MAIL, f"{RCPT},<b@elsewhere.example>"], "501"), ("in", [MAIL, f"{RCPT};"], "501")],
    "A43": [("out", [f"AUTH PLAIN {b64(f'{chr(0)}{name}{chr(0)}{PASSWORD}')}"], "235") for name in ("ME@Fine.EXAMPLE", f" {ME}", f"{ME} ")],
    "A51": ("new", ["HELO x", "AUTH LOGIN"], "334"), "A52": ("clear", ["HELO x", "STARTTLS"], "220"), "A53b": ("new", [MAIL], "503"),
    "A55": ("in", [f"mail from:<{ME}>", f"rcpt to:<{YOU}>", "data"], "354"),
}


def begin(scene, where):
    if where == "in":
        return scene.talk()
    if where == "out":
        return Talk(scene.byway, "tls")
    t = Talk(scene.byway, "plain" if where == "clear" else "tls", greet=False)
    t.read()
    return t


@pytest.mark.parametrize("row, n, form", rows(SAID))
def test_what_clients_say(scene, row, n, form):
    where, lines, want = form
    with begin(scene, where) as t:
        for line in lines[:-1]:
            assert t.cmd(line).code < 400, line
        heard = t.cmd(lines[-1])
    note(row, str(heard)[:60])
    assert is_one_of(heard, want), heard


def test_A29_A37_words_before_the_greeting(scene):
    with Talk(scene.byway, "plain", greet=False) as t:
        t.raw("EHLO x\r\nQUIT\r\n")
        said = [t.read().code for _ in range(3)]
        assert t.is_closed()
    note("A29", str(said)), note("A37", str(said))
    assert said == [220, 250, 221]


def test_A32_the_prompt_of_PLAIN_is_334_and_a_blank(scene):
    with Talk(scene.byway, "tls") as t:
        t.raw("AUTH PLAIN\r\n")
        line = t.line()
    note("A32", repr(line))
    assert line == b"334 "


def test_A31_the_last_line_of_EHLO_is_one_that_nobody_waits_for(scene):
    """Simple clients look for "250-STARTTLS" and "250-AUTH"."""
    with Talk(scene.byway, "plain") as t:
        clear = t.cmd("EHLO x", 250).lines
    with Talk(scene.byway, "tls") as t:
        secured = t.cmd("EHLO x", 250).lines
    note("A31", f"{clear[-1]}, {secured[-1]}")
    assert "250-STARTTLS" in clear and "250-AUTH PLAIN LOGIN" in secured


def troubles(byway):
    return [e for e in byway.events() if e["level"] in ("warning", "error", "critical")]


def test_A34_a_client_that_drops_TCP_is_no_warning(scene):
    before, ended = troubles(scene.byway), len(scene.byway.events("session"))
    socket.socket(fileno=scene.talk().socket.detach()).close()
    assert stage.wait_until(lambda: len(scene.byway.events("session")) > ended)
    note("A34", str(troubles(scene.byway)[len(before):]))
    assert troubles(scene.byway) == before


@pytest.mark.parametrize("row, name, content, options", [
    ("A45", "narrow", None, " BODY=8BITMIME SMTPUTF8"), ("A45", "sg", None, " BODY=8BITMIME SMTPUTF8"),
    ("A45h", "narrow", LETTER.replace(b"Subject: s", "Subject: Gr\u00fc\u00dfe".encode()), " BODY=8BITMIME")])
def test_permissions_are_no_needs(scene, row, name, content, options):
    scene.api.say(202, "")
    heard = scene.send(name, content, options)
    note(row, f"{name}: {str(heard)[:40]}")
    assert heard.code == 250


def test_A48_a_password_pipelined_before_TLS_is_not_logged(scene):
    word = "pa55word-of-nobody"
    with Talk(scene.byway, "plain") as t:
        t.cmd("EHLO x", 250)
        t.raw(f"AUTH LOGIN\r\n{b64(ME)}\r\n{b64(word)}\r\n")
        heard = t.read()
    note("A48", str(heard)[:40])
    assert (heard.code, heard.enhanced) == (538, "5.7.11")
    log = scene.byway.log.read_text()
    assert word not in log and b64(word) not in log


def test_A49_many_RSET_and_NOOP(scene):
    """P6 counts them since: who says a hundred between messages is told to come back; under it a message passes."""
    with scene.talk() as t:
        for word in ("RSET", "NOOP") * 40:
            t.cmd(word, 250)
        heard = t.send(ME, [YOU], LETTER)
        said = []
        with pytest.raises(Closed):
            for word in itertools.cycle(("RSET", "NOOP")):
                said.append(t.cmd(word))
                assert len(said) < 200
    note("A49", f"80 between: {heard.code}; {len(said)}th: {said[-1]}"[:60])
    assert heard.code == 250 and (said[-1].code, said[-1].enhanced) == (421, "4.7.0")


# ---- B: content ---------------------------------------------------------------------------------------

HEAD = f"From: Me <{ME}>\r\nTo: <{YOU}>\r\nSubject: s\r\n".encode()
MISSING = (b"Date: ", b"Message-ID: ")
# row: (content, what must stand in what arrives, what must not)
CONTENT = {
    "B01": (b"From 0a0ae3e9 Mon Sep 17 00:00:00 2001\r\n" + HEAD + b"\r\nbody\r\n", [b"Subject: s\r\n", b"\r\n\r\nbody\r\n"], [b"From 0a0a"]),
    "B01c": (b"\r\n" + HEAD + b"\r\nbody\r\n", [b"body\r\n", *MISSING], []),
    "B02": (HEAD + b"Resent-Bcc: secret@hidden.example\r\n\r\nbody\r\n", [b"body"], [b"hidden", b"Resent-Bcc"]),
    "B03": [(HEAD + b + b"\r\nbody\r\n", [b"body"], [b"hidden"]) for b in (b"Bcc : x@hidden.example\r\n", b"BCC:\r\n x@hidden.example,\r\n\ty@hidden.example\r\n")],
    "B04": [(HEAD + b"note: this is text\r\nmore text\r\n", [b"more text", *MISSING], []), (HEAD + b"text without it\r\n", [b"text without it", *MISSING], [])],
    "B06": [(HEAD + b"\r\n", MISSING, []), (HEAD, MISSING, []), (HEAD + b"Date: Mon, 17 Sep 2001 00:00:00 +0000\r\n", [b"Message-ID: ", b"Date: Mon"], [])],
    "B10": (f"FROM: {ME}\r\nDATE: Mon, 17 Sep 2001 00:00:00 +0000\r\nMESSAGE-ID: <1@x>\r\n\r\nbody\r\n".encode(), [b"DATE: ", b"MESSAGE-ID: "], MISSING),
    "B11": (HEAD + b"Date:\r\nMessage-ID:\r\n\r\nbody\r\n", [b"\r\nDate:\r\n", b"Message-ID:\r\n"], [b"\r\nDate: "]),
}


@pytest.mark.parametrize("row, n, form", rows(CONTENT))
def test_what_content_becomes(scene, row, n, form):
    content, there, gone = form
    before = len(scene.ups["fine"].messages)
    heard = scene.send("fine", content)
    note(row, str(heard)[:20])
    assert heard.code == 250
    got, = scene.ups["fine"].messages[before:]
    assert all(t in got["content"] for t in there) and not any(g in got["content"] for g in gone), got["content"]


# row: (the From field, its refusal or 250), for an account of which only its own may stand there
FROM = {
    "B09": [(f"From: undisclosed:{ME};", "250"), (f"From: J. R. Doe <{ME}>", "250"), (f"From: M\xfcller <{ME}>", "250"), (f"From: {ME},", "250"),
            ("X-Long: " + "\r\n ".join(["x" * 70] * 2800) + f"\r\nFrom: {ME}", "250")],
    "B09g": (f"From: Doe, John <{ME}>", "250"), "B09k": (f"From: [TICKET] Support <{ME}>", "250"),
    "B09l": [(f"From: <<{ME}>>", "250"), (f"From: {ME};", "250"), ("From: =?utf-8?q?Me?=", "250|550"), ("From: " + ", ".join([ME] * 100), "250")],
}


@pytest.mark.parametrize("row, n, form", rows(FROM))
def test_who_From_names(scene, row, n, form):
    field, want = form
    heard = scene.send("fine", field.encode("latin-1") + b"\r\nSubject: s\r\n\r\nbody\r\n")
    note(row, str(heard)[:60])
    assert is_one_of(heard, want), heard


def mime(kind, body=b"body", more=b""):
    return HEAD + more + (b"MIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\n\r\n" + body + b"\r\n")


def mixed(*parts, boundary=b"m", field=b"m"):
    return mime(b"multipart/mixed; boundary=" + field, b"".join(b"--" + boundary + b"\r\n" + p + b"\r\n" for p in parts) + b"--" + boundary + b"--")


PDF = b"Content-Type: application/pdf; name=s.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
# row: (content, the text in the JSON or None, how many attachments); refused where the text is False
JSON = {
    "B02s": [(HEAD + b"Resent-Bcc: x@hidden.example\r\n\r\nbody\r\n", "body", 0), (b"From 0a0a Mon Sep 17 00:00:00 2001\r\n" + HEAD + b"\r\nbody\r\n", "body", 0)],
    "S01": [(HEAD + b"\r\n", "", 0), (HEAD, "", 0)],
    "S02": [(mixed(b"Content-Type: text/plain\r\n\r\n", PDF + b"JVBERi0="), "", 1), (mixed(PDF + b"JVBERi0="), "", 1)],
    "S05": [(mime(b"text/plain").replace(b"MIME-Version: 1.0\r\n", b""), "body", 0), (mixed(b"\r\nbody", boundary=b"=_x?y", field=b"=_x?y"), "body", 0),
            (mixed(b"\r\nbody", PDF + b"JVBERi0"), "body", 1), (mixed(b"\r\nbody", PDF + b"JV*BE!Ri0="), "body", 1)],
    "S08": (HEAD + b"\r\nGr\xfc\xdfe\r\n", "Gr\u00fc\u00dfe", 0), "S10": (mime(b"text"), "body", 0),
    "S10b": [(mime(kind), "body", 0) for kind in (b"text/", b"text; charset=utf-8", b"html", b"")],
    "S10f": [(mime(kind), "body", 0) for kind in (b"text/plain charset=utf-8", b'text/plain; charset="utf-8', b"text/plain; charset=utf8", b"text/plain; charset=")] + [
        (mime(b"text/plain", more=b"Content-Transfer-Encoding: utf-8\r\n"), "body", 0)],
    "S10j": (mime(b"text/plain; charset=unknown-8bit"), "body", 0),
    "S13": [(HEAD.replace(b"Subject: s\r\n", b"") + b"\r\nbody\r\n", "body", 0), (HEAD.replace(b"Subject: s", b"Subject:") + b"\r\nbody\r\n", "body", 0)],
    "S14": [(HEAD.replace(b"To: <a@elsewhere.example>\r\n", b"") + b"\r\nbody\r\n", "body", 0),
            (HEAD.replace(b"To: <a@elsewhere.example>", b"To: undisclosed-recipients:;") + b"\r\nbody\r\n", "body", 0)],
    "S16": [(HEAD + "X-Mailer: Gr\u00fc\u00dfe\r\n\r\nbody\r\n".encode(), "body", 0), (HEAD + b"X-Originating-IP: 1\r\nX-Originating-IP: 2\r\n\r\nbody\r\n", "body", 0)],
    "S20": (HEAD.replace(b"To: <", b'To: "Doe, John" <') + b"\r\nbody\r\n", "body", 0),
    "S15": [(HEAD.replace(b"Subject: s", b"Subject: Gr\xfc\xdfe") + b"\r\nbody\r\n", "body", 0),
            (HEAD.replace(b"Subject: s", "Subject: Gr\u00fc\u00dfe".encode()) + b"\r\nbody\r\n", "body", 0)],
    "C18z": (LETTER, "body", 0),
}


@pytest.mark.parametrize("row, n, form", rows(JSON))
def test_what_the_API_gets(scene, row, n, form):
    content, text, attached = form
    scene.api.take()
    scene.api.say(202, "")
    heard = scene.send("sg", content)
    note(row, str(heard)[:50])
    assert heard.code == 250, heard
    request, = scene.api.take()
    got = request.json()
    assert "hidden" not in str(got) and len(got.get("attachments", [])) == attached
    assert "".join(c["value"] for c in got["content"]).strip() == text


# ---- C, D, E: upstreams -------------------------------------------------------------------------------

@pytest.mark.parametrize("row, n, form", rows(DIALOGUES))
def test_what_upstreams_say(scene, row, n, form):
    heard = scene.send(f"{row.lower()}-{n}", options=form.get("options", ""))
    note(row, str(heard)[:60])
    assert is_one_of(heard, form["want"]) and form.get("words", "") in str(heard), heard


@pytest.mark.parametrize("row, n, form", rows(LAYERS) + rows(CHAINS))
def test_what_certificates_do(scene, row, n, form):
    heard = scene.send(f"{row.lower()}-{n}")
    note(row, str(heard)[:40])
    assert is_one_of(heard, form[-1]), heard


# ---- F: names and addresses ---------------------------------------------------------------------------

def test_C21p_the_native_pool_passes_a_sick_one(scene):
    heard = [scene.send("native").code for _ in range(4)]
    note("C21p", str(heard))
    assert heard == [250] * 4 and len(scene.ups["well"].messages) == 4


@pytest.mark.parametrize("host, want", [("six", "250"), ("eleven", "250"), ("broken", "451 4.4.3")])
def test_C21g_names_and_routes_in_trouble(scene, host, want):
    heard = scene.send(host)
    note("C21g", f"{host}: {str(heard)[:30]}")
    assert is_one_of(heard, want), heard


def test_C22d_an_AAAA_query_without_an_answer(scene):
    began = time.monotonic()
    heard = scene.send("half")
    took = time.monotonic() - began
    note("C22d", f"{heard.code} after {took:.1f} s")
    assert heard.code == 250 and took < 5 * stage.SLOW


# ---- G: settings, counting, logs ----------------------------------------------------------------------

@pytest.mark.parametrize("n, word", enumerate(BLANKS, 1))
def test_E01_passwords_arrive_as_they_are(scene, n, word):
    heard = scene.send(f"e01-{n}")
    note("E01m" if n > 5 else "E01", f"{word!r}: {heard.code}")
    assert heard.code == 250 and f"E01-{n}" in scene.ups


# row: (options, whether it is refused, or taken with --force alone, and what must be said)
SETTINGS = {
    "E02": [(["--host", host], "smtp.fine.example" if ":" in host or host.endswith(".") else "host") for host in (
        "ssl://smtp.fine.example", "smtps://smtp.fine.example:465", "smtp.fine.example:465", "smtp.fine.example.", "a;b")],
    "E04b": (["--host", "smtp.m\u00fcller.example"], "xn--mller-kva"),
    "E03": [(["--host", "smtp.fine.example", "--port", "465", "--tls", "starttls"], "implicit"),
            (["--host", "smtp.fine.example", "--port", "587", "--tls", "implicit"], "starttls")],
}


@pytest.mark.parametrize("row, n, form", rows(SETTINGS))
def test_settings_that_cannot_work(scene, row, n, form):
    options, told = form
    done = scene.byway.cli("profile", "add", f"one/{row.lower()}x{n}", *options, "--username", "login", "--password-stdin", stdin="x\n", check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode == 0:
        said += " as " + scene.byway.cli("profile", "show", f"one/{row.lower()}x{n}", json_out=True)["host"]
    note(row, f"{done.returncode}: {said[:70]}")
    assert told in said and (done.returncode != 0 or "xn--" in told), said


def test_E04_a_host_with_an_underscore_works(scene):
    heard = scene.send("under")
    note("E04", str(heard)[:40])
    assert heard.code == 250, heard


def test_F01_one_address_several_times_is_several_recipients(scene):
    """Each RCPT has its own answer from the upstream (L2) and counts."""
    with scene.talk() as t:
        heard = t.send(ME, [YOU, YOU, YOU, YOU.upper()], LETTER)
    sent, = [m["to"] for m in scene.ups["fine"].messages if len(m["to"]) > 1]
    row = scene.byway.wait_event("message", outcome="sent", nrcpt=4)
    note("F01", f"{heard.code}, {len(sent)} upstream, counted {row['accepted']}")
    assert heard.code == 250 and sent == [YOU, YOU, YOU, YOU.upper()] and row["accepted"] == 4


@pytest.mark.parametrize("n, port, said, level", [
    (1, "starttls", b"", "debug"), (2, "starttls", b"QUIT\r\n", "debug"), (3, "starttls", b"EHLO balancer\r\nQUIT\r\n", "debug"),
    (4, "starttls", b"MAIL FROM:<a@b.example>\r\nQUIT\r\n", "info"), (5, "tls", b"QUIT\r\n", "info"),
    (6, "starttls", b"EHLO a\r\nNOOP\r\nQUIT\r\n", "info"), (7, "tls", b"", "debug"), (8, "tls", b"\x16\x03\x01", "info"),
    (9, "starttls", b"EHLO a\r\nSTARTTLS\r\n", "info")])
def test_G01_a_health_check_is_not_at_info(scene, n, port, said, level):
    me = f"127.0.1.{n}"
    with socket.create_connection(("127.0.0.1", scene.byway.ports[port]), timeout=30, source_address=(me, 0)) as s:
        if port == "starttls":
            assert s.recv(4096).startswith(b"220 ")
        if said:
            s.sendall(said)
            if b"QUIT" not in said:
                s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
    row = scene.byway.wait_event("session", client=me)
    note("G01", f"{said[:10]!r} at {port}: {row['level']}")
    assert row["level"] == level, row


# ---- The whole ----------------------------------------------------------------------------------------

ALONE = {"A29", "A31", "A32", "A34", "A37", "A45", "A45h", "A48", "A49", "C21p", "C21g", "C22d", "E01", "E01m", "E04", "F01", "G01"}  # tests of their own above


def test_every_row_is_tried_or_held():
    if not FACTS.exists():
        pytest.skip(f"no table of cases at {FACTS}")
    known = [m[1] for m in re.finditer(r"^\|[^|]*\| ([A-Z]\d\w*(?:-\w)?) \|", FACTS.read_text(), re.M)]
    tried = ALONE | set().union(SAID, CONTENT, FROM, JSON, DIALOGUES, LAYERS, CHAINS, SETTINGS)
    left = [row for row in known if row not in tried | set(HELD) | set(NOT_TRIED)]
    assert len(known) >= 130 and not left, left
    for row, (file, word) in HELD.items():
        assert word in (stage.ROOT / "tests" / file).read_text(), (row, file, word)
    assert not set(NOT_TRIED) & (tried | set(HELD))
