/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth - AUTH PLAIN and LOGIN (RFC 4954, RFC 4616, draft-murchison-sasl-login), BEHAVIOUR A1 to A4
 */
#include <stdlib.h>

#include "proxy/dialogue/dialogue.h"
#include "wire/base64.h"
#include "wire/crypto.h"

enum { DECODED_MAX = AUTH_MAX };

bool
auth_is_offered(const struct session *s)
{
	const struct conf_listener *l = s->lane->listener;

	return l->auth && (s->sender == NULL || s->sender->is_address) &&
	    (s->secure || l->plaintext_auth);
}

static bool
keep_name(struct session *s, struct slice name)
{
	if (s->auth_user != NULL)
		return true;
	s->auth_user = malloc(name.n + 1);
	if (s->auth_user == NULL)
		return false;
	memcpy(s->auth_user, name.p, name.n);
	s->auth_user_n = name.n;
	return true;
}

/* Names and passwords are text; a name with control characters is nobody's. */
static enum verdict
ask(struct session *s, struct slice user, struct slice password)
{
	if (user.n == 0 || !slice_is_text(user) || memchr(password.p, '\0', password.n) != NULL)
		return login_fail(s, "malformed name or password");
	if (!keep_name(s, user))
		return login_refuse(s, SAY_AUTH_UNAVAILABLE);
	return login_start(s, password);
}

/*
 * authzid NUL authcid NUL password; authzid is empty or the same (Perl's Net::SMTP sends it).
 * Blanks around a name came in when it was pasted: no name has them.
 */
static enum verdict
got_plain(struct session *s, struct slice all)
{
	size_t first = slice_find(all, '\0');
	struct slice authzid = slice_trim(slice_head(all, first));
	struct slice rest = slice_skip(all, first + 1);
	size_t second = slice_find(rest, '\0');
	struct slice user = slice_trim(slice_head(rest, second));

	if (first == all.n || second == rest.n)
		return login_refuse(s, SAY_AUTH_BASE64);
	if (authzid.n > 0 && !slice_eq(authzid, user))
		return login_fail(s, "another authorization identity");
	return ask(s, user, slice_skip(rest, second + 1));
}

static enum verdict
got_login_name(struct session *s, struct slice name)
{
	if (!keep_name(s, slice_trim(name)))
		return login_refuse(s, SAY_AUTH_UNAVAILABLE);
	s->auth_step = AUTH_LOGIN_PASSWORD;
	if (!stream_write(&s->stream, SLICE("334 UGFzc3dvcmQ6\r\n")))
		return login_refuse(s, SAY_AUTH_UNAVAILABLE);
	session_enter(s, STATE_AUTH);
	return DONE;
}

static enum verdict
got_response(struct session *s, struct slice decoded)
{
	switch (s->auth_step) {
	case AUTH_PLAIN:
		return got_plain(s, decoded);
	case AUTH_LOGIN_NAME:
		return got_login_name(s, decoded);
	case AUTH_LOGIN_PASSWORD:
		return ask(s, slice_of(s->auth_user, s->auth_user_n), decoded);
	case AUTH_NONE:
		break;
	}
	return login_refuse(s, SAY_AUTH_BASE64);
}

/* "=" is an empty initial response (RFC 4954 4). */
static enum verdict
decode(struct session *s, struct slice line)
{
	char mem[DECODED_MAX];
	size_t n = 0;

	if (slice_eq(line, SLICE("=")))
		line = slice_of("", 0);
	if (!base64_decode_unpadded(line, mem, sizeof(mem), &n))
		return login_refuse(s, SAY_AUTH_BASE64);
	enum verdict v = got_response(s, slice_of(mem, n));

	crypto_wipe(mem, n);
	return v;
}

enum verdict
auth_line(struct session *s, struct slice line)
{
	/* Some clients end it with a blank, as some end the command. */
	line = slice_trim(line);
	if (slice_eq(line, SLICE("*")))
		return login_refuse(s, SAY_AUTH_CANCELLED);
	return decode(s, line);
}

/* True and the first step set if we know the mechanism; PROMPT_R is what to say when no response
 * came with the command. */
static bool
find_mechanism(struct session *s, struct slice word, struct slice *prompt_r)
{
	if (slice_eq_nocase(word, SLICE("PLAIN"))) {
		s->auth_step = AUTH_PLAIN;
		*prompt_r = SLICE("334 \r\n");
		return true;
	}
	if (slice_eq_nocase(word, SLICE("LOGIN"))) {
		s->auth_step = AUTH_LOGIN_NAME;
		*prompt_r = SLICE("334 VXNlcm5hbWU6\r\n");
		return true;
	}
	return false;
}

/* Before the credentials are looked at (THREATS S3). */
static enum reply_id
not_now(const struct session *s)
{
	if (s->sender != NULL && !s->sender->is_address)
		return SAY_AUTH_AGAIN;
	if (!s->lane->listener->auth)
		return SAY_AUTH_NOT_OFFERED;
	if (!s->secure && !s->lane->listener->plaintext_auth)
		return SAY_AUTH_NEEDS_TLS;
	return SAY_NONE;
}

enum verdict
do_auth(struct session *s, struct slice args)
{
	enum reply_id no = not_now(s);
	struct slice prompt;

	if (no != SAY_NONE) {
		session_reply(s, no);
		return DONE;
	}
	struct slice word = slice_cut(&args, ' ');

	args = slice_trim(args);
	if (word.n == 0) {
		session_reply(s, SAY_SYNTAX);
		return DONE;
	}
	if (!find_mechanism(s, word, &prompt)) {
		session_reply(s, SAY_AUTH_MECHANISM);
		return DONE;
	}
	if (args.n > 0)
		return decode(s, args);
	session_enter(s, STATE_AUTH);
	if (!stream_write(&s->stream, prompt))
		return login_refuse(s, SAY_AUTH_UNAVAILABLE);
	return DONE;
}
