# SPDX-License-Identifier: Apache-2.0
"""The n-th allocation, read, write or step of the database fails, while a client sends one message (THREATS, fault matrix).

Whatever fails: the worker lives, no sanitizer speaks, nothing is acknowledged that the upstream did not take, nothing that it took is counted twice or lost, and the next message
passes. `make soak` tries every n; a plain run a sample that is another one each day.
"""
import datetime
import os
import random
import smtplib
import ssl
import time

import pytest

import faults
import https
import stage

EACH = bool(os.environ.get("BYWAY_SOAK"))
SAMPLE = 6
POLL_S = 0.1
PASSWORD = "box-password"
WAYS = [("alloc", "fail"), ("read", "short"), ("read", "eintr"), ("read", "eagain"), ("read", "reset"),
        ("write", "short"), ("write", "eintr"), ("write", "eagain"), ("write", "reset"), ("sqlite", "fail")]
ROUTES = ("native", "provider", "api")

pytestmark = pytest.mark.skipif(not (stage.BUILD / "bywayd-faults").exists(), reason="no bywayd-faults here: make FLAVOUR=san build/san/bywayd-faults")


class Place:
    """A Byway with one worker, three accounts that send by three routes, and what their upstreams took."""

    def __init__(self, folder, stack, pair):
        self.native = stack.enter_context(stage.Upstream())
        self.provider = stack.enter_context(stage.Upstream(users={"login": "secret-of-provider"}, tls="starttls", pair=pair))
        self.api = stack.enter_context(https.Api(pair))
        self.api.say(200, {"id": "<1@api.example>", "message": "Queued. Thank you."})
        self.faults = faults.Faults(folder / "faults")
        stack.callback(self.faults.close)
        self.byway = stage.Byway(folder / "torture", workers=1, program="bywayd-faults", settings={
            "upstream": {"allow_ports": f"{self.native.port} {self.provider.port} {self.api.port}"},
            "mta one": {"host": "127.0.0.1", "port": self.native.port, "tls": "none"},
            "directory": {"poll": f"{round(POLL_S * 1000)}ms"},
            "limits": {"connections_per_address": 1000, "guess_limit": None}})
        self.byway.environment = {"BYWAY_FAULTS": str(self.faults.path),
                                  "LSAN_OPTIONS": f"suppressions={stage.ROOT / 'tests/torture/leaks'}:print_suppressions=0"}
        self.took = {}  # route: {number: times}
        self.heard = {}  # route: numbers that were acknowledged
        self.number, self.renewal = 0, 2

    def directory(self, pair):
        b = self.byway
        text = "[plan free]\ncan_send = yes\nmailbox_day = 1000000\naccount_day = 1000000\naccount_hour = 1000000\nrecipients = 50\n"
        hosts = {"native": "", "provider": f"host = localhost\nport = {self.provider.port}\ntls = starttls\nusername = login\n"
                 f"password_file = {b.secret('provider.pw', 'secret-of-provider')}\n",
                 "api": f"provider = mailgun\ntransport = api\nhost = localhost\nport = {self.api.port}\nusername = api.example\n"
                 f"password_file = {b.secret('api.pw', 'key-of-api')}\n"}
        for route, host in hosts.items():
            text += f"[account {route}]\nplan = free\nroute = {'up' if host else 'native'}\n"
            if host:
                text += f"[profile {route}/up]\n{host}ca_file = {pair[0]}\n"
            text += f"[domain {route}.example]\naccount = {route}\n[mailbox box@{route}.example]\npassword_file = {b.secret('box.pw', PASSWORD)}\n"
        return text

    def send(self, route):
        """One message in a session of its own. True: acknowledged."""
        self.number += 1
        number, acknowledged = self.number, False
        context = ssl.create_default_context(cafile=str(self.byway.certificate()))
        try:
            with smtplib.SMTP_SSL("localhost", self.byway.ports["tls"], context=context, timeout=30 * stage.SLOW) as s:
                s.login(f"box@{route}.example", PASSWORD)
                s.mail(f"box@{route}.example")
                s.rcpt(f"m{number}@elsewhere.example")
                if s.docmd("DATA")[0] == 354:
                    s.send(f"From: <box@{route}.example>\r\nTo: <m{number}@elsewhere.example>\r\nSubject: {number}\r\n\r\n".encode()
                           + b"line\r\n" * 2000 + b".\r\n")
                    acknowledged = s.getreply()[0] == 250
        except (OSError, smtplib.SMTPException):
            pass  # a session that ended early has acknowledged nothing
        if acknowledged:
            self.heard.setdefault(route, set()).add(number)
        return acknowledged

    def look(self):
        for route, upstream in (("native", self.native), ("provider", self.provider)):
            for message in upstream.take():
                self.note(route, message["to"][0])
        for request in self.api.take():
            self.note("api", next(v.decode() for n, _, v in request.parts() if n == "to"))

    def note(self, route, to):
        number = int(to[1:to.index("@")])
        took = self.took.setdefault(route, {})
        took[number] = took.get(number, 0) + 1

    def prepare(self, route, kind):
        """For faults of the database: its revision moves, so that what the worker knows of the account must be read anew."""
        if kind == "sqlite":
            self.renewal = 5 - self.renewal
            self.byway.cli("account", "set", route, "--renewal-day", self.renewal)
            time.sleep(4 * POLL_S)

    def used(self, route):
        limits = {row["limit"]: row for row in self.byway.cli("usage", route, json_out=True)["limits"]}
        return limits["account_day"]["used"]


@pytest.fixture(scope="module")
def place(folder, stack, stage_byway, pair):
    p = Place(folder, stack, pair)
    p.byway.init()
    stage_byway(p.byway, p.directory(pair))
    return p


def numbers(most, seed):
    """Those n that are tried: every one, or a sample that changes with the date."""
    if EACH or most <= SAMPLE:
        return range(1, most + 1)
    chosen = random.Random(f"{datetime.date.today()} {seed}").sample(range(1, most + 1), SAMPLE)
    return sorted(chosen)


def recovers(place, route):
    """What was learned of the upstream in a bad moment passes; a message does soon."""
    return stage.wait_until(lambda: place.send(route), 40, 0.1)


@pytest.mark.parametrize("kind, way", WAYS, ids=["-".join(w) for w in WAYS])
@pytest.mark.parametrize("route", ROUTES)
def test_any_call_may_fail(place, route, kind, way):
    [worker] = place.byway.workers()
    assert recovers(place, route), place.byway.events("message")[-1:]
    place.faults.count(worker)
    place.prepare(route, kind)
    assert place.send(route)
    place.faults.calm()
    most, fired = place.faults.seen(kind), 0
    assert most > 0
    for n in numbers(most, f"{route} {kind} {way}"):
        place.faults.arm(worker, kind, way, n)
        place.prepare(route, kind)
        place.send(route)
        fired += place.faults.calm()
        assert place.byway.workers() == [worker], f"{kind} {n} of {most}: the worker died"
        assert not place.byway.faults(), f"{kind} {n} of {most}: {place.byway.faults()}"
    assert fired > 0
    assert recovers(place, route), place.byway.events("message")[-1:]
    place.look()
    took, heard = place.took.get(route, {}), place.heard[route]
    assert not heard - set(took), "acknowledged, and the upstream has not got it"
    assert all(times == 1 for times in took.values()), "sent twice"
    unsure = len(place.byway.events("message", outcome="unknown"))
    assert len(took) <= place.used(route) <= len(took) + unsure
