/* SPDX-License-Identifier: MIT */
/*
 * The switch itself: new files or another slot, verified through the proxy, else put back; and the
 * drain.  The order without slots (nginx): all files lie complete in next/ (fsynced); they are
 * renamed over the live ones in one flight, the fragment first, since the others may refer to what
 * it defines; the proxy loads; the new containers answer through it.  With slots (caddy, slots.c) a
 * usual push changes no file that is loaded.
 */
#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <string.h>

/* Puts the files there (NULL texts: removes), those that lie ready by renaming. */
static int put_files(struct proxy *p, const struct proxy_files *files, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(p->host->sftp);
	VEC_FOREACH (files, i) {
		const struct proxy_file *f = &files->p[i];
		CLEANUP_FREE char *path = proxy_path(p, f->path);
		const char *ready = proxy_files_get(&p->staged, f->path);
		if (!f->text) {
			sftp_remove(b, path);
		} else if (ready && str_eq(ready, f->text)) {
			CLEANUP_FREE char *from = proxy_next_path(p, f->path);
			sftp_rename(b, from, path);
		} else {
			sftp_write(b, path, f->text, strlen(f->text), 0600);
			if (i + 1 < files->len) {
				sftp_barrier(b);
			}
		}
	}
	int rc = files->len ? sftp_run(b, PROXY_TIMEOUT_MS, err) : 0;
	struct error first = {0};
	if (rc == 0 && sftp_check(b, &first) < 0 && first.kind) {
		*err = first;
		rc = -1;
	}
	VEC_FOREACH (files, i) {
		proxy_files_set(&p->seen, files->p[i].path, files->p[i].text);
	}
	proxy_files_fini(&p->staged);
	sftp_batch_free(b);
	return rc;
}

/* What the changed files hold now, in reverse order; those that are known stay. */
static void remember(
	const struct proxy *p, const struct proxy_files *change, struct proxy_files *undo)
{
	for (size_t i = change->len; i-- > 0;) {
		const char *path = change->p[i].path;
		if (!proxy_files_has(undo, path)) {
			proxy_files_set(undo, path, proxy_files_get(&p->seen, path));
		}
	}
}

static void reparse(struct proxy *p)
{
	CLEANUP_FREE char *path = proxy_fragment_path(p);
	const char *text = proxy_files_get(&p->seen, path);
	proxy_state_fini(&p->state);
	proxy_state_parse(&p->state, text, text ? strlen(text) : 0);
}

/* A series of switches has used the slot for something else: the names go where nothing is live. */
static int refill(struct proxy *p, struct error *err)
{
	struct proxy_turn *to = &p->undo_turn;
	struct proxy_service before = {.release = to->release, .slot = !p->state.slot};
	strvec_copy(&before.live, &to->live);
	int rc = proxy_slots_fill(p, &before, err);
	strvec_fini(&before.live);
	to->slot = before.slot;
	strvec_fini(&to->draining);
	strvec_copy(&to->draining, &p->state.live);
	return rc;
}

/* As before the last switch, in the opposite order of it. */
static int take_back(struct proxy *p, const struct proxy_files *undo, struct error *err)
{
	bool slots = p->driver->slots;
	int rc = slots && p->undo_refilled ? refill(p, err) : 0;
	if (rc == 0 && slots) {
		rc = proxy_slots_turn(p, &p->undo_turn, err);
	}
	if (rc == 0 && (!slots || undo->len)) {
		rc = put_files(p, undo, err) < 0 ? -1 : p->driver->reload(p, err);
	}
	reparse(p);
	if (slots) {
		proxy_turn_into_state(&p->undo_turn, &p->state);
	}
	return rc;
}

/* Puts `undo` back and loads it, also when cancelled; *err keeps its cause and learns of a failure.
 */
static void put_back(struct proxy *p, const struct proxy_files *undo, struct error *err)
{
	struct error second = {0};
	cancel_shield_begin();
	if (take_back(p, undo, &second) < 0) {
		CLEANUP_FREE char *line =
			xasprintf("the old configuration could not be put back: %s", second.text);
		error_detail(err, line, strlen(line));
	}
	cancel_shield_end();
}

/* A host name, path and prefix by which users reach the service. */
static char *verify_target(const struct proxy_service *s)
{
	const char *health = s->health_path ? s->health_path : "/";
	const char *prefix = s->prefixes && s->prefixes->len ? s->prefixes->p[0] : "/";
	if (str_eq(prefix, "/") || str_starts(health, prefix)) {
		return xstrdup(health);
	}
	return s->strip_prefix ? xasprintf("%s%s", prefix, health) : xstrdup(prefix);
}

static int verify_once(struct proxy *p, const struct proxy_service *s, struct error *err)
{
	CLEANUP_FREE char *target = verify_target(s);
	const char *host = s->hosts && s->hosts->len ? s->hosts->p[0] : "localhost";
	CLEANUP_FREE char *name =
		str_starts(host, "*.") ? xasprintf("deploy-check%s", host + 1) : xstrdup(host);
	struct http_reply reply = {0};
	struct proxy_request req = {.socket = "probe.sock",
		.host = name,
		.method = "GET",
		.target = target,
		.timeout_ms = PROXY_VERIFY_MS / 2};
	int rc = proxy_http(p, &req, &reply, err);
	bool away = reply.status >= 502 && reply.status <= 504;
	if (rc == 0 && (s->maintenance ? reply.status != 503 : away)) {
		rc = error_set(err, ERROR_UNHEALTHY,
			"%s answers %d through the proxy after the switch", target, reply.status);
	}
	http_reply_fini(&reply);
	return rc;
}

static int verify(struct proxy *p, const struct proxy_service *s, struct error *err)
{
	int64_t until = clock_mono_ms() + PROXY_VERIFY_MS;
	for (;;) {
		struct error e = {0};
		if (verify_once(p, s, &e) == 0) {
			return 0;
		}
		if (e.kind == ERROR_INTERRUPTED || clock_mono_ms() > until) {
			*err = e;
			/* No answer in time is one, too. */
			err->kind = e.sys == ETIMEDOUT ? ERROR_UNHEALTHY : e.kind;
			return -1;
		}
		clock_sleep_ms(50);
	}
}

/* New files and a load: what a switch is without slots, and what makes room for one with them. */
static int load_files(struct proxy *p, const struct proxy_files *change, struct error *err)
{
	if (p->driver->slots && !change->len && !p->unsure) {
		return 0;
	}
	if (p->driver->slots) {
		proxy_prepare(p, "admin.sock");
	}
	int rc = put_files(p, change, err) < 0 ? -1 : p->driver->reload(p, err);
	p->unsure = rc < 0;
	reparse(p);
	return rc;
}

/* With slots: the turn comes after the load, except for the first, when nothing is served yet. */
static int load_and_turn(struct proxy *p, const struct proxy_service *full,
	const struct proxy_files *change, struct error *err)
{
	struct proxy_turn turn;
	bool first = !p->state.present;
	proxy_turn_of_service(&turn, p, full);
	int rc = 0;
	if (proxy_flips(p, full) && !proxy_slots_filled(p, full)) {
		rc = proxy_slots_fill(p, full, err);
	}
	if (rc == 0 && first) {
		rc = proxy_slots_turn(p, &turn, err);
	}
	if (rc == 0) {
		rc = load_files(p, change, err);
	}
	if (rc == 0) {
		proxy_prepare(p, "probe.sock");
		proxy_prepare(p, "admin.sock"); /* for the drain */
		rc = first ? 0 : proxy_slots_turn(p, &turn, err);
	}
	if (rc == 0) {
		proxy_turn_into_state(&turn, &p->state);
	}
	free(p->filled);
	p->filled = NULL;
	proxy_turn_fini(&turn);
	return rc;
}

static int do_switch(struct proxy *p, const struct proxy_service *full,
	const struct proxy_files *change, struct error *err)
{
	if (!full->onwards || !p->can_undo) {
		proxy_files_fini(&p->undo);
		proxy_turn_fini(&p->undo_turn);
		proxy_turn_of_state(&p->undo_turn, &p->state);
		p->undo_refilled = false;
	}
	remember(p, change, &p->undo);
	if (proxy_flips(p, full)) {
		/* Taken back, the other slot holds what is tried now, and its requests in flight.
		 */
		strvec_fini(&p->undo_turn.draining);
		strvec_copy(&p->undo_turn.draining, &full->live);
	}
	p->can_undo = true;
	int rc =
		p->driver->slots ? load_and_turn(p, full, change, err) : load_files(p, change, err);
	if (rc == 0) {
		rc = verify(p, full, err);
	}
	if (rc < 0) {
		p->can_undo = false;
		put_back(p, &p->undo, err);
	}
	return rc;
}

int proxy_switch(struct proxy *p, struct proxy_service *svc, struct error *err)
{
	struct proxy_service full;
	struct proxy_files change = {0};
	proxy_complete(p, svc, &full);
	int rc = cancel_check(err);
	if (rc == 0) {
		rc = proxy_prepare_change(p, &full, &change, err);
	}
	if (rc == 0) {
		rc = do_switch(p, &full, &change, err);
	}
	if (rc == 0) {
		strvec_fini(&svc->draining);
		strvec_copy(&svc->draining, &full.draining);
	}
	proxy_files_fini(&change);
	proxy_completed_fini(&full);
	return rc < 0 ? host_error(p->host, err) : 0;
}

int proxy_switch_back(struct proxy *p, struct error *err)
{
	if (!p->can_undo) {
		return 0;
	}
	int rc = take_back(p, &p->undo, err);
	p->can_undo = rc < 0;
	return rc < 0 ? host_error(p->host, err) : 0;
}

int proxy_in_flight(struct proxy *p, const struct strvec *names, int *count, struct error *err)
{
	*count = 0;
	if (names->len == 0) {
		return 0;
	}
	return p->driver->in_flight(p, names, count, err) < 0 ? host_error(p->host, err) : 0;
}

bool proxy_mixes(const struct proxy *p, int port)
{
	const struct proxy_state *st = &p->state;
	bool same = st->live.len > 0 && st->app_port == port;
	for (size_t i = 0; p->driver->slots && i < 2; i++) {
		same = same && (size_t)st->slots[i].replicas == st->live.len &&
		       st->slots[i].port == port;
	}
	return same;
}

bool proxy_counts_at_once(const struct proxy *p)
{
	return p->driver->slots;
}

int proxy_drain(
	struct proxy *p, const struct strvec *names, int timeout_ms, int *left, struct error *err)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	int pause = 20;
	for (;;) {
		if (proxy_in_flight(p, names, left, err) < 0 || cancel_check(err) < 0) {
			return -1;
		}
		int64_t now = clock_mono_ms();
		if (*left == 0 || now >= until) {
			return 0;
		}
		clock_sleep_ms(until - now < pause ? (int)(until - now) : pause);
		pause = pause < 250 ? pause * 2 : 250;
	}
}

int proxy_remove_service(struct proxy *p, struct error *err)
{
	struct proxy_files gone = {0};
	struct error ignored = {0};
	bool same = false;
	proxy_plan_removals(p, NULL, &gone);
	int rc = put_files(p, &gone, err);
	if (rc == 0 && gone.len && proxy_running(p, &same, &ignored) == 0) {
		rc = p->driver->reload(p, err);
	}
	rc = rc == 0 ? proxy_leftovers_remove(p, err) : rc;
	reparse(p);
	proxy_files_fini(&gone);
	return rc < 0 ? host_error(p->host, err) : 0;
}
