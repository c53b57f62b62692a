/* SPDX-License-Identifier: MIT */
/* Installing git hooks; what they do when git calls them is in git_hook_run.c. */
#include "git_hook_script.h"

#include "util/fs.h"
#include "util/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK "# deploy-hook "

static const char *const names[GIT_HOOKS] = {
	[GIT_HOOK_PRE_PUSH] = "pre-push",
	[GIT_HOOK_POST_COMMIT] = "post-commit",
	[GIT_HOOK_POST_RECEIVE] = "post-receive",
};

const char *git_hook_name(enum git_hook_kind kind)
{
	return names[kind];
}

int git_hook_find(const char *name, enum git_hook_kind *out, struct error *err)
{
	for (size_t i = 0; i < GIT_HOOKS; i++) {
		if (str_eq(names[i], name)) {
			*out = (enum git_hook_kind)i;
			return 0;
		}
	}
	error_set(err, ERROR_USAGE, "there is no git hook '%s' that could push", name);
	return error_hint(err, "pre-push, post-commit or post-receive");
}

void git_hook_fini(struct git_hook *h)
{
	free(h->branch);
	free(h->destination);
	free(h->config_file);
	free(h->path);
	*h = (struct git_hook){0};
}

void git_hooks_fini(struct git_hooks *hooks)
{
	VEC_FOREACH (hooks, i) {
		git_hook_fini(&hooks->p[i]);
	}
	vec_fini(hooks);
}

char *git_hook_kept(const char *path)
{
	return xasprintf("%s.before-deploy", path);
}

int git_hook_read(struct git_source *repo, enum git_hook_kind kind, struct git_hook *out,
	bool *ours, struct error *err)
{
	CLEANUP_FREE char *dir = source_hooks_dir(repo);
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	const char *mark;

	*out = (struct git_hook){.kind = kind, .path = fs_join(dir, names[kind])};
	*ours = false;
	if (!fs_exists(out->path)) {
		return 0;
	}
	if (fs_read(out->path, &text, err) < 0) {
		return -1;
	}
	CLEANUP_FREE char *kept = git_hook_kept(out->path);
	mark = strstr(str_c(&text), "\n" MARK);
	json_t *settings = mark ? json_loadb(mark + 1 + strlen(MARK),
					  strcspn(mark + 1 + strlen(MARK), "\n"), 0, NULL)
				: NULL;
	if (settings) {
		*ours = true;
		out->branch = xstrdup(json_str_at(settings, "branch", ""));
		out->destination = xstrdup(json_str_at(settings, "destination", NULL));
		out->config_file = xstrdup(json_str_at(settings, "config_file", NULL));
		out->chained = fs_exists(kept);
		json_decref(settings);
	}
	return 0;
}

/* In single quotes for sh. */
static void add_quoted(struct str *out, const char *text)
{
	str_addc(out, '\'');
	for (; *text; text++) {
		str_addf(out, *text == '\'' ? "'\\''" : "%c", *text);
	}
	str_addc(out, '\'');
}

static void script(const struct git_hook *h, struct str *out)
{
	char self[PATH_MAX] = "deploy";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	json_t *settings = json_pack("{s:s, s:s*, s:s*}", "branch", h->branch, "destination",
		h->destination, "config_file", h->config_file);
	CLEANUP_FREE char *line = json_dumps(settings, JSON_COMPACT);

	json_decref(settings);
	self[n > 0 ? (size_t)n : strlen(self)] = '\0';
	str_addf(out,
		"#!/bin/sh\n" MARK "%s\n"
		"# Made by 'deploy hook install'; 'deploy hook uninstall' takes it away, and "
		"gives\n"
		"# back what was here before.\n"
		"deploy=",
		line);
	add_quoted(out, self);
	str_addf(out,
		"\n[ -x \"$deploy\" ] || deploy=deploy\n"
		"exec \"$deploy\" hook run %s \"$@\"\n",
		names[h->kind]);
}

/* What is there and not ours stays, under another name; link and rename leave no moment without. */
static int keep_other(const char *path, struct error *err)
{
	CLEANUP_FREE char *kept = git_hook_kept(path);

	if (!fs_exists(path)) {
		return 0;
	}
	if (linkat(AT_FDCWD, path, AT_FDCWD, kept, 0) < 0) {
		error_sys(err, ERROR_USAGE, errno, "keep the hook that is there as '%s'", kept);
		return errno == EEXIST ? error_hint(err, "look at both, and remove one") : -1;
	}
	return 0;
}

static struct git_source *open_here(struct error *err)
{
	struct git_source *repo = source_open(".", err);
	if (!repo && err->sys == ENOENT) {
		(void)error_hint(err, "hooks belong to a git repository: go into it");
	}
	return repo;
}

static int install(
	struct git_source *repo, const struct git_hook *h, struct git_hook *out, struct error *err)
{
	CLEANUP_FREE char *dir = source_hooks_dir(repo);
	CLEANUP_FREE char *branch = h->branch ? xstrdup(h->branch) : source_branch(repo);
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);
	struct git_hook there = {0};
	bool ours = false;

	if (!*branch) {
		return error_set(
			err, ERROR_USAGE, "no branch is checked out: name it with --branch");
	}
	if (git_hook_read(repo, h->kind, &there, &ours, err) < 0 || fs_mkdirs(dir, 0777, err) < 0 ||
		(!ours && keep_other(there.path, err) < 0)) {
		git_hook_fini(&there);
		return -1;
	}
	struct git_hook now = *h;
	now.branch = branch;
	script(&now, &text);
	int rc = fs_write_atomic(there.path, str_c(&text), text.len, 0755, err);
	git_hook_fini(&there);
	return rc < 0 ? -1 : git_hook_read(repo, h->kind, out, &ours, err);
}

int git_hook_install(const struct git_hook *h, struct git_hook *out, struct error *err)
{
	struct git_source *repo = open_here(err);
	int rc = repo ? install(repo, h, out, err) : -1;
	source_close(repo);
	return rc;
}

static int uninstall(struct git_source *repo, enum git_hook_kind kind, bool *was, struct error *err)
{
	struct git_hook there = {0};
	int rc = git_hook_read(repo, kind, &there, was, err);
	CLEANUP_FREE char *path = xstrdup(there.path);
	CLEANUP_FREE char *kept = git_hook_kept(path);
	bool exists = rc == 0 && fs_exists(path);

	git_hook_fini(&there);
	if (rc < 0 || !exists) {
		return rc;
	}
	if (!*was) {
		return error_set(err, ERROR_USAGE, "'%s' was not made by deploy: it stays", path);
	}
	if (fs_exists(kept) ? rename(kept, path) < 0 : unlink(path) < 0) {
		return error_sys(err, ERROR_INTERNAL, errno, "take away '%s'", path);
	}
	return 0;
}

int git_hook_uninstall(enum git_hook_kind kind, bool *was, struct error *err)
{
	struct git_source *repo = open_here(err);
	int rc = repo ? uninstall(repo, kind, was, err) : -1;
	source_close(repo);
	return rc;
}

int git_hook_list(struct git_hooks *out, struct error *err)
{
	struct git_source *repo = open_here(err);
	int rc = repo ? 0 : -1;

	for (size_t i = 0; rc == 0 && i < GIT_HOOKS; i++) {
		struct git_hook h;
		bool ours = false;

		rc = git_hook_read(repo, (enum git_hook_kind)i, &h, &ours, err);
		if (ours) {
			vec_push(out, h);
		} else {
			git_hook_fini(&h);
		}
	}
	source_close(repo);
	return rc;
}
