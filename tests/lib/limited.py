# SPDX-License-Identifier: Apache-2.0
"""Daemons whose accounts have limits, a clock that tests can move, and memcached servers that can be stopped, frozen and slowed."""
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import stage
from talk import Closed, Talk

PASSWORD = "limits-are-counted"
CONTENT = b"From: <u@x.example>\r\nSubject: limits\r\n\r\nhello\r\n"
HAS_CLOCK = "san" in stage.BUILD.name  # the build that knows of BYWAY_CLOCK


class Clock:
    """Seconds laid over the clock of daemons started from now on."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.set(0)
        os.environ["BYWAY_CLOCK"] = str(self.path)

    def set(self, seconds):
        self.offset = int(seconds)
        with open(self.path, "r+b" if self.path.exists() else "wb") as f:
            f.write(struct.pack("=q", self.offset))

    def now(self):
        return time.time() + self.offset

    def set_to(self, when):
        """WHEN: unix seconds that it shall be now."""
        self.set(int(when - time.time()))

    def next(self, grain, before=0.0):
        """Goes to BEFORE seconds before the next multiple of GRAIN."""
        now = self.now()
        self.set(self.offset + (now // grain + 1) * grain - before - now)


class Memcached(stage.Memcached):
    """A server of its own; memory: megabytes; evicts: forgets instead of refusing."""

    def __init__(self, memory=64, evicts=False):
        super().__init__()
        self.memory, self.evicts = memory, evicts

    def start(self):
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-m", str(self.memory),
                                         *([] if self.evicts else ["-M"]), *user])
        stage.wait_port(self.port, self.process)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        stage.stop(self.process, how=signal.SIGKILL)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def ask(self, line):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
            s.sendall(f"{line}\r\n".encode())
            return s.recv(65536).decode()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


class SlowDoor:
    """A TCP relay in front of a server; what comes back is late by .delay seconds."""

    def __init__(self, port):
        self.to, self.delay, self.closing = port, 0.0, False
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.closing:
            try:
                a, _ = self.listening.accept()
                b = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            b.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(a, b, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(b, a, True), daemon=True).start()

    def _pump(self, one, other, back):
        try:
            while octets := one.recv(65536):
                if back and self.delay:
                    time.sleep(self.delay)
                other.sendall(octets)
        except OSError:
            pass
        for s in (one, other):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.closing = True
        self.listening.close()


def byway(folder, mta_port, counters=None, workers=2, name="relay.test", **settings):
    port = stage.free_port()
    b = stage.Byway(folder, name=name, workers=workers, ports={"plain": port}, settings={
        "mta one": {"host": "127.0.0.1", "port": mta_port, "tls": "none", "max_connections": 200},
        "listener plain": {"address": f"127.0.0.1:{port}", "tls": "none", "plaintext_auth": "yes"},
        "limits": {"connections_per_address": 1000, "connections_per_account": 1000},
        "log": {"level": "info"},
        "counters": {"checkpoint": 1, **(counters or {})}, **settings})
    return b


def directory(b, accounts, more=""):
    """accounts: {name: {plan's options, account's with @, mailbox's with !}}; each has the mailboxes u and v."""
    password = b.secret("limits.pw", PASSWORD)
    text = ""
    for name, options in accounts.items():
        plan = {k: v for k, v in options.items() if k[0] not in "@!"}
        text += f"[plan {name}]\ncan_send = yes\nsenders = any\n" + "".join(f"{k} = {v}\n" for k, v in plan.items())
        text += f"[account {name}]\nplan = {name}\nowner_verified = yes\n"
        text += "".join(f"{k[1:]} = {v}\n" for k, v in options.items() if k[0] == "@")
        text += f"[domain {name}.example]\naccount = {name}\n"
        for box in "uv":
            text += f"[mailbox {box}@{name}.example]\npassword_file = {password}\n"
            text += "".join(f"{k[1:]} = {v}\n" for k, v in options.items() if k[0] == "!")
    return text + more


def talk(b, account, box="u"):
    return Talk(b, mode="plain", port=b.ports["plain"], login=(f"{box}@{account}.example", PASSWORD))


def try_one(b, account, recipients=("a@x.example",), box="u", content=CONTENT):
    """One message on a connection of its own; the reply that decided."""
    with talk(b, account, box) as t:
        return send(t, account, recipients, box, content)


def send(t, account, recipients=("a@x.example",), box="u", content=CONTENT):
    reply = t.cmd(f"MAIL FROM:<{box}@{account}.example>")
    if reply.code != 250:
        return reply
    for r in recipients:
        t.cmd(f"RCPT TO:<{r}>")
    reply = t.cmd("DATA")
    if reply.code != 354:
        if reply.code < 421 or reply.code > 421:
            t.cmd("RSET")
        return reply
    from talk import stuffed

    t.raw(stuffed(content))
    return t.read()


def left(b, account, most=50, box="u", recipients=("a@x.example",)):
    """How many messages still pass; uses them up."""
    for n in range(most + 1):
        r = try_one(b, account, recipients, box)
        if r.code != 250:
            print(account, n, r)
            return n
    return most + 1


def flood(daemons, account, sessions, each, act=None, box="uv"):
    """SESSIONS clients at once, spread over the daemons, each with EACH messages; how many were accepted, recipients and messages, and all other codes."""
    accepted, codes, lock = [], [], threading.Lock()

    def run(i):
        b = daemons[i % len(daemons)]
        t = None
        for k in range(each):
            try:
                t = t or talk(b, account, box[i % len(box)])
                got, n = (act or plain)(t, account, i, k, box[i % len(box)])
            except (Closed, OSError):
                t = None
                continue
            with lock:
                (accepted if got == 250 else codes).append(n if got == 250 else got)
            if got in (421, None):
                t.close()
                t = None
        if t:
            t.close()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(sessions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sum(accepted), len(accepted), codes


def plain(t, account, i, k, box):
    return send(t, account, box=box).code, 1


def worst_ms(b):
    """The longest turn of any worker's loop since the last call."""
    status = b.cli("status", json_out=True)
    return max(w["worst_us"] for w in status["workers"] if w["answered"]) / 1000


def servers(*memcacheds):
    return {"servers": " ".join(f"127.0.0.1:{m.port}" for m in memcacheds)}
