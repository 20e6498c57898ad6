# SPDX-License-Identifier: Apache-2.0
"""The requests that we make, before a mock that reads the providers' own specifications; and the same ones, broken on purpose, which it must refuse.

The specifications belong to the providers and are not part of this repository: BYWAY_SPECS, or ../shared/providers/specs beside the checkout.
"""
import http.client
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import https
import stage
from test_api import RAW, SECRET, Client, directory, profile

SPECS = Path(os.environ.get("BYWAY_SPECS") or stage.ROOT.parent / "shared/providers/specs")
PRISM = stage.ROOT / "build/node/node_modules/.bin/prism"
WANTED = {
    "mailgun": ("mailgun_messages_prism_patched.yaml", 200, dict(username="mg.one.example")),
    "ses": ("aws_sesv2_sendemail_openapi_generated.json", 200, dict(username="AKIDEXAMPLE", key=SECRET)),
    "sendgrid": ("sendgrid_tsg_mail_v3.json", 202, dict(username=None)),
}

if not SPECS.is_dir():
    pytest.skip(f"no specifications in {SPECS}", allow_module_level=True)
if not PRISM.exists() or not shutil.which("node"):
    pytest.skip("no prism in build/node: make deps FOR=test", allow_module_level=True)


class Mock:
    """Prism for one specification, with TLS in front; .bend changes a request before it arrives."""

    def __init__(self, pair, spec):
        self.port, self.bend, self.violations = stage.free_port(), None, ""
        self.process = subprocess.Popen([str(PRISM), "mock", "-h", "127.0.0.1", "-p", str(self.port), str(SPECS / spec)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.front = https.Api(pair).say(handle=self.forward).start()

    def forward(self, request):
        headers = dict(request.lines)
        if self.bend:
            self.bend(request, headers)
        headers = {k: v for k, v in headers.items() if k.lower() not in ("content-length", "host")}
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request(request.method, request.path, request.body, headers)
        r = c.getresponse()
        body = r.read()
        self.status, self.violations = r.status, r.getheader("sl-violations") or body.decode("utf-8", "replace")
        return https.Answer(r.status, body, headers={"Content-Type": r.getheader("Content-Type") or "text/plain"})

    def stop(self):
        self.front.stop()
        stage.stop(self.process)


@pytest.fixture(scope="module")
def mocks(stack, pair):
    all_of_them = {name: Mock(pair, spec) for name, (spec, _, _) in WANTED.items()}
    for mock in all_of_them.values():
        stack.callback(mock.stop)
    for mock in all_of_them.values():
        stage.wait_port(mock.port, mock.process)
    return all_of_them


@pytest.fixture(scope="module")
def byway(folder, stage_byway, mocks, pair):
    b = stage.Byway(folder / "contracts", workers=1, settings={"upstream": {"allow_ports": "25"}})
    b.init()
    return stage_byway(b, directory(b, [
        profile(b, name, mocks[name].front, pair, name, **how) for name, (_, _, how) in WANTED.items()
    ], {f"{name}.example": name for name in WANTED}))


@pytest.fixture(autouse=True)
def straight(mocks):
    for mock in mocks.values():
        mock.bend, mock.status = None, None


def send(byway, name, content=RAW, *to):
    with Client(byway, f"{name}.example") as c:
        return c.deliver(*(to or ("a@x.example",)), content=content)


@pytest.mark.parametrize("name", WANTED)
def test_a_request_of_ours_is_what_the_specification_says(byway, mocks, name):
    code, text = send(byway, name)
    assert code == 250, (text, mocks[name].violations)
    assert mocks[name].status == WANTED[name][1]


def without(header):
    def bend(request, headers):
        for name in [n for n in headers if n.lower() == header]:
            del headers[name]
    return bend


def replace(old, new):
    def bend(request, headers):
        assert old in request.body
        request.body = request.body.replace(old, new)
    return bend


@pytest.mark.parametrize("name, bend", [
    ("mailgun", without("authorization")),
    ("mailgun", replace(b'name="message"', b'name="massage"')),
    ("mailgun", replace(b'name="to"', b'name="ti"')),
    ("ses", without("authorization")),
    ("ses", replace(b'"Content"', b'"Kontent"')),
    ("ses", replace(b'"Data":"', b'"Data":"*')),
    ("sendgrid", without("authorization")),
    ("sendgrid", replace(b'"from"', b'"form"')),
    ("sendgrid", replace(b'"personalizations"', b'"persons"')),
    ("sendgrid", replace(b'"value":"', b'"walue":"')),
], ids=lambda v: v if isinstance(v, str) else "")
def test_a_broken_one_is_refused(byway, mocks, name, bend):
    mocks[name].bend = bend
    code, text = send(byway, name)
    assert code >= 400 and mocks[name].status >= 400, (text, mocks[name].violations)
