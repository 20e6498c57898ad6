# SPDX-License-Identifier: Apache-2.0
"""byway, from outside: every command's good way and its mistakes; no daemon but a small one made of sockets."""

import json
import os
import pty
import re
import select
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import stage  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
BYWAY = str((Path(os.environ.get("BYWAY_BUILD", ROOT / "build/release")) / "byway").resolve())
USAGE, DATA, NOINPUT, MISSING, UNAVAILABLE, EXISTS, NOPERM, CONFIG = 64, 65, 66, 67, 69, 73, 77, 78
SECRET = "s3cret-Pa55word-äö"
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:")


class Answer:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    def __repr__(self):
        return f"status {self.status}\n--- out\n{self.out}\n--- err\n{self.err}"

    @property
    def json(self):
        return json.loads(self.out)


# Who starts bywayd as root has to say whom it shall be.
AS_ROOT = ("--user", "root") if os.geteuid() == 0 else ()


class Place:
    """One installation in a folder of its own."""

    def __init__(self, path):
        self.dir = Path(path)
        self.config = self.dir / "byway.ini"

    def run(self, *words, stdin="", env=None):
        done = subprocess.run([BYWAY, "-c", str(self.config), *map(str, words)], input=stdin.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False,
                              cwd=self.dir.parent, env={**os.environ, **(env or {})})
        answer = Answer(done)
        assert not SANITIZER.search(answer.err), answer
        assert SECRET not in answer.out + answer.err, answer
        return answer

    def ok(self, *words, **more):
        answer = self.run(*words, **more)
        assert answer.status == 0, answer
        return answer

    def json(self, *words, **more):
        return self.ok(*words, "--json", **more).json

    def refused(self, status, *words, says="", **more):
        """The same mistake with and without --json."""
        plain = self.run(*words, **more)
        assert plain.status == status, plain
        assert says in plain.err, plain
        assert "byway: " in plain.err
        told = self.run("--json", *words, **more)
        assert told.status == status, told
        assert "error" in told.json and not told.err, told
        return plain

    def init(self, *more):
        return self.ok("init", "--dir", self.dir, "--name", "relay.example.net", "--listen", f"127.0.0.1:{stage.free_port()}",
                       "--listen-tls", f"127.0.0.1:{stage.free_port()}", "--control", self.dir / "control.sock", *AS_ROOT, *more)

    def fill(self):
        self.init()
        self.ok("account", "add", "acme", "--plan", "pro", "--owner-verified", "yes")
        self.ok("domain", "add", "acme.example", "--account", "acme")
        self.ok("mailbox", "add", "alice@acme.example", "--password-stdin", stdin=SECRET + "\n")
        self.ok("profile", "add", "acme/mg", "--host", "smtp.mg.example", "--username", "user",
                "--password-stdin", stdin=SECRET + "\n")
        return self

    def hash(self, address):
        rows = sqlite3.connect(self.dir / "directory.db")
        try:
            for (table,) in rows.execute("select name from sqlite_master where type = 'table'").fetchall():
                names = [row[1] for row in rows.execute(f"pragma table_info('{table}')")]
                if "address" in names and any("hash" in name for name in names):
                    column = next(name for name in names if "hash" in name)
                    return rows.execute(f"select {column} from {table} where address = ?", (address,)).fetchone()[0]
        finally:
            rows.close()
        raise AssertionError("no table of mailboxes")


@pytest.fixture
def bare(tmp_path):
    return Place(tmp_path / "byway")


@pytest.fixture
def place(bare):
    bare.init()
    return bare


@pytest.fixture
def full(bare):
    return bare.fill()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# ---- the frame ----------------------------------------------------------------------------------

def commands():
    listed = json.loads(subprocess.run([BYWAY, "--help", "--json"], stdout=subprocess.PIPE, check=True).stdout)
    return [row["command"] for row in listed["commands"]]


def test_version(bare):
    assert re.fullmatch(r"byway \d+\.\d+\.\d+\S*\n", bare.ok("--version").out)
    assert "version" in bare.json("--version")


def test_every_command_has_help_with_an_example(bare):
    words = commands()
    assert len(words) == len(set(words)) and len(words) > 40
    for command in words:
        text = bare.ok(*command.split(), "--help").out
        assert f"usage: byway {command}" in text
        assert "Example:" in text and f"byway {command}" in text.split("Example:")[1]
        told = bare.json(*command.split(), "--help")
        assert told["command"] == command and told["example"]


def test_what_the_issue_asks_for_is_there():
    words = set(commands())
    for family in ("account", "mailbox", "domain", "profile", "route", "ip", "plan"):
        assert {f"{family} {verb}" for verb in ("add", "list", "show", "set", "remove")} <= words
    assert {"init", "export", "apply", "check", "config check", "config print", "config options", "help", "reload", "status", "reopen",
            "drain", "key rotate", "key list", "password"} <= words


@pytest.mark.parametrize("words, says", [
    (["mailbx", "list"], "did you mean mailbox?"),
    (["mailbox", "lst"], "did you mean list?"),
    (["mailbox"], "needs one more word"),
    (["nonsense"], "there are: "),
    (["account", "list", "--jsn"], "did you mean --json?"),
    (["account", "add", "acme", "--plna", "pro"], "did you mean --plan?"),
    (["account", "list", "-x"], "there is no option -x"),
    (["account", "add"], "needs ACCOUNT"),
    (["account", "show", "a", "b"], "one word too many"),
    (["account", "add", "acme", "--plan"], "--plan needs a value"),
])
def test_usage_mistakes(place, words, says):
    place.refused(USAGE, *words, says=says)


@pytest.mark.parametrize("words, says", [
    (["-xh"], "no option -x"), (["-hx"], "no option -x"), (["-x"], "no option -x"), (["account", "list", "-xh"], "no option -x"),
    (["-c"], "-c needs a value"), (["--nonsense"], "no option --nonsense")])
def test_the_option_that_is_wrong_is_named(bare, words, says):
    bare.refused(USAGE, *words, says=says)


@pytest.mark.parametrize("command", ["show", "set", "remove", "passwd"])
@pytest.mark.parametrize("name", ["acme", "acme/", "/mg", "acme//"])
def test_a_profile_by_half_its_name(full, command, name):
    more = ["--per-minute", "5"] if command == "set" else ["--password-stdin"] if command == "passwd" else []
    answer = full.run("profile", command, name, *more, stdin="x\n")
    assert answer.status in (MISSING, USAGE) and re.search(r"byway: .*\w{4}", answer.err), answer


def test_no_words_is_help_and_a_usage_error(bare):
    answer = bare.run()
    assert answer.status == USAGE and "mailbox add" in answer.out


def test_options_stand_anywhere(full):
    assert full.ok("mailbox", "--json", "list").json == full.ok("--json", "mailbox", "list").json
    assert full.run("--", "mailbox", "list").status == 0


@pytest.mark.parametrize("command", ["mailbox add", "profile add", "mailbox set", "mailbox passwd", "password",
                                     "account list"])
@pytest.mark.parametrize("form", [["--password=" + SECRET], ["--password", SECRET]])
def test_a_password_in_argv_is_refused_and_not_repeated(place, command, form):
    place.refused(USAGE, *command.split(), "alice@acme.example", *form, says="can be read by everybody")


def test_unknown_options_do_not_repeat_their_values(place):
    place.refused(USAGE, "mailbox", "add", "a@b.example", "--pasword=" + SECRET, says="--pasword")
    place.refused(USAGE, "mailbox", "passwd", "a@b.example", SECRET, says="one word too many")


def test_no_configuration(bare):
    bare.refused(CONFIG, "account", "list", says="byway init")


def test_no_colour_but_on_a_terminal(full):
    assert "\033" not in full.ok("account", "list").out
    assert "\033[1m" in on_terminal(full, ["account", "list"])[1]
    assert "\033" not in on_terminal(full, ["account", "list"], env={"NO_COLOR": "1"})[1]


def test_full_disk_is_an_error(full):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as sink:
        done = subprocess.run([BYWAY, "-c", str(full.config), "account", "list"], stdout=sink, stderr=subprocess.PIPE,
                              check=False)
    assert done.returncode == 74 and b"standard output" in done.stderr


# ---- init ---------------------------------------------------------------------------------------

def test_init_makes_a_working_installation(bare):
    told = bare.init().out
    assert "Next:" in told and "byway.ini" in told
    modes = {"byway.ini": 0o640, "relay.crt": 0o644, "relay.key": 0o600, "relay-rsa.crt": 0o644, "relay-rsa.key": 0o600, "vault.key": 0o600, "directory.db": 0o640}
    assert {name: mode(bare.dir / name) for name in modes} == modes
    assert mode(bare.dir) == 0o750
    assert "All is good" in bare.ok("config", "check").out
    assert {row["name"] for row in bare.json("plan", "list")} == {"nano", "starter", "pro", "agency"}


def test_init_permissions_do_not_hang_on_the_umask(bare):
    for umask in (0, 0o077):
        place = Place(bare.dir.parent / f"umask{umask}")
        was = os.umask(umask)
        try:
            place.init()
        finally:
            os.umask(was)
        assert mode(place.dir / "vault.key") == 0o600 and mode(place.dir / "relay.key") == 0o600
        assert mode(place.dir / "relay.crt") == 0o644 and mode(place.dir / "byway.ini") == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("apart", [False, True])
def test_init_for_the_daemons_user(bare, apart):
    """What the daemon must read after it has given root's rights up is its own; the rest stays root's."""
    state = bare.dir / "state" if apart else bare.dir
    bare.ok("init", "--dir", bare.dir, "--state", state, "--user", "nobody", "--name", "relay.example.net", "--listen",
            f"127.0.0.1:{stage.free_port()}", "--control", state / "control.sock")
    owner = {name: (bare.dir / name).owner() for name in ("byway.ini", "relay.key", "relay-rsa.key", "vault.key")}
    assert owner == {"byway.ini": "root", "relay.key": "nobody", "relay-rsa.key": "nobody", "vault.key": "nobody"}
    assert (state / "directory.db").owner() == "nobody" and state.owner() == "nobody"
    assert mode(bare.config) == 0o640 and "user = nobody" in bare.config.read_text()
    bare.ok("account", "add", "acme", "--plan", "pro")
    bare.ok("key", "rotate")
    for parent in bare.dir.parents:
        if parent != Path("/") and parent.owner() == "root" and "pytest" in str(parent):
            parent.chmod(0o755)
    user = ["setpriv", "--reuid", "nobody", "--regid", bare.config.group(), "--clear-groups"]
    if subprocess.run([*user, "test", "-x", BYWAY, "-a", "-r", str(bare.config)], check=False).returncode != 0:
        pytest.skip("nobody cannot get at the program or the folder")
    for command in (["config", "check"], ["account", "add", "more", "--plan", "pro"], ["key", "list"]):
        done = subprocess.run([*user, BYWAY, "-c", str(bare.config), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              cwd="/", check=False)
        assert done.returncode == 0, Answer(done)
    bare.ok("account", "list")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_init_leaves_folders_alone_that_were_there(bare):
    bare.dir.mkdir(mode=0o700)
    os.chown(bare.dir, 12345, 54321)
    words = ("init", "--dir", bare.dir, "--user", "nobody", "--name", "relay.example.net", "--listen", "127.0.0.1:2525")
    told = bare.ok(*words)
    was = os.stat(bare.dir)
    assert (was.st_uid, was.st_gid, stat.S_IMODE(was.st_mode)) == (12345, 54321, 0o700)
    assert "chgrp" in told.err and "nobody must be able to look into it" in told.err
    assert (bare.dir / "state/directory.db").owner() == (bare.dir / "state").owner() == "nobody"
    assert bare.json(*words)["made"] == []

    state = bare.dir.parent / "other"
    state.mkdir(mode=0o755)
    other = Place(bare.dir.parent / "more")
    other.refused(EXISTS, "init", "--dir", other.dir, "--state", state, "--user", "nobody", says="chown nobody")
    assert state.owner() == "root" and not other.config.exists()


def test_init_certificate(place):
    for file, kind in (("relay.crt", "id-ecPublicKey"), ("relay-rsa.crt", "rsaEncryption")):
        text = subprocess.run(["openssl", "x509", "-in", str(place.dir / file), "-noout", "-text"],
                              stdout=subprocess.PIPE, check=True).stdout.decode()
        assert kind in text
        for name in ("DNS:relay.example.net", "DNS:localhost", "127.0.0.1"):
            assert name in text


def test_init_keeps_what_is_there(place):
    before = {p.name: p.read_bytes() for p in place.dir.iterdir()}
    told = place.json("init", "--dir", place.dir, "--name", "other.example.net")
    assert told["made"] == [] and len(told["kept"]) == 7
    assert {p.name: p.read_bytes() for p in place.dir.iterdir()} == before
    (place.dir / "vault.key").unlink()
    told = place.json("init", "--dir", place.dir)
    assert told["made"] == [str(place.dir / "vault.key")]


def test_init_half_a_certificate_is_not_completed(place):
    (place.dir / "relay.key").unlink()
    place.refused(EXISTS, "init", "--dir", place.dir, says="belong together")


def test_init_folders_and_addresses(bare):
    bare.ok("init", "--dir", bare.dir, "--state", bare.dir / "deep/state", "--listen", "127.0.0.1,::1", "--name",
            "relay.example.net")
    assert (bare.dir / "deep/state/directory.db").exists()
    text = bare.config.read_text()
    assert "127.0.0.1:587" in text and "[::1]:587" in text and "[::1]:465" in text
    other = Place(bare.dir.parent / "other")
    other.ok("init", "--dir", other.dir, "--listen", f"127.0.0.1:{stage.free_port()}", "--name", "relay.example.net", "--control",
             other.dir / "control.sock", *AS_ROOT)
    assert "[listener submissions]" not in other.config.read_text()
    other.ok("config", "check")


def test_init_wrong_address_makes_nothing(bare):
    bare.refused(USAGE, "init", "--dir", bare.dir, "--listen", "nowhere:port", says="nothing was made")
    assert not bare.config.exists()


def test_init_where_it_may_not(bare):
    bare.dir.write_text("a file")
    bare.refused(EXISTS, "init", "--dir", bare.dir, says="folder")


# ---- accounts and what is theirs ----------------------------------------------------------------

def test_account_life(place):
    place.ok("account", "add", "acme", "--plan", "nano", "--registered", "2026-01-31", "--allowed-senders",
             "b@x.example,@acme.example")
    row = place.json("account", "show", "acme")
    assert row["plan"] == "nano" and row["registered"] == "2026-01-31T00:00:00Z"
    assert row["allowed_senders"] == ["@acme.example", "b@x.example"] and row["owner_verified"] is False
    changed = place.json("account", "set", "ACME", "--plan", "pro", "--state", "suspended-billing", "--allowed-senders",
                         "c@x.example", "--restrict-senders", "on")
    assert changed["account"]["state"] == "suspended-billing" and changed["account"]["restrict_senders"] is True
    assert changed["account"]["allowed_senders"] == ["c@x.example"]
    assert "acme" in place.ok("account", "list").out
    place.ok("account", "remove", "acme")
    place.refused(MISSING, "account", "show", "acme")


@pytest.mark.parametrize("words, status, says", [
    (["account", "add", "acme"], USAGE, "--plan: a new one needs it"),
    (["account", "add", "acme", "--plan", "gold"], MISSING, "gold"),
    (["account", "add", "acme", "--plan", "pro", "--state", "activ"], USAGE, "did you mean active?"),
    (["account", "add", "acme", "--plan", "pro", "--owner-verified", "maybe"], USAGE, "neither yes nor no"),
    (["account", "add", "acme", "--plan", "pro", "--registered", "yesterday"], USAGE, "not a date"),
    (["account", "add", "acme", "--plan", "pro", "--renewal-day", "32"], USAGE, "from 1 to 31"),
    (["account", "add", "old", "--plan", "pro"], EXISTS, "old"),
    (["account", "set", "old"], USAGE, "nothing was said"),
    (["account", "set", "none", "--plan", "pro"], MISSING, "none"),
    (["account", "remove", "none"], MISSING, "none"),
    (["domain", "add", "acme.example"], USAGE, "--account"),
    (["domain", "add", "acme.example", "--account", "none"], MISSING, "none"),
    (["domain", "add", "not a domain", "--account", "old"], DATA, ""),
    (["domain", "set", "old.example", "--account", "other"], USAGE, "no option --account"),
    (["mailbox", "add", "a@none.example", "--generate"], MISSING, "none.example"),
    (["mailbox", "add", "a@old.example"], USAGE, "needs a password"),
    (["mailbox", "show", "a@old.example"], MISSING, "a@old.example"),
    (["mailbox", "list", "--account", "none"], MISSING, "none"),
    (["mailbox", "add", "a@old.example", "--generate", "--password-stdin"], USAGE, "only one of"),
    (["profile", "add", "mg", "--host", "h.example"], USAGE, "ACCOUNT/PROFILE"),
    (["profile", "add", "old/mg"], USAGE, "--host"),
    (["profile", "add", "old/mg", "--host", "h.example", "--username", "u"], USAGE, "needs a password"),
    (["profile", "add", "old/mg", "--host", "h.example", "--pin", "12"], USAGE, "64 hex digits"),
    (["profile", "add", "old/mg", "--host", "h.example", "--ca", "/nowhere.pem"], NOINPUT, "/nowhere.pem"),
    (["ip", "add", "192.0.2.0/24"], USAGE, "--account"),
    (["ip", "add", "192.0.2.999", "--account", "old"], DATA, "192.0.2.999"),
    (["plan", "add", "x", "--size-max", "huge"], USAGE, "not a number"),
    (["plan", "remove", "pro"], UNAVAILABLE, "pro"),
    (["route", "set", "none", "native"], MISSING, "account or domain"),
    (["route", "set", "old", "none-such"], MISSING, "none-such"),
    (["route", "set", "old"], USAGE, "ACCOUNT|DOMAIN"),
    (["export", "/nowhere/file"], EXISTS, "/nowhere/file"),
    (["apply", "/nowhere/file"], NOINPUT, "/nowhere/file"),
    (["help", "latex"], USAGE, "latex"),
    (["help", "mailbox", "ad"], USAGE, "did you mean add?"),
])
def test_mistakes(place, words, status, says):
    place.ok("account", "add", "old", "--plan", "pro")
    place.ok("domain", "add", "old.example", "--account", "old")
    place.refused(status, *words, says=says)


def test_all_wrong_options_are_told_at_once(place):
    answer = place.run("account", "add", "acme", "--state", "x", "--renewal-day", "99")
    assert answer.status == USAGE
    for word in ("--plan", "--state", "--renewal-day"):
        assert word in answer.err
    assert len(place.run("account", "add", "acme", "--state", "x", "--renewal-day", "99", "--json").json["mistakes"]) == 3


def test_removal_of_what_others_hang_on(full):
    full.refused(UNAVAILABLE, "account", "remove", "acme", says="--whole")
    full.refused(UNAVAILABLE, "domain", "remove", "acme.example", says="--whole")
    full.ok("domain", "remove", "acme.example", "--whole")
    assert full.json("mailbox", "list") == []
    full.ok("account", "remove", "acme", "--whole")
    assert full.json("profile", "list") == [] and full.json("account", "list") == []


def test_mailbox_passwords(full):
    first = full.hash("alice@acme.example")
    assert first.startswith("$y$")
    told = full.json("mailbox", "add", "bob@acme.example", "--generate")
    assert re.fullmatch(r"[a-z0-9]{26,}", told["password"]) and told["mailbox"]["has_password"] is True
    assert full.hash("bob@acme.example").startswith("$hm1$")
    assert told["password"] not in full.ok("mailbox", "show", "bob@acme.example").out
    full.ok("mailbox", "passwd", "alice@acme.example", "--password-stdin", stdin="another one")
    assert full.hash("alice@acme.example") not in (first, "another one")
    again = full.ok("mailbox", "set", "bob@acme.example", "--generate").out
    assert re.search(r"password: [a-z0-9]{26,} \(shown this once\)", again) and told["password"] not in again
    full.ok("mailbox", "set", "bob@acme.example", "--state", "paused_abuse", "--rate-per-minute", "10")
    row = full.json("mailbox", "show", "bob@acme.example")
    assert row["state"] == "paused-abuse" and row["rate_per_minute"] == 10 and row["account"] == "acme"


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "x" * 512, "x" * 5000, "bell\a\n", "nul\0nul\n"])
def test_passwords_that_cannot_be(full, text):
    full.refused(DATA, "mailbox", "passwd", "alice@acme.example", "--password-stdin", stdin=text)


def test_password_file(full):
    path = full.dir / "password"
    path.write_text(SECRET + "\n")
    path.chmod(0o644)
    full.refused(NOINPUT, "mailbox", "passwd", "alice@acme.example", "--password-file", path)
    path.chmod(0o600)
    full.ok("mailbox", "passwd", "alice@acme.example", "--password-file", path)


def test_profile(full):
    row = full.json("profile", "show", "acme/mg")
    assert (row["port"], row["tls"], row["has_password"], row["version"]) == (587, "starttls", True, 1)
    assert "password" not in row
    full.ok("profile", "add", "acme/ssl", "--host", "h.example", "--port", "465")
    assert full.json("profile", "show", "acme/ssl")["tls"] == "implicit"
    full.ok("profile", "set", "acme/mg", "--max-connections", "3")
    assert full.json("profile", "show", "acme/mg")["version"] == 1
    full.refused(USAGE, "profile", "set", "acme/mg", "--host", "other.example", says="password")
    assert full.json("profile", "show", "acme/mg")["host"] == "smtp.mg.example"
    full.ok("profile", "set", "acme/mg", "--host", "other.example", "--password-stdin", stdin=SECRET)
    assert full.json("profile", "show", "acme/mg")["version"] == 2
    full.ok("profile", "passwd", "acme/mg", "--password-stdin", stdin=SECRET + "2")
    assert full.json("profile", "show", "acme/mg")["version"] == 3
    full.refused(USAGE, "profile", "set", "acme/mg", "--pin", "AB:" * 31 + "AB", says="password")
    full.ok("profile", "set", "acme/mg", "--ca", full.dir / "relay.crt", "--pin", "AB:" * 31 + "AB", "--password-stdin", stdin=SECRET)
    row = full.json("profile", "show", "acme/mg")
    assert row["pin"] == "ab" * 32 and row["ca"] == (full.dir / "relay.crt").read_text()
    assert "1 certificate" in full.ok("profile", "show", "acme/mg").out


def test_help_names_stand_apart(bare):
    """The longest name too has blanks between it and its summary."""
    for line in bare.ok("help").out.splitlines():
        if line.startswith("  ") and line[2:3].isalpha():
            assert "  " in line.strip(), line


def test_a_pasted_password_is_warned_of(full):
    """It is taken as it is; who types it later would not get in."""
    for password, word in (("\ufeffs3cret", "byte-order mark"), ("s3\u00a0cret", "no-break space"), ("s3cret ", "blank")):
        for command in (["mailbox", "passwd", "alice@acme.example"], ["profile", "passwd", "acme/mg"]):
            told = full.ok(*command, "--password-stdin", stdin=password + "\n")
            assert word in told.err and "s3" not in told.err + told.out, told
    assert "taken as it is" not in full.ok("mailbox", "passwd", "alice@acme.example", "--password-stdin", stdin="s3 cret\n").err


@pytest.mark.parametrize("host, says", [
    ("ssl://smtp.gmail.com", "write --host smtp.gmail.com --port 465 --tls implicit"),
    ("smtps://h.example:465", "write --host h.example --port 465 --tls implicit"),
    ("h.example:465", "write --host h.example --port 465 --tls implicit"),
    ("h.example.", "write --host h.example"), ("a.example;b.example", "without ;"), ("a.example b.example", "without blanks")])
def test_what_is_no_host(full, host, says):
    """R12: each way to make a profile says what to write instead."""
    full.refused(USAGE, "profile", "add", "acme/h", "--host", host, says=says)
    full.refused(USAGE, "profile", "set", "acme/mg", "--host", host, says=says)
    full.refused(USAGE, "profile", "test", "--host", host, says=says)
    path = full.dir / "host.ini"
    path.write_text(f"[profile acme/h]\nhost = {host}\n")
    full.refused(DATA, "apply", path, "--yes", says=says)


@pytest.mark.parametrize("host, stored", [
    ("Mail_Relay.EXAMPLE", "mail_relay.example"), ("b\u00fccher.example", "xn--bcher-kva.example"), ("[2001:DB8::1]", "2001:db8::1")])
def test_hosts_have_one_form(full, host, stored):
    full.ok("profile", "add", "acme/h", "--host", host)
    assert full.json("profile", "show", "acme/h")["host"] == stored
    full.ok("profile", "remove", "acme/h")


@pytest.mark.parametrize("port, tls, says", [
    (465, "starttls", "port 465 speaks TLS from the start"), (587, "implicit", "port 587 begins in clear text"),
    (25, "implicit", "port 25 begins in clear text"), (2525, "implicit", "port 2525 begins in clear text")])
def test_a_port_with_the_wrong_tls_mode(full, port, tls, says):
    mode = ["--port", port, "--tls", tls]
    full.refused(USAGE, "profile", "add", "acme/h", "--host", "h.example", *mode, says=says)
    full.ok("profile", "add", "acme/h", "--host", "h.example", *mode, "--force")
    full.ok("profile", "set", "acme/h", "--max-connections", 2)  # stays as it is
    full.ok("profile", "remove", "acme/h")
    full.ok("profile", "add", "acme/h", "--host", "h.example", "--port", 2526, "--tls", tls)
    full.refused(USAGE, "profile", "set", "acme/h", *mode, says=says)
    full.ok("profile", "set", "acme/h", *mode, "--force")
    full.ok("profile", "remove", "acme/h")


def test_the_api_of_mailgun_needs_a_domain(full):
    api = ("--provider", "mailgun", "--transport", "api", "--password-stdin")
    for name in ([], ["--username", "relay"]):
        full.refused(USAGE, "profile", "add", "acme/gun", *api, *name, stdin=SECRET, says="--domain")


MAILGUN = ("--provider", "mailgun", "--domain", "mg.acme.example")


@pytest.mark.parametrize("more, username, host", [
    ([], "postmaster@mg.acme.example", "smtp.mailgun.org"), (["--username", "relay"], "relay@mg.acme.example", "smtp.mailgun.org"),
    (["--username", "relay@MG.acme.example", "--region", "eu"], "relay@MG.acme.example", "smtp.eu.mailgun.org"),
    (["--transport", "api"], "mg.acme.example", "api.mailgun.net"),
    (["--transport", "api", "--username", "relay"], "relay@mg.acme.example", "api.mailgun.net")])
def test_mailgun_domain(full, more, username, host):
    full.ok("profile", "add", "acme/gun", *MAILGUN, *more, "--password-stdin", stdin=SECRET)
    row = full.json("profile", "show", "acme/gun")
    assert (row["username"], row["host"]) == (username, host) and "domain" not in row
    full.ok("profile", "remove", "acme/gun")


@pytest.mark.parametrize("args, says", [
    (["--provider", "sendgrid", "--domain", "acme.example"], "takes none"), (["--host", "h.example", "--domain", "acme.example"], "takes none"),
    ([*MAILGUN, "--username", "relay@other.example"], "of another one"), (["--provider", "mailgun", "--domain", "not a domain"], "not a domain name")])
def test_domains_that_cannot_be(full, args, says):
    full.refused(USAGE, "profile", "add", "acme/gun", *args, "--password-stdin", stdin=SECRET, says=says)
    full.refused(USAGE, "profile", "set", "acme/mg", "--domain", "acme.example")


def test_sealed_at_rest(full):
    for path in full.dir.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path


def test_routes(full):
    assert full.json("route", "show", "acme")["effective"] == "native"
    told = full.json("route", "set", "acme", "mg", "--fallback", "native")
    assert (told["route"], told["fallback"], told["effective"]) == ("mg", "native", "mg")
    assert full.json("route", "show", "acme.example") == {
        "account": "acme", "domain": "acme.example", "route": "inherit", "fallback": "none", "effective": "mg"}
    full.ok("route", "set", "acme.example", "native")
    assert [row["effective"] for row in full.json("route", "list")] == ["mg", "native"]
    assert full.json("route", "set", "acme", "native")["fallback"] == "none"
    full.ok("route", "add", "acme", "mg")
    full.refused(UNAVAILABLE, "profile", "remove", "acme/mg")
    full.ok("route", "remove", "acme.example")
    assert full.json("route", "remove", "acme")["route"] == "inherit"
    full.ok("account", "set", "acme", "--plan", "nano")
    # A plan that cannot send natively sends by the account's only profile, as the daemon does it.
    assert full.json("route", "show", "acme")["effective"] == "mg"
    full.ok("profile", "remove", "acme/mg")
    assert full.json("route", "show", "acme")["effective"] == "nowhere"


def test_route_of_a_name_that_is_both(full):
    full.ok("account", "add", "acme.example", "--plan", "pro")
    full.refused(USAGE, "route", "show", "acme.example", says="domain:acme.example")
    assert full.json("route", "set", "domain:acme.example", "native")["domain"] == "acme.example"
    assert full.json("route", "show", "account:acme.example")["domain"] is None


def test_ip_and_plan(full):
    full.ok("ip", "add", "2001:DB8:0::/48", "--account", "acme", "--sandboxed", "yes")
    row = full.json("ip", "list", "--account", "acme")[0]
    assert row["network"] == "2001:db8::/48" and row["sandboxed"] is True
    full.ok("ip", "set", "2001:db8::/48", "--state", "blocked")
    full.ok("ip", "remove", "2001:db8::/48")
    full.ok("plan", "add", "club", "--size-max", "30M", "--account-hour", "unlimited", "--unit", "messages")
    row = full.json("plan", "show", "club")
    assert row["size_max"] == 30 << 20 and row["account_hour"] == 0 and row["unit"] == "messages"
    full.ok("plan", "set", "club", "--can-send", "no")
    full.ok("plan", "remove", "club")


def test_tables_are_aligned_beyond_ascii(full):
    full.ok("domain", "add", "bücher.example", "--account", "acme")
    lines = full.ok("domain", "list", env={"LC_ALL": "C.UTF-8"}).out.splitlines()
    column = lines[0].index("account")
    assert all(line[column - 1] == " " and line[column:].startswith("acc" if n == 0 else "acme")
               for n, line in enumerate(lines))


def test_what_cannot_be_shown_is_not(full):
    rows = sqlite3.connect(full.dir / "directory.db")
    names = {name for (name,) in rows.execute("select name from sqlite_master where type = 'table'")}
    table = next(name for name in ("account", "accounts") if name in names)
    rows.execute(f"update {table} set owner_email = ?", ("x\033[31m\ny",))
    rows.commit()
    rows.close()
    out = full.ok("account", "show", "acme").out
    assert "\033" not in out and "x?[31m?y" in out
    assert full.json("account", "show", "acme")["owner_email"] == "x\033[31m\ny"


# ---- at a terminal ------------------------------------------------------------------------------

def on_terminal(place, words, typed=(), env=None):
    """Runs at a pseudo-terminal; TYPED: (what to wait for, what to type) in order."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(env or {})
        os.execv(BYWAY, [BYWAY, "-c", str(place.config), *map(str, words)])
    seen, steps, until = b"", list(typed), time.monotonic() + 30
    while time.monotonic() < until:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            got = os.read(fd, 4096)
        except OSError:
            break
        if not got:
            break
        seen += got
        if steps and steps[0][0].encode() in seen:
            cmdline = Path(f"/proc/{pid}/cmdline")
            if cmdline.exists():
                assert SECRET.encode() not in cmdline.read_bytes()
            os.write(fd, steps.pop(0)[1].encode())
            time.sleep(0.05)
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert not steps, seen
    assert not SANITIZER.search(seen.decode("utf-8", "replace")), seen
    return status, seen.decode("utf-8", "replace")


def test_password_prompt_without_echo(full):
    before = full.hash("alice@acme.example")
    status, seen = on_terminal(full, ["mailbox", "passwd", "alice@acme.example"],
                               [("Password for alice", SECRET + "\n"), ("again:", SECRET + "\n")])
    assert status == 0 and SECRET not in seen
    assert full.hash("alice@acme.example") != before
    status, seen = on_terminal(full, ["mailbox", "add", "new@acme.example"],
                               [("Password for new@acme.example", "one\n"), ("again:", "other\n")])
    assert status == DATA and "not the same" in seen
    full.refused(MISSING, "mailbox", "show", "new@acme.example")


def test_removal_asks(full):
    status, _ = on_terminal(full, ["mailbox", "remove", "alice@acme.example"], [("[y/N]", "n\n")])
    assert status == UNAVAILABLE
    full.ok("mailbox", "show", "alice@acme.example")
    assert on_terminal(full, ["mailbox", "remove", "alice@acme.example"], [("[y/N]", "yes\n")])[0] == 0
    full.refused(MISSING, "mailbox", "show", "alice@acme.example")


def test_apply_asks(full):
    path = full.dir / "change.ini"
    path.write_text("[account acme]\nplan = starter\n")
    assert on_terminal(full, ["apply", path], [("[y/N]", "\n")])[0] == UNAVAILABLE
    assert full.json("account", "show", "acme")["plan"] == "pro"
    status, seen = on_terminal(full, ["apply", path], [("[y/N]", "y\n")])
    assert status == 0 and "plan: pro -> starter" in seen
    path.write_text("[account acme]\nplan = pro\n")
    assert on_terminal(full, ["apply", path, "--yes"])[0] == 0
    assert full.json("account", "show", "acme")["plan"] == "pro"


# ---- export and apply ---------------------------------------------------------------------------

def rich(place):
    """Something of everything."""
    place.fill()
    place.ok("profile", "set", "acme/mg", "--ca", place.dir / "relay.crt", "--keep-headers", "X-SMTPAPI X-PM-Tag", "--password-stdin",
             stdin=SECRET)
    place.ok("profile", "add", "acme/plain", "--host", "mail.example", "--port", "465", "--tls", "starttls", "--force")
    place.ok("route", "set", "acme", "mg", "--fallback", "native")
    place.ok("route", "set", "acme.example", "plain", "--fallback", "mg")
    place.ok("account", "set", "acme", "--allowed-senders", "@acme.example, z@x.example", "--verified-senders",
             "one@x.example")
    place.ok("mailbox", "add", "bob@acme.example", "--generate")
    place.ok("mailbox", "set", "bob@acme.example", "--state", "paused_owner", "--sandboxed", "yes")
    place.ok("ip", "add", "192.0.2.0/24", "--account", "acme", "--rate-per-minute", "5")
    place.ok("plan", "add", "club", "--unit", "messages")
    place.ok("account", "add", "other", "--plan", "club", "--registered", "2026-02-19T12:00:00Z")
    return place


@pytest.mark.parametrize("brief", [[], ["--brief"]])
def test_export_then_apply_changes_nothing(bare, brief):
    text = rich(bare).ok("export", *brief).out
    assert "nothing to change" in bare.ok("apply", "-", stdin=text).out
    told = bare.json("apply", "-", "--prune", stdin=text)
    assert told["changes"] == [] and told["applied"] is False


def test_export_into_another_installation(bare):
    text = rich(bare).ok("export").out
    other = Place(bare.dir.parent / "other")
    other.init()
    secret = other.dir / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    text = text.replace("[profile acme/mg]\n", f"[profile acme/mg]\npassword_file = {secret}\n")
    told = other.json("apply", "-", "--generate", stdin=text)
    assert set(told["passwords"]) == {"alice@acme.example", "bob@acme.example"}
    assert other.ok("export").out.split("[account", 1)[0] == bare.ok("export").out.split("[account", 1)[0]
    clean = re.compile(r"^#.*\n", re.M)
    assert clean.sub("", other.ok("export").out) == clean.sub("", bare.ok("export").out)
    assert "nothing to change" in other.ok("apply", "-", stdin=text).out


def test_export_waits_for_nobody(full):
    """It reads: another's lock for writing does not stand in its way, and it takes none."""
    rows = sqlite3.connect(full.dir / "directory.db", isolation_level=None)
    rows.execute("begin immediate")
    try:
        assert "[account acme]" in full.ok("export").out
        assert full.json("export")["accounts"][0]["name"] == "acme"
    finally:
        rows.close()


def test_long_lists_of_senders(full):
    """Neither memory nor time grows with their square."""
    names = ", ".join(f"person-{number:05d}@partner.example" for number in range(12_000))
    (full.dir / "many.ini").write_text(f"[account acme]\nallowed_senders = {names}\n")
    full.ok("apply", full.dir / "many.ini", "--yes")
    assert "acme" in full.ok("account", "list").out
    assert len(full.json("account", "list")[0]["allowed_senders"]) == 12_000
    assert names in full.ok("export").out
    full.ok("account", "set", "acme", "--renewal-day", "7")
    assert "nothing to change" in full.ok("apply", full.dir / "many.ini").out


def test_apply_reads_as_much_as_export_may_write(full):
    line = "# " + "x" * 1021 + "\n"
    text = full.dir / "long.ini"
    with text.open("w") as out:
        for _ in range(70 * 1024):
            out.write(line)
        out.write("[account acme]\nrenewal_day = 9\n")
    full.ok("apply", text, "--yes")
    assert full.json("account", "show", "acme")["renewal_day"] == 9


def test_export_as_json_and_to_a_file(bare):
    rich(bare)
    told = bare.json("export")
    assert len(told["plans"]) == 5 and len(told["accounts"]) == 2 and len(told["mailboxes"]) == 2
    assert told["ips"][0]["network"] == "192.0.2.0/24"
    path = bare.dir / "out.ini"
    path.write_text("older")
    bare.ok("export", path)
    assert path.read_text() == bare.ok("export").out and mode(path) == 0o640
    assert bare.json("export", path) == {"done": "exported"} and path.read_text().startswith("#")
    assert [p.name for p in bare.dir.iterdir() if ".new." in p.name] == []


def test_export_holds_no_secrets(bare):
    rich(bare)
    for text in (bare.ok("export").out, bare.ok("export", "--json").out):
        assert "$y$" not in text and "$hm1$" not in text and "v1." not in text


def test_apply_shows_the_difference(full):
    text = ("[account acme]\nplan = starter\n[mailbox alice@acme.example]\nstate = paused_admin\n"
            "[domain new.example]\naccount = acme\n")
    dry = full.ok("apply", "-", "--dry-run", stdin=text).out
    for line in ("~ account acme", "plan: pro -> starter", "~ mailbox alice@acme.example",
                 "state: active -> paused-admin", "+ domain new.example", "1 added, 2 changed, 0 removed"):
        assert line in dry
    assert full.json("account", "show", "acme")["plan"] == "pro"
    told = full.json("apply", "-", stdin=text)
    assert (told["applied"], told["added"], told["changed"], told["removed"]) == (True, 1, 2, 0)
    change = next(c for c in told["changes"] if c["kind"] == "account")
    assert change["fields"] == {"plan": {"from": "pro", "to": "starter"}}
    assert "nothing to change" in full.ok("apply", "-", stdin=text).out


def test_apply_leaves_alone_what_it_does_not_say(full):
    full.ok("mailbox", "set", "alice@acme.example", "--state", "paused_abuse")
    full.ok("apply", "-", stdin="[mailbox alice@acme.example]\nsandboxed = yes\n")
    assert full.json("mailbox", "show", "alice@acme.example")["state"] == "paused-abuse"


def test_apply_prunes_only_when_asked(bare):
    rich(bare)
    text = "[account acme]\nplan = pro\nroute = inherit\nfallback = none\n[domain acme.example]\naccount = acme\n" \
           "route = native\nfallback = none\n"
    assert bare.json("apply", "-", "--dry-run", stdin=text)["removed"] == 0
    told = bare.json("apply", "-", "--prune", stdin=text)
    gone = {(c["kind"], c["name"]) for c in told["changes"] if c["change"] == "removed"}
    assert gone == {("ip", "192.0.2.0/24"), ("mailbox", "alice@acme.example"), ("mailbox", "bob@acme.example"),
                    ("profile", "acme/mg"), ("profile", "acme/plain"), ("account", "other")}
    assert len(bare.json("plan", "list")) == 5
    bare.ok("apply", "-", "--prune", stdin="[plan pro]\n")
    assert [row["name"] for row in bare.json("plan", "list")] == ["pro"] and bare.json("account", "list") == []


def test_apply_prune_refuses_what_is_still_needed(bare):
    rich(bare)
    answer = bare.refused(UNAVAILABLE, "apply", "-", "--prune", stdin="[account acme]\nplan = pro\n"
                          "[domain acme.example]\naccount = acme\n")
    assert "nothing was changed" in answer.err
    assert len(bare.json("mailbox", "list")) == 2


def test_apply_brings_all_of_a_new_account_at_once(place):
    secret = place.dir / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    hashed = place.ok("password", stdin=SECRET).out.strip()
    text = ("[mailbox a@new.example]\npassword_hash = " + hashed + "\n"
            "[domain new.example]\naccount = new\nroute = own\n"
            "[profile new/own]\nhost = h.example\nusername = u\npassword_file = " + str(secret) + "\n"
            "[account new]\nplan = mine\nroute = own\nfallback = native\n"
            "[plan mine]\ncan_send = no\n")
    told = place.json("apply", "-", stdin=text)
    assert told["added"] == 5
    assert place.json("route", "show", "new")["effective"] == "own"
    assert place.hash("a@new.example") == hashed
    assert place.json("profile", "show", "new/own")["version"] == 1
    again = place.ok("apply", "-", stdin=text)
    assert "nothing to change" in again.out and "2 passwords" in again.err
    assert place.json("profile", "show", "new/own")["version"] == 1
    assert place.json("apply", "-", "--passwords", stdin=text)["changed"] == 2


def test_apply_tells_all_mistakes_at_once(place):
    text = ("stray = 1\n"                                 # 1
            "[acount x]\n"                                # 2
            "[account acme]\nplan = gold\nstate = activ\ncolour = red\n"   # 3-6
            "[account acme]\n"                            # 7
            "[domain d.example]\n"                        # 8
            "[mailbox a@none.example]\n"                  # 9
            "password = x\n"                              # 10
            "[profile acme/p]\nhost = h\nhost = i\npassword_hash = x\nport = 70000\n"  # 11-15
            "[ip]\n"                                      # 16
            "nonsense\n[broken\n")                        # 17, 18
    answer = place.run("apply", "-", stdin=text)
    assert answer.status == DATA and "nothing was changed" in answer.err
    for start in ("-:1:", "-:2: there is no section for 'acount'; did you mean account?", "-:5: [account acme] state",
                  "-:6: [account acme] a account has no 'colour'", "-:7: [account acme] stands at line 3 already",
                  "-:8: [domain d.example] account: a new domain needs it", "-:10: ", "-:13: ", "-:14: ",
                  "-:15: [profile acme/p] port", "-:16: ", "-:18: "):
        assert re.search("^" + re.escape(start), answer.err, re.M), (start, answer)
    assert place.run("apply", "-", "--json", stdin=text).json["mistakes"]
    assert place.json("account", "list") == []


@pytest.mark.parametrize("text, says", [
    ("[account new]\nplan = gold\n", "there is no plan gold"),
    ("[account acme]\nroute = nosuch\n", "there is no profile acme/nosuch"),
    ("[mailbox a@none.example]\npassword_hash = x\n", "there is no domain none.example"),
    ("[mailbox b@acme.example]\n", "needs password_file or password_hash"),
    ("[mailbox b@acme.example]\npassword_file = /nowhere\n", "/nowhere"),
    ("[profile acme/mg]\nhost = other.example\n", "say password_file"),
    ("[profile acme/new]\nhost = h.example\nusername = u\n", "needs password_file"),
    ("[domain acme.example]\naccount = other\n[account other]\nplan = pro\n", "cannot change"),
    ("[profile acme]\nhost = x\n", "ACCOUNT/PROFILE"),
    ("[domain x.example]\naccount = none\n", "there is no account none"),
])
def test_apply_mistakes(full, text, says):
    before = full.ok("export").out
    full.refused(DATA, "apply", "-", stdin=text, says=says)
    assert full.ok("export").out == before


def test_apply_is_one_transaction(full):
    before = full.ok("export").out
    # Right in form, refused by the directory in the middle of the work.
    answer = full.run("apply", "-", stdin="[account good]\nplan = pro\n[domain good.example]\naccount = good\n"
                      "[ip 192.0.2.1]\naccount = good\nstate = paused_owner\n")
    assert answer.status == DATA and "nothing was changed" in answer.err
    assert full.ok("export").out == before


def test_apply_large(place):
    """Thousands of rows within seconds, and long lines."""
    senders = ",".join(f"sender{n:04}@elsewhere.example" for n in range(500))
    text = "[account big]\nplan = agency\nallowed_senders = " + senders + "\n[domain big.example]\naccount = big\n"
    text += "".join(f"[mailbox user{n}@big.example]\npassword_hash = $y$j9T$abc$def{n}\n" for n in range(2000))
    began = time.monotonic()
    told = place.json("apply", "-", stdin=text)
    assert told["added"] == 2002
    assert "nothing to change" in place.ok("apply", "-", stdin=place.ok("export").out).out
    assert len(place.json("account", "show", "big")["allowed_senders"]) == 500
    assert time.monotonic() - began < 60


# ---- configuration, keys, passwords, papers -----------------------------------------------------

def test_config(place):
    assert place.json("config", "check")["ok"] is True
    assert "[server]" in place.ok("config", "print").out
    changed = place.ok("config", "print", "--changed").out
    assert "relay.example.net" in changed and len(changed) < len(place.ok("config", "print").out)
    assert place.json("config", "print")
    listed = {row["section"]: row for row in place.json("config", "options")}
    assert listed["listener"]["named"] and "address" in [option["key"] for option in listed["listener"]["options"]]
    assert "message_size" in place.ok("config", "options").out
    place.config.write_text(place.config.read_text() + "\n[listener x]\naddress = nonsense\nproxy_protcol = yes\n")
    answer = place.refused(CONFIG, "config", "check")
    assert "byway.ini:" in answer.err and "proxy_protocol\"?" in answer.err and "nonsense" in answer.err
    place.refused(CONFIG, "account", "list")


def test_config_check_looks_at_files(place):
    (place.dir / "vault.key").chmod(0o644)
    place.refused(CONFIG, "config", "check", says="vault.key")
    (place.dir / "vault.key").chmod(0o600)
    (place.dir / "relay.crt").write_text("no certificate")
    place.refused(CONFIG, "config", "check", says="relay.crt")
    place.refused(CONFIG, "check", says="relay.crt")


def test_key_rotate(full):
    first = full.json("key", "list")
    assert len(first) == 1 and first[0]["current"] is True
    told = full.json("key", "rotate")
    assert told["sealed"] == 1 and told["daemon"] is False
    keys = full.json("key", "list")
    assert [key["current"] for key in keys] == [False, True] and keys[1]["id"] == told["key"]
    assert mode(full.dir / "vault.key") == 0o600
    ring = (full.dir / "vault.key").read_text()
    for command in (["key", "list"], ["key", "rotate"], ["key", "reseal"]):
        answer = full.ok(*command)
        for line in ring.splitlines():
            assert line.split()[-1] not in answer.out + answer.err
    # The old key is not needed any more for what was sealed.
    lines = (full.dir / "vault.key").read_text().splitlines()
    (full.dir / "vault.key").write_text(lines[-1] + "\n")
    assert full.json("key", "reseal")["sealed"] == 0
    assert full.json("profile", "show", "acme/mg")["version"] == 1


def test_key_lost(full):
    (full.dir / "vault.key").unlink()
    full.refused(NOPERM, "key", "list", says="vault.key")
    full.ok("init", "--dir", full.dir)
    answer = full.refused(DATA, "key", "reseal")
    assert "acme" in answer.err and "mg" in answer.err


def test_password_hash(bare):
    hashed = bare.ok("password", stdin=SECRET + "\n").out.strip()
    assert hashed.startswith("$y$")
    assert bare.json("password", "--password-stdin", stdin=SECRET)["hash"].startswith("$y$")
    bare.refused(DATA, "password", stdin="")


PROGRAMS = {
    "byway": (("--conf", "x", "status"), ("mailbox", "show", "a@b.example", "--jso"), ("mailbox", "add", "a@b.example", "--stat", "active"),
              ("mailbox", "add", "a@b.example", "--stat=active"), ("mailbox", "passwd", "a@b.example", "--password-f")),
    "bywayd": (("--conf", "x"), ("--conf=x",), ("--chec",)),
    "byway-console": (("api", "--sock", "x"), ("--vers",)),
    "byway-bench": (("load", "--session", "3", "127.0.0.1", "1"), ("sink", "--chunk", "1")),
}


@pytest.mark.parametrize("program,words", [(p, w) for p, all_of_it in PROGRAMS.items() for w in all_of_it])
def test_no_abbreviated_options(program, words, tmp_path):
    """A script that abbreviates means another option on the day that a second one begins so. One mistake, one complaint."""
    done = subprocess.run([Path(BYWAY).with_name(program), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=tmp_path,
                          timeout=60)
    short = next(w for w in words if w.startswith("--")).partition("=")[0]
    complaints = [line for line in (done.stderr + done.stdout).splitlines() if not line.startswith("Try `")]
    assert done.returncode == USAGE and len(complaints) == 1, done
    assert f"'{short}'" in complaints[0] or f"no option {short}" in complaints[0], complaints


@pytest.mark.parametrize("wrong,right", (("mailgum", "mailgun"), ("sendgird", "sendgrid"), ("zzzzzz", None)))
def test_providers_that_are_none(full, wrong, right):
    """Wherever one is named: with what was meant, and nothing is stored."""
    secret = full.dir / "provider.pw"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    (full.dir / "d.ini").write_text(f"[account acme]\n[profile acme/other]\nhost = smtp.provider.example\nprovider = {wrong}\n")
    before = full.ok("export").out
    for words in (("profile", "add", "acme/other"), ("profile", "set", "acme/mg"), ("profile", "test")):
        answer = full.run(*words, "--provider", wrong, "--username", "u", "--password-file", secret)
        assert answer.status in (USAGE, DATA) and f"there is no preset '{wrong}'" in answer.err, answer
        assert (f"did you mean {right}?" in answer.err) == bool(right), answer
    answer = full.run("apply", full.dir / "d.ini", "--yes")
    assert answer.status == DATA and f"there is no preset '{wrong}'" in answer.err, answer
    assert full.run("provider", "show", wrong).status == MISSING
    assert full.ok("export").out == before


def test_origins_of_the_configuration(full):
    """Each value with its file and line, or that it is the default; the output is read as before."""
    (full.dir / "conf.d").mkdir()
    (full.dir / "conf.d/more.ini").write_text("[limits]\n; words\nmessage_size = 33554433\n")
    told = full.ok("config", "print", "--origins").out
    assert f"; {full.dir}/conf.d/more.ini:3\nmessage_size = 33554433\n" in told
    values = [line for line in told.splitlines() if " =" in line and not line.startswith(";")]
    assert len([line for line in told.splitlines() if re.fullmatch(r"; (default|/.*:\d+)", line)]) == len(values) > 50
    assert [line for line in told.splitlines() if not line.startswith(";")] == full.ok("config", "print").out.splitlines()
    for line, following in zip(told.splitlines(), told.splitlines()[1:]):
        place = re.fullmatch(r"; (/.*):(\d+)", line)
        if place:
            key = Path(place[1]).read_text().splitlines()[int(place[2]) - 1].partition("=")[0].strip()
            assert key.startswith(following.partition(" =")[0]), (line, following)
    origins = full.json("config", "print", "--origins")
    assert origins["limits"]["origins"] == {"message_size": f"{full.dir}/conf.d/more.ini:3"}
    assert origins["listener"][0]["origins"]["address"].startswith(str(full.config))
    plain = full.json("config", "print")
    assert "origins" not in plain["limits"] and {k: v for k, v in origins["limits"].items() if k != "origins"} == plain["limits"]


def test_documents_tell_what_the_programs_tell(bare):
    done = subprocess.run([ROOT / "dist/docs", "--byway", BYWAY, "--check"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert bare.json("help", "mailbox", "add") == bare.json("mailbox", "add", "--help")
    script = (ROOT / "dist/completion/byway.bash").read_text()
    done = subprocess.run(["bash", "-c", script + "\nCOMP_LINE='byway mailbox a'; COMP_POINT=15; _byway; "
                           "echo ${COMPREPLY[0]}"], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"add\n"


# ---- the daemon's socket ------------------------------------------------------------------------

class Daemon:
    """Answers on the control socket as proxy/desk/control.h says."""

    def __init__(self, path, answers):
        self.answers, self.asked = answers, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            with client:
                word = b""
                while not word.endswith(b"\n"):
                    got = client.recv(64)
                    if not got:
                        break
                    word += got
                self.asked.append(word.decode().strip())
                answer = self.answers.get(self.asked[-1], {"ok": False, "error": "unknown request"})
                text = answer if isinstance(answer, str) else json.dumps(answer) + "\n"
                for start in range(0, len(text), 100):
                    client.sendall(text[start:start + 100].encode())

    def close(self):
        self.socket.close()


STATUS = {
    "ok": True, "version": "0.1.0", "pid": 4711, "started": 1767225600, "uptime_s": 500, "state": "up", "revision": 3,
    "config": "/etc/byway/byway.ini", "user": "byway",
    "workers": [
        {"number": 0, "pid": 4712, "state": "up", "generation": 1, "started": 1767225600, "sessions": 3, "deaths": 0,
         "answered": True, "revision": 3, "worst_us": 420, "relay": {"x": [1, {"y": "}]"}]}},
        {"number": 1, "pid": 0, "state": "dead", "generation": 2, "started": 0, "sessions": 0, "deaths": 2,
         "answered": False}],
    "counters": {"connections_accepted": 17, "logins_refused": 0}, "gauges": {"sessions_open": 3}, "log_lost": 0,
    "reload": {"at": 1767225603, "ok": False, "revision": 3, "warnings": [], "mistakes": ["byway.ini:12: [x] \"y\""]}}


@pytest.fixture
def daemon(place):
    daemon = Daemon(place.dir / "control.sock", {
        "status": STATUS, "reopen": {"ok": True}, "drain": {"ok": True},
        "reload": {"ok": True, "revision": 4, "warnings": ["a change of listeners needs a restart"], "mistakes": []}})
    yield daemon
    daemon.close()


def test_no_daemon(place):
    for command in ("status", "reload", "reopen", "drain"):
        place.refused(UNAVAILABLE, command, says="is bywayd running?")


def test_status(place, daemon):
    out = place.ok("status").out
    assert "up for 8 min" in out and "pid 4711" in out and "420 us" in out and "no answer" in out
    assert "connections_accepted" in out and "logins_refused" not in out and 'byway.ini:12: [x] "y"' in out
    assert "logins_refused" in place.ok("status", "--all").out
    assert place.json("status") == STATUS
    assert daemon.asked == ["status"] * 3


def test_reload_good_and_refused(place, daemon):
    answer = place.ok("reload")
    assert "revision 4" in answer.out and "needs a restart" in answer.err
    assert place.json("reload")["revision"] == 4
    daemon.answers["reload"] = {"ok": False, "revision": 3, "warnings": [],
                                "mistakes": ["byway.ini:12: [listener mx] tls: wr\u00f6ng", "byway.ini:13: more"]}
    answer = place.refused(CONFIG, "reload", says="byway.ini:12: [listener mx] tls: wröng")
    assert "byway.ini:13: more" in answer.err and "revision 3" in answer.err
    assert len(place.run("reload", "--json").json["mistakes"]) == 2


def test_a_broken_file_does_not_keep_us_from_the_daemon(place, daemon):
    place.config.write_text(place.config.read_text() + "\nnonsense\n")
    place.ok("status")
    place.ok("reload")
    place.config.unlink()
    place.ok("drain", "--socket", place.dir / "control.sock")
    assert daemon.asked == ["status", "reload", "drain"]


def test_reopen_and_drain(place, daemon):
    place.ok("reopen")
    assert place.json("drain") == {"ok": True}
    del daemon.answers["reopen"]
    place.refused(UNAVAILABLE, "reopen", says="unknown request")
    assert daemon.asked[:2] == ["reopen", "drain"]


@pytest.mark.parametrize("answer", ["", "\n", "nonsense\n", "{", '{"ok"', '{"ok":true,"workers":[{"number":', "[[[["])
def test_broken_answers(place, daemon, answer):
    daemon.answers["status"] = answer
    run = place.run("status")
    assert run.status in (0, UNAVAILABLE, 76)


def test_rotate_tells_the_daemon_before_it_seals(full):
    daemon = Daemon(full.dir / "control.sock", {"reload": {"ok": False, "revision": 1, "warnings": [], "mistakes": ["x"]}})
    try:
        full.refused(UNAVAILABLE, "key", "rotate", says="byway key reseal")
        daemon.answers["reload"] = {"ok": True, "revision": 2, "warnings": [], "mistakes": []}
        told = full.json("key", "reseal")
        assert told["sealed"] == 1 and told["daemon"] is True
        assert daemon.asked == ["reload"] * 3
    finally:
        daemon.close()


# ---- secrets ------------------------------------------------------------------------------------

def test_no_secret_in_a_process_list(full):
    """While it waits for the password, neither its words nor its environment hold one."""
    with subprocess.Popen([BYWAY, "-c", str(full.config), "mailbox", "passwd", "alice@acme.example", "--password-stdin"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        run.stdin.write(SECRET.encode())
        run.stdin.flush()
        time.sleep(0.3)
        for name in ("cmdline", "environ"):
            try:
                assert SECRET.encode() not in Path(f"/proc/{run.pid}/{name}").read_bytes()
            except PermissionError:
                pass
        out, _ = run.communicate(timeout=30)
    assert run.returncode == 0 and SECRET.encode() not in out
