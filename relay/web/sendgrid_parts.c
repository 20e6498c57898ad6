/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendgrid_parts - what is in the message: bodies, inline parts, attachments
 */
#include "relay/web/sendgrid_private.h"

#define WRONG_CHARSET "text that is not in the charset that it says"

enum { DEPTH_MAX = 8 };

static const char *const body_types[BODIES_MAX] = { "text/plain", "text/html", "text/x-amp-html" };

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

static size_t
token_of(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] > ' ' && (unsigned char)s.p[n] < 0x7f &&
	    !strchr("()<>@,;:\\\"/[]?=", s.p[n]))
		n++;
	return n;
}

/* "text", "text/", "html; charset=utf-8", "": no type at all, which is text/plain (RFC 2045, 5.2);
 * the parameters stay. */
static bool
mend_type(struct sendgrid *c, GMimeObject *o)
{
	GMimeHeader *h =
	    g_mime_header_list_get_header(g_mime_object_get_header_list(o), "Content-Type");
	struct slice s = h ? slice_trim(slice_str(g_mime_header_get_raw_value(h))) : SLICE("a/b");
	size_t n = token_of(s);
	size_t more = n < s.n && s.p[n] == '/' ? token_of(slice_skip(s, n + 1)) : 0;
	char *mended;
	GMimeContentType *type;

	if (n && more)
		return true;
	if (!sendgrid_mend(c, "a content type that is none"))
		return false;
	s = slice_skip(s, slice_find(s, ';'));
	mended = g_strdup_printf("text/plain%.*s", SLICE_FMT(s));
	type = g_mime_content_type_parse(NULL, mended);
	g_mime_object_set_content_type(o, type);
	g_object_unref(type);
	g_free(mended);
	return true;
}

static bool
add_attachment(struct sendgrid *c, GMimePart *part, bool in_place)
{
	if (is_type(GMIME_OBJECT(part), "text", "calendar") &&
	    parameter(GMIME_OBJECT(part), "method"))
		return sendgrid_refuse(c, "an invitation (text/calendar with a method)");
	if (is_type(GMIME_OBJECT(part), "application", "pkcs7-mime") ||
	    is_type(GMIME_OBJECT(part), "application", "x-pkcs7-mime"))
		return sendgrid_refuse(c, "S/MIME");
	if (c->attachments_n == ATTACHMENTS_MAX)
		return sendgrid_refuse(c, "more than 100 attachments");
	c->attachments[c->attachments_n++] =
	    (struct attachment){ .part = part, .in_place = in_place };
	return true;
}

static bool
add_body(struct sendgrid *c, GMimePart *part)
{
	for (size_t i = 0; i < BODIES_MAX; i++) {
		GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(part));
		const char *const *t = &body_types[i];

		if (!g_mime_content_type_is_type(type, "text", *t + 5))
			continue;
		if (c->bodies[i])
			return sendgrid_refuse(c, "several bodies of the same type");
		c->bodies[i] = part;
		return true;
	}
	return sendgrid_refuse(c, "an alternative that is neither text nor HTML");
}

static bool
is_attached(GMimePart *part)
{
	const char *how = g_mime_object_get_disposition(GMIME_OBJECT(part));

	return (how && g_ascii_strcasecmp(how, "attachment") == 0) ||
	    g_mime_part_get_filename(part) || !is_type(GMIME_OBJECT(part), "text", "*");
}

static bool take(struct sendgrid *c, GMimeObject *o, unsigned depth, bool first);

/* The root first, then what it shows. */
static bool
take_related(struct sendgrid *c, GMimeMultipart *m, unsigned depth)
{
	int n = g_mime_multipart_get_count(m);

	if (parameter(GMIME_OBJECT(m), "start"))
		return sendgrid_refuse(c, "multipart/related with a start");
	for (int i = 0; i < n; i++) {
		GMimeObject *o = g_mime_multipart_get_part(m, i);

		if (i == 0) {
			if (!take(c, o, depth, true))
				return false;
			continue;
		}
		if (!GMIME_IS_PART(o) || !g_mime_part_get_content_id(GMIME_PART(o)))
			return sendgrid_refuse(c, "a related part without Content-ID");
		if (!add_attachment(c, GMIME_PART(o), true))
			return false;
	}
	return n > 0 || sendgrid_refuse(c, "an empty multipart");
}

static bool
take_multipart(struct sendgrid *c, GMimeMultipart *m, unsigned depth)
{
	bool mixed = is_type(GMIME_OBJECT(m), "multipart", "mixed");
	int n = g_mime_multipart_get_count(m);

	if (depth == DEPTH_MAX)
		return sendgrid_refuse(c, "multiparts nested too deep");
	if (is_type(GMIME_OBJECT(m), "multipart", "related"))
		return take_related(c, m, depth + 1);
	if (!mixed && !is_type(GMIME_OBJECT(m), "multipart", "alternative"))
		return sendgrid_refuse(c,
		    "signed, encrypted, a report, or another kind of multipart");
	for (int i = 0; i < n; i++)
		if (!take(c, g_mime_multipart_get_part(m, i), depth + 1, !mixed || i == 0))
			return false;
	return n > 0 || sendgrid_refuse(c, "an empty multipart");
}

static bool
take(struct sendgrid *c, GMimeObject *o, unsigned depth, bool first)
{
	if (GMIME_IS_MULTIPART(o))
		return first || is_type(o, "multipart", "mixed")
		    ? take_multipart(c, GMIME_MULTIPART(o), depth)
		    : sendgrid_refuse(c, "a multipart behind the body");
	if (!GMIME_IS_PART(o))
		return sendgrid_refuse(c, "a message inside the message");
	if (g_mime_header_list_get_header(g_mime_object_get_header_list(o), "Content-Location"))
		return sendgrid_refuse(c, "a part with Content-Location");
	if (!mend_type(c, o))
		return false;
	if (is_attached(GMIME_PART(o)))
		return add_attachment(c, GMIME_PART(o), false);
	return first ? add_body(c, GMIME_PART(o)) : sendgrid_refuse(c, "several bodies");
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

/* What windows-1252 leaves undefined is what it is in ISO 8859-1: a control. */
char *
sendgrid_from_windows(const char *s, gsize n, gsize *n_r)
{
	char *text = g_convert(s, (gssize)n, "UTF-8", "WINDOWS-1252", NULL, n_r, NULL);

	return text ? text : g_convert(s, (gssize)n, "UTF-8", "ISO-8859-1", NULL, n_r, NULL);
}

/* Labels of who does not know: none, what says ASCII and is not, what says so. */
static bool
is_no_charset(const char *charset)
{
	static const char *const names[] = { "", "us-ascii", "ascii", "ansi_x3.4-1968",
		"unknown-8bit", "x-unknown", "unknown", "8bit", "binary", NULL };

	return !charset || sendgrid_is_one_of(charset, names);
}

static char *
from_charset(const char *charset, const GByteArray *all, gsize *n_r)
{
	const char *from = g_mime_charset_iconv_name(charset);

	return from
	    ? g_convert((const char *)all->data, (gssize)all->len, "UTF-8", from, NULL, n_r, NULL)
	    : NULL;
}

/* A charset of which iconv has never heard. */
static bool
is_unheard(const char *charset)
{
	const char *from = g_mime_charset_iconv_name(charset);
	GIConv i = g_iconv_open("UTF-8", from ? from : charset);

	if (i == (GIConv)-1)
		return true;
	g_iconv_close(i);
	return false;
}

/* As UTF-8, nothing lost on the way; NULL where that cannot be. GUESSED: the label did not say how,
 * or said something else. */
static char *
text_of(GMimePart *part, gsize *n_r, bool *guessed_r)
{
	GByteArray *all = octets_of(part);
	const char *charset = parameter(GMIME_OBJECT(part), "charset");
	const char *s = (const char *)all->data;
	bool unsaid = is_no_charset(charset);
	bool utf8 = unsaid || g_ascii_strcasecmp(charset, "utf-8") == 0 ||
	    g_ascii_strcasecmp(charset, "utf8") == 0;
	char *text = NULL;

	*n_r = all->len;
	*guessed_r = unsaid && !is_7bit(all);
	if (all->len == 0) {
		text = g_strdup("");
	} else if (utf8 && g_utf8_validate(s, (gssize)all->len, NULL)) {
		text = g_strndup(s, all->len);
	} else if (unsaid) {
		text = sendgrid_from_windows(s, all->len, n_r);
	} else if (!utf8 && is_unheard(charset)) {
		*guessed_r = true;
		text = is_7bit(all) ? g_strndup(s, all->len) : NULL;
	} else if (!utf8) {
		text = from_charset(charset, all, n_r);
	}
	g_byte_array_free(all, TRUE);
	return text;
}

static bool
put_body(struct sendgrid *c, GMimePart *part, const char *type, bool first)
{
	const char *delsp = parameter(GMIME_OBJECT(part), "delsp");
	gsize n = 0;
	bool guessed;
	char *text;

	if (delsp && g_ascii_strcasecmp(delsp, "yes") == 0)
		return sendgrid_refuse(c, "flowed text that deletes spaces");
	text = text_of(part, &n, &guessed);
	if (!text || memchr(text, '\0', n) || (guessed && !sendgrid_mend(c, WRONG_CHARSET))) {
		g_free(text);
		return sendgrid_refuse(c, WRONG_CHARSET);
	}
	sendgrid_put_member(c, first ? ",\"content\":[{" : ",{", "type", type);
	sendgrid_put(c, ",\"value\":\"");
	/* One character at least. */
	sendgrid_put_escaped(c, n ? slice_of(text, n) : SLICE("\n"));
	sendgrid_put(c, "\"}");
	g_free(text);
	return true;
}

static bool
put_bodies(struct sendgrid *c)
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
		sendgrid_put(c, ",\"content\":[{\"type\":\"text/plain\",\"value\":\"\\n\"}");
	sendgrid_put(c, "]");
	return true;
}

static bool
is_word(const char *s)
{
	return g_utf8_validate(s, -1, NULL) && !strpbrk(s, ",;\r\n");
}

/* The API takes no comma and no semicolon in the name of a file. */
static char *
filename_of(GMimePart *part)
{
	const char *said = g_mime_part_get_filename(part);
	char *name = g_utf8_make_valid(said && *said ? said : "attachment", -1);

	return g_strdelimit(name, ",;\r\n", '_');
}

static bool
may_attach(struct sendgrid *c, const struct attachment *a, const GByteArray *all, const char *type)
{
	const char *id = g_mime_part_get_content_id(a->part);
	const char *charset = parameter(GMIME_OBJECT(a->part), "charset");

	if (all->len == 0)
		return sendgrid_refuse(c, "an empty attachment");
	if ((a->in_place && id && !is_word(id)) || !is_word(type))
		return sendgrid_refuse(c,
		    "the type or the Content-ID of an attachment holds a comma or a semicolon");
	return !is_type(GMIME_OBJECT(a->part), "text", "*") || !charset ||
	    g_ascii_strcasecmp(charset, "utf-8") == 0 || is_7bit(all) ||
	    sendgrid_refuse(c, "an attached text in another charset than UTF-8");
}

static bool
put_attachment(struct sendgrid *c, const struct attachment *a, bool first)
{
	GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(a->part));
	const char *id = g_mime_part_get_content_id(a->part);
	GByteArray *all = octets_of(a->part);
	char *words = g_strdup_printf("%s/%s", g_mime_content_type_get_media_type(type),
	    g_mime_content_type_get_media_subtype(type));
	const char *said = g_mime_part_get_filename(a->part);
	char *name = filename_of(a->part);
	bool good = may_attach(c, a, all, words) &&
	    (!said || !strpbrk(said, ",;") ||
	        sendgrid_mend(c, "the name of a file holds a comma or a semicolon"));

	if (good) {
		sendgrid_put_member(c, first ? ",\"attachments\":[{" : ",{", "type", words);
		sendgrid_put_member(c, ",", "filename", name);
		sendgrid_put_member(c, ",", "disposition", a->in_place ? "inline" : "attachment");
		if (id && a->in_place)
			sendgrid_put_member(c, ",", "content_id", id);
		sendgrid_put(c, ",\"content\":\"");
		sendgrid_put_base64(c, slice_of((const char *)all->data, all->len));
		sendgrid_put(c, "\"}");
	}
	g_byte_array_free(all, TRUE);
	g_free(words);
	g_free(name);
	return good;
}

static bool
put_attachments(struct sendgrid *c)
{
	for (size_t i = 0; i < c->attachments_n; i++)
		if (!put_attachment(c, &c->attachments[i], i == 0))
			return false;
	if (c->attachments_n)
		sendgrid_put(c, "]");
	return true;
}

bool
sendgrid_take(struct sendgrid *c, GMimeObject *top)
{
	return take(c, top, 0, true);
}

bool
sendgrid_put_parts(struct sendgrid *c)
{
	return put_bodies(c) && put_attachments(c);
}
