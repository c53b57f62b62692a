/* SPDX-License-Identifier: MIT */
/* prune and remove. */
#include "cron.h"
#include "deploy/container.h"
#include "deploy/operations.h"
#include "deploy/record.h"
#include "run.h"
#include "state.h"

#include <stdlib.h>
#include <string.h>

#define STATE_MAX_ENTRIES 1000
#define REMOVE_MS         15000

int operation_prune(struct deployment *d, struct error *err)
{
	struct plan_hosts hosts = {0};
	struct plan plan;
	struct run run;
	plan_init(&plan);
	int result = deployment_begin(d, err);
	if (result == 0) {
		state_hosts(d, &hosts);
		struct plan_request req = {.config = d->config,
			.history = &d->history,
			.hosts = &hosts,
			.roles = &d->roles};
		plan_prune(&req, &plan);
		run_init(&run, d, &plan, &hosts);
		result = deployment_each(d, run_prune, &run, err);
		run_fini(&run);
		record_audit(d, "pruned");
	}
	deployment_end(d);
	plan_fini(&plan);
	plan_hosts_fini(&hosts);
	return result;
}

static int remove_containers(struct target *t, struct error *err)
{
	VEC_FOREACH (&t->seen.containers, i) {
		const char *name = t->seen.containers.p[i].name;
		if (str_eq(container_label(&t->seen.containers.p[i], LABEL_KIND), "accessory")) {
			ui_info(t->host->ui, t->host->name,
				"accessory %s stays: 'deploy accessory remove' asks about its data",
				name);
			continue;
		}
		if (docker_container_stop(t->host->docker, name, 10, err) < 0 ||
			docker_container_remove(t->host->docker, name, true, true, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static void remove_image(struct deployment *d, struct target *t, const char *name)
{
	struct error ignored = {0};
	if (docker_image_remove(t->host->docker, name, false, false, &ignored) < 0) {
		ui_debug(d->ui, t->host->name, "%s", ignored.text);
	}
}

static void remove_images(struct deployment *d, struct target *t)
{
	struct plan_hosts hosts = {0};
	state_hosts(d, &hosts);
	const struct plan_host *h = &hosts.p[t - d->targets];
	VEC_FOREACH (&h->images, i) {
		const struct plan_image *image = &h->images.p[i];
		if (!image->ours) {
			continue;
		}
		VEC_FOREACH (&image->tags, j) {
			remove_image(d, t, image->tags.p[j]);
		}
		if (image->tags.len == 0) {
			remove_image(d, t, image->id);
		}
	}
	plan_hosts_fini(&hosts);
}

/* The proxy first, so that nobody is sent to a container that is going. The lock goes last. */
static int remove_one(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	(void)ctx;
	if (!t->selected) {
		return 0;
	}
	ui_step(d->ui, t->host->name, "removing");
	struct strvec none = {0};
	if ((t->seen.proxy && proxy_remove_service(t->seen.proxy, err) < 0) ||
		(t->seen.schedule.len > 0 && cron_write(d, t, &none, err) < 0) ||
		remove_containers(t, err) < 0) {
		return -1;
	}
	container_networks_remove(d, t);
	remove_images(d, t);
	ui_done(d->ui, t->host->name, "removed");
	return 0;
}

/* A folder, but not what the lock has in it: that goes last, on the lock host. */
static int empty_folder(const char *dir, struct sftp_batch *b, struct error *err)
{
	struct sftp_op *list = sftp_list(b, dir, STATE_MAX_ENTRIES);
	if (sftp_run(b, REMOVE_MS, err) < 0) {
		return -1;
	}
	VEC_FOREACH (&list->entries, i) {
		const char *name = list->entries.p[i].name;
		/* What accessories have, and their backups: never in passing. */
		bool data = str_eq(name, "accessories") || str_eq(name, "backups");
		if (!lock_owns(name) && !data) {
			CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
			sftp_rmtree(b, path, STATE_MAX_ENTRIES);
		}
	}
	if (sftp_run(b, REMOVE_MS, err) < 0) {
		return -1;
	}
	if (list->status == SFTP_NOENT) {
		list->status = SFTP_OK;
	}
	return sftp_check(b, err);
}

/*
 * Under the lock: who waits for it must find a folder that nobody is about to remove.  What is left
 * on the lock host goes with the lock.
 */
static int remove_state(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	(void)ctx;
	if (!t->selected) {
		return 0;
	}
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	int result = empty_folder(dir, b, err);
	if (result == 0 && t != &d->targets[d->lock_target]) {
		sftp_rmdir(b, dir); /* refused when accessories have something there */
		result = sftp_run(b, REMOVE_MS, err);
	}
	sftp_batch_free(b);
	return result;
}

/* -- Hosts that left the manifest -- */

/* The same server under another name: its key says so.  Nothing is taken off there. */
static const struct target *same_server(const struct deployment *d, const struct target *t)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct target *other = &d->targets[i];
		if (!other->left && t->seen.key_there && other->seen.key_there &&
			strcmp(t->seen.key, other->seen.key) == 0) {
			return other;
		}
	}
	return NULL;
}

static int judge_left(struct deployment *d, struct error *err)
{
	VEC_FOREACH (&d->left, i) {
		if (!deployment_left_with(d, d->left.p[i].name)) {
			return error_set(err, ERROR_USAGE,
				"--hosts: no host '%s' in '%s', and none of that name left it",
				d->left.p[i].name, d->config->file);
		}
	}
	for (size_t i = 0; i < d->n; i++) {
		struct target *t = &d->targets[i];
		const struct target *same = t->left ? same_server(d, t) : NULL;
		if (same) {
			ui_warn(d->ui, NULL,
				"host '%s' is the same server as '%s': it is only forgotten under "
				"the old name",
				t->address->name, same->address->name);
			t->selected = false;
		}
	}
	return 0;
}

/* A server that is no more cannot be asked: it may be forgotten.  1: what failed was only that. */
static int forget_unreachable(struct deployment *d, struct error *err)
{
	size_t kept = 0;
	bool any = false;
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		if (t->error.kind != ERROR_NONE && !(t->left && t->error.kind == ERROR_CONNECT)) {
			return 0;
		}
		any = any || t->error.kind != ERROR_NONE;
	}
	if (!any) {
		return 0;
	}
	ui_warn(d->ui, NULL, "%s", err->text);
	if (ui_confirm(d->ui, err,
		    "It cannot be reached. Forget it? (what may still run there is left alone)") <
		0) {
		return -1;
	}
	for (size_t i = 0; i < d->n; i++) {
		if (d->targets[i].error.kind == ERROR_NONE) {
			d->targets[kept++] = d->targets[i];
		}
	}
	d->n = kept; /* the lock host keeps its place: those that left are behind it */
	*err = (struct error){0};
	return 1;
}

static int record_left(struct deployment *d, struct error *err)
{
	VEC_FOREACH (&d->left, i) {
		const struct release *r = deployment_left_with(d, d->left.p[i].name);
		if (r) {
			history_leave(&d->history, d->left.p[i].name, r->number);
		}
	}
	return d->left.len > 0 ? record_release(d, NULL, NULL, err) : 0;
}

static int begin(struct deployment *d, struct error *err)
{
	if (deployment_begin(d, err) < 0) {
		int again = forget_unreachable(d, err);
		if (again <= 0 || deployment_begin(d, err) < 0) {
			return -1;
		}
	}
	return judge_left(d, err);
}

int operation_remove(struct deployment *d, struct error *err)
{
	CLEANUP_FREE char *key = names_service_key(d->config);
	if (ui_confirm(d->ui, err,
		    "Remove '%s' from its servers: containers, images, routes and release history? "
		    "(volumes stay)",
		    key) < 0) {
		return -1;
	}
	int result = begin(d, err);
	if (result == 0) {
		result = deployment_each(d, remove_one, NULL, err);
	}
	if (result == 0) {
		result = record_left(d, err);
	}
	if (result == 0) {
		result = deployment_each(d, remove_state, NULL, err);
	}
	deployment_end(d);
	return result;
}
