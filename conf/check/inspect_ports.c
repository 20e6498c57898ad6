/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/check/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/port.h"

/* Somebody answers at PATH. */
static bool
is_running(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n == 0 || n >= sizeof(at.sun_path))
		return false;
	memcpy(at.sun_path, path, n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool yes = connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 || errno == EAGAIN;

	close(fd);
	return yes;
}

/* A daemon of the same user, which shares its ports among its workers. */
static bool
is_ours(const struct conf_address *a)
{
	int fd = port_bind(&a->addr, a->len, true);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* That we are not whom the daemon runs as; what is forbidden to us may be its to do. */
static bool
is_another(const struct conf *c)
{
	struct passwd mem, *p = NULL;
	char words[4096];

	return geteuid() != 0 && c->server.user &&
	    getpwnam_r(c->server.user, &mem, words, sizeof(words), &p) == 0 && p &&
	    p->pw_uid != geteuid();
}

/* False: something was said. */
static bool
look_at_address(struct inspect *in, const struct conf_listener *l, const struct conf_address *a)
{
	struct sockaddr_storage bound;
	char mem[512];
	struct text t = text_over(mem, sizeof(mem));
	enum inspect_grade grade = INSPECT_CROSS;

	if (port_is_free(&a->addr, a->len, &bound))
		return true;
	int error = errno;

	if (error == EACCES && is_another(in->conf)) {
		grade = INSPECT_WARNING;
		text_fmt(&t, "%s was not tried: ports below 1024 need root", a->text);
	} else if (error == EADDRINUSE && is_ours(a)) {
		grade = INSPECT_WARNING;
		text_fmt(&t, "%s: a bywayd of this user seems to listen there", a->text);
	} else {
		text_fmt(&t, "cannot listen on %s: %s", a->text, port_reason(error));
	}
	inspect_say_of(in, grade, TOPIC_PORTS, "listener", l->name, "address", mem);
	return false;
}

void
inspect_ports(struct inspect *in)
{
	const struct conf *c = in->conf;
	size_t n = 0;
	bool ok = true;

	if (is_running(c->server.control_socket)) {
		inspect_say(in, INSPECT_GOOD, TOPIC_PORTS, "bywayd runs and has them (%s answers)",
		    c->server.control_socket);
		return;
	}
	for (size_t i = 0; i < c->listeners_n; i++) {
		const struct conf_listener *l = &c->listeners[i];

		for (size_t k = 0; k < l->addresses_n; k++, n++)
			ok &= look_at_address(in, l, &l->addresses[k]);
	}
	if (ok)
		inspect_say(in, INSPECT_GOOD, TOPIC_PORTS, "%zu, all free", n);
}
