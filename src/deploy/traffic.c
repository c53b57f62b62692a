/* SPDX-License-Identifier: MIT */
/* Moving the traffic, and what comes after it for the old containers. */
#include "deploy/container.h"
#include "run.h"
#include "util/thread.h"

#include <stdlib.h>
#include <string.h>

int traffic_service(struct run *r, struct target *t, struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	const struct config *c = r->d->config;
	const struct config_proxy *proxy = target_proxy(r->d, t);
	if (rt->service_ready) {
		return 0;
	}
	proxy_service_init(&rt->service, c, proxy);
	rt->service.release = r->release.version;
	rt->service.snippet =
		proxy->snippet ? snippet_get(r, r->release.commit, proxy->snippet) : NULL;
	if (t->seen.proxy && proxy_live(t->seen.proxy)->maintenance) {
		/* A push does not end a maintenance: `app live` does. */
		rt->service.maintenance = true;
		/* A copy: the proxy's own state is replaced by the switch. */
		rt->message = xstrdup(proxy_live(t->seen.proxy)->message);
		rt->service.maintenance_message = rt->message;
	}
	if (proxy->tls == CONFIG_TLS_GIVEN) {
		rt->service.certificate = secret_map_get(&r->d->secrets, proxy->certificate_secret);
		rt->service.private_key = secret_map_get(&r->d->secrets, proxy->private_key_secret);
		if (!rt->service.certificate || !rt->service.private_key) {
			return error_set(
				err, ERROR_MANIFEST, "the certificate's secrets are not set");
		}
	}
	rt->service_ready = true;
	return 0;
}

static const struct plan_step *switch_step(struct run *r, const struct target *t)
{
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (s->phase == PLAN_SWITCH && run_is_due(r, t, s)) {
			return s;
		}
	}
	return NULL;
}

int traffic_prepare(struct run *r, struct target *t, struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	const struct plan_step *s = switch_step(r, t);
	struct error ignored = {0};
	if (!s) {
		return 0;
	}
	if (traffic_service(r, t, err) < 0) {
		return -1;
	}
	strvec_fini(&rt->service.live);
	strvec_copy(&rt->service.live, &s->names);
	rt->service.onwards = rt->switched;
	if ((r->d->config->error_pages_path &&
		    proxy_pages_write(t->seen.proxy, &r->pages, err) < 0) ||
		proxy_stage(t->seen.proxy, &rt->service, err) < 0) {
		return -1;
	}
	proxy_ready(t->seen.proxy);
	rt->counting = rt->counting || proxy_counts_begin(t->seen.proxy, &ignored) == 0;
	return 0;
}

static int switch_one(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run *r = run;
	struct run_target *rt = run_target_of(r, t);
	const struct plan_step *s = switch_step(r, t);
	if (!s) {
		return 0;
	}
	ui_step(d->ui, t->host->name, "switching");
	if (run_abandoned(r, t)) {
		return error_set(err, ERROR_INTERRUPTED, "given up: another one failed");
	}
	rt->took_traffic = true;
	if (proxy_switch(t->seen.proxy, &rt->service, err) < 0) {
		run_abandon(r, t);
		return error_wrap(err, "switch the traffic");
	}
	rt->switched = true;
	ui_done(d->ui, t->host->name, "serves %s", r->release.version);
	return 0;
}

int traffic_switch(struct run *r, struct error *err)
{
	/* From here on somebody else's deploy would do harm: be sure of the lock. */
	if (r->d->lock && lock_check(r->d->lock, err) < 0) {
		return -1;
	}
	return run_each(r, switch_one, err);
}

int traffic_back(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run *r = run;
	struct run_target *rt = run_target_of(r, t);
	if (!rt->switched) {
		return 0;
	}
	ui_step(d->ui, t->host->name, "switching back");
	if (proxy_switch_back(t->seen.proxy, err) < 0) {
		return error_wrap(err, "switch the traffic back");
	}
	rt->switched = false;
	return 0;
}

struct retiring {
	struct run *r;
	struct target *t;
	const struct plan_step **steps; /* the last one is NULL: the proxy's log is counted */
	struct error *errors;
};

static void count(struct run *r, struct target *t)
{
	struct run_target *rt = run_target_of(r, t);
	struct error ignored = {0};
	if (rt->counting) {
		rt->counting = proxy_counts_end(t->seen.proxy, &rt->counts, &ignored) == 0;
	}
}

static void stop_one(void *ctx, size_t i)
{
	struct retiring *x = ctx;
	const struct plan_step *s = x->steps[i];
	if (!s) {
		count(x->r, x->t);
		return;
	}
	if (container_retire(x->t->host->docker, s->name,
		    s->role ? s->role->stop_timeout_ms / 1000 : -1, &x->errors[i]) < 0) {
		(void)error_wrap(&x->errors[i], "stop container '%s'", s->name);
	}
}

/* Of roles behind the proxy, or of those without. */
static size_t retire_steps(
	struct run *r, const struct target *t, bool proxied, const struct plan_step **steps)
{
	size_t n = 0;
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (s->phase == PLAN_RETIRE && run_is_due(r, t, s) &&
			(!s->role || s->role->proxied) == proxied) {
			steps[n++] = s;
		}
	}
	return n;
}

/* Nothing new reaches them since the switch was verified: none now is none for good. */
void traffic_look(struct run *r, struct target *t)
{
	struct run_target *rt = run_target_of(r, t);
	if (!rt->switched || !proxy_counts_at_once(t->seen.proxy)) {
		return;
	}
	struct error ignored = {0};
	int left = 0;
	CLEANUP_STRVEC struct strvec names = {0};
	const struct plan_step **steps = xcalloc(r->plan->steps.len + 1, sizeof(*steps));
	size_t n = retire_steps(r, t, true, steps);
	for (size_t i = 0; i < n; i++) {
		strvec_push(&names, steps[i]->name);
	}
	free(steps);
	rt->drained =
		n > 0 && proxy_in_flight(t->seen.proxy, &names, &left, &ignored) == 0 && left == 0;
}

/* Waits until the requests on the containers are done. -1: interrupted. */
static int drain(
	struct run *r, struct target *t, const struct strvec *names, int *left, struct error *err)
{
	struct error failed = {0};
	int limit_ms = target_proxy(r->d, t)->drain_timeout_ms;
	ui_step(r->d->ui, t->host->name, "draining %zu container(s)", names->len);
	if (proxy_drain(t->seen.proxy, names, limit_ms, left, &failed) < 0) {
		if (failed.kind == ERROR_INTERRUPTED) {
			*err = failed; /* the next command stops them, when they are done */
			return -1;
		}
		ui_warn(r->d->ui, t->host->name, "drain: %s", failed.text);
	}
	return 0;
}

static int drain_for_good(struct run *r, struct target *t, const struct plan_step **steps, size_t n,
	struct error *err)
{
	struct run_target *rt = run_target_of(r, t);
	CLEANUP_STRVEC struct strvec names = {0};
	for (size_t i = 0; i < n; i++) {
		strvec_push(&names, steps[i]->name);
	}
	if (drain(r, t, &names, &rt->left_in_flight, err) < 0) {
		return -1;
	}
	if (rt->left_in_flight > 0) {
		ui_warn(r->d->ui, t->host->name,
			"%d request(s) were still in flight after %d s and are cut off",
			rt->left_in_flight, target_proxy(r->d, t)->drain_timeout_ms / 1000);
	}
	return 0;
}

int traffic_settle(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run *r = run;
	const struct run_target *rt = run_target_of(r, t);
	CLEANUP_STRVEC struct strvec names = {0};
	int left = 0;
	/* In a maintenance those that stay live are among them. */
	VEC_FOREACH (&rt->service.draining, i) {
		if (!strvec_has(&rt->service.live, rt->service.draining.p[i])) {
			strvec_push(&names, rt->service.draining.p[i]);
		}
	}
	if (names.len == 0) {
		return 0;
	}
	if (drain(r, t, &names, &left, err) < 0) {
		return -1;
	}
	if (left > 0) {
		ui_warn(d->ui, t->host->name, "%d request(s) are still in flight", left);
	}
	return 0;
}

static int stop_steps(struct run *r, struct target *t, const struct plan_step **steps, size_t n,
	bool count_too, struct error *err)
{
	struct retiring x = {.r = r, .t = t, .steps = steps};
	int result = 0;
	x.errors = xcalloc(n + 1, sizeof(*x.errors));
	steps[n] = NULL;
	pool_run(n + (count_too ? 1 : 0), 8, stop_one, &x);
	for (size_t i = 0; i < n; i++) {
		if (x.errors[i].kind != ERROR_NONE) {
			*err = x.errors[i];
			result = -1;
		}
	}
	free(x.errors);
	return result;
}

/* Those behind the proxy wait for their requests; the others are told to stop at once. */
struct retire_lanes {
	struct run *r;
	struct target *t;
	struct error errors[2];
	int results[2];
	size_t stopped[2];
};

static void retire_lane(void *ctx, size_t lane)
{
	struct retire_lanes *l = ctx;
	bool proxied = lane == 0;
	struct error *err = &l->errors[lane];
	const struct plan_step **steps = xcalloc(l->r->plan->steps.len + 1, sizeof(*steps));
	size_t n = retire_steps(l->r, l->t, proxied, steps);
	const struct run_target *rt = run_target_of(l->r, l->t);
	if (proxied && n > 0 && rt->switched && !rt->drained) {
		l->results[lane] = drain_for_good(l->r, l->t, steps, n, err);
	}
	/* The drain may have been long (a closed laptop): what retires may serve again by now. */
	if (l->results[lane] == 0 && (n > 0 || proxied)) {
		l->results[lane] = run_may_go_on(l->r, err);
	}
	if (l->results[lane] == 0 && n > 0 && !proxied) {
		ui_step(l->r->d->ui, l->t->host->name, "stopping %s%s", steps[0]->name,
			n > 1 ? " and others" : "");
	}
	if (l->results[lane] == 0) {
		l->results[lane] = stop_steps(l->r, l->t, steps, n, proxied, err);
		l->stopped[lane] = n;
	}
	free(steps);
}

int traffic_retire(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct retire_lanes l = {.r = run, .t = t};
	pool_run(2, 2, retire_lane, &l);
	for (size_t i = 0; i < 2; i++) {
		if (l.results[i] < 0) {
			*err = l.errors[i];
			return -1;
		}
	}
	size_t n = l.stopped[0] + l.stopped[1];
	if (n > 0) {
		ui_done(d->ui, t->host->name, "%zu old container%s stopped", n, n == 1 ? "" : "s");
	}
	return 0;
}
