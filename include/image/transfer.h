/* SPDX-License-Identifier: MIT */
/*
 * Bringing an image from the builder to the servers, missing layers only.
 *
 * A `struct image_source` is the image on the builder, shared by the threads of all hosts: each
 * layer's data is read from the builder at most once, only when some host lacks it, and kept by
 * its diff ID under <cache>/layers (bounded, least recently used first out, files 0600).  What is
 * read is checked against its SHA-256 before a daemon may take it.
 */
#pragma once

#include "image/build.h"
#include "image/registry.h"
#include "ui/ui.h"
#include "util/error.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

#define IMAGE_CACHE_MAX_DEFAULT ((uint64_t)5 << 30)

struct docker;
struct docker_image_list;
struct docker_info;
struct host;
struct image_source;

enum image_strategy {
	IMAGE_TRANSFER_AUTO,
	IMAGE_TRANSFER_PRESENT, /* result only: it was there */
	IMAGE_TRANSFER_PARTIAL, /* docker-save-shaped tar without the present layers */
	IMAGE_TRANSFER_REVERSE, /* the server's daemon pulls from us through a reverse forward */
	IMAGE_TRANSFER_FULL,    /* whole image */
	IMAGE_TRANSFER_REGISTRY /* pushed once by image_source_publish(), pulled by the server */
};
const char *image_strategy_name(enum image_strategy s);
/* "auto", "partial", "reverse", "full", "registry": 0, else -1. */
int image_strategy_parse(const char *name, enum image_strategy *out);

struct image_source_request {
	struct docker *docker; /* the builder's; borrowed until image_source_free() */
	const char
		*builder_host; /* name of the server that is the builder, or NULL: this machine */
	struct ui *ui;
	const char *image;         /* name or ID on the builder */
	const struct strvec *tags; /* full names that it shall have on the hosts, at least one */
	const char *cache_dir;     /* NULL: fs_cache_dir() */
	uint64_t cache_max;        /* bytes of layers; 0: IMAGE_CACHE_MAX_DEFAULT */
};

/* One inspect on the builder. */
ERROR_CHECKED struct image_source *image_source_open(
	const struct image_source_request *req, struct error *err);
void image_source_free(struct image_source *s); /* after the last image_transfer() returned */

const char *image_source_id(const struct image_source *s);   /* on the builder */
const char *image_source_arch(const struct image_source *s); /* "amd64" */
size_t image_source_layers(const struct image_source *s);

/*
 * Pushes all tags from the builder to the registry (idempotent, thread-safe, done once). Afterwards
 * IMAGE_TRANSFER_REGISTRY can pull by digest.
 */
ERROR_CHECKED int image_source_publish(
	struct image_source *s, const struct registry_auth *auth, struct error *err);

/* What the observe step already knows about a host; every part may be missing. Borrowed. */
struct image_known {
	const struct docker_image_list
		*images;                /* GET /images/json without filter; NULL: not asked */
	const struct docker_info *info; /* GET /info; NULL: not asked */
};

struct image_transfer_request {
	struct host *host;
	enum image_strategy strategy;     /* forced, or AUTO */
	const struct image_known *known;  /* NULL: asked here */
	const struct registry_auth *auth; /* REGISTRY; AUTO uses the registry when published */
};

struct image_transfer_result {
	enum image_strategy used;
	char image_id[IMAGE_ID_SIZE]; /* on that host: may differ from the builder's */
	uint64_t bytes_sent;          /* by us to this host (0 with REGISTRY) */
	uint64_t bytes_total;         /* what the whole image would have been, where known */
	size_t layers_sent, layers_total;
	int64_t ms;
};

/*
 * Brings it there and verifies it (image ID or config digest, number of layers), tagged with all
 * tags.  Called by one thread per host, many at once.  A way that fails gives way to the next
 * (told with ui_debug) unless it was forced.  Errors: ERROR_REMOTE; ERROR_MANIFEST when the image
 * is of another architecture than the host; ERROR_INTERRUPTED.
 *
 * Round trips on a ready host with known->images and known->info: load and verify; one more to ask
 * for them; none but tagging when it is there.
 */
ERROR_CHECKED int image_transfer(struct image_source *s, const struct image_transfer_request *req,
	struct image_transfer_result *result, struct error *err);
