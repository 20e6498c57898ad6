/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_PROBE_H
#define RELAY_PROBE_H

/*
 * probe - does a profile work: one dialogue with its upstream, or one request to its API, step by
 * step, through the relay's own code (BEHAVIOUR R8)
 *
 * Runs a loop of its own until the last step or the end of its time, so it is for a process that
 * serves nobody else. The profile need not be stored anywhere: its password, and its refresh token,
 * are given in the clear and live as long as the call. Nothing is counted against a quota. The
 * guard is asked as for any customer's host.
 *
 * Where no greeting comes, or TLS does not begin, the other TLS mode is tried, without a login, and
 * what is to be done says so if that one is right (R12).
 *
 * Never:  shows the password, a token, or what AUTH said with it; sends a request to an API without
 *         TO; goes on after PROBE_S.
 */
#include "relay/relay.h"

enum { PROBE_S = 20, PROBE_SAID_MAX = 512, PROBE_TRANSCRIPT_MAX = 16384 };

/* In order; a profile has those that its transport and its login have (probe_has()). */
enum probe_step {
	PROBE_RESOLVE,
	PROBE_ALLOWED,
	PROBE_CONNECT,
	PROBE_GREETING,
	PROBE_EHLO,
	PROBE_TLS,
	PROBE_TOKEN, /* OAuth2: an access token */
	PROBE_AUTH,
	PROBE_MAIL,
	PROBE_RCPT,
	PROBE_DATA,
	PROBE_REQUEST, /* to an API */
	PROBE_ACCEPTED,
	PROBE_STEPS,
};

enum probe_state { PROBE_NOT_REACHED, PROBE_SKIPPED, PROBE_GOOD, PROBE_FAILED };

struct probe_row {
	enum probe_state state;
	double ms;                     /* from the step's beginning to its end */
	char said[PROBE_SAID_MAX + 1]; /* the server's own line, or what we know; cleaned */
};

struct probe_order {
	struct conf *conf;
	const struct profile *profile;
	const struct secret *password;
	const struct secret *refresh; /* OAuth2; empty: the client's own credentials */
	/* Stores the refresh token that the provider gave in place of REFRESH, which is dead
	 * then. */
	bool (*keep)(void *ctx, const struct secret *refresh);
	void *ctx;
	const char *from, *to; /* TO NULL: no message, and no more than AUTH, or TLS with an API */
	bool check_only;       /* MAIL and RCPT are said, no content; no request to an API */
};

struct probe_report {
	bool good;
	struct probe_row rows[PROBE_STEPS];
	enum probe_step failed; /* where not GOOD */
	enum verdict_class class;
	char peer[512];        /* "host[192.0.2.1]:587 TLSv1.3" */
	char certificate[512]; /* "subject; issuer; until"; empty: none */
	bool verified;
	char capabilities[1024]; /* of the last EHLO, blanks between lines */
	char offer[512];  /* the same in shape_hear_offer()'s words; empty: no SMTP, or not heard */
	char action[512]; /* one thing to do about FAILED */
	char transcript[PROBE_TRANSCRIPT_MAX];
	double ms;
};

bool probe_has(const struct profile *p, enum probe_step step) MUST_CHECK;
const char *probe_word(enum probe_step step);
const char *probe_state_word(enum probe_state state);
/* tls_init() must have been called. False: no memory or descriptors; REPORT_R is untouched. */
bool probe_run(const struct probe_order *o, struct probe_report *report_r) MUST_CHECK;
/* What to do about CLASS at STEP. */
void probe_advise(const struct profile *p, enum probe_step step, enum verdict_class class,
    struct text *out);

#endif
