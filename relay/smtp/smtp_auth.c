/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_auth - the steps that say who we are: AUTH, and XCLIENT, which says who the client is and
 * goes back to EHLO
 */
#include "relay/smtp/smtp_step.h"

#include "relay/credential.h"
#include "relay/web/oauth.h"
#include "relay/smtp/sasl.h"
#include "relay/observer.h"
#include "wire/crypto.h"
#include "wire/log.h"

enum { LINE_MAX_OCTETS = SASL_LINE_MAX, XCLIENT_VALUE_MAX = 255 };

/* Sends LINE at once and overwrites it, also where it stood in the output buffer: an emptied buffer
 * gets the block that it gave back last. */
static void
say_secret(struct smtp *c, struct text *line)
{
	size_t room;
	char *at;

	smtp_say(c, text_slice(line));
	stream_flush(&c->s);
	if (buf_used(&c->s.out) == 0 && (at = stream_space(&c->s, line->n, &room)) != NULL) {
		crypto_wipe(at, line->n);
		stream_wrote(&c->s, 0);
	}
}

typedef bool compose_fn(struct smtp *c, struct text *line, const struct secret *password);

static enum step
say_with_password(struct smtp *c, compose_fn *compose)
{
	char mem[LINE_MAX_OCTETS];
	struct text line = text_over(mem, sizeof(mem));
	struct secret password = { 0 };
	bool good;

	if (!credential_password(c->up, &password))
		return smtp_fail(c, VERDICT_VAULT, NULL, "the stored password cannot be opened");
	good = compose(c, &line, &password) && !line.overflow;
	secret_fini(&password);
	if (good)
		say_secret(c, &line);
	crypto_wipe(mem, sizeof(mem));
	return good ? STEP_WAIT : smtp_fail(c, VERDICT_CONFIG, NULL, "AUTH cannot be composed");
}

static bool
compose_auth(struct smtp *c, struct text *line, const struct secret *password)
{
	sasl_begin(line, c->mechanism, slice_str(c->up->username), password);
	return true;
}

static bool
compose_password(struct smtp *c, struct text *line, const struct secret *password)
{
	(void)c;
	sasl_password(line, password);
	return true;
}

static bool
compose_cram(struct smtp *c, struct text *line, const struct secret *password)
{
	return sasl_cram(line, c->challenge, slice_str(c->up->username), password);
}

/* ---- an access token ------------------------------------------------------------------------- */

static enum step
say_token(struct smtp *c, struct slice token)
{
	char mem[LINE_MAX_OCTETS];
	struct text line = text_over(mem, sizeof(mem));
	struct sasl_bearer b = {
		.user = slice_str(c->up->username),
		.host = slice_str(c->up->host),
		.token = token,
		.port = c->up->port,
	};
	bool good;

	sasl_begin_bearer(&line, c->mechanism, &b);
	good = !line.overflow;
	if (good)
		say_secret(c, &line);
	crypto_wipe(mem, sizeof(mem));
	return good ? STEP_WAIT : smtp_fail(c, VERDICT_CONFIG, NULL, "the token is too long");
}

/* Where no token is at hand the step stays what it is until smtp_on_token(). */
static enum step
send_token(struct smtp *c)
{
	struct slice token;

	c->mechanism = sasl_best_bearer(c->offer.auth);
	if (c->mechanism == SASL_NONE)
		return smtp_fail(c, VERDICT_CONFIG, NULL, "no AUTH that takes a token is offered");
	if (!c->secured && !c->trusted)
		return smtp_fail(c, VERDICT_DENIED, NULL, "AUTH in clear");
	switch (oauth_get(c->up->oauth, &token)) {
	case OAUTH_OK:
		watch_tell(c, WATCH_TOKEN, NULL, SLICE(""));
		return say_token(c, token);
	case OAUTH_LATER:
		c->awaits_token = true;
		return STEP_AUTH;
	case OAUTH_REFUSED:
		return smtp_fail(c, VERDICT_AUTH, NULL, oauth_why(c->up->oauth));
	case OAUTH_FAILED:
		break;
	}
	return smtp_fail(c, VERDICT_AUTH_TEMP, NULL, oauth_why(c->up->oauth));
}

static struct smtp *
find_waiting(struct list *list)
{
	list_each_safe(l, after, list) {
		struct smtp *c = LINKED(l, struct smtp, link);

		if (c->awaits_token)
			return c;
	}
	return NULL;
}

void
smtp_on_token(struct upstream *u)
{
	struct smtp *c;

	pool_ref(u);
	while ((c = find_waiting(&u->connecting)) || (c = find_waiting(&u->dying))) {
		c->awaits_token = false;
		smtp_pump(c);
	}
	pool_unref(u);
}

/* The error is in the challenge; an answer to it brings the refusal. */
enum step
send_bearer(struct smtp *c)
{
	char mem[16];
	struct text line = text_over(mem, sizeof(mem));

	sasl_give_up_bearer(&line, c->mechanism);
	smtp_say(c, text_slice(&line));
	return STEP_WAIT;
}

enum step
send_auth(struct smtp *c)
{
	if (c->up->oauth)
		return send_token(c);
	c->mechanism = sasl_best(c->offer.auth);
	if (c->mechanism == SASL_NONE)
		return smtp_fail(c, VERDICT_CONFIG, NULL, "no AUTH that we know is offered");
	if (!c->secured && !c->trusted)
		return smtp_fail(c, VERDICT_DENIED, NULL, "AUTH in clear");
	return say_with_password(c, compose_auth);
}

enum step
send_user(struct smtp *c)
{
	char mem[LINE_MAX_OCTETS];
	struct text line = text_over(mem, sizeof(mem));

	sasl_user(&line, slice_str(c->up->username));
	if (line.overflow)
		return smtp_fail(c, VERDICT_CONFIG, NULL, "the user name is too long");
	smtp_say(c, text_slice(&line));
	return STEP_WAIT;
}

enum step
send_password(struct smtp *c)
{
	return say_with_password(c, compose_password);
}

enum step
send_cram(struct smtp *c)
{
	return say_with_password(c, compose_cram);
}

static enum step
challenged(struct smtp *c, const struct reply *r)
{
	if (c->mechanism == SASL_LOGIN && c->answering == STEP_AUTH)
		return STEP_USER;
	if (c->mechanism == SASL_LOGIN && c->answering == STEP_USER)
		return STEP_PASSWORD;
	if (c->mechanism == SASL_CRAM_MD5 && c->answering == STEP_AUTH &&
	    r->text.n <= sizeof(c->challenge_mem)) {
		memcpy(c->challenge_mem, r->text.p, r->text.n);
		c->challenge = slice_trim(slice_of(c->challenge_mem, r->text.n));
		return STEP_CRAM;
	}
	if (c->mechanism & (SASL_XOAUTH2 | SASL_OAUTHBEARER) && c->answering == STEP_AUTH)
		return STEP_BEARER;
	return smtp_fail(c, VERDICT_PROTOCOL, NULL, "a challenge too many");
}

/* What is left to try of what was offered. */
static unsigned
next_mechanism(const struct smtp *c)
{
	unsigned left = c->offer.auth & ~c->mechanism;

	return c->up->oauth ? sasl_best_bearer(left) : sasl_best(left);
}

static enum step
refused(struct smtp *c, const struct reply *r)
{
	enum verdict_class class = verdict_class_of(c->up->kin, PHASE_AUTH, r);

	if (verdict_is_about_mechanism(r) && next_mechanism(c) != SASL_NONE) {
		c->offer.auth &= ~c->mechanism;
		return STEP_AUTH;
	}
	if (class == VERDICT_OK)
		class = VERDICT_PROTOCOL;
	/* A token is new each time: that another has worked says nothing. */
	return smtp_fail(c, c->up->oauth ? class : pool_doubt(c->up, class), r, NULL);
}

enum step
got_auth(struct smtp *c, const struct reply *r)
{
	if (r->code == 334)
		return challenged(c, r);
	/* A token may have been revoked before its time: one more, a new one. */
	if (r->code >= 500 && c->up->oauth && !c->token_again && !verdict_is_about_mechanism(r)) {
		c->token_again = true;
		oauth_drop(c->up->oauth);
		return STEP_AUTH;
	}
	if (r->code < 200 || r->code > 299)
		return refused(c, r);
	c->authed = true;
	return smtp_after_hello(c);
}

/* ---- XCLIENT (Postfix's XCLIENT_README) ------------------------------------------------------ */

/* xtext, RFC 3461. */
static void
put_attribute(struct text *t, struct slice name, struct slice value)
{
	text_char(t, ' ');
	text_put(t, name);
	text_char(t, '=');
	if (value.n == 0 || value.n > XCLIENT_VALUE_MAX) {
		text_put(t, SLICE("[UNAVAILABLE]"));
		return;
	}
	for (size_t i = 0; i < value.n; i++) {
		char ch = value.p[i];
		static const char hex[] = "0123456789ABCDEF";

		if (ch > 0x20 && ch < 0x7f && ch != '+' && ch != '=') {
			text_char(t, ch);
			continue;
		}
		text_char(t, '+');
		text_char(t, hex[(unsigned char)ch >> 4]);
		text_char(t, hex[(unsigned char)ch & 15]);
	}
}

static void
put_address(struct text *t, struct slice address)
{
	char mem[64];
	struct text v = text_over(mem, sizeof(mem));

	if (slice_find(address, ':') < address.n)
		text_put(&v, SLICE("IPV6:"));
	text_put(&v, address);
	put_attribute(t, SLICE("ADDR"), v.overflow || !address.n ? SLICE("") : text_slice(&v));
}

enum step
send_xclient(struct smtp *c)
{
	const struct relay_txn *t = c->txn;
	char mem[LINE_MAX_OCTETS];
	struct text line = text_over(mem, sizeof(mem));

	if (!t)
		return STEP_READY;
	text_put(&line, SLICE("XCLIENT"));
	if (c->offer.xclient & XCLIENT_NAME)
		put_attribute(&line, SLICE("NAME"), SLICE(""));
	if (c->offer.xclient & XCLIENT_ADDR)
		put_address(&line, t->client_address);
	if (c->offer.xclient & XCLIENT_PROTO)
		put_attribute(&line, SLICE("PROTO"), SLICE("ESMTP"));
	if (c->offer.xclient & XCLIENT_HELO)
		put_attribute(&line, SLICE("HELO"), t->client_helo);
	if (c->offer.xclient & XCLIENT_LOGIN)
		put_attribute(&line, SLICE("LOGIN"), t->client_login);
	text_put(&line, SLICE("\r\n"));
	c->introduced = true;
	if (line.overflow)
		return STEP_READY;
	smtp_say(c, text_slice(&line));
	return STEP_WAIT;
}

enum step
got_xclient(struct smtp *c, const struct reply *r)
{
	if (r->code == 220)
		return STEP_EHLO;
	/* It does not take it from us; the mail goes without. */
	smtp_log(c, LOG_WARNING, "XCLIENT refused", r, NULL);
	c->up->xclient = false;
	return STEP_READY;
}
