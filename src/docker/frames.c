/* SPDX-License-Identifier: MIT */
#include "docker/frames.h"

#include <string.h>

void frames_init(struct frames *f, bool raw)
{
	memset(f, 0, sizeof(*f));
	f->raw = raw;
	f->stream = FRAMES_STDOUT;
}

/* The head is complete. */
static int start_frame(struct frames *f)
{
	const unsigned char *h = f->head;
	if (h[0] > FRAMES_SYSTEM || h[1] || h[2] || h[3]) {
		return -1;
	}
	f->stream = h[0] == FRAMES_STDIN ? FRAMES_STDOUT : (enum frames_stream)h[0];
	f->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	f->have = 0;
	return 0;
}

int frames_feed(struct frames *f, const void *data, size_t len, frames_sink *sink, void *ctx)
{
	const unsigned char *p = data;
	if (f->raw) {
		return len > 0 ? sink(ctx, FRAMES_STDOUT, data, len) : 0;
	}
	while (len > 0) {
		if (f->left == 0) {
			f->head[f->have++] = *p++;
			len--;
			if (f->have == sizeof(f->head) && start_frame(f) != 0) {
				return -1;
			}
			continue;
		}
		size_t take = f->left < len ? f->left : len;
		f->left -= (uint32_t)take;
		int rc = sink(ctx, f->stream, p, take);
		p += take;
		len -= take;
		if (rc != 0) {
			return rc;
		}
	}
	return 0;
}

bool frames_torn(const struct frames *f)
{
	return !f->raw && (f->have > 0 || f->left > 0);
}
