/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "console/out.h"

/*
 * byway mailbox devices: what to type into a mail program or a device for one mailbox
 */

enum { CHOICES_MAX = 32 };

struct choice {
	unsigned port;
	enum listener_tls tls;
	bool old; /* for devices that have no better TLS, or none */
};

static const char *
encryption(const struct choice *c)
{
	static const char *const words[] = {
		[LISTENER_PLAIN] = "none",
		[LISTENER_STARTTLS] = "STARTTLS",
		[LISTENER_IMPLICIT] = "SSL/TLS",
	};

	return words[c->tls];
}

static unsigned
port_of(const struct conf_address *a)
{
	const struct sockaddr *sa = (const struct sockaddr *)&a->addr;

	return ntohs(sa->sa_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a->addr)->sin6_port
	                                       : ((const struct sockaddr_in *)&a->addr)->sin_port);
}

/* How good a choice is for a client: RFC 8314 prefers TLS from the first octet, and 465 and 587
 * are what every client knows. */
static int
rank(const struct choice *c)
{
	int known = c->port == 465 || c->port == 587 ? 1 : 0;

	return (c->old ? 0 : 100) + (int)c->tls * 10 + known;
}

static size_t
find_choices(const struct conf *conf, struct choice *all)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->listeners_n; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		/* Clients do not speak to those that wait for a balancer, nor log in without AUTH. */
		if (l->proxy_protocol || !l->auth ||
		    (l->tls == LISTENER_PLAIN && !l->plaintext_auth))
			continue;
		for (size_t k = 0; k < l->addresses_n && n < CHOICES_MAX; k++) {
			struct choice one = { port_of(&l->addresses[k]), l->tls,
				l->tls_old_devices || l->tls == LISTENER_PLAIN };
			size_t at = n;

			for (size_t j = 0; j < n; j++)
				if (all[j].port == one.port && all[j].tls == one.tls)
					at = CHOICES_MAX;
			if (at == CHOICES_MAX)
				continue;
			for (; at > 0 && rank(&all[at - 1]) < rank(&one); at--)
				all[at] = all[at - 1];
			all[at] = one;
			n++;
		}
	}
	return n;
}

static void
print_text(const struct conf *conf, const char *user, const struct choice *all, size_t n)
{
	printf("Server:     %s\n"
	       "Port:       %u\n"
	       "Encryption: %s\n"
	       "User name:  %s\n"
	       "Password:   the mailbox's (Thunderbird: \"Normal password\"; Outlook: no SPA)\n",
	    conf->server.name, all[0].port, encryption(&all[0]), user);
	for (size_t i = 1; i < n; i++)
		printf("%s port %u, %s%s\n", i == 1 ? "\nOr:        " : "           ", all[i].port,
		    encryption(&all[i]), all[i].old ? " (old devices only)" : "");
}

static void
print_json(const struct conf *conf, const char *user, const struct choice *all, size_t n)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	json_str(&j, "host", slice_str(conf->server.name));
	json_str(&j, "username", slice_str(user));
	json_open(&j, "ports", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(&j, NULL, '{');
		json_u64(&j, "port", all[i].port);
		json_str(&j, "encryption", slice_str(encryption(&all[i])));
		json_bool(&j, "old_devices", all[i].old);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

int
cmd_mailbox_devices(struct cli *c)
{
	struct choice all[CHOICES_MAX];
	void *row = cli_alloc(c, kind_mailbox.of->size);
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = kind_get(&s, &kind_mailbox, c->args[0], row);
	size_t n = find_choices(s.conf, all);

	if (r != ADMIN_OK)
		status = store_fail(&s, r);
	else if (n == 0)
		status = cli_fail(c, EX_CONFIG, "no [listener] lets clients log in");
	else if (c->json)
		print_json(s.conf, kind_key_of(c, &kind_mailbox, row), all, n);
	else
		print_text(s.conf, kind_key_of(c, &kind_mailbox, row), all, n);
	store_close(&s);
	return status;
}
