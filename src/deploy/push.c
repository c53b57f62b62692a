/* SPDX-License-Identifier: MIT */
#include "builder.h"
#include "certificates.h"
#include "cron.h"
#include "deploy/hooks.h"
#include "deploy/operations.h"
#include "deploy/record.h"
#include "deploy/setup.h"
#include "run.h"
#include "state.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/thread.h"

#include <stdlib.h>
#include <string.h>

/* The two things that a push begins with, side by side. */
struct beginning {
	struct deployment *d;
	struct builder *builder;
	const struct push_options *options;
	struct error errors[2];
	int results[2];
};

static void tell_image(const struct beginning *b)
{
	const struct image_build_result *image = &b->builder->result;
	if (image->tags.len > 0) {
		ui_done(b->d->ui, NULL, "%s%s", image->tags.p[0],
			image->reused ? ", built before" : "");
	}
}

static void begin_half(void *ctx, size_t i)
{
	struct beginning *b = ctx;
	if (i == 0) {
		b->results[0] = deployment_begin(b->d, &b->errors[0]);
		if (b->results[0] < 0) {
			builder_abort(b->builder);
		}
		return;
	}
	int64_t begun = clock_mono_ms();
	ui_phase_begin(b->d->ui, "build");
	b->results[1] = builder_build(b->builder, b->options->skip_build, &b->errors[1]);
	atomic_store(&b->d->lock_abandon, b->results[1] < 0);
	if (b->results[1] >= 0) {
		tell_image(b);
		ui_phase_end(b->d->ui, "build", clock_mono_ms() - begun);
	}
}

/* Connects, locks and mends while the image is built. */
static int begin(struct deployment *d, struct builder *builder, const struct push_options *options,
	struct error *err)
{
	struct beginning b = {.d = d, .builder = builder, .options = options};
	pool_run(2, 2, begin_half, &b);
	if (b.results[0] < 0 && (b.results[1] >= 0 || b.errors[0].kind != ERROR_INTERRUPTED)) {
		*err = b.errors[0];
		return -1;
	}
	if (b.results[1] < 0) {
		*err = b.errors[1]; /* it also ends the waiting for the lock */
		return error_wrap(err, "build");
	}
	return 0;
}

static void describe_release(struct run *r, const struct version *v, const char *command)
{
	struct deployment *d = r->d;
	struct release *release = &r->release;
	const struct release *live = deployment_live(d);
	release->number = release->runs = r->plan->number;
	release->id = xcalloc(1, RELEASE_ID_HEX + 1);
	digest_random_hex(RELEASE_ID_HEX / 2, release->id);
	release->command = xstrdup(command);
	release->version = xstrdup(v->version);
	release->commit = xstrdup(v->commit);
	release->subject = xstrdup(v->subject);
	release->performer = xstrdup(d->performer);
	release->operator_host = xstrdup(d->operator_host);
	release->lock_host = xstrdup(d->targets[d->lock_target].address->name);
	release->image = names_image(d->config, v->version);
	release->started_ms = clock_wall_ms();
	release->replaced = live ? live->number : 0;
	release->config = config_to_json(d->config);
	VEC_FOREACH (r->hosts, i) {
		const struct plan_host *h = &r->hosts->p[i];
		if (h->selected) {
			strmap_set(&release->hosts, h->name, "pending");
		}
	}
	run_note_roles(r);
}

static int prepare_image(struct run *r, struct builder *b, struct error *err)
{
	if (b->result.id[0] == '\0') {
		return 0; /* --skip-build, and the registry has it */
	}
	struct image_source_request req = {
		.docker = b->host->docker,
		.builder_host = b->host->ssh ? b->host->name : NULL,
		.ui = r->d->ui,
		.image = b->result.id,
		.tags = &b->result.tags,
	};
	r->image = image_source_open(&req, err);
	if (!r->image) {
		return -1;
	}
	if (r->d->config->registry.enabled) {
		ui_step(r->d->ui, NULL, "pushing to the registry");
		if (image_source_publish(r->image, &b->auth, err) < 0) {
			return run_registry_refused(r, err);
		}
	}
	return 0;
}

/* For tests, which want to see each way: DEPLOY_TRANSFER=partial|reverse|full. */
static int forced_strategy(struct run *r, struct error *err)
{
	const char *name = getenv("DEPLOY_TRANSFER");
	r->strategy = IMAGE_TRANSFER_AUTO;
	if (name && *name && image_strategy_parse(name, &r->strategy) < 0) {
		return error_set(
			err, ERROR_USAGE, "DEPLOY_TRANSFER: no way of transfer '%s'", name);
	}
	return 0;
}

/* "app1", "3 hosts" */
static char *where(const struct release *release)
{
	return release->hosts.len == 1 ? xstrdup(release->hosts.p[0].key)
				       : xasprintf("%zu hosts", release->hosts.len);
}

static void summary(struct run *r)
{
	struct deployment *d = r->d;
	const struct release *release = &r->release;
	char took[CLOCK_RFC3339_SIZE], size[16];
	int64_t ms = clock_mono_ms() - d->begun_ms;
	CLEANUP_FREE char *hosts = where(release);
	clock_duration(ms, took);
	/* A first release has no switch that could fail anybody. */
	if (release->requests > 0) {
		ui_print(d->ui, "%lld of %lld requests failed during the switch",
			(long long)release->failed_requests, (long long)release->requests);
	}
	ui_print(d->ui, "%s: version %s is live%s on %s (release %ld) after %s%s%s",
		d->config->service, release->version,
		release->runs == release->number ? "" : " again", hosts, release->number, took,
		release->bytes_sent > 0 ? ", sent " : "",
		release->bytes_sent > 0 ? ui_bytes((uint64_t)release->bytes_sent, size) : "");
	json_t *j = release_to_json(release);
	json_object_del(j, "config");
	json_object_set_new(j, "result", json_string("release"));
	json_object_set_new(j, "took_ms", json_integer(ms));
	ui_json(d->ui, j);
}

int run_finish(struct run *r, int result, struct error *err)
{
	struct deployment *d = r->d;
	struct error hook = {0};
	cancel_shield_begin();
	if (result < 0 && r->release.outcome != RELEASE_PENDING) {
		CLEANUP_FREE char *what = run_outcome(r);
		record_audit(d, what);
	}
	deployment_end(d);
	cancel_shield_end();
	if (result == 0) {
		summary(r);
		const struct error *why = r->not_whole.kind != ERROR_NONE ? &r->not_whole : NULL;
		const char *name = why                                    ? "deploy-failed"
				   : r->release.runs == r->release.number ? "post-deploy"
									  : "post-rollback";
		if (hooks_run(d, name, &r->release, why, &hook) < 0) {
			ui_warn(d->ui, NULL, "%s (the release is live)", hook.text);
		}
		notify_release(d, &r->release, why);
		if (r->late.kind == ERROR_NONE) {
			return 0;
		}
		*err = r->late;
		err->kind = err->kind == ERROR_INTERRUPTED ? err->kind : ERROR_PARTIAL;
		return -1;
	}
	/* To be told of it matters most then; but in a few seconds. */
	bool interrupted = cancel_requested();
	if (interrupted) {
		cancel_shield_begin();
	}
	if (hooks_run(d, "deploy-failed", &r->release, err, &hook) < 0) {
		ui_warn(d->ui, NULL, "%s", hook.text);
	}
	notify_release(d, &r->release, err);
	if (interrupted) {
		cancel_shield_end();
	}
	return -1;
}

static void tell_secrets(struct deployment *d)
{
	CLEANUP_STRVEC struct strvec changes = {0};
	secrets_changes(d, &changes);
	VEC_FOREACH (&changes, i) {
		ui_info(d->ui, NULL, "%s", changes.p[i]);
	}
}

static int execute_push(struct deployment *d, struct builder *b, const struct plan *plan,
	const struct plan_hosts *hosts, struct error *err)
{
	struct run run;
	run_init(&run, d, plan, hosts);
	describe_release(&run, b->version, "push");
	tell_secrets(d);
	secrets_digests(d, &run.release.env_digests);
	run.auth = &b->auth;
	int result = forced_strategy(&run, err);
	if (result == 0) {
		result = hooks_run(d, "pre-deploy", &run.release, NULL, err);
	}
	if (result == 0) {
		result = prepare_image(&run, b, err);
	}
	if (result == 0) {
		result = run_execute(&run, err);
	}
	result = run_finish(&run, result, err);
	run_fini(&run);
	return result;
}

static int refuse_engines(const struct deployment *d, struct error *err)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct target *t = &d->targets[i];
		if (t->selected && target_check_engine(d, t, err) < 0) {
			return error_host(err, t->host->name);
		}
	}
	return 0;
}

/* This very version is live; at most accessories are missing, or the proxy's settings changed. */
static int boot_and_tell(struct deployment *d, const struct plan *plan,
	const struct plan_hosts *hosts, struct error *err)
{
	struct run run;
	int result = 0;
	run_init(&run, d, plan, hosts);
	if (plan->steps.len > 0) {
		result = run_boot_missing(&run, err);
	}
	if (result == 0) {
		result = mend_steps(&run, err);
	}
	run_fini(&run);
	deployment_end(d);
	if (result == 0) {
		ui_print(d->ui,
			"%s: version %s is live already on every host; nothing to deploy "
			"(--force deploys it anew)",
			d->config->service, plan->version);
		ui_json(d->ui, json_pack("{s:s, s:s, s:b}", "result", "nothing", "version",
				       plan->version, "nothing", 1));
	}
	return result;
}

static int plan_and_execute(struct deployment *d, struct builder *b,
	const struct push_options *options, struct error *err)
{
	struct plan_hosts hosts = {0};
	struct plan plan;
	plan_init(&plan);
	deployment_tell_left(d);
	state_hosts(d, &hosts);
	struct plan_request req = {
		.config = d->config,
		.history = &d->history,
		.hosts = &hosts,
		.roles = &d->roles,
		.version = b->version->version,
		.force = options->force,
	};
	int result = refuse_engines(d, err);
	if (result == 0) {
		result = plan_release(&req, &plan, err);
	}
	VEC_FOREACH (&plan.notes, i) {
		ui_warn(d->ui, NULL, "%s", plan.notes.p[i]);
	}
	if (result == 0 && cron_check(d, &plan, err) < 0) {
		result = -1;
	} else if (result == 0 && plan.nothing) {
		result = boot_and_tell(d, &plan, &hosts, err);
	} else if (result == 0) {
		result = execute_push(d, b, &plan, &hosts, err);
	}
	plan_fini(&plan);
	plan_hosts_fini(&hosts);
	return result;
}

int operation_push(struct deployment *d, const struct push_options *options, struct error *err)
{
	struct version version = {0};
	struct builder builder = {0};
	if (options->dry_run) {
		return operation_plan(d, err);
	}
	d->skip_hooks = options->skip_hooks;
	deployment_add_accessories(d);
	int result = version_resolve(d, &version, err);
	if (result == 0) {
		free(d->version);
		d->version = xstrdup(version.version);
		result = deployment_load_secrets(d, SECRETS_ALL, err);
	}
	if (result == 0) {
		result = certificates_check(d, err);
	}
	if (result == 0) {
		result = hooks_run(d, "pre-connect", NULL, NULL, err);
	}
	if (result == 0 && options->setup) {
		result = setup_docker(d, options->install_docker, err);
	}
	if (result == 0) {
		result = hooks_run(d, "pre-build", NULL, NULL, err);
	}
	if (result == 0) {
		result = builder_open(&builder, d, &version, err);
	}
	if (result == 0) {
		result = begin(d, &builder, options, err);
	}
	if (result == 0) {
		result = plan_and_execute(d, &builder, options, err);
	}
	deployment_end(d);
	builder_fini(&builder);
	version_fini(&version);
	return result;
}
