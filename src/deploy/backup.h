/* SPDX-License-Identifier: MIT */
/* Backups of accessories: what is run in which container. */
#pragma once

#include "accessory.h"
#include "service/store.h"

/* -- backup_kinds.c: scripts for `sh -c`; the caller frees -- */

/* Writes a backup to its stdout. */
char *backup_dump_script(const struct config_accessory *a);
/* Reads one from its stdin; what was there stays until all of it is read and good.  NULL: redis,
 * whose server reads a file itself. */
char *backup_restore_script(const struct config_accessory *a);
/* The same into an empty server that nobody uses. */
char *backup_scratch_script(const struct config_accessory *a);
/* Says how much is there ("3 tables, 42 rows"); NULL: cannot be told. */
char *backup_count_script(const struct config_accessory *a);
/* redis: takes over all data of the server at this address, or nothing. */
char *backup_take_over_script(const char *address);
/* What a good backup begins with; "" when that is not known. */
const char *backup_magic(const struct config_accessory *a);
const char *backup_kind_name(const struct config_accessory *a);

/* -- backups.c -- */

/* Where its backups of a target lie. */
struct backup_place {
	struct store store;
	char *dir;
	struct s3 s3;
	struct host *host; /* another server that was connected to for it, or NULL */
};
/* The keys have to be there (deployment_load_backup_secrets). */
ERROR_CHECKED int backup_place_open(struct deployment *d, struct target *t,
	const struct config_accessory *a, struct backup_place *p, struct error *err);
void backup_place_close(struct backup_place *p);
#define CLEANUP_BACKUP_PLACE __attribute__((cleanup(backup_place_close)))

/*
 * Under the lock: checks the backup, backs up what is there (`safety`), restores, counts, and tells
 * (on the main thread).
 */
ERROR_CHECKED int backup_restore(struct deployment *d, struct target *t,
	const struct config_accessory *a, const struct store *s, const struct backup_info *b,
	bool safety, struct error *err);

/* -- backup_run.c -- */

/* Runs a script in a container; its output, if wanted, without the newline at its end. */
ERROR_CHECKED int backup_script(struct target *t, const char *container, const char *script,
	const struct http_source *input, int timeout_ms, struct str *out, struct error *err);

/* Writes a new backup of a running accessory; *info is the caller's. */
ERROR_CHECKED int backup_take(struct deployment *d, struct target *t,
	const struct config_accessory *a, const struct store *s, const char *note,
	struct backup_info *info, struct error *err);

/* -- backup_scratch.c -- */

/* Restores into a container of its own. *name (of that; the caller's) on the accessory's network
 * when `reachable`, else on none.  The caller removes it. */
ERROR_CHECKED int backup_scratch(struct deployment *d, struct target *t,
	const struct config_accessory *a, const struct store *s, const struct backup_info *info,
	bool reachable, char **name, struct error *err);
void backup_scratch_remove(struct deployment *d, struct target *t, const char *name);
