# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a provider's API, phase by phase: one request, one outcome (BEHAVIOUR L7, L11 and 7; THREATS U6, U8, U12)."""
import ssl

import pytest

import https
import stage
from test_api import RAW, Client, directory, profile


@pytest.fixture(scope="module")
def api(stack, pair):
    return stack.enter_context(https.Api(pair))


@pytest.fixture(scope="module")
def liar(stack, tmp_path_factory):
    """A server with somebody else's certificate."""
    return stack.enter_context(https.Api(stage.certificate(tmp_path_factory.mktemp("liar"), "other", names=("other.example",), addresses=())))


@pytest.fixture(scope="module")
def byway(folder, stage_byway, api, liar, pair, tmp_path_factory):
    closed = stage.free_port()
    b = stage.Byway(folder / "faults", workers=1, settings={"upstream": {
        "allow_ports": f"{api.port}", "final_timeout": 4 * stage.SLOW, "api_memory": "64m"}})
    b.init()
    routes = {
        "mg": profile(b, "mg", api, pair),
        "pinned": profile(b, "pinned", api, pair, ca_file=None, pin=pin(pair)),
        "mispinned": profile(b, "mispinned", api, pair, ca_file=None, pin=pin(pair)[:-2] + "00"),
        "strange": profile(b, "strange", api, pair, ca_file=None),
        "liar": profile(b, "liar", liar, pair),
        "closed": profile(b, "closed", api, pair, port=closed),
        "nohost": profile(b, "nohost", api, pair, host="no-such-host.invalid"),
        "meta": profile(b, "meta", api, pair, host="169.254.169.254"),
    }
    b.api = api
    return stage_byway(b, directory(b, routes.values(), {f"{name}.example": name for name in routes}))


def pin(pair):
    import hashlib

    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair[0].read_text())).hexdigest()


@pytest.fixture(autouse=True)
def fresh(api):
    api.take()
    api.next.clear()
    api.say(200, {"id": "<1@mg.example>", "message": "Queued. Thank you."})
    api.hang_up()


BIG = RAW + b"0123456789abcdef" * 4 * 1024 * 40 + b"\r\n"  # 2.5 MiB: a memfd, and more than sockets hold


@pytest.mark.parametrize("how, content, enhanced, outcome", [
    (dict(cut="accept"), RAW, "4.7.5", None),
    (dict(cut="accept", reset=True), RAW, ("4.7.5", "4.4.1"), None),
    (dict(cut="body", reset=True), BIG * 6, "4.4.2", "lost"),
    (dict(cut="answer"), RAW, "4.4.2", "unknown"),
    (dict(cut="answer", reset=True), BIG, "4.4.2", "unknown"),
    (dict(cut="half"), RAW, "4.4.2", "unknown"),
    (dict(delay=5 * stage.SLOW), RAW, "4.4.2", "unknown"),
    (dict(status=504, body="late"), RAW, "4.4.2", "unknown"),
    (dict(status=408, body="slow"), RAW, "4.4.2", "lost"),
    (dict(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), RAW, "4.4.2", "unknown"),
    (dict(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + b"x" * 1048576), RAW, "4.4.2", "unknown"),
    (dict(raw=b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"), RAW, None, None),
], ids=["accept", "accept-rst", "body", "answer", "answer-big", "half", "late", "504", "408", "not-http", "too-long", "gzip"])
def test_a_fault_in_each_phase(byway, api, how, content, enhanced, outcome):
    how = dict(how)
    if "raw" in how or "cut" in how or "delay" in how:
        how.setdefault("body", {"id": "<1@mg.example>", "message": "Queued. Thank you. " * 10})
    api.once(**how)
    with Client(byway, "mg.example") as c:
        count = len(byway.events("message"))
        code, text = c.deliver("a@x.example", content=content)
        if enhanced is None:
            assert code == 250
        else:
            assert code == 451 and text.split()[0] in enhanced, text
        if outcome:
            unknown = [e for e in stage.wait_until(lambda: byway.events("message")[count:]) if e.get("outcome") == "unknown"]
            assert bool(unknown) == (outcome == "unknown")
        # One request, whatever came of it; and the session goes on.
        assert len(api.take()) <= 1
        assert c.deliver("a@x.example", content=RAW)[0] == 250


def test_L11_a_reused_connection_that_dies_is_never_sent_to_again(byway, api):
    """libcurl would repeat the request on a new connection."""
    with Client(byway, "mg.example") as c:
        assert c.deliver("a@x.example", content=RAW)[0] == 250
        for content in (RAW, BIG):
            before = api.connections
            api.take()
            api.once(cut="answer", reset=True)
            code, text = c.deliver("a@x.example", content=content)
            assert (code, text.split()[0]) == (451, "4.4.2")
            assert api.connections == before
            assert len(api.take()) == 1
            assert c.deliver("a@x.example", content=RAW)[0] == 250


def test_L6_a_connection_is_used_again(byway, api):
    before = api.connections
    with Client(byway, "mg.example") as c:
        for _ in range(5):
            assert c.deliver("a@x.example", content=RAW)[0] == 250
    assert api.connections == before + 1
    # One that the server closed meanwhile is replaced, unseen.
    api.hang_up()
    with Client(byway, "mg.example") as c:
        assert stage.wait_until(lambda: not api.open)
        assert c.deliver("a@x.example", content=RAW)[0] == 250


def test_L3_a_large_message_arrives_whole(byway, api):
    with Client(byway, "mg.example") as c:
        content = RAW + b"".join(b"%076d\r\n" % i for i in range(20 * 1024 * 1024 // 78))
        assert c.deliver("a@x.example", content=content)[0] == 250
        [request] = api.take()
        assert request.parts()[-1][2].endswith(content)
        # Larger than the provider takes: refused before a word is said.
        code, text = c.docmd(f"MAIL FROM:<box@mg.example> SIZE={27 * 1024 * 1024}")
        if code == 250:
            code, text = c.rcpt("a@x.example")
        assert code == 552
    assert not api.take()


@pytest.mark.parametrize("domain, enhanced", [
    ("pinned", None), ("mispinned", "4.7.5"), ("strange", "4.7.5"), ("liar", "4.7.5"), ("closed", "4.4.1"), ("nohost", "4.4.4"),
    ("meta", "4.4.4")])
def test_R4_R5_who_is_spoken_to(byway, api, liar, domain, enhanced):
    with Client(byway, f"{domain}.example") as c:
        code, text = c.deliver("a@x.example", content=RAW)
        assert (code, text.split()[0]) == ((250, "2.0.0") if enhanced is None else (451, enhanced)), text
    assert len(api.take()) == (enhanced is None)
    assert not liar.requests


def test_U12_nothing_of_a_key_is_said_or_logged(byway, api):
    api.once(403, {"message": "key-0123456789abcdef-of-mailgun is forbidden"})
    with Client(byway, "mg.example") as c:
        _, text = c.deliver("a@x.example", content=RAW)
    assert "0123456789abcdef" not in text
    assert "0123456789abcdef" not in byway.log.read_text()


def test_L7_a_client_that_leaves_changes_nothing(byway, api):
    api.once(200, {"id": "<left@mg.example>", "message": "Queued."}, delay=1)
    c = Client(byway, "mg.example")
    c.mail("box@mg.example")
    c.rcpt("a@x.example")
    c.docmd("DATA")
    c.send(RAW + b".\r\n")
    stage.wait_until(lambda: api.requests)
    c.sock.close()
    assert stage.wait_until(lambda: "<left@mg.example>" in byway.log.read_text())


def test_rate_and_credentials_of_an_api(byway, api):
    """Three refusals of the key in a row, and the provider is asked no more."""
    with Client(byway, "pinned.example") as c:
        api.say(401, "Forbidden")
        for _ in range(3):
            assert c.deliver("a@x.example", content=RAW)[1].split()[0] == "5.3.5"
        assert len(api.take()) == 3
        c.mail("box@pinned.example")
        code, text = c.rcpt("a@x.example")
        assert (code, text.split()[0]) == (550, b"5.3.5")
    assert not api.take()


def test_L6_a_key_changes_while_a_request_is_out(byway, api):
    """The old upstream ends with its last request, inside libcurl's own callback."""
    import threading

    got = []

    def slow():
        with Client(byway, "mg.example") as c:
            got.append(c.deliver("a@x.example", content=RAW)[0])

    api.once(200, {"id": "<slow@x>", "message": "Queued."}, delay=1.5 * stage.SLOW)
    thread = threading.Thread(target=slow)
    thread.start()
    assert stage.wait_until(lambda: api.requests)
    byway.cli("profile", "passwd", "one/mg", "--password-stdin", stdin="another-key\n")

    def sent_with_the_new_key():
        with Client(byway, "mg.example") as c:
            assert c.deliver("a@x.example", content=RAW)[0] == 250
        return api.requests[-1].headers["authorization"] != api.requests[0].headers["authorization"]

    assert stage.wait_until(sent_with_the_new_key, 5, 0.2)
    thread.join()
    assert got == [250]
