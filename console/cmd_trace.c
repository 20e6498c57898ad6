/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>
#include <stdlib.h>

#include "console/trace.h"

/*
 * byway trace ID: the story of a session or a message, out of the log
 */

/* What every line has, or what stands at its head. */
static bool
is_said_already(const char *key)
{
	static const char *const keys[] = { "t", "time", "ts", "lvl", "level", "proc", "process",
		"ev", "event", "id", "at", "session", NULL };

	for (size_t i = 0; keys[i]; i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static void
show_text(const struct trace_line *l)
{
	const char *at = trace_value(l, "at");

	printf("%s  %-9s", trace_value(l, "ts"), trace_value(l, "ev"));
	printf(" %s", trace_value(l, "id"));
	if (*at)
		printf("  (%s)", at);
	fputc('\n', stdout);
	for (size_t i = 0; i < l->n; i++) {
		if (is_said_already(l->fields[i].key))
			continue;
		printf("      %-12s ", l->fields[i].key);
		out_plain(stdout, slice_str(l->fields[i].value));
		fputc('\n', stdout);
	}
}

static void
on_line(void *ctx, const struct trace_line *l)
{
	struct json *j = ctx;

	if (j)
		trace_json(j, l);
	else
		show_text(l);
}

static const char *
log_path(struct cli *c, int *status_r)
{
	const char *path = cli_value(c, "log");

	if (path)
		return path;
	struct conf *conf = store_conf(c, false, status_r);

	if (!conf)
		return NULL;
	path = cli_dup(c, slice_str(conf->log.path));
	conf_unref(conf);
	return path;
}

static int
failed(struct cli *c, enum trace_result r, const char *path, const char *why)
{
	return cli_fail(c, r == TRACE_NOT_ALLOWED ? EX_NOPERM : EX_NOINPUT, "%s%s", why,
	    strcmp(path, "-") == 0 ? ": name a file with --log FILE" : "");
}

/* What fails on the way has shown nothing. */
static enum trace_result
run_json(struct trace *t, const char **why_r)
{
	struct json j = json_begin();
	char *mem = NULL;
	size_t n = 0;

	j.f = open_memstream(&mem, &n);
	if (!j.f) {
		*why_r = "out of memory";
		return TRACE_FAILED;
	}
	t->ctx = &j;
	json_open(&j, NULL, '[');
	enum trace_result r = trace_run(t, why_r);

	t->ctx = NULL;
	json_close(&j, ']');
	json_end(&j);
	if (fclose(j.f) == 0 && r == TRACE_OK)
		fwrite(mem, 1, n, stdout);
	free(mem);
	return r;
}

int
cmd_trace(struct cli *c)
{
	struct trace t = { .cli = c, .id = c->args[0], .fn = on_line };
	const char *why = NULL;
	int status = EX_OK;

	if (!trace_is_id(t.id))
		return cli_usage(c, "'%s' is not the id of a message or a session", t.id);
	t.path = log_path(c, &status);
	if (!t.path)
		return status;
	enum trace_result r = c->json ? run_json(&t, &why) : trace_run(&t, &why);

	if (r != TRACE_OK)
		return failed(c, r, t.path, why);
	if (t.shown == 0 && !c->json)
		return cli_fail(c, EX_NOUSER, "nothing of %s in %zu file%s", t.id, t.files,
		    t.files == 1 ? "" : "s");
	return t.shown > 0 ? EX_OK : EX_NOUSER;
}
