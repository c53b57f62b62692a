/* SPDX-License-Identifier: MIT */
#include "deploy/history.h"

#include "util/clock.h"
#include "util/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LEFT_MAX 1000 /* hosts that left the manifest */

static const char *const outcome_names[] = {
	[RELEASE_PENDING] = "pending",
	[RELEASE_LIVE] = "live",
	[RELEASE_FAILED] = "failed",
	[RELEASE_INTERRUPTED] = "interrupted",
};

const char *release_outcome_name(enum release_outcome o)
{
	return outcome_names[o];
}

static enum release_outcome outcome_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof(outcome_names) / sizeof(*outcome_names); i++) {
		if (name && strcmp(name, outcome_names[i]) == 0) {
			return (enum release_outcome)i;
		}
	}
	return RELEASE_PENDING;
}

void history_init(struct history *h)
{
	memset(h, 0, sizeof(*h));
}

void release_fini(struct release *r)
{
	free(r->id);
	free(r->command);
	free(r->version);
	free(r->commit);
	free(r->subject);
	free(r->performer);
	free(r->operator_host);
	free(r->lock_host);
	free(r->image);
	free(r->image_id);
	free(r->config_digest);
	free(r->error);
	free(r->ran);
	strmap_fini(&r->hosts);
	strmap_fini(&r->stayed);
	strvec_fini(&r->roles);
	strmap_fini(&r->env_digests);
	strmap_fini(&r->snapshots);
	json_decref(r->config);
	memset(r, 0, sizeof(*r));
}

void release_copy(struct release *to, const struct release *from)
{
	*to = *from;
	to->id = xstrdup(from->id);
	to->command = xstrdup(from->command);
	to->version = xstrdup(from->version);
	to->commit = xstrdup(from->commit);
	to->subject = xstrdup(from->subject);
	to->performer = xstrdup(from->performer);
	to->operator_host = xstrdup(from->operator_host);
	to->lock_host = xstrdup(from->lock_host);
	to->image = xstrdup(from->image);
	to->image_id = xstrdup(from->image_id);
	to->config_digest = xstrdup(from->config_digest);
	to->error = xstrdup(from->error);
	to->ran = xstrdup(from->ran);
	memset(&to->hosts, 0, sizeof(to->hosts));
	strmap_copy(&to->hosts, &from->hosts);
	memset(&to->stayed, 0, sizeof(to->stayed));
	strmap_copy(&to->stayed, &from->stayed);
	to->roles = (struct strvec){0};
	strvec_copy(&to->roles, &from->roles);
	memset(&to->env_digests, 0, sizeof(to->env_digests));
	strmap_copy(&to->env_digests, &from->env_digests);
	memset(&to->snapshots, 0, sizeof(to->snapshots));
	strmap_copy(&to->snapshots, &from->snapshots);
	to->config = json_deep_copy(from->config);
}

void history_fini(struct history *h)
{
	for (size_t i = 0; i < h->len; i++) {
		release_fini(&h->p[i]);
	}
	free(h->p);
	free(h->slots);
	strmap_fini(&h->left);
	history_init(h);
}

/* -- By id: a hash table of positions, with open addressing -- */

static size_t slot_of(const struct history *h, const char *id)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (const char *c = id; *c; c++) {
		hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	}
	size_t slot = (size_t)(hash ^ hash >> 32) & (h->n_slots - 1);
	while (h->slots[slot] && strcmp(h->p[h->slots[slot] - 1].id, id) != 0) {
		slot = (slot + 1) & (h->n_slots - 1);
	}
	return slot;
}

static void index_all(struct history *h)
{
	while (h->n_slots < 2 * h->cap) {
		h->n_slots = h->n_slots ? h->n_slots * 2 : 32;
	}
	free(h->slots);
	h->slots = xcalloc(h->n_slots, sizeof(*h->slots));
	for (size_t i = 0; i < h->len; i++) {
		h->slots[slot_of(h, h->p[i].id)] = (uint32_t)i + 1;
	}
}

static struct release *find_id(const struct history *h, const char *id)
{
	uint32_t at = h->n_slots && id ? h->slots[slot_of(h, id)] : 0;
	return at ? &h->p[at - 1] : NULL;
}

const struct release *history_find_id(const struct history *h, const char *id)
{
	return find_id(h, id);
}

/* In order of number, then of id, so that every machine sorts alike. */
static int by_number(const void *a, const void *b)
{
	const struct release *x = a, *y = b;
	return x->number != y->number ? (x->number < y->number ? -1 : 1) : strcmp(x->id, y->id);
}

/* A zeroed slot at the end; settle() puts it where it belongs. */
static struct release *append(struct history *h, long number, const char *id)
{
	bool grown = h->len == h->cap;
	if (grown) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->p = xrealloc(h->p, h->cap * sizeof(*h->p));
	}
	struct release *r = &h->p[h->len++];
	memset(r, 0, sizeof(*r));
	r->number = number;
	r->id = xstrdup(id);
	if (grown) {
		index_all(h);
	} else {
		h->slots[slot_of(h, id)] = (uint32_t)h->len;
	}
	h->unsorted = h->unsorted || (h->len > 1 && by_number(r - 1, r) > 0);
	return r;
}

static void settle(struct history *h)
{
	if (h->unsorted) {
		qsort(h->p, h->len, sizeof(*h->p), by_number);
		index_all(h);
		h->unsorted = false;
	}
}

static void set_text(char **field, const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	if (text) {
		free(*field);
		*field = xstrdup(text);
	}
}

static void set_map(struct strmap *map, json_t *object)
{
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		if (json_is_string(value)) {
			strmap_set(map, key, json_string_value(value));
		}
	}
}

static void set_list(struct strvec *list, const json_t *array)
{
	size_t i;
	json_t *value;
	json_array_foreach(array, i, value)
	{
		if (json_is_string(value)) {
			strvec_push(list, json_string_value(value));
		}
	}
}

static int64_t time_of(const json_t *j)
{
	int64_t ms = clock_parse_rfc3339(json_str_at(j, "time", ""));
	return ms < 0 ? 0 : ms;
}

static bool valid_id(const char *id)
{
	return id && strlen(id) == RELEASE_ID_HEX &&
	       strspn(id, "0123456789abcdef") == RELEASE_ID_HEX;
}

/* Fields that either event may carry. */
static void apply_common(struct release *r, const json_t *j)
{
	set_text(&r->image, j, "image");
	set_text(&r->image_id, j, "image_id");
	set_text(&r->config_digest, j, "config_digest");
	r->recovered = r->recovered || json_bool_at(j, "recovered", 0);
}

static bool apply_begin(struct history *h, const json_t *j)
{
	const char *id = json_str_at(j, "id", NULL);
	int64_t number = json_int_at(j, "number", 0);
	if (!valid_id(id) || number < 1 || number > 1000000000 ||
		!json_str_at(j, "version", NULL)) {
		return false;
	}
	struct release *r = find_id(h, id);
	if (r) {
		return true; /* known already */
	}
	r = append(h, (long)number, id);
	r->requests = r->failed_requests = -1;
	set_text(&r->command, j, "command");
	set_text(&r->version, j, "version");
	set_text(&r->commit, j, "commit");
	set_text(&r->subject, j, "subject");
	set_text(&r->performer, j, "performer");
	set_text(&r->operator_host, j, "operator_host");
	set_text(&r->lock_host, j, "lock_host");
	r->started_ms = time_of(j);
	r->runs = (long)json_int_at(j, "runs", number);
	r->replaced = (long)json_int_at(j, "replaced", 0);
	r->undoes = (long)json_int_at(j, "undoes", 0);
	r->restores = json_bool_at(j, "restores", 0);
	json_t *config = json_object_get(j, "config");
	if (json_is_object(config) && !r->config) {
		r->config = json_incref(config);
	}
	set_map(&r->env_digests, json_object_get(j, "env_digests"));
	set_map(&r->hosts, json_object_get(j, "hosts"));
	set_list(&r->roles, json_object_get(j, "roles"));
	apply_common(r, j);
	return true;
}

static void apply_ran(struct release *r, const json_t *j)
{
	set_text(&r->ran, j, "command");
	r->ran_status = (int)json_int_at(j, "exit", -1);
	r->ran_ms = json_int_at(j, "duration_ms", 0);
}

static bool apply_end(struct history *h, const json_t *j)
{
	const char *id = json_str_at(j, "id", NULL);
	enum release_outcome outcome = outcome_from_name(json_str_at(j, "outcome", NULL));
	struct release *r = valid_id(id) ? find_id(h, id) : NULL;
	if (!r || outcome == RELEASE_PENDING) {
		return false;
	}
	/* The first end counts; only a live one may overrule what repair thought of it. */
	if (r->outcome != RELEASE_PENDING && outcome != RELEASE_LIVE) {
		return true;
	}
	r->outcome = outcome;
	r->finished_ms = time_of(j);
	set_text(&r->error, j, "error");
	set_map(&r->stayed, json_object_get(j, "stayed"));
	VEC_FOREACH (&r->stayed, i) {
		strmap_del(&r->hosts, r->stayed.p[i].key); /* its begin was for them too */
	}
	set_map(&r->hosts, json_object_get(j, "hosts"));
	set_map(&r->snapshots, json_object_get(j, "snapshots"));
	r->requests = json_int_at(j, "requests", -1);
	r->failed_requests = json_int_at(j, "failed_requests", -1);
	r->bytes_sent = json_int_at(j, "bytes_sent", 0);
	apply_ran(r, json_object_get(j, "ran"));
	apply_common(r, j);
	return true;
}

/* What was counted while the old release was drained, which is after the end is on record. */
static bool apply_counts(struct history *h, const json_t *j)
{
	const char *id = json_str_at(j, "id", NULL);
	struct release *r = valid_id(id) ? find_id(h, id) : NULL;
	int64_t requests = json_int_at(j, "requests", -1);
	int64_t failed = json_int_at(j, "failed_requests", -1);
	if (!r || requests < 0 || failed < 0) {
		return false;
	}
	r->requests = requests;
	r->failed_requests = failed;
	return true;
}

static bool apply_left(struct history *h, const json_t *j)
{
	const char *host = json_str_at(j, "host", NULL);
	int64_t number = json_int_at(j, "number", 0);
	if (!host || number < 1 || number > 1000000000) {
		return false;
	}
	history_leave(h, host, (long)number);
	return true;
}

static bool parse_line(struct history *h, const char *line, size_t len)
{
	struct error ignored = {0};
	CLEANUP_JSON json_t *j = json_parse(line, len, "history", &ignored);
	if (!json_is_object(j)) {
		return false;
	}
	const char *event = json_str_at(j, "event", "");
	if (strcmp(event, "begin") == 0) {
		return apply_begin(h, j);
	}
	if (strcmp(event, "end") == 0) {
		return apply_end(h, j);
	}
	if (strcmp(event, "left") == 0) {
		return apply_left(h, j);
	}
	return strcmp(event, "counts") == 0 && apply_counts(h, j);
}

void history_parse(struct history *h, const char *text, size_t len)
{
	const char *end = text + len;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);
		if (n > 0 && !parse_line(h, text, n)) {
			h->skipped_lines++;
		}
		h->torn = newline == NULL;
		text += n + 1;
	}
	settle(h);
}

static void put(struct history *h, const struct release *r)
{
	struct release *old = find_id(h, r->id);
	struct release copy;
	release_copy(&copy, r);
	if (old) {
		h->unsorted = h->unsorted || old->number != r->number;
		release_fini(old);
		*old = copy;
		return;
	}
	struct release *slot = append(h, r->number, r->id);
	free(slot->id);
	*slot = copy;
}

void history_put(struct history *h, const struct release *r)
{
	put(h, r);
	settle(h);
}

long history_left_at(const struct history *h, const char *host)
{
	long number = 0;
	const char *text = strmap_get(&h->left, host);
	return text && str_to_long(text, 1, 1000000000, &number) == 0 ? number : 0;
}

void history_leave(struct history *h, const char *host, long number)
{
	if (number > history_left_at(h, host) && h->left.len < LEFT_MAX) {
		CLEANUP_FREE char *text = xasprintf("%ld", number);
		strmap_set(&h->left, host, text);
	}
}

void history_merge(struct history *h, const struct history *from)
{
	VEC_FOREACH (&from->left, i) {
		history_leave(h, from->left.p[i].key, history_left_at(from, from->left.p[i].key));
	}
	for (size_t i = 0; i < from->len; i++) {
		const struct release *theirs = &from->p[i];
		struct release *ours = find_id(h, theirs->id);
		bool better = ours && ours->outcome != theirs->outcome &&
			      (ours->outcome == RELEASE_PENDING || theirs->outcome == RELEASE_LIVE);
		if (!ours || better) {
			put(h, theirs);
		} else if (ours->requests < 0) {
			ours->requests = theirs->requests;
			ours->failed_requests = theirs->failed_requests;
		}
	}
	settle(h);
}
