# SPDX-License-Identifier: Apache-2.0
"""Every column of every conf/directory/*.def: command line, JSON, export and apply know it, and nothing else was told of it."""

import re

import pytest
from test_console import ROOT, Place

DEFS = ROOT / "conf/directory"
NAMES = {"plan": "pro", "account": "acme", "profile": "acme/plain", "domain": "acme.example",
         "mailbox": "alice@acme.example", "ip": "192.0.2.1"}
# What a column needs beside it.
SUITS = {("profile", "transport"): {"tls": "implicit"}, ("profile", "tls"): {"port": "2526"},
         ("profile", "auth"): {"oauth_client": "me", "token_endpoint": "https://one.example/token"}}
OWN_VALUES = {("account", "owner_email"): "me@one.example", ("profile", "token_endpoint"): "https://one.example/token",
              ("account", "plan"): "nano", ("account", "allowed_senders"): "@one.example, a@two.example",
              ("account", "verified_senders"): "a@two.example", ("ip", "state"): "blocked",
              ("profile", "provider"): "mailgun"}
CALL = re.compile(r"^(KEY|OWNER|REF|COLUMN|WORD_COLUMN|ROUTE|FALLBACK|LIST|KEPT|SHOWN|SEALED|EXTRA)\((\w+)(?:, *(\w+))?", re.M)


def columns(entity):
    """(macro, column, type) of each row, identity.def where it is included."""
    text = (DEFS / f"{entity}.def").read_text()
    text = text.replace('#include "conf/directory/identity.def"', (DEFS / "identity.def").read_text())
    return [found.groups() for found in CALL.finditer(text)]


def vocabulary(name):
    text = (ROOT / "conf/words.def").read_text()
    return re.findall(r'WORD\(\w+, "([^"]+)"', text.split(f"WORDS({name})")[1].split("END_WORDS")[0])


def other(entity, macro, column, kind, was):
    if (entity, column) in OWN_VALUES:
        return OWN_VALUES[entity, column]
    if macro == "WORD_COLUMN":
        return next(word for word in vocabulary(kind) if word != was)
    if macro in ("ROUTE", "FALLBACK"):
        return "plain" if macro == "ROUTE" else "native"
    return {"BOOL": "no" if was is True else "yes", "NUMBER": "7", "SMALL": "7", "SIZE": "7777", "DATE": "2026-03-04T05:06:07Z",
            "PIN": "0123456789abcdef" * 4, "TEXT": "One.example", "NAME": "one.example", "HOST": "one.example"}[kind]


def shown(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("entities") / "byway").fill()
    place.ok("profile", "add", "acme/plain", "--host", "smtp.plain.example", "--port", "587")
    place.ok("ip", "add", "192.0.2.1", "--account", "acme")
    place.ok("account", "set", "acme", "--route", "mg")
    place.ok("domain", "set", "acme.example", "--route", "mg")
    return place


CASES = [(entity, *row) for entity in NAMES for row in columns(entity)
         if row[0] in ("REF", "COLUMN", "WORD_COLUMN", "ROUTE", "FALLBACK", "LIST") and row[2] != "PEM"]


@pytest.mark.parametrize("entity, macro, column, kind", CASES, ids=[f"{row[0]}.{row[2]}" for row in CASES])
def test_column(filled, tmp_path, entity, macro, column, kind):
    name = NAMES[entity]
    before = filled.json(entity, "show", name)
    value = other(entity, macro, column, kind, before[column])
    wishes = {column: value, **SUITS.get((entity, column), {})}
    assert shown(before[column]) != value, "the test changes nothing"
    first, second = tmp_path / "first.ini", tmp_path / "second.ini"
    filled.ok("export", first)

    words = [word for key, wish in wishes.items() for word in ("--" + key.replace("_", "-"), wish)]
    filled.ok(entity, "set", name, *words)
    changed = filled.json(entity, "show", name)
    assert shown(changed[column]) == value
    assert {key for key in before if before[key] != changed[key]} <= {*wishes, "version", "region"}
    listed = next(row for row in filled.json(entity, "list") if row == changed)
    assert listed[column] == changed[column]

    filled.ok("export", second)
    assert f"\n{column} = {value}\n" in second.read_text()
    filled.ok("apply", first, "--yes")
    back = filled.json(entity, "show", name)
    assert back[column] == before[column]
    dry = filled.json("apply", second, "--dry-run")
    assert [change["fields"][column]["to"] for change in dry["changes"]] == [changed[column]]
    filled.ok("apply", second, "--yes")
    assert filled.json(entity, "show", name)[column] == changed[column]
    filled.ok("apply", first, "--yes")


def test_every_row_is_shown(filled):
    """What a .def shows is what `show` gives, in its order; what is sealed is never there."""
    for entity, name in NAMES.items():
        rows = [row for row in columns(entity) if row[0] not in ("KEY", "SEALED")]
        told = filled.json(entity, "show", name)
        assert list(told)[1:] == [row[1] for row in rows]
        options = [row["name"] for row in filled.json(entity, "add", "--help")["options"]]
        for macro, column, _ in rows:
            assert (column.replace("_", "-") in options) == (macro not in ("SHOWN", "KEPT")), column
