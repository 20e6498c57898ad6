/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - connections with TLS 1.2 and 1.3, by mbedTLS 3.6
 */
#include "wire/guard.h"
#include "wire/tls_bio.h"
#include "wire/tls_mbedtls.h"

#include <mbedtls/constant_time.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/sha256.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include <stdlib.h>

enum { WHY_MAX = 64 };

struct tls {
	mbedtls_ssl_context ssl;
	struct tls_bio bio;
	struct tls_ctx *ctx;
	bool ticket_ok;
	bool verified;    /* as a client: a certificate came and was looked at */
	enum tls_io over; /* the last word; TLS_OK while there is none */
	size_t accepted;  /* by mbedTLS, of a write that we have not acknowledged yet */
	char *sni;
	bool wants_again;
	struct tls_host host;
	char why[WHY_MAX];
};

static struct tls *current; /* in whose call we are: a ticket's callback knows only the context */

/* ---- what mbedTLS says ----------------------------------------------------------------------- */

static void
say(struct tls *t, const char *words)
{
	struct text w = text_over(t->why, sizeof(t->why));

	text_put(&w, slice_str(words));
}

static void
say_fault(struct tls *t, enum tls_fault fault)
{
	say(t, tls_words(fault));
}

static void
say_failure(struct tls *t, int code)
{
	struct text w = text_over(t->why, sizeof(t->why));
	enum tls_fault fault = tls_fault_of_code(code);

	if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		say(t, tls_words_of_alert(t->ssl.MBEDTLS_PRIVATE(in_msg)[1]));
	else if (fault)
		say_fault(t, fault);
	else
		text_fmt(&w, "TLS failure -0x%04x", (unsigned)-code);
}

/* The server's signature is of a kind that we offer for TLS 1.3 only. */
static bool
is_pss_in_12(const struct tls *t, int code)
{
	return code == MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER && tls_ctx_second(t->ctx) &&
	    !mbedtls_ssl_is_handshake_over((mbedtls_ssl_context *)(uintptr_t)&t->ssl) &&
	    mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_2;
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
		say_fault(t, TLS_FAULT_CLOSED);
		r = TLS_EOF;
		break;
	case MBEDTLS_ERR_SSL_CONN_EOF:
	case MBEDTLS_ERR_NET_CONN_RESET:
		say_fault(t, TLS_FAULT_LOST);
		r = TLS_CUT;
		break;
	case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
		say_fault(t, tls_fault_of_certificate(mbedtls_ssl_get_verify_result(&t->ssl)));
		r = TLS_CERTIFICATE;
		break;
	case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
	case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
		say_failure(t, code);
		r = TLS_CERTIFICATE;
		break;
	default:
		say_failure(t, code);
		r = TLS_FAIL;
		break;
	}
	t->over = r;
	t->wants_again = is_pss_in_12(t, code);
	return r;
}

static int
on_recv(void *arg, unsigned char *mem, size_t n)
{
	struct tls *t = arg;
	ssize_t got = tls_bio_recv(&t->bio, mem, n);

	if (got == BIO_WAIT)
		return MBEDTLS_ERR_SSL_WANT_READ;
	return got == BIO_LOST ? MBEDTLS_ERR_NET_CONN_RESET : (int)got;
}

static int
on_send(void *arg, const unsigned char *mem, size_t n)
{
	struct tls *t = arg;
	ssize_t put = tls_bio_send(&t->bio, mem, n);

	if (put == BIO_WAIT)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	return put == BIO_LOST ? MBEDTLS_ERR_NET_CONN_RESET : (int)put;
}

/* Every call into mbedTLS that may read or write stands between these two. False: R_R is the answer
 * already. Reading does not wait for what is HELD: two peers that both write until they are stopped
 * would wait for each other. */
static bool
enter(struct tls *t, bool reads, enum tls_io *r_r)
{
	if (t->bio.broken && t->over == TLS_OK) {
		say_fault(t, TLS_FAULT_NO_MEMORY);
		t->over = TLS_FAIL;
	}
	*r_r = t->over;
	if (t->over != TLS_OK)
		return false;
	*r_r = TLS_WANT_WRITE;
	if (!tls_bio_begin(&t->bio) && !reads)
		return false;
	current = t;
	return true;
}

static void
leave(struct tls *t)
{
	tls_bio_end(&t->bio);
	current = NULL;
}

struct tls_ctx *
tls_ctx_of(mbedtls_ssl_context *ssl)
{
	const struct tls *t = mbedtls_ssl_get_user_data_p(ssl);

	return t->ctx;
}

void
tls_note_sni(mbedtls_ssl_context *ssl, struct slice name)
{
	struct tls *t = mbedtls_ssl_get_user_data_p(ssl);

	if (!t->sni)
		t->sni = strndup(name.p, name.n);
}

void
tls_note_ticket(void)
{
	if (current)
		current->ticket_ok = true;
}

/* ---- verification, as a client --------------------------------------------------------------- */

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

/* Called for each certificate of the chain, the leaf (depth 0) last. FLAGS holds what mbedTLS has
 * found so far. */
static int
on_verify(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *t = arg;
	const unsigned char *pin = tls_ctx_pin(t->ctx);
	unsigned char hash[32];

	t->verified = true;
	if (pin) {
		/* Chain and name are not looked at; that the peer has the key is proven by the
		 * handshake. */
		*flags = 0;
		if (depth == 0 &&
		    (mbedtls_sha256(crt->raw.p, crt->raw.len, hash, 0) != 0 ||
		        mbedtls_ct_memcmp(hash, pin, sizeof(hash)) != 0))
			*flags = MBEDTLS_X509_BADCERT_OTHER;
		return 0;
	}
	if (depth == 0 && t->host.address_n &&
	    !has_address(crt, t->host.address, t->host.address_n))
		*flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
	return 0;
}

/* The name that is sent and must be in the certificate. An address is never sent (RFC 6066, 3): we
 * match it ourselves. */
static bool
set_host(struct tls *t, struct slice host)
{
	enum tls_fault fault = tls_host_set(&t->host, host);
	bool named = t->host.name[0] && !t->host.address_n;

	if (!fault && !t->host.name[0] && !tls_ctx_pin(t->ctx))
		fault = TLS_FAULT_NO_HOST;
	mbedtls_ssl_set_verify(&t->ssl, on_verify, t);
	if (fault) {
		say_fault(t, fault);
		t->over = TLS_CERTIFICATE;
		return true;
	}
	return mbedtls_ssl_set_hostname(&t->ssl, named ? t->host.name : NULL) == 0;
}

/* ---- one connection -------------------------------------------------------------------------- */

struct tls *
tls_open(struct tls_ctx *ctx, int fd, struct slice host)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ctx = tls_ctx_ref(ctx);
	tls_bio_init(&t->bio, fd);
	mbedtls_ssl_init(&t->ssl);
	if (mbedtls_ssl_setup(&t->ssl, tls_ctx_conf(ctx)) != 0 ||
	    (!tls_ctx_is_server(ctx) && !set_host(t, host))) {
		tls_close(t);
		return NULL;
	}
	mbedtls_ssl_set_user_data_p(&t->ssl, t);
	mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_recv, NULL);
	if (!tls_ctx_is_server(ctx))
		tls_ctx_offer_session(ctx, &t->ssl);
	return t;
}

bool
tls_give(struct tls *t, struct slice octets)
{
	return tls_bio_give(&t->bio, octets);
}

enum tls_io
tls_handshake(struct tls *t)
{
	enum tls_io r;

	if (!enter(t, false, &r))
		return r;
	int code = mbedtls_ssl_handshake(&t->ssl);

	leave(t);
	r = result(t, code);
	if (r == TLS_OK && !tls_ctx_is_server(t->ctx)) {
		t->ticket_ok = !t->verified;
		/* TLS 1.3 sends its tickets later. */
		if (mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_2)
			tls_ctx_keep_session(t->ctx, &t->ssl);
	}
	return r == TLS_OK && t->bio.held ? TLS_WANT_WRITE : r;
}

enum tls_io
tls_read(struct tls *t, char *mem, size_t n, size_t *n_r)
{
	enum tls_io r;
	int code;

	*n_r = 0;
	if (!enter(t, true, &r))
		return r;
	/* Of a ticket mbedTLS says at first that it wants to read, and has it already: poll would
	 * not tell of what came with it. */
	do {
		code = mbedtls_ssl_read(&t->ssl, (unsigned char *)mem, n);
		if (code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
			tls_ctx_keep_session(t->ctx, &t->ssl);
	} while (code == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET ||
	    (code == MBEDTLS_ERR_SSL_WANT_READ && mbedtls_ssl_check_pending(&t->ssl)));
	leave(t);

	if (code > 0) {
		*n_r = (size_t)code;
		return TLS_OK;
	}
	r = result(t, code == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : code);
	return r == TLS_WANT_READ && t->bio.held ? TLS_WANT_WRITE : r;
}

/* mbedTLS keeps its own copy of a record that is half out: the octets may move, their number may
 * not change. */
enum tls_io
tls_write(struct tls *t, const char *mem, size_t n, size_t *n_r)
{
	enum tls_io r;
	int code = (int)t->accepted;

	*n_r = 0;
	if (!enter(t, false, &r))
		return r;
	if (!t->accepted)
		code = mbedtls_ssl_write(&t->ssl, (const unsigned char *)mem, n);
	leave(t);

	if (code == MBEDTLS_ERR_NET_CONN_RESET || t->bio.unsendable) {
		say_fault(t, TLS_FAULT_LOST);
		return TLS_CUT;
	}
	if (code < 0)
		return result(t, code);
	/* Small records wait in the flight; what the kernel did not take of them is not written
	 * yet. */
	t->accepted = t->bio.held ? (size_t)code : 0;
	if (t->bio.held)
		return TLS_WANT_WRITE;
	*n_r = (size_t)code;
	return TLS_OK;
}

bool
tls_pending(const struct tls *t)
{
	return tls_bio_pending(&t->bio) || mbedtls_ssl_check_pending(&t->ssl);
}

void
tls_shut(struct tls *t)
{
	enum tls_io r;

	if (!enter(t, false, &r))
		return;
	(void)mbedtls_ssl_close_notify(&t->ssl);
	leave(t);
}

void
tls_close(struct tls *t)
{
	if (!t)
		return;
	mbedtls_ssl_free(&t->ssl);
	tls_ctx_unref(t->ctx);
	tls_bio_fini(&t->bio);
	free(t->sni);
	free(t);
}

/* ---- what can be told about it --------------------------------------------------------------- */

bool
tls_peer_spoke(const struct tls *t)
{
	return t->bio.heard;
}

const char *
tls_version(const struct tls *t)
{
	return mbedtls_ssl_get_version(&t->ssl);
}

/* "TLS1-3-AES-256-GCM-SHA384" and "TLS-ECDHE-..." are mbedTLS's own; the registry of IANA has
 * "TLS_AES_256_GCM_SHA384", "TLS_ECDHE_...". */
const char *
tls_cipher(const struct tls *t)
{
	static char mem[64];
	struct slice name = slice_str(mbedtls_ssl_get_ciphersuite(&t->ssl));
	struct text out = text_over(mem, sizeof(mem));

	if (slice_starts(name, SLICE("TLS1-3-"))) {
		text_put(&out, SLICE("TLS_"));
		name = slice_skip(name, sizeof("TLS1-3-") - 1);
	}
	for (size_t i = 0; i < name.n; i++)
		text_char(&out, name.p[i] == '-' ? '_' : name.p[i]);
	return mem;
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

bool
tls_wants_again(const struct tls *t)
{
	return t->wants_again;
}

const char *
tls_why(const struct tls *t)
{
	return t->why[0] ? t->why : tls_words(TLS_FAULT_NONE);
}
