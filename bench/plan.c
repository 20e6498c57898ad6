/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/plan.h"

#include "bench/clock.h"
#include "wire/crypto.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static const char command[] = "byway-bench load";
static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";

static const char *const tls_words[] = { "none", "starttls", "implicit" };
static const char *const auth_words[] = { "plain", "login" };
static const char *const pipelining_words[] = { "off", "message", "across" };

/* Messages that are due right before the end find a session a moment later: no failure. */
enum { GRACE_SHARE = 10 };
enum { TLS_WORDS = 3, AUTH_WORDS = 2, PIPELINING_WORDS = 3 };

/* Which of the words it is; N, and WHY says what they are, where it is none. */
static size_t
word_of(const char *const *words, size_t n, const char *word, struct text *why)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i], word) == 0)
			return i;
	}
	text_put(why, SLICE("must be"));
	for (size_t i = 0; i < n; i++)
		text_fmt(why, "%s %s", i == 0 ? "" : i + 1 == n ? " or" : ",", words[i]);
	return n;
}

static bool
set_tls(void *object, const char *argument, struct text *why)
{
	struct plan *p = object;
	size_t i = word_of(tls_words, TLS_WORDS, argument, why);

	p->tls = (enum plan_tls)i;
	return i < TLS_WORDS;
}

static bool
set_auth(void *object, const char *argument, struct text *why)
{
	struct plan *p = object;
	size_t i = word_of(auth_words, AUTH_WORDS, argument, why);

	p->auth = (enum plan_auth)i;
	return i < AUTH_WORDS;
}

static bool
set_pipelining(void *object, const char *argument, struct text *why)
{
	struct plan *p = object;
	size_t i = word_of(pipelining_words, PIPELINING_WORDS, argument, why);

	p->pipelining = (enum plan_pipelining)i;
	return i < PIPELINING_WORDS;
}

static bool
set_json(void *object, const char *argument, struct text *why)
{
	struct plan *p = object;

	(void)why;
	p->json = true;
	p->json_file = argument;
	return true;
}

static bool
add_pid(void *object, const char *argument, struct text *why)
{
	struct plan *p = object;

	if (procs_add(&p->procs, argument))
		return true;
	text_fmt(why, "must be NAME=PID of a process that runs, at most %d of them", PROCS_MAX);
	return false;
}

#define AT(member) offsetof(struct plan, member)

static const struct option_row rows[] = {
	{ "sessions", "N", "at the same time (20)", OPTION_NUMBER, AT(sessions), 1, 100000, NULL },
	{ "messages", "N", "in all (10000, unless --duration is given)", OPTION_NUMBER,
	    AT(pace.messages), 1, 0, NULL },
	{ "duration", "SECONDS", "begin messages for so long instead", OPTION_SECONDS,
	    AT(pace.duration_ns), 0, 0, NULL },
	{ "rate", "N",
	    "open loop: N messages a second, however late answers are; times count\n"
	    "from when a message was due. Without it a session sends as fast as it is\n"
	    "answered",
	    OPTION_RATE, AT(pace.rate), 0, 0, NULL },
	{ "ramp", "SECONDS", "let the rate (or the number of sessions) grow for so long",
	    OPTION_SECONDS, AT(pace.ramp_ns), 0, 0, NULL },
	{ "warm-up", "SECONDS", "do not count the first seconds", OPTION_SECONDS, AT(warmup_ns), 0,
	    0, NULL },
	{ "messages-per-session", "N", "then QUIT and a new connection (any number)", OPTION_NUMBER,
	    AT(per_session), 1, 0, NULL },
	{ "reconnect", NULL, "a connection for each message", OPTION_FLAG, AT(reconnect), 0, 0,
	    NULL },
	{ "recipients", "N", "of each message (1)", OPTION_NUMBER, AT(recipients), 1, 10000, NULL },
	{ "from", "ADDRESS", "the sender (the log-in, where it has an @, or a@bench.example)",
	    OPTION_TEXT, AT(from), 0, 0, NULL },
	{ "to", "ADDRESS",
	    "the recipient; % becomes the number of the recipient (b%@bench.example)", OPTION_TEXT,
	    AT(rcpt), 0, 0, NULL },
	{ "helo", "NAME", "what EHLO says (bench.example)", OPTION_TEXT, AT(helo), 0, 0, NULL },
	{ "size", "SIZE",
	    "of the content: octets (4096, 64K, 1M), \"mail\" for a mix such as people\n"
	    "send, or a file of lines OCTETS WEIGHT (4096)",
	    OPTION_TEXT, AT(size), 0, 0, NULL },
	{ "message", "FILE", "send this message instead", OPTION_TEXT, AT(message_file), 0, 0,
	    NULL },
	{ "pipelining", "HOW",
	    "off: wait for each answer; message: a message's commands at once;\n"
	    "across: the next message's commands behind the content too (message)",
	    OPTION_CALL, 0, 0, 0, set_pipelining },
	{ "chunking", NULL, "send content with BDAT", OPTION_FLAG, AT(chunking), 0, 0, NULL },
	{ "tls", "HOW", "starttls or implicit (none)", OPTION_CALL, 0, 0, 0, set_tls },
	{ "ca", "FILE", "certificates to trust (the system's)", OPTION_TEXT, AT(ca_file), 0, 0,
	    NULL },
	{ "tls-name", "NAME",
	    "the name in the server's certificate (HOST; localhost for 127.0.0.1)", OPTION_TEXT,
	    AT(tls_name), 0, 0, NULL },
	{ "pin", "SHA256", "trust the certificate with this fingerprint instead", OPTION_TEXT,
	    AT(pin), 0, 0, NULL },
	{ "resume", NULL, "take TLS sessions up again by ticket, as mail clients do", OPTION_FLAG,
	    AT(resume), 0, 0, NULL },
	{ "user", "NAME",
	    "log in; the password is in --password-file or, without one, in the\n"
	    "variable BYWAY_BENCH_PASSWORD",
	    OPTION_TEXT, AT(user), 0, 0, NULL },
	{ "password-file", "FILE", "mode 0600", OPTION_TEXT, AT(password_file), 0, 0, NULL },
	{ "logins", "FILE", "lines NAME PASSWORD (mode 0600), which sessions take in turn",
	    OPTION_TEXT, AT(logins_file), 0, 0, NULL },
	{ "auth", "HOW", "plain or login (plain)", OPTION_CALL, 0, 0, 0, set_auth },
	{ "idle", "SECONDS", "only log in, stay so long, send nothing", OPTION_SECONDS, AT(idle_ns),
	    0, 0, NULL },
	{ "timeout", "SECONDS", "for each answer (60)", OPTION_SECONDS, AT(timeout_ns), 0, 0,
	    NULL },
	{ "pid", "NAME=PID",
	    "measure CPU and memory of this process and its descendants; repeat it", OPTION_CALL, 0,
	    0, 0, add_pid },
	{ "interval", "SECONDS", "between samples (a hundredth of the duration, or 0.25)",
	    OPTION_SECONDS, AT(interval_ns), 0, 0, NULL },
	{ "json", "[=FILE]", "the result as JSON instead of a table, or into FILE beside it",
	    OPTION_CALL, 0, 0, 0, set_json },
	{ "html", "FILE", "the result as a page of its own", OPTION_TEXT, AT(html_file), 0, 0,
	    NULL },
	{ "label", "WORDS", "what to call this run in reports", OPTION_TEXT, AT(label), 0, 0,
	    NULL },
	{ "progress", NULL, "a line a second although standard error is no terminal", OPTION_FLAG,
	    AT(progress), 0, 0, NULL },
	{ "quiet", NULL, "no progress line", OPTION_FLAG, AT(quiet), 0, 0, NULL },
	{ "anywhere", NULL, "allow a HOST that is not this machine", OPTION_FLAG, AT(anywhere), 0,
	    0, NULL },
};

static const struct options options = { command, rows, sizeof(rows) / sizeof(rows[0]) };

static int
refuse(int status, const char *what)
{
	fprintf(stderr, "%s: %s\n", command, what);
	return status;
}

/* Loopback: 127.0.0.0/8 and ::1. */
static bool
is_here(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int
find_target(struct plan *p)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	uint64_t port;
	int e;

	if (!slice_to_u64(slice_str(p->port), &port) || port == 0 || port > 65535)
		return refuse(EX_USAGE, "the port must be a number from 1 to 65535");
	e = getaddrinfo(p->host, p->port, &hints, &found);
	if (e != 0) {
		fprintf(stderr, "%s: %s: %s\n", command, p->host, gai_strerror(e));
		return EX_NOHOST;
	}
	bool here = is_here(found->ai_addr);

	memcpy(&p->to, found->ai_addr, found->ai_addrlen);
	p->to_len = found->ai_addrlen;
	freeaddrinfo(found);
	if (here || p->anywhere)
		return EX_OK;
	return refuse(EX_USAGE,
	    "HOST is another machine; --anywhere allows that: load only what is yours");
}

static bool
read_pin(const char *hex, unsigned char pin[SHA256_LEN])
{
	size_t n = 0;

	for (; *hex != '\0' && n < 2 * SHA256_LEN; hex++) {
		int digit = hex_digit(*hex);

		if (*hex == ':')
			continue;
		if (digit < 0)
			return false;
		pin[n / 2] = (unsigned char)(n % 2 ? pin[n / 2] << 4 | digit : digit);
		n++;
	}
	return n == 2 * SHA256_LEN && *hex == '\0';
}

static int
prepare_tls(struct plan *p)
{
	char mem[512];
	struct text why = text_over(mem, sizeof(mem));
	struct tls_client_options o = { .ca_file = p->ca_file ? p->ca_file : system_ca };

	if (p->tls == PLAN_PLAIN)
		return EX_OK;
	o.resume = p->resume;
	if (p->pin) {
		o = (struct tls_client_options){ .pinned = true, .resume = p->resume };
		if (!read_pin(p->pin, o.pin))
			return refuse(EX_USAGE,
			    "--pin must be a SHA-256 fingerprint, 64 hex digits");
	}
	if (!p->tls_name)
		p->tls_name = strcmp(p->host, "127.0.0.1") == 0 ? "localhost" : p->host;
	if (crypto_init() && tls_init(&why))
		p->ctx = tls_client_ctx(&o, &why);
	return p->ctx ? EX_OK : refuse(EX_CONFIG, mem);
}

static int
prepare_logins(struct plan *p)
{
	char mem[512];
	struct text why = text_over(mem, sizeof(mem));
	bool good = true;

	if (p->user && p->logins_file)
		return refuse(EX_USAGE, "--user and --logins: one of them");
	if (p->logins_file)
		good = logins_read(&p->logins, p->logins_file, &why);
	else if (p->user)
		good = logins_one(&p->logins, p->user, p->password_file, &why);
	else if (p->password_file)
		return refuse(EX_USAGE, "--password-file is for --user");
	return good ? EX_OK : refuse(EX_NOINPUT, mem);
}

static int
prepare_contents(struct plan *p)
{
	char mem[512];
	struct text why = text_over(mem, sizeof(mem));

	if (p->message_file && p->size)
		return refuse(EX_USAGE, "--size and --message: one of them");
	bool good = p->message_file
	    ? contents_of_file(&p->contents, p->message_file, &why)
	    : contents_of_size(&p->contents, p->size ? p->size : "4096", &why);

	return good ? EX_OK : refuse(EX_DATAERR, mem);
}

/* What goes into a line of the dialogue must be safe in one. */
static bool
are_words_safe(const struct plan *p)
{
	const char *const words[] = { p->from, p->rcpt, p->helo };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct slice s = slice_str(words[i]);

		if (!slice_is_text(s) || s.n > 256 || slice_has(s, '<') || slice_has(s, '>'))
			return false;
	}
	return true;
}

static int
prepare_pace(struct plan *p)
{
	struct pace *pace = &p->pace;

	if (pace->messages == 0 && pace->duration_ns == 0)
		pace->messages = 10000;
	if (p->reconnect)
		p->per_session = 1;
	if (pace->rate > 0 && p->idle_ns > 0)
		return refuse(EX_USAGE, "--rate and --idle: one of them");
	if (p->resume && p->tls == PLAN_PLAIN)
		return refuse(EX_USAGE, "--resume is for --tls");
	if (pace->duration_ns > 0 && p->warmup_ns >= pace->duration_ns)
		return refuse(EX_USAGE, "--warm-up must be shorter than --duration");
	pace->grace_ns = pace->duration_ns / GRACE_SHARE;
	if (p->interval_ns == 0)
		p->interval_ns = pace->duration_ns > 0 ? pace->duration_ns / 100 : CLOCK_S / 4;
	if (p->interval_ns < 50 * CLOCK_MS)
		p->interval_ns = 50 * CLOCK_MS;
	return EX_OK;
}

int
plan_read(struct plan *p, int argc, char **argv)
{
	int first, bad;

	*p = (struct plan){
		.sessions = 20,
		.recipients = 1,
		.rcpt = "b%@bench.example",
		.helo = "bench.example",
		.pipelining = PLAN_MESSAGE,
		.timeout_ns = 60 * (uint64_t)CLOCK_S,
	};
	if (!options_read(&options, p, argc, argv, &first))
		return EX_USAGE;
	if (first + 2 != argc)
		return refuse(EX_USAGE, "HOST and PORT are needed (byway-bench --help)");
	p->host = argv[first];
	p->port = argv[first + 1];
	if (!are_words_safe(p))
		return refuse(EX_USAGE,
		    "--from, --to and --helo: no <, > and controls, 256 octets at most");
	if ((bad = prepare_pace(p)) != EX_OK || (bad = find_target(p)) != EX_OK ||
	    (bad = prepare_logins(p)) != EX_OK || (bad = prepare_contents(p)) != EX_OK ||
	    (bad = prepare_tls(p)) != EX_OK)
		plan_fini(p);
	return bad;
}

void
plan_fini(struct plan *p)
{
	contents_fini(&p->contents);
	logins_fini(&p->logins);
	if (p->ctx)
		tls_ctx_unref(p->ctx);
	p->ctx = NULL;
}

void
plan_help(void)
{
	options_help(&options);
}

const char *
plan_tls_word(enum plan_tls t)
{
	return tls_words[t];
}

const char *
plan_pipelining_word(enum plan_pipelining p)
{
	return pipelining_words[p];
}
