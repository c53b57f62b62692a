/* SPDX-License-Identifier: MIT */
/* What a git hook does: finds the commit to deploy in git's words, and becomes `deploy push`. */
#include "git_hook_script.h"

#include "util/fs.h"
#include "util/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)64 << 20) /* a mirror may push a hundred thousand branches at once */

/* As `git rev-parse --local-env-vars` names them: git's own place is not that of what we run. */
static const char *const git_variables[] = {"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG",
	"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_OBJECT_DIRECTORY", "GIT_DIR",
	"GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE",
	"GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE",
	"GIT_COMMON_DIR", "GIT_QUARANTINE_PATH"};

/* What a bare repository needs of a commit beside the build's context. */
static const char *const deploy_files[] = {
	"deploy.yml", "deploy.*.yml", "config/*", ".deploy/*", ".kamal/*", NULL};

struct run {
	struct git_source *repo;
	struct git_hook hook;
	const char *const *args;
	struct str input;
	struct ui *ui;
	char commit[65]; /* to deploy, or "" */
};

static void show_line(void *ctx, bool is_err, const char *line)
{
	struct run *r = ctx;

	if (is_err) {
		ui_info(r->ui, NULL, "%s", line);
	} else {
		ui_print(r->ui, "%s", line);
	}
}

/* The hook that was there before us, as git would run it. */
static int run_kept(struct run *r, int *status, struct error *err)
{
	CLEANUP_FREE char *kept = git_hook_kept(r->hook.path);
	VEC_TYPE(words, const char *);
	struct words argv = {0};
	struct proc_result result = {0};

	if (!r->hook.chained || access(kept, X_OK) < 0) {
		return 0;
	}
	vec_push(&argv, kept);
	for (size_t i = 0; r->args[i]; i++) {
		vec_push(&argv, r->args[i]);
	}
	vec_push(&argv, NULL);
	struct proc_request req = {
		.argv = argv.p,
		.input = r->input.p,
		.input_len = r->input.len,
		.terminal = true,
		.on_line = show_line,
		.ctx = r,
	};
	int rc = proc_run(&req, NULL, NULL, &result, err);

	vec_fini(&argv);
	*status = result.status;
	return rc < 0 ? error_wrap(err, "hook '%s'", kept) : 0;
}

static bool all_zero(const char *id)
{
	return strspn(id, "0") == strlen(id);
}

static void take(struct run *r, const char *id)
{
	if (all_zero(id)) {
		ui_info(r->ui, NULL, "deploy: the branch '%s' was removed; nothing is deployed",
			r->hook.branch);
	} else if (strlen(id) < sizeof(r->commit)) {
		memcpy(r->commit, id, strlen(id) + 1);
	}
}

/* Cuts the text at *p behind its first word, which is given back; *p moves on. */
static char *next_word(char **p, const char *end)
{
	char *word = *p;
	size_t n = strcspn(word, end);

	*p = word + n + (word[n] != '\0');
	word[n] = '\0';
	return word;
}

/*
 * Lines of four or three words: pre-push has "local-ref local-id remote-ref remote-id",
 * post-receive "old-id new-id ref".
 */
static void read_updates(struct run *r)
{
	bool pre_push = r->hook.kind == GIT_HOOK_PRE_PUSH;
	CLEANUP_FREE char *wanted = xasprintf("refs/heads/%s", r->hook.branch);
	char *rest = r->input.p;

	while (*rest) {
		char *line = next_word(&rest, "\n");
		(void)next_word(&line, " ");
		const char *id = next_word(&line, " ");
		const char *ref = next_word(&line, " ");

		if (str_eq(ref, wanted)) {
			take(r, id);
		} else if (!pre_push && str_starts(ref, "refs/heads/")) {
			ui_info(r->ui, NULL, "deploy: '%s' is not deployed, only '%s' is", ref + 11,
				r->hook.branch);
		}
	}
}

static int find_commit(struct run *r, struct error *err)
{
	CLEANUP_FREE char *branch = NULL;

	if (r->hook.kind != GIT_HOOK_POST_COMMIT) {
		if (r->input.p) {
			read_updates(r);
		}
		return 0;
	}
	branch = source_branch(r->repo);
	return str_eq(branch, r->hook.branch)
		       ? source_branch_head(r->repo, r->hook.branch, r->commit, err)
		       : 0;
}

/*
 * One run at a time.  The lock's descriptor is inherited by what this process becomes.  1: a later
 * commit came while we waited; its own hook deploys it.
 */
static int take_turn(struct run *r, const char *dir, struct error *err)
{
	CLEANUP_FREE char *path = fs_join(dir, "lock");
	char head[65];
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "open '%s'", path);
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		ui_info(r->ui, NULL,
			"deploy: another commit is being deployed; waiting for its end");
		while (flock(fd, LOCK_EX) < 0 && errno == EINTR) {
		}
	}
	if (source_branch_head(r->repo, r->hook.branch, head, err) < 0) {
		close(fd);
		return -1;
	}
	if (!str_eq(head, r->commit)) {
		ui_info(r->ui, NULL,
			"deploy: a later commit of '%s' is there; this one is not deployed",
			r->hook.branch);
		close(fd);
		return 1;
	}
	return 0;
}

static void remove_tree_at(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) {
		return;
	}
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d) {
		return;
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
			remove_tree_at(dirfd(d), e->d_name);
		}
	}
	closedir(d);
	unlinkat(dir, name, AT_REMOVEDIR);
}

static int link_secret(const char *from, const char *to, struct error *err)
{
	if (unlink(to) < 0 && errno != ENOENT) {
		return error_sys(err, ERROR_INTERNAL, errno, "replace '%s'", to);
	}
	return symlink(from, to) == 0 ? 0 : error_sys(err, ERROR_INTERNAL, errno, "make '%s'", to);
}

/* The secrets files of <repository>/deploy, as links beside the commit's own. */
static int link_secrets(const char *dir, const char *work, struct error *err)
{
	CLEANUP_FREE char *folder = fs_join(work, ".deploy");
	DIR *d = opendir(dir);
	struct dirent *e;
	int rc = 0;

	if (!d) {
		return error_sys(err, ERROR_INTERNAL, errno, "open '%s'", dir);
	}
	while (rc == 0 && (e = readdir(d)) != NULL) {
		if (str_starts(e->d_name, "secrets")) {
			CLEANUP_FREE char *from = fs_join(dir, e->d_name);
			CLEANUP_FREE char *to = fs_join(folder, e->d_name);

			rc = fs_mkdirs(folder, 0700, err);
			rc = rc == 0 ? link_secret(from, to, err) : rc;
		}
	}
	closedir(d);
	return rc;
}

/* In a bare repository: the folder that stands for the work tree's root. */
static int make_work(struct run *r, const char *dir, const char *work, struct error *err)
{
	CLEANUP_FREE char *link = fs_join(work, ".git");
	CLEANUP_FREE char *text = xasprintf("gitdir: %s\n", source_git_dir(r->repo));

	remove_tree_at(AT_FDCWD, work);
	if (fs_mkdirs(work, 0700, err) < 0 ||
		source_extract(r->repo, r->commit, deploy_files, work, err) < 0 ||
		link_secrets(dir, work, err) < 0) {
		return -1;
	}
	return fs_write_atomic(link, text, strlen(text), 0600, err);
}

/* Whose release it is: with post-receive the pusher's commit says it better than the login. */
static void set_performer(struct run *r)
{
	struct source_commit commit;
	struct error ignored = {0};

	if (r->hook.kind == GIT_HOOK_POST_RECEIVE && !getenv("DEPLOY_PERFORMER") &&
		source_resolve(r->repo, r->commit, &commit, &ignored) == 0) {
		const char *mail = strchr(commit.author, '<');
		CLEANUP_FREE char *name =
			mail ? xstrndup(mail + 1, strcspn(mail + 1, ">")) : xstrdup(commit.author);
		setenv("DEPLOY_PERFORMER", name, 1);
	}
}

/* Comes back only when it failed. */
static int become_push(struct run *r, struct error *err)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *argv[12] = {"deploy", "push", "--version", r->commit, "--lock-wait"};
	size_t argc = 5;

	if (r->hook.destination) {
		argv[argc++] = "--destination";
		argv[argc++] = r->hook.destination;
	}
	if (r->hook.config_file) {
		argv[argc++] = "--config-file";
		argv[argc++] = r->hook.config_file;
	}
	for (size_t i = 0; i < sizeof(git_variables) / sizeof(git_variables[0]); i++) {
		unsetenv(git_variables[i]);
	}
	set_performer(r);
	self[n > 0 ? n : 0] = '\0';
	execv(self, (char *const *)(uintptr_t)argv);
	return error_sys(err, ERROR_INTERNAL, errno, "run '%s'", self);
}

static int deploy_commit(struct run *r, struct error *err)
{
	const char *root = source_root(r->repo);
	CLEANUP_FREE char *dir = fs_join(source_git_dir(r->repo), "deploy");
	CLEANUP_FREE char *work = fs_join(dir, "work");

	ui_info(r->ui, NULL, "deploy: deploying '%s' at %.10s", r->hook.branch, r->commit);
	if (r->hook.kind == GIT_HOOK_POST_RECEIVE) {
		int rc = fs_mkdirs(dir, 0700, err);
		rc = rc == 0 ? take_turn(r, dir, err) : rc;
		if (rc != 0) {
			return rc < 0 ? -1 : 0;
		}
	}
	if (source_is_bare(r->repo)) {
		if (make_work(r, dir, work, err) < 0) {
			return -1;
		}
		root = work;
	}
	if (chdir(root) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "go to '%s'", root);
	}
	return become_push(r, err);
}

static int run(struct run *r, enum git_hook_kind kind, int *status, struct error *err)
{
	bool ours = false;

	if (kind != GIT_HOOK_POST_COMMIT && fd_read_all(STDIN_FILENO, &r->input) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "read what git says");
	}
	if (git_hook_read(r->repo, kind, &r->hook, &ours, err) < 0) {
		return -1;
	}
	if (!ours) {
		return error_set(err, ERROR_USAGE, "the hook '%s' is not installed here",
			git_hook_name(kind));
	}
	if (run_kept(r, status, err) < 0) {
		return -1;
	}
	if (*status != 0 && kind == GIT_HOOK_PRE_PUSH) {
		return 0;
	}
	*status = 0;
	if (find_commit(r, err) < 0 || !*r->commit) {
		return err->kind == ERROR_NONE ? 0 : -1;
	}
	return deploy_commit(r, err);
}

int git_hook_run(enum git_hook_kind kind, const char *const *args, struct ui *ui, int *status,
	struct error *err)
{
	struct run r = {.args = args, .ui = ui, .input = STR_INIT(INPUT_MAX)};

	*status = 0;
	r.repo = source_open(".", err);
	int rc = r.repo ? run(&r, kind, status, err) : -1;
	git_hook_fini(&r.hook);
	str_fini(&r.input);
	source_close(r.repo);
	return rc;
}
