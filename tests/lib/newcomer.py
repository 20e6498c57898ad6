# SPDX-License-Identifier: Apache-2.0
"""What documents print for people to type: collected, and typed at a terminal.

A command is a line indented by four blanks, or in a fenced block of sh, whose first word is one of WORDS. A block that cannot run has
`<!-- not run: why -->` above it. Run as a program (in namespaces of its own, as root, see test_documents.py) it types all others, in the order of the documents.
"""
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORDS = {"apt-get", "bash", "byway", "byway-bench", "byway-console", "bywayd", "curl", "git", "make", "msmtp", "printf", "sudo", "swaks", "systemctl"}
MARK = re.compile(r"<!-- not run: (.+) -->$")


def blocks(name):
    """(line, [command], why it is not run or None) of each block of commands in a document."""
    block, why, found, fenced = [], None, [], False
    for number, line in enumerate((ROOT / name).read_text().splitlines() + [""], 1):
        if line.startswith("```"):
            fenced = not fenced and line[3:] in ("sh", "console", "")
        command = line if fenced and not line.startswith("```") else line[4:] if line.startswith("    ") else None
        if command and not command[0].isspace() and command.split()[0] in WORDS:
            block.append((number, command))
            continue
        if block:
            found.append((block[0][0], [c for _, c in block], why))
            block, why = [], None
        marked = MARK.match(line)
        if marked:
            why = marked.group(1)
        elif line.strip() and command is None:
            why = None
    return found


def documents():
    return ["README.md"] + sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md") if p.name != "CONSOLE.md")


def at_a_terminal():
    """In the child: the terminal is its own, and what it leaves in the background stays, as with a shell that goes on."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def type_in(command, password, seconds):
    """Runs a line as at a terminal; answers who asks for a password. (status, what was shown)."""
    master, slave = pty.openpty()
    process = subprocess.Popen(["bash", "-c", command], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                               preexec_fn=at_a_terminal)
    os.close(slave)
    shown, answered, end = b"", 0, time.monotonic() + seconds
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.05)
        if ready:
            try:
                shown += os.read(master, 65536)
            except OSError:
                break  # the terminal has no other side any more
        elif process.poll() is not None:
            break
        if re.search(rb"[Pp]assword[^\n]*: ?$", shown[answered:]):
            answered = len(shown)
            os.write(master, password.encode() + b"\n")
    if process.poll() is None and time.monotonic() >= end:
        process.kill()
        return "too slow", shown.decode(errors="replace")
    return process.wait(), shown.decode(errors="replace")


def main():
    seconds, password, failed = float(sys.argv[1]), "none yet", 0
    for name in documents():
        for number, commands, why in blocks(name):
            if why:
                print(f"left {name}:{number}: {len(commands)} ({why})")
                continue
            for command in commands:
                status, shown = type_in(command, password, seconds)
                made = re.search(r"^password(?: of \S+)?:\s+(\S+)", shown, re.M | re.I)
                password = made.group(1) if made else password
                good = status == 0 and ("swaks" not in command or "250 2.0.0 Ok" in shown)
                failed += not good
                print(f"{'ran ' if good else 'FAIL'} {name}:{number}: {command}" + ("" if good else f"\n  status {status}\n{shown}"))
                sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
