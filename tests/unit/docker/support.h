/* SPDX-License-Identifier: MIT */
/* For tests against the real local daemon: connection, an image of busybox, unique names. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "docker/container.h"
#include "docker/image.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK(call, err)                                                                              \
	do {                                                                                       \
		if ((call) != 0) {                                                                 \
			fail_msg("%s: %s", #call, (err).text);                                     \
		}                                                                                  \
	} while (0)

static inline struct docker *support_docker(void)
{
	struct docker_dialer dialer = {.dial = docker_dial_local};
	return docker_new(&dialer, NULL);
}

/* NULL when there is a daemon to test with, else why not. */
static inline const char *support_missing(void)
{
	struct docker *d = support_docker();
	struct docker_ping ping;
	struct error err = {0};
	int rc = docker_ping(d, true, &ping, &err);
	docker_free(d);
	if (rc != 0) {
		return "no Docker daemon answers on this machine";
	}
	return access("/usr/bin/busybox", X_OK) == 0 ? NULL : "no busybox to make an image of";
}

static inline const char *support_name(const char *what)
{
	static char names[64][96];
	static int next;
	char *name = names[next++ % 64];
	snprintf(name, sizeof(names[0]), "deploy-unit-%s-%d", what, (int)getpid());
	return name;
}

/* Bytes in memory as a source. */
struct support_bytes {
	const char *p;
	size_t len, at, piece; /* piece: at most so many a read, 0 = no limit */
};

static inline ssize_t support_read(void *ctx, void *buf, size_t n, struct error *err)
{
	struct support_bytes *b = ctx;
	(void)err;
	size_t left = b->len - b->at;
	n = n < left ? n : left;
	n = b->piece && b->piece < n ? b->piece : n;
	memcpy(buf, b->p + b->at, n);
	b->at += n;
	return (ssize_t)n;
}

static inline void support_add(
	struct archive *a, const char *name, mode_t mode, const void *data, size_t len)
{
	struct archive_entry *e = archive_entry_new();
	archive_entry_set_pathname(e, name);
	archive_entry_set_mode(e, mode);
	archive_entry_set_size(e, (la_int64_t)len);
	archive_write_header(a, e);
	if (len > 0) {
		archive_write_data(a, data, len);
	}
	archive_entry_free(e);
}

/* A tar of /bin/busybox, /bin/sh and /tmp; the caller frees. */
static inline char *support_rootfs(size_t *len)
{
	size_t size = (size_t)8 << 20;
	char *tar = calloc(1, size);
	char *busybox = calloc(1, size);
	FILE *f = fopen("/usr/bin/busybox", "rb");
	size_t n = fread(busybox, 1, size, f);
	fclose(f);
	struct archive *a = archive_write_new();
	archive_write_set_format_pax_restricted(a);
	archive_write_open_memory(a, tar, size, len);
	support_add(a, "tmp", S_IFDIR | 0777, NULL, 0);
	support_add(a, "bin", S_IFDIR | 0755, NULL, 0);
	support_add(a, "bin/busybox", S_IFREG | 0755, busybox, n);
	support_add(a, "bin/sh", S_IFREG | 0755, busybox, n);
	archive_write_close(a);
	archive_write_free(a);
	free(busybox);
	return tar;
}

static inline void support_image(struct docker *d, const char *reference)
{
	struct error err = {0};
	size_t len = 0;
	char *tar = support_rootfs(&len);
	struct support_bytes bytes = {.p = tar, .len = len};
	struct http_source source = {.read = support_read, .ctx = &bytes, .length = -1};
	CLEANUP_STRVEC struct strvec changes = {0};
	strvec_push(&changes, "LABEL made-by=unit");
	strvec_push(&changes, "CMD [\"sh\", \"-c\", \"echo out; echo err >&2; sleep 1000\"]");
	OK(docker_image_import(d, &source, reference, &changes, &err), err);
	free(tar);
}

/* Collects framed output. */
struct support_output {
	struct str out, err;
	int stop_after; /* calls, 0 = never */
};

static inline int support_sink(void *ctx, enum frames_stream stream, const void *data, size_t len)
{
	struct support_output *o = ctx;
	str_addn(stream == FRAMES_STDERR ? &o->err : &o->out, data, len);
	return o->stop_after > 0 && --o->stop_after == 0;
}

#define SUPPORT_OUTPUT                                                                             \
	{                                                                                          \
		.out = STR_INIT(STR_MAX_FILE), .err = STR_INIT(STR_MAX_FILE)                       \
	}
