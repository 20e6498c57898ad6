/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendgrid_people - to whom it goes, whom it names, who sent it
 */
#include "relay/web/sendgrid_private.h"

enum { PERSONS_MAX = 1000, COMMENTS_MAX = 8 };

/* ---- before GMime ---------------------------------------------------------------------------- */

/* GMime goes down a level for each group in a group, and for each comment in a comment. A group
 * holds mailboxes only (RFC 5322, 3.4). */
static const char *
too_deep(struct slice s)
{
	unsigned comments = 0;
	bool quoted = false;
	bool group = false;

	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];

		if (ch == '\\') {
			i++;
		} else if (ch == '"' && !comments) {
			quoted = !quoted;
		} else if (quoted) {
			continue;
		} else if (ch == '(' && ++comments > COMMENTS_MAX) {
			return "comments nested too deep in a header field";
		} else if (ch == ')' && comments) {
			comments--;
		} else if (comments) {
			continue;
		} else if (ch == ':') {
			if (group)
				return "a group inside a group of addresses";
			group = true;
		} else if (ch == ';') {
			group = false;
		}
	}
	return NULL;
}

static bool
holds_addresses(struct slice name)
{
	static const char *const names[] = { "From", "To", "Cc", "Bcc", "Reply-To", "Sender",
		"Resent-From", "Resent-To", "Resent-Cc", "Resent-Bcc", "Resent-Sender",
		"Resent-Reply-To", "Disposition-Notification-To", "Return-Path", "Mail-Followup-To",
		NULL };

	for (const char *const *n = names; *n; n++)
		if (slice_eq_nocase(name, slice_str(*n)))
			return true;
	return false;
}

/* The field that S begins with, with its folded lines; S is what follows. Empty: the header has
 * ended. */
static struct slice
cut_field(struct slice *s)
{
	size_t n = 0;

	do {
		const char *end = memchr(s->p + n, '\n', s->n - n);

		n = end ? (size_t)(end - s->p) + 1 : s->n;
	} while (n < s->n && (s->p[n] == ' ' || s->p[n] == '\t'));
	struct slice field = slice_head(*s, n);

	*s = slice_skip(*s, n);
	return slice_trim(field).n ? field : SLICE("");
}

bool
sendgrid_is_shallow(struct sendgrid *c, struct slice message)
{
	while (message.n) {
		struct slice field = cut_field(&message);
		struct slice name = slice_cut(&field, ':');
		const char *why = NULL;

		if (name.n == 0)
			return true;
		if (holds_addresses(slice_trim(name)))
			why = too_deep(field);
		if (why)
			return sendgrid_refuse(c, why);
	}
	return true;
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* "a@x": the domain's case never counts, and who writes the rest in two ways means one mailbox. */
static bool
place(struct sendgrid *c, const char *address, bool *again_r)
{
	for (size_t i = 0; i < c->job->recipients_n; i++) {
		if (!slice_eq_nocase(c->job->recipients[i], slice_str(address)))
			continue;
		*again_r = c->placed[i];
		c->placed[i] = true;
		return true;
	}
	return false;
}

static const char *
mailbox_of(struct sendgrid *c, InternetAddress *a)
{
	const char *address;

	if (!INTERNET_ADDRESS_IS_MAILBOX(a)) {
		sendgrid_refuse(c, "a group inside a group of addresses");
		return NULL;
	}
	address = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a));
	if (!address || !strchr(address, '@') || !g_utf8_validate(address, -1, NULL)) {
		sendgrid_refuse(c, "an address in a header field that is none");
		return NULL;
	}
	return address;
}

/* A display name as the API takes it: "Doe, John" without the comma. */
static char *
name_of(InternetAddress *a)
{
	const char *name = internet_address_get_name(a);
	char *valid = name ? g_utf8_make_valid(name, -1) : NULL;
	char *to = valid;

	for (const char *from = valid; from && *from; from++) {
		char ch = strchr(",;\r\n\t", *from) ? ' ' : *from;

		if (ch != ' ' || (to > valid && to[-1] != ' '))
			*to++ = ch;
	}
	if (valid)
		*to = '\0';
	return valid;
}

/* The members of groups stand among the others; a strict job is refused for a group, which shows in
 * C's reason. */
static InternetAddressList *
flatten(struct sendgrid *c, InternetAddressList *list)
{
	InternetAddressList *flat = internet_address_list_new();
	int n = list ? internet_address_list_length(list) : 0;

	for (int i = 0; i < n; i++) {
		InternetAddress *a = internet_address_list_get_address(list, i);

		if (INTERNET_ADDRESS_IS_GROUP(a) && sendgrid_mend(c, "a group of addresses"))
			internet_address_list_append(flat,
			    internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)));
		else
			internet_address_list_add(flat, a);
	}
	return flat;
}

static bool
put_address(struct sendgrid *c, const char *before, InternetAddress *a, const char *address)
{
	const char *said = internet_address_get_name(a);
	char *name = name_of(a);
	bool good = !said || (g_utf8_validate(said, -1, NULL) && !strpbrk(said, ",;")) ||
	    sendgrid_mend(c, "a display name with a comma, a semicolon or what is no character");

	sendgrid_put(c, before);
	sendgrid_put_member(c, "{", "email", address);
	if (name && *name)
		sendgrid_put_member(c, ",", "name", name);
	sendgrid_put(c, "}");
	g_free(name);
	return good;
}

/* To or Cc: all of them recipients, each once. */
static bool
put_named(struct sendgrid *c, const char *key, InternetAddressList *list)
{
	const char *before = "";
	int n = internet_address_list_length(list);

	for (int i = 0; i < n; i++) {
		InternetAddress *a = internet_address_list_get_address(list, i);
		const char *address = mailbox_of(c, a);
		bool again;

		if (!address)
			return false;
		if (!place(c, address, &again))
			return sendgrid_refuse(c,
			    "To or Cc names somebody to whom it is not to be sent");
		if (again)
			continue;
		if (!*before) {
			sendgrid_put(c, key);
			sendgrid_put(c, "[");
		}
		if (!put_address(c, before, a, address))
			return false;
		before = ",";
	}
	if (*before)
		sendgrid_put(c, "],");
	return true;
}

static void
put_hidden(struct sendgrid *c)
{
	bool any = false;

	for (size_t i = 0; i < c->job->recipients_n; i++) {
		struct slice r = c->job->recipients[i];

		if (c->placed[i])
			continue;
		sendgrid_put(c, any ? ",{\"email\":\"" : "\"bcc\":[{\"email\":\"");
		sendgrid_put_escaped(c, r);
		sendgrid_put(c, "\"}");
		any = true;
	}
	if (any)
		sendgrid_put(c, "],");
}

/* The object must not end with a comma. */
static void
put_subject(struct sendgrid *c)
{
	sendgrid_put_member(c, "", "subject", c->subject);
	sendgrid_put(c, "}");
}

/* Nobody is named: nobody sees another. */
static bool
put_each_alone(struct sendgrid *c)
{
	if (!sendgrid_mend(c, "nobody stands in To or Cc"))
		return false;
	if (c->job->recipients_n > PERSONS_MAX)
		return sendgrid_refuse(c,
		    "no recipient stands in To, and there are more than 1,000");
	for (size_t i = 0; i < c->job->recipients_n; i++) {
		sendgrid_put(c, i ? ",{\"to\":[{\"email\":\"" : "{\"to\":[{\"email\":\"");
		sendgrid_put_escaped(c, c->job->recipients[i]);
		sendgrid_put(c, "\"}],");
		put_subject(c);
	}
	return true;
}

static bool
put_together(struct sendgrid *c, InternetAddressList *to, InternetAddressList *cc)
{
	bool any = internet_address_list_length(to) > 0;

	if (!any && !sendgrid_mend(c, "nobody stands in To"))
		return false;
	sendgrid_put(c, "{");
	if (!put_named(c, "\"to\":", any ? to : cc) || (any && !put_named(c, "\"cc\":", cc)))
		return false;
	put_hidden(c);
	put_subject(c);
	return true;
}

static bool
put_recipients(struct sendgrid *c, GMimeMessage *m)
{
	InternetAddressList *to = flatten(c, g_mime_message_get_to(m));
	InternetAddressList *cc = flatten(c, g_mime_message_get_cc(m));
	bool good;

	sendgrid_put(c, "{\"personalizations\":[");
	good = internet_address_list_length(to) + internet_address_list_length(cc) == 0
	    ? put_each_alone(c)
	    : put_together(c, to, cc);
	sendgrid_put(c, "]");
	g_object_unref(to);
	g_object_unref(cc);
	return good;
}

static bool
put_replies(struct sendgrid *c, InternetAddressList *list)
{
	int n = internet_address_list_length(list);

	for (int i = 0; i < n; i++) {
		InternetAddress *a = internet_address_list_get_address(list, i);
		const char *address = mailbox_of(c, a);

		if (!address)
			return false;
		if (!put_address(c,
		        i           ? ","
		            : n > 1 ? ",\"reply_to_list\":["
		                    : ",\"reply_to\":",
		        a, address))
			return false;
	}
	if (n > 1)
		sendgrid_put(c, "]");
	return true;
}

bool
sendgrid_put_people(struct sendgrid *c, GMimeMessage *m)
{
	InternetAddressList *from = flatten(c, g_mime_message_get_from(m));
	InternetAddressList *reply = flatten(c, g_mime_message_get_reply_to(m));
	InternetAddress *a = internet_address_list_get_address(from, 0);
	const char *address;
	bool good = internet_address_list_length(from) == 1 ||
	    sendgrid_refuse(c, "From must hold one address");

	good = good && put_recipients(c, m) && (address = mailbox_of(c, a)) != NULL;
	good = good && put_address(c, ",\"from\":", a, address) && put_replies(c, reply);
	g_object_unref(from);
	g_object_unref(reply);
	return good;
}
