/* SPDX-License-Identifier: MIT */
/*
 * One HTTP/1.1 connection: queued requests go out and answers come in, both at once, in one poll
 * loop.  A streamed body is sent in fixed pieces, chunked with a size of constant width, so that
 * the source reads straight into the piece.
 */
#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_FIRST   ((size_t)16 << 10)
#define IN_MAX     ((size_t)128 << 10) /* more than HTTP_MAX_HEAD */
#define PIECE      ((size_t)256 << 10) /* of a streamed body */
#define PIECE_HEAD 10                  /* "%08x\r\n" */

enum body_kind { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_CLOSE };

struct http_conn {
	int fd;
	char *in;
	size_t in_pos, in_len, in_cap;
	bool eof;
	bool exact; /* never read beyond a head */

	char *out;
	size_t out_pos, out_len, out_cap;
	bool out_broken; /* the peer takes no more; it may still answer */
	const struct http_source *source;
	int64_t source_left; /* -1: chunked */

	/* the current answer */
	int status;
	struct strmap headers;
	enum body_kind kind;
	uint64_t left;
	struct http_chunks chunks;
	bool body_done, keep;

	uint64_t sent, received;
	bool heard;
};

struct http_timer http_timer_start(int64_t window_ms)
{
	return (struct http_timer){window_ms, window_ms < 0 ? 0 : clock_mono_ms() + window_ms};
}

struct http_conn *http_conn_new(int fd)
{
	struct http_conn *c = xcalloc(1, sizeof(*c));
	c->fd = fd;
	c->keep = true;
	c->body_done = true;
	return c;
}

static void drop_out(struct http_conn *c)
{
	if (c->out) {
		explicit_bzero(c->out, c->out_cap); /* bodies hold secrets */
	}
	free(c->out);
	c->out = NULL;
	c->out_pos = c->out_len = c->out_cap = 0;
}

void http_conn_free(struct http_conn *c)
{
	if (!c) {
		return;
	}
	if (c->fd >= 0) {
		close(c->fd);
	}
	drop_out(c);
	if (c->in) {
		explicit_bzero(c->in, c->in_cap); /* answers hold containers' environments */
	}
	free(c->in);
	strmap_fini(&c->headers);
	free(c);
}

int http_conn_fd(const struct http_conn *c)
{
	return c->fd;
}

int http_conn_take_fd(struct http_conn *c)
{
	return take_fd(&c->fd);
}

int http_conn_status(const struct http_conn *c)
{
	return c->status;
}

const struct strmap *http_conn_headers(const struct http_conn *c)
{
	return &c->headers;
}

size_t http_conn_buffered(const struct http_conn *c)
{
	return (c->in_len - c->in_pos) + (c->out_len - c->out_pos);
}

bool http_conn_silent(const struct http_conn *c)
{
	return !c->heard;
}

void http_conn_count(struct http_conn *c, uint64_t *sent, uint64_t *received)
{
	*sent = c->sent;
	*received = c->received;
	c->sent = c->received = 0;
	c->heard = false;
}

/* -- Sending -- */

/* Room for n more bytes; old memory is zeroed, so no realloc. */
static char *out_room(struct http_conn *c, size_t n)
{
	if (c->out_cap - c->out_len < n) {
		size_t cap = c->out_cap ? c->out_cap * 2 : 4096;
		while (cap - c->out_len < n) {
			cap *= 2;
		}
		char *bigger = xcalloc(1, cap);
		if (c->out) {
			memcpy(bigger, c->out, c->out_len);
			explicit_bzero(c->out, c->out_cap);
			free(c->out);
		}
		c->out = bigger;
		c->out_cap = cap;
	}
	return c->out + c->out_len;
}

static void out_add(struct http_conn *c, const void *bytes, size_t n)
{
	memcpy(out_room(c, n), bytes, n);
	c->out_len += n;
}

static void out_text(struct http_conn *c, const char *text)
{
	out_add(c, text, strlen(text));
}

/* A header's value from outside must not end its line. */
static void out_header(struct http_conn *c, const char *name, const char *value)
{
	if (strpbrk(name, "\r\n: ") || strpbrk(value, "\r\n")) {
		return;
	}
	out_text(c, name);
	out_text(c, ": ");
	out_text(c, value);
	out_text(c, "\r\n");
}

static void out_length(struct http_conn *c, int64_t length)
{
	CLEANUP_FREE char *text = xasprintf("Content-Length: %lld\r\n", (long long)length);
	out_text(c, text);
}

void http_conn_request(struct http_conn *c, const struct http_request *req, bool close)
{
	out_text(c, req->method);
	out_text(c, " ");
	out_text(c, req->target);
	out_text(c, " HTTP/1.1\r\n");
	out_header(c, "Host", req->host ? req->host : "docker");
	if (close) {
		out_header(c, "Connection", "close");
	}
	if (req->headers) {
		VEC_FOREACH (req->headers, i) {
			out_header(c, req->headers->p[i].key, req->headers->p[i].value);
		}
	}
	for (size_t i = 0; req->repeated && i < req->repeated->len; i++) {
		out_header(c, req->repeated_name, req->repeated->p[i]);
	}
	if (req->source) {
		c->source = req->source;
		c->source_left = req->source->length;
		if (c->source_left < 0) {
			out_text(c, "Transfer-Encoding: chunked\r\n");
		} else {
			out_length(c, c->source_left);
		}
	} else if (req->body || strcmp(req->method, "GET") != 0) {
		out_length(c, (int64_t)req->body_len);
	}
	out_text(c, "\r\n");
	if (req->body && !req->source) {
		out_add(c, req->body, req->body_len);
	}
}

/* Reads the next piece of the source when everything before it is sent. */
static int refill(struct http_conn *c, struct error *err)
{
	if (!c->source || c->out_pos < c->out_len || c->out_broken) {
		return 0;
	}
	bool chunked = c->source_left < 0;
	size_t n = PIECE;
	if (!chunked && (uint64_t)c->source_left < n) {
		n = (size_t)c->source_left;
	}
	c->out_pos = c->out_len = 0;
	char *piece = out_room(c, PIECE_HEAD + PIECE + 2);
	ssize_t got = n > 0 ? c->source->read(c->source->ctx, piece + PIECE_HEAD, n, err) : 0;
	if (got < 0) {
		return -1;
	}
	if (got == 0) {
		c->source = NULL;
		if (!chunked && c->source_left > 0) {
			return error_set(err, ERROR_INTERNAL, "what is sent ends %lld bytes early",
				(long long)c->source_left);
		}
		if (chunked) {
			out_text(c, "0\r\n\r\n");
		}
		return 0;
	}
	if (chunked) {
		char head[PIECE_HEAD + 1];
		snprintf(head, sizeof(head), "%08x\r\n", (unsigned)got);
		memcpy(piece, head, PIECE_HEAD);
		memcpy(piece + PIECE_HEAD + got, "\r\n", 2);
		c->out_len = PIECE_HEAD + (size_t)got + 2;
	} else {
		c->out_pos = PIECE_HEAD;
		c->out_len = PIECE_HEAD + (size_t)got;
		c->source_left -= got;
	}
	return 0;
}

/* Sends what goes without waiting; never fails: a peer that closed may have answered before. */
static void push_out(struct http_conn *c, struct http_timer *t)
{
	while (c->out_pos < c->out_len && !c->out_broken) {
		ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EINTR) {
				continue;
			}
			c->out_broken = errno != EAGAIN && errno != EWOULDBLOCK;
			return;
		}
		c->out_pos += (size_t)n;
		c->sent += (uint64_t)n;
		if (c->source) {
			*t = http_timer_start(t->window_ms);
		}
	}
	if (!c->source && c->out) {
		drop_out(c);
	}
}

/* -- Receiving -- */

static int remaining_ms(const struct http_timer *t)
{
	if (t->window_ms < 0) {
		return -1;
	}
	int64_t left = t->at - clock_mono_ms();
	return left <= 0 ? 0 : left > 1 << 30 ? 1 << 30 : (int)left;
}

/* Sends, until there is something to read: 1; 0 when the time went by; -1. */
static int wait_in(struct http_conn *c, struct http_timer *t, struct error *err)
{
	for (;;) {
		if (refill(c, err) != 0) {
			return -1;
		}
		push_out(c, t);
		bool pending = !c->out_broken && c->out_pos < c->out_len;
		bool more = !c->out_broken && !pending && c->source;
		short want = (short)(POLLIN | (pending ? POLLOUT : 0));
		struct pollfd p[2] = {
			{.fd = c->fd, .events = want}, {.fd = cancel_fd(), .events = POLLIN}};
		int n = poll(p, 2, more ? 0 : remaining_ms(t));
		if (n < 0 && errno != EINTR) {
			return error_sys(err, ERROR_INTERNAL, errno, "poll");
		}
		if (cancel_check(err) != 0) {
			return -1;
		}
		if (n > 0 && (p[0].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL))) {
			return 1;
		}
		if (n == 0 && !more && remaining_ms(t) == 0) {
			return 0;
		}
	}
}

void http_conn_exact(struct http_conn *c)
{
	c->exact = true;
}

/* How many of the n bytes peeked at behind the buffer belong to the head. */
static size_t up_to_head_end(const struct http_conn *c, size_t n)
{
	size_t have = c->in_len - c->in_pos;
	size_t head = http_head_length(c->in + c->in_pos, have + n);
	return head > have ? head - have : n;
}

/* > 0 bytes, 0 EOF, -1, HTTP_AGAIN. */
static ssize_t receive(
	struct http_conn *c, void *buf, size_t n, struct http_timer *t, struct error *err)
{
	for (;;) {
		int ready = wait_in(c, t, err);
		if (ready <= 0) {
			return ready < 0 ? -1 : HTTP_AGAIN;
		}
		ssize_t got = recv(c->fd, buf, n, MSG_DONTWAIT | (c->exact ? MSG_PEEK : 0));
		if (got > 0 && c->exact) {
			got = recv(c->fd, buf, up_to_head_end(c, (size_t)got), MSG_DONTWAIT);
		}
		if (got > 0) {
			c->received += (uint64_t)got;
			c->heard = true;
			return got;
		}
		if (got == 0 || errno == ECONNRESET || errno == EPIPE) {
			c->eof = true;
			return 0;
		}
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
			return error_sys(err, ERROR_REMOTE, errno, "read from the daemon");
		}
	}
}

/* Reads more behind what is buffered. */
static ssize_t fill(struct http_conn *c, struct http_timer *t, struct error *err)
{
	if (c->in_pos == c->in_len) {
		c->in_pos = c->in_len = 0;
	} else if (c->in_pos > 0 && c->in_len == c->in_cap) {
		memmove(c->in, c->in + c->in_pos, c->in_len - c->in_pos);
		c->in_len -= c->in_pos;
		c->in_pos = 0;
	}
	if (c->in_len == c->in_cap) {
		if (c->in_cap >= IN_MAX) {
			return error_sys(
				err, ERROR_REMOTE, EMSGSIZE, "the answer's head is too large");
		}
		c->in_cap = c->in_cap ? c->in_cap * 2 : IN_FIRST;
		c->in = xrealloc(c->in, c->in_cap);
	}
	ssize_t n = receive(c, c->in + c->in_len, c->in_cap - c->in_len, t, err);
	if (n > 0) {
		c->in_len += (size_t)n;
		if (c->in_pos == 0 && c->in_len == c->in_cap && c->in_cap < IN_MAX) {
			c->in_cap *= 2; /* a stream: read larger pieces */
			c->in = xrealloc(c->in, c->in_cap);
		}
	}
	return n;
}

static bool has_token(const struct strmap *headers, const char *name, const char *token)
{
	const char *value = strmap_get(headers, name);
	return value && strcasestr(value, token);
}

/* Which body follows; RFC 9112, 6.3. */
static int frame_body(struct http_conn *c, bool head_method, bool http10, struct error *err)
{
	const char *length = strmap_get(&c->headers, "content-length");
	c->chunks = (struct http_chunks){0};
	c->left = 0;
	c->keep = !has_token(&c->headers, "connection", "close") && !http10;
	if (head_method || c->status < 200 || c->status == 204 || c->status == 304) {
		c->kind = BODY_NONE;
	} else if (has_token(&c->headers, "transfer-encoding", "chunked")) {
		c->kind = BODY_CHUNKED;
	} else if (length) {
		long n = 0;
		if (str_to_long(length, 0, INT64_MAX, &n) != 0) {
			return error_sys(err, ERROR_REMOTE, EPROTO, "the answer is not HTTP");
		}
		c->kind = BODY_LENGTH;
		c->left = (uint64_t)n;
	} else {
		c->kind = BODY_CLOSE;
		c->keep = false;
	}
	c->body_done = c->kind == BODY_NONE || (c->kind == BODY_LENGTH && c->left == 0);
	return 0;
}

static int no_head(struct http_conn *c, ssize_t n, struct http_timer *t, struct error *err)
{
	if (n == HTTP_AGAIN) {
		return error_sys(err, ERROR_REMOTE, ETIMEDOUT, "no answer within %.1f s",
			(double)t->window_ms / 1000);
	}
	if (n == 0) {
		return error_sys(err, ERROR_REMOTE, ECONNRESET, "%s",
			c->in_pos == c->in_len ? "the connection was closed without an answer"
					       : "the answer breaks off in its head");
	}
	return -1;
}

/* An obviously wrong peer is told at once, not after a time-out. */
static bool looks_wrong(const struct http_conn *c)
{
	static const char start[] = "HTTP/1.";
	size_t n = c->in_len - c->in_pos;
	n = n < sizeof(start) - 1 ? n : sizeof(start) - 1;
	return memcmp(c->in + c->in_pos, start, n) != 0;
}

int http_conn_head(struct http_conn *c, bool head_method, struct http_timer *t, struct error *err)
{
	do {
		size_t len = 0;
		while (c->in_pos == c->in_len ||
			(len = http_head_length(c->in + c->in_pos, c->in_len - c->in_pos)) == 0) {
			if (c->in_len > c->in_pos && looks_wrong(c)) {
				return error_sys(
					err, ERROR_REMOTE, EPROTO, "the answer is not HTTP");
			}
			if (c->in_len - c->in_pos > HTTP_MAX_HEAD) {
				return error_sys(err, ERROR_REMOTE, EMSGSIZE,
					"the answer's head is too large");
			}
			ssize_t n = fill(c, t, err);
			if (n <= 0) {
				return no_head(c, n, t, err);
			}
		}
		strmap_fini(&c->headers);
		const char *head = c->in + c->in_pos;
		if (http_parse_head(head, len, &c->status, &c->headers, err) != 0) {
			return -1;
		}
		bool http10 = head[7] == '0';
		c->in_pos += len;
		if (frame_body(c, head_method, http10, err) != 0) {
			return -1;
		}
	} while (c->status < 200 && c->status != 101);
	return 0;
}

static int broken_off(struct http_conn *c, struct error *err)
{
	c->keep = false;
	return error_sys(err, ERROR_REMOTE, ECONNRESET, "the answer breaks off");
}

static ssize_t body_plain(
	struct http_conn *c, void *buf, size_t n, struct http_timer *t, struct error *err)
{
	if (c->kind == BODY_LENGTH && c->left < n) {
		n = (size_t)c->left;
	}
	size_t have = c->in_len - c->in_pos;
	ssize_t got;
	if (have > 0) {
		got = (ssize_t)(have < n ? have : n);
		memcpy(buf, c->in + c->in_pos, (size_t)got);
		c->in_pos += (size_t)got;
	} else {
		got = receive(c, buf, n, t, err);
	}
	if (got == 0) {
		c->body_done = true;
		return c->kind == BODY_CLOSE ? 0 : broken_off(c, err);
	}
	if (got > 0 && c->kind == BODY_LENGTH) {
		c->left -= (uint64_t)got;
		c->body_done = c->left == 0;
	}
	return got;
}

/* Decodes as much of what is buffered as fits. */
static ssize_t decode_chunks(struct http_conn *c, char *buf, size_t n, struct error *err)
{
	size_t done = 0;
	while (done < n && c->in_pos < c->in_len && !c->chunks.done) {
		const char *data;
		size_t len;
		size_t room = n - done;
		size_t have = c->in_len - c->in_pos;
		/* Data is never longer than what went in, so it fits. */
		ssize_t used = http_chunks_feed(
			&c->chunks, c->in + c->in_pos, have < room ? have : room, &data, &len);
		if (used < 0) {
			c->keep = false;
			return error_sys(err, ERROR_REMOTE, EPROTO, "the answer is not HTTP");
		}
		memcpy(buf + done, data, len);
		done += len;
		c->in_pos += (size_t)used;
	}
	c->body_done = c->chunks.done;
	return (ssize_t)done;
}

ssize_t http_conn_body(
	struct http_conn *c, void *buf, size_t n, struct http_timer *t, struct error *err)
{
	if (c->body_done || n == 0) {
		return 0;
	}
	if (c->kind != BODY_CHUNKED) {
		return body_plain(c, buf, n, t, err);
	}
	for (;;) {
		ssize_t got = decode_chunks(c, buf, n, err);
		if (got != 0 || c->body_done) {
			return got;
		}
		ssize_t more = fill(c, t, err);
		if (more <= 0) {
			return more == 0 ? broken_off(c, err) : more;
		}
	}
}

int http_conn_collect(struct http_conn *c, struct str *out, struct http_timer *t, struct error *err)
{
	char buf[16384];
	if (c->kind == BODY_LENGTH && c->left > out->max - out->len) {
		c->keep = false;
		return error_sys(err, ERROR_REMOTE, EMSGSIZE, "the answer of %llu bytes",
			(unsigned long long)c->left);
	}
	for (;;) {
		ssize_t n = http_conn_body(c, buf, sizeof(buf), t, err);
		if (n == HTTP_AGAIN) {
			c->keep = false;
			return error_sys(err, ERROR_REMOTE, ETIMEDOUT,
				"the answer was not complete within %.1f s",
				(double)t->window_ms / 1000);
		}
		if (n <= 0) {
			return (int)n;
		}
		if (str_addn(out, buf, (size_t)n) != 0) {
			c->keep = false;
			return error_sys(err, ERROR_REMOTE, EMSGSIZE,
				"the answer is larger than %zu MiB", out->max >> 20);
		}
	}
}

bool http_conn_reusable(const struct http_conn *c)
{
	return c->fd >= 0 && c->keep && c->body_done && !c->eof && !c->source && !c->out_broken &&
	       c->out_pos == c->out_len && c->in_pos == c->in_len;
}

bool http_conn_alive(const struct http_conn *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}
