# SPDX-License-Identifier: Apache-2.0
"""Check and start never disagree: an installation is changed in many ways; what `bywayd -t` lets pass comes up, what it refuses ends at once with a sentence."""

import socket
import sqlite3
import subprocess

import pytest

import test_process
from test_process import BUILD, Daemon, until

SQL_NEWER = "PRAGMA user_version = 999"


def made(d):
    """A database as the daemon has made it."""
    d.start()
    d.stop()
    d.log.unlink()


def sql(d, script):
    with sqlite3.connect(d.folder / "directory.db") as db:
        db.executescript(script)
    db.close()


def damage(d):
    """Pages behind the first are overwritten; what SQLite needs in order to open it is whole."""
    made(d)
    path = d.folder / "directory.db"
    sql(d, "PRAGMA journal_mode = DELETE")
    octets = bytearray(path.read_bytes())
    for at in range(4096, len(octets), 4096):
        octets[at:at + 64] = b"\xff" * 64
    path.write_bytes(octets)


def orphan(d):
    made(d)
    sql(d, "PRAGMA foreign_keys = OFF; INSERT INTO account (name, plan) VALUES ('lost', 4711)")


def newer(d):
    made(d)
    sql(d, SQL_NEWER)


def another_program(d):
    with sqlite3.connect(d.folder / "directory.db") as db:
        db.execute("CREATE TABLE songs (name TEXT)")


def other_key(d):
    """A key that is not the certificate's."""
    before = (d.folder / "cert.pem").read_text()
    d.certificate("mail.example.org")
    (d.folder / "cert.pem").write_text(before)


def unset(section, key):
    return lambda d: d.sections[section].pop(key)


def option(section, key, value):
    return lambda d: d.sections.setdefault(section, {}).update({key: value})


def text(name, content, mode=0o600):
    def change(d):
        d.secret(name, content)
        (d.folder / name).chmod(mode)
    return change


def mode(name, value):
    return lambda d: (d.folder / name).chmod(value)


def gone(name):
    return lambda d: (d.folder / name).unlink()


CHANGES = {
    # what is well
    "nothing": lambda d: None, "a made database": made, "an empty database": text("directory.db", ""), "one worker": option("server", "workers", 1),
    "no control socket": lambda d: d.sections["server"].update(control_socket=d.folder / "other.sock"),
    "a group may read the database": mode("directory.db", 0o640), "a certificate for another name": lambda d: d.certificate("other.example"),
    "no certificate of a name": lambda d: d.sections["server"].update(name="relay.example"),
    "a comment": lambda d: d.sections["server"].update({"; workers": "many"}),
    # the configuration
    "an unknown option": option("server", "wokers", 2), "an unknown section": option("sever", "name", "x"),
    "a word for a number": option("server", "workers", "many"), "workers out of bounds": option("server", "workers", 100000),
    "a time without sense": option("timeouts", "command", "soon"), "an unknown TLS mode": option("listener smtps", "tls", "always"),
    "no name": unset("server", "name"), "a name that is none": option("server", "name", "a b"),
    "no address": unset("listener submission", "address"), "an address that is none": option("listener submission", "address", "here:25"),
    "a port that is none": option("listener submission", "address", "127.0.0.1:99999"),
    "the same address twice": lambda d: d.sections["listener smtps"].update(address=d.sections["listener submission"]["address"]),
    "an unknown user": option("server", "user", "nobody-of-that-name"), "an unknown group": option("server", "group", "nobody-of-that-name"),
    "a counter server that is none": option("counters", "servers", "a b:c:d"), "an MTA without host": option("mta one", "port", 25),
    "an unknown word of the log": option("log", "level", "loud"), "a network that is none": option("upstream", "deny_networks", "10.0.0.0/99"),
    "a control socket where there is no folder": option("server", "control_socket", "/nowhere/at/all.sock"),
    "a log where there is no folder": option("log", "path", "/nowhere/at/all.log"),
    # certificates and keys
    "no chain": gone("cert.pem"), "no key": gone("key.pem"), "a key that is none": text("key.pem", "no key\n"),
    "a chain that is none": text("cert.pem", "no chain\n"), "a key open to others": mode("key.pem", 0o644), "another's key": other_key,
    "no key ring": gone("vault.key"), "an empty key ring": text("vault.key", ""), "a key ring open to others": mode("vault.key", 0o640),
    "a key that is too short": text("vault.key", "k1 00ff\n"), "a key id twice": text("vault.key", ("k1 " + "0f" * 32 + "\n") * 2),
    # the database
    "no database": gone("directory.db"), "a database open to all": mode("directory.db", 0o644), "no database at all": text("directory.db", "x" * 8192),
    "another program's": another_program, "a newer schema": newer, "a damaged one": damage, "rows that name nobody": orphan,
    "a folder": lambda d: (d.folder / "directory.db").unlink() or (d.folder / "directory.db").mkdir(),
    "a folder that all may write": lambda d: d.folder.chmod(0o777),
}


@pytest.fixture
def daemon(tmp_path):
    d = Daemon(tmp_path)
    yield d
    d.folder.chmod(0o700)
    d.close()


def served(d):
    with socket.create_connection(("127.0.0.1", d.port), timeout=test_process.PATIENCE) as s:
        return s.recv(4) == b"220 "


@pytest.mark.parametrize("change", CHANGES, ids=lambda name: name.replace(" ", "-"))
def test_check_and_start_agree(daemon, change):
    CHANGES[change](daemon)
    daemon.write()
    checked = daemon.run("-t")
    tool = subprocess.run([BUILD / "byway", "-c", daemon.config, "config", "check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    daemon.start(wait=False)
    until(lambda: daemon.process.poll() is not None or "is up with" in daemon.said(), what="a start, or its end")
    status = daemon.process.poll()
    assert (checked.returncode == 0) == (status is None), (checked.stdout, status, daemon.said())
    if status is None:
        assert served(daemon)
        assert tool.returncode == 0, tool.stdout
    else:
        assert checked.returncode == 78 and len(checked.stdout) > 20, checked.stdout
        assert status in (77, 78) and "bywayd: " in daemon.said(), (status, daemon.said())


def test_nothing_is_migrated_by_a_check(daemon):
    before = (daemon.folder / "directory.db").read_bytes()
    assert daemon.run("-t").returncode == 0
    assert (daemon.folder / "directory.db").read_bytes() == before == b""


def test_workers_that_never_served_end_the_daemon(daemon):
    """What the check cannot know: the database goes bad between the check and the first worker. The ports are closed, and the status says so."""
    hold = sqlite3.connect(daemon.folder / "directory.db", isolation_level=None)
    hold.execute("PRAGMA journal_mode = WAL")
    hold.execute("BEGIN IMMEDIATE")  # an empty file waits for its schema, and nobody gets the lock
    try:
        daemon.start(wait=False)
        status = daemon.process.wait(timeout=6 * test_process.PATIENCE)
    finally:
        hold.close()
    assert status == 69, (status, daemon.said())
    assert "cannot start" in daemon.said() and "no worker could start" in daemon.said()
    with pytest.raises(ConnectionRefusedError):
        daemon.connect()
