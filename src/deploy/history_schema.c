/* SPDX-License-Identifier: MIT */
/* What the commands of releases did to the database's schema. */
#include "deploy/history.h"

#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>

/* The command that a release was to run, as its manifest said. */
static const char *command_of(const struct release *r)
{
	const json_t *release = json_object_get(r->config, "release");
	return r->ran ? r->ran : json_string_value(json_object_get(release, "command"));
}

/* What ran is put on record at the end; one who dies before it leaves it open, and a repair knows
 * that what is live has passed it. */
static enum release_schema moved_by(const struct release *r)
{
	if (r->ran) {
		return r->ran_status == 0  ? SCHEMA_MOVED
		       : r->ran_status < 0 ? SCHEMA_PERHAPS
					   : SCHEMA_STAYED;
	}
	if (!command_of(r) && !r->undoes) {
		return SCHEMA_STAYED;
	}
	return r->outcome == RELEASE_INTERRUPTED            ? SCHEMA_PERHAPS
	       : r->outcome == RELEASE_LIVE && r->recovered ? SCHEMA_MOVED
							    : SCHEMA_STAYED;
}

static bool is_rollback(const struct release *r)
{
	return r->runs != r->number || r->undoes > 0;
}

enum release_schema history_schema(const struct history *h, const struct release *r)
{
	enum release_schema is = is_rollback(r) ? SCHEMA_STAYED : moved_by(r);
	for (size_t i = 0; is != SCHEMA_STAYED && i < h->len; i++) {
		const struct release *later = &h->p[i];
		if (later->number <= r->number) {
			continue;
		}
		if (later->restores && later->runs < r->number && later->outcome == RELEASE_LIVE) {
			is = SCHEMA_BACK;
		} else if (later->undoes == r->number) {
			enum release_schema undone = moved_by(later);
			is = undone == SCHEMA_MOVED     ? SCHEMA_BACK
			     : undone == SCHEMA_PERHAPS ? SCHEMA_PERHAPS
							: is;
		}
	}
	return is;
}

void history_schema_text(const struct history *h, long from, long to, long but,
	enum release_schema is, struct str *out)
{
	const char *last = NULL;
	CLEANUP_STR struct str numbers = STR_INIT(STR_MAX_LINE);
	int n = 0;
	for (size_t i = 0; i <= h->len; i++) {
		const struct release *r = i < h->len ? &h->p[i] : NULL;
		if (r && (r->number <= from || r->number > to || r->number == but)) {
			continue;
		}
		enum release_schema has = r ? history_schema(h, r) : SCHEMA_STAYED;
		if (r && has != is && has != SCHEMA_PERHAPS) {
			continue;
		}
		if (n > 0 && (!r || !str_eq(command_of(r), last))) {
			str_addf(out, "%srelease%s %s ran '%s'", out->len ? "; " : "",
				n > 1 ? "s" : "", str_c(&numbers), last);
			str_reset(&numbers);
			n = 0;
		}
		if (r) {
			str_addf(&numbers, "%s%ld%s", n > 0 ? ", " : "", r->number,
				has == SCHEMA_PERHAPS ? " (perhaps: interrupted)" : "");
			last = command_of(r);
			n++;
		}
	}
}

char *release_ran_text(const struct release *r)
{
	char took[CLOCK_RFC3339_SIZE];
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_REPLY);
	if (!r->ran) {
		return NULL;
	}
	str_addf(&text, "%s command '%s'", r->undoes ? "rollback" : "release", r->ran);
	if (r->undoes) {
		str_addf(&text, " of release %ld", r->undoes);
	}
	clock_duration(r->ran_ms, took);
	if (r->ran_status < 0) {
		str_addf(&text, ": stopped after %s", took);
	} else {
		str_addf(&text, ": exit code %d after %s", r->ran_status, took);
	}
	return str_take(&text);
}
