/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/content.h"

#include "wire/dots.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char head[] =
    "From: Bench <a@bench.example>\r\nTo: Bench <b@bench.example>\r\nSubject: bench\r\n"
    "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <bench@bench.example>\r\n\r\n";
static const char line[] =
    "The quick brown fox jumps over the lazy dog, and then over it again.\r\n";
/* The end of any content: its last so many octets make up what is missing to a size. */
static const char tail[] =
    "The last line is as long as it must be: the quick brown fox jumps over the lazy dog, again.\r\n"
    ".\r\n";

enum { HEAD = sizeof(head) - 1, LINE = sizeof(line) - 1, TAIL = sizeof(tail) - 1, DOT = 3 };

/*
 * Sizes as people and programs send them through a submission server: an assumption of ours
 * (docs/BENCHMARKING.md); who knows better gives a file.
 */
static const struct {
	uint64_t octets, weight;
} mail[] = {
	{ 2048, 150 },
	{ 5120, 250 },
	{ 12288, 220 },
	{ 30720, 180 },
	{ 76800, 100 },
	{ 204800, 60 },
	{ 512000, 25 },
	{ 2097152, 11 },
	{ 8388608, 4 },
};

bool
content_size(struct slice s, uint64_t *octets_r)
{
	uint64_t unit = 1;
	uint64_t n;

	if (s.n > 1 && (s.p[s.n - 1] == 'K' || s.p[s.n - 1] == 'M')) {
		unit = s.p[s.n - 1] == 'K' ? 1024 : 1024 * 1024;
		s.n--;
	}
	if (!slice_to_u64(s, &n) || n > CONTENT_OCTETS_MAX / unit)
		return false;
	*octets_r = n * unit;
	return true;
}

/* Cuts content of OCTETS off the text: whole lines of it, and a last one of what is missing. */
static struct content
cut(const char *text, uint64_t octets)
{
	size_t body = HEAD;
	size_t rest = octets > HEAD ? (size_t)octets - HEAD : 0;

	body += rest / LINE * LINE;
	rest %= LINE;
	if (rest == 1) {
		/* No line has one octet: CR and LF need two. */
		if (body > HEAD) {
			body -= LINE;
			rest += LINE;
		} else {
			rest = 2;
		}
	}
	struct slice end = slice_of(tail + TAIL - DOT - rest, rest + DOT);

	return (struct content){
		.octets = body + rest,
		.dotted = { slice_of(text, body), end },
		.plain = { slice_of(text, body), slice_head(end, rest) },
	};
}

static bool
make(struct contents *c, struct text *why)
{
	uint64_t most = 0, sum = 0, octets = 0;
	size_t n = HEAD;

	for (size_t i = 0; i < c->n; i++)
		most = c->size[i] > most ? c->size[i] : most;
	c->text = malloc((size_t)most + HEAD + LINE);
	if (!c->text) {
		text_fmt(why, "no memory for %llu octets of content", (unsigned long long)most);
		return false;
	}
	memcpy(c->text, head, HEAD);
	for (; n < most; n += LINE)
		memcpy(c->text + n, line, LINE);
	for (size_t i = 0; i < c->n; i++) {
		c->at[i] = cut(c->text, c->size[i]);
		sum += c->weight[i];
		c->at[i].up_to = sum;
		octets += c->at[i].octets * c->weight[i];
	}
	if (sum == 0) {
		text_put(why, SLICE("all sizes weigh nothing"));
		return false;
	}
	if (c->n == 1)
		snprintf(c->said, sizeof(c->said), "%llu octets",
		    (unsigned long long)c->at[0].octets);
	else
		snprintf(c->said, sizeof(c->said), "a mix of %zu sizes, %llu octets on average",
		    c->n, (unsigned long long)(octets / sum));
	return true;
}

static bool
add(struct contents *c, uint64_t octets, uint64_t weight)
{
	if (c->n == CONTENT_SIZES_MAX || weight > 1000000)
		return false;
	c->size[c->n] = octets;
	c->weight[c->n++] = weight;
	return true;
}

static bool
read_mix(struct contents *c, FILE *f, const char *path, struct text *why)
{
	char mem[256];

	for (unsigned number = 1; fgets(mem, sizeof(mem), f); number++) {
		struct slice rest = slice_trim(slice_of(mem, strcspn(mem, "#\r\n")));
		struct slice size = slice_cut(&rest, ' ');
		uint64_t octets, weight = 1;

		if (size.n == 0)
			continue;
		rest = slice_trim(rest);
		if (!content_size(size, &octets) || (rest.n > 0 && !slice_to_u64(rest, &weight)) ||
		    !add(c, octets, weight)) {
			text_fmt(why, "%s:%u: a line is OCTETS WEIGHT, at most %d of them", path,
			    number, CONTENT_SIZES_MAX);
			return false;
		}
	}
	if (c->n == 0)
		text_fmt(why, "%s: no sizes in it", path);
	return c->n > 0;
}

bool
contents_of_size(struct contents *c, const char *what, struct text *why)
{
	uint64_t octets;
	bool good = true;

	*c = (struct contents){ 0 };
	if (content_size(slice_str(what), &octets)) {
		good = add(c, octets, 1);
	} else if (strcmp(what, "mail") == 0) {
		for (size_t i = 0; i < sizeof(mail) / sizeof(mail[0]); i++)
			good = good && add(c, mail[i].octets, mail[i].weight);
	} else {
		FILE *f = fopen(what, "re");

		if (!f) {
			text_fmt(why,
			    "%s: neither octets (4096, 64K, 1M at most 256M), nor \"mail\", nor a file of sizes",
			    what);
			return false;
		}
		good = read_mix(c, f, what, why);
		fclose(f);
	}
	return good && make(c, why);
}

/* The file with each line end made CRLF; what is short of one at the end gets one. */
static size_t
with_crlf(const char *from, size_t n, char *to)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (from[i] == '\n' && (i == 0 || from[i - 1] != '\r'))
			to[out++] = '\r';
		to[out++] = from[i];
	}
	if (out < 2 || to[out - 1] != '\n') {
		to[out++] = '\r';
		to[out++] = '\n';
	}
	return out;
}

static char *
read_whole(const char *path, size_t *n_r, struct text *why)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *mem = NULL;

	if (!f || fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_size > CONTENT_OCTETS_MAX) {
		text_fmt(why, "%s: not a file of at most %d octets that can be read", path,
		    CONTENT_OCTETS_MAX);
	} else if ((mem = malloc((size_t)st.st_size + 1)) != NULL) {
		*n_r = fread(mem, 1, (size_t)st.st_size, f);
	} else {
		text_fmt(why, "%s: no memory for it", path);
	}
	if (f)
		fclose(f);
	return mem;
}

bool
contents_of_file(struct contents *c, const char *path, struct text *why)
{
	struct dots_encoder dots;
	size_t n = 0;
	char *file = read_whole(path, &n, why);

	*c = (struct contents){ .n = 1 };
	if (!file)
		return false;
	c->as_is = malloc(2 * n + 2);
	c->text = malloc(4 * n + 16);
	if (!c->as_is || !c->text) {
		text_fmt(why, "%s: no memory for it", path);
		free(file);
		return false;
	}
	size_t as_is = with_crlf(file, n, c->as_is);

	free(file);
	dots_encode_init(&dots);
	size_t dotted = dots_encode(&dots, slice_of(c->as_is, as_is), c->text);

	dotted += dots_encode_finish(&dots, c->text + dotted);
	c->at[0] = (struct content){
		.octets = as_is,
		.dotted = { slice_of(c->text, dotted), SLICE("") },
		.plain = { slice_of(c->as_is, as_is), SLICE("") },
		.up_to = 1,
	};
	snprintf(c->said, sizeof(c->said), "%zu octets of a file", as_is);
	return true;
}

/* splitmix64 (Steele, Lea, Flood 2014): numbers that look like chance, the same each time. */
static uint64_t
scatter(uint64_t i)
{
	uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

const struct content *
contents_pick(const struct contents *c, uint64_t i)
{
	const struct content *at = c->at;

	if (c->n == 1)
		return at;
	uint64_t chosen = scatter(i) % c->at[c->n - 1].up_to;

	while (at->up_to <= chosen)
		at++;
	return at;
}

void
contents_fini(struct contents *c)
{
	free(c->text);
	free(c->as_is);
	*c = (struct contents){ 0 };
}
