/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command line, and its text as the arguments of MAIL, RCPT and BDAT: what is accepted must be
 * safe to send on.
 *
 * clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined \
 *     -fno-sanitize-recover=all \
 *     -o fuzz_command tests/fuzz/fuzz_command.c wire/command.c wire/command_args.c wire/path.c \
 *     wire/slice.c wire/text.c
 */
#include "wire/command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
must(bool b)
{
	if (!b)
		abort();
}

/* xtext and its like: no blank, no control, nothing but ASCII. */
static void
check_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		must(s.p[i] > ' ' && s.p[i] < 0x7f);
}

static void
check_path(const struct path *path)
{
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));

	path_write(&t, path);
	must(!t.overflow && t.n <= 254 && slice_is_text(text_slice(&t)));
	must(path->utf8 || slice_is_ascii(text_slice(&t)));
	must(!memchr(mem, '<', t.n) && !memchr(mem, '>', t.n));
	must(!memchr(mem, ' ', t.n) || mem[0] == '"');
}

static void
check_args(struct slice args)
{
	struct mail_args m;
	struct rcpt_args r;
	uint64_t size;
	bool last;

	if (mail_parse(args, &m) == ARGS_OK) {
		check_path(&m.path);
		check_word(m.envid);
		must(m.envid.n <= 100);
	}
	if (rcpt_parse(args, &r) == ARGS_OK) {
		check_path(&r.path);
		check_word(r.orcpt);
		must(!r.path.null && r.orcpt.n <= 500);
	}
	if (bdat_parse(args, &size, &last))
		must(args.n > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice line = slice_of((const char *)data, n);
	struct command cmd;

	check_args(line);
	if (command_parse(line, &cmd)) {
		bool greets = cmd.verb == VERB_EHLO || cmd.verb == VERB_HELO;

		must(cmd.word.n > 0 && cmd.verb < VERB_COUNT);
		must(slice_is_text(cmd.word) && (greets || slice_is_text(line)));
		must(slice_find(line, '\r') == n && slice_find(line, '\n') == n &&
		    slice_find(line, '\0') == n);
		check_args(cmd.args);
	}
	return 0;
}
