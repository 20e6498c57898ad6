# SPDX-License-Identifier: Apache-2.0
"""byway setup, and init run again: from nothing to a message that an upstream took."""
import os
import pwd
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import scripted  # noqa: E402
import stage  # noqa: E402
from test_console import AS_ROOT, USAGE, Place, on_terminal  # noqa: E402

UNAVAILABLE = os.EX_UNAVAILABLE


@pytest.fixture
def upstream():
    up = scripted.Scripted(None, tls=None, users={}).start()
    yield up
    up.stop()


class Fresh(Place):
    def __init__(self, path):
        super().__init__(path)
        self.ports = stage.free_port(), stage.free_port()

    def words(self, *more):
        return ("setup", "--dir", self.dir, "--name", "relay.example.net", "--listen", f"127.0.0.1:{self.ports[0]}",
                "--listen-tls", f"127.0.0.1:{self.ports[1]}", "--control", self.dir / "control.sock", *AS_ROOT, *more)


@pytest.fixture
def fresh(tmp_path):
    return Fresh(tmp_path / "byway")


def own(up):
    return "--mta", f"127.0.0.1:{up.port}", "--tls", "none", "--mailbox", "alice@acme.example"


def test_from_nothing_to_a_message(fresh, upstream):
    told = fresh.ok(*fresh.words(*own(upstream), "--to", "you@elsewhere.example")).out
    assert [(m["from"], m["to"]) for m in upstream.messages] == [("alice@acme.example", ["you@elsewhere.example"])]
    for line in ("Server:     relay.example.net", f"Port:       {fresh.ports[1]}", "Encryption: SSL/TLS",
                 "User name:  alice@acme.example", "Password:", f"Or:         port {fresh.ports[0]}, STARTTLS"):
        assert line in told, told
    assert f"port = {upstream.port}\n" in fresh.config.read_text().split("[mta own]")[1]
    fresh.ok("config", "check")


def test_run_again_changes_nothing(fresh, upstream):
    fresh.ok(*fresh.words(*own(upstream)))
    files = {p: p.read_bytes() for p in fresh.dir.iterdir() if p.suffix in (".ini", ".key", ".crt")}
    told = fresh.ok(*fresh.words(*own(upstream))).out
    assert "alice@acme.example is there and stays as it is" in told and "password:" not in told
    assert files == {p: p.read_bytes() for p in files} and len(upstream.messages) == 2


def test_what_the_upstream_refuses_is_told_and_not_written(fresh):
    port = stage.free_port()
    told = fresh.run(*fresh.words("--mta", f"127.0.0.1:{port}", "--tls", "none", "--mailbox", "alice@acme.example"))
    assert told.status == UNAVAILABLE and "did not take the test message" in told.out, told
    assert "[mta own]" not in fresh.config.read_text()


@pytest.mark.parametrize("more, says", [
    ((), "where does the mail go"),
    (("--mta", "127.0.0.1"), "who sends"),
    (("--mta", "127.0.0.1", "--mailbox", "alice"), "needs an address"),
    (("--mta", "127.0.0.1", "--provider", "mailgun", "--mailbox", "alice@acme.example"), "one upstream is enough"),
])
def test_what_is_missing_is_told_before_anything_is_made(fresh, more, says):
    fresh.refused(USAGE, *fresh.words(*more), says=says)
    assert not fresh.dir.exists()


def test_questions(fresh, upstream):
    words = ["setup", "--dir", fresh.dir, "--listen", f"127.0.0.1:{fresh.ports[0]}", "--tls", "none", "--control", fresh.dir / "control.sock", *AS_ROOT]
    status, seen = on_terminal(fresh, words, [
        ("Host name", "relay.example.net\n"), ("Certificate", "\n"), ("Upstream", f"127.0.0.1:{upstream.port}\n"),
        ("First mailbox", "alice@acme.example\n"), ("Send the test message to [alice@acme.example]", "\n")])
    assert status == 0, seen
    assert [m["to"] for m in upstream.messages] == [["alice@acme.example"]]
    assert "name = relay.example.net" in fresh.config.read_text()


def test_own_certificate(fresh, tmp_path, upstream):
    chain, key = stage.certificate(tmp_path / "own", name="relay.example.net")[:2]
    fresh.ok(*fresh.words(*own(upstream), "--certificate", chain, "--certificate-key", key))
    assert f"chain_file = {chain}" in fresh.config.read_text()
    assert "[certificate rsa]" not in fresh.config.read_text() and not list(fresh.dir.glob("relay*.key"))
    other = Fresh(tmp_path / "other")
    other.refused(USAGE, "init", "--dir", other.dir, "--certificate", chain, says="belong together")


def test_a_guarded_address_needs_own(fresh, upstream):
    fresh.ok(*fresh.words(*own(upstream)))
    probe = "profile", "test", "--host", "127.0.0.1", "--port", str(upstream.port), "--tls", "none"
    assert fresh.run(*probe).status == UNAVAILABLE
    fresh.ok(*probe, "--own")
    fresh.refused(USAGE, "profile", "test", "acme/x", "--own", says="no profile names")


def test_devices(fresh, upstream):
    fresh.ok(*fresh.words(*own(upstream)))
    told = fresh.json("mailbox", "devices", "alice@acme.example")
    assert told == {"host": "relay.example.net", "username": "alice@acme.example", "ports": [
        {"port": fresh.ports[1], "encryption": "SSL/TLS", "old_devices": False},
        {"port": fresh.ports[0], "encryption": "STARTTLS", "old_devices": False}]}
    assert fresh.run("mailbox", "devices", "nobody@acme.example").status == os.EX_NOUSER


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
def test_init_again_after_the_user_was_made(tmp_path):
    """As if the user had come between two runs: it is named at the second only."""
    place = Place(tmp_path / "byway")
    place.init()
    place.config.write_text(place.config.read_text().replace("\nuser = root\n", "\n;user = byway\n"))
    place.ok("init", "--dir", place.dir, "--user", "nobody")
    uid = pwd.getpwnam("nobody").pw_uid
    for name in ("relay.key", "relay-rsa.key", "vault.key", "directory.db", "."):
        assert os.stat(place.dir / name).st_uid == uid, name
    assert "\nuser = nobody\n" in place.config.read_text() and (place.config.stat().st_mode & 0o777) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")
def test_init_never_takes_a_folder_that_holds_more(tmp_path):
    place = Place(tmp_path / "byway")
    place.init()
    (place.dir / "passwd").write_text("not ours\n")
    place.run("init", "--dir", place.dir, "--user", "nobody")
    assert os.stat(place.dir).st_uid == 0 and os.stat(place.dir / "passwd").st_uid == 0


def test_domain_records(fresh, upstream):
    fresh.ok(*fresh.words(*own(upstream)))
    told = {(r["name"], r["type"]): r for r in fresh.json("domain", "records", "acme.example")["records"]}
    assert {key: r["value"] for key, r in told.items()} == {
        ("acme.example", "TXT"): "v=spf1 ip4:127.0.0.1 ~all",
        ("SELECTOR._domainkey.acme.example", "TXT"): "v=DKIM1; k=rsa; p=KEY",
        ("_dmarc.acme.example", "TXT"): "v=DMARC1; p=none; rua=mailto:postmaster@acme.example",
        ("_submissions._tcp.acme.example", "SRV"): f"0 1 {fresh.ports[1]} relay.example.net.",
        ("_submission._tcp.acme.example", "SRV"): f"0 1 {fresh.ports[0]} relay.example.net."}
    zone = fresh.ok("domain", "records", "acme.example", "--zone").out.splitlines()
    assert 'acme.example. 3600 IN TXT "v=spf1 ip4:127.0.0.1 ~all"' in zone
    # What a person must complete is no record yet.
    assert all(line.startswith(";") for line in zone if "KEY" in line)
    fresh.ok("domain", "set", "acme.example", "--dkim-selector", "s1")
    text = fresh.config.read_text().replace("[mta own]", "[dns]\nspf_include = spf.relay.example.net\n[mta own]")
    text = text.replace("[listener submission]", "[listener submission]\nproxy_protocol = yes\ntrusted_proxies = 10.0.0.2")
    fresh.config.write_text(text)
    said = fresh.ok("domain", "records", "acme.example").out
    assert "v=spf1 include:spf.relay.example.net ~all" in said and "s1._domainkey.acme.example" in said
    assert "0 0 0 ." in said  # behind a balancer we do not know the clients' port
    assert fresh.run("domain", "records", "no.example").status == os.EX_NOUSER
