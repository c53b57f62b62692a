/* SPDX-License-Identifier: MIT */
#include "image/transfer.h"

#include "parcel.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "ways.h"

#include <stdio.h>
#include <string.h>

#define MAX_INSPECTS 64 /* images of a host whose layers are asked for, newest first */

static const char *const strategy_names[] = {[IMAGE_TRANSFER_AUTO] = "auto",
	[IMAGE_TRANSFER_PRESENT] = "present",
	[IMAGE_TRANSFER_PARTIAL] = "partial",
	[IMAGE_TRANSFER_REVERSE] = "reverse",
	[IMAGE_TRANSFER_FULL] = "full",
	[IMAGE_TRANSFER_REGISTRY] = "registry"};

const char *image_strategy_name(enum image_strategy s)
{
	return strategy_names[s];
}

int image_strategy_parse(const char *name, enum image_strategy *out)
{
	for (int i = IMAGE_TRANSFER_AUTO; i <= IMAGE_TRANSFER_REGISTRY; i++) {
		if (i != IMAGE_TRANSFER_PRESENT && str_eq(name, strategy_names[i])) {
			*out = (enum image_strategy)i;
			return 0;
		}
	}
	return -1;
}

/* -- Registry -- */

static void on_push(void *ctx, const struct docker_progress *p)
{
	struct image_source *s = ctx;

	if (p->total > 0 && p->current >= 0) {
		ui_progress(s->ui, s->builder_host, "push to registry", (uint64_t)p->current,
			(uint64_t)p->total);
	}
}

/* "ghcr.io:443/a/b:tag" -> "ghcr.io:443/a/b". The caller frees. */
static char *without_tag(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *colon = strrchr(name, ':');

	return colon && (!slash || colon > slash) ? xstrndup(name, (size_t)(colon - name))
						  : xstrdup(name);
}

static int push_all(struct image_source *s, const struct registry_auth *auth, struct error *err)
{
	struct docker_auth login = registry_auth_docker(auth);

	VEC_FOREACH (&s->tags, i) {
		CLEANUP_FREE char *digest = NULL;
		CLEANUP_FREE char *name = without_tag(s->tags.p[i]);
		ui_step(s->ui, s->builder_host, "push '%s' to the registry", s->tags.p[i]);
		if (docker_image_push(s->docker, s->tags.p[i], &login, on_push, s, &digest, err) !=
			0) {
			return -1;
		}
		if (!digest || !str_starts(digest, "sha256:")) {
			return error_set(err, ERROR_REMOTE,
				"push '%s' to the registry: no digest was told", s->tags.p[i]);
		}
		if (i == 0) {
			free(s->pull_reference);
			s->pull_reference = xasprintf("%s@%s", name, digest);
		}
	}
	return 0;
}

int image_source_publish(
	struct image_source *s, const struct registry_auth *auth, struct error *err)
{
	static const struct registry_auth none;
	int rc = 0;

	pthread_mutex_lock(&s->publish_lock);
	if (!s->published) {
		rc = push_all(s, auth ? auth : &none, err);
		s->published = rc == 0;
	}
	pthread_mutex_unlock(&s->publish_lock);
	return rc;
}

static bool is_published(struct image_source *s)
{
	pthread_mutex_lock(&s->publish_lock);
	bool yes = s->published;
	pthread_mutex_unlock(&s->publish_lock);
	return yes;
}

int way_registry(struct way *w, struct error *err)
{
	static const struct registry_auth none;
	struct docker_auth login = registry_auth_docker(w->auth ? w->auth : &none);

	if (!is_published(w->s)) {
		return error_set(err, ERROR_INTERNAL, "the image was not pushed to a registry");
	}
	if (docker_image_pull(
		    w->host->docker, w->s->pull_reference, NULL, &login, NULL, NULL, err) != 0) {
		return -1;
	}
	return way_tag(w, w->s->pull_reference, NULL, err);
}

/* -- Load, whole or in part -- */

int way_load(struct way *w, bool whole, struct error *err)
{
	struct image_source *s = w->s;
	bool *include = xcalloc(s->n + 1, sizeof(*include));
	struct origin_need need = {.layers = include};
	struct parcel parcel;
	int rc;

	for (size_t i = 0; i < s->n; i++) {
		include[i] = whole || w->missing[i];
		w->result->layers_sent += include[i];
	}
	rc = origin_want(s, &need, err);
	parcel_init(&parcel, s, w->host->name, include);
	for (size_t i = 0; i < s->n; i++) {
		pthread_mutex_lock(&s->lock);
		parcel.total +=
			include[i] && s->layers[i].size > 0 ? (uint64_t)s->layers[i].size : 0;
		pthread_mutex_unlock(&s->lock);
	}
	if (rc == 0) {
		struct http_source body = {.read = parcel_read, .ctx = &parcel, .length = -1};
		rc = docker_image_load(w->host->docker, &body, NULL, NULL, err);
	}
	w->result->bytes_sent += parcel.sent;
	parcel_fini(&parcel);
	free(include);
	return rc;
}

/* -- What the host has -- */

struct facts {
	const struct docker_image_list *images;
	const struct docker_info *info;
	struct docker_image_list own_images;
	struct docker_info own_info;
};

static void facts_fini(struct facts *f)
{
	docker_image_list_fini(&f->own_images);
	docker_info_fini(&f->own_info);
}
#define CLEANUP_FACTS __attribute__((cleanup(facts_fini)))

static int gather(const struct image_transfer_request *req, struct facts *f, struct error *err)
{
	struct docker_lookup look[2];
	size_t n = 0;

	f->images = req->known ? req->known->images : NULL;
	f->info = req->known ? req->known->info : NULL;
	if (!f->info && req->host->info.driver) {
		f->info = &req->host->info;
	}
	if (!f->images) {
		look[n++] =
			(struct docker_lookup){.kind = DOCKER_LOOKUP_IMAGES, .out = &f->own_images};
	}
	if (!f->info) {
		look[n++] = (struct docker_lookup){.kind = DOCKER_LOOKUP_INFO, .out = &f->own_info};
	}
	if (n && docker_lookup(req->host->docker, look, n, err) != 0) {
		return error_wrap(err, "look at the images there");
	}
	f->images = f->images ? f->images : &f->own_images;
	f->info = f->info ? f->info : &f->own_info;
	return 0;
}

static int check_arch(
	const struct image_source *s, const struct docker_info *info, struct error *err)
{
	const char *there = info->architecture ? info->architecture : "";
	const char *ours = image_source_arch(s);

	if (!*there || !*ours || str_eq(there, ours)) {
		return 0;
	}
	error_set(err, ERROR_MANIFEST, "the image is for %s, the server is %s", ours, there);
	return error_hint(err,
		"set `builder: {arch: %s}`, or build there with `builder: {remote: "
		"ssh://...}`",
		there);
}

/* The host's image that is the builder's; NULL. */
static const struct docker_image_entry *find_present(
	struct image_source *s, const struct docker_image_list *images)
{
	char config[IMAGE_ID_SIZE], manifest[IMAGE_ID_SIZE] = "";
	bool sizes = true;

	pthread_mutex_lock(&s->lock);
	snprintf(config, sizeof(config), "%s", s->config_digest);
	for (size_t i = 0; i < s->n; i++) {
		sizes = sizes && s->layers[s->layers[i].same].size >= 0;
	}
	pthread_mutex_unlock(&s->lock);
	if (*config && sizes) {
		free(parcel_manifest(s, false, manifest));
	}
	VEC_FOREACH (images, i) {
		const char *id = images->p[i].id;
		if (str_eq(id, s->image.id) || (*config && str_eq(id, config)) ||
			(*manifest && str_eq(id, manifest))) {
			return &images->p[i];
		}
	}
	return NULL;
}

/* Layers of images of the host that this machine has never seen: one round trip for all. */
static size_t ask_layers(
	struct way *w, const struct docker_image_entry **unknown, size_t n, struct error *err)
{
	struct docker_image *images = xcalloc(n, sizeof(*images));
	struct docker_lookup *look = xcalloc(n, sizeof(*look));
	size_t best = 0;

	for (size_t i = 0; i < n; i++) {
		look[i] = (struct docker_lookup){
			.kind = DOCKER_LOOKUP_IMAGE, .name = unknown[i]->id, .out = &images[i]};
	}
	if (docker_lookup(w->host->docker, look, n, err) != 0) {
		ui_debug(w->s->ui, w->host->name, "image: look at the layers there: %s", err->text);
	}
	for (size_t i = 0; i < n; i++) {
		if (look[i].found) {
			size_t common = origin_common(w->s, &images[i].layers);
			best = common > best ? common : best;
			cache_write_image(&w->s->cache, unknown[i]->id, &images[i].layers, NULL);
		}
		docker_image_fini(&images[i]);
	}
	free(images);
	free(look);
	return best;
}

/*
 * How many layers, from the lowest on, are there: the longest beginning in common with any image of
 * the host.  Graph drivers keep layers by their chain, so that only a common beginning counts.
 */
static size_t count_present(struct way *w)
{
	const struct docker_image_entry *unknown[MAX_INSPECTS];
	size_t best = 0, n = 0;
	struct error ignored = {0};

	VEC_FOREACH (w->images, i) {
		struct cache_image known;
		if (cache_read_image(&w->s->cache, w->images->p[i].id, &known)) {
			size_t common = origin_common(w->s, &known.layers);
			best = common > best ? common : best;
			cache_image_fini(&known);
		} else if (n < MAX_INSPECTS) {
			unknown[n++] = &w->images->p[i];
		}
	}
	/* All but the top one is what a changed application looks like: good enough unasked. */
	if (n && best + 1 < w->s->n) {
		size_t asked = ask_layers(w, unknown, n, &ignored);
		best = asked > best ? asked : best;
	}
	return best;
}

int way_tag(
	const struct way *w, const char *reference, const struct strvec *have, struct error *err)
{
	VEC_FOREACH (&w->s->tags, i) {
		const char *tag = w->s->tags.p[i];
		if (have && strvec_has(have, tag)) {
			continue;
		}
		if (docker_image_tag(w->host->docker, reference, tag, err) != 0) {
			return -1;
		}
	}
	return 0;
}

/* -- Verification -- */

static int verify(struct way *w, bool containerd, struct error *err)
{
	struct image_source *s = w->s;
	struct docker_image image = {0};
	const char *name = s->tags.len ? s->tags.p[0] : s->image.id;
	const char *expected = *w->expected_id     ? w->expected_id
			       : containerd        ? NULL
			       : *s->config_digest ? s->config_digest
						   : s->image.id;
	int rc = 0;

	if (docker_image_inspect(w->host->docker, name, &image, err) != 0) {
		return error_wrap(err, "verify '%s'", name);
	}
	if (image.layers.len != s->n || origin_common(s, &image.layers) != s->n) {
		rc = error_set(err, ERROR_REMOTE,
			"verify '%s': it has other layers there (%zu, not %zu)", name,
			image.layers.len, s->n);
	} else if (expected && !str_eq(image.id, expected)) {
		rc = error_set(err, ERROR_REMOTE, "verify '%s': it is '%s' there, not '%s'", name,
			image.id, expected);
	} else {
		snprintf(w->result->image_id, sizeof(w->result->image_id), "%s", image.id);
		cache_write_image(&s->cache, image.id, &image.layers, NULL);
	}
	docker_image_fini(&image);
	return rc;
}

/* -- The choice -- */

static int go(struct way *w, enum image_strategy strategy, struct error *err)
{
	switch (strategy) {
	case IMAGE_TRANSFER_PARTIAL:
		return way_load(w, false, err);
	case IMAGE_TRANSFER_FULL:
		return way_load(w, true, err);
	case IMAGE_TRANSFER_REVERSE:
		return way_reverse(w, err);
	case IMAGE_TRANSFER_REGISTRY:
		return way_registry(w, err);
	case IMAGE_TRANSFER_AUTO:
	case IMAGE_TRANSFER_PRESENT:
		break;
	}
	return error_set(err, ERROR_INTERNAL, "no such transfer strategy");
}

/* Podman, as containerd's store, loads no image in part. */
static size_t order(const struct image_transfer_request *req, struct image_source *s,
	const struct docker_info *info, enum image_strategy out[4])
{
	size_t n = 0;
	bool whole_only = info->containerd_store || info->podman;

	if (req->strategy != IMAGE_TRANSFER_AUTO) {
		out[n++] = req->strategy;
		return n;
	}
	if (is_published(s)) {
		out[n++] = IMAGE_TRANSFER_REGISTRY;
	}
	out[n++] = whole_only ? IMAGE_TRANSFER_REVERSE : IMAGE_TRANSFER_PARTIAL;
	out[n++] = IMAGE_TRANSFER_FULL;
	return n;
}

/* Is another way worth trying after this failure? */
static bool may_fall_back(const struct way *w, const struct error *err)
{
	return err->kind != ERROR_INTERRUPTED && err->kind != ERROR_CONNECT &&
	       !cancel_requested() && (!w->host->ssh || ssh_session_alive(w->host->ssh));
}

static int try_ways(struct way *w, const struct image_transfer_request *req,
	const struct docker_info *info, struct error *err)
{
	enum image_strategy ways[4];
	size_t n = order(req, w->s, info, ways);

	for (size_t i = 0; i < n; i++) {
		struct error why = {0};
		w->result->used = ways[i];
		w->result->layers_sent = 0;
		w->expected_id[0] = '\0';
		if (go(w, ways[i], &why) == 0 && verify(w, info->containerd_store, &why) == 0) {
			return 0;
		}
		if (i + 1 == n || !may_fall_back(w, &why)) {
			*err = why;
			return -1;
		}
		ui_debug(w->s->ui, w->host->name, "image: %s transfer failed, next is %s: %s",
			image_strategy_name(ways[i]), image_strategy_name(ways[i + 1]), why.text);
		origin_recheck(w->s);
	}
	return -1;
}

static void finish(struct way *w)
{
	struct image_transfer_result *r = w->result;
	struct image_source *s = w->s;
	char bytes[16], took[CLOCK_RFC3339_SIZE];

	pthread_mutex_lock(&s->lock);
	r->bytes_total = s->config.len;
	for (size_t i = 0; i < s->n; i++) {
		int64_t size = s->layers[s->layers[i].same].size;
		r->bytes_total += size > 0 ? (uint64_t)size : 0;
	}
	pthread_mutex_unlock(&s->lock);
	ui_debug(s->ui, w->host->name, "image: %s, %zu of %zu layers, %s sent in %s",
		image_strategy_name(r->used), r->layers_sent, r->layers_total,
		ui_bytes(r->bytes_sent, bytes), clock_duration(r->ms, took));
}

static int run(struct way *w, const struct image_transfer_request *req, const struct facts *f,
	struct error *err)
{
	struct image_source *s = w->s;
	const struct docker_image_entry *there = find_present(s, f->images);
	bool *missing;
	size_t present;
	int rc;

	if (there &&
		(req->strategy == IMAGE_TRANSFER_AUTO || req->strategy == IMAGE_TRANSFER_PARTIAL ||
			req->strategy == IMAGE_TRANSFER_REGISTRY)) {
		w->result->used = IMAGE_TRANSFER_PRESENT;
		snprintf(w->result->image_id, sizeof(w->result->image_id), "%s", there->id);
		return way_tag(w, there->id, &there->tags, err);
	}
	present = count_present(w);
	missing = xcalloc(s->n + 1, sizeof(*missing));
	for (size_t i = present; i < s->n; i++) {
		missing[i] = true;
	}
	w->missing = missing;
	rc = try_ways(w, req, f->info, err);
	free(missing);
	return rc;
}

int image_transfer(struct image_source *s, const struct image_transfer_request *req,
	struct image_transfer_result *result, struct error *err)
{
	CLEANUP_FACTS struct facts facts = {0};
	struct way way = {.s = s, .host = req->host, .auth = req->auth, .result = result};
	int64_t since = clock_mono_ms();

	memset(result, 0, sizeof(*result));
	result->layers_total = s->n;
	if (gather(req, &facts, err) != 0 || check_arch(s, facts.info, err) != 0) {
		goto fail;
	}
	way.images = facts.images;
	if (run(&way, req, &facts, err) != 0) {
		goto fail;
	}
	result->ms = clock_mono_ms() - since;
	finish(&way);
	return 0;
fail:
	error_wrap(err, "image '%s'", s->tags.len ? s->tags.p[0] : s->image.id);
	return error_host(err, req->host->name);
}
