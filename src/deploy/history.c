/* SPDX-License-Identifier: MIT */
#include "deploy/history.h"

#include "util/clock.h"
#include "util/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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
	free(r->image);
	free(r->image_id);
	free(r->config_digest);
	free(r->error);
	strmap_fini(&r->hosts);
	strvec_fini(&r->roles);
	strmap_fini(&r->env_digests);
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
	to->image = xstrdup(from->image);
	to->image_id = xstrdup(from->image_id);
	to->config_digest = xstrdup(from->config_digest);
	to->error = xstrdup(from->error);
	memset(&to->hosts, 0, sizeof(to->hosts));
	strmap_copy(&to->hosts, &from->hosts);
	to->roles = (struct strvec){0};
	strvec_copy(&to->roles, &from->roles);
	memset(&to->env_digests, 0, sizeof(to->env_digests));
	strmap_copy(&to->env_digests, &from->env_digests);
	to->config = json_deep_copy(from->config);
}

void history_fini(struct history *h)
{
	for (size_t i = 0; i < h->len; i++) {
		release_fini(&h->p[i]);
	}
	free(h->p);
	history_init(h);
}

static struct release *find_id(const struct history *h, const char *id)
{
	for (size_t i = h->len; i-- > 0;) {
		if (strcmp(h->p[i].id, id) == 0) {
			return &h->p[i];
		}
	}
	return NULL;
}

/* A zeroed slot, kept in order of number (then of id, so that every machine sorts alike). */
static struct release *insert(struct history *h, long number, const char *id)
{
	if (h->len == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->p = xrealloc(h->p, h->cap * sizeof(*h->p));
	}
	size_t at = h->len;
	while (at > 0 &&
		(h->p[at - 1].number > number ||
			(h->p[at - 1].number == number && strcmp(h->p[at - 1].id, id) > 0))) {
		at--;
	}
	memmove(&h->p[at + 1], &h->p[at], (h->len - at) * sizeof(*h->p));
	h->len++;
	memset(&h->p[at], 0, sizeof(*h->p));
	h->p[at].number = number;
	h->p[at].id = xstrdup(id);
	return &h->p[at];
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
	r = insert(h, (long)number, id);
	r->requests = r->failed_requests = -1;
	set_text(&r->command, j, "command");
	set_text(&r->version, j, "version");
	set_text(&r->commit, j, "commit");
	set_text(&r->subject, j, "subject");
	set_text(&r->performer, j, "performer");
	set_text(&r->operator_host, j, "operator_host");
	r->started_ms = time_of(j);
	r->runs = (long)json_int_at(j, "runs", number);
	r->replaced = (long)json_int_at(j, "replaced", 0);
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
	set_map(&r->hosts, json_object_get(j, "hosts"));
	r->requests = json_int_at(j, "requests", -1);
	r->failed_requests = json_int_at(j, "failed_requests", -1);
	r->bytes_sent = json_int_at(j, "bytes_sent", 0);
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
}

void history_put(struct history *h, const struct release *r)
{
	struct release *old = find_id(h, r->id);
	struct release copy;
	release_copy(&copy, r);
	if (old) {
		release_fini(old);
		*old = copy;
		return;
	}
	struct release *slot = insert(h, r->number, r->id);
	free(slot->id);
	*slot = copy;
}

void history_merge(struct history *h, const struct history *from)
{
	for (size_t i = 0; i < from->len; i++) {
		const struct release *theirs = &from->p[i];
		struct release *ours = find_id(h, theirs->id);
		bool better = ours && ours->outcome != theirs->outcome &&
			      (ours->outcome == RELEASE_PENDING || theirs->outcome == RELEASE_LIVE);
		if (!ours || better) {
			history_put(h, theirs);
		} else if (ours->requests < 0) {
			ours->requests = theirs->requests;
			ours->failed_requests = theirs->failed_requests;
		}
	}
}

static void counts_line(const struct release *r, struct str *out);

void history_missing(const struct history *h, const struct history *copy, struct str *out)
{
	if (copy->torn) {
		str_addc(out, '\n'); /* ends the torn line, which stays as one bad line */
	}
	for (size_t i = 0; i < h->len; i++) {
		const struct release *r = &h->p[i];
		const struct release *theirs = find_id(copy, r->id);
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
	put_text(j, "image", r->image);
	put_text(j, "image_id", r->image_id);
	put_text(j, "config_digest", r->config_digest);
	json_object_set_new(j, "runs", json_integer(r->runs));
	json_object_set_new(j, "replaced", json_integer(r->replaced));
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

static void put_end_fields(json_t *j, const struct release *r)
{
	put_text(j, "error", r->error);
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

const struct release *history_live(const struct history *h)
{
	for (size_t i = h->len; i-- > 0;) {
		if (h->p[i].outcome == RELEASE_LIVE) {
			return &h->p[i];
		}
	}
	return NULL;
}

const struct release *history_find(const struct history *h, long number)
{
	for (size_t i = h->len; i-- > 0;) {
		if (h->p[i].number == number) {
			return &h->p[i];
		}
	}
	return NULL;
}

bool release_covers(const struct release *r, const char *host, const char *role)
{
	return (r->hosts.len == 0 || strmap_get(&r->hosts, host)) &&
	       (r->roles.len == 0 || strvec_has(&r->roles, role));
}

long history_runs(
	const struct history *h, const struct release *r, const char *host, const char *role)
{
	long wanted = r->runs;
	if (wanted == r->number && release_covers(r, host, role)) {
		return wanted;
	}
	for (size_t i = h->len; i-- > 0;) {
		const struct release *p = &h->p[i];
		if (p->number > wanted || p->number >= r->number || p->outcome != RELEASE_LIVE ||
			!release_covers(p, host, role)) {
			continue;
		}
		if (p->runs == p->number) {
			return p->number;
		}
		wanted = p->runs; /* a rollback was what ran here then */
	}
	return r->runs; /* nothing ran here then: a copy of its containers does */
}

long history_serving(const struct history *h, const char *host, const char *role)
{
	for (size_t i = h->len; i-- > 0;) {
		if (h->p[i].outcome == RELEASE_LIVE && release_covers(&h->p[i], host, role)) {
			return history_runs(h, &h->p[i], host, role);
		}
	}
	return 0;
}

const struct release *history_lookup(const struct history *h, const char *what)
{
	long number;
	for (size_t i = h->len; i-- > 0;) {
		if (str_eq(h->p[i].version, what) && release_was_good(&h->p[i])) {
			return &h->p[i];
		}
	}
	if (str_to_long(what + (what[0] == 'v'), 1, 1000000000, &number) == 0 &&
		history_find(h, number)) {
		return history_find(h, number);
	}
	const struct release *found = NULL;
	for (size_t i = h->len; i-- > 0 && strlen(what) >= 4;) {
		const struct release *r = &h->p[i];
		if (str_starts(r->version, what) && release_was_good(r)) {
			if (found && !str_eq(found->version, r->version)) {
				return NULL;
			}
			found = found ? found : r;
		}
	}
	return found;
}

long history_next_number(const struct history *h)
{
	return h->len ? h->p[h->len - 1].number + 1 : 1;
}

bool release_was_good(const struct release *r)
{
	return r->outcome == RELEASE_LIVE && r->runs == r->number;
}

/* The release whose containers `r` brought to life, when it took the traffic. */
static const struct release *good_owner(const struct history *h, const struct release *r)
{
	const struct release *owner = r ? history_find(h, r->runs) : NULL;
	return owner && release_was_good(owner) ? owner : NULL;
}

const struct release *history_previous_good(const struct history *h, const struct release *live)
{
	const struct release *runs = good_owner(h, live);
	if (!runs) {
		return NULL;
	}
	/* What it replaced when it came: not what had been left by a rollback before. */
	const struct release *before = good_owner(h, history_find(h, runs->replaced));
	for (size_t i = h->len; !before && i-- > 0;) {
		/* Not on record, as in a rebuilt history: the order of the numbers is all there is.
		 */
		if (h->p[i].number < runs->number && release_was_good(&h->p[i])) {
			before = &h->p[i];
		}
	}
	return before;
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
	for (size_t i = 0; i < h->len; i++) {
		struct release slim = h->p[i]; /* borrows all */
		if (i < first && (slim.outcome != RELEASE_LIVE || kept-- > HISTORY_COMPACT_KEEP)) {
			continue;
		}
		slim.config = i < first ? NULL : slim.config;
		add_both_lines(&slim, out);
	}
}
