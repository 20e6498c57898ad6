/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/provider.h"
#include "console/ask.h"

/*
 * byway setup: from nothing to a test message that an upstream took
 *
 * Five questions, each with its option: host name, certificate, ports, upstream, first mailbox.
 * What is missing is told before anything is made. Then it runs the commands that a person would
 * type, and shows each, so that what it does can be repeated and changed by hand. What is there
 * already stays: a run that failed half way is mended by running it again.
 */

enum { ARGS_MAX = 24 };

struct setup {
	struct cli *cli;
	const char *ini;
	bool fresh; /* there was no byway.ini */
	const char *name, *chain, *key, *listen, *listen_tls;
	const char *mta;             /* HOST or HOST:PORT; or one of the two below */
	const char *provider, *host; /* of a profile */
	const char *username;
	const char *mailbox, *account, *domain;
	const char *to;
};

/* ---- running a command ----------------------------------------------------------------------- */

struct command_line {
	const char *at[ARGS_MAX];
	size_t n;
};

static void
say(struct command_line *w, const char *word)
{
	if (w->n + 1 < ARGS_MAX)
		w->at[w->n++] = word;
}

/* "--NAME VALUE", where there is a value. */
static void
say_option(struct command_line *w, const char *name, const char *value)
{
	if (!value)
		return;
	say(w, name);
	say(w, value);
}

/* An option of ours that the command has under the same name. */
static void
pass(struct setup *s, struct command_line *w, const char *name)
{
	const char *value = cli_value(s->cli, name);

	if (!value)
		return;
	say(w, cli_print(s->cli, "--%s", name));
	if (*value)
		say(w, value);
}

static int
run(struct setup *s, struct command_line *w)
{
	struct cli *c = s->cli, *sub = cli_alloc(c, sizeof(*sub));
	char *argv[ARGS_MAX + 1] = { NULL };
	int status;

	for (size_t i = 0; i < w->n; i++)
		argv[i] = cli_dup(c, slice_str(w->at[i]));
	if (!c->json) {
		printf("\n$");
		for (size_t i = 0; i < w->n; i++)
			printf(" %s", argv[i]);
		printf("\n");
		fflush(stdout);
	}
	*sub = (struct cli){
		.config = s->ini, .json = c->json, .colour = c->colour, .arena = c->arena
	};
	status = cli_main(sub, (int)w->n, argv);
	c->arena = sub->arena;
	return status;
}

/* A command on the installation that is being made. */
static struct command_line
begin(struct setup *s)
{
	struct command_line w = { .n = 0 };

	say(&w, "byway");
	say_option(&w, "-c", strcmp(s->ini, "/etc/byway/byway.ini") == 0 ? NULL : s->ini);
	return w;
}

/* ---- the ports ------------------------------------------------------------------------------- */

/* The ports of the service: the first of a kind are what clients try first. */
static const unsigned starttls_ports[] = { 587, 25, 2525, 8025, 80 };
static const unsigned implicit_ports[] = { 465, 8465, 443 };

/* 0: can be bound here; or why not. */
static int
try_port(unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, why = 0;

	if (fd < 0)
		return errno;
	/* As the daemon does: connections that linger from before are not in the way. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 1) != 0)
		why = errno;
	close(fd);
	return why;
}

/* "0.0.0.0:587,[::]:587" of those that are free; the others are named. */
static const char *
free_ports(struct setup *s, const unsigned *ports, size_t n)
{
	const char *list = "";

	for (size_t i = 0; i < n; i++) {
		int why = try_port(ports[i]);

		if (why != 0)
			cli_note(s->cli, "port %u is left out: %s", ports[i], strerror(why));
		else
			list = cli_print(s->cli, "%s%s0.0.0.0:%u,[::]:%u", list, *list ? "," : "",
			    ports[i], ports[i]);
	}
	return list;
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* ---- the questions --------------------------------------------------------------------------- */

/* The option's value, else an answer, else OTHERWISE. */
static const char *
choose(struct setup *s, const char *option, const char *question, const char *otherwise)
{
	const char *said = cli_value(s->cli, option);

	if (said || !ask_can(s->cli))
		return said ? said : otherwise;
	return ask_line(s->cli, question, otherwise);
}

static int
choose_upstream(struct setup *s)
{
	struct cli *c = s->cli;
	const char *answer;

	s->mta = cli_value(c, "mta");
	s->provider = cli_value(c, "provider");
	s->host = cli_value(c, "host");
	if ((s->mta != NULL) + (s->provider || s->host) > 1)
		return cli_usage(c, "say --mta, or --provider or --host: one upstream is enough");
	if (!s->mta && !s->provider && !s->host && ask_can(c)) {
		answer = ask_line(c,
		    "Upstream: HOST:PORT of your own mail server, or a provider (see byway provider list)",
		    NULL);
		if (answer && provider_find(slice_str(answer)))
			s->provider = answer;
		else
			s->mta = answer;
	}
	if (!s->mta && !s->provider && !s->host)
		return cli_usage(c,
		    "where does the mail go? say --mta HOST:PORT for a server of your own, or --provider NAME or --host HOST");
	if (s->mta)
		return EX_OK;
	if (!s->provider || !*provider_of(s->provider)->username)
		s->username = choose(s, "username", "User name there", NULL);
	else
		s->username = cli_value(c, "username");
	return EX_OK;
}

static int
choose_mailbox(struct setup *s)
{
	struct cli *c = s->cli;
	const char *at;

	s->mailbox = choose(s, "mailbox", "First mailbox, an address", NULL);
	if (!s->mailbox)
		return cli_usage(c, "who sends? say --mailbox ADDRESS");
	at = strrchr(s->mailbox, '@');
	if (!at || at == s->mailbox || !at[1])
		return cli_usage(c, "--mailbox needs an address, as alice@acme.example");
	s->domain = at + 1;
	s->account = cli_value(c, "account");
	if (!s->account)
		s->account = cli_dup(c, slice_of(s->domain, strcspn(s->domain, ".")));
	s->to = choose(s, "to", "Send the test message to", s->mailbox);
	return EX_OK;
}

static int
ask_all(struct setup *s)
{
	struct cli *c = s->cli;
	int status;

	if (s->fresh) {
		s->name = choose(s, "name", "Host name", NULL);
		s->chain =
		    choose(s, "certificate", "Certificate, a PEM file (none: self-signed)", NULL);
		if (s->chain)
			s->key = choose(s, "certificate-key", "Its key", NULL);
		s->listen = cli_value(c, "listen");
		s->listen_tls = cli_value(c, "listen-tls");
		if (!s->listen && !s->listen_tls) {
			s->listen = free_ports(s, starttls_ports, COUNT(starttls_ports));
			s->listen_tls = free_ports(s, implicit_ports, COUNT(implicit_ports));
			if (ask_can(c))
				s->listen = ask_line(c, "Listen with STARTTLS on", s->listen);
			if (ask_can(c))
				s->listen_tls = ask_line(c, "Listen with TLS on", s->listen_tls);
		}
		if ((!s->listen || !*s->listen) && (!s->listen_tls || !*s->listen_tls))
			return cli_fail(c, EX_UNAVAILABLE,
			    "none of the ports can be had: run this as root, or say --listen ADDRESS:PORT");
	}
	status = choose_upstream(s);
	return status == EX_OK ? choose_mailbox(s) : status;
}

/* ---- the steps ------------------------------------------------------------------------------- */

static int
make_installation(struct setup *s)
{
	struct command_line w = { .n = 0 };
	int status;

	say(&w, "byway");
	say(&w, "init");
	pass(s, &w, "dir");
	pass(s, &w, "state");
	pass(s, &w, "control");
	pass(s, &w, "user");
	say_option(&w, "--name", s->name);
	say_option(&w, "--certificate", s->chain);
	say_option(&w, "--certificate-key", s->key);
	say_option(&w, "--listen", s->listen);
	say_option(&w, "--listen-tls", s->listen_tls);
	status = run(s, &w);
	if (status != EX_OK)
		return status;
	w = begin(s);
	say(&w, "config");
	say(&w, "check");
	return run(s, &w);
}

/* Adds one to the directory, unless it is there. */
static int
add(struct setup *s, const struct kind *k, const char *key, struct command_line *w)
{
	struct store store;
	void *row = cli_alloc(s->cli, k->of->size);
	struct cli sub = { .config = s->ini, .json = s->cli->json, .arena = s->cli->arena };
	int status = store_open(&sub, STORE_DIRECTORY, &store);
	enum admin_result r = ADMIN_FAILED;

	if (status == EX_OK) {
		r = kind_get(&store, k, key, row);
		status = r == ADMIN_OK || r == ADMIN_MISSING ? EX_OK : store_fail(&store, r);
		store_close(&store);
		if (status == EX_OK && r == ADMIN_OK && !s->cli->json)
			printf("\n%s is there and stays as it is.\n", key);
	}
	s->cli->arena = sub.arena;
	if (status != EX_OK || r == ADMIN_OK)
		return status;
	return run(s, w);
}

static int
add_account(struct setup *s)
{
	struct command_line w = begin(s);
	const char *plan = cli_value(s->cli, "plan");
	int status;

	say(&w, "account");
	say(&w, "add");
	say(&w, s->account);
	say_option(&w, "--plan", plan ? plan : "pro");
	say_option(&w, "--owner-verified", "yes");
	status = add(s, &kind_account, s->account, &w);
	if (status != EX_OK)
		return status;
	w = begin(s);
	say(&w, "domain");
	say(&w, "add");
	say(&w, s->domain);
	say_option(&w, "--account", s->account);
	status = add(s, &kind_domain, s->domain, &w);
	if (status != EX_OK)
		return status;
	w = begin(s);
	say(&w, "mailbox");
	say(&w, "add");
	say(&w, s->mailbox);
	say(&w, "--generate");
	return add(s, &kind_mailbox, s->mailbox, &w);
}

static int
test_upstream(struct setup *s, struct command_line *w)
{
	int status;

	say_option(w, "--from", s->mailbox);
	say_option(w, "--to", s->to);
	status = run(s, w);
	if (status == EX_OK || s->cli->json)
		return status;
	printf(
	    "\nThe upstream did not take the test message. Mend what is said above (a profile: byway profile set\n"
	    "%s/first) and run byway setup again: what is made stays.\n",
	    s->account);
	return status;
}

/* Writes the section into the configuration, where no other server stands. */
static int
write_mta(struct setup *s, const char *host, const char *port, const char *tls)
{
	struct cli *c = s->cli;
	int status = EX_OK;
	FILE *f;
	struct cli sub = { .config = s->ini, .json = c->json, .arena = c->arena };
	struct conf *conf = store_conf(&sub, false, &status);

	c->arena = sub.arena;
	if (!conf)
		return status;
	bool there = conf->mtas_n > 0;

	conf_unref(conf);
	if (there) {
		cli_note(c, "%s names a server of the native pool already: it stays as it is",
		    s->ini);
		return EX_OK;
	}
	f = fopen(s->ini, "a");
	if (!f)
		return cli_fail(c, EX_CANTCREAT, "cannot write to %s: %s", s->ini, strerror(errno));
	fprintf(f, "\n[mta own]\nhost = %s\nport = %s\ntls = %s\n", host, port, tls);
	char ca[PATH_MAX];

	/* Paths in the configuration begin at its own folder. */
	if (cli_value(c, "ca") && realpath(cli_value(c, "ca"), ca))
		fprintf(f, "ca_file = %s\n", ca);
	if (fclose(f) != 0)
		return cli_fail(c, EX_IOERR, "cannot write to %s: %s", s->ini, strerror(errno));
	if (!c->json)
		printf("\n%s has the section [mta own] now.\n", s->ini);
	return EX_OK;
}

/* The operator's own server: tried first, written into the configuration if it works. */
static int
use_mta(struct setup *s)
{
	struct cli *c = s->cli;
	const char *tls = cli_value(c, "tls"), *host = s->mta, *port = NULL;
	const char *colon = strrchr(s->mta, ':');
	struct command_line w = begin(s);
	int status;

	if (colon && (strchr(s->mta, ':') == colon || colon[-1] == ']')) {
		host = cli_dup(c, slice_of(s->mta, (size_t)(colon - s->mta)));
		port = colon + 1;
	}
	if (!tls)
		tls = "starttls";
	if (!port)
		port = strcmp(tls, "implicit") == 0 ? "465" : "25";
	say(&w, "profile");
	say(&w, "test");
	say(&w, "--own");
	say_option(&w, "--host", host);
	say_option(&w, "--port", port);
	say_option(&w, "--tls", tls);
	pass(s, &w, "ca");
	status = test_upstream(s, &w);
	return status == EX_OK ? write_mta(s, host, port, tls) : status;
}

static int
use_profile(struct setup *s)
{
	const char *key = cli_print(s->cli, "%s/first", s->account);
	struct command_line w = begin(s);
	int status;

	say(&w, "profile");
	say(&w, "add");
	say(&w, key);
	say_option(&w, "--username", s->username);
	pass(s, &w, "provider");
	pass(s, &w, "region");
	pass(s, &w, "host");
	pass(s, &w, "port");
	pass(s, &w, "tls");
	pass(s, &w, "ca");
	pass(s, &w, "domain");
	pass(s, &w, "password-file");
	pass(s, &w, "password-stdin");
	if (!cli_value(s->cli, "provider"))
		say_option(&w, "--provider", s->provider);
	status = add(s, &kind_profile, key, &w);
	if (status != EX_OK)
		return status;
	w = begin(s);
	say(&w, "profile");
	say(&w, "test");
	say(&w, key);
	status = test_upstream(s, &w);
	if (status != EX_OK)
		return status;
	w = begin(s);
	say(&w, "route");
	say(&w, "set");
	say(&w, s->account);
	say(&w, "first");
	return run(s, &w);
}

static int
tell_rest(struct setup *s)
{
	struct command_line w = begin(s);
	int status;

	say(&w, "mailbox");
	say(&w, "devices");
	say(&w, s->mailbox);
	status = run(s, &w);
	if (status == EX_OK && !s->cli->json)
		printf("\nThe upstream took a message from %s to %s. Start the daemon now:\n"
		       "  systemctl enable --now byway      or      bywayd%s%s\n"
		       "and, if it runs already:  byway reload\n",
		    s->mailbox, s->to, strcmp(s->ini, "/etc/byway/byway.ini") == 0 ? "" : " -c ",
		    strcmp(s->ini, "/etc/byway/byway.ini") == 0 ? "" : s->ini);
	return status;
}

int
cmd_setup(struct cli *c)
{
	const char *dir = cli_value(c, "dir");
	struct setup s = { .cli = c };
	int status;

	s.ini = dir ? cli_print(c, "%s/byway.ini", dir) : "/etc/byway/byway.ini";
	s.fresh = access(s.ini, F_OK) != 0;
	status = ask_all(&s);
	if (status == EX_OK)
		status = make_installation(&s);
	if (status == EX_OK)
		status = add_account(&s);
	if (status == EX_OK)
		status = s.mta ? use_mta(&s) : use_profile(&s);
	return status == EX_OK ? tell_rest(&s) : status;
}
