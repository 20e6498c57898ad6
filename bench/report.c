/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - the page, and `byway-bench report`, which makes it of runs that were kept
 */
#include "bench/report.h"

#include "bench/bench.h"
#include "bench/options.h"
#include "wire/json_doc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { RUNS_MAX = 32, RUN_OCTETS_MAX = 1 << 26 };

/* The assembler puts the file between two labels; the path is relative to the root, where compilers
 * run. */
__asm__(".pushsection .rodata\nbench_page:\n"
        ".incbin \"bench/report.html\"\nbench_page_end:\n"
        ".popsection\n");
extern const char bench_page[] __attribute__((visibility("hidden")));
extern const char bench_page_end[] __attribute__((visibility("hidden")));

static const char mark[] = "[/*runs*/]";

/* JSON in a page: `<` could begin `</script` or `<!--`; in JSON it stands in strings alone. */
static void
put_json(FILE *out, struct slice json)
{
	while (json.n > 0) {
		size_t n = slice_find(json, '<');

		(void)fwrite(json.p, 1, n, out);
		if (n < json.n)
			fputs("\\u003c", out);
		json = slice_skip(json, n + 1);
	}
}

bool
report_write(const char *path, const struct slice *runs, size_t n)
{
	FILE *out = fopen(path, "we");
	size_t page_n = (size_t)((uintptr_t)bench_page_end - (uintptr_t)bench_page);
	const char *at = memmem(bench_page, page_n, mark, sizeof(mark) - 1);
	size_t before = at ? (size_t)(at - bench_page) : page_n;

	if (!out)
		return false;
	(void)fwrite(bench_page, 1, before, out);
	fputc('[', out);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			fputc(',', out);
		put_json(out, runs[i]);
	}
	fputc(']', out);
	if (at)
		(void)fwrite(at + sizeof(mark) - 1, 1, page_n - before - (sizeof(mark) - 1), out);
	bool good = ferror(out) == 0;

	return fclose(out) == 0 && good;
}

/* ---- byway-bench report ---------------------------------------------------------------------- */

struct report {
	const char *html_file;
};

static const struct option_row rows[] = {
	{ "html", "FILE", "the page (report.html)", OPTION_TEXT, offsetof(struct report, html_file),
	    0, 0, NULL },
};

static const struct options options = { "byway-bench report", rows,
	sizeof(rows) / sizeof(rows[0]) };

void
report_help(void)
{
	options_help(&options);
}

/* The run in a file; memory is the caller's to free. */
static bool
read_run(const char *path, struct slice *run_r)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *mem = NULL;
	bool good = false;

	if (!f) {
		fprintf(stderr, "byway-bench report: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= RUN_OCTETS_MAX &&
	    (mem = malloc((size_t)st.st_size + 1)) != NULL) {
		size_t n = fread(mem, 1, (size_t)st.st_size, f);

		*run_r = slice_of(mem, n);
		/* What is cut short is no document. */
		struct json_t *doc = json_doc_read(*run_r);

		good =
		    json_doc_at(doc, "byway_bench") != NULL && json_doc_at(doc, "own.name") != NULL;
		json_doc_free(doc);
	}
	fclose(f);
	if (!good) {
		fprintf(stderr,
		    "byway-bench report: %s: not a whole result of byway-bench load --json\n",
		    path);
		free(mem);
	}
	return good;
}

int
report_main(int argc, char **argv)
{
	struct report r = { .html_file = "report.html" };
	struct slice runs[RUNS_MAX] = { 0 };
	size_t n = 0;
	int first, status = EX_OK;

	if (!options_read(&options, &r, argc, argv, &first))
		return EX_USAGE;
	if (first == argc || argc - first > RUNS_MAX) {
		fprintf(stderr, "byway-bench report: 1 to %d files of --json are needed\n",
		    RUNS_MAX);
		return EX_USAGE;
	}
	for (; first < argc && status == EX_OK; first++) {
		if (read_run(argv[first], &runs[n]))
			n++;
		else
			status = EX_DATAERR;
	}
	if (status == EX_OK && !report_write(r.html_file, runs, n)) {
		fprintf(stderr, "byway-bench report: %s: %s\n", r.html_file, strerror(errno));
		status = EX_CANTCREAT;
	}
	while (n > 0)
		free((char *)(uintptr_t)runs[--n].p);
	return status;
}
