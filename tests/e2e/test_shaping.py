# SPDX-License-Identifier: Apache-2.0
"""What a provider allows and asks for holds over all workers (BEHAVIOUR R7): connections, pace, holds, the breaker; and what is known of its limits."""
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402
import scripted  # noqa: E402
import stage  # noqa: E402
from test_faults import HEAD, LOGIN, TO, first_failure, spoken  # noqa: E402

# profile -> (what its upstream does, what the profile says)
CASES = {
    "named": ({"mail": ["421 slow down, try again after 2 seconds"] + [None] * 50}, ""),
    "far": ({"mail": ["451 4.7.1 rate limit: try again after 90 seconds"] + [None] * 50}, ""),
    "pace": ({}, "per_minute = 5\n"),
    "narrow": ({"dot": scripted.then(scripted.pause(0.2), "250 2.0.0 Ok")}, "max_connections = 2\n"),
    "breaker": ({"auth": "535 5.7.8 wrong"}, "username = postmaster@fine.example\npassword_file = @PASSWORD@\n"),
    "reconnect": ({"mail": [None, "421 Connection closed by server. Maximum message count per session reached.", None, None]},
                  "provider = ses\nusername =\n"),
    "reject": ({"mail": "550 5.4.5 daily sending quota exceeded"}, "on_quota = reject\n"),
    "fifty": ({}, "provider = postmark\nusername =\n"),
}


class Theatre:
    def __init__(self, folder):
        self.ups, sections, hashed = {}, [], dialog.fast_hash(dialog.PASSWORD)
        for key, (on, says) in CASES.items():
            self.ups[key] = scripted.Scripted(on, users=LOGIN if key == "breaker" else None).start()
            sections.append(f"[profile many/{key}]\nhost = 127.0.0.1\nport = {self.ups[key].port}\ntls = none\n{says}"
                            f"[domain {key}.example]\naccount = many\nroute = {key}\n")
        self.rig = dialog.Rig(folder, workers=2, upstream_ports=sorted(u.port for u in self.ups.values()))
        b = self.rig.byway
        b.folder.mkdir(parents=True, exist_ok=True)
        password = b.secret("upstream.pw", LOGIN["postmaster@fine.example"])
        self.rig.directory = ("[account many]\nplan = agency\n" + "\n".join(sections).replace("@PASSWORD@", str(password))
                              + f"[domain fine.example]\naccount = many\n[mailbox me@fine.example]\npassword_hash = {hashed}\n")
        self.rig.start()

    def send(self, key):
        """A message in a session of its own, by whichever worker: what was said that is no success, or None."""
        with self.rig.user("me@fine.example") as c:
            return first_failure(spoken(c, f"me@{key}.example", HEAD + b"words\r\n", False))

    def stop(self):
        try:
            self.rig.stop()
        finally:
            for up in self.ups.values():
                up.stop()


@pytest.fixture(scope="module")
def theatre(tmp_path_factory):
    t = Theatre(tmp_path_factory.mktemp("shaping") / "byway")
    try:
        yield t
    finally:
        t.stop()


def test_R7_a_short_hold_is_waited_for(theatre):
    assert theatre.send("named").startswith("451")
    began = time.monotonic()
    assert [theatre.send("named") for _ in range(3)] == [None] * 3
    assert 1 < time.monotonic() - began < 6 * stage.SLOW


def test_R7_a_long_hold_is_told(theatre):
    assert theatre.send("far").startswith("451 4.4.5")
    peers = len(theatre.ups["far"].peers)
    for _ in range(6):  # whichever worker
        assert theatre.send("far").startswith("451 4.4.5 ")
    assert len(theatre.ups["far"].peers) == peers and not theatre.ups["far"].messages
    health = theatre.rig.byway.cli("profile", "health", "many/far", json_out=True)
    assert health["class"] == "rate" and 60 < health["held_s"] <= 90 and health["failing_since"]


def test_R7_a_pace_over_all_workers(theatre):
    said = [theatre.send("pace") for _ in range(6)]
    assert 1 <= said.count(None) <= 3 and all(s is None or s.startswith("451 4.4.5") for s in said)


def test_R7_connections_over_all_workers(theatre):
    up, said = theatre.ups["narrow"], []
    threads = [threading.Thread(target=lambda: said.append(theatre.send("narrow"))) for _ in range(12)]
    [t.start() for t in threads]
    most = 0
    while any(t.is_alive() for t in threads):
        most = max(most, sum(p.end is None for p in up.peers))
        time.sleep(0.01)
    assert said == [None] * 12 and len(up.messages) == 12 and most <= 2


def test_R7_the_breaker_is_everybodys(theatre):
    said = {theatre.send("breaker") for _ in range(12)}
    assert {s[:9] for s in said} == {"550 5.3.5"}
    assert len(theatre.ups["breaker"].peers) == 3
    health = theatre.rig.byway.cli("profile", "health", "many/breaker", json_out=True)
    assert health["refusals"] == 3 and health["closed_s"] > 250 and health["class"] == "auth"
    assert "failing since" in theatre.rig.byway.cli("profile", "health", "many/breaker")


def test_R7_a_session_that_is_full_upstream_is_replaced_unseen(theatre):
    with theatre.rig.user("me@fine.example") as c:
        for _ in range(3):
            assert first_failure(spoken(c, "me@reconnect.example", HEAD + b"words\r\n", False)) is None
    assert len(theatre.ups["reconnect"].messages) == 3 and len(theatre.ups["reconnect"].peers) == 3


def test_R7_a_quota_may_be_refused(theatre):
    assert theatre.send("reject").startswith("550 5.7.0 daily sending quota exceeded")


@pytest.mark.parametrize("pipelined", [False, True], ids=["step", "piped"])
def test_R7_recipients_that_the_provider_allows(theatre, pipelined):
    up, rcpts = theatre.ups["fifty"], [f"RCPT TO:<r{n}@elsewhere.example>" for n in range(53)]
    with theatre.rig.user("me@fine.example") as c:
        c.say("MAIL FROM:<me@fifty.example>")
        if pipelined:
            c.send("".join(f"{r}\r\n" for r in rcpts))
            said = [c.reply() for _ in rcpts]
        else:
            said = [c.say(r) for r in rcpts]
        assert c.say("DATA").startswith("354")
        c.send(HEAD + b"words\r\n.\r\n")
        assert c.reply().startswith("250")
    assert all(s.startswith("250") for s in said[:50]) and all(s.startswith("452 4.5.3 ") for s in said[50:])
    assert len(up.messages[-1]["to"]) == 50


def test_R7_a_size_that_the_provider_allows(theatre):
    with theatre.rig.user("me@fine.example") as c:
        # The preset knows it: said at MAIL (P9).
        assert c.say("MAIL FROM:<me@fifty.example> SIZE=11000000").startswith("552 5.2.3")
        c.say("MAIL FROM:<me@fifty.example>")
        c.say(f"RCPT TO:<{TO[0]}>")
        assert c.say("DATA").startswith("354")
        c.send(HEAD + b"0123456789 some words that fill a line\r\n" * 300000 + b".\r\n")
        assert c.reply().startswith("552 5.2.3")
