# SPDX-License-Identifier: Apache-2.0
"""A worker that dies in the middle of a load costs its own sessions and nothing else: what was acknowledged is upstream, others go on (DESIGN 4, L1)."""
import contextlib
import os
import signal
import smtplib
import sqlite3
import ssl
import threading
import time

import pytest
import stage

PASSWORD = "box-password-of-crash"


class Client(threading.Thread):
    """Sends named messages on one session until told to stop; after a loss it connects anew, as mail programs do."""

    def __init__(self, byway, number, over):
        super().__init__()
        self.byway, self.number, self.over = byway, number, over
        self.acknowledged, self.tried, self.losses, self.odd = [], 0, 0, []

    def run(self):
        context = ssl.create_default_context(cafile=str(self.byway.certificate()))
        while not self.over.is_set():
            try:
                with smtplib.SMTP_SSL("localhost", self.byway.ports["tls"], context=context, timeout=30 * stage.SLOW) as smtp:
                    smtp.login("box@crash.example", PASSWORD)
                    self.send_on(smtp)
            except (smtplib.SMTPServerDisconnected, ConnectionError, ssl.SSLError):
                self.losses += 1
                time.sleep(0.05)
            except smtplib.SMTPException as e:
                self.odd.append(repr(e))
                return

    def send_on(self, smtp):
        while not self.over.is_set():
            name = f"{self.number}-{self.tried}"
            self.tried += 1
            smtp.sendmail("box@crash.example", [f"{name}@elsewhere.example"],
                          f"From: <box@crash.example>\r\nMessage-ID: <{name}@crash.example>\r\n\r\n{name}\r\n" + "x" * 70 + "\r\n")
            self.acknowledged.append(name)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_dies_in_the_middle_of_a_load(folder, stack, stage_byway, how):
    native = stack.enter_context(stage.Upstream())
    byway = stage.Byway(folder / how.name, workers=2, settings={
        "mta one": {"host": "127.0.0.1", "port": native.port, "tls": "none"}, "limits": {"connections_per_address": 100}})
    byway.steady = False
    byway.init()
    byway.apply("[plan crash]\ncan_send = yes\n[account crash]\nplan = crash\n[domain crash.example]\naccount = crash\n"
                f"[mailbox box@crash.example]\npassword_file = {byway.secret('pw', PASSWORD)}\n")
    byway.start()
    over = threading.Event()
    clients = [Client(byway, n, over) for n in range(8)]
    try:
        for c in clients:
            c.start()
        deaths = 0
        for _ in range(3):
            before = sum(len(c.acknowledged) for c in clients)
            assert stage.wait_until(lambda: sum(len(c.acknowledged) for c in clients) > before + 40, 30)
            victim = byway.workers()[deaths % 2]
            os.kill(victim, how)
            deaths += 1
            assert stage.wait_until(lambda: victim not in byway.workers() and len(byway.workers()) == 2, 20)
    finally:
        over.set()
        for c in clients:
            c.join()
        byway.stop()
    assert not [o for c in clients for o in c.odd]
    assert sum(c.losses for c in clients) > 0  # some sessions were the dead workers'
    arrived = {got["content"].split(b"\r\n\r\n", 1)[1].split(b"\r\n")[0].decode() for got in native.messages}
    lost = [name for c in clients for name in c.acknowledged if name not in arrived]
    assert not lost, f"acknowledged and not upstream: {lost}"
    assert all(c.acknowledged for c in clients)
    assert len(byway.events("worker")) >= 1 or "worker" in byway.log.read_text()


def test_a_mailbox_whose_account_changes_costs_no_worker(folder, stack, stage_byway):
    """The session is counted for the account that it logged in to, and leaves that one."""
    native = stack.enter_context(stage.Upstream())
    byway = stage.Byway(folder / "moved", workers=1, settings={
        "mta one": {"host": "127.0.0.1", "port": native.port, "tls": "none"}, "limits": {"connections_per_account": 2}})
    byway.init()
    text = ("[plan crash]\ncan_send = yes\n[account a]\nplan = crash\n[account b]\nplan = crash\n[domain crash.example]\naccount = {}\n"
            f"[mailbox box@crash.example]\npassword_file = {byway.secret('pw', PASSWORD)}\n")
    byway.apply(text.format("a"))
    stage_byway(byway)
    context = ssl.create_default_context(cafile=str(byway.certificate()))
    before = byway.workers()
    for account in ("b", "a", "b"):
        with smtplib.SMTP_SSL("localhost", byway.ports["tls"], context=context, timeout=30 * stage.SLOW) as smtp:
            smtp.login("box@crash.example", PASSWORD)
            # The tool does not let it, who writes the database may.
            with contextlib.closing(sqlite3.connect(byway.folder / "state/directory.db")) as db, db:
                db.execute("UPDATE domain SET account = (SELECT id FROM account WHERE name = ?)", (account,))
            # The next MAIL looks the sender up anew.
            time.sleep(1.1)
            smtp.sendmail("box@crash.example", ["x@elsewhere.example"], "From: <box@crash.example>\r\n\r\nx\r\n")
    assert byway.workers() == before
