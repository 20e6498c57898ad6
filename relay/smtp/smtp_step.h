/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RELAY_SMTP_SMTP_STEP_H
#define RELAY_SMTP_SMTP_STEP_H

/*
 * smtp_step - a dialogue from the inside, for the files that make it up: smtp.c (the machine),
 * smtp_hello.c and smtp_auth.c (until it is ready), smtp_mail.c (a transaction), smtp_content.c
 * (its octets)
 */
#include "relay/transaction.h"
#include "relay/smtp/smtp.h"

enum {
	COMMAND_ROOM = 4096, /* no command is begun with less room in the output buffer */
	SMTP_OUT_MAX = BUF_LARGE,
	SMTP_OUT_LOW = SMTP_OUT_MAX / 4,
};

typedef enum step send_fn(struct smtp *c);
typedef enum step got_fn(struct smtp *c, const struct reply *r);

send_fn send_ehlo, send_helo, send_starttls, send_tls, send_auth, send_user, send_password,
    send_cram, send_bearer, send_ready, send_xclient, send_mail, send_rcpt, send_data, send_body,
    send_rset, send_quit;
got_fn got_greeting, got_ehlo, got_helo, got_starttls, got_auth, got_xclient, got_mail, got_rcpt,
    got_data, got_bdat, got_dot, got_rset;

/* The stream's events; smtp.c has those of a dialogue, smtp_hello.c those of a beginning. */
void smtp_begin(struct task *t);
void smtp_connected(struct smtp *c);
void smtp_secured(struct smtp *c);
/* smtp_dial.c. True: another address, or the same with another TLS hello, takes C's place in the
 * pool, where this failure says nothing of the others; C is to be cut. */
bool smtp_move_on(struct smtp *c, enum verdict_class class, const struct reply *r, const char *why)
    MUST_CHECK;
/* The last address failed: where an earlier one said more, that is what to tell. R may then be
 * MEM. */
bool smtp_recall(const struct smtp *c, enum verdict_class *class, const struct reply **r,
    const char **why, struct reply *mem);
void smtp_dial_free(struct smtp *c);
/* How long the answer to STEP may take, with other addresses in mind. */
double smtp_patience_s(const struct smtp *c, enum step step);
/* The answer that is out is one of AUTH's. */
bool smtp_in_auth(const struct smtp *c);

/* An answer to STEP is out. */
void smtp_expect(struct smtp *c, enum step step);
/* Writes a line (with its CRLF) whose answer is out then. */
void smtp_say(struct smtp *c, struct slice line);
/* The connection ends for a reason; R if the upstream said so, WHY for the log if not. Returns
 * STEP_GONE, so that a step may end with it. */
enum step smtp_fail(struct smtp *c, enum verdict_class class, const struct reply *r,
    const char *why);
/* What the client hears of R (NULL: no answer came), and what the pool learns from it. The texts go
 * to MEM. */
struct relay_verdict smtp_verdict(const struct smtp *c, enum verdict_class class,
    const struct reply *r, struct text *mem);
/* One line in the log, of trouble one a minute and upstream (hush.h); WHAT is static, R or WHY may
 * be NULL. */
void smtp_log(const struct smtp *c, enum log_level level, const char *what, const struct reply *r,
    const char *why);
/* What follows EHLO, or HELO where that had to do, or AUTH. */
enum step smtp_after_hello(struct smtp *c);
/* Content that came to an answer before its end. */
enum step smtp_early(struct smtp *c, const struct reply *r);
/* How long the answer to STEP may take. */
double smtp_limit_s(const struct smtp *c, enum step step);
/* The chunk that was gathered. */
void smtp_chunk(struct smtp *c, bool last);

#endif
