/* SPDX-License-Identifier: MIT */
/* When something runs: the five fields of crontab(5), or a word. */
#include "manifest/syntax.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *const months[] = {
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const struct {
	const char *const *names; /* the first stands for `first` */
	size_t n_names;
	long first, last;
} fields[5] = {
	{NULL, 0, 0, 59},
	{NULL, 0, 0, 23},
	{NULL, 0, 1, 31},
	{months, 12, 1, 12},
	{days, 7, 0, 7},
};

/* At night, when few are there, but not when everybody's jobs run. */
static const struct {
	const char *word, *fields;
} words[] = {
	{"hourly", "17 * * * *"},
	{"daily", "17 3 * * *"},
	{"weekly", "17 3 * * 0"},
	{"monthly", "17 3 1 * *"},
};

const char *syntax_schedule_fields(const char *s)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(s + (*s == '@'), words[i].word) == 0) {
			return words[i].fields;
		}
	}
	return s;
}

/* The number or name of n characters, or -1. */
static long value_of(const char *s, size_t n, size_t field)
{
	char text[8];
	long value;

	if (n == 0 || n >= sizeof(text)) {
		return -1;
	}
	memcpy(text, s, n);
	text[n] = '\0';
	for (size_t i = 0; i < fields[field].n_names; i++) {
		if (strcasecmp(text, fields[field].names[i]) == 0) {
			return fields[field].first + (long)i;
		}
	}
	return str_to_long(text, fields[field].first, fields[field].last, &value) == 0 ? value : -1;
}

/* "*", "a", "a-b", each with "/step". */
static bool item_ok(const char *s, size_t n, size_t field)
{
	const char *slash = memchr(s, '/', n);
	long step;

	if (slash != NULL) {
		char text[8];
		size_t rest = n - (size_t)(slash + 1 - s);

		if (rest == 0 || rest >= sizeof(text)) {
			return false;
		}
		memcpy(text, slash + 1, rest);
		text[rest] = '\0';
		if (str_to_long(text, 1, fields[field].last, &step) != 0) {
			return false;
		}
		n = (size_t)(slash - s);
	}
	if (n == 1 && *s == '*') {
		return true;
	}
	const char *dash = memchr(s, '-', n);

	if (dash == NULL) {
		return slash == NULL && value_of(s, n, field) >= 0;
	}
	long from = value_of(s, (size_t)(dash - s), field);
	long to = value_of(dash + 1, n - (size_t)(dash + 1 - s), field);

	return from >= 0 && to >= from;
}

static bool field_ok(const char *s, size_t n, size_t field)
{
	while (true) {
		const char *comma = memchr(s, ',', n);
		size_t len = comma != NULL ? (size_t)(comma - s) : n;

		if (!item_ok(s, len, field)) {
			return false;
		}
		if (comma == NULL) {
			return true;
		}
		s += len + 1;
		n -= len + 1;
	}
}

/* -- How often -- */

/* Bits of the values that an item (valid) allows. */
static uint64_t item_set(const char *s, size_t n, size_t field)
{
	const char *slash = memchr(s, '/', n);
	long from = fields[field].first, to = fields[field].last, step = 1;
	uint64_t set = 0;

	if (slash != NULL) {
		step = strtol(slash + 1, NULL, 10);
		n = (size_t)(slash - s);
	}
	if (n != 1 || *s != '*') {
		const char *dash = memchr(s, '-', n);

		from = value_of(s, dash != NULL ? (size_t)(dash - s) : n, field);
		to = dash != NULL ? value_of(dash + 1, n - (size_t)(dash + 1 - s), field) : from;
	}
	for (long v = from; v >= 0 && v <= to; v += step) {
		set |= (uint64_t)1 << v;
	}
	return set;
}

struct times {
	uint64_t set[5];
	bool any[5]; /* begins with '*' */
};

static void read_times(const char *s, struct times *t)
{
	memset(t, 0, sizeof(*t));
	for (size_t field = 0; field < 5; field++) {
		s += strspn(s, " \t");
		size_t n = strcspn(s, " \t");

		t->any[field] = *s == '*';
		for (const char *p = s; p < s + n;) {
			size_t len = strcspn(p, ", \t");

			t->set[field] |= item_set(p, len, field);
			p += len + 1;
		}
		s += n;
	}
	t->set[4] |= t->set[4] >> 7 & 1; /* 7 is Sunday too */
}

/* As cron has it: where both days are given, either of them will do. */
static bool day_matches(const struct times *t, const struct tm *tm)
{
	bool day = t->set[2] >> tm->tm_mday & 1;
	bool week = t->set[4] >> tm->tm_wday & 1;

	return (t->set[3] >> (tm->tm_mon + 1) & 1) != 0 &&
	       (t->any[2] || t->any[4] ? day && week : day || week);
}

int64_t syntax_schedule_gap_ms(const char *s)
{
	struct times t;
	int64_t last = -1, gap = 0;

	read_times(s, &t);
	for (int64_t day = 0; day < (int64_t)366 * 9; day++) { /* two leap years */
		time_t seconds = (time_t)(day * 86400);
		struct tm tm;

		gmtime_r(&seconds, &tm);
		for (int64_t minute = 0; day_matches(&t, &tm) && minute < 1440; minute++) {
			if ((t.set[1] >> (minute / 60) & 1) != 0 &&
				(t.set[0] >> (minute % 60) & 1) != 0) {
				int64_t now = day * 1440 + minute;

				gap = last >= 0 && now - last > gap ? now - last : gap;
				last = now;
			}
		}
	}
	return gap * 60000;
}

const char *syntax_schedule(const char *s)
{
	static const char *const wrong[5] = {
		"has a minute that is not 0-59, a list, a range or */n",
		"has an hour that is not 0-23, a list, a range or */n",
		"has a day of the month that is not 1-31, a list, a range or */n",
		"has a month that is not 1-12, jan-dec, a list, a range or */n",
		"has a day of the week that is not 0-7, sun-sat, a list, a range or */n",
	};
	size_t field = 0;

	s = syntax_schedule_fields(s);
	for (s += strspn(s, " \t"); *s != '\0'; field++) {
		size_t n = strcspn(s, " \t");

		if (field == 5) {
			return "has more than five fields";
		}
		if (!field_ok(s, n, field)) {
			return field == 0 && strpbrk(s, " \t") == NULL
				       ? "is neither hourly, daily, weekly, monthly nor five fields"
				       : wrong[field];
		}
		s += n;
		s += strspn(s, " \t");
	}
	return field == 5 ? NULL : "has fewer than five fields";
}
