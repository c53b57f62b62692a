/* SPDX-License-Identifier: MIT */
/* What the files of this folder share. */
#pragma once

#include "image/context.h"
#include "image/source.h"
#include "util/error.h"
#include "util/str.h"
#include "util/vec.h"

#include <git2.h>
#include <sys/types.h>

struct git_source {
	git_repository *repo;
	char *root;
};

/* The last libgit2 error's message. */
const char *git_why(void);

/*
 * Go's filepath.Clean for '/': no ".", no "//", ".." only in front. `out` has room for
 * strlen(path) + 2 bytes; "" becomes ".".
 */
void path_clean(const char *path, char *out);

/* -- Where a context's files come from: a git tree or a folder -- */

struct tree_entry {
	char *name; /* one path component */
	mode_t mode;
	git_oid id; /* git only */
};
VEC_TYPE(tree_entries, struct tree_entry);

struct tree_file {
	mode_t mode;
	int64_t mtime; /* seconds since 1970 */
	uint64_t size;
	char *link;     /* symlink's target, owned, or NULL */
	git_blob *blob; /* content in memory, owned, or NULL: */
	int fd;         /* read it from here, owned; -1: none */
};

struct tree_ops {
	void *(*open)(const struct context_request *req, struct error *err);
	/* Appends the folder's entries ("" is the root), sorted by name. */
	int (*list)(void *t, const char *folder, struct tree_entries *out, struct error *err);
	int (*open_file)(void *t, const char *path, const struct tree_entry *e,
		struct tree_file *out, struct error *err);
	/* Appends a file of the context: 0; 1 when there is none; -1. */
	int (*read)(void *t, const char *path, struct str *out, struct error *err);
	/*
	 * Looks for the Dockerfile: 0 when it is inside of the context, 1 when it is outside (its
	 * content is appended to `out`), -1 when there is none.
	 */
	int (*dockerfile)(void *t, const char *path, struct str *out, struct error *err);
	void (*free)(void *t);
};
extern const struct tree_ops context_git, context_dir;

#define CONTEXT_FILE_MAX ((size_t)1 << 20) /* bytes of a Dockerfile or .dockerignore */
