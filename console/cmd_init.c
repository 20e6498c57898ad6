/* SPDX-License-Identifier: Apache-2.0 */
#include "console/commands.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console/file.h"
#include "wire/crypto.h"

/*
 * byway init: all that a first start needs
 *
 *      DIR    byway.ini, relay*.crt, relay*.key, vault.key       what the operator sets
 *      STATE  directory.db                                       what the daemon and this tool
 *             write
 *
 * What is there already stays as it is: so a second run mends an installation of which something is
 * missing.
 */

enum { CERTIFICATE_DAYS = 825, PEM_MAX = 8192, INI_MAX = 64 * 1024 };

struct init {
	struct cli *cli;
	const char *dir, *state, *name;
	const char *user; /* who will run it; NULL: nobody else */
	uid_t uid;
	bool operators; /* the state's folder is the group's too */
	gid_t gid;
	const char *ini, *chain, *key, *rsa_chain, *rsa_key, *vault, *database;
	bool own; /* chain and key are the operator's files */
	const char *made[10], *kept[10];
	size_t made_n, kept_n;
};

static int
note(struct init *in, bool made, const char *path)
{
	if (made)
		in->made[in->made_n++] = path;
	else
		in->kept[in->kept_n++] = path;
	return EX_OK;
}

/* ---- folders --------------------------------------------------------------------------------- */

/* *MADE_R: it was not there. */
static int
make_folder(struct init *in, const char *path, unsigned mode, bool *made_r)
{
	struct cli *c = in->cli;

	*made_r = mkdir(path, mode) == 0;
	if (*made_r) {
		if (chmod(path, mode) != 0)
			return cli_fail(c, EX_CANTCREAT, "cannot set the mode of %s: %s", path,
			    strerror(errno));
		return EX_OK;
	}
	if (errno == ENOENT && strrchr(path, '/') > path) {
		char *parent = cli_dup(c, slice_of(path, (size_t)(strrchr(path, '/') - path)));
		int status = make_folder(in, parent, 0755, made_r);

		return status == EX_OK ? make_folder(in, path, mode, made_r) : status;
	}

	struct stat st;

	if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return EX_OK;
	return cli_fail(c, EX_CANTCREAT, "cannot make the folder %s: %s", path, strerror(errno));
}

/* Paths in the configuration must hold wherever the daemon starts. */
static const char *
absolute(struct cli *c, const char *path)
{
	char here[4096];

	if (*path == '/' || !getcwd(here, sizeof(here)))
		return path;
	return strcmp(path, ".") == 0 ? cli_dup(c, slice_str(here))
	                              : cli_print(c, "%s/%s", here, path);
}

static int
give_away(struct init *in, const char *path, uid_t uid)
{
	/* Reloads are read by the daemon after it has given root's rights up. */
	if (!in->user || geteuid() != 0 || chown(path, uid, in->gid) == 0)
		return EX_OK;
	return cli_fail(in->cli, EX_CANTCREAT, "cannot give %s to %s: %s", path, in->user,
	    strerror(errno));
}

/* What the daemon's user may do with PATH: BITS of rwx. */
static bool
user_can(const struct init *in, const char *path, unsigned bits)
{
	struct stat st;

	if (!in->user || geteuid() != 0)
		return true;
	if (stat(path, &st) != 0)
		return false;
	unsigned shift = st.st_uid == in->uid ? 6 : st.st_gid == in->gid ? 3 : 0;

	return ((st.st_mode >> shift) & bits) == bits;
}

enum { READ = 4, READ_AND_ENTER = 5, ALL_OF_IT = 7 };

/* The configuration's folder: root's, but the daemon may look in. One that was there is not ours to
 * change. */
static int
open_folder(struct init *in, const char *path, bool made)
{
	if (made)
		return give_away(in, path, geteuid());
	if (!user_can(in, path, READ_AND_ENTER))
		cli_note(in->cli,
		    "%s was there and stays as it is; %s must be able to look into it: chgrp %u %s && chmod g+rx %s",
		    path, in->user, (unsigned)in->gid, path, path);
	return EX_OK;
}

/* True where PATH holds a directory's database and nothing that is not of our making: an earlier
 * run made it, before there was the user. */
static bool
is_ours(const char *path)
{
	static const char *const names[] = { "byway.ini", "relay.crt", "relay.key", "relay-rsa.crt",
		"relay-rsa.key", "vault.key", "directory.db", "directory.db-wal",
		"directory.db-shm", ".", ".." };
	bool database = false, others = false;
	struct dirent **all = NULL;
	int n = scandir(path, &all, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		bool known = false;

		for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
			known = known || strcmp(all[i]->d_name, names[k]) == 0;
		others = others || !known;
		database = database || strcmp(all[i]->d_name, "directory.db") == 0;
		free(all[i]);
	}
	free(all);
	return database && !others;
}

/* A file that an earlier run made, before there was the user. */
static int
keep(struct init *in, const char *path)
{
	note(in, false, path);
	return user_can(in, path, READ) ? EX_OK : give_away(in, path, in->uid);
}

/* Members of the daemon's group operate the directory: what SQLite makes beside it is the group's,
 * whoever was first. Where keys and configuration stand in the same folder it stays closed. */
static int
open_to_group(struct init *in, const char *path, unsigned mode)
{
	if (!in->operators || chmod(path, mode) == 0)
		return EX_OK;
	return cli_fail(in->cli, EX_CANTCREAT, "cannot open %s to the group of %s: %s", path,
	    in->user, strerror(errno));
}

/* The state's folder is the daemon's: SQLite makes files beside the database. Where DIR was there
 * and is another's, it gets one of its own inside. */
static int
make_state(struct init *in, bool dir_made)
{
	bool same = strcmp(in->dir, in->state) == 0;
	bool made = dir_made;
	int status = EX_OK;

	if (same && !dir_made && !user_can(in, in->dir, ALL_OF_IT) && !is_ours(in->dir)) {
		in->state = cli_print(in->cli, "%s/state", in->dir);
		same = false;
	}
	if (!same)
		status = make_folder(in, in->state, 0750, &made);
	in->operators = !same && in->user && geteuid() == 0;
	if (status == EX_OK &&
	    (made || (!user_can(in, in->state, ALL_OF_IT) && is_ours(in->state)))) {
		status = give_away(in, in->state, in->uid);
		return status == EX_OK && !same ? open_to_group(in, in->state, 02770) : status;
	}
	if (status == EX_OK && !user_can(in, in->state, ALL_OF_IT))
		status = cli_fail(in->cli, EX_CANTCREAT,
		    "%s was there, and %s cannot write into it: chown %s %s, or name another with --state",
		    in->state, in->user, in->user, in->state);
	return status;
}

/* ---- byway.ini ------------------------------------------------------------------------------- */

static const char default_starttls[] = "25 587 2525", default_implicit[] = "465";

/* "127.0.0.1" or "[::1]:2525" in LIST, with PORTS where none is said. */
static const char *
addresses(struct cli *c, const char *list, const char *ports)
{
	const char *out = "";

	for (const char *p = list + strspn(list, ", "); *p; p += strspn(p, ", ")) {
		size_t n = strcspn(p, ", ");
		const char *one = cli_dup(c, slice_of(p, n));
		const char *colon = strrchr(one, ':');
		bool port = colon && (strchr(one, ':') == colon || colon[-1] == ']');

		p += n;
		if (!port && colon && *one != '[')
			one = cli_print(c, "[%s]", one);
		if (port) {
			out = cli_print(c, "%s%s%s", out, *out ? " " : "", one);
			continue;
		}
		for (const char *q = ports; *q; q += strspn(q, " ")) {
			size_t digits = strcspn(q, " ");

			out =
			    cli_print(c, "%s%s%s:%.*s", out, *out ? " " : "", one, (int)digits, q);
			q += digits;
		}
	}
	return out;
}

struct change {
	const char *section, *key;
	const char *value; /* NULL: the line becomes a comment */
};

/* The sample with other values, without the sections of DROP (ends with NULL); a key that the
 * sample has not comes behind its section's head. */
static const char *
rewrite(struct cli *c, struct slice sample, struct change *changes, size_t n,
    const char *const *drop)
{
	struct text out = text_over(cli_alloc(c, INI_MAX), INI_MAX);
	struct slice section = slice_str("");

	while (sample.n > 0) {
		struct slice line = slice_cut(&sample, '\n'), rest = line;
		struct slice key = slice_trim(slice_cut(&rest, '='));
		bool head = line.n > 2 && line.p[0] == '[',
		     comment = line.n == 0 || line.p[0] == ';';
		struct change *hit = NULL;

		if (head)
			section = slice_of(line.p + 1, line.n - 2);
		else if (comment && line.n > 2 && line.p[1] == '[')
			section = slice_str("");
		if (!comment && cli_is_one_of(section, drop))
			continue;
		for (size_t i = 0; i < n && !head && !comment; i++)
			if (slice_eq(section, slice_str(changes[i].section)) &&
			    slice_eq(key, slice_str(changes[i].key)))
				hit = &changes[i];
		if (hit && hit->value)
			text_fmt(&out, "%s = %s\n", hit->key, hit->value);
		else
			text_fmt(&out, "%s%.*s\n", hit ? ";" : "", SLICE_FMT(line));
		for (size_t i = 0; i < n && head; i++) {
			bool added = slice_eq(section, slice_str(changes[i].section)) &&
			    strncmp(changes[i].key, "control_socket", 14) == 0;

			if (added && changes[i].value)
				text_fmt(&out, "%s = %s\n", changes[i].key, changes[i].value);
		}
	}
	return out.overflow ? NULL : out.mem;
}

/* The line that an earlier run left as a comment, for want of the user. */
static int
name_user(struct init *in)
{
	static const char left_out[] = "\n;user = byway\n";
	struct cli *c = in->cli;
	const char *why = NULL, *text = file_read(c, in->ini, &why), *at;

	note(in, false, in->ini);
	if (!text)
		return cli_fail(c, EX_NOINPUT, "%s", why);
	at = strstr(text, left_out);
	if (!in->user || !at || strstr(text, "\nuser"))
		return EX_OK;
	text = cli_print(c, "%.*s\nuser = %s\n%s", (int)(at - text), text, in->user,
	    at + sizeof(left_out) - 1);
	if (!file_replace(c, in->ini, slice_str(text), 0640))
		return cli_fail(c, EX_CANTCREAT, "cannot write %s: %s", in->ini, strerror(errno));
	return give_away(in, in->ini, 0);
}

static int
make_ini(struct init *in)
{
	struct cli *c = in->cli;
	const char *listen = cli_value(c, "listen"), *implicit = cli_value(c, "listen-tls");
	const char *control = cli_value(c, "control"), *any = "0.0.0.0 [::]";
	const char *starttls = addresses(c, listen ? listen : any, default_starttls);

	/* Who names ports for STARTTLS alone wants no others. */
	if (!implicit)
		implicit = !listen ? any : *addresses(c, listen, "") ? "" : listen;
	implicit = addresses(c, implicit, default_implicit);

	struct change changes[] = {
		{ "server", "name", in->name },
		{ "server", "user", in->user },
		{ "server", "control_socket", control ? absolute(c, control) : NULL },
		{ "listener submission", "address", starttls },
		{ "listener submissions", "address", implicit },
		{ "certificate default", "chain_file", in->own ? in->chain : "relay.crt" },
		{ "certificate default", "key_file", in->own ? in->key : "relay.key" },
		{ "directory", "path", in->database },
		{ "vault", "key_file", "vault.key" },
	};
	/* Beside a certificate of the operator's, one that nobody signed would be met by
	 * surprise. */
	const char *drop[3] = { NULL };
	size_t drop_n = 0;

	if (in->own)
		drop[drop_n++] = "certificate rsa";
	if (!*implicit)
		drop[drop_n++] = "listener submissions";

	const char *text =
	    rewrite(c, conf_sample(), changes, sizeof(changes) / sizeof(*changes), drop);

	if (!text)
		return cli_fail(c, EX_USAGE, "the addresses are too many for one file");

	/* What we write must be right. */
	struct text mistakes = text_over(cli_alloc(c, INI_MAX), INI_MAX);
	struct conf *conf = conf_parse(in->ini, slice_str(text), false, &mistakes);

	if (!conf)
		return cli_fail_lines(c, EX_USAGE, text_slice(&mistakes),
		    "the configuration would not be right; nothing was made (see byway init --help)");
	conf_unref(conf);
	if (!file_create(in->ini, slice_str(text), 0640))
		return errno == EEXIST
		    ? name_user(in)
		    : cli_fail(c, EX_CANTCREAT, "cannot make %s: %s", in->ini, strerror(errno));
	note(in, true, in->ini);
	return give_away(in, in->ini, 0);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int
make_certificate(struct init *in, enum crypto_key kind, const char *crt, const char *private_key)
{
	struct cli *c = in->cli;
	struct slice names[] = { slice_str(in->name), SLICE("localhost"), SLICE("127.0.0.1"),
		SLICE("::1") };
	struct text key = text_over(cli_alloc(c, PEM_MAX), PEM_MAX);
	struct text chain = text_over(cli_alloc(c, PEM_MAX), PEM_MAX);
	int status = EX_OK;

	if (in->own)
		return EX_OK;
	/* A certificate without its key, or the reverse, is the operator's to settle. */
	if (access(crt, F_OK) == 0 || access(private_key, F_OK) == 0) {
		if (access(crt, F_OK) != 0 || access(private_key, F_OK) != 0)
			return cli_fail(c, EX_CANTCREAT,
			    "there is only one of %s and %s: they belong together; move it away or complete it",
			    crt, private_key);
		note(in, false, crt);
		return keep(in, private_key);
	}
	if (!crypto_self_signed(kind, names, sizeof(names) / sizeof(*names), CERTIFICATE_DAYS, &key,
	        &chain))
		return cli_fail(c, EX_SOFTWARE, "the certificate could not be made");
	if (!file_create(private_key, text_slice(&key), 0600))
		status =
		    cli_fail(c, EX_CANTCREAT, "cannot make %s: %s", private_key, strerror(errno));
	else if (!file_create(crt, text_slice(&chain), 0644))
		status = cli_fail(c, EX_CANTCREAT, "cannot make %s: %s", crt, strerror(errno));
	crypto_wipe(key.mem, PEM_MAX);
	if (status != EX_OK)
		return status;
	note(in, true, crt);
	note(in, true, private_key);
	return give_away(in, private_key, in->uid);
}

static int
make_vault(struct init *in)
{
	struct text why = text_over(cli_alloc(in->cli, 1024), 1024);

	if (access(in->vault, F_OK) == 0)
		return keep(in, in->vault);
	if (!vault_create(in->vault, &why))
		return cli_fail(in->cli, EX_CANTCREAT, "%s", why.mem);
	note(in, true, in->vault);
	return give_away(in, in->vault, in->uid);
}

/* ---- the directory --------------------------------------------------------------------------- */

static int
make_database(struct init *in)
{
	struct text why = text_over(cli_alloc(in->cli, 1024), 1024);
	bool there = access(in->database, F_OK) == 0;
	struct admin *admin = admin_open(in->database, true, NULL, &why);
	static const char *const parts[] = { "", "-wal", "-shm" };

	if (!admin)
		return cli_fail(in->cli, EX_CANTCREAT, "%s", why.mem);
	admin_close(admin);
	for (size_t i = 0; i < 3; i++) {
		const char *path = cli_print(in->cli, "%s%s", in->database, parts[i]);
		bool mend = access(path, F_OK) == 0 && (!there || !user_can(in, path, READ));
		int status = mend ? give_away(in, path, in->uid) : EX_OK;

		if (status == EX_OK && mend)
			status = open_to_group(in, path, 0660);
		if (status != EX_OK)
			return status;
	}
	return note(in, !there, in->database);
}

/* ---- all together ---------------------------------------------------------------------------- */

static const char *
host_name(struct cli *c)
{
	char name[256] = "";
	struct addrinfo hints = { .ai_flags = AI_CANONNAME }, *list = NULL;
	const char *full = NULL;

	if (gethostname(name, sizeof(name) - 1) != 0 || !*name)
		return "localhost";
	if (!strchr(name, '.') && getaddrinfo(name, NULL, &hints, &list) == 0 && list->ai_canonname)
		full = cli_dup(c, slice_str(list->ai_canonname));
	if (list)
		freeaddrinfo(list);
	return full && strchr(full, '.') ? full : cli_dup(c, slice_str(name));
}

/* The daemon's user is taken only where it exists, so that the first start does not fail. */
static int
find_user(struct init *in)
{
	const char *name = cli_value(in->cli, "user");
	const struct passwd *pw = getpwnam(name ? name : "byway");

	if (!pw && name)
		return cli_fail(in->cli, EX_NOUSER, "there is no user %s on this machine", name);
	if (!pw || (geteuid() != 0 && !name))
		return EX_OK;
	in->user = name ? name : "byway";
	in->uid = pw->pw_uid;
	in->gid = pw->pw_gid;
	return EX_OK;
}

static void
print_list(struct json *j, const char *key, const char *const *list, size_t n)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++)
		json_str(j, NULL, slice_str(list[i]));
	json_close(j, ']');
}

static void
say_done(struct init *in)
{
	struct cli *c = in->cli;
	const char *option =
	    strcmp(in->ini, "/etc/byway/byway.ini") == 0 ? "" : cli_print(c, " -c %s", in->ini);

	if (c->json) {
		struct json j = json_begin();

		json_open(&j, NULL, '{');
		json_str(&j, "config", slice_str(in->ini));
		json_str(&j, "name", slice_str(in->name));
		print_list(&j, "made", in->made, in->made_n);
		print_list(&j, "kept", in->kept, in->kept_n);
		json_close(&j, '}');
		json_end(&j);
		return;
	}
	for (size_t i = 0; i < in->made_n; i++)
		printf("made  %s\n", in->made[i]);
	for (size_t i = 0; i < in->kept_n; i++)
		printf("kept  %s (it was there)\n", in->kept[i]);
	printf(
	    "\nNext:\n"
	    "  byway%s account add acme --plan pro --owner-verified yes\n"
	    "  byway%s domain add acme.example --account acme\n"
	    "  byway%s mailbox add alice@acme.example --generate\n"
	    "  byway%s config check\n"
	    "  bywayd%s\n"
	    "Native mail needs an [mta NAME] in %s; or give the account a provider of its own:\n"
	    "  byway%s profile add acme/provider --host smtp.provider.example --username LOGIN\n"
	    "  byway%s route set acme provider\n"
	    "An account sends under the names of its own domains only; under any name but those of other\n"
	    "accounts:\n"
	    "  byway%s account set acme --senders any\n",
	    option, option, option, option, option, in->ini, option, option, option);
	if (!in->user && geteuid() == 0)
		printf(
		    "There is no user byway here, and bywayd does not run as root unasked: say `user = root` in\n"
		    "%s, or make that user (systemd-sysusers) and run byway init again.\n",
		    in->ini);
	printf("Keep a copy of %s: without it no stored credential can be opened.\n", in->vault);
}

/* The operator's own certificate, or ours. */
static int
choose_certificate(struct init *in)
{
	struct cli *c = in->cli;
	const char *chain = cli_value(c, "certificate"), *key = cli_value(c, "certificate-key");

	if (!chain != !key)
		return cli_usage(c, "--certificate and --certificate-key belong together");
	in->own = chain != NULL;
	in->chain = chain ? absolute(c, chain) : cli_print(c, "%s/relay.crt", in->dir);
	in->key = key ? absolute(c, key) : cli_print(c, "%s/relay.key", in->dir);
	if (in->own && (access(in->chain, R_OK) != 0 || access(in->key, R_OK) != 0))
		return cli_fail(c, EX_NOINPUT, "cannot read %s: %s",
		    access(in->chain, R_OK) != 0 ? in->chain : in->key, strerror(errno));
	if (in->own && !user_can(in, in->key, READ))
		cli_note(c, "%s must be able to read %s, or reloads fail", in->user, in->key);
	return EX_OK;
}

int
cmd_init(struct cli *c)
{
	struct init in = { .cli = c, .dir = cli_value(c, "dir") };
	bool elsewhere = in.dir != NULL;
	bool made = false;
	int status = find_user(&in);

	in.dir = in.dir ? in.dir : "/etc/byway";
	in.state = cli_value(c, "state") ? cli_value(c, "state")
	    : elsewhere                  ? in.dir
	                                 : "/var/lib/byway";
	in.name = cli_value(c, "name") ? cli_value(c, "name") : host_name(c);
	if (status != EX_OK)
		return status;
	if (!crypto_init())
		return cli_fail(c, EX_SOFTWARE, "the cryptographic library did not start");
	in.dir = absolute(c, in.dir);
	in.state = absolute(c, in.state);
	status = choose_certificate(&in);
	if (status != EX_OK)
		return status;
	status = make_folder(&in, in.dir, 0750, &made);
	if (status == EX_OK)
		status = make_state(&in, made);
	/* What is the daemon's whole is open to it. */
	if (status == EX_OK && strcmp(in.dir, in.state) != 0)
		status = open_folder(&in, in.dir, made);
	if (status != EX_OK)
		return status;
	in.ini = cli_print(c, "%s/byway.ini", in.dir);
	in.rsa_chain = cli_print(c, "%s/relay-rsa.crt", in.dir);
	in.rsa_key = cli_print(c, "%s/relay-rsa.key", in.dir);
	in.vault = cli_print(c, "%s/vault.key", in.dir);
	in.database = cli_print(c, "%s/directory.db", in.state);
	status = make_ini(&in);
	if (status == EX_OK)
		status = make_certificate(&in, CRYPTO_ECDSA, in.chain, in.key);
	/* For devices that know TLS 1.2 and RSA alone (BEHAVIOUR P7). */
	if (status == EX_OK)
		status = make_certificate(&in, CRYPTO_RSA, in.rsa_chain, in.rsa_key);
	if (status == EX_OK)
		status = make_vault(&in);
	if (status == EX_OK)
		status = make_database(&in);
	if (status == EX_OK)
		say_done(&in);
	return status;
}
