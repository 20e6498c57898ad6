/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

/*
 * plan - what a load was asked to do: the options of `byway-bench load`, read and checked whole
 * before anything is sent
 *
 * Owns:   its content, log-ins and TLS context, until plan_fini().
 */
#include "bench/content.h"
#include "bench/logins.h"
#include "bench/options.h"
#include "bench/pace.h"
#include "bench/procs.h"
#include "wire/tls.h"

#include <sys/socket.h>

enum plan_tls { PLAN_PLAIN, PLAN_STARTTLS, PLAN_IMPLICIT };
enum plan_auth { PLAN_AUTH_PLAIN, PLAN_AUTH_LOGIN };

/* What leaves without waiting for answers (RFC 2920). */
enum plan_pipelining {
	PLAN_LOCKSTEP, /* nothing */
	PLAN_MESSAGE,  /* the commands of a message; its content after 354 */
	PLAN_ACROSS,   /* the commands of the next message too, with the content of this one */
};

struct plan {
	struct sockaddr_storage to;
	socklen_t to_len;
	const char *host, *port; /* as they were given */

	enum plan_tls tls;
	const char *ca_file, *tls_name, *pin;
	bool resume;
	struct tls_ctx *ctx; /* NULL: plain */

	enum plan_auth auth;
	const char *user, *password_file, *logins_file;
	struct logins logins; /* n == 0: no AUTH */

	uint64_t sessions;
	uint64_t per_session; /* messages; 0: any number */
	bool reconnect;       /* per_session is 1 */
	uint64_t recipients;
	const char *from, *rcpt, *helo;
	const char *size, *message_file;
	struct contents contents;
	enum plan_pipelining pipelining;
	bool chunking;

	struct pace pace;
	uint64_t warmup_ns, idle_ns, timeout_ns, interval_ns;

	struct procs procs;
	bool json;
	const char *json_file; /* NULL: standard output */
	const char *html_file, *label;
	bool progress, quiet, anywhere;
};

/* EX_OK, or the exit status after standard error was told why not. */
int plan_read(struct plan *p, int argc, char **argv) MUST_CHECK;
void plan_fini(struct plan *p);
void plan_help(void);
/* "starttls", "across": as the options have them. */
const char *plan_tls_word(enum plan_tls t);
const char *plan_pipelining_word(enum plan_pipelining p);

#endif
