/* SPDX-License-Identifier: MIT */
/*
 * The release history: pure parts (parsing, merging, choosing).  Reading and writing it on servers
 * is deploy/record.h.
 *
 * On every server of a service lies `releases.jsonl`, one JSON object a line, only ever appended:
 *
 *	{"event":"begin","number":7,"id":"9f...","time":"2026-..Z","command":"push","version":...}
 *	{"event":"end","id":"9f...","time":"...","outcome":"live","image_id":"sha256:...",...}
 *	{"event":"counts","id":"9f...","requests":18212,"failed_requests":0}
 *	{"event":"left","host":"app3","number":8}
 *
 * A release is the fold of its events, joined by its random id.  One without an end is either
 * under way (its lock is held) or was interrupted.  Copies are merged by id: no copy has to know
 * every release.  A line that is no such object, or an end before its begin, is skipped and
 * counted; a torn last line is one of these.
 */
#pragma once

#include "util/error.h"
#include "util/map.h"
#include "util/str.h"
#include "util/vec.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define HISTORY_MAX_BYTES    ((size_t)8 << 20) /* of one copy; older lines are compacted away */
#define HISTORY_COMPACT_AT   ((size_t)1 << 20)
#define HISTORY_COMPACT_TO   ((size_t)256 << 10) /* so that it is not compacted each time */
#define HISTORY_COMPACT_KEEP 500                 /* older releases, without their configuration */
#define RELEASE_ID_HEX       16

enum release_outcome {
	RELEASE_PENDING,     /* begun, no end on record */
	RELEASE_LIVE,        /* took the traffic (superseded by the next one of this kind) */
	RELEASE_FAILED,      /* refused; nothing had moved, or all moved back */
	RELEASE_INTERRUPTED, /* its tool died or was stopped; undone */
};

struct release {
	long number; /* from 1 */
	char *id;    /* RELEASE_ID_HEX hex digits */
	enum release_outcome outcome;
	char *command;                   /* "push", "rollback", "setup" */
	char *version;                   /* of the image */
	char *commit;                    /* full id, or NULL */
	char *subject;                   /* of the commit, or NULL */
	char *performer;                 /* who: git's user.email, or user name */
	char *operator_host;             /* from where */
	char *lock_host;                 /* the server that its lock was on, or NULL */
	int64_t started_ms, finished_ms; /* operator's clock; finished 0: no end on record */
	char *image;                     /* reference */
	char *image_id;                  /* or NULL before it is known */
	char *config_digest;             /* or NULL */
	long runs;     /* release whose containers serve: its own number, or that rolled back to */
	long replaced; /* number that was live before, 0: none */
	char *error;   /* why it failed, or NULL */
	struct strmap hosts; /* host -> "ok" or what happened; those that it was for (empty: all) */
	struct strmap
		stayed;      /* a live one of a rolling push: hosts that it did not get to -> why */
	struct strvec roles; /* those that it was for, when --roles chose; empty: all */
	json_t *config;      /* resolved manifest without secrets, or NULL */
	struct strmap snapshots; /* "accessory@host" -> backup that was taken before its command */
	struct strmap env_digests;         /* secret name -> keyed digest, never the value */
	int64_t requests, failed_requests; /* during the switch; -1: not counted */
	int64_t bytes_sent;
	char *ran; /* the release command of a push, the rollback command of a rollback; NULL: none
		    */
	int ran_status; /* its exit code; -1: it did not end by itself, or is not known to have */
	int64_t ran_ms;
	long undoes; /* rollback: release whose command that takes back, also when it was not begun
			yet */
	bool restores;  /* rollback: the data too, to what the release that came back has left */
	bool recovered; /* rebuilt from containers, or ended by repair */
};

struct history {
	struct release *p; /* sorted by number */
	size_t len, cap;
	struct strmap left; /* host -> number of the newest release when it left; see below */
	uint32_t *slots;    /* by id: positions in `p` from 1 on, 0 is free */
	size_t n_slots;
	bool unsorted;
	size_t skipped_lines; /* not valid */
	bool torn;            /* the last line had no newline */
};

void history_init(struct history *h);
void history_fini(struct history *h);
void release_fini(struct release *r);
/* Deep copy. */
void release_copy(struct release *to, const struct release *from);

/* Parses a copy of the file and merges its events into `h`. Never fails: see skipped_lines. */
void history_parse(struct history *h, const char *text, size_t len);
/* Adds what `from` knows and `h` does not. */
void history_merge(struct history *h, const struct history *from);
/* Adds (or replaces, by id) one release. Takes a copy. */
void history_put(struct history *h, const struct release *r);

/* Appends the line(s) that `copy` lacks to say all that `h` says; "" when it has everything. */
void history_missing(const struct history *h, const struct history *copy, struct str *out);

/* The lines of one event, newline-terminated. */
void history_begin_line(const struct release *r, struct str *out);
void history_end_line(const struct release *r, struct str *out);

/* The release that is live: the last one that took the traffic; NULL when there is none. */
const struct release *history_live(const struct history *h);
/*
 * The release of that number.  Histories that grew apart may have two: the one that took the
 * traffic counts, then the later one; with a host (or NULL), first the one that was for it.
 */
const struct release *history_find(const struct history *h, long number);
const struct release *history_find_on(const struct history *h, long number, const char *host);
const struct release *history_find_id(const struct history *h, const char *id);
/* The release whose containers run while `r` is live; NULL: not on record. */
const struct release *history_owner(const struct history *h, const struct release *r);

/*
 * Hosts that left the manifest: those that a live release was for, and from which `remove` took
 * the service since then, have left it at that release's number (0: not at all).
 */
long history_left_at(const struct history *h, const char *host);
void history_leave(struct history *h, const char *host, long number);

/* Was it (or is it, when pending) for this role on this host? */
bool release_covers(const struct release *r, const char *host, const char *role);
/*
 * The release whose containers run as `role` on `host` while `r` is live.  Mostly r->runs; but to
 * go back to a release that --hosts or --roles kept from here is to go back to what ran here then.
 */
long history_runs(
	const struct history *h, const struct release *r, const char *host, const char *role);
/* The newest release that took the traffic of `role` on `host`; NULL: none. */
const struct release *history_latest(const struct history *h, const char *host, const char *role);
/* The release whose containers serve as `role` on `host` now; 0: none.  Hosts and roles may differ:
 * pushes with --hosts or --roles move only a part. */
long history_serving(const struct history *h, const char *host, const char *role);
/* A number ("7", "v7") or a version or an unambiguous beginning of one; the newest such. */
const struct release *history_lookup(const struct history *h, const char *what);
long history_next_number(const struct history *h);
/*
 * Where `rollback` without an argument goes: to what the release whose containers run while `live`
 * is live (NULL: no release) replaced when it was pushed; where that is not on record, the newest
 * good one before it.  Going back twice goes back further, never forward to what was left.  NULL
 * when there is none.
 */
const struct release *history_previous_good(const struct history *h, const struct release *live);

/* The newest releases that fit into HISTORY_COMPACT_TO, then of older ones those that took the
 * traffic, without their configuration: lines that parse to a history, in place of all of `h`. */
void history_compacted(const struct history *h, struct str *out);
/* Took the traffic at some time, with containers of its own. */
bool release_was_good(const struct release *r);

/* What the command of a release did to the database's schema, as far as is on record. */
enum release_schema {
	SCHEMA_STAYED,  /* there was none, or it failed */
	SCHEMA_PERHAPS, /* it, or what took it back, was interrupted */
	SCHEMA_MOVED,
	SCHEMA_BACK, /* it ran, and a rollback took it back since then */
};
enum release_schema history_schema(const struct history *h, const struct release *r);
/* "release 5 ran 'bin/rails db:migrate'"; several as "releases 4, 5 ran ...".  Those with a number
 * after `from` (0: all) up to `to`, except `but`, whose schema is `is`, or PERHAPS; "" for none. */
void history_schema_text(const struct history *h, long from, long to, long but,
	enum release_schema is, struct str *out);

/* "release command 'x': exit code 0 after 1.2s", "rollback command 'x' of release 4: ..."; NULL
 * where none ran. The caller frees. */
char *release_ran_text(const struct release *r);

const char *release_outcome_name(enum release_outcome o); /* "pending", "live", ... */
/* All that is on record, for --json. New reference. */
json_t *release_to_json(const struct release *r);
