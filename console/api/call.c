/* SPDX-License-Identifier: Apache-2.0 */
#include "console/api/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "console/api/body.h"

FILE *
call_open(struct call *c, const char *type)
{
	/* Its members are this call's alone; an earlier text is of a call that thought better. */
	free(c->answer->body);
	*c->answer = (struct httpd_answer){ .type = type };
	c->out = json_begin();
	c->out.f = open_memstream(&c->answer->body, &c->answer->n);
	if (!c->out.f) {
		fputs("byway-console: out of memory\n", stderr);
		exit(EX_OSERR);
	}
	return c->out.f;
}

static void
begin(struct call *c, const char *type)
{
	(void)call_open(c, type);
	json_open(&c->out, NULL, '{');
}

void
call_begin(struct call *c)
{
	begin(c, "application/json");
}

void
call_end(struct call *c, unsigned status)
{
	json_close(&c->out, '}');
	json_end(&c->out);
	call_close(c, status);
}

void
call_close(struct call *c, unsigned status)
{
	c->answer->status = status;
	if (fclose(c->out.f) != 0) {
		fputs("byway-console: out of memory\n", stderr);
		exit(EX_OSERR);
	}
	c->out.f = NULL;
}

static const char *
title_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *title;
	} titles[] = {
		{ 400, "Bad request" },
		{ 401, "Not signed in" },
		{ 403, "Not allowed" },
		{ 404, "Not found" },
		{ 405, "Method not allowed" },
		{ 409, "Conflict" },
		{ 411, "Length required" },
		{ 412, "Changed meanwhile" },
		{ 413, "Too long" },
		{ 415, "Not JSON" },
		{ 422, "Not valid" },
		{ 501, "Not known" },
		{ 503, "Not now" },
		{ 505, "Not HTTP/1.1" },
	};

	for (size_t i = 0; i < sizeof(titles) / sizeof(*titles); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return "Failed";
}

/* All but its end. */
static void
problem(struct call *c, unsigned status, const char *type, const char *detail)
{
	begin(c, "application/problem+json");
	json_str(&c->out, "type", slice_str(cli_print(&c->cli, "urn:byway:problem:%s", type)));
	json_str(&c->out, "title", slice_str(title_of(status)));
	json_u64(&c->out, "status", status);
	json_str(&c->out, "detail", slice_str(detail));
}

void
call_problem(struct call *c, unsigned status, const char *type, const char *field, const char *fmt,
    ...)
{
	char detail[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	problem(c, status, type, detail);
	if (field)
		json_str(&c->out, "field", slice_str(field));
	call_end(c, status);
}

void
call_mistakes(struct call *c, struct slice lines)
{
	struct slice rest = lines;
	struct slice first = slice_cut(&rest, '\n');
	size_t colon = slice_find(first, ':');

	problem(c, 422, "invalid", cli_dup(&c->cli, first));
	if (colon < first.n)
		json_str(&c->out, "field", slice_head(first, colon));
	json_open(&c->out, "mistakes", '[');
	while (lines.n > 0) {
		struct slice line = slice_cut(&lines, '\n');

		if (line.n > 0)
			json_str(&c->out, NULL, line);
	}
	json_close(&c->out, ']');
	call_end(c, 422);
}

void
call_unknown(struct call *c, const char *field, const char *const *words)
{
	const char *meant = cli_meant(field, words);
	bool plain = slice_is_text(slice_str(field)) && strlen(field) <= 64;

	problem(c, 422, "unknown-member",
	    plain ? cli_print(&c->cli, "there is no member %s here", field)
	          : "there is no member of that name here");
	if (plain)
		json_str(&c->out, "field", slice_str(field));
	if (meant)
		json_str(&c->out, "did_you_mean", slice_str(meant));
	call_end(c, 422);
}

void
call_failed(struct call *c, enum admin_result r)
{
	static const struct {
		unsigned status;
		const char *type;
	} results[] = {
		[ADMIN_OK] = { 500, "failed" },
		[ADMIN_MISSING] = { 404, "missing" },
		[ADMIN_EXISTS] = { 409, "exists" },
		[ADMIN_INVALID] = { 422, "invalid" },
		[ADMIN_IN_USE] = { 409, "in-use" },
		[ADMIN_BUSY] = { 503, "busy" },
		[ADMIN_FAILED] = { 500, "failed" },
	};

	call_problem(c, results[r].status, results[r].type, NULL, "%s", admin_why(c->store->admin));
}

/* ---- the target ------------------------------------------------------------------------------ */

const char *
call_unescape(struct cli *c, struct slice s)
{
	char *out = cli_alloc(c, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char one = s.p[i];

		if (one == '%') {
			int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
			int low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return NULL;
			one = (char)(high * 16 + low);
			i += 2;
		}
		if ((unsigned char)one < 0x20 || one == 0x7f)
			return NULL;
		out[n++] = one;
	}
	return slice_is_text(slice_of(out, n)) ? out : NULL;
}

const char *
call_query(struct call *c, const char *name)
{
	struct slice rest = slice_str(c->request->query);

	while (rest.n > 0) {
		struct slice value = slice_cut(&rest, '&');
		struct slice key = slice_cut(&value, '=');

		if (slice_eq(key, slice_str(name)))
			return call_unescape(&c->cli, value);
	}
	return NULL;
}

bool
call_check_query(struct call *c, const char *const *names)
{
	struct slice rest = slice_str(c->request->query);

	while (rest.n > 0) {
		struct slice value = slice_cut(&rest, '&');
		struct slice key = slice_cut(&value, '=');
		const char *name = cli_dup(&c->cli, key);

		if (!cli_is_one_of(key, names)) {
			call_unknown(c, name, names);
			return false;
		}
		if (!call_unescape(&c->cli, value)) {
			call_problem(c, 400, "malformed", name,
			    "the value of %s is escaped wrongly", name);
			return false;
		}
	}
	return true;
}

bool
call_check_empty(struct call *c)
{
	static const char *const none[] = { NULL };
	struct body b;
	bool good = body_open(c, true, &b);

	if (!good)
		return false;
	good = body_check(c, &b, none);
	body_close(&b);
	return good;
}
