/* SPDX-License-Identifier: Apache-2.0 */
#include "console/domain_look.h"

#include <time.h>

#include "conf/dns_conf.h"
#include "wire/mx.h"

struct search {
	struct cli *cli;
	struct loop *loop;
	struct dns *dns;
	struct dns_ask ask;
	struct mx mx;
	enum mx_got servers; /* what MX said */
	struct dns_answer answer;
	const char *spf_include; /* or NULL */
	double until_s;          /* of the monotonic clock */
};

static double
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

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
look(struct search *s, struct domain_finding *f, enum dns_type type)
{
	static const char *const why[] = {
		[DNS_EMPTY] = "there is no such record",
		[DNS_NO_NAME] = "there is no such name",
		[DNS_FAILED] = "the name servers do not answer",
	};

	double left_s = s->until_s - now_s();

	f->value = "";
	s->answer.got = DNS_FAILED;
	s->ask.fn = on_answer;
	if (left_s > DNS_PATIENCE_S)
		left_s = DNS_PATIENCE_S;
	if (left_s > 0 && dns_look_up(s->dns, 0, slice_str(f->name), type, left_s, &s->ask))
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

static struct domain_finding
look_for_spf(struct search *s, const char *domain)
{
	const char *host = s->spf_include ? s->spf_include : "...";
	struct domain_finding f = {
		.record = "spf", .name = domain, .type = "TXT", .required = true
	};
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

static struct domain_finding
look_for_dkim(struct search *s, const char *domain, const char *selector)
{
	struct domain_finding f = {
		.record = "dkim", .type = "TXT", .required = true, .value = ""
	};

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

static struct domain_finding
look_for_dmarc(struct search *s, const char *domain)
{
	struct domain_finding f = { .record = "dmarc", .type = "TXT" };
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
	if (s->until_s - now_s() >= DNS_PATIENCE_S &&
	    mx_look_up(&s->mx, s->loop, slice_str(domain)))
		loop_run(s->loop);
	return s->servers;
}

static struct domain_finding
look_for_mx(struct search *s, const char *domain)
{
	struct domain_finding f = { .record = "mx", .name = domain, .type = "MX" };

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

bool
domain_look(struct cli *c, const struct conf *conf, const struct admin_domain *row,
    struct domain_finding all_r[DOMAIN_FINDINGS])
{
	struct search *s = cli_alloc(c, sizeof(*s));
	bool good;

	s->cli = c;
	s->spf_include = conf->dns.spf_include;
	s->until_s = now_s() + DOMAIN_LOOK_S;
	good = begin(s, conf);
	if (good) {
		all_r[0] = look_for_spf(s, row->name);
		all_r[1] = look_for_dkim(s, row->name, row->dkim_selector);
		all_r[2] = look_for_dmarc(s, row->name);
		all_r[3] = look_for_mx(s, row->name);
	}
	finish(s);
	return good;
}

enum domain_verdict
domain_verdict(const struct domain_finding *all)
{
	bool good = true, unknown = false;

	for (size_t i = 0; i < DOMAIN_FINDINGS; i++) {
		good = good && (all[i].ok || !all[i].required);
		unknown = unknown || (all[i].unknown && all[i].required);
	}
	return unknown ? DOMAIN_UNKNOWN : good ? DOMAIN_ACTIVE : DOMAIN_NOT_VERIFIED;
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

enum admin_result
domain_set_verified(struct store *s, const struct admin_domain *row, enum domain_verdict v,
    bool *verified_r)
{
	*verified_r = v == DOMAIN_UNKNOWN ? row->verified : v == DOMAIN_ACTIVE;
	return v == DOMAIN_UNKNOWN ? ADMIN_OK : set_flag(s, row->name, *verified_r);
}

/* ---- telling --------------------------------------------------------------------------------- */

const char *
domain_finding_word(const struct domain_finding *f)
{
	if (f->ok)
		return "ok";
	if (f->unknown)
		return "unknown";
	return f->found ? "wrong" : "missing";
}

const char *
domain_status(enum domain_verdict v)
{
	static const char *const words[] = {
		[DOMAIN_ACTIVE] = "Active",
		[DOMAIN_NOT_VERIFIED] = "Domain not verified",
		[DOMAIN_UNKNOWN] = "could not be looked up, stays as it was",
	};

	return words[v];
}

static void
finding_json(struct json *j, const struct domain_finding *f)
{
	json_open(j, NULL, '{');
	json_str(j, "record", slice_str(f->record));
	json_str(j, "name", slice_str(f->name));
	json_str(j, "type", slice_str(f->type));
	json_bool(j, "required", f->required);
	json_str(j, "state", slice_str(domain_finding_word(f)));
	json_bool(j, "found", f->found);
	json_bool(j, "ok", f->ok);
	json_str(j, "value", slice_str(f->value));
	if (!f->ok) {
		json_str(j, "why", slice_str(f->why));
		json_str(j, "should", slice_str(f->should));
	}
	json_close(j, '}');
}

void
domain_json(struct json *j, const char *domain, enum domain_verdict v, bool verified,
    const struct domain_finding *all)
{
	json_str(j, "domain", slice_str(domain));
	json_str(j, "status", slice_str(domain_status(v)));
	json_bool(j, "verified", verified);
	json_open(j, "records", '[');
	for (size_t i = 0; i < DOMAIN_FINDINGS; i++)
		finding_json(j, &all[i]);
	json_close(j, ']');
}
