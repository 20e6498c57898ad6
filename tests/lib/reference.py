# SPDX-License-Identifier: Apache-2.0
"""The last line of a refusal, which holds the id that leads to the log (L12): taken off what a test compares, and looked at here, so that every
test that hears a reply also tests that the line is there exactly where it must be."""
import re

import stage

LAST = re.compile(r"([45]\d\d) (?:[45]\.\d+\.\d+ )?id ([0-9a-z]{15})")
ROW = re.compile(r'^REPLY\(\w+, (\d+), "([^"]*)", [01], ([01]),\s+"((?:[^"\\]|\\.)*)",', re.M)


def _plain():
    """How the refusals begin that have no such line: those of a command's form, and of a log-in."""
    rows = [(int(code), f"{code} {enhanced} {text}", ref) for code, enhanced, ref, text in ROW.findall((stage.ROOT / "conf/reply.def").read_text())]
    return tuple(words for code, words, ref in rows if code >= 400 and ref == "0") + ("535 5.7.8 Incorrect authentication data",)


PLAIN = _plain()


def split(lines):
    """A reply of Byway's, line by line -> (the lines without the last one if that holds an id, the id or None)."""
    first = lines[0][:3] + " " + lines[0][4:]
    if not "400" <= first[:3] <= "599":
        return lines, None
    last = LAST.fullmatch(lines[-1])
    if len(lines) == 1 or not last:
        # A 421 before EHLO has none.
        assert first.startswith(PLAIN) or first.startswith("421"), f"a refusal without an id: {lines}"
        return lines, None
    assert not first.startswith(PLAIN), f"an id where none belongs: {lines}"
    return lines[:-2] + [lines[-2][:3] + " " + lines[-2][4:]], last.group(2)
