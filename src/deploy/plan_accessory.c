/* SPDX-License-Identifier: MIT */
/* Accessories in a plan: those that are missing are booted; the others are only told about. */
#include "planner.h"

/* What cron has to back up there: known once the accessory is there, and only a push changes it. */
static void plan_backups(struct plan *p, size_t index, const struct plan_host *h, bool boot)
{
	VEC_FOREACH (&h->accessories, i) {
		const struct config_accessory *a = h->accessories.p[i].accessory;
		if (!h->accessories.p[i].schedule_differs) {
			continue;
		}
		if (boot) {
			struct plan_step *s =
				plan_add_named(p, PLAN_BOOT, STEP_BACKUPS, index, a->name);
			s->accessory = a->backup.schedule ? a : NULL;
			s->note = a->backup.schedule ? xstrdup(a->backup.schedule) : NULL;
		} else if (!h->accessories.p[i].missing) {
			strvec_pushf(&p->notes,
				"%s: the scheduled backups of accessory %s are not as in the "
				"manifest (the next push mends that)",
				h->name, a->name);
		}
	}
	for (size_t i = 0; boot && i < h->backups_left.len; i++) {
		plan_add_named(p, PLAN_BOOT, STEP_BACKUPS, index, h->backups_left.p[i]);
	}
}

void plan_networks(struct plan *p, size_t index, const struct plan_host *h)
{
	VEC_FOREACH (&h->networks_missing, i) {
		const struct config_network *n = h->networks_missing.p[i];
		struct plan_step *s = plan_add_named(p, PLAN_BOOT, STEP_NETWORK, index, n->name);
		s->network = n;
		s->note = n->internal ? xstrdup("internal") : NULL;
	}
}

/* Docker changes none that is there. */
static void tell_networks(struct plan *p, const struct plan_host *h)
{
	VEC_FOREACH (&h->networks_differ, i) {
		const struct config_network *n = h->networks_differ.p[i];
		strvec_pushf(&p->notes,
			"%s: network %s is %s, the manifest wants it %s (stop what is on it, and "
			"docker network rm %s: then it is made anew)",
			h->name, n->name, n->internal ? "open" : "internal",
			n->internal ? "internal" : "open", n->name);
	}
}

void plan_accessories(const struct plan_request *req, struct plan *p, bool boot)
{
	VEC_FOREACH (req->hosts, i) {
		const struct plan_host *h = &req->hosts->p[i];
		bool networks = h->selected && boot; /* those are made in any case */
		tell_networks(p, h);
		VEC_FOREACH (&h->accessories, j) {
			const struct plan_accessory *a = &h->accessories.p[j];
			if (a->missing && boot) {
				if (!networks) {
					plan_networks(p, i, h);
					networks = true;
				}
				plan_add_named(p, PLAN_BOOT, STEP_ACCESSORY, i, a->accessory->name)
					->accessory = a->accessory;
			} else if (a->missing) {
				strvec_pushf(&p->notes,
					"%s: accessory %s is missing (deploy accessory boot %s)",
					h->name, a->accessory->name, a->accessory->name);
			} else if (!a->running) {
				strvec_pushf(&p->notes,
					"%s: accessory %s stands still (deploy accessory start %s)",
					h->name, a->accessory->name, a->accessory->name);
			} else if (a->drift) {
				strvec_pushf(&p->notes,
					"%s: accessory %s differs from the manifest: %s (deploy "
					"accessory reboot %s applies it)",
					h->name, a->accessory->name, a->drift, a->accessory->name);
			}
		}
		plan_backups(p, i, h, boot);
	}
}

/* Before the release command; a push that leaves the accessory out says so. */
void plan_snapshots(const struct plan_request *req, struct plan *p)
{
	const struct strvec *names = &req->config->release.snapshots;
	VEC_FOREACH (names, i) {
		bool any = false;
		for (size_t j = 0; j < req->hosts->len; j++) {
			const struct plan_accessories *here = &req->hosts->p[j].accessories;
			VEC_FOREACH (here, k) {
				const struct config_accessory *a = here->p[k].accessory;
				if (str_eq(a->name, names->p[i])) {
					plan_add_named(p, PLAN_RELEASE, STEP_SNAPSHOT, j, a->name)
						->accessory = a;
					any = true;
				}
			}
		}
		if (!any) {
			strvec_pushf(&p->notes,
				"no snapshot of accessory %s is taken: --hosts or --roles leaves "
				"it out",
				names->p[i]);
		}
	}
}
