/* SPDX-License-Identifier: MIT */
/* Connecting, the lock, and looking: what stands in front of every operation. */
#include "internal.h"
#include "run.h"

#include "util/clock.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Longer than this, and what was seen on other hosts before the lock was had may be old. */
#define FRESH_MS 1000

struct opening {
	bool lock;
	bool shell_only; /* nothing is looked at */
	int64_t waited_ms;
};

static int open_target(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	struct opening *o = ctx;
	struct host_request req = {
		.name = t->address->name,
		.address = t->address,
		.ssh = &d->config->ssh,
		.key_data = &d->ssh_keys,
		.fabric = deployment_fabric(d),
		.ui = d->ui,
		.shell_only = o->shell_only,
	};
	if (o->shell_only && !t->selected && !t->accessories) {
		return 0;
	}
	if (!t->host) {
		if (o->lock || ui_is_animated(d->ui)) {
			ui_step(d->ui, req.name, "connecting");
		}
		t->host = host_connect(&req, err);
		if (!t->host) {
			return -1;
		}
	}
	if (o->shell_only) {
		return 0;
	}
	bool lock = o->lock && t == &d->targets[d->lock_target];
	int64_t begun = clock_mono_ms();
	int result = observe(d, t, lock, err);
	if (lock) {
		o->waited_ms = clock_mono_ms() - begun;
	}
	bool ask = o->lock && target_proxied(d, t);
	return result == 0 && ask ? observe_check_proxy(d, t, err) : result;
}

static int look_again(struct deployment *d, struct target *t, void *ctx, struct error *err)
{
	(void)ctx;
	return observe(d, t, false, err);
}

static int open_all(struct deployment *d, struct opening *o, struct error *err)
{
	if (deployment_load_secrets(d, o->lock ? SECRETS_PROXY : SECRETS_SSH, err) < 0) {
		return -1;
	}
	int64_t begun = clock_mono_ms();
	/* A command that only looks shows what it saw, and not how it got there. */
	if (o->lock) {
		ui_phase_begin(d->ui, "connect");
	}
	if (deployment_each(d, open_target, o, err) < 0) {
		return -1;
	}
	if (o->waited_ms > FRESH_MS && deployment_each(d, look_again, NULL, err) < 0) {
		return -1;
	}
	if (o->lock) {
		ui_phase_end(d->ui, "connect", clock_mono_ms() - begun);
	}
	if (!o->shell_only) {
		d->connected = true;
		observe_merge(d);
	}
	return 0;
}

/*
 * Who began before the manifest's first host was exchanged holds the lock on another server than
 * we do.
 */
static int settle_other_lock(
	struct deployment *d, struct target *t, void *waited, struct error *err)
{
	if (!t->seen.lock_there) {
		return 0;
	}
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	struct lock_request req = {
		.host = t->host, .dir = dir, .wait_s = d->lock_wait_s, .abandon = &d->lock_abandon};
	int was = lock_await_free(&req, err);
	if (was > 0) {
		atomic_store((atomic_bool *)waited, true);
	}
	return was < 0 ? -1 : 0;
}

/* Where the newest release had its lock, when that is none of the servers we have reached. */
static const char *former_lock_host(const struct deployment *d)
{
	const char *name = d->history.len ? d->history.p[d->history.len - 1].lock_host : NULL;
	for (size_t i = 0; name && i < d->n; i++) {
		if (str_eq(d->targets[i].address->name, name)) {
			return NULL;
		}
	}
	return name;
}

/*
 * The first host may have left the manifest altogether, while somebody with an older one still
 * takes the lock there.  It may also be gone for good: then that is told, once, for the next
 * release has its lock on ours.
 */
static int settle_former_lock(struct deployment *d, atomic_bool *waited, struct error *err)
{
	CLEANUP_FREE char *name = xstrdup(former_lock_host(d));
	struct config_host address = {.name = name};
	struct host_request at = {.name = name,
		.address = &address,
		.ssh = &d->config->ssh,
		.key_data = &d->ssh_keys,
		.fabric = deployment_fabric(d),
		.ui = d->ui};
	if (!name) {
		return 0;
	}
	CLEANUP_FREE char *dir = names_state_dir(d->config);
	struct host *h = host_connect(&at, err);
	int was = -1;
	bool reached = h && host_files(h, err) == 0;
	if (reached) {
		struct lock_request req = {.host = h,
			.dir = dir,
			.wait_s = d->lock_wait_s,
			.abandon = &d->lock_abandon,
			.own = d->lock};
		was = lock_await_free(&req, err);
		if (was < 0) {
			(void)host_error(h, err);
		}
	} else if (err->kind != ERROR_INTERRUPTED) {
		ui_warn(d->ui, name,
			"it had the lock of the last release, and cannot be asked whether "
			"somebody deploys with an older manifest: %s",
			err->text);
		*err = (struct error){0};
		was = 0;
	}
	struct ssh_session *ssh = h ? h->ssh : NULL;
	host_close(h);
	if (ssh) {
		ssh_fabric_release(deployment_fabric(d), ssh);
	}
	if (was > 0) {
		atomic_store(waited, true);
	}
	return was < 0 ? -1 : 0;
}

static int settle_other_locks(struct deployment *d, struct error *err)
{
	atomic_bool waited = false;
	if (deployment_each(d, settle_other_lock, &waited, err) < 0 ||
		settle_former_lock(d, &waited, err) < 0) {
		return -1;
	}
	if (atomic_load(&waited)) {
		if (deployment_each(d, look_again, NULL, err) < 0) {
			return -1;
		}
		observe_merge(d);
	}
	return 0;
}

int deployment_look(struct deployment *d, struct error *err)
{
	struct opening o = {0};
	return d->connected ? 0 : open_all(d, &o, err);
}

int deployment_reach(struct deployment *d, struct error *err)
{
	struct opening o = {.shell_only = true};
	return open_all(d, &o, err);
}

int deployment_reach_one(struct deployment *d, struct target *t, struct error *err)
{
	struct opening o = {.shell_only = true};
	return open_target(d, t, &o, err);
}

void deployment_leave_one(struct deployment *d, struct target *t)
{
	struct ssh_session *ssh = t->host ? t->host->ssh : NULL;
	host_close(t->host);
	t->host = NULL;
	if (ssh) {
		ssh_fabric_release(deployment_fabric(d), ssh);
	}
}

int deployment_begin_beside(struct deployment *d, struct error *err)
{
	struct opening o = {.lock = true};
	if (open_all(d, &o, err) < 0 || settle_other_locks(d, err) < 0) {
		deployment_end(d);
		return -1;
	}
	return 0;
}

int deployment_begin(struct deployment *d, struct error *err)
{
	if (deployment_begin_beside(d, err) < 0) {
		return -1;
	}
	if (mend(d, err) < 0) {
		deployment_end(d);
		return -1;
	}
	return 0;
}

void deployment_end(struct deployment *d)
{
	lock_release(d->lock);
	d->lock = NULL;
}
