# SPDX-License-Identifier: Apache-2.0
"""
The daemon as processes: start, refusals to start, workers that die, reload, stop, descriptors, systemd

Nothing here sends mail; what is asked is that connections are served, kept and ended as they should be.
"""

import contextlib
import json
import os
import pwd
import re
import resource
import signal
import smtplib
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BYWAY_BUILD", ROOT / "build/san"))
BYWAYD = BUILD / "bywayd"
ROOTED = os.geteuid() == 0
PATIENCE = 20  # seconds; the sanitizers' build on a busy machine


def free_port(family=socket.AF_INET, host="127.0.0.1"):
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def until(true, seconds=PATIENCE, what="it"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = true()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true within {seconds} s")


class Daemon:
    """One bywayd in a folder of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.port, self.tls_port = free_port(), free_port()
        self.config = self.folder / "byway.ini"
        self.socket = self.folder / "control.sock"
        self.log = self.folder / "log"
        self.process = None
        self.sections = {
            "server": {"name": "mail.example.org", "workers": "2", "drain_timeout": "5s", "control_socket": self.socket},
            "directory": {"path": self.folder / "directory.db"},
            "vault": {"key_file": self.folder / "vault.key"},
            "certificate one": {"chain_file": self.folder / "cert.pem", "key_file": self.folder / "key.pem"},
            "listener submission": {"address": f"127.0.0.1:{self.port}"},
            "listener smtps": {"address": f"127.0.0.1:{self.tls_port}", "tls": "implicit"},
        }
        if ROOTED:
            self.sections["server"]["user"] = "root"
        self.certificate("mail.example.org")
        self.secret("vault.key", "k1 " + os.urandom(32).hex() + "\n")
        self.secret("directory.db", "")
        self.write()

    def secret(self, name, text):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)

    def certificate(self, name):
        (self.folder / "key.pem").touch(mode=0o600)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", self.folder / "key.pem",
             "-out", self.folder / "cert.pem"], check=True, stderr=subprocess.DEVNULL)

    def write(self):
        self.config.write_text("".join(
            f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
            for name, keys in self.sections.items()))

    def run(self, *words, **more):
        return subprocess.run([BYWAYD, "-c", self.config, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60, check=False, **more)

    def start(self, wait=True, command=(), **more):
        before = len(self.said()) if self.log.exists() else 0
        with self.log.open("a") as log:
            self.process = subprocess.Popen([*command, BYWAYD, "-c", self.config], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, **more)
        if wait:
            until(lambda: self.process.poll() is not None or "is up with" in self.said()[before:],
                  what="the start")
            assert self.process.poll() is None, self.said()
        return self

    def said(self):
        return self.log.read_text()

    def ask(self, word, seconds=PATIENCE):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(seconds)
            s.connect(str(self.socket))
            s.sendall(word.encode() + b"\n")
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        return json.loads(answer)

    def workers(self):
        return self.ask("status")["workers"]

    def connect(self, port=None):
        s = socket.create_connection(("127.0.0.1", port or self.port), timeout=PATIENCE)
        return s, s.makefile("rwb", buffering=0)

    @staticmethod
    def leave(client):
        for part in reversed(client):
            part.close()

    def greeted(self):
        s, f = self.connect()
        line = f.readline()
        assert line.startswith(b"220 "), line
        return s, f

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Gracefully; what it said is looked through for what the sanitizers found."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self):
        status = self.process.wait(timeout=PATIENCE + 10)
        said = self.said()
        assert "ERROR: AddressSanitizer" not in said and "runtime error" not in said, said
        assert "ERROR: LeakSanitizer" not in said, said
        return status

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def daemon(tmp_path):
    d = Daemon(tmp_path)
    yield d
    d.close()


def alive(pid):
    """Dead and not waited for counts as dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# ---- the command line ---------------------------------------------------------------------------


def test_check_says_ok(daemon):
    done = daemon.run("-t")
    assert (done.returncode, done.stdout) == (0, f"{daemon.config}: ok\n")
    assert not daemon.socket.exists()


def test_check_tells_all_mistakes(daemon):
    daemon.sections["server"]["wokers"] = 2
    daemon.sections["listener smtps"]["tls"] = "always"
    daemon.write()
    done = daemon.run("--check")
    assert done.returncode == 78
    assert "wokers" in done.stdout and "always" in done.stdout, done.stdout
    assert daemon.run().returncode == 78


def test_check_looks_at_files(daemon):
    (daemon.folder / "vault.key").chmod(0o644)
    (daemon.folder / "key.pem").write_text("no key\n")
    done = daemon.run("-t")
    assert done.returncode == 78
    assert "vault.key" in done.stdout and "key.pem" in done.stdout, done.stdout


def test_check_misses_the_database(daemon):
    (daemon.folder / "directory.db").unlink()
    done = daemon.run("-t")
    assert done.returncode == 78
    assert "byway init" in done.stdout, done.stdout
    assert daemon.run().returncode == 78


def test_no_configuration(daemon):
    daemon.config.unlink()
    done = daemon.run()
    assert done.returncode == 78
    assert str(daemon.config) in done.stdout


def test_usage():
    def said(*words):
        done = subprocess.run([BYWAYD, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout
    assert said("--wat")[0] == 64
    assert said("file.ini")[0] == 64
    status, text = said("--help")
    assert status == 0 and "example:" in text
    status, text = said("--version")
    library = "OpenSSL" if "openssl" in BUILD.name else "mbedTLS"
    assert status == 0 and re.fullmatch(rf"bywayd \d+\.\d+\.\d+\S* \({library} 3\.\d+\.\d+\)\n", text)


# ---- start --------------------------------------------------------------------------------------


def test_serves_and_stops(daemon):
    daemon.start()
    context = ssl.create_default_context(cafile=daemon.folder / "cert.pem")
    context.check_hostname = False
    with smtplib.SMTP("127.0.0.1", daemon.port, timeout=PATIENCE) as client:
        client.starttls(context=context)
        assert client.ehlo()[0] == 250
    with smtplib.SMTP_SSL("127.0.0.1", daemon.tls_port, timeout=PATIENCE, context=context) as client:
        assert client.noop()[0] == 250
    pids = [w["pid"] for w in daemon.workers()]
    assert len(set(pids)) == 2
    assert daemon.stop() == 0
    assert not daemon.socket.exists()
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(ConnectionRefusedError):
        daemon.connect()


def test_all_workers_accept(daemon):
    daemon.start()
    clients = [daemon.greeted() for _ in range(40)]
    assert all(w["sessions"] > 0 for w in daemon.workers())
    status = daemon.ask("status")
    assert status["gauges"]["sessions_open"] == 40
    assert status["counters"]["connections_accepted"] == 40
    for client in clients:
        daemon.leave(client)
    until(lambda: daemon.ask("status")["gauges"]["sessions_open"] == 0, what="the end of all sessions")


def test_address_in_use(daemon):
    with socket.socket() as s:
        s.bind(("127.0.0.1", daemon.port))
        s.listen()
        done = daemon.run()
    assert done.returncode == 69
    assert f"listener submission: cannot listen on 127.0.0.1:{daemon.port}: already in use" in done.stdout


def test_second_daemon_is_refused(daemon, tmp_path_factory):
    daemon.start()
    assert daemon.run().returncode == 69  # by the ports, though SO_REUSEPORT would share them
    other = Daemon(tmp_path_factory.mktemp("other"))
    other.sections["server"]["control_socket"] = daemon.socket
    other.write()
    done = other.run()
    assert done.returncode == 73 and "another bywayd answers there" in done.stdout, done.stdout
    assert daemon.ask("ping")["ok"]


def test_control_socket(daemon):
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(daemon.socket))
    stale.close()
    daemon.start()
    assert daemon.socket.stat().st_mode & 0o777 == 0o660
    assert daemon.ask("ping")["pid"] == daemon.process.pid
    assert daemon.ask("dance")["ok"] is False
    with socket.socket(socket.AF_UNIX) as s:  # too long a line is not answered
        s.settimeout(PATIENCE)
        s.connect(str(daemon.socket))
        with contextlib.suppress(OSError):
            s.sendall(b"x" * 5000)
            assert s.recv(1) == b""
    with socket.socket(socket.AF_UNIX) as s:  # one that leaves before its answer harms nobody
        s.connect(str(daemon.socket))
        s.sendall(b"status\n")
    status = daemon.ask("status")
    assert status["state"] == "up" and status["revision"] == 1 and status["reload"] is None
    assert all(w["answered"] and w["state"] == "up" and w["generation"] == 1 for w in status["workers"])


def test_not_a_socket_in_the_way(daemon):
    daemon.socket.write_text("precious")
    done = daemon.run()
    assert done.returncode == 73 and "is not a socket" in done.stdout
    assert daemon.socket.read_text() == "precious"


def test_without_control_socket(daemon):
    daemon.sections["server"]["control_socket"] = ""
    daemon.write()
    if daemon.run("-t").returncode != 0:
        pytest.skip("an empty control_socket is not a value")
    daemon.start()
    daemon.greeted()
    assert daemon.stop() == 0


# ---- rights -------------------------------------------------------------------------------------


def hand_over(daemon, user):
    entry = pwd.getpwnam(user)
    folder = daemon.folder
    while folder != folder.parent and folder != Path("/tmp"):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o011)
        folder = folder.parent
    os.chown(daemon.folder, entry.pw_uid, entry.pw_gid)
    for path in daemon.folder.iterdir():
        os.chown(path, entry.pw_uid, entry.pw_gid)
    return entry


@pytest.mark.skipif(not ROOTED, reason="needs root")
def test_root_must_say_who(daemon):
    del daemon.sections["server"]["user"]
    daemon.write()
    done = daemon.run()
    assert done.returncode == 78
    assert "[server] user is not set: write `user = byway`" in done.stdout
    daemon.sections["server"]["user"] = "nobody-of-that-name"
    daemon.write()
    done = daemon.run("-t")
    assert done.returncode == 78 and "there is no user" in done.stdout


@pytest.mark.skipif(not ROOTED, reason="needs root")
def test_root_drops_to_user(daemon):
    entry = hand_over(daemon, "nobody")
    daemon.sections["server"]["user"] = "nobody"
    daemon.write()
    daemon.start()
    for pid in (daemon.process.pid, *(w["pid"] for w in daemon.workers())):
        fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert fields["Uid"].split() == [str(entry.pw_uid)] * 4
        assert fields["Gid"].split() == [str(entry.pw_gid)] * 4
        assert "0" not in fields["Groups"].split()
        assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if "core" in line).split()[4:6] == ["0", "0"]
    assert daemon.ask("reload")["ok"]
    assert daemon.stop() == 0
    assert not daemon.socket.exists()


@pytest.mark.skipif(not ROOTED, reason="needs root")
def test_files_must_be_readable_for_the_user(daemon):
    hand_over(daemon, "nobody")
    os.chown(daemon.folder / "key.pem", 0, 0)
    daemon.sections["server"]["user"] = "nobody"
    daemon.write()
    done = daemon.run()
    assert done.returncode in (77, 78)
    assert "key.pem" in done.stdout


# ---- what processes have given up ----


def test_all_processes_are_confined(daemon):
    """No new privileges for anyone; a filter for each worker, all its threads, and for the parsers."""
    daemon.start()
    master = Path(f"/proc/{daemon.process.pid}")
    children = (master / f"task/{daemon.process.pid}/children").read_text().split()
    assert len(children) == 3  # two workers and the parsers
    until(lambda: "\nSeccomp:\t0" not in "".join(Path(f"/proc/{pid}/status").read_text() for pid in children), what="the filters")
    threads = [t for pid in children for t in Path(f"/proc/{pid}/task").iterdir()]
    assert len(threads) > 5
    for place in [master, *threads]:
        said = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
        assert said["NoNewPrivs"] == "1"
        assert said["Seccomp"] == ("0" if place == master else "2"), place
    assert "no system call filter" not in daemon.said()


# ---- workers that die ---------------------------------------------------------------------------


def test_a_killed_worker_is_replaced(daemon):
    daemon.start()
    clients = [daemon.greeted() for _ in range(30)]
    first, second = daemon.workers()
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: daemon.workers()[0]["generation"] == 2 and daemon.workers()[0]["state"] == "up", what="a new worker")
    status = daemon.ask("status")
    assert status["counters"]["worker_deaths"] == 1
    assert status["workers"][1]["pid"] == second["pid"]
    # The sessions of the dead one are gone and not counted; those of the other go on.
    assert status["gauges"]["sessions_open"] == second["sessions"]
    served = 0
    for s, f in clients:
        with contextlib.suppress(OSError):
            s.sendall(b"NOOP\r\n")
            served += f.readline().startswith(b"250")
    assert served == second["sessions"]
    for _ in range(20):
        daemon.greeted()
    assert daemon.stop() == 0


def test_no_waiting_connection_is_lost(daemon):
    """Connections that come while a worker is dead are served by its successor: the master holds the sockets."""
    daemon.sections["server"]["workers"] = 1
    daemon.write()
    daemon.start()
    pid = daemon.workers()[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    waiting = [daemon.connect() for _ in range(20)]
    os.kill(pid, signal.SIGKILL)
    for _, f in waiting:
        assert f.readline().startswith(b"220 ")


def test_back_off(daemon):
    """A worker that dies young again and again is started more and more slowly, and the daemon lives."""
    daemon.sections["server"]["workers"] = 1
    daemon.write()
    daemon.start()
    for generation in range(2, 6):
        os.kill(daemon.workers()[0]["pid"], signal.SIGKILL)
        until(lambda g=generation: daemon.workers()[0]["generation"] == g and daemon.workers()[0]["state"] == "up",
              what="a new worker")
    said = [line.split("restart_in=")[1] for line in daemon.said().splitlines() if "restart_in=" in line]
    assert [float(s.split()[0]) for s in said] == [0, 0.1, 0.2, 0.4]


def test_R11_nobody_waits_for_a_worker_that_keeps_dying(daemon):
    """Its listening sockets are served by the living one, however long its delay is."""
    daemon.start()

    def wait(n):
        took = []
        for _ in range(n):
            began = time.monotonic()
            daemon.leave(daemon.greeted())
            took.append(time.monotonic() - began)
        return max(took)

    quiet = wait(100)
    other = daemon.workers()[1]["pid"]

    def kill_until_delayed():
        for _ in range(6):
            until(lambda: daemon.workers()[0]["state"] == "up", what="a new worker")
            pid = daemon.workers()[0]["pid"]
            os.kill(pid, signal.SIGKILL)
            until(lambda p=pid: daemon.workers()[0]["pid"] != p, what="its death")

    kill_until_delayed()
    assert wait(300) < max(10 * quiet, 0.5)
    # The clients above came while it was away: it says how long.
    assert max(float(line.split("restart_in=")[1].split()[0]) for line in daemon.said().splitlines() if "restart_in=" in line) > 1
    assert daemon.workers()[1]["pid"] == other
    until(lambda: daemon.workers()[0]["state"] == "up", what="a new worker")
    # Its sockets are its own again.
    before = daemon.workers()[0]["sessions"]
    held = [daemon.greeted() for _ in range(40)]
    assert daemon.workers()[0]["sessions"] - before > 5
    for client in held:
        daemon.leave(client)


def test_R11_who_serves_for_another_dies(daemon):
    daemon.sections["server"]["workers"] = 3
    daemon.write()
    daemon.start()
    for _ in range(4):
        for number in (0, 1):
            until(lambda n=number: daemon.workers()[n]["state"] == "up", what="a new worker")
            os.kill(daemon.workers()[number]["pid"], signal.SIGKILL)
        for _ in range(30):
            daemon.leave(daemon.greeted())
    daemon.stop()


def test_delays_of_two_causes_do_not_add_up(daemon):
    """A worker that cannot start waits longer and longer; one that served and died begins anew."""
    daemon.sections["server"]["workers"] = 1
    daemon.write()
    daemon.start()
    database = daemon.folder / "directory.db"
    database.rename(daemon.folder / "away.db")
    os.kill(daemon.workers()[0]["pid"], signal.SIGKILL)
    until(lambda: daemon.said().count("restart_in=") >= 5, what="some deaths")
    (daemon.folder / "away.db").rename(database)
    until(lambda: daemon.workers()[0]["state"] == "up", what="a new worker")
    os.kill(daemon.workers()[0]["pid"], signal.SIGKILL)
    until(lambda: "signal=KILL" in daemon.said().splitlines()[-1] or daemon.said().count("signal=KILL") == 2, what="its death")
    said = [line for line in daemon.said().splitlines() if "restart_in=" in line and "signal=KILL" in line]
    assert [float(line.split("restart_in=")[1].split()[0]) for line in said] == [0, 0.1]


def test_workers_that_cannot_start(daemon):
    """The directory goes away between the check and now: the master says so, tries on, and heals."""
    daemon.sections["server"]["workers"] = 1
    daemon.write()
    daemon.start()
    (daemon.folder / "directory.db").rename(daemon.folder / "away.db")
    os.kill(daemon.workers()[0]["pid"], signal.SIGKILL)
    until(lambda: "no worker runs" in daemon.said(), what="the complaint")
    (daemon.folder / "away.db").rename(daemon.folder / "directory.db")
    until(lambda: daemon.workers()[0]["state"] == "up", what="a new worker")
    daemon.greeted()


def test_master_killed(daemon):
    daemon.start()
    pids = [w["pid"] for w in daemon.workers()]
    _, f = daemon.greeted()
    daemon.process.kill()
    daemon.process.wait()
    assert f.readline().startswith(b"421 4.3.2")
    until(lambda: not any(alive(pid) for pid in pids), what="the workers' end")
    daemon.start()  # nothing of it is in the way
    daemon.greeted()


# ---- reload -------------------------------------------------------------------------------------


def greeting_name(daemon):
    s, f = daemon.connect()
    with s:
        return f.readline().split()[1].decode()


def test_reload_changes_new_connections(daemon):
    daemon.start()
    old, f = daemon.greeted()
    daemon.sections["server"]["name"] = "new.example.org"
    daemon.write()
    told = daemon.ask("reload")
    assert (told["ok"], told["revision"], told["mistakes"]) == (True, 2, [])
    assert len(told["warnings"]) == 1 and "no certificate is for new.example.org" in told["warnings"][0], told
    assert {greeting_name(daemon) for _ in range(20)} == {"new.example.org"}
    old.sendall(b"NOOP\r\n")
    assert f.readline().startswith(b"250")
    assert "reload ok rev=2" in daemon.said()
    assert all(w["revision"] == 2 for w in daemon.workers())
    # A worker that is born later has it too.
    for w in daemon.workers():
        os.kill(w["pid"], signal.SIGKILL)
    until(lambda: all(w["state"] == "up" and w["generation"] == 2 for w in daemon.workers()), what="new workers")
    assert {greeting_name(daemon) for _ in range(20)} == {"new.example.org"}
    assert daemon.stop() == 0


def test_reload_by_signal(daemon):
    daemon.start()
    daemon.sections["server"]["name"] = "new.example.org"
    daemon.write()
    daemon.signal(signal.SIGHUP)
    until(lambda: "reload ok rev=2" in daemon.said(), what="the reload")
    assert greeting_name(daemon) == "new.example.org"
    assert daemon.ask("status")["reload"]["ok"] is True


def test_reload_with_mistakes_keeps_the_old(daemon):
    daemon.start()
    daemon.sections["server"]["name"] = "new.example.org"
    daemon.sections["server"]["wokers"] = 3
    daemon.sections["listener smtps"]["tls"] = "always"
    daemon.write()
    answer = daemon.ask("reload")
    assert answer["ok"] is False and answer["revision"] == 1
    assert len(answer["mistakes"]) == 2 and all("byway.ini:" in m for m in answer["mistakes"])
    assert greeting_name(daemon) == "mail.example.org"
    status = daemon.ask("status")
    assert status["state"] == "up" and status["reload"]["mistakes"] == answer["mistakes"]
    for mistake in ("wokers", "always"):
        assert any(" error " in line and mistake in line for line in daemon.said().splitlines())
    del daemon.sections["server"]["wokers"]
    daemon.sections["listener smtps"]["tls"] = "implicit"
    daemon.write()
    assert daemon.ask("reload")["ok"] is True
    assert greeting_name(daemon) == "new.example.org"


def test_reload_with_a_broken_certificate(daemon):
    daemon.start()
    (daemon.folder / "cert.pem").write_text("nothing\n")
    answer = daemon.ask("reload")
    assert answer["ok"] is False and "cert.pem" in answer["mistakes"][0]
    with socket.create_connection(("127.0.0.1", daemon.tls_port), timeout=PATIENCE) as s:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(s) as tls:
            assert tls.recv(100).startswith(b"220 ")


def test_reload_changes_certificates(daemon):
    def served():
        return ssl.get_server_certificate(("127.0.0.1", daemon.tls_port))
    daemon.start()
    before = served()
    daemon.certificate("mail.example.org")
    assert served() == before
    assert daemon.ask("reload")["ok"]
    assert {served() for _ in range(10)} == {(daemon.folder / "cert.pem").read_text()} != {before}


def test_reload_says_what_needs_a_restart(daemon):
    daemon.start()
    daemon.sections["server"]["workers"] = 3
    daemon.write()
    answer = daemon.ask("reload")
    assert answer["ok"] is True and len(answer["warnings"]) == 1 and "workers" in answer["warnings"][0]
    assert len(daemon.workers()) == 2


def test_many_reloads(daemon):
    """With clients coming and going, and reloads asked for while others are under way."""
    daemon.start()
    for _ in range(5):
        daemon.signal(signal.SIGHUP)
        assert daemon.ask("reload")["ok"]
        daemon.leave(daemon.greeted())
    status = daemon.ask("status")
    assert status["revision"] >= 6 and status["counters"]["worker_deaths"] == 0
    assert daemon.stop() == 0


# ---- session tickets ----------------------------------------------------------------------------


class Visitor:
    """A TLS client that keeps what the server gave it to come back with."""

    def __init__(self, version):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.context.minimum_version = self.context.maximum_version = version
        self.session = None

    def is_known(self, port):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s:
            with self.context.wrap_socket(s, session=self.session) as tls:
                assert tls.recv(100).startswith(b"220 ")
                known = tls.session_reused
                if not self.session:
                    self.session = tls.session
                return known


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets(daemon, version):
    other = free_port()
    daemon.sections["listener other"] = {"address": f"127.0.0.1:{other}", "tls": "implicit"}
    daemon.secret("ticket.key", os.urandom(32).hex())
    daemon.sections["tls"] = {"ticket_key_file": daemon.folder / "ticket.key"}
    daemon.write()
    daemon.start()
    visitor = Visitor(version)
    assert not visitor.is_known(daemon.tls_port)
    assert all(visitor.is_known(daemon.tls_port) for _ in range(12))  # whichever worker it meets
    assert not visitor.is_known(other)
    assert daemon.ask("reload")["ok"]
    assert all(visitor.is_known(daemon.tls_port) for _ in range(6))
    assert daemon.stop() == 0
    daemon.start()
    assert visitor.is_known(daemon.tls_port)  # as on another node with the same key file
    daemon.secret("ticket.key", os.urandom(32).hex())
    assert daemon.ask("reload")["ok"]
    assert not any(visitor.is_known(daemon.tls_port) for _ in range(6))
    assert daemon.stop() == 0


# ---- stop ---------------------------------------------------------------------------------------


def test_graceful_stop_says_goodbye(daemon):
    daemon.start()
    clients = [daemon.greeted() for _ in range(6)]
    daemon.signal(signal.SIGTERM)
    for _, f in clients:
        assert f.readline().startswith(b"421 4.3.2")
        assert f.readline() == b""
    assert daemon.ended() == 0


def test_drain_request(daemon):
    daemon.start()
    _, f = daemon.greeted()
    assert daemon.ask("drain") == {"ok": True}
    assert f.readline().startswith(b"421 4.3.2")
    assert daemon.ended() == 0


def test_second_signal_stops_at_once(daemon):
    daemon.sections["server"]["drain_timeout"] = "600s"
    daemon.write()
    daemon.start()
    stuck = [w["pid"] for w in daemon.workers()]
    for pid in stuck:  # these will not drain
        os.kill(pid, signal.SIGSTOP)
    daemon.signal(signal.SIGTERM)
    until(lambda: daemon.ask("status")["state"] == "draining", what="draining")
    began = time.monotonic()
    daemon.signal(signal.SIGINT)
    assert daemon.ended() == 0
    assert time.monotonic() - began < PATIENCE
    assert not any(alive(pid) for pid in stuck)


def test_stuck_worker_is_killed(daemon):
    daemon.sections["server"]["drain_timeout"] = "0s"
    daemon.write()
    daemon.start()
    os.kill(daemon.workers()[0]["pid"], signal.SIGSTOP)
    assert daemon.stop() == 0
    assert "does not end and is killed" in daemon.said()


def test_status_does_not_wait_for_a_stuck_worker(daemon):
    daemon.start()
    pid = daemon.workers()[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        first, second = daemon.workers()
        assert time.monotonic() - began < 5
        assert (first["answered"], second["answered"]) == (False, True)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: daemon.workers()[0]["answered"], what="an answer")


# ---- logs, descriptors --------------------------------------------------------------------------


def test_logs_are_opened_anew(daemon):
    path = daemon.folder / "mail.log"
    daemon.sections["log"] = {"path": path}
    daemon.write()
    daemon.start(wait=False)
    until(lambda: path.exists() and "is up with" in path.read_text(), what="the start")
    path.rename(daemon.folder / "mail.log.1")
    daemon.signal(signal.SIGUSR1)
    until(lambda: path.exists() and "opened anew" in path.read_text(), what="a new log")
    assert daemon.ask("reopen") == {"ok": True}
    s, f = daemon.greeted()
    s.sendall(b"MAIL FROM:<a@b.example>\r\nQUIT\r\n")  # who only looks is at debug
    f.readline()
    f.readline()
    until(lambda: " session " in path.read_text(), what="a worker's line in the new log")


def test_out_of_descriptors(daemon):
    """With no descriptor left (strangers cannot bring that about, but the system may), clients are told 421, the loop does not spin, and it goes on when
    some are free."""
    daemon.sections["server"]["workers"] = 1
    daemon.sections["limits"] = {"connections_per_address": 1000}
    daemon.write()
    daemon.start()
    pid = daemon.workers()[0]["pid"]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (100, 100))
    clients = [daemon.connect() for _ in range(120)]
    until(lambda: daemon.ask("status")["counters"]["connections_no_fds"] > 0, what="a refusal")
    lines = []
    for client in clients[:60]:
        lines.append(client[1].readline())
        daemon.leave(client)
    assert sum(line.startswith(b"220 ") for line in lines) > 30
    for _, f in clients[60:]:
        lines.append(f.readline())
    assert all(line.startswith((b"220 ", b"421 4.3.2")) for line in lines)
    assert any(line.startswith(b"421 4.3.2") for line in lines)
    assert daemon.said().count("accepting rests") == 1
    for client in clients[60:]:
        daemon.leave(client)
    until(lambda: daemon.ask("status")["gauges"]["sessions_open"] == 0, what="the end of all sessions")
    daemon.greeted()
    assert daemon.workers()[0]["pid"] == pid
    assert daemon.stop() == 0


LIMITS = [  # connections, descriptors: soft, hard; what is wanted, if that is too few
    (30000, 200, 200, "40086"),
    (1000, 200, 1419, None),
    (86, 200, 200, None),
    (87, 200, 200, "202"),
]


@pytest.mark.parametrize("connections, soft, hard, wanted", LIMITS)
def test_descriptors_that_cannot_hold_the_caps_are_told(daemon, connections, soft, hard, wanted):
    """At the check, at the start and at a reload, with numbers. The soft limit alone does not count: it is raised."""
    daemon.sections["limits"] = {"connections": connections}
    daemon.write()

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    words = f"may have {hard} descriptors, which is too few for [limits] connections = {connections}"
    checked = daemon.run("-t", preexec_fn=few)
    assert checked.returncode == 0 and (words in checked.stdout) == bool(wanted), checked.stdout
    daemon.start(preexec_fn=few)
    assert (words in daemon.said()) == bool(wanted) and (not wanted or f"wants {wanted};" in daemon.said())
    assert daemon.workers()[0]["answered"]
    limits = Path(f"/proc/{daemon.workers()[0]['pid']}/limits").read_text()
    assert re.search(rf"^Max open files +{hard} ", limits, re.M)
    daemon.sections["limits"] = {"connections": hard}
    daemon.write()
    assert daemon.ask("reload")["ok"]
    until(lambda: f"connections = {hard}: " in daemon.said(), what="a warning")


# ---- systemd ------------------------------------------------------------------------------------


def listening(port=0):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen(64)
    return s


def start_with(daemon, sockets, names, **more):
    """As systemd starts a service: sockets from 3 on, LISTEN_PID that of the process itself."""
    script = 'LISTEN_PID=$$ exec "$@"'
    fds = [s.fileno() for s in sockets]

    def place():
        high = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
            os.close(fd)

    env = dict(os.environ, LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(names))
    return daemon.start(command=["sh", "-c", script, "sh"], env=env, close_fds=False, preexec_fn=place, **more)


def test_inherited_sockets(daemon):
    by_name, by_address = listening(), listening(daemon.tls_port)
    with by_name, by_address:
        start_with(daemon, [by_name, by_address], ["submission", "whatever"])
        port = by_name.getsockname()[1]
        assert "listener submission: inherited socket 3" in daemon.said()
        assert "listener smtps: inherited socket 4" in daemon.said()
        clients = [daemon.connect(port) for _ in range(10)]
        for _, f in clients:
            assert f.readline().startswith(b"220 ")
        with pytest.raises(ConnectionRefusedError):
            daemon.connect(daemon.port)  # what the socket unit says is what counts
        assert ssl.get_server_certificate(("127.0.0.1", daemon.tls_port))
        assert daemon.stop() == 0
        # The sockets are still the manager's: who comes now waits for the next start.
        late = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        start_with(daemon, [by_name, by_address], ["submission", "smtps"])
        assert late.makefile("rb").readline().startswith(b"220 ")
        assert daemon.stop() == 0


def test_inherited_socket_of_nobody(daemon):
    with listening() as s:
        start_with(daemon, [s], ["mystery"], wait=False)
        assert daemon.ended() == 69
        assert "no [listener mystery]" in daemon.said()


def test_tells_systemd(daemon, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        heard = []

        def hear(word):
            while word not in heard:
                heard.extend(manager.recv(4096).decode().splitlines())
            heard.clear()

        daemon.start(env=dict(os.environ, NOTIFY_SOCKET=str(tmp_path / "notify")))
        hear("READY=1")
        daemon.signal(signal.SIGHUP)
        hear("RELOADING=1")
        hear("READY=1")
        daemon.signal(signal.SIGTERM)
        hear("STOPPING=1")
        assert daemon.ended() == 0
