/* SPDX-License-Identifier: MIT */
/* release.snapshot: backups that a push takes before its release command. */
#include "backup.h"
#include "run.h"

#include <string.h>

static int take(struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	char size[16];
	CLEANUP_BACKUP_PLACE struct backup_place place = {0};
	if (s->kind != STEP_SNAPSHOT) {
		return 0;
	}
	struct backup_info info = {0};
	CLEANUP_FREE char *note = xasprintf("before release %ld", r->release.number);
	CLEANUP_FREE char *where = xasprintf("%s@%s", s->name, t->address->name);
	if (backup_place_open(r->d, t, s->accessory, &place, err) < 0 ||
		backup_take(r->d, t, s->accessory, &place.store, note, &info, err) < 0) {
		return error_wrap(err, "snapshot of accessory '%s'", s->name);
	}
	strmap_set(&run_target_of(r, t)->snapshots, where, info.id);
	ui_done(r->d->ui, t->host->name, "snapshot %s of %s: %s", info.id, s->name,
		ui_bytes(info.size, size));
	backup_info_fini(&info);
	return 0;
}

static int take_on(struct deployment *d, struct target *t, void *run, struct error *err)
{
	(void)d;
	return run_steps(run, t, PLAN_RELEASE, take, err);
}

int snapshots_take(struct run *r, struct error *err)
{
	int result = deployment_each(r->d, take_on, r, err);
	for (size_t i = 0; i < r->d->n; i++) {
		strmap_copy(&r->release.snapshots, &r->targets[i].snapshots);
	}
	return result;
}
