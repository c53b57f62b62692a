/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "docker/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void query_json(struct str *path, const char *key, json_t *value)
{
	CLEANUP_FREE char *text = json_text(value);
	docker_query(path, key, text);
	json_decref(value);
}

static void query_text(struct str *path, const char *key, const char *value)
{
	if (value) {
		docker_query(path, key, value);
	}
}

static void build_path(const struct docker_build_request *r, struct str *path)
{
	str_add(path, "/build");
	docker_query(path, "version", r->buildkit ? "2" : "1");
	docker_query(path, "rm", "1");
	docker_query(path, "forcerm", "1");
	query_text(path, "dockerfile", r->dockerfile);
	for (size_t i = 0; r->tags && i < r->tags->len; i++) {
		docker_query(path, "t", r->tags->p[i]);
	}
	if (r->args && r->args->len > 0) {
		query_json(path, "buildargs", docker_js_from_strmap(r->args));
	}
	if (r->labels && r->labels->len > 0) {
		query_json(path, "labels", docker_js_from_strmap(r->labels));
	}
	if (r->cache_from && r->cache_from->len > 0) {
		query_json(path, "cachefrom", docker_js_from_strvec(r->cache_from));
	}
	query_text(path, "target", r->target);
	query_text(path, "platform", r->platform);
	query_text(path, "networkmode", r->network);
	query_text(path, "nocache", r->no_cache ? "1" : NULL);
	query_text(path, "pull", r->pull ? "1" : NULL);
	query_text(path, "session", r->session_id);
	query_text(path, "buildid", r->build_id);
	query_text(path, "remote", r->remote);
}

struct build {
	docker_progress_fn *progress;
	void *ctx;
	char *id; /* of the image, or NULL */
};

static void on_message(void *ctx, const struct docker_progress *p)
{
	struct build *b = ctx;
	const char *id = json_str_at(p->aux, "ID", NULL);
	if (id) {
		free(b->id);
		b->id = xstrdup(id);
	}
	if (b->progress) {
		b->progress(b->ctx, p);
	}
}

int docker_build(struct docker *d, const struct docker_build_request *r,
	const struct http_source *context, docker_progress_fn *progress, void *ctx, char **image_id,
	struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_HEADERS struct strmap headers = {0};
	struct build b = {.progress = progress, .ctx = ctx};
	build_path(r, &path);
	if (path.overflow) {
		return error_sys(err, ERROR_MANIFEST, EMSGSIZE, "build: arguments and labels");
	}
	docker_add_auths(&headers, r->auths, r->nauths);
	struct docker_stream_request req = {.method = "POST",
		.path = str_c(&path),
		.headers = &headers,
		.source = context,
		.head_timeout_ms = DOCKER_BUILD_IDLE_MS};
	CLEANUP_DOCKER_STREAM struct docker_stream *s = docker_stream_open(d, &req, err);
	if (!s || docker_progress_read(s, DOCKER_BUILD_IDLE_MS, on_message, &b, err) != 0) {
		free(b.id);
		return error_wrap(err, "build");
	}
	*image_id = b.id ? b.id : xstrdup("");
	return 0;
}

int docker_build_cancel(struct docker *d, const char *build_id, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	str_add(&path, "/build/cancel");
	docker_query(&path, "id", build_id);
	if (docker_call(d, "POST", str_c(&path), NULL, 0, NULL, err) != 0) {
		return error_wrap(err, "cancel the build");
	}
	return 0;
}

int docker_session_open(struct docker *d, const struct strmap *headers,
	const struct strvec *grpc_methods, struct error *err)
{
	CLEANUP_STRMAP struct strmap all = {0};
	strmap_copy(&all, headers);
	strmap_set(&all, "Connection", "Upgrade");
	strmap_set(&all, "Upgrade", "h2c");
	struct docker_stream_request req = {.method = "POST",
		.path = "/session",
		.headers = &all,
		.repeated_name = "X-Docker-Expose-Session-Grpc-Method",
		.repeated = grpc_methods};
	int fd = docker_hijack(d, &req, err);
	return fd >= 0 ? fd : error_wrap(err, "open a build session");
}
