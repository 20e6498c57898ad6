/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For operators: the configuration, and the log.
 */
#include "conf/conf.h"
#include "console/api/call.h"
#include "console/trace.h"

enum { PRINT_MAX = 1024 * 1024, WRONG_MAX = 64 * 1024 };

/* As `byway config print` has it; secrets are not in it. */
void
call_config(struct call *c)
{
	static const char *const query[] = { "changed", NULL };
	struct text wrong = text_over(cli_alloc(&c->cli, WRONG_MAX), WRONG_MAX);
	struct text out = text_over(cli_alloc(&c->cli, PRINT_MAX), PRINT_MAX);
	struct conf *conf;
	const char *changed;

	if (!call_check_query(c, query) || !call_check_empty(c))
		return;
	changed = call_query(c, "changed");
	if (changed && strcmp(changed, "0") != 0 && strcmp(changed, "1") != 0) {
		call_problem(c, 422, "invalid", "changed", "changed: 0 or 1 is wanted");
		return;
	}
	conf = conf_load(c->cli.config, false, &wrong);
	if (!conf) {
		call_problem(c, 503, "config", NULL, "the file is wrong now: %.*s",
		    SLICE_FMT(slice_head(text_slice(&wrong),
		        slice_find(text_slice(&wrong), '\n'))));
		return;
	}
	conf_print(conf, !changed || *changed == '1', true, &out);
	conf_unref(conf);
	if (out.overflow) {
		call_problem(c, 500, "failed", NULL, "the configuration is too long to print");
		return;
	}
	call_begin(c);
	json_str(&c->out, "file", slice_str(c->cli.config));
	json_raw(&c->out, "config", slice_trim(text_slice(&out)));
	call_end(c, 200);
}

static void
on_line(void *ctx, const struct trace_line *l)
{
	trace_json(ctx, l);
}

void
call_trace(struct call *c)
{
	static const char *const query[] = { "id", NULL };
	struct trace t = {
		.cli = &c->cli, .path = c->store->conf->log.path, .fn = on_line, .ctx = &c->out
	};
	const char *why = NULL;

	if (!call_check_query(c, query) || !call_check_empty(c))
		return;
	t.id = call_query(c, "id");
	if (!t.id || !trace_is_id(t.id)) {
		call_problem(c, 422, "invalid", "id",
		    "id: the id of a message or a session is wanted");
		return;
	}
	call_begin(c);
	json_open(&c->out, "lines", '[');
	enum trace_result r = trace_run(&t, &why);

	json_close(&c->out, ']');
	call_end(c, 200);
	if (r != TRACE_OK)
		call_problem(c, 503, "log", NULL, "%s", why);
	else if (t.shown == 0)
		call_problem(c, 404, "missing", "id", "nothing of %s in %zu file%s", t.id, t.files,
		    t.files == 1 ? "" : "s");
}
