/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_plan - the sink's options, and what its rules decide
 */
#include "bench/sink.h"

#include "bench/bench.h"
#include "bench/options.h"
#include "wire/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

static const char command[] = "byway-bench sink";

enum { PEM_MAX = 8192, CERTIFICATE_DAYS = 30, ALWAYS = 1000 };

/* "10%": 100 of 1000. */
static bool
read_share(struct slice s, unsigned *share_r)
{
	uint64_t percent;

	if (s.n < 2 || s.p[s.n - 1] != '%' || !slice_to_u64(slice_head(s, s.n - 1), &percent) ||
	    percent > 100)
		return false;
	*share_r = (unsigned)percent * 10;
	return true;
}

/* PHASE=... up to the = ; the sink answers at these phases only. */
static struct sink_rule *
new_rule(struct sink *s, enum sink_kind kind, struct slice *rest)
{
	struct slice word = slice_cut(rest, '=');
	enum phase phase;

	if (s->rules_n == SINK_RULES_MAX || !phase_find(word, &phase) || phase < PHASE_GREETING ||
	    phase > PHASE_QUIT)
		return NULL;
	struct sink_rule *r = &s->rules[s->rules_n];

	*r = (struct sink_rule){ .phase = phase, .kind = kind, .share = ALWAYS };
	return r;
}

static const char phases_said[] =
    "greeting, ehlo, starttls, auth, mail, rcpt, data, dot, rset or quit";

static bool
add_delay(void *object, const char *argument, struct text *why)
{
	struct sink *s = object;
	struct slice rest = slice_str(argument);
	struct sink_rule *r = new_rule(s, SINK_DELAY, &rest);
	struct slice times = slice_cut(&rest, ',');
	struct slice least = slice_cut(&times, '-');
	char mem[2][32];

	snprintf(mem[0], sizeof(mem[0]), "%.*s", SLICE_FMT(least));
	snprintf(mem[1], sizeof(mem[1]), "%.*s", SLICE_FMT(times.n ? times : least));
	if (r && options_seconds(mem[0], &r->least_ns) && options_seconds(mem[1], &r->most_ns) &&
	    r->least_ns <= r->most_ns && (rest.n == 0 || read_share(rest, &r->share))) {
		s->rules_n++;
		return true;
	}
	text_fmt(why,
	    "must be PHASE=TIME or PHASE=TIME-TIME, and maybe SHARE: dot=50ms, rcpt=10ms-2s, "
	    "dot=1s,2%%; a phase is %s",
	    phases_said);
	return false;
}

static bool
add_refusal(void *object, const char *argument, struct text *why)
{
	struct sink *s = object;
	struct slice rest = slice_str(argument);
	struct sink_rule *r = new_rule(s, SINK_REFUSE, &rest);
	struct slice code = slice_cut(&rest, ',');
	struct text t;
	uint64_t n;

	if (r && slice_to_u64(code, &n) && n >= 400 && n <= 599 &&
	    (rest.n == 0 || read_share(rest, &r->share))) {
		t = text_over(r->mem, sizeof(r->mem));
		text_fmt(&t, "%llu %llu.0.0 Refused, as the sink was told\r\n",
		    (unsigned long long)n, (unsigned long long)n / 100);
		r->words = text_slice(&t);
		s->rules_n++;
		return true;
	}
	text_fmt(why,
	    "must be PHASE=CODE or PHASE=CODE,SHARE, such as rcpt=450,10%%; a phase is %s",
	    phases_said);
	return false;
}

static bool
add_drop(void *object, const char *argument, struct text *why)
{
	struct sink *s = object;
	struct slice rest = slice_str(argument);
	struct sink_rule *r = new_rule(s, SINK_DROP, &rest);

	if (r && (rest.n == 0 || read_share(rest, &r->share))) {
		s->rules_n++;
		return true;
	}
	text_fmt(why, "must be PHASE or PHASE=SHARE, such as dot=1%%; a phase is %s", phases_said);
	return false;
}

static bool
set_tls(void *object, const char *argument, struct text *why)
{
	struct sink *s = object;

	s->starttls = strcmp(argument, "starttls") == 0;
	s->implicit = strcmp(argument, "implicit") == 0;
	if (!s->starttls && !s->implicit)
		text_put(why, SLICE("must be starttls or implicit"));
	return s->starttls || s->implicit;
}

#define AT(member) offsetof(struct sink, member)

static const struct option_row rows[] = {
	{ "tls", "HOW", "starttls (offered) or implicit", OPTION_CALL, 0, 0, 0, set_tls },
	{ "certificate", "FILE", "its chain, and the key with --key", OPTION_TEXT, AT(chain_file),
	    0, 0, NULL },
	{ "key", "FILE", "of the certificate", OPTION_TEXT, AT(key_file), 0, 0, NULL },
	{ "certificate-out", "FILE",
	    "make a certificate for localhost and write it there, for load's --ca", OPTION_TEXT,
	    AT(certificate_out), 0, 0, NULL },
	{ "auth", NULL, "want AUTH PLAIN or LOGIN, and let everybody in", OPTION_FLAG, AT(auth), 0,
	    0, NULL },
	{ "logins", "FILE", "want AUTH, and let these in: lines NAME PASSWORD (mode 0600)",
	    OPTION_TEXT, AT(logins_file), 0, 0, NULL },
	{ "chunking", NULL, "offer CHUNKING", OPTION_FLAG, AT(chunking), 0, 0, NULL },
	{ "no-pipelining", NULL, "do not offer PIPELINING", OPTION_FLAG, AT(no_pipelining), 0, 0,
	    NULL },
	{ "delay", "PHASE=TIME",
	    "wait before the answer: dot=50ms, rcpt=10ms-2s, dot=1s,2%; repeat it", OPTION_CALL, 0,
	    0, 0, add_delay },
	{ "refuse", "PHASE=CODE", "refuse: mail=451, rcpt=550,10% (every tenth); repeat it",
	    OPTION_CALL, 0, 0, 0, add_refusal },
	{ "drop", "PHASE", "hang up instead of answering: dot, data=5%; repeat it", OPTION_CALL, 0,
	    0, 0, add_drop },
	{ "anywhere", NULL, "listen on all IPv4 addresses, not on loopback alone", OPTION_FLAG,
	    AT(anywhere), 0, 0, NULL },
	{ "json", NULL, "what was counted as JSON when it ends", OPTION_FLAG, AT(json), 0, 0,
	    NULL },
	{ "quiet", NULL, "count for nobody", OPTION_FLAG, AT(quiet), 0, 0, NULL },
};

static const struct options options = { command, rows, sizeof(rows) / sizeof(rows[0]) };

void
sink_help(void)
{
	options_help(&options);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static bool
make_ctx(struct sink *s, const char *chain, const char *key, struct text *why)
{
	struct tls_pair pair = { .chain_file = chain, .key_file = key };
	unsigned char ticket_key[32];
	struct tls_server_options o = {
		.pairs = &pair,
		.pairs_n = 1,
		.tls13 = true,
		.ticket_key = ticket_key,
		.ticket_lifetime_s = 3600,
	};

	if (!crypto_random(ticket_key, sizeof(ticket_key))) {
		text_put(why, SLICE("no random octets"));
		return false;
	}
	s->ctx = tls_server_ctx(&o, why);
	crypto_wipe(ticket_key, sizeof(ticket_key));
	return s->ctx != NULL;
}

/* PEM in memory as a file that can be named. */
static int
memory_file(struct slice pem, char *path, size_t cap)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, pem.p, pem.n) != (ssize_t)pem.n) {
		close(fd);
		return -1;
	}
	snprintf(path, cap, "/proc/self/fd/%d", fd);
	return fd;
}

static bool
write_out(const char *path, struct slice pem)
{
	FILE *f = fopen(path, "we");
	bool good = f && fwrite(pem.p, 1, pem.n, f) == pem.n;

	return f && fclose(f) == 0 && good;
}

static bool
make_certificate(struct sink *s, struct text *why)
{
	const struct slice names[] = { SLICE("localhost"), SLICE("127.0.0.1") };
	char key_mem[PEM_MAX], cert_mem[PEM_MAX], key_path[32], cert_path[32];
	struct text key = text_over(key_mem, sizeof(key_mem));
	struct text cert = text_over(cert_mem, sizeof(cert_mem));
	int key_fd = -1, cert_fd = -1;
	bool good = false;

	if (!crypto_self_signed(CRYPTO_ECDSA, names, 2, CERTIFICATE_DAYS, &key, &cert))
		text_put(why, SLICE("a certificate cannot be made"));
	else if (!write_out(s->certificate_out, text_slice(&cert)))
		text_fmt(why, "%s: cannot be written", s->certificate_out);
	else if ((key_fd = memory_file(text_slice(&key), key_path, sizeof(key_path))) >= 0 &&
	    (cert_fd = memory_file(text_slice(&cert), cert_path, sizeof(cert_path))) >= 0)
		good = make_ctx(s, cert_path, key_path, why);
	crypto_wipe(key_mem, sizeof(key_mem));
	if (key_fd >= 0)
		close(key_fd);
	if (cert_fd >= 0)
		close(cert_fd);
	return good;
}

static bool
prepare_tls(struct sink *s, struct text *why)
{
	if (!s->starttls && !s->implicit)
		return true;
	if (!crypto_init() || !tls_init(why))
		return false;
	if (s->chain_file && s->key_file)
		return make_ctx(s, s->chain_file, s->key_file, why);
	if (s->certificate_out)
		return make_certificate(s, why);
	text_put(why,
	    SLICE("--tls needs --certificate FILE and --key FILE, or --certificate-out FILE"));
	return false;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void
write_ehlo(struct sink *s, bool secure)
{
	struct text t = text_over(s->ehlo_mem[secure], sizeof(s->ehlo_mem[secure]));

	text_put(&t, SLICE("250-sink\r\n"));
	if (!s->no_pipelining)
		text_put(&t, SLICE("250-PIPELINING\r\n"));
	if (s->chunking)
		text_put(&t, SLICE("250-CHUNKING\r\n"));
	if (s->starttls && !secure)
		text_put(&t, SLICE("250-STARTTLS\r\n"));
	if (s->auth)
		text_put(&t, SLICE("250-AUTH PLAIN LOGIN\r\n"));
	text_put(&t,
	    SLICE("250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n"));
	s->ehlo[secure] = text_slice(&t);
}

int
sink_plan_read(struct sink *s, int argc, char **argv)
{
	char mem[512];
	struct text why = text_over(mem, sizeof(mem));
	uint64_t port;
	int first;

	if (!options_read(&options, s, argc, argv, &first))
		return EX_USAGE;
	if (first + 1 != argc || !slice_to_u64(slice_str(argv[first]), &port) || port == 0 ||
	    port > 65535) {
		fprintf(stderr, "%s: one port is needed, for instance: %s 2600\n", command,
		    command);
		return EX_USAGE;
	}
	s->port = (unsigned)port;
	s->auth = s->auth || s->logins_file;
	if (!prepare_tls(s, &why) ||
	    (s->logins_file && !logins_read(&s->logins, s->logins_file, &why))) {
		fprintf(stderr, "%s: %s\n", command, mem);
		sink_plan_fini(s);
		return EX_CONFIG;
	}
	write_ehlo(s, false);
	write_ehlo(s, true);
	return EX_OK;
}

void
sink_plan_fini(struct sink *s)
{
	logins_fini(&s->logins);
	if (s->ctx)
		tls_ctx_unref(s->ctx);
	s->ctx = NULL;
}

/* ---- what the rules decide ------------------------------------------------------------------- */

/* Numbers that differ and are the same in each run (xorshift64, Marsaglia 2003). */
static uint64_t
between(struct sink *s, uint64_t least, uint64_t most)
{
	s->chance = s->chance ? s->chance : 88172645463325252U;
	s->chance ^= s->chance << 13;
	s->chance ^= s->chance >> 7;
	s->chance ^= s->chance << 17;
	return least + s->chance % (most - least + 1);
}

struct sink_fate
sink_decide(struct sink *s, enum phase phase, struct slice reply)
{
	struct sink_fate fate = { .reply = reply };

	for (size_t i = 0; i < s->rules_n; i++) {
		struct sink_rule *r = &s->rules[i];

		if (r->phase != phase)
			continue;
		r->owed += r->share;
		if (r->owed < ALWAYS)
			continue;
		r->owed -= ALWAYS;
		if (r->kind == SINK_DELAY) {
			fate.delay_ns += between(s, r->least_ns, r->most_ns);
		} else if (r->kind == SINK_DROP) {
			fate.drop = true;
		} else if (!fate.refused) {
			fate.refused = true;
			fate.reply = r->words;
		}
	}
	s->count.delayed += fate.delay_ns > 0;
	s->count.dropped[phase] += fate.drop;
	s->count.refused[phase] += fate.refused && !fate.drop;
	return fate;
}
