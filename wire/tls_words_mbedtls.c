/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_words - mbedTLS's codes as faults
 */
#include "wire/guard.h"
#include "wire/tls_mbedtls.h"

#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509.h>

struct row {
	int code;
	enum tls_fault fault;
};

static enum tls_fault
find(const struct row *table, size_t n, int code)
{
	for (size_t i = 0; i < n; i++) {
		if (table[i].code == code)
			return table[i].fault;
	}
	return TLS_FAULT_NONE;
}

#define FIND(table, code) find((table), sizeof(table) / sizeof((table)[0]), (code))

enum tls_fault
tls_fault_of_code(int code)
{
	static const struct row table[] = {
		{ MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, TLS_FAULT_VERSION },
		{ MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, TLS_FAULT_NOTHING_COMMON },
		{ MBEDTLS_ERR_SSL_INVALID_RECORD, TLS_FAULT_NOT_TLS },
		{ MBEDTLS_ERR_SSL_INVALID_MAC, TLS_FAULT_BAD_RECORD },
		{ MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE, TLS_FAULT_UNEXPECTED_MESSAGE },
		{ MBEDTLS_ERR_SSL_UNEXPECTED_RECORD, TLS_FAULT_UNEXPECTED_RECORD },
		{ MBEDTLS_ERR_SSL_DECODE_ERROR, TLS_FAULT_MALFORMED },
		{ MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER, TLS_FAULT_ILLEGAL_PARAMETER },
		{ MBEDTLS_ERR_SSL_BAD_CERTIFICATE, TLS_FAULT_BAD_CERTIFICATE },
		{ MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, TLS_FAULT_NO_CERTIFICATE },
		{ MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION, TLS_FAULT_UNSUPPORTED_EXTENSION },
		{ MBEDTLS_ERR_SSL_ALLOC_FAILED, TLS_FAULT_NO_MEMORY },
	};

	return FIND(table, code);
}

enum tls_fault
tls_fault_of_certificate(uint32_t flags)
{
	static const struct row table[] = {
		{ MBEDTLS_X509_BADCERT_OTHER, TLS_FAULT_NOT_PINNED },
		{ MBEDTLS_X509_BADCERT_MISSING, TLS_FAULT_NO_CERTIFICATE },
		{ MBEDTLS_X509_BADCERT_REVOKED, TLS_FAULT_REVOKED },
		{ MBEDTLS_X509_BADCERT_EXPIRED, TLS_FAULT_EXPIRED },
		{ MBEDTLS_X509_BADCERT_FUTURE, TLS_FAULT_NOT_YET },
		{ MBEDTLS_X509_BADCERT_NOT_TRUSTED, TLS_FAULT_NOT_TRUSTED },
		{ MBEDTLS_X509_BADCERT_CN_MISMATCH, TLS_FAULT_WRONG_NAME },
		{ MBEDTLS_X509_BADCERT_BAD_MD, TLS_FAULT_WEAK_SIGNATURE },
		{ MBEDTLS_X509_BADCERT_BAD_PK, TLS_FAULT_WEAK_KEY },
		{ MBEDTLS_X509_BADCERT_BAD_KEY, TLS_FAULT_WEAK_KEY },
		{ MBEDTLS_X509_BADCERT_KEY_USAGE, TLS_FAULT_WRONG_USE },
		{ MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, TLS_FAULT_WRONG_USE },
		{ MBEDTLS_X509_BADCERT_NS_CERT_TYPE, TLS_FAULT_WRONG_USE },
	};

	if (flags == UINT32_MAX) /* it was never looked at */
		return TLS_FAULT_UNVERIFIED;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (flags & (uint32_t)table[i].code)
			return table[i].fault;
	}
	return TLS_FAULT_UNVERIFIED;
}

enum tls_fault
tls_fault_of_file(int code)
{
	static const struct row table[] = {
		{ MBEDTLS_ERR_X509_FILE_IO_ERROR, TLS_FAULT_FILE_UNREADABLE },
		{ MBEDTLS_ERR_PK_FILE_IO_ERROR, TLS_FAULT_FILE_UNREADABLE },
		{ MBEDTLS_ERR_PK_PASSWORD_REQUIRED, TLS_FAULT_KEY_LOCKED },
		{ MBEDTLS_ERR_PK_PASSWORD_MISMATCH, TLS_FAULT_KEY_LOCKED },
		{ MBEDTLS_ERR_PK_KEY_INVALID_FORMAT, TLS_FAULT_FILE_HAS_NO_KEY },
		{ MBEDTLS_ERR_PK_UNKNOWN_PK_ALG, TLS_FAULT_KEY_OF_OTHER_KIND },
		{ MBEDTLS_ERR_PEM_NO_HEADER_FOOTER_PRESENT, TLS_FAULT_FILE_HAS_NO_PEM },
	};

	return FIND(table, code);
}
