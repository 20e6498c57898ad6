# SPDX-License-Identifier: Apache-2.0
"""Who is in the daemon's group operates it without root: tool, directory and control socket; keys stay the daemon's."""

import grp
import os
import pwd
import signal
import smtplib
import ssl
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

import test_console
import test_process
from test_console import BYWAY, stage
from test_process import BYWAYD, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become others")

DAEMON = "nobody"
OPERATOR, STRANGER = 48211, 48212  # of no name; what counts is the group


@pytest.fixture
def place():
    """Installed by root for the daemon's user, with the state apart, as a package has it. Not in pytest's folder: every run closes that to others."""
    with tempfile.TemporaryDirectory(prefix="byway-operators-") as folder:
        yield installed(Path(folder))


def installed(folder):
    folder.chmod(0o755)
    p = test_console.Place(folder / "etc")
    p.state = folder / "lib"
    p.run_folder = folder / "run"
    p.run_folder.mkdir()
    os.chown(p.run_folder, pwd.getpwnam(DAEMON).pw_uid, gid())
    p.run_folder.chmod(0o750)
    p.port = stage.free_port()
    p.ok("init", "--dir", p.dir, "--state", p.state, "--user", DAEMON, "--name", "relay.example.net", "--listen", f"127.0.0.1:{p.port}",
         "--control", p.run_folder / "control.sock")
    return p


def gid():
    return pwd.getpwnam(DAEMON).pw_gid


def group():
    return grp.getgrgid(gid()).gr_name


def run(place, uid, *words, status=0, **more):
    groups = ["--groups", str(gid())] if uid == OPERATOR else ["--clear-groups"]
    done = subprocess.run(["setpriv", "--reuid", str(uid), "--regid", str(uid), *groups, BYWAY, "-c", place.config, *map(str, words)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, cwd="/", **more)
    if "Permission denied" in done.stderr and "setpriv" in done.stderr:
        pytest.skip("others cannot get at the program")
    assert done.returncode == status, done
    return done


@pytest.fixture
def daemon(place):
    started = []

    def start():
        log = (place.dir.parent / "log").open("ab")
        p = subprocess.Popen([BYWAYD, "-c", place.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        started.append(p)
        said = place.dir.parent / "log"
        until(lambda: p.poll() is not None or "is up with" in said.read_text(), what="the start")
        assert p.poll() is None, said.read_text()
        return p
    yield start
    for p in started:
        p.send_signal(signal.SIGTERM)
        p.wait(timeout=3 * test_process.PATIENCE)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_an_operator_needs_no_root(place, daemon):
    """The walk of README, by a member of the group, before the daemon ever ran and while it runs."""
    assert mode(place.state) == 0o2770 and mode(place.state / "directory.db") == 0o660
    run(place, OPERATOR, "account", "add", "acme", "--plan", "starter", "--owner-verified", "yes")
    run(place, OPERATOR, "domain", "add", "acme.example", "--account", "acme")
    made = run(place, OPERATOR, "mailbox", "add", "alice@acme.example", "--generate").stdout
    password = made.split("password: ")[1].split()[0]
    daemon()
    assert mode(place.run_folder / "control.sock") == 0o660
    with smtplib.SMTP("127.0.0.1", place.port, timeout=test_process.PATIENCE) as client:
        client.starttls(context=ssl._create_unverified_context())
        client.login("alice@acme.example", password)
    assert '"state": "up"' in run(place, OPERATOR, "--json", "status").stdout.replace('":"', '": "')
    run(place, OPERATOR, "reload")
    assert "No outgoing server" in run(place, OPERATOR, "explain", "alice@acme.example", status=69).stdout
    run(place, OPERATOR, "suspend", "acme", "--reason", "billing")
    assert "acme.example" in run(place, OPERATOR, "export").stdout
    run(place, OPERATOR, "config", "print")
    # What the daemon and root write stays open to the group.
    place.ok("account", "add", "by-root", "--plan", "starter")
    run(place, OPERATOR, "account", "add", "more", "--plan", "starter")


def test_keys_are_not_theirs(place):
    for name in ("vault.key", "relay.key", "relay-rsa.key"):
        assert mode(place.dir / name) == 0o600 and (place.dir / name).owner() == DAEMON
    assert mode(place.dir) & 0o022 == 0 and (place.dir.owner(), mode(place.config)) == ("root", 0o640)
    run(place, OPERATOR, "account", "add", "acme", "--plan", "starter")
    told = run(place, OPERATOR, "profile", "add", "acme/mg", "--host", "smtp.mg.example", "--username", "u", "--password-stdin", status=77,
               input="secret\n").stderr
    assert "what needs the key ring needs root" in told and "secret" not in told


def test_who_is_not_in_the_group_hears_of_it(place, daemon):
    told = run(place, STRANGER, "account", "list", status=77).stderr
    assert f"members of group {group()} may" in told and f"usermod -aG {group()}" in told
    daemon()
    place.dir.chmod(0o755)
    place.config.chmod(0o644)
    assert f"members of group {group()} may" in run(place, STRANGER, "status", status=69).stderr
    assert f"members of group {group()} may" in run(place, STRANGER, "account", "list", status=77).stderr
