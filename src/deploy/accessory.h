/* SPDX-License-Identifier: MIT */
/*
 * One accessory on one server: what is there of it, and how it is brought up and exchanged.
 *
 * A container that has not been healthy yet is called "<container>-new".  Once it is, it gets the
 * name, and the one that it replaces, stopped but there until then, is "<container>-old" for the
 * moment before it is removed.  So the names tell how far an interrupted boot or exchange went, and
 * who comes next under the lock ends it or takes it back.  On the network it has both of its names
 * as aliases from the start.
 */
#pragma once

#include "internal.h"

enum accessory_state {
	ACCESSORY_MISSING,
	ACCESSORY_STOPPED,
	ACCESSORY_RUNNING,
	ACCESSORY_UNSETTLED, /* an exchange was interrupted */
};

/* As observed. *c (may be NULL): its container, borrowed; NULL when there is none. */
enum accessory_state accessory_look(const struct target *t, const struct config_accessory *a,
	const struct docker_container_entry **c);

/* How its container differs from the manifest, for people; NULL: it does not. The caller frees. */
char *accessory_drift(struct deployment *d, const struct target *t,
	const struct config_accessory *a, const struct docker_container_entry *c);

/* Writes the key that digests are made with, where this is the first thing on record. */
ERROR_CHECKED int accessory_begin(struct deployment *d, struct error *err);

/* Makes and starts its container, and waits until it is healthy; removed again when it is not. */
ERROR_CHECKED int accessory_boot(struct deployment *d, struct target *t,
	const struct config_accessory *a, struct error *err);

/* Ends an interrupted exchange. Observes anew when there was one. */
ERROR_CHECKED int accessory_settle(struct deployment *d, struct target *t,
	const struct config_accessory *a, struct error *err);

/*
 * A new container on the same volumes in place of the old one, by the manifest as it is now.
 * `fresh`: with the newest image of its name.  The old one comes back when the new one does not
 * become healthy.  *done (may be NULL): false when there was nothing to do (fresh only).
 */
ERROR_CHECKED int accessory_replace(struct deployment *d, struct target *t,
	const struct config_accessory *a, bool fresh, bool *done, struct error *err);

/* Waits until its container is healthy, at most boot_timeout. */
ERROR_CHECKED int accessory_wait(struct deployment *d, struct target *t,
	const struct config_accessory *a, const char *container, struct error *err);

/* The same by the database's own program, else by its staying up: of a copy of it. */
ERROR_CHECKED int accessory_wait_family(struct target *t, const struct config_accessory *a,
	const char *container, struct error *err);

/* -- accessory_spec.c -- */

/* Fills the spec in and places its files. `old`: whose unnamed volumes are taken over, or NULL. */
ERROR_CHECKED int accessory_spec(struct deployment *d, struct target *t,
	const struct config_accessory *a, const char *name, const struct docker_container *old,
	struct docker_container_spec *spec, struct error *err);
/* The caller frees. */
char *accessory_digest(struct deployment *d, const struct config_accessory *a);
/* Labels of its containers: its own, and what they are found by. */
void accessory_labels(struct deployment *d, const struct config_accessory *a, const char *kind,
	struct strmap *labels);
/* Removes what earlier configurations placed. A failure is only told. */
void accessory_tidy_files(struct deployment *d, struct target *t, const struct config_accessory *a);
/* Was the volume made for one container alone, without a name? */
bool accessory_volume_is_unnamed(const char *name);
