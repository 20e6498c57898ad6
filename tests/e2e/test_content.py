# SPDX-License-Identifier: Apache-2.0
"""Content arrives bit by bit as it was sent, but for the fields that Byway adds and takes away (BEHAVIOUR L3, L4, L8 to L11)."""
import email.generator
import email.message
import email.policy
import io
import random
import re
import time

import pytest
import stage
from talk import Talk, split_received, stuffed

TO = "you@elsewhere.example"
HEAD = (b"Date: Fri, 01 May 2026 10:00:00 +0200\r\nMessage-ID: <1@client.example>\r\nFrom: <me@author.example>\r\n"
        b"Subject: exact\r\n")
PASSWORD = ("me", "secret")
ALL_OCTETS = bytes(o for o in range(1, 256) if o not in b"\r\n")
ROUTES = ["data", "chunk"]  # an upstream that takes DATA, one that takes BDAT
both_routes = pytest.mark.parametrize("route", ROUTES)


@pytest.fixture(scope="module")
def upstreams(stack):
    start = {"data": {}, "chunk": {"offers": ("PIPELINING", "CHUNKING")}, "seven": {"eight_bit": False, "smtputf8": False}}
    up = {name: stack.enter_context(stage.Upstream(**how)) for name, how in start.items()}
    up["keep"] = up["data"]
    return up


def directory(byway, upstreams):
    password = byway.secret("password", "secret")
    return "[plan wide]\nrecipients = 500\nsenders = any\n" + "".join(
        f"[account {name}]\nplan = wide\nroute = up\n"
        f"[profile {name}/up]\nhost = 127.0.0.1\nport = {u.port}\ntls = none\n"
        + ("keep_headers = X-SMTPAPI X-Mailgun-*\n" if name == "keep" else "") +
        f"[domain {name}.example]\naccount = {name}\n[mailbox me@{name}.example]\npassword_file = {password}\n"
        for name, u in upstreams.items()) + "[ip 127.0.0.40]\naccount = data\n"


def settings(upstreams, **content):
    return {"upstream": {"allow_ports": " ".join(str(u.port) for u in upstreams.values())}, "content": content}


@pytest.fixture(scope="module")
def byway(folder, stage_byway, upstreams):
    b = stage.Byway(folder / "strict", settings=settings(upstreams, line_ends="refuse"))
    b.folder.mkdir()
    return stage_byway(b, directory(b, upstreams))


@pytest.fixture(scope="module")
def lenient(folder, stage_byway, upstreams):
    """Another one: it repairs, as is the default, and has the options that are off by default."""
    b = stage.Byway(folder / "lenient", workers=1, settings=settings(
        upstreams, show_client_address="yes", add_missing="no"))
    b.folder.mkdir()
    return stage_byway(b, directory(b, upstreams))


def talk(byway, route="data", **how):
    return Talk(byway, login=(f"me@{route}.example", "secret"), **how)


def delivered(byway, upstreams, route, content, options="", to=(TO,), send=None, **how):
    """Sends it, gives (the match of our Received:, all that arrived behind it)."""
    upstreams[route].take()
    with talk(byway, route, **how) as t:
        t.mail(f"me@{route}.example", *to, options=options)
        reply = send(t) if send else t.data(content)
        assert reply.code == 250, reply
        t.cmd("QUIT", 221)
    got, = upstreams[route].take()
    assert (got["from"], got["to"]) == (f"me@{route}.example", list(to))
    assert (got["chunks"] > 0) == (route == "chunk")
    received, rest = split_received(got["content"])
    assert reply.words == f"Ok {received['id'].decode()} (upstream: 250 2.0.0 Ok: queued as {got['id']})"
    return received, rest


EXACT = {
    "plain": HEAD + b"\r\nHello.\r\n",
    "8bit": HEAD + "Content-Type: text/plain; charset=utf-8\r\n\r\n\u00e4\u00f6\u00fc \u4f60\u597d \U0001f600\r\n".encode(),
    "every octet": HEAD + b"\r\n" + b"".join(bytes([o]) + b"\r\n" for o in ALL_OCTETS) + ALL_OCTETS + b"\r\n",
    "latin1 in the header": HEAD + "X-Name: Jürgen\r\n\r\nx\r\n".encode("latin1"),
    "dots at line starts": HEAD + b"\r\n.a\r\n..b\r\n...\r\n.\r\n..\r\n.\t\r\n. \r\n",
    "nothing but lone dots": HEAD + b"\r\n" + b".\r\n" * 500,
    "a dot in every place": HEAD + b"\r\n" + b"".join(b"x" * n + b".\r\n.\r\n" for n in range(130)),
    "lines of 998": HEAD + b"\r\n" + (b"x" * 998 + b"\r\n") * 100,
    "lines of 998, dots": HEAD + b"\r\n" + (b"." * 998 + b"\r\n") * 100,
    "a line of 1 MiB": HEAD + b"\r\n" + b"y" * 1048576 + b"\r\nend\r\n",
    "a header field of 100 KiB": HEAD + b"X-Long: " + b"z" * 102400 + b"\r\n\r\nend\r\n",
    "a folded field of 3000 lines": HEAD + b"X-Folded: a\r\n" + b"\tand so on\r\n" * 3000 + b"\r\nend\r\n",
    "990 fields": HEAD + b"".join(b"X-Field-%d: %d\r\n" % (n, n) for n in range(990)) + b"\r\nend\r\n",
    "empty body": HEAD + b"\r\n",
    "no body": HEAD,
    "blank lines at the end": HEAD + b"\r\nx\r\n\r\n\r\n\r\n",
    "blank lines only": HEAD + b"\r\n" * 2000,
    "blanks at line ends": HEAD + b"\r\nx \r\n\t\r\n  \r\n",
    "odd fields": b"date: Fri, 01 May 2026 10:00:00 +0200\r\nMESSAGE-id : <1@x>\r\nA:\r\nB:b\r\nC: \r\n folded\r\n\r\nBcc: not a field\r\n",
    "signed": HEAD + b"DKIM-Signature: v=1; a=rsa-sha256; h=date:from;\r\n\tbh=abc=;\r\n b=def=\r\nX-A:  two  blanks \r\n\r\n\r\nx\r\n",
}


@both_routes
@pytest.mark.parametrize("name", EXACT)
def test_L8_content_arrives_exactly(byway, upstreams, route, name):
    assert delivered(byway, upstreams, route, EXACT[name])[1] == EXACT[name]


@both_routes
@pytest.mark.parametrize("name", EXACT)
def test_L8_chunks_arrive_exactly(byway, upstreams, route, name):
    content = EXACT[name]
    sizes = [1, 2, 3, len(HEAD), 7, 4096, 0, 65536][: 8 if len(content) > 200 else 3]
    assert delivered(byway, upstreams, route, content, send=lambda t: t.bdat(content, *sizes)[-1])[1] == content


def octets_lines(r):
    """Random lines: of all octets but CR, LF and NUL, many with dots in front."""
    lines = []
    for _ in range(r.randrange(1, 60)):
        size = r.choice([0, 1, 2, 3, 62, 63, 64, 65, 126, 127, 128, 129, r.randrange(300), r.randrange(3000)])
        lines.append(r.choice([b"", b"", b".", b"..", b"\t"]) + bytes(r.choices(ALL_OCTETS, k=size)))
    return HEAD + b"\r\n" + b"\r\n".join(lines) + b"\r\n"


def cut(octets, r):
    """The same octets in pieces, some of them tiny."""
    at = 0
    while at < len(octets):
        n = r.choice([1, 2, 3, 5, 64, 512, 1500, 16384])
        yield octets[at:at + n]
        at += n


@both_routes
def test_L8_random_octets_in_random_pieces(byway, upstreams, route):
    up = upstreams[route]
    up.take()
    with talk(byway, route) as t:
        for seed in range(60):
            r = random.Random(seed)
            content = octets_lines(r)
            t.mail(f"me@{route}.example", TO)
            if seed % 2:
                t.cmd("DATA", 354)
                for piece in cut(stuffed(content), r):
                    t.raw(piece)
                reply = t.read()
            else:
                reply = t.bdat(content, *[r.choice([0, 1, 2, 100, 5000]) for _ in range(r.randrange(5))])[-1]
            assert reply.code == 250, (seed, reply)
            got, = up.take()
            assert split_received(got["content"])[1] == content, seed


def random_mime(r):
    def text():
        return "".join(r.choice("abc .\u00e4\u4f60\n") for _ in range(r.randrange(400)))

    def part(depth):
        m = email.message.EmailMessage(policy=email.policy.SMTP)
        kind = r.randrange(4 if depth < 3 else 3)
        if kind == 0:
            m.set_content(text(), cte=r.choice(["8bit", "quoted-printable", "base64"]))
        elif kind == 1:
            m.set_content(r.randbytes(r.randrange(5000)), "application", "octet-stream", filename=text()[:20].replace("\n", ""))
        elif kind == 2:
            m.set_content(f"<p>{text()}</p>", subtype="html")
        else:
            m.make_mixed()
            for _ in range(r.randrange(1, 4)):
                m.attach(part(depth + 1))
        return m

    m = part(0)
    m["From"], m["To"], m["Subject"] = "J\u00fcrgen <me@author.example>", TO, text()[:60].replace("\n", " ") or "-"
    m["Date"], m["Message-ID"] = "Fri, 01 May 2026 10:00:00 +0200", f"<{r.random()}@client.example>"
    out = io.BytesIO()
    email.generator.BytesGenerator(out, policy=email.policy.SMTP).flatten(m)
    return re.sub(rb"\r?\n|\r", b"\r\n", out.getvalue())


@both_routes
def test_L8_random_mime(byway, upstreams, route):
    up = upstreams[route]
    up.take()
    with talk(byway, route, mode="tls") as t:
        for seed in range(40):
            content = random_mime(random.Random(seed))
            reply = t.send(f"me@{route}.example", [TO], content)
            assert reply.code == 250, (seed, reply)
            got, = up.take()
            assert split_received(got["content"])[1] == content + (b"" if content.endswith(b"\r\n") else b"\r\n"), seed


def of_size(n):
    """A message of N octets in ordinary lines."""
    line = bytes(random.Random(n).choices(b"abcdefghijklmnop./+", k=4094)) + b"\r\n"
    body = line * ((n - len(HEAD) - 2) // len(line))
    fill = n - len(HEAD) - 2 - len(body)
    return HEAD + b"\r\n" + body + (b"x" * (fill - 2) + b"\r\n" if fill >= 2 else b"")


@both_routes
def test_Q7_25_mib_pass(byway, upstreams, route):
    content = of_size(26214400)
    assert len(content) == 26214400
    _, rest = delivered(byway, upstreams, route, content, options=f"SIZE={len(content)}")
    assert rest == content


@both_routes
def test_L8_25_mib_in_chunks(byway, upstreams, route):
    content = of_size(26214400)
    assert delivered(byway, upstreams, route, content, send=lambda t: t.bdat(content, *[1000003] * 20)[-1])[1] == content


@both_routes
def test_L3_memory_is_bounded(byway, upstreams, route):
    """25 MiB through a session add little to what the workers hold."""
    def held():
        return sum(int(re.search(r"^VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M)[1]) for pid in byway.workers())

    content = of_size(25000000)
    delivered(byway, upstreams, route, EXACT["plain"])
    before = held()
    delivered(byway, upstreams, route, content)
    assert held() - before < 4096 * stage.SLOW  # KiB


# What is added

MISSING = re.compile(rb"Date: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000)\r\nMessage-ID: <([\w-]+)@relay\.test>\r\n")


def without_missing(rest, received, at):
    """The content without the two added fields, which must stand at AT."""
    found = MISSING.match(rest, at)
    assert found, rest[:500]
    assert (found[1], found[2]) == (received["date"], received["id"])
    return rest[:at] + rest[found.end():]


@both_routes
def test_L9_missing_date_and_message_id_are_added_behind_the_fields(byway, upstreams, route):
    head, body = b"From: <me@author.example>\r\nSubject: x\r\n\tfolded\r\n", b"\r\nHello.\r\n"
    received, rest = delivered(byway, upstreams, route, head + body)
    assert without_missing(rest, received, len(head)) == head + body


def test_L9_only_what_is_missing(byway, upstreams):
    date, name = HEAD.split(b"\r\n")[:2]
    received, rest = delivered(byway, upstreams, "data", date + b"\r\n\r\nx\r\n")
    assert rest == date + b"\r\nMessage-ID: <" + received["id"] + b"@relay.test>\r\n\r\nx\r\n"
    received, rest = delivered(byway, upstreams, "data", name + b"\r\n\r\nx\r\n")
    assert rest == name + b"\r\nDate: " + received["date"] + b"\r\n\r\nx\r\n"


@pytest.mark.parametrize("content", [b"Subject: x\r\n", b"Subject: x\r\n\r\n"], ids=["no blank line", "blank line"])
@both_routes
def test_L9_header_only(byway, upstreams, route, content):
    received, rest = delivered(byway, upstreams, route, content)
    assert without_missing(rest, received, len(b"Subject: x\r\n")) == content


@both_routes
def test_L9_empty_content(byway, upstreams, route):
    received, rest = delivered(byway, upstreams, route, b"")
    assert without_missing(rest, received, 0) == b""


@pytest.mark.parametrize("content", [b"just text, no field\r\nFrom: not one\r\n", b" a blank first\r\n", b".dot\r\n.\r\n", b"\xc3\xa4: x\r\n",
                                     b": no name\r\n", b"\r\nBcc: a body\r\n"])
@both_routes
def test_L9_body_only(byway, upstreams, route, content):
    received, rest = delivered(byway, upstreams, route, content)
    blank = b"" if content.startswith(b"\r\n") else b"\r\n"
    assert without_missing(rest, received, 0) == blank + content


def test_L9_received_hides_a_client_that_logged_in(byway, upstreams):
    for mode, source in (("starttls", None), ("tls", "127.0.0.41")):
        received, _ = delivered(byway, upstreams, "data", EXACT["plain"], mode=mode, source=source)
        assert (received["helo"], received["address"]) == (None, None)
        assert (received["by"], received["proto"]) == (b"relay.test", b"ESMTPSA")
        told = time.strptime(received["date"].decode(), "%a, %d %b %Y %H:%M:%S +0000")
        now = time.gmtime()
        assert abs(time.mktime(now) - time.mktime(told)) < 60


def test_L9_received_shows_a_client_without_login(byway, upstreams):
    upstreams["data"].take()
    with Talk(byway, "plain", source="127.0.0.40") as t:
        t.cmd("HELO printer.example", 250)
        assert t.send("me@data.example", [TO], EXACT["plain"]).code == 250
    received, _ = split_received(upstreams["data"].take()[0]["content"])
    assert (received["helo"], received["address"], received["proto"]) == (b"printer.example", b"127.0.0.40", b"SMTP")


def test_L9_received_shows_clients_by_option_and_nothing_is_added(lenient, upstreams):
    content = b"Subject: x\r\n\r\nx\r\n"
    received, rest = delivered(lenient, upstreams, "data", content, source="127.0.0.42")
    assert (received["helo"], received["address"]) == (b"client.example", b"127.0.0.42")
    assert rest == content


def test_L9_a_strange_helo_does_not_get_into_received(lenient, upstreams):
    received, _ = delivered(lenient, upstreams, "data", EXACT["plain"], helo="a (comment) ; by evil")
    assert received["helo"] == b"unknown"


# What is taken away

BCC = [b"Bcc: <secret@elsewhere.example>\r\n", b"BCC:a@b,\r\n c@d,\r\n\te@f\r\n", b"bcc : x@y\r\n", b"Bcc:\r\n", b"Bcc:\r\n folded@only.example\r\n",
       b"Resent-Bcc: <secret@elsewhere.example>\r\n", b"RESENT-BCC \t:a@b,\r\n c@d,\r\n\te@f\r\n", b"resent-bcc:\r\n"]


@both_routes
def test_L9_bcc_is_removed(byway, upstreams, route):
    lines = HEAD.splitlines(keepends=True)
    for n, bcc in enumerate(BCC):
        at = n % (len(lines) + 1)
        head = b"".join(lines[:at]) + bcc + b"".join(lines[at:])
        assert delivered(byway, upstreams, route, head + b"\r\nBcc: in the body\r\n")[1] == HEAD + b"\r\nBcc: in the body\r\n"
    assert delivered(byway, upstreams, route, b"".join(BCC) + HEAD + b"".join(BCC) + b"\r\nx\r\n")[1] == HEAD + b"\r\nx\r\n"
    near = b"Bccc: 1\r\nX-Bcc: 2\r\nBc: 3\r\nResent-Bcc-x: 4\r\nResent-Cc: 5\r\n"
    assert delivered(byway, upstreams, route, HEAD + near + b"\r\n")[1] == HEAD + near + b"\r\n"


ORDERS = [b"X-SMTPAPI: {}\r\n", b"x-smtpapi: {\r\n \"a\": 1}\r\n", b"X-Mailgun-Tag: t\r\n", b"X-mailgun-x: t\r\n", b"X-MSYS-API: {}\r\n", b"X-MJ-TemplateID: 1\r\n",
          b"X-SES-CONFIGURATION-SET: c\r\n", b"X-PM-Message-Stream: s\r\n"]


def test_R7_providers_orders_are_removed(byway, upstreams):
    near = b"X-SMTPAPIX: 1\r\nX-Mailgun: 2\r\nXX-PM-a: 3\r\n"
    assert delivered(byway, upstreams, "data", b"".join(ORDERS) + HEAD + near + b"".join(ORDERS) + b"\r\n" + ORDERS[0])[1] == (
        HEAD + near + b"\r\n" + ORDERS[0])


def test_R7_a_profile_keeps_the_orders_that_it_names(byway, upstreams):
    kept = HEAD + b"".join(ORDERS[:4])
    upstreams["keep"].take()
    assert delivered(byway, upstreams, "keep", kept + b"".join(ORDERS[4:]) + b"\r\nx\r\n")[1] == kept + b"\r\nx\r\n"


# What is refused

def refused(byway, upstreams, content, code, enhanced, route="data", send=None):
    """Refused at its end, nobody gets it, and the session goes on."""
    upstreams[route].take()
    with talk(byway, route) as t:
        t.mail(f"me@{route}.example", TO)
        reply = send(t) if send else t.data(content)
        assert (reply.code, reply.enhanced) == (code, enhanced), reply
        assert t.cmd(f"RCPT TO:<{TO}>").code == 503
        assert t.send(f"me@{route}.example", [TO], EXACT["plain"]).code == 250
    got, = upstreams[route].take()
    assert split_received(got["content"])[1] == EXACT["plain"]


BARE = {"LF": b"a\nb", "CR": b"a\rb", "NUL": b"a\0b", "LF.LF": b"a\n.\nMAIL FROM:<x@y>", "LF.CRLF": b"a\n.\r\nMAIL FROM:<x@y>",
        "CR.CR": b"a\r.\rb", "CRCRLF": b"a\r\r\nb", "CRLF.CR": b"a\r\n.\rb", "CRLF.LF": b"a\r\n.\nb", "CR.CRLF": b"a\r.\r\nb", "LFCR": b"a\n\rb"}


@pytest.mark.parametrize("name", BARE)
@both_routes
def test_L8_bare_line_ends_are_refused_after_the_true_end(byway, upstreams, route, name):
    """As octets go on the wire; what only looks like an end does not end."""
    def send(t):
        t.cmd("DATA", 354)
        t.raw(HEAD + b"\r\n" + BARE[name] + b"\r\nmore\r\n.\r\n")
        return t.read()

    refused(byway, upstreams, None, 554, "5.6.0", route, send)


@pytest.mark.parametrize("name", BARE)
def test_L8_bare_line_ends_in_chunks_are_refused(byway, upstreams, name):
    """Told at the end of the chunk; those behind it belong to no transaction any more."""
    content = HEAD + b"\r\n" + BARE[name] + b"\r\n"

    def in_two(t):
        replies = t.bdat(content + b"more\r\n", len(content))
        assert replies[1].code == 503
        return replies[0]

    refused(byway, upstreams, None, 554, "5.6.0", send=lambda t: t.bdat(content)[-1])
    refused(byway, upstreams, None, 554, "5.6.0", send=in_two)


@pytest.mark.parametrize("name", BARE)
@both_routes
def test_L8_bare_line_ends_never_leave_when_repaired(lenient, upstreams, route, name):
    def send(t):
        t.cmd("DATA", 354)
        t.raw(HEAD + b"\r\n" + BARE[name] + b"\r\nmore\r\n.\r\n")
        return t.read()

    _, rest = delivered(lenient, upstreams, route, None, send=send)
    assert rest.startswith(HEAD + b"\r\na") and rest.endswith(b"\r\nmore\r\n")
    assert b"\0" not in rest
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", rest)


@pytest.mark.parametrize("piece", [b"\n", b"\r", b"\r\r\n", b"\r\rx", b".\n", b"a\r\0\n", b"\n.\r\n"], ids=repr)
@both_routes
def test_L8_repair_of_much(lenient, upstreams, route, piece):
    """What is repaired may grow to twice its size, and still finds room."""
    def send(t):
        t.cmd("DATA", 354)
        for part in cut(HEAD + b"\r\n" + piece * 60000 + b"x\r\n.\r\n", random.Random(1)) if len(piece) > 2 else [
                HEAD + b"\r\n" + piece * 60000 + b"x\r\n.\r\n"]:
            t.raw(part)
        return t.read()

    _, rest = delivered(lenient, upstreams, route, None, send=send)
    assert rest.startswith(HEAD) and rest.endswith(b"x\r\n") and len(rest) > 60000
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", rest)


def test_L9_loops_are_refused(byway, upstreams):
    field = b"Received: from a by b; Fri, 01 May 2026 10:00:00 +0200\r\n"
    content = field * 50 + HEAD + b"\r\nx\r\n"
    assert delivered(byway, upstreams, "data", content)[1] == content
    refused(byway, upstreams, field * 51 + HEAD + b"\r\nx\r\n", 554, "5.4.6")


SECTIONS = {
    "octets": (b"A: " + b"x" * 1018 + b"\r\n") * 253 + b"B:" + b"\r\n " * 10 + b"\r\n",
    "folded": b"A:\r\n" + (b" " + b"x" * 1020 + b"\r\n") * 252,
    "dropped": b"Bcc:\r\n" + (b" " + b"x" * 1020 + b"\r\n") * 252,
    "fields": b"A: b\r\n" * 990,
    "names": b"".join(b"A%d:\r\n" % i for i in range(990)),
}


@pytest.mark.parametrize("name", SECTIONS)
@both_routes
def test_L9_header_section_is_bounded(byway, upstreams, route, name):
    """256 KiB and 1,000 fields pass, more is refused behind the end: by DATA and by BDAT."""
    most, body = SECTIONS[name], b"\r\nbody\r\n"
    by_count = name in ("fields", "names")
    fields = len(re.findall(rb"(?m)^[!-9;-~]+:", HEAD + most))
    room = (1 << 18) - len(HEAD + most) - len(b"G:\r\n")
    fill = b"F: g\r\n" * (1000 - fields) if by_count else b"G:" + b"g" * room + b"\r\n"
    rest = delivered(byway, upstreams, route, HEAD + most + fill + body)[1]
    assert rest == HEAD + (b"" if name == "dropped" else most) + fill + body
    more = HEAD + most + fill + (b"x:\r\n" if by_count else b" \r\n") + body
    refused(byway, upstreams, more, 554, "5.6.0", route)
    refused(byway, upstreams, None, 554, "5.6.0", route, lambda t: t.bdat(more)[-1])


MBOX = [b"From 0a0ae3e9 Mon Sep 17 00:00:00 2001\r\n", b"From me@x.example  Sat Jan  3 01:05:34 1996\r\n", b"From - Thu Jan 01 00:00:00 1970 +0100\r\n",
        b"From MAILER-DAEMON\r\n"]


@pytest.mark.parametrize("line", MBOX)
@both_routes
def test_L9_mailbox_files_line_goes(byway, upstreams, route, line):
    content = HEAD + b"\r\nFrom here on: text\r\n"
    assert delivered(byway, upstreams, route, line + content)[1] == content


def test_L9_text_that_begins_with_from_stays(byway, upstreams):
    content = b"From now on the printer is called bob.\r\n\r\nBye\r\n"
    received, rest = delivered(byway, upstreams, "data", content)
    assert without_missing(rest, received, 0) == b"\r\n" + content


def test_L9_our_own_token_is_a_loop(byway, upstreams):
    upstreams["data"].take()
    with talk(byway) as t:
        assert t.send("me@data.example", [TO], EXACT["plain"]).code == 250
    once = upstreams["data"].take()[0]["content"]
    refused(byway, upstreams, once, 554, "5.4.6")
    token = re.search(rb"Byway/\w+", once)[0]
    # In other fields and in the body it is nothing.
    quoted = HEAD + b"X-Said: " + token + b"\r\n\r\n" + once
    assert delivered(byway, upstreams, "data", quoted)[1] == quoted


# 8 bits and UTF-8 addresses

@both_routes
def test_P4_utf8_addresses(byway, upstreams, route):
    upstreams[route].take()
    content = "Subject: Gr\u00fc\u00dfe\r\n".encode() + HEAD + "\r\nW\u00f6rter\r\n".encode()
    with talk(byway, route) as t:
        t.mail("j\u00fcrgen@" + route + ".example", "b\u00fccher@elsewhere.example", "\u4f60@b\u00fccher.example", options="SMTPUTF8 BODY=8BITMIME")
        assert t.data(content).code == 250
    got, = upstreams[route].take()
    assert (got["from"], got["to"]) == (f"j\u00fcrgen@{route}.example", ["b\u00fccher@elsewhere.example", "\u4f60@b\u00fccher.example"])
    assert {"SMTPUTF8", "BODY=8BITMIME"} == {o for o in got["options"] if "SIZE" not in o}
    received, rest = split_received(got["content"])
    assert rest == content and received["proto"] == b"UTF8SMTPSA"


def test_P4_utf8_addresses_need_the_word(byway):
    with talk(byway) as t:
        reply = t.cmd("MAIL FROM:<j\u00fcrgen@data.example>")
        assert (reply.code, reply.enhanced) == (553, "5.6.7")
        t.cmd("MAIL FROM:<me@data.example>", 250)
        reply = t.cmd("RCPT TO:<b\u00fccher@elsewhere.example>")
        assert (reply.code, reply.enhanced) == (553, "5.6.7")


def test_P8_permissions_that_the_upstream_does_not_offer_are_dropped(byway, upstreams):
    upstreams["seven"].take()
    with talk(byway, "seven") as t:
        t.cmd("MAIL FROM:<me@seven.example> SMTPUTF8", 250)
        reply = t.cmd("RCPT TO:<b\u00fccher@elsewhere.example>")
        assert (reply.code, reply.enhanced) == (550, "5.6.7")
        t.cmd("RSET", 250)
        for content in (EXACT["plain"], EXACT["8bit"]):
            assert t.send("me@seven.example", [TO], content, options="BODY=8BITMIME SMTPUTF8").code == 250
        assert "SMTPUTF8" not in t.cmd("EHLO again.example", 250).keywords
    got = upstreams["seven"].take()
    assert [split_received(g["content"])[1] for g in got] == [EXACT["plain"], EXACT["8bit"]]
    assert not [o for g in got for o in g["options"] if "SIZE" not in o]


# BDAT (RFC 3030)

@both_routes
def test_L2_all_in_one_write_with_chunks(byway, upstreams, route):
    upstreams[route].take()
    content = EXACT["dots at line starts"]
    with talk(byway, route) as t:
        t.raw(f"MAIL FROM:<me@{route}.example>\r\nRCPT TO:<{TO}>\r\nBDAT {len(content)} LAST\r\n".encode() + content +
              f"MAIL FROM:<me@{route}.example>\r\nRCPT TO:<{TO}>\r\nBDAT 5\r\n".encode() + content[:5] +
              f"BDAT {len(content) - 5}\r\n".encode() + content[5:] + b"BDAT 0 LAST\r\nNOOP\r\n")
        assert [t.read().code for _ in range(9)] == [250] * 9
    assert [split_received(got["content"])[1] for got in upstreams[route].take()] == [content, content]


def test_L8_chunks_without_a_last_line_end(byway, upstreams):
    content = EXACT["plain"] + b"no end"
    assert delivered(byway, upstreams, "chunk", None, send=lambda t: t.bdat(content)[-1])[1] == content
    assert delivered(byway, upstreams, "data", None, send=lambda t: t.bdat(content)[-1])[1] == content + b"\r\n"


def test_L10_chunks_without_recipients_are_swallowed(byway, upstreams):
    upstreams["data"].take()
    with talk(byway) as t:
        t.raw(b"BDAT 14 LAST\r\nMAIL FROM:<>\r\n")
        assert t.read().code == 503
        t.cmd("MAIL FROM:<me@data.example>", 250)
        t.raw(b"BDAT 6\r\nQUIT\r\n")
        assert t.read().code == 503
        t.cmd(f"RCPT TO:<{TO}>", 503)  # a refused BDAT has ended the transaction
        t.raw(b"BDAT 3 LAST\r\nA: ")
        assert t.read().code == 503
        assert t.cmd("DATA").code == 503
        t.cmd("RSET", 250)
    assert not upstreams["data"].take()


# One transaction behind another

@both_routes
def test_L10_the_next_transaction_behind_the_dot(byway, upstreams, route):
    upstreams[route].take()
    with talk(byway, route) as t:
        t.mail(f"me@{route}.example", TO)
        t.cmd("DATA", 354)
        t.raw(stuffed(EXACT["plain"]) + f"MAIL FROM:<me@{route}.example>\r\nRCPT TO:<2@elsewhere.example>\r\nDATA\r\n".encode())
        assert [t.read().code for _ in range(4)] == [250, 250, 250, 354]
        t.raw(stuffed(EXACT["8bit"]) + b"QUIT\r\n")
        assert [t.read().code for _ in range(2)] == [250, 221]
    got = upstreams[route].take()
    assert [g["to"] for g in got] == [[TO], ["2@elsewhere.example"]]
    assert [split_received(g["content"])[1] for g in got] == [EXACT["plain"], EXACT["8bit"]]


def test_L10_content_before_the_go_ahead_ends_the_session(byway, upstreams):
    upstreams["data"].take()
    with talk(byway) as t:
        t.mail("me@data.example", TO)
        t.raw(b"DATA\r\n" + HEAD + b"\r\nQUIT\r\n.\r\nNOOP\r\n")
        reply = t.read()
        assert (reply.code, reply.enhanced) == (554, "5.5.0")
        assert t.is_closed()
    assert not upstreams["data"].take()


def test_L11_a_client_that_leaves_sends_nothing(byway, upstreams):
    for route in ROUTES:
        upstreams[route].take()
        with talk(byway, route) as t:
            t.mail(f"me@{route}.example", TO)
            t.cmd("DATA", 354)
            t.raw(EXACT["lines of 998"] + b"half a line")
        with talk(byway, route) as t:
            t.mail(f"me@{route}.example", TO)
            t.raw(f"BDAT {len(EXACT['plain'])}\r\n".encode() + EXACT["plain"])
            assert t.read().code == 250
        assert stage.wait_until(lambda: len(byway.events("message", outcome="dropped", sender=f"me@{route}.example")) >= 2)
        assert not upstreams[route].take()
