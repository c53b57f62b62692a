/* SPDX-License-Identifier: MIT */
#include "ssh/fabric.h"

#include "config_cache.h"
#include "internal.h"
#include "ssh/keyring.h"

#include "util/cancel.h"
#include "util/vec.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_PARALLEL 64
#define PER_ADDRESS      8 /* handshakes at once; sshd's MaxStartups is 10:30:100 */
#define MAX_HOPS         8 /* a jump host may itself be behind one; this ends a loop */
#define TICK_NS          (50 * 1000000L) /* how often a wait looks at the cancellation */

/* A session, or the place of one that somebody is connecting now. */
struct entry {
	char *key;
	struct ssh_session *session;
	struct ssh_session *via;
	int users; /* who got it from ssh_fabric_connect(), or connects through it */
	bool connecting;
	struct error why; /* when it failed: for those who waited for it */
};
VEC_TYPE(entries, struct entry *);

/* Handshakes going on with one address. */
struct address {
	char *name;
	int busy;
};
VEC_TYPE(addresses, struct address);

struct ssh_fabric {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	int parallel;
	int busy;
	struct entries entries; /* in order of connecting: jump hosts before those behind */
	struct addresses addresses;
	struct ssh_keyring *keyring;
	struct ssh_config_cache *configs;
};

struct ssh_fabric *ssh_fabric_new(int parallel)
{
	struct ssh_fabric *f = xcalloc(1, sizeof(*f));

	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->parallel = parallel > 0 ? parallel : DEFAULT_PARALLEL;
	f->keyring = ssh_keyring_new();
	f->configs = ssh_config_cache_new();
	return f;
}

void ssh_fabric_free(struct ssh_fabric *f)
{
	if (f == NULL) {
		return;
	}
	/* All say goodbye at the same time, but those that carry others. */
	VEC_FOREACH (&f->entries, i) {
		bool carries = false;
		VEC_FOREACH (&f->entries, k) {
			carries = carries || f->entries.p[k]->via == f->entries.p[i]->session;
		}
		if (!carries && f->entries.p[i]->session != NULL) {
			ssh_session_leave(f->entries.p[i]->session);
		}
	}
	for (size_t i = f->entries.len; i-- > 0;) {
		ssh_session_close(f->entries.p[i]->session);
		free(f->entries.p[i]->key);
		free(f->entries.p[i]);
	}
	vec_fini(&f->entries);
	VEC_FOREACH (&f->addresses, i) {
		free(f->addresses.p[i].name);
	}
	vec_fini(&f->addresses);
	ssh_keyring_free(f->keyring);
	ssh_config_cache_free(f->configs);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

void ssh_fabric_abort(struct ssh_fabric *f, const char *why)
{
	pthread_mutex_lock(&f->lock);
	VEC_FOREACH (&f->entries, i) {
		if (f->entries.p[i]->session != NULL) {
			ssh_session_abort(f->entries.p[i]->session, why);
		}
	}
	pthread_mutex_unlock(&f->lock);
}

void ssh_fabric_release(struct ssh_fabric *f, struct ssh_session *s)
{
	struct entry *mine = NULL;

	pthread_mutex_lock(&f->lock);
	VEC_FOREACH (&f->entries, i) {
		struct entry *e = f->entries.p[i];
		if (e->via == s) { /* it carries others */
			mine = NULL;
			break;
		}
		mine = e->session == s ? e : mine;
	}
	if (mine != NULL && --mine->users > 0) {
		mine = NULL; /* another name of the same server */
	}
	if (mine != NULL) {
		mine->session = NULL;
		mine->via = NULL;
	}
	pthread_mutex_unlock(&f->lock);
	if (mine != NULL) {
		ssh_session_close(s);
	}
}

/* With the lock held. -1 when cancelled. */
static int wait_change(struct ssh_fabric *f, struct error *err)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += TICK_NS;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_cond_timedwait(&f->changed, &f->lock, &until);
	return cancel_check(err);
}

/* The latest entry of that key that is alive or being connected. */
static struct entry *find(struct ssh_fabric *f, const char *key)
{
	for (size_t i = f->entries.len; i-- > 0;) {
		struct entry *e = f->entries.p[i];
		if (str_eq(e->key, key) &&
			(e->connecting || (e->session && ssh_session_alive(e->session)))) {
			return e;
		}
	}
	return NULL;
}

/* An entry that is there (its session set), or one of ours to fill. */
static struct entry *claim(struct ssh_fabric *f, const char *key, struct error *err)
{
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	while ((e = find(f, key)) != NULL && e->connecting) {
		int rc = wait_change(f, err);
		if (rc == 0 && !e->connecting && e->why.kind != ERROR_NONE) {
			*err = e->why; /* once is enough for all who waited */
			rc = -1;
		}
		if (rc < 0) {
			pthread_mutex_unlock(&f->lock);
			return NULL;
		}
	}
	if (e == NULL) {
		e = xcalloc(1, sizeof(*e));
		e->key = xstrdup(key);
		e->connecting = true;
		vec_push(&f->entries, e);
	}
	e->users++;
	pthread_mutex_unlock(&f->lock);
	return e;
}

static void settle(struct ssh_fabric *f, struct entry *e, struct ssh_session *s,
	struct ssh_session *via, const struct error *why)
{
	pthread_mutex_lock(&f->lock);
	e->why = s == NULL ? *why : (struct error){0};
	e->session = s;
	e->via = via;
	e->connecting = false;
	size_t last = f->entries.len - 1;
	for (size_t i = 0; i < last && s != NULL; i++) {
		if (f->entries.p[i] == e) { /* to the end: its jump host may have come after */
			memmove(&f->entries.p[i], &f->entries.p[i + 1],
				(last - i) * sizeof(f->entries.p[0]));
			f->entries.p[last] = e;
			break;
		}
	}
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static int *busy_with(struct ssh_fabric *f, const char *name)
{
	VEC_FOREACH (&f->addresses, i) {
		if (str_eq(f->addresses.p[i].name, name)) {
			return &f->addresses.p[i].busy;
		}
	}
	const struct address fresh = {.name = xstrdup(name)};
	vec_push(&f->addresses, fresh);
	return &f->addresses.p[f->addresses.len - 1].busy;
}

static int enter(struct ssh_fabric *f, const char *address, struct error *err)
{
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	while (rc == 0 && (f->busy >= f->parallel || *busy_with(f, address) >= PER_ADDRESS)) {
		rc = wait_change(f, err);
	}
	if (rc == 0) {
		f->busy++;
		(*busy_with(f, address))++;
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static void leave(struct ssh_fabric *f, const char *address)
{
	pthread_mutex_lock(&f->lock);
	f->busy--;
	(*busy_with(f, address))--;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

static struct ssh_session *connect_hop(struct ssh_fabric *f, const struct ssh_options *o,
	struct ssh_session *via, int depth, struct error *err);

/* The session of the last jump host; NULL with *err untouched: none is needed. */
static struct ssh_session *connect_jumps(struct ssh_fabric *f, const struct ssh_options *o,
	const struct ssh_target *t, int depth, struct error *err)
{
	struct ssh_session *via = NULL;

	if (t->jumps.len > 0 && depth >= MAX_HOPS) {
		error_set(
			err, ERROR_CONNECT, "jump hosts behind jump hosts, more than %d", MAX_HOPS);
		return NULL;
	}
	for (size_t i = 0; i < t->jumps.len; i++) {
		struct ssh_options hop = *o;
		hop.host = t->jumps.p[i];
		hop.user = NULL;
		hop.port = 0;
		hop.jump = i == 0 && o->jump == NULL ? NULL : "none";
		via = connect_hop(f, &hop, via, depth + 1, err);
		if (via == NULL) {
			error_wrap(err, "jump host '%s'", t->jumps.p[i]);
			return NULL;
		}
	}
	return via;
}

static char *key_of(const struct ssh_target *t, const struct ssh_session *via)
{
	return xasprintf("%s@%s:%d %p %s", t->user, t->hostname, t->port, (const void *)via,
		t->proxy_command != NULL ? t->proxy_command : "");
}

static struct ssh_session *open_slot(struct ssh_fabric *f, const struct ssh_target *t,
	struct ssh_session *via, struct error *err)
{
	CLEANUP_FREE char *address = xasprintf("%s:%d %p", t->hostname, t->port, (const void *)via);
	struct ssh_session *s = NULL;

	if (enter(f, address, err) == 0) {
		s = ssh_session_open(t, via, f->keyring, err);
		leave(f, address);
	}
	return s;
}

static struct ssh_session *connect_target(struct ssh_fabric *f, const struct ssh_options *o,
	const struct ssh_target *t, struct ssh_session *via, int depth, struct error *err)
{
	if (via == NULL && t->jumps.len > 0) {
		via = connect_jumps(f, o, t, depth, err);
		if (via == NULL) {
			error_host(err, t->host);
			return NULL;
		}
	}
	CLEANUP_FREE char *key = key_of(t, via);
	struct entry *e = claim(f, key, err);
	if (e == NULL) {
		return NULL;
	}
	if (!e->connecting) {
		return e->session;
	}
	struct ssh_session *s = open_slot(f, t, via, err);
	settle(f, e, s, via, err);
	return s;
}

static struct ssh_session *connect_hop(struct ssh_fabric *f, const struct ssh_options *o,
	struct ssh_session *via, int depth, struct error *err)
{
	struct ssh_target t;

	if (ssh_target_resolve_cached(o, f->configs, &t, err) < 0) {
		return NULL;
	}
	struct ssh_session *s = connect_target(f, o, &t, via, depth, err);
	ssh_target_fini(&t);
	return s;
}

struct ssh_session *ssh_fabric_connect(
	struct ssh_fabric *f, const struct ssh_options *options, struct error *err)
{
	return connect_hop(f, options, NULL, 0, err);
}
