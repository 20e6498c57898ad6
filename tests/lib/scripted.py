# SPDX-License-Identifier: Apache-2.0
"""An SMTP upstream that does as it is told, also what no real server does: closes, resets, falls silent, lies, floods, at a chosen word.

A server is a Scripted; each connection to it is a Peer, which records every octet. What is out of the ordinary stands in `on`: phase -> answer, where
an answer is a text to be said, a function of the peer, None for the ordinary, or a list of these for the first, the second ... time.
Phases: connect greeting ehlo starttls tls auth mail rcpt data content bdat dot rset quit.
"""
import base64
import hashlib
import hmac
import re
import socket
import ssl
import struct
import threading
import time

OFFERS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 52428800", "ENHANCEDSTATUSCODES")


class Over(Exception):
    """The connection has ended, by whomever."""


class Peer:
    """One connection: reads lines and content, records them, answers."""

    def __init__(self, sock, server):
        self.sock, self.server, self.buf = sock, server, b""
        self.octets = bytearray()    # all that came, without TLS around it
        self.clear = bytearray()     # what of it came outside TLS
        self.lines, self.contents = [], []  # commands; contents up to and with the dot, stuffed as they came
        self.transactions = []       # {"from", "to", "content"} that got our 2xx
        self.secure, self.login, self.last, self.end = False, None, b"", None
        self.mail, self.rcpts, self.chunks = None, [], b""

    # Reading

    def read(self):
        try:
            got = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLError, OSError) as e:
            self.end = self.end or ("reset" if isinstance(e, ConnectionError) else type(e).__name__)
            raise Over from None
        if not got:
            self.end = self.end or "eof"
            raise Over
        self.buf += got
        self.octets += got
        if not self.secure:
            self.clear += got

    def take(self, n):
        while len(self.buf) < n:
            self.read()
        got, self.buf = self.buf[:n], self.buf[n:]
        return got

    def until(self, mark):
        at = 0
        while (found := self.buf.find(mark, at)) < 0:
            at = max(0, len(self.buf) - len(mark))
            self.read()
        return self.take(found + len(mark))

    def line(self):
        """One line with its end, which must be CRLF: that is for the test to see."""
        return self.until(b"\n")

    def content(self):
        """Up to CRLF.CRLF, as it came."""
        got = self.until(b"\n")
        if got != b".\r\n":
            got += self.until(b"\r\n.\r\n") if not got.endswith(b"\r\n") else self._rest()
        self.contents.append(got)
        return got

    def _rest(self):
        """What follows a first line: the dot may be the next octets."""
        got = self.take(3)
        if got == b".\r\n":
            return got
        self.buf = got + self.buf
        return self.until(b"\r\n.\r\n")

    def hang(self, seconds=None):
        """Says nothing and records what still comes, until the other side leaves."""
        self.sock.settimeout(seconds)
        while True:
            self.read()
            self.buf = b""

    # Answering

    def say(self, what):
        if isinstance(what, str):
            what = what.encode("latin-1", "replace")
            if not what.endswith(b"\n"):
                what += b"\r\n"
        self.last = what
        try:
            self.sock.sendall(what)
        except OSError:
            self.end = self.end or "reset"
            raise Over from None

    def secured(self, context):
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True)
        except (OSError, ssl.SSLError) as e:
            self.end = f"handshake: {e}"
            raise Over from None
        self.secure, self.buf = True, b""

    def close(self):
        """FIN, as a server does that hangs up."""
        self.end = self.end or "closed"
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        raise Over

    def reset(self):
        """RST."""
        self.end = self.end or "reset by us"
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Over


# Answers out of the ordinary

def close(peer):
    peer.close()


def reset(peer):
    peer.reset()


def silent(peer):
    peer.hang()


def then(*answers):
    """Says or does one after the other."""
    def act(peer):
        for a in answers:
            a(peer) if callable(a) else peer.say(a)
    return act


def pause(seconds):
    return lambda peer: time.sleep(seconds)


def endless(code):
    """A multi-line reply without end."""
    def act(peer):
        while True:
            peer.say(f"{code}-and so on\r\n" * 100)
    return act


def long_line(code, octets=3 << 20):
    """A line that does not end, or at last."""
    def act(peer):
        peer.say(f"{code} ".encode())
        for _ in range(octets // 65536):
            peer.say(b"x" * 65536)
        peer.say(b"\r\n")
    return act


def read_some(octets, then_do):
    """In the middle of content: after so many octets."""
    def act(peer):
        while len(peer.buf) < octets:
            peer.read()
        then_do(peer) if callable(then_do) else peer.say(then_do)
    return act


class Scripted:
    """A server on a loopback port. offers: its EHLO lines; users: {name: password} makes AUTH needed; tls: None, starttls, implicit, with
    pair = (chain, key).
    """

    def __init__(self, on=None, offers=OFFERS, users=None, tls=None, pair=None, host="127.0.0.1", name="upstream.example",
                 mechanisms="PLAIN LOGIN", port=0):
        self.on, self.offers, self.users, self.tls, self.pair = dict(on or {}), list(offers), users, tls, pair
        self.host, self.name, self.mechanisms = host, name, mechanisms
        self.peers, self.count, self.lock = [], {}, threading.Lock()
        self.listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind((host, port))
        self.port = self.listening.getsockname()[1]
        self.thread, self.closing = None, False

    # Life

    def start(self):
        self.listening.listen(64)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.closing = True
        try:
            self.listening.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listening.close()
        for p in self.peers:
            try:
                p.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.thread:
            self.thread.join(5)

    def fresh(self, on=None):
        """Hangs up, forgets all that came, and takes new orders."""
        with self.lock:
            old, self.peers = self.peers, []
            self.on, self.count = dict(on or {}), {}
        for p in old:
            try:
                p.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        end = time.monotonic() + 5
        while any(p.end is None for p in old) and time.monotonic() < end:
            time.sleep(0.002)
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _accept(self):
        while not self.closing:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(sock, self)
            with self.lock:
                self.peers.append(peer)
            threading.Thread(target=self._run, args=(peer,), daemon=True).start()

    def _run(self, peer):
        try:
            self.serve(peer)
        except Over:
            pass
        except (OSError, ValueError) as e:
            peer.end = peer.end or f"{type(e).__name__}: {e}"
        finally:
            peer.end = peer.end or "done"
            try:
                peer.sock.close()
            except OSError:
                pass

    def context(self):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(*self.pair)
        return c

    # What came

    @property
    def messages(self):
        """The messages that got our 2xx: {"from", "to", "content" (unstuffed), "login"}."""
        with self.lock:
            return [t for p in self.peers for t in p.transactions]

    @property
    def dots(self):
        """How many ends of content came, answered or not."""
        with self.lock:
            return sum(len(p.contents) for p in self.peers)

    def octets(self):
        with self.lock:
            return b"".join(bytes(p.octets) for p in self.peers)

    # The dialogue

    def out_of_order(self, phase):
        with self.lock:
            n = self.count[phase] = self.count.get(phase, 0) + 1
        what = self.on.get(phase)
        if isinstance(what, list):
            what = what[n - 1] if n <= len(what) else None
        return what

    def answer(self, peer, phase, ordinary=None):
        """Gives the code that was said last."""
        what = self.out_of_order(phase)
        if what is None:
            what = ordinary
        if callable(what):
            what(peer)
        elif what is not None:
            peer.say(what)
        return peer.last[:3]

    def hello(self, secure):
        offers = list(self.offers)
        if self.tls == "starttls" and not secure:
            offers.append("STARTTLS")
        elif self.users is not None:
            offers.append(f"AUTH {self.mechanisms}")
        lines = [self.name] + offers
        return "".join(f"250{'-' if line is not lines[-1] else ' '}{line}\r\n" for line in lines)

    def serve(self, peer):
        self.answer(peer, "connect")
        if self.tls == "implicit":
            self.answer(peer, "tls", lambda p: p.secured(self.context()))
        self.answer(peer, "greeting", f"220 {self.name} ESMTP scripted")
        while True:
            line = peer.line()
            peer.lines.append(line)
            word = line.split()[0].upper().decode("latin-1") if line.split() else ""
            act = getattr(self, f"do_{word.lower()}", None)
            if act:
                act(peer, line)
            else:
                peer.say("502 5.5.1 not here")

    def do_ehlo(self, peer, line):
        self.answer(peer, "ehlo", self.hello(peer.secure))

    def do_helo(self, peer, line):
        peer.say(f"250 {self.name}")

    def do_starttls(self, peer, line):
        if self.answer(peer, "starttls", "220 2.0.0 go ahead") == b"220":
            self.answer(peer, "tls", lambda p: p.secured(self.context()))

    def do_auth(self, peer, line):
        what = self.out_of_order("auth")
        if what is not None:
            what(peer) if callable(what) else peer.say(what)
            return
        words = line.decode().split()
        name = password = None
        if words[1] == "PLAIN":
            _, name, password = base64.b64decode(words[2]).decode().split("\0")
        elif words[1] == "LOGIN":
            name = base64.b64decode(words[2]) if len(words) > 2 else self.ask(peer, b"Username:")
            name, password = name.decode(), self.ask(peer, b"Password:").decode()
        elif words[1] == "CRAM-MD5":
            challenge = b"<1.2@upstream.example>"
            name, digest = self.ask(peer, challenge).decode().rsplit(" ", 1)
            right = (self.users or {}).get(name, "").encode()
            if hmac.new(right, challenge, hashlib.md5).hexdigest() == digest:
                password = right.decode()
        if name in (self.users or {}) and self.users[name] == password:
            peer.login = name
            peer.say("235 2.7.0 welcome")
        else:
            peer.say("535 5.7.8 wrong")

    def ask(self, peer, challenge):
        peer.say(b"334 " + base64.b64encode(challenge) + b"\r\n")
        line = peer.line()
        peer.lines.append(line)
        return base64.b64decode(line)

    def do_mail(self, peer, line):
        peer.mail, peer.rcpts, peer.chunks = line, [], b""
        if not self.answer(peer, "mail", "250 2.1.0 sender ok").startswith(b"2"):
            peer.mail = None

    def do_rcpt(self, peer, line):
        if self.answer(peer, "rcpt", "250 2.1.5 recipient ok").startswith(b"2"):
            peer.rcpts.append(line)

    def do_data(self, peer, line):
        ordinary = "354 go on" if peer.rcpts else "554 5.5.1 no valid recipients"
        if self.answer(peer, "data", ordinary) != b"354":
            return
        self.answer(peer, "content")
        got = peer.content()
        self.finish(peer, unstuff(got))

    def do_bdat(self, peer, line):
        words = line.split()
        peer.chunks += peer.take(int(words[1]))
        if len(words) < 3:
            self.answer(peer, "bdat", f"250 2.0.0 {int(words[1])} octets")
            return
        peer.contents.append(peer.chunks)
        self.finish(peer, peer.chunks)

    def finish(self, peer, content):
        sent = {"from": address(peer.mail), "to": [address(r) for r in peer.rcpts], "content": content, "login": peer.login,
                "mail": peer.mail, "secure": peer.secure}
        what = self.out_of_order("dot")
        if what is None:
            what = f"250 2.0.0 Ok: queued as S{sum(len(p.transactions) for p in self.peers) + 1}"
        if callable(what):
            what(peer)
            if is_success(peer.last):
                peer.transactions.append(sent)
        else:
            if is_success(what.encode() if isinstance(what, str) else what):  # recorded first: who hears the answer may look at once
                peer.transactions.append(sent)
            peer.say(what)
        peer.mail, peer.rcpts, peer.chunks = None, [], b""

    def do_rset(self, peer, line):
        peer.mail, peer.rcpts, peer.chunks = None, [], b""
        self.answer(peer, "rset", "250 2.0.0 forgotten")

    def do_noop(self, peer, line):
        peer.say("250 2.0.0 ok")

    def do_quit(self, peer, line):
        self.answer(peer, "quit", "221 2.0.0 bye")
        peer.close()


def is_success(reply):
    """A well-formed 2xx, whatever follows it."""
    return re.match(rb"(?:2\d\d-[^\0\r\n]*\r\n)*2\d\d [^\0\r\n]*(?:\r\n|$)", reply) is not None


def address(line):
    return (line or b"").split(b"<", 1)[-1].split(b">", 1)[0].decode("utf-8", "replace")


def unstuff(content):
    """Content as it came -> the message. A server's plain reading of RFC 5321, 4.5.2."""
    assert content.endswith(b".\r\n")
    lines = content[:-3].split(b"\r\n")
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)
