/* SPDX-License-Identifier: MIT */
/* accessory boot, reboot, start, stop, restart, upgrade, details, remove. */
#include "accessory.h"
#include "backup_schedule.h"

#include "deploy/container.h"
#include "deploy/operations.h"
#include "deploy/record.h"
#include "docker/exec.h"
#include "docker/system.h"
#include "util/cancel.h"
#include "util/digest.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef int accessory_fn(struct deployment *d, struct target *t, const struct config_accessory *a,
	struct error *err);

struct each_accessory {
	accessory_fn *fn;
	bool one_by_one; /* hosts; what comes after a failure is left alone */
	atomic_bool failed;
};

static int on_target(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct each_accessory *e = ctx;
	VEC_FOREACH (&d->accessories, i) {
		const struct config_accessory *a = d->accessories.p[i];
		if (!target_has_accessory(t, a)) {
			continue;
		}
		if (e->one_by_one && atomic_load(&e->failed)) {
			ui_warn(d->ui, t->host->name, "accessory '%s' is left as it is", a->name);
			continue;
		}
		if (e->fn(d, t, a, err) < 0) {
			atomic_store(&e->failed, true);
			return error_wrap(err, "accessory '%s'", a->name);
		}
	}
	return 0;
}

static int each(struct deployment *d, accessory_fn *fn, bool one_by_one, struct error *err)
{
	struct each_accessory e = {.fn = fn, .one_by_one = one_by_one};
	int parallel = d->parallel;
	d->parallel = one_by_one ? 1 : parallel;
	int result = deployment_each(d, on_target, &e, err);
	d->parallel = parallel;
	return result;
}

/* Under the lock, and in the audit. */
static int change(struct deployment *d, const char *name, const char *what, accessory_fn *fn,
	bool one_by_one, struct error *err)
{
	int result = deployment_only_accessory(d, name, err);
	if (result == 0) {
		result = deployment_begin_beside(d, err);
	}
	if (result == 0) {
		result = accessory_begin(d, err);
	}
	if (result == 0) {
		result = each(d, fn, one_by_one, err);
		CLEANUP_FREE char *told =
			xasprintf("%s accessory %s%s", what, name, result < 0 ? ": failed" : "");
		cancel_shield_begin();
		record_audit(d, told);
		cancel_shield_end();
	}
	deployment_end(d);
	return result;
}

static void tell_drift(struct deployment *d, struct target *t, const struct config_accessory *a,
	const struct docker_container_entry *c)
{
	CLEANUP_FREE char *drift = accessory_drift(d, t, a, c);
	if (drift) {
		ui_warn(d->ui, t->host->name,
			"accessory '%s' differs from the manifest: %s (deploy accessory reboot %s "
			"applies it)",
			a->name, drift, a->name);
	}
}

static int start_it(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	if (container_start(t->host->docker, a->container, err) < 0 ||
		container_keep_up(t->host->docker, a->container, err) < 0) {
		return -1;
	}
	return accessory_wait(d, t, a, a->container, err);
}

static int boot_one(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	const struct docker_container_entry *c = NULL;
	enum accessory_state state = accessory_look(t, a, &c);
	if (state == ACCESSORY_MISSING || state == ACCESSORY_UNSETTLED) {
		return accessory_boot(d, t, a, err) < 0 ? -1 : backup_schedule_mend(d, t, a, err);
	}
	tell_drift(d, t, a, c);
	if ((state == ACCESSORY_STOPPED && start_it(d, t, a, err) < 0) ||
		backup_schedule_mend(d, t, a, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "accessory %s %s", a->name,
		state == ACCESSORY_RUNNING ? "runs already" : "runs again");
	return 0;
}

static int reboot_one(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	if (accessory_replace(d, t, a, false, NULL, err) < 0 ||
		backup_schedule_mend(d, t, a, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "accessory %s runs in a new container", a->name);
	return 0;
}

static int upgrade_one(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	bool done = true;
	if (accessory_replace(d, t, a, true, &done, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name,
		done ? "accessory %s runs the newest %s" : "accessory %s has the newest %s already",
		a->name, a->image);
	return 0;
}

/* A container that start, stop and restart are about. */
static int settled(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	if (accessory_settle(d, t, a, err) < 0) {
		return -1;
	}
	if (accessory_look(t, a, NULL) == ACCESSORY_MISSING) {
		error_set(err, ERROR_REMOTE, "it has no container");
		return error_hint(err, "deploy accessory boot %s", a->name);
	}
	return 0;
}

static int start_one(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	if (settled(d, t, a, err) < 0 || start_it(d, t, a, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "accessory %s runs", a->name);
	return 0;
}

static int stop_one(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	if (settled(d, t, a, err) < 0 || container_retire(t->host->docker, a->container,
						 a->stop_timeout_ms / 1000, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "accessory %s stands still", a->name);
	return 0;
}

static int restart_one(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	struct docker *docker = t->host->docker;
	if (settled(d, t, a, err) < 0 ||
		docker_container_restart(docker, a->container, a->stop_timeout_ms / 1000, err) <
			0 ||
		container_keep_up(docker, a->container, err) < 0 ||
		accessory_wait(d, t, a, a->container, err) < 0) {
		return -1;
	}
	ui_done(d->ui, t->host->name, "accessory %s restarted", a->name);
	return 0;
}

static int with_secrets(struct deployment *d, const char *name, const char *what, accessory_fn *fn,
	bool one_by_one, struct error *err)
{
	if (deployment_load_secrets(d, SECRETS_ALL, err) < 0) {
		return -1;
	}
	return change(d, name, what, fn, one_by_one, err);
}

int operation_accessory_boot(struct deployment *d, const char *name, struct error *err)
{
	return with_secrets(d, name, "booted", boot_one, false, err);
}

int operation_accessory_reboot(struct deployment *d, const char *name, struct error *err)
{
	return with_secrets(d, name, "rebooted", reboot_one, true, err);
}

int operation_accessory_upgrade(struct deployment *d, const char *name, struct error *err)
{
	return with_secrets(d, name, "upgraded", upgrade_one, true, err);
}

int operation_accessory_start(struct deployment *d, const char *name, struct error *err)
{
	return change(d, name, "started", start_one, false, err);
}

int operation_accessory_stop(struct deployment *d, const char *name, struct error *err)
{
	return change(d, name, "stopped", stop_one, false, err);
}

int operation_accessory_restart(struct deployment *d, const char *name, struct error *err)
{
	return change(d, name, "restarted", restart_one, true, err);
}

/* -- Details -- */

static const char *state_words(enum accessory_state state)
{
	static const char *const words[] = {
		[ACCESSORY_MISSING] = "MISSING",
		[ACCESSORY_STOPPED] = "stopped",
		[ACCESSORY_RUNNING] = "running",
		[ACCESSORY_UNSETTLED] = "INTERRUPTED",
	};
	return words[state];
}

static void add_details(struct deployment *d, const struct target *t,
	const struct config_accessory *a, struct ui_table *table)
{
	const struct docker_container_entry *c = NULL;
	enum accessory_state state = accessory_look(t, a, &c);
	CLEANUP_FREE char *drift = c ? accessory_drift(d, t, a, c) : NULL;
	CLEANUP_STR struct str ports = STR_INIT(STR_MAX_LINE);
	VEC_FOREACH (&a->ports, i) {
		str_addf(&ports, "%s%s", i ? ", " : "", a->ports.p[i]);
	}
	ui_table_row(table,
		(const char *[]){t->host->name, a->name, a->container, c ? c->image : a->image,
			state_words(state), c ? c->status : "", str_c(&ports), drift});
	ui_json(d->ui, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:s?}", "result",
			       "accessory", "host", t->host->name, "name", a->name, "container",
			       a->container, "image", c ? c->image : a->image, "state",
			       state_words(state), "status", c ? c->status : NULL, "drift", drift));
}

int operation_accessory_details(struct deployment *d, const char *name, struct error *err)
{
	static const char *const headings[] = {
		"HOST", "ACCESSORY", "CONTAINER", "IMAGE", "STATE", "STATUS", "PORTS", "DRIFT"};
	if (deployment_only_accessory(d, name, err) < 0 || deployment_look(d, err) < 0) {
		return -1;
	}
	struct ui_table *table = ui_table_new(8, headings);
	for (size_t i = 0; i < d->n; i++) {
		VEC_FOREACH (&d->accessories, j) {
			if (target_has_accessory(&d->targets[i], d->accessories.p[j])) {
				add_details(d, &d->targets[i], d->accessories.p[j], table);
			}
		}
	}
	ui_table_print(d->ui, table);
	ui_table_free(table);
	return 0;
}

/* -- Remove -- */

/* Folders there belong to the accessory's own users: only root may empty them. */
static int remove_folders(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	char token[9];
	digest_random_hex(4, token);
	CLEANUP_FREE char *relative = names_accessory_dir(d->config, a->name);
	CLEANUP_FREE char *dir = xasprintf("%s/%s", t->host->home, relative);
	CLEANUP_FREE char *name = xasprintf("%s-files-%s", a->container, token);
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {
		.name = xstrdup(name),
		.image = xstrdup(a->image),
		.user = xstrdup("0"),
		.network = xstrdup("none"),
		.restart = xstrdup("no"),
	};
	int code = 0;
	accessory_labels(d, a, "files", &spec.labels);
	strvec_push(&spec.entrypoint, "rm");
	strvec_push(&spec.cmd, "-rf");
	strvec_push(&spec.cmd, "/mnt/files");
	strvec_push(&spec.cmd, "/mnt/directories");
	strvec_pushf(&spec.binds, "%s:/mnt", dir);
	if (docker_container_create(t->host->docker, &spec, NULL, err) < 0) {
		return -1;
	}
	struct docker_wait *wait =
		docker_wait_open(t->host->docker, name, DOCKER_WAIT_NEXT_EXIT, err);
	int result = wait ? docker_container_start(t->host->docker, name, err) : -1;
	if (result == 0 && docker_wait_next(wait, -1, &code, err) < 0) {
		result = -1;
	}
	docker_wait_close(wait);
	struct error ignored = {0};
	cancel_shield_begin();
	(void)!docker_container_remove(t->host->docker, name, true, true, &ignored);
	cancel_shield_end();
	if (result == 0 && code != 0) {
		return error_set(
			err, ERROR_REMOTE, "'%s' could not be emptied: exit code %d", dir, code);
	}
	return result;
}

static int remove_volumes(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	VEC_FOREACH (&a->volumes, i) {
		const char *v = a->volumes.p[i];
		CLEANUP_FREE char *name = xstrndup(v, strcspn(v, ":"));
		struct error failed = {0};
		if (*v == '/') {
			ui_info(d->ui, t->host->name, "kept: folder %s", name);
			continue;
		}
		if (docker_volume_remove(t->host->docker, name, false, &failed) < 0 &&
			failed.status != 404) {
			*err = failed;
			return -1;
		}
	}
	return 0;
}

static bool has_folders(const struct config_accessory *a)
{
	return a->files.len + a->directories.len > 0;
}

static int remove_containers(struct deployment *d, struct target *t,
	const struct config_accessory *a, bool data, struct error *err)
{
	if (strmap_get(&t->seen.backup_lines, a->name) &&
		backup_schedule(d, t, a->name, NULL, err) < 0) {
		return -1;
	}
	VEC_FOREACH (&t->seen.containers, i) {
		const struct docker_container_entry *c = &t->seen.containers.p[i];
		if (!str_eq(container_label(c, LABEL_ACCESSORY), a->name)) {
			continue;
		}
		if (container_retire(t->host->docker, c->name, a->stop_timeout_ms / 1000, err) <
				0 ||
			docker_container_remove(t->host->docker, c->name, true, data, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* What is left of the service, if it was the last thing of it there. */
static void remove_networks(const struct deployment *d, const struct target *t)
{
	VEC_FOREACH (&t->seen.containers, i) {
		if (container_is_app(&t->seen.containers.p[i], NULL)) {
			return;
		}
	}
	container_networks_remove(d, t);
}

static int remove_keep(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	if (remove_containers(d, t, a, false, err) < 0) {
		return -1;
	}
	remove_networks(d, t);
	ui_done(d->ui, t->host->name, "accessory %s removed, its data kept", a->name);
	return 0;
}

static int remove_with_data(
	struct deployment *d, struct target *t, const struct config_accessory *a, struct error *err)
{
	if (remove_containers(d, t, a, true, err) < 0 || remove_volumes(d, t, a, err) < 0 ||
		(has_folders(a) && remove_folders(d, t, a, err) < 0)) {
		return -1;
	}
	remove_networks(d, t);
	ui_done(d->ui, t->host->name, "accessory %s removed with its data", a->name);
	return 0;
}

int operation_accessory_remove(struct deployment *d, const char *name, bool data, struct error *err)
{
	const char *what = str_eq(name, "all") ? "all accessories" : name;
	/* An unknown name is told before anything is asked. */
	if (deployment_only_accessory(d, name, err) < 0) {
		return -1;
	}
	vec_fini(&d->accessories);
	if (ui_confirm(d->ui, err,
		    data ? "Remove %s of '%s', AND ITS DATA: volumes and folders? Backups stay."
			 : "Remove the container of %s of '%s'? Its data stay.",
		    what, d->config->service) < 0) {
		return -1;
	}
	return change(d, name, data ? "removed with its data" : "removed",
		data ? remove_with_data : remove_keep, false, err);
}
