/* SPDX-License-Identifier: MIT */
/* The version of a push, and its image: where it is built and how it is found again. */
#pragma once

#include "image/build.h"
#include "image/registry.h"
#include "internal.h"

/* What is being deployed. */
struct version {
	char *version; /* tag */
	char *commit;  /* or NULL */
	char *subject; /* or NULL */
	char *branch;  /* or NULL */
};
/* Resolves --version or HEAD; tells when the work tree has changes that will not be deployed. */
ERROR_CHECKED int version_resolve(struct deployment *d, struct version *v, struct error *err);
void version_fini(struct version *v);

struct builder {
	struct deployment *d;
	const struct version *version;
	struct host *host;         /* whose Docker builds */
	struct ssh_fabric *fabric; /* of a builder.remote */
	struct registry_auth auth; /* of the manifest's registry */
	struct image_build_result result;
};
/* Connects to the builder (this machine's Docker, or builder.remote). */
ERROR_CHECKED int builder_open(
	struct builder *b, struct deployment *d, const struct version *version, struct error *err);
void builder_fini(struct builder *b);
/* Builds, or finds what is built; with skip: only finds. 1: not there, though the registry may have
 * it (skip only). */
ERROR_CHECKED int builder_build(struct builder *b, bool skip, struct error *err);
/* Stops a build that runs in another thread. */
void builder_abort(struct builder *b);
