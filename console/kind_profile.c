/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/provider.h"
#include "console/kind.h"
#include "wire/path.h"

/* An account's own upstream goes by ACCOUNT/PROFILE. */

static const char *const words_tls[] = {
	[UPSTREAM_TLS_NONE] = "none",
	[UPSTREAM_TLS_STARTTLS] = "starttls",
	[UPSTREAM_TLS_IMPLICIT] = "implicit",
	NULL,
};

static const char *const words_on_quota[] = {
	[ON_QUOTA_DEFAULT] = "default",
	[ON_QUOTA_DEFER] = "defer",
	[ON_QUOTA_REJECT] = "reject",
	NULL,
};

static const char *const words_transport[] = {
	[TRANSPORT_SMTP] = "smtp",
	[TRANSPORT_API] = "api",
	NULL,
};

static const char *const words_auth[] = {
	[PROFILE_PASSWORD] = "password",
	[PROFILE_OAUTH2] = "oauth2",
	NULL,
};

enum { PORT_HTTPS = 443, PORT_SMTPS = 465, PORT_SUBMISSION = 587, PORT_SMTP = 25 };

/* What a preset makes a host of; never stored. */
struct profile_row {
	struct admin_profile p; /* first */
	const char *region;
};

#define AT(member) offsetof(struct profile_row, p.member)

static const struct field fields[] = {
	{ "provider", "provider", FIELD_NAME, AT(provider), FIELD_LISTED, "custom", "NAME", NULL, 0,
	    0, "whose server it is: a preset, see byway provider list (default custom)" },
	{ "transport", "transport", FIELD_WORD, AT(transport), 0, "smtp", "HOW", words_transport, 0,
	    0, "smtp (default), or api: the provider's HTTP API" },
	{ "region", "region", FIELD_NAME, offsetof(struct profile_row, region), FIELD_FIXED, "",
	    "REGION", NULL, 0, 0, "of the preset's hosts: eu for instance" },
	{ "host", "host", FIELD_NAME, AT(host), FIELD_LISTED, "", "HOST", NULL, 0, 0,
	    "the server's name, which its certificate must hold; default: the preset's" },
	{ "port", "port", FIELD_SMALL, AT(port), FIELD_LISTED, "0", "PORT", NULL, 0, 65535,
	    "default: the preset's; 465 with implicit TLS, 587 with STARTTLS, 25 without" },
	{ "tls", "tls", FIELD_WORD, AT(tls), FIELD_LISTED, "starttls", "MODE", words_tls, 0, 0,
	    "starttls (default; required, not tried), implicit (default on port 465), none" },
	{ "username", "username", FIELD_TEXT, AT(username), FIELD_LISTED, "", "NAME", NULL, 0, 0,
	    "login there; default: what everybody logs in with there; none: no AUTH" },
	{ "auth", "auth", FIELD_WORD, AT(auth), 0, "password", "HOW", words_auth, 0, 0,
	    "password (default), or oauth2: the password is then the client's secret" },
	{ "oauth_client", "oauth-client", FIELD_TEXT, AT(oauth_client), 0, "", "ID", NULL, 0, 0,
	    "OAuth2: the client's id" },
	{ "oauth_scope", "oauth-scope", FIELD_TEXT, AT(oauth_scope), 0, "", "SCOPE", NULL, 0, 0,
	    "OAuth2: what is asked for; default: the preset's" },
	{ "token_endpoint", "token-endpoint", FIELD_TEXT, AT(token_endpoint), 0, "", "URL", NULL, 0,
	    0, "OAuth2: where tokens are had; default: the preset's" },
	{ "ca", "ca", FIELD_PEM, AT(ca_pem), 0, "", "FILE", NULL, 0, 0,
	    "PEM file with a private CA; '' for none" },
	{ "pin", "pin", FIELD_PIN, AT(pin), 0, "", "SHA256", NULL, 0, 0,
	    "the server's certificate and no other: SHA-256 in hex" },
	{ "keep_headers", "keep-headers", FIELD_TEXT, AT(keep_headers), 0, "", "NAMES", NULL, 0, 0,
	    "the provider's option headers that may pass, blank-separated" },
	{ "max_connections", "max-connections", FIELD_SMALL, AT(max_connections), 0, "0", "N", NULL,
	    0, 10000, "at once, over all workers; 0: the preset's, or as configured (default)" },
	{ "messages_per_connection", "messages-per-connection", FIELD_SMALL,
	    AT(messages_per_connection), 0, "0", "N", NULL, 0, 1000000,
	    "0: the preset's, or as configured (default)" },
	{ "per_minute", "per-minute", FIELD_SMALL, AT(per_minute), 0, "0", "N", NULL, 0, 1000000,
	    "messages a minute; 0: the preset's (default)" },
	{ "on_quota", "on-quota", FIELD_WORD, AT(on_quota), 0, "default", "WHAT", words_on_quota, 0,
	    0, "a quota used up there: defer, reject, or default, as configured" },
	{ "has_password", NULL, FIELD_BOOL, AT(has_password), FIELD_OUT, NULL, NULL, NULL, 0, 0,
	    "never shown" },
	{ "has_refresh_token", NULL, FIELD_BOOL, AT(has_refresh_token), FIELD_OUT, NULL, NULL, NULL,
	    0, 0, "OAuth2: see byway profile authorize" },
	{ "password_set", NULL, FIELD_DATE, AT(password_set), FIELD_OUT, NULL, NULL, NULL, 0, 0,
	    "when" },
	{ "version", NULL, FIELD_NUMBER, AT(version), FIELD_OUT | FIELD_LISTED, NULL, NULL, NULL, 0,
	    0, "of the credential" },
	{ 0 },
};

static const char *
set_key(struct cli *c, void *row, const char *key)
{
	struct admin_profile *p = row;
	size_t at = strcspn(key, "/");

	if (at == 0 || !key[at] || !key[at + 1])
		return "a profile is named ACCOUNT/PROFILE, acme/mailgun for instance";
	p->account = cli_dup(c, slice_of(key, at));
	p->name = key + at + 1;
	return NULL;
}

static const char *
key_of(struct cli *c, const void *row)
{
	const struct admin_profile *p = row;

	return cli_print(c, "%s/%s", p->account, p->name);
}

static bool
is_said(const char *const *said, size_t offset)
{
	for (size_t i = 0; fields[i].name; i++)
		if (fields[i].offset == offset)
			return said[i] != NULL;
	return false;
}

/* An API is a place of its own: its hosts, its port. */
static const char *
take_api(struct cli *c, struct profile_row *row, const struct provider *preset,
    const char *const *said)
{
	char mem[256];
	struct text host = text_over(mem, sizeof(mem));

	if (!provider_api_region(preset, 0))
		return cli_print(c, "transport: no API of %s that we speak", preset->title);
	if (!*row->p.host && !provider_api_host(preset, slice_str(row->region), &host))
		return *row->region
		    ? cli_print(c, "region: the API of %s has none of that name", preset->title)
		    : cli_print(c, "region: the API of %s needs one", preset->title);
	if (!*row->p.host)
		row->p.host = cli_dup(c, text_slice(&host));
	if (!is_said(said, AT(tls)))
		row->p.tls = UPSTREAM_TLS_IMPLICIT;
	if (row->p.port == 0)
		row->p.port = PORT_HTTPS;
	return NULL;
}

/* What Google and Microsoft want; others are to be told. */
static void
take_oauth(struct admin_profile *p, const struct provider *preset)
{
	bool google = preset->id == PROVIDER_GMAIL || preset->id == PROVIDER_WORKSPACE;

	if (p->auth != PROFILE_OAUTH2 || (!google && preset->id != PROVIDER_MICROSOFT))
		return;
	if (!*p->token_endpoint)
		p->token_endpoint = google
		    ? "https://oauth2.googleapis.com/token"
		    : "https://login.microsoftonline.com/common/oauth2/v2.0/token";
	if (!*p->oauth_scope)
		p->oauth_scope = google ? "https://mail.google.com/"
		                        : "https://outlook.office.com/SMTP.Send offline_access";
}

/* What the preset knows better than our defaults. */
static const char *
take_preset(struct cli *c, struct profile_row *row, const struct provider *preset,
    const char *const *said)
{
	char mem[256];
	struct text host = text_over(mem, sizeof(mem));

	if (!*row->p.host && !provider_host(preset, slice_str(row->region), &host)) {
		if (!provider_region(preset, 0))
			return "host: a new one needs it";
		return *row->region
		    ? cli_print(c, "region: %s has none of that name", preset->title)
		    : cli_print(c, "region: %s needs one", preset->title);
	}
	if (!*row->p.host)
		row->p.host = cli_dup(c, text_slice(&host));
	if (!is_said(said, AT(username)) && *preset->username)
		row->p.username = preset->username;
	if (!is_said(said, AT(tls)) && row->p.port == 0 && preset->id != PROVIDER_CUSTOM) {
		row->p.tls = preset->tls;
		row->p.port = preset->port;
	}
	return NULL;
}

/* --domain, which is no field: where the user name is of a sending domain it names that, and nobody
 * has to know how. */
static const char *
take_domain(struct cli *c, struct admin_profile *p, const struct provider *preset)
{
	const char *domain = cli_value(c, "domain");
	const char *at = strchr(p->username, '@');

	if (!domain)
		return NULL;
	if (preset->id != PROVIDER_MAILGUN)
		return cli_print(c, "domain: %s takes none; it is for mailgun", preset->title);
	if (!domain_is_valid(slice_str(domain), false))
		return "domain: not a domain name";
	if (at && strcasecmp(at + 1, domain) != 0)
		return "domain: the user name is of another one";
	if (*p->username && !at && strcasecmp(p->username, domain) != 0)
		p->username = cli_print(c, "%s@%s", p->username, domain);
	else if (!*p->username)
		p->username =
		    p->transport == TRANSPORT_API ? domain : cli_print(c, "postmaster@%s", domain);
	return NULL;
}

/* Port and TLS mode follow each other where only one was said. */
static const char *
settle(struct cli *c, void *of, const char *const *said)
{
	struct profile_row *row = of;
	struct admin_profile *p = &row->p;
	const struct provider *preset = provider_find(slice_str(p->provider));
	const char *why;

	if (!preset)
		return "provider: no preset of that name; see byway provider list";
	p->provider = preset->name;
	why = p->transport == TRANSPORT_API ? take_api(c, row, preset, said)
	                                    : take_preset(c, row, preset, said);
	if (!why)
		why = take_domain(c, p, preset);
	if (why)
		return why;
	take_oauth(p, preset);
	if (!is_said(said, AT(tls)) && p->port == PORT_SMTPS)
		p->tls = UPSTREAM_TLS_IMPLICIT;
	if (p->port == 0)
		p->port = p->tls == UPSTREAM_TLS_IMPLICIT ? PORT_SMTPS
		    : p->tls == UPSTREAM_TLS_STARTTLS     ? PORT_SUBMISSION
		                                          : PORT_SMTP;
	return NULL;
}

static void
set_region(struct cli *c, struct profile_row *row)
{
	const struct provider *preset = provider_of(row->p.provider);

	row->region = cli_dup(c,
	    row->p.transport == TRANSPORT_API
	        ? provider_api_region_of(preset, slice_str(row->p.host))
	        : provider_region_of(preset, slice_str(row->p.host)));
}

static enum admin_result
get(struct store *s, const char *key, void *row_r)
{
	struct admin_profile p = { 0 };
	const char *why = set_key(s->cli, &p, key);

	if (why)
		return ADMIN_MISSING;

	struct profile_row *row = row_r;
	enum admin_result r =
	    admin_profile_get(s->admin, p.account, p.name, &s->cli->arena, &row->p);

	if (r == ADMIN_OK)
		set_region(s->cli, row);
	return r;
}

static enum admin_result
add(struct store *s, const void *row, const struct credential *cred)
{
	return admin_profile_add(s->admin, row, cred && cred->given ? &cred->plain : NULL);
}

static enum admin_result
set(struct store *s, const void *row, const struct credential *cred)
{
	return admin_profile_set(s->admin, row, cred && cred->given ? &cred->plain : NULL);
}

static enum admin_result
drop(struct store *s, const char *key, bool whole)
{
	struct admin_profile p = { 0 };
	const char *why = set_key(s->cli, &p, key);

	(void)whole;
	return why ? ADMIN_MISSING : admin_profile_remove(s->admin, p.account, p.name);
}

struct profile_visit {
	struct visit v;
	struct cli *c;
};

static bool
on_row(void *ctx, const struct admin_profile *p)
{
	struct profile_visit *visit = ctx;
	struct profile_row row = { .p = *p };

	set_region(visit->c, &row);
	return visit->v.fn(visit->v.ctx, &row);
}

static enum admin_result
each(struct store *s, const char *account, kind_fn *fn, void *ctx)
{
	return admin_profile_each(s->admin, account, on_row,
	    &(struct profile_visit){ { fn, ctx }, s->cli });
}

const struct kind kind_profile = {
	.name = "profile",
	.plural = "profiles",
	.key = "ACCOUNT/PROFILE",
	.key_json = "name",
	.size = sizeof(struct profile_row),
	.fields = fields,
	.password = KIND_SEALED,
	.set_key = set_key,
	.key_of = key_of,
	.settle = settle,
	.get = get,
	.add = add,
	.set = set,
	.remove = drop,
	.each = each,
	.of_account = true,
};
