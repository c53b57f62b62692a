/* SPDX-License-Identifier: MIT */
/* What is asked of a container step by step, and in one round trip. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 36 /* 32 networks, and what is around them */

/* The daemon does them in order; the first that fails counts. */
struct steps {
	struct docker *d;
	const char *name; /* of the container */
	struct docker_op ops[MAX_STEPS];
	char *paths[MAX_STEPS], *bodies[MAX_STEPS];
	const char *verbs[MAX_STEPS]; /* for errors: "start" */
	const char *tos[MAX_STEPS];   /* the network that it is connected to, or NULL */
	size_t n;
};

/* Takes path and body (or NULL). */
static struct docker_op *add(
	struct steps *s, const char *verb, const char *method, char *path, char *body)
{
	struct docker_op *op = &s->ops[s->n];
	*op = (struct docker_op){.method = method,
		.path = path,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.timeout_ms = 2 * docker_head_ms(s->d)};
	s->paths[s->n] = path;
	s->bodies[s->n] = body;
	s->verbs[s->n++] = verb;
	return op;
}

static char *path_of(const struct steps *s, const char *suffix)
{
	struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/containers/", s->name, suffix);
	return str_take(&path);
}

static void add_start(struct steps *s)
{
	add(s, "start", "POST", path_of(s, "/start"), NULL);
}

static void add_policy(struct steps *s, const char *policy)
{
	CLEANUP_JSON json_t *body = json_pack("{s:{s:s}}", "RestartPolicy", "Name", policy);
	add(s, "update", "POST", path_of(s, "/update"), json_text(body));
}

static int result(const struct steps *s, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (s->ops[i].err.kind == ERROR_NONE) {
			continue;
		}
		*err = s->ops[i].err;
		return s->tos[i] ? error_wrap(err, "%s container '%s' to network '%s'", s->verbs[i],
					   s->name, s->tos[i])
				 : error_wrap(err, "%s container '%s'", s->verbs[i], s->name);
	}
	return 0;
}

/* Sends all, and asks how it is then; that it cannot say so is no failure. */
static int run(struct steps *s, struct docker_container *seen, struct error *err)
{
	size_t n = s->n;
	if (seen) {
		add(s, "inspect", "GET", path_of(s, "/json"), NULL);
	}
	if (docker_run_ops(s->d, s->ops, s->n, err) != 0 && !(seen && s->ops[n - 1].done)) {
		return error_wrap(err, "%s container '%s'", s->verbs[n - 1], s->name);
	}
	if (seen && s->ops[n].err.kind == ERROR_NONE && json_is_object(s->ops[n].json)) {
		docker_parse_container(s->ops[n].json, seen);
	}
	return result(s, n, err);
}

static void steps_fini(struct steps *s)
{
	docker_ops_fini(s->ops, s->n);
	for (size_t i = 0; i < s->n; i++) {
		free(s->paths[i]);
		free(s->bodies[i]);
	}
}

/* A start that a twin of its network was in the way of comes again; how it is then is not known. */
static int start_again(struct docker *d, const char *name, int rc, struct docker_container *seen,
	struct error *err)
{
	if (rc == 0 || !docker_is_twin(err) || !str_starts(err->text, "start ")) {
		return rc;
	}
	if (seen) {
		docker_container_fini(seen);
	}
	*err = (struct error){0};
	return docker_container_start(d, name, err);
}

/* In one round trip. */
static int make(struct docker *d, const struct docker_container_spec *spec, bool start, char **id,
	struct docker_container *seen, struct error *err)
{
	struct steps s = {.d = d, .name = spec->name};
	struct docker_body body = {0};
	struct str path = STR_INIT(DOCKER_MAX_PATH);
	const struct strvec *more = &spec->more_networks;
	if (!spec->name || more->len + 3 > MAX_STEPS) {
		return error_set(err, ERROR_INTERNAL,
			"a container needs a name, and at most %d networks", MAX_STEPS - 3);
	}
	if (docker_container_spec_body(spec, &body, err) != 0) {
		return error_wrap(err, "create container '%s'", spec->name);
	}
	docker_create_path(spec, &path);
	struct docker_op *create = add(&s, "create", "POST", str_take(&path), NULL);
	create->body = body.p;
	create->body_len = body.len;
	VEC_FOREACH (more, i) {
		struct str to = STR_INIT(DOCKER_MAX_PATH);
		CLEANUP_JSON json_t *j = docker_connect_body(spec->name, &spec->network_aliases);
		docker_path(&to, "/networks/", more->p[i], "/connect");
		s.tos[s.n] = more->p[i];
		add(&s, "connect", "POST", str_take(&to), json_text(j));
	}
	if (start) {
		add_start(&s);
	}
	int rc = run(&s, seen, err);
	if (id && create->done && create->err.kind == ERROR_NONE) {
		*id = docker_js(create->json, "Id");
	}
	docker_body_fini(&body);
	steps_fini(&s);
	return start_again(d, spec->name, rc, seen, err);
}

int docker_container_run(struct docker *d, const struct docker_container_spec *spec, char **id,
	struct docker_container *seen, struct error *err)
{
	return make(d, spec, true, id, seen, err);
}

int docker_container_make(
	struct docker *d, const struct docker_container_spec *spec, char **id, struct error *err)
{
	return make(d, spec, false, id, NULL, err);
}

int docker_container_update_start(struct docker *d, const char *name, const char *policy,
	struct docker_container *seen, struct error *err)
{
	struct steps s = {.d = d, .name = name};
	add_policy(&s, policy);
	add_start(&s);
	int rc = run(&s, seen, err);
	steps_fini(&s);
	return start_again(d, name, rc, seen, err);
}

int docker_container_update_stop(
	struct docker *d, const char *name, const char *policy, int timeout_s, struct error *err)
{
	struct steps s = {.d = d, .name = name};
	CLEANUP_STR struct str suffix = STR_INIT(64);
	int wait_ms;
	docker_stop_suffix(d, "stop", timeout_s, &suffix, &wait_ms);
	add_policy(&s, policy);
	add(&s, "stop", "POST", path_of(&s, str_c(&suffix)), NULL)->timeout_ms = wait_ms;
	int rc = run(&s, NULL, err);
	steps_fini(&s);
	return rc;
}
