/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "console/out.h"

/*
 * byway mailbox devices: what to type into a mail program or a device for one mailbox
 *
 * byway domain records: what its name servers should say of a domain (RFC 7208, 6376, 7489, 6186,
 * 8314)
 */

enum { CHOICES_MAX = 32, RECORDS_MAX = 8 };

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

		/* Clients do not speak to those that wait for a balancer, nor log in without
		 * AUTH. */
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

/* ---- records --------------------------------------------------------------------------------- */

struct record {
	const char *name, *type, *value;
	const char *note; /* what a person must still do; NULL: nothing */
};

/* Who sends for the domain: what [dns] says, else the native pool's hosts. */
static struct record
spf_of(struct cli *c, const struct conf *conf, const struct admin_domain *row)
{
	struct record r = { .name = row->name, .type = "TXT" };
	const char *senders = "";

	if (conf->dns.spf_include)
		senders = cli_print(c, " include:%s", conf->dns.spf_include);
	for (size_t i = 0; i < conf->mtas_n && !conf->dns.spf_include; i++) {
		const char *host = conf->mtas[i].host;
		struct net net;
		bool literal = net_parse(slice_str(host), &net);

		senders = cli_print(c, "%s %s:%s", senders,
		    !literal              ? "a"
		        : net.family == 4 ? "ip4"
		                          : "ip6",
		    host);
	}
	r.value = cli_print(c, "v=spf1%s ~all", senders);
	if (!*senders)
		r.note = "nobody is named: set [dns] spf_include, or an [mta]";
	return r;
}

/* The selector's record where we cannot know the key: its name stands, the key does not. */
static struct record
dkim_of(struct cli *c, const struct admin_domain *row)
{
	bool known = *row->dkim_selector != '\0';

	return (struct record){
		.name = cli_print(c, "%s._domainkey.%s", known ? row->dkim_selector : "SELECTOR",
		    row->name),
		.type = "TXT",
		.value = "v=DKIM1; k=rsa; p=KEY",
		.note = known
		    ? "KEY is the public key of the server that signs"
		    : "byway domain set --dkim-selector says SELECTOR; KEY is the public key of the server that signs",
	};
}

/* The best port of MODE; no port where no listener has it: "0 0 0 ." says that there is none. */
static struct record
service_of(struct cli *c, const struct conf *conf, const char *domain, const char *service,
    enum listener_tls mode)
{
	struct choice all[CHOICES_MAX];
	size_t n = find_choices(conf, all);
	struct record r = { .name = cli_print(c, "_%s._tcp.%s", service, domain),
		.type = "SRV",
		.value = "0 0 0 ." };

	for (size_t i = n; i-- > 0;)
		if (all[i].tls == mode && !all[i].old)
			r.value = cli_print(c, "0 1 %u %s.", all[i].port, conf->server.name);
	return r;
}

static size_t
find_records(struct store *s, const struct admin_domain *row, struct record *all)
{
	struct cli *c = s->cli;
	size_t n = 0;

	all[n++] = spf_of(c, s->conf, row);
	all[n++] = dkim_of(c, row);
	all[n++] = (struct record){ .name = cli_print(c, "_dmarc.%s", row->name),
		.type = "TXT",
		.value = cli_print(c, "v=DMARC1; p=none; rua=mailto:postmaster@%s", row->name),
		.note = "a beginning: p=quarantine or reject once the reports are clean" };
	all[n++] = service_of(c, s->conf, row->name, "submissions", LISTENER_IMPLICIT);
	all[n++] = service_of(c, s->conf, row->name, "submission", LISTENER_STARTTLS);
	return n;
}

/* RFC 1035, 5.1: a line that a person must complete is a comment. */
static void
print_zone(const struct record *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *quote = strcmp(all[i].type, "TXT") == 0 ? "\"" : "";
		bool whole = !strstr(all[i].value, "p=KEY");

		if (all[i].note)
			printf("; %s\n", all[i].note);
		printf("%s%s. 3600 IN %s %s%s%s\n", whole ? "" : ";", all[i].name, all[i].type,
		    quote, all[i].value, quote);
	}
}

static void
print_records_json(const char *domain, const struct record *all, size_t n)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	json_str(&j, "domain", slice_str(domain));
	json_open(&j, "records", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "name", slice_str(all[i].name));
		json_str(&j, "type", slice_str(all[i].type));
		json_str(&j, "value", slice_str(all[i].value));
		if (all[i].note)
			json_str(&j, "note", slice_str(all[i].note));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

static void
print_records(struct cli *c, const struct record *all, size_t n)
{
	static const char *const titles[] = { "name", "type", "value", NULL };
	struct table t = table_begin(c, titles);

	for (size_t i = 0; i < n; i++)
		table_row(&t, (const char *[]){ all[i].name, all[i].type, all[i].value });
	table_end(&t);
	for (size_t i = 0; i < n; i++)
		if (all[i].note)
			printf("%s: %s\n", all[i].name, all[i].note);
}

int
cmd_domain_records(struct cli *c)
{
	struct record all[RECORDS_MAX];
	struct admin_domain row;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = admin_get(s.admin, &entity_domain, c->args[0], &c->arena, &row);

	if (r != ADMIN_OK) {
		status = store_fail(&s, r);
	} else {
		size_t n = find_records(&s, &row, all);

		if (c->json)
			print_records_json(row.name, all, n);
		else if (cli_has(c, "zone"))
			print_zone(all, n);
		else
			print_records(c, all, n);
		if (strcmp(row.route.profile ? row.route.profile : "", "") != 0)
			cli_note(c,
			    "its mail goes by the profile %s: that provider's own SPF and DKIM records belong here, too",
			    row.route.profile);
	}
	store_close(&s);
	return status;
}
