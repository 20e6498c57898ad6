/* SPDX-License-Identifier: Apache-2.0 */
#include "console/kind.h"

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

enum { PORT_SMTPS = 465, PORT_SUBMISSION = 587, PORT_SMTP = 25 };

#define AT(member) offsetof(struct admin_profile, member)

static const struct field fields[] = {
	{ "provider", "provider", FIELD_NAME, AT(provider), FIELD_LISTED, "custom", "NAME", NULL, 0,
	    0, "whose server it is (default custom)" },
	{ "host", "host", FIELD_NAME, AT(host), FIELD_LISTED, NULL, "HOST", NULL, 0, 0,
	    "the server's name, which its certificate must hold" },
	{ "port", "port", FIELD_SMALL, AT(port), FIELD_LISTED, "0", "PORT", NULL, 0, 65535,
	    "default: 465 with implicit TLS, 587 with STARTTLS, 25 without" },
	{ "tls", "tls", FIELD_WORD, AT(tls), FIELD_LISTED, "starttls", "MODE", words_tls, 0, 0,
	    "starttls (default; required, not tried), implicit (default on port 465), none" },
	{ "username", "username", FIELD_TEXT, AT(username), FIELD_LISTED, "", "NAME", NULL, 0, 0,
	    "login there; none: no AUTH" },
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

/* Port and TLS mode follow each other where only one was said. */
static void
settle(struct cli *c, void *row, const char *const *said)
{
	struct admin_profile *p = row;
	bool said_tls = false;

	(void)c;
	for (size_t i = 0; fields[i].name; i++)
		if (fields[i].offset == AT(tls))
			said_tls = said[i] != NULL;
	if (!said_tls && p->port == PORT_SMTPS)
		p->tls = UPSTREAM_TLS_IMPLICIT;
	if (p->port == 0)
		p->port = p->tls == UPSTREAM_TLS_IMPLICIT ? PORT_SMTPS
		    : p->tls == UPSTREAM_TLS_STARTTLS     ? PORT_SUBMISSION
		                                          : PORT_SMTP;
}

static enum admin_result
get(struct store *s, const char *key, void *row_r)
{
	struct admin_profile p = { 0 };
	const char *why = set_key(s->cli, &p, key);

	if (why)
		return ADMIN_MISSING;
	return admin_profile_get(s->admin, p.account, p.name, &s->cli->arena, row_r);
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

static bool
on_row(void *ctx, const struct admin_profile *row)
{
	struct visit *v = ctx;

	return v->fn(v->ctx, row);
}

static enum admin_result
each(struct store *s, const char *account, kind_fn *fn, void *ctx)
{
	return admin_profile_each(s->admin, account, on_row, &(struct visit){ fn, ctx });
}

const struct kind kind_profile = {
	.name = "profile",
	.plural = "profiles",
	.key = "ACCOUNT/PROFILE",
	.key_json = "name",
	.size = sizeof(struct admin_profile),
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
