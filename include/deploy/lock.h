/* SPDX-License-Identifier: MIT */
/*
 * One deploy at a time for a service and destination.
 *
 * The lock is a folder on the service's lock host (the primary role's first host, whatever filter
 *is used), made under another name with the owner's description in it and then renamed: rename(2)
 * refuses a folder that is not empty, so that exactly one wins, and no lock is ever without owner.
 *
 *	.deploy/<service>/lock/<token>.json   performer, host, pid, command, start
 *	.deploy/<service>/beat.<token>        grows each LOCK_BEAT_MS; its mtime is the server's
 *clock
 *
 * The owner's file bears its token, so that giving back is one round trip which can only hit one's
 * own lock: remove <token>.json, then the folder, which fails when another one's file is in it.
 *
 * An owner is dead when its process is gone (told by somebody on the same machine) or when its beat
 * is older than LOCK_DEAD_S by the server's own clock.  Then the lock is taken over: renamed away,
 * checked, removed.  An owner whose beat finds another's token, or who could not beat in time,
 *knows that it has lost the lock: lock_check() fails, and nothing more is changed.
 */
#pragma once

#include "host/host.h"

#include <stdatomic.h>

#define LOCK_BEAT_MS 5000
#define LOCK_DEAD_S  30

struct lock;

struct lock_owner {
	char token[33];
	char *performer, *host, *command, *message;
	char *machine; /* of the operator's computer, for "is its process gone?" */
	long pid;
	long long pid_start; /* clock ticks since boot: told apart from a reused pid */
	int64_t since_ms;
	long silent_s; /* since its last beat, by the server's clock */
	bool dead;
	bool manual; /* taken by `lock acquire`: does not beat and never dies by itself */
};
void lock_owner_fini(struct lock_owner *o);

struct lock_request {
	struct host *host; /* the lock host */
	const char *dir;   /* names_state_path(c, "") without the last '/' */
	const char *performer, *operator_host, *command;
	const char *message; /* lock acquire -m, or NULL */
	bool manual;
	int wait_s; /* 0: fail at once; -1: for ever */
	/* Operations of the caller that may run beside the first attempt (they see what was there
	 * before the lock was had); or NULL. */
	struct sftp_batch *beside;
	/* A file whose size right after the lock was had is wanted (0: not there); or NULL. */
	const char *watch;
	uint64_t *watch_size;
	const atomic_bool *abandon; /* set: stop waiting (ERROR_INTERRUPTED); or NULL */
	const struct lock *own; /* lock_await_free(): no hindrance, should it be there; or NULL */
};

/*
 * Takes it.  When somebody else holds it: ERROR_LOCKED that names the holder, after wait_s.
 * A dead owner's lock is taken over without a question (told by ui_warn).
 */
ERROR_CHECKED struct lock *lock_acquire(const struct lock_request *req, struct error *err);

/*
 * Waits for a lock on a host that is not the lock host: of somebody whose manifest has another
 * one (the first host was exchanged).  Nothing is taken; a dead owner's is removed.  1: one was
 * there and is gone; 0: none; -1: ERROR_LOCKED when it is held after wait_s.
 */
ERROR_CHECKED int lock_await_free(const struct lock_request *req, struct error *err);

/*
 * -1 with ERROR_LOCKED when it is not ours any more (or could not be kept alive).  Cheap: no
 * traffic, unless the beats have stopped (the computer slept): then it asks, for up to 10 s.
 */
ERROR_CHECKED int lock_check(struct lock *l, struct error *err);

/* Somebody else has taken it, as the server said: not only that the server is silent. */
bool lock_is_lost(struct lock *l);

/* Gives it back, and removes what dead owners left beside it, and the folder when nothing else is
 * in it; bounded in time; a failure is told by ui_warn. Frees. NULL is fine. */
void lock_release(struct lock *l);
/* Leaves a manual lock on the server, frees the rest. */
void lock_leave(struct lock *l);

/* 1: held, *owner filled in; 0: free; -1: error. */
ERROR_CHECKED int lock_read(
	struct host *host, const char *dir, struct lock_owner *owner, struct error *err);
/* `lock release`: takes whoever's lock away. 1: there was one; 0: none. */
ERROR_CHECKED int lock_break(struct host *host, const char *dir, struct error *err);

/* Is this file of a service's folder the lock's? */
bool lock_owns(const char *name);

/* Pure: owner.json from and to text. -1 when it is not one. */
int lock_owner_parse(const char *text, size_t len, struct lock_owner *o);
