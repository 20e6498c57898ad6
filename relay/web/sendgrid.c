/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/sendgrid.h"

#include <gmime/gmime.h>
#include <pthread.h>

#include "wire/base64.h"

enum { PIECE = 1023, DEPTH_MAX = 8, ATTACHMENTS_MAX = 100, BODIES_MAX = 3 };

struct attachment {
	GMimePart *part;
	bool in_place; /* shown in the body, by its Content-ID */
};

struct conversion {
	const struct sendgrid_job *job;
	struct text *why;
	bool failed;  /* no memory */
	bool *placed; /* recipients that stand in to or cc */
	GMimePart
	    *bodies[BODIES_MAX]; /* plain, html, AMP: in the order in which the API wants them */
	struct attachment attachments[ATTACHMENTS_MAX];
	size_t attachments_n;
};

static const char *const body_types[BODIES_MAX] = { "text/plain", "text/html", "text/x-amp-html" };

static bool
refuse(struct conversion *c, const char *why)
{
	if (c->why->n == 0)
		text_fmt(c->why, "Not possible through this provider's API: %s", why);
	return false;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void
put(struct conversion *c, const char *s)
{
	if (!c->failed && !c->job->put(c->job->ctx, slice_str(s)))
		c->failed = true;
}

/* S is valid UTF-8. */
static void
put_escaped(struct conversion *c, struct slice s)
{
	char mem[6 * PIECE + 1];

	while (s.n && !c->failed) {
		struct text t = text_over(mem, sizeof(mem));
		size_t n = 0;

		while (n < s.n && n + 4 <= PIECE) {
			size_t more = slice_utf8(slice_skip(s, n));

			n += more ? more : 1;
		}
		text_json(&t, slice_head(s, n));
		c->failed = t.overflow || !c->job->put(c->job->ctx, text_slice(&t));
		s = slice_skip(s, n);
	}
}

static void
put_string(struct conversion *c, const char *s)
{
	put(c, "\"");
	put_escaped(c, slice_str(s));
	put(c, "\"");
}

static void
put_member(struct conversion *c, const char *before, const char *name, const char *value)
{
	put(c, before);
	put_string(c, name);
	put(c, ":");
	put_string(c, value);
}

static void
put_base64(struct conversion *c, struct slice s)
{
	char mem[PIECE / 3 * 4 + 1];

	while (s.n && !c->failed) {
		struct text t = text_over(mem, sizeof(mem));
		struct slice piece = slice_head(s, PIECE);

		base64_encode(&t, piece);
		c->failed = !c->job->put(c->job->ctx, text_slice(&t));
		s = slice_skip(s, piece.n);
	}
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* "a@x": the domain's case never counts, and who writes the rest in two ways means one mailbox. */
static bool
place(struct conversion *c, const char *address, bool *again_r)
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

static void
put_address(struct conversion *c, const char *before, const char *name, const char *address)
{
	put(c, before);
	put_member(c, "{", "email", address);
	if (name && *name)
		put_member(c, ",", "name", name);
	put(c, "}");
}

static const char *
mailbox_of(struct conversion *c, InternetAddressList *list, int i)
{
	InternetAddress *a = internet_address_list_get_address(list, i);
	const char *name = internet_address_get_name(a);
	const char *address;

	if (!INTERNET_ADDRESS_IS_MAILBOX(a)) {
		refuse(c, "a group of addresses in a header field");
		return NULL;
	}
	address = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a));
	if (!address || !strchr(address, '@')) {
		refuse(c, "an address in a header field that is none");
		return NULL;
	}
	if (name && (strpbrk(name, ",;\r\n") || !g_utf8_validate(name, -1, NULL))) {
		refuse(c, "a display name with a comma or a semicolon");
		return NULL;
	}
	return address;
}

/* To or Cc: all of them recipients, each once. */
static bool
put_named(struct conversion *c, const char *key, InternetAddressList *list)
{
	const char *before = "";
	int n = list ? internet_address_list_length(list) : 0;

	for (int i = 0; i < n; i++) {
		const char *address = mailbox_of(c, list, i);
		bool again;

		if (!address)
			return false;
		if (!place(c, address, &again))
			return refuse(c, "To or Cc names somebody to whom it is not to be sent");
		if (again)
			continue;
		if (!*before) {
			put(c, key);
			put(c, "[");
		}
		put_address(c, before,
		    internet_address_get_name(internet_address_list_get_address(list, i)), address);
		before = ",";
	}
	if (*before)
		put(c, "],");
	return true;
}

static bool
names_anybody(struct conversion *c, InternetAddressList *list)
{
	return (list && internet_address_list_length(list) > 0) ||
	    refuse(c, "no recipient stands in To, and the API needs one there");
}

static void
put_hidden(struct conversion *c)
{
	bool any = false;

	for (size_t i = 0; i < c->job->recipients_n; i++) {
		struct slice r = c->job->recipients[i];

		if (c->placed[i])
			continue;
		put(c, any ? ",{\"email\":\"" : "\"bcc\":[{\"email\":\"");
		put_escaped(c, r);
		put(c, "\"}");
		any = true;
	}
	if (any)
		put(c, "],");
}

static bool
put_people(struct conversion *c, GMimeMessage *m)
{
	InternetAddressList *from = g_mime_message_get_from(m);
	InternetAddressList *reply = g_mime_message_get_reply_to(m);
	int replies = reply ? internet_address_list_length(reply) : 0;
	const char *address;

	if (!from || internet_address_list_length(from) != 1)
		return refuse(c, "From must hold one address");
	if (!names_anybody(c, g_mime_message_get_to(m)))
		return false;
	put(c, "{\"personalizations\":[{");
	if (!put_named(c, "\"to\":", g_mime_message_get_to(m)) ||
	    !put_named(c, "\"cc\":", g_mime_message_get_cc(m)))
		return false;
	put_hidden(c);
	/* The object must not end with a comma. */
	put_member(c, "", "subject", g_mime_message_get_subject(m));
	put(c, "}],\"from\":");
	address = mailbox_of(c, from, 0);
	if (!address)
		return false;
	put_address(c, "", internet_address_get_name(internet_address_list_get_address(from, 0)),
	    address);
	for (int i = 0; i < replies; i++) {
		address = mailbox_of(c, reply, i);
		if (!address)
			return false;
		put(c, i ? "," : replies > 1 ? ",\"reply_to_list\":[" : ",\"reply_to\":");
		put_address(c, "",
		    internet_address_get_name(internet_address_list_get_address(reply, i)),
		    address);
	}
	if (replies > 1)
		put(c, "]");
	return true;
}

/* ---- header fields --------------------------------------------------------------------------- */

static bool
is_one_of(const char *name, const char *const *all)
{
	for (; *all; all++)
		if (g_ascii_strcasecmp(name, *all) == 0)
			return true;
	return false;
}

/* Said elsewhere in the JSON, or the server's own. */
static bool
is_left_out(const char *name)
{
	static const char *const names[] = { "From", "To", "Cc", "Bcc", "Subject", "Reply-To",
		"Received", "Return-Path", "MIME-Version", "Content-Type",
		"Content-Transfer-Encoding", "Content-Disposition", "Content-ID", NULL };

	return is_one_of(name, names);
}

static bool
is_impossible(const char *name)
{
	static const char *const names[] = { "Sender", "DKIM-Signature", "Content-Location",
		"X-SG-ID", "X-SG-EID", NULL };

	return is_one_of(name, names) || g_ascii_strncasecmp(name, "Resent-", 7) == 0;
}

/* Unfolded into T. False: it is not ASCII. */
static bool
unfold(struct text *t, const char *raw)
{
	struct slice s = slice_trim(slice_str(raw));

	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch >= 0x7f)
			return false;
		if (ch != '\r' && ch != '\n')
			text_char(t, ch < 0x20 ? ' ' : (char)ch);
	}
	return !t->overflow;
}

static bool
comes_again(GMimeHeaderList *list, int at)
{
	const char *name = g_mime_header_get_name(g_mime_header_list_get_header_at(list, at));

	for (int i = 0; i < at; i++)
		if (g_ascii_strcasecmp(name,
		        g_mime_header_get_name(g_mime_header_list_get_header_at(list, i))) == 0)
			return g_ascii_strcasecmp(name, "Received") != 0;
	return false;
}

static bool
put_field(struct conversion *c, GMimeHeader *h, bool *any)
{
	static const size_t value_max = 16 * 1024;
	const char *name = g_mime_header_get_name(h);
	char *mem = g_malloc(value_max);
	struct text value = text_over(mem, value_max);
	bool good = unfold(&value, g_mime_header_get_raw_value(h));

	if (good) {
		put_member(c, *any ? "," : ",\"headers\":{", name, mem);
		*any = true;
	}
	g_free(mem);
	return good || refuse(c, "a header field that is not ASCII, or too long");
}

static bool
put_fields(struct conversion *c, GMimeObject *of, bool *any)
{
	GMimeHeaderList *list = g_mime_object_get_header_list(of);
	int n = g_mime_header_list_get_count(list);

	for (int i = 0; i < n; i++) {
		GMimeHeader *h = g_mime_header_list_get_header_at(list, i);
		const char *name = g_mime_header_get_name(h);

		if (comes_again(list, i))
			return refuse(c, "a header field that occurs twice");
		if (is_impossible(name))
			return refuse(c,
			    "Sender, Resent-*, Content-Location or a signature (DKIM) in the header");
		if (!is_left_out(name) && !put_field(c, h, any))
			return false;
	}
	return true;
}

static bool
put_headers(struct conversion *c, GMimeMessage *m)
{
	GMimeObject *top = g_mime_message_get_mime_part(m);
	bool any = false;

	if (!put_fields(c, GMIME_OBJECT(m), &any) || (top && !put_fields(c, top, &any)))
		return false;
	if (any)
		put(c, "}");
	return true;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static bool
is_type(GMimeObject *o, const char *type, const char *subtype)
{
	return g_mime_content_type_is_type(g_mime_object_get_content_type(o), type, subtype);
}

static const char *
parameter(GMimeObject *o, const char *name)
{
	return g_mime_content_type_get_parameter(g_mime_object_get_content_type(o), name);
}

static bool
add_attachment(struct conversion *c, GMimePart *part, bool in_place)
{
	if (is_type(GMIME_OBJECT(part), "text", "calendar") &&
	    parameter(GMIME_OBJECT(part), "method"))
		return refuse(c, "an invitation (text/calendar with a method)");
	if (is_type(GMIME_OBJECT(part), "application", "pkcs7-mime") ||
	    is_type(GMIME_OBJECT(part), "application", "x-pkcs7-mime"))
		return refuse(c, "S/MIME");
	if (c->attachments_n == ATTACHMENTS_MAX)
		return refuse(c, "more than 100 attachments");
	c->attachments[c->attachments_n++] =
	    (struct attachment){ .part = part, .in_place = in_place };
	return true;
}

static bool
add_body(struct conversion *c, GMimePart *part)
{
	for (size_t i = 0; i < BODIES_MAX; i++) {
		GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(part));
		const char *const *t = &body_types[i];

		if (!g_mime_content_type_is_type(type, "text", *t + 5))
			continue;
		if (c->bodies[i])
			return refuse(c, "several bodies of the same type");
		c->bodies[i] = part;
		return true;
	}
	return refuse(c, "an alternative that is neither text nor HTML");
}

static bool
is_attached(GMimePart *part)
{
	const char *how = g_mime_object_get_disposition(GMIME_OBJECT(part));

	return (how && g_ascii_strcasecmp(how, "attachment") == 0) ||
	    g_mime_part_get_filename(part) || !is_type(GMIME_OBJECT(part), "text", "*");
}

static bool take(struct conversion *c, GMimeObject *o, unsigned depth, bool first);

/* The root first, then what it shows. */
static bool
take_related(struct conversion *c, GMimeMultipart *m, unsigned depth)
{
	int n = g_mime_multipart_get_count(m);

	if (parameter(GMIME_OBJECT(m), "start"))
		return refuse(c, "multipart/related with a start");
	for (int i = 0; i < n; i++) {
		GMimeObject *o = g_mime_multipart_get_part(m, i);

		if (i == 0) {
			if (!take(c, o, depth, true))
				return false;
			continue;
		}
		if (!GMIME_IS_PART(o) || !g_mime_part_get_content_id(GMIME_PART(o)))
			return refuse(c, "a related part without Content-ID");
		if (!add_attachment(c, GMIME_PART(o), true))
			return false;
	}
	return n > 0 || refuse(c, "an empty multipart");
}

static bool
take_multipart(struct conversion *c, GMimeMultipart *m, unsigned depth)
{
	bool mixed = is_type(GMIME_OBJECT(m), "multipart", "mixed");
	int n = g_mime_multipart_get_count(m);

	if (depth == DEPTH_MAX)
		return refuse(c, "multiparts nested too deep");
	if (is_type(GMIME_OBJECT(m), "multipart", "related"))
		return take_related(c, m, depth + 1);
	if (!mixed && !is_type(GMIME_OBJECT(m), "multipart", "alternative"))
		return refuse(c, "signed, encrypted, a report, or another kind of multipart");
	for (int i = 0; i < n; i++)
		if (!take(c, g_mime_multipart_get_part(m, i), depth + 1, !mixed || i == 0))
			return false;
	return n > 0 || refuse(c, "an empty multipart");
}

static bool
take(struct conversion *c, GMimeObject *o, unsigned depth, bool first)
{
	if (GMIME_IS_MULTIPART(o))
		return first || is_type(o, "multipart", "mixed")
		    ? take_multipart(c, GMIME_MULTIPART(o), depth)
		    : refuse(c, "a multipart behind the body");
	if (!GMIME_IS_PART(o))
		return refuse(c, "a message inside the message");
	if (g_mime_header_list_get_header(g_mime_object_get_header_list(o), "Content-Location"))
		return refuse(c, "a part with Content-Location");
	if (is_attached(GMIME_PART(o)))
		return add_attachment(c, GMIME_PART(o), false);
	return first ? add_body(c, GMIME_PART(o)) : refuse(c, "several bodies");
}

/* Decoded octets; the caller frees the array. */
static GByteArray *
octets_of(GMimePart *part)
{
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	GMimeStream *to = g_mime_stream_mem_new();
	GByteArray *all = g_byte_array_new();

	g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(to), all);
	g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(to), FALSE);
	if (content)
		g_mime_data_wrapper_write_to_stream(content, to);
	g_object_unref(to);
	return all;
}

static bool
is_7bit(const GByteArray *all)
{
	for (guint i = 0; i < all->len; i++)
		if (all->data[i] & 0x80)
			return false;
	return true;
}

/* As UTF-8, nothing lost on the way; NULL where that cannot be. */
static char *
text_of(GMimePart *part, gsize *n_r)
{
	GByteArray *all = octets_of(part);
	const char *charset = parameter(GMIME_OBJECT(part), "charset");
	char *text = NULL;

	*n_r = all->len;
	if (all->len == 0) {
		text = g_strdup("");
	} else if (charset && g_ascii_strcasecmp(charset, "utf-8") != 0) {
		const char *from = g_mime_charset_iconv_name(charset);

		if (from)
			text = g_convert((const char *)all->data, (gssize)all->len, "UTF-8", from,
			    NULL, n_r, NULL);
	} else if (g_utf8_validate((const char *)all->data, (gssize)all->len, NULL)) {
		text = g_strndup((const char *)all->data, all->len);
	}
	g_byte_array_free(all, TRUE);
	return text;
}

static bool
put_body(struct conversion *c, GMimePart *part, const char *type, bool first)
{
	const char *delsp = parameter(GMIME_OBJECT(part), "delsp");
	gsize n = 0;
	char *text;

	if (delsp && g_ascii_strcasecmp(delsp, "yes") == 0)
		return refuse(c, "flowed text that deletes spaces");
	text = text_of(part, &n);
	if (!text || memchr(text, '\0', n)) {
		g_free(text);
		return refuse(c, "text that is not in the charset that it says");
	}
	put_member(c, first ? ",\"content\":[{" : ",{", "type", type);
	put(c, ",\"value\":\"");
	/* One character at least. */
	put_escaped(c, n ? slice_of(text, n) : SLICE("\n"));
	put(c, "\"}");
	g_free(text);
	return true;
}

static bool
put_bodies(struct conversion *c)
{
	bool first = true;

	for (size_t i = 0; i < BODIES_MAX; i++) {
		if (!c->bodies[i])
			continue;
		if (!put_body(c, c->bodies[i], body_types[i], first))
			return false;
		first = false;
	}
	if (first)
		put(c, ",\"content\":[{\"type\":\"text/plain\",\"value\":\"\\n\"}");
	put(c, "]");
	return true;
}

static bool
is_word(const char *s)
{
	return s && g_utf8_validate(s, -1, NULL) && !strpbrk(s, ",;\r\n");
}

static bool
put_attachment(struct conversion *c, const struct attachment *a, bool first)
{
	GMimeObject *o = GMIME_OBJECT(a->part);
	GMimeContentType *type = g_mime_object_get_content_type(o);
	const char *name = g_mime_part_get_filename(a->part);
	const char *id = g_mime_part_get_content_id(a->part);
	const char *charset = parameter(o, "charset");
	GByteArray *all = octets_of(a->part);
	char *words = g_strdup_printf("%s/%s", g_mime_content_type_get_media_type(type),
	    g_mime_content_type_get_media_subtype(type));
	bool good = true;

	if (all->len == 0)
		good = refuse(c, "an empty attachment");
	else if ((name && !is_word(name)) || (id && !is_word(id)) || !is_word(words))
		good = refuse(c, "the name of an attachment holds a comma or a semicolon");
	else if (is_type(o, "text", "*") && charset && g_ascii_strcasecmp(charset, "utf-8") != 0 &&
	    !is_7bit(all))
		good = refuse(c, "an attached text in another charset than UTF-8");
	if (good) {
		put_member(c, first ? ",\"attachments\":[{" : ",{", "type", words);
		put_member(c, ",", "filename", name && *name ? name : "attachment");
		put_member(c, ",", "disposition", a->in_place ? "inline" : "attachment");
		if (id && a->in_place)
			put_member(c, ",", "content_id", id);
		put(c, ",\"content\":\"");
		put_base64(c, slice_of((const char *)all->data, all->len));
		put(c, "\"}");
	}
	g_byte_array_free(all, TRUE);
	g_free(words);
	return good;
}

static bool
put_attachments(struct conversion *c)
{
	for (size_t i = 0; i < c->attachments_n; i++)
		if (!put_attachment(c, &c->attachments[i], i == 0))
			return false;
	if (c->attachments_n)
		put(c, "]");
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool
convert(struct conversion *c, GMimeMessage *m)
{
	const char *subject = g_mime_message_get_subject(m);
	GMimeObject *top = g_mime_message_get_mime_part(m); /* NULL: there is no body */

	if (!subject || !*subject || !g_utf8_validate(subject, -1, NULL))
		return refuse(c, "a message without a subject");
	if ((top && !take(c, top, 0, true)) || !put_people(c, m) || !put_headers(c, m) ||
	    !put_bodies(c) || !put_attachments(c))
		return false;
	/* The provider would change links and add an image. */
	put(c,
	    ",\"tracking_settings\":{\"click_tracking\":{\"enable\":false,\"enable_text\":false},"
	    "\"open_tracking\":{\"enable\":false}}}");
	return true;
}

static GMimeMessage *
parse(struct slice message)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(message.p, message.n);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);

	g_object_unref(parser);
	g_object_unref(stream);
	return m;
}

void
sendgrid_init(void)
{
	static bool done;

	if (!done)
		g_mime_init();
	done = true;
}

enum sendgrid_got
sendgrid_convert(const struct sendgrid_job *job, struct text *why)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct conversion *c = g_new0(struct conversion, 1);
	GMimeMessage *m;
	enum sendgrid_got got = SENDGRID_REFUSED;

	c->job = job;
	c->why = why;
	c->placed = g_new0(bool, job->recipients_n + 1);
	pthread_mutex_lock(&lock);
	m = parse(job->message);
	if (!m)
		refuse(c, "no message that can be read");
	else if (convert(c, m))
		got = c->failed ? SENDGRID_NO_MEMORY : SENDGRID_OK;
	if (m)
		g_object_unref(m);
	pthread_mutex_unlock(&lock);
	g_free(c->placed);
	g_free(c);
	return got;
}
