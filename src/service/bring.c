/* SPDX-License-Identifier: MIT */
#include "service/bring.h"

#include "docker/image.h"
#include "image/transfer.h"
#include "util/cancel.h"

#include <stdlib.h>
#include <string.h>

/* The image's ID on a daemon, the caller's; NULL: it is not there, or nobody answers. */
static char *id_on(struct docker *docker, const char *image)
{
	struct docker_image seen = {0};
	struct error ignored = {0};
	char *id =
		docker_image_inspect(docker, image, &seen, &ignored) == 0 ? xstrdup(seen.id) : NULL;
	docker_image_fini(&seen);
	return id;
}

static void tell_progress(void *ctx, const struct docker_progress *p)
{
	const struct bring_request *req = ctx;
	if (p->id && p->current > 0 && p->total > 0) {
		ui_progress(req->host->ui, req->host->name, req->image, (uint64_t)p->current,
			(uint64_t)p->total);
	}
}

static int pull(const struct bring_request *req, struct error *err)
{
	CLEANUP_FREE char *registry = registry_of(req->image);
	bool own = registry_auth_is_set(req->auth) && registry_same(registry, req->auth->server);
	struct docker_auth auth = {0};
	if (own) {
		auth = registry_auth_docker(req->auth);
	}
	struct bring_request told = *req;
	ui_step(req->host->ui, req->host->name, "pulling %s", req->image);
	return docker_image_pull(
		req->host->docker, req->image, NULL, own ? &auth : NULL, tell_progress, &told, err);
}

/* From the daemon `from` of the server `name` (NULL: this machine). */
static int carry(const struct bring_request *req, struct docker *from, const char *name, char **id,
	struct error *err)
{
	CLEANUP_STRVEC struct strvec tags = {0};
	struct image_transfer_result result = {0};
	strvec_push(&tags, req->image);
	struct image_source_request sreq = {.docker = from,
		.builder_host = name,
		.ui = req->host->ui,
		.image = req->image,
		.tags = &tags};
	struct image_transfer_request treq = {.host = req->host};
	ui_step(req->host->ui, req->host->name, "bringing %s from %s", req->image,
		name ? name : "this machine");
	struct image_source *source = image_source_open(&sreq, err);
	int moved = source ? image_transfer(source, &treq, &result, err) : -1;
	image_source_free(source);
	if (moved < 0) {
		return error_wrap(
			err, "bring '%s' from %s", req->image, name ? name : "this machine");
	}
	free(*id);
	*id = xstrdup(result.image_id);
	return 0;
}

/* 1: nobody has it. */
static int carry_from_any(const struct bring_request *req, char **id, struct error *err)
{
	struct docker_dialer here = {.dial = docker_dial_local};
	struct docker *local = docker_new(&here, NULL);
	CLEANUP_FREE char *found = id_on(local, req->image);
	int result = 1;
	if (found) {
		result = carry(req, local, NULL, id, err);
	}
	docker_free(local);
	for (size_t i = 0; result == 1 && i < req->n_others; i++) {
		struct host *other = req->others[i];
		CLEANUP_FREE char *theirs =
			other != req->host ? id_on(other->docker, req->image) : NULL;
		if (theirs) {
			result = carry(req, other->docker, other->name, id, err);
		}
	}
	return result;
}

int bring_image(const struct bring_request *req, char **id, struct error *err)
{
	struct error refused = {0};
	char *there = id_on(req->host->docker, req->image);
	if (there && !req->fresh) {
		*id = there;
		return 0;
	}
	if (pull(req, &refused) == 0) {
		free(there);
		*id = id_on(req->host->docker, req->image);
		return *id ? 0 : error_set(err, ERROR_REMOTE, "'%s' is gone", req->image);
	}
	if (refused.kind == ERROR_INTERRUPTED || refused.kind == ERROR_CONNECT) {
		free(there);
		*err = refused;
		return -1;
	}
	ui_debug(req->host->ui, req->host->name, "pull '%s': %s", req->image, refused.text);
	int result = carry_from_any(req, &there, err);
	if (result == 1 && !there) {
		*err = refused;
		(void)error_wrap(err, "pull '%s'", req->image);
		return error_hint(err,
			"where the server has no way to a registry: docker pull %s here, and it is "
			"brought over SSH",
			req->image);
	}
	if (result == 1) {
		ui_warn(req->host->ui, req->host->name, "no newer '%s' was looked for: %s",
			req->image, refused.text);
	}
	if (result < 0) {
		free(there);
		return -1;
	}
	*id = there;
	return 0;
}
