/* SPDX-License-Identifier: MIT */
#include "builder.h"

#include "manifest/syntax.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void version_fini(struct version *v)
{
	free(v->version);
	free(v->commit);
	free(v->subject);
	free(v->branch);
	memset(v, 0, sizeof(*v));
}

static int tell_dirty(struct deployment *d, struct version *v, struct error *err)
{
	struct source_state state = {0};
	if (source_dirty(d->source, &state, err) < 0) {
		return -1;
	}
	size_t n = state.modified + state.untracked;
	if (n > 0 && d->config->builder.context_kind == CONFIG_CONTEXT_GIT) {
		ui_warn(d->ui, NULL,
			"%zu uncommitted change(s) are not deployed (%s%s): what goes out is "
			"commit %s",
			n, state.names.len ? state.names.p[0] : "", n > 1 ? ", ..." : "",
			v->version);
	} else if (n > 0) {
		/* The work tree itself is built: it must not bear the name of a commit that it is
		 * not, and two states of it must not bear one name. */
		char *marked = xasprintf(
			"%s-dirty-%llx", v->version, (unsigned long long)clock_wall_ms() / 1000);
		free(v->version);
		v->version = marked;
		ui_warn(d->ui, NULL, "%zu uncommitted change(s) are deployed, as version %s", n,
			v->version);
	}
	source_state_fini(&state);
	return 0;
}

static int from_git(struct deployment *d, struct version *v, struct error *err)
{
	struct source_commit commit = {0};
	if (source_resolve(d->source, d->version, &commit, err) < 0) {
		return -1;
	}
	v->version = xstrdup(commit.version);
	v->commit = xstrdup(commit.id);
	v->subject = xstrdup(commit.subject);
	v->branch = source_branch(d->source);
	return d->version ? 0 : tell_dirty(d, v, err);
}

int version_resolve(struct deployment *d, struct version *v, struct error *err)
{
	struct error why = {0};
	if (!d->source) {
		d->source = source_open(d->config->root, &why);
	}
	if (!d->source && why.sys != ENOENT) {
		*err = why;
		return -1;
	}
	if (d->source && from_git(d, v, &why) == 0) {
		return 0;
	}
	/* A version may be a name of its own: of an image that CI made. */
	if (d->version && (why.sys == ENOENT || !d->source)) {
		const char *wrong = syntax_version(d->version);
		if (wrong) {
			return error_set(err, ERROR_USAGE, "--version '%s' %s", d->version, wrong);
		}
		v->version = xstrdup(d->version);
		return 0;
	}
	*err = why;
	if (!d->source) {
		return error_hint(err, "make a commit, or name the image's version by --version");
	}
	return -1;
}

static int open_remote(struct builder *b, const char *remote, struct error *err)
{
	CLEANUP_FREE char *user = NULL;
	CLEANUP_FREE char *name = NULL;
	int port = 0;
	if (ssh_host_split(remote, &user, &name, &port, err) < 0) {
		return -1;
	}
	struct config_host address = {.name = name, .user = user, .port = port};
	b->fabric = ssh_fabric_new(1);
	struct host_request req = {
		.name = name,
		.address = &address,
		.ssh = &b->d->config->ssh,
		.key_data = &b->d->ssh_keys,
		.fabric = b->fabric,
		.ui = b->d->ui,
	};
	b->host = host_connect(&req, err);
	return b->host ? 0 : -1;
}

int builder_open(
	struct builder *b, struct deployment *d, const struct version *version, struct error *err)
{
	const char *remote = d->config->builder.remote;
	b->d = d;
	b->version = version;
	if (registry_auth_from_config(&d->config->registry, &d->secrets, &b->auth, err) < 0) {
		return -1;
	}
	if (remote) {
		return open_remote(b, remote, err) < 0 ? error_wrap(err, "builder '%s'", remote)
						       : 0;
	}
	b->host = host_local(d->ui);
	return 0;
}

void builder_fini(struct builder *b)
{
	image_build_result_fini(&b->result);
	registry_auth_fini(&b->auth);
	host_close(b->host);
	ssh_fabric_free(b->fabric);
}

void builder_abort(struct builder *b)
{
	host_abort(b->host);
}

static void fill_request(struct builder *b, struct image_build_request *req)
{
	struct deployment *d = b->d;
	const struct config *c = d->config;
	req->docker = b->host->docker;
	req->builder_host = b->host->ssh ? b->host->name : NULL;
	req->ui = d->ui;
	req->builder = &c->builder;
	req->root = c->root;
	req->source = d->source;
	req->service = c->service;
	req->image = c->image;
	req->version = b->version->version;
	req->commit = b->version->commit;
	req->branch = b->version->branch;
	req->arch = c->builder.arch.len == 1 ? c->builder.arch.p[0] : NULL;
	req->secrets = &d->secrets;
	req->auth = registry_auth_is_set(&b->auth) ? &b->auth : NULL;
}

int builder_build(struct builder *b, bool skip, struct error *err)
{
	struct image_build_request req = {0};
	fill_request(b, &req);
	if (!skip) {
		return image_build(&req, &b->result, err);
	}
	if (image_find_built(&req, true, &b->result, err) < 0) {
		return -1;
	}
	if (b->result.reused) {
		return 0;
	}
	if (b->d->config->registry.enabled) {
		return 1;
	}
	error_set(err, ERROR_USAGE, "image '%s:%s' is not there, and --skip-build builds none",
		req.image, req.version);
	return -1;
}
