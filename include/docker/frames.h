/* SPDX-License-Identifier: MIT */
/*
 * Decoder of Docker's multiplexed output (logs, attach, exec without a TTY): frames of 8 bytes
 * [stream, 0, 0, 0, size as big-endian uint32] and so many bytes.  With a TTY the bytes come raw.
 * https://docs.docker.com/engine/api/v1.41/#tag/Container/operation/ContainerAttach
 *
 * Pure and incremental: any split of the input gives the same bytes per stream; nothing is copied
 * or allocated, so a frame's claimed size costs no memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum frames_stream {
	FRAMES_STDIN = 0, /* never sent by daemons of today; treated as stdout */
	FRAMES_STDOUT = 1,
	FRAMES_STDERR = 2,
	FRAMES_SYSTEM = 3, /* a daemon's error in the middle of a stream */
};

struct frames {
	bool raw; /* TTY: everything is stdout */
	unsigned char head[8];
	size_t have;   /* bytes of the head so far */
	uint32_t left; /* bytes of the frame's content to come */
	enum frames_stream stream;
};

void frames_init(struct frames *f, bool raw);

/* Gets a slice of the input; another number than 0 stops the decoding. */
typedef int frames_sink(void *ctx, enum frames_stream stream, const void *data, size_t len);

/* 0; -1 when the input is not frames (f must not be fed again); or what the sink returned. */
int frames_feed(struct frames *f, const void *data, size_t len, frames_sink *sink, void *ctx);

/* Did the input end inside a frame? */
bool frames_torn(const struct frames *f);
