/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 client over a descriptor that somebody else connected: an SSH channel's socket pair, a
 * unix socket.  No TLS, no name resolution, no proxies.
 *
 * Why not libcurl: linking it costs 7 ms of start-up (measured; `deploy version` has 5 ms), it
 * dropped pipelining, which is what makes several look-ups cost one round trip on one SSH channel
 * (libssh2 opens channels one after the other), and it cannot hand over an upgraded connection.
 *
 * Everything a peer sends is bounded: a head by HTTP_MAX_HEAD, a collected body by the caller's
 * buffer, a streamed one is never kept.  All waits end at their time-out or by util/cancel.h.
 */
#pragma once

#include "util/error.h"
#include "util/map.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_MAX_HEAD ((size_t)64 << 10) /* bytes of status line and headers */

/* A request's body, pulled as the peer takes it. */
struct http_source {
	/* Up to n bytes into buf: their number, 0 at the end, -1 with *err. May block. */
	ssize_t (*read)(void *ctx, void *buf, size_t n, struct error *err);
	void *ctx;
	int64_t length; /* bytes in all, or -1: sent chunked */
};

struct http_request {
	const char *method;           /* "GET" */
	const char *target;           /* "/path?query", percent-encoded (http_escape) */
	const char *host;             /* Host header; NULL: "docker" */
	const struct strmap *headers; /* further ones, or NULL */
	const char *repeated_name;    /* a header that is sent once for each value, or NULL */
	const struct strvec *repeated;
	const void *body; /* bytes, or NULL */
	size_t body_len;
	const struct http_source *source; /* instead of body, or NULL */
};

struct http_reply {
	int status;
	struct strmap headers; /* names in lower case */
	struct str body;       /* at most body.max; set that before, STR_MAX_REPLY when 0 */
};
void http_reply_fini(struct http_reply *r);

/*
 * One request, one whole answer; the connection is not used again (Connection: close), and not
 * closed here.  For health checks and admin APIs.  Fails with ERROR_REMOTE and err->sys ETIMEDOUT,
 * ECONNRESET or EPROTO; an HTTP status is no error.  timeout_ms bounds the whole exchange.
 */
ERROR_CHECKED int http_exchange(int fd, const struct http_request *req, int timeout_ms,
	struct http_reply *reply, struct error *err);

/* Appends text percent-encoded for a path segment or a query value; '/' is kept when asked. */
void http_escape(struct str *out, const char *text, bool keep_slash);

/* -- Pure parts, fuzzed -- */

/*
 * Parses "HTTP/1.1 200 OK\r\nName: value\r\n...\r\n\r\n" (len bytes that include the empty line).
 * -1 with EPROTO when it is not that. headers gets names in lower case; of a repeated name all
 * values, joined by ", ".
 */
ERROR_CHECKED int http_parse_head(
	const char *text, size_t len, int *status, struct strmap *headers, struct error *err);

/* Bytes up to and including the empty line that ends a head; 0: not there yet. */
size_t http_head_length(const char *text, size_t len);

/* Chunked transfer coding, decoded in place of arrival. */
struct http_chunks {
	int state;
	uint64_t left; /* bytes of the current chunk to come */
	size_t line;   /* bytes in the current size line or trailer */
	bool done;     /* the last chunk and its trailers are behind us */
};

/*
 * Eats up to n bytes from `in`.  Returns how many, and points *data, *len at decoded bytes inside
 * `in` (len may be 0); call again with the rest.  -1 when it is not chunked coding.
 */
ssize_t http_chunks_feed(
	struct http_chunks *c, const char *in, size_t n, const char **data, size_t *len);
