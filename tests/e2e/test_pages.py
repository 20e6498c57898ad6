# SPDX-License-Identifier: Apache-2.0
"""The pages in Chromium, before a real daemon and its real API: what they show, without a fault of policy, console or access."""
import json
import os
import re
import smtplib
import ssl
import subprocess
from pathlib import Path

import pages_dev
import pytest
import stage

NODE = {**os.environ, "NODE_PATH": os.environ.get("NODE_PATH") or str(stage.ROOT / "build/node/node_modules")}
SCHEMES, WIDTHS = ["light", "dark"], [360, 768, 1440]
PICTURES = os.environ.get("PAGES_PICTURES")  # a folder for pictures of all, to be looked at
BANNERS = {
    "unpaid": "There is a billing issue with your account. Please update payment details or contact support.",
    "bounced": "We've temporarily paused outbound mail because too many of your recent messages were rejected by recipient servers. "
               "This is usually a quick fix — please reach out to support and we'll help you get sending again.",
    "barred": "Your account is temporarily restricted. Please contact support for details.",
    "unsure": "Sending blocked — please verify your email.",
}
OWNER_PATHS = ["/", "/smtp", "/smtp/new", "/smtp/mailgun", "/domains", "/domains/bakery.example", "/mailboxes", "/mailboxes/ann@bakery.example",
               "/mailboxes/news@bakery.example", "/account"]
OPERATOR_PATHS = ["/ops", "/ops/accounts", "/ops/trace", "/ops/config", "/ops/accounts/bakery", "/ops/accounts/bakery/mailboxes/news@bakery.example"]


@pytest.fixture(scope="module")
def sample(folder, stack):
    sample = pages_dev.Sample(folder)
    stack.callback(sample.stop)
    for n in range(3):
        assert sample.send("ann@bakery.example", f"guest{n}@x.example") == {}
        assert sample.send("orders@bakery.example", "gone@x.example")
    return sample


@pytest.fixture(scope="module")
def pages(sample, stack):
    pages = pages_dev.Pages(sample)
    stack.callback(pages.stop)
    return pages


def walk(pages, *walks, script="pages.js"):
    done = subprocess.run(["node", stage.ROOT / "tests/lib" / script, pages.url, PICTURES or "-"], input=json.dumps(walks), text=True,
                          capture_output=True, timeout=300 * stage.SLOW, env=NODE, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sound(seen):
    """Nothing that no page may have."""
    for page in seen:
        at = (page["path"], page["scheme"], page["width"])
        assert page["errors"] == [], at
        assert page["axe"] == [], at
        assert page["wide"] <= 0, f"{at}: wider than its window by {page['wide']}"
        assert page["cut"] == [], at
        assert page["scripts"] == page["styles"] == 0, at
        assert not re.search(r"falsefalse|undefined|\bnull\b|\[object|NaN", page["text"]), (at, page["text"])
        assert page["title"].endswith(" - Byway") and not page["title"].startswith("Not "), at
    return seen


def test_strangers(pages):
    """Who is not signed in: the pages that are for them, and from any other to the first of these. Chromium itself logs the 401."""
    seen = walk(pages, {"name": "stranger", "paths": ["/sign-in", "/invitation#x", "/verify#x", "/"], "schemes": SCHEMES, "widths": WIDTHS,
                        "keyboard": True})
    for page in seen:
        if page["path"] == "/":
            assert [error for error in page["errors"] if "401" not in error] == [] != page["errors"]
            page["errors"] = []
    sound(seen)
    assert all(not page["keys"]["missed"] and not page["keys"]["dim"] for page in seen), seen
    assert {page["title"] for page in seen if page["path"] == "/"} == {"Sign in - Byway"}


def test_owner(pages):
    seen = sound(walk(pages, {"name": "owner", "link": pages.link("ann@bakery.example"), "paths": OWNER_PATHS, "schemes": SCHEMES,
                              "widths": WIDTHS}))
    first = seen[0]["text"]
    assert "3 of 500" in first and "3 of 6,000" in first and "550 5.1.1 No such user here" in first, first
    assert "Mail of bakery.example goes by mailgun" in first and "Today, the busiest mailbox, ann@bakery.example" in first, first
    assert seen[0]["banner"] == ""


def test_operator(pages, sample):
    sample.send("ann@bakery.example", "traced@x.example")
    last = sample.byway.wait_event("message", to="traced@x.example")["id"]
    seen = sound(walk(pages, {"name": "operator", "link": pages.link("ops@hoster.example"), "paths": [*OPERATOR_PATHS, f"/ops/trace?id={last}"],
                              "schemes": SCHEMES, "widths": WIDTHS}))
    text = {page["path"]: page["text"] for page in seen}
    for worker in sample.byway.workers():
        assert str(worker) in text["/ops"], text["/ops"]
    assert "submissions" in text["/ops"] and "sender_ok" in text["/ops"]
    assert "traced@x.example" in text[f"/ops/trace?id={last}"]
    assert "unpaid" in text["/ops/accounts"] and "suspended-billing" in text["/ops/accounts"]
    assert "ctl.sock" in text["/ops/config"]
    assert "For operators" in text["/ops/accounts/bakery"]


def test_operator_suspends_and_resumes(pages, sample):
    """Check 7: suspended on the operator's page, told on the owner's, and ended."""
    operator, owner = pages.link("ops@hoster.example"), pages.link("ann@bakery.example")
    walk(pages, {"link": operator, "steps": [
        ["open", "/ops/accounts"],
        ["type", "Search", "ann@bak"],
        ["press", "bakery"],
        ["choose", "Reason", "deliverability"],
        ["press", "Suspend"],
        ["press", "Resume the account"],
        ["press", "Suspend"],
        ["see", BANNERS["unpaid"]],
    ]}, {"link": owner, "steps": [["see", BANNERS["unpaid"]]]})
    assert sample.byway.cli("account", "show", "bakery", json_out=True)["state"] == "suspended-billing"
    (seen,) = walk(pages, {"link": pages.link("ops@hoster.example"), "steps": [
        ["open", "/ops/accounts/bakery"], ["press", "Resume the account"], ["see", "Suspend"]]})
    assert sample.byway.cli("account", "show", "bakery", json_out=True)["state"] == "active"


def test_owners_see_nothing_of_operators_and_others(pages):
    for path in ("/ops", "/ops/accounts/bakery", "/no/such/page"):
        (seen,) = walk(pages, {"link": pages.link("ann@bakery.example"), "paths": [path], "axe": False})
        assert seen["title"] == "Not found - Byway", seen
    (seen,) = walk(pages, {"link": pages.link("ann@bakery.example"), "paths": ["/?account=nano"], "axe": False})
    assert "Overview of bakery" in seen["text"]


@pytest.mark.parametrize("who,paths", [("ann@bakery.example", OWNER_PATHS), ("ops@hoster.example", OPERATOR_PATHS)])
def test_keyboard(pages, who, paths):
    """Tab reaches all that can be pressed or typed into, and shows where it is."""
    for page in walk(pages, {"link": pages.link(who), "paths": paths, "keyboard": True, "axe": False}):
        assert page["keys"]["met"][0] == "To the content", page
        assert page["keys"]["missed"] == [] and page["keys"]["dim"] == [], (page["path"], page["keys"])


def test_banners(pages):
    """T's words, the worst alone, on every page."""
    link = pages.link("all@hoster.example")
    seen = sound(walk(pages, {"name": "banner", "link": link, "paths": [f"/?account={name}" for name in BANNERS], "schemes": SCHEMES}))
    assert {(page["path"].partition("=")[2], page["banner"].split("\n")[0]) for page in seen} == set(BANNERS.items())


def test_accounts_are_switched(pages):
    (seen,) = walk(pages, {"link": pages.link("all@hoster.example"), "steps": [
        ["choose", "Account", "tiny"], ["press", "Switch"], ["see", "Overview of tiny"], ["press", "Mailboxes"], ["see", "tim@tiny.example"]]})
    assert seen["url"] == f"{pages.url}/mailboxes?account=tiny"


def test_nano(pages):
    (seen,) = sound(walk(pages, {"name": "nano", "link": pages.link("nora@nano.example"), "paths": ["/"]}))
    assert "Your plan does not send" in seen["text"] and "SMTP Settings" in seen["text"]


def test_a_link_works_once(pages):
    link = pages.link("ann@bakery.example")
    walk(pages, {"link": link, "paths": ["/"], "axe": False})
    path = link.removeprefix(pages.url)
    (seen,) = walk(pages, {"paths": [path], "axe": False})
    assert seen["title"] == "Sign in - Byway" and "This link was used already" in seen["text"], seen


def test_check_9_smtp_settings_are_broken_and_mended(pages, sample):
    """A wrong password is tried, the first failing step told in the server's words; the right one is tried, then saved."""
    walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/smtp/mailgun"],
        ["type", "Password or key", "wrong"],
        ["press", "Test and save"],
        ["see", "It fails at auth"],
        ["see", "535 5.7.8"],
        ["picture", "test-fails"],
        ["type", "Password or key", pages_dev.PASSWORD],
        ["press", "Test"],
        ["see", "The profile works."],
        ["picture", "test-works"],
        ["press", "Test and save"],
        ["see", "Routes"],
    ]})
    assert sample.byway.cli("profile", "show", "bakery/mailgun", json_out=True)["port"] == sample.upstream.port
    assert any(message["to"] == ["ann@bakery.example"] for message in sample.upstream.messages)


def test_a_profile_is_made_from_a_preset_and_used(pages, sample):
    walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/smtp/new"],
        ["mark", "Twilio SendGrid"],
        ["see", "The word apikey, for everybody."],
        ["picture", "new-sendgrid"],
        ["choose", "Region", "smtp.eu.sendgrid.net"],
        ["type", "Password or key", "SG.secret"],
        ["press", "Save without a test"],
        ["see", "smtp.eu.sendgrid.net:587"],
        ["choose", "Route of shop.bakery.example", "sendgrid"],
        ["press", "Save routes"],
        ["see", "The routes are saved."],
        ["choose", "Route of shop.bakery.example", "inherit"],
        ["press", "Save routes"],
        ["open", "/smtp/sendgrid"],
        ["unfold", "Remove this profile"],
        ["press", "Remove this profile"],
        ["see", "New profile"],
    ]})
    assert {row["name"] for row in sample.byway.cli("profile", "list", json_out=True)} >= {"bakery/mailgun", "bakery/postmark"}
    assert sample.byway.cli("profile", "show", "bakery/sendgrid", check=False).returncode != 0


def test_check_1_an_owner_confirms_the_address(pages, sample):
    """The banner's button sends the link, the link unlocks, and works once."""
    walk(pages, {"link": pages.link("all@hoster.example"), "steps": [
        ["open", "/?account=unsure"],
        ["press", "Resend verification email"],
        ["see", "The email is on its way"],
    ]})
    path = pages.mailed.removeprefix(pages.url)
    walk(pages, {"steps": [["open", path], ["press", "Confirm"], ["see", "sending is unlocked"]]})
    assert sample.byway.cli("account", "show", "unsure", json_out=True)["owner_verified"] is True
    (seen,) = walk(pages, {"link": pages.link("all@hoster.example"), "paths": ["/?account=unsure"], "axe": False})
    assert seen["banner"] == ""
    walk(pages, {"steps": [["open", path], ["press", "Confirm"], ["see", "This link is not the latest one, or was used"]]})
    sample.byway.cli("account", "set", "unsure", "--owner-verified", "no")


def test_check_3_nano_sends_through_a_provider_of_its_own(pages, sample):
    sample.upstream.take()
    walk(pages, {"link": pages.link("nora@nano.example"), "steps": [
        ["see", "Your plan does not send"],
        ["press", "Use your own provider: SMTP Settings"],
        ["press", "New profile"],
        ["type", "Name", "own"],
        ["type", "Host", "localhost"],
        ["choose", "Port and encryption", "other"],
        ["type", "Port", str(sample.upstream.port)],
        ["choose", "Encryption", "none"],
        ["type", "User name", "relay"],
        ["type", "Password or key", pages_dev.PASSWORD],
        ["press", "Test and save"],
        ["choose", "Route of the account", "own"],
        ["press", "Save routes"],
        ["see", "The routes are saved."],
        ["open", "/"],
        ["see", "Your provider own sends your mail."],
    ]})
    assert sample.send("nora@nano.example", "guest@x.example") == {}
    sample.byway.cli("route", "set", "nano", "inherit")
    sample.byway.cli("profile", "remove", "nano/own")


def test_checks_4_and_5_limits_and_what_is_used_of_them(pages, sample):
    for n in range(3):
        sample.send("tim@tiny.example", f"guest{n}@x.example")
    (seen,) = walk(pages, {"link": pages.link("all@hoster.example"), "steps": [
        ["open", "/mailboxes/tim@tiny.example?account=tiny"],
        ["see", "2 of 2, "],
        ["see", "4. Daily or hourly sending limit hit"],
        ["see", "Up to 2 recipients per message"],
        ["picture", "limit"],
        ["open", "/account?account=tiny"],
    ]})
    assert re.search(r"Recipients of a message\n2\b", seen["text"]), seen["text"]


def test_mailboxes_out_of_a_file(pages, sample):
    csv = '\ufeffEmail;Password\r\n"one@bakery.example";"a ""long"" password; with all"\r\ntwo@bakery.example;\r\nno@where.example;x\r\n'
    (seen,) = walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/mailboxes"], ["unfold", "Import a CSV file"], ["file", "CSV file", csv], ["press", "Import"],
        ["see", "2 done, 1 not."], ["see", "there is no domain where.example"], ["picture", "imported"]]})
    made = re.search(r"two@bakery.example\s+(\w{20})\s+done", seen["text"]).group(1)
    for name, password in (("one", 'a "long" password; with all'), ("two", made)):
        with smtplib.SMTP_SSL("127.0.0.1", sample.byway.ports["tls"], context=ssl._create_unverified_context()) as client:
            assert client.login(f"{name}@bakery.example", password)[0] == 235
        sample.byway.cli("mailbox", "remove", f"{name}@bakery.example")


def test_a_viewer_changes_nothing(pages):
    """No page offers a viewer what the API would refuse."""
    for page in walk(pages, {"link": pages.link("vic@bakery.example"), "paths": OWNER_PATHS, "axe": False}):
        for word in ("Save", "Set\n", "Resume", "Pause\n", "Remove", "Verify DNS", "Add mailbox", "New profile", "Test"):
            assert word not in page["text"], (page["path"], word, page["text"])


def test_a_stored_password_counts_for_its_own_server_only(pages):
    walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/smtp/postmark"],
        ["see", "Leave it empty to keep the one that is set."],
        ["type", "Host", "smtp.elsewhere.example"],
        ["unfold", "More"],
        ["see", "with another server or user name it is needed again"],
        ["press", "Save without a test"],
        ["picture", "bound"],
        ["see", "It is needed again for another server or user name"],
    ]})


def test_what_others_changed_is_not_overwritten(pages, sample):
    walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/smtp/postmark"],
        ["call", "PATCH", "/v1/accounts/bakery/profiles/postmark", 200, {"per_minute": 7}],
        ["press", "Save without a test"],
        ["see", "Somebody changed this meanwhile."],
    ]})
    assert sample.byway.cli("profile", "show", "bakery/postmark", json_out=True)["per_minute"] == 7


def test_signing_in_by_password_leads_back_and_nowhere_else(pages):
    for to, at in (("/domains?account=bakery", "/domains?account=bakery"), ("//evil.example/", "/"), ("/%09/evil.example", "/"),
                   ("https://evil.example/x", "/"), ("/%5Cevil.example", "/"), ("javascript:alert(1)", "/")):
        (seen,) = walk(pages, {"steps": [
            ["open", f"/sign-in?to={to}"],
            ["type", "Address", "ann@bakery.example"],
            ["type", "Password", "wrong"],
            ["press", "Sign in"],
            ["see", "The address or the password is wrong"],
            ["type", "Password", pages_dev.PASSWORD],
            ["press", "Sign in"],
            ["see", "Sign out"],
        ]})
        assert seen["url"] == pages.url + at, (to, seen["url"])


def test_names_are_text(pages, sample):
    """What others may have written is shown as it is, and is never part of the page."""
    bad = "<img src=x onerror=alert(1)>&amp;"
    sample.upstream.refuse["bad@x.example"] = f"550 5.1.1 {bad}"
    assert sample.send("ann@bakery.example", "bad@x.example")
    (seen,) = sound(walk(pages, {"link": pages.link("ann@bakery.example"), "paths": ["/"]}))
    assert bad in seen["text"], seen["text"]


def test_check_2_a_domain_is_looked_up(pages):
    walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/domains/shop.bakery.example"],
        ["see", "Domain not verified"],
        ["press", "Verify DNS"],
        ["see", "Set what is wanted at your DNS provider, then verify again."],
        ["picture", "domain-missing"],
    ]})
    walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/domains/bakery.example"],
        ["press", "Verify DNS"],
        ["see", "All that is required was found."],
        ["picture", "domain-found"],
    ]})


def test_check_6_a_pause_is_ended_by_whose_it_is(pages, sample):
    """Own pauses are ended; abuse's are not, in the page nor by the call behind it."""
    state = lambda name: sample.byway.cli("mailbox", "show", name, json_out=True)["state"]
    walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/mailboxes/till@bakery.example"],
        ["see", "Paused by you"],
        ["see", "Authentication failed"],
        ["press", "Resume"],
        ["see", "It can log in and send."],
        ["press", "Pause"],
        ["see", "It cannot log in until it is resumed."],
        ["open", "/mailboxes/news@bakery.example"],
        ["see", "Paused: abuse"],
        ["see", "contact support"],
        ["off", "Resume"],
        ["call", "POST", "/v1/accounts/bakery/mailboxes/news@bakery.example/resume", 409],
        ["picture", "paused"],
    ]})
    assert (state("till@bakery.example"), state("news@bakery.example")) == ("paused-owner", "paused-abuse")


def test_check_8_a_password_is_made_and_shown_once(pages, sample):
    (seen,) = walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/mailboxes"],
        ["type", "Address", "new@bakery.example"],
        ["press", "Add mailbox"],
        ["see", "It is shown this once:"],
        ["picture", "made"],
    ]})
    made = re.search(r"shown this once:\n+(\S+)", seen["text"]).group(1)
    with smtplib.SMTP_SSL("127.0.0.1", sample.byway.ports["tls"], context=ssl._create_unverified_context()) as client:
        assert client.login("new@bakery.example", made)[0] == 235
    (seen,) = walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/mailboxes/new@bakery.example"],
        ["press", "Set"],
        ["see", "It is shown this once:"],
        ["open", "/mailboxes/new@bakery.example"],
    ]})
    assert made not in seen["text"] and "shown this once" not in seen["text"]
    sample.byway.cli("mailbox", "remove", "new@bakery.example")


def test_mistakes_stand_at_their_fields(pages):
    (seen,) = walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/smtp/new"],
        ["type", "Name", "a b"],
        ["type", "Host", "not a host"],
        ["press", "Save without a test"],
        ["see", "not a host name or IP address: one name without blanks"],
        ["picture", "mistakes"],
    ]})
    assert seen["url"].endswith("/smtp/new") and "host: not" not in seen["text"], seen


def test_what_cannot_be_reached_is_said(pages, sample):
    """Without the daemon pages show what is set up; without any server what was typed stays."""
    sample.byway.steady = False
    sample.byway.stop()
    seen = walk(pages, {"link": pages.link("ann@bakery.example"), "paths": ["/", "/smtp", "/mailboxes", "/mailboxes/ann@bakery.example"], "axe": False},
                {"link": pages.link("ops@hoster.example"), "paths": ["/ops"], "axe": False})
    sample.byway.start()
    text = {page["path"]: page["text"] for page in seen}
    assert "The mail service does not answer now" in text["/"] and "Mail of bakery.example goes by" not in text["/"]
    assert "smtp.postmarkapp.com" in text["/smtp"] and "till@bakery.example" in text["/mailboxes"]
    assert "is bywayd running?" in text["/mailboxes/ann@bakery.example"] and "The daemon does not answer" in text["/ops"]
    (seen,) = walk(pages, {"link": pages.link("ann@bakery.example"), "steps": [
        ["open", "/mailboxes"], ["offline", True], ["type", "Address", "late@bakery.example"], ["press", "Add mailbox"],
        ["see", "The server cannot be reached. Nothing was changed"], ["offline", False], ["press", "Add mailbox"], ["see", "It is shown this once:"]]})
    sample.byway.cli("mailbox", "remove", "late@bakery.example")


def test_sizes():
    """Nothing of others, and not much of ours."""
    files = list(Path(pages_dev.PAGES).iterdir())
    assert {file.suffix for file in files} == {".html", ".css", ".js"}
    assert (pages_dev.PAGES / "style.css").stat().st_size <= 12 * 1024
    assert sum(file.stat().st_size for file in files) <= 128 * 1024
    for file in files:
        text = file.read_text()
        for bad in ("innerHTML", "eval(", "document.write", "insertAdjacentHTML", " style="):
            assert bad not in text, (file, bad)
