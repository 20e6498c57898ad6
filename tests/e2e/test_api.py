# SPDX-License-Identifier: Apache-2.0
"""Providers' HTTP APIs, through the whole proxy (BEHAVIOUR 6 and 7, THREATS U8, U12, U13)."""
import base64
import hashlib
import hmac
import re
import smtplib
import ssl

import pytest

import https
import stage

KEY = "key-0123456789abcdef-of-mailgun"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def profile(byway, name, api, pair, provider="mailgun", username="mg.one.example", key=KEY, **more):
    lines = {"provider": provider, "transport": "api", "host": "localhost", "port": api.port, "username": username,
             "password_file": byway.secret(f"{name}.key", key), "ca_file": pair[0], **more}
    return f"[profile one/{name}]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items() if v is not None)


def directory(byway, profiles, routes):
    text = "[account one]\nplan = agency\nsenders = any\n" + "".join(profiles)
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
    return stage_byway(b, directory(b, [
        profile(b, "mg", api, pair),
        profile(b, "ses", api, pair, "ses", "AKIDEXAMPLE", SECRET),
        profile(b, "sp", api, pair, "sparkpost", None),
        profile(b, "sg", api, pair, "sendgrid", None),
        profile(b, "strict", api, pair, "sendgrid", None, strict="yes"),
    ], {"one.example": "mg", "ses.example": "ses", "sp.example": "sp", "sg.example": "sg", "strict.example": "strict"}))


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


def test_L9_what_no_route_gets(client, byway, api):
    """Resent-Bcc and a mailbox file's line go before any API sees them; a header section of more than 1,000 fields goes nowhere."""
    head = b"From: <box@one.example>\r\nTo: <a@x.example>\r\nSubject: s\r\nDate: x\r\nMessage-ID: <1@one.example>\r\n"
    api.take()
    code, _ = client.deliver("a@x.example", content=b"From me Mon Sep 17 00:00:00 2001\r\n" + head + b"Resent-Bcc : s@x.example\r\n\r\nx\r\n")
    [request] = api.take()
    assert code == 250 and request.parts()[-1][2].endswith(b"\r\n" + head + b"\r\nx\r\n") and b"s@x.example" not in request.body
    code, text = client.deliver("a@x.example", content=head + b"A:\r\n" * 996 + b"\r\nx\r\n")
    assert (code, text.split()[0]) == (554, "5.6.0") and not api.take()
    code, text = sendgrid(byway, head + b"A:\r\n" * 45000 + b"\r\nx\r\n")
    assert (code, text.split()[0]) == (554, "5.6.0") and not api.take()


# ---- the other raw APIs ----


def signed_as(request, region, secret):
    """AWS's Signature Version 4, worked out anew from what came."""
    words = dict(w.split("=", 1) for w in request.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(", "))
    names = words["SignedHeaders"].split(";")
    assert {"host", "x-amz-date"} <= set(names)
    date = request.headers["x-amz-date"]
    canonical = "\n".join([request.method, request.path, "", *(f"{n}:{request.headers[n]}" for n in names), "", ";".join(names),
                           hashlib.sha256(request.body).hexdigest()])
    scope = f"{date[:8]}/{region}/ses/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for word in (date[:8], region, "ses", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    assert words["Credential"].split("/", 1)[1] == scope
    return words["Credential"].split("/")[0], words["Signature"] == hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


RAW = (b"From: <box@one.example>\r\nTo: <a@x.example>\r\nSubject: raw\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n"
       b"Message-ID: <1@one.example>\r\n\r\n\"quotes\" \\ {{name}} \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x98\r\n")


@pytest.mark.parametrize("length", range(3))
def test_L1_ses_takes_the_message_in_base64_signed(byway, api, length):
    api.take()
    api.say(200, {"MessageId": "010201aa-1"})
    content = RAW + b"x" * length + b"\r\n"
    with Client(byway, "ses.example") as c:
        code, text = c.deliver("a@x.example", "bcc@x.example", content=content)
    assert (code, text.endswith("(upstream: 200 010201aa-1)")) == (250, True), text
    [request] = api.take()
    assert request.path == "/v2/email/outbound-emails"
    assert signed_as(request, "us-east-1", SECRET) == ("AKIDEXAMPLE", True)
    got = request.json()
    assert got["Destination"] == {"ToAddresses": ["a@x.example", "bcc@x.example"]}
    assert "FromEmailAddress" not in got
    assert base64.b64decode(got["Content"]["Raw"]["Data"], validate=True).endswith(content)


def test_L1_sparkpost_takes_the_message_as_a_string(byway, api):
    api.take()
    api.say(200, {"results": {"total_rejected_recipients": 0, "total_accepted_recipients": 1, "id": "1177"}})
    with Client(byway, "sp.example") as c:
        code, text = c.deliver("a@x.example", content=RAW)
        assert (code, text.endswith("(upstream: 200 1177)")) == (250, True), text
        [request] = api.take()
        assert request.headers["authorization"] == KEY
        got = request.json()
        assert got["options"] == {"perform_substitutions": False}
        assert got["recipients"] == [{"address": {"email": "a@x.example"}}]
        assert got["content"]["email_rfc822"].endswith(RAW.decode())
        # What a JSON string cannot hold is refused, and nothing is sent.
        code, text = c.deliver("a@x.example", content=RAW + b"\xff\r\n")
        assert (code, text.split()[0]) == (554, "5.6.3") and "UTF-8" in text
        code, text = c.deliver("a@x.example", content=RAW + b"\xe2\x82\r\n")
        assert (code, text.split()[0]) == (554, "5.6.3")
    assert not api.take()


def test_partial_refusals_inside_a_good_answer_are_named(byway, api):
    api.say(200, {"results": {"total_rejected_recipients": 1, "total_accepted_recipients": 1, "id": "1178", "rcpt_to_errors": [
        {"message": "Invalid recipient", "description": "b@x.example is suppressed", "code": "1902"}]}})
    with Client(byway, "sp.example") as c:
        code, text = c.deliver("a@x.example", "b@x.example", content=RAW)
        assert code == 250
        assert "1178; 1 of 2 recipients refused: Invalid recipient b@x.example is suppressed" in text
        assert text.splitlines()[-1].endswith("Refused: b@x.example")
        message = byway.wait_event("message", left_out=1)
        assert message["accepted"] == 1
        logged = [(r["to"], r["code"], r["class"], r["said"]) for r in byway.events("recipient") if r["id"] == message["id"]]
        assert logged == [("b@x.example", 550, "rcpt", "Invalid recipient b@x.example is suppressed")]
        # Many, with names that are parts of one another; those that do not fit the reply are counted.
        many = [f"n{i}.{'x' * 40}@{'d' * 60}.example" for i in range(30)]
        whole = ["b@x.example", *many]
        api.say(200, {"results": {"total_rejected_recipients": 31, "total_accepted_recipients": 2, "id": "1180", "rcpt_to_errors": [
            {"message": f"<{n}> is suppressed."} for n in whole] + [{"message": "somebody"}]}})
        code, text = c.deliver("bb@x.example", "b@x.example.org", *whole, content=RAW)
        lines = text.splitlines()
        assert code == 250 and "31 of 33 recipients refused" in text and max(map(len, lines)) <= 506
        named = " ".join(lines).split("Refused: ")[1]
        assert re.fullmatch(r"b@x\.example(, \S+)+ and \d+ more", named.replace("2.0.0 ", ""))
        assert 8 <= named.count("@") <= 15 and named.endswith(f"and {31 - named.count('@')} more")
        message = byway.wait_event("message", left_out=31)
        assert message["accepted"] == 2
        assert [r["to"] for r in byway.events("recipient") if r["id"] == message["id"]] == whole
        api.say(200, {"results": {"total_rejected_recipients": 1, "total_accepted_recipients": 0, "id": "1179"}})
        code, text = c.deliver("b@x.example", content=RAW)
        assert (code, text.split()[0]) == (550, "5.1.3")


def test_partial_accept_leaves_the_names_to_the_log(stack, folder, stage_byway, api, pair):
    b = stage.Byway(folder / "partial", workers=1, settings={"upstream": {"allow_ports": f"{api.port}", "partial": "accept"}})
    b.init()
    b = stage_byway(b, directory(b, [profile(b, "sp", api, pair, "sparkpost", None)], {"sp.example": "sp"}))
    api.say(200, {"results": {"total_rejected_recipients": 1, "total_accepted_recipients": 1, "id": "1181", "rcpt_to_errors": [
        {"message": "Invalid recipient", "description": "b@x.example is suppressed", "code": "1902"}]}})
    with Client(b, "sp.example") as c:
        code, text = c.deliver("a@x.example", "b@x.example", content=RAW)
        assert code == 250 and "1 of 2 recipients refused" in text and len(text.splitlines()) == 1
    assert b.wait_event("message", left_out=1)["accepted"] == 1
    assert [(r["to"], r["class"]) for r in b.events("recipient")] == [("b@x.example", "rcpt")]


# ---- verdicts ----

SES = lambda kind, message: (message, {"x-amzn-ErrorType": kind})  # noqa: E731
ROWS = [  # provider, status, error (and headers), code, enhanced code, words
    ("mailgun", 401, "Forbidden", 554, "5.3.5", "did not accept the stored credentials"),
    ("mailgun", 402, {"message": "Request Failed"}, 451, "4.3.5", None),
    ("mailgun", 404, {"message": "Domain not found: mg.one.example"}, 451, "4.3.5", None),
    ("mailgun", 403, {"message": "Domain example is not allowed to send large batches yet"}, 451, "4.7.0", "large batches yet"),
    ("mailgun", 403, {"message": "Rejected: IP <192.0.2.1> can't be used to send the message"}, 451, "4.3.5", None),
    ("mailgun", 403, {"message": "Domain mg.one.example is not allowed to send: Account disabled"}, 554, "5.7.0", "Account disabled"),
    ("mailgun", 403, {"message": "Domain x is not allowed to send: Account Inactivity"}, 554, "5.7.0", "Account Inactivity"),
    ("mailgun", 400, {"message": "Domain x is not allowed to send: Sandbox subdomains are for test purposes only."}, 550, "5.7.1", "Sandbox"),
    ("mailgun", 400, {"message": "to parameter is not a valid address. please check documentation"}, 550, "5.1.3", "not a valid address"),
    ("mailgun", 400, {"message": "Too many recipients, max is 1000"}, 554, "5.5.3", "Too many recipients"),
    ("mailgun", 400, {"message": "'message' parameter is not a file"}, 451, "4.3.0", None),
    ("mailgun", 413, {"message": "request size exceeds 52.4MiB limit"}, 552, "5.2.3", "request size exceeds"),
    ("mailgun", 429, {"message": "Domain x is not allowed to send: request limit exceeded, try again after 1 seconds"}, 451, "4.4.5", "limit exceeded"),
    ("mailgun", 500, "Internal Server Error", 451, "4.3.0", None),
    ("mailgun", 504, "<html>Gateway Timeout</html>", 451, "4.4.2", None),
    ("mailgun", 301, "", 451, "4.3.5", None),
    ("ses", 429, SES("TooManyRequestsException", {"message": None}), 451, "4.4.5", None),
    ("ses", 400, SES("LimitExceededException", {"message": "Daily message quota exceeded."}), 451, "4.7.0", "Daily message quota"),
    ("ses", 400, SES("AccountSuspendedException:http://internal.amazon.com/coral/", {"message": "Account is suspended"}), 554, "5.7.0", "suspended"),
    ("ses", 400, SES("SendingPausedException", {"message": "Sending is paused"}), 554, "5.7.0", "paused"),
    ("ses", 400, SES("MailFromDomainNotVerifiedException", {"message": "The MAIL FROM domain is not verified"}), 550, "5.7.1", "not verified"),
    ("ses", 400, SES("MessageRejected", {"message": "Email address is not verified. The following identities failed the check in region "
                     "US-EAST-1: arn:aws:ses:us-east-1:123456789012:identity/one.example"}), 550, "5.7.1", "not verified"),
    ("ses", 400, SES("MessageRejected", {"message": "Virus found"}), 554, "5.7.1", "Virus found"),
    ("ses", 404, SES("NotFoundException", {"message": "Configuration set not found"}), 451, "4.3.5", None),
    ("ses", 400, SES("BadRequestException", {"message": "Missing final '@domain'"}), 554, "5.6.0", "Missing final"),
    ("ses", 403, SES("SignatureDoesNotMatch", {"message": "The request signature we calculated does not match"}), 554, "5.3.5", None),
    ("ses", 403, SES("UnrecognizedClientException", {"message": "The security token included in the request is invalid."}), 554, "5.3.5", None),
    ("ses", 403, SES("InvalidClientTokenId", {"message": "x"}), 554, "5.3.5", None),
    ("ses", 403, SES("AccessDeniedException", {"message": "User: arn:aws:iam::123456789012:user/x is not authorized"}), 554, "5.3.5", None),
    ("sparkpost", 400, {"errors": [{"message": "Invalid domain", "code": "7001", "description": "Unconfigured Sending Domain <one.example>"}]},
     550, "5.7.1", "Invalid domain Unconfigured Sending Domain"),
    ("sparkpost", 420, {"errors": [{"message": "Exceed Sending Limit (daily)", "code": "2102"}]}, 451, "4.7.0", "Exceed Sending Limit"),
    ("sparkpost", 403, {"errors": [{"message": "Forbidden", "code": "1100"}]}, 554, "5.3.5", None),
    ("sparkpost", 422, {"errors": [{"message": "Invalid data format/type", "code": "1300"}]}, 554, "5.6.0", "Invalid data format"),
    ("sendgrid", 401, {"errors": [{"message": "The provided authorization grant is invalid, expired, or revoked", "field": None}]}, 554, "5.3.5", None),
    ("sendgrid", 401, {"errors": [{"message": "authorization required"}]}, 554, "5.3.5", None),
    ("sendgrid", 401, {"errors": [{"message": "Authenticated user is not authorized to send mail"}]}, 554, "5.3.5", None),
    ("sendgrid", 401, {"errors": [{"message": "Maximum credits exceeded"}]}, 451, "4.7.0", "Maximum credits exceeded"),
    ("sendgrid", 403, {"errors": [{"message": "The from address does not match a verified Sender Identity. Mail cannot be sent"}]}, 550, "5.7.1", "verified Sender"),
    ("sendgrid", 403, {"errors": [{"message": "access forbidden"}]}, 554, "5.3.5", None),
    ("sendgrid", 403, {"errors": [{"message": "You are temporarily blocked from sending emails due to repeated bad requests."}]}, 451, "4.4.5", None),
    ("sendgrid", 400, {"errors": [{"message": "There is a limit of 1000 total recipients (to + cc + bcc) per request."}]}, 554, "5.5.3", "1000 total"),
    ("sendgrid", 400, {"errors": [{"message": "Each email address in the personalization block should be unique between to, cc, and bcc."}]}, 451, "4.3.0", None),
    ("sendgrid", 400, {"errors": [{"message": "Each unique email address in the personalizations array should only be included once."}]}, 451, "4.3.0", None),
    ("sendgrid", 400, {"errors": [{"message": "Header cannot be one of the reserved keys."}]}, 451, "4.3.0", None),
    ("sendgrid", 400, {"errors": [{"message": "The to array must at least have an email parameter with a valid email address"}]}, 550, "5.1.3", "valid email address"),
    ("sendgrid", 415, {"errors": [{"message": "Invalid UTF8 in request"}]}, 451, "4.3.0", None),
    ("sendgrid", 413, "", 552, "5.2.3", None),
    ("sendgrid", 429, {"errors": [{"message": "too many requests"}]}, 451, "4.4.5", None),
    ("sendgrid", 451, "", 451, "4.3.5", None),
]
DOMAINS = {"mailgun": "one.example", "ses": "ses.example", "sparkpost": "sp.example", "sendgrid": "sg.example"}


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r[0]}-{r[1]}-{str(r[2])[:40]}")
def test_what_an_answer_means(byway, api, row):
    provider, status, error, code, enhanced, words = row
    body, headers = error if isinstance(error, tuple) else (error, {})
    api.take()
    api.say(200, {"id": "<1@x>", "message": "Queued.", "MessageId": "1", "results": {"id": "1"}})
    with Client(byway, DOMAINS[provider]) as c:
        # A good one first, so that no row before this one has the breaker open or the profile held.
        assert stage.wait_until(lambda: c.deliver("a@x.example", content=RAW)[0] == 250, 15, 0.2)
        api.take()
        api.once(status, body, headers={"Location": "https://localhost/elsewhere", **headers})
        got, text = c.deliver("a@x.example", content=RAW)
        assert (got, text.split()[0]) == (code, enhanced), text
        assert words is None or words in text
        assert "arn:" not in text and KEY not in text and SECRET not in text
    assert len(api.take()) == 1  # no second try, no redirect followed


@pytest.mark.parametrize("provider", DOMAINS)
def test_P8_smtputf8_with_ascii_addresses_asks_for_nothing(byway, api, provider):
    api.take()
    api.say(200, {"id": "<1@x>", "message": "Queued.", "MessageId": "1", "results": {"id": "1"}})
    with Client(byway, DOMAINS[provider]) as c:
        assert stage.wait_until(lambda: c.deliver("a@x.example", content=RAW)[0] == 250, 15, 0.2)
        api.take()
        assert c.docmd(f"MAIL FROM:<box@{DOMAINS[provider]}> BODY=8BITMIME SMTPUTF8")[0] == 250
        assert c.rcpt("a@x.example")[0] == 250
        assert c.data(RAW)[0] == 250
    assert len(api.take()) == 1


# ---- SendGrid: a message taken apart ----

HEAD = b"From: =?utf-8?q?J=C3=B6rg?= <box@one.example>\r\nTo: Ann <a@x.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
MIME = b"MIME-Version: 1.0\r\nContent-Type: "
PNG = base64.b64encode(bytes(range(256)) * 40)
FULL = HEAD + (
    b"Cc: Bob <b@X.example>\r\nReply-To: r@one.example\r\nMessage-ID: <77@one.example>\r\nX-Own: a\r\n folded value\r\n" + MIME +
    b"multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n--r\r\n"
    b"Content-Type: multipart/alternative; boundary=a\r\n\r\n"
    b"--a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe\r\n"
    b"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\xe2\x82\xac \"x\"</p>\r\n--a--\r\n"
    b"--r\r\nContent-Type: image/png; name=i.png\r\nContent-ID: <pic@one>\r\nContent-Transfer-Encoding: base64\r\n\r\n" + PNG +
    b"\r\n--r--\r\n--m\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"a b.pdf\"\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--m--\r\n")


def sendgrid(byway, content, *to, domain="sg.example"):
    with Client(byway, domain) as c:
        return c.deliver(*(to or ("a@x.example",)), content=content)


def test_sendgrid_gets_the_message_as_json(byway, api):
    api.take()
    api.say(202, "", headers={"X-Message-Id": "sg-id-1"})
    code, text = sendgrid(byway, FULL, "a@x.example", "b@x.example", "secret@x.example")
    assert code == 250 and text.endswith("(upstream: 202 sg-id-1)"), text
    [request] = api.take()
    assert request.path == "/v3/mail/send" and request.headers["authorization"] == f"Bearer {KEY}"
    got = request.json()
    assert got["personalizations"] == [{"to": [{"email": "a@x.example", "name": "Ann"}], "cc": [{"email": "b@X.example", "name": "Bob"}],
                                        "bcc": [{"email": "secret@x.example"}], "subject": "Grüße"}]
    assert got["from"] == {"email": "box@one.example", "name": "Jörg"} and got["reply_to"] == {"email": "r@one.example"}
    assert got["content"] == [{"type": "text/plain", "value": "Grüße"}, {"type": "text/html", "value": "<p>€ \"x\"</p>"}]
    assert got["headers"]["Message-ID"] == "<77@one.example>" and got["headers"]["X-Own"] == "a folded value"
    assert not {"received", "to", "cc", "bcc", "from", "subject", "content-type"} & {k.lower() for k in got["headers"]}
    inline, attached = got["attachments"]
    assert (inline["type"], inline["filename"], inline["disposition"], inline["content_id"]) == ("image/png", "i.png", "inline", "pic@one")
    assert base64.b64decode(inline["content"]) == bytes(range(256)) * 40
    assert (attached["type"], attached["filename"], attached["disposition"]) == ("application/pdf", "a b.pdf", "attachment")
    assert base64.b64decode(attached["content"]) == b"%PDF-"
    assert got["tracking_settings"]["open_tracking"] == {"enable": False}


def mime(kind, body=b"\r\nx\r\n"):
    return HEAD + MIME + kind + b"\r\n" + body


def two(kind, first, second):
    return mime(b"multipart/" + kind + b"; boundary=m", b"\r\n--m\r\n" + first + b"\r\n--m\r\n" + second + b"\r\n--m--\r\n")


PLAIN = b"Content-Type: text/plain\r\n\r\nhello"


CANNOT = {
    "kind": "signed, encrypted, a report, or another kind of multipart", "message": "a message inside the message",
    "alternative": "an alternative that is neither text nor HTML", "bodies": "several bodies", "empty": "an empty attachment",
    "cid": "a related part without Content-ID", "smime": "S/MIME", "charset": "text that is not in the charset that it says",
    "flowed": "flowed text that deletes spaces", "fields": "Sender, Resent-*, Content-Location or a signature (DKIM) in the header",
    "other": "To or Cc names somebody to whom it is not to be sent", "from": "From must hold one address",
    "twice": "a header field that occurs twice and that readers show", "group": "a group inside a group of addresses",
    "deep": "comments nested too deep in a header field",
}


@pytest.mark.parametrize("why, content", [
    ("kind", two(b"signed", PLAIN, b"Content-Type: application/pgp-signature\r\n\r\nx")),
    ("kind", two(b"encrypted", PLAIN, PLAIN)),
    ("kind", two(b"digest", PLAIN, PLAIN)),
    ("message", two(b"mixed", PLAIN, b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nx")),
    ("alternative", two(b"alternative", PLAIN, b"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR")),
    ("bodies", two(b"mixed", PLAIN, PLAIN)),
    ("empty", two(b"mixed", PLAIN, b"Content-Type: text/x; name=empty\r\n\r\n")),
    ("cid", two(b"related", PLAIN, b"Content-Type: image/png\r\n\r\nx")),
    ("smime", mime(b"application/pkcs7-mime; smime-type=enveloped-data")),
    ("charset", mime(b"text/plain; charset=utf-8", b"\r\n\xff\xfe\r\n")),
    ("flowed", mime(b"text/plain; format=flowed; delsp=yes")),
    ("fields", b"Sender: <s@one.example>\r\n" + mime(b"text/plain")),
    ("fields", b"DKIM-Signature: v=1\r\n" + mime(b"text/plain")),
    ("fields", b"Resent-From: <s@one.example>\r\n" + mime(b"text/plain")),
    ("other", b"Cc: other@x.example\r\n" + mime(b"text/plain")),
    ("from", HEAD.replace(b"From: ", b"From: z@one.example, ") + b"\r\nx\r\n"),
    ("charset", mime(b"text/plain; charset=x-nobody", b"\r\n\xc3\xa4\r\n")),
    ("twice", b"Subject: another\r\n" + mime(b"text/plain")),
    ("twice", b"Message-ID: <1@one.example>\r\nMessage-ID: <2@one.example>\r\n" + mime(b"text/plain")),
    ("group", HEAD.replace(b"Ann <a@x.example>", b"one: two: a@x.example;;") + b"\r\nx\r\n"),
    ("deep", HEAD.replace(b"Ann", b"(" * 20 + b")" * 20 + b" Ann") + b"\r\nx\r\n"),
], ids=["signed", "encrypted", "digest", "message", "invitation", "bodies", "empty", "no-cid", "smime", "not-utf8", "delsp", "sender", "dkim",
        "resent", "not-rcpt", "two-from", "unknown-8bit", "subjects", "ids", "groups", "comments"])
def test_what_json_cannot_carry_is_refused_with_the_reason(byway, api, why, content):
    api.take()
    code, text = sendgrid(byway, content)
    assert (code, *text.splitlines()[0].split(": ", 1)) == (554, "5.6.3 Not possible through this provider's API", CANNOT[why])
    assert not api.take()


def plain(kind, body, field=b"Content-Type: "):
    """One body as it arrives at the API, and whether anything was attached."""
    return HEAD + b"MIME-Version: 1.0\r\n" + field + kind + b"\r\n\r\n" + body + b"\r\n"


def person(*to, cc=(), bcc=(), subject="Grüße"):
    made = {"to": [{"email": e, **({"name": n} if n else {})} for e, n in to], "subject": subject}
    made |= {"cc": [{"email": e} for e in cc]} if cc else {}
    return made | ({"bcc": [{"email": e} for e in bcc]} if bcc else {})


LATIN = b"Gr\xfc\xdfe \x80"
CARRIED = {  # what came, and what of the JSON must be so: the body, or a member
    # a type that is none (RFC 2045, 5.2)
    "text": (plain(b"text", b"hello"), "hello"),
    "text/": (plain(b"text/", b"hello"), "hello"),
    "html": (plain(b"html", b"<p>"), "<p>"),
    "no type": (plain(b"", b"hello"), "hello"),
    "text with charset": (plain(b"text; charset=iso-8859-1", b"Gr\xfc\xdfe"), "Grüße"),
    "text in a part": (two(b"mixed", b"Content-Type: text\r\n\r\nhello", b"Content-Type: image/png\r\n\r\nx"), "hello"),
    # text whose charset nobody knows
    "unknown charset, ASCII": (plain(b"text/plain; charset=unknown-8bit", b"hello"), "hello"),
    "charset of nobody, ASCII": (plain(b"text/plain; charset=x-nobody", b"hello"), "hello"),
    "no charset, latin-1": (plain(b"text/plain", LATIN), "Grüße €"),
    "no field, latin-1": (HEAD + b"\r\n" + LATIN + b"\r\n", "Grüße €"),
    "us-ascii, latin-1": (plain(b"text/plain; charset=us-ascii", LATIN), "Grüße €"),
    "unknown-8bit, latin-1": (plain(b"text/plain; charset=unknown-8bit", LATIN), "Grüße €"),
    "us-ascii, UTF-8": (plain(b"text/plain; charset=us-ascii", "Grüße €".encode()), "Grüße €"),
    "no charset, UTF-8": (plain(b"text/plain", "Grüße €".encode()), "Grüße €"),
    "what 1252 has not": (plain(b"text/plain", b"\x81"), "\x81"),
    # charsets whose modules iconv reads from files, which a parser cannot
    **{c: (plain(b"text/plain; charset=" + c.encode(), "Слово".encode(c)), "Слово") for c in ("koi8-r", "windows-1251", "iso-8859-5", "gb18030")},
    **{c: (plain(b"text/plain; charset=" + c.encode(), "日本".encode(c)), "日本") for c in ("iso-2022-jp", "shift_jis", "euc-jp", "big5")},
    # who it goes to
    "comma": (HEAD.replace(b"Ann", b'"Doe, John;  jr"') + b"\r\nx\r\n", {"personalizations": [person(("a@x.example", "Doe John jr"))]}),
    "comma of the sender": (HEAD.replace(b"=?utf-8?q?J=C3=B6rg?=", b'"Doe, J"') + b"\r\nx\r\n", {"from": {"email": "box@one.example", "name": "Doe J"}}),
    "group": (HEAD.replace(b"Ann <a@x.example>", b"Team: Ann <a@x.example>;") + b"\r\nx\r\n", {"personalizations": [person(("a@x.example", "Ann"))]}),
    "undisclosed": (HEAD.replace(b"Ann <a@x.example>", b"undisclosed-recipients:;") + b"\r\nx\r\n",
                    {"personalizations": [person(("a@x.example", None)), person(("b@x.example", None))]}, "a@x.example", "b@x.example"),
    "no To": (HEAD.replace(b"To: Ann <a@x.example>\r\n", b"") + b"\r\nx\r\n",
              {"personalizations": [person(("a@x.example", None)), person(("b@x.example", None))]}, "a@x.example", "b@x.example"),
    "Cc alone": (HEAD.replace(b"To: Ann", b"Cc: Ann") + b"\r\nx\r\n",
                 {"personalizations": [person(("a@x.example", "Ann"), bcc=["b@x.example"])]}, "a@x.example", "b@x.example"),
    # fields
    "no subject": (HEAD.replace(b"Subject:", b"X-Subject:") + b"\r\nx\r\n", {"personalizations": [person(("a@x.example", "Ann"), subject="(no subject)")]}),
    "empty subject": (HEAD.replace(b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", b"") + b"\r\nx\r\n",
                      {"personalizations": [person(("a@x.example", "Ann"), subject="(no subject)")]}),
    "twice": (b"X-Originating-IP: 192.0.2.1\r\nX-Originating-IP: 192.0.2.2\r\n" + mime(b"text/plain"), ("X-Originating-IP", "192.0.2.1")),
    "UTF-8 field": ("X-Mailer: Grüße\r\n".encode() + mime(b"text/plain"), ("X-Mailer", "=?UTF-8?b?R3LDvMOfZQ==?=")),
    "latin-1 field": (b"X-Mailer: Gr\xfc\xdfe\r\n" + mime(b"text/plain"), ("X-Mailer", "=?UTF-8?b?R3LDvMOfZQ==?=")),
    "long field": (b"X-Report: " + b"x" * 70 + (b"\r\n " + b"y" * 70) * 400 + b"\r\n" + mime(b"text/plain"), ("X-Report", None)),
    "file name": (two(b"mixed", PLAIN, b"Content-Type: image/png; name=\"Doe, J;.png\"\r\n\r\nx"), "hello"),
}


@pytest.mark.parametrize("name", CARRIED)
def test_everyday_mail_is_carried_as_a_mail_program_shows_it(byway, api, name):
    content, want, *to = CARRIED[name]
    api.take()
    api.say(202, "")
    code, text = sendgrid(byway, content, *to)
    assert code == 250, text
    got = api.take()[0].json()
    if isinstance(want, str):
        assert [(c["type"], c["value"].rstrip()) for c in got["content"]] == [("text/plain", want)]
        assert [a["filename"] for a in got.get("attachments", [])] == {"text in a part": ["attachment"], "file name": ["Doe_ J_.png"]}.get(name, [])
    elif isinstance(want, dict):
        assert {k: got[k] for k in want} == want
    else:
        field, value = want
        assert got["headers"].get(field) == value


MENDED = {
    **dict.fromkeys(("text", "text/", "html", "text with charset", "text in a part"), "a content type that is none"),
    "no type": "a content type that is none",
    **dict.fromkeys((n for n in CARRIED if "charset" in n and n not in ("text with charset", "unknown charset, ASCII")), CANNOT["charset"]),
    **dict.fromkeys(("no field, latin-1", "us-ascii, latin-1", "unknown-8bit, latin-1", "us-ascii, UTF-8", "what 1252 has not"), CANNOT["charset"]),
    **dict.fromkeys(("comma", "comma of the sender"), "a display name with a comma, a semicolon or what is no character"),
    **dict.fromkeys(("group", "undisclosed"), "a group of addresses"),
    "no To": "nobody stands in To or Cc", "Cc alone": "nobody stands in To",
    **dict.fromkeys(("no subject", "empty subject"), "no subject"), "twice": "a header field that occurs twice",
    **dict.fromkeys(("UTF-8 field", "latin-1 field"), "a header field that is not ASCII"), "long field": "a header field that is too long",
    "file name": "the name of a file holds a comma or a semicolon",
}
RIGHT = {"unknown charset, ASCII", "koi8-r", "windows-1251", "iso-8859-5", "gb18030", "iso-2022-jp", "shift_jis", "euc-jp", "big5"}  # nothing to mend


@pytest.mark.parametrize("name", CARRIED)
def test_a_strict_profile_refuses_what_would_be_mended(byway, api, name):
    content, _, *to = CARRIED[name]
    api.take()
    api.say(202, "")
    code, text = sendgrid(byway, content, *to, domain="strict.example")
    if name in RIGHT:
        assert code == 250 and len(api.take()) == 1, text
    else:
        assert (code, *text.splitlines()[0].split(": ", 1)) == (554, "5.6.3 Not possible through this provider's API", MENDED[name])
        assert api.take() == []


def test_sendgrid_large_and_plain(byway, api):
    api.take()
    api.say(202, "", headers={"X-Message-Id": "sg-id-2"})
    big = two(b"mixed", PLAIN, b"Content-Type: application/x; name=big\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"\r\n".join([PNG[:76]] * 60000))
    assert sendgrid(byway, big)[0] == 250
    [request] = api.take()
    assert len(base64.b64decode(request.json()["attachments"][0]["content"])) == 57 * 60000
    code, text = sendgrid(byway, HEAD + b"\r\n")
    assert code == 250, text
    assert api.take()[0].json()["content"] == [{"type": "text/plain", "value": "\n"}]


@pytest.mark.parametrize("domain", DOMAINS.values())
def test_P8_a_permission_is_no_need_and_a_list_is_no_address(byway, api, domain):
    """SMTPUTF8 said by Go for plain ASCII passes; a local part that a provider could read as a list does not."""
    api.take()
    api.say(200, {"id": "<1@x>", "message": "Queued.", "MessageId": "1", "results": {"id": "1"}})
    with Client(byway, domain) as c:
        c.ehlo_or_helo_if_needed()
        assert c.docmd("MAIL", f"FROM:<box@{domain}> BODY=8BITMIME SMTPUTF8")[0] == 250
        for local in ('"a,b"', '"a;b"'):
            code, text = c.docmd("RCPT", f"TO:<{local}@x.example>")
            assert (code, text.split()[0]) == (550, b"5.6.3"), text
        assert c.docmd("RCPT", "TO:<a@x.example>")[0] == 250
        assert c.docmd("DATA")[0] == 354
        c.send(RAW + b".\r\n")
        assert c.getreply()[0] == 250
    assert len(api.take()) == 1
