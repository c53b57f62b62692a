/* SPDX-License-Identifier: MIT */
#include "origin.h"

#include "util/cancel.h"
#include "util/digest.h"
#include "util/json.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_SLICE_MS 100
#define MAX_TEXTS     ((size_t)32 << 20) /* bytes of all JSON texts that are kept */

enum mode {
	MODE_LAYER,  /* known to be layer `index`: readers follow it */
	MODE_MEMORY, /* small: may be the configuration or manifest.json */
	MODE_FILE,   /* what it is shows when its digest is known */
};

struct text {
	char *name;
	char digest[DIGEST_HEX_SIZE];
	struct str bytes;
};
VEC_TYPE(text_vec, struct text);

struct pass {
	struct image_source *s;
	struct docker_stream *stream;
	enum mode mode;
	size_t index;           /* MODE_LAYER */
	struct cache_file file; /* MODE_LAYER, MODE_FILE */
	struct str memory;      /* MODE_MEMORY; MODE_FILE: its first bytes */
	struct text_vec texts;
	char (*v1)[65]; /* predicted folder names of all layers but the last */
	bool v1_seen;   /* a predicted name did appear */
	uint64_t texts_bytes;
};

static ssize_t read_stream(void *ctx, void *buf, size_t n, struct error *err)
{
	struct pass *p = ctx;

	for (;;) {
		ssize_t got = docker_stream_read(p->stream, buf, n, READ_SLICE_MS, err);
		if (got != DOCKER_AGAIN) {
			return got;
		}
		pthread_mutex_lock(&p->s->lock);
		bool stop = p->s->stop;
		pthread_mutex_unlock(&p->s->lock);
		if (stop) {
			return error_set(err, ERROR_INTERRUPTED, "stopped");
		}
	}
}

/* Index of the layer that a file of this name must be; n when the name does not tell. */
static size_t layer_by_name(struct pass *p, const char *name)
{
	struct image_source *s = p->s;
	size_t len = strlen(name);

	if (str_starts(name, "blobs/sha256/")) {
		for (size_t i = 0; i < s->n; i++) {
			if (str_eq(name + strlen("blobs/sha256/"),
				    s->layers[i].diff_id + strlen("sha256:"))) {
				return s->layers[i].same;
			}
		}
		return s->n;
	}
	if (!s->guess || len != 64 + strlen("/layer.tar") || !str_ends(name, "/layer.tar")) {
		return s->n;
	}
	for (size_t i = 0; i + 1 < s->n; i++) {
		if (memcmp(name, p->v1[i], 64) == 0) {
			p->v1_seen = true;
			return s->layers[i].same;
		}
	}
	/* The top layer's name depends on the configuration: it is the one that is left over. */
	return p->v1_seen || s->n == 1 ? s->layers[s->n - 1].same : s->n;
}

static bool begin_layer(struct pass *p, size_t index, uint64_t size)
{
	struct image_source *s = p->s;
	struct layer *l = &s->layers[index];
	struct error ignored = {0};
	bool take;

	pthread_mutex_lock(&s->lock);
	if (l->state !=
		LAYER_READY) { /* else it is known, whatever an entry that comes twice says */
		l->size = (int64_t)size;
	}
	take = l->state == LAYER_WANTED;
	pthread_mutex_unlock(&s->lock);
	if (!take || cache_create(&s->cache, &p->file, &ignored) != 0) {
		return false;
	}
	p->mode = MODE_LAYER;
	p->index = index;
	pthread_mutex_lock(&s->lock);
	if (l->fd >= 0) {
		vec_push(&s->old_fds, l->fd);
	}
	l->fd = dup(p->file.fd);
	l->have = 0;
	l->state = LAYER_ARRIVING;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* Is there anything that only the digests can tell? */
static bool need_unknown(struct pass *p)
{
	bool need = false;

	pthread_mutex_lock(&p->s->lock);
	for (size_t i = 0; i < p->s->n; i++) {
		const struct layer *l = &p->s->layers[i];
		need = need || l->state == LAYER_WANTED || (p->s->sizes_wanted && l->size < 0);
	}
	pthread_mutex_unlock(&p->s->lock);
	return need;
}

static bool on_begin(void *ctx, const char *name, uint64_t size)
{
	struct pass *p = ctx;
	bool blob = str_starts(name, "blobs/sha256/");
	size_t index = layer_by_name(p, name);
	struct error ignored = {0};

	str_reset(&p->memory);
	if (index < p->s->n) {
		return begin_layer(p, index, size);
	}
	if (str_ends(name, "/layer.tar") || (blob && size > SAVE_MAX_JSON)) {
		p->mode = MODE_FILE;
		return need_unknown(p) && cache_create(&p->s->cache, &p->file, &ignored) == 0;
	}
	p->mode = MODE_MEMORY;
	/* A small blob may be a layer that unpacks to more: kept in a file, looked at later. */
	if (blob) {
		p->mode = MODE_FILE;
		return cache_create(&p->s->cache, &p->file, &ignored) == 0;
	}
	return !strchr(name, '/') && str_ends(name, ".json") && size <= SAVE_MAX_JSON;
}

static int write_file(struct pass *p, const void *data, size_t len, struct error *err)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(p->file.fd, at, len);
		if (n < 0 && errno != EINTR) {
			return error_sys(err, ERROR_INTERNAL, errno, "write to the layer cache");
		}
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int on_data(void *ctx, const void *data, size_t len, struct error *err)
{
	struct pass *p = ctx;
	struct image_source *s = p->s;

	if (p->mode != MODE_LAYER) {
		(void)str_addn(&p->memory, data, len);
		return p->mode == MODE_FILE ? write_file(p, data, len, err) : 0;
	}
	if (write_file(p, data, len, err) != 0) {
		return -1;
	}
	pthread_mutex_lock(&s->lock);
	struct layer *l = &s->layers[p->index];
	l->have += len;
	bool fits = l->have <= (uint64_t)l->size;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return fits ? 0 : error_set(err, ERROR_REMOTE, "saved image: a layer grows");
}

/* The file that was written is layer `i`, and verified. */
static void adopt(struct pass *p, size_t i, uint64_t size)
{
	struct image_source *s = p->s;
	struct layer *l = &s->layers[i];
	int fd = p->file.fd;

	p->file.fd = -1;
	cache_commit(&s->cache, &p->file, l->diff_id);
	pthread_mutex_lock(&s->lock);
	if (l->fd >= 0) {
		vec_push(&s->old_fds, l->fd);
	}
	l->fd = fd;
	l->size = (int64_t)size;
	l->have = size;
	l->state = LAYER_READY;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static int end_layer(struct pass *p, const char *digest, uint64_t size, struct error *err)
{
	struct image_source *s = p->s;
	struct layer *l = &s->layers[p->index];

	if (str_eq(digest, l->diff_id + strlen("sha256:")) && size == (uint64_t)l->size) {
		/* Readers hold the number of the descriptor that begin_layer() gave: keep it. */
		pthread_mutex_lock(&s->lock);
		l->state = LAYER_READY;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
		cleanup_close_(&p->file.fd);
		cache_commit(&s->cache, &p->file, l->diff_id);
		return 0;
	}
	error_set(err, ERROR_REMOTE, "saved image: layer '%s' has another digest", l->diff_id);
	pthread_mutex_lock(&s->lock);
	l->state = LAYER_ABSENT;
	l->size = -1;
	s->failed = *err; /* with the state: a reader that sees the one tells the other */
	s->guess = false; /* a wrong prediction, or a damaged store: the next pass looks closer */
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	cache_discard(&p->file);
	return -1;
}

/* Something of unknown kind is whole: a wanted layer, a text, or nothing of interest. */
static void end_file(struct pass *p, const char *name, const char *digest, uint64_t size)
{
	struct image_source *s = p->s;

	for (size_t i = 0; i < s->n; i++) {
		if (!str_eq(digest, s->layers[i].diff_id + strlen("sha256:"))) {
			continue;
		}
		pthread_mutex_lock(&s->lock);
		struct layer *l = &s->layers[s->layers[i].same];
		bool wanted = l->state == LAYER_WANTED;
		l->size = (int64_t)size;
		pthread_mutex_unlock(&s->lock);
		if (wanted) {
			adopt(p, s->layers[i].same, size);
		}
		break;
	}
	cache_discard(&p->file);
	if (!p->memory.overflow && p->memory.len && p->memory.p[0] == '{' &&
		p->texts_bytes + p->memory.len <= MAX_TEXTS) {
		p->texts_bytes += p->memory.len;
		struct text t = {.name = xstrdup(name)};
		memcpy(t.digest, digest, sizeof(t.digest));
		str_init(&t.bytes, SAVE_MAX_JSON);
		str_addn(&t.bytes, p->memory.p, p->memory.len);
		vec_push(&p->texts, t);
	}
}

/* Is it the configuration of this very image? Its diff IDs must be those the builder named. */
static bool is_config(const struct image_source *s, const struct str *bytes)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *json = json_parse(str_c(bytes), bytes->len, "image", &ignored);
	const json_t *ids = json_at(json, "rootfs.diff_ids");

	if (!json || json_array_size(ids) != s->n) {
		return false;
	}
	for (size_t i = 0; i < s->n; i++) {
		if (!str_eq(json_string_value(json_array_get(ids, i)), s->layers[i].diff_id)) {
			return false;
		}
	}
	return true;
}

static void set_config(struct pass *p, const struct str *bytes, const char *digest)
{
	struct image_source *s = p->s;

	if (!is_config(s, bytes)) {
		return;
	}
	pthread_mutex_lock(&s->lock);
	if (!s->config.len) {
		str_addn(&s->config, str_c(bytes), bytes->len);
		snprintf(s->config_digest, sizeof(s->config_digest), "sha256:%s", digest);
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	cache_write_config(&s->cache, s->image.id, str_c(bytes), bytes->len);
}

static bool is_satisfied(struct pass *p)
{
	struct image_source *s = p->s;
	bool yes;

	pthread_mutex_lock(&s->lock);
	yes = s->config.len > 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct layer *l = &s->layers[s->layers[i].same];
		yes = yes && l->state != LAYER_WANTED && l->state != LAYER_ARRIVING &&
		      (!s->sizes_wanted || l->size >= 0);
	}
	pthread_mutex_unlock(&s->lock);
	return yes;
}

static int on_end(void *ctx, const char *name, const char *digest, uint64_t size, struct error *err)
{
	struct pass *p = ctx;

	if (p->mode == MODE_LAYER) {
		if (end_layer(p, digest, size, err) != 0) {
			return -1;
		}
	} else if (str_eq(digest, p->s->image.id + strlen("sha256:"))) {
		set_config(p, &p->memory, digest); /* graph drivers: the image ID is its digest */
		cache_discard(&p->file);
	} else if (p->mode == MODE_FILE) {
		end_file(p, name, digest, size);
	} else {
		end_file(p, name, digest, size);
		if (str_eq(name, "manifest.json") && !p->memory.overflow) {
			struct text t = {.name = xstrdup(name)};
			str_init(&t.bytes, SAVE_MAX_JSON);
			str_addn(&t.bytes, str_c(&p->memory), p->memory.len);
			vec_push(&p->texts, t);
		}
	}
	return is_satisfied(p) ? 1 : 0;
}

/* A containerd store's image ID is not the configuration's digest: manifest.json names it. */
static void find_config(struct pass *p)
{
	CLEANUP_FREE char *name = NULL;

	VEC_FOREACH (&p->texts, i) {
		const struct text *t = &p->texts.p[i];
		if (str_eq(t->name, "manifest.json")) {
			free(name);
			name = save_config_name(str_c(&t->bytes), t->bytes.len);
		}
	}
	VEC_FOREACH (&p->texts, i) {
		const struct text *t = &p->texts.p[i];
		if (name && str_eq(t->name, name) && str_ends(name, t->digest)) {
			set_config(p, &t->bytes, t->digest);
		}
	}
}

static void begin_pass(struct image_source *s)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n; i++) {
		s->layers[i].asked = s->layers[i].state == LAYER_WANTED;
	}
	pthread_mutex_unlock(&s->lock);
}

/* After a pass: what it was asked for and did not bring is not there; sizes are remembered. */
static int conclude(struct pass *p, int rc, struct error *err)
{
	struct image_source *s = p->s;
	int64_t *sizes = xcalloc(s->n + 1, sizeof(*sizes));
	bool lacking = false;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n; i++) {
		struct layer *l = &s->layers[i];
		if (l->state == LAYER_ARRIVING) {
			l->state = LAYER_ABSENT; /* torn */
		}
		lacking = lacking || (l->asked && l->state == LAYER_WANTED);
		sizes[i] = s->layers[l->same].size;
	}
	lacking = lacking || (s->config_wanted && !s->config.len);
	s->sizes_wanted = false;
	if (rc == 0 && lacking) {
		rc = error_set(err, ERROR_REMOTE,
			"saved image: a layer or the configuration is not in it");
	}
	if (rc != 0) {
		s->failed = *err;
	}
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	cache_write_image(&s->cache, s->image.id, &s->image.layers, sizes);
	free(sizes);
	return rc;
}

int origin_fetch(struct image_source *s, struct error *err)
{
	struct pass p = {.s = s, .file = {.fd = -1}};
	struct save_sink sink = {.ctx = &p, .begin = on_begin, .data = on_data, .end = on_end};
	CLEANUP_STRVEC struct strvec names = {0};
	int rc = -1;

	str_init(&p.memory, SAVE_MAX_JSON);
	p.v1 = xcalloc(s->n + 1, sizeof(*p.v1));
	save_v1_ids((const char *const *)s->image.layers.p, s->n, p.v1);
	strvec_push(&names, s->image.id);
	begin_pass(s);
	p.stream = docker_image_save(s->docker, &names, err);
	if (p.stream) {
		rc = save_read(read_stream, &p, &sink, err);
		docker_stream_close(p.stream);
	}
	if (rc == 0) {
		find_config(&p);
	}
	rc = conclude(&p, rc, err);
	cache_discard(&p.file);
	VEC_FOREACH (&p.texts, i) {
		free(p.texts.p[i].name);
		str_fini(&p.texts.p[i].bytes);
	}
	vec_fini(&p.texts);
	str_fini(&p.memory);
	free(p.v1);
	return rc;
}
