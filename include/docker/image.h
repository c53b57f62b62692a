/* SPDX-License-Identifier: MIT */
/* Docker: images. */
#pragma once

#include "docker/client.h"

struct docker_image {
	char *id;              /* "sha256:..." (with a containerd store: the manifest's digest) */
	struct strvec tags;    /* "reportify:3f2a1c": as Docker shows them, also from podman */
	struct strvec digests; /* "name@sha256:..." */
	struct strvec layers;  /* diff IDs, lowest first */
	char *architecture, *variant, *os; /* "amd64", "v8" or "", "linux" */
	char *created;
	int64_t size; /* bytes, as the daemon counts them */
	/* its Config */
	char *user, *workdir;
	struct strvec cmd, entrypoint, env;
	struct strvec exposed_ports; /* "80/tcp" */
	struct strmap labels;
	bool has_healthcheck; /* HEALTHCHECK other than NONE */
	char *stop_signal;
};
/* reference: name, name:tag, name@digest or ID. -1 with status 404 when there is none. */
ERROR_CHECKED int docker_image_inspect(
	struct docker *d, const char *reference, struct docker_image *out, struct error *err);
void docker_image_fini(struct docker_image *i);

struct docker_image_entry {
	char *id;
	struct strvec tags, digests;
	struct strmap labels;
	int64_t size, created; /* bytes; seconds since 1970 */
};
VEC_TYPE(docker_image_list, struct docker_image_entry);
/* filters: label, reference, dangling, before, since. */
ERROR_CHECKED int docker_image_list(struct docker *d, const struct docker_filters *filters,
	struct docker_image_list *out, struct error *err);
void docker_image_list_fini(struct docker_image_list *l);

struct docker_image_layer { /* of its history, newest first */
	char *id;           /* "<missing>" for most */
	char *created_by;
	int64_t size, created;
	struct strvec tags;
};
VEC_TYPE(docker_image_history, struct docker_image_layer);
ERROR_CHECKED int docker_image_history(struct docker *d, const char *reference,
	struct docker_image_history *out, struct error *err);
void docker_image_history_fini(struct docker_image_history *h);

/* target "name" or "name:tag". */
ERROR_CHECKED int docker_image_tag(
	struct docker *d, const char *reference, const char *target, struct error *err);
/* force: also when several tags point at the ID; noprune: keep untagged parents. */
ERROR_CHECKED int docker_image_remove(
	struct docker *d, const char *reference, bool force, bool noprune, struct error *err);
/* filters: dangling, until, label. *reclaimed (may be NULL) in bytes. */
ERROR_CHECKED int docker_image_prune(struct docker *d, const struct docker_filters *filters,
	int64_t *reclaimed, struct error *err);

/* auth, platform ("linux/arm64") and progress may be NULL. A missing tag means "latest". A registry
 * at 127.0.0.1 may speak plain HTTP. */
ERROR_CHECKED int docker_image_pull(struct docker *d, const char *reference, const char *platform,
	const struct docker_auth *auth, docker_progress_fn *progress, void *ctx, struct error *err);
/* *digest (may be NULL): "sha256:..." of what the registry has now; the caller's. */
ERROR_CHECKED int docker_image_push(struct docker *d, const char *reference,
	const struct docker_auth *auth, docker_progress_fn *progress, void *ctx, char **digest,
	struct error *err);

/* A docker-save tar (or OCI layout where the daemon knows it). Answers are read while it is sent;
 * "Loaded image" lines come by progress->stream. */
ERROR_CHECKED int docker_image_load(struct docker *d, const struct http_source *tar,
	docker_progress_fn *progress, void *ctx, struct error *err);
/* An image with one layer out of a root file system's tar (POST /images/create?fromSrc=-).
 * changes: Dockerfile lines ("CMD [...]"), or NULL. */
ERROR_CHECKED int docker_image_import(struct docker *d, const struct http_source *tar,
	const char *reference, const struct strvec *changes, struct error *err);

/* The docker-save tar of the references, as a stream; NULL on failure. Read in large pieces. */
struct docker_stream *docker_image_save(
	struct docker *d, const struct strvec *references, struct error *err);

/* Leftovers of builds. *reclaimed (may be NULL) in bytes. */
ERROR_CHECKED int docker_build_prune(
	struct docker *d, int64_t keep_bytes, int64_t *reclaimed, struct error *err);
