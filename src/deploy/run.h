/* SPDX-License-Identifier: MIT */
/* One execution of a plan: a push or a rollback on its way. */
#pragma once

#include "deploy/plan.h"
#include "image/registry.h"
#include "image/transfer.h"
#include "internal.h"

#include <stdatomic.h>

/* What was done on one target, so that it can be undone and told. */
struct run_target {
	char image_id[IMAGE_ID_SIZE];
	char *pulled_arch, *pulled; /* of an image pulled by its tag: architecture, what it is */
	struct strvec created; /* candidates made by this run, by ID: a name may be another's */
	struct strvec workers; /* the same, of roles without proxy: they may be at work */
	struct strvec revived; /* retired containers started by this run */
	struct strvec revived_workers;
	struct strvec halted; /* old ones that made place for new ones (stop-first) */
	struct proxy_service service;
	bool service_ready;      /* `service` is filled in */
	char *message;           /* of a maintenance that goes on, or NULL */
	struct strmap snapshots; /* that were taken here */
	bool scheduled;          /* cron runs the new jobs; perhaps */
	bool switched;
	bool took_traffic; /* perhaps: a switch was begun */
	bool recorded;
	atomic_bool abandon; /* something else failed that this would share its fate with */
	char *stays;         /* rolling: why the release is not here, or NULL */
	bool undone;         /* what was begun here is taken back */
	struct proxy_counts counts;
	bool counting;
	int left_in_flight; /* requests cut off at the end of the drain */
	bool drained;       /* the old containers were seen without a request after the switch */
	enum image_strategy strategy;
	uint64_t bytes_sent;
};

struct run {
	struct deployment *d;
	const struct plan *plan;
	const struct plan_hosts *hosts;
	struct release release;           /* that is being made */
	struct strmap pages;              /* commit_files.c: status -> HTML */
	struct strmap snippets;           /* commit_files.c: "commit:path" -> text */
	struct image_source *image;       /* NULL: rollback, or the registry has it */
	const struct registry_auth *auth; /* borrowed; NULL: rollback */
	enum image_strategy strategy;
	struct run_target *targets;
	size_t first, end;      /* targets that the phases are for now: all, or a batch */
	size_t batch;           /* rolling: whose steps are due; 0: of any */
	bool each_alone;        /* a host that fails takes no other one with it */
	struct error not_whole; /* rolling: why the release is not live everywhere */
	struct error late;      /* what failed after the new release was live */
	const char *phase;      /* that is being told, or NULL */
	int64_t phase_begun_ms;
};

/* -- commit_files.c -- */

/* Reads them into r->pages, where the manifest has error_pages_path. */
void error_pages_read(struct run *r);
/* The proxy's snippet of a commit, as read; NULL: it was not. Borrowed. */
const char *snippet_get(const struct run *r, const char *commit, const char *path);
/* Reads it; false: it is not there, or too long. From one thread. */
bool snippet_load(struct run *r, const char *commit, const char *path);
/* Reads those of the release for all targets. */
ERROR_CHECKED int snippets_read(struct run *r, struct error *err);

/* -- execute.c -- */

/* Puts the roles that --roles chose into the release; none when it was not given. */
void run_note_roles(struct run *r);

/* Is it for this target, and for the batch that is being changed? */
bool run_is_due(const struct run *r, const struct target *t, const struct plan_step *s);
/* Of this run now: of the batch, and not one that failed. */
bool run_in_hand(const struct run *r, const struct target *t);
/* deployment_each() on the targets in hand. */
ERROR_CHECKED int run_each(struct run *r, target_fn *fn, struct error *err);
/* This target failed: others stop waiting for what would be taken back anyway. */
void run_abandon(struct run *r, const struct target *t);
bool run_abandoned(struct run *r, const struct target *t);
/* What is told: one phase at a time. */
typedef int(run_fn)(struct run *r, struct error *err);
/* The phase is `fn`. */
ERROR_CHECKED int run_phase(struct run *r, const char *name, run_fn *fn, struct error *err);
void run_phase_begin(struct run *r, const char *name);
void run_phase_end(struct run *r);
void run_phase_fail(struct run *r); /* the one that was begun, if any */
/* PLAN_START, PLAN_WORKERS, PLAN_SWITCH and PLAN_REPLACE on the targets in hand. */
ERROR_CHECKED int run_start(struct run *r, struct error *err);
ERROR_CHECKED int run_start_workers(struct run *r, struct error *err);
ERROR_CHECKED int run_switch(struct run *r, struct error *err);
ERROR_CHECKED int run_replace(struct run *r, struct error *err);

/* Runs the phases from PLAN_TRANSFER on. On failure everything is undone and put on record. */
ERROR_CHECKED int run_execute(struct run *r, struct error *err);
/* Only the phase PLAN_BOOT, of a plan that makes no release. */
ERROR_CHECKED int run_boot_missing(struct run *r, struct error *err);
void run_init(struct run *r, struct deployment *d, const struct plan *plan,
	const struct plan_hosts *hosts);
void run_fini(struct run *r);

/*
 * The end of a push or rollback: audit, lock, summary, hooks.  Passes `result` (of run_execute) on;
 * ERROR_PARTIAL when the release is live, but something of what comes after failed.
 */
int run_finish(struct run *r, int result, struct error *err);

/* "release 7 (3f2a1c0b9d): live", for the audit. The caller frees. */
char *run_outcome(const struct run *r);

/* Steps of a phase on a target, in order. Calls fn for each until one fails. */
typedef int step_fn(struct run *r, struct target *t, const struct plan_step *s, struct error *err);
/* -1 when cancelled, or when the lock is not ours any more: then nothing may be touched. */
ERROR_CHECKED int run_may_go_on(struct run *r, struct error *err);
ERROR_CHECKED int run_steps(
	struct run *r, struct target *t, enum plan_phase phase, step_fn *fn, struct error *err);
bool run_has_phase(const struct run *r, enum plan_phase phase);
struct run_target *run_target_of(struct run *r, const struct target *t);

/* After a pull or push that failed: a hint where the login comes from, when that is why. -1. */
int run_registry_refused(const struct run *r, struct error *err);

/* Removes what the plan prunes on a target (a target_fn; `run` is a struct run). */
ERROR_CHECKED int run_prune(struct deployment *d, struct target *t, void *run, struct error *err);

/* -- candidates.c -- */
/* -1 when one of the names for new containers is another service's: its start would hit that. */
ERROR_CHECKED int candidates_check_names(struct run *r, struct target *t, struct error *err);
/* Starts those of a phase (PLAN_START, PLAN_WORKERS, PLAN_REPLACE) and waits for their health. */
ERROR_CHECKED int candidates_start(
	struct run *r, struct target *t, enum plan_phase phase, struct error *err);
/* Removes them, and starts again what made place for them (a target_fn). */
int candidates_undo(struct deployment *d, struct target *t, void *run, struct error *err);

/* Watches those that were started, for the time that the manifest says (a target_fn). */
int candidates_monitor(struct deployment *d, struct target *t, void *run, struct error *err);

/* -- rolling.c -- */
/* The phases from PLAN_START to PLAN_WATCH, batch by batch.  -1: all of it has to go back. */
ERROR_CHECKED int rolling_move(struct run *r, struct error *err);

/* -- cron_schedule.c -- */
/* STEP_SCHEDULE: what cron runs from now on. */
ERROR_CHECKED int schedule_apply(
	struct run *r, struct target *t, const struct plan_step *s, struct error *err);
/* What cron ran before, when this run changed it. */
ERROR_CHECKED int schedule_back(struct run *r, struct target *t, struct error *err);

/* -- workers.c: roles without proxy -- */
/* PLAN_REPLACE: stops the old ones of stop-first roles, then starts the new ones. */
ERROR_CHECKED int workers_replace(
	struct deployment *d, struct target *t, void *run, struct error *err);
/* Stops what this run started of them, with grace; what is removed is, and the halted ones start.
 */
ERROR_CHECKED int workers_undo(struct run *r, struct target *t, struct error *err);

/* -- traffic.c -- */
ERROR_CHECKED int traffic_switch(struct run *r, struct error *err);
int traffic_back(struct deployment *d, struct target *t, void *run, struct error *err);
/*
 * Waits for the requests of containers that have lost the traffic while others of their release
 * keep it (a target_fn).  They go on running.
 */
int traffic_settle(struct deployment *d, struct target *t, void *run, struct error *err);
/* Asks once whether the old containers have requests; for beside the record. */
void traffic_look(struct run *r, struct target *t);
/* Drains and stops what is retired. */
ERROR_CHECKED int traffic_retire(
	struct deployment *d, struct target *t, void *run, struct error *err);
/* What a switch can have prepared beside the health watch: nothing that serves is touched. */
ERROR_CHECKED int traffic_prepare(struct run *r, struct target *t, struct error *err);
/* Fills in `service` of the target from the manifest and the secrets, once. */
ERROR_CHECKED int traffic_service(struct run *r, struct target *t, struct error *err);

/* -- snapshot.c -- */
/* Takes the backups of the plan's steps, and notes them in the release. */
ERROR_CHECKED int snapshots_take(struct run *r, struct error *err);

/* -- command.c -- */
/* The release command. */
ERROR_CHECKED int command_run(struct run *r, struct error *err);
/* STEP_UNDO: in a copy of a container of the release that is left. */
ERROR_CHECKED int command_undo(struct run *r, struct error *err);

/* -- mend.c -- */
/* Plans and does what has to be mended, then looks again. */
ERROR_CHECKED int mend(struct deployment *d, struct error *err);
/* The plan's steps of the phase PLAN_MEND, on each host. */
ERROR_CHECKED int mend_steps(struct run *r, struct error *err);
