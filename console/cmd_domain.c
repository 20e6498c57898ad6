/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <stdio.h>

#include "conf/dns_conf.h"
#include "wire/mx.h"

/*
 * byway domain verify: looks for the records that a sending domain should have, says what is
 * missing, and sets the domain's flag (BEHAVIOUR H4)
 *
 * SPF and DKIM decide. DMARC and MX are told of. Where nobody could say, the flag stays as it was.
 */

enum { VALUE_SHOWN = 64 };

struct finding {
	const char *record; /* "spf" */
	const char *name;   /* where it is looked for */
	const char *type;
	bool required;
	bool found, ok;
	bool unknown;       /* the name servers did not say */
	const char *value;  /* what is there; "" for nothing */
	const char *should; /* what should be, where it is not */
	const char *why;    /* in a sentence's half */
};

struct search {
	struct cli *cli;
	struct loop *loop;
	struct dns *dns;
	struct dns_ask ask;
	struct mx mx;
	enum mx_got servers; /* what MX said */
	struct dns_answer answer;
	const char *spf_include; /* or NULL */
};

/* The octets of others, made one line that can be shown. */
static const char *
shown(struct search *s, struct slice value)
{
	char mem[DNS_OCTETS_MAX];
	struct text t = text_over(mem, sizeof(mem));

	text_escaped(&t, value, 2048);
	return cli_dup(s->cli, text_slice(&t));
}

/* The answer is gone with the callback: its octets and where they lie are kept. */
static void
on_answer(struct dns_ask *ask, const struct dns_answer *a)
{
	struct search *s = (struct search *)(void *)((char *)ask - offsetof(struct search, ask));

	s->answer = *a;
	for (size_t i = 0; i < a->n; i++)
		s->answer.at[i].value.p = s->answer.mem + (a->at[i].value.p - a->mem);
	loop_stop(s->loop);
}

/* The answer's records; false where there is none, with the reason in F. */
static bool
look(struct search *s, struct finding *f, enum dns_type type)
{
	static const char *const why[] = {
		[DNS_EMPTY] = "there is no such record",
		[DNS_NO_NAME] = "there is no such name",
		[DNS_FAILED] = "the name servers do not answer",
	};

	f->value = "";
	s->answer.got = DNS_FAILED;
	s->ask.fn = on_answer;
	if (dns_look_up(s->dns, 0, slice_str(f->name), type, DNS_PATIENCE_S, &s->ask))
		loop_run(s->loop);
	if (s->answer.got == DNS_FOUND)
		return true;
	f->unknown = s->answer.got == DNS_FAILED;
	f->why = why[s->answer.got];
	return false;
}

/* "v=spf1", then a blank or nothing. */
static bool
has_version(struct slice txt, struct slice version)
{
	return slice_starts_nocase(txt, version) &&
	    (txt.n == version.n || txt.p[version.n] == ' ' || txt.p[version.n] == ';');
}

/* How many of the TXT records are of VERSION; the first in *TXT_R. */
static unsigned
find_version(const struct dns_answer *a, struct slice version, struct slice *txt_r)
{
	unsigned n = 0;

	for (size_t i = 0; i < a->n; i++)
		if (has_version(a->at[i].value, version) && n++ == 0)
			*txt_r = a->at[i].value;
	return n;
}

/* ---- SPF (RFC 7208) ---- */

static bool
has_include(struct slice spf, struct slice host)
{
	static const struct slice ways[] = { { "include:", 8 }, { "+include:", 9 },
		{ "redirect=", 9 } };

	while (spf.n > 0) {
		struct slice term = slice_cut(&spf, ' ');

		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
			if (slice_starts_nocase(term, ways[i]) &&
			    slice_eq_nocase(slice_skip(term, ways[i].n), host))
				return true;
	}
	return false;
}

static struct finding
look_for_spf(struct search *s, const char *domain)
{
	const char *host = s->spf_include ? s->spf_include : "...";
	struct finding f = { .record = "spf", .name = domain, .type = "TXT", .required = true };
	struct slice spf = SLICE("");
	unsigned n = look(s, &f, DNS_TXT) ? find_version(&s->answer, SLICE("v=spf1"), &spf) : 0;

	f.should = cli_print(s->cli, "v=spf1 include:%s ~all", host);
	if (n == 0) {
		f.why = f.why ? f.why : "none of its TXT records is one of SPF";
		return f;
	}
	f.found = true;
	f.value = shown(s, spf);
	f.ok = n == 1 && (!s->spf_include || has_include(spf, slice_str(s->spf_include)));
	if (n > 1)
		f.why = "there are several, and only one may be";
	else if (!f.ok)
		f.why = cli_print(s->cli, "it does not include %s", host);
	if (n == 1 && !f.ok)
		f.should = cli_print(s->cli, "v=spf1 include:%s%s", host, f.value + 6);
	return f;
}

/* ---- DKIM (RFC 6376, 3.6.1) ---- */

/* The value of TAG in "v=DKIM1; k=rsa; p=MIG..."; false where there is none. */
static bool
find_tag(struct slice record, struct slice tag, struct slice *value_r)
{
	while (record.n > 0) {
		struct slice value = slice_cut(&record, ';');
		struct slice name = slice_trim(slice_cut(&value, '='));

		if (!slice_eq(name, tag))
			continue;
		*value_r = slice_trim(value);
		return true;
	}
	return false;
}

static const char *
wrong_key(struct slice record)
{
	struct slice v = SLICE("");

	if (find_tag(record, SLICE("v"), &v) && !slice_eq(v, SLICE("DKIM1")))
		return "its v= is not DKIM1";
	if (!find_tag(record, SLICE("p"), &v))
		return "it has no key (p=)";
	return v.n == 0 ? "its key was taken back (p= is empty)" : NULL;
}

static struct finding
look_for_dkim(struct search *s, const char *domain, const char *selector)
{
	struct finding f = { .record = "dkim", .type = "TXT", .required = true, .value = "" };

	f.name = cli_print(s->cli, "%s._domainkey.%s", *selector ? selector : "SELECTOR", domain);
	if (!*selector) {
		f.why = "its selector is not known";
		f.should = cli_print(s->cli, "byway domain set %s --dkim-selector NAME", domain);
		return f;
	}
	f.should = "v=DKIM1; k=rsa; p=...  (the public key of the server that signs)";
	if (!look(s, &f, DNS_TXT))
		return f;
	f.found = true;
	for (size_t i = 0; i < s->answer.n && !f.ok; i++) {
		f.value = shown(s, s->answer.at[i].value);
		f.why = wrong_key(s->answer.at[i].value);
		f.ok = f.why == NULL;
	}
	return f;
}

/* ---- DMARC, MX ---- */

static struct finding
look_for_dmarc(struct search *s, const char *domain)
{
	struct finding f = { .record = "dmarc", .type = "TXT" };
	struct slice txt = SLICE("");

	f.name = cli_print(s->cli, "_dmarc.%s", domain);
	f.should = cli_print(s->cli, "v=DMARC1; p=none; rua=mailto:postmaster@%s", domain);
	if (!look(s, &f, DNS_TXT))
		return f;
	unsigned n = find_version(&s->answer, SLICE("v=DMARC1"), &txt);

	f.found = n > 0;
	f.ok = n == 1;
	if (f.found)
		f.value = shown(s, txt);
	if (!f.ok)
		f.why = n > 1 ? "there are several, and only one may be"
		              : "none of its TXT records is one of DMARC";
	return f;
}

static void
on_servers(struct mx *mx, enum mx_got got)
{
	struct search *s = (struct search *)(void *)((char *)mx - offsetof(struct search, mx));

	s->servers = got;
	loop_stop(s->loop);
}

static enum mx_got
look_for_servers(struct search *s, const char *domain)
{
	s->servers = MX_UNKNOWN;
	s->mx.dns = s->dns;
	s->mx.wanted = 1;
	s->mx.fn = on_servers;
	if (mx_look_up(&s->mx, s->loop, slice_str(domain)))
		loop_run(s->loop);
	return s->servers;
}

static struct finding
look_for_mx(struct search *s, const char *domain)
{
	struct finding f = { .record = "mx", .name = domain, .type = "MX" };

	f.should = "10 and the name of the server that takes the domain's mail";
	if (!look(s, &f, DNS_MX))
		return f;
	f.found = true;
	f.value = cli_print(s->cli, "%u %s", s->answer.at[0].priority,
	    s->answer.at[0].value.n > 0 ? shown(s, s->answer.at[0].value) : ".");
	switch (look_for_servers(s, domain)) {
	case MX_FOUND:
		f.ok = true;
		break;
	case MX_NULL:
		f.why = "it says that the domain takes no mail";
		break;
	case MX_NONE:
		f.why = "none of its hosts has an address";
		break;
	case MX_UNKNOWN:
		f.unknown = true;
		f.why = "the name servers of its hosts do not answer";
		break;
	}
	return f;
}

/* ---- the verdict ---- */

enum { FINDINGS = 4 };

static const char *
state_of(const struct finding *f)
{
	if (f->ok)
		return "ok";
	if (f->unknown)
		return "unknown";
	return f->found ? "wrong" : "missing";
}

static void
print_text(struct cli *c, const char *domain, const char *status, const struct finding *all)
{
	static const char *const titles[] = { "record", "name", "type", "state", "value", NULL };
	struct table t = table_begin(c, titles);

	printf("%s: %s\n", domain, status);
	for (size_t i = 0; i < FINDINGS; i++) {
		const char *value = all[i].value;

		if (strlen(value) > VALUE_SHOWN)
			value = cli_print(c, "%.*s...", VALUE_SHOWN, value);
		const char *cells[] = { all[i].record, all[i].name, all[i].type, state_of(&all[i]),
			value };

		table_row(&t, cells);
	}
	table_end(&t);
	for (size_t i = 0; i < FINDINGS; i++)
		if (!all[i].ok)
			printf("%s: %s; should be%s: %s\n", all[i].record, all[i].why,
			    all[i].required ? "" : " (not required)", all[i].should);
}

static void
print_json(const char *domain, const char *status, bool verified, const struct finding *all)
{
	struct json j = json_begin();

	json_open(&j, NULL, '{');
	json_str(&j, "domain", slice_str(domain));
	json_str(&j, "status", slice_str(status));
	json_bool(&j, "verified", verified);
	json_open(&j, "records", '[');
	for (size_t i = 0; i < FINDINGS; i++) {
		const struct finding *f = &all[i];

		json_open(&j, NULL, '{');
		json_str(&j, "record", slice_str(f->record));
		json_str(&j, "name", slice_str(f->name));
		json_str(&j, "type", slice_str(f->type));
		json_bool(&j, "required", f->required);
		json_str(&j, "state", slice_str(state_of(f)));
		json_bool(&j, "found", f->found);
		json_bool(&j, "ok", f->ok);
		json_str(&j, "value", slice_str(f->value));
		if (!f->ok) {
			json_str(&j, "why", slice_str(f->why));
			json_str(&j, "should", slice_str(f->should));
		}
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	json_end(&j);
}

/* The row may have changed while we asked; only the flag is ours. */
static enum admin_result
set_flag(struct store *s, const char *domain, bool verified)
{
	struct admin_domain row;
	enum admin_result r = admin_begin(s->admin);

	if (r == ADMIN_OK)
		r = admin_get(s->admin, &entity_domain, domain, &s->cli->arena, &row);
	if (r == ADMIN_OK && row.verified != verified) {
		row.verified = verified;
		r = admin_set(s->admin, &entity_domain, &row);
	}
	return r == ADMIN_OK ? admin_commit(s->admin) : r;
}

static bool
begin(struct search *s, const struct conf *conf)
{
	struct dns_servers servers = dns_conf_servers(conf);

	s->loop = loop_open();
	if (s->loop)
		s->dns = dns_open(s->loop, &servers);
	return s->dns != NULL;
}

static void
finish(struct search *s)
{
	dns_close(s->dns);
	if (s->loop)
		loop_close(s->loop);
}

static int
verify(struct store *s, const struct admin_domain *row)
{
	struct cli *c = s->cli;
	struct search *look_with = cli_alloc(c, sizeof(*look_with));
	bool good = true, unknown = false;

	look_with->cli = c;
	look_with->spf_include = s->conf->dns.spf_include;
	if (!begin(look_with, s->conf)) {
		finish(look_with);
		return cli_fail(c, EX_OSERR, "out of memory");
	}
	const struct finding all[FINDINGS] = {
		look_for_spf(look_with, row->name),
		look_for_dkim(look_with, row->name, row->dkim_selector),
		look_for_dmarc(look_with, row->name),
		look_for_mx(look_with, row->name),
	};

	finish(look_with);

	for (size_t i = 0; i < FINDINGS; i++) {
		good = good && (all[i].ok || !all[i].required);
		unknown = unknown || (all[i].unknown && all[i].required);
	}
	enum admin_result r = unknown ? ADMIN_OK : set_flag(s, row->name, good);

	if (r != ADMIN_OK)
		return store_fail(s, r);
	bool verified = unknown ? row->verified : good;
	const char *status = unknown ? "could not be looked up, stays as it was"
	    : good                   ? "Active"
	                             : "Domain not verified";

	if (c->json)
		print_json(row->name, status, verified, all);
	else
		print_text(c, row->name, status, all);
	return unknown ? EX_TEMPFAIL : good ? EX_OK : EX_DATAERR;
}

int
cmd_domain_verify(struct cli *c)
{
	struct admin_domain row;
	struct store s;
	int status = store_open(c, STORE_DIRECTORY, &s);

	if (status != EX_OK)
		return status;
	enum admin_result r = admin_get(s.admin, &entity_domain, c->args[0], &c->arena, &row);

	status = r == ADMIN_OK ? verify(&s, &row) : store_fail(&s, r);
	store_close(&s);
	return status;
}
