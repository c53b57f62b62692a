/* SPDX-License-Identifier: MIT */
/* Snapshots of a release, to be restored by a rollback. */
#pragma once

#include "internal.h"
#include "service/store.h"

struct snapshot {
	const struct config_accessory *accessory;
	struct target *target;
	struct backup_info info;
};
VEC_TYPE(snapshots, struct snapshot);

/* Those that have the data as release `to` left them, read whole and compared with their checksums.
 * Asks. The caller: snapshots_fini(), also after a failure. */
ERROR_CHECKED int snapshots_find(
	struct deployment *d, const struct release *to, struct snapshots *out, struct error *err);
/* Under the lock; what is there is backed up first. */
ERROR_CHECKED int snapshots_restore(
	struct deployment *d, const struct snapshots *all, struct error *err);
void snapshots_fini(struct snapshots *all);
