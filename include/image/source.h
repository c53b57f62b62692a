/* SPDX-License-Identifier: MIT */
/*
 * The git side of a push, by libgit2 (no git program is run): which commit a version is, what to
 * say about it, and whether the work tree differs from it.
 *
 * A `struct git_source` belongs to one thread at a time (libgit2 objects are not thread-safe);
 * several may be open on one repository.  Works in bare repositories, in worktrees, on a detached
 * head.
 */
#pragma once

#include "util/error.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

#define SOURCE_VERSION_DIGITS 10 /* of the commit's hexadecimal name */
#define SOURCE_DIRTY_NAMES    5  /* names kept by source_dirty() */

struct git_source;

struct source_commit {
	char version[SOURCE_VERSION_DIGITS + 1]; /* first digits of `id` */
	char id[65];                             /* hexadecimal */
	char subject[256];                       /* first line, UTF-8, cut */
	char author[128];                        /* "Name <mail>", cut */
	int64_t time;                            /* committer time, seconds since 1970 */
};
VEC_TYPE(source_commits, struct source_commit);

struct source_state {
	size_t modified;     /* tracked files that differ from HEAD, staged or not */
	size_t untracked;    /* not ignored */
	struct strvec names; /* the first SOURCE_DIRTY_NAMES of them; owned */
};

/*
 * Finds the repository that holds `dir` (upwards; `dir` may be a bare repository).  Errors:
 * ERROR_USAGE with err->sys ENOENT when there is none; ERROR_MANIFEST with a hint when git would
 * refuse it for its owner (safe.directory).
 */
ERROR_CHECKED struct git_source *source_open(const char *dir, struct error *err);
void source_close(struct git_source *s);

/* Folder of the work tree without a slash at the end; of a bare repository its git folder. */
const char *source_root(const struct git_source *s);
bool source_is_bare(const struct git_source *s);
/* Git's own folder, absolute: ".git", or the bare repository. Borrowed. */
const char *source_git_dir(const struct git_source *s);
/* The folder of its hooks, absolute: core.hooksPath counts. The caller frees. */
char *source_hooks_dir(struct git_source *s);
/* The full name of what the branch `name` points to, into id; ERROR_USAGE when there is none. */
ERROR_CHECKED int source_branch_head(
	struct git_source *s, const char *name, char id[65], struct error *err);
/* Writes the files of a commit that one of `patterns` (NULL-terminated, as git's pathspecs) means
 * below `dir`, which is there. */
ERROR_CHECKED int source_extract(struct git_source *s, const char *commit,
	const char *const *patterns, const char *dir, struct error *err);

/* A file of a commit, by its path in the repository, appended to `out`: 1, or 0 where there is
 * none, or one that is too large for `out`. */
int source_read(struct git_source *s, const char *commit, const char *path, struct str *out);

/*
 * What `name` (branch, tag, full or short commit; NULL: HEAD) means.  ERROR_USAGE with err->sys
 * ENOENT when it names no commit: a version that is just a name.
 */
ERROR_CHECKED int source_resolve(
	struct git_source *s, const char *name, struct source_commit *out, struct error *err);

/*
 * The present branch.  On a detached head the CI's word counts (CI_COMMIT_REF_NAME of GitLab,
 * GITHUB_HEAD_REF and GITHUB_REF_NAME of GitHub); "" when there is none.  The caller frees.
 */
char *source_branch(struct git_source *s);

/* Location of `origin`, else of the only remote, without user name or password; NULL: none. */
char *source_remote_url(struct git_source *s);

/* How the work tree differs from HEAD; nothing in a bare repository. */
ERROR_CHECKED int source_dirty(struct git_source *s, struct source_state *out, struct error *err);
void source_state_fini(struct source_state *state);

/*
 * Commits that are in `to` and not in `from` (names as in source_resolve), newest first, at most
 * `max`; *more: there are further ones.  The other way round when from is ahead of to: call it
 * with the two exchanged.
 */
ERROR_CHECKED int source_log(struct git_source *s, const char *from, const char *to, size_t max,
	struct source_commits *out, bool *more, struct error *err);
