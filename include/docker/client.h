/* SPDX-License-Identifier: MIT */
/*
 * Docker Engine API client: the connection.  The calls are in the other headers of this folder.
 *
 * A `struct docker` is one daemon, on this machine or behind SSH: it only knows a function that
 * gives connected descriptors.  It keeps idle connections and uses them again (opening an SSH
 * channel costs a round trip).  All calls are thread-safe: each takes a connection of its own from
 * the pool.  Round trips: the version is asked for with a /_ping in front of the first request, in
 * the same packet when that is a GET (which then goes unversioned); docker_lookup() and a few
 * compound calls (docker_container_run, docker_discard) pipeline several requests on one
 * connection, so that they cost one round trip together.
 *
 * API version: the smaller of DOCKER_API_OURS and the daemon's, at least DOCKER_API_MIN.
 *
 * Errors: ERROR_REMOTE with the daemon's own message and err->status its HTTP status; ERROR_CONNECT
 * when no connection was had; ERROR_REMOTE with err->sys ETIMEDOUT, ECONNRESET, EPROTO (garbage) or
 * EMSGSIZE (too large) otherwise; ERROR_INTERRUPTED when cancelled.  The host is not
 * named here: the top of a host's work does it once (error_host with docker_host).
 */
#pragma once

#include "docker/http.h"
#include "secrets/secret.h"
#include "util/error.h"
#include "util/json.h"
#include "util/map.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

#define DOCKER_API_OURS 47 /* 1.47, Docker 27.3 */
#define DOCKER_API_MIN  40 /* 1.40, Docker 19.03 */

struct docker_dialer {
	/* A fresh connected stream descriptor, now the caller's; -1 with *err. Thread-safe. */
	int (*dial)(void *ctx, struct error *err);
	void *ctx;
};

/* This machine's daemon: $DOCKER_HOST when unix://, else /var/run/docker.sock, else the rootless
 * $XDG_RUNTIME_DIR/docker.sock, else podman's, the user's or root's. ctx is not used. */
int docker_dial_local(void *ctx, struct error *err);

struct docker;

/* Does not connect yet. `host`: its name, or NULL; both arguments are copied. */
struct docker *docker_new(const struct docker_dialer *dialer, const char *host);
const char *docker_host(const struct docker *d); /* as given, borrowed */
void docker_free(struct docker *d); /* closes idle connections; no call may be running */

/* Opens a connection for a later call when none is idle; errors are ignored. */
void docker_warm(struct docker *d);

/* Time to an answer's head (default 60 s; calls that wait by nature add to it). */
void docker_set_timeout(struct docker *d, int head_ms);

struct docker_counters {
	uint64_t dials; /* connections opened */
	uint64_t requests;
	uint64_t exchanges; /* batches of requests sent and awaited: round trips in sequence */
	uint64_t bytes_sent, bytes_received;
};
void docker_counters(struct docker *d, struct docker_counters *out);

/* The negotiated version's minor number (41 for 1.41); 0 before the first answer. */
int docker_api(struct docker *d);

struct docker_ping {
	int api;     /* the daemon's, minor number */
	int builder; /* 1 classic, 2 BuildKit: what it prefers; 0 not said */
	bool experimental;
	bool podman;      /* podman's compatible API */
	char os[32];      /* "linux" */
	char server[128]; /* "Docker/20.10.24 (linux)" */
};
/* Asks again when `fresh`, else what is known from the first answer. */
ERROR_CHECKED int docker_ping(
	struct docker *d, bool fresh, struct docker_ping *out, struct error *err);

/* Filters as the API takes them: {"label":["a=b"],"reference":[...]}. Zero is none. */
struct docker_filter {
	const char *key;
	const char *value;
};
VEC_TYPE(docker_filters, struct docker_filter); /* borrowed strings; vec_push, vec_fini */

/* Registry login, sent with each call that needs it and kept nowhere. */
struct docker_auth {
	const char *server; /* "ghcr.io"; NULL: Docker Hub */
	const char *username;
	const struct secret *password;
};

/* A step of pull, push, load or build as the daemon tells it; strings are borrowed, may be NULL. */
struct docker_progress {
	const char *id;         /* layer */
	const char *status;     /* "Downloading" */
	const char *stream;     /* output of a build, "Loaded image: ..." */
	int64_t current, total; /* bytes; -1 when not said */
	const json_t *aux;      /* {"ID":"sha256:.."}, {"Tag","Digest","Size"}; or NULL */
};
typedef void docker_progress_fn(void *ctx, const struct docker_progress *p);

/* -- Plain calls, for what has no function of its own -- */

/*
 * One request with a whole, bounded answer. path without the version ("/containers/json?all=1").
 * *out (may be NULL) gets the parsed JSON, or NULL for an empty body; the caller's. An HTTP status
 * of 400 and more is an error; 304 is success.  timeout_ms 0: the default.
 */
ERROR_CHECKED int docker_call(struct docker *d, const char *method, const char *path,
	const json_t *body, int timeout_ms, json_t **out, struct error *err);

/*
 * A streamed answer.  Pull style: the descriptor below becomes readable when there is something,
 * but ask docker_stream_read first, which may hold bytes already.
 */
struct docker_stream;

struct docker_stream_request {
	const char *method;
	const char *path;
	const struct strmap *headers; /* or NULL */
	const char *repeated_name;    /* a header sent once for each value, or NULL */
	const struct strvec *repeated;
	const void *body; /* or NULL */
	size_t body_len;
	const struct http_source *source; /* or NULL; sent while the answer is already read */
	int head_timeout_ms;              /* 0: default; -1: none */
};
/* Sends it (a source only partly) and waits for the head; an HTTP error is an error here. With a
 * source that the peer answers early, docker_stream_read goes on sending. */
struct docker_stream *docker_stream_open(
	struct docker *d, const struct docker_stream_request *req, struct error *err);
/* > 0 bytes; 0 the end; -1 with *err; DOCKER_AGAIN when timeout_ms (-1: for ever) went by. */
#define DOCKER_AGAIN (-2)
ssize_t docker_stream_read(
	struct docker_stream *s, void *buf, size_t n, int timeout_ms, struct error *err);
int docker_stream_fd(const struct docker_stream *s);
const char *docker_stream_header(const struct docker_stream *s, const char *lower_case_name);
/* A connection whose answer is not read to its end is closed, which the daemon takes as cancel. */
void docker_stream_close(struct docker_stream *s);
static inline void cleanup_docker_stream_(struct docker_stream **s)
{
	docker_stream_close(*s);
}
#define CLEANUP_DOCKER_STREAM __attribute__((cleanup(cleanup_docker_stream_)))

/*
 * Takes a connection over: sends the request with the given headers (Connection: Upgrade, ...),
 * accepts 101 or 200, and returns the descriptor, positioned behind the head; the caller's.
 */
ERROR_CHECKED int docker_hijack(
	struct docker *d, const struct docker_stream_request *req, struct error *err);
