/* SPDX-License-Identifier: MIT */
/* Which servers a command goes to for the sake of accessories. */
#include "internal.h"

#include "manifest/diagnostic.h"

#include <fnmatch.h>
#include <string.h>

static bool host_wanted(const struct deployment *d, const char *name)
{
	VEC_FOREACH (&d->hosts, i) {
		if (fnmatch(d->hosts.p[i], name, 0) == 0) {
			return true;
		}
	}
	return d->hosts.len == 0;
}

static bool runs_on(const struct config_accessory *a, const char *host)
{
	VEC_FOREACH (&a->hosts, i) {
		if (str_eq(a->hosts.p[i].name, host)) {
			return true;
		}
	}
	return false;
}

bool target_has_accessory(const struct target *t, const struct config_accessory *a)
{
	return t->accessories && runs_on(a, t->address->name);
}

bool target_has_any_role(const struct deployment *d, const struct target *t)
{
	VEC_FOREACH (&d->config->roles, i) {
		if (target_has_role(t, &d->config->roles.p[i])) {
			return true;
		}
	}
	return false;
}

static struct target *target_named(struct deployment *d, const char *name)
{
	for (size_t i = 0; i < d->n; i++) {
		if (str_eq(d->targets[i].address->name, name)) {
			return &d->targets[i];
		}
	}
	return NULL;
}

/* The room for it was made with the deployment. */
static void add_hosts(struct deployment *d, const struct config_accessory *a)
{
	vec_push(&d->accessories, a);
	VEC_FOREACH (&a->hosts, i) {
		const struct config_host *h = &a->hosts.p[i];
		struct target *t = target_named(d, h->name);
		if (!host_wanted(d, h->name)) {
			continue;
		}
		if (!t) {
			t = &d->targets[d->n++];
			*t = (struct target){.address = h};
		}
		t->accessories = !t->left;
	}
}

void deployment_add_accessories(struct deployment *d)
{
	/* --roles chooses among roles, and no accessory is one. */
	VEC_FOREACH (&d->config->accessories, i) {
		if (d->roles.len == 0) {
			add_hosts(d, &d->config->accessories.p[i]);
		}
	}
}

static int unknown(const struct deployment *d, const char *name, struct error *err)
{
	const struct config_accessories *all = &d->config->accessories;
	const char **names = xcalloc(all->len + 1, sizeof(*names));
	VEC_FOREACH (all, i) {
		names[i] = all->p[i].name;
	}
	const char *nearest = diagnostics_nearest(name, names, all->len, sizeof(*names));
	error_set(err, ERROR_USAGE, "no accessory '%s' in '%s'", name, d->config->file);
	if (nearest) {
		(void)error_hint(err, "did you mean '%s'?", nearest);
	}
	free(names);
	return -1;
}

int deployment_only_accessory(struct deployment *d, const char *name, struct error *err)
{
	const struct config_accessories *all = &d->config->accessories;
	const struct config_host *lock_host = d->targets[d->lock_target].address;
	d->n = 0;
	VEC_FOREACH (all, i) {
		if (str_eq(name, "all") || str_eq(name, all->p[i].name)) {
			add_hosts(d, &all->p[i]);
		}
	}
	if (d->accessories.len == 0) {
		d->targets[d->n++] = (struct target){.address = lock_host};
		d->lock_target = 0;
		return str_eq(name, "all") ? error_set(err, ERROR_USAGE, "'%s' has no accessories",
						     d->config->file)
					   : unknown(d, name, err);
	}
	if (d->n == 0) {
		d->targets[d->n++] = (struct target){.address = lock_host};
		d->lock_target = 0;
		return error_set(err, ERROR_USAGE, "--hosts leaves out every host of '%s'", name);
	}
	if (!target_named(d, lock_host->name)) {
		d->targets[d->n++] = (struct target){.address = lock_host};
	}
	d->lock_target = (size_t)(target_named(d, lock_host->name) - d->targets);
	return 0;
}
