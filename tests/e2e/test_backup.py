# SPDX-License-Identifier: Apache-2.0
"""Backup while all runs on, restore elsewhere, an export that can be a move: the old password logs in there."""

import os
import re
import smtplib
import ssl
import subprocess
import threading

import pytest

import test_process
from test_check import older
from test_process import BUILD, Daemon, free_port, until

PASSPHRASE = "five words that nobody says"
PASSWORD = "correct horse"  # of tests/data/directory_8.sql


@pytest.fixture
def daemon(tmp_path):
    (tmp_path / "one").mkdir(mode=0o700)
    d = Daemon(tmp_path / "one")
    older(d)
    assert d.run("--migrate").returncode == 0
    d.passphrase = tmp_path / "passphrase"
    d.passphrase.touch(mode=0o600)
    d.passphrase.write_text(PASSPHRASE + "\n")
    yield d
    d.close()


def byway(d, *words, config=None, status=0, **environment):
    env = {**{k: v for k, v in os.environ.items() if k != "BYWAY_PASSPHRASE"}, **environment}
    done = subprocess.run([BUILD / "byway", "-c", config or d.config, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, check=False, env=env)
    assert done.returncode == status, done
    return done


def logs_in(d):
    with smtplib.SMTP("127.0.0.1", d.port, timeout=test_process.PATIENCE) as client:
        client.starttls(context=ssl._create_unverified_context())
        client.login("alice@acme.example", PASSWORD)


def another(d, folder):
    """A daemon on what was restored to FOLDER."""
    d.port, d.tls_port = free_port(), free_port()
    d.folder, d.config, d.log, d.socket = folder, folder / "byway.ini", folder / "log", folder / "control.sock"
    text = d.config.read_text()
    text = re.sub(r"(\[listener submission\]\naddress = ).*", rf"\g<1>127.0.0.1:{d.port}", text)
    text = re.sub(r"(\[listener smtps\]\naddress = ).*", rf"\g<1>127.0.0.1:{d.tls_port}", text)
    d.config.write_text(re.sub(r"control_socket = .*", f"control_socket = {d.socket}", text))
    return d


def test_backup_while_it_runs_and_restore_elsewhere(daemon, tmp_path):
    """Others write all the time; what is restored is of one moment, opens what is sealed, and knows the old password."""
    conf_d = daemon.folder / "conf.d"
    conf_d.mkdir()
    (conf_d / "more.ini").write_text("[timeouts]\ncommand = 299s\n")
    daemon.start()
    over = threading.Event()

    def write():
        n = 0
        while not over.is_set():
            byway(daemon, "account", "add", f"more{n}", "--plan", "pro")
            byway(daemon, "domain", "add", f"more{n}.example", "--account", f"more{n}")
            n += 1
    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: "more2" in byway(daemon, "account", "list").stdout, what="a writer")
        told = byway(daemon, "backup", tmp_path / "backup", "--passphrase-file", daemon.passphrase)
    finally:
        over.set()
        writer.join()
    assert "with the key ring" in told.stdout and not told.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["backup", "one", "passphrase"]
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    octets = (tmp_path / "backup").read_bytes()
    for key in re.findall(r"\b[0-9a-f]{64}\b", (daemon.folder / "vault.key").read_text()):
        assert key.encode() not in octets
    logs_in(daemon)
    assert daemon.stop() == 0

    told = byway(daemon, "restore", tmp_path / "backup", "--to", tmp_path / "two", BYWAY_PASSPHRASE=PASSPHRASE)
    assert "certificate one" in told.stdout
    modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "two").iterdir()}
    assert modes == {"byway.ini": 0o640, "conf.d": 0o750, "directory.db": 0o640, "vault.key": 0o600}
    assert "command = 299s" in (tmp_path / "two/conf.d/more.ini").read_text()
    assert f"path = {tmp_path}/two/directory.db" in (tmp_path / "two/byway.ini").read_text()
    two = another(daemon, tmp_path / "two")
    assert "opens all 1 sealed" in byway(two, "check").stdout
    names = byway(two, "account", "list").stdout
    assert "acme" in names and "more2" in names
    two.start()
    logs_in(two)


def test_a_backup_without_the_ring_says_so(daemon, tmp_path):
    told = byway(daemon, "backup", tmp_path / "backup")
    assert "the key ring is not in it" in told.stderr
    byway(daemon, "backup", tmp_path / "backup", "--without-ring", BYWAY_PASSPHRASE=PASSPHRASE)  # in the place of the other
    told = byway(daemon, "restore", tmp_path / "backup", "--to", tmp_path / "two")
    assert "without the key ring" in told.stderr
    assert not (tmp_path / "two/vault.key").exists()


def test_what_cannot_be_restored(daemon, tmp_path):
    backup, two = tmp_path / "backup", tmp_path / "two"
    byway(daemon, "backup", backup, BYWAY_PASSPHRASE=PASSPHRASE)
    refused = byway(daemon, "restore", backup, "--to", two, status=77, BYWAY_PASSPHRASE="five other words")
    assert "does not open the key ring" in refused.stderr and not two.exists()
    assert "--passphrase-file" in byway(daemon, "restore", backup, "--to", two, status=64).stderr
    assert "is not empty" in byway(daemon, "restore", backup, "--to", daemon.folder, "--without-ring", status=73).stderr
    assert "not a backup" in byway(daemon, "restore", daemon.folder / "directory.db", "--to", two, status=65).stderr
    assert "No such file" in byway(daemon, "restore", tmp_path / "nothing", "--to", two, status=65).stderr
    assert not two.exists()
    # A backup is none of the daemon's directories.
    daemon.sections["directory"]["path"] = backup
    daemon.write()
    assert "not a directory of Byway" in daemon.run("-t").stdout
    # One that was cut on its way.
    octets = backup.read_bytes()
    backup.write_bytes(octets[:len(octets) // 2])
    byway(daemon, "restore", backup, "--to", two, "--without-ring", status=65)


def test_a_passphrase_in_an_open_file_is_refused(daemon, tmp_path):
    daemon.passphrase.chmod(0o644)
    refused = byway(daemon, "backup", tmp_path / "backup", "--passphrase-file", daemon.passphrase, status=66)
    assert str(daemon.passphrase) in refused.stderr and PASSPHRASE not in refused.stderr
    assert not (tmp_path / "backup").exists()


def test_an_export_with_hashes_is_a_move(daemon, tmp_path):
    """Applied to an empty directory, the old password logs in."""
    out = tmp_path / "directory.ini"
    byway(daemon, "mailbox", "add", "nobody@acme.example", "--generate")
    assert "needs a FILE" in byway(daemon, "export", "--hashes", status=64).stderr
    byway(daemon, "export", out)
    assert "password_hash" not in out.read_text() and out.stat().st_mode & 0o777 == 0o640
    byway(daemon, "export", "--hashes", out)
    assert out.stat().st_mode & 0o777 == 0o600 and out.read_text().count("\npassword_hash = $") == 2
    (daemon.folder / "directory.db").unlink()
    daemon.secret("directory.db", "")
    assert daemon.run("--migrate").returncode == 0
    assert "needs password_file" in byway(daemon, "apply", out, "--yes", status=65).stderr
    told = byway(daemon, "apply", out, "--yes", "--passwords-later")
    assert "acme/own has no password yet" in told.stderr
    again = tmp_path / "again.ini"
    byway(daemon, "export", "--hashes", again)
    hashes = re.compile(r"^\[.*\]|^password_hash = .*", re.M)
    assert hashes.findall(again.read_text()) == hashes.findall(out.read_text())
    daemon.start()
    logs_in(daemon)
