/* SPDX-License-Identifier: Apache-2.0 */
/* TLS contexts, and streams with TLS: against ourselves and against openssl(1). */
#include "tests/unit/duo.h"

#include "wire/crypto.h"
#include "wire/stream_private.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static struct end *const a = &duo.a; /* the client */
static struct end *const b = &duo.b; /* the server */

static char dir[] = "/tmp/byway-tls-XXXXXX";
static char why_mem[512];
static struct text why;
static const unsigned char key_one[32] = { 1 };
static const unsigned char key_two[32] = { 2 };

/* ---- files ----------------------------------------------------------------------------------- */

static const char *
path(const char *name)
{
	static char mem[8][256];
	static unsigned i;

	i = (i + 1) % 8;
	snprintf(mem[i], sizeof(mem[i]), "%s/%s", dir, name);
	return mem[i];
}

static void
put_file(const char *name, struct slice what)
{
	FILE *f = fopen(path(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(what.p, 1, what.n, f), what.n);
	assert_int_equal(fclose(f), 0);
}

static struct slice
get_file(const char *name, char *mem, size_t max)
{
	FILE *f = fopen(path(name), "r");
	size_t n = f ? fread(mem, 1, max - 1, f) : 0;

	if (f)
		fclose(f);
	mem[n] = 0;
	return slice_of(mem, n);
}

/* NAME.crt and NAME.key. */
static void
make_cert(const char *name, const struct slice *names, size_t n, unsigned days)
{
	char key_mem[2048];
	char cert_mem[8192];
	char file[64];
	struct text key = text_over(key_mem, sizeof(key_mem));
	struct text cert = text_over(cert_mem, sizeof(cert_mem));

	assert_true(crypto_self_signed(CRYPTO_ECDSA, names, n, days, &key, &cert));
	snprintf(file, sizeof(file), "%s.key", name);
	put_file(file, text_slice(&key));
	snprintf(file, sizeof(file), "%s.crt", name);
	put_file(file, text_slice(&cert));
}

static bool
is_openssl(void)
{
	return strncmp(tls_library(), "OpenSSL ", 8) == 0;
}

/* SCRIPT in our directory. */
static int
shell(const char *script)
{
	char cmd[1024];

	snprintf(cmd, sizeof(cmd), "cd %s && { %s; } >/dev/null 2>&1", dir, script);
	return system(cmd);
}

static int
make_all(void **state)
{
	const struct slice main_names[] = { SLICE("mx.example"), SLICE("*.wild.example"),
		SLICE("127.0.0.1") };
	const struct slice other_names[] = { SLICE("other.example"), SLICE("a.wild.example") };
	struct timespec wait = { .tv_sec = 1, .tv_nsec = 100000000 };

	(void)state;
	why = text_over(why_mem, sizeof(why_mem));
	if (!mkdtemp(dir) || !tls_init(&why) || !crypto_init())
		return -1;
	make_cert("expired", main_names, 3, 0);
	make_cert("main", main_names, 3, 10);
	make_cert("other", other_names, 2, 20);
	nanosleep(&wait, NULL); /* until it has */
	return shell("openssl req -x509 -newkey rsa:2048 -nodes -days 10 -subj /CN=mx.example "
	             "-addext subjectAltName=DNS:mx.example -keyout rsa.key -out rsa.crt && "
	             "openssl pkey -in main.key -aes128 -passout pass:x -out locked.key");
}

static int
remove_all(void **state)
{
	(void)state;
	return shell("rm -r \"$PWD\"");
}

/* ---- contexts -------------------------------------------------------------------------------- */

static struct tls_ctx *
server_of(const char *const *names, size_t n, bool tls13, const unsigned char *ticket_key)
{
	char files[8][2][64];
	struct tls_pair pairs[8];

	for (size_t i = 0; i < n; i++) {
		snprintf(files[i][0], sizeof(files[i][0]), "%s/%s.crt", dir, names[i]);
		snprintf(files[i][1], sizeof(files[i][1]), "%s/%s.key", dir, names[i]);
		pairs[i] = (struct tls_pair){ .chain_file = files[i][0], .key_file = files[i][1] };
	}
	struct tls_server_options o = {
		.pairs = pairs,
		.pairs_n = n,
		.tls13 = tls13,
		.ticket_key = ticket_key,
		.ticket_lifetime_s = 3600,
	};

	why = text_over(why_mem, sizeof(why_mem));
	struct tls_ctx *ctx = tls_server_ctx(&o, &why);

	if (!ctx)
		print_error("%s\n", why_mem);
	assert_non_null(ctx);
	return ctx;
}

static struct tls_ctx *
server(const char *name, bool tls13)
{
	return server_of(&name, 1, tls13, key_one);
}

static struct tls_ctx *
client(const char *ca)
{
	char file[64];

	snprintf(file, sizeof(file), "%s.crt", ca);
	struct tls_client_options o = { .ca_file = path(file) };

	why = text_over(why_mem, sizeof(why_mem));
	struct tls_ctx *ctx = tls_client_ctx(&o, &why);

	assert_non_null(ctx);
	return ctx;
}

static void
refused(const char *chain, const char *key, const char *words)
{
	struct tls_pair pair = { .chain_file = path(chain), .key_file = path(key) };
	struct tls_server_options o = { .pairs = &pair, .pairs_n = 1 };

	why = text_over(why_mem, sizeof(why_mem));
	assert_null(tls_server_ctx(&o, &why));
	if (!strstr(why_mem, words))
		print_error("'%s' lacks '%s'\n", why_mem, words);
	assert_non_null(strstr(why_mem, words));
}

static void
test_contexts_say_what_is_wrong(void **state)
{
	struct tls_client_options o;
	struct tls_server_options none = { .pairs_n = 0 };

	(void)state;
	refused("none.crt", "main.key", "none.crt: No such file or directory");
	refused("main.crt", "none.key", "none.key: No such file or directory");
	refused("main.crt", "other.key", "other.key: not the key of the first certificate in");
	refused("main.crt", "locked.key", "locked.key: the key is encrypted");
	refused("main.crt", "main.crt", "main.crt: no private key in PEM form in it");
	refused("main.key", "main.key", "main.key: no certificate in PEM form in it");

	why = text_over(why_mem, sizeof(why_mem));
	o = (struct tls_client_options){ .ca_file = path("none.crt") };
	assert_null(tls_client_ctx(&o, &why));
	assert_non_null(strstr(why_mem, "none.crt: No such file"));
	why = text_over(why_mem, sizeof(why_mem));
	o = (struct tls_client_options){ .ca_pem = SLICE("nonsense") };
	assert_null(tls_client_ctx(&o, &why));
	why = text_over(why_mem, sizeof(why_mem));
	o = (struct tls_client_options){ .ca_file = NULL };
	assert_null(tls_client_ctx(&o, &why));
	assert_null(tls_server_ctx(&none, &why));
}

static void
test_days_left(void **state)
{
	const char *both[] = { "other", "main" };
	struct tls_ctx *ctx = server_of(both, 2, true, NULL);
	struct tls_ctx *old = server("expired", true);

	(void)state;
	assert_in_range(tls_ctx_days_left(ctx), 9, 10); /* of the first to end */
	assert_int_equal(tls_ctx_days_left(old), -1);
	tls_ctx_unref(ctx);
	tls_ctx_unref(old);
}

/* Of a context's certificates, one is for these names, and none for those. */
static void
test_names_that_a_context_is_for(void **state)
{
	static const struct {
		const char *name;
		bool with_main;
		bool with_both;
	} cases[] = {
		{ "mx.example", true, true },
		{ "MX.example", true, true },
		{ "b.wild.example", true, true },
		{ "c.b.wild.example", false, false }, /* a wildcard is one label */
		{ "wild.example", false, false },
		{ "other.example", false, true },
		{ "none.example", false, false },
	};
	const char *both[] = { "main", "other" };
	struct tls_ctx *one = server("main", true);
	struct tls_ctx *two = server_of(both, 2, true, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice name = slice_str(cases[i].name);

		assert_int_equal(tls_ctx_is_for(one, name), cases[i].with_main);
		assert_int_equal(tls_ctx_is_for(two, name), cases[i].with_both);
	}
	tls_ctx_unref(one);
	tls_ctx_unref(two);
}

/* ---- ourselves against ourselves ------------------------------------------------------------- */

static bool
both_secured_or_closed(void)
{
	return a->trace_n && b->trace_n;
}

static bool
b_closed(void)
{
	return b->trace_n && b->trace[b->trace_n - 1] == 'X';
}

static bool
a_closed(void)
{
	return a->trace_n && a->trace[a->trace_n - 1] == 'X';
}

static bool
a_is_full(void)
{
	return buf_room(&a->s.in) == 0;
}

static bool
b_has_5(void)
{
	return b->got_n >= 5;
}

static bool
a_has_5(void)
{
	return a->got_n >= 5;
}

static void
secure(struct tls_ctx *cl, struct tls_ctx *sv, const char *host)
{
	assert_true(stream_secure(&a->s, cl, slice_str(host)));
	assert_true(stream_secure(&b->s, sv, slice_str(NULL)));
	tls_ctx_unref(cl);
	tls_ctx_unref(sv);
}

static void
shake(const char *host, struct tls_ctx *cl, struct tls_ctx *sv)
{
	duo_init(BUF_LARGE, BUF_LARGE);
	duo_tcp();
	secure(cl, sv, host);
	run_until(both_secured_or_closed);
}

static void
test_both_versions(void **state)
{
	static const struct {
		const char *cert;
		bool tls13;
		const char *version;
		const char *cipher;
	} cases[] = {
		{ "main", true, "TLSv1.3", "TLS_" },
		{ "main", false, "TLSv1.2", "TLS_ECDHE_ECDSA_WITH_" },
		{ "rsa", true, "TLSv1.3", "TLS_" },
		{ "rsa", false, "TLSv1.2", "TLS_ECDHE_RSA_WITH_" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char mem[256];
		struct text peer = text_over(mem, sizeof(mem));
		bool verified;

		shake("mx.example", client(cases[i].cert), server(cases[i].cert, cases[i].tls13));
		assert_string_equal(a->trace, "S");
		assert_string_equal(b->trace, "S");
		assert_string_equal(tls_version(a->s.tls), cases[i].version);
		assert_string_equal(tls_version(b->s.tls), cases[i].version);
		assert_true(slice_starts(slice_str(tls_cipher(a->s.tls)),
		    slice_str(cases[i].cipher)));
		assert_null(strchr(tls_cipher(b->s.tls), '-'));
		assert_true(slice_eq(tls_sni(b->s.tls), SLICE("mx.example")));
		assert_false(tls_resumed(b->s.tls));
		tls_peer_describe(a->s.tls, &peer, &verified);
		assert_true(verified);
		assert_int_equal(strncmp(mem, "CN=mx.example; CN=mx.example; 20", 32), 0);
		text_reset(&peer);
		tls_peer_describe(b->s.tls, &peer, &verified);
		assert_false(verified);
		assert_string_equal(mem, "");

		assert_true(stream_write(&a->s, SLICE("hello")));
		run_until(b_has_5);
		assert_true(stream_write(&b->s, SLICE("world")));
		run_until(a_has_5);
		assert_true(end_has(a, "world"));
		assert_true(end_has(b, "hello"));
		assert_null(a->s.in.mem);
		assert_null(b->s.in.mem);
		duo_fini();
	}
}

/* ---- who is it ------------------------------------------------------------------------------- */

static void
expect_refusal(const char *host, struct tls_ctx *cl, struct tls_ctx *sv, const char *words)
{
	duo_init(BUF_LARGE, BUF_LARGE);
	duo_tcp();
	secure(cl, sv, host);
	run_until(a_closed);
	assert_string_equal(a->trace, "X");
	assert_int_equal(a->s.error, STREAM_CERTIFICATE);
	assert_string_equal(stream_why(&a->s), words);
	duo_fini();
}

static void
expect_trust(const char *host, struct tls_ctx *cl, struct tls_ctx *sv)
{
	shake(host, cl, sv);
	if (strcmp(a->trace, "S") != 0)
		print_error("%s: %s\n", host, stream_why(&a->s));
	assert_string_equal(a->trace, "S");
	duo_fini();
}

static struct tls_ctx *
pinned(const char *cert, bool spoil)
{
	struct tls_client_options o = { .pinned = true };
	char out[256];
	char cmd[512];

	snprintf(cmd, sizeof(cmd),
	    "cd %s && openssl x509 -in %s.crt -outform DER | sha256sum > pin", dir, cert);
	assert_int_equal(system(cmd), 0);
	get_file("pin", out, sizeof(out));
	for (unsigned i = 0; i < 32; i++) {
		unsigned v;

		assert_int_equal(sscanf(out + (size_t)i * 2, "%2x", &v), 1);
		o.pin[i] = (unsigned char)v;
	}
	if (spoil)
		o.pin[31] ^= 1;
	why = text_over(why_mem, sizeof(why_mem));
	return tls_client_ctx(&o, &why);
}

static void
test_certificates(void **state)
{
	char mem[8192];
	struct tls_client_options o = { .ca_pem = get_file("main.crt", mem, sizeof(mem)) };

	(void)state;
	for (int tls13 = 0; tls13 < 2; tls13++) {
		expect_refusal("wrong.example", client("main"), server("main", tls13),
		    "certificate: name mismatch");
		expect_refusal("mx.example", client("other"), server("main", tls13),
		    "certificate: not trusted");
		expect_refusal("mx.example", client("expired"), server("expired", tls13),
		    "certificate: expired");
		expect_trust("MX.Example", client("main"), server("main", tls13));
		expect_trust("mx.example.", client("main"), server("main", tls13));
		expect_trust("x.wild.example", client("main"), server("main", tls13));
		expect_refusal("x.y.wild.example", client("main"), server("main", tls13),
		    "certificate: name mismatch");
		expect_refusal("wild.example", client("main"), server("main", tls13),
		    "certificate: name mismatch");

		/* Addresses. */
		expect_trust("127.0.0.1", client("main"), server("main", tls13));
		expect_refusal("127.0.0.2", client("main"), server("main", tls13),
		    "certificate: name mismatch");
		expect_refusal("::1", client("main"), server("main", tls13),
		    "certificate: name mismatch");
		expect_refusal("127.0.0.1", client("other"), server("main", tls13),
		    "certificate: not trusted");

		/* A pin: nothing else counts, and nothing else helps. */
		expect_trust("whatever.example", pinned("main", false), server("main", tls13));
		expect_trust("", pinned("expired", false), server("expired", tls13));
		expect_refusal("mx.example", pinned("main", true), server("main", tls13),
		    "certificate: not the pinned one");
		expect_refusal("mx.example", pinned("other", false), server("main", tls13),
		    "certificate: not the pinned one");

		/* No name, or none that could be one. */
		expect_refusal("", client("main"), server("main", tls13),
		    "certificate: no name to compare it with");
		expect_refusal("mx.example\n", client("main"), server("main", tls13),
		    "certificate: no name that could be in one");

		expect_trust("mx.example", tls_client_ctx(&o, &why), server("main", tls13));
	}
}

static void
test_addresses_are_not_sent(void **state)
{
	(void)state;
	shake("127.0.0.1", client("main"), server("main", true));
	assert_int_equal(tls_sni(b->s.tls).n, 0);
	duo_fini();
}

/* Which certificate a client gets to see. */
static void
test_sni(void **state)
{
	static const struct {
		const char *host;
		const char *trust;
	} cases[] = {
		{ "mx.example", "main" },
		{ "other.example", "other" },
		{ "OTHER.example", "other" },
		{ "a.wild.example", "other" }, /* the exact name goes before the wildcard */
		{ "b.wild.example", "main" },
	};
	const char *both[] = { "main", "other" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int tls13 = 0; tls13 < 2; tls13++)
			expect_trust(cases[i].host, client(cases[i].trust),
			    server_of(both, 2, tls13, NULL));
	}
	/* Nobody has that name: the first. */
	expect_refusal("none.example", client("main"), server_of(both, 2, true, NULL),
	    "certificate: name mismatch");
}

/* The trust store is read once, until its file changes. */
static void
test_trust_store_follows_its_file(void **state)
{
	struct timespec wait = { .tv_nsec = 20000000 };

	(void)state;
	assert_int_equal(shell("cp main.crt store.crt"), 0);
	struct tls_ctx *first = client("store");

	expect_trust("mx.example", client("store"), server("main", true));
	nanosleep(&wait, NULL);
	assert_int_equal(shell("cp other.crt store.crt"), 0);
	expect_refusal("mx.example", client("store"), server("main", true),
	    "certificate: not trusted");
	expect_trust("other.example", client("store"), server("other", true));
	expect_trust("mx.example", first, server("main", true)); /* the old one holds what it had */
}

/* ---- octets ---------------------------------------------------------------------------------- */

enum { BIG = 5 * 1024 * 1024 };

static size_t produced;
static uint64_t sum_out;
static uint64_t sum_in;

static uint64_t
checksum(uint64_t sum, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		sum = sum * 1099511628211U + (unsigned char)s.p[i];
	return sum;
}

static void
produce(struct end *e)
{
	char piece[3001];

	while (produced < BIG) {
		size_t n = BIG - produced < sizeof(piece) ? BIG - produced : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)((produced + i) * 2654435761U >> 13);
		if (!stream_write(&e->s, slice_of(piece, n))) {
			stream_want_lowat(&e->s, 8192);
			return;
		}
		sum_out = checksum(sum_out, slice_of(piece, n));
		produced += n;
	}
	stream_finish(&e->s, end_gone);
}

static void
on_producer(struct end *e, enum stream_event event)
{
	e->trace_n = 0;
	if (event == STREAM_SECURED || event == STREAM_LOWAT)
		produce(e);
}

static void
on_consumer(struct end *e, enum stream_event event)
{
	if (event != STREAM_DATA)
		return;
	struct slice in = slice_head(stream_in(&e->s), 17000);

	sum_in = checksum(sum_in, in);
	e->got_n += in.n;
	stream_consume(&e->s, in.n);
	stream_pause(&e->s);
}

static void
on_resume(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
	stream_resume(&a->s);
	stream_resume(&b->s);
}

static bool
all_over(void)
{
	return (a_closed() && b->trace[0] == 'G') || (b_closed() && a->trace[0] == 'G');
}

static void
move_big(struct end *from, struct end *to)
{
	ev_timer t;

	produced = 0;
	sum_in = 0;
	sum_out = 0;
	from->hook = on_producer;
	to->hook = on_consumer;
	to->keep = true;
	ev_timer_init(&t, on_resume, 0, 0.0002);
	ev_timer_start(loop_ev(duo.loop), &t);
	run_until(all_over);
	ev_timer_stop(loop_ev(duo.loop), &t);
	sum_in = checksum(sum_in, stream_in(&to->s));
	to->got_n += stream_in(&to->s).n;
	assert_int_equal(to->got_n, BIG);
	assert_true(sum_in == sum_out);
	assert_int_equal(to->s.error, STREAM_EOF);
	to->got_n = 0;
}

/* Records that go out in halves, buffers that are smaller than a record, a reader that stops all
 * the time. */
static void
test_much_data_both_ways(void **state)
{
	int small = 5000;

	(void)state;
	for (int i = 0; i < 4; i++) {
		duo_init(i & 2 ? BUF_LARGE : 9000, i & 2 ? BUF_LARGE : 20000);
		if (i & 2) {
			duo_tcp();
		} else {
			duo_pair(SOCK_STREAM);
			setsockopt(a->s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
			setsockopt(b->s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		}
		secure(client("main"), server("main", i & 1), "mx.example");
		if (i == 0 || i == 3)
			move_big(a, b);
		else
			move_big(b, a);
		duo_fini();
	}
}

/* Two connections that both leave octets behind share the buffer that is read ahead with. */
static void
test_read_ahead_is_shared(void **state)
{
	static struct end c;
	static struct end d;
	char mem[6000];
	int fd[2];

	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&d, 0, sizeof(d));
	memset(mem, 'x', sizeof(mem));
	duo_init(1000, BUF_LARGE);
	duo_pair(SOCK_STREAM);
	secure(client("main"), server("main", true), "mx.example");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	stream_init(&c.s, duo.loop, 1000, BUF_LARGE, end_event, &c);
	stream_init(&d.s, duo.loop, 1000, BUF_LARGE, end_event, &d);
	stream_adopt(&c.s, fd[0]);
	stream_adopt(&d.s, fd[1]);
	struct tls_ctx *cl = client("main");
	struct tls_ctx *sv = server("main", true);

	assert_true(stream_secure(&c.s, cl, SLICE("mx.example")));
	assert_true(stream_secure(&d.s, sv, slice_str(NULL)));
	tls_ctx_unref(cl);
	tls_ctx_unref(sv);
	run_for(0.1);
	assert_string_equal(d.trace, "S");

	b->keep = true;
	d.keep = true;
	for (int i = 0; i < 5; i++) {
		assert_true(stream_write(&a->s, slice_of(mem, sizeof(mem))));
		assert_true(stream_write(&c.s, slice_of(mem, sizeof(mem))));
		run_for(0.01);
	}
	b->keep = false;
	d.keep = false;
	end_consume(b);
	end_consume(&d);
	run_for(0.05);
	assert_int_equal(b->got_n, 5 * sizeof(mem));
	assert_int_equal(d.got_n, 5 * sizeof(mem));
	stream_close(&c.s);
	stream_close(&d.s);
	free(c.got);
	free(d.got);
	duo_fini();
}

/* A write that failed is owed to nobody: the output was dropped, and the turn that comes must not
 * offer as many octets of nothing. */
static void
test_output_lost_while_a_task_waits(void **state)
{
	(void)state;
	duo_init(64, BUF_LARGE);
	duo_tcp();
	secure(client("main"), server("main", true), "mx.example");
	run_until(both_secured_or_closed);

	/* The input is full and stays so: the end is found by writing. */
	a->keep = true;
	for (unsigned i = 0; i < 4; i++)
		assert_true(stream_write(&b->s, slice_of(why_mem, 64)));
	run_until(a_is_full);
	stream_reset(&b->s);

	stream_due_next(&a->s, DUE_READ);
	assert_true(stream_write(&a->s, SLICE("a line of some length")));
	stream_flush(&a->s);
	assert_int_equal(a->s.error, STREAM_RESET);
	assert_int_equal(buf_used(&a->s.out), 0);
	assert_true(stream_write(&a->s, SLICE("more")));
	assert_int_equal(buf_used(&a->s.out), 0);
	run_until(a_closed);
	assert_int_equal(a->s.error, STREAM_RESET);
	assert_int_equal(a->s.sent, 0);
	duo_fini();
}

/* Whoever cannot write any more still reads: two peers that both write first would wait for each
 * other. */
static void
test_blocked_writer_still_hears(void **state)
{
	char mem[900];
	int small = 4096;

	(void)state;
	memset(mem, 'x', sizeof(mem));
	duo_init(1000, BUF_LARGE);
	duo_pair(SOCK_STREAM);
	setsockopt(b->s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	secure(client("main"), server("main", true), "mx.example");
	run_until(both_secured_or_closed);
	stream_pause(&a->s);
	for (int i = 0; i < 20; i++) {
		assert_true(stream_write(&b->s, slice_of(mem, sizeof(mem))));
		run_for(0.002);
	}
	assert_true(b->s.blocked);
	assert_true(stream_write(&a->s, SLICE("hello")));
	run_until(b_has_5);
	assert_true(end_has(b, "hello"));
	stream_resume(&a->s);
	run_for(0.05);
	assert_int_equal(a->got_n, 20 * sizeof(mem));
	duo_fini();
}

/* ---- a wire that passes single octets -------------------------------------------------------- */

static struct {
	struct end x;
	struct end y;
} drip;

static void
on_drip(struct end *e, enum stream_event event)
{
	struct end *to = e == &drip.x ? &drip.y : &drip.x;

	e->trace_n = 0;
	if (event == STREAM_DATA && buf_used(&to->s.out) == 0) {
		assert_true(stream_write(&to->s, slice_head(stream_in(&e->s), 1)));
		stream_consume(&e->s, 1);
		stream_want_lowat(&to->s, 0);
	}
	if (event == STREAM_LOWAT && stream_in(&to->s).n) {
		assert_true(stream_write(&e->s, slice_head(stream_in(&to->s), 1)));
		stream_consume(&to->s, 1);
		stream_want_lowat(&e->s, 0);
	}
}

static void
test_octet_by_octet(void **state)
{
	int left[2];
	int right[2];

	(void)state;
	for (int tls13 = 0; tls13 < 2; tls13++) {
		memset(&drip, 0, sizeof(drip));
		duo_init(BUF_LARGE, BUF_LARGE);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, left), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, right), 0);
		stream_adopt(&a->s, left[0]);
		stream_adopt(&b->s, right[0]);
		stream_init(&drip.x.s, duo.loop, BUF_LARGE, BUF_LARGE, end_event, &drip.x);
		stream_init(&drip.y.s, duo.loop, BUF_LARGE, BUF_LARGE, end_event, &drip.y);
		drip.x.keep = drip.y.keep = true;
		drip.x.hook = drip.y.hook = on_drip;
		stream_adopt(&drip.x.s, left[1]);
		stream_adopt(&drip.y.s, right[1]);
		secure(client("main"), server("main", tls13), "mx.example");
		run_until(both_secured_or_closed);
		assert_string_equal(a->trace, "S");
		assert_true(stream_write(&a->s, SLICE("hello")));
		run_until(b_has_5);
		assert_true(stream_write(&b->s, SLICE("world")));
		run_until(a_has_5);
		assert_true(end_has(b, "hello"));
		assert_true(end_has(a, "world"));
		stream_close(&drip.x.s);
		stream_close(&drip.y.s);
		duo_fini();
	}
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* ---- many at once ---------------------------------------------------------------------------- */

enum { MANY = 64 };

static struct stream many[MANY][2];
static size_t many_n;
static unsigned many_secured;
static uint64_t called;

static void
on_many(void *owner, enum stream_event event)
{
	(void)owner;
	assert_int_equal(event, STREAM_SECURED);
	many_secured++;
}

static bool
all_secured(void)
{
	return many_secured == 2 * many_n;
}

static void
count_and_invoke(struct ev_loop *ev)
{
	called += ev_pending_count(ev);
	ev_invoke_pending(ev);
}

static void (*run_task)(struct task *t);

static void
count_and_run(struct task *t)
{
	called++;
	run_task(t);
}

/* How often libev or the loop calls somebody until N handshakes that began together are done. */
static uint64_t
calls_of_handshakes(size_t n)
{
	struct tls_ctx *cl = client("main");
	struct tls_ctx *sv = server("main", true);

	duo_init(64, 64);
	many_n = n;
	many_secured = 0;
	called = 0;
	ev_set_invoke_pending_cb(loop_ev(duo.loop), count_and_invoke);
	for (size_t i = 0; i < n; i++) {
		int fd[2];

		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
		for (size_t k = 0; k < 2; k++) {
			stream_init(&many[i][k], duo.loop, 64, 64, on_many, NULL);
			stream_adopt(&many[i][k], fd[k]);
			run_task = many[i][k].again.fn;
			many[i][k].again.fn = count_and_run;
			assert_true(stream_secure(&many[i][k], k ? sv : cl,
			    slice_str(k ? "" : "mx.example")));
		}
	}
	run_until(all_secured);
	for (size_t i = 0; i < n; i++) {
		stream_close(&many[i][0]);
		stream_close(&many[i][1]);
	}
	tls_ctx_unref(cl);
	tls_ctx_unref(sv);
	duo_fini();
	return called;
}

/* Each waits for its turn without being asked in each turn: four times as many cost about four
 * times as much. */
static void
test_handshakes_wait_in_line(void **state)
{
	uint64_t few = calls_of_handshakes(MANY / 4);
	uint64_t many_calls = calls_of_handshakes(MANY);

	(void)state;
	print_message("%llu calls for %d, %llu for %d\n", (unsigned long long)few, MANY / 4,
	    (unsigned long long)many_calls, MANY);
	assert_true(many_calls < few * 6);
}

/* One that goes while it stands in the line leaves no gap. */
static void
test_handshakes_that_go_leave_the_line(void **state)
{
	struct tls_ctx *sv = server("main", true);
	static int fds[MANY][2];

	(void)state;
	duo_init(64, 64);
	for (size_t i = 0; i < MANY; i++) {
		int *fd = fds[i];

		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
		stream_init(&many[i][0], duo.loop, 64, 64, on_many, NULL);
		stream_adopt(&many[i][0], fd[0]);
		assert_true(stream_secure(&many[i][0], sv, slice_str("")));
	}
	run_for(0);
	assert_int_equal(many[MANY - 1][0].turn, TURN_WAITS);
	for (size_t i = 0; i < MANY; i++) {
		stream_close(&many[(i * 37) % MANY][0]);
		close(fds[i][1]);
	}
	tls_ctx_unref(sv);
	duo_fini();

	shake("mx.example", client("main"), server("main", true));
	assert_string_equal(a->trace, "S");
	duo_fini();
}

static void
test_close_notify_is_an_end_and_a_cut_is_none(void **state)
{
	(void)state;
	for (int tls13 = 0; tls13 < 2; tls13++) {
		shake("mx.example", client("main"), server("main", tls13));
		assert_true(stream_write(&a->s, SLICE("hello")));
		stream_finish(&a->s, end_gone);
		run_until(b_closed);
		assert_string_equal(b->trace, "SDX");
		assert_int_equal(b->s.error, STREAM_EOF);
		assert_true(end_has(b, "hello"));
		stream_close(&b->s);
		run_for(0.02);
		assert_string_equal(a->trace, "SG");
		duo_fini();

		shake("mx.example", client("main"), server("main", tls13));
		assert_true(stream_write(&a->s, SLICE("hello")));
		stream_flush(&a->s);
		stream_close(&a->s);
		run_until(b_closed);
		assert_string_equal(b->trace, "SDX");
		assert_int_equal(b->s.error, STREAM_RESET);
		duo_fini();
	}
}

/* Whoever cuts a TLS connection and goes on in plain is not heard. */
static void
test_plain_octets_in_tls_end_it(void **state)
{
	(void)state;
	shake("mx.example", client("main"), server("main", true));
	assert_int_equal(send(a->s.fd, "MAIL FROM:<>\r\n", 14, 0), 14);
	run_until(b_closed);
	assert_string_equal(b->trace, "SX");
	assert_int_equal(b->s.error, STREAM_TLS);
	assert_int_equal(b->got_n, 0);
	duo_fini();
}

static void
test_what_is_not_tls(void **state)
{
	struct tls_ctx *sv = server("main", true);

	(void)state;
	duo_init(4096, 4096);
	duo_tcp();
	assert_true(stream_secure(&b->s, sv, slice_str(NULL)));
	tls_ctx_unref(sv);
	assert_true(stream_write(&a->s, SLICE("EHLO client.example\r\n")));
	run_until(b_closed);
	assert_string_equal(b->trace, "X");
	assert_int_equal(b->s.error, STREAM_TLS);
	assert_string_equal(stream_why(&b->s), "not TLS");
	duo_fini();

	/* Gone in the middle of the handshake. */
	sv = server("main", true);
	duo_init(4096, 4096);
	duo_tcp();
	assert_true(stream_secure(&b->s, sv, slice_str(NULL)));
	tls_ctx_unref(sv);
	stream_close(&a->s);
	run_until(b_closed);
	assert_int_equal(b->s.error, STREAM_TLS);
	assert_string_equal(stream_why(&b->s), "connection lost");
	duo_fini();
}

/* ---- STARTTLS -------------------------------------------------------------------------------- */

static struct tls_ctx *starttls_ctx;
static bool starttls_answer;

static void
on_starttls(struct end *e, enum stream_event event)
{
	if (event != STREAM_DATA || e->s.tls)
		return;
	struct slice in = stream_in(&e->s);

	assert_true(slice_starts(in, SLICE("STARTTLS\r\n")));
	stream_consume(&e->s, 10);
	assert_true(stream_write(&e->s, SLICE("220 go ahead\r\n")));
	starttls_answer = stream_secure(&e->s, starttls_ctx, slice_str(NULL));
	e->keep = false;
}

static void
on_220(struct end *e, enum stream_event event)
{
	if (event != STREAM_DATA || e->s.tls)
		return;
	struct tls_ctx *cl = client("main");

	assert_true(end_has(e, "220 go ahead\r\n"));
	e->got_n = 0;
	assert_true(stream_secure(&e->s, cl, SLICE("mx.example")));
	tls_ctx_unref(cl);
	assert_true(stream_write(&e->s, SLICE("EHLO inside\r\n"))); /* leaves under TLS only */
}

static bool
b_has_ehlo(void)
{
	return b->got_n == 13;
}

static void
test_starttls(void **state)
{
	(void)state;
	duo_init(4096, 4096);
	duo_tcp();
	starttls_ctx = server("main", true);
	starttls_answer = false;
	a->hook = on_220;
	b->hook = on_starttls;
	b->keep = true;
	assert_true(stream_write(&a->s, SLICE("STARTTLS\r\n")));
	run_until(b_has_ehlo);
	assert_true(starttls_answer);
	assert_true(end_has(b, "EHLO inside\r\n"));
	assert_string_equal(a->trace, "DS");
	assert_string_equal(b->trace, "DSD");
	duo_fini();

	/* One octet more behind the command. */
	duo_init(4096, 4096);
	duo_tcp();
	b->hook = on_starttls;
	b->keep = true;
	starttls_answer = true;
	assert_true(stream_write(&a->s, SLICE("STARTTLS\r\nRSET\r\n")));
	run_until(a_has_5);
	assert_false(starttls_answer);
	assert_null(b->s.tls);
	duo_fini();
	tls_ctx_unref(starttls_ctx);
}

/* The 220 does not fit into the kernel at once: the handshake waits for it. */
static void
test_starttls_waits_for_the_output(void **state)
{
	int small = 4096;
	char mem[4096];
	size_t n = 0;
	ssize_t got;
	int fd[2];
	struct tls_ctx *sv = server("main", true);

	(void)state;
	memset(mem, 'x', sizeof(mem));
	duo_init(4096, 65536);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	stream_adopt(&b->s, fd[0]);
	for (int i = 0; i < 7; i++)
		assert_true(stream_write(&b->s, slice_of(mem, sizeof(mem))));
	assert_true(stream_secure(&b->s, sv, slice_str(NULL)));
	tls_ctx_unref(sv);
	assert_int_equal(send(fd[1], "\x16\x03\x01", 3, 0), 3); /* read by TLS alone */
	while (n < 7 * sizeof(mem)) {
		run_for(0.01);
		while ((got = recv(fd[1], mem, sizeof(mem), 0)) > 0)
			n += (size_t)got;
	}
	assert_int_equal(n, 7 * sizeof(mem));
	assert_int_equal(stream_in(&b->s).n, 0);
	assert_int_equal(b->s.received, 0);
	assert_true(stream_is_open(&b->s));
	close(fd[1]);
	duo_fini();
}

/* ---- openssl(1) ------------------------------------------------------------------------------ */

static int listener;
static ev_io accepting;
static ev_timer ticking;
static pid_t foreign;
static int foreign_status;
static struct tls_ctx *foreign_ctx;
static bool foreign_resumed;
static char foreign_version[16];
static char foreign_peer[256];

static void
on_echo(struct end *e, enum stream_event event)
{
	bool verified;

	if (event == STREAM_SECURED) {
		struct text peer = text_over(foreign_peer, sizeof(foreign_peer));

		foreign_resumed = tls_resumed(e->s.tls);
		snprintf(foreign_version, sizeof(foreign_version), "%s", tls_version(e->s.tls));
		tls_peer_describe(e->s.tls, &peer, &verified);
		text_put(&peer, verified ? SLICE(" verified") : SLICE(" not verified"));
	}
	if (event == STREAM_DATA && e->got_n && e->got[e->got_n - 1] == '\n') {
		assert_true(stream_write(&e->s, SLICE("heard\n")));
		stream_finish(&e->s, end_gone);
	}
}

static void
on_accept(struct ev_loop *ev, ev_io *w, int revents)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)ev;
	(void)w;
	(void)revents;
	assert_true(fd >= 0);
	stream_adopt(&b->s, fd);
	assert_true(stream_secure(&b->s, foreign_ctx, slice_str(NULL)));
}

static void
on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
}

static bool
foreign_is_done(void)
{
	return foreign && waitpid(foreign, &foreign_status, WNOHANG) == foreign;
}

static bool
out_has(const char *what)
{
	char mem[32768];

	get_file("out", mem, sizeof(mem));
	if (!strstr(mem, what))
		print_message("%s\n", mem);
	return strstr(mem, what) != NULL;
}

/* Runs "openssl s_client ARGS" against our server; what it printed is in the file "out". True where
 * it ended well. */
static bool
s_client(struct tls_ctx *ctx, const char *args)
{
	char cmd[1024];

	duo_init(4096, 4096);
	listener = listen_on_loopback();
	foreign_ctx = ctx;
	foreign_version[0] = 0;
	foreign_peer[0] = 0;
	foreign_resumed = false;
	b->hook = on_echo;
	ev_io_init(&accepting, on_accept, listener, EV_READ);
	ev_io_start(loop_ev(duo.loop), &accepting);
	ev_timer_init(&ticking, on_tick, 0, 0.005);
	ev_timer_start(loop_ev(duo.loop), &ticking);

	snprintf(cmd, sizeof(cmd),
	    "cd %s && { echo hello; sleep 1; } | openssl s_client -connect 127.0.0.1:%d -ign_eof %s > out 2>&1",
	    dir, duo.port, args);
	foreign = fork();
	if (foreign == 0) {
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	run_until(foreign_is_done);
	ev_io_stop(loop_ev(duo.loop), &accepting);
	ev_timer_stop(loop_ev(duo.loop), &ticking);
	close(listener);
	duo_fini();
	return WIFEXITED(foreign_status) && WEXITSTATUS(foreign_status) == 0;
}

static void
test_openssl_as_client(void **state)
{
	const char *both[] = { "main", "other", "rsa" };
	struct tls_ctx *ctx = server_of(both, 3, true, NULL);

	(void)state;
	assert_true(s_client(ctx,
	    "-CAfile main.crt -verify_return_error -verify_hostname mx.example"));
	assert_string_equal(foreign_version, "TLSv1.3");
	assert_true(out_has("heard"));
	assert_true(out_has("Verify return code: 0 (ok)"));
	assert_true(s_client(ctx,
	    "-tls1_2 -CAfile other.crt -verify_return_error -servername other.example"));
	assert_string_equal(foreign_version, "TLSv1.2");
	assert_true(out_has("heard"));
	/* The ECDSA certificate's twin, for whoever knows only RSA. */
	assert_true(s_client(ctx,
	    "-sigalgs rsa_pss_rsae_sha256 -CAfile rsa.crt -verify_return_error -servername mx.example"));
	assert_true(out_has("heard"));
	assert_true(s_client(ctx,
	    "-sigalgs rsa_pss_rsae_sha256 -CAfile rsa.crt -verify_return_error -noservername"));
	/* Below 1.2: no. */
	assert_false(s_client(ctx, "-tls1_1 -cipher ALL:@SECLEVEL=0"));
	assert_string_equal(foreign_version, "");
	/* No renegotiation. */
	assert_true(s_client(ctx, "-tls1_2 -CAfile main.crt"));
	assert_true(out_has("Secure Renegotiation IS supported"));
	tls_ctx_unref(ctx);
}

static void
test_tickets(void **state)
{
	static const char *const versions[] = { "-tls1_2", "-tls1_3" };
	const char *name[] = { "main" };
	char args[128];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct tls_ctx *one = server_of(name, 1, true, key_one);
		struct tls_ctx *twin = server_of(name, 1, true, key_one);  /* another worker */
		struct tls_ctx *other = server_of(name, 1, true, key_two); /* another listener */
		struct tls_ctx *none = server_of(name, 1, true, NULL);

		snprintf(args, sizeof(args), "%s -sess_out ticket", versions[i]);
		assert_true(s_client(one, args));
		assert_false(foreign_resumed);
		snprintf(args, sizeof(args), "%s -sess_in ticket", versions[i]);
		assert_true(s_client(one, args));
		assert_true(foreign_resumed);
		assert_true(s_client(twin, args));
		assert_true(foreign_resumed);
		assert_true(s_client(other, args));
		assert_false(foreign_resumed);
		assert_true(s_client(none, args));
		assert_false(foreign_resumed);

		/* The key before this one is still read, the one before that is not. */
		tls_ctx_rotate_ticket_key(one, key_two);
		assert_true(s_client(one, args));
		assert_true(foreign_resumed);
		tls_ctx_rotate_ticket_key(one, (const unsigned char[32]){ 3 });
		assert_true(s_client(one, args));
		assert_false(foreign_resumed);
		tls_ctx_unref(one);
		tls_ctx_unref(twin);
		tls_ctx_unref(other);
		tls_ctx_unref(none);
	}
}

/* In TLS 1.3 a client uses a ticket once: a session that was resumed brings the next. */
static void
test_each_session_brings_a_ticket(void **state)
{
	const char *name[] = { "main" };
	struct tls_ctx *ctx = server_of(name, 1, true, key_one);

	(void)state;
	assert_true(s_client(ctx, "-tls1_3 -sess_out first"));
	assert_true(s_client(ctx, "-tls1_3 -sess_in first -sess_out second"));
	assert_true(foreign_resumed);
	assert_true(s_client(ctx, "-tls1_3 -sess_in second"));
	assert_true(foreign_resumed);
	tls_ctx_unref(ctx);
}

static void
test_client_certificates(void **state)
{
	struct tls_pair pair = { .chain_file = path("main.crt"), .key_file = path("main.key") };
	struct tls_server_options o = {
		.pairs = &pair,
		.pairs_n = 1,
		.tls13 = true,
		.client_cert = TLS_CLIENT_CERT_OPTIONAL,
		.client_ca_file = path("rsa.crt"),
	};

	(void)state;
	why = text_over(why_mem, sizeof(why_mem));
	struct tls_ctx *optional = tls_server_ctx(&o, &why);

	assert_non_null(optional);
	assert_true(s_client(optional, "-CAfile main.crt"));
	assert_string_equal(foreign_peer, " not verified");
	assert_true(s_client(optional, "-CAfile main.crt -cert rsa.crt -key rsa.key"));
	assert_non_null(strstr(foreign_peer, "CN=mx.example; CN=mx.example"));
	assert_non_null(strstr(foreign_peer, " verified"));
	assert_null(strstr(foreign_peer, "not verified"));
	assert_true(s_client(optional, "-CAfile main.crt -cert other.crt -key other.key"));
	assert_non_null(strstr(foreign_peer, "not verified"));
	tls_ctx_unref(optional);

	o.client_cert = TLS_CLIENT_CERT_REQUIRED;
	struct tls_ctx *required = tls_server_ctx(&o, &why);

	assert_non_null(required);
	assert_true(s_client(required, "-CAfile main.crt -cert rsa.crt -key rsa.key"));
	assert_non_null(strstr(foreign_peer, " verified"));
	(void)s_client(required, "-CAfile main.crt");
	assert_string_equal(foreign_peer, "");
	tls_ctx_unref(required);

	o.client_ca_file = NULL;
	assert_null(tls_server_ctx(&o, &why));
}

static void
on_hello(struct end *e, enum stream_event event)
{
	if (event == STREAM_SECURED)
		assert_true(stream_write(&e->s, SLICE("hello\nQ\n")));
}

static bool
a_has_ok(void)
{
	return a_closed() || (a->got_n && memmem(a->got, a->got_n, "olleh", 5));
}

/* "openssl s_server ARGS" for our client; it sends back each line reversed. */
static void
s_server(const char *cert, const char *args, struct tls_ctx *cl, const char *host)
{
	struct sockaddr_in to;
	char cmd[1024];

	duo_init(4096, 4096);
	close(listen_on_loopback()); /* a free port */
	to = loopback(duo.port);
	snprintf(cmd, sizeof(cmd),
	    "cd %s && exec openssl s_server -accept 127.0.0.1:%d -cert %s.crt -key %s.key "
	    "-rev %s > out 2>&1",
	    dir, duo.port, cert, cert, args);
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	a->hook = on_hello;
	for (int i = 0; i < 200; i++) {
		struct timespec wait = { .tv_nsec = 10000000 };
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
			assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
			stream_adopt(&a->s, fd);
			break;
		}
		close(fd);
		nanosleep(&wait, NULL);
	}
	assert_true(stream_is_open(&a->s));
	assert_true(stream_secure(&a->s, cl, slice_str(host)));
	tls_ctx_unref(cl);
	run_until(a_has_ok);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

/* Servers of both kinds of key, of both versions, in the client's order and in their own: all can
 * be spoken to. The one that mbedTLS cannot follow costs a second connection, no third. */
static void
test_openssl_in_its_own_order(void **state)
{
	static const struct {
		const char *cert, *args, *version;
		unsigned connections;
	} cases[] = {
		{ "main", "-tls1_2", "TLSv1.2", 1 },
		{ "main", "-tls1_2 -serverpref", "TLSv1.2", 1 },
		{ "main", "-tls1_3", "TLSv1.3", 1 },
		{ "main", "-serverpref", "TLSv1.3", 1 },
		{ "rsa", "-tls1_2", "TLSv1.2", 1 },
		{ "rsa", "-tls1_2 -serverpref", "TLSv1.2", 2 }, /* 1 by OpenSSL */
		{ "rsa", "-tls1_3", "TLSv1.3", 1 },
		{ "rsa", "-serverpref", "TLSv1.3", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_ctx *cl = client(cases[i].cert);
		unsigned connections = 1;
		unsigned expected = is_openssl() ? 1 : cases[i].connections;

		s_server(cases[i].cert, cases[i].args, tls_ctx_ref(cl), "mx.example");
		if (a_closed() && stream_wants_again(&a->s)) {
			connections++;
			duo_fini();
			s_server(cases[i].cert, cases[i].args, tls_ctx_ref(tls_ctx_second(cl)),
			    "mx.example");
			assert_false(a_closed() && stream_wants_again(&a->s));
		}
		if (a_closed() || connections != expected)
			fail_msg("%s %s: %u connections, %s", cases[i].cert, cases[i].args,
			    connections, stream_why(&a->s));
		assert_string_equal(tls_version(a->s.tls), cases[i].version);
		tls_ctx_unref(cl);
		duo_fini();
	}
}

static void
test_openssl_as_server(void **state)
{
	(void)state;
	s_server("main", "-tls1_3", client("main"), "mx.example");
	assert_false(a_closed());
	assert_string_equal(tls_version(a->s.tls), "TLSv1.3");
	duo_fini();
	/* With mbedTLS's own order of signatures this one fails. */
	s_server("rsa", "-tls1_2", client("rsa"), "mx.example");
	assert_false(a_closed());
	assert_string_equal(tls_version(a->s.tls), "TLSv1.2");
	duo_fini();
	s_server("main", "", client("main"), "other.example");
	assert_true(a_closed());
	assert_int_equal(a->s.error, STREAM_CERTIFICATE);
	duo_fini();
	s_server("main", "-tls1_1 -cipher ALL:@SECLEVEL=0", client("main"), "mx.example");
	assert_true(a_closed());
	assert_int_equal(a->s.error, STREAM_TLS);
	assert_string_equal(stream_why(&a->s), "peer refused: protocol version");
	duo_fini();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contexts_say_what_is_wrong),
		cmocka_unit_test(test_days_left),
		cmocka_unit_test(test_names_that_a_context_is_for),
		cmocka_unit_test(test_both_versions),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_addresses_are_not_sent),
		cmocka_unit_test(test_sni),
		cmocka_unit_test(test_trust_store_follows_its_file),
		cmocka_unit_test(test_much_data_both_ways),
		cmocka_unit_test(test_read_ahead_is_shared),
		cmocka_unit_test(test_output_lost_while_a_task_waits),
		cmocka_unit_test(test_blocked_writer_still_hears),
		cmocka_unit_test(test_octet_by_octet),
		cmocka_unit_test(test_handshakes_wait_in_line),
		cmocka_unit_test(test_handshakes_that_go_leave_the_line),
		cmocka_unit_test(test_close_notify_is_an_end_and_a_cut_is_none),
		cmocka_unit_test(test_plain_octets_in_tls_end_it),
		cmocka_unit_test(test_what_is_not_tls),
		cmocka_unit_test(test_starttls),
		cmocka_unit_test(test_starttls_waits_for_the_output),
		cmocka_unit_test(test_openssl_as_client),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_each_session_brings_a_ticket),
		cmocka_unit_test(test_client_certificates),
		cmocka_unit_test(test_openssl_in_its_own_order),
		cmocka_unit_test(test_openssl_as_server),
	};

	return cmocka_run_group_tests(tests, make_all, remove_all);
}
