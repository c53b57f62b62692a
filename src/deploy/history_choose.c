/* SPDX-License-Identifier: MIT */
/* Choosing among the releases on record: what is live where, and what to go back to. */
#include "deploy/history.h"

#include <stdlib.h>
#include <string.h>

const struct release *history_live(const struct history *h)
{
	for (size_t i = h->len; i-- > 0;) {
		if (h->p[i].outcome == RELEASE_LIVE) {
			return &h->p[i];
		}
	}
	return NULL;
}

/* Of two with one number (histories that grew apart): which is more likely meant? */
static bool better(const struct release *r, const struct release *than)
{
	bool live = r->outcome == RELEASE_LIVE, other = than->outcome == RELEASE_LIVE;
	return live != other ? live : r->started_ms >= than->started_ms;
}

/* host NULL: any. */
static const struct release *find(const struct history *h, long number, const char *host)
{
	const struct release *found = NULL;
	for (size_t i = h->len; i-- > 0 && h->p[i].number >= number;) {
		const struct release *r = &h->p[i];
		bool here = !host || r->hosts.len == 0 || strmap_get(&r->hosts, host);
		if (r->number == number && here && (!found || better(r, found))) {
			found = r;
		}
	}
	return found;
}

const struct release *history_find(const struct history *h, long number)
{
	return find(h, number, NULL);
}

const struct release *history_find_on(const struct history *h, long number, const char *host)
{
	const struct release *r = find(h, number, host);
	return r ? r : find(h, number, NULL);
}

const struct release *history_owner(const struct history *h, const struct release *r)
{
	if (r->runs == r->number) {
		return r;
	}
	return history_find_on(h, r->runs, r->hosts.len ? r->hosts.p[0].key : NULL);
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

const struct release *history_latest(const struct history *h, const char *host, const char *role)
{
	const struct release *found = NULL;
	for (size_t i = h->len; i-- > 0;) {
		const struct release *r = &h->p[i];
		if (found && r->number < found->number) {
			break;
		}
		if (r->outcome == RELEASE_LIVE && release_covers(r, host, role) &&
			(!found || better(r, found))) {
			found = r;
		}
	}
	return found;
}

long history_serving(const struct history *h, const char *host, const char *role)
{
	const struct release *r = history_latest(h, host, role);
	return r ? history_runs(h, r, host, role) : 0;
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
	const struct release *owner = r ? history_owner(h, r) : NULL;
	return owner && release_was_good(owner) ? owner : NULL;
}

/* What it replaced when it came; but not one that some hosts never got: that had failed there. */
static const struct release *good_before(const struct history *h, const struct release *r)
{
	const struct release *before = good_owner(h, history_find(h, r->replaced));
	/* The numbers fall, whatever is on record: it ends. */
	while (before && before->stayed.len > 0 && before->number < r->number) {
		r = before;
		before = good_owner(h, history_find(h, r->replaced));
	}
	return before && before->stayed.len == 0 ? before : NULL;
}

const struct release *history_previous_good(const struct history *h, const struct release *live)
{
	const struct release *runs = good_owner(h, live);
	if (!runs) {
		return NULL;
	}
	/* Not what had been left by a rollback before. */
	const struct release *before = good_before(h, runs);
	for (size_t i = h->len; !before && i-- > 0;) {
		/* Not on record, as in a rebuilt history: the order of the numbers is all there is.
		 */
		if (h->p[i].number < runs->number && release_was_good(&h->p[i]) &&
			h->p[i].stayed.len == 0) {
			before = &h->p[i];
		}
	}
	return before;
}
