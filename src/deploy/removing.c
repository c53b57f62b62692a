/* SPDX-License-Identifier: MIT */
/* prune and remove. */
#include "deploy/operations.h"
#include "deploy/record.h"
#include "run.h"
#include "state.h"

#include <stdlib.h>
#include <string.h>

#define STATE_MAX_ENTRIES 1000

int operation_prune(struct deployment *d, struct error *err)
{
	struct plan_hosts hosts = {0};
	struct plan plan;
	struct run run;
	plan_init(&plan);
	int result = deployment_begin(d, err);
	if (result == 0) {
		state_hosts(d, &hosts);
		struct plan_request req = {
			.config = d->config, .history = &d->history, .hosts = &hosts};
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
		if (docker_container_stop(t->host->docker, name, 10, err) < 0 ||
			docker_container_remove(t->host->docker, name, true, true, err) < 0) {
			return -1;
		}
	}
	return 0;
}

static void remove_images(struct deployment *d, struct target *t)
{
	struct plan_hosts hosts = {0};
	state_hosts(d, &hosts);
	const struct plan_host *h = &hosts.p[t - d->targets];
	VEC_FOREACH (&h->images, i) {
		struct error ignored = {0};
		for (size_t j = 0; h->images.p[i].ours && j < h->images.p[i].tags.len; j++) {
			if (docker_image_remove(t->host->docker, h->images.p[i].tags.p[j], false,
				    false, &ignored) < 0) {
				ui_debug(d->ui, t->host->name, "%s", ignored.text);
			}
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
	if ((t->seen.proxy && proxy_remove_service(t->seen.proxy, err) < 0) ||
		remove_containers(t, err) < 0) {
		return -1;
	}
	remove_images(d, t);
	ui_done(d->ui, t->host->name, "removed");
	return 0;
}

static int remove_state(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	(void)ctx;
	if (!t->selected) {
		return 0;
	}
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	struct sftp_batch *b = sftp_batch_new(t->host->sftp);
	struct sftp_op *op = sftp_rmtree(b, dir, STATE_MAX_ENTRIES);
	int result = sftp_run(b, 15000, err);
	if (result == 0 && op->status != SFTP_OK && op->status != SFTP_NOENT) {
		*err = op->error;
		result = -1;
	}
	sftp_batch_free(b);
	return result;
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
	int result = deployment_begin(d, err);
	if (result == 0) {
		result = deployment_each(d, remove_one, NULL, err);
	}
	deployment_end(d);
	if (result == 0) {
		result = deployment_each(d, remove_state, NULL, err);
	}
	return result;
}
