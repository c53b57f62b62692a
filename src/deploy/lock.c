/* SPDX-License-Identifier: MIT */
#include "lock_owner.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/thread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define LOCK_POLL_MS      1000
#define LOCK_STALE_S      (2 * LOCK_DEAD_S)
#define LOCK_DOUBT_MS     (LOCK_DEAD_S * 1000 / 2) /* without a beat: nothing more is begun */
#define LOCK_DIR_MAX      1000
#define LOCK_VANISHED_MAX 20 /* times that a lock in our way was gone when we looked */

struct lock {
	struct host *host;
	char *dir;
	char token[33];
	bool manual;
	struct strvec stale; /* what dead owners left beside the lock; removed with it */
	pthread_t beater;
	bool beating;
	int stop_fd;
	pthread_mutex_t asking; /* held while a beat of lock_check() is under way; before mutex */
	pthread_mutex_t mutex;  /* guards what follows */
	int64_t last_beat_ms;   /* boot_ms() */
	int64_t last_try_ms;    /* the same, of a beat that lock_check() made */
	bool lost;
	char lost_to[256];
};

/* As the monotonic clock, but a sleeping computer's sleep counts: others saw it silent. */
static int64_t boot_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool lock_owns(const char *name)
{
	return str_eq(name, "lock") || str_starts(name, "lock.") || str_starts(name, "beat.") ||
	       str_starts(name, "now.");
}

/* Whoever was killed between two steps has left these: nobody has touched them for long. */
static void note_stale(struct lock *l, const struct sftp_op *list, uint32_t server_now)
{
	strvec_fini(&l->stale);
	for (size_t i = 0; list->status == SFTP_OK && i < list->entries.len; i++) {
		const struct sftp_entry *e = &list->entries.p[i];
		if (lock_owns(e->name) && strchr(e->name, '.') && !strstr(e->name, l->token) &&
			e->attrs.mtime + LOCK_STALE_S < server_now) {
			strvec_pushf(&l->stale, "%s/%s", l->dir, e->name);
		}
	}
}

/* One attempt. 1: ours; 0: somebody has it; -1. *server_now gets the server's clock. */
static int try_acquire(const struct lock_request *req, struct lock *l, struct sftp_batch *beside,
	uint32_t *server_now, struct error *err)
{
	CLEANUP_FREE char *text = lock_owner_text(req, l->token);
	CLEANUP_FREE char *made = xasprintf("%s/lock.%s", l->dir, l->token);
	CLEANUP_FREE char *owner = xasprintf("%s/%s.json", made, l->token);
	CLEANUP_FREE char *lock = xasprintf("%s/lock", l->dir);
	CLEANUP_FREE char *ours = xasprintf("%s/%s.json", lock, l->token);
	if (!text) {
		return error_set(err, ERROR_INTERNAL, "describe the owner of the lock");
	}
	struct sftp_batch *b = beside ? beside : sftp_batch_new(l->host->sftp);
	struct sftp_op *dir = sftp_mkdirs(b, made, 0700);
	struct sftp_op *written = sftp_append(b, owner, text, strlen(text), 0600);
	/* In the same flight as the owner's text; when that could not be written, it is undone. */
	sftp_follow(b);
	struct sftp_op *renamed = sftp_rename(b, made, lock);
	/* The server works in order: this is how it was when we had the lock already. */
	sftp_follow(b);
	struct sftp_op *watched = req->watch ? sftp_stat(b, req->watch) : NULL;
	struct sftp_op *list = sftp_list(b, l->dir, LOCK_DIR_MAX);
	int result = sftp_run(b, LOCK_IO_MS, err);
	if (watched) {
		*req->watch_size = watched->status == SFTP_OK ? watched->attrs.size : 0;
	}
	/* The folder goes with the last thing in it, perhaps at this very moment: try again. */
	bool vanished = dir->status == SFTP_NOENT ||
			(dir->status == SFTP_OK && written->status == SFTP_NOENT);
	if (result == 0 && !vanished && (dir->status != SFTP_OK || written->status != SFTP_OK)) {
		*err = dir->status != SFTP_OK ? dir->error : written->error;
		result = -1;
	}
	if (result == 0) {
		*server_now = written->attrs.mtime;
		result = renamed->status == SFTP_OK;
		note_stale(l, list, *server_now);
	}
	if (result != 1) {
		struct error ignored = {0};
		if (renamed->status == SFTP_OK) {
			sftp_remove(b, ours);
			sftp_rmdir(b, lock);
		}
		sftp_rmtree(b, made, LOCK_TREE_MAX);
		if (sftp_run(b, LOCK_IO_MS, &ignored) < 0) {
			ui_debug(req->host->ui, req->host->name, "lock: %s", ignored.text);
		}
	}
	if (b != beside) {
		sftp_batch_free(b);
	}
	return result;
}

/* Can only hit the token's own lock: another one's folder is not empty. */
static void queue_removal(struct sftp_batch *b, const char *dir, const char *token)
{
	CLEANUP_FREE char *lock = xasprintf("%s/lock", dir);
	CLEANUP_FREE char *owner = xasprintf("%s/%s.json", lock, token);
	CLEANUP_FREE char *beat = xasprintf("%s/beat.%s", dir, token);
	sftp_remove(b, owner);
	sftp_rmdir(b, lock);
	sftp_remove(b, beat);
}

static int give_back(struct lock *l, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(l->host->sftp);
	queue_removal(b, l->dir, l->token);
	VEC_FOREACH (&l->stale, i) {
		sftp_rmtree(b, l->stale.p[i], LOCK_TREE_MAX);
	}
	if (l->stale.len > 0) {
		sftp_barrier(b);
	}
	sftp_rmdir(b, l->dir); /* stays when there is anything in it, as a history */
	int result = sftp_run(b, LOCK_IO_MS, err);
	sftp_batch_free(b);
	return result;
}

/*
 * Takes the lock of a dead owner away.  When somebody took it over before us nothing happens: the
 * dead one's file is gone, and the folder is not empty.
 */
static int take_away(struct host *h, const char *dir, const char *token, struct error *err)
{
	struct sftp_batch *b = sftp_batch_new(h->sftp);
	queue_removal(b, dir, token);
	int result = sftp_run(b, LOCK_IO_MS, err);
	sftp_batch_free(b);
	return result;
}

int lock_break(struct host *host, const char *dir, struct error *err)
{
	CLEANUP_FREE char *lock = xasprintf("%s/lock", dir);
	if (host_files(host, err) < 0) {
		return -1;
	}
	/* Who waits for it may have it the moment the owner's file is gone: only that, and its
	 * beat, is removed.  A living owner makes its beat anew and finds that it has lost. */
	struct lock_owner owner = {0};
	struct error damaged = {0};
	int held = lock_read_owner(host, dir, 0, &owner, &damaged);
	if (held == 1) {
		held = take_away(host, dir, owner.token, err) < 0 ? -1 : 1;
		lock_owner_fini(&owner);
		return held;
	}
	struct sftp_batch *b = sftp_batch_new(host->sftp);
	struct sftp_op *was = sftp_stat(b, lock);
	struct sftp_op *removed = sftp_rmtree(b, lock, LOCK_TREE_MAX);
	int result = sftp_run(b, LOCK_IO_MS, err);
	if (result == 0 && removed->status != SFTP_OK && removed->status != SFTP_NOENT) {
		*err = removed->error;
		result = -1;
	} else if (result == 0) {
		/* Removing what is not there is no failure. */
		result = was->status == SFTP_OK;
	}
	sftp_batch_free(b);
	return result;
}

/* Who has it now, for somebody who has lost it. */
static void note_loss(struct lock *l)
{
	struct lock_owner owner = {0};
	struct error ignored = {0};
	int held = lock_read_owner(l->host, l->dir, 0, &owner, &ignored);
	pthread_mutex_lock(&l->mutex);
	l->lost = true;
	if (held == 1) {
		snprintf(l->lost_to, sizeof(l->lost_to), "%s on %s", owner.performer, owner.host);
	}
	pthread_mutex_unlock(&l->mutex);
	lock_owner_fini(&owner);
}

/* One beat: grows the file whose mtime is the sign of life, and looks whether the lock is ours. */
static void beat(struct lock *l)
{
	CLEANUP_FREE char *path = xasprintf("%s/beat.%s", l->dir, l->token);
	CLEANUP_FREE char *owner = xasprintf("%s/lock/%s.json", l->dir, l->token);
	struct error ignored = {0};
	struct sftp_batch *b = sftp_batch_new(l->host->sftp);
	struct sftp_op *ours = sftp_stat(b, owner);
	struct sftp_op *grown = sftp_append(b, path, ".", 1, 0600);
	int64_t begun = boot_ms();
	int result = sftp_run(b, LOCK_IO_MS, &ignored);
	if (result == 0 && ours->status == SFTP_NOENT) {
		note_loss(l);
	} else if (result == 0 && ours->status == SFTP_OK && grown->status == SFTP_OK) {
		pthread_mutex_lock(&l->mutex);
		l->last_beat_ms = begun;
		pthread_mutex_unlock(&l->mutex);
	}
	sftp_batch_free(b);
}

static void *beat_loop(void *arg)
{
	struct lock *l = arg;
	cancel_shield_begin(); /* undoing still needs the lock */
	struct pollfd stop = {.fd = l->stop_fd, .events = POLLIN};
	while (poll(&stop, 1, LOCK_BEAT_MS) == 0 || errno == EINTR) {
		if (stop.revents) {
			break;
		}
		beat(l);
	}
	cancel_shield_end();
	return NULL;
}

static int start_beating(struct lock *l, struct error *err)
{
	l->last_beat_ms = boot_ms();
	if (l->manual) {
		return 0;
	}
	int failed = thread_start(&l->beater, beat_loop, l);
	if (failed) {
		return error_sys(err, ERROR_INTERNAL, failed, "start a thread");
	}
	l->beating = true;
	return 0;
}

static void stop_beating(struct lock *l)
{
	if (l->beating) {
		uint64_t one = 1;
		if (write(l->stop_fd, &one, sizeof(one)) == sizeof(one)) {
			pthread_join(l->beater, NULL);
		}
		l->beating = false;
	}
}

static void lock_free(struct lock *l)
{
	stop_beating(l);
	if (l->stop_fd >= 0) {
		close(l->stop_fd);
	}
	pthread_mutex_destroy(&l->mutex);
	pthread_mutex_destroy(&l->asking);
	strvec_fini(&l->stale);
	free(l->dir);
	free(l);
}

static int held_error(const struct lock_owner *o, struct error *err)
{
	char since[CLOCK_RFC3339_SIZE];
	error_set(err, ERROR_LOCKED, "locked by %s on %s since %s: '%s'%s%s", o->performer, o->host,
		clock_rfc3339(o->since_ms, since), o->command, o->message ? ": " : "",
		o->message ? o->message : "");
	return error_hint(err,
		o->manual ? "deploy lock release gives it back"
			  : "wait with --lock-wait, or deploy lock release when it is nobody's");
}

static void tell_dead(const struct lock_request *req, const struct lock_owner *owner)
{
	ui_warn(req->host->ui, req->host->name,
		"the lock's owner is gone (%s on %s, '%s', silent for %ld s): taking it over",
		owner->performer, owner->host, owner->command, owner->silent_s);
}

/* Somebody has it. 1: it was dead and is gone, try again; 0: it lives, *err says who; -1. */
static int look_at_holder(
	const struct lock_request *req, struct lock *l, uint32_t server_now, struct error *err)
{
	struct lock_owner owner = {0};
	int held = lock_read_owner(l->host, l->dir, server_now, &owner, err);
	if (held == 1 && owner.dead) {
		tell_dead(req, &owner);
		held = take_away(l->host, l->dir, owner.token, err) < 0 ? -1 : 1;
	} else if (held == 1) {
		held_error(&owner, err);
		held = 0;
	} else if (held == 0) {
		held = 1; /* given back in between */
	}
	lock_owner_fini(&owner);
	return held;
}

static int pause_or_stop(const struct lock_request *req, struct error *err)
{
	clock_sleep_ms(LOCK_POLL_MS);
	if (req->abandon && atomic_load(req->abandon)) {
		return error_set(err, ERROR_INTERRUPTED, "no longer waited for the lock");
	}
	return cancel_check(err);
}

static int acquire_or_wait(const struct lock_request *req, struct lock *l, struct error *err)
{
	int64_t deadline = clock_mono_ms() + (int64_t)req->wait_s * 1000;
	struct sftp_batch *beside = req->beside;
	bool told = false;
	for (int vanished = 0; vanished < LOCK_VANISHED_MAX;) {
		uint32_t server_now = 0;
		struct error held = {0};
		int got = try_acquire(req, l, beside, &server_now, err);
		beside = NULL;
		if (got != 0) {
			return got == 1 ? 0 : -1;
		}
		int again = look_at_holder(req, l, server_now, &held);
		if (again == 1) {
			vanished++;
			continue;
		}
		if (again < 0 || (req->wait_s >= 0 && clock_mono_ms() >= deadline)) {
			*err = held;
			return -1;
		}
		if (!told) {
			ui_info(req->host->ui, req->host->name, "waiting: %s", held.text);
			told = true;
		}
		if (pause_or_stop(req, err) < 0) {
			return -1;
		}
	}
	error_set(err, ERROR_REMOTE, "the lock '%s/lock' can neither be taken nor read", l->dir);
	return error_hint(err, "deploy lock release removes it");
}

int lock_await_free(const struct lock_request *req, struct error *err)
{
	int64_t deadline = clock_mono_ms() + (int64_t)req->wait_s * 1000;
	for (bool told = false;; told = true) {
		struct lock_owner owner = {0};
		int held = lock_read(req->host, req->dir, &owner, err);
		if (held == 1 && req->own && str_eq(owner.token, req->own->token)) {
			held = 0; /* the lock host by another name */
		}
		if (held == 1 && owner.dead) {
			tell_dead(req, &owner);
			held = take_away(req->host, req->dir, owner.token, err);
			lock_owner_fini(&owner);
			return held < 0 ? -1 : 1;
		}
		if (held == 1) {
			held_error(&owner, err);
		}
		lock_owner_fini(&owner);
		if (held <= 0) {
			return held < 0 ? -1 : told;
		}
		if (req->wait_s >= 0 && clock_mono_ms() >= deadline) {
			return -1;
		}
		if (!told) {
			ui_info(req->host->ui, req->host->name, "waiting: %s", err->text);
		}
		*err = (struct error){0};
		if (pause_or_stop(req, err) < 0) {
			return -1;
		}
	}
}

struct lock *lock_acquire(const struct lock_request *req, struct error *err)
{
	if (host_files(req->host, err) < 0) {
		return NULL;
	}
	struct lock *l = xcalloc(1, sizeof(*l));
	l->host = req->host;
	l->dir = xstrdup(req->dir);
	l->manual = req->manual;
	l->stop_fd = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&l->asking, NULL);
	pthread_mutex_init(&l->mutex, NULL);
	digest_random_hex(16, l->token);
	if (acquire_or_wait(req, l, err) < 0) {
		lock_free(l);
		return NULL;
	}
	if (start_beating(l, err) < 0) {
		lock_release(l);
		return NULL;
	}
	return l;
}

/*
 * A computer that slept has missed its beats: asks, before it thinks that all is lost or well.  The
 * workers of all hosts come here at the same time: one asks, and the others wait for what it hears.
 */
static void beat_if_silent(struct lock *l)
{
	pthread_mutex_lock(&l->asking);
	int64_t now = boot_ms();
	pthread_mutex_lock(&l->mutex);
	bool due = !l->manual && !l->lost && now - l->last_beat_ms > LOCK_DOUBT_MS &&
		   now - l->last_try_ms > LOCK_DOUBT_MS;
	l->last_try_ms = due ? now : l->last_try_ms;
	pthread_mutex_unlock(&l->mutex);
	if (due) {
		beat(l);
	}
	pthread_mutex_unlock(&l->asking);
}

bool lock_is_lost(struct lock *l)
{
	pthread_mutex_lock(&l->mutex);
	bool lost = l->lost;
	pthread_mutex_unlock(&l->mutex);
	return lost;
}

int lock_check(struct lock *l, struct error *err)
{
	beat_if_silent(l);
	pthread_mutex_lock(&l->mutex);
	bool lost = l->lost;
	int64_t silent = boot_ms() - l->last_beat_ms;
	CLEANUP_FREE char *lost_to = xstrdup(l->lost_to);
	pthread_mutex_unlock(&l->mutex);
	if (lost) {
		return error_set(err, ERROR_LOCKED, "the lock was taken away%s%s",
			*lost_to ? " by " : "", lost_to);
	}
	/* Half of what makes us dead for others: what is begun now ends before they think so. */
	if (!l->manual && silent > LOCK_DOUBT_MS) {
		return error_set(err, ERROR_LOCKED,
			"the lock could not be kept alive for %lld s (host '%s' does not answer)",
			(long long)(silent / 1000), l->host->name);
	}
	return 0;
}

void lock_release(struct lock *l)
{
	if (!l) {
		return;
	}
	struct error err = {0};
	cancel_shield_begin();
	stop_beating(l);
	if (give_back(l, &err) < 0) {
		ui_warn(l->host->ui, l->host->name,
			"the lock could not be given back (%s); it ends by itself in %d s",
			err.text, LOCK_DEAD_S);
	}
	cancel_shield_end();
	lock_free(l);
}

void lock_leave(struct lock *l)
{
	lock_free(l);
}
