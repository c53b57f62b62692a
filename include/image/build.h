/* SPDX-License-Identifier: MIT */
/*
 * Building and tagging an image through the Engine API: BuildKit where the daemon has it, else the
 * classic builder.
 *
 * The image gets the labels `service`, `deploy.service`, `deploy.version`, `deploy.commit` and
 * `deploy.build` (a digest of all that the build depends on: commit, Dockerfile, arguments, target,
 * platform, names of secrets).  A build from a git tree is skipped when the builder has the tag
 * `<image>:<version>` with the same deploy.commit and deploy.build.
 */
#pragma once

#include "image/context.h"
#include "image/registry.h"
#include "manifest/config.h"
#include "secrets/secret.h"
#include "ui/ui.h"
#include "util/error.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_ID_SIZE 80 /* "sha256:" and 64 digits */

struct docker;

enum image_builder {
	IMAGE_BUILDER_AUTO, /* BuildKit when the daemon offers it or a build secret needs it */
	IMAGE_BUILDER_CLASSIC,
	IMAGE_BUILDER_BUILDKIT
};

struct image_build_request {
	struct docker *docker;    /* the builder's; borrowed */
	const char *builder_host; /* name for messages; NULL: this machine */
	struct ui *ui;
	const struct config_builder *builder;
	const char *root;          /* config->root */
	struct git_source *source; /* NULL with CONFIG_CONTEXT_DIR and no repository */
	const char *service;
	const char *image;                /* name without tag */
	const char *version;              /* tag */
	const char *commit;               /* hexadecimal id, or NULL */
	const char *branch;               /* for {branch}; may be "" or NULL */
	const char *arch;                 /* the servers' ("amd64"), or NULL: the builder's own */
	const struct secret_map *secrets; /* values of builder->secrets; may be NULL without */
	const struct registry_auth *auth; /* the manifest's registry; may be NULL */
	enum image_builder use;           /* tests force one */
	bool force;                       /* build even when the image is there already */
};

struct image_build_result {
	char id[IMAGE_ID_SIZE]; /* on the builder */
	struct strvec tags;     /* "<image>:<version>" first, then builder->tags, full names */
	enum image_builder used;
	bool reused; /* was there already, nothing was built */
	int64_t ms;
	uint64_t context_bytes;
};

/*
 * Builds, streams what the builder says to ui (source "build"), tags.  Errors: ERROR_REMOTE with
 * the failing step in the text and its last lines in the detail; ERROR_MANIFEST for build secrets
 * without BuildKit, a missing Dockerfile, a tag that is none.  Cancelling closes the connection,
 * which stops the build.
 */
ERROR_CHECKED int image_build(const struct image_build_request *req,
	struct image_build_result *result, struct error *err);
void image_build_result_fini(struct image_build_result *result);

/*
 * Is `<image>:<version>` of the same commit and build there?  0 and result->reused told; the
 * first look of image_build(), for `plan` and `push --skip-build` (which ignores the digest:
 * any_build).
 */
ERROR_CHECKED int image_find_built(const struct image_build_request *req, bool any_build,
	struct image_build_result *result, struct error *err);

/* Digest in the label deploy.build. The caller frees. */
char *image_build_digest(const struct image_build_request *req);

/*
 * "{branch}-{sha}" -> "main-3f2a1c0b9d": characters that a tag cannot have become '-', at most 128.
 * NULL when nothing is left, or for an unknown {word} (*err ERROR_MANIFEST). The caller frees.
 */
char *image_tag_expand(const char *pattern, const char *version, const char *commit,
	const char *branch, struct error *err);
