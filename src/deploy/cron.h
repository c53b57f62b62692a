/* SPDX-License-Identifier: MIT */
/*
 * Jobs of roles with `cron:`.  Each entry is a container of the release that is made, but not
 * started: its secrets live in it as in any other.  The schedule is a block of lines in the SSH
 * user's crontab on the role's first server, written anew at each switch, rollback and repair;
 * other lines stay as they are.  A line runs `~/.deploy/<service>/cron-run CONTAINER ID`, a small
 * script that starts the container, waits for its end, and adds a line to cron.jsonl:
 *
 *	{"id":"0a1b..","container":"shop-jobs-v2-1","started":"2026-..Z","ended":"...","exit":0}
 *
 * An entry's ID is made of service, role and command: the same through releases, so that a lock by
 * its name, and a look for a running container that bears it, keep it from running twice at a time.
 */
#pragma once

#include "deploy/plan.h"
#include "internal.h"

#define LABEL_CRON         "deploy.cron"         /* its schedule */
#define LABEL_CRON_ID      "deploy.cron-id"      /* CRON_ID_HEX hex digits */
#define LABEL_CRON_COMMAND "deploy.cron-command" /* as the manifest has it */
#define CRON_ID_HEX        12

/* The labels of an entry's container. */
void cron_labels(const struct config *c, const struct config_role *role,
	const struct config_cron *cron, struct strmap *labels);

bool cron_is_job(const struct docker_container_entry *c);
/* The container of that name on the target, or NULL. */
const struct docker_container_entry *cron_container(const struct target *t, const char *name);

/* Does this target run the jobs of a role? */
bool cron_is_host(const struct deployment *d, const struct target *t);
/* Reads the service's lines of the crontab into t->seen.schedule, and whether there is a cron. */
ERROR_CHECKED int cron_look(struct deployment *d, struct target *t, struct error *err);
/* -1 when the plan needs a cron on a server that has none. */
ERROR_CHECKED int cron_check(struct deployment *d, const struct plan *plan, struct error *err);

/* A line of the crontab for a container with these labels. The caller frees. */
char *cron_line(const struct deployment *d, const struct target *t, const char *container,
	const struct strmap *labels);
/* The container that a line runs, or NULL. The caller frees. */
char *cron_line_name(const char *line);
/* Makes these the service's lines there; none: takes the block away. */
ERROR_CHECKED int cron_write(
	struct deployment *d, struct target *t, const struct strvec *lines, struct error *err);

/* The same for any block of lines that run the script `path`; `key` names the block. */
ERROR_CHECKED int crontab_write(struct target *t, const char *path, const char *key,
	const struct strvec *lines, struct error *err);

/* The last run of an entry, of what cron.jsonl says; false: there is none on record. */
struct cron_run {
	char started[32], ended[32];
	int exit_code; /* -1: not known */
};
ERROR_CHECKED int cron_read(
	struct deployment *d, struct target *t, struct str *out, struct error *err);
bool cron_last(const struct str *runs, const char *id, struct cron_run *last);
