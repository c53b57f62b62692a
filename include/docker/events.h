/* SPDX-License-Identifier: MIT */
/* Docker: the stream of events, to wait for a container's start, death or health. */
#pragma once

#include "docker/client.h"

struct docker_event {             /* strings live until the next call */
	const char *type;         /* "container", "network", "image", ... */
	const char *action;       /* "start", "die", "health_status: healthy", "oom", ... */
	const char *id;           /* of the container, or the image's name */
	const char *name;         /* of the container, or "" */
	int exit_code;            /* of "die", else -1 */
	int64_t time_ns;          /* since 1970, the server's clock */
	const json_t *attributes; /* labels among them */
};

struct docker_events;

/*
 * filters: type, event, container, label, ...  The daemon watches once this returned: open it, then
 * start the container.  since_ns > 0 gives earlier ones first (the server's clock).
 */
struct docker_events *docker_events_open(struct docker *d, const struct docker_filters *filters,
	int64_t since_ns, struct error *err);
/* 1 with *out; 0 when timeout_ms (-1: for ever) went by; -1 with *err, also when the stream ends.
 */
int docker_events_next(
	struct docker_events *e, struct docker_event *out, int timeout_ms, struct error *err);
int docker_events_fd(const struct docker_events *e); /* for poll; see docker_stream_fd */
void docker_events_close(struct docker_events *e);
