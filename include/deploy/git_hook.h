/* SPDX-License-Identifier: MIT */
/*
 * Git hooks that push: `deploy hook install` writes a small script that calls `deploy hook run`,
 * which sees in what git tells it whether the branch is the one that is deployed, and becomes
 * `deploy push --version COMMIT`.
 *
 *	pre-push      before git sends the branch; a failed push of ours ends git's too
 *	post-commit   after a commit on the branch
 *	post-receive  in a repository that is pushed to, also a bare one
 *
 * A hook that is there already is kept beside ("pre-push.before-deploy") and runs first, with the
 * same arguments and input; uninstalling gives it back.  See githooks(5).
 */
#pragma once

#include "ui/ui.h"
#include "util/error.h"
#include "util/vec.h"

#include <stdbool.h>

enum git_hook_kind { GIT_HOOK_PRE_PUSH, GIT_HOOK_POST_COMMIT, GIT_HOOK_POST_RECEIVE };
#define GIT_HOOKS 3
const char *git_hook_name(enum git_hook_kind kind); /* "pre-push", ... */
/* The kind of this name: 0; ERROR_USAGE with a hint. */
ERROR_CHECKED int git_hook_find(const char *name, enum git_hook_kind *out, struct error *err);

struct git_hook {
	enum git_hook_kind kind;
	char *branch;      /* "main" */
	char *destination; /* or NULL */
	char *config_file; /* relative to the repository's root, or absolute; or NULL */
	char *path;        /* of the script */
	bool chained;      /* another one is kept beside, and runs first */
};
VEC_TYPE(git_hooks, struct git_hook);
void git_hook_fini(struct git_hook *h);
void git_hooks_fini(struct git_hooks *hooks);

/*
 * In the repository that holds the working folder.  Of `h` are read: kind, branch (NULL: the
 * present one), destination, config_file.  Installing again replaces the settings.  *out tells
 * what is there now; git_hook_fini() it.
 */
ERROR_CHECKED int git_hook_install(
	const struct git_hook *h, struct git_hook *out, struct error *err);
/* *was: there was one of ours.  ERROR_USAGE when there is another's. */
ERROR_CHECKED int git_hook_uninstall(enum git_hook_kind kind, bool *was, struct error *err);
/* Those of ours. */
ERROR_CHECKED int git_hook_list(struct git_hooks *out, struct error *err);

/*
 * What the script calls, with git's arguments; reads git's words from stdin.  When there is
 * something to deploy it does not return: this process becomes `deploy push`.  Else 0, or -1 with
 * why git should not go on; a hook that was there before and failed gives its status in *status.
 *
 * In a bare repository the manifest and what belongs to it (config/, .deploy/, .kamal/) are taken
 * from the commit into <repository>/deploy/work; the secrets files lie in <repository>/deploy/ and
 * are put beside.  One run at a time: the next waits, and gives up when a later commit is there.
 */
ERROR_CHECKED int git_hook_run(enum git_hook_kind kind, const char *const *args, struct ui *ui,
	int *status, struct error *err);
