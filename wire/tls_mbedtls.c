/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - TLS 1.2 and 1.3 with mbedTLS 3.6
 *
 * mbedTLS asks for five octets (a record's header) and then for its body, and sends each handshake message by itself. Between it and the socket stand
 * two buffers of the process, so that a turn's octets come with one recv() and a handshake flight leaves with one send(). They belong to one connection
 * at a time:
 *
 *      ahead   what recv() brought beyond what was asked for. Whoever needs it while another's octets are in it puts those into the other's
 *              own memory (tls.kept); that happens only to a connection whose owner stopped reading before the end.
 *      flight  small records of one call. Empty when the call returns; what the kernel did not take goes into tls.held, and the call says
 *              TLS_WANT_WRITE until that is out.
 *
 * One thread: the loop's.
 */
#include "wire/guard.h"
#include "wire/tls.h"

#include <mbedtls/constant_time.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum {
	HOST_MAX = 253,
	KEY_LEN = 32,
	TICKET_NAME_LEN = 4,
	TICKET_LIFETIME_MAX = 86400,
	WHY_MAX = 64,
	AHEAD_SIZE = 32768,
	FLIGHT_SIZE = 16384,
	FLIGHT_RECORD_MAX = 4096, /* larger ones go straight to the socket */
	PEM_FILE_MAX = 1024 * 1024,
};

/* A trust store from a file, parsed once for all contexts of the process. */
struct store {
	struct store *next;
	char *path;
	struct timespec mtime;
	off_t size;
	unsigned refs;
	mbedtls_x509_crt crt;
};

struct pair {
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
};

struct tls_ctx {
	unsigned refs;
	bool server;
	mbedtls_ssl_config conf;

	struct pair *pairs;
	size_t pairs_n;
	bool has_tickets;
	unsigned ticket_lifetime_s;
	mbedtls_ssl_ticket_context tickets;

	struct store *store;
	mbedtls_x509_crt own_store; /* a private CA; empty where the leaf is pinned */
	bool pinned;
	unsigned char pin[32];
};

struct tls {
	mbedtls_ssl_context ssl;
	struct tls_ctx *ctx;
	int fd;
	bool drained; /* the last recv() brought less than it could: no more is there */
	bool ticket_ok;
	bool gathering;      /* inside a call that empties the flight */
	bool unsendable;     /* the peer takes no more; what it has said can still be read */
	enum tls_io over;    /* TLS_OK while it is not */
	size_t accepted;     /* by mbedTLS, of a write that we have not acknowledged yet */
	unsigned char *kept; /* octets read ahead */
	size_t kept_at;
	size_t kept_n;
	unsigned char *held; /* records that the kernel did not take */
	size_t held_at;
	size_t held_n;
	char *sni;
	unsigned char address[16]; /* of a host that is an IP address */
	size_t address_n;
	char why[WHY_MAX];
};

static struct {
	struct tls *owner;
	size_t at;
	size_t n;
	unsigned char mem[AHEAD_SIZE];
} ahead;

static struct {
	size_t n;
	unsigned char mem[FLIGHT_SIZE];
} flight;

static struct store *stores;
static struct tls *current; /* in whose call we are: a ticket's callback knows only the context */

/* ---- words ------------------------------------------------------------------------------------- */

struct words {
	int code;
	const char *text;
};

static const char *
find_words(const struct words *table, size_t n, int code)
{
	for (size_t i = 0; i < n; i++) {
		if (table[i].code == code)
			return table[i].text;
	}
	return NULL;
}

#define FIND_WORDS(table, code) find_words((table), sizeof(table) / sizeof((table)[0]), (code))

static const struct words alert_words[] = {
	{ MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE, "peer refused: unexpected message" },
	{ MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC, "peer refused: bad record" },
	{ MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW, "peer refused: record too long" },
	{ MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE, "peer refused: handshake failure" },
	{ MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "peer refused: bad certificate" },
	{ MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "peer refused: unsupported certificate" },
	{ MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED, "peer refused: certificate revoked" },
	{ MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, "peer refused: certificate expired" },
	{ MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, "peer refused: certificate unknown" },
	{ MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER, "peer refused: illegal parameter" },
	{ MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, "peer refused: unknown CA" },
	{ MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED, "peer refused: access denied" },
	{ MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR, "peer refused: decode error" },
	{ MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR, "peer refused: decrypt error" },
	{ MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, "peer refused: protocol version" },
	{ MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY, "peer refused: insufficient security" },
	{ MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR, "peer refused: internal error" },
	{ MBEDTLS_SSL_ALERT_MSG_USER_CANCELED, "peer refused: cancelled" },
	{ MBEDTLS_SSL_ALERT_MSG_MISSING_EXTENSION, "peer refused: missing extension" },
	{ MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_EXT, "peer refused: unsupported extension" },
	{ MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME, "peer refused: unrecognised name" },
	{ MBEDTLS_SSL_ALERT_MSG_CERT_REQUIRED, "peer refused: certificate required" },
};

static const struct words error_words[] = {
	{ MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, "no common protocol version" },
	{ MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, "no common cipher, group or signature" },
	{ MBEDTLS_ERR_SSL_INVALID_RECORD, "not TLS" },
	{ MBEDTLS_ERR_SSL_INVALID_MAC, "record does not decrypt" },
	{ MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, "unexpected message" },
	{ MBEDTLS_ERR_SSL_UNEXPECTED_RECORD, "unexpected record" },
	{ MBEDTLS_ERR_SSL_DECODE_ERROR, "malformed message" },
	{ MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, "illegal parameter" },
	{ MBEDTLS_ERR_SSL_BAD_CERTIFICATE, "certificate: malformed or not meant for this" },
	{ MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, "certificate: none given" },
	{ MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION, "unsupported extension" },
	{ MBEDTLS_ERR_SSL_ALLOC_FAILED, "out of memory" },
};

/* The first that fits is said: a certificate with two faults is named by the graver one. */
static const struct words verify_words[] = {
	{ MBEDTLS_X509_BADCERT_OTHER, "certificate: not the pinned one" },
	{ MBEDTLS_X509_BADCERT_MISSING, "certificate: none given" },
	{ MBEDTLS_X509_BADCERT_REVOKED, "certificate: revoked" },
	{ MBEDTLS_X509_BADCERT_EXPIRED, "certificate: expired" },
	{ MBEDTLS_X509_BADCERT_FUTURE, "certificate: not valid yet" },
	{ MBEDTLS_X509_BADCERT_NOT_TRUSTED, "certificate: not trusted" },
	{ MBEDTLS_X509_BADCERT_CN_MISMATCH, "certificate: name mismatch" },
	{ MBEDTLS_X509_BADCERT_BAD_MD, "certificate: weak signature" },
	{ MBEDTLS_X509_BADCERT_BAD_PK, "certificate: weak key" },
	{ MBEDTLS_X509_BADCERT_BAD_KEY, "certificate: weak key" },
	{ MBEDTLS_X509_BADCERT_KEY_USAGE, "certificate: not meant for this" },
	{ MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, "certificate: not meant for this" },
	{ MBEDTLS_X509_BADCERT_NS_CERT_TYPE, "certificate: not meant for this" },
};

static void
say(struct tls *t, const char *words)
{
	struct text w = text_over(t->why, sizeof(t->why));

	text_put(&w, slice_str(words));
}

static enum tls_io
say_certificate(struct tls *t)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);

	say(t, "certificate: does not verify");
	if (flags == UINT32_MAX)
		return TLS_CERTIFICATE;
	for (size_t i = 0; i < sizeof(verify_words) / sizeof(verify_words[0]); i++) {
		if (flags & (uint32_t)verify_words[i].code) {
			say(t, verify_words[i].text);
			break;
		}
	}
	return TLS_CERTIFICATE;
}

static enum tls_io
say_failure(struct tls *t, int code)
{
	const char *words = FIND_WORDS(error_words, code);

	if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		words = FIND_WORDS(alert_words, t->ssl.MBEDTLS_PRIVATE(in_msg)[1]);
	if (words) {
		say(t, words);
	} else if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
		say(t, "peer refused");
	} else {
		struct text w = text_over(t->why, sizeof(t->why));

		text_fmt(&w, "TLS failure -0x%04x", (unsigned)-code);
	}
	return TLS_FAIL;
}

/* What mbedTLS said, in our terms; the last word on a connection stays. */
static enum tls_io
result(struct tls *t, int code)
{
	enum tls_io r;

	switch (code) {
	case 0:
		return TLS_OK;
	case MBEDTLS_ERR_SSL_WANT_READ:
		return TLS_WANT_READ;
	case MBEDTLS_ERR_SSL_WANT_WRITE:
		return TLS_WANT_WRITE;
	case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
		say(t, "connection closed by peer");
		r = TLS_EOF;
		break;
	case MBEDTLS_ERR_SSL_CONN_EOF:
	case MBEDTLS_ERR_NET_CONN_RESET:
		say(t, "connection lost");
		r = TLS_CUT;
		break;
	case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
		r = say_certificate(t);
		break;
	case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
	case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
		(void)say_failure(t, code);
		r = TLS_CERTIFICATE;
		break;
	default:
		r = say_failure(t, code);
		break;
	}
	t->over = r;
	return r;
}

/* ---- between mbedTLS and the socket ------------------------------------------------------------ */

/* Room for another's octets: what is left of the owner's goes into its own memory. */
static bool
ahead_evict(void)
{
	struct tls *t = ahead.owner;
	size_t n = ahead.n - ahead.at;

	ahead.owner = NULL;
	if (!t || n == 0)
		return true;
	assert(!t->kept);
	t->kept = malloc(n);
	if (!t->kept) {
		say(t, "out of memory");
		t->over = TLS_FAIL;
		return false;
	}
	memcpy(t->kept, ahead.mem + ahead.at, n);
	t->kept_at = 0;
	t->kept_n = n;
	return true;
}

static size_t
take(unsigned char *to, size_t n, const unsigned char *from, size_t *at, size_t end)
{
	if (n > end - *at)
		n = end - *at;
	memcpy(to, from + *at, n);
	*at += n;
	return n;
}

static int
bio_recv(void *arg, unsigned char *mem, size_t n)
{
	struct tls *t = arg;

	if (t->kept) {
		n = take(mem, n, t->kept, &t->kept_at, t->kept_n);
		if (t->kept_at == t->kept_n) {
			free(t->kept);
			t->kept = NULL;
		}
		return (int)n;
	}
	if (ahead.owner == t && ahead.at < ahead.n)
		return (int)take(mem, n, ahead.mem, &ahead.at, ahead.n);
	if (t->drained) {
		t->drained = false;
		return MBEDTLS_ERR_SSL_WANT_READ;
	}
	if (ahead.owner != t)
		(void)ahead_evict();

	ssize_t got;

	do {
		got = recv(t->fd, ahead.mem, sizeof(ahead.mem), 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_CONN_RESET;
	if (got == 0)
		return 0;
	t->drained = (size_t)got < sizeof(ahead.mem);
	ahead.owner = t;
	ahead.at = 0;
	ahead.n = (size_t)got;
	return (int)take(mem, n, ahead.mem, &ahead.at, ahead.n);
}

/* As many as the kernel takes; -1 where the connection is gone. */
static ssize_t
send_some(const struct tls *t, const unsigned char *mem, size_t n)
{
	ssize_t put;

	do {
		put = send(t->fd, mem, n, MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	if (put < 0 && errno == EAGAIN)
		return 0;
	return put;
}

/* True when nothing is held any more. */
static bool
send_held(struct tls *t)
{
	while (t->held) {
		ssize_t put = send_some(t, t->held + t->held_at, t->held_n - t->held_at);

		if (put == 0)
			return false;
		if (put < 0)
			t->unsendable = true;
		else
			t->held_at += (size_t)put;
		if (put < 0 || t->held_at == t->held_n) {
			free(t->held);
			t->held = NULL;
		}
	}
	return true;
}

static void
send_flight(struct tls *t)
{
	size_t n = flight.n;

	flight.n = 0;
	if (n == 0)
		return;
	ssize_t put = send_some(t, flight.mem, n);

	if (put < 0) {
		t->unsendable = true;
		return;
	}
	size_t rest = n - (size_t)put;

	if (rest == 0)
		return;
	t->held = malloc(rest);
	if (!t->held) {
		say(t, "out of memory");
		t->over = TLS_FAIL;
		return;
	}
	memcpy(t->held, flight.mem + put, rest);
	t->held_at = 0;
	t->held_n = rest;
}

static int
bio_send(void *arg, const unsigned char *mem, size_t n)
{
	struct tls *t = arg;

	if (!send_held(t))
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	if (t->gathering && n <= FLIGHT_RECORD_MAX) {
		if (n > sizeof(flight.mem) - flight.n)
			send_flight(t);
		if (t->held)
			return MBEDTLS_ERR_SSL_WANT_WRITE;
		memcpy(flight.mem + flight.n, mem, n);
		flight.n += n;
		return (int)n;
	}
	send_flight(t);
	if (t->held)
		return MBEDTLS_ERR_SSL_WANT_WRITE;

	ssize_t put = send_some(t, mem, n);

	if (put < 0)
		return MBEDTLS_ERR_NET_CONN_RESET;
	return put == 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : (int)put;
}

/* Every call into mbedTLS that may read or write stands between these two. False: R_R is the answer already. */
static bool
enter(struct tls *t, enum tls_io *r_r)
{
	*r_r = TLS_WANT_WRITE;
	if (t->over == TLS_OK && t->held && !send_held(t))
		return false;
	*r_r = t->over;
	if (t->over != TLS_OK)
		return false;
	current = t;
	t->gathering = true;
	return true;
}

static void
leave(struct tls *t)
{
	t->gathering = false;
	send_flight(t);
	current = NULL;
}

/* ---- contexts ---------------------------------------------------------------------------------- */

bool
tls_init(struct text *why)
{
	if (psa_crypto_init() == PSA_SUCCESS)
		return true;
	text_put(why, SLICE("the random number generator cannot be started"));
	return false;
}

static struct tls_ctx *
ctx_new(bool server)
{
	struct tls_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->refs = 1;
	ctx->server = server;
	mbedtls_ssl_config_init(&ctx->conf);
	mbedtls_ssl_ticket_init(&ctx->tickets);
	mbedtls_x509_crt_init(&ctx->own_store);
	return ctx;
}

static void
store_put(struct store *s)
{
	if (!s || --s->refs)
		return;
	for (struct store **at = &stores; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	mbedtls_x509_crt_free(&s->crt);
	free(s->path);
	free(s);
}

static void
ctx_free(struct tls_ctx *ctx)
{
	for (size_t i = 0; i < ctx->pairs_n; i++) {
		mbedtls_x509_crt_free(&ctx->pairs[i].chain);
		mbedtls_pk_free(&ctx->pairs[i].key);
	}
	free(ctx->pairs);
	mbedtls_ssl_ticket_free(&ctx->tickets);
	mbedtls_x509_crt_free(&ctx->own_store);
	store_put(ctx->store);
	mbedtls_ssl_config_free(&ctx->conf);
	mbedtls_platform_zeroize(ctx, sizeof(*ctx));
	free(ctx);
}

struct tls_ctx *
tls_ctx_ref(struct tls_ctx *ctx)
{
	ctx->refs++;
	return ctx;
}

void
tls_ctx_unref(struct tls_ctx *ctx)
{
	if (ctx && --ctx->refs == 0)
		ctx_free(ctx);
}

/* What both sides have in common. */
static bool
conf_base(struct tls_ctx *ctx, struct text *why)
{
	mbedtls_ssl_config *c = &ctx->conf;
	int endpoint = ctx->server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;

	if (mbedtls_ssl_config_defaults(c, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
	        MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
		text_put(why, SLICE("out of memory"));
		return false;
	}
	mbedtls_ssl_conf_rng(c, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
	mbedtls_ssl_conf_min_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_2);
#ifdef MBEDTLS_SSL_RENEGOTIATION
	mbedtls_ssl_conf_renegotiation(c, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
	mbedtls_ssl_conf_legacy_renegotiation(c, MBEDTLS_SSL_LEGACY_NO_RENEGOTIATION);
#endif
	/* No resumption without a new key exchange. */
	mbedtls_ssl_conf_tls13_key_exchange_modes(c,
	    MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
	mbedtls_ssl_conf_session_tickets(c, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
	return true;
}

static const char *
load_words(int code)
{
	static const struct words table[] = {
		{ MBEDTLS_ERR_PK_PASSWORD_REQUIRED, "the key is encrypted" },
		{ MBEDTLS_ERR_PK_PASSWORD_MISMATCH, "the key is encrypted" },
		{ MBEDTLS_ERR_PK_KEY_INVALID_FORMAT, "no private key in PEM form in it" },
		{ MBEDTLS_ERR_PK_UNKNOWN_PK_ALG,
		    "a kind of key that is not supported (RSA or ECDSA)" },
		{ MBEDTLS_ERR_PEM_NO_HEADER_FOOTER_PRESENT, "no PEM block in it" },
	};

	if (code == MBEDTLS_ERR_X509_FILE_IO_ERROR || code == MBEDTLS_ERR_PK_FILE_IO_ERROR)
		return errno ? strerror(errno) : "cannot be read";
	return FIND_WORDS(table, code);
}

static bool
load_chain(mbedtls_x509_crt *crt, const char *file, bool every, struct text *why)
{
	errno = 0;
	int code = mbedtls_x509_crt_parse_file(crt, file);

	if (code == 0 || (code > 0 && !every && crt->version))
		return true;
	const char *words = code > 0 ? "some of its certificates cannot be read" : load_words(code);

	text_fmt(why, "%s: %s", file, words ? words : "no certificate in PEM form in it");
	return false;
}

static bool
load_pair(struct pair *p, const struct tls_pair *files, struct text *why)
{
	mbedtls_x509_crt_init(&p->chain);
	mbedtls_pk_init(&p->key);
	if (!load_chain(&p->chain, files->chain_file, true, why))
		return false;

	errno = 0;
	int code = mbedtls_pk_parse_keyfile(&p->key, files->key_file, NULL, mbedtls_psa_get_random,
	    MBEDTLS_PSA_RANDOM_STATE);

	if (code != 0) {
		const char *words = load_words(code);

		text_fmt(why, "%s: %s", files->key_file,
		    words ? words : "no private key in PEM form in it");
		return false;
	}
	if (mbedtls_pk_check_pair(&p->chain.pk, &p->key, mbedtls_psa_get_random,
	        MBEDTLS_PSA_RANDOM_STATE) != 0) {
		text_fmt(why, "%s: not the key of the first certificate in %s", files->key_file,
		    files->chain_file);
		return false;
	}
	return true;
}

/* ---- which certificate ------------------------------------------------------------------------- */

/* PATTERN may start with "*.", which stands for exactly one label (RFC 6125, 6.4.3). */
static bool
name_fits(struct slice pattern, struct slice name, bool wildcard)
{
	if (!wildcard)
		return slice_eq_nocase(pattern, name);
	if (!slice_starts(pattern, SLICE("*.")))
		return false;
	size_t label = slice_find(name, '.');

	return label > 0 && slice_eq_nocase(slice_skip(pattern, 1), slice_skip(name, label));
}

static struct slice
common_name(const mbedtls_x509_crt *crt)
{
	for (const mbedtls_x509_name *n = &crt->subject; n; n = n->next) {
		if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0)
			return slice_of((const char *)n->val.p, n->val.len);
	}
	return slice_of("", 0);
}

/* The next DNS name at or behind *AT among the subject alternative names, and *AT moves behind it; empty at their end. */
static struct slice
next_name(const mbedtls_x509_sequence **at)
{
	for (; *at && (*at)->buf.p; *at = (*at)->next) {
		const mbedtls_x509_buf *b = &(*at)->buf;

		if ((b->tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_DNS_NAME) {
			*at = (*at)->next;
			return slice_of((const char *)b->p, b->len);
		}
	}
	return slice_of("", 0);
}

/* The common name counts where there are no alternative names. */
static bool
pair_fits(const struct pair *p, struct slice name, bool wildcard)
{
	const mbedtls_x509_sequence *at = &p->chain.subject_alt_names;
	struct slice own = next_name(&at);

	if (own.n == 0)
		return name_fits(common_name(&p->chain), name, wildcard);
	for (; own.n; own = next_name(&at)) {
		if (name_fits(own, name, wildcard))
			return true;
	}
	return false;
}

/* Another kind of key for one of the same names. */
static bool
is_twin(const struct pair *a, const struct pair *b)
{
	const mbedtls_x509_sequence *at = &a->chain.subject_alt_names;
	struct slice own = next_name(&at);

	if (mbedtls_pk_get_type(&a->key) == mbedtls_pk_get_type(&b->key))
		return false;
	if (own.n == 0)
		return pair_fits(b, common_name(&a->chain), false);
	for (; own.n; own = next_name(&at)) {
		if (pair_fits(b, own, false))
			return true;
	}
	return false;
}

/* Every pair with that name, so that an RSA and an ECDSA certificate may stand side by side: mbedTLS takes the one that the client can use. */
static int
give_pairs(struct tls *t, struct slice name, bool wildcard, bool *any)
{
	struct tls_ctx *ctx = t->ctx;

	for (size_t i = 0; i < ctx->pairs_n; i++) {
		if (!pair_fits(&ctx->pairs[i], name, wildcard))
			continue;
		int code =
		    mbedtls_ssl_set_hs_own_cert(&t->ssl, &ctx->pairs[i].chain, &ctx->pairs[i].key);

		if (code != 0)
			return code;
		*any = true;
	}
	return 0;
}

/* After the ClientHello. Without a match the pairs of conf_own_cert() are used: the default. */
static int
on_client_hello(mbedtls_ssl_context *ssl)
{
	struct tls *t = mbedtls_ssl_get_user_data_p(ssl);
	size_t n = 0;
	const unsigned char *p = mbedtls_ssl_get_hs_sni(ssl, &n);
	struct slice name = slice_of((const char *)p, p ? n : 0);
	bool any = false;

	if (name.n == 0 || name.n > HOST_MAX || !slice_is_ascii(name))
		return 0;
	if (!t->sni)
		t->sni = strndup(name.p, name.n);
	int code = give_pairs(t, name, false, &any);

	if (code == 0 && !any)
		code = give_pairs(t, name, true, &any);
	return code;
}

static bool
load_pairs(struct tls_ctx *ctx, const struct tls_server_options *o, struct text *why)
{
	if (o->pairs_n == 0) {
		text_put(why, SLICE("no certificate is set"));
		return false;
	}
	ctx->pairs = calloc(o->pairs_n, sizeof(*ctx->pairs));
	if (!ctx->pairs) {
		text_put(why, SLICE("out of memory"));
		return false;
	}
	for (size_t i = 0; i < o->pairs_n; i++) {
		ctx->pairs_n++;
		if (!load_pair(&ctx->pairs[i], &o->pairs[i], why))
			return false;
	}

	/* The default: the first, and its twins with another kind of key. */
	for (size_t i = 0; i < ctx->pairs_n; i++) {
		struct pair *p = &ctx->pairs[i];

		if (i > 0 && !is_twin(&ctx->pairs[0], p))
			continue;
		if (mbedtls_ssl_conf_own_cert(&ctx->conf, &p->chain, &p->key) != 0) {
			text_put(why, SLICE("out of memory"));
			return false;
		}
	}
	mbedtls_ssl_conf_cert_cb(&ctx->conf, on_client_hello);
	return true;
}

/* ---- tickets ----------------------------------------------------------------------------------- */

static int
on_ticket_read(void *arg, mbedtls_ssl_session *session, unsigned char *mem, size_t n)
{
	int code = mbedtls_ssl_ticket_parse(arg, session, mem, n);

	if (code == 0 && current)
		current->ticket_ok = true;
	return code;
}

/* The key's name is made of the key, so that every worker that has the one has the other. */
static bool
set_ticket_key(struct tls_ctx *ctx, const unsigned char key[KEY_LEN])
{
	static const char label[] = "byway ticket key name";
	unsigned char mem[sizeof(label) + KEY_LEN];
	unsigned char name[32];

	memcpy(mem, label, sizeof(label));
	memcpy(mem + sizeof(label), key, KEY_LEN);
	int code = mbedtls_sha256(mem, sizeof(mem), name, 0);

	if (code == 0)
		code = mbedtls_ssl_ticket_rotate(&ctx->tickets, name, TICKET_NAME_LEN, key, KEY_LEN,
		    ctx->ticket_lifetime_s);
	mbedtls_platform_zeroize(mem, sizeof(mem));
	return code == 0;
}

static bool
conf_tickets(struct tls_ctx *ctx, const struct tls_server_options *o, struct text *why)
{
	unsigned life = o->ticket_lifetime_s;

	mbedtls_ssl_conf_new_session_tickets(&ctx->conf, o->ticket_key ? 1 : 0);
	if (!o->ticket_key)
		return true;
	/* A longer life breaks TLS 1.3, which knows seven days at most. */
	ctx->ticket_lifetime_s = life == 0 || life > TICKET_LIFETIME_MAX ? TICKET_LIFETIME_MAX : life;
	if (mbedtls_ssl_ticket_setup(&ctx->tickets, mbedtls_psa_get_random,
	        MBEDTLS_PSA_RANDOM_STATE, MBEDTLS_CIPHER_AES_256_GCM, ctx->ticket_lifetime_s) != 0 ||
	    !set_ticket_key(ctx, o->ticket_key)) {
		text_put(why, SLICE("session tickets cannot be set up"));
		return false;
	}
	mbedtls_ssl_conf_session_tickets(&ctx->conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
	mbedtls_ssl_conf_session_tickets_cb(&ctx->conf, mbedtls_ssl_ticket_write, on_ticket_read,
	    &ctx->tickets);
	ctx->has_tickets = true;
	return true;
}

void
tls_ctx_rotate_ticket_key(struct tls_ctx *ctx, const unsigned char key[32])
{
	if (ctx->has_tickets)
		(void)set_ticket_key(ctx, key);
}

static bool
conf_client_cert(struct tls_ctx *ctx, const struct tls_server_options *o, struct text *why)
{
	if (o->client_cert == TLS_CLIENT_CERT_NONE) {
		mbedtls_ssl_conf_authmode(&ctx->conf, MBEDTLS_SSL_VERIFY_NONE);
		return true;
	}
	if (!o->client_ca_file) {
		text_put(why,
		    SLICE("client certificates are asked for, but no CA file is set for them"));
		return false;
	}
	if (!load_chain(&ctx->own_store, o->client_ca_file, true, why))
		return false;
	mbedtls_ssl_conf_ca_chain(&ctx->conf, &ctx->own_store, NULL);
	mbedtls_ssl_conf_authmode(&ctx->conf,
	    o->client_cert == TLS_CLIENT_CERT_REQUIRED ? MBEDTLS_SSL_VERIFY_REQUIRED
	                                               : MBEDTLS_SSL_VERIFY_OPTIONAL);
	return true;
}

struct tls_ctx *
tls_server_ctx(const struct tls_server_options *o, struct text *why)
{
	struct tls_ctx *ctx = ctx_new(true);

	if (!ctx) {
		text_put(why, SLICE("out of memory"));
		return NULL;
	}
	if (!conf_base(ctx, why) || !load_pairs(ctx, o, why) || !conf_tickets(ctx, o, why) ||
	    !conf_client_cert(ctx, o, why)) {
		ctx_free(ctx);
		return NULL;
	}
	mbedtls_ssl_conf_max_tls_version(&ctx->conf,
	    o->tls13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
	return ctx;
}

/* ---- trust ------------------------------------------------------------------------------------- */

/* The cache itself holds a reference, until the file changes. */
static struct store *
store_get(const char *file, struct text *why)
{
	struct stat st;

	if (stat(file, &st) != 0) {
		text_fmt(why, "%s: %s", file, strerror(errno));
		return NULL;
	}
	for (struct store *s = stores; s; s = s->next) {
		if (strcmp(s->path, file) != 0)
			continue;
		if (s->size == st.st_size && s->mtime.tv_sec == st.st_mtim.tv_sec &&
		    s->mtime.tv_nsec == st.st_mtim.tv_nsec) {
			s->refs++;
			return s;
		}
		/* Its old content goes with its last user; nobody finds it any more. */
		s->path[0] = 0;
		store_put(s);
		break;
	}

	struct store *s = calloc(1, sizeof(*s));

	if (!s || !(s->path = strdup(file))) {
		free(s);
		text_put(why, SLICE("out of memory"));
		return NULL;
	}
	mbedtls_x509_crt_init(&s->crt);
	if (!load_chain(&s->crt, file, false, why)) {
		mbedtls_x509_crt_free(&s->crt);
		free(s->path);
		free(s);
		return NULL;
	}
	s->mtime = st.st_mtim;
	s->size = st.st_size;
	s->refs = 2;
	s->next = stores;
	stores = s;
	return s;
}

static bool
load_private_ca(struct tls_ctx *ctx, struct slice pem, struct text *why)
{
	if (pem.n > PEM_FILE_MAX) {
		text_put(why, SLICE("the private CA is too long"));
		return false;
	}
	unsigned char *z = malloc(pem.n + 1); /* mbedTLS wants the NUL, and its octet counted */

	if (!z) {
		text_put(why, SLICE("out of memory"));
		return false;
	}
	memcpy(z, pem.p, pem.n);
	z[pem.n] = 0;
	int code = mbedtls_x509_crt_parse(&ctx->own_store, z, pem.n + 1);

	free(z);
	if (code != 0)
		text_put(why,
		    SLICE("the private CA holds no certificate in PEM form that can be read"));
	return code == 0;
}

/* What we take as a client, PKCS#1 before PSS: TLS 1.3 may not use the first, and mbedTLS cannot verify the second in TLS 1.2, although it offers it for the
 * sake of 1.3. In its own order a TLS 1.2 server with an RSA certificate chooses PSS, and the handshake fails. */
static const uint16_t client_signatures[] = {
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
	MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
	MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
	MBEDTLS_TLS1_3_SIG_NONE,
};

struct tls_ctx *
tls_client_ctx(const struct tls_client_options *o, struct text *why)
{
	struct tls_ctx *ctx = ctx_new(false);
	mbedtls_x509_crt *trust;

	if (!ctx) {
		text_put(why, SLICE("out of memory"));
		return NULL;
	}
	if (!conf_base(ctx, why))
		goto fail;

	trust = &ctx->own_store;
	if (o->pinned) {
		ctx->pinned = true;
		memcpy(ctx->pin, o->pin, sizeof(ctx->pin));
	} else if (o->ca_pem.n) {
		if (!load_private_ca(ctx, o->ca_pem, why))
			goto fail;
	} else if (o->ca_file) {
		ctx->store = store_get(o->ca_file, why);
		if (!ctx->store)
			goto fail;
		trust = &ctx->store->crt;
	} else {
		text_put(why, SLICE("neither a CA file nor a private CA nor a pin is set"));
		goto fail;
	}
	mbedtls_ssl_conf_ca_chain(&ctx->conf, trust, NULL);
	mbedtls_ssl_conf_sig_algs(&ctx->conf, client_signatures);
	mbedtls_ssl_conf_authmode(&ctx->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_max_tls_version(&ctx->conf, MBEDTLS_SSL_VERSION_TLS1_3);
	return ctx;
fail:
	ctx_free(ctx);
	return NULL;
}

long
tls_ctx_days_left(const struct tls_ctx *ctx)
{
	time_t now = time(NULL);
	long least = 36500;

	for (size_t i = 0; i < ctx->pairs_n; i++) {
		const mbedtls_x509_time *end = &ctx->pairs[i].chain.valid_to;
		struct tm tm = {
			.tm_year = end->year - 1900,
			.tm_mon = end->mon - 1,
			.tm_mday = end->day,
			.tm_hour = end->hour,
			.tm_min = end->min,
			.tm_sec = end->sec,
		};
		double days = difftime(timegm(&tm), now) / 86400;
		long whole = days < 0 ? (long)days - 1 : (long)days;

		if (whole < least)
			least = whole;
	}
	return least;
}

/* ---- verification, as a client ----------------------------------------------------------------- */

static bool
has_address(const mbedtls_x509_crt *crt, const unsigned char *address, size_t n)
{
	for (const mbedtls_x509_sequence *a = &crt->subject_alt_names; a && a->buf.p; a = a->next) {
		if ((a->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_IP_ADDRESS &&
		    a->buf.len == n && memcmp(a->buf.p, address, n) == 0)
			return true;
	}
	return false;
}

/* Called for each certificate of the chain, the leaf (depth 0) last. FLAGS holds what mbedTLS has found so far. */
static int
on_verify(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *t = arg;
	unsigned char hash[32];

	if (t->ctx->pinned) {
		/* Chain and name are not looked at; that the peer has the key is proven by the handshake. */
		*flags = 0;
		if (depth == 0 &&
		    (mbedtls_sha256(crt->raw.p, crt->raw.len, hash, 0) != 0 ||
		        mbedtls_ct_memcmp(hash, t->ctx->pin, sizeof(hash)) != 0))
			*flags = MBEDTLS_X509_BADCERT_OTHER;
		return 0;
	}
	if (depth == 0 && t->address_n && !has_address(crt, t->address, t->address_n))
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	return 0;
}

/* The name that is sent and must be in the certificate. An address is never sent (RFC 6066, 3): we match it ourselves. */
static bool
set_host(struct tls *t, struct slice host)
{
	char name[HOST_MAX + 1];
	bool address;

	mbedtls_ssl_set_verify(&t->ssl, on_verify, t);
	if (host.n && host.p[host.n - 1] == '.')
		host.n--;
	if (host.n > HOST_MAX || !slice_is_ascii(host) || memchr(host.n ? host.p : "", ' ', host.n)) {
		say(t, "certificate: no name that could be in one");
		t->over = TLS_CERTIFICATE;
		return true;
	}
	if (host.n == 0 && !t->ctx->pinned) {
		say(t, "certificate: no name to compare it with");
		t->over = TLS_CERTIFICATE;
		return true;
	}
	memcpy(name, host.p, host.n);
	name[host.n] = 0;

	if (inet_pton(AF_INET, name, t->address) == 1)
		t->address_n = 4;
	else if (inet_pton(AF_INET6, name, t->address) == 1)
		t->address_n = 16;
	address = t->address_n > 0;
	return mbedtls_ssl_set_hostname(&t->ssl, address || host.n == 0 ? NULL : name) == 0;
}

/* ---- one connection ---------------------------------------------------------------------------- */

struct tls *
tls_open(struct tls_ctx *ctx, int fd, struct slice host)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ctx = tls_ctx_ref(ctx);
	t->fd = fd;
	mbedtls_ssl_init(&t->ssl);
	if (mbedtls_ssl_setup(&t->ssl, &ctx->conf) != 0 || (!ctx->server && !set_host(t, host))) {
		tls_close(t);
		return NULL;
	}
	mbedtls_ssl_set_user_data_p(&t->ssl, t);
	mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
	return t;
}

enum tls_io
tls_handshake(struct tls *t)
{
	enum tls_io r;

	if (!enter(t, &r))
		return r;
	int code = mbedtls_ssl_handshake(&t->ssl);

	leave(t);
	r = result(t, code);
	return r == TLS_OK && t->held ? TLS_WANT_WRITE : r;
}

enum tls_io
tls_read(struct tls *t, char *mem, size_t n, size_t *n_r)
{
	enum tls_io r;
	int code;

	*n_r = 0;
	if (!enter(t, &r))
		return r;
	do {
		code = mbedtls_ssl_read(&t->ssl, (unsigned char *)mem, n);
	} while (code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET);
	leave(t);

	if (code > 0) {
		*n_r = (size_t)code;
		return TLS_OK;
	}
	r = result(t, code == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : code);
	return r == TLS_WANT_READ && t->held ? TLS_WANT_WRITE : r;
}

/* mbedTLS keeps its own copy of a record that is half out: the octets may move, their number may not change. */
enum tls_io
tls_write(struct tls *t, const char *mem, size_t n, size_t *n_r)
{
	enum tls_io r;
	int code = (int)t->accepted;

	*n_r = 0;
	if (!enter(t, &r))
		return r;
	if (!t->accepted)
		code = mbedtls_ssl_write(&t->ssl, (const unsigned char *)mem, n);
	leave(t);

	if (code == MBEDTLS_ERR_NET_CONN_RESET || t->unsendable) {
		say(t, "connection lost");
		return TLS_CUT;
	}
	if (code < 0)
		return result(t, code);
	/* Small records wait in the flight; what the kernel did not take of them is not written yet. */
	t->accepted = t->held ? (size_t)code : 0;
	if (t->held)
		return TLS_WANT_WRITE;
	*n_r = (size_t)code;
	return TLS_OK;
}

bool
tls_pending(const struct tls *t)
{
	return t->kept || (ahead.owner == t && ahead.at < ahead.n) ||
	    mbedtls_ssl_check_pending(&t->ssl);
}

void
tls_shut(struct tls *t)
{
	enum tls_io r;

	if (!enter(t, &r))
		return;
	(void)mbedtls_ssl_close_notify(&t->ssl);
	leave(t);
}

void
tls_close(struct tls *t)
{
	if (!t)
		return;
	if (ahead.owner == t)
		ahead.owner = NULL;
	mbedtls_ssl_free(&t->ssl);
	tls_ctx_unref(t->ctx);
	free(t->kept);
	free(t->held);
	free(t->sni);
	free(t);
}

/* ---- what can be told about it ----------------------------------------------------------------- */

const char *
tls_version(const struct tls *t)
{
	return mbedtls_ssl_get_version(&t->ssl);
}

const char *
tls_cipher(const struct tls *t)
{
	const char *name = mbedtls_ssl_get_ciphersuite(&t->ssl);

	return name ? name : "";
}

bool
tls_resumed(const struct tls *t)
{
	return t->ticket_ok;
}

struct slice
tls_sni(const struct tls *t)
{
	return t->sni ? slice_str(t->sni) : slice_of("", 0);
}

static void
put_name(struct text *out, const mbedtls_x509_name *name)
{
	char mem[256];
	int n = mbedtls_x509_dn_gets(mem, sizeof(mem), name);

	text_escaped(out, n > 0 ? slice_of(mem, (size_t)n) : SLICE("?"), sizeof(mem));
}

void
tls_peer_describe(const struct tls *t, struct text *out, bool *verified_r)
{
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&t->ssl);

	*verified_r = crt && mbedtls_ssl_get_verify_result(&t->ssl) == 0;
	if (!crt)
		return;
	put_name(out, &crt->subject);
	text_put(out, SLICE("; "));
	put_name(out, &crt->issuer);
	text_fmt(out, "; %04d-%02d-%02d", crt->valid_to.year, crt->valid_to.mon, crt->valid_to.day);
}

const char *
tls_why(const struct tls *t)
{
	return t->why[0] ? t->why : "no error";
}
