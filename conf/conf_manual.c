/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/option.h"

/* What no row of the table says. Paragraphs, one a line. */
static const char *const intro[] = {
	"<!-- Made by `make docs` from conf/option.def. -->",
	"# Configuration",
	"`bywayd` and `byway` read one file, `/etc/byway/byway.ini` unless told otherwise, and after it all `conf.d/*.ini` "
	"beside it, in order of name (names that begin with a dot aside). Nothing in them needs to be said "
	"but the listeners and their certificate: all else has a default.",
	"- `byway config check` tells **all** mistakes of all files, each with file and line, and also looks at the files that "
	"are named: certificates load and fit their keys, key files are closed to others, folders exist. It ends with 0 or 78.",
	"- `byway config print` shows what holds, `--changed` only what differs from the defaults; secrets are `***`.",
	"- `byway reload` (or SIGHUP) reads everything anew and swaps, or keeps the old configuration and says why. Options "
	"marked *restart* below keep their old value until then.",
	"## How a file is read",
	"A line is `[section]`, `[section NAME]`, `key = value`, or a comment that begins with `;` or `#`. There are no comments "
	"behind values, no quotes, no continued lines and no escapes: what stands between `=` and the end of the line, "
	"blanks cut, is the value, so that a password may hold any of those characters. Nothing is guessed and nothing is cut: "
	"an unknown section or key, a key that is set twice (in whichever files), a named section that stands twice, a line longer than 8000 "
	"octets, control characters and anything that is not UTF-8 are mistakes. A section without a name may stand once in each file.",
	"NAME is up to 32 letters, digits, `.`, `-` and `_`. An empty value means *none*, where the default is none.",
	"| kind | how it is written |\n|---|---|\n"
	"| yes/no | `yes` or `no`; `true`, `false`, `on`, `off`, `1`, `0` too |\n"
	"| number | digits |\n"
	"| size | octets, or with `k`, `m`, `g` (of 1024): `50m` |\n"
	"| time | seconds, or with `s`, `m`, `h`, `d`: `90`, `5m` |\n"
	"| milliseconds | milliseconds, or with `ms`, `s`, `m` |\n"
	"| path | relative to the folder of the file in which it stands; `$CREDENTIALS_DIRECTORY/` in front is systemd's folder |\n"
	"| list | blanks or commas between |\n"
	"| secret | the rest of the line; each has a `_file` twin that names a file instead. The daemon's "
	"user must be able to read such a file, and nobody else (mode 0600 or 0400); one line end at its end is not part of the secret |",
	"## Environment",
	"`CREDENTIALS_DIRECTORY` as above. Options cannot be overridden from the environment.",
	"# Sections",
};

static void
write_kind(const struct conf_option *opt, struct text *out)
{
	switch (opt->type) {
	case OPTION_BOOL:
		text_put(out, SLICE("yes/no"));
		return;
	case OPTION_NETWORKS:
		text_put(out, SLICE("list of networks"));
		return;
	case OPTION_PORTS:
		text_put(out, SLICE("list of ports"));
		return;
	case OPTION_WORDS:
		text_put(out, SLICE("list of names"));
		return;
	case OPTION_ADDRESSES:
		text_put(out, SLICE("list of addresses with ports"));
		return;
	case OPTION_DOMAIN:
		text_put(out, SLICE("host name, or address in brackets"));
		return;
	case OPTION_HOST:
		text_put(out, SLICE("host name or address"));
		return;
	case OPTION_PATH:
	case OPTION_SECRET_FILE:
		text_put(out, SLICE("path"));
		return;
	case OPTION_STRING:
		text_put(out, SLICE("text"));
		return;
	case OPTION_SECRET:
		text_put(out, SLICE("secret"));
		return;
	case OPTION_UNSIGNED:
	case OPTION_SIZE:
	case OPTION_MEMORY:
	case OPTION_SECONDS:
	case OPTION_MILLIS:
	case OPTION_CHOICE:
	case OPTION_PIN:
		value_expected(opt, out);
		return;
	}
}

static void
write_row(const struct conf_option *opt, struct text *out)
{
	text_fmt(out, "| `%s` | ", opt->key);
	if (!opt->fallback)
		text_put(out, SLICE("*must be given*"));
	else if (!*opt->fallback)
		text_put(out, SLICE("none"));
	else
		text_fmt(out, "`%s`", opt->fallback);
	text_put(out, SLICE(" | "));
	write_kind(opt, out);
	text_fmt(out, " | %s | %s |\n", opt->reload ? "reload" : "restart", opt->manual);
}

void
conf_manual(struct text *out)
{
	for (size_t i = 0; i < sizeof(intro) / sizeof(*intro); i++) {
		bool item = slice_starts(slice_str(intro[i]), SLICE("- "));

		text_put(out, slice_str(intro[i]));
		/* The items of a list stand together. */
		text_put(out,
		    item && slice_starts(slice_str(intro[i + 1]), SLICE("- ")) ? SLICE("\n")
		                                                               : SLICE("\n\n"));
	}
	for (unsigned s = 0; s < SECTION_COUNT; s++) {
		text_fmt(out, "## [%s%s]\n\n%s\n\n", conf_sections[s].word,
		    conf_sections[s].named ? " NAME" : "", conf_sections[s].manual);
		text_put(out,
		    SLICE(
		        "| key | default | value | change needs | meaning |\n|---|---|---|---|---|\n"));
		for (size_t i = 0; i < conf_options_n; i++)
			if (conf_options[i].section == (enum conf_section)s)
				write_row(&conf_options[i], out);
		text_char(out, '\n');
	}
	text_put(out, SLICE("# Example\n\n`dist/byway.ini.sample`:\n\n```ini\n"));
	text_put(out, conf_sample());
	text_put(out, SLICE("```\n"));
}
