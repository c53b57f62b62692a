/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

int docker_image_inspect(
	struct docker *d, const char *reference, struct docker_image *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_IMAGE, reference, NULL, out, err);
}

void docker_image_fini(struct docker_image *i)
{
	free(i->id);
	free(i->architecture);
	free(i->variant);
	free(i->os);
	free(i->created);
	free(i->user);
	free(i->workdir);
	free(i->stop_signal);
	strvec_fini(&i->tags);
	strvec_fini(&i->digests);
	strvec_fini(&i->layers);
	strvec_fini(&i->cmd);
	strvec_fini(&i->entrypoint);
	strvec_fini(&i->env);
	strvec_fini(&i->exposed_ports);
	strmap_fini(&i->labels);
	memset(i, 0, sizeof(*i));
}

int docker_image_list(struct docker *d, const struct docker_filters *filters,
	struct docker_image_list *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_IMAGES, NULL, filters, out, err);
}

void docker_image_list_fini(struct docker_image_list *l)
{
	VEC_FOREACH (l, i) {
		free(l->p[i].id);
		strvec_fini(&l->p[i].tags);
		strvec_fini(&l->p[i].digests);
		strmap_fini(&l->p[i].labels);
	}
	vec_fini(l);
}

int docker_image_history(struct docker *d, const char *reference, struct docker_image_history *out,
	struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_JSON json_t *j = NULL;
	docker_path(&path, "/images/", reference, "/history");
	if (docker_call(d, "GET", str_c(&path), NULL, 0, &j, err) != 0) {
		return error_wrap(err, "history of image '%s'", reference);
	}
	for (size_t i = 0; i < json_array_size(j); i++) {
		const json_t *e = json_array_get(j, i);
		struct docker_image_layer layer = {.id = docker_js(e, "Id"),
			.created_by = docker_js(e, "CreatedBy"),
			.size = json_int_at(e, "Size", 0),
			.created = json_int_at(e, "Created", 0)};
		docker_js_strvec(json_object_get(e, "Tags"), &layer.tags);
		vec_push(out, layer);
	}
	return 0;
}

void docker_image_history_fini(struct docker_image_history *h)
{
	VEC_FOREACH (h, i) {
		free(h->p[i].id);
		free(h->p[i].created_by);
		strvec_fini(&h->p[i].tags);
	}
	vec_fini(h);
}

/* "host:5000/name:tag" gives "host:5000/name" and "tag"; a digest wins over a tag; "" when none. */
static void split_reference(const char *reference, char **name, char **tag)
{
	const char *at = strchr(reference, '@');
	*name = at ? xstrndup(reference, (size_t)(at - reference)) : xstrdup(reference);
	char *slash = strrchr(*name, '/');
	char *colon = strchr(slash ? slash : *name, ':');
	*tag = xstrdup(at ? at + 1 : colon ? colon + 1 : "");
	if (colon) {
		*colon = '\0';
	}
}

static void query_reference(
	struct str *path, const char *name_key, const char *reference, bool latest)
{
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *tag = NULL;
	split_reference(reference, &name, &tag);
	docker_query(path, name_key, name);
	if (*tag || latest) {
		docker_query(path, "tag", *tag ? tag : "latest");
	}
}

int docker_image_tag(struct docker *d, const char *reference, const char *target, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/images/", reference, "/tag");
	query_reference(&path, "repo", target, false);
	if (docker_call(d, "POST", str_c(&path), NULL, 0, NULL, err) != 0) {
		return error_wrap(err, "tag image '%s' as '%s'", reference, target);
	}
	return 0;
}

int docker_image_remove(
	struct docker *d, const char *reference, bool force, bool noprune, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/images/", reference, "");
	if (force) {
		docker_query(&path, "force", "1");
	}
	if (noprune) {
		docker_query(&path, "noprune", "1");
	}
	if (docker_call(d, "DELETE", str_c(&path), NULL, 3 * docker_head_ms(d), NULL, err) != 0) {
		return error_wrap(err, "remove image '%s'", reference);
	}
	return 0;
}

static int prune(struct docker *d, const char *path, int64_t *reclaimed, struct error *err)
{
	CLEANUP_JSON json_t *j = NULL;
	if (docker_call(d, "POST", path, NULL, DOCKER_TRANSFER_IDLE_MS, &j, err) != 0) {
		return error_wrap(err, "prune");
	}
	if (reclaimed) {
		*reclaimed = json_int_at(j, "SpaceReclaimed", 0);
	}
	return 0;
}

int docker_image_prune(struct docker *d, const struct docker_filters *filters, int64_t *reclaimed,
	struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	str_add(&path, "/images/prune");
	docker_query_filters(&path, filters);
	return prune(d, str_c(&path), reclaimed, err);
}

int docker_build_prune(struct docker *d, int64_t keep_bytes, int64_t *reclaimed, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	str_add(&path, "/build/prune");
	docker_query_int(&path, "keep-storage", keep_bytes);
	return prune(d, str_c(&path), reclaimed, err);
}

/* -- Streams -- */

/* Sends it and reads the progress to its end. */
static int transfer(struct docker *d, const struct docker_stream_request *req,
	docker_progress_fn *progress, void *ctx, struct error *err)
{
	CLEANUP_DOCKER_STREAM struct docker_stream *s = docker_stream_open(d, req, err);
	if (!s) {
		return -1;
	}
	return docker_progress_read(s, DOCKER_TRANSFER_IDLE_MS, progress, ctx, err);
}

/*
 * Docker takes registries on the server's own loopback without TLS.  Podman does so only when it is
 * told, which its compatible call cannot.
 * Source: https://docs.podman.io/en/latest/_static/api.html (POST /libpod/images/pull)
 */
static int pull_path(struct docker *d, const char *reference, struct str *path, struct error *err)
{
	struct docker_ping ping;
	bool loopback = str_starts(reference, "127.0.0.1:");
	if (loopback && docker_ping(d, false, &ping, err) != 0) {
		return -1;
	}
	if (loopback && ping.podman) {
		str_add(path, "/libpod/images/pull?tlsVerify=false");
		docker_query(path, "reference", reference);
	} else {
		str_add(path, "/images/create");
		query_reference(path, "fromImage", reference, true);
	}
	return 0;
}

int docker_image_pull(struct docker *d, const char *reference, const char *platform,
	const struct docker_auth *auth, docker_progress_fn *progress, void *ctx, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_HEADERS struct strmap headers = {0};
	if (pull_path(d, reference, &path, err) != 0) {
		return error_wrap(err, "pull '%s'", reference);
	}
	if (platform) {
		docker_query(&path, "platform", platform);
	}
	docker_add_auth(&headers, auth);
	struct docker_stream_request req = {.method = "POST",
		.path = str_c(&path),
		.headers = &headers,
		.head_timeout_ms = DOCKER_TRANSFER_IDLE_MS};
	if (transfer(d, &req, progress, ctx, err) != 0) {
		return error_wrap(err, "pull '%s'", reference);
	}
	return 0;
}

struct push {
	docker_progress_fn *progress;
	void *ctx;
	char *digest; /* or NULL */
};

static void on_push(void *ctx, const struct docker_progress *p)
{
	struct push *push = ctx;
	const char *digest = json_str_at(p->aux, "Digest", NULL);
	if (digest) {
		free(push->digest);
		push->digest = xstrdup(digest);
	}
	if (push->progress) {
		push->progress(push->ctx, p);
	}
}

int docker_image_push(struct docker *d, const char *reference, const struct docker_auth *auth,
	docker_progress_fn *progress, void *ctx, char **digest, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_HEADERS struct strmap headers = {0};
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *tag = NULL;
	struct push push = {.progress = progress, .ctx = ctx};
	struct docker_auth none = {0};
	split_reference(reference, &name, &tag);
	docker_path(&path, "/images/", name, "/push");
	docker_query(&path, "tag", *tag ? tag : "latest");
	docker_add_auth(&headers, auth ? auth : &none); /* the daemon wants the header */
	struct docker_stream_request req = {.method = "POST",
		.path = str_c(&path),
		.headers = &headers,
		.head_timeout_ms = DOCKER_TRANSFER_IDLE_MS};
	int rc = transfer(d, &req, on_push, &push, err);
	if (rc == 0 && digest) {
		*digest = push.digest ? push.digest : xstrdup("");
		push.digest = NULL;
	}
	free(push.digest);
	return rc == 0 ? 0 : error_wrap(err, "push '%s'", reference);
}

int docker_image_load(struct docker *d, const struct http_source *tar, docker_progress_fn *progress,
	void *ctx, struct error *err)
{
	struct docker_stream_request req = {.method = "POST",
		.path = "/images/load?quiet=0",
		.source = tar,
		.head_timeout_ms = DOCKER_TRANSFER_IDLE_MS};
	return transfer(d, &req, progress, ctx, err) == 0 ? 0 : error_wrap(err, "load image");
}

int docker_image_import(struct docker *d, const struct http_source *tar, const char *reference,
	const struct strvec *changes, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	str_add(&path, "/images/create?fromSrc=-");
	query_reference(&path, "repo", reference, false);
	for (size_t i = 0; changes && i < changes->len; i++) {
		docker_query(&path, "changes", changes->p[i]);
	}
	struct docker_stream_request req = {.method = "POST",
		.path = str_c(&path),
		.source = tar,
		.head_timeout_ms = DOCKER_TRANSFER_IDLE_MS};
	if (transfer(d, &req, NULL, NULL, err) != 0) {
		return error_wrap(err, "import '%s'", reference);
	}
	return 0;
}

struct docker_stream *docker_image_save(
	struct docker *d, const struct strvec *references, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	str_add(&path, "/images/get");
	VEC_FOREACH (references, i) {
		docker_query(&path, "names", references->p[i]);
	}
	/* The head may come only when the daemon has gathered the whole image. */
	struct docker_stream_request req = {
		.method = "GET", .path = str_c(&path), .head_timeout_ms = DOCKER_TRANSFER_IDLE_MS};
	struct docker_stream *s = docker_stream_open(d, &req, err);
	if (!s) {
		error_wrap(err, "save image '%s'", references->len > 0 ? references->p[0] : "");
	}
	return s;
}
