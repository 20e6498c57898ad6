# SPDX-License-Identifier: Apache-2.0
"""Hosts with several addresses, dead and sick ones among them, silent name servers, and hosts that nobody may name: BEHAVIOUR R5, R9, R10.

All in a network of its own with real black holes (tests/lib/blackhole.py).
"""
import statistics
import threading
import time

import blackhole
import dns
import https
import pytest
import scripted
import stage
from talk import Talk

pytestmark = pytest.mark.skipif(blackhole.WHY_NOT is not None, reason=str(blackhole.WHY_NOT))

PORT = 2525
GOOD, GOOD_TLS, SLOW = "10.9.0.1", "10.9.0.7", "10.9.0.9"
SICK = {"10.9.0.2": {"greeting": "421 4.3.2 too busy"}, "10.9.0.3": {"greeting": "554 5.7.1 not you"}, "10.9.0.4": {"greeting": scripted.close},
        "10.9.0.5": {"greeting": scripted.silent}, "10.9.0.8": {"auth": "535 5.7.8 wrong"}, "10.9.0.10": {"ehlo": "421 4.3.0 not now"}}
WRONG_TLS, API, API_WRONG, API_PORT = "10.9.0.6", "10.9.0.11", "10.9.0.12", 8443
OWN, OPERATORS, FORBIDDEN = "11.0.0.1", "12.0.0.2", "13.0.0.3"

# host: (AAAA, A, more of the profile). Each has black holes of its own: dead ones are remembered for all.
HOSTS = {
    "one": ([], [GOOD], ""),
    "deadone": (["fd00:9:1::11"], [GOOD], ""),
    "deadtwo": (["fd00:9:1::21", "fd00:9:1::22"], [GOOD], ""),
    "deadfour": (["fd00:9:1::31", "fd00:9:1::32"], ["10.9.1.31", GOOD], ""),
    "refused": (["fd00:9::1"], [GOOD], ""),
    "greets421": ([], ["10.9.0.2", GOOD], ""),
    "greets554": ([], ["10.9.0.3", GOOD], ""),
    "closes": ([], ["10.9.0.4", GOOD], ""),
    "silent": ([], ["10.9.0.5", GOOD], ""),
    "ehlo421": ([], ["10.9.0.10", GOOD], ""),
    "badcert": ([], [WRONG_TLS, GOOD_TLS], "tls = starttls\n"),
    "plain": ([], [GOOD, GOOD_TLS], "tls = starttls\n"),
    "telling": (["fd00:9:1::41"], ["10.9.0.5", "10.9.0.3", "10.9.0.4"], ""),
    "auth": ([], ["10.9.0.8", SLOW], "username = u\npassword_file = @PASSWORD@\n"),
    "operator": ([], [OPERATORS], "tls = starttls\n"),
    "machine": ([], [OWN], "tls = starttls\n"),
    "forbidden": ([], [FORBIDDEN], "tls = starttls\n"),
    "quiet": ([], [GOOD], ""),
    "apidead": (["fd00:9:1::51"], [API], "api"),
    "apitwo": (["fd00:9:1::61", "fd00:9:1::62"], [API], "api"),
    "apihole": ([], ["10.9.1.71", API], "api"),
    "apicert": ([], [API_WRONG, API], "api"),
}
MAILGUN = f"provider = mailgun\ntransport = api\nport = {API_PORT}\nusername = mg.one.example\npassword_file = @PASSWORD@\ntls = implicit\n"
HOLES = [a for six, four, _ in HOSTS.values() for a in six + four if a.startswith(("fd00:9:1:", "10.9.1."))]
SILENT = 26


@pytest.fixture(scope="module")
def servers(stack):
    stack.enter_context(blackhole.Network(
        addresses=[GOOD, GOOD_TLS, SLOW, WRONG_TLS, API, API_WRONG, "fd00:9::1", OWN, *SICK], holes=[*HOLES, OPERATORS, FORBIDDEN]))
    return {}


@pytest.fixture(scope="module")
def names(stack, servers):
    zone = {f"{h}.test": {"AAAA": six, "A": four} for h, (six, four, _) in HOSTS.items()}
    zone |= {f"s{i}.test": dns.SILENT for i in range(SILENT)}
    zone |= {"mta.operator.test": {"A": [OPERATORS]}, "machine.operator.test": {"A": [OWN]}}
    return stack.enter_context(dns.Server(zone))


@pytest.fixture(scope="module")
def byway(folder, stack, servers, names, stage_byway):
    right = stage.certificate(folder / "right", names=("badcert.test", "plain.test", *(f"{h}.test" for h in HOSTS if h.startswith("api"))))
    wrong = stage.certificate(folder / "wrong", names=("other.test",))
    for host, on in SICK.items():
        servers[host] = stack.enter_context(scripted.Scripted(on, host=host, port=PORT, users={"u": "secret"} if "auth" in on else None))
    servers[GOOD] = stack.enter_context(scripted.Scripted(host=GOOD, port=PORT))
    servers[OWN] = stack.enter_context(scripted.Scripted(host=OWN, port=PORT))
    servers[SLOW] = stack.enter_context(scripted.Scripted(host=SLOW, port=PORT, users={"u": "secret"}))
    servers[GOOD_TLS] = stack.enter_context(scripted.Scripted(host=GOOD_TLS, port=PORT, tls="starttls", pair=right))
    servers[WRONG_TLS] = stack.enter_context(scripted.Scripted(host=WRONG_TLS, port=PORT, tls="starttls", pair=wrong))
    servers[API] = stack.enter_context(https.Api(right, at=(API, API_PORT)))
    servers[API].say(200, {"id": "<1@x>", "message": "Queued. Thank you."})
    stack.enter_context(https.Api(wrong, at=(API_WRONG, API_PORT)))
    b = stage.Byway(folder / "byway", workers=1, settings={
        "dns": {"resolver": names.address},
        "upstream": {"allow_networks": "10.9.0.0/16 fd00:9::/32", "allow_ports": f"{PORT} {API_PORT}", "deny_networks": "13.0.0.0/8", "connect_timeout": "4s",
                     "greeting_timeout": "8s"},
        "mta one": {"host": "mta.operator.test", "port": PORT, "tls": "none"},
        "mta two": {"host": "machine.operator.test", "port": PORT, "tls": "none"}})
    b.folder.mkdir(parents=True, exist_ok=True)
    password = b.secret("pw", "secret")
    text = "[plan wide]\ncan_send = yes\nmailbox_day = 1000000\naccount_day = 1000000\naccount_hour = 1000000\n"
    for host, (_, _, more) in {**HOSTS, **{f"s{i}": ([], [], "") for i in range(SILENT)}}.items():
        account = "noisy" if host in {f"s{i}" for i in range(SILENT)} else host
        api, more = more == "api", MAILGUN if more == "api" else more
        plan = "nano" if host in ("operator", "machine", "forbidden") else "wide"
        if f"[account {account}]" not in text:
            text += f"[account {account}]\nplan = {plan}\nowner_verified = yes\n"
        tls = "" if "tls" in more else "tls = none\n"
        ca = f"ca_file = {right[0]}\n" if "tls" in more else ""
        text += (f"[profile {account}/{host}]\nhost = {host}.test\n" + (f"port = {PORT}\n" if not api else "") + f"{tls}{ca}{more}"
                 + f"[domain {host}.example]\naccount = {account}\nroute = {host}\n[mailbox me@{host}.example]\npassword_file = {password}\n")
    return stage_byway(b, text.replace("@PASSWORD@", str(password)))


def login(byway, host):
    return Talk(byway, "tls", login=(f"me@{host}.example", "secret"))


def send(byway, host, talk=None):
    """(what RCPT or the end heard, seconds from MAIL to it)."""
    with talk or login(byway, host) as talk:
        began = time.monotonic()
        heard = talk.cmd(f"MAIL FROM:<me@{host}.example>")
        if heard.code == 250:
            heard = talk.cmd("RCPT TO:<you@elsewhere.example>")
        if heard.code == 250 and talk.cmd("DATA").code == 354:
            talk.raw("Subject: x\r\n\r\nx\r\n.\r\n")
            heard = talk.read()
        return str(heard), time.monotonic() - began


@pytest.fixture(scope="module")
def usual(byway, servers):
    """Seconds of a message by a host with one good address, a new connection included."""
    taken = []
    for _ in range(4):
        servers[GOOD].fresh()
        taken.append(send(byway, "one")[1])
    return max(taken[1:])


@pytest.mark.parametrize("host, starts", [("deadone", 1), ("deadtwo", 1), ("deadfour", 3), ("refused", 0)])
def test_R9_a_dead_address_costs_a_start(byway, usual, host, starts):
    heard, first = send(byway, host)
    assert heard.startswith("250"), heard
    assert 0.25 * starts <= first < 0.25 * starts + 0.25 + 10 * usual * stage.SLOW
    print(f"{host}: {first:.3f} s, usual {usual:.3f} s")


@pytest.mark.parametrize("host", ["greets421", "greets554", "closes", "ehlo421", "silent", "badcert", "plain"])
def test_R9_a_sick_address_gives_way(byway, usual, host):
    patience = 3 if host == "silent" else 0
    heard, first = send(byway, host)
    assert heard.startswith("250"), heard
    assert first < patience + 20 * usual * stage.SLOW
    print(f"{host}: {first:.3f} s, usual {usual:.3f} s")


@pytest.mark.parametrize("host, seconds", [("apidead", 0.25), ("apitwo", 0.25), ("apihole", 3), ("apicert", 0)])
def test_R9_an_api_has_several_addresses_too(byway, usual, host, seconds):
    """libcurl takes the families in turn; of one family it is told one at a time. What did not do comes last the next time."""
    heard, first = send(byway, host)
    assert heard.startswith("250"), heard
    assert seconds <= first < seconds + 1 + 20 * usual * stage.SLOW
    print(f"{host}: {first:.3f} s, usual {usual:.3f} s")


def test_R9_the_sick_are_remembered(byway, servers, usual):
    """A new connection goes to the good address first."""
    sick = servers["10.9.0.5"]
    send(byway, "silent")
    before = len(sick.peers)
    servers[GOOD].fresh()
    heard, seconds = send(byway, "silent")
    assert heard.startswith("250") and len(sick.peers) == before and seconds < 20 * usual * stage.SLOW


def test_R9_the_most_telling_failure_is_told(byway):
    """Silence, a close and a black hole say less than the server that spoke."""
    heard, _ = send(byway, "telling")
    assert heard.startswith("451 4.3.2"), heard
    assert byway.wait_event("upstream", what="greeting", route="profile:telling", said="554 5.7.1 not you")


def test_R9_a_reply_to_AUTH_holds_for_all(byway, servers):
    heard, _ = send(byway, "auth")
    assert heard.startswith(("554 5.3.5", "550 5.3.5")), heard
    assert not servers[SLOW].peers


@pytest.mark.parametrize("host", ["operator", "machine", "forbidden"])
def test_R5_nobody_sends_through_the_operators_own_servers(byway, servers, host):
    heard, _ = send(byway, host)
    assert heard == "451 4.4.4 Upstream host not allowed", heard
    assert not servers[OWN].messages


def p99(byway, n):
    taken = []
    with login(byway, "quiet") as talk:
        for _ in range(n):
            began = time.monotonic()
            talk.cmd("MAIL FROM:<me@quiet.example>", 250)
            talk.cmd("RCPT TO:<you@elsewhere.example>", 250)
            talk.cmd("DATA", 354)
            talk.raw("Subject: x\r\n\r\nx\r\n.\r\n")
            assert talk.read().code == 250
            taken.append(time.monotonic() - began)
    return statistics.quantiles(taken, n=100)[98]


@pytest.mark.parametrize("hosts", [8, SILENT])
def test_R10_silent_name_servers_of_one_are_nobody_elses(byway, servers, usual, hosts):
    """Others' messages go on, those that need a new connection and a look-up as well."""
    quiet = p99(byway, 200)
    heard = []
    sessions = [login(byway, f"s{i}") for i in range(hosts)]
    noise = [threading.Thread(target=lambda i=i, t=t: heard.append(send(byway, f"s{i}", t))) for i, t in enumerate(sessions)]
    for t in noise:
        t.start()
    time.sleep(0.3)
    servers[GOOD].fresh()
    first = send(byway, "quiet")
    noisy = p99(byway, 200)
    for t in noise:
        t.join()
    assert first[0].startswith("250") and first[1] < 20 * usual * stage.SLOW
    assert noisy < 2 * quiet + 0.02 * stage.SLOW
    assert len(heard) == hosts
    assert all(said.startswith("451 4.4.3") and seconds < 6 * stage.SLOW for said, seconds in heard), heard
    print(f"{hosts} hosts: p99 {1000 * quiet:.1f} ms quiet, {1000 * noisy:.1f} ms; the noisy one waited {max(s for _, s in heard):.1f} s at most")


def test_a_dead_resolver_does_not_hold_up_a_stop(folder, names, byway):
    """Two look-ups are under way when the stop comes; no session is."""
    b = stage.Byway(folder / "stopping", workers=1, settings={
        "dns": {"resolver": names.address}, "upstream": {"allow_networks": "10.9.0.0/16"},
        "mta one": {"host": "s0.test", "port": PORT, "tls": "none"}, "mta two": {"host": "s1.test", "port": PORT, "tls": "none"}})
    b.init()
    b.start()
    stage.wait_until(lambda: names.asked.count(("s1.test", "A")) > 0)
    began = time.monotonic()
    assert b.stop() == 0
    took = time.monotonic() - began
    assert took < 1.5 * stage.SLOW, took
    print(f"stopped in {took:.2f} s")
