# SPDX-License-Identifier: Apache-2.0
"""A scriptable HTTPS server: it records what it is asked, and answers, cuts, stalls or floods as it is told.

    api = Api(pair).start()
    api.say(200, {"id": "<1@x>", "message": "Queued. Thank you."})      what it says from now on
    api.once(429, "slow down", headers={"Retry-After": "7"})           what it says next, once each, in order
    api.once(cut="body")                                               or does
"""
import json
import socket
import ssl
import struct
import threading
import time

REASONS = {200: "OK", 202: "Accepted", 301: "Moved Permanently", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           413: "Content Too Large", 429: "Too Many Requests", 500: "Internal Server Error", 504: "Gateway Timeout"}


class Answer:
    """status, body (a dict becomes JSON), headers; delay: seconds before it.

    cut: where the connection ends instead: 'accept' (before TLS), 'request' (behind the request's head), 'body' (in the middle of the body),
    'answer' (the body is in, nothing is said), 'half' (in the middle of the answer's body). reset: by RST, not FIN.
    raw: octets to be said as they are. handle: called with the request, gives the Answer.
    """

    def __init__(self, status=200, body="", headers=None, delay=0, cut=None, reset=False, raw=None, close=False, handle=None):
        self.status, self.headers, self.delay, self.cut, self.reset = status, dict(headers or {}), delay, cut, reset
        self.raw, self.close, self.handle = raw, close, handle
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            self.headers.setdefault("Content-Type", "application/json")
        self.body = body.encode() if isinstance(body, str) else body

    def octets(self):
        head = f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}\r\nContent-Length: {len(self.body)}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in self.headers.items())
        if self.close:
            head += "Connection: close\r\n"
        return head.encode() + b"\r\n" + self.body


class Request:
    def __init__(self, head, body, connection):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, self.version = first.split(" ")
        self.lines = [tuple(part.strip() for part in line.split(":", 1)) for line in lines if line]
        self.headers = {k.lower(): v for k, v in self.lines}
        self.body, self.connection, self.whole = body, connection, True
        self.at = time.monotonic()

    def json(self):
        return json.loads(self.body)

    def parts(self):
        """multipart/form-data as [(name, filename, octets)]."""
        boundary = b"--" + self.headers["content-type"].split("boundary=")[1].encode()
        found = []
        for part in self.body.split(boundary)[1:-1]:
            head, octets = part.removeprefix(b"\r\n").split(b"\r\n\r\n", 1)
            words = dict(w.strip().split("=", 1) for w in head.decode().split("\r\n")[0].split(";")[1:])
            found.append((words["name"].strip('"'), words.get("filename", "").strip('"'), octets.removesuffix(b"\r\n")))
        return found


class Over(Exception):
    pass


class Api:
    def __init__(self, pair, tls=True, minimum=ssl.TLSVersion.TLSv1_2, at=("127.0.0.1", 0)):
        self.at = at
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = minimum
        self.context.load_cert_chain(*pair)
        self.tls = tls
        self.requests, self.connections, self.lock = [], 0, threading.Lock()
        self.usual, self.next = Answer(), []
        self.open, self.broken = set(), 0  # sockets; handshakes that failed
        self.keep_alive = True

    def say(self, *args, **kw):
        self.usual = Answer(*args, **kw)
        return self

    def once(self, *args, **kw):
        self.next.append(Answer(*args, **kw))
        return self

    def take(self):
        with self.lock:
            got, self.requests = self.requests, []
        return got

    # Serving

    def start(self):
        self.listener = socket.create_server(self.at, backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                number = self.connections
            self.open.add(sock)
            threading.Thread(target=self.serve, args=(sock, number), daemon=True).start()

    def serve(self, sock, number):
        raw = sock
        try:
            if self.next and self.next[0].cut == "accept":
                self.end(raw, self.next.pop(0))
                return
            if self.tls:
                try:
                    sock = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=True)
                except (OSError, ssl.SSLError):
                    self.broken += 1
                    return
                self.open.discard(raw)
                self.open.add(sock)
            while self.one(sock, number):
                pass
        except (Over, OSError, ssl.SSLError):
            pass
        finally:
            self.open.discard(sock)
            self.open.discard(raw)
            try:
                sock.close()
            except OSError:
                pass

    def end(self, sock, answer):
        if answer.reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            (socket.socket.close if isinstance(sock, ssl.SSLSocket) and answer.reset else type(sock).close)(sock)
        finally:
            self.open.discard(sock)

    def one(self, sock, number):
        """One request. False: the connection is over."""
        data = b""
        while b"\r\n\r\n" not in data:
            got = sock.recv(65536)
            if not got:
                return False
            data += got
        head, body = data.split(b"\r\n\r\n", 1)
        request = Request(head, b"", number)
        answer = self.next.pop(0) if self.next else self.usual
        size = int(request.headers.get("content-length", "0"))
        until = {"request": 0, "body": size // 2}.get(answer.cut, size)
        body = bytearray(body)
        while len(body) < until:
            got = sock.recv(65536)
            if not got:
                request.body, request.whole = bytes(body), False
                with self.lock:
                    self.requests.append(request)
                return False
            body += got
        request.body = bytes(body)
        request.whole = len(body) == size
        with self.lock:
            self.requests.append(request)
        if answer.cut in ("request", "body", "answer"):
            self.end(sock, answer)
            return False
        if answer.handle:
            answer = answer.handle(request)
        if answer.delay:
            time.sleep(answer.delay)
        if answer.cut == "half":
            octets = answer.octets()
            sock.sendall(octets[:len(octets) - max(1, len(answer.body) // 2)])
            self.end(sock, answer)
            return False
        sock.sendall(answer.raw if answer.raw is not None else answer.octets())
        return self.keep_alive and not answer.close and answer.raw is None

    def hang_up(self):
        """Closes every connection, as a server does that is tired of idle ones."""
        for sock in list(self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.close()
        self.hang_up()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
