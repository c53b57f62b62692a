/* SPDX-License-Identifier: MIT */
/* rollback --restore-snapshot: the data as they were before what is left behind. */
#include "backup.h"
#include "snapshot.h"

#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

/* The first release after `to` that took one: it has the data that `to` left. */
static const struct release *snapshot_after(const struct deployment *d, const struct release *to)
{
	for (size_t i = 0; i < d->history.len; i++) {
		const struct release *r = &d->history.p[i];
		if (r->number > to->number && r->snapshots.len > 0) {
			return r;
		}
	}
	return NULL;
}

/* "db@app1" */
static int find_place(
	struct deployment *d, const char *where, struct snapshot *out, struct error *err)
{
	const char *at = strchr(where, '@');
	size_t len = at ? (size_t)(at - where) : 0;
	VEC_FOREACH (&d->accessories, i) {
		const struct config_accessory *a = d->accessories.p[i];
		for (size_t j = 0; at && j < d->n; j++) {
			struct target *t = &d->targets[j];
			if (strlen(a->name) == len && memcmp(a->name, where, len) == 0 &&
				str_eq(t->address->name, at + 1) && target_has_accessory(t, a) &&
				a->backup.enabled) {
				out->accessory = a;
				out->target = t;
				return 0;
			}
		}
	}
	return error_set(err, ERROR_USAGE,
		"the snapshot of %s cannot be restored: the manifest, --hosts or --roles leave "
		"that "
		"out",
		where);
}

static int find_backup(
	struct deployment *d, const char *id, struct snapshot *out, struct error *err)
{
	CLEANUP_BACKUP_PLACE struct backup_place p = {0};
	struct backup_infos all = {0};
	if (backup_place_open(d, out->target, out->accessory, &p, err) < 0) {
		return -1;
	}
	int result = store_list(&p.store, &all, err);
	bool found = false;
	VEC_FOREACH (&all, i) {
		if (result == 0 && str_eq(all.p[i].id, id)) {
			out->info = all.p[i];
			memset(&all.p[i], 0, sizeof(all.p[i]));
			found = true;
		}
	}
	backup_infos_fini(&all);
	if (result == 0 && !found) {
		return error_set(err, ERROR_REMOTE, "snapshot '%s' is not there any more", id);
	}
	return result == 0 ? store_check(&p.store, &out->info, err) : -1;
}

static int confirm(struct deployment *d, const struct release *r, struct error *err)
{
	CLEANUP_STR struct str names = STR_INIT(STR_MAX_LINE);
	char old[CLOCK_RFC3339_SIZE];
	VEC_FOREACH (&r->snapshots, i) {
		str_addf(&names, "%s%s", i ? ", " : "", r->snapshots.p[i].key);
	}
	return ui_confirm(d->ui, err,
		"Bring the data of %s back to what they were before release %ld, %s ago? What was "
		"written since then is not in them; it is backed up first.",
		str_c(&names), r->number, clock_duration(clock_wall_ms() - r->started_ms, old));
}

int snapshots_find(
	struct deployment *d, const struct release *to, struct snapshots *out, struct error *err)
{
	const struct release *r = snapshot_after(d, to);
	if (!r) {
		error_set(err, ERROR_USAGE, "no release after %ld (%s) took a snapshot", to->number,
			to->version);
		return error_hint(err, "release: {snapshot: NAME} takes one with each push");
	}
	if (deployment_load_backup_secrets(d, err) < 0) {
		return -1;
	}
	VEC_FOREACH (&r->snapshots, i) {
		struct snapshot one = {0};
		int result = find_place(d, r->snapshots.p[i].key, &one, err);
		if (result == 0) {
			result = find_backup(d, r->snapshots.p[i].value, &one, err);
			vec_push(out, one);
		}
		if (result < 0) {
			return -1;
		}
	}
	return confirm(d, r, err);
}

int snapshots_restore(struct deployment *d, const struct snapshots *all, struct error *err)
{
	VEC_FOREACH (all, i) {
		const struct snapshot *one = &all->p[i];
		CLEANUP_BACKUP_PLACE struct backup_place p = {0};
		if (backup_place_open(d, one->target, one->accessory, &p, err) < 0 ||
			backup_restore(d, one->target, one->accessory, &p.store, &one->info, true,
				err) < 0) {
			(void)error_wrap(err, "accessory '%s'", one->accessory->name);
			return host_error(one->target->host, err);
		}
	}
	return 0;
}

void snapshots_fini(struct snapshots *all)
{
	VEC_FOREACH (all, i) {
		backup_info_fini(&all->p[i].info);
	}
	vec_fini(all);
}
