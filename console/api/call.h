/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONSOLE_API_CALL_H
#define CONSOLE_API_CALL_H

/*
 * call - one call of the HTTP API, and the table of all operations
 *
 * A row of operations[] is the one place where an operation is told: from it come routing,
 * authorisation and the OpenAPI document. Its function says exactly one answer: call_begin(), the
 * members, call_end(); or call_problem() (RFC 9457).
 *
 * Owns:   a call's arena (in its cli, so that console/kind.h serves both the tool and the API) and
 *         the answer until it is handed over.
 * Life:   as long as the request; a transaction that it left open is rolled back.
 * Never:  shows a secret, but a password that was made, once.
 */
#include "console/http/httpd.h"
#include "console/kind.h"
#include "console/out.h"

struct front;
struct call;

/* What a caller may do; each row of operations[] asks for one. */
enum scope { SCOPE_READ, SCOPE_MAILBOXES, SCOPE_PROFILES, SCOPE_ACCOUNTS, SCOPE_OPERATOR };

/* What stands in a body. */
enum shape {
	SHAPE_NONE,
	SHAPE_OBJECT, /* of the row's kind */
	SHAPE_LIST,   /* of such */
	SHAPE_REASON, /* {"reason": "billing"} */
	SHAPE_BY,     /* {"by": "owner"} */
	SHAPE_SECRET, /* {"password": ...}; nothing: one is made */
	SHAPE_STATE,
	SHAPE_MADE,     /* {"address": ..., "password": ...} */
	SHAPE_DOCUMENT, /* any JSON object */
	SHAPE_ROUTE,    /* {"route": ..., "fallback": ...} */
};

typedef void call_fn(struct call *c);

enum { CALL_NAMES_MAX = 4 };

struct operation {
	const char *id; /* "putAccount" */
	const char *method;
	const char *path; /* "/v1/accounts/{account}" */
	enum scope scope;
	call_fn *run;
	const struct kind *kind; /* NULL: of none */
	enum shape takes, gives;
	const char *summary;
};

extern const struct operation operations[]; /* ends with .id == NULL */

struct call {
	struct cli cli; /* memory */
	struct store *store;
	const struct httpd_request *request;
	const struct operation *op;
	const char *names[CALL_NAMES_MAX]; /* what stood in the braces of the path */
	size_t names_n;
	struct httpd_answer *answer;
	struct json out;
};

/* True where nothing was left to chance: the answer's text can be written into c->out. */
void call_begin(struct call *c);
void call_end(struct call *c, unsigned status);
/* The same for an answer that is no JSON object, of content TYPE (a literal). */
FILE *call_open(struct call *c, const char *type);
void call_close(struct call *c, unsigned status);
/* TYPE is a word: "invalid". FIELD may be NULL. */
void call_problem(struct call *c, unsigned status, const char *type, const char *field,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The same with all mistakes, one a line of LINES: "field: sentence". */
void call_mistakes(struct call *c, struct slice lines);
/* FIELD is none of WORDS (ends with NULL). */
void call_unknown(struct call *c, const char *field, const char *const *words);
/* Says admin's sentence with the status that R is. */
void call_failed(struct call *c, enum admin_result r);
/* The value of ?NAME=; NULL where it is not said. */
const char *call_query(struct call *c, const char *name);
/* False after a problem was said: of what stands behind '?', only NAMES (ends with NULL) may. */
bool call_check_query(struct call *c, const char *const *names) MUST_CHECK;
/* Escapes (RFC 3986, 2.1) taken out; NULL where one is broken or hides a control character. */
const char *call_unescape(struct cli *c, struct slice s) MUST_CHECK;
/* A body without members, or none. */
bool call_check_empty(struct call *c) MUST_CHECK;

/* The account of the path. False after a problem was said. */
bool call_find_account(struct call *c, struct admin_account *a_r) MUST_CHECK;
/* The mailbox of the path, of the path's account; one of another account is none. */
bool call_find_mailbox(struct call *c, struct admin_mailbox *m_r) MUST_CHECK;

/* The domain of the path, of the path's account; one of another account is none. */
bool call_find_domain(struct call *c, struct admin_domain *d_r) MUST_CHECK;

/* objects.c */
call_fn call_list, call_get, call_put, call_patch, call_delete;
/* states.c */
call_fn call_suspend, call_resume_account, call_verify_owner, call_pause, call_resume, call_block,
    call_unblock, call_password;
/* openapi.c */
call_fn call_openapi;
/* daemon.c */
call_fn call_status, call_reload, call_drain, call_usage, call_refusals, call_explain,
    call_explain_account, call_health, call_limits_reset;
/* domains.c */
call_fn call_records, call_verify_domain;
/* routes.c */
call_fn call_routes, call_route, call_route_put, call_route_delete;
/* providers.c */
call_fn call_providers;
/* machine.c */
call_fn call_config, call_trace;

#endif
