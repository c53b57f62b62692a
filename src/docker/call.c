/* SPDX-License-Identifier: MIT */
/* Requests with a whole JSON answer, one or several pipelined on a connection. */
#include "internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE ((size_t)1200) /* bytes shown of a daemon's message */

/* One line of printable text. */
static void clean_text(const char *text, size_t len, struct str *out)
{
	bool space = false;
	for (size_t i = 0; i < len && out->len < MAX_MESSAGE; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c <= ' ' || c == 127) {
			space = out->len > 0;
			continue;
		}
		if (space) {
			str_addc(out, ' ');
			space = false;
		}
		str_addc(out, (char)c);
	}
}

/* The daemon's own words: {"message": ".."}; podman has a "cause" beside it. */
static void daemon_message(const char *text, size_t len, struct str *out)
{
	json_error_t je;
	CLEANUP_JSON json_t *j = json_loadb(text, len, 0, &je);
	const char *message = json_str_at(j, "message", NULL);
	if (message) {
		clean_text(message, strlen(message), out);
		return;
	}
	size_t start = 0;
	while (start < len && isspace((unsigned char)text[start])) {
		start++;
	}
	if (start < len && !strchr("{[<\"", text[start])) {
		clean_text(text, len < 300 ? len : 300, out); /* "404 page not found" */
	}
}

int docker_message_error(const char *message, struct error *err)
{
	CLEANUP_STR struct str clean = STR_INIT(MAX_MESSAGE + 8);
	clean_text(message, strlen(message), &clean);
	return error_set(err, ERROR_REMOTE, "%s", str_c(&clean));
}

int docker_status_error(int status, const char *text, size_t len, struct error *err)
{
	CLEANUP_STR struct str message = STR_INIT(MAX_MESSAGE + 8);
	daemon_message(text, len, &message);
	if (message.len > 0) {
		error_set(err, ERROR_REMOTE, "%s", str_c(&message));
	} else {
		error_set(
			err, ERROR_REMOTE, "the daemon answered HTTP %d without a message", status);
	}
	err->status = status;
	return -1;
}

int docker_reply_error(
	struct docker *d, struct http_conn *c, struct http_timer *t, struct error *err)
{
	CLEANUP_STR struct str body = STR_INIT(STR_MAX_LINE);
	struct error ignored = {0}; /* a status without a whole message is still a status */
	(void)d;
	int status = http_conn_status(c);
	if (http_conn_collect(c, &body, t, &ignored) != 0 && ignored.kind == ERROR_INTERRUPTED) {
		*err = ignored;
		return -1;
	}
	return docker_status_error(status, str_c(&body), body.len, err);
}

static void parse_body(const struct str *body, json_t **out, struct error *err)
{
	const char *text = str_c(body);
	size_t len = body->len;
	while (len > 0 && isspace((unsigned char)text[len - 1])) {
		len--;
	}
	if (len == 0 || (len == 2 && memcmp(text, "OK", 2) == 0)) {
		return;
	}
	json_error_t je;
	*out = json_loadb(text, len, JSON_DECODE_ANY, &je);
	if (!*out) {
		error_sys(err, ERROR_REMOTE, EPROTO, "the daemon's answer is not whole JSON");
	}
}

/* -1 only when the connection is of no use any more. */
static int read_answer(
	struct docker *d, struct http_conn *c, struct docker_op *op, struct error *err)
{
	struct http_timer t = http_timer_start(op->timeout_ms ? op->timeout_ms : docker_head_ms(d));
	CLEANUP_STR struct str body = STR_INIT(DOCKER_MAX_JSON);
	if (http_conn_head(c, false, &t, err) != 0 || http_conn_collect(c, &body, &t, err) != 0) {
		return -1;
	}
	op->done = true;
	op->status = http_conn_status(c);
	if (op->status >= 300 && op->status != 304) {
		docker_status_error(op->status, str_c(&body), body.len, &op->err);
	} else {
		parse_body(&body, &op->json, &op->err);
	}
	if (body.p) {
		explicit_bzero(body.p, body.cap); /* may be a container's environment */
	}
	return 0;
}

static void queue(struct docker *d, struct http_conn *c, const struct docker_op *op)
{
	CLEANUP_STR struct str target = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_HEADERS struct strmap headers = {0};
	docker_versioned(d, op->path, &target);
	if (op->headers) {
		strmap_copy(&headers, op->headers);
	}
	if (op->body) {
		strmap_set(&headers, "Content-Type", "application/json");
	}
	http_conn_request(c,
		&(struct http_request){.method = op->method,
			.target = str_c(&target),
			.headers = &headers,
			.body = op->body,
			.body_len = op->body_len},
		false);
}

static bool all_get(const struct docker_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(ops[i].method, "GET") != 0) {
			return false;
		}
	}
	return true;
}

/* On one connection, from sending to the last answer. */
static int exchange(
	struct docker *d, struct http_conn *c, struct docker_op *ops, size_t n, struct error *err)
{
	bool ping = docker_api(d) == 0;
	if (ping && !all_get(ops, n)) {
		if (docker_negotiate(d, c, err) != 0) {
			return -1;
		}
		ping = false;
	}
	if (ping) {
		http_conn_request(
			c, &(struct http_request){.method = "GET", .target = "/_ping"}, false);
	}
	for (size_t i = 0; i < n; i++) {
		queue(d, c, &ops[i]);
	}
	docker_count(d, c, n + ping, 1);
	if (ping && docker_read_ping(d, c, err) != 0) {
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (read_answer(d, c, &ops[i], err) != 0) {
			return -1;
		}
	}
	return 0;
}

int docker_run_ops(struct docker *d, struct docker_op *ops, size_t n, struct error *err)
{
	for (bool fresh = false;; fresh = true) {
		bool reused;
		struct http_conn *c = docker_acquire(d, fresh, &reused, err);
		int rc = -1;
		bool silent = false;
		if (c) {
			rc = exchange(d, c, ops, n, err);
			silent = http_conn_silent(c);
		}
		if (rc == 0) {
			docker_release(d, c);
			return 0;
		}
		http_conn_free(c);
		/* It was closed while it was idle: once more, where asking twice is harmless. */
		if (c && reused && silent && err->sys == ECONNRESET && all_get(ops, n)) {
			*err = (struct error){0};
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			if (!ops[i].done) {
				ops[i].err = *err;
			}
		}
		return -1;
	}
}

void docker_ops_fini(struct docker_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_decref(ops[i].json);
		ops[i].json = NULL;
	}
}

int docker_run_op(struct docker *d, struct docker_op *op, json_t **out, struct error *err)
{
	int rc = docker_run_ops(d, op, 1, err);
	if (rc == 0 && op->err.kind != ERROR_NONE) {
		*err = op->err;
		rc = -1;
	}
	if (rc == 0 && out) {
		*out = op->json;
		op->json = NULL;
	}
	docker_ops_fini(op, 1);
	return rc;
}

int docker_call(struct docker *d, const char *method, const char *path, const json_t *body,
	int timeout_ms, json_t **out, struct error *err)
{
	CLEANUP_FREE char *text = body ? json_text(body) : NULL;
	struct docker_op op = {.method = method,
		.path = path,
		.body = text,
		.body_len = text ? strlen(text) : 0,
		.timeout_ms = timeout_ms};
	return docker_run_op(d, &op, out, err);
}
