/* SPDX-License-Identifier: MIT */
/*
 * What the commands of the tool do, one function each; src/cli only reads options, calls one of
 * these.  Each connects by itself, so that what can be done beside it is (a build).  Progress goes
 * to the deployment's ui; results are printed by the function itself through
 * ui_print/ui_table/ui_json, so that the text and the JSON form stand side by side.
 */
#pragma once

#include "deploy/deployment.h"

struct push_options {
	bool skip_build; /* the version's image is in the registry, or on this Docker, already */
	bool dry_run;    /* as plan */
	bool force;      /* deploy even if this very release is live */
	bool skip_hooks;
	bool setup;          /* prepare new servers first (setup) */
	bool install_docker; /* setup --install-docker */
};
ERROR_CHECKED int operation_push(
	struct deployment *d, const struct push_options *options, struct error *err);

/* version: NULL for the previous good release; a version or a release number otherwise. */
struct rollback_options {
	const char *version;
	bool restore_snapshot;          /* of release.snapshot, once the old release serves; asks */
	bool migrations, no_migrations; /* release.rollback_command; neither: asks */
	bool skip_hooks;
};
ERROR_CHECKED int operation_rollback(
	struct deployment *d, const struct rollback_options *options, struct error *err);

ERROR_CHECKED int operation_plan(struct deployment *d, struct error *err);
/* Reaches no server (unless builder.remote). push: to the registry as well. */
ERROR_CHECKED int operation_build(struct deployment *d, bool push, struct error *err);
ERROR_CHECKED int operation_status(struct deployment *d, struct error *err);

/* releases, releases show N, releases diff N M */
ERROR_CHECKED int operation_releases_list(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_releases_show(struct deployment *d, long number, struct error *err);
ERROR_CHECKED int operation_releases_diff(
	struct deployment *d, long from, long to, struct error *err);

struct logs_options {
	const char *since, *until; /* RFC 3339, or "10m"; NULL */
	long tail;                 /* lines per container; -1: all */
	const char *grep;          /* only lines with this text; NULL */
	bool follow;
	bool timestamps;
};
ERROR_CHECKED int operation_app_logs(
	struct deployment *d, const struct logs_options *options, struct error *err);

struct exec_options {
	const char *const *argv; /* NULL-terminated */
	bool interactive;        /* terminal */
	bool reuse;              /* in a running container; else a fresh one of the live release */
	bool primary;            /* only the first host */
};
/* *exit_status: the first that is not 0. */
ERROR_CHECKED int operation_app_exec(struct deployment *d, const struct exec_options *options,
	int *exit_status, struct error *err);
ERROR_CHECKED int operation_app_start(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_app_stop(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_app_restart(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_app_containers(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_app_version(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_app_maintenance(
	struct deployment *d, const char *message, struct error *err);
ERROR_CHECKED int operation_app_live(struct deployment *d, struct error *err);

/* Of an accessory by name, or "all". */
ERROR_CHECKED int operation_accessory_boot(
	struct deployment *d, const char *name, struct error *err);
ERROR_CHECKED int operation_accessory_reboot(
	struct deployment *d, const char *name, struct error *err);
ERROR_CHECKED int operation_accessory_upgrade(
	struct deployment *d, const char *name, struct error *err);
ERROR_CHECKED int operation_accessory_start(
	struct deployment *d, const char *name, struct error *err);
ERROR_CHECKED int operation_accessory_stop(
	struct deployment *d, const char *name, struct error *err);
ERROR_CHECKED int operation_accessory_restart(
	struct deployment *d, const char *name, struct error *err);
ERROR_CHECKED int operation_accessory_details(
	struct deployment *d, const char *name, struct error *err);
ERROR_CHECKED int operation_accessory_logs(struct deployment *d, const char *name,
	const struct logs_options *options, struct error *err);
/* In the running container; options->reuse has no meaning. */
ERROR_CHECKED int operation_accessory_exec(struct deployment *d, const char *name,
	const struct exec_options *options, int *exit_status, struct error *err);
/* The database's own client on a terminal, else a shell. */
ERROR_CHECKED int operation_accessory_console(
	struct deployment *d, const char *name, int *exit_status, struct error *err);
struct restore_options {
	const char *id; /* or the beginning of one; NULL: the newest */
	bool no_safety; /* without a backup of what is there */
};
/* verify: restores it into a scratch container, and says how much is there. */
ERROR_CHECKED int operation_accessory_backup(
	struct deployment *d, const char *name, bool verify, struct error *err);
ERROR_CHECKED int operation_accessory_backups(
	struct deployment *d, const char *name, struct error *err);
/* Asks. */
ERROR_CHECKED int operation_accessory_restore(struct deployment *d, const char *name,
	const struct restore_options *options, struct error *err);
/* Asks. data: with its volumes and folders. */
ERROR_CHECKED int operation_accessory_remove(
	struct deployment *d, const char *name, bool data, struct error *err);

ERROR_CHECKED int operation_proxy_boot(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_proxy_reboot(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_proxy_logs(
	struct deployment *d, const struct logs_options *options, struct error *err);
ERROR_CHECKED int operation_proxy_details(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_proxy_config(struct deployment *d, struct error *err);
/* Certificates that the proxies got by themselves, into a file here (0600), and back from it. */
ERROR_CHECKED int operation_proxy_backup(struct deployment *d, const char *path, struct error *err);
ERROR_CHECKED int operation_proxy_restore(
	struct deployment *d, const char *path, const char *from, struct error *err);
ERROR_CHECKED int operation_proxy_remove(struct deployment *d, struct error *err); /* asks */

/* `exec -- CMD`: on the servers, by the SSH user's shell. *exit_status: the first not 0. */
ERROR_CHECKED int operation_exec(
	struct deployment *d, const char *const *argv, int *exit_status, struct error *err);

ERROR_CHECKED int operation_lock_status(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_lock_acquire(
	struct deployment *d, const char *message, struct error *err);
ERROR_CHECKED int operation_lock_release(struct deployment *d, struct error *err);
ERROR_CHECKED int operation_audit(struct deployment *d, long lines, struct error *err);
ERROR_CHECKED int operation_prune(struct deployment *d, struct error *err);
/* Takes the service off the servers: containers, proxy fragment, images, history. Asks. */
ERROR_CHECKED int operation_remove(struct deployment *d, struct error *err);

/* Preflight: every reason why a push would fail, with its mend; a host that is not reached is one.
 * -1 with ERROR_REMOTE when there is any. */
struct check_options {
	bool notify; /* those of `notify:` are told of what is not well */
};
ERROR_CHECKED int operation_check(
	struct deployment *d, const struct check_options *options, struct error *err);
