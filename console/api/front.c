/* SPDX-License-Identifier: Apache-2.0 */
#include "console/api/front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "console/api/call.h"

enum { CALL_OCTETS_MAX = 256 << 20, SOCKET_MODE = 0660, BACKLOG = 1024, LANES = 6 };

struct front {
	struct cli *cli;
	struct store stores[LANES]; /* one for each call that is worked on */
	struct threads *lanes;
	struct httpd *http;
	char *path;
	int fd;
};

/* ---- routing --------------------------------------------------------------------------------- */

/* Takes the parts of PATH into c->names where TEMPLATE has braces. */
static bool
path_fits(struct call *c, struct slice template, struct slice path)
{
	c->names_n = 0;
	while (template.n > 0 && path.n > 0) {
		struct slice want = slice_cut(&template, '/');
		struct slice is = slice_cut(&path, '/');

		if (want.n > 0 && want.p[0] == '{') {
			const char *name = is.n > 0 ? call_unescape(&c->cli, is) : NULL;

			if (!name || !*name || c->names_n == CALL_NAMES_MAX)
				return false;
			c->names[c->names_n++] = name;
		} else if (!slice_eq(want, is)) {
			return false;
		}
	}
	return template.n == 0 && path.n == 0;
}

/* Sets c->op; false after 404 or 405 was said. */
static bool
find_operation(struct call *c)
{
	struct slice path = slice_str(c->request->path);
	bool other = false;

	/* A slash at the end names nothing that we have. */
	for (const struct operation *op = operations; op->id && path.p[path.n - 1] != '/'; op++) {
		if (!path_fits(c, slice_str(op->path), path))
			continue;
		if (strcmp(op->method, c->request->method) == 0) {
			c->op = op;
			return true;
		}
		other = true;
	}
	if (other)
		call_problem(c, 405, "method", NULL, "this path is not for %s", c->request->method);
	else
		call_problem(c, 404, "missing", NULL, "there is nothing at this path");
	return false;
}

static bool
authorise(struct call *c)
{
	if (!httpd_header(c->request, "Authorization"))
		return true;
	call_problem(c, 401, "token", NULL, "the token is not known");
	return false;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void
call_init(struct front *a, struct store *s, struct call *c, struct httpd_answer *answer_r)
{
	*c = (struct call){ .store = s, .answer = answer_r };
	c->cli = (struct cli){ .config = a->cli->config, .json = true };
	arena_init(&c->cli.arena, CALL_OCTETS_MAX);
}

static void
on_request(void *ctx, void *lane, const struct httpd_request *r, struct httpd_answer *answer_r)
{
	struct front *a = ctx;
	struct store *s = lane;
	struct call c;

	call_init(a, s, &c, answer_r);
	c.request = r;
	s->cli = &c.cli;
	if (authorise(&c) && find_operation(&c))
		c.op->run(&c);
	admin_rollback(s->admin);
	s->cli = a->cli;
	arena_fini(&c.cli.arena);
}

static void
on_refused(void *ctx, unsigned status, const char *sentence, struct httpd_answer *answer_r)
{
	struct call c;

	call_init(ctx, NULL, &c, answer_r);
	call_problem(&c, status, status == 503 ? "busy" : "malformed", NULL, "%s", sentence);
	arena_fini(&c.cli.arena);
}

static size_t
on_room(void *ctx, const char *method, const char *target)
{
	(void)ctx;
	(void)method;
	(void)target;
	return HTTPD_BODY_MAX;
}

void
front_describe(FILE *f)
{
	struct httpd_answer answer = { 0 };
	struct call c = { .answer = &answer };

	arena_init(&c.cli.arena, CALL_OCTETS_MAX);
	call_openapi(&c);
	fwrite(answer.body, 1, answer.n, f);
	free(answer.body);
	arena_fini(&c.cli.arena);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* True where somebody accepts at TO: it is not ours to remove. */
static bool
is_served(const struct sockaddr_un *to)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool served =
	    fd >= 0 && connect(fd, (const struct sockaddr *)to, (socklen_t)sizeof(*to)) == 0;

	if (fd >= 0)
		close(fd);
	return served;
}

/* Listens under another name first: who finds PATH finds it served. */
static int
listen_at(struct cli *c, const char *path, int *fd_r)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const char *new = cli_print(c, "%s.new", path);
	mode_t before;
	bool good;

	if (strlen(new) >= sizeof(at.sun_path))
		return cli_fail(c, EX_USAGE, "the path of the socket is too long: %s", path);
	memcpy(at.sun_path, path, strlen(path));
	if (is_served(&at))
		return cli_fail(c, EX_UNAVAILABLE, "%s is served already", path);
	memcpy(at.sun_path, new, strlen(new));
	*fd_r = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)unlink(new);
	before = umask(0777 & ~SOCKET_MODE);
	good = *fd_r >= 0 && bind(*fd_r, (struct sockaddr *)&at, (socklen_t)sizeof(at)) == 0 &&
	    listen(*fd_r, BACKLOG) == 0 && rename(new, path) == 0;
	(void)umask(before);
	return good ? EX_OK
	            : cli_fail(c, EX_CANTCREAT, "cannot listen at %s: %s", path, strerror(errno));
}

static int
open_lanes(struct front *a)
{
	void *each[LANES];
	int status = EX_OK;

	for (size_t i = 0; i < LANES && status == EX_OK; i++) {
		each[i] = &a->stores[i];
		status =
		    store_open(a->cli, STORE_DIRECTORY | STORE_VAULT | STORE_READER, &a->stores[i]);
	}
	if (status != EX_OK)
		return status;
	a->lanes = threads_open(each, LANES);
	return a->lanes ? EX_OK : cli_fail(a->cli, EX_OSERR, "the threads did not start");
}

int
front_open(struct cli *c, const char *path, struct front **front_r)
{
	struct front *a = calloc(1, sizeof(*a));
	const struct httpd_service service = { on_request, on_refused, on_room, a };
	int status;

	if (!a)
		return cli_fail(c, EX_OSERR, "out of memory");
	a->cli = c;
	a->fd = -1;
	a->path = strdup(path);
	status = open_lanes(a);
	if (status == EX_OK)
		status = listen_at(c, path, &a->fd);
	if (status == EX_OK) {
		a->http = httpd_open(a->fd, a->lanes, &service);
		if (!a->http)
			status = cli_fail(c, EX_OSERR, "the HTTP server did not start");
	}
	if (status != EX_OK)
		front_close(a);
	else
		*front_r = a;
	return status;
}

void
front_close(struct front *a)
{
	if (a->http) {
		httpd_close(a->http); /* with the socket */
		(void)unlink(a->path);
	} else if (a->fd >= 0) {
		close(a->fd);
	}
	threads_close(a->lanes);
	for (size_t i = 0; i < LANES; i++)
		store_close(&a->stores[i]);
	free(a->path);
	free(a);
}
