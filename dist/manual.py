# SPDX-License-Identifier: Apache-2.0
"""manual - the manual pages in mdoc, out of what the programs tell of themselves (dist/docs calls it).

byway(8) and byway.ini(5) come from JSON, byway-replies(5) from the rows of the shipped profiles, and the pages of the other programs from
their --help, whose parts are told apart by their form: usage, options, and what stands behind a word and a colon.
"""
import re
import textwrap

DATE = "November 26, 2026"
PAGES = (("byway", 8, "control the Byway SMTP relay proxy"), ("bywayd", 8, "the daemon of the Byway SMTP relay proxy"),
         ("byway-console", 8, "HTTP API of the Byway SMTP relay proxy"), ("byway-bench", 1, "load and sink for SMTP relays"),
         ("byway.ini", 5, "configuration of the Byway SMTP relay proxy"), ("byway-replies", 5, "words of Byway's refusals"),
         ("byway", 7, "overview of the Byway SMTP relay proxy"))


# ---- mdoc ---------------------------------------------------------------------------------------

def quoted(text):
    return text.replace("\\", "\\e").replace("--", "\\-\\-")


def roff(text):
    """A paragraph: each sentence begins a line, no line is long, none begins with a dot or an apostrophe."""
    lines = []
    for sentence in re.split(r"(?<=[.:;]) (?=[A-Z`])", " ".join(text.split())):
        lines += textwrap.wrap(quoted(sentence), 76, break_long_words=False, break_on_hyphens=False)
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in lines)


def literal(lines):
    return "\n".join([".Bd -literal -offset indent", *("\\&" + quoted(line) if line[:1] in (".", "'") else quoted(line) for line in lines), ".Ed"])


def argument(words):
    return f' Ar "{quoted(words)}"' if words else ""


def head(name, section):
    said = next(what for n, s, what in PAGES if (n, s) == (name, section))
    return f'.\\" SPDX-License-Identifier: Apache-2.0\n.\\" Written by dist/docs.\n.Dd {DATE}\n.Dt {name.upper()} {section}\n.Os\n.Sh NAME\n.Nm {name}\n.Nd {said}'


def see_also(name, section):
    others = sorted(((s, n) for n, s, _ in PAGES if (n, s) != (name, section)))
    return ".Sh SEE ALSO\n" + " ,\n".join(f".Xr {n} {s}" for s, n in others)


def page(name, section, body):
    return "\n".join([head(name, section), *body, see_also(name, section)]) + "\n"


# ---- byway(8) -----------------------------------------------------------------------------------

def options(rows):
    for option in rows:
        yield f".It Fl -{option['name']}{argument(option.get('argument', ''))}"
        yield roff(option["help"])
        if option.get("words"):
            yield roff("One of: " + ", ".join(option["words"]) + ".")


def command(row):
    yield f".It Cm {row['command']}{argument(row['arguments'])}"
    yield roff(row["summary"])
    if "details" in row:
        yield roff(row["details"])
    if row["options"]:
        yield ".Bl -tag -width Ds -compact"
        yield from options(row["options"])
        yield ".El"


def byway(told):
    yield """.Sh SYNOPSIS
.Nm
.Op Fl c Ar config
.Op Fl -json
.Ar command ...
.Sh DESCRIPTION
.Nm
makes an installation, edits its directory and speaks to the running daemon.
Passwords are asked for, read from standard input or a file, or made;
they are never taken from the command line.
Options are written out in full and may stand anywhere behind the command's
first word.
.Bl -tag -width Ds"""
    yield from options(told["options"])
    yield ".El\n.Sh COMMANDS"
    group = None
    for row in told["commands"]:
        if row["group"] != group:
            yield (".El\n" if group else "") + f".Ss {row['group']}\n.Bl -tag -width Ds"
            group = row["group"]
        yield from command(row)
    yield """.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/byway/byway.ini
the configuration
.It Pa /etc/byway/vault.key
the keys that stored credentials are sealed with
.It Pa /var/lib/byway/directory.db
the directory
.El
.Sh EXIT STATUS
.Nm
exits 0 when done, and as
.Xr sysexits 3
says otherwise.
.Sh EXAMPLES
A new installation with one account and one mailbox:"""
    yield literal(["byway init --name relay.example.net", "byway account add acme --plan pro --owner-verified yes",
                   "byway domain add acme.example --account acme", "byway mailbox add alice@acme.example --generate"])


# ---- pages out of --help ------------------------------------------------------------------------

def form(words):
    """[-c FILE] as mdoc: options, what they take, and what is not said otherwise."""
    out = []
    for word in words.split():
        bare = word.strip("[]")
        mark = "Fl " + bare[1:] if bare.startswith("-") else ("Ar " + bare if bare.isupper() else "Cm " + bare if bare.islower() else "Ar " + bare)
        if word.startswith("["):
            mark = "Oo " + mark
        out.append(mark + (" Oc" if word.endswith("]") else ""))
    return " ".join(out)


def names(words):
    """"-c, --config FILE", "--tls starttls|implicit", "api"."""
    if not words.startswith("-"):
        return "Cm " + words
    return " ".join(f", Fl {w[1:]}" if i and w.startswith("-") else f"Fl {w[1:]}" if w.startswith("-") else f"Ar {w}"
                    for i, w in enumerate(words.replace(",", "").split()))


def parts_of(text):
    """(usage, [(label, words, what it does)], {label: lines}) of a --help."""
    usage, rows, blocks, block, label = [], [], {}, None, ""
    first, _, rest = text.partition("\n\n")
    for line in first.split("\n"):
        words = line.removeprefix("usage:").strip()
        usage.append(re.split(r"\s{2,}", words, maxsplit=1) + [""])
    for line in rest.split("\n"):
        named = re.match(r"([a-z][a-z ]*):\s+(.*)$", line)
        if named and not named[2].startswith("-"):
            block = blocks.setdefault(named[1], [])
            block.append(named[2])
        elif block is not None and line.startswith(" "):
            block.append(line.strip())
        elif line.strip():
            block = None
            if named:
                label, line = named[1], named[2]
            if re.fullmatch(r"[a-z]+", line):  # what follows are options of this word
                label = line
                continue
            if rows and re.match(r" {12,}[^ -]", line):  # what is said of a row goes on
                rows[-1] = (*rows[-1][:2], f"{rows[-1][2]} {line.strip()}")
                continue
            words, _, what = re.sub(r"\s{2,}", "\0", line.strip(), count=1).partition("\0")
            rows.append((label, words, what))
    return usage, rows, blocks


def program(text):
    usage, rows, blocks = parts_of(text)
    yield ".Sh SYNOPSIS"
    for words, *_ in usage:
        name, _, arguments = words.partition(" ")
        yield f".Nm {name}" + (f"\n.{form(arguments)}" if arguments else "")
    yield ".Sh DESCRIPTION"
    if any(what for _, what, *_ in usage):
        yield ".Bl -tag -width Ds"
        for words, what, *_ in usage:
            yield f".It Li {words}\n{roff(what)}"
        yield ".El"
    label = None
    for of, words, what in rows:
        if of != label:
            yield (".El\n" if label is not None else "") + (f"Options of\n.Cm {of} :\n" if of else "The words and options:\n") + ".Bl -tag -width Ds"
            label = of
        yield f".It {names(words)}" + (f"\n{roff(what)}" if what else "")
    if label is not None:
        yield ".El"
    for title, lines in blocks.items():
        if title == "signals":
            yield ".Pp\nSignals:\n.Bl -tag -width Ds"
            for line in lines:
                words, _, what = re.sub(r"\s{2,}", "\0", line, count=1).partition("\0")
                yield f".It {words}\n{roff(what)}"
            yield ".El"
        elif title == "exit status":
            yield ".Sh EXIT STATUS\n" + roff(" ".join(lines) + ".")
        elif title == "example":
            yield ".Sh EXAMPLES\n" + literal(lines)


# ---- files --------------------------------------------------------------------------------------

def ini(sections, sample):
    yield """.Sh DESCRIPTION
A file of sections and of lines
.Ql key = value ,
.Pa /etc/byway/byway.ini
where nothing else is said.
A comment stands on a line of its own, behind a semicolon.
Relative paths begin at the file's folder.
.Ql byway config check
tells all mistakes at once,
.Ql byway config print
shows what holds.
.Sh SECTIONS"""
    for section in sections:
        yield f".Ss Section [{section['section']}{' NAME' if section['named'] else ''}] of the file\n{roff(section['help'])}\n.Bl -tag -width Ds"
        for option in section["options"]:
            default = {None: "must be given", "": "default: none"}.get(option["default"], f"default: {option['default']}")
            yield f".It Cm {option['key']} No = Ar \"{quoted(option['value'])}\""
            yield roff(option["help"])
            yield roff(f"({default}; a change needs a {option['change_needs']})")
        yield ".El"
    yield ".Sh EXAMPLES\n" + literal(sample.rstrip("\n").split("\n"))


def replies(profiles):
    """PROFILES: {name: rows}; the first is the one that holds where none is named."""
    (default, rows), *others = profiles.items()
    yield f""".Sh DESCRIPTION
A reply profile says in which words clients hear what Byway answers of its own.
.Ql [server] replies
of
.Xr byway.ini 5
names one:
.Cm {default}
(the default),{"".join(f"{chr(10)}.Cm {n} ," for n in dict(others))}
or a file.
Under
.Ql [replies]
it has one line a row,
.Ql id = code enhanced text ;
rows that are left out have the words of
.Cm {default} .
.Ql byway replies print
prints a profile to start from, and
.Ql byway config check
tells mistakes by line.
.Ss The rows
.Bl -tag -width Ds"""
    for row in rows:
        yield f".It Cm {row['id']}\n" + roff(" ".join(filter(None, [str(row["code"]), row["enhanced"], row["text"]])))
        for name, other in others:
            theirs = next((r for r in other if r["id"] == row["id"]), row)
            if theirs != row:
                yield ".br\n" + roff(f"{name}: " + " ".join(filter(None, [str(theirs["code"]), theirs["enhanced"], theirs["text"]])))
    yield ".El"


def overview(documents):
    """DOCUMENTS: (file, what it tells) of README's table."""
    yield """.Sh DESCRIPTION
Byway is an SMTP relay proxy.
Mail programs, devices and applications log in with host, port, user and
password; Byway checks who they are and what their plan allows, and hands each
message live to the operator's own mail servers, or to the account's own
provider.
It keeps no queue: 250 means that the upstream has the message, and what the
upstream said about each recipient is what the client hears, in the same
dialogue.
.Pp
The parts:
.Bl -tag -width byway-console"""
    for name, section, what in PAGES:
        if (name, section) != ("byway", 7):
            yield f".It Xr {name} {section}\n{roff(what)}"
    yield """.El
.Sh FILES
What the documentation folder,
.Pa /usr/share/doc/byway ,
tells at length:
.Bl -tag -width Ds"""
    for name, what in documents:
        yield f".It Pa {name}\n{roff(what)}"
    yield """.El
.Sh EXAMPLES
From an installed package to a mailbox that can log in:"""
    yield literal(["byway init --name relay.example.net", "systemctl start byway", "byway account add acme --plan pro --owner-verified yes",
                   "byway domain add acme.example --account acme", "byway mailbox add alice@acme.example --generate",
                   "byway explain alice@acme.example"])


def readme_table(readme):
    for line in readme.split("\n"):
        row = re.match(r"\| (\[.*\]\(.*\)) \| (.*) \|$", line)
        for _, path in re.findall(r"\[([^\]]+)\]\(([^)]+)\)", row[1]) if row else ():
            yield path.split("/")[-1], row[2]
