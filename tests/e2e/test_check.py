# SPDX-License-Identifier: Apache-2.0
"""Check and start never disagree: an installation is changed in many ways; what `bywayd -t` lets pass comes up, what it refuses ends at once with a sentence."""

import json
import os
import re
import shutil
import signal
import smtplib
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import test_process

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import scripted  # noqa: E402
from test_process import BUILD, Daemon, until

DATA = test_process.ROOT / "tests/data"
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


def older(d):
    """As the first release made it, with rows."""
    script = (DATA / "directory_8.sql").read_text()
    (d.folder / "directory.db").unlink()
    sql(d, script)
    (d.folder / "directory.db").chmod(0o640)
    d.secret("vault.key", re.search(r"^-- (k\S+ [0-9a-f]{64})$", script, re.M).group(1) + "\n")


def half_older(d):
    """A step of the migration cannot be made."""
    older(d)
    sql(d, "CREATE TABLE meta (x)")


def another_ring(d):
    """The keys of what is sealed have gone."""
    older(d)
    d.secret("vault.key", "k2 " + "1e" * 32 + "\n")


def only_add(d):
    sql(d, "ALTER TABLE plan ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'; PRAGMA user_version = 999; UPDATE meta SET version = 999")


def only_added(d):
    """A later version's, which says that this one can work with it."""
    made(d)
    only_add(d)


def before_meta(d):
    """As the release before left it: nothing says which programs can work with it."""
    made(d)
    sql(d, "DROP TABLE meta")


def plain(d):
    """Restored from a dump, say."""
    made(d)
    sql(d, "PRAGMA journal_mode = DELETE")


def taken(d):
    d.holder = socket.create_server(("127.0.0.1", d.port))


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
    "an older schema": older, "an older schema that cannot be brought on": half_older, "keys that open nothing": another_ring,
    "a newer schema that only adds": only_added, "what the release before made": before_meta, "no write-ahead log": plain,
    "a folder": lambda d: (d.folder / "directory.db").unlink() or (d.folder / "directory.db").mkdir(),
    "a folder that all may write": lambda d: d.folder.chmod(0o777),
}


# All others do not.
STARTS = {
    "nothing", "a made database", "an empty database", "one worker", "no control socket", "a group may read the database", "a certificate for another name",
    "no certificate of a name", "a comment", "no name", "an older schema", "keys that open nothing", "a newer schema that only adds",
    "what the release before made", "no write-ahead log", "root's configuration, for all to read", "a file in conf.d", "root's chain, for all to read",
    "another group that is there",
}
# What the check sees only by trying it would change the file.
ONLY_AT_START = {"an older schema that cannot be brought on"}


@pytest.fixture
def daemon(tmp_path):
    d = Daemon(tmp_path)
    d.holder = None
    yield d
    if d.holder:
        d.holder.close()
    d.folder.chmod(0o700)
    d.close()


def served(d):
    with socket.create_connection(("127.0.0.1", d.port), timeout=test_process.PATIENCE) as s:
        return s.recv(4) == b"220 "


@pytest.mark.parametrize("change", CHANGES, ids=lambda name: name.replace(" ", "-"))
def test_check_and_start_agree(daemon, change):
    CHANGES[change](daemon)
    daemon.write()
    agree(daemon, change)


def agree(daemon, change):
    checked = daemon.run("-t")
    tool = subprocess.run([BUILD / "byway", "-c", daemon.config, "config", "check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    daemon.start(wait=False)
    until(lambda: daemon.process.poll() is not None or "is up with" in daemon.said(), what="a start, or its end")
    status = daemon.process.poll()
    assert (status is None) == (change in STARTS), (status, daemon.said())
    if change in ONLY_AT_START:
        assert checked.returncode == 0 and status == 78, (checked.stdout, status, daemon.said())
        return
    assert (checked.returncode == 0) == (status is None), (checked.stdout, status, daemon.said())
    assert (tool.returncode == 0) == (status is None), (tool.stdout, status, daemon.said())
    if status is None:
        assert served(daemon)
    else:
        assert checked.returncode == 78 and len(checked.stdout) > 20, checked.stdout
        assert status == 78 and "bywayd: " in daemon.said(), (status, daemon.said())


OTHERS = "nobody"


def theirs(d, *names):
    for name in names:
        shutil.chown(d.folder / name, OTHERS)


def only_roots(name, value=0o600):
    def change(d):
        shutil.chown(d.folder / name, "root", "root")
        (d.folder / name).chmod(value)
    return change


def more(d, value, mode_of_folder=0o755):
    """A conf.d/ with a file of mode VALUE."""
    folder = d.folder / "conf.d"
    folder.mkdir(mode=mode_of_folder)
    (folder / "more.ini").write_text("[timeouts]\ncommand = 299s\n")
    (folder / "more.ini").chmod(value)


def roots_log_beside(d):
    """Made by a root's daemon of before."""
    made(d)
    for name in ("directory.db-wal", "directory.db-shm"):
        d.secret(name, "")
        only_roots(name)(d)


def elsewhere(section, key, name, value):
    """KEY names a file in a folder of root's with mode VALUE."""
    def change(d):
        folder = d.folder / "closed"
        folder.mkdir()
        shutil.chown(folder, "root", "root")
        folder.chmod(value)
        d.sections.setdefault(section, {})[key] = folder / name
    return change


USERS_CHANGES = {
    "nothing": lambda d: None, "a made database": made, "root's configuration, for all to read": only_roots("byway.ini", 0o644),
    "root's configuration": only_roots("byway.ini"), "a file in conf.d": lambda d: more(d, 0o644), "root's file in conf.d": lambda d: more(d, 0o600),
    "a conf.d of root's": lambda d: more(d, 0o644, 0o700), "root's key ring": only_roots("vault.key"), "root's key": only_roots("key.pem"),
    "root's chain": only_roots("cert.pem"), "root's chain, for all to read": only_roots("cert.pem", 0o644), "root's database": only_roots("directory.db"),
    "a database that they may read": only_roots("directory.db", 0o640), "a folder that they may not write": lambda d: only_roots(".", 0o755)(d),
    "a folder that they may not enter": lambda d: only_roots(".", 0o700)(d), "root's files of a log beside the database": roots_log_beside,
    "a control socket in a closed folder": elsewhere("server", "control_socket", "control.sock", 0o700),
    "a control socket in root's folder": elsewhere("server", "control_socket", "control.sock", 0o755),
    "a log in a closed folder": elsewhere("log", "path", "byway.log", 0o700), "a log in root's folder": elsewhere("log", "path", "byway.log", 0o755),
    "a directory in a closed folder": elsewhere("directory", "path", "directory.db", 0o700),
    "a password of root's": lambda d: (d.secret("secret", "sesame\n"), only_roots("secret")(d),
                                       d.sections.update({"mta one": {"host": "localhost", "username": "x", "password_file": d.folder / "secret"}})),
    "another group that is there": option("server", "group", "root"),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another")
@pytest.mark.parametrize("change", USERS_CHANGES, ids=lambda name: name.replace(" ", "-"))
def test_check_and_start_agree_on_rights(change):
    """Root starts it, and it becomes another: what that one may not do counts. Not in pytest's folder: every run closes that to others."""
    with tempfile.TemporaryDirectory(prefix="byway-check-") as folder:
        d = Daemon(folder)
        d.folder.chmod(0o755)
        d.sections["server"]["user"] = OTHERS
        theirs(d, ".", "vault.key", "key.pem", "cert.pem", "directory.db", "byway.ini")
        d.write()
        d.holder = None
        try:
            USERS_CHANGES[change](d)
            d.write()
            agree(d, change)
        finally:
            d.close()


def test_a_port_that_is_taken(daemon):
    """It may become free: a start ends with another status, and systemd tries again."""
    taken(daemon)
    checked = daemon.run("-t")
    assert checked.returncode == 78 and f"cannot listen on 127.0.0.1:{daemon.port}: already in use" in checked.stdout
    assert f"{daemon.config}:" in checked.stdout and "[listener submission] address" in checked.stdout
    assert daemon.run().returncode == 69


def test_a_daemon_that_runs_has_its_ports(daemon):
    daemon.start()
    assert daemon.run("-t").returncode == 0
    answer = subprocess.run([BUILD / "byway", "-c", daemon.config, "check"], capture_output=True, text=True, check=True)
    assert "bywayd runs and has them" in answer.stdout


def test_warnings_let_start(daemon):
    daemon.certificate("other.example")
    older(daemon)
    assert daemon.run("--migrate").returncode == 0
    daemon.secret("vault.key", "k2 " + "1e" * 32 + "\n")
    answer = subprocess.run([BUILD / "byway", "-c", daemon.config, "--json", "check"], capture_output=True, text=True, check=True)
    told = json.loads(answer.stdout)
    warned = {f["topic"]: f["words"] for f in told["findings"] if f["grade"] == "warning"}
    assert told["ok"] and told["crosses"] == 0 and told["warnings"] == len(warned)
    assert "no certificate is for mail.example.org" in warned["certificates"]
    assert "does not open 1 of 1" in warned["key ring"] and "2 accounts" in warned["native pool"]
    assert warned["key ring"].startswith(f"{daemon.config}:")


def journal(d):
    with sqlite3.connect(d.folder / "directory.db") as db:
        return db.execute("PRAGMA journal_mode").fetchone()[0]


def test_a_directory_without_its_write_ahead_log(daemon):
    """The check says so and changes nothing; a start mends it, and says that."""
    plain(daemon)
    checked = daemon.run("-t")
    assert checked.returncode == 0 and "[directory] path" in checked.stdout and "no write-ahead log" in checked.stdout
    assert journal(daemon) == "delete"
    daemon.start()
    assert journal(daemon) == "wal" and "had no write-ahead log, and has one now" in daemon.said() and copies(daemon) == []


def test_what_will_not_work_is_said_by_start_and_reload(daemon):
    """Once by a start, and again by each reload, to the log and to who asked."""
    daemon.certificate("other.example")
    daemon.start()
    assert daemon.said().count("no certificate is for mail.example.org") == 1
    told = daemon.ask("reload")
    assert told["ok"] and any("no certificate is for mail.example.org" in w for w in told["warnings"]), told
    assert daemon.said().count("no certificate is for mail.example.org") == 2


def topics():
    """Of the one table, in its order."""
    return re.findall(r'^INSPECT_TOPIC\(\w+, "([^"]+)"', (test_process.ROOT / "conf/check/topic.def").read_text(), re.M)


def test_online(daemon):
    """A host that is not there, counters that nobody keeps, an MTA that says nothing: warnings, and what answers is well."""
    made(daemon)
    with socket.create_server(("127.0.0.1", 0)) as mute, scripted.Scripted(None, tls=None, users={}) as mta:
        closed = test_process.free_port()
        daemon.sections["counters"] = {"servers": f"127.0.0.1:{closed}"}
        daemon.sections["mta good"] = {"host": "127.0.0.1", "port": mta.port, "tls": "none"}
        daemon.sections["mta mute"] = {"host": "127.0.0.1", "port": mute.getsockname()[1], "tls": "none"}
        daemon.sections["mta nowhere"] = {"host": "nowhere.invalid", "tls": "none"}
        daemon.write()
        answer = subprocess.run([BUILD / "byway", "-c", daemon.config, "--json", "check", "--online"], capture_output=True, text=True, check=True)
    words = {}
    findings = json.loads(answer.stdout)["findings"]
    assert list(dict.fromkeys(f["topic"] for f in findings)) == [t for t in topics() if t not in ("schema", "system")]
    for f in findings:
        words.setdefault((f["grade"], f["topic"]), []).append(f["words"])
    assert any("good" in w and "answers" in w for w in words["good", "native pool"])
    assert any("[mta mute] host" in w and "does not answer" in w for w in words["warning", "native pool"])
    assert any("[mta nowhere] host" in w and "gives no address" in w for w in words["warning", "native pool"])
    assert any(f"127.0.0.1:{closed}: cannot be reached" in w for w in words["warning", "counters"])


def copies(d):
    return sorted(p.name for p in d.folder.glob("directory.db.schema*"))


def version(d, name="directory.db"):
    with sqlite3.connect(d.folder / name) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def test_migrate_is_a_step(daemon):
    """Nobody who only looks or changes a row migrates; the step does, behind a copy, and does nothing the second time."""
    older(daemon)
    for words in (["account", "list"], ["account", "add", "more", "--plan", "pro"], ["export"]):
        answer = subprocess.run([BUILD / "byway", "-c", daemon.config, *words], capture_output=True, text=True, check=False)
        assert answer.returncode != 0 and "bywayd --migrate" in answer.stderr, answer
    assert daemon.run("-t").returncode == 0
    assert (version(daemon), copies(daemon)) == (8, [])
    done = daemon.run("--migrate")
    assert done.returncode == 0 and "brought from schema 8" in done.stdout and version(daemon) > 8
    assert len(copies(daemon)) == 1 and version(daemon, copies(daemon)[0]) == 8
    assert (daemon.folder / copies(daemon)[0]).stat().st_mode & 0o777 == 0o640
    again = daemon.run("--migrate")
    assert again.returncode == 0 and "brought" not in again.stdout and len(copies(daemon)) == 1


def test_a_start_migrates_with_a_copy(daemon):
    """Upgrade: the old password logs in, what was sealed is sealed anew."""
    older(daemon)
    daemon.start()
    assert "brought from schema 8" in daemon.said() and len(copies(daemon)) == 1
    with smtplib.SMTP("127.0.0.1", daemon.port, timeout=test_process.PATIENCE) as client:
        client.starttls(context=ssl._create_unverified_context())  # noqa: S323 (its own certificate)
        client.login("alice@acme.example", "correct horse")
    assert "1 credentials of an earlier version are sealed anew" in daemon.said()


def test_a_migration_that_waits_too_long(daemon):
    older(daemon)
    hold = sqlite3.connect(daemon.folder / "directory.db", isolation_level=None)
    hold.execute("BEGIN IMMEDIATE")
    try:
        assert daemon.run("--migrate").returncode == 75
    finally:
        hold.close()
    assert daemon.run("--migrate").returncode == 0


def test_a_later_schema_under_a_running_daemon(daemon):
    """A later version has added to the directory: a worker that is killed is replaced all the same."""
    daemon.start()
    only_add(daemon)
    victim = daemon.workers()[0]["pid"]
    os.kill(victim, signal.SIGKILL)
    until(lambda: victim not in [w["pid"] for w in daemon.workers()] and all(w["state"] == "up" for w in daemon.workers()), what="a new worker")
    assert served(daemon)
    assert daemon.run("-t").returncode == 0


def test_the_directory_changes_only_when_somebody_changes_it(daemon):
    """What is counted, and kept over a restart, stands in state.db."""
    daemon.sections["counters"] = {"checkpoint": "1s"}
    daemon.write()
    daemon.start()
    state = daemon.folder / "state.db"
    until(state.exists, what="a checkpoint")
    path = daemon.folder / "directory.db"
    before = path.stat().st_mtime_ns, path.read_bytes()
    daemon.stop()
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_nothing_is_migrated_by_a_check(daemon):
    before = (daemon.folder / "directory.db").read_bytes()
    assert daemon.run("-t").returncode == 0
    assert (daemon.folder / "directory.db").read_bytes() == before == b""


def test_workers_that_never_served_end_the_daemon(daemon):
    """What the check cannot know: no descriptors are left for workers. The ports are closed, and the status says so."""
    for most in range(8, 40):  # enough for the master alone
        daemon.log.write_text("")
        daemon.start(wait=False, command=["prlimit", f"--nofile={most}"])
        until(lambda: daemon.process.poll() is not None or "is up" in daemon.said() or "cannot be started" in daemon.said(), what="a start, or its end")
        if "cannot be started" in daemon.said() or daemon.process.poll() is None:
            break
    status = daemon.process.wait(timeout=test_process.PATIENCE)
    assert status == 69, (most, status, daemon.said())
    assert "no worker could start" in daemon.said()
    with pytest.raises(ConnectionRefusedError):
        daemon.connect()
