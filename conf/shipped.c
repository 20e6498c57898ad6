/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"
#include "conf/replies.h"

/*
 * Files of dist/ that the programs carry, octet for octet: the assembler reads them. Paths are
 * relative to the root, where compilers run.
 */

#define SHIPPED(name, file)                                             \
	__asm__(".pushsection .rodata\n" #name ":\n"                    \
	        ".incbin \"" file "\"\n" #name "_end:\n"                \
	        ".popsection\n");                                       \
	extern const char name[] __attribute__((visibility("hidden"))); \
	extern const char name##_end[] __attribute__((visibility("hidden")))

SHIPPED(shipped_sample, "dist/byway.ini.sample");
SHIPPED(shipped_smtp2go, "dist/replies/smtp2go.ini");

/* What the assembler put between two labels. */
static struct slice
between(const char *from, const char *to)
{
	return slice_of(from, (size_t)((uintptr_t)to - (uintptr_t)from));
}

struct slice
conf_sample(void)
{
	return between(shipped_sample, shipped_sample_end);
}

const char *const replies_built_in[] = { "trekmail", "smtp2go", NULL };

struct slice
replies_of(struct slice name)
{
	if (slice_eq(name, SLICE("trekmail")))
		return SLICE("[replies]\n"); /* the catalogue itself */
	if (slice_eq(name, SLICE("smtp2go")))
		return between(shipped_smtp2go, shipped_smtp2go_end);
	return slice_of(NULL, 0);
}
