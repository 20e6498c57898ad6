/* SPDX-License-Identifier: Apache-2.0 */
#include "console/http/request.h"

#include "console/http/httpd.h"

static void
object(struct request_head *v, unsigned status, const char *wrong)
{
	if (v->wrong)
		return;
	v->wrong = wrong;
	v->status = status;
}

/* RFC 9110, 5.6.2 */
static bool
is_token(struct slice s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

		if (!word && (c == '\0' || !strchr(marks, c)))
			return false;
	}
	return s.n > 0;
}

static bool
is_value(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool
is_digits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

void
request_field(struct request_head *h, struct slice name, struct slice value)
{
	if (!is_token(name))
		object(h, 400, "the name of a header field holds what no name may");
	if (!is_value(value))
		object(h, 400, "a header field holds a control character");
	if (slice_eq_nocase(name, SLICE("host")))
		h->hosts++;
	if (slice_eq_nocase(name, SLICE("transfer-encoding")))
		object(h, 411, "a body needs Content-Length; Transfer-Encoding is not taken");
	if (slice_eq_nocase(name, SLICE("content-length"))) {
		h->lengths++;
		if (!is_digits(value) || !slice_to_u64(value, &h->length))
			object(h, 400, "Content-Length is not a number");
	}
}

static bool
is_target(const char *target)
{
	size_t n = strlen(target);

	if (n == 0 || n > HTTPD_TARGET_MAX || target[0] != '/' || target[1] == '/')
		return false;
	for (size_t i = 0; i < n; i++)
		if (target[i] <= 0x20 || target[i] >= 0x7f || strchr("\"<>\\^`{|}#", target[i]))
			return false;
	return true;
}

void
request_line(struct request_head *h, const char *method, const char *version, const char *target,
    size_t room)
{
	static const char *const known[] = { "GET", "PUT", "PATCH", "POST", "DELETE" };
	bool known_method = false;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		known_method = known_method || strcmp(method, known[i]) == 0;
	if (strcmp(version, "HTTP/1.1") != 0)
		object(h, 505, "this server speaks HTTP/1.1");
	if (!is_target(target))
		object(h, 400, "the target is not a path");
	if (h->hosts != 1)
		object(h, 400, "a request has one Host");
	if (h->lengths > 1)
		object(h, 400, "a request has one Content-Length");
	if (!known_method)
		object(h, 501, "the method is none of GET, PUT, PATCH, POST and DELETE");
	if (h->length > room)
		object(h, 413,
		    room == HTTPD_BODY_MAX ? "the body is longer than 64 KiB"
		                           : "the body is longer than may be here");
	if (h->length > 0 && (strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0))
		object(h, 400, "this method has no body");
}
