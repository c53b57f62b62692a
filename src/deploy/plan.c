/* SPDX-License-Identifier: MIT */
#include "deploy/plan.h"

#include "planner.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

void plan_init(struct plan *p)
{
	memset(p, 0, sizeof(*p));
}

void plan_fini(struct plan *p)
{
	VEC_FOREACH (&p->steps, i) {
		struct plan_step *s = &p->steps.p[i];
		free(s->name);
		free(s->from);
		free(s->note);
		strvec_fini(&s->names);
	}
	vec_fini(&p->steps);
	vec_fini(&p->shares);
	strvec_fini(&p->notes);
	free(p->version);
	plan_init(p);
}

void plan_hosts_fini(struct plan_hosts *hosts)
{
	VEC_FOREACH (hosts, i) {
		struct plan_host *h = &hosts->p[i];
		VEC_FOREACH (&h->containers, j) {
			struct plan_container *c = &h->containers.p[j];
			free(c->name);
			free(c->id);
			free(c->image_id);
			free(c->kind);
			free(c->role);
			free(c->release_id);
			free(c->digest);
			free(c->cron);
		}
		vec_fini(&h->containers);
		VEC_FOREACH (&h->images, j) {
			free(h->images.p[j].id);
			strvec_fini(&h->images.p[j].tags);
		}
		vec_fini(&h->images);
		strvec_fini(&h->routes);
		strvec_fini(&h->schedule);
		strvec_fini(&h->backups_left);
		vec_fini(&h->networks_missing);
		vec_fini(&h->networks_differ);
		strmap_fini(&h->digests);
		VEC_FOREACH (&h->accessories, j) {
			free(h->accessories.p[j].drift);
		}
		vec_fini(&h->accessories);
	}
	vec_fini(hosts);
}

struct plan_step *plan_add(
	struct plan *p, enum plan_phase phase, enum plan_step_kind kind, size_t host)
{
	struct plan_step step = {.phase = phase, .kind = kind, .host = host};
	vec_push(&p->steps, step);
	return &p->steps.p[p->steps.len - 1];
}

struct plan_step *plan_add_named(struct plan *p, enum plan_phase phase, enum plan_step_kind kind,
	size_t host, const char *name)
{
	struct plan_step *s = plan_add(p, phase, kind, host);
	s->name = xstrdup(name);
	return s;
}

/* -- What was seen, asked -- */

bool plan_runs_role(const struct plan_host *h, const struct config_role *role)
{
	return config_role_is_on(role, h->name);
}

bool plan_is_app(const struct plan_container *c)
{
	return str_eq(c->kind, "app");
}

bool plan_is_of(const struct history *history, const char *host, const struct plan_container *c,
	long runs, const char *role)
{
	if (!plan_is_app(c) || c->release != runs || !str_eq(c->role, role)) {
		return false;
	}
	const struct release *own = history_find_id(history, c->release_id);
	return !own || own == history_find_on(history, runs, host);
}

const struct plan_container *plan_by_name(const struct plan_host *h, const char *name)
{
	VEC_FOREACH (&h->containers, i) {
		if (str_eq(h->containers.p[i].name, name)) {
			return &h->containers.p[i];
		}
	}
	return NULL;
}

static int by_replica(const void *a, const void *b)
{
	const struct plan_container *x = *(const struct plan_container *const *)a;
	const struct plan_container *y = *(const struct plan_container *const *)b;
	return x->replica != y->replica ? (x->replica < y->replica ? -1 : 1)
					: strcmp(x->name, y->name);
}

void plan_serving(const struct history *history, const struct plan_host *h,
	const struct config_role *role, long runs, struct strvec *names)
{
	const struct plan_container **found = xcalloc(h->containers.len + 1, sizeof(void *));
	size_t n = 0;
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (plan_is_of(history, h->name, c, runs, role->name)) {
			found[n++] = c;
		}
	}
	qsort(found, n, sizeof(*found), by_replica);
	for (size_t i = 0; i < n; i++) {
		strvec_push(names, found[i]->name);
	}
	free(found);
}

bool plan_same_names(const struct strvec *a, const struct strvec *b)
{
	if (a->len != b->len) {
		return false;
	}
	VEC_FOREACH (a, i) {
		if (!strvec_has(b, a->p[i])) {
			return false;
		}
	}
	return true;
}

const struct config_role *plan_proxied_role(const struct config *c, const struct plan_host *h)
{
	VEC_FOREACH (&c->roles, i) {
		if (c->roles.p[i].proxied && plan_runs_role(h, &c->roles.p[i])) {
			return &c->roles.p[i];
		}
	}
	return NULL;
}

bool plan_role_selected(const struct plan_request *req, const struct config_role *role)
{
	if (!req->roles || req->roles->len == 0) {
		return true;
	}
	VEC_FOREACH (req->roles, i) {
		if (fnmatch(req->roles->p[i], role->name, 0) == 0) {
			return true;
		}
	}
	return false;
}

bool plan_is_cron_host(const struct config_role *role, const struct plan_host *h)
{
	return role->hosts.len > 0 && str_eq(role->hosts.p[0].name, h->name);
}

/* As the manifest of the release says; 0: it does not. */
static int replicas_on_record(const struct release *r, const char *role)
{
	json_t *servers = r ? json_object_get(r->config, "servers") : NULL;
	json_t *said = json_object_get(servers, role);
	json_t *jobs = json_object_get(said, "cron");
	json_int_t count = json_integer_value(json_object_get(said, "replicas"));
	const char *schedule;
	json_t *commands;
	json_object_foreach(jobs, schedule, commands)
	{
		count += json_is_array(commands) ? (json_int_t)json_array_size(commands) : 1;
	}
	return count >= 1 && count <= 1000 ? (int)count : 0;
}

/* Was the role not yet in the manifest of the release? Where there is traffic, one role is the
 * other under a new name, and nothing would be left to take it. */
static bool is_newer(const struct release *r, const struct config_role *role)
{
	json_t *servers = r ? json_object_get(r->config, "servers") : NULL;
	return servers && !role->proxied && !json_object_get(servers, role->name);
}

int plan_replicas_of(
	const struct plan_request *req, const char *host, const struct config_role *role, long runs)
{
	const struct release *r = history_find_on(req->history, runs, host);
	int replicas = replicas_on_record(r, role->name);
	if (replicas == 0) {
		replicas = role != req->config->primary_role && is_newer(r, role) ? 0 : 1;
	}
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		VEC_FOREACH (&h->containers, j) {
			const struct plan_container *c = &h->containers.p[j];
			if (plan_is_of(req->history, host, c, runs, role->name) &&
				c->replica > replicas) {
				replicas = c->replica;
			}
		}
	}
	return replicas;
}
