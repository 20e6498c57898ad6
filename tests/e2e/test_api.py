# SPDX-License-Identifier: Apache-2.0
"""Providers' HTTP APIs, through the whole proxy (BEHAVIOUR 6 and 7, THREATS U8, U12, U13)."""
import base64
import smtplib
import ssl

import pytest

import https
import stage

KEY = "key-0123456789abcdef-of-mailgun"


def profile(byway, name, api, pair, provider="mailgun", username="mg.one.example", key=KEY, **more):
    lines = {"provider": provider, "transport": "api", "host": "localhost", "port": api.port, "username": username,
             "password_file": byway.secret(f"{name}.key", key), "ca_file": pair[0], **more}
    return f"[profile one/{name}]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items() if v is not None)


def directory(byway, profiles, routes):
    text = "[account one]\nplan = agency\n" + "".join(profiles)
    for domain, route in routes.items():
        text += (f"[domain {domain}]\naccount = one\nroute = {route}\n"
                 f"[mailbox box@{domain}]\npassword_file = {byway.secret('box.pw', 'box-password')}\n")
    return text


class Client(smtplib.SMTP_SSL):
    """A session that has logged in; deliver() gives the last reply, whatever it is."""

    def __init__(self, byway, domain):
        super().__init__("localhost", byway.ports["tls"], context=ssl.create_default_context(cafile=str(byway.certificate())),
                         timeout=60 * stage.SLOW)
        self.login(f"box@{domain}", "box-password")
        self.domain = domain

    def deliver(self, *to, content=None, sender=None):
        self.mail(sender or f"box@{self.domain}")
        replies = [self.rcpt(address) for address in to]
        if content is None:
            content = f"From: <box@{self.domain}>\r\nTo: <{to[0]}>\r\nSubject: one\r\n\r\nhello\r\n".encode()
        code, text = self.docmd("DATA")
        if code == 354:
            self.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            code, text = self.getreply()
        self.replies = replies
        return code, text.decode()


@pytest.fixture(scope="module")
def api(stack, pair):
    return stack.enter_context(https.Api(pair))


@pytest.fixture(scope="module")
def byway(folder, stage_byway, api, pair):
    b = stage.Byway(folder / "api", workers=1, settings={"upstream": {"allow_ports": f"{api.port}", "final_timeout": 5 * stage.SLOW}})
    b.init()
    return stage_byway(b, directory(b, [profile(b, "mg", api, pair)], {"one.example": "mg"}))


@pytest.fixture
def client(byway, api):
    api.take()
    api.next.clear()
    api.say(200, {"id": "<20211022.1@one.example>", "message": "Queued. Thank you."})
    with Client(byway, "one.example") as c:
        yield c


def test_L1_L4_mailgun_takes_a_message_as_it_is(client, api):
    content = (b"From: <box@one.example>\r\nTo: <a@x.example>\r\nSubject: eight bit\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n"
               b"Message-ID: <1@one.example>\r\n\r\n.dot\r\n\xff\xfe\x01\r\n--byway-\r\n")
    code, text = client.deliver("a@x.example", "b@x.example", content=content)
    assert code == 250
    assert text.endswith("(upstream: 200 Queued. Thank you. <20211022.1@one.example>)")
    [request] = api.take()
    assert (request.method, request.path, request.version) == ("POST", "/v3/mg.one.example/messages.mime", "HTTP/1.1")
    assert request.headers["authorization"] == "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
    assert "expect" not in request.headers and "accept-encoding" not in request.headers
    parts = request.parts()
    assert [(n, v) for n, f, v in parts if n == "to"] == [("to", b"a@x.example"), ("to", b"b@x.example")]
    assert parts[-1][:2] == ("message", "message.eml")
    assert parts[-1][2].endswith(content)  # behind our Received:
    assert parts[-1][2].startswith(b"Received: ")
