/* SPDX-License-Identifier: MIT */
/* Shared by the files of the docker layer. */
#pragma once

#include "docker/client.h"
#include "docker/container.h"
#include "docker/image.h"
#include "docker/network.h"
#include "docker/system.h"

/* -- http_conn.c: one connection -- */

/* A time-out that starts anew whenever the peer takes a piece of a streamed body. */
struct http_timer {
	int64_t window_ms; /* < 0: none */
	int64_t at;        /* monotonic ms */
};
struct http_timer http_timer_start(int64_t window_ms);

#define HTTP_AGAIN DOCKER_AGAIN

struct http_conn;

struct http_conn *http_conn_new(int fd); /* takes fd */
void http_conn_free(struct http_conn *c);
int http_conn_fd(const struct http_conn *c);
int http_conn_take_fd(struct http_conn *c); /* the caller's; the connection is dead then */
/* Queues it; sent by the calls below. A source has to live until the answer is read; nothing can
 * be queued behind it. */
void http_conn_request(struct http_conn *c, const struct http_request *req, bool close);
/* The next answer's head. */
ERROR_CHECKED int http_conn_head(
	struct http_conn *c, bool head_method, struct http_timer *t, struct error *err);
int http_conn_status(const struct http_conn *c);
const struct strmap *http_conn_headers(const struct http_conn *c);
/* > 0, 0 at the end, -1, or HTTP_AGAIN. */
ssize_t http_conn_body(
	struct http_conn *c, void *buf, size_t n, struct http_timer *t, struct error *err);
/* Appends the whole body to out; EMSGSIZE beyond out->max. */
ERROR_CHECKED int http_conn_collect(
	struct http_conn *c, struct str *out, struct http_timer *t, struct error *err);
/* Could another request go over it? */
bool http_conn_reusable(const struct http_conn *c);
/* Is an idle one still open, with nothing unasked to read? */
bool http_conn_alive(const struct http_conn *c);
/* Nothing was received on it since http_conn_count. */
bool http_conn_silent(const struct http_conn *c);
/* From now on no byte behind a head is read: for a descriptor that is handed on. */
void http_conn_exact(struct http_conn *c);
/* Bytes read and not yet taken, or queued and not yet sent. */
size_t http_conn_buffered(const struct http_conn *c);
void http_conn_count(struct http_conn *c, uint64_t *sent, uint64_t *received); /* and resets */

/* -- client.c, pool.c -- */

#define DOCKER_MAX_JSON ((size_t)16 << 20) /* bytes of one JSON answer */
#define DOCKER_IDLE_MAX 8                  /* idle connections kept */

/* One request of a batch. */
struct docker_op {
	const char *method;
	const char *path; /* without version */
	const void *body; /* JSON, or NULL */
	size_t body_len;
	const struct strmap *headers; /* or NULL */
	int timeout_ms;               /* 0: default */
	/* results */
	bool done;
	int status;
	json_t *json; /* or NULL */
	struct error err;
};
/*
 * Sends all on one connection, reads the answers in order. -1 when the connection failed (*err; the
 * ops that got no answer have it too); an HTTP error is in op.err only.
 */
ERROR_CHECKED int docker_run_ops(
	struct docker *d, struct docker_op *ops, size_t n, struct error *err);
/* One of them: its HTTP error is *err; *out (may be NULL) gets the JSON. */
ERROR_CHECKED int docker_run_op(
	struct docker *d, struct docker_op *op, json_t **out, struct error *err);
void docker_ops_fini(struct docker_op *ops, size_t n);

struct http_conn *docker_acquire(struct docker *d, bool fresh, bool *reused, struct error *err);
void docker_release(struct docker *d, struct http_conn *c); /* closes when not reusable */
/* Asks for the version when it is not known. */
ERROR_CHECKED int docker_negotiate(struct docker *d, struct http_conn *c, struct error *err);
int docker_read_ping(struct docker *d, struct http_conn *c, struct error *err);
/* "/v1.41<path>", or the path as it is before the version is known. */
void docker_versioned(struct docker *d, const char *path, struct str *out);
/* Turns the answer on c with a status >= 300 into an error. Returns -1. */
int docker_reply_error(
	struct docker *d, struct http_conn *c, struct http_timer *t, struct error *err);
int docker_message_error(const char *message, struct error *err); /* cleaned and cut */
int docker_status_error(int status, const char *text, size_t len, struct error *err);
int docker_head_ms(struct docker *d);
void docker_count(struct docker *d, struct http_conn *c, uint64_t requests, uint64_t exchanges);

/* -- path.c: request paths -- */

#define DOCKER_MAX_PATH ((size_t)128 << 10)
/* "<prefix><escaped name><suffix>" */
void docker_path(struct str *out, const char *prefix, const char *name, const char *suffix);
void docker_query(struct str *out, const char *key, const char *value); /* adds ?key=value or & */
void docker_query_int(struct str *out, const char *key, int64_t value);
void docker_query_filters(struct str *out, const struct docker_filters *filters);
/* "/containers/create?..." */
void docker_create_path(const struct docker_container_spec *s, struct str *out);
/* "/<verb>?t=10", or without t for the container's own; *wait_ms: how long the answer may take. */
void docker_stop_suffix(
	struct docker *d, const char *verb, int timeout_s, struct str *out, int *wait_ms);
/* X-Registry-Auth (nothing when auth is NULL); end it with docker_headers_fini, which zeroes. */
void docker_add_auth(struct strmap *headers, const struct docker_auth *auth);
void docker_add_auths(struct strmap *headers, const struct docker_auth *auths, size_t n);
void docker_headers_fini(struct strmap *headers);
#define CLEANUP_HEADERS __attribute__((cleanup(docker_headers_fini)))
/* {"username":..,"password":..,"serveraddress":..} */
void docker_auth_body(const struct docker_auth *auth, struct docker_body *out);

/* -- secret_json.c: JSON with secrets in memory that is zeroed -- */

/* Bytes that `len` bytes of text take as a JSON string, with quotes. */
size_t docker_quoted_size(size_t len);
/* Writes it at `to`, without NUL; returns the end. */
char *docker_quote(char *to, const char *text, size_t len);
/* NULL when fine, else why JSON cannot carry it. */
const char *docker_unquotable(const char *text, size_t len);
/*
 * `base` (an object) as text, with one more member "Env": clear, then secrets ("NAME=value"); a
 * secret hides a clear one of its name. Either may be NULL.
 */
ERROR_CHECKED int docker_body_with_env(const json_t *base, const struct strmap *clear,
	const struct secret_map *secrets, struct docker_body *out, struct error *err);

/* -- parse.c: reading JSON -- */

char *docker_js(const json_t *j, const char *path);   /* copy; "" when absent */
char *docker_jskey(const json_t *j, const char *key); /* the same, key taken literally */
void docker_js_strvec(const json_t *array, struct strvec *out);
void docker_js_strmap(const json_t *object, struct strmap *out);
json_t *docker_js_from_strvec(const struct strvec *v);
json_t *docker_js_from_strmap(const struct strmap *m);
int docker_clamp_int(int64_t v);
/* container_run.c: create and connect to further networks; it needs a name. */
ERROR_CHECKED int docker_container_make(
	struct docker *d, const struct docker_container_spec *s, char **id, struct error *err);
json_t *docker_connect_body(const char *container, const struct strvec *aliases);

/* The parse half of each look-up; they never fail on what is missing. */
void docker_parse_info(const json_t *j, struct docker_info *out);
void docker_parse_version(const json_t *j, struct docker_version *out);
void docker_parse_usage(const json_t *j, struct docker_usage *out);
void docker_parse_container(const json_t *j, struct docker_container *out);
void docker_parse_containers(const json_t *j, struct docker_container_list *out);
void docker_parse_image(const json_t *j, struct docker_image *out);
void docker_parse_images(const json_t *j, struct docker_image_list *out);
void docker_parse_network(const json_t *j, struct docker_network *out);
void docker_parse_volume(const json_t *j, struct docker_volume *out);
void docker_parse_volumes(const json_t *j, struct docker_volume_list *out);
void docker_parse_stats(const json_t *j, struct docker_stats *out);

/* network.c: refused for another network of that name, which whoever made it takes away again. */
bool docker_is_twin(const struct error *err);

/* One look-up, as its own call; 404 is an error. The other one with a path of its own. */
ERROR_CHECKED int docker_lookup_path(struct docker *d, enum docker_lookup_kind kind,
	const char *path, const char *name, void *out, struct error *err);
ERROR_CHECKED int docker_lookup_one(struct docker *d, enum docker_lookup_kind kind,
	const char *name, const struct docker_filters *filters, void *out, struct error *err);

/* -- logs.c -- */

#define DOCKER_READ_SIZE ((size_t)64 << 10)
/* Reads framed (or, with a TTY, raw) output to its end. */
ERROR_CHECKED int docker_frames_read(struct docker_stream *s, bool tty, int timeout_ms,
	frames_sink *sink, void *ctx, struct error *err);

/* -- progress.c -- */

/*
 * Reads a stream of progress messages to its end; an "error" message is the error.  `progress` and
 * `on_aux` may be NULL; idle_ms bounds the silence between two.
 */
ERROR_CHECKED int docker_progress_read(struct docker_stream *s, int idle_ms,
	docker_progress_fn *progress, void *ctx, struct error *err);

#define DOCKER_TRANSFER_IDLE_MS (15 * 60 * 1000)
#define DOCKER_BUILD_IDLE_MS    (60 * 60 * 1000)
