/* SPDX-License-Identifier: MIT */
/*
 * What is kept on this machine between runs, all of it content-addressed and disposable:
 *
 *	layers/<diff ID>	uncompressed layers, bounded, least recently used first out
 *	configs/<image ID>	the bytes of an image's configuration
 *	images/<image ID>	JSON {"layers": [diff IDs], "sizes": [bytes or -1]}: what an image
 *is made of, also of images that were only seen on servers
 *
 * Folders 0700, files 0600.  Several runs may use it at once: a file appears by rename, and one
 * that is open stays readable when it is thrown out.  Without a usable folder (read-only home)
 * layers go to unnamed files in $TMPDIR.
 */
#pragma once

#include "util/error.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

struct cache {
	char *dir; /* NULL: not usable */
	uint64_t max;
};

/* Never fails: an unusable folder turns it off. */
void cache_init(struct cache *c, const char *dir, uint64_t max);
void cache_fini(struct cache *c);

/* A descriptor of the layer and its size; -1 when it is not there. Counts as use. */
int cache_open_layer(const struct cache *c, const char *diff_id, uint64_t *size);
void cache_drop_layer(const struct cache *c, const char *diff_id);

/* A file to write a layer into: open for reading and writing. */
struct cache_file {
	int fd;
	char *path; /* temporary name; NULL: unnamed */
};
ERROR_CHECKED int cache_create(const struct cache *c, struct cache_file *f, struct error *err);
/* It is whole and was verified: gives it its name. f->fd stays open and is the caller's. */
void cache_commit(const struct cache *c, struct cache_file *f, const char *diff_id);
/* Closes and removes one that is not wanted. Zero-initialised or fresh ones are fine. */
void cache_discard(struct cache_file *f);

bool cache_read_config(const struct cache *c, const char *image_id, struct str *out);
void cache_write_config(const struct cache *c, const char *image_id, const void *bytes, size_t len);

struct cache_image {
	struct strvec layers;
	int64_t *sizes; /* as many; -1: not known */
};
bool cache_read_image(const struct cache *c, const char *image_id, struct cache_image *out);
void cache_write_image(const struct cache *c, const char *image_id, const struct strvec *layers,
	const int64_t *sizes /* or NULL */);
void cache_image_fini(struct cache_image *i);
