# SPDX-License-Identifier: Apache-2.0
"""Plan limits: their words, what counts and what is given back, exactness under a crowd, edges of the clock (BEHAVIOUR 5)."""
import calendar
import re
import time

import pytest

import limited
import scripted
import stage
from limited import left, send, talk, try_one
from talk import Closed, stuffed

ACCOUNTS = {
    "hour": {"account_hour": 5},
    "boxday": {"mailbox_day": 4},
    "accday": {"account_day": 6},
    "month": {"monthly": 3},
    "rate": {"!rate_per_minute": 3},
    "order": {"monthly": 2, "mailbox_day": 2, "account_day": 2, "account_hour": 2, "!rate_per_minute": 2},
    "msgs": {"account_hour": 4, "unit": "messages"},
    "rcpts": {"account_hour": 10},
    "events": {"account_day": 20},
    "jump": {"account_day": 10},
    "never": {"account_day": 5},
    "up": {"mailbox_day": 10},
    "own": {"account_hour": 3},
    "edge": {"account_hour": 6},
    "midnight": {"account_day": 2, "mailbox_day": 2},
    "back": {"account_hour": 3, "account_day": 4},
    "renew": {"monthly": 2, "@renewal_day": 31},
    **{f"q{i}": {"account_hour": 4, "account_day": 4, "mailbox_day": 4, "recipients": 3} for i in range(20)},
    **{f"p{i}": {"account_hour": 97} for i in range(4)},
    **{f"m{i}": {"account_hour": 41, "unit": "messages"} for i in range(2)},
}
BAD, WORSE, TEMPORARY = "bad@x.example", "worse@x.example", "later@x.example"


def refusing(peer):
    who = scripted.address(peer.rcpts[-1] if peer.rcpts and isinstance(peer.rcpts[-1], bytes) else b"<>")
    return {BAD: "550 5.1.1 no such user", WORSE: "550 5.1.1 no such user", TEMPORARY: "451 4.2.0 later"}.get(who)


@pytest.fixture(scope="module")
def clock(folder):
    return limited.Clock(folder)


@pytest.fixture(scope="module")
def upstream(stack):
    return stack.enter_context(stage.Upstream(
        refuse={BAD: "550 5.1.1 no such user", WORSE: "550 5.1.1 no such user", TEMPORARY: "451 4.2.0 later"}))


@pytest.fixture(scope="module")
def tricky(stack):
    return stack.enter_context(scripted.Scripted())


@pytest.fixture(scope="module")
def memcached(stack):
    return stack.enter_context(limited.Memcached())


@pytest.fixture(scope="module", params=["shared", "memcached"])
def b(request, stage_byway, stack, folder, clock, upstream, tricky, memcached):
    counters = limited.servers(memcached) if request.param == "memcached" else None
    place = limited.byway(folder / request.param, upstream.port, counters)
    place.init()
    more = "".join(f"[profile q{i}/tricky]\nhost = 127.0.0.1\nport = {tricky.port}\ntls = none\n" for i in range(20))
    more += f"[profile own/mine]\nhost = 127.0.0.1\nport = {upstream.port}\ntls = none\n[ip 127.9.9.9]\naccount = rate\nrate_per_minute = 2\n"
    accounts = {n: {**o, "@route": "tricky"} if n[0] == "q" else {**o, "@route": "mine"} if n == "own" else o
                for n, o in ACCOUNTS.items()}
    place.text = limited.directory(place, accounts, more)
    place.apply(place.text)
    clock.set(0)
    # in the middle of an hour and of a day, wherever the test begins: a limit must not end while it is tested
    if limited.HAS_CLOCK:
        clock.set_to(time.time() // 86400 * 86400 + 43200 + 1200)
    yield place.start()
    status = place.stop()
    assert not place.faults(), place.faults()
    assert status == 0, place.said()


# ---- words ----


def test_hour(b):
    assert left(b, "hour") == 5
    with talk(b, "hour") as t:
        reply = t.cmd("MAIL FROM:<u@hour.example>")
        assert re.fullmatch(r"421 4\.7\.0 user has exceeded sending quota \(5 of 5 this hour; next at \d\d:\d\d UTC\)", str(reply))
        assert t.is_closed()
    with talk(b, "hour", "v") as t:  # the account's, not the mailbox's
        assert t.cmd("MAIL FROM:<v@hour.example>").code == 421


def test_mailbox_day(b):
    assert left(b, "boxday") == 4
    with talk(b, "boxday") as t:
        reply = t.cmd("MAIL FROM:<u@boxday.example>")
        assert str(reply) == "450 4.7.0 user has exceeded sending quota (4 of 4 today; next at 00:00 UTC)"
        assert t.cmd("NOOP").code == 250
    assert left(b, "boxday", box="v") == 4


def test_account_day(b):
    for box in "uvuvuv":
        assert try_one(b, "accday", box=box).code == 250
    assert str(try_one(b, "accday")) == \
        "450 4.7.0 user has exceeded sending quota (6 of 6 today in all mailboxes; next at 00:00 UTC)"


def test_month(b):
    assert left(b, "month") == 3
    assert re.fullmatch(r"552 5\.7\.0 Your monthly email allowance is exhausted \(3 of 3 this month; next at \d{4}-\d\d-\d\d 00:00 UTC\)",
                        str(try_one(b, "month")))


def test_rate(b):
    assert left(b, "rate") == 3
    assert re.fullmatch(r"550 5\.7\.1 Your username has exceeded the allowed sending rate \(3 of 3 this minute; next at \d\d:\d\d:\d\d UTC\)",
                        str(try_one(b, "rate")))
    assert left(b, "rate", box="v") == 3


def test_rate_of_an_address(b):
    from talk import Talk

    replies = []
    for _ in range(3):
        with Talk(b, mode="plain", port=b.ports["plain"], source="127.9.9.9") as t:
            t.cmd("EHLO device", 250)
            replies.append(send(t, "rate"))
    assert [r.code for r in replies] == [250, 250, 550]
    assert re.fullmatch(r"550 5\.7\.1 Your IP address exceeded the allowed sending rate \(2 of 2 this minute; next at \d\d:\d\d:\d\d UTC\)",
                        str(replies[2]))


def test_order(b):
    """Monthly before day before hour before rate."""
    assert left(b, "order") == 2
    assert try_one(b, "order").code == 552


def test_said_at_data(b):
    """Two transactions open at once: the look at MAIL saw room for both."""
    recipients = [f"r{i}@x.example" for i in range(4)]
    with talk(b, "rcpts") as one, talk(b, "rcpts") as two, talk(b, "rcpts") as three:
        for t in (one, two, three):
            t.mail("u@rcpts.example", *recipients)
        assert [one.cmd("DATA").code, two.cmd("DATA").code] == [354, 354]
        reply = three.cmd("DATA")
        assert re.fullmatch(r"421 4\.7\.0 user has exceeded sending quota \(this message needs 4, 2 of 10 left this hour; next at \d\d:\d\d UTC\)", str(reply))
        assert three.is_closed()
        for t in (one, two):
            t.raw(stuffed(limited.CONTENT))
            assert t.read().code == 250
    assert left(b, "rcpts") == 2


def test_messages_as_unit(b):
    assert left(b, "msgs", recipients=[f"r{i}@x.example" for i in range(7)]) == 4


def test_own_upstream_counts(b):
    assert left(b, "own") == 3


# ---- what is given back (Q4) ----


def on_tricky(tricky, **on):
    tricky.fresh(on)


def finals(b, account, act):
    """ACT uses up nothing: all four are still there."""
    act()
    return left(b, account)


def message(b, account, code, recipients=("a@x.example",), content=limited.CONTENT):
    reply = try_one(b, account, recipients, content=content)
    assert reply.code == code, reply


def test_refused_at_the_end(b, tricky):
    on_tricky(tricky, dot="550 5.7.1 spam")
    message(b, "q0", 554)
    on_tricky(tricky, dot="451 4.3.0 not now")
    message(b, "q0", 451)
    on_tricky(tricky)
    assert left(b, "q0") == 4


def test_refused_at_data_and_rcpt(b, tricky):
    on_tricky(tricky, data="554 5.5.1 no")
    message(b, "q1", 554)
    on_tricky(tricky, rcpt=["250 ok", "550 5.1.1 no", "550 5.1.1 no"])
    message(b, "q1", 250, ("a@x.example", "b@x.example", "c@x.example"))  # one of three
    on_tricky(tricky)
    assert left(b, "q1") == 3


def test_lost_before_the_dot(b, tricky):
    on_tricky(tricky, content=scripted.read_some(10, scripted.close))
    with talk(b, "q2") as t:
        t.mail("u@q2.example", "a@x.example")
        t.cmd("DATA", 354)
        t.raw("Subject: in the middle\r\n\r\n")
        assert stage.wait_until(lambda: tricky.peers and tricky.peers[-1].end)
        t.raw("of it\r\n.\r\n")
        assert t.read().code == 451
    on_tricky(tricky, mail=scripted.reset)
    message(b, "q2", 451)
    on_tricky(tricky)
    assert left(b, "q2") == 4


def test_outcome_unknown_stays(b, tricky):
    on_tricky(tricky, dot=scripted.close)
    message(b, "q3", 451)
    assert b.wait_event("message", outcome="unknown")
    on_tricky(tricky)
    assert left(b, "q3") == 3


def test_client_leaves(b, tricky):
    on_tricky(tricky)
    for stage_of in ("MAIL", "RCPT", "DATA", "content"):
        t = talk(b, "q4")
        t.cmd("MAIL FROM:<u@q4.example>", 250)
        if stage_of != "MAIL":
            t.cmd("RCPT TO:<a@x.example>", 250)
        if stage_of in ("DATA", "content"):
            t.cmd("DATA", 354)
        if stage_of == "content":
            t.raw("Subject: half\r\n\r\nnot yet")
        t.close()
    assert stage.wait_until(lambda: b.cli("status", json_out=True)["gauges"]["transactions_open"] == 0)
    assert left(b, "q4") == 4


def test_client_leaves_after_the_dot(b, tricky):
    on_tricky(tricky, dot=scripted.then(scripted.pause(0.5), "250 2.0.0 taken"))
    t = talk(b, "q5")
    t.mail("u@q5.example", "a@x.example")
    t.cmd("DATA", 354)
    t.raw(stuffed(limited.CONTENT))
    time.sleep(0.1)
    t.close()
    assert b.wait_event("message", why="the client had left", outcome="sent")
    on_tricky(tricky)
    assert left(b, "q5") == 3


def test_refused_by_us(b, tricky):
    on_tricky(tricky)
    message(b, "q6", 554, content=b"Bcc: x\r\n" * 1001 + b"\r\nx\r\n")  # too many fields (L9)
    with talk(b, "q6") as t:  # too many recipients: nobody gets it (Q6)
        t.mail("u@q6.example", "a@x.example", "b@x.example", "c@x.example")
        assert t.cmd("RCPT TO:<d@x.example>").code == 550
        assert t.cmd("DATA").code == 554
    with talk(b, "q6") as t:
        t.mail("u@q6.example", "a@x.example")
        t.cmd("RSET", 250)
        t.mail("u@q6.example", "a@x.example")
        t.cmd("EHLO again", 250)
    assert left(b, "q6") == 4


def test_chunks(b, tricky):
    on_tricky(tricky)
    with talk(b, "q7") as t:
        t.mail("u@q7.example", "a@x.example", "b@x.example")
        assert [r.code for r in t.bdat(limited.CONTENT, 10)] == [250, 250]
        t.mail("u@q7.example", "a@x.example")
        t.raw(b"BDAT 100\r\nhalf")
    assert stage.wait_until(lambda: b.cli("status", json_out=True)["gauges"]["transactions_open"] == 0)
    with talk(b, "q7") as one, talk(b, "q7") as two, talk(b, "q7") as three:
        for t in (one, two, three):
            t.mail("u@q7.example", "a@x.example")
        one.cmd("DATA", 354)
        two.cmd("DATA", 354)
        three.raw(b"BDAT 5 LAST\r\nhello")
        assert three.read().code == 450  # the day's, said behind the chunk
        assert three.cmd("NOOP").code == 250
        for t in (one, two):
            t.raw(stuffed(limited.CONTENT))
            assert t.read().code == 250
    assert left(b, "q7") == 0


def test_pipelined(b, tricky):
    """MAIL, RCPT and DATA in one write; of those for whom there is no room but two are refused upstream, so there is."""
    on_tricky(tricky, rcpt=["250 ok", "550 5.1.1 no", "550 5.1.1 no"])
    with talk(b, "q8") as t:
        assert send(t, "q8").code == 250
        assert send(t, "q8").code in (554, 550)  # its only recipient was refused
    on_tricky(tricky)
    with talk(b, "q8") as t:
        assert send(t, "q8").code == 250
    on_tricky(tricky, rcpt=["550 5.1.1 no", "250 ok", "250 ok"])
    with talk(b, "q8") as t:
        t.raw("MAIL FROM:<u@q8.example>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\nDATA\r\n")
        assert [t.read().code for _ in range(5)] == [250, 550, 250, 250, 354]
        t.raw(stuffed(limited.CONTENT))
        assert t.read().code == 250
    on_tricky(tricky)
    assert left(b, "q8") == 0


def test_glued_content_is_no_command(b, tricky):
    on_tricky(tricky)
    assert left(b, "q9") == 4
    with talk(b, "q10") as one, talk(b, "q10") as two:
        one.mail("u@q10.example", "a@x.example", "b@x.example", "c@x.example")
        two.mail("u@q10.example", "a@x.example", "b@x.example")
        one.cmd("DATA", 354)
        two.raw(b"DATA\r\nRSET\r\nMAIL FROM:<u@q10.example>\r\n.\r\n")
        assert two.read().code == 554
        assert two.is_closed()


# ---- plans (Q9), thresholds (Q11) ----


def test_plan_change(b):
    assert left(b, "up") == 10
    b.apply(b.text.replace("[plan up]\ncan_send = yes\nsenders = any\nmailbox_day = 10", "[plan up]\ncan_send = yes\nsenders = any\nmailbox_day = 17"))
    replies = []  # a worker may know of the plan a moment later than the other
    assert stage.wait_until(lambda: replies.append(try_one(b, "up")) or "(17 of 17 today" in str(replies[-1]))
    assert [r.code for r in replies].count(250) == 7
    b.apply(b.text)
    assert stage.wait_until(lambda: "(17 of 10 today" in str(try_one(b, "up")))


def test_events(b):
    before = len(b.events("quota"))
    assert left(b, "events") == 20
    rows = [r for r in b.events("quota")[before:] if r["limit"] == "account_day"]
    assert [(r["percent"], r["used"], r["account_name"]) for r in rows] == [(80, 16, "events"), (90, 18, "events"), (95, 19, "events"), (100, 20, "events")]


def test_events_of_a_jump(b):
    """One message over several thresholds: each is said."""
    before = len(b.events("quota"))
    with talk(b, "jump") as t:
        t.mail("u@jump.example", *[f"r{i}@x.example" for i in range(10)])
        t.cmd("DATA", 354)
        t.raw(stuffed(limited.CONTENT))
        assert t.read().code == 250
    rows = [r for r in b.events("quota")[before:] if r["limit"] == "account_day"]
    assert [(r["percent"], r["used"]) for r in rows] == [(80, 10), (90, 10), (95, 10), (100, 10)]


def test_never_fits(b):
    """More than a whole cap is refused for good, before anybody is asked; fewer pass."""
    with talk(b, "never") as t:
        t.mail("u@never.example", *[f"r{i}@x.example" for i in range(7)])
        assert str(t.cmd("DATA")) == "550 5.7.1 user has exceeded sending quota (this message needs 7, your plan allows 5 a day in all mailboxes)"
    assert left(b, "never") == 5


# ---- a crowd (Q4) ----


def test_crowd(b):
    """64 sessions, recipients, refusals upstream, clients that vanish: exactly 97."""
    def act(t, account, i, k, box):
        t.cmd(f"MAIL FROM:<{box}@{account}.example>", 250) if False else None
        r = t.cmd(f"MAIL FROM:<{box}@{account}.example>")
        if r.code != 250:
            return r.code, 0
        rcpts = ["a@x.example", BAD, "b@x.example", WORSE][: 1 + (i + k) % 4]
        n = sum(t.cmd(f"RCPT TO:<{x}>").code == 250 for x in rcpts)
        r = t.cmd("DATA")
        if r.code != 354:
            return r.code, 0
        if (i + k) % 5 == 0:  # vanishes in the middle
            t.raw("Subject: gone")
            t.close()
            raise Closed(b"")
        t.raw(stuffed(limited.CONTENT))
        return t.read().code, n

    total, _, codes = limited.flood([b], "p0", 64, 4, act)
    assert stage.wait_until(lambda: b.cli("status", json_out=True)["gauges"]["transactions_open"] == 0)
    assert total <= 97, (total, codes)
    assert total + left(b, "p0", 97) == 97
    assert set(codes) <= {421}, codes


def test_crowd_of_messages(b):
    total, messages, codes = limited.flood(
        [b], "m0", 64, 2, lambda t, a, i, k, box: (send(t, a, ("a@x.example", "b@x.example"), box).code, 1))
    assert messages <= 41 and messages + left(b, "m0", 41) == 41
    assert set(codes) <= {421}


# ---- the clock ----

needs_clock = pytest.mark.skipif(not limited.HAS_CLOCK, reason="only the sanitizers' build has a clock that can be moved")


@needs_clock
def test_rolling_hour(b, clock):
    clock.next(60, before=20)
    start = clock.offset
    assert [try_one(b, "edge").code for _ in range(3)] == [250] * 3
    clock.set(start + 30 * 60)
    assert left(b, "edge") == 3
    clock.set(start + 59 * 60 - 5)
    assert left(b, "edge") == 0
    clock.set(start + 60 * 60 + 21)
    assert left(b, "edge") == 3
    clock.set(start + 90 * 60 + 21)
    assert left(b, "edge") == 3
    clock.set(start)


@needs_clock
def test_midnight(b, clock):
    start = clock.offset
    clock.next(86400, before=8)
    assert left(b, "midnight") == 2
    clock.next(86400, before=-2)
    assert left(b, "midnight") == 2
    assert try_one(b, "midnight").code == 450
    clock.set(start)


@needs_clock
def test_clock_goes_back(b, clock):
    start = clock.offset
    assert left(b, "back") == 3
    for step in (1, 61, 600, 3 * 3600):
        clock.set(start - step)
        assert try_one(b, "back").code == 421, step
    clock.set(start + 3700)
    assert try_one(b, "back").code == 250
    assert try_one(b, "back").code == 450  # the day's four
    clock.set(start)


@needs_clock
def test_month_ends(b, clock):
    """Renewal on the 31st: the last day of a month that is shorter."""
    start = clock.offset
    clock.set_to(calendar.timegm((2027, 2, 27, 23, 50, 0)))
    assert left(b, "renew") == 2
    assert try_one(b, "renew").code == 552
    clock.set_to(calendar.timegm((2027, 2, 28, 0, 0, 30)))
    assert left(b, "renew") == 2
    clock.set_to(calendar.timegm((2027, 3, 30, 12, 0, 0)))
    assert try_one(b, "renew").code == 552
    clock.set_to(calendar.timegm((2027, 3, 31, 12, 0, 0)))
    assert try_one(b, "renew").code == 250
    clock.set(start)


# ---- several daemons ----


def test_two_nodes(stage_byway, stack, folder, upstream, clock):
    """64 sessions on two daemons with two workers each, one memcached: exactly N pass, recipients and messages."""
    if limited.HAS_CLOCK:
        clock.set_to(time.time() // 86400 * 86400 + 43200 + 1200)
    m = stack.enter_context(limited.Memcached())
    nodes = []
    for i in range(2):
        # A server that is only slow is none that is lost: what two nodes let pass without one is another test's.
        place = limited.byway(folder / f"node{i}", upstream.port, {**limited.servers(m), "timeout": "1s"}, name=f"node{i}.test")
        place.init()
        nodes.append(stage_byway(place, limited.directory(place, {"r": {"account_hour": 97}, "s": {"account_hour": 41, "unit": "messages"},
                                                                  "d": {"account_day": 60, "mailbox_day": 45},
                                                                  "late": {"account_hour": 20}, "later": {"account_hour": 20}})))

    # What one node knew a moment ago, the other has used up since: DATA is on its way upstream when the limit says no.
    for chunks in (False, True):
        account = "late" if chunks else "later"
        for b in nodes:
            assert try_one(b, account).code == 250
        with talk(nodes[0], account) as t:
            assert [send(t, account).code for _ in range(18)] == [250] * 18
        with talk(nodes[1], account) as t:
            t.mail(f"u@{account}.example", "a@x.example")
            if chunks:
                t.raw(b"BDAT 5 LAST\r\nhello")
                assert t.read().code == 421
            else:
                assert t.cmd("DATA").code == 421
            assert t.is_closed()
    taken = len([m for m in upstream.messages if m["from"] in ("u@late.example", "u@later.example")])
    assert taken == 40

    def act(t, account, i, k, box):
        rcpts = ["a@x.example", BAD, "b@x.example"][: 1 + (i + k) % 3]
        r = t.cmd(f"MAIL FROM:<{box}@{account}.example>")
        if r.code != 250:
            return r.code, 0
        n = sum(t.cmd(f"RCPT TO:<{x}>").code == 250 for x in rcpts)
        r = t.cmd("DATA")
        if r.code != 354:
            return r.code, 0
        if (i + k) % 7 == 0:
            t.close()
            raise Closed(b"")
        t.raw(stuffed(limited.CONTENT))
        return t.read().code, n

    for account, cap in (("r", 97), ("s", 41), ("d", 60)):
        total, messages, codes = limited.flood(nodes, account, 64, 3, act)
        for b in nodes:
            assert stage.wait_until(lambda: b.cli("status", json_out=True)["gauges"]["transactions_open"] == 0)
        time.sleep(0.2)
        used = messages if account == "s" else total
        assert used <= cap, (account, used)
        more = left(nodes[0], account, cap) if account != "d" else left(nodes[0], account, cap) + left(nodes[1], account, cap, box="v")
        assert used + more == cap, (account, used, more, codes)
