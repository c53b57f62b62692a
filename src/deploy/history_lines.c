/* SPDX-License-Identifier: MIT */
/* The history's lines, as they are appended to a server's copy. */
#include "deploy/history.h"

#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

static void put_text(json_t *j, const char *key, const char *value)
{
	if (value) {
		/* A file's bytes may be no UTF-8 (a commit subject): jansson refuses these. */
		json_t *text = json_string(value);
		json_object_set_new(j, key, text ? text : json_string("?"));
	}
}

static void put_time(json_t *j, const char *key, int64_t ms)
{
	char buf[CLOCK_RFC3339_SIZE];
	json_object_set_new(j, key, json_string(clock_rfc3339(ms, buf)));
}

static void put_map(json_t *j, const char *key, const struct strmap *map)
{
	if (map->len == 0) {
		return;
	}
	json_t *object = json_object();
	for (size_t i = 0; i < map->len; i++) {
		put_text(object, map->p[i].key, map->p[i].value);
	}
	json_object_set_new(j, key, object);
}

static void add_line(struct str *out, json_t *j)
{
	char *text = json_text(j);
	str_add(out, text);
	str_addc(out, '\n');
	free(text);
	json_decref(j);
}

static void put_begin_fields(json_t *j, const struct release *r)
{
	json_object_set_new(j, "number", json_integer(r->number));
	put_text(j, "id", r->id);
	put_text(j, "command", r->command);
	put_text(j, "version", r->version);
	put_text(j, "commit", r->commit);
	put_text(j, "subject", r->subject);
	put_text(j, "performer", r->performer);
	put_text(j, "operator_host", r->operator_host);
	put_text(j, "lock_host", r->lock_host);
	put_text(j, "image", r->image);
	put_text(j, "image_id", r->image_id);
	put_text(j, "config_digest", r->config_digest);
	json_object_set_new(j, "runs", json_integer(r->runs));
	json_object_set_new(j, "replaced", json_integer(r->replaced));
	if (r->undoes) {
		json_object_set_new(j, "undoes", json_integer(r->undoes));
	}
	if (r->restores) {
		json_object_set_new(j, "restores", json_true());
	}
	if (r->recovered) {
		json_object_set_new(j, "recovered", json_true());
	}
	put_map(j, "env_digests", &r->env_digests);
	put_map(j, "hosts", &r->hosts);
	if (r->roles.len > 0) {
		json_t *roles = json_array();
		VEC_FOREACH (&r->roles, i) {
			json_array_append_new(roles, json_string(r->roles.p[i]));
		}
		json_object_set_new(j, "roles", roles);
	}
	if (r->config) {
		json_object_set(j, "config", r->config);
	}
}

static void put_ran(json_t *j, const struct release *r)
{
	if (r->ran) {
		json_t *ran = json_object();
		put_text(ran, "command", r->ran);
		if (r->ran_status >= 0) {
			json_object_set_new(ran, "exit", json_integer(r->ran_status));
		}
		json_object_set_new(ran, "duration_ms", json_integer(r->ran_ms));
		json_object_set_new(j, "ran", ran);
	}
}

static void put_end_fields(json_t *j, const struct release *r)
{
	put_text(j, "error", r->error);
	put_ran(j, r);
	put_map(j, "stayed", &r->stayed);
	put_map(j, "snapshots", &r->snapshots);
	if (r->requests >= 0) {
		json_object_set_new(j, "requests", json_integer(r->requests));
		json_object_set_new(j, "failed_requests", json_integer(r->failed_requests));
	}
	json_object_set_new(j, "bytes_sent", json_integer(r->bytes_sent));
}

void history_begin_line(const struct release *r, struct str *out)
{
	json_t *j = json_object();
	put_text(j, "event", "begin");
	put_time(j, "time", r->started_ms);
	put_begin_fields(j, r);
	add_line(out, j);
}

void history_end_line(const struct release *r, struct str *out)
{
	json_t *j = json_object();
	put_text(j, "event", "end");
	put_time(j, "time", r->finished_ms);
	put_text(j, "id", r->id);
	put_text(j, "outcome", release_outcome_name(r->outcome));
	put_map(j, "hosts", &r->hosts);
	put_text(j, "image", r->image);
	put_text(j, "image_id", r->image_id);
	put_text(j, "config_digest", r->config_digest);
	if (r->recovered) {
		json_object_set_new(j, "recovered", json_true());
	}
	put_end_fields(j, r);
	add_line(out, j);
}

static void counts_line(const struct release *r, struct str *out)
{
	add_line(out, json_pack("{s:s, s:s, s:I, s:I}", "event", "counts", "id", r->id, "requests",
			      (json_int_t)r->requests, "failed_requests",
			      (json_int_t)r->failed_requests));
}

/* A host that left the manifest, and from which the service was taken off. */
static void left_line(const struct history *h, size_t i, struct str *out)
{
	const char *host = h->left.p[i].key;
	add_line(out, json_pack("{s:s, s:s, s:I}", "event", "left", "host", host, "number",
			      (json_int_t)history_left_at(h, host)));
}

json_t *release_to_json(const struct release *r)
{
	json_t *j = json_object();
	put_begin_fields(j, r);
	put_text(j, "outcome", release_outcome_name(r->outcome));
	put_time(j, "started", r->started_ms);
	if (r->finished_ms) {
		put_time(j, "finished", r->finished_ms);
		json_object_set_new(j, "duration_ms", json_integer(r->finished_ms - r->started_ms));
	}
	put_end_fields(j, r);
	return j;
}

void history_missing(const struct history *h, const struct history *copy, struct str *out)
{
	if (copy->torn) {
		str_addc(out, '\n'); /* ends the torn line, which stays as one bad line */
	}
	VEC_FOREACH (&h->left, i) {
		const char *host = h->left.p[i].key;
		if (history_left_at(copy, host) < history_left_at(h, host)) {
			left_line(h, i, out);
		}
	}
	for (size_t i = 0; i < h->len; i++) {
		const struct release *r = &h->p[i];
		const struct release *theirs = history_find_id(copy, r->id);
		if (!theirs) {
			history_begin_line(r, out);
		}
		/* Only an end that the copy would heed: see apply_end(). */
		bool ended = theirs && theirs->outcome != RELEASE_PENDING;
		if (r->outcome != RELEASE_PENDING &&
			(!ended ||
				(r->outcome == RELEASE_LIVE && theirs->outcome != RELEASE_LIVE))) {
			history_end_line(r, out); /* it has the counts too */
		} else if (theirs && theirs->requests < 0 && r->requests >= 0) {
			counts_line(r, out);
		}
	}
}

static void add_both_lines(const struct release *r, struct str *out)
{
	history_begin_line(r, out);
	if (r->outcome != RELEASE_PENDING) {
		history_end_line(r, out);
	}
}

void history_compacted(const struct history *h, struct str *out)
{
	CLEANUP_STR struct str tail = STR_INIT(HISTORY_MAX_BYTES);
	size_t first = h->len;
	while (first > 0 && tail.len < HISTORY_COMPACT_TO) {
		add_both_lines(&h->p[--first], &tail);
	}
	/* A host that pushes with --hosts leave out may serve an old one still. */
	size_t kept = 0;
	for (size_t i = first; i-- > 0;) {
		kept += h->p[i].outcome == RELEASE_LIVE;
	}
	VEC_FOREACH (&h->left, i) {
		left_line(h, i, out);
	}
	for (size_t i = 0; i < h->len; i++) {
		struct release slim = h->p[i]; /* borrows all */
		if (i < first && (slim.outcome != RELEASE_LIVE || kept-- > HISTORY_COMPACT_KEEP)) {
			continue;
		}
		slim.config = i < first ? NULL : slim.config;
		add_both_lines(&slim, out);
	}
}
