# SPDX-License-Identifier: Apache-2.0
"""A stage for Byway: the daemon with its own directory on free loopback ports, and real upstreams beside it.

Used by `make run` and by the end-to-end tests. Everything binds loopback, lives in one folder, and is stopped by its own pid.
"""
import asyncio
import json
import logging
import os
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BYWAY_BUILD") or ROOT / "build/release")
OPENSSL = "openssl" in BUILD.name  # what stands behind wire/tls.h and wire/crypto.h; else mbedTLS
TWIN = BUILD.with_name(BUILD.name.replace("-openssl", "") if OPENSSL else BUILD.name + "-openssl")  # the build with the other
SLOW = 1 + 3 * ("san" in BUILD.name)  # how much longer things may take
SANITIZER = re.compile(r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


CLAIMS = []


def free_port():
    """A loopback port that nobody has, and that no other process of ours gets as long as this one lives.

    Below the numbers that the kernel gives to outgoing connections. The claim is a name among the abstract sockets: it ends with the process.
    """
    while True:
        port, claim = random.randrange(10000, 32000), socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0byway-port-{port}")
        except OSError:
            claim.close()
            continue
        CLAIMS.append(claim)
        if is_free(port):
            return port


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(what, seconds=10, every=0.02):
    """Calls WHAT until it gives something true; gives that, or None in the end."""
    end = time.monotonic() + seconds * SLOW
    while True:
        got = what()
        if got or time.monotonic() > end:
            return got or None
        time.sleep(every)


def is_open(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def connected_to(port):
    """Whether any connection of this machine to loopback's PORT is open on the side that made it, or has only been closed by the other."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] in ("01", "08") for row in rows)


def wait_port(port, process=None, host="127.0.0.1"):
    def ready():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with status {process.returncode}")
        return is_open(port, host)

    if not wait_until(ready, 20):
        raise RuntimeError(f"nobody listens on port {port}")


def stop(process, seconds=10, how=signal.SIGTERM):
    """Ends a process that we started, gently and then not; gives its status."""
    if process is None:
        return None
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def certificate(folder, name="localhost", names=("localhost",), addresses=("127.0.0.1",), days=30, key="ecdsa"):
    """A key and a self-signed certificate: (chain file, key file)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kind = ["rsa:2048"] if key == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    chain, key = folder / f"{name}.crt", folder / f"{name}.key"
    alt = ",".join([f"DNS:{n}" for n in names] + [f"IP:{a}" for a in addresses])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *kind, "-nodes",
         "-keyout", key, "-out", chain, "-days", str(days), "-subj", f"/CN={name}", "-addext", f"subjectAltName={alt}"],
        check=True, capture_output=True)
    key.chmod(0o600)
    return chain, key


def known_of_aiosmtpd(record):
    """False for what it says of its own past, and of passwords without TLS on loopback, which these servers are for."""
    return not record.getMessage().startswith(("Session.login_data is deprecated", "auth_required == True but"))


def quiet_aiosmtpd():
    logging.getLogger("mail.log").addFilter(known_of_aiosmtpd)
    warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")


class Upstream:
    """A real SMTP server in this process (aiosmtpd on a thread): takes mail, keeps it, and tells who sent it.

    users: {name: password} makes AUTH required; tls: None, 'starttls' or 'implicit', with (chain, key).
    refuse: {recipient: reply} and sender_refuse: {sender: reply} answer RCPT and MAIL; reply: what DATA gets instead of 250.
    offers: what EHLO says beside aiosmtpd's own, of which CHUNKING brings BDAT; mechanisms: those of AUTH.
    """

    def __init__(self, users=None, tls=None, pair=None, refuse=None, reply=None, port=None, size=33554432, name="upstream.example",
                 sender_refuse=None, offers=(), mechanisms=("PLAIN", "LOGIN"), smtputf8=True, eight_bit=True):
        self.users, self.tls, self.pair = users or {}, tls, pair
        self.offers, self.mechanisms, self.smtputf8, self.eight_bit = tuple(offers), mechanisms, smtputf8, eight_bit
        self.refuse, self.reply, self.sender_refuse = refuse or {}, reply, sender_refuse or {}
        self.port, self.size, self.name = port or free_port(), size, name
        self.messages, self.logins, self.connections, self.count = [], [], 0, 0
        self.lock = threading.Lock()
        self.loop = self.server = self.thread = None
        self.delay = 0  # seconds before DATA's last answer
        self.transports = set()

    # What aiosmtpd calls.

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address in self.sender_refuse:
            return self.sender_refuse[address]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return f"250 2.1.5 <{address}> ok"

    async def handle_DATA(self, server, session, envelope):
        if self.delay:
            await asyncio.sleep(self.delay)
        with self.lock:
            self.count += 1
            queue_id = f"Q{self.count:06d}"
            if not self.reply:
                self.messages.append({
                    "id": queue_id, "login": getattr(session, "login", None), "from": envelope.mail_from,
                    "to": list(envelope.rcpt_tos), "content": bytes(envelope.original_content),
                    "options": list(envelope.mail_options), "rcpt_options": list(envelope.rcpt_options),
                    "tls": session.ssl is not None, "helo": session.host_name,
                    "chunks": getattr(envelope, "chunks", 0)})
        return self.reply or f"250 2.0.0 Ok: queued as {queue_id}"

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        if not self.eight_bit:
            responses.remove("250-8BITMIME")
        return responses[:-1] + [f"250-{word}" for word in self.offers] + responses[-1:]

    def authenticate(self, server, session, envelope, mechanism, data):
        from aiosmtpd.smtp import AuthResult

        name, password = data.login.decode(), data.password.decode()
        good = self.users.get(name) == password
        with self.lock:
            self.logins.append((name, good))
        if good:
            session.login = name
        return AuthResult(success=good, handled=good)

    def start(self):
        from aiosmtpd.smtp import SMTP

        quiet_aiosmtpd()

        started, stage = threading.Event(), self

        class Server(SMTP):
            line_length_limit = 8388608

            async def smtp_BDAT(self, arg):
                """RFC 3030; the chunks are one content, as they came."""
                octets, _, last = (arg or "").partition(" ")
                chunk = await self._reader.readexactly(int(octets))
                if "CHUNKING" not in stage.offers or not self.envelope.rcpt_tos or last.upper() not in ("", "LAST"):
                    await self.push("503 5.5.1 No BDAT here")
                    return
                self.envelope.content = (self.envelope.content or b"") + chunk
                self.envelope.chunks = getattr(self.envelope, "chunks", 0) + 1
                if not last:
                    await self.push(f"250 2.0.0 {octets} octets")
                    return
                self.envelope.original_content = self.envelope.content
                status = await stage.handle_DATA(self, self.session, self.envelope)
                self._set_post_data_state()
                await self.push(status)

            def connection_made(self, transport):
                super().connection_made(transport)
                with stage.lock:
                    stage.connections += 1
                stage.transports.add(transport)

        def context():
            if not self.tls:
                return None
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            c.load_cert_chain(*self.pair)
            self.prepare(c)
            return c

        def factory():
            return Server(
                self, hostname=self.name, enable_SMTPUTF8=self.smtputf8, data_size_limit=self.size,
                tls_context=context() if self.tls == "starttls" else None,
                authenticator=self.authenticate if self.users else None, auth_required=bool(self.users),
                auth_require_tls=self.tls == "starttls", decode_data=False, loop=self.loop,
                auth_exclude_mechanism={"PLAIN", "LOGIN"} - set(self.mechanisms))

        def run():
            self.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self.loop)
            self.server = self.loop.run_until_complete(self.loop.create_server(
                factory, "127.0.0.1", self.port, ssl=context() if self.tls == "implicit" else None, backlog=512))
            started.set()
            self.loop.run_forever()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        if not started.wait(10):
            raise RuntimeError("the upstream did not start")
        return self

    def prepare(self, context):
        """For those who want other settings in the TLS context."""

    def hang_up(self):
        """Closes every open connection, as an upstream that is tired of idle ones does."""
        def close():
            for t in list(self.transports):
                t.close()
            self.transports.clear()

        self.loop.call_soon_threadsafe(close)

    def take(self):
        """The messages so far, and none of them next time."""
        with self.lock:
            got, self.messages = self.messages, []
        return got

    def stop(self):
        def end():
            try:
                self.server.close()
                for t in list(self.transports):
                    if not t.is_closing():
                        t.abort()
            finally:
                self.loop.stop()

        if self.loop is not None:
            self.loop.call_soon_threadsafe(end)
            self.thread.join(5)
            self.loop = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Memcached:
    """On a port, or on a socket PATH."""

    def __init__(self, port=None, path=None):
        self.path, self.process = path, None
        self.port = None if path else port or free_port()

    def start(self):
        user = ["-u", "root" if self.path else "nobody"] if os.geteuid() == 0 else []
        where = ["-s", str(self.path)] if self.path else ["-l", "127.0.0.1", "-p", str(self.port), "-U", "0"]
        self.process = subprocess.Popen(["memcached", *where, "-m", "64", "-M", *user])
        if self.path:
            wait_until(self.path.is_socket)
        else:
            wait_port(self.port, self.process)
        return self

    def stop(self):
        stop(self.process)


class Byway:
    """The daemon in a folder of its own.

    settings: {section: {key: value}} laid over what `byway init` made (a value None takes the key away).
    """

    running = []  # those that are up now

    def __init__(self, folder, name="relay.test", workers=2, settings=None, ports=None, ip="127.0.0.1", program="bywayd", build=BUILD):
        self.build, self.program, self.environment, self.descriptors = build, program, None, None
        self.folder, self.name, self.ip = Path(folder).resolve(), name, ip
        self.etc, self.ini = self.folder / "etc", self.folder / "etc/byway.ini"
        self.log, self.process = self.folder / "byway.log", None
        self.ports = {"starttls": free_port(), "tls": free_port(), **(ports or {})}
        self.settings = {
            "server": {"name": name, "workers": workers, "control_socket": str(self.folder / "ctl.sock"),
                       "user": "root" if os.geteuid() == 0 else None, "drain_timeout": 5},
            "log": {"path": str(self.log), "format": "json", "level": "debug"},
            "upstream": {"allow_networks": "127.0.0.0/8 ::1"},
        }
        for section, keys in (settings or {}).items():
            self.settings.setdefault(section, {}).update(keys)

    # Setting up

    def init(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cli("init", "--dir", self.etc, "--state", self.folder / "state", "--name", self.name,
                 "--listen", f"{self.ip}:{self.ports['starttls']}", "--listen-tls", f"{self.ip}:{self.ports['tls']}",
                 config=False)
        self.write_ini()
        return self

    def write_ini(self):
        """The settings go into conf.d/, except those that the main file says already: those are changed there."""
        sections, order, current = {}, [], None
        for line in self.ini.read_text().splitlines():
            line = line.strip()
            if not line or line[0] in ";#":
                continue
            if line[0] == "[":
                current = line[1:-1]
                order.append(current)
                sections[current] = {}
            else:
                key, value = line.split("=", 1)
                sections[current][key.strip()] = value.strip()
        for section, keys in self.settings.items():
            if section not in sections:
                order.append(section)
            if keys is None:
                sections[section] = None
                continue
            merged = sections.setdefault(section, {})
            for key, value in keys.items():
                if value is None:
                    merged.pop(key, None)
                else:
                    merged[key] = value
        self.ini.write_text("\n".join(
            f"[{s}]\n" + "".join(f"{k} = {v}\n" for k, v in sections[s].items()) for s in order if sections[s] is not None))

    def certificate(self):
        """What a client trusts: both certificates of `byway init`, for who prefers RSA is given that one."""
        both = self.folder / "trusted.pem"
        if not both.exists():
            both.write_text("".join((self.etc / name).read_text() for name in ("relay.crt", "relay-rsa.crt")))
        return both

    def cli(self, *args, stdin=None, config=True, check=True, json_out=False):
        """Runs `byway`; gives its output (parsed with json_out), raises with what it said when it failed."""
        command = [str(self.build / "byway")] + (["-c", str(self.ini)] if config else []) + [str(a) for a in args]
        if json_out:
            command.append("--json")
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60 * SLOW)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        if json_out:
            return json.loads(done.stdout)
        return done.stdout if check else done

    def apply(self, text):
        """The directory as a file, see `byway apply`."""
        path = self.folder / "directory.ini"
        path.write_text(text)
        return self.cli("apply", path, "--yes")

    def secret(self, name, value):
        """A password in a file that a directory file can name."""
        path = self.folder / name
        path.write_text(value + "\n")
        path.chmod(0o600)
        return path

    # Life

    def start(self):
        err = open(self.folder / "stderr.log", "ab")
        self.process = subprocess.Popen([str(self.build / self.program), "-c", str(self.ini)], stdout=err, stderr=err,
                                        env={**os.environ, **(self.environment or {})}, preexec_fn=self.limit)
        err.close()
        try:
            for port in self.ports.values():
                wait_port(port, self.process, self.ip)
            # The sockets are there before the workers are.
            wait_until(lambda: self.process.poll() is not None or len(self.workers()) >= int(self.settings["server"]["workers"]))
        except RuntimeError as e:
            raise RuntimeError(f"{e}\n{self.said()}") from None
        Byway.running.append(self)
        return self

    def limit(self):
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def said(self):
        """What the daemon wrote to standard error."""
        return (self.folder / "stderr.log").read_text(errors="replace")

    def faults(self):
        """What a sanitizer wrote there, if any did."""
        said = self.said()
        found = SANITIZER.search(said)
        return said[max(0, found.start() - 200):] if found else ""

    def stop(self, **how):
        if self in Byway.running:
            Byway.running.remove(self)
        status = stop(self.process, **how)
        self.process = None
        return status

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # Looking

    def events(self, event=None, **fields):
        """The log's lines as dicts, those of EVENT with these FIELDS."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines() if self.log.exists() else []:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if (event is None or row.get("ev") == event) and all(row.get(k) == v for k, v in fields.items()):
                found.append(row)
        return found

    def wait_event(self, event, seconds=5, **fields):
        found = wait_until(lambda: self.events(event, **fields), seconds)
        return found[-1] if found else None

    def workers(self):
        """The workers' pids."""
        return [c for c in self.children() if re.fullmatch(rb"bywayd/\d+\n", read(f"/proc/{c}/comm"))]

    def parsers(self):
        """The process that takes content apart for the APIs, in a list: it may just be replaced."""
        return [c for c in self.children() if b"--parsers" in read(f"/proc/{c}/cmdline")]

    def children(self):
        return [int(c) for c in read(f"/proc/{self.process.pid}/task/{self.process.pid}/children").split()]


def read(path):
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)
    return Path(folder)
