# SPDX-License-Identifier: Apache-2.0
"""A mail client that says exactly what a test wants said, and shows exactly what was answered."""
import base64
import re
import socket
import ssl

import reference
import stage

ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3} ?")


class Reply:
    """code, enhanced ("5.1.1" or ""), words (all lines, their codes aside), lines (as they came), of a refusal without the last one: about,
    the id that it ends with, or None."""

    def __init__(self, lines):
        self.lines, self.about = reference.split([line.decode() for line in lines])
        self.code = int(self.lines[0][:3])
        words = [line[4:] for line in self.lines]
        found = ENHANCED.match(words[0])
        self.enhanced = found.group().strip() if found else ""
        self.words = " ".join(w[found.end():] if found and w.startswith(found.group()) else w for w in words)
        self.keywords = [line[4:] for line in self.lines[1:]]

    def __str__(self):
        return f"{self.code} {self.enhanced} {self.words}".replace("  ", " ")

    __repr__ = __str__


class Closed(Exception):
    """The server closed the connection instead of an answer."""


class Talk:
    """A connection to Byway: mode is 'plain', 'starttls' (both on the STARTTLS port) or 'tls'; login is (name, password)."""

    def __init__(self, byway, mode="starttls", login=None, source=None, helo="client.example", port=None, greet=True):
        self.byway, self.helo, self.rest = byway, helo, b""
        port = port or byway.ports["tls" if mode == "tls" else "starttls"]
        self.socket = socket.create_connection((byway.ip, port), timeout=20 * stage.SLOW,
                                               source_address=(source, 0) if source else None)
        if mode == "tls":
            self.secure()
        self.greeting = self.read() if greet else None
        if mode == "starttls":
            self.cmd(f"EHLO {helo}", 250)
            self.cmd("STARTTLS", 220)
            self.secure()
        if greet and (mode != "plain" or login):
            self.ehlo = self.cmd(f"EHLO {helo}", 250)
        if login:
            self.login(*login)

    def secure(self):
        context = ssl.create_default_context(cafile=str(self.byway.certificate()))
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def raw(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode())

    def line(self):
        while b"\n" not in self.rest:
            try:
                got = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                got = b""
            if not got:
                raise Closed(self.rest)
            self.rest += got
        line, _, self.rest = self.rest.partition(b"\n")
        assert line.endswith(b"\r"), line
        return line[:-1]

    def read(self):
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        assert len({line[:3] for line in lines}) == 1 and max(map(len, lines)) <= 510, lines
        return Reply(lines)

    def is_closed(self):
        """Waits for the server's close; False if it says something instead."""
        try:
            self.read()
        except Closed:
            return True
        return False

    def cmd(self, line, code=None):
        self.raw(f"{line}\r\n")
        reply = self.read()
        assert code is None or reply.code == code, (line, reply)
        return reply

    def auth(self, name, password, authzid=""):
        token = base64.b64encode(f"{authzid}\0{name}\0{password}".encode()).decode()
        return self.cmd(f"AUTH PLAIN {token}")

    def login(self, name, password):
        reply = self.auth(name, password)
        assert reply.code == 235, reply

    def mail(self, sender, *recipients, options=""):
        """MAIL and RCPT, all accepted."""
        self.cmd(f"MAIL FROM:<{sender}>{options and ' ' + options}", 250)
        for r in recipients:
            self.cmd(f"RCPT TO:<{r}>", 250)

    def data(self, content):
        """DATA and the octets as they are, dots stuffed; the final reply."""
        self.cmd("DATA", 354)
        self.raw(stuffed(content))
        return self.read()

    def bdat(self, content, *sizes):
        """The content in chunks of these sizes, the rest as the last; all replies."""
        at, replies = 0, []
        for n in sizes:
            self.raw(f"BDAT {len(content[at:at + n])}\r\n".encode() + content[at:at + n])
            at += n
            replies.append(self.read())
        self.raw(f"BDAT {len(content[at:])} LAST\r\n".encode() + content[at:])
        return replies + [self.read()]

    def send(self, sender, recipients, content, options=""):
        self.mail(sender, *recipients, options=options)
        return self.data(content)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def stuffed(content):
    """Content as DATA carries it, with the end."""
    content = re.sub(rb"(^|(?<=\r\n))\.", b"..", content)
    return content + (b"" if content.endswith(b"\r\n") or not content else b"\r\n") + b".\r\n"


RECEIVED = re.compile(
    rb"Received: (?:from (?P<helo>\S+) \(\[(?P<address>[^\]]+)\]\)\r\n\t)?by (?P<by>\S+) \(Byway/[0-9a-f]{12}\)\r\n"
    rb"\twith (?P<proto>\w+) id (?P<id>[\w-]+);\r\n\t(?P<date>\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000)\r\n")


def split_received(content):
    """(the match of our Received: field, all behind it)."""
    found = RECEIVED.match(content)
    assert found, content[:400]
    return found, content[found.end():]
