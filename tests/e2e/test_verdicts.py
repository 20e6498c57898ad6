# SPDX-License-Identifier: Apache-2.0
"""What providers say, word for word, at the phase where they say it, through the whole proxy: the client hears what the class means (BEHAVIOUR 7), and never a
code that means something else to it. The words are a table of facts beside the project, ../shared/providers/replies.tsv, or BYWAY_REPLIES.
"""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import dialog  # noqa: E402
import scripted  # noqa: E402
import stage  # noqa: E402
from test_faults import HEAD, LOGIN, TO, assert_safe, first_failure, spoken  # noqa: E402

FACTS = Path(os.environ.get("BYWAY_REPLIES") or stage.ROOT.parent / "shared/providers/replies.tsv")
WHERE = {"any": ("mail", "rcpt", "data", "dot"), "DATA": ("data", "dot"), "MAIL": ("mail",), "RCPT": ("rcpt",), "AUTH": ("auth",)}
# class of the table -> what the client hears, and whether with the provider's words
TOLD = {
    "auth": ("554 5.3.5 Your SMTP provider did not accept the stored credentials", False), "account": ("554 5.7.0 ", True),
    "sender": ("550 5.7.1 ", True), "quota": ("451 4.7.0 ", True), "rate": ("451 4.4.5 ", True), "temp": ("451 4.3.0 ", False),
    "config": ("451 4.3.5 ", False), "size": ("552 5.2.3 ", True), "content": ("554 5.7.1 ", True), "malformed": ("554 5.6.0 ", True),
    "reconnect": ("451 4.4.2 ", False), "rcpt_syntax": (None, True), "rcpt_bad": (None, True)}


def cells():
    if not FACTS.exists():
        return
    for number, line in enumerate(FACTS.read_text().splitlines(), 1):
        row = line.split("\t")
        if line.startswith("#") or row[1] != "smtp":
            continue
        provider, _, phase, code, words, class_ = row[:6]
        for where in WHERE[phase]:
            yield f"{provider}-{number}-{where}", provider, where, f"{code if code != '-' else '550'} {words} - see our help pages", class_


CELLS = list(cells())

# Words of hosts that are no preset, as people have reported them, and what the client hears first that is no success.
CUSTOM = {
    "d01-dot": ("dot", "550 Domain example.com has exceeded the max emails per hour (100/100 (100%)) allowed.  Message discarded.", "451 4.7.0 Domain"),
    "d01-rcpt": ("rcpt", "550 Domain example.com has exceeded the max emails per hour (100/100 (100%)) allowed.  Message discarded.", "451 4.7.0 Domain"),
    "d04": ("dot", "552 Message would take you over your relay quota of 500 Current quota used: 487", "451 4.7.0 Message"),
    "d07": ("dot", "550 sorry, too many emails (#5.7.1)", "451 4.4.5 sorry"),
    "d08": ("dot", "450 4.7.1 <END-OF-MESSAGE>: End-of-data rejected: Number messages per hour exceeded", "451 4.4.5 "),
    "d09-dot": ("dot", '451 4.7.1 Ratelimit "user" exceeded', "451 4.4.5 "), "d09-rcpt": ("rcpt", '451 4.7.1 Ratelimit "user" exceeded', "451 4.4.5 "),
    "d10": ("dot", '550 "Daily limit has been exceeded for user@example.com"', "451 4.7.0 "),
    "d14": ("dot", "550 5.4.6 Unusual sending activity detected.", "554 5.7.0 Unusual"),
    "d15": ("dot", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", "451 4.7.0 "),
    "d16": ("auth", "535 5.7.8 Error: authentication failed: Connection lost to authentication server", "451 4.3.0 "),
    "d16b": ("auth", "454 4.7.0 Temporary authentication failure: Connection lost to authentication server", "451 4.3.0 "),
    "d16e-1": ("auth", "535 5.7.8 Error: authentication failed: generic failure", "451 4.3.0 "),
    "d16e-2": ("auth", "535 Authentication failed: temporary server error, try again later", "451 4.3.0 "),
    "d16e-3": ("auth", "550 5.7.1 Authentication temporarily unavailable", "451 4.3.0 "),
    "d17": ("mail", "450 4.7.1 Error: too much mail from 192.0.2.1", "451 4.4.5 "),
    "d19": ("dot", "550 User has exceeded outgoing email quota", "451 4.7.0 "), "d19b": ("dot", "452 4.5.3 Too many messages", "451 4.4.5 "),
    "d19c": ("dot", "451 4.7.1 Hourly limit exceeded", "451 4.7.0 "), "d20": ("dot", "432 4.3.2 Concurrent connections limit exceeded.", "451 4.4.5 "),
    "d23": ("rcpt", "450 Too many recipient attempts", "451 4.4.5 "),
    "d24": ("rcpt", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "451 4.3.5 "),
    "d25-1": ("rcpt", "550 5.7.1 Relaying denied. Proper authentication required.", "451 4.3.5 "),
    "d25-2": ("rcpt", "554 5.7.1 <you@elsewhere.example>: Relay access denied", "451 4.3.5 "),
    "d25-3": ("rcpt", "550 5.7.1 Authentication required", "451 4.3.5 "), "d25d": ("mail", "503 5.5.4 Error: send AUTH command first.", "451 4.3."),
    "d27": ("dot", "554 5.7.0 Message Size Violation", "552 5.2.3 "), "d27c-1": ("dot", "552 5.2.0 message content rejected, spam", "554 5.7.1 "),
    "d27c-2": ("dot", "552 5.2.2 mailbox of sender over quota", "554 5.7.0 "),
    "d28": ("dot", "550 5.7.1 Sender rejected: From address is not one of your addresses", "550 5.7.1 "),
    "d28b": ("dot", '501 5.6.0 "from": missing', "554 5.6.0 "), "d31": ("rcpt", f"450 4.7.1 <{TO}>: Recipient address rejected: Rate limit reached for recipient", "450 4.7.1 "),
    "d29": ("greeting", "554 5.7.1 No SMTP service for you", "451 4.3.2 "),
}


class Theatre:
    """The daemon, and for each cell an upstream, a profile of that provider's preset, and a domain."""

    def __init__(self, folder, rows):
        self.ups, sections, hashed = {}, [], dialog.fast_hash(dialog.PASSWORD)
        for key, provider, where, said, _ in rows:
            self.ups[key] = scripted.Scripted({where: said}, users=LOGIN if where == "auth" else None).start()
            sections.append(
                f"[profile many/{key}]\n" + (f"provider = {provider}\n" if provider else "") + f"host = 127.0.0.1\nport = {self.ups[key].port}\ntls = none\n"
                + ("username = postmaster@fine.example\npassword_file = @PASSWORD@\n" if where == "auth" else "username =\n")
                + f"[domain {key}.example]\naccount = many\nroute = {key}\n")
        self.rig = dialog.Rig(folder, upstream_ports=sorted(u.port for u in self.ups.values()))
        b = self.rig.byway
        b.folder.mkdir(parents=True, exist_ok=True)
        password = b.secret("upstream.pw", LOGIN["postmaster@fine.example"])
        self.rig.directory = ("[account many]\nplan = agency\n" + "\n".join(sections).replace("@PASSWORD@", str(password))
                              + f"[domain fine.example]\naccount = many\n[mailbox me@fine.example]\npassword_hash = {hashed}\n")
        self.rig.start()

    def stop(self):
        try:
            self.rig.stop()
        finally:
            for up in self.ups.values():
                up.stop()


@pytest.fixture(scope="module")
def theatre(tmp_path_factory):
    t = Theatre(tmp_path_factory.mktemp("verdicts") / "byway", CELLS)
    try:
        yield t
    finally:
        t.stop()


@pytest.mark.skipif(not CELLS, reason=f"no table of what providers say at {FACTS}")
@pytest.mark.parametrize("cell", CELLS or [None], ids=[c[0] for c in CELLS] or ["no table"])
def test_R7_the_client_hears_what_the_class_means(theatre, cell):
    key, _, where, spoke, class_ = cell
    with theatre.rig.user("me@fine.example") as c:
        said = spoken(c, f"me@{key}.example", HEAD + b"words\r\n", False)
        # And the session goes on.
        assert c.say("NOOP").startswith("250")
    assert_safe(said)
    refusal = first_failure(said)
    told, words = TOLD[class_]
    if told is None:
        told = spoke[:4]
    elif said.index(refusal) in (1, 2):
        told = told.replace("554", "550")
    assert refusal.startswith(told), (spoke, said)
    if words:
        assert "see our help pages" in refusal, (spoke, said)
    assert not theatre.ups[key].messages


@pytest.fixture(scope="module")
def village(tmp_path_factory):
    t = Theatre(tmp_path_factory.mktemp("custom") / "byway", [(key, None, where, said, None) for key, (where, said, _) in CUSTOM.items()])
    try:
        yield t
    finally:
        t.stop()


@pytest.mark.parametrize("key", CUSTOM)
def test_R7_words_of_any_host(village, key):
    with village.rig.user("me@fine.example") as c:
        said = spoken(c, f"me@{key}.example", HEAD + b"words\r\n", False)
        assert c.say("NOOP").startswith("250")
    assert_safe(said)
    told, refusal = CUSTOM[key][2], first_failure(said)
    if said.index(refusal) in (1, 2):
        told = told.replace("554", "550")
    assert refusal.startswith(told), said
    assert not village.ups[key].messages


def test_R7_one_recipients_rate_holds_nobody_else(village):
    """A hold would answer the second message without asking."""
    for _ in range(2):
        with village.rig.user("me@fine.example") as c:
            said = spoken(c, "me@d31.example", HEAD + b"words\r\n", False)
        assert first_failure(said).startswith("450 4.7.1 "), said


def test_R7_the_table_is_whole():
    """Every class that the table knows is one that we know, and no row was lost."""
    if not CELLS:
        pytest.skip(f"no table of what providers say at {FACTS}")
    assert len(CELLS) >= 150 and {c[4] for c in CELLS} <= set(TOLD)
