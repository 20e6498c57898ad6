/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - connections with TLS 1.2 and 1.3, by OpenSSL 3
 *
 * OpenSSL keeps what went wrong in a queue of the thread: it is emptied before and behind each
 * call, so that no connection hears of another's faults.
 */
#include "wire/tls_bio.h"
#include "wire/tls_openssl.h"
#include "wire/trust.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <stdlib.h>

enum { WHY_MAX = 64 };

struct tls {
	SSL *ssl;
	struct tls_bio bio;
	struct tls_ctx *ctx;
	enum tls_io over; /* the last word; TLS_OK while there is none */
	size_t accepted;  /* by OpenSSL, of a write that we have not acknowledged yet */
	char *sni;
	int alert;            /* that we told the peer, 0 for none */
	enum tls_fault fault; /* of the peer's certificate */
	char why[WHY_MAX];
};

/* ---- octets ---------------------------------------------------------------------------------- */

static int
on_recv(BIO *bio, char *mem, int n)
{
	struct tls *t = BIO_get_data(bio);
	ssize_t got = tls_bio_recv(&t->bio, (unsigned char *)mem, (size_t)n);

	BIO_clear_retry_flags(bio);
	if (got == BIO_WAIT)
		BIO_set_retry_read(bio);
	return got < 0 ? -1 : (int)got;
}

static int
on_send(BIO *bio, const char *mem, int n)
{
	struct tls *t = BIO_get_data(bio);
	ssize_t put = tls_bio_send(&t->bio, (const unsigned char *)mem, (size_t)n);

	BIO_clear_retry_flags(bio);
	if (put == BIO_WAIT)
		BIO_set_retry_write(bio);
	return put < 0 ? -1 : (int)put;
}

/* That the peer's octets have ended is told by on_recv() alone: asked for it, OpenSSL would answer
 * the end with an alert. */
static long
on_ctrl(BIO *bio, int what, long number, void *arg)
{
	(void)bio;
	(void)number;
	(void)arg;
	return what == BIO_CTRL_FLUSH;
}

static const BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *made;

	if (made)
		return made;
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "byway");

	if (!m || BIO_meth_set_read(m, on_recv) != 1 || BIO_meth_set_write(m, on_send) != 1 ||
	    BIO_meth_set_ctrl(m, on_ctrl) != 1) {
		BIO_meth_free(m);
		return NULL;
	}
	made = m;
	return made;
}

/* ---- what OpenSSL says ----------------------------------------------------------------------- */

static void
on_info(const SSL *ssl, int where, int code)
{
	struct tls *t = SSL_get_app_data(ssl);

	if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT)
		t->alert = code & 0xff;
}

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

/* What the first error of libssl in the queue means. */
static enum tls_io
fail(struct tls *t)
{
	unsigned long e;
	int reason = 0;

	while ((e = ERR_get_error()) != 0) {
		if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE || ERR_GET_LIB(e) == ERR_LIB_SSL) {
			reason = ERR_GET_REASON(e);
			break;
		}
	}
	if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {
		say(t, tls_words_of_alert(reason - SSL_AD_REASON_OFFSET));
		return TLS_FAIL;
	}
	if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		say_fault(t, TLS_FAULT_LOST);
		return TLS_CUT;
	}
	enum tls_fault fault = tls_fault_of_reason(reason);

	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
		fault = t->fault ? t->fault : TLS_FAULT_UNVERIFIED;
	if (!fault)
		fault = tls_fault_of_our_alert(t->alert);
	if (fault) {
		say_fault(t, fault);
	} else {
		struct text w = text_over(t->why, sizeof(t->why));
		const char *words = e ? ERR_reason_error_string(e) : NULL;

		text_fmt(&w, "TLS failure: %.*s", WHY_MAX - 16, words ? words : "unknown");
	}
	return fault && fault <= TLS_FAULT_NO_HOST ? TLS_CERTIFICATE : TLS_FAIL;
}

/* What a call of ours that returned CODE has met; the last word on a connection stays. */
static enum tls_io
result(struct tls *t, int code)
{
	enum tls_io r;

	switch (SSL_get_error(t->ssl, code)) {
	case SSL_ERROR_NONE:
		return TLS_OK;
	case SSL_ERROR_WANT_READ:
		return TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		say_fault(t, TLS_FAULT_CLOSED);
		r = TLS_EOF;
		break;
	case SSL_ERROR_SYSCALL:
		say_fault(t, TLS_FAULT_LOST);
		r = TLS_CUT;
		break;
	default:
		r = fail(t);
		break;
	}
	t->over = r;
	ERR_clear_error();
	return r;
}

/* Every call into OpenSSL that may read or write stands between these two. False: R_R is the answer
 * already. Reading does not wait for what is held: two peers that both write until they are stopped
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
	ERR_clear_error();
	return true;
}

static void
leave(struct tls *t)
{
	tls_bio_end(&t->bio);
}

struct tls_ctx *
tls_ctx_of(const struct ssl_st *ssl)
{
	const struct tls *t = SSL_get_app_data(ssl);

	return t->ctx;
}

void
tls_note_sni(const struct ssl_st *ssl, struct slice name)
{
	struct tls *t = SSL_get_app_data(ssl);

	if (!t->sni)
		t->sni = strndup(name.p, name.n);
}

void
tls_note_fault(const struct ssl_st *ssl, enum tls_fault fault)
{
	struct tls *t = SSL_get_app_data(ssl);

	t->fault = fault;
}

/* ---- one connection -------------------------------------------------------------------------- */

/* The name that is sent and must be in the certificate. An address is never sent (RFC 6066, 3). */
static bool
set_host(struct tls *t, struct slice host)
{
	X509_VERIFY_PARAM *v = SSL_get0_param(t->ssl);
	struct tls_host h;
	enum tls_fault fault = tls_host_set(&h, host);
	bool pinned = tls_ctx_pin(t->ctx) != NULL;

	if (!fault && !h.name[0] && !pinned)
		fault = TLS_FAULT_NO_HOST;
	if (fault) {
		say_fault(t, fault);
		t->over = TLS_CERTIFICATE;
		return true;
	}
	X509_VERIFY_PARAM_set_hostflags(v, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (h.address_n)
		return X509_VERIFY_PARAM_set1_ip(v, h.address, h.address_n) == 1;
	if (!h.name[0])
		return true;
	return SSL_set_tlsext_host_name(t->ssl, h.name) == 1 &&
	    X509_VERIFY_PARAM_set1_host(v, h.name, 0) == 1;
}

static bool
set_up(struct tls *t, struct slice host)
{
	const BIO_METHOD *method = bio_method();
	BIO *bio = method ? BIO_new(method) : NULL;

	if (!bio)
		return false;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	t->ssl = SSL_new(tls_ctx_inner(t->ctx));
	if (!t->ssl) {
		BIO_free(bio);
		return false;
	}
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_info_callback(t->ssl, on_info);
	if (SSL_set_app_data(t->ssl, t) != 1)
		return false;
	if (tls_ctx_is_server(t->ctx)) {
		SSL_set_accept_state(t->ssl);
		return true;
	}
	SSL_set_connect_state(t->ssl);
	return tls_ctx_offer_session(t->ctx, t->ssl) && set_host(t, host);
}

struct tls *
tls_open(struct tls_ctx *ctx, int fd, struct slice host)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->ctx = tls_ctx_ref(ctx);
	tls_bio_init(&t->bio, fd);
	if (set_up(t, host))
		return t;
	ERR_clear_error();
	tls_close(t);
	return NULL;
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
	int code = SSL_do_handshake(t->ssl);

	leave(t);
	r = result(t, code);
	return r == TLS_OK && t->bio.held ? TLS_WANT_WRITE : r;
}

enum tls_io
tls_read(struct tls *t, char *mem, size_t n, size_t *n_r)
{
	enum tls_io r;

	*n_r = 0;
	if (!enter(t, true, &r))
		return r;
	int code = SSL_read_ex(t->ssl, mem, n, n_r);

	leave(t);
	r = result(t, code);
	return r == TLS_WANT_READ && t->bio.held ? TLS_WANT_WRITE : r;
}

/* OpenSSL keeps its own copy of a record that is half out: the octets may move, their number may
 * not change. */
enum tls_io
tls_write(struct tls *t, const char *mem, size_t n, size_t *n_r)
{
	enum tls_io r;
	size_t put = t->accepted;
	int code = 1;

	*n_r = 0;
	if (!enter(t, false, &r))
		return r;
	if (!t->accepted)
		code = SSL_write_ex(t->ssl, mem, n, &put);
	leave(t);

	if (t->bio.unsendable) {
		ERR_clear_error();
		say_fault(t, TLS_FAULT_LOST);
		return TLS_CUT;
	}
	if (code != 1)
		return result(t, code);
	/* Small records wait in the flight; what the kernel did not take of them is not written
	 * yet. */
	t->accepted = t->bio.held ? put : 0;
	if (t->bio.held)
		return TLS_WANT_WRITE;
	*n_r = put;
	return TLS_OK;
}

/* OpenSSL asks for no octet behind the record that it reads. */
bool
tls_pending(const struct tls *t)
{
	return tls_bio_pending(&t->bio) || SSL_pending(t->ssl) > 0;
}

void
tls_shut(struct tls *t)
{
	enum tls_io r;

	if (SSL_in_init(t->ssl) || !enter(t, false, &r))
		return;
	(void)SSL_shutdown(t->ssl);
	leave(t);
	ERR_clear_error();
}

void
tls_close(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
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
	return SSL_get_version(t->ssl);
}

const char *
tls_cipher(const struct tls *t)
{
	const SSL_CIPHER *c = SSL_get_current_cipher(t->ssl);
	const char *name = c ? SSL_CIPHER_standard_name(c) : NULL;

	return name ? name : "";
}

bool
tls_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

struct slice
tls_sni(const struct tls *t)
{
	return t->sni ? slice_str(t->sni) : slice_of("", 0);
}

void
tls_peer_describe(const struct tls *t, struct text *out, bool *verified_r)
{
	*verified_r =
	    SSL_get0_peer_certificate(t->ssl) && SSL_get_verify_result(t->ssl) == X509_V_OK;
	(void)trust_peer_describe(t->ssl, out);
}

bool
tls_wants_again(const struct tls *t)
{
	(void)t;
	return false;
}

const char *
tls_why(const struct tls *t)
{
	return t->why[0] ? t->why : tls_words(TLS_FAULT_NONE);
}
