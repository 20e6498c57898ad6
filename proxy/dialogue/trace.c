/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dialogue/trace.h"

#include <stdio.h>
#include <time.h>

#include "proxy/dialogue/dialogue.h"
#include "wire/crypto.h"

enum { DATE_LEN = 31, TOKEN_DIGITS = 6 }; /* octets of hash, two digits each */

/* The instance's token, "Byway/" and 12 hex digits; made anew when INSTANCE changes. */
static struct slice
token(const char *instance)
{
	static char mem[32];
	static char made_for[256];
	struct text t = text_over(mem, sizeof(mem));
	unsigned char hash[SHA256_LEN];

	if (mem[0] != '\0' && strcmp(made_for, instance) == 0)
		return slice_str(mem);
	snprintf(made_for, sizeof(made_for), "%s", instance);
	text_put(&t, SLICE("Byway/"));
	if (crypto_sha256(slice_str(instance), hash))
		text_hex(&t, slice_of((const char *)hash, TOKEN_DIGITS));
	return text_slice(&t);
}

/* Sat, 21 Nov 2026 16:40:02 +0000: made once a second. */
static struct slice
date(uint64_t now_ms)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	static char mem[64];
	static time_t made_at = -1;
	time_t now = (time_t)(now_ms / 1000);
	struct tm tm;

	if (now != made_at && gmtime_r(&now, &tm) != NULL) {
		snprintf(mem, sizeof(mem), "%s, %02d %s %d %02d:%02d:%02d +0000", days[tm.tm_wday],
		    tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		    tm.tm_sec);
		made_at = now;
	}
	return slice_str(mem);
}

/* RFC 3848: what the client spoke. */
static const char *
protocol(const struct session *s)
{
	bool login = s->sender != NULL && !s->sender->is_address;

	/* AUTH is an extension even where HELO came before it. */
	if (!s->esmtp && !login)
		return "SMTP";
	if (s->txn.smtputf8)
		return s->secure ? (login ? "UTF8SMTPSA" : "UTF8SMTPS")
		                 : (login ? "UTF8SMTPA" : "UTF8SMTP");
	return s->secure ? (login ? "ESMTPSA" : "ESMTPS") : (login ? "ESMTPA" : "ESMTP");
}

/*
 * It is harmless inside a field (THREATS C14) and in XCLIENT; whoever wants the rest finds it in
 * the log.
 */
struct slice
trace_client_name(const struct session *s)
{
	struct slice helo = slice_of(s->helo, s->helo_n);

	return domain_is_valid(helo, false) || address_literal_is_valid(helo) ? helo : SLICE("");
}

static void
write_from(struct text *t, const struct session *s)
{
	const struct sockaddr *peer = (const struct sockaddr *)&s->peer;
	struct slice name = trace_client_name(s);

	text_put(t, SLICE("from "));
	text_put(t, name.n > 0 ? name : SLICE("unknown"));
	text_put(t, peer->sa_family == AF_INET6 ? SLICE(" ([IPv6:") : SLICE(" (["));
	net_write(t, peer);
	text_put(t, SLICE("])\r\n\t"));
}

static struct slice
received(struct session *s, struct slice token, struct slice now)
{
	const struct conf *c = s->lane->conf;
	bool login = s->sender != NULL && !s->sender->is_address;
	char mem[1024];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, SLICE("Received: "));
	if (c->content.show_client_address || !login)
		write_from(&t, s);
	text_fmt(&t, "by %s (%.*s)\r\n\twith %s id %s;\r\n\t", c->server.name, SLICE_FMT(token),
	    protocol(s), s->txn.id.s);
	text_put(&t, now);
	text_put(&t, SLICE("\r\n"));
	return arena_dup(&s->arena, text_slice(&t));
}

bool
trace_fields(struct session *s, struct header_options *o)
{
	const struct conf *c = s->lane->conf;
	struct slice now = date(loop_wall_ms(s->worker->loop));
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));

	o->token = token(c->server.instance);
	o->first = received(s, o->token, now);
	if (o->first.p == NULL)
		return false;
	if (!c->content.add_missing)
		return true;
	text_fmt(&t, "Date: %.*s\r\n", SLICE_FMT(now));
	o->date = arena_dup(&s->arena, text_slice(&t));
	text_reset(&t);
	text_fmt(&t, "Message-ID: <%s@%s>\r\n", s->txn.id.s, c->server.name);
	o->message_id = arena_dup(&s->arena, text_slice(&t));
	return o->date.p != NULL && o->message_id.p != NULL;
}
