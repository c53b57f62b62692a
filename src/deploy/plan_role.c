/* SPDX-License-Identifier: MIT */
/*
 * The steps that a push or a rollback takes for one role on one host.  Where a role without proxy
 * comes among the phases, and why: deploy/plan.h.
 */
#include "deploy/names.h"
#include "planner.h"

#include <stdlib.h>
#include <string.h>

/* A role on a host. */
struct placing {
	const struct plan_request *req;
	struct plan *p;
	size_t index;
	const struct plan_host *h;
	const struct config_role *role;
	long runs;           /* the release whose containers are to run */
	bool halts;          /* stop-first, and there is an old one to stop */
	struct strvec names; /* what runs in the end */
};

static enum plan_phase start_phase(const struct placing *x)
{
	return x->role->proxied || x->role == x->req->config->primary_role ? PLAN_START
									   : PLAN_WORKERS;
}

/* An old one of the role that runs: not a job of `cron`, which goes on to its own end. */
static bool is_old(const struct placing *x, const struct plan_container *c)
{
	return plan_is_app(c) && str_eq(c->role, x->role->name) && c->running && !c->cron &&
	       !plan_is_of(x->req->history, x->h->name, c, x->runs, x->role->name);
}

static bool has_old(const struct placing *x)
{
	VEC_FOREACH (&x->h->containers, i) {
		if (is_old(x, &x->h->containers.p[i])) {
			return true;
		}
	}
	return false;
}

static struct plan_step *add(
	struct placing *x, enum plan_phase phase, enum plan_step_kind kind, char *name, int replica)
{
	struct plan_step *s = plan_add(x->p, phase, kind, x->index);
	s->name = name;
	s->role = x->role;
	s->replica = replica;
	s->number = x->runs;
	return s;
}

/* -- A push -- */

/* A name for a new container that nobody has, so that a version can be deployed once more. */
static char *free_name(const struct placing *x, int replica)
{
	const struct config *c = x->req->config;
	char *name = names_container(c, x->role, x->req->version, 0, replica);
	if (!plan_by_name(x->h, name)) {
		return name;
	}
	free(name);
	return names_container(c, x->role, x->req->version, x->p->number, replica);
}

static void create_all(struct placing *x)
{
	bool cron = x->role->crons.len > 0;
	if (cron && !plan_is_cron_host(x->role, x->h)) {
		return;
	}
	for (int replica = 1; replica <= config_role_containers(x->role); replica++) {
		char *name = free_name(x, replica);
		strvec_push(&x->names, name);
		if (x->halts) {
			add(x, PLAN_REPLACE, STEP_LAUNCH, xstrdup(name), replica);
		}
		add(x, start_phase(x), x->halts || cron ? STEP_PREPARE : STEP_CREATE, name,
			replica);
	}
}

/* -- A rollback -- */

/* A container of the release on any host, to copy one that is gone; each job of `cron` is another.
 */
static const struct plan_container *any_of(const struct placing *x, int replica, size_t *host)
{
	for (size_t i = 0; i < x->req->hosts->len; i++) {
		const struct plan_host *h = &x->req->hosts->p[i];
		VEC_FOREACH (&h->containers, j) {
			const struct plan_container *c = &h->containers.p[j];
			if (plan_is_of(x->req->history, x->h->name, c, x->runs, x->role->name) &&
				(!c->cron || c->replica == replica)) {
				*host = i;
				return c;
			}
		}
	}
	return NULL;
}

static int clone(struct placing *x, int replica, struct error *err)
{
	const struct plan_request *req = x->req;
	const struct release *r = req->back_to;
	size_t from_host = 0;
	const struct plan_container *from = any_of(x, replica, &from_host);
	if (!from) {
		error_set(err, ERROR_REMOTE,
			"release %ld (%s) cannot come back: none of its containers is left",
			r->number, r->version);
		return error_hint(
			err, "deploy push --version %s deploys that version anew", r->version);
	}
	if (from->cron && !plan_is_cron_host(x->role, x->h)) {
		return 0; /* it runs once over all hosts */
	}
	const struct release *runs = history_find_on(req->history, x->runs, x->h->name);
	const char *version = runs ? runs->version : r->version;
	char *name = names_container(req->config, x->role, version, 0, replica);
	if (plan_by_name(x->h, name)) {
		free(name);
		name = names_clone(from->name, x->p->number, replica);
	}
	strvec_push(&x->names, name);
	struct plan_step *s =
		add(x, x->halts ? PLAN_REPLACE : start_phase(x), STEP_CLONE, name, replica);
	s->from = xstrdup(from->name);
	s->from_host = from_host;
	s->stands = from->cron != NULL;
	s->note = xasprintf("its container is gone: copied from %s", from->name);
	return 0;
}

static const struct plan_container *replica_of(const struct placing *x, int replica)
{
	VEC_FOREACH (&x->h->containers, i) {
		const struct plan_container *c = &x->h->containers.p[i];
		if (c->replica == replica &&
			plan_is_of(x->req->history, x->h->name, c, x->runs, x->role->name)) {
			return c;
		}
	}
	return NULL;
}

/* Brings back what ran; what runs already (the host was left out of a push) is left alone. */
static int revive_all(struct placing *x, struct error *err)
{
	int replicas = plan_replicas_of(x->req, x->h->name, x->role, x->runs);
	for (int replica = 1; replica <= replicas; replica++) {
		const struct plan_container *c = replica_of(x, replica);
		if (!c) {
			if (clone(x, replica, err) < 0) {
				return -1;
			}
			continue;
		}
		strvec_push(&x->names, c->name);
		if (!c->running && !c->cron) {
			add(x, x->halts ? PLAN_REPLACE : start_phase(x), STEP_REVIVE,
				xstrdup(c->name), replica);
		}
	}
	return 0;
}

/* -- Either -- */

static void send_traffic(struct placing *x, bool moved)
{
	if (x->role->proxied && (moved || !plan_same_names(&x->names, &x->h->routes))) {
		struct plan_step *s = plan_add(x->p, PLAN_SWITCH, STEP_SWITCH, x->index);
		strvec_copy(&s->names, &x->names);
		s->role = x->role;
	}
}

static void stop_old(struct placing *x)
{
	VEC_FOREACH (&x->h->containers, i) {
		const struct plan_container *c = &x->h->containers.p[i];
		if (is_old(x, c)) {
			struct plan_step *s =
				plan_add_named(x->p, x->halts ? PLAN_REPLACE : PLAN_RETIRE,
					x->halts ? STEP_STOP : STEP_RETIRE, x->index, c->name);
			s->role = x->role;
			s->number = c->release;
		}
	}
}

int plan_role(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, struct error *err)
{
	struct placing x = {.req = req,
		.p = p,
		.index = index,
		.h = &req->hosts->p[index],
		.role = role,
		.runs = p->number};
	size_t first = p->steps.len;
	int result = 0;
	if (req->back_to) {
		x.runs = history_runs(req->history, req->back_to, x.h->name, role->name);
	}
	x.halts = role->stop_first && has_old(&x);
	if (req->back_to) {
		result = revive_all(&x, err);
	} else {
		create_all(&x);
	}
	if (result == 0) {
		send_traffic(&x, p->steps.len > first);
		stop_old(&x);
	}
	strvec_fini(&x.names);
	return result;
}
