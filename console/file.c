/* SPDX-License-Identifier: Apache-2.0 */
#include "console/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/crypto.h"

/* ---- whole files ----------------------------------------------------------------------------- */

static const char *
read_fd(struct cli *c, int fd, const char **why_r)
{
	size_t cap = 16 * 1024, n = 0;
	char *mem = cli_alloc(c, cap);

	for (;;) {
		ssize_t got = read(fd, mem + n, cap - n - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			*why_r = strerror(errno);
			return NULL;
		}
		if (got == 0)
			break;
		n += (size_t)got;
		if (n + 1 < cap)
			continue;
		if (cap >= FILE_OCTETS_MAX) {
			*why_r = "it is too long";
			return NULL;
		}

		char *more = cli_alloc(c, cap * 2);

		memcpy(more, mem, n);
		crypto_wipe(mem, n); /* it may hold passwords */
		mem = more;
		cap *= 2;
	}
	if (memchr(mem, '\0', n)) {
		*why_r = "it holds a NUL octet";
		return NULL;
	}
	return mem;
}

const char *
file_read(struct cli *c, const char *path, const char **why_r)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	const char *content;

	*why_r = NULL;
	if (fd < 0) {
		*why_r = cli_print(c, "cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	content = read_fd(c, fd, why_r);
	if (*why_r)
		*why_r =
		    cli_print(c, "cannot read %s: %s", standard ? "standard input" : path, *why_r);
	if (!standard)
		close(fd);
	return content;
}

static bool
write_fd(int fd, struct slice content)
{
	while (content.n > 0) {
		ssize_t put = write(fd, content.p, content.n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		content = slice_skip(content, (size_t)put);
	}
	return fsync(fd) == 0 || errno == EINVAL;
}

bool
file_create(const char *path, struct slice content, unsigned mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	bool good;
	int was;

	if (fd < 0)
		return false;
	/* Whatever the umask is. */
	good = fchmod(fd, mode) == 0 && write_fd(fd, content);
	was = errno;
	if (close(fd) != 0 && good) {
		was = errno;
		good = false;
	}
	if (!good)
		unlink(path);
	errno = was;
	return good;
}

bool
file_replace(struct cli *c, const char *path, struct slice content, unsigned mode)
{
	const char *other = cli_print(c, "%s.new.%ld", path, (long)getpid());

	if (!file_create(other, content, mode))
		return false;
	if (rename(other, path) == 0)
		return true;

	int was = errno;

	unlink(other);
	errno = was;
	return false;
}

/* ---- reading the directory's file ------------------------------------------------------------ */

struct reader {
	struct cli *cli;
	struct ini *ini;
	struct text *wrong;
	unsigned line;
	struct entry *entry; /* the section that we are in */
	const char *section; /* as written */
	bool lost;           /* in a section that is none: its keys are not complained about */
};

static void
complain(struct reader *r, const char *fmt, const char *word, const char *meant)
{
	text_fmt(r->wrong, "%s:%u: ", r->ini->path, r->line);
	if (r->entry)
		text_fmt(r->wrong, "[%s] ", r->section);
	text_put(r->wrong, slice_str(fmt));
	if (word)
		text_fmt(r->wrong, "'%s'", word);
	if (meant)
		text_fmt(r->wrong, "; did you mean %s?", meant);
	text_char(r->wrong, '\n');
}

static size_t
hash(const struct kind *k, const char *key)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ (uintptr_t)k;

	for (; *key; key++)
		h = (h ^ (uint64_t)tolower((unsigned char)*key)) * UINT64_C(1099511628211);
	return (size_t)(h ^ h >> 32);
}

/* Where an entry of that name stands, or would. */
static size_t
slot(const struct ini *ini, const struct kind *k, const char *key)
{
	size_t at = hash(k, key) & (ini->index_cap - 1);

	while (ini->index[at] &&
	    (ini->index[at]->o.kind != k || strcasecmp(ini->index[at]->o.key, key) != 0))
		at = (at + 1) & (ini->index_cap - 1);
	return at;
}

struct entry *
ini_find(const struct ini *ini, const struct kind *k, const char *key)
{
	return ini->index_cap ? ini->index[slot(ini, k, key)] : NULL;
}

static void
grow_index(struct cli *c, struct ini *ini)
{
	struct ini bigger = *ini;

	bigger.index_cap = ini->index_cap ? ini->index_cap * 2 : 256;
	bigger.index = cli_alloc(c, bigger.index_cap * sizeof(*bigger.index));
	for (size_t i = 0; i < ini->index_cap; i++)
		if (ini->index[i])
			bigger.index[slot(&bigger, ini->index[i]->o.kind, ini->index[i]->o.key)] =
			    ini->index[i];
	*ini = bigger;
}

void
ini_index(struct cli *c, struct ini *ini, struct entry *e)
{
	if (2 * (ini->index_n + 1) > ini->index_cap)
		grow_index(c, ini);

	size_t at = slot(ini, e->o.kind, e->o.key);

	if (!ini->index[at]) {
		ini->index[at] = e;
		ini->index_n++;
	}
}

struct entry *
ini_add(struct cli *c, struct ini *ini, const struct kind *k, const char *key, unsigned line)
{
	struct entry *e;

	if (ini_find(ini, k, key))
		return NULL;
	e = cli_alloc(c, sizeof(*e));
	ini->entries = cli_room(c, ini->entries, ini->n, &ini->cap, sizeof(*ini->entries));
	e->o.kind = k;
	e->o.key = key;
	e->path = ini->path;
	e->line = line;
	ini->entries[ini->n++] = e;
	ini_index(c, ini, e);
	return e;
}

bool
ini_set(struct entry *e, const char *name, const char *value)
{
	for (size_t i = 0; kind_columns(e->o.kind)[i].name; i++) {
		const struct column *f = &kind_columns(e->o.kind)[i];

		if ((f->flags & COLUMN_OUT) || strcmp(f->name, name) != 0)
			continue;
		e->o.values[i] = value;
		e->lines[i] = e->line;
		return true;
	}
	return false;
}

static void
on_section(struct reader *r, struct slice s)
{
	const char *names[16] = { 0 };
	const struct kind *k;
	struct slice rest, word;
	char *key;

	r->entry = NULL;
	r->lost = true;
	if (s.n < 2 || s.p[s.n - 1] != ']') {
		complain(r, "a section ends with ]", NULL, NULL);
		return;
	}
	s = slice_trim(slice_of(s.p + 1, s.n - 2));
	rest = s;
	word = slice_cut(&rest, ' ');
	key = cli_dup(r->cli, slice_trim(rest));
	k = kind_find(word);
	if (!k) {
		for (size_t i = 0; kinds[i]; i++)
			names[i] = kinds[i]->of->name;
		complain(r, "there is no section for ", cli_dup(r->cli, word),
		    cli_meant(cli_dup(r->cli, word), names));
		return;
	}
	if (!*key) {
		complain(r,
		    cli_print(r->cli, "a section is [%s %s]; the name is missing", k->of->name,
		        k->key),
		    NULL, NULL);
		return;
	}

	const struct entry *before = ini_find(r->ini, k, key);

	if (before) {
		complain(r,
		    cli_print(r->cli, "[%s %s] stands at line %u%s%s already", k->of->name, key,
		        before->line, before->path == r->ini->path ? "" : " of ",
		        before->path == r->ini->path ? "" : before->path),
		    NULL, NULL);
		return;
	}
	r->lost = false;
	r->section = cli_dup(r->cli, s);
	r->entry = ini_add(r->cli, r->ini, k, key, r->line);
}

/* \n and \\ in certificates. */
static const char *
unescape(struct cli *c, struct slice s)
{
	char *out = cli_alloc(c, s.n + 2);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		bool escape = s.p[i] == '\\' && i + 1 < s.n;

		i += escape;
		out[n++] = escape && s.p[i] == 'n' ? '\n' : s.p[i];
	}
	return out;
}

static void
on_password(struct reader *r, const char *key, const char *value)
{
	struct entry *e = r->entry;
	bool hash = strcmp(key, "password_hash") == 0;

	if (e->password_file || e->password_hash)
		complain(r, "a password was said already", NULL, NULL);
	else if (hash && e->o.kind->password != KIND_HASHED)
		complain(r,
		    "password_hash: an upstream needs the password itself: say password_file", NULL,
		    NULL);
	else if (hash)
		e->password_hash = value;
	else
		e->password_file = value;
	e->password_line = r->line;
}

static void
unknown_key(struct reader *r, const char *key)
{
	const struct kind *k = r->entry->o.kind;
	const char *names[KIND_FIELDS_MAX + 4] = { 0 };
	size_t n = 0;

	for (const struct column *f = kind_columns(k); f->name; f++)
		if (!(f->flags & COLUMN_OUT))
			names[n++] = f->name;
	if (k->password != KIND_NO_PASSWORD)
		names[n++] = "password_file";
	if (k->password == KIND_HASHED)
		names[n++] = "password_hash";
	if (strcmp(key, "require_verified_sender") == 0)
		complain(r, "require_verified_sender is now `senders = verified`, or `any` for no",
		    NULL, NULL);
	else if (strcmp(key, "password") == 0 && k->password != KIND_NO_PASSWORD)
		complain(r, "password: it does not stand in this file: say password_file = PATH",
		    NULL, NULL);
	else
		complain(r, cli_print(r->cli, "a %s has no ", k->of->name), key,
		    cli_meant(key, names));
}

/* A certificate may stand in a file of its own: ca_file. */
static void
on_field(struct reader *r, size_t i, struct slice value, bool from_file)
{
	struct entry *e = r->entry;
	const struct column *f = &kind_columns(e->o.kind)[i];
	const char *why = NULL;

	if (e->o.values[i]) {
		complain(r,
		    cli_print(r->cli, "%s was said at line %u already", f->name, e->lines[i]), NULL,
		    NULL);
		return;
	}
	e->lines[i] = r->line;
	if (from_file)
		e->o.values[i] = file_read(r->cli, cli_dup(r->cli, value), &why);
	else if (f->type == COLUMN_PEM)
		e->o.values[i] = unescape(r->cli, value);
	else
		e->o.values[i] = cli_dup(r->cli, value);
	if (why)
		complain(r, cli_print(r->cli, "%s_file: %s", f->name, why), NULL, NULL);
}

static void
on_pair(struct reader *r, struct slice name, struct slice value)
{
	const char *key = cli_dup(r->cli, name);
	const struct kind *k;

	if (!r->entry) {
		if (!r->lost)
			complain(r, "it stands before the first [section]: ", key, NULL);
		r->lost = true;
		return;
	}
	k = r->entry->o.kind;
	for (size_t i = 0; kind_columns(k)[i].name; i++) {
		const struct column *f = &kind_columns(k)[i];
		bool from_file = f->type == COLUMN_PEM &&
		    strcmp(key, cli_print(r->cli, "%s_file", f->name)) == 0;

		if (from_file || (!(f->flags & COLUMN_OUT) && strcmp(key, f->name) == 0)) {
			on_field(r, i, value, from_file);
			return;
		}
	}
	if (k->password != KIND_NO_PASSWORD &&
	    (strcmp(key, "password_file") == 0 || strcmp(key, "password_hash") == 0))
		on_password(r, key, cli_dup(r->cli, value));
	else
		unknown_key(r, key);
}

static void
on_line(struct reader *r, struct slice line)
{
	struct slice name;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	line = slice_trim(line);
	if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
		return;
	if (!slice_is_text(slice_trim(line)) && !memchr(line.p, '\t', line.n)) {
		complain(r, "the line holds octets that are not printable UTF-8", NULL, NULL);
		return;
	}
	if (line.p[0] == '[') {
		on_section(r, line);
		return;
	}
	if (slice_find(line, '=') == line.n) {
		if (!r->lost)
			complain(r, "a line is [KIND NAME], key = value, or a comment", NULL, NULL);
		return;
	}
	name = slice_trim(slice_cut(&line, '='));
	on_pair(r, name, slice_trim(line));
}

/* CONTENT is taken apart in place. */
static void
parse(struct cli *c, struct ini *ini, const char *content, struct text *wrong)
{
	struct reader r = { .cli = c, .ini = ini, .wrong = wrong };
	struct slice rest = slice_str(content);

	if (slice_starts(rest, SLICE("\xef\xbb\xbf")))
		rest = slice_skip(rest, 3);
	while (rest.n > 0) {
		r.line++;
		on_line(&r, slice_cut(&rest, '\n'));
	}
}

static int
is_ini(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return *e->d_name != '.' && n > 4 && strcmp(e->d_name + n - 4, ".ini") == 0;
}

static int
read_one(struct cli *c, struct ini *ini, const char *path, struct text *wrong)
{
	const char *why = NULL, *content = file_read(c, path, &why);

	if (!content)
		return cli_fail(c, EX_NOINPUT, "%s", why);
	ini->path = path;
	parse(c, ini, content, wrong);
	return EX_OK;
}

int
ini_read_directory(struct cli *c, struct ini *ini, const char *path, struct text *wrong)
{
	struct dirent **names = NULL;
	struct stat st;
	int status = EX_OK, n;

	if (strcmp(path, "-") == 0 || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return read_one(c, ini, path, wrong);
	n = scandir(path, &names, is_ini, alphasort);
	if (n < 0)
		return cli_fail(c, EX_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	/* With --prune an empty folder would empty the directory. */
	if (n == 0)
		status = cli_fail(c, EX_NOINPUT, "there is no file *.ini in %s", path);
	for (int i = 0; i < n; i++) {
		if (status == EX_OK)
			status =
			    read_one(c, ini, cli_print(c, "%s/%s", path, names[i]->d_name), wrong);
		free(names[i]);
	}
	free(names);
	ini->path = path;
	return status;
}

/* ---- writing it ------------------------------------------------------------------------------ */

static void
write_pem(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '\r')
			continue;
		if (*text == '\n')
			fputs("\\n", f);
		else if (*text == '\\')
			fputs("\\\\", f);
		else
			fputc(*text, f);
	}
}

void
ini_write(FILE *f, struct cli *c, const struct object *o, bool brief)
{
	const struct kind *k = o->kind;
	void *row = cli_alloc(c, k->of->size);

	fprintf(f, "\n[%s %s]\n", k->of->name, o->key);
	for (size_t i = 0; kind_columns(k)[i].name; i++) {
		const struct column *field = &kind_columns(k)[i];
		const char *value = o->values[i];

		if (field->flags & COLUMN_OUT)
			continue;
		if (brief && !k->settle && field->preset &&
		    !field_read(c, field, field->preset, row) &&
		    field_same(field, field_write(c, field, row), value))
			continue;
		fprintf(f, "%s =%s", field->name, *value ? " " : "");
		if (field->type == COLUMN_PEM)
			write_pem(f, value);
		else
			fputs(value, f);
		fputc('\n', f);
	}
}
