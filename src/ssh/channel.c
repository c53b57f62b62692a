/* SPDX-License-Identifier: MIT */
/* One channel: bytes between libssh2 and the user's socket pair. Runs on the pump only. */
#include "internal.h"

#include "util/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for what one pass moves; the kernel cuts it to net.core.wmem_max. */
#define SOCKET_BUFFER (1 << 20)

int ssh_socketpair(int pair[2])
{
	const int size = SOCKET_BUFFER;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		pair[0] = pair[1] = -1;
		return errno;
	}
	for (int i = 0; i < 2; i++) {
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	return 0;
}

static void close_fd(int *fd)
{
	cleanup_close_(fd);
	*fd = -1;
}

struct channel *ssh_channel_new(
	struct ssh_session *s, LIBSSH2_CHANNEL *ch, bool with_err, int user[2])
{
	int out[2] = {-1, -1};
	int err[2] = {-1, -1};

	(void)s;
	user[0] = user[1] = -1;
	int rc = ssh_socketpair(out);
	if (rc == 0 && with_err) {
		rc = ssh_socketpair(err);
	}
	if (rc != 0) {
		close_fd(&out[0]);
		close_fd(&out[1]);
		errno = rc;
		return NULL;
	}
	struct channel *c = xcalloc(1, sizeof(*c));
	c->ch = ch;
	c->state = CHANNEL_RUN;
	c->poll_at = -1;
	c->window = SSH_WINDOW;
	c->out.fd = out[0];
	c->err.fd = err[0];
	c->err.id = SSH_EXTENDED_DATA_STDERR;
	user[0] = out[1];
	user[1] = err[1];
	if (with_err) {
		(void)shutdown(err[0], SHUT_RD); /* nobody writes to stderr's descriptor */
	} else {
		(void)libssh2_channel_handle_extended_data2(
			ch, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE);
	}
	return c;
}

void ssh_channel_add(struct ssh_session *s, struct channel *c)
{
	struct channel **tail = &s->channels;

	while (*tail != NULL) {
		tail = &(*tail)->next;
	}
	*tail = c;
	atomic_fetch_add(&s->opened, 1);
	atomic_fetch_add(&s->open, 1);
}

static void keep(struct buffer *b, const uint8_t *p, size_t len)
{
	if (b->pos > b->len / 2) {
		memmove(b->p, b->p + b->pos, b->len - b->pos);
		b->len -= b->pos;
		b->pos = 0;
	}
	if (b->len + len > b->cap) {
		b->cap = b->len + len > 2 * b->cap ? b->len + len : 2 * b->cap;
		b->p = xrealloc(b->p, b->cap);
	}
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

/* Gives bytes to the reader; returns how many it took. */
static size_t offer(struct stream *st, const uint8_t *p, size_t len)
{
	size_t done = 0;

	while (done < len && !st->gone) {
		ssize_t n = send(st->fd, p + done, len - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			st->gone = true;
		}
	}
	return st->gone ? len : done;
}

static size_t held(const struct stream *st)
{
	return st->pending.len - st->pending.pos;
}

static void flush_pending(struct stream *st)
{
	struct buffer *b = &st->pending;

	if (b->pos < b->len) {
		b->pos += offer(st, b->p + b->pos, b->len - b->pos);
	}
	if (b->pos == b->len) {
		free(b->p);
		*b = (struct buffer){0};
	}
}

/* Whether a read lets the server send more (libssh2 does so by itself), though the reader is slow.
 */
static bool would_overfill(const struct channel *c, const struct stream *st)
{
	return held(st) >= c->window &&
	       libssh2_channel_window_read_ex(c->ch, NULL, NULL) < SSH_READ + SSH_OPEN_WINDOW;
}

/*
 * From the channel to the reader, and what it does not take yet to a buffer: each call of libssh2
 * looks through the packets of all channels that wait in the session, so none is left there.  For
 * the same reason no call is made in vain: a short read means that there is no more, and only a
 * read of nothing may be the end.
 */
static int pull(struct ssh_session *s, struct channel *c, struct stream *st, int *code)
{
	flush_pending(st);
	st->dry = false;
	for (size_t moved = 0; !would_overfill(c, st);) {
		if (moved >= SSH_PASS_BYTES) {
			s->again = true;
			break;
		}
		ssize_t n = libssh2_channel_read_ex(c->ch, st->id, (char *)s->bounce.p, SSH_READ);
		if (n <= 0) {
			*code = (int)n;
			st->dry = n == 0;
			return n < 0 && ssh_code_fatal((int)n) ? -1 : 0;
		}
		moved += (size_t)n;
		c->received += (size_t)n;
		size_t took = held(st) > 0 ? 0 : offer(st, s->bounce.p, (size_t)n);
		if (took < (size_t)n) {
			keep(&st->pending, s->bounce.p + took, (size_t)n - took);
		}
		if ((size_t)n < SSH_READ) {
			s->again = true; /* the end may be behind it */
			break;
		}
	}
	return 0;
}

/*
 * How much may be under way or wait here: a reader that keeps up gets more step by step, as 256 KB
 * are only 256 KB per round trip.  It may stop to keep up later, when its neighbours are slower
 * (merged logs), so they share what there is.
 */
static void widen(const struct ssh_session *s, struct channel *c)
{
	unsigned busy = 1;

	if (c->received < SSH_WINDOW || held(&c->out) + held(&c->err) > 0) {
		return;
	}
	for (const struct channel *other = s->channels; other != NULL; other = other->next) {
		busy += other != c && other->received >= SSH_WINDOW && !other->down_eof;
	}
	size_t share = SSH_WINDOW_FAST / busy;
	share = c->received < share / 4 ? (size_t)c->received * 4 : share;
	c->window = share > SSH_WINDOW ? share : SSH_WINDOW;
}

/* Lets the server send what there is room for; libssh2 itself does so for SSH_READ bytes only. */
static void grant(const struct ssh_session *s, struct channel *c)
{
	widen(s, c);
	size_t used =
		libssh2_channel_window_read_ex(c->ch, NULL, NULL) + held(&c->out) + held(&c->err);
	if (used < c->window / 2) {
		(void)libssh2_channel_receive_window_adjust2(c->ch, c->window - used, 1, NULL);
	}
}

static void finish_down(struct channel *c)
{
	if (c->out.pending.len > 0 || c->err.pending.len > 0 || !c->out.dry ||
		!libssh2_channel_eof(c->ch)) {
		return;
	}
	c->remote_eof = true;
	if (!c->down_eof) {
		c->down_eof = true;
		(void)shutdown(c->out.fd, SHUT_WR);
		close_fd(&c->err.fd);
	}
}

static int pull_all(struct ssh_session *s, struct channel *c, int *code)
{
	if (c->down_eof) {
		return 0;
	}
	if (pull(s, c, &c->out, code) < 0) {
		return -1;
	}
	if (c->err.fd >= 0 && pull(s, c, &c->err, code) < 0) {
		return -1;
	}
	grant(s, c);
	finish_down(c);
	return 0;
}

static void fill_up(struct channel *c)
{
	ssize_t n;

	if (c->up.p == NULL) {
		c->up.p = xrealloc(NULL, SSH_CHUNK);
	}
	do {
		n = recv(c->out.fd, c->up.p, SSH_CHUNK, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	c->up.pos = 0;
	c->up.len = n > 0 ? (size_t)n : 0;
	/* ECONNRESET: closed with unread bytes in its queue; everything it wrote was read before.
	 */
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		c->up_eof = true;
	}
}

static int send_eof(struct channel *c, int *code)
{
	if (!c->up_eof || c->up.len > 0 || c->eof_sent) {
		return 0;
	}
	int rc = libssh2_channel_send_eof(c->ch);
	if (rc == LIBSSH2_ERROR_EAGAIN) {
		return 0; /* keys are being exchanged */
	}
	*code = rc;
	if (rc < 0 && ssh_code_fatal(rc)) {
		return -1;
	}
	c->eof_sent = true;
	return 0;
}

/* From the writer to the channel, as far as the server's window and our buffer go. */
static int push(struct ssh_session *s, struct channel *c, int *code)
{
	size_t moved = 0;

	c->blocked = false;
	while (!ssh_link_congested(&s->link)) {
		if (c->up.len == 0 && !c->up_eof) {
			if (moved >= SSH_PASS_BYTES) {
				s->again = true;
				break;
			}
			fill_up(c);
			moved += c->up.len;
		}
		if (c->up.len == 0) {
			break;
		}
		ssize_t n = libssh2_channel_write_ex(
			c->ch, 0, (const char *)c->up.p + c->up.pos, c->up.len - c->up.pos);
		if (n == 0 || n == LIBSSH2_ERROR_EAGAIN) {
			c->blocked = true;
			break;
		}
		if (n < 0) {
			*code = (int)n;
			c->up.len = 0;
			c->up_eof = true;
			if (ssh_code_fatal((int)n)) {
				return -1;
			}
			break;
		}
		c->up.pos += (size_t)n;
		if (c->up.pos == c->up.len) {
			c->up.pos = c->up.len = 0;
		}
	}
	return send_eof(c, code);
}

static void see_close(struct channel *c)
{
	if (!c->remote_eof || c->remote_closed || libssh2_channel_wait_closed(c->ch) != 0) {
		return;
	}
	c->remote_closed = true;
	c->up.len = 0;
	c->up_eof = true;
	(void)shutdown(c->out.fd, SHUT_RD); /* writers get EPIPE */
	if (c->exec != NULL) {
		ssh_exec_ended(c->exec, c->ch);
	}
}

static void close_streams(struct channel *c)
{
	char drop[4096];

	if (c->out.fd >= 0) {
		(void)shutdown(c->out.fd, SHUT_RDWR);
		/* Closed with unread bytes, the reader would see ECONNRESET instead of EOF. */
		while (recv(c->out.fd, drop, sizeof(drop), MSG_DONTWAIT) > 0) {
		}
	}
	close_fd(&c->out.fd);
	close_fd(&c->err.fd);
}

static void begin_close(struct channel *c)
{
	struct error why = {0};

	c->state = CHANNEL_CLOSING;
	close_streams(c);
	if (c->exec != NULL && !c->remote_closed) {
		error_set(
			&why, ERROR_REMOTE, "'%s' was given up before it ended", c->exec->command);
		ssh_exec_failed(c->exec, &why);
	}
}

/* Whether somebody still waits for the exit status: then the server's close is awaited. */
static bool awaited(const struct channel *c)
{
	return c->exec != NULL && !atomic_load(&c->exec->abandoned);
}

static bool over(const struct channel *c)
{
	bool flushed = c->out.pending.len == 0 && c->err.pending.len == 0;

	if (c->remote_closed && flushed) {
		return true;
	}
	return c->eof_sent && (c->down_eof || c->hung_up) && !awaited(c);
}

static void refuse(struct channel *c, const char *what, int code)
{
	struct error why = {0};

	if (code == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED) {
		error_set(&why, ERROR_REMOTE, "the server refuses %s", what);
	} else {
		error_set(&why, ERROR_REMOTE, "%s: libssh2 error %d", what, code);
	}
	if (c->request != NULL) {
		ssh_request_fail(c->request, &why);
		c->request = NULL;
	}
	if (c->exec != NULL) {
		ssh_exec_failed(c->exec, &why);
	}
	begin_close(c);
}

static int step_pty(struct channel *c, int *code)
{
	struct ssh_pending *p = c->request;
	int rc = libssh2_channel_request_pty_ex(
		c->ch, p->term, (unsigned)strlen(p->term), NULL, 0, p->cols, p->rows, 0, 0);

	if (rc == LIBSSH2_ERROR_EAGAIN) {
		return 0;
	}
	*code = rc;
	if (rc < 0 && ssh_code_fatal(rc)) {
		return -1;
	}
	if (rc < 0) {
		refuse(c, "a terminal", rc);
	} else {
		c->state = CHANNEL_START;
	}
	return 0;
}

/* The request goes out, and its caller is answered without waiting for the reply: what it writes
 * travels behind the request. */
static int step_start(struct channel *c, int *code)
{
	int rc = libssh2_channel_process_startup(c->ch, c->startup_name,
		(unsigned)strlen(c->startup_name), c->startup_arg,
		c->startup_arg != NULL ? (unsigned)strlen(c->startup_arg) : 0);

	c->starting = rc == LIBSSH2_ERROR_EAGAIN;
	if (rc < 0 && !c->starting) {
		*code = rc;
		if (ssh_code_fatal(rc)) {
			return -1;
		}
		refuse(c, c->startup_name, rc);
		return 0;
	}
	c->state = CHANNEL_RUN;
	if (c->request != NULL) {
		struct ssh_pending *p = c->request;
		c->request = NULL;
		int fd = take_fd(&p->fd);
		ssh_request_done(p, fd, take_fd(&p->err_fd));
	}
	return 0;
}

static int step_run(struct ssh_session *s, struct channel *c, int *code)
{
	if (pull_all(s, c, code) < 0 || push(s, c, code) < 0) {
		return -1;
	}
	see_close(c);
	if (over(c)) {
		begin_close(c);
	}
	return 0;
}

int ssh_channel_step(struct ssh_session *s, struct channel *c, int *code)
{
	if (c->state == CHANNEL_PTY && step_pty(c, code) < 0) {
		return -1;
	}
	if ((c->state == CHANNEL_START || c->starting) && c->state != CHANNEL_CLOSING &&
		step_start(c, code) < 0) {
		return -1;
	}
	if (c->state == CHANNEL_RUN && step_run(s, c, code) < 0) {
		return -1;
	}
	if (c->state == CHANNEL_CLOSING && c->ch != NULL &&
		libssh2_channel_free(c->ch) != LIBSSH2_ERROR_EAGAIN) {
		c->ch = NULL;
	}
	return 0;
}

bool ssh_channel_finished(const struct channel *c)
{
	return c->state == CHANNEL_CLOSING && c->ch == NULL;
}

void ssh_channel_cut(struct channel *c, const struct error *why)
{
	flush_pending(&c->out);
	flush_pending(&c->err);
	if (c->request != NULL) {
		ssh_request_fail(c->request, why);
		c->request = NULL;
	}
	if (c->exec != NULL) {
		ssh_exec_failed(c->exec, why);
	}
	close_streams(c);
	c->state = CHANNEL_CLOSING;
	c->ch = NULL; /* libssh2_session_free() frees it */
}

void ssh_channel_free(struct channel *c)
{
	if (c == NULL) {
		return;
	}
	close_streams(c);
	ssh_exec_state_unref(c->exec);
	free(c->out.pending.p);
	free(c->err.pending.p);
	free(c->up.p);
	free(c->startup_name);
	free(c->startup_arg);
	free(c);
}
