/* SPDX-License-Identifier: MIT */
/*
 * What an interrupted run left, and drift.  Above all: what serves is never taken away unless
 * something else takes its place.
 */
#include "planner.h"

#include <stdlib.h>

/* Does this host send its traffic to the interrupted release already, all of it running? */
static bool is_switched(const struct plan_request *req, const struct release *r,
	const struct plan_host *h, const struct config_role *role)
{
	CLEANUP_STRVEC struct strvec names = {0};
	plan_serving(
		req->history, h, role, history_runs(req->history, r, h->name, role->name), &names);
	if (names.len == 0 || !plan_same_names(&names, &h->routes)) {
		return false;
	}
	VEC_FOREACH (&names, i) {
		const struct plan_container *c = plan_by_name(h, names.p[i]);
		if (!c || !c->running) {
			return false;
		}
	}
	return true;
}

/*
 * Do all containers of a role without proxy run, that were proved before the switch?  One that took
 * another's place after it may not have been: then it goes back.  What cron runs is put right by
 * its schedule.
 */
static bool works(const struct plan_request *req, const struct release *r,
	const struct plan_host *h, const struct config_role *role)
{
	long runs = history_runs(req->history, r, h->name, role->name);
	int running = 0;
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		bool own = plan_is_of(req->history, h->name, c, runs, role->name);
		if (own && c->cron) {
			return true;
		}
		if (!own && role->stop_first && plan_is_app(c) && str_eq(c->role, role->name)) {
			return false;
		}
		running += own && c->running;
	}
	return running >= plan_replicas_of(req, h->name, role, runs);
}

/* Does all that the interrupted release was for run it, and is all traffic sent to it already? */
static bool all_switched(const struct plan_request *req, const struct release *r)
{
	size_t proxied = 0;
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		VEC_FOREACH (&req->config->roles, j) {
			const struct config_role *role = &req->config->roles.p[j];
			if (!plan_runs_role(h, role) || !release_covers(r, h->name, role->name) ||
				(role->crons.len > 0 && !plan_is_cron_host(role, h))) {
				continue;
			}
			if (role->proxied ? !is_switched(req, r, h, role)
					  : !works(req, r, h, role)) {
				return false;
			}
			proxied += role->proxied;
		}
	}
	return proxied > 0;
}

static int hosts_present(const struct plan_request *req, const struct release *r, struct error *err)
{
	VEC_FOREACH (&r->hosts, i) {
		bool found = false;
		VEC_FOREACH (req->hosts, j) {
			found = found || str_eq(req->hosts->p[j].name, r->hosts.p[i].key);
		}
		bool wanted = false;
		VEC_FOREACH (&req->config->roles, j) {
			VEC_FOREACH (&req->config->roles.p[j].hosts, k) {
				wanted = wanted || str_eq(req->config->roles.p[j].hosts.p[k].name,
							   r->hosts.p[i].key);
			}
		}
		/* A host that left the manifest cannot be asked, and serves nobody of ours. */
		if (!found && wanted) {
			error_set(err, ERROR_USAGE,
				"release %ld was interrupted, and host '%s' has to be mended with "
				"it",
				r->number, r->hosts.p[i].key);
			return error_hint(err, "run once without --hosts and --roles");
		}
	}
	return 0;
}

/* Ends the releases that have no end; returns the history as it is after that. */
static int mend_history(
	const struct plan_request *req, struct plan *p, struct history *after, struct error *err)
{
	history_merge(after, req->history);
	for (size_t i = 0; i < after->len; i++) {
		struct release *r = &after->p[i];
		if (r->outcome != RELEASE_PENDING) {
			continue;
		}
		if (hosts_present(req, r, err) < 0) {
			return -1;
		}
		r->outcome = all_switched(req, r) ? RELEASE_LIVE : RELEASE_INTERRUPTED;
		struct plan_step *s = plan_add(p, PLAN_MEND, STEP_END, PLAN_NO_HOST);
		s->number = r->number;
		s->outcome = r->outcome;
		s->note = xasprintf("by %s on %s: %s", r->performer ? r->performer : "?",
			r->operator_host ? r->operator_host : "?",
			r->outcome == RELEASE_LIVE ? "every host serves it already"
						   : "nothing of it stays");
	}
	return 0;
}

/* One host, with the history as it is once the interrupted releases have ended. */
struct mending {
	const struct plan_request *req;
	struct plan *p;
	size_t index;
	const struct plan_host *h;
	const struct history *history;
	bool interrupted;
	struct strvec routed; /* what has the traffic after the steps planned so far */
};

static long serving(const struct mending *m, const char *role)
{
	return history_serving(m->history, m->h->name, role);
}

static bool is_live(const struct mending *m, const struct plan_container *c)
{
	return plan_is_of(m->history, m->h->name, c, serving(m, c->role), c->role);
}

static bool never_served(const struct mending *m, const struct plan_container *c)
{
	const struct release *own = history_find_id(m->history, c->release_id);
	const struct release *r = own ? own : history_find_on(m->history, c->release, m->h->name);
	return plan_is_app(c) && (!r || !release_was_good(r));
}

/*
 * A live container that stands still was stopped by people, unless a release did it: one that was
 * interrupted, or one that was to take its place and was not taken back to the end, so that its
 * containers are still here.
 */
static bool comes_back(const struct mending *m, const struct plan_container *live)
{
	const struct config_role *role = config_role_named(m->req->config, live->role);
	if (live->cron) {
		return false;
	}
	for (size_t i = 0; role && role->stop_first && i < m->h->containers.len; i++) {
		const struct plan_container *c = &m->h->containers.p[i];
		if (c->release > live->release && str_eq(c->role, live->role) &&
			never_served(m, c)) {
			return true;
		}
	}
	return m->interrupted;
}

/* Does what is on record as live for this role run, or is it about to? */
static bool will_run(const struct mending *m, const char *role)
{
	long runs = serving(m, role);
	VEC_FOREACH (&m->h->containers, i) {
		const struct plan_container *c = &m->h->containers.p[i];
		if (runs > 0 && plan_is_of(m->history, m->h->name, c, runs, role) &&
			(c->running || comes_back(m, c))) {
			return true;
		}
	}
	return false;
}

static bool role_is_here(const struct mending *m, const char *name)
{
	const struct config_role *role = config_role_named(m->req->config, name);
	return role && plan_runs_role(m->h, role);
}

/* Routes follow the history: hand-edited, lost, or left by an interrupted switch. */
static void mend_routes(struct mending *m)
{
	const struct plan_host *h = m->h;
	const struct config_role *role = plan_proxied_role(m->req->config, h);
	long live = role ? serving(m, role->name) : 0;
	strvec_copy(&m->routed, &h->routes);
	if (!role || !h->proxy_running || (!live && !h->routes_there)) {
		return;
	}
	struct strvec names = {0};
	plan_serving(m->history, h, role, live, &names);
	if (live && !will_run(m, role->name)) {
		if (names.len == 0) {
			strvec_pushf(&m->p->notes,
				"%s: no container of release %ld, which is live, is there", h->name,
				live);
		}
		strvec_fini(&names);
		return;
	}
	if (plan_same_names(&names, &h->routes) && !h->routes_edited &&
		h->routes_there == (live != 0)) {
		strvec_fini(&names);
		return;
	}
	strvec_fini(&m->routed);
	strvec_copy(&m->routed, &names);
	struct plan_step *s = plan_add(m->p, PLAN_MEND, STEP_ROUTES, m->index);
	s->names = names;
	s->role = role;
	s->number = live;
	s->note = xstrdup(h->routes_edited ? "the proxy's configuration was edited by hand"
			  : !live          ? "no release is live"
					   : "the proxy does not serve the live release");
}

static void step(
	struct mending *m, enum plan_step_kind kind, const struct plan_container *c, char *note)
{
	struct plan_step *s = plan_add_named(m->p, PLAN_MEND, kind, m->index, c->name);
	s->role = config_role_named(m->req->config, c->role);
	s->note = note;
}

/* Containers that no finished release owns, and old ones that still run. */
static void mend_container(struct mending *m, const struct plan_container *c)
{
	bool bad = never_served(m, c);
	if (str_eq(c->kind, "exec") && c->running) {
		return; /* somebody's `app exec` */
	}
	if (str_eq(c->kind, "accessory")) {
		return; /* of no release */
	}
	if (!plan_is_app(c)) {
		step(m, STEP_REMOVE, c,
			xasprintf("left over (%s)", c->kind && *c->kind ? c->kind : "?"));
	} else if (!bad && (!c->running || c->cron || is_live(m, c))) {
		return; /* retired, or live, or a job that goes on to its end */
	} else if (strvec_has(&m->routed, c->name) && c->running) {
		strvec_pushf(&m->p->notes, "%s: %s has the traffic, though it is not what is live",
			m->h->name, c->name);
	} else if (bad) {
		step(m, STEP_REMOVE, c,
			xasprintf("of release %ld, which never took the traffic", c->release));
	} else if (will_run(m, c->role) || !role_is_here(m, c->role)) {
		step(m, STEP_STOP, c, xasprintf("of release %ld, which is retired", c->release));
	} else {
		strvec_pushf(&m->p->notes, "%s: %s still runs: nothing of the live release does",
			m->h->name, c->name);
	}
}

/* Live containers that stand still while the interrupted run had to bring them back: those of
 * stop-first roles once the new ones, which may be there only alone, are gone. */
static void mend_live(struct mending *m, bool stop_first)
{
	VEC_FOREACH (&m->h->containers, i) {
		const struct plan_container *c = &m->h->containers.p[i];
		const struct config_role *role = config_role_named(m->req->config, c->role);
		if (c->running || c->cron || c->release == 0 || !is_live(m, c) ||
			(role && role->stop_first) != stop_first) {
			continue;
		}
		if (comes_back(m, c)) {
			step(m, STEP_START, c, xstrdup("it is live, but stands still"));
		} else {
			strvec_pushf(&m->p->notes,
				"%s: %s is live, but stands still (deploy app start)", m->h->name,
				c->name);
		}
	}
}

/* Cron runs the jobs of the live release.  That it runs nothing may be what `app stop` did. */
static void mend_schedule(struct mending *m)
{
	const struct plan_host *h = m->h;
	struct strvec names = {0};
	plan_scheduled(m->req, m->history, h, &names);
	if (!plan_same_names(&names, &h->schedule)) {
		if (h->schedule.len > 0 || m->interrupted) {
			struct plan_step *s = plan_add(m->p, PLAN_MEND, STEP_SCHEDULE, m->index);
			s->names = names;
			s->note = xstrdup("these are live");
			return;
		}
		strvec_pushf(&m->p->notes,
			"%s: cron does not run %s, which is live (deploy app start)", h->name,
			names.p[0]);
	}
	strvec_fini(&names);
}

static void mend_host(struct mending *m)
{
	mend_live(m, false);
	mend_routes(m);
	mend_schedule(m);
	VEC_FOREACH (&m->h->containers, i) {
		mend_container(m, &m->h->containers.p[i]);
	}
	mend_live(m, true);
	strvec_fini(&m->routed);
}

int plan_mend(const struct plan_request *req, struct plan *p, struct error *err)
{
	struct history after;
	history_init(&after);
	int result = mend_history(req, p, &after, err);
	bool interrupted = p->steps.len > 0;
	for (size_t i = 0; result == 0 && i < req->hosts->len; i++) {
		struct mending m = {.req = req,
			.p = p,
			.index = i,
			.h = &req->hosts->p[i],
			.history = &after,
			.interrupted = interrupted};
		mend_host(&m);
	}
	history_fini(&after);
	return result;
}
