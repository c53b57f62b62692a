/* SPDX-License-Identifier: MIT */
/*
 * The plan: what a command will do, made by pure functions from the manifest, the history and what
 * was seen on the servers.  `deploy plan` prints it, `push` and `rollback` execute its steps,
 * tests/plan compares it as text.
 */
#pragma once

#include "deploy/history.h"
#include "manifest/config.h"
#include "util/error.h"

#include <jansson.h>

/*
 * In the order in which they run; between two phases all hosts wait for each other.
 *
 * Where roles without proxy (workers) come, and why.  Promise 1 is that nothing moves before every
 * new container has proved itself.  So a worker that may run beside its old one (start-first)
 * starts and is watched before the switch, once the candidates of the primary role are healthy on
 * every host; its old one is stopped after the record.  A worker of which there may be only one
 * (stop-first) cannot be proved beside its old one: its container is made ready before the switch,
 * which finds most mistakes, and takes the old one's place after the switch, so that users are
 * served by the new release while a long job of the old one ends.  When one fails there, everything
 * goes back: traffic, then workers.  Where no old one runs there is nothing to wait for, and
 * stop-first is start-first.
 */
enum plan_phase {
	PLAN_MEND, /* what an interrupted run left, and drift */
	PLAN_BUILD,
	PLAN_TRANSFER,
	PLAN_BOOT,    /* network, proxy, accessories that are missing */
	PLAN_RELEASE, /* snapshots, release command */
	PLAN_START,   /* candidates of the primary role and of those behind the proxy, until healthy
		       */
	PLAN_WORKERS, /* those of the other roles */
	PLAN_SCHEMA,  /* rollback: the rollback command of the release that is left */
	PLAN_SWITCH,
	PLAN_REPLACE, /* stop-first roles: the old ones stopped, the new ones started; cron's jobs
		       */
	PLAN_WATCH,   /* rolling: the new ones of a batch are watched, before the next batch */
	PLAN_RECORD,
	PLAN_RETIRE, /* drain, then stop and keep */
	PLAN_PRUNE,
	PLAN_PHASES
};
const char *plan_phase_name(enum plan_phase p); /* "mend", "build", ... */

enum plan_step_kind {
	STEP_ROUTES, /* mend: send the service's traffic to `names` (empty: take it off) */
	STEP_START,  /* mend: start a stopped container of the live release */
	STEP_STOP,   /* stop and keep */
	STEP_REMOVE, /* remove a container */
	STEP_END,    /* mend: put the end of release `number` on record: `note` is its outcome */
	STEP_BUILD,
	STEP_TRANSFER,
	STEP_NETWORK,
	STEP_PROXY,
	STEP_ACCESSORY, /* boot `accessory` */
	STEP_BACKUPS,   /* cron backs `accessory` (NULL: what is called `name`, no more) up */
	STEP_SNAPSHOT,  /* back `accessory` up */
	STEP_COMMAND,   /* the release command */
	STEP_UNDO,      /* the rollback command of release `number` */
	STEP_CREATE,    /* create and start a candidate */
	STEP_PREPARE,   /* create it, not started yet */
	STEP_LAUNCH,    /* start what was prepared */
	STEP_REVIVE,    /* rollback: start a retired container as a candidate */
	STEP_CLONE,     /* rollback: it is gone; made again as a copy of container `from` */
	STEP_SWITCH,    /* traffic to `names` */
	STEP_SCHEDULE,  /* the server's cron runs `names` from now on, and nothing else of ours */
	STEP_WATCH,     /* for `number` ms */
	STEP_WAIT,      /* the same, until the next batch */
	STEP_RECORD,
	STEP_RETIRE, /* wait for its requests, stop, keep */
	STEP_REMOVE_IMAGE,
};

#define PLAN_NO_HOST SIZE_MAX

struct plan_step {
	enum plan_phase phase;
	enum plan_step_kind kind;
	size_t host;  /* index; PLAN_NO_HOST: once */
	size_t batch; /* rolling: from 1; 0: of no batch */
	char *name;   /* container, image or network */
	char *from;   /* STEP_CLONE */
	size_t from_host;
	bool stands;         /* STEP_CLONE: it is not started, cron does that */
	struct strvec names; /* STEP_ROUTES, STEP_SWITCH: containers that get the traffic;
				STEP_SCHEDULE */
	const struct config_role *role;
	const struct config_network *network;     /* STEP_NETWORK */
	const struct config_accessory *accessory; /* STEP_ACCESSORY, _SNAPSHOT, _BACKUPS */
	int replica;
	long number;                  /* release that it is about */
	enum release_outcome outcome; /* STEP_END */
	char *note;                   /* why, for people; or NULL */
};
VEC_TYPE(plan_steps, struct plan_step);

/* -- What was seen -- */

struct plan_container {
	char *name, *id, *image_id, *kind, *role, *release_id, *digest;
	char *cron; /* its schedule: cron starts it, nobody else does; NULL: no such one */
	long release;
	int replica;
	bool running;
};
VEC_TYPE(plan_containers, struct plan_container);

struct plan_image {
	char *id;
	struct strvec tags;
	bool ours; /* bears the service's label */
};
VEC_TYPE(plan_images, struct plan_image);

struct plan_accessory {
	const struct config_accessory *accessory;
	bool missing; /* or half-made, by a run that was interrupted */
	bool running;
	char *drift;           /* how it differs from the manifest, for people; NULL: it does not */
	bool schedule_differs; /* cron's line for its backups is not what it has to be */
};
VEC_TYPE(plan_accessories, struct plan_accessory);

struct plan_host {
	const char *name;
	bool selected; /* for releases; false where there are only accessories */
	struct plan_containers containers;
	struct plan_images images;
	struct config_network_ptrs networks_missing; /* of those that its containers are on */
	struct config_network_ptrs networks_differ;  /* internal, and should not be, or not */
	bool proxy_running;
	bool routes_there, routes_edited, maintenance;
	bool routes_differ;     /* the proxy has other settings, or another certificate, than now */
	bool routes_mix;        /* as many new ones can have the traffic together with those */
	struct strvec routes;   /* containers that the proxy sends this service's traffic to */
	struct strvec schedule; /* containers that cron starts */
	struct strmap digests;  /* role -> digest that a container would get now */
	struct plan_accessories accessories; /* that the command is about */
	struct strvec backups_left;          /* accessories that cron backs up, and should not */
};
VEC_TYPE(plan_hosts, struct plan_host);
void plan_hosts_fini(struct plan_hosts *hosts);

struct plan_request {
	const struct config *config;
	const struct history *history;
	const struct plan_hosts *hosts;
	const struct strvec *roles;    /* filter, or NULL */
	const char *version;           /* of a push */
	const char *image_id;          /* when it is known already, or NULL */
	const struct release *back_to; /* of a rollback, else NULL */
	const struct release *left;    /* of a rollback: whose containers are live now, or NULL */
	const char *undo;              /* of a rollback: command of `left` to run, or NULL */
	bool force;
};

/* Rolling: what a batch changes on a host: containers `first` to `last` of each role, of `of`. */
struct plan_share {
	size_t batch, host;
	int first, last, of;
};
VEC_TYPE(plan_shares, struct plan_share);

struct plan {
	long number; /* of the release that it makes */
	char *version;
	bool nothing; /* this very release is live: at most there is something to mend */
	struct plan_steps steps;
	size_t batches;            /* rolling: one after the other; 0: all at once */
	bool canary;               /* the first batch is one, and the second one is the rest */
	struct plan_shares shares; /* of the batches, in their order, and that of the hosts */
	struct strvec notes;       /* drift and surprises, for people */
};
void plan_init(struct plan *p);
void plan_fini(struct plan *p);
/* "batch 2 of 5", "the canary (batch 1 of 2)" */
void plan_batch_text(const struct plan *p, size_t batch, struct str *out);

/*
 * Only what has to be mended: an interrupted release goes on when every host of it serves it
 * already, else it is undone; leftovers are removed; routes follow the history.
 * ERROR_USAGE when an interrupted release touched a host that is not among `hosts`.
 */
ERROR_CHECKED int plan_mend(const struct plan_request *req, struct plan *p, struct error *err);
/* A push or, with back_to, a rollback; on hosts with nothing to mend. */
ERROR_CHECKED int plan_release(const struct plan_request *req, struct plan *p, struct error *err);
/* Steps for the missing accessories (only with `boot`), and notes on the others. */
void plan_accessories(const struct plan_request *req, struct plan *p, bool boot);
/* A rollback: what is to be told of the database's schema, beside what `undo` takes back. */
void plan_schema_notes(const struct plan_request *req, struct strvec *notes);
/* Only the removal of retired containers and images beyond retain_containers (`deploy prune`). */
void plan_prune(const struct plan_request *req, struct plan *p);

/* The containers of a role of release `runs` on a host, by replica, running or not. */
void plan_serving(const struct history *history, const struct plan_host *h,
	const struct config_role *role, long runs, struct strvec *names);

/* As `deploy plan` prints it. */
void plan_step_text(const struct plan_step *s, struct str *out); /* without its host */
void plan_text(const struct plan *p, const struct plan_hosts *hosts, struct str *out);
json_t *plan_json(const struct plan *p, const struct plan_hosts *hosts);
