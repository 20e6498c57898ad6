/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>
#include <sys/stat.h>

#include "conf/vault/password.h"
#include "console/apply.h"
#include "wire/crypto.h"

/*
 * byway import: mailboxes from a table (CSV, RFC 4180) and from Dovecot's passwd-file
 *
 * Each line becomes a section as `byway apply` reads them, and goes the same way from there: all
 * mistakes at once, the difference, one transaction.
 */

enum { COLUMNS_MAX = 64, WRONG_MAX = 1 << 20 };

static struct apply
begin(struct cli *c)
{
	return (struct apply){ .cli = c,
		.ini = { .path = c->args[0] },
		.wrong = text_over(cli_alloc(c, WRONG_MAX), WRONG_MAX),
		.passwords = cli_has(c, "passwords"),
		.generate = cli_has(c, "generate") || cli_has(c, "passwords-to"),
		.passwords_to = cli_has(c, "dry-run") ? NULL : cli_value(c, "passwords-to") };
}

static void
complain(struct apply *a, unsigned line, const char *sentence)
{
	text_fmt(&a->wrong, "%s:%u: %s\n", a->ini.path, line, sentence);
}

/* Only its owner may read a file with passwords in the clear. */
static bool
is_closed(const char *path)
{
	struct stat st;

	return strcmp(path, "-") == 0 || (stat(path, &st) == 0 && (st.st_mode & 077) == 0);
}

/* A mailbox at LINE, and with --account its domain, where the directory has none yet. */
static struct entry *
add_mailbox(struct apply *a, const char *address, unsigned line)
{
	struct cli *c = a->cli;
	const char *at = strrchr(address, '@'), *account = cli_value(c, "account");
	struct entry *e, *domain;

	if (!at || at == address || !at[1]) {
		complain(a, line, "the address is none");
		return NULL;
	}
	domain = account ? ini_add(c, &a->ini, &kind_domain, at + 1, line) : NULL;
	if (domain)
		(void)!ini_set(domain, "account", account);
	e = ini_add(c, &a->ini, &kind_mailbox, address, line);
	if (!e)
		complain(a, line, cli_print(c, "%s stands in the file already", address));
	return e;
}

static char *
read_whole(struct apply *a, int *status_r)
{
	const char *why = NULL, *content = file_read(a->cli, a->ini.path, &why);

	if (!content) {
		*status_r = cli_fail(a->cli, EX_NOINPUT, "%s", why);
		return NULL;
	}
	if (strncmp(content, "\xef\xbb\xbf", 3) == 0)
		content += 3;
	/* The cli's memory, and ours alone: it is taken apart in place, and wiped. */
	return (char *)(uintptr_t)content;
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct table_reader {
	char *at;
	char separator;
	unsigned line; /* of the row that was read last */
	unsigned next;
};

/* One row; its cells are taken apart in place. False at the end. BROKEN_R: quotes that do not
 * close, or too many cells. */
static bool
read_row(struct table_reader *t, char **cells, size_t *n_r, bool *broken_r)
{
	size_t n = 0;

	*broken_r = false;
	t->line = t->next;
	if (!*t->at)
		return false;
	for (;;) {
		char *cell = t->at, *out = t->at;
		bool quoted = *t->at == '"';

		t->at += quoted;
		while (*t->at &&
		    (quoted || (*t->at != t->separator && *t->at != '\n' && *t->at != '\r'))) {
			if (quoted && *t->at == '"') {
				if (t->at[1] != '"') {
					quoted = false;
					t->at++;
					continue;
				}
				t->at++;
			}
			t->next += *t->at == '\n';
			*out++ = *t->at++;
		}

		char end = *t->at;

		*broken_r = *broken_r || quoted || n == COLUMNS_MAX;
		if (end)
			t->at++;
		if (end == '\r' && *t->at == '\n')
			t->at++;
		*out = '\0';
		if (n < COLUMNS_MAX)
			cells[n++] = cell;
		if (end == t->separator)
			continue;
		t->next++;
		*n_r = n;
		return true;
	}
}

/* What the column HEAD is for, by --map FIELD=HEAD or by its own name; NULL: for nothing. */
static const char *
field_of(struct cli *c, const char *head)
{
	struct slice map = slice_str(cli_value(c, "map") ? cli_value(c, "map") : "");
	const char *own = head;

	while (map.n > 0) {
		struct slice column = slice_cut(&map, ',');
		struct slice field = slice_trim(slice_cut(&column, '='));

		if (slice_eq(slice_trim(column), slice_str(head)))
			return cli_dup(c, field);
		/* What is had from another column is not had from this one. */
		if (slice_eq_nocase(field, slice_str(head)))
			own = NULL;
	}
	return own;
}

static bool
is_field(const char *name)
{
	struct entry e = { .o.kind = &kind_mailbox };

	return strcmp(name, "address") == 0 || strcmp(name, "password") == 0 ||
	    strcmp(name, "password_hash") == 0 || ini_set(&e, name, "");
}

/* The first row. EX_OK, or the exit status after having said why. */
static int
read_heads(struct apply *a, char **heads, size_t n, const char **fields)
{
	struct cli *c = a->cli;
	bool address = false, password = false;

	for (size_t i = 0; i < n; i++) {
		const char *field = field_of(c, heads[i]);

		fields[i] = field && is_field(field) ? field : NULL;
		if (!fields[i])
			cli_note(c, "the column '%s' is not used", heads[i]);
		else if (strcmp(field, "address") == 0)
			address = true;
		else if (strcmp(field, "password") == 0)
			password = true;
	}
	if (!address)
		return cli_fail(c, EX_DATAERR,
		    "no column of %s is the address: say --map address=COLUMN", a->ini.path);
	if (password && !is_closed(a->ini.path))
		return cli_fail(c, EX_NOPERM,
		    "%s holds passwords and others may read it: chmod 600 %s", a->ini.path,
		    a->ini.path);
	return EX_OK;
}

static void
set_password(struct apply *a, struct entry *e, const char *password)
{
	struct slice plain = slice_str(password);

	if (plain.n == 0)
		return;
	if (!slice_is_text(plain))
		complain(a, e->line, "the password holds control characters or invalid UTF-8");
	else if (!secret_init(&e->cred.plain, plain))
		complain(a, e->line, "there is no memory for the password");
	else
		e->password_read = true;
}

static void
set_hash(struct apply *a, struct entry *e, const char *hash)
{
	e->password_line = e->line;
	if (password_hash_is_usable(slice_str(hash)))
		e->password_hash = hash;
	else
		complain(a, e->line, "the password's hash is none that crypt(3) verifies here");
}

static void
take_row(struct apply *a, char **cells, size_t n, const char **fields, size_t heads_n,
    unsigned line)
{
	struct entry *e = NULL;

	if (n == 1 && !*cells[0])
		return;
	if (n != heads_n) {
		complain(a, line,
		    cli_print(a->cli, "the row has %zu cells, the first has %zu", n, heads_n));
		return;
	}
	for (size_t i = 0; i < n && !e; i++)
		if (fields[i] && strcmp(fields[i], "address") == 0) {
			e = add_mailbox(a, cells[i], line);
			if (!e)
				return;
		}
	for (size_t i = 0; i < n; i++) {
		if (!fields[i] || !*cells[i] || strcmp(fields[i], "address") == 0)
			continue;
		if (strcmp(fields[i], "password") == 0)
			set_password(a, e, cells[i]);
		else if (strcmp(fields[i], "password_hash") == 0)
			set_hash(a, e, cells[i]);
		else
			(void)!ini_set(e, fields[i], cells[i]);
	}
}

/* Spreadsheets of half the world write semicolons. */
static char
separator_of(const char *content)
{
	size_t n = strcspn(content, ",;\t\r\n");

	return content[n] == ';' || content[n] == '\t' ? content[n] : ',';
}

int
cmd_import_mailboxes(struct cli *c)
{
	struct apply a = begin(c);
	int status = EX_OK;
	char *content = read_whole(&a, &status), *cells[COLUMNS_MAX];
	const char *fields[COLUMNS_MAX];
	size_t n = 0, heads = 0;
	bool broken = false;

	if (!content)
		return status;

	size_t size = strlen(content);
	struct table_reader t = { content, separator_of(content), 1, 1 };

	if (!read_row(&t, cells, &heads, &broken) || broken)
		status = cli_fail(c, EX_DATAERR, "%s has no first row with the columns' names",
		    a.ini.path);
	else
		status = read_heads(&a, cells, heads, fields);
	while (status == EX_OK && read_row(&t, cells, &n, &broken)) {
		if (broken)
			complain(&a, t.line, "a quote is not closed, or there are too many cells");
		else
			take_row(&a, cells, n, fields, heads, t.line);
	}
	if (status == EX_OK)
		status = apply_run(&a);
	/* It may hold passwords. */
	crypto_wipe(content, size);
	return status;
}

/* ---- Dovecot's passwd-file -------------------------------------------------------------------- */

/* "{SHA512-CRYPT}$6$..." without its scheme, where that is one of crypt(3). */
static const char *
bare_hash(const char *hash)
{
	static const char *const schemes[] = { "{CRYPT}", "{SHA512-CRYPT}", "{SHA256-CRYPT}",
		"{BLF-CRYPT}", "{MD5-CRYPT}" };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (strncasecmp(hash, schemes[i], strlen(schemes[i])) == 0)
			return hash + strlen(schemes[i]);
	return hash;
}

static void
take_user(struct apply *a, struct slice line, unsigned number)
{
	struct cli *c = a->cli;
	const char *domain = cli_value(c, "domain");
	const char *user = cli_dup(c, slice_trim(slice_cut(&line, ':')));
	const char *hash = bare_hash(cli_dup(c, slice_trim(slice_cut(&line, ':'))));
	struct entry *e;

	if (!strchr(user, '@') && !domain) {
		complain(a, number, "the user has no domain: say --domain DOMAIN");
		return;
	}
	e = add_mailbox(a, strchr(user, '@') ? user : cli_print(c, "%s@%s", user, domain), number);
	if (!e)
		return;
	if (*hash == '{')
		complain(a, number,
		    cli_print(c,
		        "the scheme %.*s is none of crypt(3): have that mailbox's password set anew",
		        (int)strcspn(hash, "}") + 1, hash));
	else
		set_hash(a, e, hash);
}

int
cmd_import_passwd_file(struct cli *c)
{
	struct apply a = begin(c);
	int status = EX_OK;
	char *content = read_whole(&a, &status);
	struct slice rest;

	if (!content)
		return status;
	rest = slice_str(content);
	for (unsigned line = 1; rest.n > 0; line++) {
		struct slice one = slice_trim(slice_cut(&rest, '\n'));

		if (one.n > 0 && one.p[0] != '#')
			take_user(&a, one, line);
	}
	return apply_run(&a);
}
