# SPDX-License-Identifier: Apache-2.0
"""Upstreams by their TLS: both kinds of key, both versions, our order of preference and their own. All deliver (BEHAVIOUR R4)."""
import itertools
import re
import ssl

import pytest
import stage
from talk import Talk

KINDS = {f"{key}-{version}-{order}-{tls}": (key, version, order, tls) for key, version, order, tls in itertools.product(
    ("rsa", "ecdsa"), ("tls12", "tls13"), ("own", "ours"), ("starttls", "implicit"))}
# mbedTLS takes no PSS in TLS 1.2.
AGAIN = set() if stage.OPENSSL else {"rsa-tls12-own-starttls", "rsa-tls12-own-implicit"}


class Server(stage.Upstream):
    def __init__(self, pair, version, order, tls):
        super().__init__(tls=tls, pair=pair)
        self.version, self.order = version, order

    def prepare(self, context):
        if self.version == "tls12":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if self.order == "own":
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        else:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


@pytest.fixture(scope="module")
def servers(stack, folder):
    pairs = {key: stage.certificate(folder / key, key=key) for key in ("rsa", "ecdsa")}
    (folder / "both.crt").write_text("".join(chain.read_text() for chain, _ in pairs.values()))
    return {name: stack.enter_context(Server(pairs[key], version, order, tls))
            for name, (key, version, order, tls) in KINDS.items()}


@pytest.fixture(scope="module")
def byway(folder, stage_byway, servers):
    b = stage.Byway(folder / "byway", workers=1, settings={"upstream": {
        "ca_file": folder / "both.crt", "allow_ports": "25", "idle": 0}})
    b.init()
    text = "[account one]\nplan = agency\n"
    for name, (_, _, _, tls) in KINDS.items():
        text += (f"[profile one/{name}]\nhost = localhost\nport = {servers[name].port}\ntls = {tls}\n"
                 f"[domain {name}.example]\naccount = one\nroute = {name}\n"
                 f"[mailbox box@{name}.example]\npassword_file = {b.secret('box.pw', 'box-password')}\n")
    b.apply(text)
    return stage_byway(b)


def send(byway, name):
    letter = b"From: <box@%s.example>\r\nSubject: x\r\n\r\nHello.\r\n" % name.encode()
    with Talk(byway, "tls", login=(f"box@{name}.example", "box-password")) as t:
        return t.send(f"box@{name}.example", ["a@x.example"], letter)


@pytest.mark.parametrize("name", KINDS)
def test_R4_every_kind_of_TLS_delivers(byway, servers, name):
    server = servers[name]
    for _ in range(3):
        assert send(byway, name).code == 250
    assert len(server.take()) == 3
    # The second hello is remembered: it costs one connection, once.
    assert len(re.findall(f'with a hello of TLS 1.2.*"profile:{name}"', byway.log.read_text())) == (name in AGAIN)
