/* SPDX-License-Identifier: MIT */
#include "deploy/plan.h"

#include "deploy/names.h"

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
		}
		vec_fini(&h->containers);
		VEC_FOREACH (&h->images, j) {
			free(h->images.p[j].id);
			strvec_fini(&h->images.p[j].tags);
		}
		vec_fini(&h->images);
		strvec_fini(&h->routes);
		strmap_fini(&h->digests);
	}
	vec_fini(hosts);
}

static struct plan_step *add(
	struct plan *p, enum plan_phase phase, enum plan_step_kind kind, size_t host)
{
	struct plan_step step = {.phase = phase, .kind = kind, .host = host};
	vec_push(&p->steps, step);
	return &p->steps.p[p->steps.len - 1];
}

static struct plan_step *add_named(struct plan *p, enum plan_phase phase, enum plan_step_kind kind,
	size_t host, const char *name)
{
	struct plan_step *s = add(p, phase, kind, host);
	s->name = xstrdup(name);
	return s;
}

/* -- What was seen, asked -- */

static bool runs_role(const struct plan_host *h, const struct config_role *role)
{
	VEC_FOREACH (&role->hosts, i) {
		if (str_eq(role->hosts.p[i].name, h->name)) {
			return true;
		}
	}
	return false;
}

static bool is_app(const struct plan_container *c)
{
	return str_eq(c->kind, "app");
}

static const struct plan_container *by_name(const struct plan_host *h, const char *name)
{
	VEC_FOREACH (&h->containers, i) {
		if (str_eq(h->containers.p[i].name, name)) {
			return &h->containers.p[i];
		}
	}
	return NULL;
}

void plan_serving(const struct plan_host *h, const struct config_role *role, long runs,
	struct strvec *names)
{
	for (int replica = 1; replica <= 1000; replica++) {
		size_t before = names->len;
		VEC_FOREACH (&h->containers, i) {
			const struct plan_container *c = &h->containers.p[i];
			if (is_app(c) && c->release == runs && c->replica == replica &&
				str_eq(c->role, role->name)) {
				strvec_push(names, c->name);
			}
		}
		if (names->len == before) {
			break;
		}
	}
}

static bool same_names(const struct strvec *a, const struct strvec *b)
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

/* The release that is live on this host: the last that took the traffic and included it. */
static const struct release *live_on(const struct history *history, const char *host)
{
	for (size_t i = history->len; i-- > 0;) {
		const struct release *r = &history->p[i];
		if (r->outcome == RELEASE_LIVE &&
			(r->hosts.len == 0 || strmap_get(&r->hosts, host))) {
			return r;
		}
	}
	return NULL;
}

static const struct config_role *proxied_role(
	const struct config *c, const struct plan_host *h)
{
	VEC_FOREACH (&c->roles, i) {
		if (c->roles.p[i].proxied && runs_role(h, &c->roles.p[i])) {
			return &c->roles.p[i];
		}
	}
	return NULL;
}

/* -- Mending -- */

/* Does every host of the interrupted release send its traffic to it already? */
static bool all_switched(const struct plan_request *req, const struct release *r)
{
	size_t proxied = 0;
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		const struct config_role *role = proxied_role(req->config, h);
		if (!role || !strmap_get(&r->hosts, h->name)) {
			continue;
		}
		CLEANUP_STRVEC struct strvec names = {0};
		plan_serving(h, role, r->runs, &names);
		if (names.len == 0 || !same_names(&names, &h->routes)) {
			return false;
		}
		VEC_FOREACH (&names, j) {
			const struct plan_container *c = by_name(h, names.p[j]);
			if (!c || !c->running) {
				return false;
			}
		}
		proxied++;
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
				wanted = wanted ||
					 str_eq(req->config->roles.p[j].hosts.p[k].name,
						 r->hosts.p[i].key);
			}
		}
		/* A host that left the manifest cannot be asked, and serves nobody of ours. */
		if (!found && wanted) {
			error_set(err, ERROR_USAGE,
				"release %ld was interrupted, and host '%s' has to be mended with it",
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
		struct plan_step *s = add(p, PLAN_MEND, STEP_END, PLAN_NO_HOST);
		s->number = r->number;
		s->outcome = r->outcome;
		s->note = xasprintf("by %s on %s: %s", r->performer ? r->performer : "?",
			r->operator_host ? r->operator_host : "?",
			r->outcome == RELEASE_LIVE ? "every host serves it already"
						   : "nothing of it stays");
	}
	return 0;
}

/* Routes follow the history: hand-edited, lost, or left by an interrupted switch. */
static void mend_routes(const struct plan_request *req, struct plan *p, size_t index,
	const struct release *live)
{
	const struct plan_host *h = &req->hosts->p[index];
	const struct config_role *role = proxied_role(req->config, h);
	if (!role || !h->proxy_running || (!live && !h->routes_there)) {
		return;
	}
	struct strvec names = {0};
	if (live) {
		plan_serving(h, role, live->runs, &names);
	}
	if (live && names.len == 0) {
		strvec_pushf(&p->notes, "%s: no container of release %ld, which is live, is there",
			h->name, live->number);
		strvec_fini(&names);
		return;
	}
	if (same_names(&names, &h->routes) && !h->routes_edited && h->routes_there == (live != NULL)) {
		strvec_fini(&names);
		return;
	}
	struct plan_step *s = add(p, PLAN_MEND, STEP_ROUTES, index);
	s->names = names;
	s->role = role;
	s->number = live ? live->runs : 0;
	s->note = xstrdup(h->routes_edited ? "the proxy's configuration was edited by hand"
			  : !live	   ? "no release is live"
					   : "the proxy does not serve the live release");
}

/* Containers that no finished release owns, and old ones that still run. */
static void mend_containers(const struct plan_request *req, struct plan *p, size_t index,
	const struct history *history, const struct release *live)
{
	const struct plan_host *h = &req->hosts->p[index];
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		const struct release *r = history_find(history, c->release);
		if (str_eq(c->kind, "exec") && c->running) {
			continue; /* somebody's `app exec` */
		}
		if (!is_app(c)) {
			add_named(p, PLAN_MEND, STEP_REMOVE, index, c->name)->note =
				xasprintf("left over (%s)", c->kind && *c->kind ? c->kind : "?");
		} else if (!r || !release_was_good(r)) {
			add_named(p, PLAN_MEND, STEP_REMOVE, index, c->name)->note =
				xasprintf("of release %ld, which never took the traffic", c->release);
		} else if (c->running && (!live || c->release != live->runs)) {
			add_named(p, PLAN_MEND, STEP_STOP, index, c->name)->note =
				xasprintf("of release %ld, which is retired", c->release);
		}
	}
}

/* Live containers that stand still while the interrupted run had to bring them back. */
static void mend_live(const struct plan_request *req, struct plan *p, size_t index,
	const struct release *live, bool interrupted)
{
	const struct plan_host *h = &req->hosts->p[index];
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (!live || !is_app(c) || c->release != live->runs || c->running) {
			continue;
		}
		if (interrupted) {
			add_named(p, PLAN_MEND, STEP_START, index, c->name)->note =
				xstrdup("it is live, but stands still");
		} else {
			strvec_pushf(&p->notes, "%s: %s is live, but stands still (deploy app start)",
				h->name, c->name);
		}
	}
}

int plan_mend(const struct plan_request *req, struct plan *p, struct error *err)
{
	struct history after;
	history_init(&after);
	int result = mend_history(req, p, &after, err);
	bool interrupted = p->steps.len > 0;
	for (size_t i = 0; result == 0 && i < req->hosts->len; i++) {
		const struct release *live = live_on(&after, req->hosts->p[i].name);
		mend_live(req, p, i, live, interrupted);
		mend_routes(req, p, i, live);
		mend_containers(req, p, i, &after, live);
	}
	history_fini(&after);
	return result;
}

/* -- A release -- */

static bool role_selected(const struct plan_request *req, const struct config_role *role)
{
	return !req->roles || req->roles->len == 0 || strvec_has(req->roles, role->name);
}

/* A name for a new container that nobody has, so that a version can be deployed once more. */
static char *free_name(const struct plan_request *req, const struct plan_host *h,
	const struct config_role *role, long number, int replica)
{
	char *name = names_container(req->config, role, req->version, 0, replica);
	if (!by_name(h, name)) {
		return name;
	}
	free(name);
	return names_container(req->config, role, req->version, number, replica);
}

static void plan_create(
	const struct plan_request *req, struct plan *p, size_t index, const struct config_role *role)
{
	for (int replica = 1; replica <= role->replicas; replica++) {
		struct plan_step *s = add(p, PLAN_START, STEP_CREATE, index);
		s->name = free_name(req, &req->hosts->p[index], role, p->number, replica);
		s->role = role;
		s->replica = replica;
		s->number = p->number;
	}
}

/* A container of the release on any host, to copy one that is gone. */
static const struct plan_container *any_of(
	const struct plan_request *req, const char *role, long runs, size_t *host)
{
	for (size_t i = 0; i < req->hosts->len; i++) {
		const struct plan_host *h = &req->hosts->p[i];
		VEC_FOREACH (&h->containers, j) {
			const struct plan_container *c = &h->containers.p[j];
			if (is_app(c) && c->release == runs && str_eq(c->role, role)) {
				*host = i;
				return c;
			}
		}
	}
	return NULL;
}

static int plan_clone(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, struct error *err)
{
	const struct release *r = req->back_to;
	size_t from_host = 0;
	const struct plan_container *from = any_of(req, role->name, r->runs, &from_host);
	if (!from) {
		error_set(err, ERROR_REMOTE,
			"release %ld (%s) cannot come back: none of its containers is left", r->number,
			r->version);
		return error_hint(err, "deploy push --version %s deploys that version anew", r->version);
	}
	struct plan_step *s = add(p, PLAN_START, STEP_CLONE, index);
	s->name = names_container(req->config, role, r->version, 0, 1);
	s->from = xstrdup(from->name);
	s->from_host = from_host;
	s->role = role;
	s->replica = 1;
	s->number = r->runs;
	s->note = xasprintf("its container is gone: copied from %s", from->name);
	return 0;
}

static int plan_revive(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, struct error *err)
{
	CLEANUP_STRVEC struct strvec names = {0};
	plan_serving(&req->hosts->p[index], role, req->back_to->runs, &names);
	VEC_FOREACH (&names, i) {
		struct plan_step *s =
			add_named(p, PLAN_START, STEP_REVIVE, index, names.p[i]);
		s->role = role;
		s->replica = (int)i + 1;
		s->number = req->back_to->runs;
	}
	return names.len > 0 ? 0 : plan_clone(req, p, index, role, err);
}

static void plan_switch(
	struct plan *p, size_t index, const struct config_role *role, size_t first_step)
{
	struct strvec names = {0};
	for (size_t i = first_step; i < p->steps.len; i++) {
		strvec_push(&names, p->steps.p[i].name);
	}
	struct plan_step *s = add(p, PLAN_SWITCH, STEP_SWITCH, index);
	s->names = names;
	s->role = role;
}

static void plan_retire(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, long runs)
{
	const struct plan_host *h = &req->hosts->p[index];
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (is_app(c) && str_eq(c->role, role->name) && c->running && c->release != runs) {
			struct plan_step *s =
				add_named(p, PLAN_RETIRE, STEP_RETIRE, index, c->name);
			s->role = role;
			s->number = c->release;
		}
	}
}

static int plan_host_role(const struct plan_request *req, struct plan *p, size_t index,
	const struct config_role *role, struct error *err)
{
	size_t first = p->steps.len;
	if (req->back_to) {
		if (plan_revive(req, p, index, role, err) < 0) {
			return -1;
		}
	} else {
		plan_create(req, p, index, role);
	}
	if (role->proxied) {
		plan_switch(p, index, role, first);
	}
	plan_retire(req, p, index, role, req->back_to ? req->back_to->runs : p->number);
	return 0;
}

static void plan_boot(const struct plan_request *req, struct plan *p, size_t index)
{
	const struct plan_host *h = &req->hosts->p[index];
	if (!h->network) {
		add_named(p, PLAN_BOOT, STEP_NETWORK, index, req->config->network);
	}
	if (proxied_role(req->config, h) && !h->proxy_running) {
		add_named(p, PLAN_BOOT, STEP_PROXY, index, req->config->proxy.driver);
	}
}

/* The releases that stay: the one that goes live and those before it, retain_containers in all. */
static bool retained(const struct plan_request *req, const struct plan *p, long release)
{
	long keeps = req->back_to ? req->back_to->runs : p->number;
	if (release == keeps) {
		return true;
	}
	int kept = 1;
	for (size_t i = req->history->len; i-- > 0;) {
		const struct release *r = &req->history->p[i];
		if (!release_was_good(r) || r->number == keeps) {
			continue;
		}
		if (++kept > req->config->retain_containers) {
			return false;
		}
		if (r->number == release) {
			return true;
		}
	}
	return false;
}

static void plan_prune(const struct plan_request *req, struct plan *p, size_t index)
{
	const struct plan_host *h = &req->hosts->p[index];
	CLEANUP_STRVEC struct strvec used = {0};
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (is_app(c) && !retained(req, p, c->release)) {
			add_named(p, PLAN_PRUNE, STEP_REMOVE, index, c->name)->number = c->release;
		} else {
			strvec_push(&used, c->image_id);
		}
	}
	VEC_FOREACH (&h->images, i) {
		const struct plan_image *image = &h->images.p[i];
		bool wanted = strvec_has(&used, image->id) || str_eq(image->id, req->image_id);
		CLEANUP_FREE char *own = names_image(req->config, p->version);
		if (image->ours && !wanted && !strvec_has(&image->tags, own)) {
			add_named(p, PLAN_PRUNE, STEP_REMOVE_IMAGE, index, image->id)->note =
				image->tags.len ? xstrdup(image->tags.p[0]) : NULL;
		}
	}
}

/* Is this very release what every host runs and serves? */
static bool role_is_live(const struct plan_request *req, const struct plan_host *h,
	const struct config_role *role, const struct release *live)
{
	CLEANUP_STRVEC struct strvec names = {0};
	plan_serving(h, role, live->runs, &names);
	if (names.len != (size_t)role->replicas) {
		return false;
	}
	VEC_FOREACH (&names, i) {
		const struct plan_container *c = by_name(h, names.p[i]);
		if (!c || !c->running || !str_eq(c->digest, strmap_get(&h->digests, role->name)) ||
			(req->image_id && !str_eq(c->image_id, req->image_id))) {
			return false;
		}
	}
	return !role->proxied || (same_names(&names, &h->routes) && h->proxy_running);
}

static bool is_live_already(const struct plan_request *req)
{
	bool any = false;
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		const struct release *live = live_on(req->history, h->name);
		VEC_FOREACH (&req->config->roles, j) {
			const struct config_role *role = &req->config->roles.p[j];
			if (!h->selected || !runs_role(h, role) || !role_selected(req, role)) {
				continue;
			}
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
	add_named(p, PLAN_BUILD, STEP_BUILD, PLAN_NO_HOST, image);
	if (req->config->release.command) {
		add_named(p, PLAN_RELEASE, STEP_COMMAND, PLAN_NO_HOST, req->config->release.command);
	}
}

static int plan_one_host(
	const struct plan_request *req, struct plan *p, size_t index, struct error *err)
{
	const struct plan_host *h = &req->hosts->p[index];
	if (!req->back_to) {
		CLEANUP_FREE char *image = names_image(req->config, req->version);
		add_named(p, PLAN_TRANSFER, STEP_TRANSFER, index, image);
	}
	plan_boot(req, p, index);
	VEC_FOREACH (&req->config->roles, j) {
		const struct config_role *role = &req->config->roles.p[j];
		if (runs_role(h, role) && role_selected(req, role) &&
			plan_host_role(req, p, index, role, err) < 0) {
			return -1;
		}
	}
	plan_prune(req, p, index);
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
	add(p, PLAN_RECORD, STEP_RECORD, PLAN_NO_HOST)->number = p->number;
	qsort(p->steps.p, p->steps.len, sizeof(*p->steps.p), by_phase);
	return 0;
}
