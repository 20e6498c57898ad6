/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/stat.h>

#include "conf/load.h"
#include "conf/vault/vault.h"

enum { TICKET_KEY_MIN = 32 };

static void
say(struct load *l, const struct instance *in, const char *key, const char *words)
{
	load_mistake_in(l, in, key, slice_str(words));
}

/* ---- what no single line shows ---- */

static void
check_required(struct load *l, const struct instance *in)
{
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *opt = &conf_options[i];
		char mem[MISTAKE_MAX];
		struct text why = text_over(mem, sizeof(mem));

		if (opt->section != in->section || opt->fallback || in->keys[i].line)
			continue;
		text_put(&why, SLICE("missing (expected "));
		value_expected(opt, &why);
		text_char(&why, ')');
		load_mistake_in(l, in, opt->key, text_slice(&why));
	}
}

static const struct instance *
listener_with(const struct load *l, const struct instance *until, const struct conf_address *a,
    size_t at)
{
	for (const struct instance *in = l->first; in; in = in->next) {
		const struct conf_listener *other = in->base;
		size_t n;

		if (in->section != SECTION_LISTENER)
			continue;
		n = in == until ? at : other->addresses_n;
		for (size_t i = 0; i < n; i++)
			if (other->addresses[i].len == a->len &&
			    memcmp(&other->addresses[i].addr, &a->addr, a->len) == 0)
				return in;
		if (in == until)
			break;
	}
	return NULL;
}

static void
check_addresses(struct load *l, const struct instance *in, const struct conf_listener *listener)
{
	for (size_t i = 0; i < listener->addresses_n; i++) {
		const struct conf_address *a = &listener->addresses[i];
		const struct instance *other = listener_with(l, in, a, i);
		char mem[MISTAKE_MAX];
		struct text why = text_over(mem, sizeof(mem));

		if (!other)
			continue;
		text_fmt(&why, "%s is taken by [listener %s]", a->text, other->name);
		load_mistake_in(l, in, "address", text_slice(&why));
	}
}

static void
check_certificates(struct load *l, const struct instance *in, const struct conf_listener *listener)
{
	const struct conf *c = &l->o->c;

	for (size_t i = 0; i < listener->certificates_n; i++) {
		struct guess g = { .word = slice_str(listener->certificates[i]) };
		char mem[MISTAKE_MAX];
		struct text why = text_over(mem, sizeof(mem));
		bool found = false;

		for (size_t k = 0; k < c->certificates_n; k++) {
			found = found || slice_eq(slice_str(c->certificates[k].name), g.word);
			guess_try(&g, c->certificates[k].name);
		}
		if (found)
			continue;
		text_put(&why, SLICE("there is no [certificate "));
		text_escaped(&why, g.word, 64);
		text_char(&why, ']');
		if (g.best)
			text_fmt(&why, "; did you mean \"%s\"?", g.best);
		load_mistake_in(l, in, "certificates", text_slice(&why));
	}
	if (c->certificates_n == 0 && listener->certificates_n == 0)
		say(l, in, "tls",
		    "TLS needs a certificate, and there is no [certificate NAME] section");
}

static void
check_listener(struct load *l, const struct instance *in)
{
	const struct conf_listener *listener = in->base;

	check_addresses(l, in, listener);
	if (listener->tls != LISTENER_PLAIN)
		check_certificates(l, in, listener);
	if (listener->proxy_protocol && listener->trusted_proxies_n == 0)
		say(l, in, "proxy_protocol",
		    "needs trusted_proxies: who may say where a client is");
	if (listener->client_certificates != TLS_CLIENT_CERT_NONE) {
		if (listener->tls == LISTENER_PLAIN)
			say(l, in, "client_certificates", "needs TLS (tls = starttls or implicit)");
		else if (!listener->client_ca_file)
			say(l, in, "client_certificates", "needs client_ca_file: who signs them");
	}
}

static bool
is_loopback(const char *host)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static void
check_mta(struct load *l, const struct instance *in)
{
	const struct conf_mta *m = in->base;
	bool password = load_was_set(in, "password"), file = load_was_set(in, "password_file");

	if (password && file && m->password_file)
		say(l, in, "password_file", "password is set too; one of them must go");
	if (m->username && !m->password && !m->password_file)
		say(l, in, "username", "has no password (expected password_file or password)");
	if (!m->username && m->password)
		say(l, in, password ? "password" : "password_file", "has no username");
	if (m->username && m->host && m->tls == UPSTREAM_TLS_NONE && !is_loopback(m->host))
		say(l, in, "tls", "none, so the password would cross the network in clear");
}

static void
check_counters(struct load *l, const struct instance *in)
{
	struct counter_server server;
	const char *why = NULL;
	size_t at = 0;

	while (conf_counter_server(&l->o->c, &at, &server, &why))
		;
	if (why)
		say(l, in, "servers", why);
}

void
load_check(struct load *l)
{
	size_t listeners = 0;

	for (const struct instance *in = l->first; in; in = in->next) {
		if (conf_sections[in->section].named)
			check_required(l, in);
		if (in->section == SECTION_LISTENER) {
			listeners++;
			check_listener(l, in);
		} else if (in->section == SECTION_MTA) {
			check_mta(l, in);
		} else if (in->section == SECTION_COUNTERS) {
			check_counters(l, in);
		}
	}
	if (listeners == 0)
		load_mistake(l, (struct place){ 0 },
		    SLICE("no [listener NAME] section (expected one at least)"));
}

/* ---- the files that are named, and settings without effect ---- */

static void
deep_certificate(struct load *l, const struct instance *in)
{
	const struct conf_certificate *cert = in->base;
	struct tls_pair pair = { .chain_file = cert->chain_file, .key_file = cert->key_file };
	struct tls_server_options options = { .pairs = &pair, .pairs_n = 1, .tls13 = true };
	char mem[MISTAKE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct tls_ctx *ctx;
	struct stat st;

	if (!cert->chain_file || !cert->key_file)
		return;
	if (stat(cert->key_file, &st) == 0 && (st.st_mode & S_IRWXO) != 0) {
		text_fmt(&why, "%s can be read by everybody: chmod o= it", cert->key_file);
		load_mistake_in(l, in, "key_file", text_slice(&why));
		text_reset(&why);
	}
	ctx = tls_server_ctx(&options, &why);
	if (ctx)
		tls_ctx_unref(ctx);
	else
		load_mistake_in(l, in, NULL, text_slice(&why));
}

/* FILE as a trust store. */
static void
deep_ca(struct load *l, const struct instance *in, const char *key, const char *file)
{
	struct tls_client_options options = { .ca_file = file };
	char mem[MISTAKE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct tls_ctx *ctx;

	if (!file)
		return;
	ctx = tls_client_ctx(&options, &why);
	if (ctx)
		tls_ctx_unref(ctx);
	else
		load_mistake_in(l, in, key, text_slice(&why));
}

static void
deep_listener(struct load *l, const struct instance *in)
{
	const struct conf_listener *listener = in->base;

	deep_ca(l, in, "client_ca_file", listener->client_ca_file);
	if (listener->trusted_proxies_n && !listener->proxy_protocol)
		say(l, in, "trusted_proxies", "has no effect without proxy_protocol = yes");
	if (listener->plaintext_auth && !listener->auth)
		say(l, in, "plaintext_auth", "has no effect with auth = no");
	else if (listener->plaintext_auth && listener->tls == LISTENER_IMPLICIT)
		say(l, in, "plaintext_auth", "has no effect with tls = implicit");
	if (listener->tls_old_devices && listener->tls == LISTENER_PLAIN)
		say(l, in, "tls_old_devices", "has no effect with tls = none");
	if (listener->certificates_n && listener->tls == LISTENER_PLAIN)
		say(l, in, "certificates", "has no effect with tls = none");
	if (listener->client_ca_file && listener->client_certificates == TLS_CLIENT_CERT_NONE)
		say(l, in, "client_ca_file", "has no effect with client_certificates = none");
}

static void
deep_mta(struct load *l, const struct instance *in)
{
	const struct conf_mta *m = in->base;

	deep_ca(l, in, "ca_file", m->ca_file);
	if (m->tls == UPSTREAM_TLS_NONE && m->pin)
		say(l, in, "pin", "has no effect with tls = none");
	if (m->tls == UPSTREAM_TLS_NONE && m->ca_file)
		say(l, in, "ca_file", "has no effect with tls = none");
	if (m->pin && m->ca_file)
		say(l, in, "ca_file", "has no effect with a pin");
}

/* The folder that FILE shall stand in. */
static void
deep_folder(struct load *l, const struct instance *in, const char *key, const char *file)
{
	struct slice dir = slice_str(file);
	char path[4096], mem[MISTAKE_MAX];
	struct text z = text_over(path, sizeof(path)), why = text_over(mem, sizeof(mem));
	struct stat st;

	while (dir.n > 1 && dir.p[dir.n - 1] != '/')
		dir.n--;
	text_put(&z, dir);
	if (stat(path, &st) != 0)
		text_fmt(&why, "%s: %s", path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		text_fmt(&why, "%s is not a folder", path);
	if (why.n)
		load_mistake_in(l, in, key, text_slice(&why));
}

static void
deep_server(struct load *l, const struct instance *in)
{
	const struct conf *c = &l->o->c;
	char mem[16384];
	struct passwd user, *u = NULL;
	struct group group, *g = NULL;

	if (c->server.user && (getpwnam_r(c->server.user, &user, mem, sizeof(mem), &u) != 0 || !u))
		say(l, in, "user", "there is no such user");
	if (c->server.group &&
	    (getgrnam_r(c->server.group, &group, mem, sizeof(mem), &g) != 0 || !g))
		say(l, in, "group", "there is no such group");
}

static void
deep_tls(struct load *l, const struct instance *in)
{
	const struct conf *c = &l->o->c;
	struct secret s;
	char why[512];

	if (!c->tls.ticket_key_file)
		return;
	if (!c->tls.tickets)
		say(l, in, "ticket_key_file", "has no effect with tickets = no");
	if (!secret_read_file(&s, c->tls.ticket_key_file, false, why, sizeof(why))) {
		say(l, in, "ticket_key_file", why);
		return;
	}
	if (s.n < TICKET_KEY_MIN)
		say(l, in, "ticket_key_file", "too short (expected 32 octets or more)");
	secret_fini(&s);
}

static void
deep_vault(struct load *l, const struct instance *in)
{
	char mem[MISTAKE_MAX];
	struct text why = text_over(mem, sizeof(mem));
	struct vault *v;

	if (!l->o->c.vault.key_file)
		return;
	v = vault_open(l->o->c.vault.key_file, &why);
	if (v)
		vault_close(v);
	else
		load_mistake_in(l, in, "key_file", text_slice(&why));
}

/* A password that stands in the file itself must not be everybody's to read. */
static void
deep_password(struct load *l, const struct instance *in)
{
	size_t i = (size_t)(option_find(SECTION_MTA, SLICE("password")) - conf_options);
	struct stat st;

	if (in->keys[i].line && stat(l->files[in->keys[i].file], &st) == 0 &&
	    (st.st_mode & S_IRWXO) != 0)
		say(l, in, "password",
		    "stands in a file that everybody can read: chmod o= it, or use password_file");
}

void
load_check_deep(struct load *l)
{
	const struct conf *c = &l->o->c;

	for (const struct instance *in = l->first; in; in = in->next) {
		switch (in->section) {
		case SECTION_SERVER:
			deep_server(l, in);
			break;
		case SECTION_LOG:
			if (c->log.path && c->log.path[0] == '/')
				deep_folder(l, in, "path", c->log.path);
			break;
		case SECTION_TLS:
			deep_tls(l, in);
			break;
		case SECTION_DIRECTORY:
			if (c->directory.path)
				deep_folder(l, in, "path", c->directory.path);
			break;
		case SECTION_VAULT:
			deep_vault(l, in);
			break;
		case SECTION_UPSTREAM:
			deep_ca(l, in, "ca_file", c->upstream.ca_file);
			break;
		case SECTION_CERTIFICATE:
			deep_certificate(l, in);
			break;
		case SECTION_LISTENER:
			deep_listener(l, in);
			break;
		case SECTION_MTA:
			deep_mta(l, in);
			deep_password(l, in);
			break;
		case SECTION_REPLIES:
		case SECTION_LIMITS:
		case SECTION_COUNTERS:
		case SECTION_GUESSING:
		case SECTION_TIMEOUTS:
		case SECTION_CONTENT:
		case SECTION_NATIVE:
		case SECTION_SENDERS:
		case SECTION_DNS:
		case SECTION_COUNT:
			break;
		}
	}
}
