# SPDX-License-Identifier: Apache-2.0
"""Which ciphers are offered and taken (RFC 9325): every one that OpenSSL knows is tried on listeners, and counted in our own hello."""
import re
import socket
import ssl
import subprocess
import threading

import pytest
import stage

ALL = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
GOOD = {f"ECDHE-{key}-{rest}" for key in ("ECDSA", "RSA")
        for rest in ("CHACHA20-POLY1305", "AES256-GCM-SHA384", "AES128-GCM-SHA256")}
OLD = GOOD | {f"ECDHE-{key}-{rest}" for key in ("ECDSA", "RSA")
              for rest in ("AES256-SHA384", "AES128-SHA256", "AES256-SHA", "AES128-SHA")} | {
    "AES256-GCM-SHA384", "AES128-GCM-SHA256", "AES256-SHA256", "AES128-SHA256", "AES256-SHA", "AES128-SHA"}
OURS = GOOD | {"DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256"}
GOOD_13 = {"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"}


def ciphers_12():
    """Those that OpenSSL has for TLS 1.2, without pre-shared keys and SRP, which want more than a list."""
    out = subprocess.run(["openssl", "ciphers", "-s", "-tls1_2", ALL], capture_output=True, text=True, check=True).stdout
    return [c for c in out.strip().split(":") if not re.search("PSK|SRP|^TLS_", c)]


@pytest.fixture(scope="module")
def byway(folder, stage_byway):
    ports = {"old": stage.free_port(), "new": stage.free_port()}
    chain, key = stage.certificate(folder / "rsa", key="rsa")
    b = stage.Byway(folder / "byway", workers=1, settings={
        "certificate zrsa": {"chain_file": chain, "key_file": key},
        "listener old": {"address": f"127.0.0.1:{ports['old']}", "tls": "implicit", "tls_old_devices": "yes"},
        "listener new": {"address": f"127.0.0.1:{ports['new']}", "tls": "implicit"}})
    b.init()
    b.lists = ports
    return stage_byway(b)


def taken(port, cipher):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    c.maximum_version = ssl.TLSVersion.TLSv1_2
    c.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", port), timeout=20 * stage.SLOW) as s:
        try:
            with c.wrap_socket(s, server_hostname="localhost") as t:
                return t.cipher()[0] == cipher
        except (ssl.SSLError, ConnectionResetError):
            return False


@pytest.mark.parametrize("listener, expected", [("new", GOOD), ("old", OLD)])
def test_P3_a_listener_takes_these_of_TLS_12(byway, listener, expected):
    tried = ciphers_12()
    assert len(tried) > 60 and expected <= set(tried)
    assert {c for c in tried if taken(byway.lists[listener], c)} == expected


@pytest.mark.parametrize("listener", ["new", "old"])
def test_P3_a_listener_takes_these_of_TLS_13(byway, listener):
    took = set()
    for suite in GOOD_13 | {"TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"}:
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{byway.lists[listener]}", "-tls1_3", "-ciphersuites", suite,
                               "-cipher", "DEFAULT:@SECLEVEL=0"], input="QUIT\r\n", capture_output=True, text=True, timeout=30 * stage.SLOW)
        if f"Cipher is {suite}" in done.stdout:
            took.add(suite)
    assert took == GOOD_13


def offered(data):
    """The suites of the ClientHello in DATA."""
    at = 5 + 4 + 2 + 32
    at += 1 + data[at]
    n = int.from_bytes(data[at:at + 2], "big")
    return {data[at + 2 + i:at + 4 + i].hex() for i in range(0, n, 2)}


@pytest.mark.parametrize("old", ["no", "yes"])
def test_R4_our_own_hello_offers_these(byway, old):
    seen = []

    def hear(listening):
        s, _ = listening.accept()
        with s:
            seen.append(s.recv(16384))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=hear, args=(listening,), daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        byway.cli("account", "add", old, "--plan", "agency")
        byway.cli("profile", "add", f"{old}/x", "--host", "127.0.0.1", "--port", port, "--tls", "implicit", "--username", "", "--old-tls", old,
                  check=False)
        byway.cli("profile", "test", f"{old}/x", check=False)
        thread.join(20 * stage.SLOW)
    out = subprocess.run(["openssl", "ciphers", "-V", "-s", f"{ALL}"], capture_output=True, text=True, check=True).stdout
    names = {m[1].replace("0x", "").replace(",", "").lower(): m[2] for m in re.finditer(r"(0x..,0x..) - (\S+)", out)}
    got = {names.get(c, c) for c in offered(seen[0])} - {"00ff"}
    assert got == OURS | GOOD_13 | (OLD if old == "yes" else set())
