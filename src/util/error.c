/* SPDX-License-Identifier: MIT */
#include "util/error.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Ends `buf` (of `size`, already cut by vsnprintf) before a torn UTF-8 sequence. */
static void trim_utf8(char *buf)
{
	size_t len = strlen(buf);
	size_t back = 0;

	while (back < 4 && back < len && ((unsigned char)buf[len - 1 - back] & 0xc0) == 0x80) {
		back++;
	}
	if (back == len) {
		return;
	}
	unsigned char lead = (unsigned char)buf[len - 1 - back];
	size_t need = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
	if (back < need) {
		buf[len - 1 - back] = '\0';
	}
}

__attribute__((format(printf, 3, 0))) static void format_cut(
	char *buf, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);

	if (n < 0) {
		buf[0] = '\0';
	} else if ((size_t)n >= size) {
		trim_utf8(buf);
	}
}

/* Appends to a NUL-terminated field. */
static void append_cut(char *buf, size_t size, const char *text)
{
	size_t len = strlen(buf);
	size_t add = strlen(text);

	if (len + add >= size) {
		add = size - 1 - len;
		memcpy(buf + len, text, add);
		buf[len + add] = '\0';
		trim_utf8(buf);
		return;
	}
	memcpy(buf + len, text, add + 1);
}

/* The arguments may point into *err: it is formatted aside first. */
__attribute__((format(printf, 4, 0))) static int set_va(
	struct error *err, enum error_kind kind, int sys, const char *fmt, va_list ap)
{
	char text[sizeof(err->text)];

	assert(err != NULL);
	assert(kind != ERROR_NONE);
	format_cut(text, sizeof(text), fmt, ap);
	memset(err, 0, sizeof(*err));
	err->kind = kind;
	err->sys = sys;
	memcpy(err->text, text, strlen(text) + 1);
	return -1;
}

int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_va(err, kind, 0, fmt, ap);
	va_end(ap);
	return -1;
}

int error_sys(struct error *err, enum error_kind kind, int sys, const char *fmt, ...)
{
	va_list ap;
	char buf[128];

	va_start(ap, fmt);
	set_va(err, kind, sys, fmt, ap);
	va_end(ap);
	append_cut(err->text, sizeof(err->text), ": ");
	append_cut(err->text, sizeof(err->text), strerror_r(sys, buf, sizeof(buf)));
	return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	va_list ap;
	char text[sizeof(err->text)];

	va_start(ap, fmt);
	format_cut(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (err->text[0] != '\0') {
		append_cut(text, sizeof(text), ": ");
		append_cut(text, sizeof(text), err->text);
	}
	memcpy(err->text, text, strlen(text) + 1);
	return -1;
}

int error_hint(struct error *err, const char *fmt, ...)
{
	va_list ap;
	char hint[sizeof(err->hint)];

	va_start(ap, fmt);
	format_cut(hint, sizeof(hint), fmt, ap);
	va_end(ap);
	memcpy(err->hint, hint, strlen(hint) + 1);
	return -1;
}

int error_detail(struct error *err, const char *text, size_t len)
{
	const size_t room = sizeof(err->detail) - 1;
	size_t have = strlen(err->detail);
	char *nul = len ? memchr(text, '\0', len) : NULL;

	if (nul != NULL) {
		len = (size_t)(nul - text);
	}
	bool cut = false;
	if (len > room) {
		text += len - room;
		len = room;
		have = 0;
		cut = true;
	} else if (have + len > room) {
		size_t drop = have + len - room;
		memmove(err->detail, err->detail + drop, have - drop);
		have -= drop;
		cut = true;
	}
	if (len > 0) {
		memcpy(err->detail + have, text, len);
	}
	err->detail[have + len] = '\0';
	/* The first line is torn then: begin at the next one, if there is one. */
	char *newline = cut ? strchr(err->detail, '\n') : NULL;
	if (newline != NULL && newline[1] != '\0') {
		memmove(err->detail, newline + 1, strlen(newline + 1) + 1);
	}
	return -1;
}

int error_host(struct error *err, const char *host)
{
	if (err->host[0] == '\0' && host != NULL) {
		append_cut(err->host, sizeof(err->host), host);
		error_wrap(err, "host %s", host);
	}
	return -1;
}

int error_exit_status(enum error_kind kind)
{
	static const int status[] = {
		[ERROR_NONE] = 0,
		[ERROR_USAGE] = 2,
		[ERROR_MANIFEST] = 3,
		[ERROR_CONNECT] = 4,
		[ERROR_REMOTE] = 5,
		[ERROR_UNHEALTHY] = 6,
		[ERROR_LOCKED] = 7,
		[ERROR_PARTIAL] = 8,
		[ERROR_INTERNAL] = 70,
		[ERROR_INTERRUPTED] = 130,
	};

	assert((size_t)kind < sizeof(status) / sizeof(status[0]));
	return status[kind];
}

const char *error_kind_name(enum error_kind kind)
{
	static const char *const name[] = {
		[ERROR_NONE] = "none",
		[ERROR_USAGE] = "usage",
		[ERROR_MANIFEST] = "manifest",
		[ERROR_CONNECT] = "connect",
		[ERROR_REMOTE] = "remote",
		[ERROR_UNHEALTHY] = "unhealthy",
		[ERROR_LOCKED] = "locked",
		[ERROR_PARTIAL] = "partial",
		[ERROR_INTERNAL] = "internal",
		[ERROR_INTERRUPTED] = "interrupted",
	};

	assert((size_t)kind < sizeof(name) / sizeof(name[0]));
	return name[kind];
}
