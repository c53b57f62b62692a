/* SPDX-License-Identifier: MIT */
/*
 * Backups that a server makes by itself: a line in the SSH user's crontab for each accessory with
 * `backup.schedule`, next to those of cron roles (cron.h).  It runs
 *
 *	~/.deploy/<service>/backups/.run ACCESSORY DIGEST
 *
 * a script that does what `accessory backup` does, with docker, sha256sum and, for a key, openssl.
 * What it needs to know lies in backups/.<accessory>/, for this user only:
 *
 *	conf              variables of the shell
 *	dump              what is run in the container
 *	curl              the keys of a bucket, for `curl -K`
 *	pass, ipad, opad  derived of the key (service/cipher.h), never the key itself
 *	last              how the last run ended: {"started", "ended", "exit", "id", "error"}
 *
 * DIGEST is of all that, and of the secrets by the server's own key: a line that differs from what
 * the manifest asks for is told by plan and status, and written anew by a push or a boot.
 */
#pragma once

#include "internal.h"
#include "service/store.h"
#include "util/str.h"

#define BACKUP_SCHEDULE_SCRIPT "backups/.run"

/* Does the manifest let this target make backups by itself? */
bool backup_schedule_is_host(const struct deployment *d, const struct target *t);

/* Notes a line of the crontab in t->seen, if it is one of these. */
void backup_schedule_take(
	const struct deployment *d, struct target *t, const char *line, size_t len);

/* Is what cron there does for this accessory not what the manifest asks for?  (A changed secret is
 * seen only where secrets were loaded.) */
bool backup_schedule_differs(
	struct deployment *d, const struct target *t, const struct config_accessory *a);

/* Lets cron there back `a` up as the manifest says; NULL: the accessory `name` no more. */
ERROR_CHECKED int backup_schedule(struct deployment *d, struct target *t, const char *name,
	const struct config_accessory *a, struct error *err);
/* The same where it differs. */
ERROR_CHECKED int backup_schedule_mend(struct deployment *d, struct target *t,
	const struct config_accessory *a, struct error *err);

/* How the last run ended. */
struct backup_last {
	char started[32], ended[32];
	int exit_code;    /* 0: there is a backup of it */
	char *why;        /* NULL: nothing was said */
	int64_t since_ms; /* when the schedule was set up as it is; 0: not known */
};
void backup_last_fini(struct backup_last *last);
/* *found false: it has not run yet. since_ms is set in any case. */
ERROR_CHECKED int backup_last_read(struct deployment *d, struct target *t,
	const struct config_accessory *a, struct backup_last *last, bool *found, struct error *err);

/* -- backup_health.c: what status and check tell -- */

struct backup_health {
	bool any;                  /* there is a backup */
	struct backup_info newest; /* if so */
	bool ran;                  /* by its schedule */
	struct backup_last last;   /* if so */
	char *trouble;             /* for people; NULL: all is well, or there is no schedule */
};
/* Of an accessory with backups on that target. */
ERROR_CHECKED int backup_health_read(struct deployment *d, struct target *t,
	const struct config_accessory *a, struct backup_health *h, struct error *err);
void backup_health_fini(struct backup_health *h);

/* -- backup_schedule.sh: what cron runs, one script for all accessories of a service -- */

extern const char *const backup_schedule_sh[]; /* its lines */
