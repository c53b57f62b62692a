/* SPDX-License-Identifier: MIT */
#include "image/build.h"

#include "build_progress.h"
#include "docker/build.h"
#include "docker/image.h"
#include "docker/system.h"
#include "image/session.h"
#include "util/clock.h"
#include "util/digest.h"

#include <stdio.h>
#include <string.h>

#define CACHE_TRIES  3
#define API_BUILDKIT 41 /* 20.10: the first whose BuildKit is worth its name */

VEC_TYPE(auth_vec, struct registry_auth);

static void cleanup_image(struct docker_image *i)
{
	docker_image_fini(i);
}
#define CLEANUP_IMAGE __attribute__((cleanup(cleanup_image)))

static char *main_tag(const struct image_build_request *req)
{
	return xasprintf("%s:%s", req->image, req->version);
}

static int expand_tags(
	const struct image_build_request *req, struct strvec *tags, struct error *err)
{
	CLEANUP_FREE char *first = main_tag(req);

	strvec_push(tags, first);
	VEC_FOREACH (&req->builder->tags, i) {
		const char *pattern = req->builder->tags.p[i];
		if (strstr(pattern, "{branch}") && (!req->branch || !*req->branch)) {
			ui_warn(req->ui, NULL, "builder tag '%s' is left out: no branch is known",
				pattern);
			continue;
		}
		CLEANUP_FREE char *tag =
			image_tag_expand(pattern, req->version, req->commit, req->branch, err);
		CLEANUP_FREE char *full = tag ? xasprintf("%s:%s", req->image, tag) : NULL;
		if (!tag) {
			return -1;
		}
		if (!strvec_has(tags, full)) {
			strvec_push(tags, full);
		}
	}
	return 0;
}

/* Further tags of an image that is there already. */
static int add_tags(const struct image_build_request *req, const struct docker_image *image,
	const struct strvec *tags, struct error *err)
{
	for (size_t i = 1; i < tags->len; i++) {
		if (!strvec_has(&image->tags, tags->p[i]) &&
			docker_image_tag(req->docker, image->id, tags->p[i], err) != 0) {
			return -1;
		}
	}
	return 0;
}

static bool is_built(const struct image_build_request *req, const struct docker_image *image)
{
	CLEANUP_FREE char *digest = image_build_digest(req);
	const char *commit = strmap_get(&image->labels, "deploy.commit");

	return req->builder->context_kind == CONFIG_CONTEXT_GIT && req->commit &&
	       str_eq(commit, req->commit) &&
	       str_eq(strmap_get(&image->labels, "deploy.build"), digest);
}

int image_find_built(const struct image_build_request *req, bool any_build,
	struct image_build_result *result, struct error *err)
{
	CLEANUP_FREE char *name = main_tag(req);
	CLEANUP_STRVEC struct strvec tags = {0};
	CLEANUP_IMAGE struct docker_image image = {0};
	struct docker_lookup look = {.kind = DOCKER_LOOKUP_IMAGE, .name = name, .out = &image};
	int64_t since = clock_mono_ms();

	memset(result, 0, sizeof(*result));
	if (docker_lookup(req->docker, &look, 1, err) != 0) {
		return error_wrap(err, "look for image '%s'", name);
	}
	if (!look.found || (!any_build && !is_built(req, &image))) {
		return 0;
	}
	if (expand_tags(req, &tags, err) != 0 || add_tags(req, &image, &tags, err) != 0) {
		return -1;
	}
	snprintf(result->id, sizeof(result->id), "%s", image.id);
	strvec_copy(&result->tags, &tags);
	result->reused = true;
	result->ms = clock_mono_ms() - since;
	return 0;
}

void image_build_result_fini(struct image_build_result *result)
{
	strvec_fini(&result->tags);
	memset(result, 0, sizeof(*result));
}

static int no_buildkit(const char *why, struct error *err)
{
	error_set(err, ERROR_MANIFEST, "builder secrets need BuildKit, and %s", why);
	return error_hint(err, "use a builder with Docker 20.10 or newer (`builder: {remote: "
			       "ssh://...}`), or take `secrets:` out of the manifest's builder");
}

/*
 * Docker 20.10 says that it prefers the classic builder, and has BuildKit all the same; Dockerfiles
 * of today are written for it (RUN --mount).  DOCKER_BUILDKIT=0 asks for the classic one, as with
 * the docker command.
 */
static int choose_builder(
	const struct image_build_request *req, enum image_builder *out, struct error *err)
{
	const char *wish = getenv("DOCKER_BUILDKIT");
	bool secrets = req->builder->secrets.len > 0, has;
	struct docker_ping ping = {0};

	if (docker_ping(req->docker, false, &ping, err) != 0) {
		return -1;
	}
	has = ping.builder == 2 ||
	      (ping.api >= API_BUILDKIT && str_starts(ping.server, "Docker/") &&
		      (!*ping.os || str_eq(ping.os, "linux")));
	*out = req->use;
	if (*out == IMAGE_BUILDER_AUTO) {
		bool off = wish && (str_eq(wish, "0") || str_eq(wish, "false"));
		*out = has && (!off || secrets) ? IMAGE_BUILDER_BUILDKIT : IMAGE_BUILDER_CLASSIC;
	}
	if (*out == IMAGE_BUILDER_BUILDKIT && !has) {
		return secrets ? no_buildkit("this Docker daemon has none", err)
			       : error_set(err, ERROR_MANIFEST, "this Docker has no BuildKit");
	}
	if (*out == IMAGE_BUILDER_CLASSIC && secrets) {
		return no_buildkit(
			has ? "the classic builder was asked for" : "this Docker daemon has none",
			err);
	}
	return 0;
}

static int check_secrets(const struct image_build_request *req, struct error *err)
{
	VEC_FOREACH (&req->builder->secrets, i) {
		const char *name = req->builder->secrets.p[i];
		if (!req->secrets || !secret_map_get(req->secrets, name)) {
			error_set(err, ERROR_MANIFEST, "build secret '%s' is not set", name);
			return error_hint(err, "add a line '%s=...' to .deploy/secrets", name);
		}
	}
	return 0;
}

/* The manifest's login and those of the operator's docker configuration. */
static void collect_auths(const struct image_build_request *req, struct auth_vec *owned)
{
	struct error ignored = {0};

	if (registry_auth_is_set(req->auth)) {
		struct registry_auth copy = {.server = xstrdup(req->auth->server),
			.username = xstrdup(req->auth->username),
			.password = secret_ref(req->auth->password)};
		vec_push(owned, copy);
	}
	struct registry_auth *all = NULL;
	size_t n = registry_auths_from_docker(&all, &ignored);
	for (size_t i = 0; i < n; i++) {
		vec_push(owned, all[i]);
	}
	free(all);
}

static void auths_fini(struct auth_vec *v)
{
	VEC_FOREACH (v, i) {
		registry_auth_fini(&v->p[i]);
	}
	vec_fini(v);
}
#define CLEANUP_AUTHS __attribute__((cleanup(auths_fini)))

/* "linux/arm64" when the builder has to build for another architecture than its own. */
static int foreign_platform(
	const struct image_build_request *req, char **platform, struct error *err)
{
	struct docker_version v = {0};

	*platform = NULL;
	if (!req->arch || !*req->arch) {
		return 0;
	}
	if (docker_version(req->docker, &v, err) != 0) {
		return -1;
	}
	if (!str_eq(v.arch, req->arch)) {
		*platform = xasprintf("linux/%s", req->arch);
	}
	docker_version_fini(&v);
	return 0;
}

static ssize_t read_context(void *ctx, void *buf, size_t n, struct error *err)
{
	return context_read(ctx, buf, n, err);
}

static void set_labels(const struct image_build_request *req, struct strmap *labels)
{
	CLEANUP_FREE char *digest = image_build_digest(req);

	strmap_set(labels, "service", req->service);
	strmap_set(labels, "deploy.service", req->service);
	strmap_set(labels, "deploy.version", req->version);
	strmap_set(labels, "deploy.commit", req->commit ? req->commit : "");
	strmap_set(labels, "deploy.build", digest);
}

/* Everything is prepared: sends it and listens. */
static int run_build(const struct image_build_request *req, struct docker_build_request *build,
	const struct auth_vec *auths, struct context *context, struct image_build_result *result,
	struct error *err)
{
	struct session_provider provider = {.secret_names = &req->builder->secrets,
		.secrets = req->secrets,
		.auths = auths->p,
		.nauths = auths->len};
	struct http_source source = {.read = read_context, .ctx = context, .length = -1};
	struct build_progress progress;
	struct session *session = NULL;
	CLEANUP_FREE char *id = NULL;
	char build_id[33];
	int rc;

	digest_random_hex(16, build_id);
	if (build->buildkit) {
		session = session_open(req->docker, &provider, err);
		if (!session) {
			return -1;
		}
		build->session_id = session_id(session);
		build->build_id = build_id;
	}
	build_progress_init(&progress, req->ui, req->builder_host);
	rc = docker_build(req->docker, build, &source, build_progress_take, &progress, &id, err);
	if (rc != 0) {
		build_progress_error(&progress, err);
	}
	build_progress_fini(&progress);
	session_close(session);
	if (rc == 0) {
		snprintf(result->id, sizeof(result->id), "%s", id ? id : "");
	}
	return rc;
}

static int build_with(const struct image_build_request *req, enum image_builder use,
	const struct auth_vec *auths, struct image_build_result *result, struct error *err)
{
	const struct config_builder *b = req->builder;
	struct context_request creq = {.kind = b->context_kind,
		.root = req->root,
		.path = b->context,
		.dockerfile = b->dockerfile,
		.source = req->source,
		.commit = req->commit};
	CLEANUP_STRMAP struct strmap labels = {0};
	CLEANUP_FREE char *platform = NULL;
	struct docker_auth *given = xcalloc(auths->len + 1, sizeof(*given));
	struct context *context = context_open(&creq, err);
	int rc = -1;

	if (context && foreign_platform(req, &platform, err) == 0) {
		set_labels(req, &labels);
		for (size_t i = 0; i < auths->len; i++) {
			given[i] = registry_auth_docker(&auths->p[i]);
		}
		struct docker_build_request build = {.dockerfile = context_dockerfile(context),
			.tags = &result->tags,
			.args = &b->args,
			.labels = &labels,
			.target = b->target,
			.platform = platform,
			.no_cache = b->no_cache,
			.pull = b->pull,
			.buildkit = use == IMAGE_BUILDER_BUILDKIT,
			.auths = given,
			.nauths = auths->len};
		rc = run_build(req, &build, auths, context, result, err);
		result->context_bytes = context_bytes(context);
	}
	free(given);
	context_free(context);
	return rc;
}

/*
 * The classic builder looks through all images for what it may take from its cache, and gives up
 * when one of them is removed at that moment, whoever removes it ("unable to find image", moby's
 * image/cache): such a build has done nothing yet, and begins anew.
 */
static int build_patiently(const struct image_build_request *req, enum image_builder use,
	const struct auth_vec *auths, struct image_build_result *result, struct error *err)
{
	for (int tries = 1;; tries++) {
		if (build_with(req, use, auths, result, err) == 0) {
			return 0;
		}
		if (tries == CACHE_TRIES || use != IMAGE_BUILDER_CLASSIC ||
			!strstr(err->text, "unable to find image \"sha256:")) {
			return -1;
		}
		ui_debug(req->ui, req->builder_host, "build: an image went away; once more");
		*err = (struct error){0};
	}
}

/* What came out: its ID where the builder did not say it, and its architecture. */
static int inspect_result(
	const struct image_build_request *req, struct image_build_result *result, struct error *err)
{
	CLEANUP_IMAGE struct docker_image image = {0};

	if (docker_image_inspect(req->docker, result->tags.p[0], &image, err) != 0) {
		return error_wrap(err, "look for the built image '%s'", result->tags.p[0]);
	}
	snprintf(result->id, sizeof(result->id), "%s", image.id);
	if (req->arch && *req->arch && image.architecture &&
		!str_eq(image.architecture, req->arch)) {
		error_set(err, ERROR_MANIFEST, "the built image is for %s, the servers are %s",
			image.architecture, req->arch);
		return error_hint(err, "build on a server: builder 'remote: ssh://...'");
	}
	return 0;
}

int image_build(
	const struct image_build_request *req, struct image_build_result *result, struct error *err)
{
	CLEANUP_AUTHS struct auth_vec auths = {0};
	enum image_builder use;
	int64_t since = clock_mono_ms();
	char took[CLOCK_RFC3339_SIZE];

	memset(result, 0, sizeof(*result));
	if (!req->force && req->builder->context_kind == CONFIG_CONTEXT_GIT &&
		image_find_built(req, false, result, err) != 0) {
		return error_wrap(err, "build");
	}
	if (result->reused) {
		ui_debug(req->ui, req->builder_host, "build: '%s' is there already",
			result->tags.p[0]);
		return 0;
	}
	if (check_secrets(req, err) != 0 || choose_builder(req, &use, err) != 0 ||
		expand_tags(req, &result->tags, err) != 0) {
		goto fail;
	}
	collect_auths(req, &auths);
	result->used = use;
	ui_debug(req->ui, req->builder_host, "build: with %s",
		use == IMAGE_BUILDER_BUILDKIT ? "BuildKit" : "the classic builder");
	if (build_patiently(req, use, &auths, result, err) != 0 ||
		inspect_result(req, result, err) != 0) {
		goto fail;
	}
	result->ms = clock_mono_ms() - since;
	ui_debug(req->ui, req->builder_host, "build: '%s' in %s", result->tags.p[0],
		clock_duration(result->ms, took));
	return 0;
fail:
	image_build_result_fini(result);
	return str_starts(err->text, "build") ? -1 : error_wrap(err, "build");
}
