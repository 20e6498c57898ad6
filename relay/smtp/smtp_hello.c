/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smtp_hello - the steps until a connection is ready: greeting, EHLO, STARTTLS (smtp_dial.c:
 * look-up and connect) (AUTH is smtp_auth.c's)
 */
#include "relay/smtp/smtp_step.h"

#include "relay/smtp/sasl.h"
#include "relay/observer.h"
#include "wire/log.h"
#include "wire/pin.h"

/* ---- connected ------------------------------------------------------------------------------- */

static struct relay *
relay_of(const struct smtp *c)
{
	return c->up->r;
}

void
smtp_connected(struct smtp *c)
{
	watch_tell(c, WATCH_CONNECTED, NULL, SLICE(""));
	c->unanswered = 0;
	if (c->up->tls == UPSTREAM_TLS_IMPLICIT) {
		c->sending = STEP_TLS;
		smtp_pump(c);
	} else {
		smtp_expect(c, STEP_GREETING);
	}
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static struct tls_ctx *
own_trust(struct upstream *u, struct text *why)
{
	struct tls_client_options o = {
		.ca_file = u->ca_file, .ca_pem = slice_str(u->ca_pem), .old_servers = u->old_tls
	};

	if (u->trust && u->conf_revision == u->r->conf->revision && u->trust_old == u->old_tls)
		return u->trust;
	if (u->trust)
		tls_ctx_unref(u->trust);
	u->trust = NULL;
	u->conf_revision = u->r->conf->revision;
	u->trust_old = u->old_tls;
	if (u->pin && *u->pin) {
		o.pinned = true;
		if (!pin_parse(u->pin, o.pin)) {
			text_put(why, SLICE("the pin is not 64 hex digits"));
			return NULL;
		}
	}
	if (!o.ca_file)
		o.ca_file = u->r->conf->upstream.ca_file;
	u->trust = tls_client_ctx(&o, why);
	return u->trust;
}

static struct tls_ctx *
trust_of(struct upstream *u, struct text *why)
{
	struct relay *r = u->r;
	struct tls_client_options o = { .ca_file = r->conf->upstream.ca_file };

	if (u->ca_file || (u->ca_pem && *u->ca_pem) || (u->pin && *u->pin) || u->old_tls)
		return own_trust(u, why);
	if (!r->trust)
		r->trust = tls_client_ctx(&o, why);
	return r->trust;
}

enum step
send_tls(struct smtp *c)
{
	char mem[256];
	struct text why = text_over(mem, sizeof(mem));
	struct tls_ctx *trust = trust_of(c->up, &why);

	if (!trust)
		return smtp_fail(c, VERDICT_TLS, NULL, mem);
	if (c->up->second_hello)
		trust = tls_ctx_second(trust);
	if (!stream_secure(&c->s, trust, slice_str(c->up->host)))
		return smtp_fail(c, VERDICT_TLS, NULL, "octets behind the answer to STARTTLS");
	smtp_expect(c, STEP_TLS);
	return STEP_WAIT;
}

void
smtp_secured(struct smtp *c)
{
	size_t n = strlen(c->peer);
	struct text t = text_over(c->peer + n, sizeof(c->peer) - n);

	text_char(&t, ' ');
	text_put(&t, slice_str(tls_version(c->s.tls)));
	watch_tell(c, WATCH_SECURED, NULL, SLICE(""));
	c->secured = true;
	c->unanswered = 0;
	stream_deadline(&c->s, 0);
	if (c->up->tls == UPSTREAM_TLS_IMPLICIT) {
		smtp_expect(c, STEP_GREETING);
		return;
	}
	c->sending = STEP_EHLO;
	smtp_pump(c);
}

enum step
send_starttls(struct smtp *c)
{
	smtp_say(c, SLICE("STARTTLS\r\n"));
	return STEP_WAIT;
}

enum step
got_starttls(struct smtp *c, const struct reply *r)
{
	if (r->code != 220)
		return smtp_fail(c, VERDICT_TLS, r, "STARTTLS refused");
	/* Whatever stands behind this answer was not protected: stream_secure() refuses then. */
	c->offer = (struct offer){ 0 };
	return STEP_TLS;
}

/* ---- greeting, EHLO -------------------------------------------------------------------------- */

/* The same, classed by R. */
static enum step
fail_by(struct smtp *c, enum phase phase, const struct reply *r)
{
	enum verdict_class class = verdict_class_of(c->up->kin, phase, r);

	return smtp_fail(c, class == VERDICT_OK ? VERDICT_PROTOCOL : class, r, NULL);
}

enum step
got_greeting(struct smtp *c, const struct reply *r)
{
	if (r->code != 220)
		return fail_by(c, PHASE_GREETING, r);
	return STEP_EHLO;
}

static void
say_hello(struct smtp *c, struct slice word)
{
	const struct conf *conf = relay_of(c)->conf;
	const char *name = conf->upstream.ehlo_name;
	char mem[512];
	struct text line = text_over(mem, sizeof(mem));

	text_put(&line, word);
	text_char(&line, ' ');
	text_put(&line, slice_str(name && *name ? name : conf->server.name));
	text_put(&line, SLICE("\r\n"));
	smtp_say(c, text_slice(&line));
}

enum step
send_ehlo(struct smtp *c)
{
	say_hello(c, SLICE("EHLO"));
	return STEP_WAIT;
}

enum step
send_helo(struct smtp *c)
{
	say_hello(c, SLICE("HELO"));
	return STEP_WAIT;
}

static unsigned
xclient_bit(struct slice name)
{
	static const char *const names[] = { "NAME", "ADDR", "HELO", "LOGIN", "PROTO" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq_nocase(name, slice_str(names[i])))
			return 1U << i;
	return 0;
}

/* Cuts a word off REST, with the blank behind it: some servers set their words apart by tabs. */
static struct slice
cut_word(struct slice *rest)
{
	size_t n = 0;

	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;

	struct slice word = { rest->p, n };

	*rest = slice_skip(*rest, n < rest->n ? n + 1 : n);
	return word;
}

static void
note_limits(struct offer *o, struct slice args)
{
	while (args.n) {
		struct slice value = cut_word(&args);
		struct slice key = slice_cut(&value, '=');

		if (slice_eq_nocase(key, SLICE("RCPTMAX")) && !slice_to_u64(value, &o->recipients))
			o->recipients = 0;
	}
}

/* "AUTH PLAIN LOGIN"; also the "AUTH=LOGIN" of old servers. */
static void
note_offer(struct offer *o, struct slice line)
{
	struct slice args = line;
	struct slice word = cut_word(&args);

	if (slice_starts_nocase(word, SLICE("AUTH=")))
		o->auth |= sasl_find(slice_skip(word, 5));
	if (slice_eq_nocase(word, SLICE("PIPELINING")))
		o->pipelining = true;
	else if (slice_eq_nocase(word, SLICE("8BITMIME")))
		o->eight_bit = true;
	else if (slice_eq_nocase(word, SLICE("SMTPUTF8")))
		o->smtputf8 = true;
	else if (slice_eq_nocase(word, SLICE("DSN")))
		o->dsn = true;
	else if (slice_eq_nocase(word, SLICE("CHUNKING")))
		o->chunking = true;
	else if (slice_eq_nocase(word, SLICE("STARTTLS")))
		o->starttls = true;
	else if (slice_eq_nocase(word, SLICE("LIMITS")))
		note_limits(o, args);
	else if (slice_eq_nocase(word, SLICE("SIZE"))) {
		o->size = true;
		if (!slice_to_u64(slice_trim(args), &o->size_max))
			o->size_max = 0;
	} else if (slice_eq_nocase(word, SLICE("AUTH")) ||
	    slice_starts_nocase(word, SLICE("AUTH="))) {
		while (args.n)
			o->auth |= sasl_find(cut_word(&args));
	} else if (slice_eq_nocase(word, SLICE("XCLIENT"))) {
		while (args.n)
			o->xclient |= xclient_bit(cut_word(&args));
	}
}

enum step
smtp_after_hello(struct smtp *c)
{
	struct upstream *u = c->up;

	if (u->tls == UPSTREAM_TLS_STARTTLS && !c->secured) {
		if (!c->offer.starttls)
			return smtp_fail(c, VERDICT_CONFIG, NULL, "STARTTLS is not offered");
		return STEP_STARTTLS;
	}
	if (*u->username && !c->authed)
		return STEP_AUTH;
	const struct relay_offer offer = {
		.known = true,
		.size = c->offer.size_max,
		.recipients = c->offer.recipients,
		.eight_bit = c->offer.eight_bit,
		.smtputf8 = c->offer.smtputf8,
		.dsn = c->offer.dsn,
		.chunking = c->offer.chunking,
	};

	pool_offer(u, &offer);
	if (!c->ready)
		smtp_log(c, c->check ? LOG_DEBUG : LOG_INFO, "ready", NULL, NULL);
	return STEP_READY;
}

enum step
got_ehlo(struct smtp *c, const struct reply *r)
{
	struct slice rest = r->raw;
	struct slice line;
	bool plain = c->up->tls != UPSTREAM_TLS_STARTTLS && !*c->up->username;

	c->offer = (struct offer){ 0 };
	if (r->code >= 500 && plain && !c->ready)
		return STEP_HELO;
	if (r->code != 250)
		return fail_by(c, PHASE_EHLO, r);
	if (reply_next_line(&rest, &line)) /* its name and its compliments */
		while (reply_next_line(&rest, &line))
			note_offer(&c->offer, slice_trim(line));
	return smtp_after_hello(c);
}

enum step
got_helo(struct smtp *c, const struct reply *r)
{
	if (r->code != 250)
		return fail_by(c, PHASE_EHLO, r);
	return smtp_after_hello(c);
}
