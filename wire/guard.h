/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard - what the mbedTLS we are built with must be
 *
 * Included by the files that speak to mbedTLS, and by nobody else. A library that fails here would
 * build and then fail under load: that is why these are errors and not warnings.
 */
#ifndef WIRE_GUARD_H
#define WIRE_GUARD_H

#include <mbedtls/build_info.h>

/* Before 3.6.6 a process that forked after psa_crypto_init() shared its random numbers
 * (CVE-2026-25835). */
#if MBEDTLS_VERSION_NUMBER < 0x03060600
#error "mbedTLS 3.6.6 or later is needed: run `make deps`"
#endif

/* 4.x has another interface, and other promises. */
#if MBEDTLS_VERSION_NUMBER >= 0x04000000
#error "mbedTLS 4 is not supported: build with the 3.6 branch"
#endif

/* Without it, PSA's key store has no lock. */
#ifndef MBEDTLS_THREADING_C
#error "mbedTLS must be built with MBEDTLS_THREADING_C"
#endif

/* A static key store has 32 slots: with more handshakes than that under way, new ones fail. */
#ifndef MBEDTLS_PSA_KEY_STORE_DYNAMIC
#error "mbedTLS must be built with MBEDTLS_PSA_KEY_STORE_DYNAMIC"
#endif

#endif
