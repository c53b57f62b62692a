/* SPDX-License-Identifier: MIT */
/* `deploy secrets edit`: the encrypted secrets file in the user's editor. */
#include "internal.h"

#include "secrets/dotenv.h"
#include "secrets/sealed.h"
#include "util/fs.h"
#include "util/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct edit_options {
	bool common;
};

static const struct cli_option edit_options[] = {
	{"common", 0, CLI_FLAG, offsetof(struct edit_options, common), NULL,
		"edit the file that all destinations share", 0, 0, 0},
	{NULL, 0, CLI_FLAG, 0, NULL, NULL, 0, 0, 0},
};

static const char first_text[] =
	"# NAME=value, one a line; see deploy-secrets(1). What is saved is encrypted.\n";

struct edit {
	struct cli *cli;
	char *path; /* the encrypted file */
	char *dir;  /* that it is in */
	struct secret *key;
	struct str sealed;     /* the file as it was */
	struct secret *before; /* what was in it */
	struct secret *after;
	char *temporary; /* folder */
	char *file;      /* in it */
};

/* -- The file and its key -- */

static const char *shown(const struct edit *e, const char *path)
{
	const char *root = e->cli->config->root;
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

static int make_key(struct edit *e, struct error *err)
{
	CLEANUP_FREE char *key = fs_join(e->dir, SEALED_KEY_FILE);
	CLEANUP_FREE char *line = xasprintf("/%s", shown(e, key));
	CLEANUP_FREE char *all = xasprintf("/%s/secrets*", shown(e, e->dir));
	CLEANUP_FREE char *not_sealed = xasprintf("!/%s/secrets*.enc", shown(e, e->dir));
	const char *const lines[] = {all, not_sealed, line, NULL};
	bool changed = false;

	if (fs_mkdirs(e->dir, 0755, err) < 0 || sealed_key_make(e->dir, err) < 0 ||
		gitignore_add(e->cli->config->root, lines, &changed, err) < 0) {
		return -1;
	}
	ui_warn(e->cli->ui, NULL,
		"made the key '%s': whoever is to deploy needs it, and without it nobody can read "
		"the secrets. Give it on by a safe way, never by git%s",
		shown(e, key), changed ? " (.gitignore names it now)" : "");
	return 0;
}

static int open_key(struct edit *e, struct error *err)
{
	e->key = sealed_key(e->dir, err);
	if (e->key == NULL && err->sys == ENOENT && !fs_exists(e->path)) {
		*err = (struct error){0};
		if (make_key(e, err) == 0) {
			e->key = sealed_key(e->dir, err);
		}
	}
	return e->key != NULL ? 0 : -1;
}

static int open_file(struct edit *e, struct error *err)
{
	if (!fs_exists(e->path)) {
		e->before = secret_new(first_text, strlen(first_text));
		return 0;
	}
	if (fs_read(e->path, &e->sealed, err) < 0) {
		return -1;
	}
	if (!sealed_is(str_c(&e->sealed), e->sealed.len)) {
		return error_set(err, ERROR_MANIFEST, "'%s' is not encrypted", shown(e, e->path));
	}
	e->before = sealed_open(shown(e, e->path), e->sealed.p, e->sealed.len, e->key, err);
	return e->before != NULL ? 0 : -1;
}

/* -- The clear text: in memory where there is such a folder, and of nobody else -- */

static int write_clear(struct edit *e, struct error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *tmp = getenv("TMPDIR");
	const char *dir = runtime != NULL && access(runtime, W_OK) == 0 ? runtime
			  : access("/dev/shm", W_OK) == 0               ? "/dev/shm"
			  : tmp != NULL                                 ? tmp
									: "/tmp";

	e->temporary = xasprintf("%s/deploy-secrets-XXXXXX", dir);
	if (mkdtemp(e->temporary) == NULL) { /* mode 0700 */
		free(e->temporary);
		e->temporary = NULL;
		return error_sys(err, ERROR_INTERNAL, errno, "make a folder in '%s'", dir);
	}
	e->file = fs_join(e->temporary, "secrets.env");
	CLEANUP_FD int fd = open(e->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, secret_reveal(e->before), secret_len(e->before)) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "write '%s'", e->file);
	}
	return 0;
}

/* Zeroes over what a file has, then removes it. */
static void wipe(int dir, const char *name)
{
	static const char zeroes[4096];
	CLEANUP_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		for (off_t at = 0; at < st.st_size; at += (off_t)sizeof(zeroes)) {
			(void)!pwrite(fd, zeroes, sizeof(zeroes), at);
		}
		(void)fsync(fd);
	}
	unlinkat(dir, name, 0);
}

/* The file, and what the editor left beside it. */
static void remove_clear(struct edit *e)
{
	DIR *dir = e->temporary != NULL ? opendir(e->temporary) : NULL;

	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;) {
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0) {
			wipe(dirfd(dir), d->d_name);
		}
	}
	if (dir != NULL) {
		closedir(dir);
		if (rmdir(e->temporary) < 0) {
			ui_warn(e->cli->ui, NULL, "'%s' could not be removed: %s", e->temporary,
				strerror(errno));
		}
	}
}

/* As git does it: the variable may have arguments, and is the user's own. */
static int run_editor(struct edit *e, struct error *err)
{
	const char *visual = getenv("VISUAL");
	const char *editor = visual != NULL ? visual : getenv("EDITOR");
	CLEANUP_FREE char *script = xasprintf("%s \"$@\"", editor != NULL ? editor : "vi");
	struct proc_request req = {
		.argv = (const char *const[]){"sh", "-c", script, "editor", e->file, NULL},
		.terminal = true,
		.inherit = true,
	};
	struct proc_result result = {0};

	ui_pause(e->cli->ui);
	int rc = proc_run(&req, NULL, NULL, &result, err);
	ui_resume(e->cli->ui);
	if (rc == 0 && result.status != 0) {
		error_set(err, ERROR_USAGE, "the editor ended with status %d", result.status);
		rc = error_hint(err, "nothing was changed; $EDITOR says which one is used");
	}
	return rc;
}

/* What was saved, when it is right. */
static int read_clear(struct edit *e, struct error *err)
{
	CLEANUP_STR struct str text = STR_SECRET_INIT(DOTENV_MAX_FILE);

	if (fs_read(e->file, &text, err) < 0) {
		return -1;
	}
	secret_unref(e->after);
	e->after = secret_new(text.p, text.len);
	struct dotenv *d = dotenv_new();
	int rc = dotenv_parse(d, shown(e, e->path), str_c(&text), text.len, err);
	dotenv_free(d);
	return rc;
}

static int edit(struct edit *e, struct error *err)
{
	if (write_clear(e, err) < 0) {
		return -1;
	}
	for (;;) {
		if (run_editor(e, err) < 0) {
			return -1;
		}
		if (read_clear(e, err) == 0) {
			return 0;
		}
		struct error no = {0};
		if (e->cli->globals.assume_yes || !isatty(STDIN_FILENO)) {
			return error_hint(err, "nothing was changed");
		}
		ui_error(e->cli->ui, err);
		if (ui_confirm(e->cli->ui, &no, "edit it again?") < 0) {
			return error_hint(err, "nothing was changed");
		}
		*err = (struct error){0};
	}
}

static int save(struct edit *e, struct error *err)
{
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	CLEANUP_STR struct str now = STR_INIT(STR_MAX_FILE);

	if (secret_len(e->after) == secret_len(e->before) &&
		memcmp(secret_reveal(e->after), secret_reveal(e->before), secret_len(e->after)) ==
			0) {
		ui_info(e->cli->ui, NULL, "nothing was changed");
		return 0;
	}
	if (fs_exists(e->path) && fs_read(e->path, &now, err) < 0) {
		return -1;
	}
	if (strcmp(str_c(&now), str_c(&e->sealed)) != 0) {
		return error_set(err, ERROR_USAGE,
			"'%s' was changed by somebody else meanwhile, and is left as it is",
			shown(e, e->path));
	}
	if (sealed_make(e->after, e->key, &text, err) < 0 ||
		fs_write_atomic(e->path, text.p, text.len, 0644, err) < 0) {
		return -1;
	}
	ui_info(e->cli->ui, NULL, "wrote %s", shown(e, e->path));
	return 0;
}

static int run_secrets_edit(struct cli *cli, struct error *err)
{
	const struct edit_options *o = cli->options;
	const struct config *config = cli->config;
	struct edit e = {.cli = cli, .sealed = STR_INIT(STR_MAX_FILE)};

	e.path = xasprintf("%s.enc", o->common ? config->secrets_common : config->secrets_wanted);
	e.dir = xstrndup(e.path, (size_t)(strrchr(e.path, '/') - e.path));
	int status = open_key(&e, err);
	if (status == 0) {
		status = open_file(&e, err);
	}
	if (status == 0) {
		status = edit(&e, err);
	}
	remove_clear(&e);
	if (status == 0) {
		status = save(&e, err);
	}
	secret_unref(e.key);
	secret_unref(e.before);
	secret_unref(e.after);
	str_fini(&e.sealed);
	free(e.temporary);
	free(e.file);
	free(e.path);
	free(e.dir);
	return status;
}

const struct command command_secrets_edit = {
	.group = "secrets",
	.name = "edit",
	.arguments = "",
	.summary = "edit the encrypted secrets file",
	.description =
		"Opens .deploy/secrets.enc, or that of the destination, in $EDITOR. The file\n"
		"can be committed. Its key is in $DEPLOY_SECRETS_KEY, else in the file\n"
		".deploy/secrets.key, which the first edit makes; it must not be committed.",
	.options = edit_options,
	.options_size = sizeof(struct edit_options),
	.needs = CLI_NEEDS_MANIFEST,
	.run = run_secrets_edit,
};
