/* SPDX-License-Identifier: Apache-2.0 */
#include "console/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "console/ctl.h"

enum { LINE_ROOM = 16384, IDS_MAX = 4096, FILES_MAX = 64 };

/* A log that is the journal's, as [log] path says it. */
#define JOURNAL "-"

struct search {
	struct trace *of;
	struct cli *cli;
	const char *id;
	const char **ids; /* others that belong to it */
	size_t ids_n, ids_cap;
	struct trace_line line;
	char text[LINE_ROOM];
};

/* ---- lines ----------------------------------------------------------------------------------- */

const char *
trace_value(const struct trace_line *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->fields[i].key, key) == 0)
			return l->fields[i].value;
	return "";
}

static void
add_field(struct trace_line *l, const char *key, const char *value)
{
	if (l->n < TRACE_FIELDS_MAX)
		l->fields[l->n++] = (struct trace_field){ key, value };
}

static void
parse_json(struct cli *c, struct slice text, struct trace_line *l)
{
	struct slice key, value;

	while (ctl_member(&text, &key, &value))
		add_field(l, cli_dup(c, key), ctl_text(c, value));
}

/* A quoted value up to its quote, escapes undone where they hide one; REST stands behind it. */
static const char *
quoted(struct cli *c, struct slice *rest)
{
	char *out = cli_alloc(c, rest->n + 1);
	size_t n = 0, i = 1;

	for (; i < rest->n && rest->p[i] != '"'; i++) {
		bool escape = rest->p[i] == '\\' && i + 1 < rest->n &&
		    (rest->p[i + 1] == '"' || rest->p[i + 1] == '\\');

		i += escape;
		out[n++] = rest->p[i];
	}
	*rest = slice_skip(*rest, i + 1);
	return out;
}

/* 2026-11-21T19:00:00.123Z info worker-0 message id=... at="..." key=value ... */
static void
parse_text(struct cli *c, struct slice text, struct trace_line *l)
{
	static const char *const first[] = { "ts", "level", "proc", "ev" };

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		add_field(l, first[i], cli_dup(c, slice_cut(&text, ' ')));
	while (text.n > 0) {
		struct slice key = slice_head(text, slice_find(text, '='));
		struct slice word = slice_head(text, slice_find(text, ' '));

		if (word.n < key.n || key.n == text.n) {
			text = slice_trim(slice_skip(text, word.n + 1));
			continue;
		}
		text = slice_skip(text, key.n + 1);
		if (text.n > 0 && text.p[0] == '"') {
			add_field(l, cli_dup(c, key), quoted(c, &text));
		} else {
			struct slice value = slice_cut(&text, ' ');

			add_field(l, cli_dup(c, key), cli_dup(c, value));
		}
		text = slice_trim(text);
	}
}

static void
parse(struct cli *c, struct slice text, struct trace_line *l)
{
	l->n = 0;
	text = slice_trim(text);
	if (text.n > 0 && text.p[0] == '{')
		parse_json(c, text, l);
	else
		parse_text(c, text, l);
}

/* ---- what belongs together ------------------------------------------------------------------- */

static bool
knows(const struct search *s, const char *id)
{
	for (size_t i = 0; i < s->ids_n; i++)
		if (strcmp(s->ids[i], id) == 0)
			return true;
	return false;
}

static void
learn(struct search *s, const char *id)
{
	if (!*id || strcmp(id, s->id) == 0 || knows(s, id) || s->ids_n == IDS_MAX)
		return;
	s->ids = cli_room(s->cli, s->ids, s->ids_n, &s->ids_cap, sizeof(*s->ids));
	s->ids[s->ids_n++] = id;
}

static void
gather(struct search *s, const struct trace_line *l)
{
	const char *id = trace_value(l, "id"), *session = trace_value(l, "session");

	if (strcmp(id, s->id) == 0)
		learn(s, session);
	if (strcmp(session, s->id) == 0)
		learn(s, id);
}

static bool
belongs(const struct search *s, const struct trace_line *l)
{
	const char *id = trace_value(l, "id");

	return *id && (strcmp(id, s->id) == 0 || knows(s, id));
}

/* ---- files ----------------------------------------------------------------------------------- */

typedef void line_fn(struct search *s, const struct trace_line *l);

static void
show(struct search *s, const struct trace_line *l)
{
	if (!belongs(s, l))
		return;
	s->of->fn(s->of->ctx, l);
	s->of->shown++;
}

/* A line that holds none of the ids is not taken apart. */
static bool
is_worth_it(const struct search *s, const char *text)
{
	if (strstr(text, s->id))
		return true;
	for (size_t i = 0; i < s->ids_n; i++)
		if (strstr(text, s->ids[i]))
			return true;
	return false;
}

/* What can be read of a log: a file, or what a tool gives out. */
struct source {
	FILE *f;
	pid_t pid; /* 0: a file */
};

/* The tool that gives out what is in PATH; false: it can be read as it is. */
static bool
tool_of(const char *path, const char *argv_r[6])
{
	static const struct {
		const char *tail, *tool;
	} packers[] = { { ".gz", "gzip" }, { ".xz", "xz" }, { ".zst", "zstd" },
		{ ".bz2", "bzip2" } };
	size_t n = strlen(path);

	if (strcmp(path, JOURNAL) == 0) {
		static const char *const ask[] = { "journalctl", "--unit=byway", "--output=cat",
			"--no-pager", "--quiet", NULL };

		memcpy(argv_r, ask, sizeof(ask));
		return true;
	}
	for (size_t i = 0; i < sizeof(packers) / sizeof(packers[0]); i++) {
		size_t tail = strlen(packers[i].tail);

		if (n <= tail || strcmp(path + n - tail, packers[i].tail) != 0)
			continue;
		argv_r[0] = packers[i].tool;
		argv_r[1] = "-cd";
		argv_r[2] = "--";
		argv_r[3] = path;
		argv_r[4] = NULL;
		return true;
	}
	return false;
}

/* errno where it is false. */
static bool
open_pipe(const char *const argv[], struct source *src_r)
{
	posix_spawn_file_actions_t actions;
	int ends[2];
	int failed;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	failed = posix_spawn_file_actions_init(&actions);
	if (failed == 0) {
		failed = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
		if (failed == 0)
			failed = posix_spawnp(&src_r->pid, argv[0], &actions, NULL,
			    (char *const *)(uintptr_t)argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	src_r->f = failed == 0 ? fdopen(ends[0], "r") : NULL;
	if (!src_r->f) {
		close(ends[0]);
		src_r->pid = 0;
		errno = failed ? failed : errno;
	}
	return src_r->f != NULL;
}

static bool
open_source(const char *path, struct source *src_r)
{
	const char *argv[6];

	*src_r = (struct source){ 0 };
	if (tool_of(path, argv))
		return open_pipe(argv, src_r);
	src_r->f = fopen(path, "r");
	return src_r->f != NULL;
}

/* False: the tool has failed, which it says itself. */
static bool
close_source(struct source *src)
{
	int status = 0;

	fclose(src->f);
	if (src->pid == 0)
		return true;
	while (waitpid(src->pid, &status, 0) < 0 && errno == EINTR)
		;
	errno = EIO;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
each_line(struct search *s, const char *path, line_fn *fn)
{
	struct source src;

	if (!open_source(path, &src))
		return false;
	while (fgets(s->text, sizeof(s->text), src.f)) {
		struct arena_mark mark = arena_mark(&s->cli->arena);
		size_t ids = s->ids_n;

		if (!is_worth_it(s, s->text))
			continue;
		parse(s->cli, slice_of(s->text, strcspn(s->text, "\n")), &s->line);
		fn(s, &s->line);
		/* What was learned stays. */
		if (s->ids_n == ids)
			arena_reset(&s->cli->arena, mark);
	}
	return close_source(&src);
}

/* The number behind the last dot: log.2 is older than log.1, which is older than log. */
static long
age_of(const char *path, const char *base)
{
	const char *tail = path + strlen(base);

	return *tail == '.' ? strtol(tail + 1, NULL, 10) : 0;
}

struct files {
	const char *path[FILES_MAX];
	size_t n;
};

/* PATH and its neighbours that logrotate(8) has made, the oldest first. */
static void
find_files(struct cli *c, const char *path, struct files *files)
{
	glob_t found;

	*files = (struct files){ .n = 0 };
	if (strcmp(path, JOURNAL) == 0) {
		files->path[files->n++] = path;
		return;
	}
	if (glob(cli_print(c, "%s*", path), 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc && files->n < FILES_MAX; i++) {
		const char *name = found.gl_pathv[i], *tail = name + strlen(path);
		size_t at = files->n;

		if (*tail && *tail != '.' && *tail != '-')
			continue;
		while (at > 0 && age_of(files->path[at - 1], path) < age_of(name, path)) {
			files->path[at] = files->path[at - 1];
			at--;
		}
		files->path[at] = cli_dup(c, slice_str(name));
		files->n++;
	}
	globfree(&found);
}

static enum trace_result
cannot_read(struct trace *t, const char *path, const char **why_r)
{
	enum trace_result r = errno == EACCES ? TRACE_NOT_ALLOWED : TRACE_NO_LOG;

	if (strcmp(path, JOURNAL) != 0)
		*why_r = cli_print(t->cli, "cannot read %s: %s", path, strerror(errno));
	else
		*why_r = cli_print(t->cli,
		    "the log goes to standard error, and the journal cannot be read (%s)",
		    strerror(errno));
	return r;
}

static enum trace_result
search_files(struct search *s, const struct files *files, line_fn *fn, const char **why_r)
{
	for (size_t i = 0; i < files->n; i++)
		if (!each_line(s, files->path[i], fn))
			return cannot_read(s->of, files->path[i], why_r);
	return TRACE_OK;
}

bool
trace_is_id(const char *word)
{
	size_t n = strlen(word);

	return n >= 8 && n <= 64 && slice_is_ascii(slice_str(word)) && !strpbrk(word, " \"\\=");
}

enum trace_result
trace_run(struct trace *t, const char **why_r)
{
	struct search *s = cli_alloc(t->cli, sizeof(*s));
	struct files files;
	enum trace_result r;

	s->of = t;
	s->cli = t->cli;
	s->id = t->id;
	find_files(t->cli, t->path, &files);
	t->files = files.n;
	if (files.n == 0) {
		*why_r = cli_print(t->cli, "there is no log at %s", t->path);
		return TRACE_NO_LOG;
	}
	r = search_files(s, &files, gather, why_r);
	return r == TRACE_OK ? search_files(s, &files, show, why_r) : r;
}

void
trace_json(struct json *j, const struct trace_line *l)
{
	json_open(j, NULL, '{');
	for (size_t i = 0; i < l->n; i++)
		json_str(j, l->fields[i].key, slice_str(l->fields[i].value));
	json_close(j, '}');
}
