/* SPDX-License-Identifier: MIT */
/* The steps of a push or a rollback, on hosts with nothing to mend. */
#include "deploy/names.h"
#include "planner.h"

#include <stdlib.h>
#include <string.h>

/* A name for a new container that nobody has, so that a version can be deployed once more. */
static char *free_name(const struct plan_request *req, const struct plan_host *h,
	const struct config_role *role, long number, int replica)
{
	char *name = names_container(req->config, role, req->version, 0, replica);
	if (!plan_by_name(h, name)) {
		return name;
	}
	free(name);
	return names_container(req->config, role, req->version, number, replica);
}

static void plan_create(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role)
{
	for (int replica = 1; replica <= role->replicas; replica++) {
		struct plan_step *s = plan_add(p, PLAN_START, STEP_CREATE, index);
		s->name = free_name(req, &req->hosts->p[index], role, p->number, replica);
		s->role = role;
		s->replica = replica;
		s->number = p->number;
	}
}

/* A container of the release on any host, to copy one that is gone. */
static const struct plan_container *any_of(
	const struct plan_request *req, const char *to, const char *role, long runs, size_t *host)
{
	for (size_t i = 0; i < req->hosts->len; i++) {
		const struct plan_host *h = &req->hosts->p[i];
		VEC_FOREACH (&h->containers, j) {
			const struct plan_container *c = &h->containers.p[j];
			if (plan_is_of(req->history, to, c, runs, role)) {
				*host = i;
				return c;
			}
		}
	}
	return NULL;
}

/* How many containers a host ran of it: as its manifest said, or as is seen anywhere. */
static int replicas_of(
	const struct plan_request *req, const char *host, const char *role, long runs)
{
	const struct release *r = history_find_on(req->history, runs, host);
	json_t *servers = r ? json_object_get(r->config, "servers") : NULL;
	json_t *count = json_object_get(json_object_get(servers, role), "replicas");
	json_int_t wanted = json_integer_value(count);
	int replicas = wanted >= 1 && wanted <= 1000 ? (int)wanted : 1;
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		VEC_FOREACH (&h->containers, j) {
			const struct plan_container *c = &h->containers.p[j];
			if (plan_is_of(req->history, host, c, runs, role) &&
				c->replica > replicas) {
				replicas = c->replica;
			}
		}
	}
	return replicas;
}

static int plan_clone(const struct plan_request *req, struct plan *p, const struct plan_step *like,
	struct error *err)
{
	const struct release *r = req->back_to;
	const struct config_role *role = like->role;
	const struct plan_host *h = &req->hosts->p[like->host];
	size_t from_host = 0;
	const struct plan_container *from =
		any_of(req, h->name, role->name, like->number, &from_host);
	if (!from) {
		error_set(err, ERROR_REMOTE,
			"release %ld (%s) cannot come back: none of its containers is left",
			r->number, r->version);
		return error_hint(
			err, "deploy push --version %s deploys that version anew", r->version);
	}
	const struct release *runs = history_find_on(req->history, like->number, h->name);
	const char *version = runs ? runs->version : r->version;
	char *name = names_container(req->config, role, version, 0, like->replica);
	if (plan_by_name(h, name)) {
		free(name);
		name = names_clone(from->name, p->number, like->replica);
	}
	struct plan_step *s = plan_add(p, PLAN_START, STEP_CLONE, like->host);
	s->name = name;
	s->from = xstrdup(from->name);
	s->from_host = from_host;
	s->role = role;
	s->replica = like->replica;
	s->number = like->number;
	s->note = xasprintf("its container is gone: copied from %s", from->name);
	return 0;
}

static const struct plan_container *replica_of(const struct plan_request *req,
	const struct plan_host *h, const struct config_role *role, long runs, int replica)
{
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (c->replica == replica &&
			plan_is_of(req->history, h->name, c, runs, role->name)) {
			return c;
		}
	}
	return NULL;
}

/* Brings back what ran; what runs already (the host was left out of a push) is left alone. */
static int plan_revive(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, long runs, struct strvec *names, struct error *err)
{
	int replicas = replicas_of(req, req->hosts->p[index].name, role->name, runs);
	for (int replica = 1; replica <= replicas; replica++) {
		const struct plan_container *c =
			replica_of(req, &req->hosts->p[index], role, runs, replica);
		struct plan_step like = {
			.host = index, .role = role, .replica = replica, .number = runs};
		if (!c) {
			if (plan_clone(req, p, &like, err) < 0) {
				return -1;
			}
			strvec_push(names, p->steps.p[p->steps.len - 1].name);
			continue;
		}
		strvec_push(names, c->name);
		if (!c->running) {
			struct plan_step *s =
				plan_add_named(p, PLAN_START, STEP_REVIVE, index, c->name);
			s->role = role;
			s->replica = replica;
			s->number = runs;
		}
	}
	return 0;
}

static void plan_switch(
	struct plan *p, size_t index, const struct config_role *role, const struct strvec *names)
{
	struct plan_step *s = plan_add(p, PLAN_SWITCH, STEP_SWITCH, index);
	strvec_copy(&s->names, names);
	s->role = role;
}

static void plan_retire(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, long runs)
{
	const struct plan_host *h = &req->hosts->p[index];
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (plan_is_app(c) && str_eq(c->role, role->name) && c->running &&
			!plan_is_of(req->history, h->name, c, runs, role->name)) {
			struct plan_step *s =
				plan_add_named(p, PLAN_RETIRE, STEP_RETIRE, index, c->name);
			s->role = role;
			s->number = c->release;
		}
	}
}

/* Containers of roles that the manifest does not put on this host any more. */
static void plan_retire_gone(const struct plan_request *req, struct plan *p, size_t index)
{
	const struct plan_host *h = &req->hosts->p[index];
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		bool here = false;
		VEC_FOREACH (&req->config->roles, j) {
			const struct config_role *role = &req->config->roles.p[j];
			here = here || (str_eq(role->name, c->role) && plan_runs_role(h, role));
		}
		if (plan_is_app(c) && c->running && !here) {
			struct plan_step *s =
				plan_add_named(p, PLAN_RETIRE, STEP_RETIRE, index, c->name);
			s->number = c->release;
			s->note = xasprintf("role '%s' is not on this host any more", c->role);
		}
	}
}

static int plan_host_role(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, struct error *err)
{
	const struct plan_host *h = &req->hosts->p[index];
	CLEANUP_STRVEC struct strvec names = {0};
	size_t first = p->steps.len;
	long runs = p->number;
	if (req->back_to) {
		runs = history_runs(req->history, req->back_to, h->name, role->name);
		if (plan_revive(req, p, index, role, runs, &names, err) < 0) {
			return -1;
		}
	} else {
		plan_create(req, p, index, role);
	}
	for (size_t i = first; !req->back_to && i < p->steps.len; i++) {
		strvec_push(&names, p->steps.p[i].name);
	}
	bool there = p->steps.len == first && plan_same_names(&names, &h->routes);
	if (role->proxied && !there) {
		plan_switch(p, index, role, &names);
	}
	plan_retire(req, p, index, role, runs);
	return 0;
}

static void plan_boot(const struct plan_request *req, struct plan *p, size_t index)
{
	const struct plan_host *h = &req->hosts->p[index];
	if (!h->network) {
		plan_add_named(p, PLAN_BOOT, STEP_NETWORK, index, req->config->network);
	}
	if (plan_proxied_role(req->config, h) && !h->proxy_running) {
		plan_add_named(p, PLAN_BOOT, STEP_PROXY, index, req->config->proxy.driver);
	}
}

/* Is this very release what every host runs and serves? */
static bool role_is_live(const struct plan_request *req, const struct plan_host *h,
	const struct config_role *role, const struct release *live)
{
	CLEANUP_STRVEC struct strvec names = {0};
	plan_serving(req->history, h, role, live->runs, &names);
	if (names.len != (size_t)role->replicas) {
		return false;
	}
	VEC_FOREACH (&names, i) {
		const struct plan_container *c = plan_by_name(h, names.p[i]);
		if (!c || !c->running || !str_eq(c->digest, strmap_get(&h->digests, role->name)) ||
			(req->image_id && !str_eq(c->image_id, req->image_id))) {
			return false;
		}
	}
	return !role->proxied || (plan_same_names(&names, &h->routes) && h->proxy_running);
}

static bool is_live_already(const struct plan_request *req)
{
	bool any = false;
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		VEC_FOREACH (&req->config->roles, j) {
			const struct config_role *role = &req->config->roles.p[j];
			if (!h->selected || !plan_runs_role(h, role) ||
				!plan_role_selected(req, role)) {
				continue;
			}
			const struct release *live = history_find_on(req->history,
				history_serving(req->history, h->name, role->name), h->name);
			if (!live || !str_eq(live->version, req->version) ||
				!role_is_live(req, h, role, live)) {
				return false;
			}
			any = true;
		}
	}
	return any;
}

static void plan_once(const struct plan_request *req, struct plan *p)
{
	if (req->back_to) {
		return;
	}
	CLEANUP_FREE char *image = names_image(req->config, req->version);
	plan_add_named(p, PLAN_BUILD, STEP_BUILD, PLAN_NO_HOST, image);
	if (req->config->release.command) {
		plan_add_named(
			p, PLAN_RELEASE, STEP_COMMAND, PLAN_NO_HOST, req->config->release.command);
	}
}

static int plan_one_host(
	const struct plan_request *req, struct plan *p, size_t index, struct error *err)
{
	const struct plan_host *h = &req->hosts->p[index];
	if (!req->back_to) {
		CLEANUP_FREE char *image = names_image(req->config, req->version);
		plan_add_named(p, PLAN_TRANSFER, STEP_TRANSFER, index, image);
	}
	plan_boot(req, p, index);
	VEC_FOREACH (&req->config->roles, j) {
		const struct config_role *role = &req->config->roles.p[j];
		if (plan_runs_role(h, role) && plan_role_selected(req, role) &&
			plan_host_role(req, p, index, role, err) < 0) {
			return -1;
		}
	}
	if (!req->roles || req->roles->len == 0) {
		plan_retire_gone(req, p, index);
	}
	plan_prune_host(req, p, index);
	return 0;
}

static int by_phase(const void *a, const void *b)
{
	const struct plan_step *x = a, *y = b;
	if (x->phase != y->phase) {
		return x->phase < y->phase ? -1 : 1;
	}
	/* Within a phase in order of hosts; qsort is not stable, so kinds and names decide too. */
	if (x->host != y->host) {
		return x->host < y->host ? -1 : 1;
	}
	if (x->kind != y->kind) {
		return x->kind < y->kind ? -1 : 1;
	}
	return strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

int plan_release(const struct plan_request *req, struct plan *p, struct error *err)
{
	p->number = history_next_number(req->history);
	free(p->version);
	p->version = xstrdup(req->back_to ? req->back_to->version : req->version);
	if (!req->back_to) {
		plan_accessories(req, p, true);
	}
	if (!req->back_to && !req->force && is_live_already(req)) {
		p->nothing = true;
		return 0;
	}
	plan_once(req, p);
	VEC_FOREACH (req->hosts, i) {
		if (req->hosts->p[i].selected && plan_one_host(req, p, i, err) < 0) {
			return -1;
		}
	}
	plan_add(p, PLAN_RECORD, STEP_RECORD, PLAN_NO_HOST)->number = p->number;
	qsort(p->steps.p, p->steps.len, sizeof(*p->steps.p), by_phase);
	return 0;
}
