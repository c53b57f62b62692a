/* SPDX-License-Identifier: MIT */
/* New containers beside the old ones, without traffic, until they are healthy. */
#include "deploy/container.h"
#include "deploy/health.h"
#include "docker/system.h"
#include "run.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/thread.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

/* Beyond readiness_delay, where that is all that is waited for. */
#define READY_MARGIN_MS 15000

/* Of the 2 s that Ctrl-C has to end in. */
#define HURRY_MS 1000

static int create(struct run *r, struct target *t, const struct plan_step *s,
	struct docker_container *seen, struct error *err)
{
	const struct release *release = &r->release;
	struct run_target *rt = run_target_of(r, t);
	struct container_request req = {
		.role = s->role,
		.name = s->name,
		.image = rt->image_id,
		.version = release->version,
		.commit = release->commit,
		.subject = release->subject,
		.release_id = release->id,
		.release = release->number,
		.replica = s->replica,
		.kind = "app",
		.cron = s->role->crons.len > 0 ? &s->role->crons.p[s->replica - 1] : NULL,
		.serves = true,
	};
	CLEANUP_DOCKER_SPEC struct docker_container_spec spec = {0};
	if (container_spec(r->d, t, &req, &spec, err) < 0) {
		return -1;
	}
	/* Only what Docker says it made is ours: the name may be another service's container. */
	CLEANUP_FREE char *id = NULL;
	int result = s->kind == STEP_PREPARE ? container_create(r->d, t, &spec, &id, err)
					     : container_run(r->d, t, &spec, &id, seen, err);
	if (id) {
		strvec_push(s->role->proxied ? &rt->created : &rt->workers, id);
	}
	return result;
}

/* Docker answers "409 Conflict" to the creation, but its start has gone out with it by then. */
int candidates_check_names(struct run *r, struct target *t, struct error *err)
{
	size_t n = 0;
	struct docker_lookup *items = xcalloc(r->plan->steps.len + 1, sizeof(*items));
	struct docker_container *found = xcalloc(r->plan->steps.len + 1, sizeof(*found));
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if ((s->kind == STEP_CREATE || s->kind == STEP_PREPARE) && run_is_due(r, t, s)) {
			items[n] = (struct docker_lookup){
				.kind = DOCKER_LOOKUP_CONTAINER, .name = s->name, .out = &found[n]};
			n++;
		}
	}
	int result = n > 0 ? docker_lookup(t->host->docker, items, n, err) : 0;
	for (size_t i = 0; i < n; i++) {
		if (result == 0 && items[i].found) {
			error_set(err, ERROR_REMOTE,
				"there is a container '%s' already, and it is not one of this "
				"service",
				items[i].name);
			result = error_hint(err, "docker rename gives it another name");
		}
		docker_container_fini(&found[i]);
	}
	free(items);
	free(found);
	return result;
}

static void set_env(json_t *env, const char *name, const char *value)
{
	size_t n = strlen(name);
	size_t i;
	json_t *item;
	json_array_foreach(env, i, item)
	{
		const char *text = json_string_value(item);
		if (text && strncmp(text, name, n) == 0 && text[n] == '=') {
			CLEANUP_FREE char *now = xasprintf("%s=%s", name, value);
			json_array_set_new(env, i, json_string(now));
		}
	}
}

/* What its sibling's copy must not say of itself. */
static void set_identity(json_t *body, const struct target *t, const struct plan_step *s)
{
	json_t *env = json_object_get(body, "Env");
	CLEANUP_FREE char *replica = xasprintf("%d", s->replica);
	json_object_set_new(json_object_get(body, "Labels"), LABEL_REPLICA, json_string(replica));
	set_env(env, "DEPLOY_HOST", t->address->name);
	set_env(env, "KAMAL_HOST", t->address->name);
	set_env(env, "DEPLOY_CONTAINER_NAME", s->name);
	set_env(env, "KAMAL_CONTAINER_NAME", s->name);
}

static bool has_image(const struct target *t, const char *id)
{
	VEC_FOREACH (&t->seen.images, i) {
		if (str_eq(t->seen.images.p[i].id, id)) {
			return true;
		}
	}
	return false;
}

/* The image that a copy needs, from the server that has it. *id: as it is called here. */
static int bring_image(
	struct run *r, struct target *t, const struct plan_step *s, char **id, struct error *err)
{
	struct target *from = &r->d->targets[s->from_host];
	CLEANUP_STRVEC struct strvec tags = {0};
	if (from == t || has_image(t, *id)) {
		return 0;
	}
	const struct release *runs = history_find_on(&r->d->history, s->number, t->address->name);
	struct image_known known = {.images = &t->seen.images, .info = &t->host->info};
	struct image_transfer_result result = {0};
	struct image_transfer_request to = {.host = t->host, .known = &known};
	struct image_source_request req = {.docker = from->host->docker,
		.builder_host = from->host->name,
		.ui = r->d->ui,
		.image = *id,
		.tags = &tags};
	CLEANUP_FREE char *tag =
		names_image(r->d->config, runs ? runs->version : r->release.version);
	strvec_push(&tags, tag);
	ui_step(r->d->ui, t->host->name, "bringing the image from %s", from->host->name);
	struct image_source *image = image_source_open(&req, err);
	int moved = image ? image_transfer(image, &to, &result, err) : -1;
	image_source_free(image);
	if (moved < 0) {
		(void)error_wrap(err, "bring image '%s' from host '%s'", tag, from->host->name);
		return error_hint(err, "deploy push --version %s deploys that version anew",
			r->release.version);
	}
	run_target_of(r, t)->bytes_sent += result.bytes_sent;
	free(*id);
	*id = xstrdup(result.image_id);
	return 0;
}

/*
 * A container that is gone, made again as a copy of its sibling: the same image, command, env and
 * secrets, as Docker tells them.
 */
static int copy(struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	struct host *from_host = r->d->targets[s->from_host].host;
	struct docker_container from = {0};
	if (docker_container_inspect(from_host->docker, s->from, &from, err) < 0) {
		return error_wrap(err, "look at container '%s'", s->from);
	}
	if (bring_image(r, t, s, &from.image_id, err) < 0) {
		docker_container_fini(&from);
		return -1;
	}
	CLEANUP_JSON json_t *body = json_deep_copy(from.config);
	json_object_set_new(body, "HostConfig", json_deep_copy(from.host_config));
	json_object_set_new(body, "Image", json_string(from.image_id));
	json_object_del(body, "Hostname");
	set_identity(body, t, s);
	container_copy_first_network(&from, body);
	CLEANUP_STR struct str path = STR_INIT(STR_MAX_LINE);
	str_add(&path, "/containers/create?name=");
	http_escape(&path, s->name, false);
	CLEANUP_JSON json_t *answer = NULL;
	int result = docker_call(t->host->docker, "POST", str_c(&path), body, 0, &answer, err);
	if (result == 0) {
		strvec_push(s->role->proxied ? &rt->created : &rt->workers,
			json_str_at(answer, "Id", s->name));
		result = container_copy_networks(t->host->docker, &from, s->name, err) < 0
				 ? -1
				 : secret_files_copy(
					   from_host->docker, &from, t->host->docker, s->name, err);
	}
	docker_container_fini(&from);
	if (result < 0) {
		return error_wrap(err, "make container '%s' again", s->name);
	}
	return s->stands ? 0 : docker_container_start(t->host->docker, s->name, err);
}

/* *seen gets how it is right after its start, when that comes along with it. */
static int start(struct run *r, struct target *t, const struct plan_step *s,
	struct docker_container *seen, struct error *err)
{
	if (run_may_go_on(r, err) < 0) {
		return -1;
	}
	struct run_target *rt = run_target_of(r, t);
	ui_step(r->d->ui, t->host->name, "%s %s",
		s->kind == STEP_PREPARE ? "making ready" : "starting", s->name);
	if (s->kind == STEP_CREATE || s->kind == STEP_PREPARE) {
		return create(r, t, s, seen, err);
	}
	if (s->kind == STEP_CLONE) {
		return copy(r, t, s, err);
	}
	if (s->kind == STEP_LAUNCH) {
		return docker_container_start(t->host->docker, s->name, err);
	}
	strvec_push(s->role->proxied ? &rt->revived : &rt->revived_workers, s->name);
	return container_revive(t->host->docker, s->name, seen, err);
}

static struct health_request health_request(
	struct run *r, struct target *t, const struct plan_step *s)
{
	const struct config *c = r->d->config;
	int deadline = s->role->proxied ? s->role->proxy->deploy_timeout_ms : c->deploy_timeout_ms;
	/* To be running for longer than the watch lasts would be never. */
	if (s->role->health.kind == CONFIG_HEALTH_RUNNING &&
		deadline < c->readiness_delay_ms + READY_MARGIN_MS) {
		deadline = c->readiness_delay_ms + READY_MARGIN_MS;
	}
	return (struct health_request){
		.host = t->host,
		.container = s->name,
		.network = s->role->networks.p[0]->name,
		.health = &s->role->health,
		.docker_too = !s->role->proxied,
		.deadline_ms = deadline,
		.readiness_delay_ms = c->readiness_delay_ms,
		.abandon = &run_target_of(r, t)->abandon,
	};
}

static int watch(struct run *r, struct target *t, const struct plan_step *s,
	const struct docker_container *seen, struct error *err)
{
	struct health_request req = health_request(r, t, s);
	req.seen = seen;
	ui_step(r->d->ui, t->host->name, "waiting for %s to be healthy", s->name);
	return health_wait(&req, err);
}

/* Seen through the proxy, before any user's request gets there. */
static int ask_through_proxy(struct run *r, struct target *t, const struct plan_step *s,
	struct proxy_answer *answer, struct error *err)
{
	const struct config_health *health = &s->role->proxy->health;
	const char *path = health->kind == CONFIG_HEALTH_HTTP ? health->path : "/";
	return proxy_probe(t->seen.proxy, &run_target_of(r, t)->service, s->name, path,
		health->timeout_ms, answer, err);
}

static int see_through_proxy(
	struct run *r, struct target *t, const struct plan_step *s, struct error *err)
{
	struct proxy_answer answer = {0};
	if (ask_through_proxy(r, t, s, &answer, err) < 0) {
		(void)error_wrap(err, "'%s' is healthy, but not through the proxy", s->name);
		return health_add_logs(t->host, s->name, err);
	}
	return 0;
}

/* A target's candidates on their way. */
struct bringing {
	struct run *r;
	struct target *t;
	const struct plan_step **steps;
	size_t n;
	bool proxied;                  /* the proxy is prepared, and asked, beside them */
	struct docker_container *seen; /* each, right after its start */
	sem_t tried;                   /* posted once all were started, or one was not */
	bool started;                  /* all; to be read behind that */
	bool *through_proxy;           /* each: has answered through it */
	bool *kept_up;                 /* each: has its restart policy */
	struct error *errors;
	int *results;
};

/* One that only gave up waiting says less than the one that failed. */
static int first_failure(
	const int *results, const struct error *errors, size_t n, struct error *err)
{
	int result = 0;
	for (size_t i = 0; i < n; i++) {
		if (results[i] < 0 && (result == 0 || err->kind == ERROR_INTERRUPTED)) {
			*err = errors[i];
			result = -1;
		}
	}
	return result;
}

static void watch_one(void *ctx, size_t i)
{
	struct bringing *b = ctx;
	b->results[i] = watch(b->r, b->t, b->steps[i], &b->seen[i], &b->errors[i]);
	if (b->results[i] < 0) {
		run_abandon(b->r, b->t);
	}
}

/* Starts them in turn, then watches them side by side. */
static int start_and_watch(struct bringing *b, struct error *err)
{
	size_t done = 0;
	while (done < b->n && start(b->r, b->t, b->steps[done], &b->seen[done], err) == 0) {
		done++;
	}
	b->started = done == b->n;
	sem_post(&b->tried);
	if (!b->started) {
		return err->kind == ERROR_REMOTE
			       ? health_add_logs(b->t->host, b->steps[done]->name, err)
			       : -1;
	}
	if (b->n > 0) {
		pool_run(b->n, b->n, watch_one, b);
	}
	return first_failure(b->results, b->errors, b->n, err);
}

/* Only what is healthy may come back by itself: this is the health check's own question. */
static bool is_healthy(const struct plan_step *s, const struct proxy_answer *answer)
{
	return s->role->health.kind == CONFIG_HEALTH_HTTP && answer->status >= 200 &&
	       answer->status < 400;
}

/*
 * Beside the watch, which judges and tells what is wrong: at a distance this saves two round trips.
 */
static void look_through_proxy(struct bringing *b)
{
	while (sem_wait(&b->tried) < 0 && errno == EINTR) {
	}
	for (size_t i = 0; b->started && i < b->n; i++) {
		const struct plan_step *s = b->steps[i];
		struct proxy_answer answer = {0};
		struct error ignored = {0};
		b->through_proxy[i] = s->role->proxied &&
				      ask_through_proxy(b->r, b->t, s, &answer, &ignored) == 0;
		b->kept_up[i] = b->through_proxy[i] && is_healthy(s, &answer) &&
				container_keep_up(b->t->host->docker, s->name, &ignored) == 0;
	}
}

/* The candidates, and beside them what the proxy needs before it can send them anything. */
static void bring_up(void *ctx, size_t lane)
{
	struct bringing *b = ctx;
	size_t slot = b->n + lane;
	if (lane == 0) {
		b->results[slot] = start_and_watch(b, &b->errors[slot]);
	} else if (b->proxied) {
		b->results[slot] = traffic_prepare(b->r, b->t, &b->errors[slot]);
		if (b->results[slot] == 0) {
			look_through_proxy(b);
		}
	}
	if (b->results[slot] < 0) {
		run_abandon(b->r, b->t);
	}
}

/* Of a phase; those that are only made (PREPARE, a copied job) when `made`, else those that run. */
static size_t start_steps(struct run *r, const struct target *t, enum plan_phase phase, bool made,
	const struct plan_step **steps)
{
	size_t n = 0;
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		bool starts = s->kind == STEP_CREATE || s->kind == STEP_REVIVE ||
			      s->kind == STEP_LAUNCH || (s->kind == STEP_CLONE && !s->stands);
		bool ours = starts || s->kind == STEP_PREPARE || s->kind == STEP_CLONE;
		if (s->phase == phase && ours && starts == !made && run_is_due(r, t, s)) {
			steps[n++] = s;
		}
	}
	return n;
}

/* What is left once all are healthy; the proxy and Docker are asked side by side. */
static void last_step(void *ctx, size_t lane)
{
	struct bringing *b = ctx;
	size_t slot = b->n + lane;
	for (size_t i = 0; b->results[slot] == 0 && i < b->n; i++) {
		const struct plan_step *s = b->steps[i];
		if (lane == 1 && !b->kept_up[i]) {
			b->results[slot] =
				container_keep_up(b->t->host->docker, s->name, &b->errors[slot]);
		} else if (lane == 0 && s->role->proxied && !b->through_proxy[i]) {
			b->results[slot] = see_through_proxy(b->r, b->t, s, &b->errors[slot]);
		}
	}
}

/* Runs two lanes; the first one's error counts, unless it only gave up for the other's. */
static int both(struct bringing *b, void (*fn)(void *ctx, size_t lane), struct error *err)
{
	pool_run(2, 2, fn, b);
	return first_failure(b->results + b->n, b->errors + b->n, 2, err);
}

static int bring_all_up(struct run *r, struct target *t, enum plan_phase phase,
	const struct plan_step **steps, size_t n, struct error *err)
{
	struct bringing b = {.r = r, .t = t, .steps = steps, .n = n};
	b.proxied = phase == PLAN_START && t->seen.proxy;
	b.seen = xcalloc(n + 1, sizeof(*b.seen));
	b.through_proxy = xcalloc(n + 1, sizeof(*b.through_proxy));
	b.kept_up = xcalloc(n + 1, sizeof(*b.kept_up));
	b.errors = xcalloc(n + 2, sizeof(*b.errors));
	b.results = xcalloc(n + 2, sizeof(*b.results));
	sem_init(&b.tried, 0, 0);
	int result = both(&b, bring_up, err);
	if (result == 0) {
		result = both(&b, last_step, err);
	}
	sem_destroy(&b.tried);
	for (size_t i = 0; i < n; i++) {
		docker_container_fini(&b.seen[i]);
	}
	free(b.seen);
	free(b.through_proxy);
	free(b.kept_up);
	free(b.errors);
	free(b.results);
	return result;
}

/* What is not started yet. */
static int make_each(struct run *r, struct target *t, const struct plan_step **steps, size_t n,
	struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (start(r, t, steps[i], NULL, err) < 0) {
			return err->kind == ERROR_REMOTE
				       ? health_add_logs(t->host, steps[i]->name, err)
				       : -1;
		}
	}
	return 0;
}

int candidates_start(struct run *r, struct target *t, enum plan_phase phase, struct error *err)
{
	const struct plan_step **steps = xcalloc(r->plan->steps.len + 1, sizeof(*steps));
	size_t n = start_steps(r, t, phase, true, steps);
	int result = make_each(r, t, steps, n, err);
	if (result == 0) {
		n = start_steps(r, t, phase, false, steps);
		result = bring_all_up(r, t, phase, steps, n, err);
	}
	if (result == 0 && n > 0) {
		ui_done(r->d->ui, t->host->name, "%zu %s%s healthy", n,
			phase == PLAN_START ? "container" : "worker", n == 1 ? "" : "s");
	}
	if (result < 0) {
		run_abandon(r, t);
	}
	free(steps);
	return result;
}

/* -- Rolling: they are watched once they have the traffic -- */

struct monitoring {
	struct run *r;
	struct target *t;
	const struct plan_step **steps;
	struct error *errors;
	int *results;
};

static void monitor_one(void *ctx, size_t i)
{
	struct monitoring *m = ctx;
	struct health_request req = health_request(m->r, m->t, m->steps[i]);
	m->results[i] = health_watch(&req, m->r->d->config->rollout.monitor_ms, &m->errors[i]);
	if (m->results[i] < 0) {
		run_abandon(m->r, m->t);
	}
}

int candidates_monitor(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run *r = run;
	char took[CLOCK_RFC3339_SIZE];
	const struct plan_step **steps = xcalloc(r->plan->steps.len + 1, sizeof(*steps));
	size_t n = start_steps(r, t, PLAN_START, false, steps);
	n += start_steps(r, t, PLAN_WORKERS, false, steps + n);
	n += start_steps(r, t, PLAN_REPLACE, false, steps + n);
	struct monitoring m = {.r = r, .t = t, .steps = steps};
	m.errors = xcalloc(n + 1, sizeof(*m.errors));
	m.results = xcalloc(n + 1, sizeof(*m.results));
	ui_step(d->ui, t->host->name, "watching %zu container%s for %s", n, n == 1 ? "" : "s",
		clock_duration(d->config->rollout.monitor_ms, took));
	pool_run(n, n, monitor_one, &m);
	int result = first_failure(m.results, m.errors, n, err);
	free(steps);
	free(m.errors);
	free(m.results);
	return result;
}

/* -- Taking them back -- */

/* Lets the requests end that came while the traffic was here; returns how many did not. */
static int drain_back(struct run *r, struct target *t)
{
	struct run_target *rt = run_target_of(r, t);
	bool hurry = r->release.outcome == RELEASE_INTERRUPTED;
	int limit_ms = hurry ? HURRY_MS : target_proxy(r->d, t)->drain_timeout_ms;
	CLEANUP_STRVEC struct strvec names = {0};
	struct error failed = {0};
	int left = 0;
	VEC_FOREACH (&rt->service.live, i) {
		if (!strvec_has(&proxy_live(t->seen.proxy)->live, rt->service.live.p[i])) {
			strvec_push(&names, rt->service.live.p[i]);
		}
	}
	if (proxy_drain(t->seen.proxy, &names, limit_ms, &left, &failed) < 0) {
		ui_warn(r->d->ui, t->host->name, "drain: %s", failed.text);
	}
	return left;
}

/* Could the proxy be sending users to this run's containers? Then they stay, whatever failed. */
static bool may_serve(struct run_target *rt, struct target *t)
{
	struct error ignored = {0};
	bool same = false;
	if (rt->switched) {
		return true; /* it could not be taken back */
	}
	return rt->took_traffic && t->seen.proxy && proxy_live(t->seen.proxy)->present &&
	       (proxy_running(t->seen.proxy, &same, &ignored) < 0 || !same);
}

int candidates_undo(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run *r = run;
	struct run_target *rt = run_target_of(r, t);
	if (rt->undone) {
		return 0;
	}
	int result = workers_undo(r, t, err);
	if (may_serve(rt, t)) {
		return error_set(err, ERROR_REMOTE,
			"the new containers may still have traffic; the next command mends that");
	}
	int left = rt->took_traffic ? drain_back(r, t) : 0;
	if (left > 0 && r->release.outcome == RELEASE_INTERRUPTED) {
		ui_warn(d->ui, t->host->name,
			"%d request(s) are in flight on the new containers: the next command "
			"removes these",
			left);
		return result;
	}
	VEC_FOREACH (&rt->created, i) {
		if (docker_container_remove(t->host->docker, rt->created.p[i], true, true, err) <
			0) {
			result = -1;
		}
	}
	VEC_FOREACH (&rt->revived, i) {
		if (container_retire(t->host->docker, rt->revived.p[i], 1, err) < 0) {
			result = -1;
		}
	}
	rt->undone = result == 0;
	return result;
}
