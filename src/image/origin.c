/* SPDX-License-Identifier: MIT */
#include "origin.h"

#include "util/cancel.h"
#include "util/digest.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_SLICE_MS 100 /* how often a wait looks for cancellation */
#define MAX_LAYERS    512 /* Docker's own limit is 127 */

/* What a daemon says is no more than text: these become names of files and parts of requests. */
static bool is_image(const struct docker_image *image)
{
	if (!digest_is_sha256(image->id) || image->layers.len > MAX_LAYERS) {
		return false;
	}
	VEC_FOREACH (&image->layers, i) {
		if (!digest_is_sha256(image->layers.p[i])) {
			return false;
		}
	}
	return true;
}

static void init_layers(struct image_source *s)
{
	s->n = s->image.layers.len;
	s->layers = xcalloc(s->n ? s->n : 1, sizeof(*s->layers));
	for (size_t i = 0; i < s->n; i++) {
		struct layer *l = &s->layers[i];
		*l = (struct layer){
			.diff_id = s->image.layers.p[i], .size = -1, .fd = -1, .same = i};
		for (size_t j = 0; j < i; j++) {
			if (str_eq(s->layers[j].diff_id, l->diff_id)) {
				l->same = j;
				break;
			}
		}
	}
}

/* What earlier runs have left: configuration, sizes. Layers are opened when they are needed. */
static void load_cached(struct image_source *s)
{
	struct cache_image known;
	char hex[DIGEST_HEX_SIZE];

	if (cache_read_config(&s->cache, s->image.id, &s->config)) {
		digest_sha256_hex(str_c(&s->config), s->config.len, hex);
		snprintf(s->config_digest, sizeof(s->config_digest), "sha256:%s", hex);
	}
	if (cache_read_image(&s->cache, s->image.id, &known)) {
		for (size_t i = 0; known.layers.len == s->n && i < s->n; i++) {
			if (str_eq(known.layers.p[i], s->layers[i].diff_id)) {
				s->layers[i].size = known.sizes[i];
			}
		}
		cache_image_fini(&known);
	} else {
		cache_write_image(&s->cache, s->image.id, &s->image.layers, NULL);
	}
}

struct image_source *image_source_open(const struct image_source_request *req, struct error *err)
{
	struct image_source *s = xcalloc(1, sizeof(*s));

	s->docker = req->docker;
	s->ui = req->ui;
	s->builder_host = xstrdup(req->builder_host);
	s->guess = true;
	str_init(&s->config, (size_t)8 << 20);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->publish_lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	cache_init(&s->cache, req->cache_dir,
		req->cache_max ? req->cache_max : IMAGE_CACHE_MAX_DEFAULT);
	if (req->tags) {
		strvec_copy(&s->tags, req->tags);
	}
	if (docker_image_inspect(s->docker, req->image, &s->image, err) != 0) {
		if (err->status == 404) {
			error_hint(err, "build it first: deploy build");
		}
		error_wrap(err, "image '%s' on the builder", req->image);
		image_source_free(s);
		return NULL;
	}
	if (!is_image(&s->image)) {
		error_set(err, ERROR_REMOTE, "image '%s': nonsense from the builder", req->image);
		image_source_free(s);
		return NULL;
	}
	init_layers(s);
	load_cached(s);
	return s;
}

void image_source_free(struct image_source *s)
{
	if (!s) {
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_mutex_unlock(&s->lock);
	if (s->joinable) {
		pthread_join(s->thread, NULL);
	}
	for (size_t i = 0; i < s->n; i++) {
		cleanup_close_(&s->layers[i].fd);
	}
	VEC_FOREACH (&s->old_fds, i) {
		close(s->old_fds.p[i]);
	}
	vec_fini(&s->old_fds);
	free(s->layers);
	docker_image_fini(&s->image);
	strvec_fini(&s->tags);
	cache_fini(&s->cache);
	str_fini(&s->config);
	free(s->builder_host);
	free(s->pull_reference);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->publish_lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}

const char *image_source_id(const struct image_source *s)
{
	return s->image.id;
}

const char *image_source_arch(const struct image_source *s)
{
	return s->image.architecture ? s->image.architecture : "";
}

size_t image_source_layers(const struct image_source *s)
{
	return s->n;
}

size_t origin_common(const struct image_source *s, const struct strvec *layers)
{
	size_t i = 0;

	while (i < s->n && i < layers->len && str_eq(layers->p[i], s->layers[i].diff_id)) {
		i++;
	}
	return i;
}

/* -- All below: with the lock held where the name ends in _locked -- */

static bool wanted_left_locked(const struct image_source *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->layers[i].state == LAYER_WANTED) {
			return true;
		}
	}
	return (s->config_wanted && !s->config.len) || s->sizes_wanted;
}

static void *fetch_thread(void *arg)
{
	struct image_source *s = arg;
	bool more = true;

	while (more) {
		struct error err = {0};
		int rc = origin_fetch(s, &err);
		pthread_mutex_lock(&s->lock);
		more = rc == 0 && !s->stop && wanted_left_locked(s);
		for (size_t i = 0; i < s->n && !more; i++) {
			if (s->layers[i].state == LAYER_WANTED) {
				s->layers[i].state = LAYER_ABSENT;
			}
		}
		s->sizes_wanted = s->sizes_wanted && more;
		s->running = more;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

static int start_locked(struct image_source *s, struct error *err)
{
	if (s->running || !wanted_left_locked(s)) {
		return 0;
	}
	if (s->joinable) {
		/* It has said that it is not running: it only has to return. */
		pthread_join(s->thread, NULL);
		s->joinable = false;
	}
	s->failed = (struct error){0};
	s->running = true;
	if (pthread_create(&s->thread, NULL, fetch_thread, s) != 0) {
		s->running = false;
		return error_set(err, ERROR_INTERNAL, "start a thread");
	}
	s->joinable = true;
	return 0;
}

/* Waits for a change, at most a slice. -1 when cancelled. */
static int wait_locked(struct image_source *s, struct error *err)
{
	struct timespec t;

	if (cancel_check(err) != 0) {
		return -1;
	}
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += WAIT_SLICE_MS * 1000000L;
	t.tv_sec += t.tv_nsec / 1000000000L;
	t.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&s->changed, &s->lock, &t);
	return 0;
}

/* What a reader gets when a pass ended without bringing what it waits for. */
static int not_brought_locked(struct image_source *s, struct error *err)
{
	if (s->failed.kind != ERROR_NONE) {
		*err = s->failed;
		return error_wrap(err, "read image '%s' from the builder", s->image.id);
	}
	return error_set(
		err, ERROR_REMOTE, "the builder's copy of image '%s' lacks a layer", s->image.id);
}

static void want_layer_locked(struct image_source *s, size_t i)
{
	struct layer *l = &s->layers[s->layers[i].same];
	uint64_t size = 0;

	if (l->state != LAYER_ABSENT) {
		return;
	}
	if (l->fd >= 0) {
		vec_push(&s->old_fds, l->fd);
	}
	l->fd = cache_open_layer(&s->cache, l->diff_id, &size);
	if (l->fd >= 0) {
		l->state = LAYER_READY;
		l->size = (int64_t)size;
		l->have = size;
	} else {
		l->state = LAYER_WANTED;
	}
}

static bool sizes_known_locked(const struct image_source *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->layers[s->layers[i].same].size < 0) {
			return false;
		}
	}
	return true;
}

static bool facts_ready_locked(const struct image_source *s, const struct origin_need *need)
{
	return (!need->config || s->config.len) && (!need->sizes || sizes_known_locked(s));
}

int origin_want(struct image_source *s, const struct origin_need *need, struct error *err)
{
	int rc = 0, passes = 0;

	pthread_mutex_lock(&s->lock);
	while (rc == 0) {
		for (size_t i = 0; need->layers && i < s->n; i++) {
			if (need->layers[i]) {
				want_layer_locked(s, i);
			}
		}
		s->config_wanted = s->config_wanted || need->config;
		s->sizes_wanted = s->sizes_wanted || (need->sizes && !sizes_known_locked(s));
		if (!s->running) {
			if (passes && !facts_ready_locked(s, need) &&
				(passes > 2 || s->failed.kind != ERROR_NONE)) {
				rc = not_brought_locked(s, err);
				break;
			}
			passes++;
			rc = start_locked(s, err);
		}
		if (rc != 0 || facts_ready_locked(s, need)) {
			break;
		}
		rc = wait_locked(s, err);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int origin_next(struct image_source *s, const bool *wanted, const bool *done, size_t *index,
	struct error *err)
{
	int rc = 0;
	bool left = true;

	pthread_mutex_lock(&s->lock);
	*index = s->n;
	while (rc == 0 && left && *index == s->n) {
		left = false;
		for (size_t i = 0; i < s->n && *index == s->n; i++) {
			enum layer_state state = s->layers[s->layers[i].same].state;
			if (!wanted[i] || done[i]) {
				continue;
			}
			left = true;
			if (state == LAYER_ARRIVING || state == LAYER_READY) {
				*index = i;
			}
		}
		if (left && *index == s->n) {
			rc = s->running ? wait_locked(s, err) : not_brought_locked(s, err);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int origin_wait_layer(struct image_source *s, size_t index, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	struct layer *l = &s->layers[s->layers[index].same];
	while (rc == 0 && l->state != LAYER_ARRIVING && l->state != LAYER_READY) {
		rc = s->running ? wait_locked(s, err) : not_brought_locked(s, err);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

ssize_t origin_read(struct image_source *s, size_t index, uint64_t offset, void *buf, size_t n,
	struct error *err)
{
	struct layer *l;
	uint64_t left = 0;
	ssize_t got;
	int fd = -1, rc = 0;

	pthread_mutex_lock(&s->lock);
	l = &s->layers[s->layers[index].same];
	for (;;) {
		if (l->state != LAYER_ARRIVING && l->state != LAYER_READY) {
			rc = not_brought_locked(s, err);
			break;
		}
		left = l->have - (offset < l->have ? offset : l->have);
		fd = l->fd;
		/* The last bytes are handed out only once the whole was verified. */
		if (l->state == LAYER_ARRIVING && l->have == (uint64_t)l->size) {
			left = left > 1 ? left - 1 : 0;
		}
		if (left || l->state == LAYER_READY) {
			break;
		}
		rc = wait_locked(s, err);
		if (rc != 0) {
			break;
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (rc != 0 || !left) {
		return rc;
	}
	do {
		got = pread(fd, buf, left < n ? (size_t)left : n, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	return got > 0 ? got
		       : error_sys(
				 err, ERROR_INTERNAL, got < 0 ? errno : EIO, "read a cached layer");
}

static bool is_intact(int fd, const char *diff_id)
{
	struct digest *d = digest_new();
	char hex[DIGEST_HEX_SIZE];
	char buf[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		digest_update(d, buf, (size_t)n);
		at += n;
	}
	digest_hex(d, hex);
	digest_free(d);
	return str_eq(hex, diff_id + strlen("sha256:"));
}

void origin_recheck(struct image_source *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct layer *l = &s->layers[i];
		uint64_t size = 0;
		CLEANUP_FD int fd = cache_open_layer(&s->cache, l->diff_id, &size);
		if (fd < 0 || is_intact(fd, l->diff_id)) {
			continue;
		}
		cache_drop_layer(&s->cache, l->diff_id);
		pthread_mutex_lock(&s->lock);
		if (l->state == LAYER_READY) {
			l->state = LAYER_ABSENT;
		}
		pthread_mutex_unlock(&s->lock);
		ui_debug(s->ui, NULL, "image: dropped a damaged layer from the cache: %s",
			l->diff_id);
	}
}
