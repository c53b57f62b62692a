/* SPDX-License-Identifier: MIT */
/*
 * Reads the tar of `GET /images/x/get` as a stream: the docker-save form of Docker up to 24
 * (manifest.json, <id>/layer.tar) and the OCI layout of Docker 25 and newer (blobs/sha256/<hex>),
 * whose blobs may be compressed (gzip, zstd) when they come from a containerd store.
 *
 * The tar is not trusted: nothing is written by its names, only regular files are looked at,
 * names and sizes are bounded, and digests are computed here.
 */
#pragma once

#include "util/error.h"
#include "util/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SAVE_MAX_NAME    1024
#define SAVE_MAX_ENTRIES 20000
#define SAVE_MAX_JSON    ((size_t)4 << 20) /* of a manifest or configuration */

struct save_sink {
	void *ctx;
	/* A regular file begins; false: its content is not wanted. size: as in the tar. */
	bool (*begin)(void *ctx, const char *name, uint64_t size);
	/* Its content, decompressed where it is compressed. -1 with *err ends it all. */
	int (*data)(void *ctx, const void *data, size_t len, struct error *err);
	/*
	 * It is over. digest: 64 hexadecimal digits of the (decompressed) content; size likewise.
	 * 1: enough, stop reading; 0: go on; -1.
	 */
	int (*end)(
		void *ctx, const char *name, const char *digest, uint64_t size, struct error *err);
};

/* Up to n bytes; 0 at the end; -1 with *err. */
typedef ssize_t save_read_fn(void *ctx, void *buf, size_t n, struct error *err);

ERROR_CHECKED int save_read(
	save_read_fn *read, void *read_ctx, const struct save_sink *sink, struct error *err);

/*
 * Pure: the names that Docker up to 24 gives the folders of an image's layers but the last
 * ("v1 IDs": the SHA-256 of a small JSON text about the chain of layers below; moby
 * image/v1/imagev1.go CreateID).  out[i] for i < n - 1; 65 bytes each.
 */
void save_v1_ids(const char *const diff_ids[], size_t n, char (*out)[65]);

/* Pure: the configuration's name that manifest.json gives; NULL. The caller frees. */
char *save_config_name(const char *manifest, size_t len);
