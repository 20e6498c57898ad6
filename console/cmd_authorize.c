/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "console/out.h"
#include "console/store.h"
#include "relay/web/oauth_code.h"
#include "wire/crypto.h"

/*
 * byway profile authorize: a refresh token for an OAuth2 profile, by consent in a browser or from
 * standard input
 *
 * The browser comes back to a loopback address of this machine, where one request is taken;
 * whatever else knocks is sent away.
 */

enum { REQUEST_MAX = 8192, URL_MAX = 4096, WAIT_S = 600, KNOCKS_MAX = 64 };

static const char page[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    "Cache-Control: no-store\r\n\r\n";

/* ---- the browser's way back ------------------------------------------------------------------ */

static int
listen_here(struct cli *c, unsigned *port_r)
{
	uint64_t wanted = 0;
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (cli_value(c, "port") &&
	    (!slice_to_u64(slice_str(cli_value(c, "port")), &wanted) || wanted > 65535)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	at.sin_port = htons((uint16_t)wanted);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) != 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	*port_r = ntohs(at.sin_port);
	return fd;
}

/* The target of a GET: what stands between the method and the version. */
static bool
read_target(int fd, char mem[REQUEST_MAX], struct slice *target_r)
{
	size_t n = 0;

	while (n < REQUEST_MAX) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got = poll(&p, 1, 5000) == 1 ? read(fd, mem + n, REQUEST_MAX - n) : 0;

		if (got <= 0)
			return false;
		n += (size_t)got;
		if (memchr(mem, '\n', n))
			break;
	}
	struct slice rest = slice_of(mem, n);
	struct slice line = slice_cut(&rest, '\n');

	if (!slice_eq(slice_cut(&line, ' '), SLICE("GET")))
		return false;
	*target_r = slice_cut(&line, ' ');
	return true;
}

static void
answer(int fd, const char *words)
{
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));

	text_put(&t, slice_str(page));
	text_put(&t, slice_str(words));
	text_char(&t, '\n');
	if (send(fd, mem, t.n, MSG_NOSIGNAL) < 0)
		return; /* the browser has gone: no matter */
	shutdown(fd, SHUT_WR);
}

/* One that knocks. True: the browser, with a code, or with a refusal in WHY. */
static bool
take_one(int fd, const struct oauth_code *o, struct text *code, struct text *why)
{
	char mem[REQUEST_MAX];
	struct slice target;

	if (!read_target(fd, mem, &target) || slice_find(target, '?') == target.n) {
		answer(fd, "Nothing here.");
		return false;
	}
	if (oauth_code_take(o, target, code, why)) {
		answer(fd, "Done. You can close this window and go back to the terminal.");
		return true;
	}
	answer(fd, "That did not work. The terminal says why.");
	return true;
}

static bool
wait_for_code(int listener, const struct oauth_code *o, struct text *code, struct text *why)
{
	for (int i = 0; i < KNOCKS_MAX; i++) {
		struct pollfd p = { .fd = listener, .events = POLLIN };
		int fd = poll(&p, 1, WAIT_S * 1000) == 1 ? accept(listener, NULL, NULL) : -1;
		bool over;

		if (fd < 0)
			break;
		over = take_one(fd, o, code, why);
		close(fd);
		if (over)
			return why->n == 0;
	}
	text_put(why, SLICE("nobody came back from the consent page"));
	return false;
}

/* ---- the flow -------------------------------------------------------------------------------- */

/* Google's page has a host of its own; others have theirs beside the token endpoint. */
static const char *
consent_of(struct cli *c, const struct admin_profile *p)
{
	struct slice at = slice_str(p->token_endpoint);
	const char *said = cli_value(c, "consent");

	if (said)
		return said;
	if (slice_eq(at, SLICE("https://oauth2.googleapis.com/token")))
		return "https://accounts.google.com/o/oauth2/v2/auth";
	if (at.n > 6 && strcmp(at.p + at.n - 6, "/token") == 0)
		return cli_print(c, "%.*s/authorize", (int)(at.n - 6), at.p);
	return NULL;
}

static int
by_consent(struct store *s, const struct admin_profile *p, struct secret *token_r)
{
	struct cli *c = s->cli;
	char url_mem[URL_MAX], code_mem[2048], why_mem[256];
	struct text url = text_over(url_mem, sizeof(url_mem));
	struct text code = text_over(code_mem, sizeof(code_mem));
	struct text why = text_over(why_mem, sizeof(why_mem));
	struct secret secret = { 0 };
	unsigned port = 0;
	int fd = listen_here(c, &port);
	struct oauth_code o = {
		.consent = consent_of(c, p),
		.endpoint = p->token_endpoint,
		.client = p->oauth_client,
		.scope = p->oauth_scope,
		.redirect = cli_print(c, "http://localhost:%u/", port),
		.ca_file = s->conf->upstream.ca_file,
	};
	bool good = false;

	if (fd < 0)
		return cli_fail(c, EX_UNAVAILABLE, "cannot listen on that port of 127.0.0.1");
	if (!o.consent)
		text_put(&why, SLICE("which page asks for consent? say --consent URL"));
	else if (!oauth_code_begin(&o))
		text_put(&why, SLICE("cryptography failed"));
	oauth_code_url(&o, &url);
	if (why.n == 0) {
		fprintf(stderr, "Open this page in a browser on this machine, and agree:\n\n%s\n\n",
		    url_mem);
		good = wait_for_code(fd, &o, &code, &why);
	}
	close(fd);
	if (good && admin_profile_unseal(s->admin, s->cli->args[0], &secret) != ADMIN_OK) {
		text_put(&why, slice_str(admin_why(s->admin)));
		good = false;
	}
	good = good && oauth_code_exchange(&o, text_slice(&code), &secret, token_r, &why);
	secret_fini(&secret);
	crypto_wipe(code_mem, sizeof(code_mem));
	return good ? EX_OK : cli_fail(c, EX_NOPERM, "%s", why_mem);
}

/* A token that was had elsewhere: one line. */
static int
by_stdin(struct cli *c, struct secret *token_r)
{
	char mem[VAULT_PLAIN_MAX + 2];
	size_t n = fread(mem, 1, sizeof(mem), stdin);
	struct slice line = slice_of(mem, n);
	bool good;

	while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	good = line.n > 0 && line.n <= VAULT_PLAIN_MAX && slice_is_ascii(line) &&
	    secret_init(token_r, line);
	crypto_wipe(mem, sizeof(mem));
	return good ? EX_OK : cli_fail(c, EX_DATAERR, "that is no refresh token");
}

static void
say_done(struct cli *c)
{
	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_str(&j, "done", SLICE("authorized"));
		json_str(&j, "profile", slice_str(c->args[0]));
		json_close(&j, '}');
		json_end(&j);
	} else {
		printf("profile %s is authorized\n", c->args[0]);
	}
}

int
cmd_authorize(struct cli *c)
{
	struct admin_profile p;
	struct secret token = { 0 };
	struct store s;
	int status = store_open(c, STORE_DIRECTORY | STORE_VAULT, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = admin_get(s.admin, &entity_profile, c->args[0], &c->arena, &p);

	if (r != ADMIN_OK)
		status = store_fail(&s, r);
	else if (p.auth != PROFILE_OAUTH2)
		status = cli_fail(c, EX_USAGE, "%s logs in with a password: see --auth oauth2",
		    c->args[0]);
	else
		status =
		    cli_has(c, "token-stdin") ? by_stdin(c, &token) : by_consent(&s, &p, &token);
	if (status == EX_OK) {
		r = admin_profile_authorize(s.admin, c->args[0], &token);
		status = r == ADMIN_OK ? EX_OK : store_fail(&s, r);
	}
	if (status == EX_OK)
		say_done(c);
	secret_fini(&token);
	store_close(&s);
	return status;
}
