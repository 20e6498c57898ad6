/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_advice - one thing to do about a failed step
 */
#include "relay/probe.h"

#include "conf/provider.h"

/* What an API logs in with; over SMTP it is the preset that knows. */
static const char *
api_login(enum provider_id id)
{
	switch ((int)id) {
	case PROVIDER_MAILGUN:
		return "The user name is the sending domain or a login of it, the password an API key.";
	case PROVIDER_SES:
		return "The user name is an access key id, the password its secret access key, not the SMTP password.";
	case PROVIDER_SENDGRID:
	case PROVIDER_SPARKPOST:
		return "The password is an API key that may send mail.";
	default:
		return "The password is an API key.";
	}
}

static bool
advise_api(const struct provider *preset, enum verdict_class class, struct text *out)
{
	switch ((int)class) {
	case VERDICT_AUTH:
	case VERDICT_AUTH_DOUBT:
	case VERDICT_CONFIG:
		text_fmt(out,
		    "%s: check key and region, and set the key again (byway profile passwd). %s",
		    preset->title, api_login(preset->id));
		return true;
	case VERDICT_CONNECT:
		text_put(out,
		    SLICE(
		        "Check host and port (an API's is 443); if they are right, a firewall is in the way."));
		return true;
	case VERDICT_TLS:
		text_put(out,
		    SLICE(
		        "The certificate must be for that host name, from a CA of [upstream] ca_file; give a private CA with --ca if there is one."));
		return true;
	default:
		return false;
	}
}

static const char *token_advice(enum verdict_class class)
{
	if (class == VERDICT_AUTH || class == VERDICT_AUTH_DOUBT)
		return "Get a new refresh token: byway profile authorize; if that does not help check the client's id and secret at the provider.";
	if (class == VERDICT_AUTH_TEMP)
		return "The token endpoint gave no token: check --token-endpoint, and that this machine reaches it; otherwise try again later.";
	return NULL;
}

void
probe_advise(const struct profile *p, enum probe_step step, enum verdict_class class,
    struct text *out)
{
	const struct provider *preset = provider_of(p->provider);

	if (preset->id == PROVIDER_CUSTOM)
		preset = provider_by_host(slice_str(p->host));
	if (p->transport == TRANSPORT_API && advise_api(provider_of(p->provider), class, out))
		return;
	const char *of_token = step == PROBE_TOKEN ? token_advice(class) : NULL;

	if (of_token)
		text_put(out, slice_str(of_token));
	else
		verdict_advise(class, SLICE(""), out);
	if (!preset || step == PROBE_TOKEN || p->transport == TRANSPORT_API)
		return;
	if (class == VERDICT_AUTH || class == VERDICT_AUTH_DOUBT ||
	    (class == VERDICT_CONFIG && step == PROBE_AUTH))
		text_fmt(out, " %s: user name: %s Password: %s", preset->title, preset->login,
		    preset->key);
	if (class == VERDICT_CONNECT || class == VERDICT_TLS || class == VERDICT_PROTOCOL)
		text_fmt(out, " %s has %s.", preset->title, preset->ports);
}
