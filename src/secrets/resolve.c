/* SPDX-License-Identifier: MIT */
/* Entries to values, and files to entries. */
#include "secrets/dotenv.h"

#include "internal.h"
#include "secrets/sealed.h"
#include "util/fs.h"
#include "util/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMAND_TIMEOUT_MS 300000 /* somebody may have to type a password */
#define MAX_DEPTH          100    /* entries that refer to earlier entries, in a chain */
#define MAX_TEXT           ((size_t)8 << 20)

struct dotenv *dotenv_new(void)
{
	struct dotenv *d = xcalloc(1, sizeof(*d));

	d->text = (struct str)STR_SECRET_INIT(MAX_TEXT);
	str_addc(&d->text, '\0');
	return d;
}

void dotenv_free(struct dotenv *d)
{
	if (d == NULL) {
		return;
	}
	VEC_FOREACH (&d->entries, i) {
		struct entry *e = &d->entries.p[i];
		free(e->name);
		vec_fini(&e->parts);
		secret_unref(e->value);
	}
	vec_fini(&d->entries);
	strvec_fini(&d->files);
	strvec_fini(&d->names);
	str_fini(&d->text);
	free(d);
}

bool dotenv_has(const struct dotenv *d, const char *name)
{
	return strvec_has(&d->names, name);
}

const char *dotenv_name(const struct dotenv *d, size_t i)
{
	return i < d->names.len ? d->names.p[i] : NULL;
}

const char *dotenv_file_of(const struct dotenv *d, const char *name)
{
	const struct entry *e = dotenv_find_(d, name, d->entries.len);

	return e != NULL ? e->file : NULL;
}

/* redis://db:6379/0: where something is, and no secret, without a login or options. A webhook's is.
 */
static bool is_place(const char *text)
{
	return strstr(text, "://") != NULL && strncmp(text, "http", 4) != 0 &&
	       strpbrk(text, "@?\n") == NULL;
}

/* A value that stands in the file itself, as opposed to a reference. */
static bool is_literal(const struct dotenv *d, const struct entry *e)
{
	return e->parts.len == 1 && e->parts.p[0].kind == PART_LITERAL &&
	       !is_place(d->text.p + e->parts.p[0].text);
}

static int check_mode(const struct dotenv *d, const char *path, size_t first, mode_t mode,
	bool sealed, struct error *err)
{
	const struct entry *literal = NULL;

	for (size_t i = first; !sealed && i < d->entries.len && literal == NULL; i++) {
		literal = is_literal(d, &d->entries.p[i]) ? &d->entries.p[i] : NULL;
	}
	if ((mode & 022) != 0) {
		error_set(err, ERROR_MANIFEST, "%s:1: other users can write this file (mode %04o)",
			path, (unsigned)mode & 07777);
	} else if ((mode & 044) != 0 && literal != NULL) {
		error_set(err, ERROR_MANIFEST,
			"%s:%u: '%s' is in clear and other users can read this file (mode %04o)",
			path, literal->line, literal->name, (unsigned)mode & 07777);
	} else {
		return 0;
	}
	return error_hint(err, "chmod 600 %s", path);
}

/* Adds what is in a sealed file. */
static int parse_sealed(
	struct dotenv *d, const char *path, const struct str *text, struct error *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *dir =
		slash != NULL ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	struct secret *key = sealed_key(dir, err);
	struct secret *plain = key != NULL ? sealed_open(path, text->p, text->len, key, err) : NULL;
	int rc = plain != NULL ? dotenv_parse(d, path, secret_reveal(plain), secret_len(plain), err)
			       : -1;

	if (key == NULL) {
		err->sys = 0; /* it is not this file that is missing */
	}
	secret_unref(key);
	secret_unref(plain);
	return rc;
}

int dotenv_load(struct dotenv *d, const char *path, struct error *err)
{
	/* O_NONBLOCK: a FIFO is refused, not waited for. */
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_STR struct str text = STR_SECRET_INIT(2 * DOTENV_MAX_FILE); /* sealed */
	struct stat st;
	size_t first = d->entries.len;

	if (fd < 0 || fstat(fd, &st) < 0) {
		return error_sys(err, ERROR_MANIFEST, errno, "open '%s'", path);
	}
	if (!S_ISREG(st.st_mode)) {
		return error_set(err, ERROR_MANIFEST, "'%s' is not a regular file", path);
	}
	if (fd_read_all(fd, &text) < 0) {
		return errno == EFBIG ? error_set(err, ERROR_MANIFEST,
						"'%s' is larger than %zu bytes", path, text.max)
				      : error_sys(err, ERROR_MANIFEST, errno, "read '%s'", path);
	}
	bool sealed = sealed_is(str_c(&text), text.len);
	int rc = sealed ? parse_sealed(d, path, &text, err)
			: dotenv_parse(d, path, str_c(&text), text.len, err);
	return rc < 0 ? -1 : check_mode(d, path, first, st.st_mode, sealed, err);
}

int dotenv_load_env_file(struct dotenv *d, const char *path, const char *name, struct error *err)
{
	d->prefix = name;
	int rc = dotenv_load(d, path, err);
	d->prefix = NULL;
	return rc;
}

int dotenv_load_default(
	struct dotenv *d, const char *root, const char *destination, struct error *err)
{
	root = str_eq(root, ".") ? "" : root; /* for shorter names in messages */
	CLEANUP_FREE char *deploy = fs_join(root, ".deploy");
	CLEANUP_FREE char *kamal = fs_join(root, ".kamal");
	const char *dir = fs_exists(deploy) ? deploy : kamal;

	if (destination != NULL && strchr(destination, '/') != NULL) {
		return error_set(err, ERROR_USAGE, "destination '%s' has a '/'", destination);
	}
	CLEANUP_FREE char *common = fs_join(dir, "secrets-common");
	CLEANUP_FREE char *own = xasprintf("%s/secrets%s%s", dir, destination != NULL ? "." : "",
		destination != NULL ? destination : "");
	const char *const paths[] = {common, own};
	for (size_t i = 0; i < 2; i++) {
		struct error e = {0};
		if (dotenv_load(d, paths[i], &e) < 0) {
			if (e.sys == ENOENT) {
				continue;
			}
			*err = e;
			return -1;
		}
	}
	return 0;
}

static int run_command(const struct dotenv_source *source, const char *command,
	const char *const *env, struct str *out, struct error *err)
{
	struct proc_result result = {0};
	CLEANUP_STR struct str errout = STR_INIT(STR_MAX_LINE);
	struct proc_request req = {
		.argv = (const char *const[]){"sh", "-c", command, NULL},
		.env = env,
		.dir = source->dir,
		.timeout_ms = COMMAND_TIMEOUT_MS,
		.terminal = true,
	};

	if (proc_run(&req, out, &errout, &result, err) < 0) {
		return -1;
	}
	if (result.status == 0 && !out->overflow) {
		return 0;
	}
	if (out->overflow) {
		error_set(err, ERROR_MANIFEST, "the command wrote more than %zu bytes", out->max);
	} else if (result.timed_out) {
		error_set(err, ERROR_MANIFEST, "the command did not end within %d s",
			COMMAND_TIMEOUT_MS / 1000);
	} else {
		error_set(err, ERROR_MANIFEST, "the command ended with status %d", result.status);
	}
	if (result.status == 127 && strstr(command, "kamal secrets") != NULL) {
		error_hint(err, "'kamal secrets' is answered here when it stands alone in $(...)");
	}
	err->status = result.status;
	return error_detail(err, str_c(&errout), errout.len);
}

struct resolver {
	struct dotenv *d;
	struct dotenv_source source;
	int depth;
	struct error *err;
};

static int resolve_entry(struct resolver *r, struct entry *e);

static size_t index_of(const struct resolver *r, const struct entry *e)
{
	return (size_t)(e - r->d->entries.p);
}

/* What `name` means to the entry: one of its own env file, else of the files before. */
static struct entry *earlier_of(const struct resolver *r, const struct entry *e, const char *name)
{
	CLEANUP_FREE char *own = xasprintf("%.*s%s", (int)e->prefix, e->name, name);
	struct entry *found = dotenv_find_(r->d, own, index_of(r, e));

	return found != NULL || e->prefix == 0 ? found : dotenv_find_(r->d, name, index_of(r, e));
}

static int fail_at(struct resolver *r, const struct entry *e, const struct part *part)
{
	return error_wrap(r->err, "%s:%u: secret '%s'", e->file, part->line, e->name);
}

/* A variable that the entry uses: the nearest earlier entry, else the environment's. */
static int look_up(struct resolver *r, const struct entry *e, const char *name,
	const char *otherwise, struct str *out)
{
	struct entry *earlier = earlier_of(r, e, name);

	if (earlier != NULL) {
		if (resolve_entry(r, earlier) < 0) {
			return -1;
		}
		str_addn(out, secret_reveal(earlier->value), secret_len(earlier->value));
		return 0;
	}
	const char *found =
		r->source.variable != NULL ? r->source.variable(r->source.ctx, name) : getenv(name);
	if (otherwise != NULL && (found == NULL || found[0] == '\0')) {
		found = otherwise;
	}
	if (found == NULL) {
		error_set(r->err, ERROR_MANIFEST, "variable '%s' is not set", name);
		return error_hint(r->err,
			"set %s in the environment, or write ${%s:-} where it may be empty", name,
			name);
	}
	str_add(out, found);
	return 0;
}

static int variable(struct resolver *r, struct entry *e, const struct part *part, struct str *out)
{
	const char *text = r->d->text.p;
	const char *otherwise = part->otherwise != 0 ? text + part->otherwise : NULL;
	const struct entry *earlier = earlier_of(r, e, text + part->text);

	if (look_up(r, e, text + part->text, otherwise, out) == 0) {
		return 0;
	}
	return earlier != NULL ? -1 : fail_at(r, e, part);
}

/* "NAME=value" for each earlier entry that the command names; wiped by the caller. */
static int command_env(struct resolver *r, struct entry *e, const char *command, struct strvec *env)
{
	const char *end = command + strlen(command);
	CLEANUP_STRVEC struct strvec seen = {0};

	for (const char *p = strchr(command, '$'); p != NULL; p = strchr(p + 1, '$')) {
		const char *begin = p[1] == '{' ? p + 2 : p + 1;
		CLEANUP_FREE char *name = xstrndup(begin, dotenv_name_len_(begin, end));
		struct entry *earlier = earlier_of(r, e, name);
		if (earlier == NULL || strvec_has(&seen, name)) {
			continue;
		}
		if (resolve_entry(r, earlier) < 0) {
			return -1;
		}
		strvec_push(&seen, name);
		strvec_pushf(env, "%s=%s", name, secret_reveal(earlier->value));
	}
	return 0;
}

/* By the shell, or by what stands for it. */
static int run_it(struct resolver *r, struct entry *e, const struct part *part, struct str *answer)
{
	struct strvec env = {0};
	const char *text = r->d->text.p + part->text;

	int rc = command_env(r, e, text, &env);
	if (rc == 0) {
		vec_push(&env, NULL);
		const char *const *envp = (const char *const *)env.p;
		rc = r->source.run != NULL
			     ? r->source.run(r->source.ctx, text, envp, answer, r->err)
			     : run_command(&r->source, text, envp, answer, r->err);
		if (rc < 0) {
			fail_at(r, e, part);
		}
	}
	VEC_FOREACH (&env, i) {
		if (env.p[i] != NULL) {
			explicit_bzero(env.p[i], strlen(env.p[i]));
		}
	}
	strvec_fini(&env);
	return rc;
}

struct inline_user {
	struct resolver *r;
	const struct entry *e;
};

static int inline_variable(
	void *ctx, const char *name, const char *otherwise, struct str *out, struct error *err)
{
	const struct inline_user *user = ctx;

	(void)err; /* the resolver's own */
	return look_up(user->r, user->e, name, otherwise, out);
}

static int run_inline(
	struct resolver *r, const struct entry *e, const struct part *part, struct str *answer)
{
	struct inline_user user = {.r = r, .e = e};
	struct inline_source source = {
		.variable = inline_variable,
		.ctx = &user,
		.fetch = r->source.fetch,
		.fetch_ctx = r->source.ctx,
		.dir = r->source.dir,
	};

	return inline_run_(r->d->text.p + part->text, &source, answer, r->err) == 0
		       ? 0
		       : fail_at(r, e, part);
}

static int command(struct resolver *r, struct entry *e, const struct part *part, struct str *out)
{
	CLEANUP_STR struct str answer = STR_SECRET_INIT(DOTENV_MAX_VALUE);
	bool ours = inline_is_ours_(r->d->text.p + part->text);

	if ((ours ? run_inline(r, e, part, &answer) : run_it(r, e, part, &answer)) < 0) {
		return -1;
	}
	while (answer.len > 0 &&
		(answer.p[answer.len - 1] == '\n' || answer.p[answer.len - 1] == '\r')) {
		answer.len--;
	}
	if (answer.len > 0 && memchr(answer.p, '\0', answer.len) != NULL) {
		error_set(r->err, ERROR_MANIFEST, "the command wrote a NUL byte");
		return fail_at(r, e, part);
	}
	str_addn(out, answer.p, answer.len);
	return 0;
}

static int resolve_parts(struct resolver *r, struct entry *e, struct str *out)
{
	VEC_FOREACH (&e->parts, i) {
		const struct part *part = &e->parts.p[i];
		int rc = 0;
		switch (part->kind) {
		case PART_LITERAL:
			str_addn(out, r->d->text.p + part->text, part->len);
			break;
		case PART_VARIABLE:
			rc = variable(r, e, part, out);
			break;
		case PART_COMMAND:
			rc = command(r, e, part, out);
			break;
		}
		if (rc < 0) {
			return -1;
		}
		if (out->overflow) {
			error_set(r->err, ERROR_MANIFEST, "larger than %zu bytes", out->max);
			return fail_at(r, e, part);
		}
	}
	return 0;
}

static int resolve_entry(struct resolver *r, struct entry *e)
{
	CLEANUP_STR struct str out = STR_SECRET_INIT(DOTENV_MAX_VALUE);

	if (e->value != NULL) {
		return 0;
	}
	if (++r->depth > MAX_DEPTH) {
		return error_set(r->err, ERROR_MANIFEST,
			"%s:%u: secret '%s': more than %d references deep", e->file, e->line,
			e->name, MAX_DEPTH);
	}
	int rc = resolve_parts(r, e, &out);
	r->depth--;
	if (rc == 0) {
		e->value = secret_new(str_c(&out), out.len);
	}
	return rc;
}

static void not_there(const struct dotenv *d, const char *name, struct error *err)
{
	CLEANUP_STR struct str where = STR_INIT(400);

	VEC_FOREACH (&d->files, i) {
		str_addf(&where, "%s%s", i > 0 ? " and " : "", d->files.p[i]);
	}
	if (d->files.len == 0) {
		error_set(err, ERROR_MANIFEST, "secret '%s': there is no secrets file", name);
		error_hint(err, "put %s=... into .deploy/secrets (chmod 600)", name);
	} else {
		error_set(err, ERROR_MANIFEST, "secret '%s' is not in %s", name, str_c(&where));
	}
}

struct secret *dotenv_resolve(
	struct dotenv *d, const char *name, const struct dotenv_source *source, struct error *err)
{
	struct resolver r = {.d = d, .err = err};
	struct entry *e = dotenv_find_(d, name, d->entries.len);

	if (source != NULL) {
		r.source = *source;
	}
	if (e == NULL) {
		not_there(d, name, err);
		return NULL;
	}
	return resolve_entry(&r, e) < 0 ? NULL : secret_ref(e->value);
}
