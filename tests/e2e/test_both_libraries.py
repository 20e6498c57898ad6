# SPDX-License-Identifier: Apache-2.0
"""Folders and clients of the build with mbedTLS, served by the one with OpenSSL, and the other way round: keys, certificates, sealed passwords, tickets."""
import socket
import ssl

import pytest
import stage
from talk import Talk

pytestmark = pytest.mark.skipif(not (stage.TWIN / "bywayd").exists(), reason=f"{stage.TWIN.name} is not built")
ORDERS = {"made_by_the_other": (stage.TWIN, stage.BUILD), "made_by_this": (stage.BUILD, stage.TWIN)}


@pytest.fixture(params=ORDERS)
def place(tmp_path, stack, pair, request):
    """A Byway made by the one build, to be started with the other; its provider wants a password, and so does its mailbox."""
    maker, user = ORDERS[request.param]
    upstream = stack.enter_context(stage.Upstream(users={"login": "upstream-password"}, tls="starttls", pair=pair))
    byway = stage.Byway(tmp_path / "byway", workers=1, build=maker, settings={
        "upstream": {"allow_ports": str(upstream.port)}, "tls": {"ticket_key_file": tmp_path / "ticket.key"}})
    (tmp_path / "ticket.key").write_bytes(b"k" * 64)
    (tmp_path / "ticket.key").chmod(0o600)
    byway.init()
    byway.apply("[account one]\nplan = agency\nroute = up\n"
                f"[profile one/up]\nhost = localhost\nport = {upstream.port}\ntls = starttls\nusername = login\n"
                f"password_file = {byway.secret('up.pw', 'upstream-password')}\nca_file = {pair[0]}\n"
                f"[domain one.example]\naccount = one\n"
                f"[mailbox box@one.example]\npassword_file = {byway.secret('box.pw', 'box-password')}\n")
    byway.machine = byway.cli("mailbox", "add", "robot@one.example", "--generate", json_out=True)["password"]
    byway.user, byway.upstream = user, upstream
    return byway


def send(byway, box, password):
    with Talk(byway, "tls", login=(f"{box}@one.example", password)) as t:
        return t.send(f"{box}@one.example", ["a@x.example"], f"From: <{box}@one.example>\r\n\r\nHello.\r\n".encode()).code


def test_R3_what_one_build_sealed_the_other_opens(place):
    place.build = place.user
    with place:
        assert send(place, "box", "box-password") == 250
        assert send(place, "robot", place.machine) == 250
        # The tool of this build seals anew; nothing of it is lost on the way back.
        place.cli("profile", "set", "one/up", "--username", "login", "--password-stdin", stdin="upstream-password\n")
        assert send(place, "box", "box-password") == 250
        assert [m["login"] for m in place.upstream.take()] == ["login"] * 3
    place.build = stage.TWIN if place.user == stage.BUILD else stage.BUILD
    with place:
        assert send(place, "robot", place.machine) == 250
        assert [m["login"] for m in place.upstream.take()] == ["login"]


def visit(byway, context, session=None):
    """One TLS session to the end of NOOP; what could resume it, and whether it was resumed itself."""
    with socket.create_connection((byway.ip, byway.ports["tls"]), timeout=20 * stage.SLOW) as s:
        with context.wrap_socket(s, server_hostname="localhost", session=session) as t:
            assert t.recv(512).startswith(b"220")
            t.sendall(b"NOOP\r\n")
            assert t.recv(512).startswith(b"250")
            return t.session, t.session_reused


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_P3_a_ticket_of_the_other_build_costs_a_whole_handshake_and_nothing_else(place, version):
    context = ssl.create_default_context(cafile=str(place.certificate()))
    context.maximum_version = ssl.TLSVersion[version]
    with place:
        session, _ = visit(place, context)
        for _ in range(3):  # each session brings the ticket of the next
            session, resumed = visit(place, context, session)
            assert resumed and session.has_ticket
    place.build = place.user
    with place:
        again, resumed = visit(place, context, session)
        assert not resumed
        assert again.has_ticket and visit(place, context, again)[1]
