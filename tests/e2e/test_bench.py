# SPDX-License-Identifier: Apache-2.0
"""byway-bench: what its load says it did is what the server saw, and times are those that a client would have waited."""
import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from servers import Sink as PostfixSink

import stage

BENCH = str(stage.BUILD / "byway-bench")


class Sink:
    """byway-bench sink; stop() gives what it counted."""

    def __init__(self, *options):
        self.port = stage.free_port()
        self.process = subprocess.Popen([BENCH, "sink", "--json", *map(str, options), str(self.port)], stdout=subprocess.PIPE, text=True)
        stage.wait_port(self.port, self.process)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out = self.process.communicate(timeout=20)[0]
        assert self.process.returncode == 0
        return json.loads(out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


def load(port, *options, status=0, environment=None, output=("--json",)):
    """What it says of itself; OUTPUT None: it writes elsewhere."""
    done = subprocess.run([BENCH, "load", *(output or ()), *map(str, options), "127.0.0.1", str(port)], capture_output=True, text=True,
                          timeout=120, env={**os.environ, **(environment or {})})
    assert not stage.SANITIZER.search(done.stderr), done.stderr
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout) if output else done.stdout


def refused(*options):
    """What a command says that does not even begin."""
    done = subprocess.run([BENCH, *map(str, options)], capture_output=True, text=True, timeout=20)
    assert done.returncode not in (0, 75) and not done.stdout, done.stdout
    assert not stage.SANITIZER.search(done.stderr), done.stderr
    return done.stderr


@pytest.fixture()
def logins(tmp_path):
    path = tmp_path / "logins"
    path.write_text("# the team\nann@bench.example  secret-of-ann\nbob secret of bob\n\n")
    path.chmod(0o600)
    return path


# ---- what was sent is what was taken --------------------------------------------------------------

@pytest.mark.parametrize("chunking", [(), ("--chunking",)], ids=["data", "bdat"])
@pytest.mark.parametrize("pipelining", ["off", "message", "across"])
def test_every_message_arrives_once(pipelining, chunking):
    with Sink(*chunking) as sink:
        got = load(sink.port, "--messages", 203, "--sessions", 7, "--recipients", 3, "--size", 5000, "--pipelining", pipelining, *chunking)
        seen = sink.stop()
    assert (got["messages"], got["failed"], got["octets"]) == (203, 0, 203 * 5000)
    # The look whether the port is open is a connection, too.
    assert (seen["messages"], seen["recipients"], seen["octets"], seen["connections"]) == (203, 609, 203 * 5000, 8)
    assert {phase: got["phases"][phase]["n"] for phase in ("message", "mail", "rcpt", "dot", "connect")} == {
        "message": 203, "mail": 203, "rcpt": 609, "dot": 203, "connect": 7}


def test_a_server_without_pipelining_is_spoken_to_in_lockstep():
    with Sink("--no-pipelining") as sink, Sink() as other:
        alone, together = load(sink.port, "--messages", 50), load(other.port, "--messages", 50)
        assert sink.stop()["messages"] == 50
    # In lockstep each command waits for the one before; in a group all leave at once.
    assert together["phases"]["rcpt"]["n"] == alone["phases"]["rcpt"]["n"] == 50
    assert alone["phases"]["message"]["p50_us"] >= sum(alone["phases"][p]["min_us"] for p in ("mail", "rcpt", "data", "dot"))


@pytest.mark.parametrize("size, octets", [("300", 300), ("64K", 65536), ("1M", 1048576), ("251", 251), ("252", 252), ("253", 253)])
def test_sizes_are_exact(size, octets):
    with Sink("--chunking") as sink:
        load(sink.port, "--messages", 3, "--size", size)
        load(sink.port, "--messages", 4, "--size", size, "--chunking")
        assert sink.stop()["octets"] == 7 * octets


def test_a_mix_comes_in_its_shares(tmp_path):
    mix = tmp_path / "sizes"
    mix.write_text("# octets weight\n1000 3\n10K 1\n")
    with Sink() as sink:
        got = load(sink.port, "--messages", 2000, "--size", mix)
        assert sink.stop()["octets"] == got["octets"]
    large = (got["octets"] - 2000 * 1000) / (10240 - 1000)
    assert 400 < large < 600 and large == int(large)
    assert "2 sizes" in got["load"]["content"]


def test_a_message_of_ones_own(tmp_path):
    """Dots are doubled for DATA, line ends made CRLF; the server gets the same by DATA and by BDAT."""
    message = tmp_path / "message"
    message.write_bytes(b"Subject: x\n\n.one\n..two\n.\nend")
    with Sink("--chunking") as sink:
        load(sink.port, "--messages", 1, "--message", message)
        load(sink.port, "--messages", 1, "--message", message, "--chunking")
        assert sink.stop()["octets"] == 2 * len(b"Subject: x\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n")


def test_sessions_end_after_so_many_messages():
    """Each session alone; of several that share a number of messages each may have one connection that was not full at the end."""
    with Sink() as sink:
        load(sink.port, "--messages", 60, "--sessions", 1, "--messages-per-session", 5)
        assert sink.stop()["connections"] == 1 + 12
    with Sink() as sink:
        load(sink.port, "--messages", 60, "--sessions", 3, "--messages-per-session", 5)
        seen = sink.stop()
        assert seen["messages"] == 60 and 12 <= seen["connections"] - 1 <= 12 + 2
    with Sink() as sink:
        load(sink.port, "--messages", 20, "--sessions", 3, "--reconnect")
        assert sink.stop()["connections"] == 1 + 20


def test_other_servers():
    sink = PostfixSink().start()
    try:
        assert load(sink.port, "--messages", 300, "--pipelining", "across")["messages"] == 300
    finally:
        sink.stop()


# ---- TLS and AUTH ---------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["plain", "login"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_tls_and_auth(tmp_path, logins, tls, how):
    cert = tmp_path / "sink.crt"
    with Sink("--tls", tls, "--certificate-out", cert, "--logins", logins) as sink:
        got = load(sink.port, "--tls", tls, "--ca", cert, "--logins", logins, "--auth", how, "--messages", 20, "--sessions", 4)
        seen = sink.stop()
    assert (seen["messages"], seen["logins"], seen["tls"]) == (20, 4, 4)
    assert got["phases"]["tls"]["n"] == got["phases"]["auth"]["n"] == 4 and ("starttls" in got["phases"]) == (tls == "starttls")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_sessions_are_resumed_where_asked(tmp_path, tls):
    """All but the first, which has no ticket yet; without --resume none."""
    cert = tmp_path / "sink.crt"
    with Sink("--tls", tls, "--certificate-out", cert) as sink:
        common = ("--tls", tls, "--ca", cert, "--messages", 12, "--sessions", 1, "--reconnect")
        resumed, whole = load(sink.port, *common, "--resume"), load(sink.port, *common)
        assert sink.stop()["messages"] == 24
    assert (resumed["resumed"], whole["resumed"]) == (11, 0)
    assert resumed["phases"]["tls"]["n"] == 12


def test_sessions_are_resumed_with_tls_1_2(tmp_path, pair):
    """openssl's server, TLS 1.2 alone, speaks enough SMTP to fail after the handshake."""
    port = stage.free_port()
    server = subprocess.Popen(["openssl", "s_server", "-quiet", "-tls1_2", "-port", str(port), "-cert", pair[0], "-key", pair[1]],
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        stage.wait_port(port, server)
        got = load(port, "--tls", "implicit", "--ca", pair[0], "--messages", 3, "--sessions", 1, "--resume", "--timeout", "0.5", status=75)
    finally:
        server.kill()
        server.wait()
    assert got["resumed"] == got["phases"]["tls"]["n"] - 1 >= 2


def test_certificates_of_ones_own_by_another_name(tmp_path, pair):
    """The sink shows what it was given; the load wants the name that it was told."""
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    with Sink("--tls", "implicit", "--certificate", pair[0], "--key", pair[1], "--auth") as sink:
        common = ("--tls", "implicit", "--ca", pair[0], "--messages", 4, "--sessions", 2, "--user", "x", "--password-file", password)
        assert load(sink.port, *common, "--tls-name", "localhost")["phases"]["auth"]["n"] == 2
        assert [f["phase"] for f in load(sink.port, *common, "--tls-name", "mail.other.example", status=75)["failures"]] == ["tls"]
    password.chmod(0o644)
    assert "chmod 0600" in refused("load", "--user", "x", "--password-file", password, "127.0.0.1", 9)


def test_a_certificate_that_nobody_signed(tmp_path):
    """Trusted by its fingerprint, or not at all."""
    cert = tmp_path / "sink.crt"
    with Sink("--tls", "implicit", "--certificate-out", cert) as sink:
        got = load(sink.port, "--tls", "implicit", "--messages", 5, "--sessions", 1, status=75)
        assert [f["phase"] for f in got["failures"]] == ["tls"] and "certificate" in got["failures"][0]["words"]
        pin = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256"], capture_output=True, text=True,
                             check=True).stdout.split("=")[1].strip()
        assert load(sink.port, "--tls", "implicit", "--pin", pin, "--messages", 5)["messages"] == 5


def test_passwords_are_nowhere_to_be_seen(tmp_path, logins):
    """Not in the arguments of the process, not in results; a list that others may read is not read."""
    with Sink("--logins", logins) as sink:
        got = load(sink.port, "--logins", logins, "--messages", 4)
        assert "secret-of" not in json.dumps(got)
        one = load(sink.port, "--user", "ann@bench.example", "--messages", 4, environment={"BYWAY_BENCH_PASSWORD": "secret-of-ann"})
        assert one["messages"] == 4 and "secret-of" not in json.dumps(one)
        wrong = load(sink.port, "--user", "bob", "--messages", 4, "--sessions", 1, environment={"BYWAY_BENCH_PASSWORD": "no"}, status=75)
        assert [(f["phase"], f["code"]) for f in wrong["failures"]] == [("auth", 535)]
    logins.chmod(0o640)
    assert "chmod 600" in refused("load", "--logins", logins, "127.0.0.1", 9)
    logins.chmod(0o600)
    logins.write_text("only-a-name\n")
    said = refused("load", "--logins", logins, "127.0.0.1", 9)
    assert "NAME PASSWORD" in said and "only-a-name" not in said


def test_senders_are_those_who_log_in(logins, stack):
    up = stack.enter_context(stage.Upstream())
    load(up.port, "--messages", 2, "--sessions", 1)
    assert {m["from"] for m in up.take()} == {"a@bench.example"}
    up.users = {}
    load(up.port, "--messages", 2, "--sessions", 1, "--from", "x@y.example", "--to", "r%@z.example", "--recipients", 2)
    assert {(m["from"], *m["to"]) for m in up.take()} == {("x@y.example", "r1@z.example", "r2@z.example")}
    load(up.port, "--messages", 1, "--sessions", 1, "--helo", "here.bench.example")
    assert [m["helo"] for m in up.take()] == ["here.bench.example"]


# ---- failures -------------------------------------------------------------------------------------

def test_refusals_by_phase_and_code():
    """Each is counted once, at the phase and with the code that the server gave; the session goes on."""
    with Sink("--refuse", "rcpt=450,10%", "--refuse", "dot=552,20%", "--refuse", "mail=451,1%") as sink:
        got = load(sink.port, "--messages", 1000, "--sessions", 4, status=75)
        seen = sink.stop()
    counts = {(f["phase"], f["code"]): f["n"] for f in got["failures"]}
    assert counts == {("mail", 451): seen["refused"]["mail"], ("rcpt", 450): seen["refused"]["rcpt"], ("dot", 552): seen["refused"]["dot"]}
    assert counts["mail", 451] == 10 and counts["rcpt", 450] == seen["refused"]["rcpt"] == 99
    assert got["messages"] == seen["messages"] and got["messages"] + got["failed"] == 1000
    assert seen["connections"] == 1 + 4


@pytest.mark.parametrize("pipelining", ["off", "message", "across"])
def test_some_recipients_are_refused(pipelining):
    with Sink("--refuse", "rcpt=550,50%") as sink:
        got = load(sink.port, "--messages", 40, "--sessions", 1, "--recipients", 4, "--pipelining", pipelining, status=75)
        seen = sink.stop()
    assert (got["messages"], got["failed"], got["refused_recipients"]) == (40, 0, 80)
    assert (seen["messages"], seen["recipients"]) == (40, 80)


@pytest.mark.parametrize("chunking", [(), ("--chunking",)], ids=["data", "bdat"])
@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("pipelining", ["off", "message", "across"])
def test_all_is_refused(pipelining, phase, chunking):
    if chunking and phase == "data":
        pytest.skip("BDAT knows no DATA")
    with Sink("--refuse", f"{phase}=550", *chunking) as sink:
        got = load(sink.port, "--messages", 30, "--sessions", 2, "--pipelining", pipelining, *chunking, status=75)
        assert sink.stop()["messages"] == 0
    assert [(f["phase"], f["code"], f["n"]) for f in got["failures"]] == [(phase, 550, 30)] and got["failed"] == 30


PHASES = ("greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot")


@pytest.fixture(scope="module")
def login():
    """A sink that has all phases, and a load that goes through them."""
    return lambda path: (("--tls", "starttls", "--certificate-out", path, "--auth"), ("--tls", "starttls", "--ca", path, "--user", "x"))


@pytest.mark.parametrize("phase", PHASES)
def test_the_server_hangs_up(phase, login, tmp_path):
    """Every other time; each is a failure of its phase, without a code."""
    offers, takes = login(tmp_path / "crt")
    with Sink(*offers, "--drop", f"{phase}=50%") as sink:
        got = load(sink.port, *takes, "--messages", 40, "--sessions", 4, status=75, environment={"BYWAY_BENCH_PASSWORD": "y"})
        seen = sink.stop()
    assert sum(f["n"] for f in got["failures"]) > 0 and {(f["phase"], f["code"]) for f in got["failures"]} == {(phase, 0)}
    assert got["messages"] + got["failed"] == 40 and got["messages"] == seen["messages"]
    # The look whether the port is open may be one of those that were hung up on.
    assert seen["dropped"][phase] - sum(f["n"] for f in got["failures"]) in ((0, 1) if phase == "greeting" else (0,))


@pytest.mark.parametrize("phase", PHASES)
def test_the_server_refuses_and_is_slow_where_it_was_told(phase, login, tmp_path):
    """The first of five times it waits, the next it refuses; each is seen at its phase alone."""
    offers, takes = login(tmp_path / "crt")
    with Sink(*offers, "--refuse", f"{phase}=451,25%", "--delay", f"{phase}=150ms,25%") as sink:
        got = load(sink.port, *takes, "--messages", 40, "--sessions", 1, "--messages-per-session", 2, "--pipelining", "off", status=75,
                   environment={"BYWAY_BENCH_PASSWORD": "y"})
        seen = sink.stop()
    assert {(f["phase"], f["code"]) for f in got["failures"]} == {(phase, 451)}
    assert got["messages"] + got["failed"] == 40 and got["messages"] == seen["messages"]
    assert seen["refused"][phase] >= 2 and seen["delayed"] == seen["refused"][phase]


def test_a_share_of_answers_is_late():
    with Sink("--delay", "dot=200ms,5%") as sink:
        dot = load(sink.port, "--messages", 100, "--sessions", 1)["phases"]["dot"]
        assert sink.stop()["delayed"] == 5
    late = sum(n for high, n in dot["histogram"] if high >= 195e3)
    assert late == 5


def test_nobody_is_there():
    got = load(stage.free_port(), "--messages", 1000000, status=75)
    assert got["messages"] == 0 and [f["phase"] for f in got["failures"]] == ["connect"]


def test_an_answer_that_never_comes():
    with Sink("--delay", "dot=20") as sink:
        got = load(sink.port, "--messages", 2, "--sessions", 2, "--timeout", 1, status=75)
    assert [(f["phase"], f["words"], f["n"]) for f in got["failures"]] == [("dot", "no answer in time", 2)]


# ---- time -----------------------------------------------------------------------------------------

def test_times_are_found_where_they_were_spent():
    with Sink("--delay", "dot=200ms", "--delay", "greeting=100ms") as sink:
        got = load(sink.port, "--messages", 8, "--sessions", 4, "--pipelining", "off")["phases"]
    assert got["dot"]["min_us"] >= 195e3 and got["greeting"]["min_us"] >= 95e3 and got["mail"]["p50_us"] < 195e3
    assert got["message"]["max_us"] >= got["dot"]["min_us"] + got["greeting"]["min_us"]


def test_an_open_loop_hides_no_waiting():
    """A server that takes 50 ms a message, one session, 60 messages a second: a closed loop sees 50 ms each time, who had come at
    a constant rate would have waited ever longer (coordinated omission)."""
    with Sink("--delay", "dot=50ms") as sink:
        closed = load(sink.port, "--sessions", 1, "--duration", 2)
        opened = load(sink.port, "--sessions", 1, "--duration", 2, "--rate", 60, status=75)
    assert closed["phases"]["message"]["p50_us"] < 3 * closed["phases"]["dot"]["min_us"]
    assert opened["phases"]["message"]["p50_us"] > 5 * opened["phases"]["dot"]["p50_us"]
    # Those that never got a session until the end are told, and their waiting counts.
    assert [(f["phase"], f["code"]) for f in opened["failures"]] == [("wait", 0)]
    assert opened["messages"] + opened["failed"] == 120 == opened["phases"]["message"]["n"]


def test_an_open_loop_tells_of_a_stall():
    """The server stands still for a second, a quarter of the run. Who comes at a constant rate waits for the rest of it, 200 of 800 messages:
    one in ten for more than 0.6 s. In a closed loop nobody comes meanwhile, and all that is seen is one late answer a session."""
    stall = 1
    with Sink() as sink:
        seen = {}
        for name, options in (("open", ("--rate", 200)), ("closed", ())):
            process = subprocess.Popen([BENCH, "load", "--json", "--sessions", "10", "--duration", "4", *map(str, options), "127.0.0.1", str(sink.port)],
                                       stdout=subprocess.PIPE, text=True)
            time.sleep(1)
            sink.process.send_signal(signal.SIGSTOP)
            time.sleep(stall)
            sink.process.send_signal(signal.SIGCONT)
            seen[name] = json.loads(process.communicate(timeout=60)[0])
        sink.stop()
    opened, closed = (seen[name]["phases"]["message"] for name in ("open", "closed"))
    assert seen["open"]["messages"] == opened["n"] == 800 and seen["open"]["failed"] == 0
    assert opened["p90_us"] > 0.5e6 * stall and opened["p99_us"] > 0.8e6 * stall
    # The wait for a session is the larger part, and told.
    assert seen["open"]["phases"]["wait"]["p90_us"] > 0.5e6 * stall
    assert closed["max_us"] > 0.8e6 * stall and closed["p90_us"] < opened["p90_us"] / 10


def test_an_open_loop_keeps_its_rate():
    """Slow answers do not slow it down while there are sessions."""
    with Sink("--delay", "dot=100ms") as sink:
        got = load(sink.port, "--sessions", 200, "--duration", 2, "--rate", 200, "--interval", "0.5")
        assert sink.stop()["messages"] == 400
    assert got["messages"] == 400 and got["failed"] == 0
    assert [s["done"] for s in got["samples"]] and sum(s["done"] for s in got["samples"]) == 400


def test_ramp_and_warm_up():
    with Sink() as sink:
        got = load(sink.port, "--duration", 3, "--rate", 200, "--ramp", 1, "--warm-up", 1, "--sessions", 50)
        seen = sink.stop()
    # Half as many as the rate says while it grows; none of these counts, but for those that end after.
    assert seen["messages"] == 100 + 400 and 390 <= got["messages"] <= 410


def test_sessions_of_a_closed_loop_ramp_up():
    """After half of the ramp about half of the sessions are there."""
    with Sink("--delay", "dot=100ms") as sink:
        got = load(sink.port, "--sessions", 40, "--duration", 4, "--ramp", 2, "--interval", "0.5")
        assert sink.stop()["connections"] == 1 + 40
    begun, whole = (sum(s["done"] for s in got["samples"] if low <= s["t"] < high) for low, high in ((0, 1.1), (2.4, 3.6)))
    assert 0 < begun < whole / 2


def test_nobody_is_told_who_wants_quiet():
    port = stage.free_port()
    sink = subprocess.Popen([BENCH, "sink", "--quiet", "--json", str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        stage.wait_port(port, sink)
        done = subprocess.run([BENCH, "load", "--quiet", "--progress", "--duration", "2", "--rate", "50", "--size", "mail", "127.0.0.1", str(port)],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and not done.stderr and "100 messages, 0 failed" in done.stdout
    finally:
        sink.send_signal(signal.SIGTERM)
        assert sink.communicate(timeout=20) == (b"", b"")


def test_sessions_that_only_stay():
    """--idle logs in and sends nothing; the sessions are open at the same time."""
    with Sink("--auth") as sink:
        got = load(sink.port, "--sessions", 30, "--idle", 1, "--user", "x", environment={"BYWAY_BENCH_PASSWORD": "y"})
        seen = sink.stop()
    assert (got["messages"], got["failed"], got["ready"]) == (0, 0, 30) and got["seconds"] >= 1
    assert (seen["messages"], seen["logins"]) == (0, 30)


def test_processes_are_measured_with_their_children():
    with Sink() as sink:
        got = load(sink.port, "--duration", 2, "--pid", f"sink={sink.process.pid}", "--pid", f"me={os.getpid()}", "--interval", "0.5")
    sink_row, me = got["processes"]
    assert sink_row["name"] == "sink" and sink_row["cpu_us_per_message"] > 0 and sink_row["memory_kib_most"] > 100
    assert sink_row["processes"] == 1 and me["processes"] >= 3
    assert "NAME=PID" in refused("load", "--pid", "sink", "127.0.0.1", 9)


def test_a_run_that_is_interrupted_still_tells():
    with Sink() as sink:
        process = subprocess.Popen([BENCH, "load", "--duration", "60", "--rate", "100", "--progress", "127.0.0.1", str(sink.port)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=20)[0]
    assert process.returncode == 0 and "messages, 0 failed" in out
    assert "/s" in line and "failed" in line and "s left" in line


# ---- the page ------------------------------------------------------------------------------------

def look(page, scheme="light", width=1200, picture=None):
    """What Chromium shows of PAGE (tests/lib/look.js)."""
    done = subprocess.run(["node", stage.ROOT / "tests/lib/look.js", page, scheme, str(width), *([str(picture)] if picture else [])],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def results(folder):
    """Two runs, the second with refusals and words that would like to be markup."""
    files = [folder / "a.json", folder / "b.json"]
    evil = "</script><script>document.title='mine'</script><img src=x onerror=alert(1)>"
    with Sink("--delay", "dot=2ms-9ms") as sink:
        load(sink.port, "--duration", 2, "--rate", 300, "--label", "steady", "--html", folder / "one.html", f"--json={files[0]}",
             "--pid", f"sink={sink.process.pid}", output=None)
    with Sink("--refuse", "rcpt=550,10%") as sink:
        load(sink.port, "--duration", 2, "--sessions", 4, "--label", evil, f"--json={files[1]}", status=75, output=None)
    return files, evil


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_a_page_of_one_run(folder, results, scheme, width):
    seen = look(folder / "one.html", scheme, width)
    run = json.loads(results[0][0].read_text())
    assert seen["title"] == "steady" and not seen["errors"] and not seen["requests"]
    assert seen["sections"] == ["Messages a second", "Latency of a message over time", "Latency by percentile", "Where the time goes, by phase",
                                "Times by phase", "Cores in use", "Memory", "The run"]
    # A plot each over time, and a small one for each phase; every line has its points.
    assert seen["plots"] == 5 + len(run["phases"]) and all("NaN" not in d and len(d) > 10 for d in seen["lines"])
    assert not seen["wide"] and not seen["clashes"] and seen["redrawn"] > 0
    assert "steady" in seen["tip"] and "/s" in seen["tip"] and f"{run['messages']:,}" in seen["text"]
    dark = [int(n) < 128 for n in seen["colors"][0][4:-1].split(",")]
    assert all(dark) if scheme == "dark" else not any(dark)


@pytest.mark.parametrize("factor", [0.003, 0.07, 1, 23, 9000])
def test_plots_are_legible_at_any_scale(folder, results, factor):
    """The same run a thousand times faster, slower, longer: no words lie on one another or outside."""
    run = json.loads(results[0][0].read_text())
    for phase in run["phases"].values():
        phase["histogram"] = [[high * factor, n] for high, n in phase["histogram"]]
        for key in list(phase):
            if key.endswith("_us"):
                phase[key] *= factor
    for sample in run["samples"]:
        for key in ("t", "s", "p50_us", "p90_us", "p99_us", "max_us"):
            sample[key] *= factor
        sample["memory_kib"] = [int(kib * factor) for kib in sample["memory_kib"]]
    path = folder / f"scaled-{factor}.json"
    path.write_text(json.dumps(run))
    page = folder / f"scaled-{factor}.html"
    subprocess.run([BENCH, "report", path, path, "--html", page], check=True, timeout=20)
    for width in (1200, 390):
        seen = look(page, "light", width)
        assert not seen["errors"] and not seen["clashes"] and not seen["wide"]


def test_runs_side_by_side(folder, results):
    files, evil = results
    page = folder / "both.html"
    subprocess.run([BENCH, "report", *files, "--html", page], check=True, timeout=20)
    seen = look(page)
    assert seen["title"] == "2 runs side by side" and seen["sections"][0] == "At a glance" and "Failures" in seen["sections"]
    assert evil in seen["text"] and "550" in seen["text"] and "× " in seen["text"]
    assert not seen["errors"] and not seen["requests"] and (seen["scripts"], seen["images"]) == (2, 0)
    assert not seen["wide"] and not seen["clashes"]


def test_a_run_in_which_nothing_worked(folder):
    page = folder / "none.html"
    load(stage.free_port(), "--messages", 5, "--html", page, status=75)
    seen = look(page)
    assert not seen["errors"] and "Failures" in seen["sections"] and "connection refused" in seen["text"]


def test_a_result_that_is_cut_short_is_refused(folder, results):
    cut = folder / "cut.json"
    cut.write_text(results[0][0].read_text()[:-40])
    assert "not a whole result" in refused("report", cut, "--html", folder / "never.html")
    assert not (folder / "never.html").exists()


# ---- beside others --------------------------------------------------------------------------------

def test_a_comparison_is_a_table_and_json(tmp_path):
    """Byway alone, as peers need not be there; a peer that is not there is skipped and said so."""
    done = subprocess.run([stage.ROOT / "bench/compare", "--only", "S1,S3r,IDLE,half", "--peers", "byway,no relay", "--build", stage.BUILD, "--rounds", "2",
                           "--seconds", "1", "--out", tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    got = json.loads(next(tmp_path.glob("*.json")).read_text())
    byway, words = f"Byway ({stage.BUILD.name})", next(tmp_path.glob("*.md")).read_text()
    figures = got["figures"]
    assert set(figures) == {"S1", "S3r", "IDLE", "half"} and {len(rows[byway]) for rows in figures.values()} == {2}
    assert all(m["us"] > 0 and m["messages"] > 0 and not m["failed"] for name in ("S1", "S3r", "half") for m in figures[name][byway])
    # All but the first of each session may come by ticket.
    assert all(m["messages"] - 40 <= m["resumed"] < m["messages"] for m in figures["S3r"][byway])
    assert all(m["kib"] > 1 for m in figures["IDLE"][byway]) and "no relay" not in figures["IDLE"]
    # Which program it was is the kernel's word.
    assert got["programs"][byway] == str((stage.BUILD / "bywayd").resolve())
    assert got["versions"][byway].startswith("bywayd ") and got["cpu"] and got["cores"] == os.cpu_count()
    for name in figures:
        assert re.search(rf"^## {name}: .*\n\n\| peer \|[^#]*^\| {re.escape(byway)} \| [0-9.]+ \([0-9.]+ to [0-9.]+\) \|", words, re.M)


def test_ratios_are_to_the_better_that_did_not_fail(tmp_path):
    """From made-up figures: a crowd stands beside the peer's own S1, too."""
    loader = importlib.machinery.SourceFileLoader("compare", str(stage.ROOT / "bench/compare"))
    compare = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(compare)

    def runs(*us, failed=0):
        return [{"us": v, "rate": 10, "dot_p50_ms": 1, "dot_p99_ms": 2, "memory_mib": 3, "failed": failed, "resumed": 0, "messages": 9} for v in us]

    figures = {"S1": {"HAProxy": runs(20, 10, 30), "nginx mail": runs(25), "Byway": runs(30)},
               "S1-2000": {"HAProxy": runs(40), "nginx mail": runs(5, failed=7), "Byway": runs(60)},
               "IDLE": {"HAProxy": [{"kib": 20, "failed": 0}], "Byway": [{"kib": 15, "failed": 0}]}}
    rows = {name: {row.split(" | ")[0][2:]: row.strip("| ").split(" | ")[1:] for row in compare.rows_of(name, {"figures": figures})} for name in figures}
    assert rows["S1"]["HAProxy"][:2] == ["20.0 (10.0 to 30.0)", "1.00"] and rows["S1"]["Byway"][1] == "1.50"
    assert list(rows["S1"])[2:] == ["HAProxy", "nginx mail", "Byway"]
    assert rows["S1-2000"]["Byway"][1:3] == ["1.50", "2.00"] and rows["S1-2000"]["nginx mail"][-1] == "7"
    assert rows["IDLE"]["Byway"] == ["15.0 (15.0 to 15.0)", "0.75", "0"]


# ---- the command line -----------------------------------------------------------------------------

@pytest.mark.parametrize("words, said", [
    (["load", "127.0.0.1"], "HOST and PORT"),
    (["load", "--sess", "3", "127.0.0.1", "25"], "unrecognized option '--sess'"),
    (["load", "192.0.2.1", "25"], "--anywhere"),
    (["load", "127.0.0.1", "0"], "port"),
    (["load", "--rate", "0", "127.0.0.1", "25"], "more than 0"),
    (["load", "--rate", "inf", "127.0.0.1", "25"], "more than 0"),
    (["load", "--sessions", "0", "127.0.0.1", "25"], "from 1 to"),
    (["load", "--size", "4x", "127.0.0.1", "25"], "neither octets"),
    (["load", "--tls", "ssl", "127.0.0.1", "25"], "starttls or implicit"),
    (["load", "--duration", "soon", "127.0.0.1", "25"], "seconds"),
    (["load", "--pipelining", "on", "127.0.0.1", "25"], "off, message or across"),
    (["load", "--from", "<x@y>", "127.0.0.1", "25"], "no <"),
    (["load", "--user", "x", "127.0.0.1", "25"], "BYWAY_BENCH_PASSWORD"),
    (["load", "--duration", "1", "--warm-up", "2", "127.0.0.1", "25"], "shorter"),
    (["sink", "--delay", "dot", "2600"], "PHASE=TIME"),
    (["sink", "--delay", "dot=1s,2", "2600"], "PHASE=TIME"),
    (["sink", "--delay", "dot=2s-1s", "2600"], "PHASE=TIME"),
    (["sink", "--refuse", "rcpt=250", "2600"], "PHASE=CODE"),
    (["sink", "--tls", "implicit", "--certificate", "/dev/null", "2600"], "--key"),
    (["load", "--resume", "127.0.0.1", "25"], "--tls"),
    (["sink", "--drop", "connect", "2600"], "a phase is"),
    (["sink", "--tls", "implicit", "2600"], "--certificate"),
    (["report"], "files"),
    (["report", "/dev/null"], "not a whole result"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_mistakes_are_told(words, said):
    assert said in refused(*words)


def test_help_names_every_option():
    """And each is tried here."""
    said = subprocess.run([BENCH, "--help"], capture_output=True, text=True, check=True).stdout
    named = re.findall(r"^ +--([a-z-]+)", said, re.M)
    tried = Path(__file__).read_text()
    assert len(named) > 40 and not [name for name in named if not re.search(rf"""["']--{name}["'=]""", tried)]
    assert "load" in said and "sink" in said and "report" in said
    assert max(map(len, said.splitlines())) <= 110
