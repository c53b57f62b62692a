/* SPDX-License-Identifier: MIT */
/*
 * A build context as a tar stream that is read by pulling.
 *
 * CONFIG_CONTEXT_GIT takes the tree of a commit: no checkout, nothing of the work tree; owner 0:0,
 * modes 0644/0755 and symlinks as git has them, every time stamp the commit's time, so that the
 * same commit gives the same bytes.  CONFIG_CONTEXT_DIR takes a folder as it lies there, untracked
 * files too, and never follows a symlink out of it.  Both leave out what `.dockerignore` names (see
 * image/dockerignore.h; `<Dockerfile>.dockerignore` is preferred), but never the Dockerfile.
 *
 * A Dockerfile outside of the context folder is sent as `.dockerfile.<random>`, as docker does.
 * Submodules and Git LFS pointers in the tree are refused by name: their content is not in it.
 */
#pragma once

#include "image/source.h"
#include "manifest/config.h"
#include "util/error.h"

#include <stdint.h>
#include <sys/types.h>

struct context;

struct context_request {
	enum config_build_context kind;
	const char *root;       /* folder that relative paths of DIR are under (config->root) */
	const char *path;       /* DIR: folder; GIT: sub-folder of the tree, "" or NULL: its root */
	const char *dockerfile; /* relative to the context; NULL: "Dockerfile" */
	struct git_source *source; /* GIT only; borrowed until context_free() */
	const char *commit;        /* GIT only: hexadecimal id */
};

ERROR_CHECKED struct context *context_open(const struct context_request *req, struct error *err);
void context_free(struct context *c);

/* The Dockerfile's name inside of the tar. */
const char *context_dockerfile(const struct context *c);

/* Up to `len` next bytes of the tar; 0 at its end, -1 on error. */
ssize_t context_read(struct context *c, void *buf, size_t len, struct error *err);

/* Written so far. */
uint64_t context_bytes(const struct context *c);
size_t context_files(const struct context *c);
