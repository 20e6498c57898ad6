# SPDX-License-Identifier: Apache-2.0
"""A name server for tests: answers from a table, over UDP and TCP, and fails in the ways that name servers do.

    with Server({"a.example": {"MX": ["10 mx.a.example"], "TXT": ["v=spf1 -all"]}, "mx.a.example": {"A": ["192.0.2.1"]}}) as dns: ...

A name that is not in the table does not exist (NXDOMAIN). Instead of records a name may have a manner:
SERVFAIL, REFUSED, SILENT (no answer at all), LIES (answers that carry another id), LATER(seconds).
"""
import ipaddress
import socket
import struct
import threading
import time

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28}
SERVFAIL, REFUSED, SILENT, LIES = "SERVFAIL", "REFUSED", "SILENT", "LIES"
CODES = {SERVFAIL: 2, REFUSED: 5}


class LATER:
    def __init__(self, seconds, records):
        self.seconds, self.records = seconds, records


def name_octets(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label) + b"\0"


def rdata(kind, value):
    if kind == "A":
        return ipaddress.IPv4Address(value).packed
    if kind == "AAAA":
        return ipaddress.IPv6Address(value).packed
    if kind == "CNAME":
        return name_octets(value)
    if kind == "MX":
        priority, host = value.split(" ", 1)
        return struct.pack("!H", int(priority)) + name_octets(host)
    if kind == "TXT":
        octets = value.encode()
        return b"".join(bytes([len(octets[i:i + 255])]) + octets[i:i + 255] for i in range(0, len(octets) or 1, 255))
    raise ValueError(kind)


def question(message):
    """(name in lower case, type, where the question ends)."""
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels).lower(), struct.unpack("!H", message[at + 1:at + 3])[0], at + 5


class Server:
    def __init__(self, table=None, ttl=60, negative_ttl=60):
        self.table, self.ttl, self.negative_ttl = table or {}, ttl, negative_ttl
        self.asked = []  # (name, type) in order
        self.over = threading.Event()
        self.threads = []

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def records(self, name, kind):
        """(code, [(owner, kind, value)]), along CNAMEs."""
        answers, code = [], 0
        for _ in range(10):
            row = self.table.get(name)
            if row is None:
                return 3, answers
            if isinstance(row, str):
                return CODES.get(row, 0), answers
            if "CNAME" in row and kind != "CNAME":
                answers.append((name, "CNAME", row["CNAME"][0]))
                name = row["CNAME"][0]
                continue
            return code, answers + [(name, kind, v) for v in row.get(kind, [])]
        return 2, []

    def answer(self, message, room):
        """The octets to say, or None for nothing."""
        name, number, end = question(message)
        kind = next((k for k, n in TYPES.items() if n == number), str(number))
        self.asked.append((name, kind))
        row = self.table.get(name)
        if isinstance(row, LATER):
            time.sleep(row.seconds)
            self.table = {**self.table, name: row.records}
            row = row.records
        if row == SILENT:
            return None
        ident = struct.unpack("!H", message[:2])[0] ^ (0x5555 if row == LIES else 0)
        code, answers = (0, [(name, "MX", "0 evil.example"), (name, "A", "192.0.2.66")]) if row == LIES else self.records(name, kind)
        body = b"".join(name_octets(o) + struct.pack("!HHIH", TYPES[k], 1, self.ttl, len(rdata(k, v))) + rdata(k, v)
                        for o, k, v in answers)
        authority = b""
        if code in (0, 3) and not any(k == kind for _, k, _ in answers):
            soa = name_octets("ns.example") + name_octets("hostmaster.example") + struct.pack("!5I", 1, 2, 3, 4, self.negative_ttl)
            authority = name_octets("example") + struct.pack("!HHIH", TYPES["SOA"], 1, self.negative_ttl, len(soa)) + soa
        flags = 0x8180 | code
        whole = struct.pack("!6H", ident, flags, 1, len(answers), bool(authority), 0) + message[12:end] + body + authority
        if len(whole) > room:
            return struct.pack("!6H", ident, flags | 0x0200, 1, 0, 0, 0) + message[12:end]
        return whole

    def serve_udp(self):
        def one(message, peer):
            said = self.answer(message, 512)
            if said:
                self.udp.sendto(said, peer)

        while not self.over.is_set():
            try:
                message, peer = self.udp.recvfrom(4096)
            except socket.timeout:
                continue
            except OSError:
                return
            threading.Thread(target=one, args=(message, peer), daemon=True).start()

    def serve_tcp(self):
        while not self.over.is_set():
            try:
                peer, _ = self.tcp.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                length = peer.recv(2)
                said = self.answer(peer.recv(struct.unpack("!H", length)[0]), 65535) if len(length) == 2 else None
                if said:
                    peer.sendall(struct.pack("!H", len(said)) + said)

    def start(self):
        for _ in range(20):
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket()
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close(), self.tcp.close()
        self.tcp.listen(16)
        self.udp.settimeout(0.1), self.tcp.settimeout(0.1)
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.serve_udp, self.serve_tcp)]
        for t in self.threads:
            t.start()
        return self

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join(2)
        self.udp.close(), self.tcp.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
