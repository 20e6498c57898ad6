# SPDX-License-Identifier: Apache-2.0
"""Two accounts with one provider host and different credentials: interleaved by the thousand, never crossed (BEHAVIOUR L6, THREATS U10)."""
import hashlib
import smtplib
import sqlite3
import ssl
import threading

import pytest
import stage

ACCOUNTS = {"one": "secret-of-one-provider", "two": "secret-of-two-provider"}
SESSIONS, MESSAGES = 8, 1000 // stage.SLOW


def directory(byway, upstream, pair):
    text = ""
    for name, password in ACCOUNTS.items():
        text += (f"[account {name}]\nplan = agency\nroute = same\n"
                 f"[profile {name}/same]\nhost = localhost\nport = {upstream.port}\ntls = starttls\nusername = login-{name}\n"
                 f"password_file = {byway.secret(f'{name}.up', password)}\nca_file = {pair[0]}\nmax_connections = 4\nmessages_per_connection = 100000\n"
                 f"[domain {name}.example]\naccount = {name}\n"
                 f"[mailbox box@{name}.example]\npassword_file = {byway.secret(f'{name}.pw', 'box-' + name)}\n")
    return text


def client(byway, name, count, failures):
    """One session that sends COUNT messages, each named after its account."""
    context = ssl.create_default_context(cafile=str(byway.certificate()))
    try:
        with smtplib.SMTP_SSL("localhost", byway.ports["tls"], context=context, timeout=60 * stage.SLOW) as smtp:
            smtp.login(f"box@{name}.example", "box-" + name)
            for i in range(count):
                smtp.sendmail(f"box@{name}.example", [f"{name}-{i}@elsewhere.example"],
                              f"From: <box@{name}.example>\r\nSubject: of {name}\r\n\r\n{name}\r\n")
    except Exception as e:  # a thread's exception would be lost
        failures.append(repr(e))


def test_L6_two_accounts_at_one_host_never_cross(folder, stack, stage_byway, pair):
    users = {f"login-{name}": password for name, password in ACCOUNTS.items()}
    upstream = stack.enter_context(stage.Upstream(users=users, tls="starttls", pair=pair))
    byway = stage.Byway(folder / "isolation", settings={
        "upstream": {"allow_ports": str(upstream.port)}, "limits": {"connections_per_address": 100}})
    byway.init()
    byway.apply(directory(byway, upstream, pair))
    stage_byway(byway)
    failures = []
    each = MESSAGES // (SESSIONS // 2)
    threads = [threading.Thread(target=client, args=(byway, list(ACCOUNTS)[n % 2], each, failures)) for n in range(SESSIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert len(upstream.messages) == SESSIONS * each
    for got in upstream.messages:
        name = got["from"].split("@")[1].split(".")[0]
        assert got["login"] == f"login-{name}"
        assert got["to"][0].startswith(name + "-")
        assert got["content"].endswith(f"\r\n\r\n{name}\r\n".encode())
    # Connections were shared within each account: far fewer logins than messages.
    assert all(good for _, good in upstream.logins)
    assert len(upstream.logins) <= 4 * 2 * len(ACCOUNTS)


def test_L6_a_changed_password_is_never_used_on_an_old_connection(folder, stack, stage_byway, pair):
    users = {"login-one": "first-password"}
    upstream = stack.enter_context(stage.Upstream(users=users, tls="starttls", pair=pair))
    byway = stage.Byway(folder / "changed", workers=1, settings={"upstream": {"allow_ports": str(upstream.port)}})
    byway.init()
    byway.apply(directory(byway, upstream, pair).replace(
        str(byway.secret("one.up", "x")), str(byway.secret("first.up", "first-password"))))
    stage_byway(byway)
    failures = []
    client(byway, "one", 2, failures)
    assert not failures and len(upstream.logins) == 1
    users["login-one"] = "second-password"
    byway.cli("profile", "passwd", "one/same", "--password-stdin", stdin="second-password\n")
    assert stage.wait_until(lambda: not failures.clear() and not client(byway, "one", 1, failures) and not failures and
                            len(upstream.logins) >= 2, 10)
    assert upstream.logins[-1] == ("login-one", True)


def fingerprint(certificate):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


# What who writes the database and sits on the path would edit, so that the next login goes to a server of his own.
EDITS = {
    "port and ca": lambda port, crt: {"port": port, "ca": crt.read_text()}, "port and pin": lambda port, crt: {"port": port, "pin": fingerprint(crt)},
    "ca": lambda port, crt: {"ca": crt.read_text()}, "pin": lambda port, crt: {"pin": fingerprint(crt)},
    "pin, all else as it was": lambda port, crt: {"pin": fingerprint(crt), "version": 1}, "tls": lambda port, crt: {"tls": "none"},
}


@pytest.mark.parametrize("edit", EDITS)
def test_R3_an_edited_row_gets_no_password(folder, stack, stage_byway, pair, edit, tmp_path):
    """The server that stands in the way never hears a login, whatever the database says of it."""
    users = {f"login-{name}": password for name, password in ACCOUNTS.items()}
    upstream = stack.enter_context(stage.Upstream(users=users, tls="starttls", pair=pair))
    (tmp_path / "other").mkdir()
    other = stage.certificate(tmp_path / "other", "localhost")
    with stage.Upstream(users=users, tls="starttls", pair=other) as thief:
        byway = stage.Byway(folder / f"edited-{list(EDITS).index(edit)}", workers=1,
                            settings={"upstream": {"allow_ports": f"{upstream.port} {thief.port}"}})
        byway.init()
        byway.apply(directory(byway, upstream, pair))
        changes = EDITS[edit](thief.port, other[0])
        with sqlite3.connect(byway.folder / "state/directory.db") as d:
            done = d.execute(f"UPDATE profile SET {', '.join(f'{c} = ?' for c in changes)} WHERE account = (SELECT id FROM account WHERE name = 'one')",
                             list(changes.values()))
            assert done.rowcount == 1
        d.close()
        stage_byway(byway)
        failures = []
        client(byway, "one", 1, failures)
        # Where TLS comes up with the thief it is the blob that does not open.
        told = "4.3.0 The stored credentials cannot be opened" if thief.port in changes.values() else "4."
        assert len(failures) == 1 and "451" in failures[0] and told in failures[0], failures
        assert not thief.logins and not upstream.logins and not thief.messages
        client(byway, "two", 1, failures)  # the other account's row is as it was
        assert len(failures) == 1 and upstream.logins == [("login-two", True)]
