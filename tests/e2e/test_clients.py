# SPDX-License-Identifier: Apache-2.0
"""Real mail clients, each by STARTTLS and by implicit TLS, with a login, to an upstream that records (BEHAVIOUR 1, 2, 3)."""
import base64
import email
import fcntl
import hashlib
import os
import smtplib
import ssl
import subprocess
import urllib.parse
from collections import namedtuple

import pytest
import stage
from talk import Talk, stuffed

Done = namedtuple("Done", "status said")


class Refused(Exception):
    """A client of ours gives up."""


NOBODY = "nobody@elsewhere.example"
REFUSAL = "550 5.1.1 no such user here, said the upstream"
PEOPLE = {"alice@a.example": ("alice-secret", "relay-a"), "bob@b.example": ("bob-secret", "relay-b")}
BODY = "Hello.\n.a line that starts with a dot\n..two of them\n.\nUmlauts stay: \u00e4\u00f6\u00fc\n"


@pytest.fixture(scope="module")
def upstream(stack, pair):
    return stack.enter_context(stage.Upstream(
        users={"relay-a": "secret of a", "relay-b": "secret of b"}, tls="starttls", pair=pair, refuse={NOBODY: REFUSAL}))


@pytest.fixture(scope="module")
def byway(folder, stage_byway, upstream, pair):
    b = stage.Byway(folder, settings={"upstream": {"allow_ports": upstream.port},
                                       "guessing": {"delay": 0, "name_failures": 0, "address_failures": 0}})
    folder.mkdir(exist_ok=True)
    text = "[plan own]\ncan_send = no\nsenders = any\n"
    for address, (password, login) in PEOPLE.items():
        name = login[-1]
        b.secret(f"{name}.pw", password), b.secret(f"{login}.pw", f"secret of {name}")
        text += (f"[account {name}]\nplan = own\nroute = up\n"
                 f"[profile {name}/up]\nhost = localhost\nport = {upstream.port}\ntls = starttls\nusername = {login}\n"
                 f"password_file = {b.folder}/{login}.pw\nca_file = {pair[0]}\n"
                 f"[domain {name}.example]\naccount = {name}\n[mailbox {address}]\npassword_file = {b.folder}/{name}.pw\n")
    return stage_byway(b, text)


@pytest.fixture
def letter(tmp_path):
    """A message in a file, with LF, as programs on Unix take it."""
    path = tmp_path / "letter.eml"
    path.write_text(f"From: <author@anywhere.example>\nTo: <you@elsewhere.example>\nSubject: by {tmp_path.name}\n"
                    f"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{BODY}")
    return path


# The clients. Each takes (byway, mode, name, password, sender, recipients, letter) and gives (exit status, what it showed).

def run(command, said=None, env=None, cwd=None):
    done = subprocess.run([str(c) for c in command], input=said, capture_output=True, timeout=20 * stage.SLOW, cwd=cwd,
                          env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})
    return Done(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))


def port_of(byway, mode):
    return byway.ports["tls" if mode == "tls" else "starttls"]


def by_swaks(byway, mode, name, password, sender, recipients, letter):
    return run(["swaks", "--server", f"localhost:{port_of(byway, mode)}", "--tls-on-connect" if mode == "tls" else "--tls",
                "--tls-verify", "--tls-ca-path", byway.certificate(), "--auth", "PLAIN", "--auth-user", name,
                "--auth-password", password, "--from", sender, "--to", ",".join(recipients), "--data", f"@{letter}"])


def by_swaks_login(byway, mode, name, password, sender, recipients, letter):
    return run(["swaks", "--server", f"localhost:{port_of(byway, mode)}", "--tls-on-connect" if mode == "tls" else "--tls",
                "--pipeline", "--auth", "LOGIN", "--auth-user", name, "--auth-password", password, "--from", sender,
                "--to", ",".join(recipients), "--data", f"@{letter}"])


def by_msmtp(byway, mode, name, password, sender, recipients, letter):
    secret = letter.with_name("password")
    secret.write_text(password + "\n")
    return run(["msmtp", "--file=/dev/null", "--host=localhost", f"--port={port_of(byway, mode)}", "--tls=on",
                f"--tls-starttls={'off' if mode == 'tls' else 'on'}", f"--tls-trust-file={byway.certificate()}", "--auth=on",
                f"--user={name}", f"--passwordeval=cat {secret}", f"--from={sender}", "--", *recipients], letter.read_bytes())


def by_curl(byway, mode, name, password, sender, recipients, letter):
    crlf = letter.with_name("crlf.eml")
    crlf.write_bytes(letter.read_bytes().replace(b"\n", b"\r\n"))
    return by_curl_unix(byway, mode, name, password, sender, recipients, crlf)


def by_curl_unix(byway, mode, name, password, sender, recipients, letter):
    """A file as editors on Unix write it: curl sends its line ends as they are."""
    netrc = letter.with_name("netrc")
    netrc.touch(mode=0o600)
    netrc.write_text(f'machine localhost login {name} password "{password}"\n')
    return run(["curl", "-sv", "--ssl-reqd", "--url",
                f"{'smtps' if mode == 'tls' else 'smtp'}://localhost:{port_of(byway, mode)}/client.example",
                "--resolve", f"localhost:{port_of(byway, mode)}:127.0.0.1", "--cacert", byway.certificate(),
                "--netrc-file", netrc, "--mail-from", sender, *(a for r in recipients for a in ("--mail-rcpt", r)),
                "--upload-file", letter])


NODEMAILER = """
const [port, secure, ca, user, pass, from, to, raw] = process.argv.slice(1);
const fs = require('fs');
const t = require('nodemailer').createTransport({ host: '127.0.0.1', port: +port, secure: secure === 'tls', requireTLS: true,
    auth: { user, pass }, tls: { ca: fs.readFileSync(ca), servername: 'localhost' } });
t.sendMail({ envelope: { from, to: to.split(',') }, raw: fs.readFileSync(raw) }).then(
    i => { console.log(i.response); t.close(); },
    e => { console.log(e.message, e.response, (e.rejectedErrors || []).map(r => r.response)); process.exit(1); });
"""


def by_nodemailer(byway, mode, name, password, sender, recipients, letter):
    modules = os.environ.get("NODE_PATH") or str(stage.ROOT / "build/node/node_modules")
    return run(["node", "-e", NODEMAILER, "--", port_of(byway, mode), mode, byway.certificate(), name, password, sender,
                ",".join(recipients), letter], env={"NODE_PATH": modules})


def by_smtplib(byway, mode, name, password, sender, recipients, letter):
    context = ssl.create_default_context(cafile=str(byway.certificate()))
    kind = {"context": context} if mode == "tls" else {}
    try:
        with (smtplib.SMTP_SSL if mode == "tls" else smtplib.SMTP)("localhost", port_of(byway, mode), timeout=30, **kind) as s:
            if mode != "tls":
                s.starttls(context=context)
            s.login(name, password)
            s.ehlo()
            s.sendmail(sender, recipients, letter.read_bytes().replace(b"\n", b"\r\n"), mail_options=["BODY=8BITMIME"])
    except smtplib.SMTPException as e:
        return Done(1, repr(e))
    return Done(0, "")


def by_s_nail(byway, mode, name, password, sender, recipients, letter):
    user, secret = urllib.parse.quote(name, safe=""), urllib.parse.quote(password, safe="")
    scheme = "smtps" if mode == "tls" else "submission"
    settings = ["v15-compat", f"mta={scheme}://{user}:{secret}@localhost:{port_of(byway, mode)}", "smtp-auth=plain",
                f"tls-ca-file={byway.certificate()}", "tls-ca-no-defaults", "tls-verify=strict", f"from={sender}", "sendwait",
                "mta-no-default-arguments", "ttycharset=utf-8", "sendcharsets=utf-8", "mime-encoding=8bit",
                *(["smtp-use-starttls"] if mode != "tls" else [])]
    return run(["s-nail", "-:/", "-v", *(a for s in settings for a in ("-S", s)), "-s", f"by {letter.parent.name}",
                *recipients], BODY.encode())


def by_perl(byway, mode, name, password, sender, recipients, letter):
    script = """
use Net::SMTP;
my ($port, $mode, $ca, $name, $password, $from, $to, $file) = @ARGV;
my @trust = (SSL_ca_file => $ca, SSL_verifycn_name => 'localhost');
my $s = Net::SMTP->new('localhost', Port => $port, Timeout => 20, SSL => $mode eq 'tls', @trust) or die "no greeting: $@";
sub ok { $_[0] or do { print $s->code, ' ', $s->message; exit 1 } }
ok($s->starttls(@trust)) if $mode ne 'tls';
ok($s->auth($name, $password));
ok($s->mail($from));
ok($s->to($_)) for split(/,/, $to);
open(my $f, '<', $file); my $all = do { local $/; <$f> }; $all =~ s/\\n/\\r\\n/g;
ok($s->data($all));
print $s->message;
$s->quit;
"""
    return run(["perl", "-e", script, port_of(byway, mode), mode, byway.certificate(), name, password, sender,
                ",".join(recipients), letter])


def by_openssl(byway, mode, name, password, sender, recipients, letter):
    """s_client carries a dialogue as a person would type it: each line behind the answer to the one before."""
    lines = ["EHLO client.example", "AUTH LOGIN", base64.b64encode(name.encode()).decode(),
             base64.b64encode(password.encode()).decode(), f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{r}>" for r in recipients),
             "DATA", *("." + t if t.startswith(".") else t for t in [letter.read_text().replace("\n", "\r\n")])]
    lines[-1] = lines[-1].replace("\r\n.", "\r\n..") + "."
    how = [] if mode == "tls" else ["-starttls", "smtp"]
    p = subprocess.Popen(["openssl", "s_client", "-connect", f"localhost:{port_of(byway, mode)}", "-quiet", "-verify_return_error",
                          "-verify_hostname", "localhost", "-CAfile", str(byway.certificate()), *how],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said, status = "", 0

    def answer():
        nonlocal said
        line = p.stdout.readline().decode()
        said += line
        while line[3:4] == "-":
            line = p.stdout.readline().decode()
            said += line
        return line

    try:
        p.stdin.write(b"NOOP\r\n")  # what s_client shows of its own STARTTLS dialogue depends on its version
        p.stdin.flush()
        while not answer().startswith("250 2.0.0 Ok"):
            pass
        for line in lines:
            p.stdin.write(line.encode() + b"\r\n")
            p.stdin.flush()
            if answer()[:1] not in ("2", "3"):
                status = 1
                break
        p.stdin.write(b"QUIT\r\n")
        p.stdin.flush()
        said += p.communicate(timeout=30)[0].decode()
    finally:
        stage.stop(p)
    return Done(status or p.returncode, said)


# Languages' own mail libraries with their defaults, which is what programs written in them have.

GO = """package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"strings"
)

// smtp.SendMail's own steps, with a CA of ours: it has no place for one, and none for implicit TLS.
func send(a []string) error {
	ca, _ := os.ReadFile(a[2])
	raw, _ := os.ReadFile(a[7])
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	trust := &tls.Config{ServerName: "localhost", RootCAs: pool}
	conn, err := net.Dial("tcp", "localhost:"+a[0])
	if err != nil {
		return err
	}
	if a[1] == "tls" {
		conn = tls.Client(conn, trust)
	}
	c, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		return err
	}
	defer c.Close()
	if a[1] != "tls" {
		if err = c.StartTLS(trust); err != nil {
			return err
		}
	}
	if err = c.Auth(smtp.PlainAuth("", a[3], a[4], "localhost")); err != nil {
		return err
	}
	if err = c.Mail(a[5]); err != nil {
		return err
	}
	for _, to := range strings.Split(a[6], ",") {
		if err = c.Rcpt(to); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err = w.Write(raw); err != nil {
		return err
	}
	if err = w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

func main() {
	if err := send(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
"""

RUBY = """
require 'net/smtp'
port, mode, ca, user, pass, from, to, file = ARGV
store = OpenSSL::X509::Store.new
store.add_file(ca)
trust = OpenSSL::SSL::SSLContext.new
trust.set_params(cert_store: store, verify_mode: OpenSSL::SSL::VERIFY_PEER)
s = Net::SMTP.new('localhost', port.to_i)
mode == 'tls' ? s.enable_tls(trust) : s.enable_starttls(trust)
begin
  s.start(user: user, secret: pass) { |c| c.send_message(File.binread(file), from, to.split(',')) }
rescue Net::ProtocolError => e
  puts e.message
  exit 1
end
"""

PHP = """<?php
require 'libphp-phpmailer/autoload.php';
[, $port, $mode, $ca, $user, $pass, $from, $to, $subject, $body] = $argv;
$m = new PHPMailer\\PHPMailer\\PHPMailer(true);
$m->isSMTP();
$m->Host = 'localhost';
$m->Port = (int)$port;
$m->SMTPAuth = true;
$m->SMTPSecure = $mode === 'tls' ? 'ssl' : 'tls';
$m->Username = $user;
$m->Password = $pass;
$m->CharSet = 'utf-8';
$m->SMTPOptions = ['ssl' => ['cafile' => $ca]];
$m->setFrom($from);
foreach (explode(',', $to) as $one)
    $m->addAddress($one);
$m->Subject = $subject;
$m->Body = $body;
$m->SMTPDebug = 2;  // its own errors leave the server's codes out
try {
    $m->send();
} catch (Exception $e) {
    echo $e->getMessage();
    exit(1);
}
"""


def go_program():
    """Built once for all workers of the tests, and again where the source or the compiler is another; the standard library is most of it."""
    folder = stage.ROOT / "build/go"
    folder.mkdir(parents=True, exist_ok=True)
    version = subprocess.run(["go", "version"], capture_output=True, check=True, cwd=folder, env={**os.environ, "GOTOOLCHAIN": "local"}).stdout
    program = folder / hashlib.sha256(version + GO.encode()).hexdigest()[:16]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            (folder / "main.go").write_text(GO)
            done = subprocess.run(["go", "build", "-o", program, "main.go"], capture_output=True, timeout=300 * stage.SLOW, cwd=folder,
                                  env={**os.environ, "GOCACHE": str(folder / "cache"), "GOPATH": str(folder / "path"), "GOFLAGS": "",
                                       "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOPROXY": "off"})
            assert done.returncode == 0, done.stderr.decode()
    return program


JAVA = """
import java.io.FileInputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Properties;
import javax.mail.*;
import javax.mail.internet.*;
import javax.net.ssl.*;

class Send {
    static SSLSocketFactory trusting(String file) throws Exception {
        KeyStore known = KeyStore.getInstance(KeyStore.getDefaultType());
        known.load(null);
        try (FileInputStream in = new FileInputStream(file)) {
            known.setCertificateEntry("ours", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(known);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context.getSocketFactory();
    }

    public static void main(String[] a) throws Exception {
        Properties p = new Properties();
        p.put("mail.smtp.host", "localhost");
        p.put("mail.smtp.port", a[0]);
        p.put("mail.smtp.auth", "true");
        p.put("mail.smtp.from", a[5]);
        p.put("mail.smtp.ssl.socketFactory", trusting(a[2]));
        p.put(a[1].equals("tls") ? "mail.smtp.ssl.enable" : "mail.smtp.starttls.enable", "true");
        Session session = Session.getInstance(p, new Authenticator() {
            protected PasswordAuthentication getPasswordAuthentication() {
                return new PasswordAuthentication(a[3], a[4]);
            }
        });
        try (FileInputStream in = new FileInputStream(a[7])) {
            Transport.send(new MimeMessage(session, in), InternetAddress.parse(a[6]));
        } catch (MessagingException first) {
            for (Exception e = first; e != null; e = e instanceof MessagingException ? ((MessagingException) e).getNextException() : null)
                System.out.println(e.getMessage());
            System.exit(1);
        }
    }
}
"""
JARS = "/usr/share/java/javax.mail.jar:/usr/share/java/javax.activation.jar"


def java_program():
    """The folder of its classes, compiled once for all workers of the tests."""
    folder = stage.ROOT / "build/java" / hashlib.sha256(JAVA.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "Send.class").exists():
            (folder / "Send.java").write_text(JAVA)
            done = run(["javac", "-cp", JARS, "-d", folder, folder / "Send.java"])
            assert done.status == 0, done.said
    return folder


def by_java(byway, mode, name, password, sender, recipients, letter):
    """JavaMail, as Jakarta Mail's 1.6 is called still."""
    return run(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}:{java_program()}", "Send", port_of(byway, mode), mode, byway.certificate(), name,
                password, sender, ",".join(recipients), letter])


def by_go(byway, mode, name, password, sender, recipients, letter):
    """net/smtp says BODY=8BITMIME and SMTPUTF8 wherever they are offered."""
    return run([go_program(), port_of(byway, mode), mode, byway.certificate(), name, password, sender, ",".join(recipients), letter])


def by_ruby(byway, mode, name, password, sender, recipients, letter):
    return run(["ruby", "-e", RUBY, port_of(byway, mode), mode, byway.certificate(), name, password, sender, ",".join(recipients), letter])


def by_dotnet(byway, mode, name, password, sender, recipients, letter):
    """No real one: the dialogue of .NET's System.Net.Mail.SmtpClient, mimicked. `AUTH login` in lower case with the name in the command, one command at a
    time, both words of SmtpDeliveryFormat.International where SMTPUTF8 is offered (the letter has 8 bits), no RSET, QUIT at the end. It knows no
    implicit TLS: there the same words stand for other libraries of .NET.
    """
    said = ""

    def cmd(t, line, *codes):
        nonlocal said
        reply = t.cmd(line)
        said += "\n".join(reply.lines) + "\n"
        if reply.code not in codes:
            raise Refused
        return reply

    try:
        with Talk(byway, mode, helo="DESKTOP-4F2A1B") as t:
            if "AUTH PLAIN LOGIN" not in t.ehlo.keywords:
                return Done(1, "no AUTH LOGIN on offer")
            cmd(t, f"AUTH login {base64.b64encode(name.encode()).decode()}", 334)
            cmd(t, base64.b64encode(password.encode()).decode(), 235)
            cmd(t, f"MAIL FROM:<{sender}> BODY=8BITMIME SMTPUTF8" if "SMTPUTF8" in t.ehlo.keywords else f"MAIL FROM:<{sender}>", 250)
            for one in recipients:
                cmd(t, f"RCPT TO:<{one}>", 250, 251)
            cmd(t, "DATA", 354)
            t.raw(stuffed(letter.read_bytes().replace(b"\n", b"\r\n")))
            reply = t.read()
            said += "\n".join(reply.lines)
            if reply.code != 250:
                raise Refused
            cmd(t, "QUIT", 221)
    except Refused:
        return Done(1, said)
    return Done(0, said)


def by_phpmailer(byway, mode, name, password, sender, recipients, letter):
    script = letter.with_name("client.php")
    script.write_text(PHP)
    return run(["php", script, port_of(byway, mode), mode, byway.certificate(), name, password, sender, ",".join(recipients),
                f"by {letter.parent.name}", BODY])


CLIENTS = [by_swaks, by_swaks_login, by_msmtp, by_curl, by_nodemailer, by_smtplib, by_s_nail, by_perl, by_openssl, by_go, by_ruby, by_phpmailer, by_java, by_dotnet]
every_client = pytest.mark.parametrize("client", CLIENTS, ids=[c.__name__[3:] for c in CLIENTS])
both_ways = pytest.mark.parametrize("mode", ["starttls", "tls"])


@both_ways
@every_client
@pytest.mark.parametrize("sender", PEOPLE, ids=["a", "b"])
def test_L1_message_arrives_once_by_its_own_login(byway, upstream, letter, client, mode, sender):
    upstream.take()
    password, login = PEOPLE[sender]
    to = ["you@elsewhere.example", "others@elsewhere.example"]
    done = client(byway, mode, sender, password, sender, to, letter)
    got = upstream.take()
    assert done.status == 0, done.said
    assert len(got) == 1
    assert (got[0]["from"], got[0]["to"], got[0]["login"], got[0]["tls"]) == (sender, to, login, True)
    mail = email.message_from_bytes(got[0]["content"])
    assert mail["Subject"] == f"by {letter.parent.name}"
    assert mail.get_payload(decode=True).replace(b"\r\n", b"\n").rstrip(b"\n") == BODY.encode().rstrip(b"\n")
    assert byway.wait_event("message", outcome="sent", sender=sender, nrcpt=2)["accepted"] == 2


UNIX = b"Subject: x\n\nHello.\n.one dot\n..two of them\n.\nMAIL FROM:<x@y.example>\n\nend"


@both_ways
@pytest.mark.parametrize("ends", [UNIX, UNIX.replace(b"\nHello", b"\r\nHello").replace(b"\nMAIL", b"\r\nMAIL")], ids=["unix", "mixed"])
def test_L8_curl_uploads_a_unix_file(byway, upstream, tmp_path, mode, ends):
    """curl sends the line ends of the file; it stuffs dots behind CRLF only, so that one of two behind LF is taken for stuffing."""
    letter = tmp_path / "letter.eml"
    letter.write_bytes(ends)
    upstream.take()
    done = by_curl_unix(byway, mode, "alice@a.example", "alice-secret", "alice@a.example", ["you@elsewhere.example"], letter)
    assert done.status == 0, done.said
    got, = upstream.take()
    head, _, body = got["content"].partition(b"\r\n\r\n")
    assert b"\r\nSubject: x\r\n" in head + b"\r\n"
    assert body == b"Hello.\r\n.one dot\r\n.two of them\r\n.\r\nMAIL FROM:<x@y.example>\r\n\r\nend\r\n"


@pytest.mark.parametrize("client", [by_swaks, by_swaks_login, by_curl, by_nodemailer, by_perl, by_openssl], ids=lambda c: c.__name__[3:])
def test_L4_clients_that_show_it_hear_the_upstream_and_our_id(byway, upstream, letter, client):
    upstream.take()
    done = client(byway, "tls", "alice@a.example", "alice-secret", "alice@a.example", ["you@elsewhere.example"], letter)
    got, = upstream.take()
    row = byway.wait_event("message", outcome="sent", said=f"250 2.0.0 Ok: queued as {got['id']}")
    assert f"Ok {row['id']} (upstream: 250 2.0.0 Ok: queued as {got['id']})" in done.said


@both_ways
@every_client
def test_A1_wrong_password_is_535(byway, upstream, letter, client, mode):
    upstream.take()
    done = client(byway, mode, "alice@a.example", "bob-secret", "alice@a.example", ["you@elsewhere.example"], letter)
    assert done.status != 0
    assert "535" in done.said and "Authentication failed" in done.said, done.said
    assert not upstream.take()


@both_ways
@every_client
def test_L2_refused_recipient_in_the_upstreams_words(byway, upstream, letter, client, mode):
    upstream.take()
    done = client(byway, mode, "bob@b.example", "bob-secret", "bob@b.example", [NOBODY], letter)
    assert done.status != 0
    assert "5.1.1" in done.said and "no such user here, said the upstream" in done.said, done.said
    assert not upstream.take()


@pytest.fixture(scope="module")
def plain(folder, stack, stage_byway):
    """A provider as there are many: no SMTPUTF8, no 8BITMIME."""
    up = stack.enter_context(stage.Upstream(eight_bit=False, smtputf8=False))
    b = stage.Byway(folder / "plain", settings={"upstream": {"allow_ports": up.port}})
    b.folder.mkdir(parents=True, exist_ok=True)
    return up, stage_byway(b, f"[account p]\nplan = agency\nroute = up\n[profile p/up]\nhost = 127.0.0.1\nport = {up.port}\ntls = none\n"
                              f"[domain p.example]\naccount = p\n[mailbox me@p.example]\npassword_file = {b.secret('me.pw', 'secret')}\n")


@every_client
def test_P8_every_client_gets_through_to_an_upstream_without_extensions(plain, letter, client):
    up, byway = plain
    up.take()
    letter.write_text(letter.read_text().replace("author@anywhere.example", "me@p.example"))
    done = client(byway, "starttls", "me@p.example", "secret", "me@p.example", ["you@elsewhere.example"], letter)
    assert done.status == 0, done.said
    got, = up.take()
    assert not {"SMTPUTF8", "BODY=8BITMIME"} & set(got["options"])
    mail = email.message_from_bytes(got["content"])
    assert mail.get_payload(decode=True).replace(b"\r\n", b"\n").rstrip(b"\n") == BODY.encode().rstrip(b"\n")
