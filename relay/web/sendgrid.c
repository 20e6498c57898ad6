/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/web/sendgrid_private.h"

enum { VALUE_MAX = 16 * 1024 };

bool
sendgrid_refuse(struct sendgrid *c, const char *why)
{
	if (c->why->n == 0)
		text_fmt(c->why, "Not possible through this provider's API: %s", why);
	return false;
}

bool
sendgrid_mend(struct sendgrid *c, const char *why)
{
	return !c->job->strict || sendgrid_refuse(c, why);
}

/* ---- header fields --------------------------------------------------------------------------- */

bool
sendgrid_is_one_of(const char *name, const char *const *all)
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

	return sendgrid_is_one_of(name, names);
}

static bool
is_impossible(const char *name)
{
	static const char *const names[] = { "Sender", "DKIM-Signature", "Content-Location",
		"X-SG-ID", "X-SG-EID", NULL };

	return sendgrid_is_one_of(name, names) || g_ascii_strncasecmp(name, "Resent-", 7) == 0;
}

/* What a reader shows or sorts by: two of them are two meanings. */
static bool
is_single(const char *name)
{
	static const char *const names[] = { "From", "To", "Cc", "Reply-To", "Subject", "Date",
		"Message-ID", "In-Reply-To", "References", "Content-Type",
		"Content-Transfer-Encoding", NULL };

	return sendgrid_is_one_of(name, names);
}

/* Unfolded into T. False: it is too long. */
static bool
unfold(struct text *t, const char *raw)
{
	struct slice s = slice_trim(slice_str(raw));

	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch != '\r' && ch != '\n')
			text_char(t, ch < 0x20 || ch == 0x7f ? ' ' : (char)ch);
	}
	return !t->overflow;
}

/* As a field may stand in a message: ASCII, what is not so encoded. The caller frees it. */
static char *
value_of(const char *raw)
{
	char *mem = g_malloc(VALUE_MAX);
	struct text t = text_over(mem, VALUE_MAX);
	char *utf8;
	char *encoded;
	gsize n;

	if (!unfold(&t, raw)) {
		g_free(mem);
		return NULL;
	}
	if (g_str_is_ascii(mem))
		return mem;
	utf8 = g_utf8_validate(mem, -1, NULL) ? g_strdup(mem) : sendgrid_from_windows(mem, t.n, &n);
	encoded = utf8 ? g_mime_utils_header_encode_text(NULL, utf8, "utf-8") : NULL;
	t = text_over(mem, VALUE_MAX);
	if (!encoded || !unfold(&t, encoded)) {
		g_free(mem);
		mem = NULL;
	}
	g_free(utf8);
	g_free(encoded);
	return mem;
}

static bool
put_field(struct sendgrid *c, GMimeHeader *h, bool *any)
{
	const char *name = g_mime_header_get_name(h);
	const char *raw = g_mime_header_get_raw_value(h);
	char *value;

	if (!g_str_is_ascii(raw) && !sendgrid_mend(c, "a header field that is not ASCII"))
		return false;
	value = value_of(raw);
	if (!value)
		/* What no reader shows is no loss. */
		return is_single(name) ? sendgrid_refuse(c, "a header field that is too long")
		                       : sendgrid_mend(c, "a header field that is too long");
	sendgrid_put_member(c, *any ? "," : ",\"headers\":{", name, value);
	*any = true;
	g_free(value);
	return true;
}

/* False where it was there before. */
static bool
is_first(struct sendgrid *c, const char *name)
{
	return g_hash_table_add(c->seen, g_ascii_strdown(name, -1));
}

static bool
put_fields(struct sendgrid *c, GMimeObject *of, bool *any)
{
	GMimeHeaderList *list = g_mime_object_get_header_list(of);
	int n = g_mime_header_list_get_count(list);

	g_hash_table_remove_all(c->seen);
	for (int i = 0; i < n; i++) {
		GMimeHeader *h = g_mime_header_list_get_header_at(list, i);
		const char *name = g_mime_header_get_name(h);
		bool first = is_first(c, name);

		if (!first && is_single(name))
			return sendgrid_refuse(c,
			    "a header field that occurs twice and that readers show");
		if (!first && !is_left_out(name) &&
		    !sendgrid_mend(c, "a header field that occurs twice"))
			return false;
		if (is_impossible(name))
			return sendgrid_refuse(c,
			    "Sender, Resent-*, Content-Location or a signature (DKIM) in the header");
		if (first && !is_left_out(name) && !put_field(c, h, any))
			return false;
	}
	return true;
}

static bool
put_headers(struct sendgrid *c, GMimeMessage *m)
{
	GMimeObject *top = g_mime_message_get_mime_part(m);
	bool any = false;

	if (!put_fields(c, GMIME_OBJECT(m), &any) || (top && !put_fields(c, top, &any)))
		return false;
	if (any)
		sendgrid_put(c, "}");
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool
convert(struct sendgrid *c, GMimeMessage *m)
{
	GMimeObject *top = g_mime_message_get_mime_part(m); /* NULL: there is no body */
	const char *subject = g_mime_message_get_subject(m);
	char *valid = g_utf8_make_valid(subject && *subject ? subject : "(no subject)", -1);
	bool good = (subject && *subject) || sendgrid_mend(c, "no subject");

	c->subject = valid;
	good = good && (!top || sendgrid_take(c, top)) && sendgrid_put_people(c, m) &&
	    put_headers(c, m) && sendgrid_put_parts(c);
	/* The provider would change links and add an image. */
	if (good)
		sendgrid_put(c,
		    ",\"tracking_settings\":{\"click_tracking\":{\"enable\":false,\"enable_text\":false},"
		    "\"open_tracking\":{\"enable\":false}}}");
	g_free(valid);
	return good;
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

/* iconv reads its modules from files when they are first needed, and a parser can read none: what
 * mail is written in is there before. */
static void
load_charsets(void)
{
	static const char *const names[] = { "ISO-8859-1", "ISO-8859-2", "ISO-8859-3", "ISO-8859-4",
		"ISO-8859-5", "ISO-8859-6", "ISO-8859-7", "ISO-8859-8", "ISO-8859-9", "ISO-8859-10",
		"ISO-8859-11", "ISO-8859-13", "ISO-8859-14", "ISO-8859-15", "ISO-8859-16",
		"WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252", "WINDOWS-1253", "WINDOWS-1254",
		"WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257", "WINDOWS-1258", "WINDOWS-874",
		"WINDOWS-31J", "WINDOWS-949", "KOI8-R", "KOI8-U", "GB2312", "GBK", "GB18030",
		"BIG5", "BIG5-HKSCS", "SHIFT_JIS", "EUC-JP", "ISO-2022-JP", "ISO-2022-JP-2",
		"EUC-KR", "CP949", "ISO-2022-KR", "ISO-2022-CN", "HZ-GB-2312", "TIS-620", "VISCII",
		"TCVN", "MACINTOSH", "CP437", "CP850", "CP852", "CP866", "UTF-7", "UTF-16",
		"UTF-16LE", "UTF-16BE", "UTF-32", "UCS-2", "US-ASCII" };

	/* Each stays open, or its module would go again; the leak checker finds them here. */
	static GIConv open[sizeof(names) / sizeof(names[0])] __attribute__((used));

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		open[i] = g_iconv_open("UTF-8", names[i]);
}

void
sendgrid_init(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	g_mime_init();
	load_charsets();
}

enum sendgrid_got
sendgrid_convert(const struct sendgrid_job *job, struct text *why)
{
	struct sendgrid *c = g_new0(struct sendgrid, 1);
	GMimeMessage *m = NULL;
	enum sendgrid_got got = SENDGRID_REFUSED;

	c->job = job;
	c->why = why;
	c->placed = g_new0(bool, job->recipients_n + 1);
	c->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	if (sendgrid_is_shallow(c, job->message) && !(m = parse(job->message)))
		sendgrid_refuse(c, "no message that can be read");
	if (m && convert(c, m))
		got = c->failed ? SENDGRID_NO_MEMORY : SENDGRID_OK;
	if (m)
		g_object_unref(m);
	g_hash_table_destroy(c->seen);
	g_free(c->placed);
	g_free(c);
	return got;
}
