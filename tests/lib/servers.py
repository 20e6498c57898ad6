# SPDX-License-Identifier: Apache-2.0
"""Other people's SMTP servers as upstreams: Postfix in a folder of its own, and smtp-sink. Each is stopped by its own pid."""
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import stage

DAEMONS = Path("/usr/lib/postfix/sbin")


class Place:
    """A folder under the system's temporary one that other users may enter, as servers that drop privileges must."""

    def __init__(self, name):
        self.folder = Path(tempfile.mkdtemp(prefix=f"byway-{name}-"))
        self.folder.chmod(0o755)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/lib
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {dir}/mail.log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {name}
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
smtputf8_enable = yes
message_size_limit = 40000000
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_timeout = 100
smtpd_recipient_limit = 1000
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {dir}/mail
virtual_mailbox_limit = 0
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ nobody@elsewhere.example = REJECT said the provider }} }}, permit
smtpd_tls_chain_files = {key}, {chain}
smtpd_tls_session_cache_database =
smtpd_tls_loglevel = 1
smtpd_sasl_local_domain = {realm}
cyrus_sasl_config_path = {dir}/etc/sasl
"""

MASTER = """\
postlog   unix-dgram n - n - 1 postlogd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
"""

LOGIN = "-o smtpd_sasl_auth_enable=yes"
NATIVE = "-o smtpd_relay_restrictions=permit_mynetworks,reject"
SERVICES = {
    "starttls": f"-o smtpd_tls_security_level=encrypt {LOGIN} -o smtpd_sasl_path=all",
    "implicit": f"-o smtpd_tls_wrappermode=yes {LOGIN} -o smtpd_sasl_path=all",
    "cram-md5": f"{LOGIN} -o smtpd_sasl_path=cram",
    "login": f"-o smtpd_tls_security_level=encrypt {LOGIN} -o smtpd_sasl_path=login",
    "native": f"-o smtpd_tls_security_level=may {NATIVE}",
    "xclient": f"-o smtpd_authorized_xclient_hosts=127.0.0.0/8 {NATIVE}",
    "chunkless": f"-o smtpd_discard_ehlo_keywords=chunking,silent-discard {NATIVE}",
}
MECHANISMS = {"all": "PLAIN LOGIN CRAM-MD5", "cram": "CRAM-MD5", "login": "LOGIN"}


class Postfix(Place):
    """Takes mail for DOMAINS, delivers it into one maildir, logs to a file. ports: service -> port, see SERVICES.

    It needs root: Postfix gives up its privileges by itself, per program.
    """

    def __init__(self, pair, users, domains, name="mail.provider.example"):
        super().__init__("postfix")
        self.pair, self.users, self.domains, self.name = pair, users, domains, name
        self.ports = {service: stage.free_port() for service in SERVICES}
        self.log, self.mail, self.process = self.folder / "mail.log", self.folder / "mail", None

    def write(self):
        nobody = pwd.getpwnam("nobody")
        for sub in ("etc", "etc/sasl", "spool", "lib", "mail"):
            (self.folder / sub).mkdir()
        shutil.chown(self.mail, "nobody")
        shutil.chown(self.folder / "lib", "postfix")
        chain, key = (shutil.copy(path, self.folder) for path in self.pair)
        realm = next(iter(self.users)).split("@")[1]
        (self.folder / "etc/main.cf").write_text(MAIN.format(
            dir=self.folder, daemons=DAEMONS, name=self.name, domains=", ".join(self.domains), uid=nobody.pw_uid, gid=nobody.pw_gid,
            chain=chain, key=key, realm=realm))
        (self.folder / "etc/master.cf").write_text(MASTER + "".join(
            f"127.0.0.1:{self.ports[s]} inet n - n - - smtpd -o syslog_name={s} {options}\n" for s, options in SERVICES.items()))
        base = self.folder / "sasldb2"
        for user, password in self.users.items():
            login, _, domain = user.partition("@")
            subprocess.run(["saslpasswd2", "-p", "-c", "-f", base, "-u", domain, login], input=password, text=True, check=True,
                           capture_output=True)
        shutil.chown(base, "postfix")
        for name, mechanisms in MECHANISMS.items():
            (self.folder / f"etc/sasl/{name}.conf").write_text(
                f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {base}\nmech_list: {mechanisms}\n")

    def start(self):
        self.write()
        done = subprocess.run(["postfix", "-c", self.folder / "etc", "check"], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        self.process = subprocess.Popen([DAEMONS / "master", "-c", self.folder / "etc"], stdin=subprocess.DEVNULL)
        for port in self.ports.values():
            stage.wait_port(port, self.process)
        return self

    def stop(self):
        stage.stop(self.process)
        self.process = None
        self.remove()

    def logged(self, pattern, seconds=10):
        """The first match in the log, waited for."""
        def look():
            return self.log.exists() and re.search(pattern, self.log.read_text(errors="replace"), re.M)

        return stage.wait_until(look, seconds, every=0.1)

    def delivered(self):
        """The letters in the maildir: {"id", "from", "to", "proto", "content"}, the content without what Postfix put in front."""
        found = []
        for path in sorted((self.mail / "all/new").glob("*"), key=lambda p: p.stat().st_mtime_ns):
            raw = path.read_bytes()
            own = re.match(rb"(?:Return-Path: <(.*)>\nX-Original-To: (.*)\nDelivered-To: .*\n|[\w-]+: .*\n)*?"
                           rb"Received: .*(?:\n\t.*)*?with (\w+) id (\w+)(?:\n\t.*|.)*\n", raw)
            envelope = {name: (re.search(rb"^" + name + rb": (.*)$", raw, re.M) or [b"", b""])[1].decode()
                        for name in (b"Return-Path", b"X-Original-To")}
            found.append({"path": path, "raw": raw, "id": own and own[4].decode(), "proto": own and own[3].decode(),
                          "from": envelope[b"Return-Path"].strip("<>"), "to": envelope[b"X-Original-To"],
                          "content": raw[own.end():] if own else raw})
        return found

    def wait_for(self, queue_id, count=1):
        """The letters that Postfix took under that id."""
        return stage.wait_until(lambda: len(found := [m for m in self.delivered() if m["id"] == queue_id]) >= count and found, 15,
                                every=0.1) or []


class Sink(Place):
    """smtp-sink, with any of its flags; each message is one file."""

    def __init__(self, *flags, port=None):
        super().__init__("sink")
        self.flags, self.port, self.process = flags, port or stage.free_port(), None
        self.mail = self.folder / "mail"
        self.mail.mkdir()

    def start(self):
        user = []
        if os.geteuid() == 0:
            shutil.chown(self.mail, "nobody")
            user = ["-u", "nobody"]
        self.process = subprocess.Popen(["smtp-sink", "-4", *user, "-d", f"{self.mail}/%H%M%S.", *self.flags, f"127.0.0.1:{self.port}", "100"],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stage.wait_port(self.port, self.process)
        return self

    def stop(self):
        stage.stop(self.process)
        self.process = None
        self.remove()

    def take(self):
        """What has come: {"from", "to", "proto", "helo", "content"}, with LF line ends; and none of it next time."""
        found = []
        for path in sorted(self.mail.iterdir(), key=lambda p: p.stat().st_mtime_ns):
            head, _, content = path.read_bytes().partition(b" (UTC)\n")
            fields = re.findall(r"^X-([\w-]+): (.*)$", head.decode(), re.M)
            found.append({"from": dict(fields)["Mail-Args"], "to": [v for k, v in fields if k == "Rcpt-Args"],
                          "proto": dict(fields)["Client-Proto"], "helo": dict(fields).get("Helo-Args"), "content": content[:-1]})
            path.unlink()
        return found
