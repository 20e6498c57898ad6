/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_POISON_H
#define WIRE_POISON_H

/*
 * poison - tells AddressSanitizer which parts of our own memory nobody may touch; nothing in other
 * builds
 *
 * So a slice that outlived its arena mark or its buf is found by the tests as any other dangling
 * pointer.
 */
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WIRE_HAS_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WIRE_HAS_ASAN 1
#endif

#ifdef WIRE_HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif

static inline void
poison(const void *p, size_t n)
{
#ifdef WIRE_HAS_ASAN
	ASAN_POISON_MEMORY_REGION(p, n);
#else
	(void)p;
	(void)n;
#endif
}

static inline void
unpoison(const void *p, size_t n)
{
#ifdef WIRE_HAS_ASAN
	ASAN_UNPOISON_MEMORY_REGION(p, n);
#else
	(void)p;
	(void)n;
#endif
}

#endif
