/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"
#include "conf/option.h"
#include "conf/vault/vault.h"
#include "wire/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A listener that needs nothing else: lines 1 to 3. */
#define MIN "[listener l]\naddress = 127.0.0.1:2525\ntls = none\n"

static char folder[] = "/tmp/byway-conf.XXXXXX";
static char mistakes[64 * 1024];

static struct conf *
parse(struct slice ini)
{
	struct text t = text_over(mistakes, sizeof(mistakes));

	return conf_parse("byway.ini", ini, false, &t);
}

static struct conf *
good(const char *ini)
{
	struct conf *c = parse(slice_str(ini));

	if (!c)
		fail_msg("%s", mistakes);
	return c;
}

static const char *
path_of(const char *name)
{
	static char path[8][300];
	static size_t next;
	char *p = path[next++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
	return p;
}

static const char *
write_file(const char *name, const char *content, mode_t mode)
{
	const char *path = path_of(name);
	FILE *f;

	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(content, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

/* ---- defaults ---- */

static void
test_little_is_enough(void **state)
{
	struct conf *c =
	    good("[certificate c]\nchain_file = c.crt\nkey_file = c.key\n[listener l]\naddress = "
	         "127.0.0.1:2525\n");

	(void)state;
	assert_int_equal(c->listeners_n, 1);
	assert_int_equal(c->listeners[0].tls, LISTENER_STARTTLS);
	assert_true(c->listeners[0].auth);
	assert_false(c->listeners[0].plaintext_auth);
	assert_false(c->listeners[0].proxy_protocol);
	assert_int_equal(c->listeners[0].pairs_n, 1);
	assert_string_equal(c->listeners[0].pairs[0].chain_file, c->certificates[0].chain_file);
	assert_true(c->server.name && *c->server.name);
	assert_string_equal(c->server.instance, c->server.name);
	assert_null(c->server.user);
	assert_int_equal(c->server.workers, 0);
	assert_string_equal(c->log.path, "-");
	assert_int_equal(c->log.level, LOG_INFO);
	assert_true(c->tls.tls13 && c->tls.tickets);
	assert_int_equal(c->limits.bad_commands, 20);
	assert_int_equal(c->limits.login_failures, 3);
	assert_int_equal(c->limits.received_fields, 50);
	assert_int_equal(c->limits.message_size, 50 << 20);
	assert_int_equal(c->timeouts.proxy_header_s, 5);
	assert_int_equal(c->timeouts.tls_handshake_s, 15);
	assert_int_equal(c->timeouts.login_s, 60);
	assert_int_equal(c->timeouts.command_s, 300);
	assert_int_equal(c->timeouts.data_s, 180);
	assert_int_equal(c->timeouts.data_rate, 500);
	assert_int_equal(c->content.line_ends, DOTS_REPAIR);
	assert_false(c->content.show_client_address);
	assert_true(c->content.add_missing);
	assert_int_equal(c->directory.remember_s, 60);
	assert_int_equal(c->directory.poll_ms, 250);
	assert_null(c->upstream.ehlo_name);
	assert_string_equal(c->upstream.ca_file, "/etc/ssl/certs/ca-certificates.crt");
	assert_int_equal(c->upstream.allow_networks_n, 0);
	assert_int_equal(c->upstream.allow_ports_n, 9);
	assert_int_equal(c->upstream.allow_ports[8], 443);
	assert_int_equal(c->upstream.final_s, 600);
	assert_int_equal(c->upstream.max_connections, 20);
	assert_int_equal(c->mtas_n, 0);
	assert_int_equal(c->senders.unverified_owner, UNVERIFIED_AT_MAIL);
	assert_int_equal(c->dns.resolvers_n, 0);
	assert_int_equal(c->dns.timeout_s, 2);
	assert_null(c->dns.spf_include);
	conf_unref(c);
}

/* Every default is one that a file could say, and what cannot be seen by the compiler holds for
 * each row. */
static void
test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];
		const struct conf_option *first = option_find(o->section, slice_str(o->key));

		if (first != o)
			fail_msg("[%s] %s stands twice", conf_sections[o->section].word, o->key);
		if (!*o->manual || strchr(o->manual, '|') ||
		    o->manual[strlen(o->manual) - 1] != '.')
			fail_msg("[%s] %s: the manual's words", conf_sections[o->section].word,
			    o->key);
		if (o->type == OPTION_SECRET) {
			char twin[64];

			snprintf(twin, sizeof(twin), "%s_file", o->key);
			assert_non_null(option_find(o->section, slice_str(twin)));
		}
	}
	struct conf_owned *o = conf_defaults();

	assert_non_null(o);
	conf_owned_close(o);
}

/* ---- values ---- */

struct value_case {
	const char *section, *key, *value;
	const char *is; /* as printed; NULL: refused */
};

static const struct value_case values[] = {
	{ "tls", "tls13", "no", "no" },
	{ "tls", "tls13", "Yes", "yes" },
	{ "tls", "tls13", "on", "yes" },
	{ "tls", "tls13", "0", "no" },
	{ "tls", "tls13", "maybe", NULL },
	{ "tls", "tls13", "", NULL },
	{ "server", "workers", "4", "4" },
	{ "server", "workers", "007", "7" },
	{ "server", "workers", "-1", NULL },
	{ "server", "workers", "+1", NULL },
	{ "server", "workers", "1 2", NULL },
	{ "server", "workers", "0x10", NULL },
	{ "server", "workers", "4k", NULL },
	{ "server", "workers", "1025", NULL },
	{ "server", "workers", "18446744073709551616", NULL },
	{ "server", "workers", "4294967296", NULL },
	{ "limits", "message_size", "25m", "25m" },
	{ "limits", "message_size", "26214400", "25m" },
	{ "limits", "message_size", "1G", "1g" },
	{ "limits", "message_size", "1025", "1025" },
	{ "limits", "message_size", "1023", NULL },
	{ "limits", "message_size", "18014398509481985k", NULL },
	{ "limits", "message_size", "1.5m", NULL },
	{ "limits", "session_memory", "65536", "64k" },
	{ "timeouts", "command", "90", "90s" },
	{ "timeouts", "command", "5m", "5m" },
	{ "timeouts", "command", "300s", "5m" },
	{ "timeouts", "command", "1h", "1h" },
	{ "timeouts", "command", "61m", NULL },
	{ "timeouts", "command", "5 m", NULL },
	{ "timeouts", "command", "0", NULL },
	{ "upstream", "idle", "0", "0s" },
	{ "directory", "poll", "100", "100ms" },
	{ "directory", "poll", "1s", "1s" },
	{ "directory", "poll", "2s", NULL },
	{ "log", "level", "warning", "warning" },
	{ "log", "level", "warn", NULL },
	{ "log", "level", "", NULL },
	{ "content", "line_ends", "refuse", "refuse" },
	{ "senders", "unverified_owner", "auth", "auth" },
	{ "dns", "resolver", "192.0.2.53:53, [2001:db8::53]:5353",
	    "192.0.2.53:53 [2001:db8::53]:5353" },
	{ "dns", "spf_include", "_spf.relay.example.net", "_spf.relay.example.net" },
	{ "server", "name", "mx.example.net", "mx.example.net" },
	{ "server", "name", "[192.0.2.1]", "[192.0.2.1]" },
	{ "server", "name", "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]" },
	{ "server", "name", "192.0.2.1", NULL },
	{ "server", "name", "a..b", NULL },
	{ "server", "name", "-a.example", NULL },
	{ "server", "name", "a b", NULL },
	{ "server", "name", "a_b.example", NULL },
	{ "server", "name", "[192.0.2]", NULL },
	{ "server", "name", "m\xc3\xbcller.example", NULL },
	{ "server", "user", "", "" },
	{ "server", "user", "byway", "byway" },
	{ "server", "control_socket", "/run/x", "/run/x" },
	{ "upstream", "allow_networks", "10.0.0.0/8, 2001:db8::/32\t192.0.2.1",
	    "10.0.0.0/8 2001:db8::/32 192.0.2.1" },
	{ "upstream", "allow_networks", ",, ,", "" },
	{ "upstream", "allow_networks", "10.0.0.1/8", NULL },
	{ "upstream", "allow_networks", "10.0.0.0/33", NULL },
	{ "upstream", "allow_ports", "25,587", "25 587" },
	{ "upstream", "allow_ports", "0", NULL },
	{ "upstream", "allow_ports", "65536", NULL },
	{ "upstream", "allow_ports", "smtp", NULL },
	{ "upstream", "allow_ports", "", NULL },
	{ "upstream", "ca_file", "/etc/ca.pem", "/etc/ca.pem" },
	{ "upstream", "ca_file", "\"/etc/ca.pem\"", NULL },
	{ "upstream", "ca_file", "/etc/ca.pem ; ours", NULL },
	{ "upstream", "ca_file", "/etc/ca.pem\t# ours", NULL },
	{ "upstream", "ca_file", "/etc/a;b#c.pem", "/etc/a;b#c.pem" },
	{ "upstream", "ca_file", "$HOME/ca.pem", NULL },
	{ "upstream", "ca_file", "", NULL },
};

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		const struct value_case *v = &values[i];
		char ini[512], mem[32768], want[256];
		struct text out = text_over(mem, sizeof(mem));
		struct conf *c;

		snprintf(ini, sizeof(ini), MIN "[%s]\n%s = %s\n", v->section, v->key, v->value);
		c = parse(slice_str(ini));
		if (!!c != !!v->is)
			fail_msg("[%s] %s = %s: %s", v->section, v->key, v->value,
			    c ? "accepted" : mistakes);
		if (!c) {
			snprintf(want, sizeof(want), "byway.ini:5: [%s] %s: ", v->section, v->key);
			if (strncmp(mistakes, want, strlen(want)) != 0)
				fail_msg("%s", mistakes);
			continue;
		}
		conf_print(c, false, false, &out);
		snprintf(want, sizeof(want), "\n%s =%s%s\n", v->key, *v->is ? " " : "", v->is);
		if (!strstr(mem, want) || out.overflow)
			fail_msg("[%s] %s = %s: not %s in %s", v->section, v->key, v->value, want,
			    mem);
		conf_unref(c);
	}
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *value;
		size_t n; /* 0: refused */
	} cases[] = {
		{ "127.0.0.1:25", 1 },
		{ "127.0.0.1:25, [::1]:25 0.0.0.0:465", 3 },
		{ "[2001:db8::1]:65535", 1 },
		{ "127.0.0.1", 0 },
		{ "127.0.0.1:", 0 },
		{ "127.0.0.1:0", 0 },
		{ "127.0.0.1:65536", 0 },
		{ "127.0.0.1:smtp", 0 },
		{ ":25", 0 },
		{ "25", 0 },
		{ "::1:25", 0 },
		{ "[::1]", 0 },
		{ "[]:25", 0 },
		{ "[127.0.0.1]:25", 0 },
		{ "localhost:25", 0 },
		{ "127.1:25", 0 },
		{ "127.0.0.1:25:25", 0 },
		{ "127.0.0.1:25 127.0.0.1:25", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char ini[256];
		struct conf *c;

		snprintf(ini, sizeof(ini), "[listener l]\ntls = none\naddress = %s\n",
		    cases[i].value);
		c = parse(slice_str(ini));
		if ((c ? c->listeners[0].addresses_n : 0) != cases[i].n)
			fail_msg("%s: %s", cases[i].value, c ? "accepted" : mistakes);
		conf_unref(c);
	}

	struct conf *c =
	    good("[listener l]\ntls=none\naddress = 192.0.2.1:587 [2001:db8::1]:465\n");
	const struct conf_address *a = c->listeners[0].addresses;

	assert_string_equal(a[0].text, "192.0.2.1:587");
	assert_int_equal(a[0].len, sizeof(struct sockaddr_in));
	assert_int_equal(((const struct sockaddr_in *)&a[0].addr)->sin_port, htons(587));
	assert_int_equal(((const struct sockaddr_in *)&a[0].addr)->sin_addr.s_addr,
	    htonl(0xc0000201));
	assert_int_equal(a[1].len, sizeof(struct sockaddr_in6));
	assert_int_equal(((const struct sockaddr_in6 *)&a[1].addr)->sin6_family, AF_INET6);
	conf_unref(c);
}

static void
test_paths(void **state)
{
	struct conf *c;
	struct text t = text_over(mistakes, sizeof(mistakes));
	char ini[512], want[300];

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_null(parse(SLICE(MIN "[vault]\nkey_file = $CREDENTIALS_DIRECTORY/k\n")));
	assert_non_null(strstr(mistakes, "CREDENTIALS_DIRECTORY is not in the environment"));
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials/byway", 1);
	snprintf(ini, sizeof(ini), "%s",
	    MIN
	    "[vault]\nkey_file = $CREDENTIALS_DIRECTORY/k\n[directory]\npath = sub/d.db\n[log]\npath = -\n");
	c = conf_parse(path_of("byway.ini"), slice_str(ini), false, &t);
	assert_non_null(c);
	assert_string_equal(c->vault.key_file, "/run/credentials/byway/k");
	snprintf(want, sizeof(want), "%s/sub/d.db", folder);
	assert_string_equal(c->directory.path, want);
	assert_string_equal(c->log.path, "-");
	conf_unref(c);
	unsetenv("CREDENTIALS_DIRECTORY");
	/* A socket's path has a limit of its own. */
	memset(ini, 0, sizeof(ini));
	snprintf(ini, sizeof(ini), MIN "[server]\ncontrol_socket = /%0110d\n", 0);
	assert_null(parse(slice_str(ini)));
	assert_non_null(strstr(mistakes, "at most 107 octets"));
}

static void
test_counter_servers(void **state)
{
	struct conf *c =
	    good(MIN "[counters]\nservers = 10.0.0.1:11211 3, [::1]:11212 mem.example.org:11213\n"
	             "on_counter_loss = closed\n");
	struct counter_server s;
	const char *why = NULL;
	size_t at = 0;

	(void)state;
	assert_true(conf_counter_server(c, &at, &s, &why));
	assert_string_equal(s.host, "10.0.0.1");
	assert_int_equal(s.port, 11211);
	assert_int_equal(s.weight, 3);
	assert_true(conf_counter_server(c, &at, &s, &why));
	assert_string_equal(s.host, "::1");
	assert_int_equal(s.port, 11212);
	assert_int_equal(s.weight, 1);
	assert_true(conf_counter_server(c, &at, &s, &why));
	assert_string_equal(s.host, "mem.example.org");
	assert_false(conf_counter_server(c, &at, &s, &why));
	assert_null(why);
	assert_int_equal(c->counters.loss, COUNTER_LOSS_CLOSED);
	assert_int_equal(c->counters.timeout_ms, 50);
	conf_unref(c);
}

/* ---- mistakes ---- */

struct mistake_case {
	const char *ini;
	const char *says; /* all of it */
};

static const struct mistake_case mistake_cases[] = {
	{ "", "byway.ini: no [listener NAME] section (expected one at least)\n" },
	{ "a = b\n" MIN, "byway.ini:1: a key before the first [section]\n" },
	{ MIN "[listner x]\naddress = y\n",
	    "byway.ini:4: unknown section [listner]; did you mean [listener]?\n" },
	{ MIN "[Server]\n", "byway.ini:4: unknown section [Server]; did you mean [server]?\n" },
	{ MIN "[frobnicate]\n", "byway.ini:4: unknown section [frobnicate]\n" },
	{ MIN "[]\n",
	    "byway.ini:4: a section without a name (expected 1 to 48 characters between [ and ])\n" },
	{ MIN "[  ]\n",
	    "byway.ini:4: a section without a name (expected 1 to 48 characters between [ and ])\n" },
	{ MIN "[log\n", "byway.ini:4: a section header must end with its only \"]\"\n" },
	{ MIN "[log] level = info\n",
	    "byway.ini:4: a section header must end with its only \"]\"\n" },
	{ MIN "[log]]\n", "byway.ini:4: a section header must end with its only \"]\"\n" },
	{ MIN "[log x]\n", "byway.ini:4: [log] takes no name\n" },
	{ MIN "[mta]\nhost = x\n",
	    "byway.ini:4: [mta NAME]: a name is needed (expected up to 32 letters, digits, \".\", \"-\", \"_\")\n" },
	{ MIN "[mta a b]\n",
	    "byway.ini:4: [mta NAME]: a name is needed (expected up to 32 letters, digits, \".\", \"-\", \"_\")\n" },
	{ MIN "[mta 123456789012345678901234567890123]\n",
	    "byway.ini:4: [mta NAME]: a name is needed (expected up to 32 letters, digits, \".\", \"-\", \"_\")\n" },
	/* inih would cut at 49 and take it. */
	{ MIN "[listener 123456789012345678901234567890123456789012]\n",
	    "byway.ini:4: a section's name is too long (expected 1 to 48 characters between [ and ])\n" },
	{ MIN "[log]\n[log]\n", "byway.ini:5: [log] stands twice; first at byway.ini:4\n" },
	{ MIN "[listener l]\naddress = x\n",
	    "byway.ini:4: [listener l] stands twice; first at byway.ini:1\n" },
	{ MIN "[log]\n=value\n", "byway.ini:5: no key before \"=\" (expected: key = value)\n" },
	{ MIN "[log]\nlevel\n", "byway.ini:5: no \"=\" behind the key (expected: key = value)\n" },
	{ MIN "[log]\nlevel: info\n",
	    "byway.ini:5: no \"=\" behind the key (expected: key = value)\n" },
	{ MIN "[log]\nlevel = info\nlevel = debug\n",
	    "byway.ini:6: [log] level: set twice; first at byway.ini:5\n" },
	{ MIN "[log]\nlevle = info\n",
	    "byway.ini:5: [log]: unknown key \"levle\"; did you mean \"level\"?\n" },
	{ MIN "[log]\nworkers = 1\n",
	    "byway.ini:5: [log]: unknown key \"workers\"; it belongs to [server]\n" },
	{ MIN "[log]\nxclient = 1\n",
	    "byway.ini:5: [log]: unknown key \"xclient\"; it belongs to [mta NAME]\n" },
	{ MIN "[log]\nfrobnicate = 1\n", "byway.ini:5: [log]: unknown key \"frobnicate\"\n" },
	{ MIN "[upstream]\nconnect = 5\n",
	    "byway.ini:5: [upstream]: unknown key \"connect\"; did you mean \"connect_timeout\"?\n" },
	{ MIN "[upstream]\nidle_s = 5\n",
	    "byway.ini:5: [upstream]: unknown key \"idle_s\"; did you mean \"idle\"?\n" },
	{ MIN "[server]\nworkers = 5oo\n",
	    "byway.ini:5: [server] workers: \"5oo\" is not a number (expected 0 to 1024)\n" },
	{ MIN "[timeouts]\ncommand = 2h\n",
	    "byway.ini:5: [timeouts] command: \"2h\" is too large (expected 1s to 1h)\n" },
	{ MIN "[log]\nlevel = debgu\n",
	    "byway.ini:5: [log] level: \"debgu\" is not one of the words here (expected debug, info, notice, warning or "
	    "error); did you mean \"debug\"?\n" },
	{ MIN "[log]\nlevel = info ; for now\n",
	    "byway.ini:5: [log] level: a comment must stand on a line of its own\n" },
	{ MIN "[log]\nlevel = \"info\"\n",
	    "byway.ini:5: [log] level: quotes would be part of the value: leave them out\n" },
	/* An indented line is a line, not a continuation. */
	{ MIN "[upstream]\nallow_networks = 10.0.0.0/8\n    192.168.0.0/16\n",
	    "byway.ini:6: no \"=\" behind the key (expected: key = value)\n" },
	{ MIN "[log]\nlevel = in\x01"
	      "fo\n",
	    "byway.ini:5: a control character, or not UTF-8\n" },
	{ MIN "[log]\nlevel = in\rfo\n", "byway.ini:5: a control character, or not UTF-8\n" },
	{ MIN "; Gr\xfc\xdf"
	      "e\n",
	    "byway.ini:4: a control character, or not UTF-8\n" },
	{ MIN "[certificate c]\nkey_file = x\n",
	    "byway.ini:4: [certificate c] chain_file: missing (expected a path)\n" },
	{ MIN "[mta m]\n",
	    "byway.ini:4: [mta m] host: missing (expected a host name or an IP address)\n" },
	{ "[listener l]\naddress = 127.0.0.1:25\n",
	    "byway.ini:1: [listener l] tls: TLS needs a certificate, and there is no [certificate NAME] section\n" },
	{ "[listener l]\naddress = 127.0.0.1:25\ntls = implicit\n",
	    "byway.ini:3: [listener l] tls: TLS needs a certificate, and there is no [certificate NAME] section\n" },
	{ "[listener l]\naddress = 127.0.0.1:25\ncertificates = deafult\n[certificate default]\nchain_file = a\nkey_file = b\n",
	    "byway.ini:3: [listener l] certificates: there is no [certificate deafult]; did you mean \"default\"?\n" },
	{ MIN "[counters]\nservers = 10.0.0.1\n",
	    "byway.ini:5: [counters] servers: not a server (expected host:port or /path/of/a/socket, perhaps a weight behind it)\n" },
	{ MIN "[counters]\nservers = 7 10.0.0.1:11211\n",
	    "byway.ini:5: [counters] servers: not a server (expected host:port or /path/of/a/socket, perhaps a weight behind it)\n" },
	{ MIN "[counters]\nservers = ::1:11211\n",
	    "byway.ini:5: [counters] servers: not a server (expected host:port or /path/of/a/socket, perhaps a weight behind it)\n" },
	{ MIN "[counters]\nservers = a:1 0\n",
	    "byway.ini:5: [counters] servers: a weight is out of bounds (expected 1 to 1000)\n" },
	{ MIN "[listener m]\naddress = [::1]:25 127.0.0.1:2525\ntls = none\n",
	    "byway.ini:5: [listener m] address: 127.0.0.1:2525 is taken by [listener l]\n" },
	{ MIN "proxy_protocol = yes\n",
	    "byway.ini:4: [listener l] proxy_protocol: needs trusted_proxies: who may say where a client is\n" },
	{ MIN "proxy_protocol = yes\ntrusted_proxies =\n",
	    "byway.ini:4: [listener l] proxy_protocol: needs trusted_proxies: who may say where a client is\n" },
	{ MIN "client_certificates = optional\n",
	    "byway.ini:4: [listener l] client_certificates: needs TLS (tls = starttls or implicit)\n" },
	{ MIN "[mta m]\nhost = mx.example.net\nusername = u\n",
	    "byway.ini:6: [mta m] username: has no password (expected password_file or password)\n" },
	{ MIN "[mta m]\nhost = mx.example.net\nusername = u\npassword =\n",
	    "byway.ini:6: [mta m] username: has no password (expected password_file or password)\n" },
	{ MIN "[mta m]\nhost = mx.example.net\npassword = p\n",
	    "byway.ini:6: [mta m] password: has no username\n" },
	{ MIN "[mta m]\nhost = mx.example.net\ntls = none\nusername = u\npassword = p\n",
	    "byway.ini:6: [mta m] tls: none, so the password would cross the network in clear\n" },
	{ MIN "[mta m]\nhost = mx;1.example.net\n",
	    "byway.ini:5: [mta m] host: \"mx;1.example.net\": not a host name or IP address: one name without ;\n" },
	{ MIN "[mta m]\nhost = mx.example.net:25\n",
	    "byway.ini:5: [mta m] host: \"mx.example.net:25\": a host name alone: write --host mx.example.net --port 25 --tls starttls\n" },
	{ MIN "[mta m]\nhost = mx.example.net\npin = 00:11\n",
	    "byway.ini:6: [mta m] pin: \"00:11\" is not the SHA-256 of a certificate (expected 64 hex digits)\n" },
	/* All of them, in the order of reading. */
	{ "[server]\nworkers = x\n[log]\nlevl = info\n[mta m]\n[listener a]\ntls = none\n",
	    "byway.ini:2: [server] workers: \"x\" is not a number (expected 0 to 1024)\n"
	    "byway.ini:4: [log]: unknown key \"levl\"; did you mean \"level\"?\n"
	    "byway.ini:5: [mta m] host: missing (expected a host name or an IP address)\n"
	    "byway.ini:6: [listener a] address: missing (expected addresses such as 192.0.2.1:587 [2001:db8::1]:587)\n" },
};

static void
test_mistakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistake_cases) / sizeof(*mistake_cases); i++) {
		struct conf *c = parse(slice_str(mistake_cases[i].ini));

		if (c)
			fail_msg("accepted: %s", mistake_cases[i].ini);
		assert_string_equal(mistakes, mistake_cases[i].says);
	}
}

static void
test_nul(void **state)
{
	(void)state;
	assert_null(parse(SLICE(MIN "[log]\nlevel = info\0junk\n")));
	assert_string_equal(mistakes, "byway.ini:5: a control character, or not UTF-8\n");
}

/* ---- inih's traps ---- */

static void
test_long_lines(void **state)
{
	static char ini[20000], value[8001];
	struct text t = text_over(mistakes, sizeof(mistakes));
	struct conf *c;

	(void)state;
	/* inih's 200 octets are not ours; nor is a long comment a mistake. */
	memset(value, 'a', 7998);
	snprintf(ini, sizeof(ini),
	    MIN "# %s\n[mta m]\nhost = 127.0.0.1\nusername = u\npassword = %.600s\n", value, value);
	c = good(ini);
	assert_int_equal(strlen(c->mtas[0].password), 600);
	conf_unref(c);
	memset(value, 'a', 7999);
	snprintf(ini, sizeof(ini), MIN "# %s\n[log]\nlevel = nope\n", value);
	c = conf_parse("byway.ini", slice_str(ini), false, &t);
	assert_null(c);
	/* Told once, and the lines behind it keep their numbers. */
	assert_non_null(strstr(mistakes,
	    "byway.ini:4: a line of 8001 octets (expected 8000 at most)\nbyway.ini:6: [log]"));
}

/* What a password may hold, whole. */
static void
test_passwords_are_whole(void **state)
{
	static const char *const passwords[] = {
		"ab ;cd",
		"ab ; cd # ef",
		"a=b:c",
		"\"quoted\"",
		"'single'",
		"with  two blanks",
		"$HOME",
		"[section]",
		"\\n",
		"p\xc3\xa4ssw\xc3\xb6rd",
		"#starts so",
		";starts so",
		"=",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(passwords) / sizeof(*passwords); i++) {
		char ini[512];
		struct conf *c;

		snprintf(ini, sizeof(ini),
		    MIN "[mta m]\nhost = mx.example.net\nusername = u\npassword = %s\n",
		    passwords[i]);
		c = good(ini);
		assert_string_equal(c->mtas[0].password, passwords[i]);
		conf_unref(c);
	}
}

static void
test_line_ends_and_bom(void **state)
{
	struct conf *c;

	(void)state;
	c = good(
	    "\xef\xbb\xbf[listener l]\r\naddress = 127.0.0.1:25\r\n\r\n  ; indented comment\r\n\ttls = none\r\n[log]\r\n"
	    "level =  debug \t\r\n[server]\nname = a.example");
	assert_int_equal(c->log.level, LOG_DEBUG);
	assert_int_equal(c->listeners[0].tls, LISTENER_PLAIN);
	assert_string_equal(c->server.name, "a.example");
	conf_unref(c);
}

/* No mistake, log line or print may hold one. */
static void
test_secrets_stay_unseen(void **state)
{
	static char longest[1100];
	char ini[2048], mem[32768];
	struct text out = text_over(mem, sizeof(mem));
	struct conf *c;

	(void)state;
	c = good(MIN "[mta m]\nhost = mx.example.net\nusername = u\npassword = hunter2\n");
	conf_print(c, false, false, &out);
	conf_print(c, true, false, &out);
	conf_print(c, false, true, &out);
	conf_print(c, true, true, &out);
	assert_false(out.overflow);
	assert_null(strstr(mem, "hunter2"));
	assert_non_null(strstr(mem, "password = ***"));
	assert_non_null(strstr(mem, "\"password\":\"***\""));
	conf_unref(c);
	memset(longest, 'h', sizeof(longest) - 1);
	snprintf(ini, sizeof(ini),
	    MIN "[mta m]\nhost = mx.example.net\nusername = u\npassword = %s\n", longest);
	assert_null(parse(slice_str(ini)));
	assert_null(strstr(mistakes, "hhh"));
	/* A line that is no line of ours may hold one too. */
	assert_null(parse(SLICE(MIN
	    "[mta m]\npassword: hunter2\nhunter2\npassword hunter2\n=hunter2\nhost = \x01hunter2\n")));
	assert_null(strstr(mistakes, "hunter2"));
	assert_int_equal(secret_live(), 0);
}

/* ---- files ---- */

static void
test_secret_files(void **state)
{
	static const struct {
		const char *content;
		mode_t mode;
		const char *says;
	} cases[] = {
		{ "hunter2\n", 0600, NULL },
		{ "hunter2", 0400, NULL },
		{ "hunter2\n", 0640, "can be touched by others" },
		{ "hunter2\nmore\n", 0600, "password_file: not a line of text" },
		{ "\n", 0600, "password_file: not a line of text" },
		{ "", 0600, "password_file: not a line of text" },
	};
	char ini[1024];
	struct conf *c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct text t = text_over(mistakes, sizeof(mistakes));

		write_file("pw", cases[i].content, cases[i].mode);
		snprintf(ini, sizeof(ini), "%s",
		    MIN "[mta m]\nhost = mx.example.net\nusername = u\npassword_file = pw\n");
		c = conf_parse(path_of("byway.ini"), slice_str(ini), false, &t);
		if (!c != !!cases[i].says || (!c && !strstr(mistakes, cases[i].says)))
			fail_msg("case %zu: %s", i, mistakes);
		assert_null(strstr(mistakes, "hunter2"));
		if (c) {
			assert_string_equal(c->mtas[0].password, "hunter2");
			assert_string_equal(c->mtas[0].password_file, path_of("pw"));
		}
		conf_unref(c);
	}
	write_file("pw", "hunter2\n", 0600);
	snprintf(ini, sizeof(ini),
	    MIN "[mta m]\nhost = mx.example.net\nusername = u\npassword = p\npassword_file = %s\n",
	    path_of("pw"));
	assert_null(parse(slice_str(ini)));
	assert_string_equal(mistakes,
	    "byway.ini:8: [mta m] password_file: password is set too; one of them must go\n");
	unlink(path_of("pw"));
	assert_int_equal(secret_live(), 0);
}

static struct conf *
load(const char *path, bool deep)
{
	struct text t = text_over(mistakes, sizeof(mistakes));

	return conf_load(path, deep, &t);
}

static void
test_folder_of_files(void **state)
{
	char path[300], want[2048];
	struct conf *c;

	(void)state;
	snprintf(path, sizeof(path), "%s",
	    write_file("byway.ini", MIN "[log]\nlevel = debug\n", 0600));
	c = load(path, false); /* no conf.d at all */
	assert_non_null(c);
	conf_unref(c);
	assert_int_equal(mkdir(path_of("conf.d"), 0700), 0);
	write_file("conf.d/10-b.ini",
	    "[log]\nformat = json\n[listener b]\naddress = 127.0.0.1:2526\ntls = none\n", 0600);
	write_file("conf.d/09-a.ini",
	    "[listener a]\naddress = 127.0.0.1:2527\ntls = none\n[directory]\npath = x.db\n", 0600);
	write_file("conf.d/.hidden.ini", "nonsense\n", 0600);
	write_file("conf.d/10-b.ini~", "nonsense\n", 0600);
	write_file("conf.d/readme", "nonsense\n", 0600);
	c = load(path, false);
	if (!c)
		fail_msg("%s", mistakes);
	assert_int_equal(c->listeners_n, 3);
	assert_string_equal(c->listeners[0].name, "l");
	assert_string_equal(c->listeners[1].name, "a");
	assert_string_equal(c->listeners[2].name, "b");
	assert_int_equal(c->log.level, LOG_DEBUG);
	assert_int_equal(c->log.format, LOG_JSON);
	/* Relative to the folder of the file that says it. */
	snprintf(want, sizeof(want), "%s/conf.d/x.db", folder);
	assert_string_equal(c->directory.path, want);
	conf_unref(c);

	write_file("conf.d/10-b.ini", "[log]\nlevel = info\n[listener l]\n[nope]\n", 0600);
	write_file("conf.d/20.ini", "[limits]\nconnections = 0\n", 0600);
	write_file("byway.ini", MIN "[log]\nlevel = debug\nx = y\n", 0600);
	assert_null(load(path, false));
	snprintf(want, sizeof(want),
	    "%s/byway.ini:6: [log]: unknown key \"x\"\n"
	    "%s/conf.d/10-b.ini:2: [log] level: set twice; first at %s/byway.ini:5\n"
	    "%s/conf.d/10-b.ini:3: [listener l] stands twice; first at %s/byway.ini:1\n"
	    "%s/conf.d/10-b.ini:4: unknown section [nope]\n"
	    "%s/conf.d/20.ini:2: [limits] connections: \"0\" is too small (expected 1 to 1000000)\n",
	    folder, folder, folder, folder, folder, folder, folder);
	assert_string_equal(mistakes, want);
	unlink(path_of("conf.d/10-b.ini"));
	unlink(path_of("conf.d/09-a.ini"));
	unlink(path_of("conf.d/.hidden.ini"));
	unlink(path_of("conf.d/10-b.ini~"));
	unlink(path_of("conf.d/readme"));
	unlink(path_of("conf.d/20.ini"));
	assert_int_equal(rmdir(path_of("conf.d")), 0);
	unlink(path);
}

static void
test_files_that_are_none(void **state)
{
	char want[400];

	(void)state;
	assert_null(load(path_of("nobody.ini"), true));
	snprintf(want, sizeof(want), "%s/nobody.ini: cannot be opened: No such file or directory\n",
	    folder);
	/* And nothing about what is missing in it. */
	assert_string_equal(mistakes, want);
	assert_null(load(folder, false));
	assert_non_null(strstr(mistakes, "is not a regular file"));
}

/* ---- the deep look ---- */

static void
make_certificate(const char *chain, const char *key)
{
	char key_mem[4096], cert_mem[8192];
	struct text key_pem = text_over(key_mem, sizeof(key_mem));
	struct text cert_pem = text_over(cert_mem, sizeof(cert_mem));
	const struct slice names[] = { SLICE("relay.example.net") };

	assert_true(crypto_self_signed(CRYPTO_ECDSA, names, 1, 30, &key_pem, &cert_pem));
	write_file(chain, cert_mem, 0644);
	write_file(key, key_mem, 0600);
}

#define DEEP_CERT     "[certificate c]\nchain_file = c.crt\nkey_file = c.key\n"
#define DEEP_LISTENER "[listener l]\naddress = 127.0.0.1:2525\n"
#define DEEP_REST \
	"[directory]\npath = d.db\n[vault]\nkey_file = vault.key\n[upstream]\nca_file = c.crt\n"

static void
test_deep(void **state)
{
	static const struct {
		const char *ini;
		const char *says; /* in it; NULL: good */
	} cases[] = {
		{ DEEP_CERT DEEP_LISTENER DEEP_REST, NULL },
		{ DEEP_CERT DEEP_LISTENER
		    "client_certificates = optional\nclient_ca_file = c.crt\n" DEEP_REST,
		    NULL },
		{ "[certificate c]\nchain_file = c.crt\nkey_file = d.key\n" DEEP_LISTENER DEEP_REST,
		    ":1: [certificate c]" },
		{ "[certificate c]\nchain_file = none.crt\nkey_file = c.key\n" DEEP_LISTENER
		        DEEP_REST,
		    "none.crt" },
		{ "[certificate c]\nchain_file = c.crt\nkey_file = open.key\n" DEEP_LISTENER
		        DEEP_REST,
		    ":3: [certificate c] key_file: " },
		{ "[certificate c]\nchain_file = c.key\nkey_file = c.key\n" DEEP_LISTENER DEEP_REST,
		    ":1: [certificate c]" },
		{ DEEP_CERT DEEP_LISTENER
		    "[directory]\npath = no/such/d.db\n[vault]\nkey_file = vault.key\n[upstream]\nca_file "
		    "= c.crt\n",
		    ":7: [directory] path: " },
		{ DEEP_CERT DEEP_LISTENER
		    "[directory]\npath = c.crt/d.db\n[vault]\nkey_file = vault.key\n[upstream]\nca_file = "
		    "c.crt\n",
		    ":7: [directory] path: " },
		{ DEEP_CERT DEEP_LISTENER
		    "[directory]\npath = d.db\n[vault]\nkey_file = no.key\n[upstream]\nca_file = c.crt\n",
		    ":9: [vault] key_file: " },
		{ DEEP_CERT DEEP_LISTENER
		    "[directory]\npath = d.db\n[vault]\nkey_file = open.ring\n[upstream]\nca_file = "
		    "c.crt\n",
		    ":9: [vault] key_file: " },
		{ DEEP_CERT DEEP_LISTENER
		    "[directory]\npath = d.db\n[vault]\nkey_file = vault.key\n[upstream]\nca_file = "
		    "no.crt\n",
		    ":11: [upstream] ca_file: " },
		{ DEEP_CERT DEEP_LISTENER DEEP_REST
		    "[mta m]\nhost = mx.example.net\nca_file = no.crt\n",
		    ":14: [mta m] ca_file: " },
		{ DEEP_CERT DEEP_LISTENER DEEP_REST "[server]\nuser = no-such-user-here\n",
		    ":13: [server] user: " },
		{ DEEP_CERT DEEP_LISTENER DEEP_REST "[tls]\nticket_key_file = short.key\n",
		    ":13: [tls] ticket_key_file: too short" },
		{ DEEP_CERT DEEP_LISTENER DEEP_REST
		    "[tls]\nticket_key_file = vault.key\ntickets = no\n",
		    "has no effect" },
		{ DEEP_CERT DEEP_LISTENER "trusted_proxies = 10.0.0.0/8\n" DEEP_REST,
		    ":6: [listener l] trusted_proxies: has no" },
		{ DEEP_CERT DEEP_LISTENER "tls_old_devices = yes\ntls = none\n" DEEP_REST,
		    ":6: [listener l] tls_old_devices: " },
		{ DEEP_CERT DEEP_LISTENER "plaintext_auth = yes\ntls = implicit\n" DEEP_REST,
		    ":6: [listener l] plaintext_auth: " },
		{ DEEP_CERT DEEP_LISTENER "client_ca_file = no.crt\n" DEEP_REST,
		    ":6: [listener l] client_ca_file: " },
		{ DEEP_CERT DEEP_LISTENER DEEP_REST "[log]\npath = no/such/log\n",
		    ":13: [log] path: " },
	};

	(void)state;
	make_certificate("c.crt", "c.key");
	make_certificate("d.crt", "d.key");
	make_certificate("c.crt", "open.key");
	make_certificate("c.crt", "c.key");
	assert_int_equal(chmod(path_of("open.key"), 0644), 0);
	write_file("short.key", "0123456789012345678901234567890", 0600);
	write_file("open.ring",
	    "k1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 0644);

	struct text t = text_over(mistakes, sizeof(mistakes));

	assert_true(vault_create(path_of("vault.key"), &t));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *path = write_file("byway.ini", cases[i].ini, 0600);
		struct conf *c = load(path, true);

		if (!c != !!cases[i].says || (!c && !strstr(mistakes, cases[i].says)))
			fail_msg("case %zu: %s", i, c ? "accepted" : mistakes);
		conf_unref(c);
	}
	/* A password in a file that everybody can read. */
	write_file("byway.ini",
	    DEEP_CERT DEEP_LISTENER DEEP_REST
	    "[mta m]\nhost = m.example\nusername = u\npassword = p\n",
	    0644);
	assert_null(load(path_of("byway.ini"), true));
	assert_non_null(strstr(mistakes,
	    ":15: [mta m] password: stands in a file that everybody can read"));

	static const char *const made[] = { "c.crt", "c.key", "d.crt", "d.key", "open.key",
		"short.key", "open.ring", "vault.key", "byway.ini" };

	for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++)
		unlink(path_of(made[i]));
	assert_int_equal(secret_live(), 0);
}

/* ---- settling ---- */

static void
test_certificates_of_listeners(void **state)
{
	struct conf *c = good(
	    "[certificate a]\nchain_file=/a.crt\nkey_file=/a.key\n[certificate b]\nchain_file=/b.crt\n"
	    "key_file=/b.key\n[listener all]\naddress=127.0.0.1:1\n[listener some]\naddress=127.0.0.1:2\n"
	    "certificates = b, a\n[listener one]\naddress=127.0.0.1:3\ncertificates = b\ntls = implicit\n"
	    "[listener plain]\naddress=127.0.0.1:4\ntls = none\n");

	(void)state;
	assert_int_equal(c->listeners[0].pairs_n, 2);
	assert_string_equal(c->listeners[0].pairs[0].key_file, "/a.key");
	assert_int_equal(c->listeners[1].pairs_n, 2);
	assert_string_equal(c->listeners[1].pairs[0].chain_file, "/b.crt");
	assert_int_equal(c->listeners[2].pairs_n, 1);
	assert_string_equal(c->listeners[2].pairs[0].key_file, "/b.key");
	assert_int_equal(c->listeners[3].pairs_n, 0);
	conf_unref(c);
}

static void
test_mtas(void **state)
{
	struct conf *c = good(MIN
	    "[upstream]\nmax_connections = 7\n[mta a]\nhost = a.example\n[mta b]\nhost = 192.0.2.1\n"
	    "tls = implicit\nmax_connections = 3\nweight = 0\n[mta c]\nhost = ::1\nport = 2525\ntls = none\n"
	    "username = u\npassword = p\npin = "
	    "AA:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:"
	    "88:99\n");

	(void)state;
	assert_int_equal(c->mtas_n, 3);
	assert_int_equal(c->mtas[0].port, 25);
	assert_int_equal(c->mtas[0].max_connections, 7);
	assert_int_equal(c->mtas[0].messages_per_connection, 100);
	assert_int_equal(c->mtas[0].tls, UPSTREAM_TLS_STARTTLS);
	assert_null(c->mtas[0].username);
	assert_int_equal(c->mtas[1].port, 465);
	assert_int_equal(c->mtas[1].max_connections, 3);
	assert_int_equal(c->mtas[1].weight, 0);
	assert_int_equal(c->mtas[2].port, 2525);
	assert_string_equal(c->mtas[2].pin,
	    "aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899");
	conf_unref(c);
}

/* ---- printing, comparing ---- */

static void
test_print_can_be_read(void **state)
{
	static const char ini[] =
	    "[certificate a]\nchain_file=/a.crt\nkey_file=/a.key\n[listener l]\naddress=127.0.0.1:1 [::1]:2\n"
	    "proxy_protocol=yes\ntrusted_proxies=10.0.0.0/8 ::1\ncertificates=a\n[mta m]\nhost=m.example\n"
	    "[upstream]\nallow_networks=10.0.0.0/8\nfinal_timeout=599\nehlo_name=e.example\n"
	    "[limits]\nmessage_size=33554433\n[directory]\npoll=333ms\n[server]\nname=n.example\n";
	char a[32768], b[32768];
	struct text one = text_over(a, sizeof(a)), two = text_over(b, sizeof(b));
	struct conf *c = good(ini);

	(void)state;
	conf_print(c, false, false, &one);
	conf_unref(c);
	c = good(a);
	conf_print(c, false, false, &two);
	assert_string_equal(a, b);
	text_reset(&one);
	conf_print(c, true, false, &one);
	assert_string_equal(a,
	    "[server]\nname = n.example\n\n[limits]\nmessage_size = 33554433\n\n[directory]\npoll = 333ms\n\n"
	    "[upstream]\nehlo_name = e.example\nallow_networks = 10.0.0.0/8\nfinal_timeout = 599s\n\n"
	    "[certificate a]\nchain_file = /a.crt\nkey_file = /a.key\n\n[listener l]\naddress = 127.0.0.1:1 "
	    "[::1]:2\nproxy_protocol = yes\ntrusted_proxies = 10.0.0.0/8 ::1\ncertificates = a\n\n"
	    "[mta m]\nhost = m.example\n");
	text_reset(&one);
	conf_print(c, true, true, &one);
	assert_string_equal(a,
	    "{\"server\":{\"name\":\"n.example\"},\"replies\":{},\"log\":{},\"tls\":{},\"limits\":{\"message_size\":33554433},"
	    "\"guessing\":{},\"timeouts\":{},\"content\":{},\"directory\":{\"poll\":333},\"counters\":{},\"vault\":{},\"upstream\":{\"ehlo_name\":"
	    "\"e.example\",\"allow_networks\":[\"10.0.0.0/8\"],\"final_timeout\":599},\"native\":{},"
	    "\"senders\":{},\"dns\":{},\"certificate\":[{\"name\":\"a\",\"chain_file\":\"/a.crt\",\"key_file\":\"/a.key\"}],\"listener\":[{\"name\":\"l\","
	    "\"address\":[\"127.0.0.1:1\",\"[::1]:2\"],\"proxy_protocol\":true,\"trusted_proxies\":[\"10.0.0.0/8\","
	    "\"::1\"],\"certificates\":[\"a\"]}],\"mta\":[{\"name\":\"m\",\"host\":\"m.example\"}]}\n");
	conf_unref(c);
}

static void
test_restart(void **state)
{
	static const struct {
		const char *was, *now, *says;
	} cases[] = {
		{ MIN, MIN, "" },
		{ MIN, MIN "[log]\nlevel = debug\n[limits]\nconnections = 5\n", "" },
		{ MIN, MIN "[server]\nworkers = 4\nuser = byway\n",
		    "[server] workers: was 0, is 4\n[server] user: was none, is byway\n" },
		{ MIN, MIN "[directory]\npath = /x.db\n",
		    "[directory] path: was /var/lib/byway/directory.db, is /x.db\n" },
		{ MIN, "[listener l]\naddress = 127.0.0.1:2526\ntls = none\n",
		    "[listener l] address: was 127.0.0.1:2525, is 127.0.0.1:2526\n" },
		{ MIN, "[listener m]\naddress = 127.0.0.1:2525\ntls = none\n",
		    "[listener m]: is new\n[listener l]: is gone\n" },
		{ MIN, MIN "[listener m]\naddress = 127.0.0.1:2526\ntls = none\n",
		    "[listener m]: is new\n" },
		{ MIN "[mta a]\nhost = a.example\n", MIN "[mta b]\nhost = b.example\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char mem[4096];
		struct text out = text_over(mem, sizeof(mem));
		struct conf *was = good(cases[i].was), *now = good(cases[i].now);

		conf_needs_restart(was, now, &out);
		assert_string_equal(mem, cases[i].says);
		conf_unref(was);
		conf_unref(now);
	}
}

static void
test_references(void **state)
{
	struct conf *c = good(MIN "[mta m]\nhost = m.example\nusername = u\npassword = p\n");
	struct conf *again = good(MIN);

	(void)state;
	assert_true(again->revision > c->revision);
	conf_unref(again);
	assert_ptr_equal(conf_ref(c), c);
	conf_unref(c);
	assert_string_equal(c->mtas[0].password, "p");
	assert_int_equal(secret_live(), 1);
	conf_unref(c);
	assert_int_equal(secret_live(), 0);
	conf_unref(NULL);
}

/* What a small room for mistakes holds is never half a sentence taken for a whole. */
static void
test_small_room(void **state)
{
	char mem[40];
	struct text t = text_over(mem, sizeof(mem));

	(void)state;
	assert_null(conf_parse("byway.ini", SLICE("x = y\n[nope]\n"), false, &t));
	assert_true(t.overflow);
}

/* ---- documents ---- */

static void
same_as_file(const char *name, struct slice want)
{
	const char *root = getenv("BYWAY_ROOT");
	static char have[128 * 1024];
	char path[512];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", root ? root : ".", name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("%s cannot be read", path);
	n = fread(have, 1, sizeof(have), f);
	fclose(f);
	if (!slice_eq(slice_of(have, n), want))
		fail_msg("%s is not what the library holds", name);
}

/* What the programs carry is what dist/ holds. */
static void
test_shipped(void **state)
{
	(void)state;
	same_as_file("dist/byway.ini.sample", conf_sample());
}

/* The sample is read without a mistake, and so it is with every `;` taken off its examples. */
static void
test_sample(void **state)
{
	static char bare[16 * 1024];
	struct slice rest = conf_sample();
	struct text t = text_over(bare, sizeof(bare));
	struct conf *c = parse(rest);

	(void)state;
	if (!c)
		fail_msg("%s", mistakes);
	conf_unref(c);
	while (rest.n) {
		struct slice line = slice_cut(&rest, '\n');

		/* "; words" is a comment, ";key" an example. */
		if (line.n > 1 && line.p[0] == ';' && line.p[1] != ' ')
			line = slice_skip(line, 1);
		text_put(&t, line);
		text_char(&t, '\n');
	}
	c = parse(text_slice(&t));
	if (!c)
		fail_msg("%s", mistakes);
	assert_int_equal(c->listeners_n, 4);
	assert_int_equal(c->mtas_n, 1);
	conf_unref(c);
}

static int
set_up(void **state)
{
	struct text t = text_over(mistakes, sizeof(mistakes));

	(void)state;
	return crypto_init() && tls_init(&t) && mkdtemp(folder) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	return rmdir(folder) == 0 && secret_live() == 0 ? 0 : -1;
}

/* What strangers may reach is said; a socket's path is a server too. */
static void
test_counters_that_strangers_reach(void **state)
{
	static const struct {
		const char *servers;
		bool outside;
	} cases[] = { { "127.0.0.1:11211", false }, { "[::1]:11211", false },
		{ "/run/memcached.sock", false }, { "/run/memcached.sock 3 10.0.0.7:1", false },
		{ "192.168.3.4:11211 172.31.0.1:1", false }, { "172.32.0.1:1", true },
		{ "10.0.0.1:1 203.0.113.5:11211 2", true }, { "[2001:db8::1]:11211", true },
		{ "[fd00::1]:11211", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char ini[512], mem[1024] = "", said[1024] = "";
		struct text why = text_over(mem, sizeof(mem));
		struct text out = text_over(said, sizeof(said));

		snprintf(ini, sizeof(ini), MIN "[counters]\nservers = %s\n", cases[i].servers);
		struct conf *c = conf_parse("byway.ini", slice_str(ini), false, &why);

		if (!c)
			fail_msg("%s: %s", cases[i].servers, mem);
		conf_counter_warnings(c, false, &out);
		assert_int_equal(out.n > 0, cases[i].outside);
		conf_unref(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_little_is_enough),
		cmocka_unit_test(test_counters_that_strangers_reach),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_counter_servers),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_passwords_are_whole),
		cmocka_unit_test(test_line_ends_and_bom),
		cmocka_unit_test(test_secrets_stay_unseen),
		cmocka_unit_test(test_secret_files),
		cmocka_unit_test(test_folder_of_files),
		cmocka_unit_test(test_files_that_are_none),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_certificates_of_listeners),
		cmocka_unit_test(test_mtas),
		cmocka_unit_test(test_print_can_be_read),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_small_room),
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_sample),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
