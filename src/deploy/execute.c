/* SPDX-License-Identifier: MIT */
/*
 * Executing a plan.  Up to the record everything can be taken back, and is, when anything fails or
 * somebody presses Ctrl-C; from the record on the new release is live and what is left is
 * clean-up, which the next command does when this one cannot.
 */
#include "accessory.h"
#include "backup_schedule.h"
#include "deploy/container.h"
#include "deploy/hooks.h"
#include "deploy/record.h"
#include "run.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/thread.h"

#include <stdlib.h>
#include <string.h>

void run_init(struct run *r, struct deployment *d, const struct plan *plan,
	const struct plan_hosts *hosts)
{
	memset(r, 0, sizeof(*r));
	r->d = d;
	r->plan = plan;
	r->hosts = hosts;
	r->targets = xcalloc(d->n, sizeof(*r->targets));
	r->end = d->n;
	r->release.requests = r->release.failed_requests = -1;
}

void run_fini(struct run *r)
{
	for (size_t i = 0; i < r->d->n; i++) {
		strvec_fini(&r->targets[i].created);
		strvec_fini(&r->targets[i].workers);
		strvec_fini(&r->targets[i].revived);
		strvec_fini(&r->targets[i].revived_workers);
		strvec_fini(&r->targets[i].halted);
		proxy_service_fini(&r->targets[i].service);
		strmap_fini(&r->targets[i].snapshots);
		proxy_counts_fini(&r->targets[i].counts);
		free(r->targets[i].message);
		free(r->targets[i].stays);
		free(r->targets[i].pulled_arch);
		free(r->targets[i].pulled);
	}
	free(r->targets);
	strmap_fini(&r->pages);
	strmap_fini(&r->snippets);
	release_fini(&r->release);
	image_source_free(r->image);
}

void run_note_roles(struct run *r)
{
	const struct deployment *d = r->d;
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		if (d->roles.len > 0 && deployment_has_role(d, role)) {
			strvec_push(&r->release.roles, role->name);
		}
	}
}

struct run_target *run_target_of(struct run *r, const struct target *t)
{
	return &r->targets[t - r->d->targets];
}

bool run_is_due(const struct run *r, const struct target *t, const struct plan_step *s)
{
	return s->host != PLAN_NO_HOST && &r->d->targets[s->host] == t &&
	       (r->batch == 0 || s->batch == 0 || s->batch == r->batch);
}

bool run_in_hand(const struct run *r, const struct target *t)
{
	size_t index = (size_t)(t - r->d->targets);
	return index >= r->first && index < r->end && !r->targets[index].stays;
}

struct in_hand {
	struct run *r;
	target_fn *fn;
};

static int if_in_hand(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct in_hand *x = ctx;
	return run_in_hand(x->r, t) ? x->fn(d, t, x->r, err) : 0;
}

int run_each(struct run *r, target_fn *fn, struct error *err)
{
	struct in_hand x = {.r = r, .fn = fn};
	return deployment_each(r->d, if_in_hand, &x, err);
}

void run_abandon(struct run *r, const struct target *t)
{
	for (size_t i = 0; i < r->d->n; i++) {
		if (!r->each_alone || &r->d->targets[i] == t) {
			atomic_store(&r->targets[i].abandon, true);
		}
	}
}

bool run_abandoned(struct run *r, const struct target *t)
{
	return atomic_load(&run_target_of(r, t)->abandon);
}

bool run_has_phase(const struct run *r, enum plan_phase phase)
{
	VEC_FOREACH (&r->plan->steps, i) {
		if (r->plan->steps.p[i].phase == phase) {
			return true;
		}
	}
	return false;
}

int run_may_go_on(struct run *r, struct error *err)
{
	return cancel_check(err) < 0 || (r->d->lock && lock_check(r->d->lock, err) < 0) ? -1 : 0;
}

int run_steps(
	struct run *r, struct target *t, enum plan_phase phase, step_fn *fn, struct error *err)
{
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (s->phase != phase || !run_is_due(r, t, s)) {
			continue;
		}
		if (run_may_go_on(r, err) < 0 || fn(r, t, s, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* -- Transfer, with the beginning of the release put on record beside it -- */

/* The registry's own words do not say where the login comes from. */
int run_registry_refused(const struct run *r, struct error *err)
{
	const struct config_registry *c = &r->d->config->registry;
	if (err->hint[0] || (!strstr(err->text, "unauthorized") && !strstr(err->text, "denied"))) {
		return -1;
	}
	if (!c->password_secret) {
		return error_hint(err, "give registry.username and registry.password");
	}
	return error_hint(err,
		"is the secret '%s' the password of '%s' at '%s', and is it allowed there?",
		c->password_secret,
		c->username          ? c->username
		: c->username_secret ? c->username_secret
				     : "",
		c->server ? c->server : "Docker Hub");
}

/* Not the ID: that depends on how a daemon stores images. */
static void note_pulled(struct run_target *rt, const struct docker_image *image)
{
	CLEANUP_STR struct str what = STR_INIT(STR_MAX_REPLY);
	str_add(&what, image->created ? image->created : "");
	VEC_FOREACH (&image->layers, i) {
		str_addf(&what, " %s", image->layers.p[i]);
	}
	rt->pulled_arch = xstrdup(image->architecture);
	rt->pulled = str_take(&what);
}

/* The registry has it and this machine does not (push --skip-build in CI): the server pulls it. */
static int pull_by_tag(struct run *r, struct target *t, const char *image, struct error *err)
{
	struct docker_auth auth = {.server = r->auth->server,
		.username = r->auth->username,
		.password = r->auth->password};
	struct docker_image seen = {0};
	if (docker_image_pull(t->host->docker, image, NULL,
		    registry_auth_is_set(r->auth) ? &auth : NULL, NULL, NULL, err) < 0 ||
		docker_image_inspect(t->host->docker, image, &seen, err) < 0) {
		return run_registry_refused(r, err);
	}
	struct run_target *rt = run_target_of(r, t);
	snprintf(rt->image_id, IMAGE_ID_SIZE, "%s", seen.id);
	note_pulled(rt, &seen);
	docker_image_fini(&seen);
	return 0;
}

/* A tag may move between two pulls, and a registry may lie: one release is one image. */
static int check_pulled(const struct run *r, struct error *err)
{
	for (size_t i = 0; i < r->d->n; i++) {
		const struct run_target *a = &r->targets[i];
		for (size_t j = i + 1; a->pulled && j < r->d->n; j++) {
			const struct run_target *b = &r->targets[j];
			if (!b->pulled || !str_eq(a->pulled_arch, b->pulled_arch) ||
				str_eq(a->pulled, b->pulled)) {
				continue;
			}
			error_set(err, ERROR_REMOTE,
				"the registry gave '%s' and '%s' different images of version '%s'",
				r->d->targets[i].address->name, r->d->targets[j].address->name,
				r->release.version);
			return error_hint(err, "is its tag being moved? push again");
		}
	}
	return 0;
}

static int transfer(struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	if (!r->image) {
		return pull_by_tag(r, t, s->name, err);
	}
	struct image_known known = {.images = &t->seen.images, .info = &t->host->info};
	struct image_transfer_result result = {0};
	struct image_transfer_request req = {.host = t->host,
		.strategy = r->strategy,
		.known = &known,
		.auth = registry_auth_is_set(r->auth) ? r->auth : NULL};
	ui_step(r->d->ui, t->host->name, "bringing the image");
	if (image_transfer(r->image, &req, &result, err) < 0) {
		return error_wrap(err, "bring image '%s'", s->name);
	}
	memcpy(rt->image_id, result.image_id, sizeof(rt->image_id));
	rt->bytes_sent = result.bytes_sent;
	rt->strategy = result.used;
	char size[16];
	ui_done(r->d->ui, t->host->name, "image there (%s, %s sent, %zu of %zu layers)",
		image_strategy_name(result.used), ui_bytes(result.bytes_sent, size),
		result.layers_sent, result.layers_total);
	return 0;
}

#define LANES_MAX 3

/* Things on one server, side by side: files on one channel, Docker on others. */
struct lanes {
	struct run *r;
	struct target *t;
	struct error errors[LANES_MAX];
	int results[LANES_MAX];
};

static int run_lanes(struct run *r, struct target *t, size_t n, void (*fn)(void *ctx, size_t i),
	struct error *err)
{
	struct lanes l = {.r = r, .t = t};
	pool_run(n, n, fn, &l);
	for (size_t i = 0; i < n; i++) {
		if (l.results[i] < 0) {
			*err = l.errors[i];
			return -1;
		}
	}
	return 0;
}

static void record_or_transfer(void *ctx, size_t lane)
{
	struct lanes *l = ctx;
	struct error *err = &l->errors[lane];
	l->results[lane] = lane == 0   ? record_target(l->r->d, l->t, err)
			   : lane == 1 ? run_steps(l->r, l->t, PLAN_TRANSFER, transfer, err)
				       : candidates_check_names(l->r, l->t, err);
}

static int transfer_target(struct deployment *d, struct target *t, void *run, struct error *err)
{
	(void)d;
	return run_lanes(run, t, LANES_MAX, record_or_transfer, err);
}

/* -- Boot -- */

static int boot(struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	if (s->kind == STEP_NETWORK) {
		return container_network(r->d, t, s->network, err);
	}
	if (s->kind == STEP_ACCESSORY) {
		return accessory_boot(r->d, t, s->accessory, err);
	}
	if (s->kind == STEP_BACKUPS) {
		return backup_schedule(r->d, t, s->name, s->accessory, err);
	}
	struct proxy_config pc;
	struct proxy_boot_result result = {0};
	proxy_config_init(&pc, r->d->config);
	ui_step(r->d->ui, t->host->name, "booting the %s proxy", s->name);
	if (proxy_boot(t->host, &pc, &result, err) < 0) {
		return error_wrap(err, "boot the %s proxy", s->name);
	}
	proxy_booted(t->seen.proxy, &result);
	if (result.drift) {
		ui_warn(r->d->ui, t->host->name,
			"the proxy differs from the manifest: %s "
			"(deploy proxy reboot mends it)",
			result.drift);
	}
	free(result.drift);
	ui_done(r->d->ui, t->host->name, "the %s proxy runs", s->name);
	return 0;
}

static int boot_target(struct deployment *d, struct target *t, void *run, struct error *err)
{
	(void)d;
	return run_steps(run, t, PLAN_BOOT, boot, err);
}

/* -- Prune -- */

#define PRUNE_AT_ONCE 16 /* in one flight; between two the lock is looked at */

static int discard(struct run *r, const struct target *t, struct strvec *containers,
	struct strvec *images, struct error *err)
{
	if (run_may_go_on(r, err) < 0 ||
		docker_discard(t->host->docker, containers, images, err) < 0) {
		return -1;
	}
	strvec_fini(containers);
	strvec_fini(images);
	return 0;
}

/* Images by tag, and never by force: Docker refuses what a container still needs. */
int run_prune(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run *r = run;
	CLEANUP_STRVEC struct strvec containers = {0}, images = {0};
	if (t->seen.proxy && t->selected && proxy_prune(t->seen.proxy, err) < 0) {
		return error_wrap(err, "remove certificates that are no longer used");
	}
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (s->phase != PLAN_PRUNE || !run_is_due(r, t, s)) {
			continue;
		}
		bool container = s->kind == STEP_REMOVE;
		const char *name = container || !s->note ? s->name : s->note;
		strvec_push(container ? &containers : &images, name);
		ui_debug(d->ui, t->host->name, "removing %s", name);
		if (containers.len + images.len == PRUNE_AT_ONCE &&
			discard(r, t, &containers, &images, err) < 0) {
			return -1;
		}
	}
	return containers.len + images.len > 0 ? discard(r, t, &containers, &images, err) : 0;
}

/* -- Candidates, in groups when the manifest says so (boot.limit) -- */

struct group {
	struct run *r;
	enum plan_phase phase;
	size_t first, end;
};

static int start_group(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct group *g = ctx;
	size_t index = (size_t)(t - d->targets);
	if (index < g->first || index >= g->end || !run_in_hand(g->r, t)) {
		return 0;
	}
	return candidates_start(g->r, t, g->phase, err);
}

static int start_all(struct run *r, enum plan_phase phase, struct error *err)
{
	const struct config_boot *b = &r->d->config->boot;
	size_t limit = b->limit > 0 ? (size_t)b->limit : r->d->n;
	for (size_t first = r->first; first < r->end; first += limit) {
		struct group g = {.r = r, .phase = phase, .first = first, .end = first + limit};
		if (first > r->first) {
			clock_sleep_ms(b->wait_ms);
		}
		if (cancel_check(err) < 0 || deployment_each(r->d, start_group, &g, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/* -- The phases -- */

static int run_boot(struct run *r, struct error *err)
{
	return deployment_each(r->d, boot_target, r, err);
}

static void sum_counts(struct run *r)
{
	struct release *release = &r->release;
	for (size_t i = 0; i < r->d->n; i++) {
		const struct run_target *rt = &r->targets[i];
		if (rt->counting) {
			release->requests = release->requests < 0 ? 0 : release->requests;
			release->failed_requests =
				release->failed_requests < 0 ? 0 : release->failed_requests;
			release->requests += (int64_t)(rt->counts.served + rt->counts.failed);
			release->failed_requests += (int64_t)rt->counts.failed;
		}
	}
}

static const char *last_image_id(const struct run *r)
{
	for (size_t i = 0; i < r->d->n; i++) {
		if (r->targets[i].image_id[0]) {
			return r->targets[i].image_id;
		}
	}
	return NULL;
}

/* What is put on record of a host; `why`: the release failed, and goes back everywhere. */
static void note_host(struct run *r, const struct target *t, const struct error *why)
{
	const char *stays = run_target_of(r, t)->stays;
	const char *host = t->address->name;
	bool own = t->error.kind != ERROR_NONE && t->error.kind != ERROR_INTERRUPTED;
	if (!why && stays) {
		strmap_del(&r->release.hosts, host);
		strmap_set(&r->release.stayed, host, stays);
		return;
	}
	strmap_set(&r->release.hosts, host,
		!why    ? "ok"
		: stays ? stays
		: own   ? t->error.text
			: "undone");
}

static void end_release(struct run *r, enum release_outcome outcome, const struct error *why)
{
	struct release *release = &r->release;
	release->outcome = outcome;
	release->finished_ms = clock_wall_ms();
	release->bytes_sent = 0;
	for (size_t i = 0; i < r->d->n; i++) {
		release->bytes_sent += (int64_t)r->targets[i].bytes_sent;
	}
	if (!release->image_id && last_image_id(r)) {
		release->image_id = xstrdup(last_image_id(r));
	}
	if (why) {
		release->error = xstrdup(why->text); /* it names the host */
	}
	for (size_t i = 0; i < r->d->n; i++) {
		const struct target *t = &r->d->targets[i];
		if (t->selected) {
			note_host(r, t, why);
		}
	}
}

/* -- What is told of it: one phase at a time -- */

void run_phase_begin(struct run *r, const char *name)
{
	r->phase = name;
	r->phase_begun_ms = clock_mono_ms();
	ui_phase_begin(r->d->ui, name);
}

void run_phase_end(struct run *r)
{
	ui_phase_end(r->d->ui, r->phase, clock_mono_ms() - r->phase_begun_ms);
	r->phase = NULL;
}

int run_phase(struct run *r, const char *name, run_fn *fn, struct error *err)
{
	run_phase_begin(r, name);
	if (fn(r, err) < 0) {
		return -1;
	}
	run_phase_end(r);
	return 0;
}

void run_phase_fail(struct run *r)
{
	if (r->phase) {
		ui_phase_fail(r->d->ui, r->phase, clock_mono_ms() - r->phase_begun_ms);
		r->phase = NULL;
	}
}

/* As any of its roles. */
static bool serves_on(
	const struct deployment *d, const struct release *release, const struct target *t)
{
	VEC_FOREACH (&d->config->roles, i) {
		const struct config_role *role = &d->config->roles.p[i];
		if (t->selected && target_has_role(t, role) &&
			history_latest(&d->history, t->address->name, role->name) == release) {
			return true;
		}
	}
	return false;
}

/*
 * The first question after a failure: what do users get now?  Not of hosts that could not be taken
 * back, as a warning has told.
 */
static void tell_what_serves(const struct run *r)
{
	const struct deployment *d = r->d;
	for (size_t i = d->history.len; i-- > 0;) {
		const struct release *live = &d->history.p[i];
		CLEANUP_STR struct str where = STR_INIT(STR_MAX_LINE);
		bool everywhere = true;
		for (size_t j = 0; j < d->n; j++) {
			const struct target *t = &d->targets[j];
			bool here = !r->targets[j].switched && serves_on(d, live, t);
			if (here) {
				str_addf(&where, "%s%s", where.len ? ", " : "", t->address->name);
			}
			everywhere = everywhere && (here || !t->selected);
		}
		if (where.len > 0) {
			ui_info(d->ui, NULL, "version %s (release %ld) keeps serving%s%s",
				live->version, live->number, everywhere ? "" : " on ",
				everywhere ? "" : str_c(&where));
		}
	}
}

/* What is not taken back. */
static void tell_schema(const struct run *r)
{
	const struct release *release = &r->release;
	if (release->undoes && release->ran && release->ran_status <= 0) {
		ui_warn(r->d->ui, NULL,
			"the rollback command of release %ld %s: the schema is that before it; "
			"push --force runs the release command again",
			release->undoes, release->ran_status < 0 ? "was interrupted" : "has run");
	}
}

/* Takes everything back; whatever cannot be is told, and mended by the next command. */
static void undo(struct run *r, const struct error *why)
{
	struct deployment *d = r->d;
	struct error ignored = {0};
	struct error lost = {0};
	cancel_shield_begin();
	run_phase_fail(r);
	ui_info(d->ui, NULL, "taking it back");
	end_release(r, why->kind == ERROR_INTERRUPTED ? RELEASE_INTERRUPTED : RELEASE_FAILED, why);
	if (d->lock && lock_check(d->lock, &lost) < 0 && lock_is_lost(d->lock)) {
		/* Who has it now has mended what was here, and may use what it was. */
		ui_warn(d->ui, NULL, "nothing is taken back: %s", lost.text);
	} else {
		deployment_each_best_effort(d, "switch back", traffic_back, r);
		deployment_each_best_effort(d, "remove candidates", candidates_undo, r);
	}
	if (record_release(d, &r->release, NULL, &ignored) < 0) {
		ui_warn(d->ui, NULL, "not everywhere on record: %s", ignored.text);
	}
	tell_what_serves(r);
	tell_schema(r);
	cancel_shield_end();
}

int run_boot_missing(struct run *r, struct error *err)
{
	if (run_phase(r, "boot", run_boot, err) < 0) {
		run_phase_fail(r);
		return -1;
	}
	return 0;
}

static int release_command(struct run *r, struct error *err)
{
	if (snapshots_take(r, err) < 0) {
		return -1;
	}
	return r->d->config->release.command ? command_run(r, err) : 0;
}

static int prepare(struct run *r, struct error *err)
{
	struct deployment *d = r->d;
	if (run_has_phase(r, PLAN_TRANSFER)) {
		run_phase_begin(r, "transfer");
	}
	/* On record before a container or the proxy is touched: the next command knows what to
	 * mend. An image alone changes nothing, so it travels beside the record. */
	history_put(&d->history, &r->release);
	if (deployment_each(d, transfer_target, r, err) < 0 || check_pulled(r, err) < 0) {
		return -1;
	}
	if (run_has_phase(r, PLAN_TRANSFER)) {
		run_phase_end(r);
	}
	if (run_has_phase(r, PLAN_BOOT) && run_phase(r, "boot", run_boot, err) < 0) {
		return -1;
	}
	if (run_has_phase(r, PLAN_RELEASE) && run_phase(r, "release", release_command, err) < 0) {
		return -1;
	}
	return hooks_run(d, "pre-app-boot", &r->release, NULL, err);
}

static int start_first(struct run *r, struct error *err)
{
	return start_all(r, PLAN_START, err);
}

int run_start(struct run *r, struct error *err)
{
	return run_phase(r, "health", start_first, err);
}

static int start_workers(struct run *r, struct error *err)
{
	return start_all(r, PLAN_WORKERS, err);
}

int run_start_workers(struct run *r, struct error *err)
{
	return run_has_phase(r, PLAN_WORKERS) ? run_phase(r, "workers", start_workers, err) : 0;
}

static int switch_traffic(struct run *r, struct error *err)
{
	return cancel_check(err) < 0 ? -1 : traffic_switch(r, err);
}

int run_switch(struct run *r, struct error *err)
{
	return run_phase(r, "switch", switch_traffic, err);
}

static int replace_workers(struct run *r, struct error *err)
{
	return run_each(r, workers_replace, err);
}

int run_replace(struct run *r, struct error *err)
{
	return run_has_phase(r, PLAN_REPLACE) ? run_phase(r, "replace", replace_workers, err) : 0;
}

static int move_all(struct run *r, struct error *err)
{
	if (run_start(r, err) < 0 || run_start_workers(r, err) < 0 ||
		hooks_run(r->d, "post-app-boot", &r->release, NULL, err) < 0) {
		return -1;
	}
	/* As late as can be: the release that is left serves on an older schema until the switch,
	 * and for good if what came back had not become healthy. */
	if (run_has_phase(r, PLAN_SCHEMA) && run_phase(r, "schema", command_undo, err) < 0) {
		return -1;
	}
	return run_switch(r, err) < 0 ? -1 : run_replace(r, err);
}

struct live_record {
	struct run *r;
	const char *what;
	struct error *failed;
	int result;
};

/* On record; beside it each proxy is asked whether the old containers are done. */
static void record_or_look(void *ctx, size_t i)
{
	struct live_record *l = ctx;
	struct deployment *d = l->r->d;
	if (i == 0) {
		l->result = record_release(d, &l->r->release, l->what, l->failed);
	} else if (d->targets[i - 1].host) {
		traffic_look(l->r, &d->targets[i - 1]);
	}
}

/* The point of no return.  A server that cannot write it down learns it from the others later. */
static int record_live(struct run *r, struct error *err)
{
	struct error failed = {0};
	size_t wrote = 0;
	end_release(r, RELEASE_LIVE, NULL);
	cancel_shield_begin();
	CLEANUP_FREE char *what = run_outcome(r);
	struct live_record both = {.r = r, .what = what, .failed = &failed};
	pool_run(1 + r->d->n, 1 + r->d->n, record_or_look, &both);
	int result = both.result;
	for (size_t i = 0; i < r->d->n; i++) {
		wrote += r->d->targets[i].error.kind == ERROR_NONE;
	}
	cancel_shield_end();
	if (result < 0 && wrote == 0) {
		*err = failed;
		return -1;
	}
	if (result < 0) {
		r->late = failed;
		(void)error_wrap(&r->late, "release %ld is live, but not everywhere on record",
			r->release.number);
	}
	return 0;
}

char *run_outcome(const struct run *r)
{
	const struct release *release = &r->release;
	CLEANUP_FREE char *ran = release_ran_text(release);
	CLEANUP_FREE char *part = NULL;
	if (release->stayed.len > 0) {
		part = xasprintf(" on %zu of %zu hosts", release->hosts.len,
			release->hosts.len + release->stayed.len);
	}
	return xasprintf("release %ld (%s): %s%s%s%s", release->number, release->version,
		release_outcome_name(release->outcome), part ? part : "", ran ? "; " : "",
		ran ? ran : "");
}

static int retire_target(struct deployment *d, struct target *t, void *run, struct error *err)
{
	return traffic_retire(d, t, run, err) < 0 ? -1 : run_prune(d, t, run, err);
}

int run_execute(struct run *r, struct error *err)
{
	struct deployment *d = r->d;
	bool rolling = r->plan->batches > 0;
	error_pages_read(r);
	if (snippets_read(r, err) < 0 || prepare(r, err) < 0 ||
		(rolling ? rolling_move(r, err) : move_all(r, err)) < 0 ||
		record_live(r, err) < 0) {
		undo(r, err);
		return -1;
	}
	struct error late = {0};
	run_phase_begin(r, "retire");
	if (run_each(r, retire_target, &late) < 0) {
		r->late = late;
		(void)error_wrap(&r->late, "release %ld is live, but the old one is not retired",
			r->release.number);
		(void)error_hint(&r->late, "the next command finishes it");
	}
	run_phase_end(r);
	sum_counts(r);
	if (r->release.requests > 0 && record_release(d, &r->release, NULL, &late) < 0) {
		ui_warn(d->ui, NULL, "the count of requests is not everywhere on record: %s",
			late.text);
	}
	if (r->not_whole.kind != ERROR_NONE) {
		if (r->late.kind != ERROR_NONE) {
			ui_warn(d->ui, NULL, "%s", r->late.text);
		}
		r->late = r->not_whole;
	}
	return 0;
}
