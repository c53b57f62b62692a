/* SPDX-License-Identifier: MIT */
#include "util/clock.h"

#include "util/cancel.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static int64_t now_ms(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}

void clock_sleep_ms(int ms)
{
	int64_t end = clock_mono_ms() + ms;

	for (;;) {
		int64_t left = end - clock_mono_ms();
		if (left <= 0 || cancel_requested()) {
			return;
		}
		struct pollfd p = {.fd = cancel_fd(), .events = POLLIN};
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR) {
			return;
		}
	}
}

const char *clock_rfc3339(int64_t wall_ms, char buf[CLOCK_RFC3339_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	int ms = (int)(wall_ms % 1000);
	struct tm tm = {0};

	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 8099) {
		tm = (struct tm){.tm_year = 70, .tm_mday = 1};
	}
	size_t n = strftime(buf, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, CLOCK_RFC3339_SIZE - n, ".%03uZ", (unsigned)ms % 1000);
	return buf;
}

/* Exactly `n` digits at *p in [min, max]; moves *p behind them. */
static bool digits(const char **p, int n, int min, int max, int *out)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		char c = (*p)[i];
		if (c < '0' || c > '9') {
			return false;
		}
		value = value * 10 + (c - '0');
	}
	*p += n;
	*out = value;
	return value >= min && value <= max;
}

static bool literal(const char **p, char a, char b)
{
	if (**p != a && **p != b) {
		return false;
	}
	(*p)++;
	return true;
}

/* ".123456789": the milliseconds of it; none is 0. */
static bool fraction(const char **p, int *ms)
{
	*ms = 0;
	if (**p != '.') {
		return true;
	}
	(*p)++;
	int scale = 100;
	int n = 0;
	for (; **p >= '0' && **p <= '9'; (*p)++, n++) {
		*ms += (**p - '0') * scale;
		scale /= 10;
	}
	return n > 0;
}

/* "Z" or "+02:00": seconds east of UTC. */
static bool offset(const char **p, int *seconds)
{
	int hours = 0;
	int minutes = 0;

	*seconds = 0;
	if (literal(p, 'Z', 'z')) {
		return true;
	}
	int sign = **p == '-' ? -1 : 1;
	if (!literal(p, '+', '-') || !digits(p, 2, 0, 23, &hours) || !literal(p, ':', ':') ||
		!digits(p, 2, 0, 59, &minutes)) {
		return false;
	}
	*seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

int64_t clock_parse_rfc3339(const char *text)
{
	const char *p = text;
	struct tm tm = {0};
	int ms = 0;
	int east = 0;

	bool ok = digits(&p, 4, 1970, 9999, &tm.tm_year) && literal(&p, '-', '-') &&
		  digits(&p, 2, 1, 12, &tm.tm_mon) && literal(&p, '-', '-') &&
		  digits(&p, 2, 1, 31, &tm.tm_mday) && literal(&p, 'T', ' ') &&
		  digits(&p, 2, 0, 23, &tm.tm_hour) && literal(&p, ':', ':') &&
		  digits(&p, 2, 0, 59, &tm.tm_min) && literal(&p, ':', ':') &&
		  digits(&p, 2, 0, 60, &tm.tm_sec) && fraction(&p, &ms) && offset(&p, &east) &&
		  *p == '\0';
	if (!ok) {
		return -1;
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	int64_t at = ((int64_t)timegm(&tm) - east) * 1000 + ms;
	return at < 0 ? -1 : at;
}

const char *clock_duration(int64_t ms, char buf[CLOCK_RFC3339_SIZE])
{
	if (ms < 0) {
		ms = 0;
	}
	long long tenths = (ms + 50) / 100;
	long long s = (ms + 500) / 1000;
	if (tenths < 600) {
		snprintf(buf, CLOCK_RFC3339_SIZE, "%lld.%llds", tenths / 10, tenths % 10);
	} else if (s < 3600) {
		snprintf(buf, CLOCK_RFC3339_SIZE, "%lldm%02llds", s / 60, s % 60);
	} else if (s < 86400) {
		snprintf(buf, CLOCK_RFC3339_SIZE, "%lldh%02lldm", s / 3600, s / 60 % 60);
	} else {
		snprintf(buf, CLOCK_RFC3339_SIZE, "%lldd", s / 86400);
	}
	return buf;
}
