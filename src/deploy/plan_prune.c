/* SPDX-License-Identifier: MIT */
/* What may go: retired containers and images beyond retain_containers.  Never what runs. */
#include "deploy/names.h"
#include "planner.h"

#include <stdlib.h>

/* The release that runs as this role on the host when the plan is done. */
static long stays_live(const struct plan_request *req, const struct plan *p,
	const struct plan_host *h, const char *role)
{
	VEC_FOREACH (&req->config->roles, i) {
		const struct config_role *r = &req->config->roles.p[i];
		if (str_eq(r->name, role) && plan_runs_role(h, r) && plan_role_selected(req, r)) {
			return req->back_to
				       ? history_runs(req->history, req->back_to, h->name, role)
			       : p->number ? p->number
					   : history_serving(req->history, h->name, role);
		}
	}
	return history_serving(req->history, h->name, role);
}

VEC_TYPE(releases, const struct release *);

static bool has(const struct releases *v, const struct release *r)
{
	VEC_FOREACH (v, i) {
		if (v->p[i] == r) {
			return true;
		}
	}
	return false;
}

/* The releases that stay: the one that is live then, and the retain_containers others that served
 * last, be it by a rollback: those are what one goes back to. */
static bool retained(const struct plan_request *req, const struct plan *p,
	const struct plan_host *h, const struct plan_container *c)
{
	long keeps = stays_live(req, p, h, c->role);
	if (plan_is_of(req->history, h->name, c, keeps, c->role)) {
		return true;
	}
	const struct release *live = history_find_on(req->history, keeps, h->name);
	const struct release *own = history_find_id(req->history, c->release_id);
	struct releases kept = {0};
	bool found = false;
	for (size_t i = req->history->len; i-- > 0 && !found;) {
		const struct release *r = &req->history->p[i];
		if (r->outcome != RELEASE_LIVE || !release_covers(r, h->name, c->role)) {
			continue;
		}
		const struct release *served = r;
		if (r->runs != r->number) {
			long runs = history_runs(req->history, r, h->name, c->role);
			served = history_find_on(req->history, runs, h->name);
		}
		if (!served || served == live || !release_was_good(served) ||
			!release_covers(served, h->name, c->role) || has(&kept, served)) {
			continue;
		}
		if ((int)kept.len == req->config->retain_containers) {
			break;
		}
		vec_push(&kept, served);
		found = own ? served == own : served->number == c->release;
	}
	vec_fini(&kept);
	return found;
}

/* Of a role that `prune --roles` does not choose. */
static bool left_out(
	const struct plan_request *req, const struct plan *p, const struct plan_container *c)
{
	struct config_role role = {.name = c->role};
	return p->number == 0 && !plan_role_selected(req, &role);
}

/* Does the plan stop it before? */
static bool is_retired(const struct plan *p, size_t index, const char *name)
{
	VEC_FOREACH (&p->steps, i) {
		const struct plan_step *s = &p->steps.p[i];
		if ((s->kind == STEP_RETIRE || s->kind == STEP_STOP) && s->host == index &&
			str_eq(s->name, name)) {
			return true;
		}
	}
	return false;
}

static void prune_images(
	const struct plan_request *req, struct plan *p, size_t index, const struct strvec *used)
{
	const struct plan_host *h = &req->hosts->p[index];
	VEC_FOREACH (&h->images, i) {
		const struct plan_image *image = &h->images.p[i];
		bool wanted = strvec_has(used, image->id) || str_eq(image->id, req->image_id);
		CLEANUP_FREE char *own = p->version ? names_image(req->config, p->version) : NULL;
		if (image->ours && !wanted && !(own && strvec_has(&image->tags, own))) {
			plan_add_named(p, PLAN_PRUNE, STEP_REMOVE_IMAGE, index, image->id)->note =
				image->tags.len ? xstrdup(image->tags.p[0]) : NULL;
		}
	}
}

void plan_prune_host(const struct plan_request *req, struct plan *p, size_t index)
{
	const struct plan_host *h = &req->hosts->p[index];
	CLEANUP_STRVEC struct strvec used = {0};
	VEC_FOREACH (&h->containers, i) {
		const struct plan_container *c = &h->containers.p[i];
		if (plan_is_app(c) && !left_out(req, p, c) && !retained(req, p, h, c) &&
			(!c->running || is_retired(p, index, c->name))) {
			plan_add_named(p, PLAN_PRUNE, STEP_REMOVE, index, c->name)->number =
				c->release;
		} else {
			strvec_push(&used, c->image_id);
		}
	}
	prune_images(req, p, index, &used);
}

void plan_prune(const struct plan_request *req, struct plan *p)
{
	VEC_FOREACH (req->hosts, i) {
		if (req->hosts->p[i].selected) {
			plan_prune_host(req, p, i);
		}
	}
}
