/* SPDX-License-Identifier: MIT */
/* What was observed, in the words of the plan. */
#include "state.h"
#include "accessory.h"
#include "backup_schedule.h"
#include "cron.h"
#include "deploy/container.h"
#include "internal.h"

#include <string.h>

static void add_container(struct plan_host *h, const struct docker_container_entry *c)
{
	long replica = 1;
	if (str_to_long(container_label(c, LABEL_REPLICA), 1, 1000, &replica) < 0) {
		replica = 1;
	}
	struct plan_container seen = {
		.name = xstrdup(c->name),
		.id = xstrdup(c->id),
		.image_id = xstrdup(c->image_id),
		.kind = xstrdup(container_label(c, LABEL_KIND)),
		.role = xstrdup(container_label(c, LABEL_ROLE)),
		.release_id = xstrdup(container_label(c, LABEL_RELEASE_ID)),
		.digest = xstrdup(container_label(c, LABEL_CONFIG_DIGEST)),
		.cron = xstrdup(strmap_get(&c->labels, LABEL_CRON)),
		.release = container_release(c),
		.replica = (int)replica,
		.running = str_eq(c->state, "running"),
	};
	vec_push(&h->containers, seen);
}

/* Built by us for this service: the label that the build puts on, else the name. */
static bool image_is_ours(const struct deployment *d, const struct docker_image_entry *image)
{
	if (str_eq(strmap_get(&image->labels, LABEL_SERVICE), d->config->service)) {
		return true;
	}
	size_t n = strlen(d->config->image);
	VEC_FOREACH (&image->tags, i) {
		if (strncmp(image->tags.p[i], d->config->image, n) == 0 &&
			image->tags.p[i][n] == ':') {
			return true;
		}
	}
	return false;
}

static void add_image(
	const struct deployment *d, struct plan_host *h, const struct docker_image_entry *image)
{
	struct plan_image seen = {.id = xstrdup(image->id), .ours = image_is_ours(d, image)};
	strvec_copy(&seen.tags, &image->tags);
	vec_push(&h->images, seen);
}

/* Only told where the secrets are there that it takes. */
static bool settings_differ(const struct deployment *d, const struct target *t)
{
	const struct config_proxy *p = target_proxy(d, t);
	struct proxy_service svc;
	proxy_service_init(&svc, d->config, p);
	if (p->tls == CONFIG_TLS_GIVEN) {
		svc.certificate = secret_map_get(&d->secrets, p->certificate_secret);
		if (!svc.certificate) {
			return false;
		}
	}
	return proxy_differs(t->seen.proxy, &svc);
}

static void add_routes(struct plan_host *h, const struct deployment *d, const struct target *t)
{
	const struct observation *seen = &t->seen;
	if (!seen->proxy) {
		return;
	}
	const struct proxy_state *state = proxy_live(seen->proxy);
	h->routes_there = state->present;
	h->routes_edited = state->present && state->edited;
	h->maintenance = state->maintenance;
	h->routes_differ = state->present && settings_differ(d, t);
	h->routes_mix = proxy_mixes(seen->proxy, target_proxy(d, t)->app_port);
	strvec_copy(&h->routes, &state->live);
}

static void add_accessories(struct deployment *d, struct plan_host *h, const struct target *t)
{
	VEC_FOREACH (&d->accessories, i) {
		const struct config_accessory *a = d->accessories.p[i];
		const struct docker_container_entry *c = NULL;
		if (!target_has_accessory(t, a)) {
			continue;
		}
		enum accessory_state state = accessory_look(t, a, &c);
		struct plan_accessory seen = {.accessory = a,
			.missing = state == ACCESSORY_MISSING || state == ACCESSORY_UNSETTLED,
			.running = state == ACCESSORY_RUNNING,
			.drift = c ? accessory_drift(d, t, a, c) : NULL,
			.schedule_differs = backup_schedule_differs(d, t, a)};
		vec_push(&h->accessories, seen);
	}
}

/* Of accessories that the manifest does not have there any more. */
static void add_backups_left(struct deployment *d, struct plan_host *h, const struct target *t)
{
	VEC_FOREACH (&t->seen.backup_lines, i) {
		bool here = false;
		VEC_FOREACH (&d->config->accessories, j) {
			const struct config_accessory *a = &d->config->accessories.p[j];
			here = here || (str_eq(a->name, t->seen.backup_lines.p[i].key) &&
					       target_has_accessory(t, a));
		}
		if (!here) {
			strvec_push(&h->backups_left, t->seen.backup_lines.p[i].key);
		}
	}
}

static bool is_on(const struct config_network_ptrs *networks, const struct config_network *n)
{
	VEC_FOREACH (networks, i) {
		if (networks->p[i] == n) {
			return true;
		}
	}
	return false;
}

/* Is something of this server on it? */
static bool needs_network(
	const struct deployment *d, const struct target *t, const struct config_network *n)
{
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		if (target_has_role(t, role) && is_on(&role->networks, n)) {
			return true;
		}
	}
	VEC_FOREACH (&d->config->accessories, i) {
		const struct config_accessory *a = &d->config->accessories.p[i];
		if (target_has_accessory(t, a) && is_on(&a->networks, n)) {
			return true;
		}
	}
	return false;
}

static void add_networks(const struct deployment *d, struct plan_host *h, const struct target *t)
{
	VEC_FOREACH (&d->config->networks, i) {
		const struct config_network *n = &d->config->networks.p[i];
		const struct network_seen *seen = &t->seen.networks[i];
		if (!seen->there && needs_network(d, t, n)) {
			vec_push(&h->networks_missing, n);
		} else if (seen->there && n->own && seen->internal != n->internal) {
			vec_push(&h->networks_differ, n);
		}
	}
}

void state_hosts(struct deployment *d, struct plan_hosts *out)
{
	for (size_t i = 0; i < d->n; i++) {
		struct target *t = &d->targets[i];
		struct plan_host h = {
			.name = t->address->name,
			.selected = t->selected,
			.proxy_running = target_proxy_runs(t),
		};
		add_networks(d, &h, t);
		VEC_FOREACH (&t->seen.containers, j) {
			add_container(&h, &t->seen.containers.p[j]);
		}
		VEC_FOREACH (&t->seen.images, j) {
			add_image(d, &h, &t->seen.images.p[j]);
		}
		add_routes(&h, d, t);
		strvec_copy(&h.schedule, &t->seen.schedule);
		add_accessories(d, &h, t);
		add_backups_left(d, &h, t);
		VEC_FOREACH (&d->config->roles, j) {
			const struct config_role *role = &d->config->roles.p[j];
			if (target_has_role(t, role)) {
				CLEANUP_FREE char *digest = container_digest(d, t, role);
				strmap_set(&h.digests, role->name, digest);
			}
		}
		vec_push(out, h);
	}
}

int state_drift(
	struct deployment *d, struct plan *drift, struct plan_hosts *hosts, struct error *err)
{
	struct plan_request req = {.config = d->config, .history = &d->history, .hosts = hosts};
	plan_init(drift);
	state_hosts(d, hosts);
	if (plan_mend(&req, drift, err) < 0) {
		return -1;
	}
	plan_accessories(&req, drift, false);
	return 0;
}
