/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_advice - one thing to do about a failed step
 */
#include "relay/probe.h"

#include "conf/provider.h"

/* By class; what the provider's preset knows better stands in probe_advise(). */
static const char *general(enum verdict_class class)
{
	switch (class) {
	case VERDICT_DNS_NONE:
		return "Check the spelling of the host name.";
	case VERDICT_DNS_TEMP:
		return "The name server gives no answer now: try again, and if it stays so check this machine's resolver.";
	case VERDICT_DENIED:
		return "This host or port is not allowed: use the provider's public name and one of its ports, or have the operator allow it ([upstream] allow_networks, allow_ports).";
	case VERDICT_CONNECT:
		return "Check host and port; if they are right, a firewall is in the way: try another of the provider's ports.";
	case VERDICT_GREETING:
		return "The server takes no mail from this machine's address now: ask the provider whether the address is blocked there.";
	case VERDICT_TLS:
		return "Check that the TLS mode fits the port (implicit on 465, starttls on 587), that the host name is the one in the certificate, and give a private CA with --ca if there is one.";
	case VERDICT_PROTOCOL:
		return "What answers there is no SMTP server, or speaks TLS at once: with port 465 say --tls implicit.";
	case VERDICT_AUTH:
	case VERDICT_AUTH_DOUBT:
		return "Check the user name and set the password again: byway profile passwd.";
	case VERDICT_ACCOUNT:
		return "Log in at the provider and see what it wants for the account: it is suspended, limited or not activated.";
	case VERDICT_SENDER:
		return "Verify the sender's domain or address at the provider, or send as one that is verified (--from).";
	case VERDICT_QUOTA:
		return "The quota at the provider is used up: wait until it is renewed, or take a larger plan there.";
	case VERDICT_RATE:
	case VERDICT_BUSY:
		return "The provider is asked too often: wait some minutes, and lower --max-connections or --per-minute.";
	case VERDICT_CONFIG:
		return "The server does not offer what the profile asks for, or a setting there forbids it: compare TLS mode, port and login with what the provider says.";
	case VERDICT_RCPT:
	case VERDICT_NO_VALID_RCPT:
		return "The server refuses this recipient: try another address with --to.";
	case VERDICT_VAULT:
		return "Set the password again: byway profile passwd.";
	case VERDICT_LOST:
	case VERDICT_UNKNOWN:
	case VERDICT_RECONNECT:
		return "The server closed or fell silent: try again; if it stays so ask the provider.";
	case VERDICT_SIZE:
	case VERDICT_TOO_MANY_RCPT:
	case VERDICT_CONTENT:
	case VERDICT_MALFORMED:
		return "The server refuses the test message itself: its words say why.";
	case VERDICT_OK:
	case VERDICT_GO:
	case VERDICT_AUTH_TEMP:
	case VERDICT_RCPT_BUSY:
	case VERDICT_DEFERRED:
	case VERDICT_NOT_EXPRESSIBLE:
	case VERDICT_NO_SMTPUTF8:
	case VERDICT_NO_8BIT:
	case VERDICT_NO_DSN:
	case VERDICT_INTERNAL:
	case VERDICT_NO_MEMORY:
	case VERDICT_CLASS_COUNT:
		break;
	}
	return "Try again later; if it stays so show the server's words to the provider.";
}

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
	return general(class);
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
	text_put(out, slice_str(step == PROBE_TOKEN ? token_advice(class) : general(class)));
	if (!preset || step == PROBE_TOKEN || p->transport == TRANSPORT_API)
		return;
	if (class == VERDICT_AUTH || class == VERDICT_AUTH_DOUBT ||
	    (class == VERDICT_CONFIG && step == PROBE_AUTH))
		text_fmt(out, " %s: user name: %s Password: %s", preset->title, preset->login,
		    preset->key);
	if (class == VERDICT_CONNECT || class == VERDICT_TLS || class == VERDICT_PROTOCOL)
		text_fmt(out, " %s has %s.", preset->title, preset->ports);
}
