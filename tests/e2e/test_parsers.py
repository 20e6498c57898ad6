# SPDX-License-Identifier: Apache-2.0
"""Content that is made to kill its parser: the sender hears 554, the worker lives, and a neighbour does not notice (BEHAVIOUR R10, R11)."""
import os
import re
import signal
import statistics
import threading
import time

import pytest

import https
import stage
from test_api import HEAD, KEY, MIME, Client, profile

HELLO = HEAD + b"\r\nhello\r\n"


@pytest.fixture(scope="module")
def api(stack, pair):
    return stack.enter_context(https.Api(pair))


@pytest.fixture(scope="module")
def byway(folder, stage_byway, api, pair):
    b = stage.Byway(folder / "parsers", workers=1, settings={
        "upstream": {"allow_ports": f"{api.port}"}, "limits": {"message_size": "40m", "connections_per_address": 100}})
    b.init()
    text = ""
    for name in ("one", "two"):
        text += f"[account {name}]\nplan = agency\nsenders = any\n"
        text += profile(b, f"sg-{name}", api, pair, "sendgrid", None).replace("[profile one/", f"[profile {name}/")
        text += (f"[domain {name}.example]\naccount = {name}\nroute = sg-{name}\n"
                 f"[mailbox box@{name}.example]\npassword_file = {b.secret('box.pw', 'box-password')}\n")
    return stage_byway(b, text)


@pytest.fixture(autouse=True)
def fresh(api):
    api.take()
    api.next.clear()
    api.say(202, "")


def nested(depth, kind="mixed", core=b"Content-Type: text/plain\r\n\r\nx\r\n", close=True):
    head = b"".join(b"Content-Type: multipart/%s; boundary=b%d\r\n\r\n--b%d\r\n" % (kind.encode(), i, i) for i in range(depth))
    return HEAD + b"MIME-Version: 1.0\r\n" + head + core + (b"".join(b"--b%d--\r\n" % i for i in reversed(range(depth))) if close else b"")


GROUPS = b"a:" * 50000
# Each line is compared with each open boundary.
BURNS = nested(800, core=b"Content-Type: text/plain\r\n\r\n" + b"--b\r\n" * 3000000, close=False)
KILLERS = {
    "groups": HEAD.replace(b"Ann <a@x.example>", GROUPS) + b"\r\nx\r\n",
    "groups in From": HEAD.replace(b"<box@one.example>", GROUPS) + b"\r\nx\r\n",
    "groups in Bcc": HEAD + b"Resent-To: " + GROUPS + b"\r\n\r\nx\r\n",
    "comments": HEAD.replace(b"Ann", b"(" * 50000) + b"\r\nx\r\n",
    "groups in a message inside": HEAD + MIME + b"message/rfc822\r\n\r\nTo: " + GROUPS * 20 + b"\r\n\r\nx\r\n",
    "multiparts": nested(5000),
    "messages": HEAD + MIME + b"message/rfc822\r\n\r\n" * 20000 + b"x\r\n",
    "digests": nested(3000, "digest"),
    "parts": HEAD + MIME + b"multipart/mixed; boundary=m\r\n\r\n" + b"--m\r\n\r\nx\r\n" * 100000 + b"--m--\r\n",
    "burns": BURNS,
}
HARMLESS = {
    "fields": HEAD + b"".join(b"X-%d: a\r\n" % i for i in range(900)) + b"\r\nx\r\n",
    "parameters": HEAD + MIME + b"text/plain" + b"".join(b";\r\n x*%d=a" % i for i in range(20000)) + b"\r\n\r\nx\r\n",
    "rfc2231": HEAD + MIME + b"text/plain" + b"".join(b";\r\n x%d*0*=utf-8''%%41" % i for i in range(10000)) + b"\r\n\r\nx\r\n",
    "encoded words": HEAD + b"X-E: " + b"=?utf-8?q?=41?=\r\n " * 10000 + b"x\r\n\r\nx\r\n",
    "boundary": HEAD + MIME + b"multipart/mixed; boundary=" + b"m" * 60000 + b"\r\n\r\nx\r\n",
}


def send(byway, account, content):
    with Client(byway, f"{account}.example") as c:
        return c.deliver("a@x.example", content=content.replace(b"box@one", f"box@{account}".encode()))


@pytest.mark.parametrize("name", KILLERS)
def test_R11_content_kills_nobody(byway, api, name):
    before = byway.workers()
    # 451: the machine had no time to let it run into its bounds.
    for _ in range(3):
        code, text = send(byway, "one", KILLERS[name])
        if code != 451:
            break
    # Whose name mail bears is read before, within bounds: too long a From: is no list of addresses.
    wish = (550, "5.7.1") if name == "groups in From" else (554, "5.6.3")
    assert (code, text.split()[0]) == wish, text
    assert byway.workers() == before
    assert not api.take()
    assert send(byway, "one", HELLO)[0] == 250


@pytest.mark.parametrize("name", HARMLESS)
def test_R11_what_is_only_odd_goes(byway, name):
    before = byway.workers()
    code, text = send(byway, "one", HARMLESS[name])
    assert code in (250, 554), text
    assert byway.workers() == before


def took(byway, account):
    began = time.monotonic()
    code, text = send(byway, account, HELLO)
    assert code == 250, text
    return time.monotonic() - began


def test_R10_killers_of_one_account_do_not_hold_another(byway):
    quiet = statistics.median(took(byway, "two") for _ in range(15))
    over, said = threading.Event(), []

    def kill():
        while not over.is_set():
            said.append(send(byway, "one", BURNS))

    crowd = [threading.Thread(target=kill) for _ in range(8)]
    for t in crowd:
        t.start()
    try:
        assert stage.wait_until(lambda: said, 120)
        busy = [took(byway, "two") for _ in range(15)]
    finally:
        over.set()
        for t in crowd:
            t.join()
    # One processor in two burns beside it, and the clients of this test do.
    assert statistics.median(busy) < max(2 * quiet, 0.5 * stage.SLOW), (quiet, busy)
    assert {code for code, _ in said} <= {554, 451}


def test_a_dead_nursery_is_replaced(byway):
    [before], workers = byway.parsers(), byway.workers()
    os.kill(before, signal.SIGKILL)
    assert stage.wait_until(lambda: byway.parsers() and byway.parsers() != [before], 20)
    assert stage.wait_until(lambda: send(byway, "one", HELLO)[0] == 250, 20)
    assert byway.workers() == workers


def status(pid):
    return dict(re.findall(r"(\w+):\s+(.*)", open(f"/proc/{pid}/status").read()))


def test_what_the_parsers_hold(byway):
    """No file, no socket but one a worker; no key in their memory's history: they came by exec. Filters are on."""
    [pid] = byway.parsers()
    open_files = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert sum(name.startswith("socket:") for fd, name in open_files.items() if int(fd) > 2) == 1, open_files
    assert not [n for fd, n in open_files.items() if int(fd) > 2 and n.startswith("/")], open_files
    assert status(pid)["Seccomp"] == "2" and status(pid)["NoNewPrivs"] == "1"
    assert KEY not in open(f"/proc/{pid}/environ").read()


def test_the_parsers_end_with_the_daemon(folder, api, pair):
    b = stage.Byway(folder / "ends", workers=2)
    b.init()
    b.start()
    [pid] = b.parsers()
    b.stop()
    assert not os.path.exists(f"/proc/{pid}")
