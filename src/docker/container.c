/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

int docker_container_inspect(
	struct docker *d, const char *name, struct docker_container *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_CONTAINER, name, NULL, out, err);
}

int docker_container_list(struct docker *d, bool all, const struct docker_filters *filters,
	struct docker_container_list *out, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	str_add(&path, "/containers/json");
	if (all) {
		docker_query(&path, "all", "1");
	}
	docker_query_filters(&path, filters);
	return docker_lookup_path(d, DOCKER_LOOKUP_CONTAINERS, str_c(&path), NULL, out, err);
}

void docker_create_path(const struct docker_container_spec *s, struct str *out)
{
	str_add(out, "/containers/create");
	if (s->name) {
		docker_query(out, "name", s->name);
	}
	if (s->platform) {
		docker_query(out, "platform", s->platform);
	}
}

static const char *label_of(const struct docker_container_spec *s)
{
	return s->name ? s->name : s->image;
}

int docker_container_create(
	struct docker *d, const struct docker_container_spec *s, char **id, struct error *err)
{
	if (s->more_networks.len > 0) {
		return docker_container_make(d, s, id, err);
	}
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_JSON json_t *j = NULL;
	struct docker_body body = {0};
	docker_create_path(s, &path);
	int rc = docker_container_spec_body(s, &body, err);
	if (rc == 0) {
		struct docker_op op = {.method = "POST",
			.path = str_c(&path),
			.body = body.p,
			.body_len = body.len,
			.timeout_ms = 2 * docker_head_ms(d)};
		rc = docker_run_op(d, &op, &j, err);
	}
	docker_body_fini(&body);
	if (rc != 0) {
		return error_wrap(err, "create container '%s'", label_of(s));
	}
	if (id) {
		*id = docker_js(j, "Id");
	}
	return 0;
}

/* POST or DELETE on a container, without a body. ok: a status that is success besides. */
static int action(struct docker *d, const char *method, const char *name, const char *suffix,
	int timeout_ms, int ok, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/containers/", name, suffix);
	if (docker_call(d, method, str_c(&path), NULL, timeout_ms, NULL, err) == 0) {
		return 0;
	}
	if (ok != 0 && err->status == ok) {
		*err = (struct error){0};
		return 0;
	}
	return -1;
}

/* Somebody else made a network of the same name, and takes it away again: see network.c. */
#define TWIN_MS 5000

int docker_container_start(struct docker *d, const char *name, struct error *err)
{
	int64_t until = clock_mono_ms() + TWIN_MS;
	struct error cancelled = {0};
	while (action(d, "POST", name, "/start", 2 * docker_head_ms(d), 304, err) != 0) {
		if (!docker_is_twin(err) || clock_mono_ms() > until ||
			cancel_check(&cancelled) < 0) {
			return error_wrap(err, "start container '%s'", name);
		}
		*err = (struct error){0};
		clock_sleep_ms(50);
	}
	return 0;
}

void docker_stop_suffix(
	struct docker *d, const char *verb, int timeout_s, struct str *out, int *wait_ms)
{
	str_addf(out, "/%s", verb);
	*wait_ms = docker_head_ms(d);
	if (timeout_s >= 0) {
		str_addf(out, "?t=%d", timeout_s);
		*wait_ms += (timeout_s < 86400 ? timeout_s : 86400) * 1000;
	} else {
		*wait_ms += 3600 * 1000; /* its own, which we do not know */
	}
}

int docker_container_stop(struct docker *d, const char *name, int timeout_s, struct error *err)
{
	CLEANUP_STR struct str suffix = STR_INIT(64);
	int wait_ms;
	docker_stop_suffix(d, "stop", timeout_s, &suffix, &wait_ms);
	if (action(d, "POST", name, str_c(&suffix), wait_ms, 304, err) != 0) {
		return error_wrap(err, "stop container '%s'", name);
	}
	return 0;
}

int docker_container_restart(struct docker *d, const char *name, int timeout_s, struct error *err)
{
	CLEANUP_STR struct str suffix = STR_INIT(64);
	int wait_ms;
	docker_stop_suffix(d, "restart", timeout_s, &suffix, &wait_ms);
	if (action(d, "POST", name, str_c(&suffix), wait_ms, 0, err) != 0) {
		return error_wrap(err, "restart container '%s'", name);
	}
	return 0;
}

int docker_container_kill(struct docker *d, const char *name, const char *signal, struct error *err)
{
	CLEANUP_STR struct str suffix = STR_INIT(256);
	str_add(&suffix, "/kill");
	docker_query(&suffix, "signal", signal ? signal : "KILL");
	if (action(d, "POST", name, str_c(&suffix), 0, 409, err) != 0) {
		return error_wrap(err, "kill container '%s'", name);
	}
	return 0;
}

int docker_container_rename(
	struct docker *d, const char *name, const char *new_name, struct error *err)
{
	CLEANUP_STR struct str suffix = STR_INIT(DOCKER_MAX_PATH);
	str_add(&suffix, "/rename");
	docker_query(&suffix, "name", new_name);
	if (action(d, "POST", name, str_c(&suffix), 0, 0, err) != 0) {
		return error_wrap(err, "rename container '%s' to '%s'", name, new_name);
	}
	return 0;
}

int docker_container_update_restart(
	struct docker *d, const char *name, const char *policy, int max_retries, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_JSON json_t *body = json_pack("{s:{s:s, s:i}}", "RestartPolicy", "Name", policy,
		"MaximumRetryCount", max_retries);
	docker_path(&path, "/containers/", name, "/update");
	if (docker_call(d, "POST", str_c(&path), body, 0, NULL, err) != 0) {
		return error_wrap(err, "update container '%s'", name);
	}
	return 0;
}

int docker_container_remove(
	struct docker *d, const char *name, bool force, bool volumes, struct error *err)
{
	CLEANUP_STR struct str suffix = STR_INIT(64);
	if (force) {
		docker_query(&suffix, "force", "1");
	}
	if (volumes) {
		docker_query(&suffix, "v", "1");
	}
	if (action(d, "DELETE", name, str_c(&suffix), 2 * docker_head_ms(d), 404, err) != 0) {
		return error_wrap(err, "remove container '%s'", name);
	}
	return 0;
}

int docker_discard(struct docker *d, const struct strvec *containers, const struct strvec *images,
	struct error *err)
{
	size_t n = containers->len + images->len;
	if (n == 0) {
		return 0;
	}
	struct docker_op *ops = xcalloc(n, sizeof(*ops));
	char **paths = xcalloc(n, sizeof(*paths));
	for (size_t i = 0; i < n; i++) {
		bool image = i >= containers->len;
		struct str path = STR_INIT(DOCKER_MAX_PATH);
		docker_path(&path, image ? "/images/" : "/containers/",
			image ? images->p[i - containers->len] : containers->p[i],
			image ? "" : "?force=1&v=1");
		paths[i] = str_take(&path);
		ops[i] = (struct docker_op){
			.method = "DELETE", .path = paths[i], .timeout_ms = 3 * docker_head_ms(d)};
	}
	int rc = docker_run_ops(d, ops, n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct error *e = &ops[i].err;
		bool image = i >= containers->len;
		if (e->kind != ERROR_NONE && e->status != 404 && !(image && e->status == 409)) {
			*err = *e;
			rc = -1;
		}
	}
	for (size_t i = 0; i < n; i++) {
		free(paths[i]);
	}
	docker_ops_fini(ops, n);
	free(paths);
	free(ops);
	return rc == 0 ? 0 : error_wrap(err, "remove what is not kept");
}

int docker_container_relieve(
	struct docker *d, const char *old, int timeout_s, const char *successor, struct error *err)
{
	CLEANUP_STR struct str suffix = STR_INIT(64);
	CLEANUP_STR struct str stop = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_STR struct str start = STR_INIT(DOCKER_MAX_PATH);
	int wait_ms;
	docker_stop_suffix(d, "stop", timeout_s, &suffix, &wait_ms);
	docker_path(&stop, "/containers/", old, str_c(&suffix));
	docker_path(&start, "/containers/", successor, "/start");
	struct docker_op ops[] = {
		{.method = "POST", .path = str_c(&stop), .timeout_ms = wait_ms},
		{.method = "POST",
			.path = str_c(&start),
			.timeout_ms = wait_ms + 2 * docker_head_ms(d)},
	};
	int rc = docker_run_ops(d, ops, 2, err);
	for (int i = 0; rc == 0 && i < 2; i++) {
		if (ops[i].err.kind != ERROR_NONE) {
			*err = ops[i].err;
			rc = -1;
		}
	}
	docker_ops_fini(ops, 2);
	return rc == 0 ? 0
		       : error_wrap(err, "start container '%s' in place of '%s'", successor, old);
}

int docker_container_resize(
	struct docker *d, const char *name, int rows, int columns, struct error *err)
{
	CLEANUP_STR struct str suffix = STR_INIT(64);
	str_addf(&suffix, "/resize?h=%d&w=%d", rows, columns);
	if (action(d, "POST", name, str_c(&suffix), 0, 0, err) != 0) {
		return error_wrap(err, "resize the terminal of container '%s'", name);
	}
	return 0;
}

int docker_container_top(
	struct docker *d, const char *name, struct docker_top *out, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_JSON json_t *j = NULL;
	docker_path(&path, "/containers/", name, "/top");
	if (docker_call(d, "GET", str_c(&path), NULL, 0, &j, err) != 0) {
		return error_wrap(err, "processes of container '%s'", name);
	}
	docker_js_strvec(json_object_get(j, "Titles"), &out->titles);
	const json_t *rows = json_object_get(j, "Processes");
	for (size_t r = 0; r < json_array_size(rows); r++) {
		const json_t *row = json_array_get(rows, r);
		for (size_t c = 0; c < out->titles.len; c++) {
			const char *cell = json_string_value(json_array_get(row, c));
			strvec_push(&out->cells, cell ? cell : "");
		}
	}
	return 0;
}

void docker_top_fini(struct docker_top *t)
{
	strvec_fini(&t->titles);
	strvec_fini(&t->cells);
}
