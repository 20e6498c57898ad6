/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_words - mbedTLS's codes in words for the log
 */
#include "wire/guard.h"
#include "wire/tls_mbedtls.h"

#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509.h>

#include <errno.h>

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

const char *
tls_words_of_failure(int code, int alert)
{
	const char *words;

	if (code != MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
		return FIND_WORDS(error_words, code);
	words = FIND_WORDS(alert_words, alert);
	return words ? words : "peer refused";
}

const char *
tls_words_of_certificate(uint32_t flags)
{
	if (flags == UINT32_MAX) /* it was never looked at */
		return NULL;
	for (size_t i = 0; i < sizeof(verify_words) / sizeof(verify_words[0]); i++) {
		if (flags & (uint32_t)verify_words[i].code)
			return verify_words[i].text;
	}
	return NULL;
}

const char *
tls_words_of_file(int code)
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
