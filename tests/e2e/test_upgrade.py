# SPDX-License-Identifier: Apache-2.0
"""Upgrade and back, with a release of before: built from the history, it serves under load, is upgraded, goes back, and moves elsewhere."""

import fcntl
import os
import re
import signal
import smtplib
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import test_process
from test_backup import another, byway
from test_check import copies, sql, version
from test_process import BUILD, Daemon, listening, start_with, until

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import stage  # noqa: E402

ROOT = test_process.ROOT
# The last commit before the directory said which versions can work with it.
RELEASE = "64e53bc4f2b38c75e7cf6b7819703af2b132d473"
PASSWORD = "five words that alice knows"
PASSPHRASE = "five words that nobody says"
USERS = ("alice@acme.example", "alice@own.example")
STOPS, WORKERS = 3, 2  # of daemons under load: each worker may send a client away once


def git(*words, **more):
    return subprocess.run(["git", "-C", ROOT, *words], check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more)


@pytest.fixture(scope="module")
def release():
    """Its programs; built once."""
    if git("cat-file", "-e", f"{RELEASE}^{{commit}}").returncode:
        pytest.skip(f"the history is not here: no {RELEASE[:12]}")
    tree = ROOT / "build/upgrade" / RELEASE[:12]
    tree.mkdir(parents=True, exist_ok=True)
    with (tree.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (tree / "built").exists():
            subprocess.run(["tar", "-x", "-C", tree], input=git("archive", RELEASE).stdout, check=True)
            if (ROOT / ".deps").exists() and not (tree / ".deps").exists():
                (tree / ".deps").symlink_to(ROOT / ".deps")
            env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
            done = subprocess.run(["make", "-j2", "FLAVOUR=release", "all"], cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, check=False)
            assert done.returncode == 0, done.stdout[-3000:]
            (tree / "built").touch()
    return tree / "build/release"


def secure():
    return ssl._create_unverified_context()  # noqa: S323 (its own certificate)


def was_sent_away(e):
    """421, at whatever command it came; or the connection ended before it could be read."""
    codes = {code for code, _ in getattr(e, "recipients", {}).values()} | {getattr(e, "smtp_code", 421)}
    return codes == {421} and isinstance(e, (smtplib.SMTPServerDisconnected, smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException,
                                             ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError))


class Load:
    """Clients that log in and send without a pause: what was acknowledged, how often one was sent away by a daemon that ended, what else went wrong."""

    def __init__(self, port, users):
        self.port, self.over, self.lock = port, threading.Event(), threading.Lock()
        self.taken, self.sent_away, self.failed, self.n = [], 0, [], 0
        self.threads = [threading.Thread(target=self.run, args=(user,)) for user in users]

    def send(self, user):
        with self.lock:
            self.n += 1
            name = f"load-{self.n}"
        try:
            with smtplib.SMTP_SSL("127.0.0.1", self.port, timeout=test_process.PATIENCE, context=secure()) as client:
                client.login(user, PASSWORD)
                for k in range(3):
                    client.sendmail(user, ["bob@there.example"], f"From: {user}\r\nSubject: {name}-{k}\r\n\r\nHello.\r\n")
                    with self.lock:
                        self.taken.append(f"{name}-{k}")
        except (smtplib.SMTPException, OSError) as e:
            # Between two commands a daemon that ends says 421 and closes; the client comes again.
            with self.lock:
                if was_sent_away(e):
                    self.sent_away += 1
                else:
                    self.failed.append((name, e))

    def run(self, user):
        while not self.over.is_set():
            self.send(user)

    def more(self, n=12):
        """Waits until N more were taken."""
        want = len(self.taken) + n
        until(lambda: len(self.taken) >= want or self.failed, what=f"{n} messages more")
        assert not self.failed, self.failed

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()


def installed(d, old, up, pair):
    """By the release's own tool; one mailbox goes by the operator's server, one by a provider with a sealed password."""
    d.sections["mta one"] = {"host": "localhost", "port": up.port, "tls": "starttls", "username": "relay", "password": "sesame", "ca_file": pair[0]}
    d.sections["upstream"] = {"allow_networks": "127.0.0.0/8"}
    d.write()
    d.config.chmod(0o600)

    def tool(*words, stdin=None):
        subprocess.run([old / "byway", "-c", d.config, *map(str, words)], input=stdin, text=True, check=True, stdout=subprocess.DEVNULL)
    tool("account", "add", "acme", "--plan", "agency", "--owner-verified", "yes")
    for name in ("acme.example", "own.example"):
        tool("domain", "add", name, "--account", "acme")
    tool("profile", "add", "acme/own", "--host", "localhost", "--port", up.port, "--tls", "starttls", "--username", "acme", "--password-stdin", "--ca",
         pair[0], stdin="open\n")
    tool("route", "set", "own.example", "own")
    for name in USERS:
        tool("mailbox", "add", name, "--password-stdin", stdin=PASSWORD + "\n")


def runs(d, program, sockets):
    """PROGRAM takes over the sockets, which the manager of the machine has kept."""
    test_process.BYWAYD, was = program / "bywayd", test_process.BYWAYD
    try:
        start_with(d, sockets, ["submission", "smtps"])
    finally:
        test_process.BYWAYD = was
    assert Path(f"/proc/{d.process.pid}/exe").resolve() == (program / "bywayd").resolve()


def test_upgrade_under_load_and_back(release, tmp_path, pair):
    """Nobody is refused, nothing is lost or sent twice; the release goes on with what this version has migrated; the old password logs in elsewhere."""
    home = tmp_path / "one"
    home.mkdir(mode=0o700)
    d = Daemon(home)
    with stage.Upstream(users={"relay": "sesame", "acme": "open"}, tls="starttls", pair=pair) as up, listening() as plain, listening(d.tls_port) as tls:
        try:
            installed(d, release, up, pair)
            runs(d, release, [plain, tls])
            with Load(d.tls_port, USERS * 2) as load:
                load.more()
                upgrade(d, release, load, [plain, tls])
                back_and_forth(d, release, load, [plain, tls])
                told = byway(d, "backup", tmp_path / "backup", BYWAY_PASSPHRASE=PASSPHRASE)
                assert "with the key ring" in told.stdout
                load.more()
            assert not load.failed and load.sent_away <= STOPS * WORKERS * len(load.threads), (load.failed, load.sent_away)
            assert d.stop() == 0
            sent = sorted(re.search(rb"Subject: (\S+)", m["content"])[1].decode() for m in up.take())
            assert sent == sorted(load.taken)
            assert {login for login, good in up.logins if good} == {"relay", "acme"}
            elsewhere(d, tmp_path, up)
        finally:
            d.close()


def upgrade(d, release, load, sockets):
    """The new program's step runs while the old daemon serves."""
    before = version(d)
    done = d.run("--migrate")
    assert done.returncode == 0 and len(copies(d)) == 1, done.stdout
    assert version(d) == before == version(d, copies(d)[0]) and d.run("--migrate").stdout == ""
    load.more()
    assert d.stop() == 0
    runs(d, BUILD, sockets)
    load.more()


def back_and_forth(d, release, load, sockets):
    """Without the copy: what was added is nothing that the release has to know."""
    byway(d, "account", "add", "later", "--plan", "pro")
    assert d.stop() == 0
    runs(d, release, sockets)
    load.more()
    listed = subprocess.run([release / "byway", "-c", d.config, "account", "list"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "later" in listed
    assert d.stop() == 0
    runs(d, BUILD, sockets)
    load.more()
    assert len(copies(d)) == 1


def elsewhere(d, tmp_path, up):
    """What was backed up under load serves at another place, with the old passwords of mailbox and provider."""
    byway(d, "restore", tmp_path / "backup", "--to", tmp_path / "two", BYWAY_PASSPHRASE=PASSPHRASE)
    two = another(d, tmp_path / "two").start()
    load = Load(two.tls_port, ())
    for user in USERS:
        load.send(user)
    assert not load.failed and len(load.taken) == 6 and len(up.take()) == 6
    assert two.stop() == 0


def test_a_migration_under_the_release(release, tmp_path, pair):
    """A worker of the old daemon that dies is replaced on what this version has migrated, and the new one knows the mailboxes."""
    d = Daemon(tmp_path)
    with stage.Upstream(users={"relay": "sesame", "acme": "open"}, tls="starttls", pair=pair) as up, listening() as plain, listening(d.tls_port) as tls:
        try:
            installed(d, release, up, pair)
            runs(d, release, [plain, tls])
            assert d.run("--migrate").returncode == 0
            before = [w["pid"] for w in d.workers()]
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            until(lambda: not set(before) & {w["pid"] for w in d.workers()} and all(w["state"] == "up" for w in d.workers()), what="new workers")
            load = Load(d.tls_port, ())
            load.send(USERS[1])
            assert len(load.taken) == 3, load.failed
            assert d.stop() == 0
        finally:
            d.close()


def test_the_copy_brings_a_directory_back(release, tmp_path, pair):
    """Where a version does more than add, the copy goes back in its place: the release does not start on the other, and does on it."""
    d = Daemon(tmp_path)
    with stage.Upstream(users={"relay": "sesame", "acme": "open"}, tls="starttls", pair=pair) as up:
        installed(d, release, up, pair)
        assert d.run("--migrate").returncode == 0
        sql(d, "PRAGMA user_version = 99; UPDATE meta SET version = 99, last_compatible = 99")
        for program in (release, BUILD):
            refused = subprocess.run([program / "bywayd", "-t", "-c", d.config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            assert refused.returncode != 0 and "newer Byway" in refused.stdout, refused
        os.replace(d.folder / copies(d)[0], d.folder / "directory.db")
        listed = subprocess.run([release / "byway", "-c", d.config, "mailbox", "list"], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert all(user in listed for user in USERS)
