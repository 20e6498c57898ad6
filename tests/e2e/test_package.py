# SPDX-License-Identifier: Apache-2.0
"""What an installation is made of besides programs: completions, manual pages, the unit and what stands beside it, the AppArmor profile."""
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stage

ROOT = stage.ROOT
sys.path.insert(0, str(ROOT / "dist"))
import completions  # noqa: E402
BUILD = Path(os.environ.get("BYWAY_BUILD", ROOT / "build/release")).resolve()


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program} here: make deps FOR=test")


def byway(*words, **more):
    return subprocess.run([BUILD / "byway", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    at = tmp_path_factory.mktemp("place")
    ini = at / "byway.ini"
    assert byway("init", "--dir", at, "--name", "relay.example.net").returncode == 0
    (at / "pw").write_text("sample-sample-sample")
    (at / "pw").chmod(0o600)
    for words in ("account add acme --plan pro", "domain add acme.example --account acme", "mailbox add alice@acme.example --password-file pw",
                  "profile add acme/own --host smtp.provider.example --username u --password-file pw"):
        done = byway("-c", ini, *words.split(), cwd=at)
        assert done.returncode == 0, done.stderr
    return at


# (what was typed, what is offered among others, what is not)
LINES = (
    ("byway mailb", {"mailbox"}, {"domain"}),
    ("byway mailbox s", {"set", "show"}, {"add"}),
    ("byway -c byway.ini mailbox show al", {"alice@acme.example"}, {"acme"}),
    ("byway -c byway.ini mailbox show alice@ac", {"alice@acme.example"}, set()),
    ("byway -c byway.ini account set ac", {"acme"}, {"acme.example"}),
    ("byway -c byway.ini account set acme --plan n", {"nano"}, {"pro"}),
    ("byway mailbox set alice@acme.example --state pa", {"paused-owner", "paused-admin", "paused-abuse"}, {"active"}),
    ("byway account add x --owner-verified ", {"yes", "no"}, set()),
    ("byway profile add acme/x --provider mailg", {"mailgun"}, {"sendgrid"}),
    ("byway -c byway.ini profile show ac", {"acme/own"}, set()),
    ("byway -c byway.ini route set acme n", {"native"}, set()),
    ("byway apply byway.in", {"byway.ini"}, set()),
    ("byway -c byway.i", {"byway.ini"}, set()),
    ("byway mailbox set --sta", {"--state"}, {"--json"}),
    ("byway mailbox set a --state active --js", {"--json"}, set()),
    ("byway mailbox pause a --by ", {"owner", "admin", "abuse"}, set()),
    ("byway setup --provider mailg", {"mailgun"}, {"sendgrid"}),
    ("byway setup --tls i", {"implicit"}, {"none"}),
    ("byway li", {"limits"}, {"list"}),
)


def environment(place):
    return {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": str(place), "LC_ALL": "C.UTF-8", "TERM": "dumb"}


def ask(shell, script, place):
    done = subprocess.run([shell, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=place,
                          env=environment(place))
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout.splitlines()


@pytest.mark.parametrize("line,offered,not_offered", LINES)
def test_bash(place, line, offered, not_offered):
    said = ask("bash", f"source {ROOT}/dist/completion/byway.bash; COMP_LINE='{line}' COMP_POINT={len(line)}; _byway; printf '%s\\n' \"${{COMPREPLY[@]}}\"", place)
    # What readline has before the @ stays.
    before = line.split()[-1].rpartition("@") if line[-1] != " " else ("", "", "")
    said = {"".join(before[:2]) + s for s in said}
    assert offered <= said and not said & not_offered, said


@needs("fish")
@pytest.mark.parametrize("line,offered,not_offered", LINES)
def test_fish(place, line, offered, not_offered):
    said = {s.split("\t")[0] for s in ask("fish", f"source {ROOT}/dist/completion/byway.fish; complete -C '{line}'", place)}
    assert offered <= said and not said & not_offered, said


def typed(fd, text, until, seconds=10 * stage.SLOW):
    """What the terminal shows after TEXT, up to where UNTIL says enough."""
    os.write(fd, text.encode())
    shown, end = "", time.monotonic() + seconds
    while time.monotonic() < end and not until(shown):
        if select.select([fd], [], [], 0.2)[0]:
            shown += os.read(fd, 65536).decode("utf-8", "replace")
    return shown


@needs("zsh")
@pytest.mark.parametrize("line,offered,not_offered", LINES)
def test_zsh(place, line, offered, not_offered):
    """At a terminal, where alone it completes; what it must not offer is looked for in lists only."""
    (place / "zsh").mkdir(exist_ok=True)
    shutil.copy(ROOT / "dist/completion/byway.zsh", place / "zsh/_byway")
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(place)
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment(place))
    try:
        typed(fd, "stty cols 200; PS1='re''ady> '; fpath=($PWD/zsh $fpath); autoload -U compinit; compinit -u -D; setopt no_beep\n", lambda s: "ready> " in s)
        shown = typed(fd, f"{line}\t\t", lambda s: all(o in s for o in offered))
        assert all(o in shown for o in offered), shown
        listed = {row.split()[0] for row in shown.split("\n")[1:] if row.strip()}
        assert not listed & not_offered, shown
    finally:
        os.kill(pid, 9)
        os.close(fd)
        os.waitpid(pid, 0)


def test_names_for_completion(place):
    def names(kind):
        done = byway("-c", place / "byway.ini", "list", "--names", kind)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()
    assert names("account") == ["acme"] and names("domain") == ["acme.example"] and names("mailbox") == ["alice@acme.example"]
    assert names("profile") == ["acme/own"] and names("route") == ["native", "inherit", "own"] and "nano" in names("plan") and names("ip") == []
    assert "mailgun" in names("provider")
    assert byway("list", "--names", "nonsense").returncode == 64


# A sentence that ends in words to choose from: "owner, admin (default) or abuse".
CHOICE = re.compile(r"(?:^|[:;] )[a-z][a-z0-9-]*(?: \([^)]*\))?(?:, [a-z][a-z0-9-]*(?: \([^)]*\))?)*(?:, | or )[a-z][a-z0-9-]*(?: \([^)]*\))?$")


def test_what_can_be_completed_is():
    """Who names words to choose from offers them, and an option that has values with one command has them with all."""
    assert CHOICE.search("owner, admin (default) or abuse") and CHOICE.search("of --host: starttls (default), implicit, none")
    assert not CHOICE.search("a day, the whole account; 0: no limit (default)")
    told = [(c["command"], o) for c in json.loads(byway("help", "--json").stdout)["commands"] for o in c["options"] if "argument" in o]
    has = {o["name"] for _, o in told if completions.of_option(o)}
    assert len(has) > 20
    without = [(command, o["name"]) for command, o in told if not completions.of_option(o) and (o["name"] in has or CHOICE.search(o["help"]))]
    assert not without, without


def test_groups_of_the_list():
    told = json.loads(byway("help", "--json").stdout)["commands"]
    source = (ROOT / "console/cmd_table.c").read_text()
    begins = dict(re.findall(r'\t\{ "([a-z ]+)", "([A-Z][^"]+)" \},\n', source[source.index("cli_groups[] = {"):source.index("cli_commands[] = {")]))
    assert len(begins) >= 5 and set(begins) <= {c["command"] for c in told}, "a group begins with a command that is not there"
    listed = byway("help").stdout
    assert [t for t in begins.values() if f"\n{t}:\n" in listed] == list(begins.values())
    assert all(c["group"] == begins[c["command"]] for c in told if c["command"] in begins)
    # For programs alone.
    assert "list" not in {c["command"] for c in told} and "\n  list " not in listed


@needs("mandoc")
@pytest.mark.parametrize("page", sorted((ROOT / "docs/man").iterdir()), ids=lambda p: p.name)
def test_manual_pages(page):
    said = subprocess.run(["mandoc", "-Tlint", "-Wstyle", page], stdout=subprocess.PIPE, text=True).stdout
    # It looks for others among what is installed.
    assert not [s for s in said.splitlines() if "referenced manual not found" not in s], said
    for name, section in re.findall(r"\.Xr (byway\S*) (\d)", page.read_text()):
        assert (ROOT / f"docs/man/{name}.{section}").exists()


def keys(name):
    """{key: [values]} of a file of systemd's."""
    found = {}
    for line in (ROOT / "dist" / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_files_agree_with_init(tmp_path):
    """Ports of the socket unit, folders of unit and tmpfiles: as `byway init` has them."""
    root = os.geteuid() == 0  # only root gives the state to a daemon's user, and opens it to the group
    made = byway("init", "--dir", tmp_path / "etc", "--state", tmp_path / "lib", "--name", "relay.example.net", *(("--user", "nobody") if root else ()))
    assert made.returncode == 0, made.stderr
    addresses = re.findall(r"^address = (.*)$", (tmp_path / "etc/byway.ini").read_text(), re.M)
    assert sorted(" ".join(addresses).split()) == sorted(keys("byway.socket")["ListenStream"])
    unit = keys("byway.service")
    folders = {line.split()[1]: line.split()[2] for line in (ROOT / "dist/byway.tmpfiles").read_text().splitlines() if line.startswith("d ")}
    mode = {name: f"{(tmp_path / name).stat().st_mode & 0o7777:04o}" for name in ("etc", "lib")}
    assert folders["/etc/byway"] == unit["ConfigurationDirectoryMode"][0] == mode["etc"]
    assert folders["/var/lib/byway"] == unit["StateDirectoryMode"][0] == (mode["lib"] if root else "2770")
    assert folders["/var/log/byway"] == unit["LogsDirectoryMode"][0]
    assert unit["ConditionPathExists"] == ["/etc/byway/byway.ini"]
    assert all("-c /etc/byway/byway.ini" in start for start in unit["ExecStart"])


def test_units_agree_with_each_other():
    """Both work in the same folders as the same user; none is shut off less in the process that listens to nobody."""
    daemon, console = keys("byway.service"), keys("byway-console.service")
    same = [k for k in console if k in ("User", "Group", "UMask", "LimitCORE", "ConditionPathExists") or "Directory" in k]
    assert len(same) == 12 and all(console[k] == daemon[k] for k in same), same
    assert console["RuntimeDirectoryPreserve"] == ["yes"], "the one that ends first would take the other's socket away"
    shut = {k for k, v in daemon.items() if v == ["yes"]}
    assert len(shut) > 15 and shut <= {k for k, v in console.items() if v == ["yes"]}
    # It asks name servers (POST .../verify), and listens on its unix socket alone.
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} == set(console["RestrictAddressFamilies"][0].split())
    assert console["SocketBindDeny"] == ["any"] and "PrivateNetwork" not in console and console["IPAddressDeny"] == daemon["IPAddressDeny"]
    # Where it listens if nothing is said.
    told = subprocess.run([BUILD / "byway-console", "--help"], stdout=subprocess.PIPE, text=True).stdout
    assert f"default /run/{console['RuntimeDirectory'][0]}/api.sock" in told


@needs("systemd-analyze")
@pytest.mark.parametrize("name,most", (("byway.service", 1.5), ("byway-console.service", 1.2)))
def test_exposure_of_the_units(tmp_path, name, most):
    (tmp_path / name).write_text((ROOT / "dist" / name).read_text().replace("@sbindir@", "/usr/sbin").replace("@bindir@", "/usr/bin"))
    said = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", tmp_path / name], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True).stdout
    level = re.search(rf"Overall exposure level for {name}: ([\d.]+)", said)
    assert level and float(level[1]) <= most, said


@needs("apparmor_parser")
def test_apparmor_profile():
    done = subprocess.run(["apparmor_parser", "-Q", "-K", ROOT / "dist/apparmor/usr.sbin.bywayd"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_container_files_fit_each_other(tmp_path):
    """What the compose file mounts is good beside what `byway init` makes, and names its services; the image has what start needs."""
    assert byway("init", "--dir", tmp_path, "--name", "relay.example.net").returncode == 0
    (tmp_path / "conf.d").mkdir()
    shutil.copy(ROOT / "dist/container/compose.ini", tmp_path / "conf.d/compose.ini")
    told = byway("-c", tmp_path / "byway.ini", "config", "print", "--changed")
    assert told.returncode == 0, told.stderr
    compose = (ROOT / "dist/container/compose.yml").read_text()
    for host in (re.search(r"host = (\w+)", told.stdout)[1], re.search(r"servers = (\w+):", told.stdout)[1]):
        assert re.search(rf"^  {host}:$", compose, re.M), host
    assert "./compose.ini:/etc/byway/conf.d/compose.ini:ro" in compose and "BYWAY_NAME:" in compose
    exposed = set(re.search(r"^EXPOSE (.*)$", (ROOT / "dist/container/Dockerfile").read_text(), re.M)[1].split())
    assert exposed == {a.rpartition(":")[2] for a in keys("byway.socket")["ListenStream"]}


@pytest.mark.skipif(not shutil.which("buildah"), reason="no buildah here: apt-get install buildah")
@pytest.mark.skipif(not os.environ.get("BYWAY_DEBIAN_ROOT"), reason="BYWAY_DEBIAN_ROOT names no debootstrap tree to build an image from")
def test_image():
    done = subprocess.run([ROOT / "dist/container/try", os.environ["BYWAY_DEBIAN_ROOT"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
