/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/load.h"
#include "wire/crypto.h"

/* The folder of PATH, absolute where it exists. */
static struct slice
folder_of(struct load *l, const char *path)
{
	struct slice dir = slice_str(path);
	char real[PATH_MAX], *z;

	while (dir.n && dir.p[dir.n - 1] != '/')
		dir.n--;
	z = arena_str(&l->o->mem, dir.n ? dir : SLICE("."));
	if (!z) {
		l->exhausted = true;
		return dir;
	}
	if (!realpath(z, real))
		return slice_str(z);
	return arena_dup(&l->o->mem, slice_str(real));
}

static bool
file_add(struct load *l, const char *path)
{
	const char **files = arena_alloc(&l->o->mem, (l->files_n + 1) * sizeof(*files));
	char *copy = arena_str(&l->o->mem, slice_str(path));

	if (!files || !copy) {
		l->exhausted = true;
		return false;
	}
	if (l->files_n)
		memcpy(files, l->files, l->files_n * sizeof(*files));
	files[l->files_n] = copy;
	l->here = (struct place){ .file = (unsigned)l->files_n };
	l->files = files;
	l->files_n++;
	return true;
}

static void
parse(struct load *l, const char *path, struct slice ini)
{
	l->o->dir = folder_of(l, path);
	load_lines(l, ini);
}

void
load_text(struct load *l, const char *path, struct slice ini)
{
	if (file_add(l, path))
		parse(l, path, ini);
}

static void
complain(struct load *l, const char *what, int error)
{
	char mem[256];
	struct text why = text_over(mem, sizeof(mem));

	text_put(&why, slice_str(what));
	if (error)
		text_fmt(&why, ": %s", strerror(error));
	l->unread = true;
	load_mistake(l, (struct place){ .file = l->here.file }, text_slice(&why));
}

/* All of FD; NULL with errno, or 0 where it is too long. */
static char *
read_all(int fd, size_t *n_r)
{
	size_t cap = FILE_MAX_OCTETS + 1, n = 0;
	char *mem = malloc(cap);
	ssize_t got = 1;

	while (mem && n < cap && got != 0) {
		got = read(fd, mem + n, cap - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		n += (size_t)got;
	}
	if (mem && got == 0) {
		*n_r = n;
		return mem;
	}
	if (mem) {
		if (got > 0)
			errno = EFBIG;
		crypto_wipe(mem, n);
		free(mem);
	}
	return NULL;
}

typedef void parse_fn(struct load *l, const char *path, struct slice octets);

static void
read_file(struct load *l, const char *path, parse_fn *fn)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	char *mem;
	size_t n;

	if (!file_add(l, path)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd < 0 || fstat(fd, &st) != 0) {
		complain(l, "cannot be opened", errno);
	} else if (!S_ISREG(st.st_mode)) {
		complain(l, "is not a regular file", 0);
	} else {
		mem = read_all(fd, &n);
		if (mem) {
			fn(l, path, slice_of(mem, n));
			crypto_wipe(mem, n);
			free(mem);
		} else {
			complain(l, "cannot be read", errno);
		}
	}
	if (fd >= 0)
		close(fd);
}

void
load_file(struct load *l, const char *path)
{
	read_file(l, path, parse);
}

/* ---- the reply profile ---- */

static void
on_wrong_reply(void *ctx, unsigned line, struct slice words)
{
	struct load *l = ctx;

	load_mistake(l, (struct place){ .file = l->here.file, .line = line }, words);
}

static void
parse_replies(struct load *l, const char *path, struct slice octets)
{
	struct reply_row *rows = arena_alloc(&l->o->mem, SAY_COUNT * sizeof(*rows));

	(void)path;
	if (!rows) {
		l->exhausted = true;
		return;
	}
	memcpy(rows, replies_catalogue(), SAY_COUNT * sizeof(*rows));
	if (replies_read(rows, octets, &l->o->mem, on_wrong_reply, l))
		l->o->c.replies = rows;
}

static bool
is_file_name(struct slice s)
{
	return slice_find(s, '/') < s.n ||
	    (s.n > 4 && slice_eq(slice_skip(s, s.n - 4), SLICE(".ini")));
}

static void
unknown_profile(struct load *l, const struct instance *in, struct slice name)
{
	char mem[MISTAKE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct guess g = { .word = name };

	for (const char *const *known = replies_built_in; *known; known++)
		guess_try(&g, *known);
	text_put(&why, SLICE("there is no reply profile \""));
	text_escaped(&why, name, 64);
	text_char(&why, '"');
	if (g.best)
		text_fmt(&why, "; did you mean \"%s\"?", g.best);
	else
		text_put(&why, SLICE(" (expected trekmail, smtp2go, or the path of a file)"));
	load_mistake_in(l, in, "replies", text_slice(&why));
}

/* A file's own mistakes say its name; the option's place says where it was named. */
void
load_replies(struct load *l)
{
	const struct conf_option *opt = option_find(SECTION_SERVER, SLICE("replies"));
	struct slice name = slice_str(l->o->c.server.replies);
	const struct instance *in = l->first;
	char path[PATH_MAX];

	while (in && in->section != SECTION_SERVER)
		in = in->next;
	if (!in || !opt)
		return;
	if (replies_of(name).p) {
		parse_replies(l, "", replies_of(name));
		return;
	}
	if (!is_file_name(name)) {
		unknown_profile(l, in, name);
		return;
	}
	struct slice dir =
	    folder_of(l, l->files_n ? l->files[in->keys[opt - conf_options].file] : "");

	if (name.p[0] == '/')
		dir = SLICE("");
	if (snprintf(path, sizeof(path), "%.*s%s%.*s", SLICE_FMT(dir),
	        dir.n && dir.p[dir.n - 1] != '/' ? "/" : "", SLICE_FMT(name)) < (int)sizeof(path))
		read_file(l, path, parse_replies);
}

static int
is_ours(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 4 && strcmp(d->d_name + n - 4, ".ini") == 0;
}

/* Not alphasort: the order must not depend on the locale. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

void
load_folder(struct load *l, const char *path)
{
	struct slice dir = slice_str(path);
	struct dirent **names;
	char folder[PATH_MAX], file[PATH_MAX];
	int n;

	while (dir.n && dir.p[dir.n - 1] != '/')
		dir.n--;
	if (snprintf(folder, sizeof(folder), "%.*sconf.d", SLICE_FMT(dir)) >= (int)sizeof(folder))
		return;
	n = scandir(folder, &names, is_ours, by_name);
	if (n < 0) {
		if (errno != ENOENT && errno != ENOTDIR && file_add(l, folder))
			complain(l, "cannot be opened", errno);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (snprintf(file, sizeof(file), "%s/%s", folder, names[i]->d_name) <
		    (int)sizeof(file))
			load_file(l, file);
		free(names[i]);
	}
	free(names);
}
