/* SPDX-License-Identifier: MIT */
/* Writing what happened onto servers: the release history, the audit, the key of a server. */
#pragma once

#include "deploy/deployment.h"
#include "deploy/history.h"

struct target;

/*
 * Puts `r` into the deployment's history and appends to every connected target's copy what that one
 * lacks (also of earlier releases), fsynced; makes the folder and the server's key when they are
 * not there.  A copy that has grown past HISTORY_COMPACT_AT is rewritten with the newest releases.
 * `audit` (or NULL) goes into the audit of each in the same round trips, as record_audit() does,
 * with the time of the release's end.
 */
ERROR_CHECKED int record_release(
	struct deployment *d, const struct release *r, const char *audit, struct error *err);

/* The same for one target; what is put on record stands in the deployment's history already. */
ERROR_CHECKED int record_target(struct deployment *d, struct target *t, struct error *err);

/* Writes the lock host's key where that is not there yet. */
ERROR_CHECKED int record_key(struct deployment *d, struct error *err);

/* One line into every server's audit.jsonl: who, when, from where, what. A failure is only told.
 * Beyond 1 MiB it becomes audit.1.jsonl, in place of the one before. */
void record_audit(struct deployment *d, const char *what);

/* The last `lines` lines of the audit of one server, as text. */
ERROR_CHECKED int record_audit_read(
	struct deployment *d, struct target *t, long lines, struct str *out, struct error *err);
