/* SPDX-License-Identifier: MIT */
/* What the operations share: the deployment, its targets, and what was observed on them. */
#pragma once

#include "deploy/deployment.h"
#include "deploy/history.h"
#include "deploy/lock.h"
#include "deploy/names.h"
#include "docker/container.h"
#include "docker/image.h"
#include "docker/network.h"
#include "image/source.h"
#include "proxy/proxy.h"

#include <stdatomic.h>

enum cron_state { CRON_UNKNOWN, CRON_MISSING, CRON_STOPPED, CRON_RUNS };

/* What is seen of the service on one server. */
struct observation {
	struct history history; /* its own copy */
	bool history_there;
	bool lock_there; /* a lock, on a host that is not the service's lock host (any more) */
	size_t history_bytes;
	char key[65];               /* HMAC key of the server for digests of secrets */
	bool cron_installed;        /* jobs have been run there (cron.h) */
	bool backups_installed;     /* backups have been scheduled there (backup_schedule.h) */
	struct strmap backup_lines; /* of the crontab: accessory -> whole line */
	enum cron_state cron;
	struct strvec schedule, schedule_lines; /* of the crontab: containers, and whole lines */
	bool key_there;                         /* false: just made, not written yet */
	struct docker_container_list
		containers;              /* the service's and destination's, stopped ones too */
	struct docker_image_list images; /* all of the daemon */
	struct network_seen {
		bool there, internal;
	} * networks; /* each of the manifest, in its order */
	struct docker_container proxy_container;
	bool proxy_there;
	struct proxy *proxy; /* the service on that proxy; NULL: the host has no proxied role */
};

/* Which of the secrets that the manifest names a command cannot do without; each includes the last.
 */
enum secrets_need {
	SECRETS_NONE = 0,
	SECRETS_SSH,    /* keys to connect with */
	SECRETS_PROXY,  /* a given certificate: what may have to tell the proxy */
	SECRETS_NOTIFY, /* whom to tell, and how to sign it */
	SECRETS_ALL,    /* what makes containers or images */
};

/* A server that the command works on. */
struct target {
	const struct config_host *address;
	bool selected;     /* by --hosts and --roles; the lock host may not be */
	bool left;         /* it is not in the manifest any more (remove --hosts) */
	bool accessories;  /* the command is about the accessories on it; it may have no role */
	struct host *host; /* NULL: not connected */
	struct observation seen;
	struct error error; /* what failed here in the present phase */
};

VEC_TYPE(accessory_ptrs, const struct config_accessory *);

struct deployment {
	const struct config *config;
	struct ui *ui;
	char *command;
	char *version;       /* asked for, or NULL */
	struct strvec roles; /* filter; empty: all */
	bool skip_hooks;
	bool errors_kept; /* deployment_each() leaves them in the targets and shows none (check) */
	int lock_wait_s;
	int parallel;
	int64_t begun_ms; /* monotonic: when the command began */

	char *performer;           /* who */
	char *operator_host;       /* from where */
	struct git_source *source; /* NULL: not in a git repository */

	bool connected;
	struct ssh_fabric *fabric;
	struct config_hosts left;          /* named by --hosts, and not in the manifest any more */
	struct strvec hosts;               /* filter; empty: all */
	struct accessory_ptrs accessories; /* that the command is about */
	struct target *targets; /* the selected ones in the manifest's order, then the lock host,
				 * then those that only have accessories */
	size_t n;
	size_t lock_target; /* index of the lock host */

	struct secret_map secrets; /* those that the manifest names, by name in the file */
	enum secrets_need secrets_loaded;
	struct ssh_secret_vec ssh_keys;

	/* Ends a cancelled command in time even when servers do not answer (deployment.c). */
	pthread_t watchdog;
	bool watched;
	int watchdog_stop;           /* eventfd */
	pthread_mutex_t fabric_lock; /* guards the pointer `fabric` against the watchdog */

	struct history history; /* merged over all targets */
	struct lock *lock;
	atomic_bool lock_abandon; /* no use to wait for it any more */
};

/* -- deployment.c -- */

/* The SSH sessions of this command, made by the first call; and an end of them (to log in anew). */
struct ssh_fabric *deployment_fabric(struct deployment *d);
void deployment_close_fabric(struct deployment *d);

/*
 * Runs fn on every target in parallel (also on a lock host that is not selected: fn looks), each
 * with its own error, and puts the host's name into it.  -1 when any failed: *err is the first
 * one's, the others are shown by ui_error().  fn returns 0 or -1.
 */
typedef int target_fn(struct deployment *d, struct target *t, void *ctx, struct error *err);
ERROR_CHECKED int deployment_each(
	struct deployment *d, target_fn *fn, void *ctx, struct error *err);
/* The same for clean-up: failures are only told (ui_warn). */
void deployment_each_best_effort(struct deployment *d, const char *what, target_fn *fn, void *ctx);

/*
 * The command is about accessories too: the hosts that only have these become targets (not
 * selected: they take no release, and have no history).  Before anything is connected.
 */
void deployment_add_accessories(struct deployment *d);
/* The command is about this accessory ("all": each) alone: its hosts and the lock host. */
ERROR_CHECKED int deployment_only_accessory(
	struct deployment *d, const char *name, struct error *err);
bool target_has_accessory(const struct target *t, const struct config_accessory *a);
/* Does it run containers of any role? */
bool target_has_any_role(const struct deployment *d, const struct target *t);

/* Does this target run containers of the role? */
bool target_has_role(const struct target *t, const struct config_role *role);
/* Does it run a role that takes traffic through the proxy? */
bool target_proxied(const struct deployment *d, const struct target *t);
/* Did its proxy's container run when it was looked at? */
bool target_proxy_runs(const struct target *t);
/* Fails with a daemon that cannot do what a push needs: podman before 5, which changes no restart
 * policy; one without root, whose containers' addresses only they can reach, where a role has a
 * health check that goes there. */
ERROR_CHECKED int target_check_engine(
	const struct deployment *d, const struct target *t, struct error *err);
/* The proxy settings of that role; of the service when it runs none. */
const struct config_proxy *target_proxy(const struct deployment *d, const struct target *t);
/* Is the role selected by --roles? */
bool deployment_has_role(const struct deployment *d, const struct config_role *role);
/* The first target that runs the primary role. NULL: --hosts excludes them all. */
struct target *deployment_primary(struct deployment *d);

/* -- left.c: hosts that left the manifest while a release was live there -- */

/* Warns of each such host that is on record, and says what to do. */
void deployment_tell_left(struct deployment *d);
/* The newest release that was live there when the host left, or NULL. */
const struct release *deployment_left_with(const struct deployment *d, const char *host);

/* -- secrets.c -- */

/*
 * Reads what is needed of the secrets that the manifest names, once; registers each with the ui for
 * redaction.
 */
ERROR_CHECKED int deployment_load_secrets(
	struct deployment *d, enum secrets_need need, struct error *err);

/* Those of the backups of the chosen accessories (d->accessories), and no others. */
ERROR_CHECKED int deployment_load_backup_secrets(struct deployment *d, struct error *err);

/* Name -> digest keyed by the lock host's key: tells which secret changed, never its value. */
void secrets_digests(const struct deployment *d, struct strmap *out);
/* "secret TOKEN changed", compared with the live release; nothing where that is not known. */
void secrets_changes(struct deployment *d, struct strvec *notes);

/* -- notify.c -- */

/* Tells those of `notify:` that want to know; `why` NULL: the release is live.  Failing is warned
 * about.  In a shield (after Ctrl-C) it takes 3 s at most. */
void notify_release(struct deployment *d, const struct release *release, const struct error *why);

/* ERROR_MANIFEST when nobody is told of what check finds. */
ERROR_CHECKED int notify_check_wanted(const struct deployment *d, struct error *err);
/* Tells of findings: `text`, of some lines, and the same as a list, which is taken (scrubbed). */
void notify_check(struct deployment *d, const char *text, json_t *findings);

/* -- observe.c -- */

/* Looks at one connected target; in about two round trips.  `lock`: takes the service's lock in the
 * same round trips (d->lock). */
ERROR_CHECKED int observe(struct deployment *d, struct target *t, bool lock, struct error *err);
/* Fails when the proxy reads the folder of the login that started it, and that is not ours: it
 * would not see what we write. */
ERROR_CHECKED int observe_check_proxy(
	const struct deployment *d, const struct target *t, struct error *err);
/* Containers only, anew. */
ERROR_CHECKED int observe_containers(struct deployment *d, struct target *t, struct error *err);
void observation_fini(struct observation *o);
/* Merges the histories of all targets; rebuilds from containers when no host has one (told). */
void observe_merge(struct deployment *d);

/* Does the proxy send traffic to this container? */
bool observed_route(const struct observation *seen, const char *container);

/* A label of a container, "" when absent. */
const char *container_label(const struct docker_container_entry *c, const char *label);
/* Number of the release it belongs to; 0: none. */
long container_release(const struct docker_container_entry *c);
bool container_is_app(const struct docker_container_entry *c, const char *role);

/* Is it of the release that is live as its role on this host? (--hosts may have left it behind.) */
bool container_is_live(
	const struct deployment *d, const struct target *t, const struct docker_container_entry *c);
/* Is it of a role that --roles chose? */
bool container_is_chosen(const struct deployment *d, const struct docker_container_entry *c);
/* Is it of a role that takes traffic through the proxy? */
bool container_is_proxied(const struct deployment *d, const struct docker_container_entry *c);
/* The newest release that is live on a selected host; NULL: none. */
const struct release *deployment_live(const struct deployment *d);

/* -- releases.c -- */

/* Prints the leaves that differ, by dotted path, and adds them to `out`. Either may be NULL. */
void releases_diff_config(struct deployment *d, json_t *from, json_t *to, json_t *out);

/* -- exec.c: what exec, app exec and accessory exec share -- */

/* One command on several hosts: its output, and how it ended on each. */
struct exec_round {
	struct strvec argv;
	struct output *output;
	struct exec_end {
		bool ran;
		int status;
	} * ends; /* by target */
};
/* `many`: each line of output says its host. */
void exec_round_begin(
	struct exec_round *r, struct deployment *d, const char *const *argv, bool many);
/* Tells the exit statuses of those that ran; *exit_status: the first not 0. Frees. */
void exec_round_end(struct exec_round *r, struct deployment *d, int *exit_status);

/* -- app_logs.c, app_exec.c: what accessories share with the application -- */

struct logs_source;
struct logs_options;
struct output;
/* Prints the merged logs; `many`: each line says whose it is. */
ERROR_CHECKED int logs_show(struct deployment *d, const struct logs_source *sources, size_t n,
	const struct docker_filters *labels, bool many, const struct logs_options *options,
	struct error *err);
/* Runs a command in a container that runs. */
ERROR_CHECKED int exec_in_container(struct target *t, const char *container,
	const struct strvec *argv, bool interactive, struct output *output, int *status,
	struct error *err);

/* -- session.c: lock, connect and mend, in front of everything that changes something -- */

/* Connects, takes the lock, observes, and mends what an interrupted run left. */
ERROR_CHECKED int deployment_begin(struct deployment *d, struct error *err);
/* The same, but nothing is mended: for what is beside releases. */
ERROR_CHECKED int deployment_begin_beside(struct deployment *d, struct error *err);
/* Connects and observes without a lock: nothing is changed. */
ERROR_CHECKED int deployment_look(struct deployment *d, struct error *err);
/* Connects to the selected hosts for commands of their shell, and looks at nothing. */
ERROR_CHECKED int deployment_reach(struct deployment *d, struct error *err);
/* The same for one host, which is left again when it is done: hundreds of sessions take memory.
 * The secrets (SECRETS_SSH) have to be there. */
ERROR_CHECKED int deployment_reach_one(struct deployment *d, struct target *t, struct error *err);
void deployment_leave_one(struct deployment *d, struct target *t);
/* Gives the lock back. */
void deployment_end(struct deployment *d);
