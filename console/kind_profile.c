/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind_profile.h"

#include "conf/provider.h"
#include "console/kind.h"
#include "wire/path.h"

enum {
	PORT_HTTPS = 443,
	PORT_SMTPS = 465,
	PORT_SUBMISSION = 587,
	PORT_SMTP = 25,
	PORT_OTHER = 2525
};

static bool
is_said(const char *const *said, size_t at)
{
	const struct column *f = kind_columns(&kind_profile);

	for (size_t i = 0; f[i].name; i++)
		if (f[i].at == at)
			return said[i] != NULL;
	return false;
}

#define AT(member) offsetof(struct admin_profile, member)

/* An API is a place of its own: its hosts, its port. */
static const char *
take_api(struct cli *c, struct admin_profile *row, const struct provider *preset,
    const char *const *said)
{
	char mem[256];
	struct text host = text_over(mem, sizeof(mem));

	if (!provider_api_region(preset, 0))
		return cli_print(c, "transport: no API of %s that we speak", preset->title);
	if (!*row->host && !provider_api_host(preset, slice_str(row->region), &host))
		return *row->region
		    ? cli_print(c, "region: the API of %s has none of that name", preset->title)
		    : cli_print(c, "region: the API of %s needs one", preset->title);
	if (!*row->host)
		row->host = cli_dup(c, text_slice(&host));
	if (!is_said(said, AT(tls)))
		row->tls = UPSTREAM_TLS_IMPLICIT;
	if (row->port == 0)
		row->port = PORT_HTTPS;
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
take_preset(struct cli *c, struct admin_profile *row, const struct provider *preset,
    const char *const *said)
{
	char mem[256];
	struct text host = text_over(mem, sizeof(mem));

	if (!*row->host && !provider_host(preset, slice_str(row->region), &host)) {
		if (!provider_region(preset, 0))
			return "host: a new one needs it";
		return *row->region
		    ? cli_print(c, "region: %s has none of that name", preset->title)
		    : cli_print(c, "region: %s needs one", preset->title);
	}
	if (!*row->host)
		row->host = cli_dup(c, text_slice(&host));
	if (!is_said(said, AT(username)) && *preset->username)
		row->username = preset->username;
	if (!is_said(said, AT(tls)) && row->port == 0 && preset->id != PROVIDER_CUSTOM) {
		row->tls = preset->tls;
		row->port = preset->port;
	}
	return NULL;
}

static bool
needs_domain(const struct admin_profile *p, const struct provider *preset)
{
	struct slice name = slice_str(p->username);
	size_t at = slice_find(name, '@');
	struct slice domain = at < name.n ? slice_skip(name, at + 1) : name;

	return p->transport == TRANSPORT_API && preset->id == PROVIDER_MAILGUN &&
	    (slice_find(domain, '.') == domain.n || !domain_is_valid(domain, false));
}

/* --domain, which is no field: where the user name is of a sending domain it names that, and nobody
 * has to know how. */
static const char *
take_domain(struct cli *c, struct admin_profile *p, const struct provider *preset)
{
	const char *domain = cli_value(c, "domain");
	const char *at = strchr(p->username, '@');

	if (!domain)
		return needs_domain(p, preset)
		    ? "username: the API of Mailgun sends for one domain, which is the user name (--domain)"
		    : NULL;
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

static const char *
unknown_provider(struct cli *c, const char *name)
{
	const char *meant = provider_meant(slice_str(name));

	if (meant)
		return cli_print(c, "provider: there is no preset '%s'; did you mean %s?", name,
		    meant);
	return cli_print(c, "provider: there is no preset '%s'; byway provider list has them all",
	    name);
}

/* Port and TLS mode follow each other where only one was said. */
const char *
profile_settle(struct cli *c, void *of, const char *const *said)
{
	struct admin_profile *p = of;
	const struct provider *preset = provider_find(slice_str(p->provider));
	const char *why;

	if (!preset)
		return unknown_provider(c, p->provider);
	p->provider = preset->name;
	why = p->transport == TRANSPORT_API ? take_api(c, p, preset, said)
	                                    : take_preset(c, p, preset, said);
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

const char *
profile_doubt(struct cli *c, const void *row)
{
	const struct admin_profile *p = row;
	bool early = p->port == PORT_SMTPS;
	bool late = p->port == PORT_SUBMISSION || p->port == PORT_SMTP || p->port == PORT_OTHER;

	if (p->transport == TRANSPORT_API)
		return NULL;
	if (early && p->tls == UPSTREAM_TLS_STARTTLS)
		return cli_print(c,
		    "port %d speaks TLS from the start: TLS mode implicit, or port %d", PORT_SMTPS,
		    PORT_SUBMISSION);
	if (late && p->tls == UPSTREAM_TLS_IMPLICIT)
		return cli_print(c, "port %u begins in clear text: TLS mode starttls, or port %d",
		    p->port, PORT_SMTPS);
	return NULL;
}

void
profile_derive(struct cli *c, void *of)
{
	struct admin_profile *row = of;
	const struct provider *preset = provider_of(row->provider);

	row->region = cli_dup(c,
	    row->transport == TRANSPORT_API ? provider_api_region_of(preset, slice_str(row->host))
	                                    : provider_region_of(preset, slice_str(row->host)));
}
