# SPDX-License-Identifier: Apache-2.0
"""byway import, and apply of a folder: many rows at once, by the way that apply goes."""
import os
import subprocess

import pytest
from test_console import SECRET, bare, full, mode  # noqa: F401

DATA, DENIED, EXISTS, NOINPUT = os.EX_DATAERR, os.EX_NOPERM, os.EX_CANTCREAT, os.EX_NOINPUT
SHA512 = subprocess.run(["openssl", "passwd", "-6", SECRET], capture_output=True, text=True, check=True).stdout.strip()


def table(tmp_path, text, closed=0o600):
    path = tmp_path / "users.csv"
    path.write_bytes(text.encode())
    path.chmod(closed)
    return path


def addresses(place):
    return {row["address"] for row in place.json("mailbox", "list")}


@pytest.mark.parametrize("text", [
    'address,password,rate_per_minute\nbob@acme.example,"a ""b"", c",5\n"carol@acme.example",secret-of-carol,\n',
    "\ufeffEmail;Passwort;rate_per_minute;Team\r\nbob@acme.example;x1y2z3w4;5;blue\r\ncarol@acme.example;s3cr3t00;;red\r\n",
    "Email\tPasswort\trate_per_minute\nbob@acme.example\tx1y2z3w4\t5\n\ncarol@acme.example\ts3cr3t00\t",
])
def test_a_table(full, tmp_path, text):  # noqa: F811
    path = table(tmp_path, text)
    words = "import", "mailboxes", path, "--map", "address=Email,password=Passwort"
    if text.startswith("address"):
        words = words[:3]
    assert "would be applied: 2 added" in full.ok(*words, "--dry-run").out and len(addresses(full)) == 1
    full.ok(*words, "--yes")
    assert addresses(full) == {"alice@acme.example", "bob@acme.example", "carol@acme.example"}
    assert full.json("mailbox", "show", "bob@acme.example")["rate_per_minute"] == 5
    assert full.hash("bob@acme.example").startswith("$")
    assert "nothing to change" in full.ok(*words, "--yes").out


def test_made_passwords_go_to_a_file(full, tmp_path):  # noqa: F811
    path, made = table(tmp_path, "address\nbob@new.example\ncarol@new.example\n", 0o644), tmp_path / "made.csv"
    words = "import", "mailboxes", path, "--account", "acme", "--passwords-to", made, "--yes"
    said = full.ok(*words)
    rows = dict(line.split(",") for line in made.read_text().splitlines())
    assert list(rows) == ["bob@new.example", "carol@new.example"] and mode(made) == 0o600
    assert not any(p in said.out + said.err for p in rows.values())
    assert full.json("domain", "show", "new.example")["account"] == "acme"
    path.write_text("address\ndave@new.example\n")
    full.refused(EXISTS, *words, says="nothing was changed")
    assert "dave@new.example" not in addresses(full)


@pytest.mark.parametrize("text, status, says", [
    ("address,password\nbob@acme.example\n", DATA, "users.csv:2: the row has 1 cells"),
    ("address,password\nbob,x\n", DATA, "users.csv:2: the address is none"),
    ("address,password\nbob@acme.example,x\n\nbob@acme.example,x\n", DATA, "users.csv:4: bob@acme.example stands"),
    ('address,password\nbob@acme.example,"x\n', DATA, "a quote is not closed"),
    ("address,password_hash\nbob@acme.example,nonsense\n", DATA, "none that crypt(3)"),
    ("address,state\nbob@acme.example,asleep\n", DATA, "state"),
    ("name,password\nbob,x\n", DATA, "say --map address=COLUMN"),
    ("address,password\nbob@elsewhere.example,x\n", DATA, "there is no domain elsewhere.example"),
    ("", DATA, "no first row"),
])
def test_mistakes_change_nothing(full, tmp_path, text, status, says):  # noqa: F811
    full.refused(status, "import", "mailboxes", table(tmp_path, text), "--yes", says=says)
    assert addresses(full) == {"alice@acme.example"}


def test_passwords_that_others_may_read(full, tmp_path):  # noqa: F811
    path = table(tmp_path, f"address,password\nbob@acme.example,{SECRET}\n", 0o644)
    said = full.refused(DENIED, "import", "mailboxes", path, "--yes", says="chmod 600")
    assert SECRET not in said.out + said.err


def test_passwd_file(full, tmp_path):  # noqa: F811
    path = table(tmp_path, f"# Dovecot\nbob:{{SHA512-CRYPT}}{SHA512}:1000:1000::/var/mail/bob::\ncarol@acme.example:{SHA512}\n")
    full.refused(DATA, "import", "passwd-file", path, "--yes", says="say --domain")
    full.ok("import", "passwd-file", path, "--domain", "acme.example", "--yes")
    assert full.hash("bob@acme.example") == full.hash("carol@acme.example") == SHA512
    path.write_text(f"dave@acme.example:{{PLAIN}}{SECRET}\n")
    said = full.refused(DATA, "import", "passwd-file", path, "--yes", says="{PLAIN} is none of crypt(3)")
    assert SECRET not in said.out + said.err


def test_apply_a_folder(full, tmp_path):  # noqa: F811
    folder = tmp_path / "directory.d"
    folder.mkdir()
    full.refused(NOINPUT, "apply", folder, "--prune", "--yes", says="no file *.ini")
    (folder / "b.ini").write_text("[domain new.example]\naccount = new\n")
    (folder / "a.ini").write_text("[account new]\nplan = pro\n")
    (folder / "c.ini~").write_text("nonsense")
    assert "2 added" in full.ok("apply", folder, "--yes").out
    (folder / "c.ini").write_text("[account new]\nplan = pro\n[domain x.example]\naccount = none\n")
    said = full.refused(DATA, "apply", folder, "--yes", says="c.ini:1: ")
    assert "line 1 of " in said.err and "a.ini already" in said.err
    (folder / "a.ini").write_text("[account new]\nplan = no-such\n")
    (folder / "c.ini").unlink()
    full.refused(DATA, "apply", folder, "--yes", says=f"{folder}/a.ini:2: [account new]")
