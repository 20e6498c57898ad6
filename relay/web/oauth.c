/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/oauth.h"

#include "relay/credential.h"
#include "relay/smtp/smtp.h"
#include "relay/web/refresh.h"
#include "wire/crypto.h"
#include "wire/https_url.h"
#include "wire/json_doc.h"
#include "wire/log.h"

#include <stdlib.h>

enum {
	FORM_MAX = 16 * 1024,
	TOKEN_MAX = 8 * 1024,
	WHY_MAX = 240,
	DESCRIPTION_MAX = 1024,
	LIFE_S = 3600,   /* where the answer does not say */
	AHEAD_S = 300,   /* a token is renewed so long before its end ... */
	AT_LEAST_S = 30, /* ... and used while it has that long to go */
	AGAIN_S = 1,     /* after one that failed */
};

struct oauth {
	struct upstream *u;
	struct http *http;
	char *client, *scope, *endpoint;
	struct refresh refresh;
	char *host, *path;
	unsigned port;
	struct secret token;
	ev_tstamp ends, renew;
	struct http_request *request;
	struct spool_budget budget;
	struct spool form;
	bool storing; /* a new refresh token, before FRESH may be used */
	struct secret fresh;
	double life_s;
	enum oauth_got failure; /* of the last request, told to all who waited for it */
	ev_tstamp failed_at;
	char why[WHY_MAX];
};

/* ---- life ------------------------------------------------------------------------------------ */

static bool
copy(char **to, struct slice from)
{
	char *new = strndup(from.n ? from.p : "", from.n);

	if (!new)
		return false;
	free(*to);
	*to = new;
	return true;
}

struct oauth *
oauth_open(struct upstream *u, const struct profile *p)
{
	struct oauth *o = calloc(1, sizeof(*o));
	struct https_url url = { .host = SLICE(""), .path = SLICE("/"), .port = 443 };
	/* One that cannot be read is found out when it is asked. */
	bool known = https_url_parse(slice_str(p->token_endpoint), &url);

	if (!o)
		return NULL;
	o->u = u;
	o->port = url.port;
	o->budget.max = FORM_MAX;
	spool_init(&o->form, &o->budget, 0);
	if (copy(&o->client, slice_str(p->oauth_client)) &&
	    copy(&o->scope, slice_str(p->oauth_scope)) &&
	    copy(&o->endpoint, slice_str(p->token_endpoint)) &&
	    refresh_init(&o->refresh, u, p->refresh_token) &&
	    copy(&o->host, known ? url.host : SLICE("")) && copy(&o->path, url.path))
		return o;
	oauth_close(o);
	return NULL;
}

void
oauth_close(struct oauth *o)
{
	if (!o)
		return;
	http_close(o->http);
	spool_wipe(&o->form);
	secret_fini(&o->token);
	secret_fini(&o->fresh);
	free(o->client);
	free(o->scope);
	free(o->endpoint);
	refresh_fini(&o->refresh);
	free(o->host);
	free(o->path);
	free(o);
}

bool
oauth_is_same(const struct oauth *o, const struct profile *p)
{
	return strcmp(o->client, p->oauth_client ? p->oauth_client : "") == 0 &&
	    strcmp(o->scope, p->oauth_scope ? p->oauth_scope : "") == 0 &&
	    strcmp(o->endpoint, p->token_endpoint ? p->token_endpoint : "") == 0;
}

bool
oauth_update(struct oauth *o, const struct profile *p)
{
	return refresh_update(&o->refresh, p->refresh_token);
}

const char *
oauth_why(const struct oauth *o)
{
	return o->why;
}

/* ---- the end of a request -------------------------------------------------------------------- */

static void
fail(struct oauth *o, enum oauth_got failure, const char *why)
{
	struct text t = text_over(o->why, sizeof(o->why));

	text_put(&t, SLICE("OAuth: "));
	verdict_clean(&t, slice_str(why), SLICE(""), WHY_MAX - 16);
	o->failure = failure;
	o->failed_at = loop_now(o->u->r->loop);
	pool_say(o->u, LOG_NOTICE, "token", slice_str(o->why));
	smtp_on_token(o->u);
}

static void
take_fresh(struct oauth *o)
{
	double ahead = o->life_s / 4 < AHEAD_S ? o->life_s / 4 : AHEAD_S;
	ev_tstamp now = loop_now(o->u->r->loop);

	secret_fini(&o->token);
	o->token = o->fresh;
	o->fresh = (struct secret){ 0 };
	o->ends = now + o->life_s;
	/* Not all workers at once. */
	o->renew = o->ends - ahead * (1 + (double)(o->u->profile % 16) / 64);
	o->failure = OAUTH_OK;
	smtp_on_token(o->u);
}

/* The directory has answered. Where it could not keep the refresh token that is tried again; the
 * access token may be used. */
void
oauth_kept(struct oauth *o, bool good)
{
	refresh_kept(&o->refresh, good);
	if (!o->storing || o->refresh.state == REFRESH_WRITING)
		return;
	o->storing = false;
	take_fresh(o);
}

/* Where the old one was given in the clear, so is the new one: a probe's. Takes PLAIN. */
static bool
keep_clear(struct oauth *o, struct secret *plain)
{
	struct upstream *u = o->u;
	bool good = plain->n && u->r->keep_clear && u->r->keep_clear(u->r->ctx, plain);

	if (good) {
		secret_fini(&u->refresh);
		u->refresh = *plain;
	} else {
		secret_fini(plain);
	}
	return good;
}

/* A refresh token that is new: kept before anything else is done with what came beside it. */
static void
keep(struct oauth *o, struct slice refresh)
{
	struct secret plain = { 0 };
	bool good = secret_init(&plain, refresh);

	if (good && o->u->refresh.n) {
		good = keep_clear(o, &plain);
	} else if (good) {
		good = refresh_replace(&o->refresh, &plain);
		secret_fini(&plain);
	}
	if (!good) {
		secret_fini(&o->fresh);
		fail(o, OAUTH_FAILED, "the new refresh token cannot be stored");
		return;
	}
	o->storing = o->refresh.state == REFRESH_WRITING;
	if (!o->storing)
		take_fresh(o);
}

static bool
is_the_same(struct oauth *o, struct slice refresh)
{
	struct secret was = { 0 };
	bool same =
	    credential_refresh_token(o->u, o->refresh.blob, &was) && secret_equal(&was, refresh);

	secret_fini(&was);
	return same;
}

static void
take_token(struct oauth *o, const struct json_t *doc)
{
	char mem[TOKEN_MAX];
	struct text token = text_over(mem, sizeof(mem));
	uint64_t life;

	if (!json_doc_text(json_doc_at(doc, "access_token"), &token) || token.overflow ||
	    !slice_is_ascii(text_slice(&token)) || !secret_init(&o->fresh, text_slice(&token))) {
		crypto_wipe(mem, sizeof(mem));
		fail(o, OAUTH_FAILED, "an answer without a token");
		return;
	}
	o->life_s = json_doc_u64(json_doc_at(doc, "expires_in"), &life) && life < 86400 * 7
	    ? (double)life
	    : LIFE_S;
	text_reset(&token);
	if ((*o->refresh.blob || o->u->refresh.n) &&
	    json_doc_text(json_doc_at(doc, "refresh_token"), &token) && !token.overflow &&
	    !is_the_same(o, text_slice(&token)))
		keep(o, text_slice(&token));
	else
		take_fresh(o);
	crypto_wipe(mem, sizeof(mem));
}

/* An endpoint may repeat what it was told. */
static bool
tells_secret(struct oauth *o, struct slice words)
{
	struct secret secret = { 0 };
	struct secret refresh = { 0 };
	bool tells = !credential_password(o->u, &secret) ||
	    !credential_refresh_token(o->u, o->refresh.blob, &refresh) ||
	    (secret.n && memmem(words.p, words.n, secret_peek(&secret).p, secret.n)) ||
	    (refresh.n && memmem(words.p, words.n, secret_peek(&refresh).p, refresh.n));

	secret_fini(&secret);
	secret_fini(&refresh);
	return tells;
}

/* What it says for people; fail() cleans it. */
static void
put_description(const struct json_t *doc, struct text *words)
{
	char mem[DESCRIPTION_MAX];
	struct text more = text_over(mem, sizeof(mem));

	if (!json_doc_text(json_doc_at(doc, "error_description"), &more) || more.overflow)
		return;
	text_put(words, SLICE(": "));
	text_put(words, slice_head(text_slice(&more), WHY_MAX - words->n - 1));
}

/* RFC 6749, 5.2: "invalid_grant" and its like are for a human to mend. */
static void
take_error(struct oauth *o, const struct http_answer *a, const struct json_t *doc)
{
	char mem[WHY_MAX];
	struct text words = text_over(mem, sizeof(mem));
	bool told = json_doc_text(json_doc_at(doc, "error"), &words);
	bool temporary = a->status == 429 || a->status == 408 || a->status >= 500 ||
	    (told && slice_eq(text_slice(&words), SLICE("temporarily_unavailable")));

	if (!told)
		text_fmt(&words, "HTTP status %d", a->status);
	else if (!words.overflow && words.n < WHY_MAX / 2)
		put_description(doc, &words);
	if (words.overflow || tells_secret(o, a->body) || tells_secret(o, text_slice(&words))) {
		text_reset(&words);
		text_fmt(&words, "HTTP status %d", a->status);
	}
	fail(o, temporary || a->status < 400 ? OAUTH_FAILED : OAUTH_REFUSED, mem);
}

static void
on_answer(void *ctx, const struct http_answer *a)
{
	struct oauth *o = ctx;

	o->request = NULL;
	spool_wipe(&o->form);
	spool_init(&o->form, &o->budget, 0);
	if (a->end != HTTP_ANSWERED) {
		fail(o, OAUTH_FAILED, a->why);
		return;
	}
	struct json_t *doc = json_doc_read(a->body);

	if (a->status == 200)
		take_token(o, doc);
	else
		take_error(o, a, doc);
	json_doc_free(doc);
}

/* ---- a request ------------------------------------------------------------------------------- */

static void
put_field(struct text *t, const char *name, struct slice value)
{
	if (t->n)
		text_char(t, '&');
	text_put(t, slice_str(name));
	text_char(t, '=');
	text_percent(t, value);
}

static bool
put_secrets(struct oauth *o, struct text *form)
{
	struct secret secret = { 0 };
	struct secret refresh = { 0 };
	bool good = credential_password(o->u, &secret) &&
	    credential_refresh_token(o->u, o->refresh.blob, &refresh);

	if (good) {
		put_field(form, "grant_type",
		    refresh.n ? SLICE("refresh_token") : SLICE("client_credentials"));
		put_field(form, "client_id", slice_str(o->client));
		if (secret.n)
			put_field(form, "client_secret", secret_peek(&secret));
		if (refresh.n)
			put_field(form, "refresh_token", secret_peek(&refresh));
		if (*o->scope)
			put_field(form, "scope", slice_str(o->scope));
	}
	secret_fini(&secret);
	secret_fini(&refresh);
	return good;
}

static bool
ask(struct oauth *o)
{
	char mem[FORM_MAX];
	struct text form = text_over(mem, sizeof(mem));
	struct http_order order = {
		.host = o->host,
		.port = o->port,
		.path = o->path,
		.headers = { SLICE("Content-Type: application/x-www-form-urlencoded"),
		    SLICE("Accept: application/json") },
		.headers_n = 2,
		.body = &o->form,
		.total_s = o->u->r->conf->upstream.auth_s,
		.fn = on_answer,
		.ctx = o,
	};
	bool good;

	/* Not by the upstream's private CA: the endpoint is another host. */
	if (!o->http)
		o->http = http_open(o->u, "", "", 1);
	good = o->http && put_secrets(o, &form) && !form.overflow &&
	    spool_put(&o->form, text_slice(&form));
	crypto_wipe(mem, sizeof(mem));
	if (good)
		o->request = http_send(o->http, &order);
	return o->request != NULL;
}

enum oauth_got
oauth_get(struct oauth *o, struct slice *token_r)
{
	ev_tstamp now = loop_now(o->u->r->loop);
	bool usable = o->token.n && now < o->ends - (o->life_s > 4 * AT_LEAST_S ? AT_LEAST_S : 0);

	if (usable && now < o->renew) {
		*token_r = secret_peek(&o->token);
		return OAUTH_OK;
	}
	if (o->failure != OAUTH_OK && now < o->failed_at + AGAIN_S && !usable)
		return o->failure;
	if (!o->request && !o->storing && !ask(o) && !usable)
		return OAUTH_FAILED;
	if (!usable)
		return OAUTH_LATER;
	*token_r = secret_peek(&o->token);
	return OAUTH_OK;
}

void
oauth_drop(struct oauth *o)
{
	secret_fini(&o->token);
	o->ends = 0;
}
