/* SPDX-License-Identifier: Apache-2.0 */
/* TLS and AUTH to an upstream: what must hold before a credential goes out. */
#include "relay_rig.h"

#include <sys/stat.h>

#define PASSWORD "s3cret-Passw0rd"
#define EHLO_TLS "S 220 fake\nC EHLO me.example\nS 250-fake|250 STARTTLS\n"
#define STARTTLS EHLO_TLS "C STARTTLS\nS 220 go\nT\n"
#define AUTHS    "C EHLO me.example\nS 250-fake|250-PIPELINING|250-8BITMIME|250 AUTH PLAIN LOGIN\n"
#define AUTH_LOGIN \
	"C AUTH LOGIN\r\n\nS 334\nC dXNlckBhLmV4YW1wbGU=\r\n\nS 334 \nC czNjcmV0LVBhc3N3MHJk\r\n\nS 235 ok\n"
#define STEPS "C MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\nQ\n"
/* NUL user NUL PASSWORD */
#define AUTH_PLAIN "C AUTH PLAIN AHVzZXJAYS5leGFtcGxlAHMzY3JldC1QYXNzdzByZA==\r\n"

static char dir[] = "/tmp/byway-relay-XXXXXX";
static char ca_file[300], key_file[300];
static char cert_pem[4096];
static char blob[VAULT_BLOB_MAX];

static void
put_file(const char *name, const char *what)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(what, f);
	assert_int_equal(fclose(f), 0);
}

static int
set_up(void **state)
{
	static char key_pem[4096];
	struct text key = text_over(key_pem, sizeof(key_pem));
	struct text cert = text_over(cert_pem, sizeof(cert_pem));
	struct slice names[] = { SLICE("localhost") };
	char mem[256];
	struct text why = text_over(mem, sizeof(mem));

	(void)state;
	assert_true(crypto_init());
	assert_true(tls_init(&why));
	assert_non_null(mkdtemp(dir));
	assert_true(crypto_self_signed(CRYPTO_ECDSA, names, 1, 30, &key, &cert));
	put_file("key.pem", key_pem);
	put_file("cert.pem", cert_pem);
	snprintf(ca_file, sizeof(ca_file), "%s/cert.pem", dir);
	snprintf(key_file, sizeof(key_file), "%s/vault.key", dir);
	assert_true(vault_create(key_file, &why));
	rig.vault = vault_open(key_file, &why);
	assert_non_null(rig.vault);
	return 0;
}

static int
tear_down(void **state)
{
	char command[400];

	(void)state;
	vault_close(rig.vault);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void
start(struct fake *f, const char *script)
{
	fake_start(f, script, dir);
	rig.conf = rig_conf();
	rig.conf.upstream.ca_file = ca_file;
	rig_open();
}

static struct profile
profile_of(const struct fake *f, enum upstream_tls tls, const char *user)
{
	struct profile p = rig_profile(f, tls);

	p.host = "localhost";
	p.username = user;
	return p;
}

static void
seal(struct profile *p)
{
	unsigned char bound[PROFILE_BOUND];
	struct vault_place at = profile_place(p, "password", bound);
	struct text t = text_over(blob, sizeof(blob));
	struct secret s;

	assert_true(secret_init(&s, SLICE(PASSWORD)));
	assert_true(vault_seal(rig.vault, &at, &s, &t));
	secret_fini(&s);
	p->password = blob;
}

struct row {
	const char *name;
	const char *script;
	enum upstream_tls tls;
	bool auth;
	const char *host;
	enum verdict_class class; /* told at RCPT; OK: the mail is sent */
	const char *never;        /* what must not have been said */
};

static const struct row rows[] = {
	{ "STARTTLS", STARTTLS "E\n" MESSAGE "Q\n", UPSTREAM_TLS_STARTTLS, false, NULL, VERDICT_OK,
	    NULL },
	{ "implicit TLS", "T\n" HELLO MESSAGE "Q\n", UPSTREAM_TLS_IMPLICIT, false, NULL, VERDICT_OK,
	    NULL },
	{ "STARTTLS is not offered", HELLO "Q\n", UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_CONFIG,
	    "AUTH" },
	{ "STARTTLS is refused", EHLO_TLS "C STARTTLS\nS 454 no\nQ\n", UPSTREAM_TLS_STARTTLS, true,
	    NULL, VERDICT_TLS, "AUTH" },
	{ "STARTTLS: no answer", EHLO_TLS "C STARTTLS\nX\n", UPSTREAM_TLS_STARTTLS, true, NULL,
	    VERDICT_LOST, "AUTH" },
	{ "injection: a reply", EHLO_TLS "C STARTTLS\nR 220 go\\r\\n250 AUTH LOGIN\\r\\n\nT\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_PROTOCOL, "AUTH" },
	{ "injection: half a reply", EHLO_TLS "C STARTTLS\nR 220 go\\r\\n250-AU\nT\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_TLS, "AUTH" },
	{ "no TLS behind STARTTLS", EHLO_TLS "C STARTTLS\nS 220 go\nP 50\nS 250 what\nQ\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_TLS, "AUTH" },
	{ "silence in the handshake", EHLO_TLS "C STARTTLS\nS 220 go\nW\n", UPSTREAM_TLS_STARTTLS,
	    true, NULL, VERDICT_TLS, NULL },
	{ "the wrong name", STARTTLS "Q\n", UPSTREAM_TLS_STARTTLS, true, "127.0.0.1", VERDICT_TLS,
	    "AUTH" },
	{ "offers before TLS are forgotten",
	    "S 220 x\nC EHLO\nS 250-x|250-STARTTLS|250-AUTH PLAIN|250 SIZE 1\nC STARTTLS\nS 220 go\nT\n"
	    "C EHLO\nS 250 x\nQ\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_CONFIG, "AUTH" },
	{ "AUTH PLAIN", STARTTLS AUTHS AUTH_PLAIN "S 235 2.7.0 ok\n" MESSAGE "Q\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_OK, NULL },
	{ "AUTH LOGIN",
	    STARTTLS
	    "C EHLO\nS 250-x|250 AUTH=LOGIN\nC AUTH LOGIN\r\nS 334 VXNlcm5hbWU6\nC dXNlckBhLmV4YW1wbGU=\r\n"
	    "S 334 UGFzc3dvcmQ6\nC czNjcmV0LVBhc3N3MHJk\r\nS 235 ok\nC MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\n"
	    "S 354 go\nD\nS 250 ok\nQ\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_OK, NULL },
	{ "AUTH CRAM-MD5",
	    STARTTLS
	    "C EHLO\nS 250-x|250 AUTH CRAM-MD5 X\nC AUTH CRAM-MD5\r\n"
	    "S 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\nC dXNlckBhLmV4YW1wbGUg\n"
	    "S 235 ok\nC MAIL\nS 250 ok\nC RCPT\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\nQ\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_OK, NULL },
	{ "AUTH refused", STARTTLS AUTHS "C AUTH\nS 535 5.7.8 no\nQ\n", UPSTREAM_TLS_STARTTLS, true,
	    NULL, VERDICT_AUTH, "MAIL" },
	{ "AUTH in lower case",
	    STARTTLS "C EHLO\nS 250-x|250 auth plain\n" AUTH_PLAIN "S 235 ok\n" STEPS,
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_OK, NULL },
	{ "EHLO with tabs and blanks",
	    STARTTLS "C EHLO\nS 250-x|250-SIZE  1000 |250 AUTH  LOGIN   PLAIN  \n" AUTH_PLAIN
	             "S 235 ok\n" STEPS,
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_OK, NULL },
	{ "AUTH among those that we do not know",
	    STARTTLS "C EHLO\nS 250-x|250 AUTH GSSAPI NTLM LOGIN\n" AUTH_LOGIN STEPS,
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_OK, NULL },
	{ "AUTH NTLM alone", STARTTLS "C EHLO\nS 250-x|250 AUTH NTLM\nQ\n", UPSTREAM_TLS_STARTTLS,
	    true, NULL, VERDICT_CONFIG, "MAIL" },
	{ "X-EXPS alone", STARTTLS "C EHLO\nS 250-x|250 X-EXPS LOGIN\nQ\n", UPSTREAM_TLS_STARTTLS,
	    true, NULL, VERDICT_CONFIG, "MAIL" },
	{ "AUTH in EHLO's first line", STARTTLS "C EHLO\nS 250 hi AUTH PLAIN\nQ\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_CONFIG, "MAIL" },
	{ "250 to STARTTLS", EHLO_TLS "C STARTTLS\nS 250 ok\nQ\n", UPSTREAM_TLS_STARTTLS, true,
	    NULL, VERDICT_TLS, "AUTH" },
	{ "AUTH, a server in trouble",
	    STARTTLS AUTHS "C AUTH\nS 535 5.7.8 Error: authentication failed: Connection lost to "
	                   "authentication server\nQ\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_AUTH_TEMP, "MAIL" },
	{ "AUTH PLAIN is no mechanism there",
	    STARTTLS AUTHS
	    "C AUTH PLAIN\nS 504 5.7.4 Unrecognized authentication type\nC AUTH LOGIN\r\n"
	    "S 334 VXNlcm5hbWU6\nC dXNlckBhLmV4YW1wbGU=\r\n"
	    "S 334 UGFzc3dvcmQ6\nC czNjcmV0LVBhc3N3MHJk\r\nS 235 ok\n" MESSAGE "Q\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_OK, NULL },
	{ "AUTH PLAIN is no mechanism there, in words",
	    STARTTLS AUTHS
	    "C AUTH PLAIN\nS 535 5.7.8 Error: authentication failed: Invalid authentication "
	    "mechanism\nC AUTH LOGIN\r\n"
	    "S 334 VXNlcm5hbWU6\nC dXNlckBhLmV4YW1wbGU=\r\n"
	    "S 334 UGFzc3dvcmQ6\nC czNjcmV0LVBhc3N3MHJk\r\nS 235 ok\n" MESSAGE "Q\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_OK, NULL },
	{ "no mechanism does", STARTTLS AUTHS "C AUTH PLAIN\nS 504 no\nC AUTH LOGIN\nS 504 no\nQ\n",
	    UPSTREAM_TLS_STARTTLS, true, NULL, VERDICT_CONFIG, "MAIL" },
	{ "AUTH temporary", STARTTLS AUTHS "C AUTH\nS 454 4.7.0 later\nQ\n", UPSTREAM_TLS_STARTTLS,
	    true, NULL, VERDICT_AUTH_TEMP, "MAIL" },
	{ "AUTH 421", STARTTLS AUTHS "C AUTH\nS 421 no\nX\n", UPSTREAM_TLS_STARTTLS, true, NULL,
	    VERDICT_AUTH_TEMP, "MAIL" },
	{ "AUTH close", STARTTLS AUTHS "C AUTH\nX\n", UPSTREAM_TLS_STARTTLS, true, NULL,
	    VERDICT_LOST, "MAIL" },
	{ "AUTH silence", STARTTLS AUTHS "C AUTH\nW\n", UPSTREAM_TLS_STARTTLS, true, NULL,
	    VERDICT_LOST, "MAIL" },
	{ "AUTH garbage", STARTTLS AUTHS "C AUTH\nS yes\nQ\n", UPSTREAM_TLS_STARTTLS, true, NULL,
	    VERDICT_PROTOCOL, "MAIL" },
	{ "a challenge to PLAIN", STARTTLS AUTHS "C AUTH\nS 334 what\nQ\n", UPSTREAM_TLS_STARTTLS,
	    true, NULL, VERDICT_PROTOCOL, "MAIL" },
};

static void
check_row(const struct row *row)
{
	struct fake f;
	struct mail m = { 0 };

	start(&f, row->script);
	struct profile p = profile_of(&f, row->tls, row->auth ? "user@a.example" : "");

	if (row->host)
		p.host = row->host;
	if (row->auth)
		seal(&p);
	send_one(&m, &p);
	if (row->class == VERDICT_OK ? !m.done || m.code != 250 : m.rcpt[0] != row->class || m.done)
		fail_msg("%s: rcpt %d done %d: %s %s", row->name, m.rcpt[0], m.done, m.text,
		    m.upstream);
	if (row->class == VERDICT_OK && !strstr(m.peer, " TLSv1."))
		fail_msg("%s: %s", row->name, m.peer);
	rig_close();
	const char *wrong = fake_end(&f, true);

	if (wrong)
		fail_msg("%s: %s", row->name, wrong);
	if (row->never && strstr(f.shared->log, row->never))
		fail_msg("%s: said %s", row->name, row->never);
	fake_free(&f);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
}

/* A private CA of the profile's own; a pin; the wrong ones. */
static void
test_trust(void **state)
{
	static const struct {
		bool ca, good_pin, bad_pin;
		enum verdict_class class;
	} cases[] = {
		{ false, false, false, VERDICT_TLS },
		{ true, false, false, VERDICT_OK },
		{ false, true, false, VERDICT_OK },
		{ false, false, true, VERDICT_TLS },
		{ true, false, true, VERDICT_TLS },
	};
	char pin[80] = "";
	char command[600];
	FILE *out;

	(void)state;
	snprintf(command, sizeof(command),
	    "openssl x509 -in %s -outform DER | sha256sum | cut -c1-64 | tr -d '\\n'", ca_file);
	out = popen(command, "r");
	assert_int_equal(fread(pin, 1, 64, out), 64);
	pclose(out);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake f;
		struct mail m = { 0 };

		fake_start(&f, STARTTLS "E\n" MESSAGE "Q\n", dir);
		rig.conf = rig_conf();
		rig_open();
		struct profile p = profile_of(&f, UPSTREAM_TLS_STARTTLS, "");

		if (cases[i].ca)
			p.ca = cert_pem;
		if (cases[i].good_pin)
			p.pin = pin;
		if (cases[i].bad_pin)
			p.pin = "0000000000000000000000000000000000000000000000000000000000000000";
		send_one(&m, &p);
		if (cases[i].class == VERDICT_OK ? !m.done || m.code != 250
		                                 : m.rcpt[0] != cases[i].class)
			fail_msg("case %zu: %d %s", i, m.rcpt[0], m.text);
		rig_close();
		fake_end(&f, true);
		fake_free(&f);
	}
}

/* Three refusals: then nobody is asked, until the credential is another one. */
static void
test_breaker(void **state)
{
	struct fake f;
	struct mail m[6] = { 0 };

	(void)state;
	start(&f,
	    STARTTLS AUTHS
	    "C AUTH\nS 535 no\nQ\nN\n" STARTTLS AUTHS "C AUTH\nS 535 no\nQ\nN\n" STARTTLS AUTHS
	    "C AUTH\nS 535 no\nQ\nN\n" STARTTLS AUTHS AUTH_PLAIN "S 235 ok\n" MESSAGE "Q\n");
	struct profile p = profile_of(&f, UPSTREAM_TLS_STARTTLS, "user@a.example");

	seal(&p);
	for (unsigned i = 0; i < 5; i++) {
		send_one(&m[i], &p);
		assert_int_equal(m[i].rcpt[0], VERDICT_AUTH);
		assert_int_equal(m[i].rcpt_code[0], 550);
		assert_int_equal(m[i].go_code, 554);
		assert_string_equal(m[i].text,
		    "Your SMTP provider did not accept the stored credentials");
	}
	assert_int_equal(f.shared->connections, 3);
	p.version = 2;
	seal(&p);
	send_one(&m[5], &p);
	expect_good(&m[5]);
	rig_end(&f);
	assert_int_equal(f.shared->connections, 4);
	fake_free(&f);
}

/* A credential that has worked: the server is doubted before it. Its own trouble does not count. */
static void
test_doubt(void **state)
{
	static const enum verdict_class told[] = { VERDICT_OK, VERDICT_AUTH_DOUBT,
		VERDICT_AUTH_TEMP, VERDICT_AUTH_DOUBT, VERDICT_AUTH, VERDICT_AUTH };
	enum { MAILS = sizeof(told) / sizeof(told[0]) };
	struct fake f;
	struct mail m[MAILS] = { 0 };

	(void)state;
	start(&f,
	    STARTTLS AUTHS AUTH_PLAIN
	    "S 235 ok\n" MESSAGE "X\nN\n" STARTTLS AUTHS "C AUTH\nS 535 no\nQ\nN\n" STARTTLS AUTHS
	    "C AUTH\nS 535 internal error\nQ\nN\n" STARTTLS AUTHS
	    "C AUTH\nS 535 no\nQ\nN\n" STARTTLS AUTHS "C AUTH\nS 535 no\nQ\n");
	struct profile p = profile_of(&f, UPSTREAM_TLS_STARTTLS, "user@a.example");

	seal(&p);
	for (unsigned i = 0; i < MAILS; i++) {
		send_one(&m[i], &p);
		assert_int_equal(told[i] == VERDICT_OK ? m[i].last : m[i].rcpt[0], told[i]);
		if (told[i] != VERDICT_OK)
			assert_int_equal(m[i].rcpt_code[0], told[i] == VERDICT_AUTH ? 550 : 451);
		rig_wait(0.05);
	}
	rig_end(&f);
	assert_int_equal(f.shared->connections, 5);
	fake_free(&f);
}

/* Someone who edits a row cannot have the password sent elsewhere. */
static void
test_vault(void **state)
{
	struct fake f;
	struct mail m = { 0 };

	(void)state;
	start(&f, STARTTLS AUTHS "Q\n");
	struct profile p = profile_of(&f, UPSTREAM_TLS_STARTTLS, "user@a.example");

	p.host = "mail.example";
	seal(&p);
	p.host = "localhost";
	send_one(&m, &p);
	assert_int_equal(m.rcpt[0], VERDICT_VAULT);
	assert_int_equal(m.rcpt_code[0], 451);
	rig_end(&f);
	assert_null(strstr(f.shared->log, "AUTH"));
	fake_free(&f);
}

/* In clear only where the operator trusts the network; AUTH too. */
static void
test_clear(void **state)
{
	struct fake f;
	struct mail m = { 0 }, n = { 0 };

	(void)state;
	start(&f, "S 220 x\n" AUTHS AUTH_PLAIN "S 235 ok\n" MESSAGE "Q\n");
	struct profile p = profile_of(&f, UPSTREAM_TLS_NONE, "user@a.example");

	seal(&p);
	send_one(&m, &p);
	expect_good(&m);
	rig_close();
	rig.conf.upstream.allow_networks_n = 0;
	rig_open();
	send_one(&n, &p);
	assert_int_equal(n.rcpt[0], VERDICT_DENIED);
	assert_string_equal(n.text, "Upstream host not allowed");
	rig_end(&f);
	fake_free(&f);
}

static void
test_native_auth(void **state)
{
	struct fake f;
	struct mail m = { 0 };
	struct conf_mta mta;

	(void)state;
	fake_start(&f, STARTTLS AUTHS AUTH_PLAIN "S 235 ok\n" MESSAGE "Q\n", dir);
	mta = (struct conf_mta){ .name = "one",
		.host = "localhost",
		.port = f.port,
		.tls = UPSTREAM_TLS_STARTTLS,
		.weight = 1,
		.username = "user@a.example",
		.password = PASSWORD,
		.ca_file = ca_file };
	rig.conf = rig_conf();
	rig.conf.mtas = &mta;
	rig.conf.mtas_n = 1;
	rig_open();
	send_one(&m, NULL);
	expect_good(&m);
	assert_string_equal(m.route, "native:one");
	rig_end(&f);
	fake_free(&f);
}

/* Two accounts, one host: never over the other's connection. */
static void
test_never_crossed(void **state)
{
	struct fake f;
	struct mail m[4] = { 0 };

	(void)state;
	start(&f,
	    STARTTLS AUTHS AUTH_PLAIN
	    "S 235 ok\n" MESSAGE "C QUIT\nX\nN\n" STARTTLS AUTHS
	    "C AUTH PLAIN AG90aGVyQGIuZXhhbXBsZQBzM2NyZXQtUGFzc3cwcmQ=\r\n"
	    "S 235 ok\n" MESSAGE MESSAGE "Q\n");
	struct profile p = profile_of(&f, UPSTREAM_TLS_STARTTLS, "user@a.example");
	struct profile q = profile_of(&f, UPSTREAM_TLS_STARTTLS, "other@b.example");

	p.messages_per_connection = 1;
	q.id = 2;
	q.account = 2;
	seal(&p);
	send_one(&m[0], &p);
	seal(&q);
	send_one(&m[1], &q);
	send_one(&m[2], &q);
	for (unsigned i = 0; i < 3; i++)
		expect_good(&m[i]);
	rig_end(&f);
	assert_int_equal(f.shared->connections, 2);
	fake_free(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_breaker),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_vault),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_native_auth),
		cmocka_unit_test(test_never_crossed),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
