# SPDX-License-Identifier: Apache-2.0
"""Dialogues: a client's and an upstream's side of one session as data, replayed whole, octet by octet, and pipelined.

A file in tests/dialog/ is one dialogue. Lines:

    # ...               a comment; the first says what the dialogue shows
    set KEY=VALUE ...   the daemon's configuration, SECTION.KEY=VALUE
    via LISTENER        legacy (AUTH in clear; the default), starttls, tls, noauth
    login               EHLO and AUTH go before, unseen
    account|mailbox|profile KEY=VALUE ...   of the dialogue's own account, mailbox, profile (commas part the pairs)
    offers WORD ...     the upstream's EHLO in place of scripted.OFFERS, as SIZE=1000 or LIMITS=RCPTMAX=5; `-` for nothing
    modes MODE ...      whole bytes pipelined; default all
    apart KEY ...       fields of the log that may differ between modes
    hello               the upstream's greeting and EHLO are part of the dialogue

    c: text             the client sends text CRLF; a `\\c` at the end: without CRLF
    c! tls | close | half | reset | wait SECONDS
    s: text             the client hears this line
    s! close            ... the end of the connection
    u: text             the upstream hears this line; of BDAT only `BDAT`, the content, `BDAT LAST`
    u?: text            ... or not: from the first one that it does not hear on, it hears none of those that follow
    u! connect          ... a new connection from here on
    a: text             the upstream answers
    a! close | reset | wait SECONDS
    log: EVENT KEY=VALUE ...    the session's next line in the log, as far as given; blanks in values are written `_`
    close: WORD         how the session ended, in the log

c: lines up to the next s: line are one write. In all texts `\\r \\n \\t \\0 \\xHH \\\\` are octets; {me} {pw} {name} are the mailbox, its password,
the dialogue's name; {plain:a:b:c} is AUTH PLAIN's base64 of a NUL b NUL c, {b64:text} of text; {rep:N:text} repeats. In what is expected {*} is anything,
{id} an id, {ref} the id at the end of a refusal, which must be one of the session or of a message of it in the log, {n} a number, {date} a date. `u: {received}` stands for the field that Byway adds.
A tag with modes behind it, `u(pipelined):`, counts in these modes only.
"""
import base64
import difflib
import json
import re
import select
import socket
import ssl
import subprocess
import time
from pathlib import Path

import reference
import scripted
import stage

FOLDER = Path(__file__).resolve().parents[1] / "dialog"
MODES = ("whole", "bytes", "pipelined")
PASSWORD = "dialogue-pw"
TAG = re.compile(r"^(c|s|u|a|log|close)(?:\(([a-z ]+)\))?(:|!|\?:)(?: (.*))?$")
# RFC 2920, 3.1: these may have commands behind them in one write.
MAY_GO_ON = {b"MAIL", b"RCPT", b"RSET", b"BDAT", b"."}
NOISE = ("ts", "proc", "id", "session", "took", "final", "lasted", "in", "out", "at", "client", "upstream")


class Wrong(Exception):
    """The file is not a dialogue."""


# ---- octets

def fast_hash(password):
    """A crypt(3) hash that costs next to nothing: the dialogues are not about waiting."""
    return subprocess.run(["openssl", "passwd", "-1", "-salt", "dialogue", password], check=True, capture_output=True,
                          text=True).stdout.strip()


def octets(text):
    """`\\r` and so on -> octets."""
    def one(m):
        s = m.group(1)
        return {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}.get(s) or bytes([int(s[1:], 16)])
    out = b""
    for piece in re.split(r"(\\(?:x[0-9a-fA-F]{2}|[rnt0\\]))", text):
        m = re.fullmatch(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])", piece)
        out += one(m) if m else piece.encode("utf-8", "surrogateescape")
    return out


def shown(data):
    """Octets for people: one line."""
    return data.decode("utf-8", "replace").encode("unicode_escape").decode().replace("\\\\", "\\")


class Macros:
    def __init__(self, name):
        self.name = name
        self.me = f"me@{name}.example"

    def given(self, text):
        """What is sent: octets."""
        def fill(m):
            word, _, rest = m.group(1).partition(":")
            if word == "plain":
                return base64.b64encode(b"\0".join(octets(self.text(p)) for p in rest.split(":"))).decode()
            if word == "b64":
                return base64.b64encode(octets(self.text(rest))).decode()
            if word == "rep":
                n, _, what = rest.partition(":")
                return what * int(n)
            return m.group(0)
        return octets(re.sub(r"\{((?:plain|b64|rep):(?:[^{}]|\{\w+\})*)\}", fill, self.text(text, keep=True)).replace("{me}", self.me))

    def text(self, text, keep=False):
        return text.replace("{me}", self.me).replace("{pw}", PASSWORD).replace("{name}", self.name)

    def pattern(self, text):
        """What is expected: a pattern over octets."""
        kinds = {"*": rb".*", "id": rb"[0-9a-z]{15,16}", "ref": rb"[0-9a-z]{15}", "n": rb"\d+", "date": rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000"}
        out = b""
        for piece in re.split(r"(\{(?:\*|id|ref|n|date)\})", text):
            kind = kinds.get(piece[1:-1]) if piece.startswith("{") else None
            out += kind if kind else re.escape(self.given(piece))
        return re.compile(out, re.S)


# ---- the file

class Line:
    """One expected line: its pattern, and how it stands in the file."""

    def __init__(self, macros, text, optional=False):
        self.text, self.pattern, self.optional = text, macros.pattern(text), optional

    def fits(self, data):
        return self.pattern.fullmatch(data) is not None


RECEIVED = ("Received: by relay.test (Byway/{*})", "\\twith {*} id {id};", "\\t{date}")


class Dialogue:
    """One file. play(mode) gives what counts in MODE: (client steps, upstream connections, log lines, close word)."""

    def __init__(self, path):
        self.path, self.name = path, path.stem
        self.settings, self.via, self.login = {}, "legacy", False
        self.of = {"account": {}, "mailbox": {}, "profile": {}}
        self.offers, self.modes, self.hello, self.apart = scripted.OFFERS, MODES, False, ()
        self.lines = []  # (modes, tag, kind, text)
        self.macros = Macros(self.name)
        self.title = None
        for number, line in enumerate(path.read_text().split("\n"), 1):
            try:
                self._line(line)
            except (ValueError, KeyError) as e:
                raise Wrong(f"{path.name}:{number}: {line!r}: {e}") from None
        if not self.title:
            raise Wrong(f"{path.name}: the first line must be a comment that says what it shows")

    def _line(self, line):
        if not line.strip():
            return
        if line.startswith("#"):
            self.title = self.title or line[1:].strip()
            return
        m = TAG.match(line)
        if m:
            modes = m.group(2).split() if m.group(2) else MODES
            if not set(modes) <= set(MODES):
                raise ValueError("no such mode")
            self.lines.append((modes, m.group(1), m.group(3), m.group(4) or ""))
            return
        word, _, rest = line.partition(" ")
        if word == "set":
            for pair in rest.split():
                key, _, value = pair.partition("=")
                section, _, key = key.partition(".")
                self.settings.setdefault(section, {})[key] = value
        elif word == "via":
            self.via = rest
        elif word == "login":
            self.login = True
        elif word == "hello":
            self.hello = True
        elif word in self.of:
            self.of[word].update(pair.strip().split("=", 1) for pair in rest.split(","))
        elif word == "offers":
            self.offers = [] if rest == "-" else [re.sub("^(SIZE|LIMITS|AUTH)=", r"\1 ", w) for w in rest.split()]
        elif word == "apart":
            self.apart = tuple(rest.split())
        elif word == "modes":
            self.modes = tuple(rest.split())
        else:
            raise ValueError("what is this?")

    def play(self, mode):
        steps, connections, log, close = [], [[]], [], None
        for modes, tag, kind, text in self.lines:
            if mode not in modes:
                continue
            if tag in ("c", "s"):
                steps.append((tag, kind, text))
            elif tag == "u" and kind == "!":
                if text != "connect":
                    raise Wrong(f"{self.name}: u! {text}")
                connections.append([])
            elif tag == "u":
                for t in RECEIVED if text == "{received}" else (text,):
                    connections[-1].append(("u", Line(self.macros, t, optional=kind == "?:")))
            elif tag == "a":
                connections[-1].append(("do", text) if kind == "!" else ("a", self.macros.given(text) + b"\r\n"))
            elif tag == "log":
                log.append(text)
            else:
                close = text
        if close is None:
            raise Wrong(f"{self.name}: no close: line")
        return self._groups(steps, mode), [c for c in connections if c], log, close

    def _groups(self, steps, mode):
        """[(octets or action, [expected lines], whether content)]: one write each."""
        groups, data, expected = [], None, []

        def end():
            nonlocal data, expected
            if data is not None or expected:
                groups.append([data, expected])
            data, expected = None, []

        for tag, kind, text in steps:
            if tag == "c" and kind == "!":
                end()
                data = text
                end()
            elif tag == "c":
                if expected or isinstance(data, str):
                    end()
                text, cut = (text[:-2], b"") if text.endswith("\\c") else (text, b"\r\n")
                data = (data or b"") + self.macros.given(text) + cut
            else:
                expected.append(None if kind == "!" else Line(self.macros, text))
        end()
        return merge(groups) if mode == "pipelined" else groups


def last_word(data, in_content):
    """The verb that a write ends with; `.` for content's end."""
    if in_content:
        end = b"\r\n.\r\n" in b"\r\n" + data
        data = (b"\r\n" + data).partition(b"\r\n.\r\n")[2]
        if not end:
            return b"?"
        if not data:
            return b"."
    word = b"?"
    while data:
        line, end, data = data.partition(b"\n")
        if not end:
            return b"?"
        words = line.split()
        word = words[0].upper() if words else b"?"
        if word == b"BDAT" and len(words) > 1 and words[1].isdigit():
            data = data[int(words[1]):]
    return word


def merge(groups):
    """What RFC 2920 allows in one write goes in one."""
    out = []
    content = False
    for data, expected in groups:
        expects_go = bool(expected) and expected[-1] is not None and expected[-1].text.startswith("354")
        expects_close = None in expected
        word = last_word(data, content) if isinstance(data, bytes) else b"?"
        if out and out[-1][2] and isinstance(data, bytes) and not content:
            out[-1][0] += data
            out[-1][1] += expected
            out[-1][2] = word in MAY_GO_ON and not expects_close
        else:
            out.append([data, list(expected), isinstance(data, bytes) and word in MAY_GO_ON and not expects_close])
        content = expects_go
    return [[d, e] for d, e, _ in out]


# ---- the client

class Client:
    """A raw connection to Byway: octets out, lines in, TLS when asked for, which leaves no record unseen."""

    def __init__(self, port, host="127.0.0.1", source=None, timeout=10, rcvbuf=None):
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.sock.bind((source, 0))
        self.timeout = timeout * stage.SLOW
        self.sock.settimeout(self.timeout)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf, self.tls, self.ended, self.id, self.about = b"", None, None, None, None

    # Octets

    def raw(self, data):
        """Sends what Byway may not want to take; its end is then seen in reading."""
        try:
            self.sock.sendall(data)
        except (ConnectionError, socket.timeout) as e:
            self.ended = self.ended or type(e).__name__

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        if self.tls:
            self.tls.write(data)
            data = self.bio_out.read()
        self.raw(data)

    def drip(self, data, seconds=0.00005):
        """One octet at a time (in TLS: one a record)."""
        for i in range(len(data)):
            self.send(data[i:i + 1])
            if self.ended:
                return
            time.sleep(seconds)

    def fill(self, timeout=None):
        """Reads once. False: nothing more will come, or not in time."""
        if self.ended == "eof":
            return False
        poll = select.poll()  # select() knows no descriptor above 1023
        poll.register(self.sock, select.POLLIN)
        if not poll.poll((self.timeout if timeout is None else timeout) * 1000):
            return False
        try:
            got = self.sock.recv(65536)
        except (ConnectionError, OSError) as e:
            self.ended = type(e).__name__
            return False
        if not got:
            self.ended = "eof"
            return False
        if not self.tls:
            self.buf += got
            return True
        self.bio_in.write(got)
        self._decrypt()
        return True

    def _decrypt(self):
        try:
            while True:
                got = self.tls.read(65536)
                if not got:
                    break
                self.buf += got
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = "eof"
        except ssl.SSLError as e:
            self.ended = f"tls: {e.reason}"
        if self.bio_out.pending:
            self.raw(self.bio_out.read())

    def line(self, timeout=None):
        """One line without its end; None: the connection ended or nothing came."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while b"\n" not in self.buf:
            left = end - time.monotonic()
            if left <= 0 or not self.fill(left):
                return None
        line, _, self.buf = self.buf.partition(b"\n")
        return line[:-1] if line.endswith(b"\r") else line + b"<LF>"

    def reply(self, timeout=None):
        """A whole reply as text, lines parted by LF, the id of a refusal aside (self.about); None: none."""
        lines = []
        while True:
            line = self.line(timeout)
            if line is None:
                return "\n".join(lines) or None
            lines.append(line.decode("utf-8", "replace"))
            if line[3:4] != b"-":
                lines, self.about = reference.split(lines)
                return "\n".join(lines)

    def say(self, what, timeout=None):
        """A command (or several octets), and its reply."""
        self.send((what.encode() if isinstance(what, str) else what) + b"\r\n")
        return self.reply(timeout)

    def is_over(self, timeout=None):
        """True: Byway closed. False: it did not, in time, or said more."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not self.ended and not self.buf and time.monotonic() < end:
            self.fill(max(0, end - time.monotonic()))
        return bool(self.ended) and not self.buf

    # TLS

    def secure(self, host="localhost", context=None, session=None):
        self.context = context or trusting()
        self.bio_in, self.bio_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(self.bio_in, self.bio_out, server_hostname=host, session=session)
        end = time.monotonic() + self.timeout
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.raw(self.bio_out.read())
            ready, _, _ = select.select([self.sock], [], [], max(0, end - time.monotonic()))
            got = self.sock.recv(65536) if ready else b""
            if not got:
                raise ConnectionError("no TLS handshake")
            self.bio_in.write(got)
        self.raw(self.bio_out.read())
        self.tls = tls
        self._decrypt()
        return self

    def close_notify(self):
        """Says goodbye in TLS; clear text may follow by raw()."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.raw(self.bio_out.read())

    # SMTP

    def greet(self):
        first = self.reply()
        if first and first.startswith("220"):
            self.id = first.split()[-1]
        return first

    def hello(self):
        self.greet()
        return self.say("EHLO client.example")

    def login(self, name, password=PASSWORD):
        word = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        return self.say(f"AUTH PLAIN {word}")

    def message(self, sender, recipients, content, options=""):
        """One transaction; gives the replies: MAIL, each RCPT, DATA, the end."""
        said = [self.say(f"MAIL FROM:<{sender}>{options}")]
        said += [self.say(f"RCPT TO:<{r}>") for r in recipients]
        said.append(self.say("DATA"))
        if said[-1] and said[-1].startswith("354"):
            self.send(content if isinstance(content, bytes) else content.encode())
            said.append(self.say("."))
        return said

    def half(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def leave(self):
        """Goes in the way that looks most like going: nothing is left unread, which would make it an RST."""
        if self.ended == "us":
            return
        try:
            if self.tls and not self.ended:
                self.close_notify()
            self.half()
            while self.fill(1):
                self.buf = b""
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def trusting(**options):
    """A TLS context that looks at no certificate."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    for key, value in options.items():
        setattr(c, key, value)
    return c


# ---- the upstream

class Player(scripted.Scripted):
    """Plays a dialogue's upstream side; begin() gives it a part anew."""

    def begin(self, connections, hello, offers):
        with self.lock:
            self.parts, self.offers, self.hello_too, self.at = connections, list(offers), hello, 0
            self.heard = []    # of each connection, its lines
            self.left = sum(1 for c in connections for kind, what in c if kind == "u" and not what.optional)
            self.peers.clear()

    def serve(self, peer):
        with self.lock:
            part = list(self.parts[self.at]) if self.at < len(self.parts) else []
            self.at += 1
            heard = []
            self.heard.append(heard)
        peer.in_content = False
        if not self.hello_too:
            peer.say(f"220 {self.name} ESMTP")
        self.go_on(peer, part)
        while True:
            line = peer.line()
            word = line.split()[0].upper() if line.split() else b""
            if not self.hello_too and word == b"EHLO":
                peer.say(self.hello(False))
            elif word == b"QUIT" and not self.wants(part, b"QUIT\r\n"):
                peer.say("221 2.0.0 bye")
                peer.close()
            elif word == b"BDAT" and not peer.in_content:
                self.chunk(peer, part, heard, line)
            else:
                self.hear(peer, part, heard, line)

    def wants(self, part, line):
        return bool(part) and part[0][0] == "u" and part[0][1].fits(without_end(line))

    def hear(self, peer, part, heard, line):
        if line == b".\r\n":
            peer.in_content = False
        with self.lock:
            heard.append(line)
            good = self.wants(part, line)
            if good:
                self.left -= not part.pop(0)[1].optional
        if not good:
            part.clear()  # the comparison will tell
            peer.say("554 5.9.9 this is not in the dialogue")
            return
        self.go_on(peer, part)

    def chunk(self, peer, part, heard, line):
        words = line.split()
        if not peer.chunks:
            self.hear(peer, part, heard, b"BDAT\r\n")
            peer.chunks = b"\0"
        peer.chunks += peer.take(int(words[1]))
        if len(words) < 3:
            peer.say("250 2.0.0 chunk")
            return
        content, peer.chunks = peer.chunks[1:], b""
        for piece in content.splitlines(keepends=True):
            self.hear(peer, part, heard, piece)
        self.hear(peer, part, heard, b"BDAT LAST\r\n")

    def go_on(self, peer, part):
        """Answers up to what is to be heard next. Lines of one answer leave in one write."""
        out = b""
        while part and part[0][0] != "u":
            kind, what = part.pop(0)
            if kind == "a":
                out += what
                peer.in_content = what.startswith(b"354")
                continue
            if out:
                peer.say(out)
                out = b""
            word, _, rest = what.partition(" ")
            if word == "wait":
                time.sleep(float(rest))
            elif word == "close":
                peer.close()
            elif word == "reset":
                peer.reset()
            else:
                raise Wrong(f"a! {what}")
        if out:
            peer.say(out)

    def finish(self, seconds=3):
        """Waits for the part's end, then hangs up and hears what was still on its way: all lines, connection by connection."""
        stage.wait_until(lambda: self.left <= 0, seconds, every=0.002)
        for p in list(self.peers):
            try:
                p.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        stage.wait_until(lambda: all(p.end for p in list(self.peers)), seconds, every=0.002)
        with self.lock:
            return [list(h) for h in self.heard]


def without_end(line):
    return line[:-2] if line.endswith(b"\r\n") else line + b"\\c" if not line.endswith(b"\n") else line


# ---- the log

class Log:
    """The daemon's log as it grows."""

    def __init__(self, path):
        self.path, self.offset, self.rows = path, 0, []

    def read(self):
        if not self.path.exists():
            return self.rows
        with open(self.path, "rb") as f:
            f.seek(self.offset)
            new = f.read()
        whole = new[:new.rfind(b"\n") + 1]
        self.offset += len(whole)
        self.rows += [json.loads(line) for line in whole.decode("utf-8", "replace").splitlines()]
        return self.rows

    def find(self, event=None, **fields):
        return [r for r in self.read() if (event is None or r.get("ev") == event) and all(r.get(k) == v for k, v in fields.items())]

    def wait(self, event, seconds=5, **fields):
        """The last such row, as soon as there is one; None if there never is."""
        found = stage.wait_until(lambda: self.find(event, **fields), seconds, every=0.005)
        return found[-1] if found else None

    def of_session(self, sid):
        """The session's rows, those of its messages too."""
        rows = self.read()
        own = {sid} | {r["id"] for r in rows if r.get("session") == sid}
        return [r for r in rows if r.get("id") in own]


# ---- the stage

LISTENERS = {
    "legacy": {"tls": "none", "plaintext_auth": "yes"},
    "starttls": {"tls": "starttls"},
    "tls": {"tls": "implicit"},
    "noauth": {"tls": "none", "auth": "no"},
}


def complaints(text):
    """What a sanitizer, or an assertion, had to say."""
    found = re.search(r"ERROR: \w+Sanitizer|runtime error:|Assertion|SUMMARY: \w+", text)
    return text[max(0, found.start() - 200):][:6000] if found else ""


class Rig:
    """A daemon with listeners of all kinds and what a test lays over it. listeners: {name: {key: value}}, None takes one away."""

    def __init__(self, folder, settings=None, directory="", listeners=None, workers=1, upstream_ports=()):
        self.byway = stage.Byway(folder, name="relay.test", workers=workers, settings={
            "upstream": {"allow_networks": "127.0.0.0/8 ::1", "allow_ports": " ".join(str(p) for p in upstream_ports) or None,
                         "wait": "5s"}})
        self.directory, self.ports, self.settings = directory, {}, settings or {}
        self.listeners = {**LISTENERS, **(listeners or {})}
        self.log = Log(self.byway.log)

    def start(self):
        b = self.byway
        b.init()
        sections = {f"listener {s}": None for s in re.findall(r"^\[listener (.*)\]", b.ini.read_text(), re.M)}
        b.settings.update(sections)
        b.ports = {}
        for name, keys in self.listeners.items():
            if keys is None:
                continue
            b.ports[name] = stage.free_port()
            b.settings[f"listener {name}"] = {"address": f"127.0.0.1:{b.ports[name]}", **keys}
        self.ports = dict(b.ports)
        for section, keys in self.settings.items():
            b.settings.setdefault(section, {}).update(keys)
        b.write_ini()
        if self.directory:
            b.apply(self.directory)
        b.ports = {}  # a look whether a port is open would be a session; the log tells instead
        b.start()
        self.await_ports()
        return self

    def await_ports(self):
        def up():
            if self.byway.process.poll() is not None:
                raise RuntimeError(self.byway.said() + self.byway.log.read_text(errors="replace")[-3000:])
            return stage.is_open(list(self.ports.values())[0])
        if not stage.wait_until(up, 20):
            raise RuntimeError("Byway does not come up")

    def client(self, listener="legacy", **how):
        return Client(self.ports[listener], **how)

    def user(self, name, listener="legacy", **how):
        """A client that has logged in."""
        c = self.client(listener, **how)
        if listener == "tls":
            c.secure()
        c.hello()
        if listener == "starttls":
            c.say("STARTTLS")
            c.secure()
            c.say("EHLO client.example")
        said = c.login(name)
        assert said and said.startswith("235"), said
        return c

    def memory(self):
        """Resident KiB of the workers."""
        total = 0
        for pid in self.byway.workers():
            text = Path(f"/proc/{pid}/status").read_text()
            total += int(re.search(r"VmRSS:\s+(\d+)", text).group(1))
        return total

    def stop(self):
        status = self.byway.stop()
        said = complaints(self.byway.said())
        assert not said, said
        assert status == 0, f"Byway ended with status {status}\n{self.byway.said()[-3000:]}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *failed):
        try:
            self.stop()
        except AssertionError:
            if not failed or failed[0] is None:
                raise


# ---- the replay

class Differs(AssertionError):
    pass


def differ(what, mode, expected, got):
    """EXPECTED: Lines; GOT: octets of lines."""
    wish = [e.text if not (i < len(got) and e.fits(got[i])) else shown(got[i]) for i, e in enumerate(expected)]
    have = [shown(g) for g in got]
    lines = difflib.unified_diff(wish, have, "expected", "got", lineterm="", n=4)
    return f"{what} ({mode})\n" + "\n".join(lines)


def same(expected, got):
    needed = [i for i, e in enumerate(expected) if not e.optional]
    most = needed[-1] + 1 if needed else 0
    return most <= len(got) <= len(expected) and all(e.fits(g) for e, g in zip(expected, got))


class Replay:
    """One dialogue in one mode, against a rig and its upstream."""

    def __init__(self, dialogue, rig, player):
        self.d, self.rig, self.player = dialogue, rig, player

    def run(self, mode):
        groups, connections, log, close = self.d.play(mode)
        self.player.begin(connections, self.d.hello, self.d.offers)
        self.before = len(self.rig.log.read())
        client = self.rig.client(self.d.via, timeout=4)
        problems = []
        try:
            if self.d.via == "tls":
                client.secure()
            wish, got = self.talk(client, groups, mode)
            if not same(wish, got):
                problems.append(differ("the client heard", mode, wish, got))
        finally:
            client.leave()
        sid = client.id
        row = self.rig.log.wait("session", id=sid) if sid else None
        problems += self.strange_references(mode, sid, got)
        heard = self.player.finish(0.5 if problems else 3)
        problems += self.compare_upstream(mode, connections, heard)
        events = self.events()
        problems += self.compare_log(mode, log, events)
        if not row or row.get("close") != close:
            problems.append(f"closed ({mode}): expected {close!r}, got {row and row.get('close')!r}")
        if problems:
            raise Differs(f"{self.d.path.name}: {self.d.title}\n\n" + "\n\n".join(problems))
        return [{k: v for k, v in r.items() if k not in NOISE + self.d.apart + self.early(r)} for r in events + [row]]

    def early(self, row):
        """Of a transaction that ends before its first recipient: whether the upstream was reached by then is chance."""
        return ("route",) if row.get("nrcpt") == 0 else ()

    def talk(self, client, groups, mode):
        """All that the client should have heard, and did: up to the first difference."""
        wish, got = [], []
        first = client.line()
        if first is not None:
            client.id = first.split()[-1].decode("latin-1")
        if self.d.login:
            assert client.say("EHLO client.example", 5)
            said = client.login(self.d.macros.me)
            assert said and said.startswith("235"), f"{self.d.name}: login: {said}"
        end = Line(self.d.macros, "<end>")
        closed = False
        for data, expected in groups:
            if isinstance(data, str):
                closed = self.act(client, data) or closed
            elif data is not None:
                client.drip(data) if mode == "bytes" else client.send(data)
            for e in expected:
                wish.append(e or end)
                if e is None:
                    while (line := client.line()) is not None:
                        got.append(line)
                    got.append(b"<end>" if client.ended else b"<still open>")
                    continue
                line = client.line()
                if line is None:
                    got.append(b"<end>" if client.ended else b"<nothing>")
                    return wish, got
                got.append(line)
            if not same(wish, got):
                break
        if not closed and not client.ended:
            while (line := client.line(0.02)) is not None:
                got.append(line)
        return wish, got

    def act(self, client, what):
        word, _, rest = what.partition(" ")
        if word == "tls":
            client.secure()
        elif word == "wait":
            time.sleep(float(rest))
        elif word == "half":
            client.half()
        elif word == "close":
            client.close()
            client.ended = "us"
        elif word == "reset":
            client.reset()
            client.ended = "us"
        else:
            raise Wrong(f"c! {what}")
        return word in ("close", "reset")

    def strange_references(self, mode, sid, got):
        """Ids in refusals that lead nowhere in the log."""
        said = {m.group(2) for line in got if (m := reference.LAST.fullmatch(line.decode("latin-1")))}
        own = {sid} | {r["id"] for r in self.rig.log.of_session(sid)} if sid else set()
        return [f"refused ({mode}) with {i}, which is nowhere in the log" for i in sorted(said - own)]

    def compare_upstream(self, mode, connections, heard):
        wish = [[what for kind, what in part if kind == "u"] for part in connections]
        heard = [[without_end(line) for line in h] for h in heard]
        # Connections that were opened and never used count for nothing.
        heard = heard[:len(wish)] + [h for h in heard[len(wish):] if h]
        out = []
        for i in range(max(len(wish), len(heard))):
            w, h = wish[i] if i < len(wish) else [], heard[i] if i < len(heard) else []
            if not same(w, h):
                out.append(differ(f"the upstream heard, connection {i + 1}", mode, w, h))
        return out

    def events(self):
        rows = [r for r in self.rig.log.read()[self.before:] if r.get("ev") in ("auth", "refused", "message", "recipient")
                and r.get("result") != "begun"]  # of a stranger alone: the first login in a run
        if self.d.login and rows and rows[0]["ev"] == "auth":
            rows = rows[1:]
        return rows

    def compare_log(self, mode, wish, rows):
        got = []
        for i, r in enumerate(rows):
            keys = re.findall(r" ([a-z_]+)=", wish[i]) if i < len(wish) else []
            keys = keys or ["outcome", "code", "class", "why"]
            got.append(" ".join([r["ev"]] + [f"{k}={str(r[k]).replace(' ', '_') if k in r else ''}" for k in keys]))
        wish = [self.d.macros.text(w) for w in wish]
        if [w.lower() for w in wish] == [g.lower() for g in got]:
            return []
        lines = difflib.unified_diff(wish, got, "expected", "got", lineterm="")
        return [f"the log ({mode})\n" + "\n".join(lines)]


# Limits on what is sent are other tests' business.
PLANS = "[plan boundless]\nrecipients = 100\n[plan small]\ncan_send = no\nrecipients = 50\n"


def all_dialogues():
    return [Dialogue(p) for p in sorted(FOLDER.glob("*.dlg"))]


def directory(dialogues, ports):
    """The directory for these dialogues: an account, mailbox, domain and profile each; ports: by name."""
    out, hashed = [PLANS], fast_hash(PASSWORD)

    def section(kind, key, values):
        out.append(f"[{kind} {key}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()))

    for d in dialogues:
        section("account", d.name, {"plan": "boundless", "route": "up", **d.of["account"]})
        section("profile", f"{d.name}/up", {"host": "127.0.0.1", "port": ports[d.name], "tls": "none", **d.of["profile"]})
        section("domain", f"{d.name}.example", {"account": d.name})
        section("mailbox", f"me@{d.name}.example", {"password_hash": hashed, **d.of["mailbox"]})
    return "\n".join(out)
