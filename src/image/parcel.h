/* SPDX-License-Identifier: MIT */
/* The forms in which an image is handed to a daemon: manifests, and the tar for POST /images/load.
 */
#pragma once

#include "origin.h"

/*
 * A registry's manifest whose layers are uncompressed: their digests are the diff IDs.  oci: media
 * types of OCI, else of Docker's schema 2.  Configuration and all sizes must be known
 * (origin_want).  The caller frees; digest gets "sha256:...".
 */
#define MANIFEST_DOCKER "application/vnd.docker.distribution.manifest.v2+json"
#define MANIFEST_OCI    "application/vnd.oci.image.manifest.v1+json"
char *parcel_manifest(struct image_source *s, bool oci, char digest[IMAGE_ID_SIZE]);

/* "app:1" -> "docker.io/library/app:1"; names with a registry as they are. The caller frees. */
char *parcel_full_name(const char *name);

/*
 * A docker-save-shaped tar with the layers of `include` only, pulled by parcel_read(); layers go
 * out in the order in which they arrive.  whole: all layers; then the OCI layout's index stands
 * beside manifest.json, for containerd stores.
 */
struct parcel {
	struct image_source *s;
	const char *host;
	bool *include, *done;
	bool whole;
	struct str pending;
	size_t at; /* index of the layer being sent; n: none */
	uint64_t offset;
	bool ended;
	uint64_t sent, total; /* total 0: not known */
};
/* include: s->n flags, copied. */
void parcel_init(struct parcel *p, struct image_source *s, const char *host, const bool *include);
void parcel_fini(struct parcel *p);
/* For struct http_source; ctx is the parcel. */
ssize_t parcel_read(void *ctx, void *buf, size_t n, struct error *err);
