/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_COMMAND_H
#define WIRE_COMMAND_H

/*
 * command - one SMTP command line, taken apart (RFC 5321, 4.1.1)
 *
 * Pure grammar: no I/O, no allocation, no state. The results borrow from LINE and die with it.
 *
 * Never:  looks past LINE; accepts CR, LF, NUL or another control character inside it, nor invalid
 *         UTF-8; knows whether the verb is allowed now (that is the session's table).
 *         EHLO and HELO are the exception: their argument may hold any octet but CR, LF and NUL,
 *         since programs put their machine's name there in whatever charset it has (BEHAVIOUR
 *         P7).
 */
#include "wire/path.h"
#include "wire/slice.h"

enum verb {
	VERB_UNKNOWN,
#define VERB(name, word) VERB_##name,
#include "wire/verb.def"
#undef VERB
	VERB_COUNT
};

struct command {
	enum verb verb;    /* VERB_UNKNOWN if the word is not ours */
	struct slice word; /* as it came */
	struct slice args; /* what follows the word, blanks cut */
};

/* False if LINE (without its CRLF) cannot be a command at all; *CMD_R is then untouched. */
bool command_parse(struct slice line, struct command *cmd_r) MUST_CHECK;

enum body_kind { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };
enum dsn_ret { RET_NONE, RET_FULL, RET_HDRS };

/* What is wrong with the arguments of MAIL or RCPT. */
enum args_fault {
	ARGS_OK,
	ARGS_SYNTAX,        /* 501 5.5.4: no FROM:/TO:, junk between */
	ARGS_PATH,          /* 501 5.1.7 (MAIL) or 5.1.3 (RCPT): the path itself; see path.h */
	ARGS_PARAM_UNKNOWN, /* 555 5.5.4 */
	ARGS_PARAM_BAD,     /* 501 5.5.4: known, but its value is wrong or it came twice */
};

/* MAIL FROM:<reverse-path> [parameters]  (RFC 5321 4.1.1.2, 1870, 6152, 6531, 3461, 4954 AUTH=) */
struct mail_args {
	struct path path; /* path.null for <> */
	bool has_size;
	uint64_t size; /* octets; UINT64_MAX also for digits beyond 64 bits */
	bool has_body;
	enum body_kind body; /* BINARYMIME is parsed, so that the session can refuse it by name */
	bool smtputf8;
	enum dsn_ret ret;
	struct slice envid; /* xtext as it came, of printable octets; empty if absent */
};

enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

/* RCPT TO:<forward-path> [parameters]  (RFC 5321 4.1.1.3, 3461) */
struct rcpt_args {
	struct path path;
	unsigned notify;    /* NOTIFY_ bits; 0 if absent */
	struct slice orcpt; /* "rfc822;xtext" as it came, of printable octets; empty if absent */
};

/*
 * Both read what has one meaning only, and path.loose tells of it (BEHAVIOUR P7): blanks before the
 * colon, a path without < >, a name for people before one <path>.
 */
enum args_fault mail_parse(struct slice args, struct mail_args *out_r) MUST_CHECK;
enum args_fault rcpt_parse(struct slice args, struct rcpt_args *out_r) MUST_CHECK;
/* BDAT SP chunk-size [SP LAST]  (RFC 3030): digits alone, no wrap. */
bool bdat_parse(struct slice args, uint64_t *size_r, bool *last_r) MUST_CHECK;

#endif
