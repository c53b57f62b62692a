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
	if (rt->service_ready) {
		return 0;
	}
	proxy_service_init(&rt->service, c);
	rt->service.release = r->release.version;
	if (t->seen.proxy && proxy_live(t->seen.proxy)->maintenance) {
		/* A push does not end a maintenance: `app live` does. */
		rt->service.maintenance = true;
		/* A copy: the proxy's own state is replaced by the switch. */
		rt->message = xstrdup(proxy_live(t->seen.proxy)->message);
		rt->service.maintenance_message = rt->message;
	}
	if (c->proxy.tls == CONFIG_TLS_GIVEN) {
		rt->service.certificate =
			secret_map_get(&r->d->secrets, c->proxy.certificate_secret);
		rt->service.private_key =
			secret_map_get(&r->d->secrets, c->proxy.private_key_secret);
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
		if (s->phase == PLAN_SWITCH && &r->d->targets[s->host] == t) {
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
	if (proxy_stage(t->seen.proxy, &rt->service, err) < 0) {
		return -1;
	}
	proxy_ready(t->seen.proxy);
	rt->counting = proxy_counts_begin(t->seen.proxy, &ignored) == 0;
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
	if (atomic_load(&r->abandon)) {
		return error_set(err, ERROR_INTERRUPTED, "given up: another one failed");
	}
	rt->took_traffic = true;
	if (proxy_switch(t->seen.proxy, &rt->service, err) < 0) {
		atomic_store(&r->abandon, true);
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
	return deployment_each(r->d, switch_one, r, err);
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

int traffic_retire(struct deployment *d, struct target *t, void *run, struct error *err)
{
	struct run *r = run;
	struct run_target *rt = run_target_of(r, t);
	const struct plan_step **steps = xcalloc(r->plan->steps.len + 1, sizeof(*steps));
	CLEANUP_STRVEC struct strvec names = {0};
	size_t n = 0;
	VEC_FOREACH (&r->plan->steps, i) {
		const struct plan_step *s = &r->plan->steps.p[i];
		if (s->phase == PLAN_RETIRE && &d->targets[s->host] == t) {
			steps[n++] = s;
			strvec_push(&names, s->name);
		}
	}
	if (n > 0 && rt->switched) {
		ui_step(d->ui, t->host->name, "draining %zu container(s)", n);
		struct error drain = {0};
		if (proxy_drain(t->seen.proxy, &names, d->config->proxy.drain_timeout_ms,
			    &rt->left_in_flight, &drain) < 0) {
			if (drain.kind == ERROR_INTERRUPTED) {
				free(steps); /* the next command stops them, when they are done */
				*err = drain;
				return -1;
			}
			ui_warn(d->ui, t->host->name, "drain: %s", drain.text);
		} else if (rt->left_in_flight > 0) {
			ui_warn(d->ui, t->host->name,
				"%d request(s) were still in flight after %d s and are cut off",
				rt->left_in_flight, d->config->proxy.drain_timeout_ms / 1000);
		}
	}
	/* The drain may have been long (a closed laptop): what retires may serve again by now. */
	if (run_may_go_on(r, err) < 0) {
		free(steps);
		return -1;
	}
	struct retiring x = {.r = r, .t = t, .steps = steps};
	x.errors = xcalloc(n + 1, sizeof(*x.errors));
	pool_run(n + 1, 8, stop_one, &x);
	int result = 0;
	for (size_t i = 0; i < n; i++) {
		if (x.errors[i].kind != ERROR_NONE) {
			*err = x.errors[i];
			result = -1;
		}
	}
	if (result == 0 && n > 0) {
		ui_done(d->ui, t->host->name, "%zu old container%s stopped", n, n == 1 ? "" : "s");
	}
	free(x.errors);
	free(steps);
	return result;
}
