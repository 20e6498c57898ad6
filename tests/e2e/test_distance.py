# SPDX-License-Identifier: Apache-2.0
"""A provider 50 ms away, with a connection that is warm: how many round trips of that distance a message costs.

Two, where the client pipelines or the provider offers CHUNKING. Three for a client that waits for each answer before a provider that knows
DATA alone: the provider's answer to RCPT is the client's, DATA may go only when no further RCPT comes, and content only after 354.
"""
import json
import signal
import subprocess

import pytest
from distance import Distance

import stage

BENCH = str(stage.BUILD / "byway-bench")
MESSAGES = 12
PLAN = """
[plan far]
can_send = yes
[account far]
plan = far
[domain bench.example]
account = far
[ip 127.0.0.1]
account = far
"""


@pytest.fixture(params=["data", "bdat"])
def far(request, tmp_path):
    """(relay before a far sink, the same's port near by, Byway's port before it)"""
    port = stage.free_port()
    sink = subprocess.Popen([BENCH, "sink", "--quiet", *(["--chunking"] if request.param == "bdat" else []), str(port)])
    stage.wait_port(port, sink)
    plain = stage.free_port()
    try:
        with Distance(port) as relay:
            byway = stage.Byway(tmp_path / "b", workers=1, settings={
                "mta sink": {"host": "127.0.0.1", "port": relay.port, "tls": "none"},
                "listener plain": {"address": f"127.0.0.1:{plain}", "tls": "none"}}, ports={"plain": plain})
            byway.init()
            byway.apply(PLAN)
            with byway:
                yield request.param, relay, byway
    finally:
        sink.send_signal(signal.SIGTERM)
        sink.wait(20)


def send(port, *options, messages=MESSAGES):
    """One session's messages one after the other: what byway-bench measured."""
    done = subprocess.run([BENCH, "load", "--json", "--sessions", "1", "--messages", str(messages), *options, "127.0.0.1", str(port)],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["phases"]["message"]["p50_us"]


# What a client does, and the round trips that its message may cost by DATA and by BDAT.
CLIENTS = (
    ("pipelines", (), {"data": 2, "bdat": 2}),
    ("one command at a time", ("--pipelining", "off"), {"data": 3, "bdat": 2}),
    ("one command at a time, a connection a message", ("--pipelining", "off", "--reconnect"), {"data": 3, "bdat": 2}),
)


def test_round_trips_of_a_message(far):
    how, relay, byway = far
    shown = []
    for client, options, most in CLIENTS:
        send(byway.ports["plain"], messages=1)  # the upstream is warm from here
        relay.take()
        time_through = send(byway.ports["plain"], *options)
        through = relay.take() / MESSAGES
        time_alone = send(relay.port, *options)
        alone = relay.take() / MESSAGES
        shown.append((client, through, alone, most[how], time_through / time_alone))
        print(f"{how}, client: {client}: through Byway {through:.2f} round trips, {time_through / 1000:.0f} ms; alone {alone:.2f}, {time_alone / 1000:.0f} ms")
    for client, through, alone, most, _ in shown:
        assert through <= most and through < alone, f"{client}: {through} round trips, alone {alone}"
    # Who speaks one command at a time and connects anew is near the provider now.
    assert shown[-1][4] < 0.75
