/* SPDX-License-Identifier: MIT */
/*
 * The image on the builder and its layers' data, for the transfer strategies.
 *
 * A layer's bytes come from the cache, or from one pass over the builder's save stream, which a
 * thread of the image_source reads into the cache while uploads already follow behind it.  Every
 * pass keeps just what somebody asked for; what is asked for later gets a pass of its own.  A
 * layer's digest is checked at its last byte: a wrong one fails its readers before they have handed
 * the end of the tar (or of the blob) to a daemon, and daemons check digests themselves.
 *
 * One lock, `lock`, guards all that changes after image_source_open(); nothing is called under it
 * that blocks on the network.
 */
#pragma once

#include "cache.h"
#include "docker/image.h"
#include "image/save.h"
#include "image/transfer.h"

#include <pthread.h>

enum layer_state {
	LAYER_ABSENT,
	LAYER_WANTED,   /* the next pass is to bring it */
	LAYER_ARRIVING, /* `have` of `size` bytes are in the file */
	LAYER_READY
};

struct layer {
	const char *diff_id; /* in the image's list */
	enum layer_state state;
	int64_t size; /* -1: not known yet */
	uint64_t have;
	int fd;      /* of its file while ARRIVING or READY, else -1 */
	size_t same; /* index of the first layer with this diff ID: its data */
	bool asked;  /* was wanted when the pass began */
};

VEC_TYPE(fd_vec, int);

struct image_source {
	struct docker *docker;
	char *builder_host;
	struct ui *ui;
	struct docker_image image; /* as the builder says */
	struct strvec tags;
	struct cache cache;
	struct layer *layers;
	size_t n;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct str config; /* bytes; empty until known */
	char config_digest[IMAGE_ID_SIZE];
	bool sizes_wanted; /* the next pass is to see all sizes */
	bool config_wanted;
	bool running;  /* a pass is under way or about to begin */
	bool joinable; /* `thread` was started and not joined */
	bool stop;
	bool guess;          /* may tell layers by predicted names */
	struct error failed; /* of the last pass */
	pthread_t thread;
	struct fd_vec old_fds; /* a reader may still use them: closed at the end */

	/* Registry: once published. */
	pthread_mutex_t publish_lock;
	bool published;
	char *pull_reference; /* "name@sha256:..." */
};

/* What an upload needs. */
struct origin_need {
	const bool *layers; /* n flags; NULL: none */
	bool config;
	bool sizes; /* of all layers */
};
/*
 * Begins to bring it and returns when the configuration and sizes, where wanted, are known; layers
 * are waited for by the calls below.
 */
ERROR_CHECKED int origin_want(
	struct image_source *s, const struct origin_need *need, struct error *err);

/* The next layer of `need->layers` not in `done` that has begun to arrive. *index: n when none. */
ERROR_CHECKED int origin_next(struct image_source *s, const bool *wanted, const bool *done,
	size_t *index, struct error *err);
/* Waits until the layer has begun to arrive: its size is known then. */
ERROR_CHECKED int origin_wait_layer(struct image_source *s, size_t index, struct error *err);
/* Its bytes from `offset`: more than 0, 0 at its verified end, -1. */
ssize_t origin_read(struct image_source *s, size_t index, uint64_t offset, void *buf, size_t n,
	struct error *err);

/* After a daemon refused data: throws cached layers out whose digest is wrong. */
void origin_recheck(struct image_source *s);

/* One pass over the builder's save stream (origin_fetch.c). Called on the thread, unlocked. */
ERROR_CHECKED int origin_fetch(struct image_source *s, struct error *err);

/* How many layers, from the lowest on, the list has in common with the image's. */
size_t origin_common(const struct image_source *s, const struct strvec *layers);
