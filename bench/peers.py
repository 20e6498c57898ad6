# SPDX-License-Identifier: Apache-2.0
"""What bench/compare measures: Byway and its peers, each as a relay on loopback before the same sink.

Each is one process or thread that works, or as near to it as its design allows, tuned no further than what its documents say of
throughput. A peer that is not installed or does not start is skipped with the reason.
"""
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/lib"))
import stage  # noqa: E402

LOGIN, PASSWORD = "a@bench.example", "bench-password-that-is-long"


class Skip(Exception):
    pass


def said(*command):
    """The first line with a digit of what a program says of its version."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return next((re.sub(r"\x1b\[[\d;]*m", "", line).strip() for line in (done.stdout + done.stderr).splitlines() if re.search(r"\d", line)), "unknown")


def need(*programs):
    for program in programs:
        if not (shutil.which(program) or Path(program).exists()):
            raise Skip(f"{program} is not installed")


class Peer:
    """name, ports {"plain", "tls"}, process (the root of all its processes); login: whether even its plain port wants AUTH; crowds: whether
    it is made for thousands of sessions in a process."""

    name, login, packages, queues, crowds = "", False, (), False, False

    def __init__(self, stand):
        self.stand, self.ports, self.process, self.folder = stand, {}, None, None

    def start(self):
        """A folder that others may enter, too: servers drop privileges."""
        self.folder = Path(tempfile.mkdtemp(prefix="byway-compare-"))
        self.folder.chmod(0o755)
        try:
            self.begin()
            for port in self.ports.values():
                stage.wait_port(port, self.process)
        except (OSError, RuntimeError, subprocess.SubprocessError) as e:
            why = (str(e).strip().splitlines() or [type(e).__name__])[-1]
            log = self.folder / "said.log"
            words = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            self.stop()
            raise Skip(f"{why}: {words[-1]}" if words else why) from None
        except Skip:
            self.stop()
            raise
        return self

    def run(self, *command, **how):
        log = open(self.folder / "said.log", "ab")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **how)
        log.close()

    def settled(self):
        """Whether nothing is left to be done of what was accepted."""
        return True

    def stop(self):
        stage.stop(self.process)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Direct(Peer):
    """The load straight into the sink: what sink and load themselves allow."""

    name = "no relay"

    def version(self):
        return "the sink alone"

    def begin(self):
        self.ports = {"plain": self.stand.sink.port, "tls": self.stand.tls_sink.port}
        self.process = None

    def stop(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Byway(Peer):
    crowds = True

    def __init__(self, stand, build):
        super().__init__(stand)
        self.build = Path(build).resolve()
        self.name = f"Byway ({self.build.name})"

    def version(self):
        return said(self.build / "bywayd", "--version")

    def begin(self):
        need(self.build / "bywayd", self.build / "byway")
        self.byway = stage.Byway(self.folder / "b", name="bench.example", workers=1, build=self.build, settings={
            "mta sink": {"host": "127.0.0.1", "port": self.stand.sink.port, "tls": "none", "max_connections": 1000,
                         "messages_per_connection": 1000000},
            "log": {"level": "info"},
            "limits": {"connections": 20000, "connections_per_address": 20000, "connections_per_account": 20000},
            "listener plain": {"address": f"127.0.0.1:{stage.free_port()}", "tls": "none"}})
        self.byway.ports["plain"] = int(self.byway.settings["listener plain"]["address"].rsplit(":", 1)[1])
        self.byway.init()
        # One certificate and key for all.
        for there, here in (("relay.crt", self.stand.chain), ("relay.key", self.stand.key)):
            shutil.copyfile(here, self.byway.etc / there)
        self.byway.apply(
            "[plan bench]\ncan_send = yes\nmailbox_day = 100000000\naccount_day = 100000000\naccount_hour = 100000000\n"
            "monthly = 1000000000\n[account bench]\nplan = bench\n[domain bench.example]\naccount = bench\n"
            f"[mailbox {LOGIN}]\npassword_file = {self.stand.password}\n[ip 127.0.0.1]\naccount = bench\n")
        self.byway.start()
        self.process = self.byway.process
        self.ports = {"plain": self.byway.ports["plain"], "tls": self.byway.ports["tls"]}

    def stop(self):
        if getattr(self, "byway", None) and self.byway.process:
            self.byway.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class HAProxy(Peer):
    """TCP mode: it parses no SMTP. With TLS it ends TLS and passes the log-in on, to a sink that lets everybody in."""

    name, packages, crowds = "HAProxy", ("haproxy",), True

    def version(self):
        return said("haproxy", "-v")

    def begin(self):
        need("haproxy")
        self.ports = {"plain": stage.free_port(), "tls": stage.free_port()}
        pem = self.folder / "both.pem"
        pem.write_text(self.stand.chain.read_text() + self.stand.key.read_text())
        config = self.folder / "haproxy.cfg"
        config.write_text(
            "global\n maxconn 9000\n nbthread 1\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
            f"listen plain\n bind 127.0.0.1:{self.ports['plain']}\n server s 127.0.0.1:{self.stand.sink.port}\n"
            f"listen tls\n bind 127.0.0.1:{self.ports['tls']} ssl crt {pem}\n server s 127.0.0.1:{self.stand.login_sink.port}\n")
        self.run("haproxy", "-db", "-f", config)


class Nginx(Peer):
    """Its mail proxy with the auth_http server in the same process; buffers enlarged."""

    name, packages, crowds = "nginx mail", ("nginx-light", "libnginx-mod-mail"), True
    module = Path("/usr/lib/nginx/modules/ngx_mail_module.so")

    def version(self):
        return said("nginx", "-v")

    def begin(self):
        need("nginx", self.module)
        auth = stage.free_port()
        self.ports = {"plain": stage.free_port(), "tls": stage.free_port()}
        temp = "".join(f" {kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self.folder / "nginx.conf"
        config.write_text(
            f"load_module {self.module};\ndaemon off;\nworker_processes 1;\n{'user nobody nogroup;' if os.geteuid() == 0 else ''}\n"
            f"pid {self.folder}/pid;\nerror_log {self.folder}/error.log;\nevents {{ worker_connections 19000; }}\n"
            f"http {{ access_log off;{temp}\n server {{ listen 127.0.0.1:{auth}; location / {{ add_header Auth-Status OK; add_header Auth-Server "
            f"127.0.0.1; add_header Auth-Port {self.stand.sink.port}; return 204; }} }} }}\n"
            f"mail {{ auth_http 127.0.0.1:{auth}/; smtp_capabilities PIPELINING 8BITMIME \"SIZE 0\"; xclient off; proxy_buffer 64k; smtp_client_buffer 16k;\n"
            f" server {{ listen 127.0.0.1:{self.ports['plain']}; protocol smtp; smtp_auth none; }}\n"
            f" server {{ listen 127.0.0.1:{self.ports['tls']} ssl; protocol smtp; smtp_auth plain login; ssl_certificate {self.stand.chain};"
            f" ssl_certificate_key {self.stand.key}; ssl_protocols TLSv1.2 TLSv1.3; }} }}\n")
        self.run("nginx", "-c", config, "-e", self.folder / "error.log")


class Dovecot(Peer):
    """Its submission relay, one process each for log-ins and for sessions; it wants a log-in on each port."""

    name, login, packages = "Dovecot Submission", True, ("dovecot-core", "dovecot-submissiond")

    def version(self):
        return "Dovecot " + said("dovecot", "--version")

    def begin(self):
        need("dovecot", "/usr/lib/dovecot/submission")
        if os.geteuid() != 0:
            raise Skip("it must be started as root")
        if not self.version().startswith("Dovecot 2.3"):
            raise Skip(f"the configuration here is for Dovecot 2.3, not for {self.version()}")
        self.ports = {"plain": stage.free_port(), "tls": stage.free_port()}
        (self.folder / "mail").mkdir()
        shutil.chown(self.folder / "mail", "nobody", "nogroup")
        config = self.folder / "dovecot.conf"
        config.write_text(f"""\
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/dovecot.log
protocols = submission
listen = 127.0.0.1
hostname = bench.example
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{self.stand.chain}
ssl_key = <{self.stand.key}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={self.folder}/mail
}}
mail_location = maildir:{self.folder}/mail
mail_max_userip_connections = 10000
submission_max_mail_size = 40M
submission_relay_host = 127.0.0.1
submission_relay_port = {self.stand.sink.port}
first_valid_uid = 1
service submission-login {{
  inet_listener submission {{
    port = {self.ports['plain']}
  }}
  inet_listener submissions {{
    port = {self.ports['tls']}
    ssl = yes
  }}
  service_count = 0
  process_limit = 1
  client_limit = 5000
}}
service submission {{
  service_count = 0
  process_limit = 1
  client_limit = 5000
}}
service anvil {{
  client_limit = 6000
}}
service auth {{
  client_limit = 6000
}}
""")
        self.run("dovecot", "-F", "-c", config)


class Postfix(Peer):
    """Its smtpd with the queue behind it and the sink as smart host: what is accepted is delivered afterwards, and counts."""

    name, packages, queues, options = "Postfix, smart host", ("postfix",), True, ""

    def version(self):
        return "Postfix " + said("postconf", "-d", "-h", "mail_version")

    def begin(self):
        need("/usr/lib/postfix/sbin/master")
        if os.geteuid() != 0:
            raise Skip("it must be started as root")
        from servers import DAEMONS, MASTER

        self.ports = {"plain": stage.free_port()}
        for sub in ("etc", "spool", "lib"):
            (self.folder / sub).mkdir()
        shutil.chown(self.folder / "lib", pwd.getpwnam("postfix").pw_uid)
        (self.folder / "etc/main.cf").write_text(f"""\
compatibility_level = 3.6
queue_directory = {self.folder}/spool
data_directory = {self.folder}/lib
command_directory = /usr/sbin
daemon_directory = {DAEMONS}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {self.folder}/mail.log
maillog_file_prefixes = {self.folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = bench.example
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
message_size_limit = 40000000
relayhost = [127.0.0.1]:{self.stand.sink.port}
smtp_tls_security_level = none
smtp_connection_cache_on_demand = yes
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
""")
        (self.folder / "etc/master.cf").write_text(
            MASTER + "smtp unix - - n - - smtp\nrelay unix - - n - - smtp\nscache unix - - n - 1 scache\n"
            f"127.0.0.1:{self.ports['plain']} inet n - n - - smtpd {self.options.format(sink=self.stand.sink.port)}\n")
        subprocess.run(["postfix", "-c", self.folder / "etc", "check"], check=True, capture_output=True)
        self.run(DAEMONS / "master", "-c", self.folder / "etc")

    def settled(self):
        return not any(f.is_file() for queue in ("maildrop", "incoming", "active", "deferred")
                       for f in (self.folder / "spool" / queue).rglob("*"))


class PostfixProxy(Postfix):
    """Its before-queue proxy, with the sink as the filter: nothing is queued."""

    name, queues, options = "Postfix, before-queue proxy", False, "-o smtpd_proxy_filter=127.0.0.1:{sink}"


class Haraka(Peer):
    """With smtp_forward; from npm, where `haraka` is on the path or under build/compare/."""

    name = "Haraka"
    place = ROOT / "build/compare/node_modules/.bin/haraka"

    def program(self):
        return shutil.which("haraka") or (self.place.exists() and str(self.place)) or None

    def version(self):
        return said(self.program(), "--version")

    def begin(self):
        if not self.program():
            raise Skip("it is not installed (--install gets it from npm)")
        self.ports = {"plain": stage.free_port()}
        config = self.folder / "config"
        config.mkdir()
        (config / "smtp.ini").write_text(f"listen=127.0.0.1:{self.ports['plain']}\nnodes=0\n")
        (config / "plugins").write_text("bench_allow\nqueue/smtp_forward\n")
        (self.folder / "plugins").mkdir()
        (self.folder / "plugins/bench_allow.js").write_text(
            "exports.hook_lookup_rdns = (next) => next(OK, 'localhost');\n"  # asks no name server
            "exports.hook_connect = (next, connection) => { connection.relaying = true; next(); };\n"
            "exports.hook_rcpt = (next) => next(OK);\n")
        (config / "smtp_forward.ini").write_text(f"host=127.0.0.1\nport={self.stand.sink.port}\nenable_outbound=false\n")
        (config / "me").write_text("bench.example\n")
        # Its own defaults, which it wants beside the settings.
        for shipped in Path(os.path.realpath(self.program())).parents[1].glob("config/connection.ini"):
            shutil.copy(shipped, config)
        (config / "log.ini").write_text("[main]\nlevel=warn\n")
        self.run(self.program(), "-c", self.folder)


PEERS = (Direct, HAProxy, Nginx, Dovecot, Postfix, PostfixProxy, Haraka)
