/* SPDX-License-Identifier: Apache-2.0 */
#include "console/records.h"

#include <arpa/inet.h>
#include <stdio.h>

/* ---- where clients send ---------------------------------------------------------------------- */

const char *
records_encryption(const struct records_choice *c)
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
rank(const struct records_choice *c)
{
	int known = c->port == 465 || c->port == 587 ? 1 : 0;

	return (c->old ? 0 : 100) + (int)c->tls * 10 + known;
}

size_t
records_choices(const struct conf *conf, struct records_choice all_r[RECORDS_CHOICES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < conf->listeners_n; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		/* Clients do not speak to those that wait for a balancer, nor log in without
		 * AUTH. */
		if (l->proxy_protocol || !l->auth ||
		    (l->tls == LISTENER_PLAIN && !l->plaintext_auth))
			continue;
		for (size_t k = 0; k < l->addresses_n && n < RECORDS_CHOICES_MAX; k++) {
			struct records_choice one = { port_of(&l->addresses[k]), l->tls,
				l->tls_old_devices || l->tls == LISTENER_PLAIN };
			size_t at = n;

			for (size_t j = 0; j < n; j++)
				if (all_r[j].port == one.port && all_r[j].tls == one.tls)
					at = RECORDS_CHOICES_MAX;
			if (at == RECORDS_CHOICES_MAX)
				continue;
			for (; at > 0 && rank(&all_r[at - 1]) < rank(&one); at--)
				all_r[at] = all_r[at - 1];
			all_r[at] = one;
			n++;
		}
	}
	return n;
}

/* ---- records --------------------------------------------------------------------------------- */

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
	struct records_choice all[RECORDS_CHOICES_MAX];
	size_t n = records_choices(conf, all);
	struct record r = { .name = cli_print(c, "_%s._tcp.%s", service, domain),
		.type = "SRV",
		.value = "0 0 0 ." };

	for (size_t i = n; i-- > 0;)
		if (all[i].tls == mode && !all[i].old)
			r.value = cli_print(c, "0 1 %u %s.", all[i].port, conf->server.name);
	return r;
}

size_t
records_of(struct cli *c, const struct conf *conf, const struct admin_domain *row,
    struct record all_r[RECORDS_MAX])
{
	size_t n = 0;

	all_r[n++] = spf_of(c, conf, row);
	all_r[n++] = dkim_of(c, row);
	all_r[n++] = (struct record){ .name = cli_print(c, "_dmarc.%s", row->name),
		.type = "TXT",
		.value = cli_print(c, "v=DMARC1; p=none; rua=mailto:postmaster@%s", row->name),
		.note = "a beginning: p=quarantine or reject once the reports are clean" };
	all_r[n++] = service_of(c, conf, row->name, "submissions", LISTENER_IMPLICIT);
	all_r[n++] = service_of(c, conf, row->name, "submission", LISTENER_STARTTLS);
	return n;
}

const char *
records_note(struct cli *c, const struct admin_domain *row)
{
	if (!row->route.profile || !*row->route.profile)
		return NULL;
	return cli_print(c,
	    "its mail goes by the profile %s: that provider's own SPF and DKIM records belong here, too",
	    row->route.profile);
}

void
records_zone(FILE *f, const struct record *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *quote = strcmp(all[i].type, "TXT") == 0 ? "\"" : "";
		bool whole = !strstr(all[i].value, "p=KEY");

		if (all[i].note)
			fprintf(f, "; %s\n", all[i].note);
		fprintf(f, "%s%s. 3600 IN %s %s%s%s\n", whole ? "" : ";", all[i].name, all[i].type,
		    quote, all[i].value, quote);
	}
}

void
records_json(struct json *j, const char *domain, const struct record *all, size_t n)
{
	json_str(j, "domain", slice_str(domain));
	json_open(j, "records", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(j, NULL, '{');
		json_str(j, "name", slice_str(all[i].name));
		json_str(j, "type", slice_str(all[i].type));
		json_str(j, "value", slice_str(all[i].value));
		if (all[i].note)
			json_str(j, "note", slice_str(all[i].note));
		json_close(j, '}');
	}
	json_close(j, ']');
}
