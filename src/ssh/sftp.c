/* SPDX-License-Identifier: MIT */
/* The SFTP client: packets out and in, and the queue of a batch. */
#include "sftp_internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX ((size_t)128 << 20) /* all that one batch writes */
#define IN_SIZE ((size_t)256 << 10)

struct ssh_sftp *ssh_sftp_new(int fd)
{
	struct ssh_sftp *f = xcalloc(1, sizeof(*f));

	f->fd = fd;
	pthread_mutex_init(&f->lock, NULL);
	str_init(&f->in, SFTP_PACKET_MAX + 2 * IN_SIZE);
	str_init(&f->out, OUT_MAX);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return f;
}

struct ssh_sftp *ssh_sftp_open_pending(
	struct ssh_session *s, struct ssh_pending *p, struct error *err)
{
	int fd = ssh_pending_wait(p, err);

	if (fd < 0) {
		return NULL;
	}
	struct ssh_sftp *f = ssh_sftp_new(fd);
	f->session = s;
	return f;
}

struct ssh_sftp *ssh_sftp_open(struct ssh_session *s, struct error *err)
{
	return ssh_sftp_open_pending(s, ssh_subsystem_start(s, "sftp"), err);
}

void ssh_sftp_close(struct ssh_sftp *f)
{
	if (f == NULL) {
		return;
	}
	cleanup_close_(&f->fd);
	str_fini(&f->in);
	str_fini(&f->out);
	vec_fini(&f->sents);
	VEC_FOREACH (&f->held, i) {
		free(f->held.p[i].path);
	}
	vec_fini(&f->held);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void patch_length(struct str *out, size_t start)
{
	size_t len = out->len - start - 4;
	const uint8_t b[4] = {
		(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	memcpy(out->p + start, b, sizeof(b));
}

/* The length is not known yet: sftp_end() puts it there. The start is kept in `begun`. */
void sftp_begin(
	struct ssh_sftp *f, struct op *op, enum sftp_type type, int tag, uint64_t at, uint32_t len)
{
	const struct sent s = {.id = ++f->next_id, .op = op, .tag = tag, .at = at, .len = len};

	vec_push(&f->sents, s);
	if (op != NULL) {
		op->outstanding++;
	}
	f->begun = f->out.len;
	wire_put_u32(&f->out, 0);
	wire_put_u8(&f->out, (uint8_t)type);
	wire_put_u32(&f->out, s.id);
}

void sftp_end(struct ssh_sftp *f)
{
	if (f->out.overflow) {
		f->broken = true; /* a packet was cut */
		return;
	}
	patch_length(&f->out, f->begun);
}

static void greet(struct ssh_sftp *f)
{
	if (!f->greeted) {
		f->greeted = true;
		wire_put_u32(&f->out, 5);
		wire_put_u8(&f->out, FXP_INIT);
		wire_put_u32(&f->out, SFTP_VERSION);
	}
}

static void learn(struct ssh_sftp *f, const struct sftp_reply *r)
{
	struct wire w = r->rest;

	f->versioned = true;
	while (w.len > 0 && !w.bad) {
		CLEANUP_FREE char *name = wire_text(&w);
		size_t len;
		(void)wire_string(&w, &len); /* its version */
		f->posix_rename = f->posix_rename || str_eq(name, "posix-rename@openssh.com");
		f->fsync = f->fsync || str_eq(name, "fsync@openssh.com");
		f->statvfs = f->statvfs || str_eq(name, "statvfs@openssh.com");
	}
}

/* A file that was opened for an operation which is over (cancelled) is closed. */
static void close_stray(struct ssh_sftp *f, const struct sftp_reply *r)
{
	sftp_begin(f, NULL, FXP_CLOSE, 0, 0, 0);
	wire_put_string(&f->out, r->data, r->len);
	sftp_end(f);
}

static void dispatch(struct ssh_sftp *f, const struct sftp_reply *r)
{
	VEC_FOREACH (&f->sents, i) {
		if (f->sents.p[i].id != r->id) {
			continue;
		}
		struct sent s = f->sents.p[i];
		f->sents.len--;
		memmove(&f->sents.p[i], &f->sents.p[i + 1],
			(f->sents.len - i) * sizeof(f->sents.p[0]));
		if (s.op != NULL) {
			s.op->outstanding--;
			sftp_op_answer(s.op, &s, r);
		} else if (r->type == FXP_HANDLE) {
			close_stray(f, r);
		}
		return;
	}
}

/* All whole packets that have come. */
static int take_packets(struct ssh_sftp *f, struct error *err)
{
	size_t at = 0;

	while (f->in.len - at >= 4) {
		struct wire w = wire_reader(f->in.p + at, 4);
		size_t len = wire_u32(&w);
		struct sftp_reply r;
		if (len < 5 || len > SFTP_PACKET_MAX) {
			return error_set(err, ERROR_REMOTE, "sftp: a packet of %zu bytes", len);
		}
		if (f->in.len - at - 4 < len) {
			break;
		}
		if (sftp_decode(f->in.p + at + 4, len, &r) < 0) {
			return error_set(err, ERROR_REMOTE, "sftp: a malformed packet");
		}
		if (r.type == FXP_VERSION) {
			learn(f, &r);
		} else {
			dispatch(f, &r);
		}
		at += 4 + len;
	}
	str_consume(&f->in, at);
	return 0;
}

static int lost(struct ssh_sftp *f, struct error *err)
{
	f->broken = true;
	if (f->session != NULL && ssh_session_error(f->session, err) < 0) {
		return -1;
	}
	return error_set(err, ERROR_REMOTE, "%s",
		f->versioned ? "sftp: the server closed it"
			     : "sftp: the server closed it at once: is its Subsystem sftp set up?");
}

static int receive(struct ssh_sftp *f, struct error *err)
{
	char buf[65536];

	for (;;) {
		ssize_t n = recv(f->fd, buf, sizeof(buf), 0);
		if (n > 0) {
			str_addn(&f->in, buf, (size_t)n);
			if (take_packets(f, err) < 0) {
				f->broken = true;
				return -1;
			}
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			return 0;
		}
		return lost(f, err);
	}
}

static int transmit(struct ssh_sftp *f, struct error *err)
{
	while (f->out_pos < f->out.len) {
		ssize_t n =
			send(f->fd, f->out.p + f->out_pos, f->out.len - f->out_pos, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			return 0;
		}
		if (n < 0 && errno != EINTR) {
			return lost(f, err);
		}
		f->out_pos += n > 0 ? (size_t)n : 0;
	}
	str_reset(&f->out);
	f->out_pos = 0;
	return 0;
}

/* Sends and receives until something came. */
static int turn(struct ssh_sftp *f, int64_t deadline, struct error *err)
{
	if (f->broken) {
		return error_set(err, ERROR_REMOTE, "sftp: it cannot go on");
	}
	if (transmit(f, err) < 0) {
		return -1;
	}
	short came;
	int rc = cancel_poll(f->fd, (short)(POLLIN | (f->out_pos < f->out.len ? POLLOUT : 0)),
		deadline, &came, err);
	if (rc == 0) {
		return error_set(err, ERROR_REMOTE, "sftp: no answer in time");
	}
	if (rc < 0) {
		return -1;
	}
	return came & ~POLLOUT ? receive(f, err) : 0;
}

struct sftp_batch *sftp_batch_new(struct ssh_sftp *f)
{
	struct sftp_batch *b = xcalloc(1, sizeof(*b));

	b->f = f;
	b->tail = &b->ops;
	return b;
}

void sftp_batch_free(struct sftp_batch *b)
{
	if (b == NULL) {
		return;
	}
	while (b->ops != NULL) {
		struct op *op = b->ops;
		b->ops = op->next;
		sftp_op_free(op);
	}
	free(b);
}

void sftp_barrier(struct sftp_batch *b)
{
	b->group++;
}

void sftp_follow(struct sftp_batch *b)
{
	b->follow = true;
}

static bool group_done(const struct sftp_batch *b, int group)
{
	for (const struct op *op = b->ops; op != NULL; op = op->next) {
		if (op->group == group && !op->done) {
			return false;
		}
	}
	return true;
}

/* Renaming has to know how: the version's answer tells (once for each client). */
static bool needs_version(const struct sftp_batch *b, int group)
{
	for (const struct op *op = b->ops; op != NULL; op = op->next) {
		/* One that follows is sent after an answer, and the version's came before that. */
		if (op->group == group && !op->started && op->kind == OP_RENAME && !op->follows) {
			return true;
		}
	}
	return false;
}

static void start_group(struct sftp_batch *b, int group)
{
	const struct op *before = NULL;

	for (struct op *op = b->ops; op != NULL; before = op, op = op->next) {
		bool held = op->follows && before != NULL && !before->sent && !before->done;
		if (op->group == group && !op->started && !held) {
			op->started = true;
			sftp_op_start(op);
		}
	}
}

static int run_group(struct sftp_batch *b, int group, int64_t deadline, struct error *err)
{
	while (!b->f->versioned && needs_version(b, group)) {
		if (turn(b->f, deadline, err) < 0) {
			return -1;
		}
	}
	for (start_group(b, group); !group_done(b, group); start_group(b, group)) {
		if (turn(b->f, deadline, err) < 0) {
			return -1;
		}
	}
	/* What nobody waits for (CLOSE) goes out now all the same. */
	return transmit(b->f, err);
}

/* Answers to what is given up are of no interest any more. */
static void forget(struct sftp_batch *b, const struct error *why)
{
	for (struct op *op = b->ops; op != NULL; op = op->next) {
		if (!op->done) {
			sftp_op_skip(op, why);
		}
	}
	VEC_FOREACH (&b->f->sents, i) {
		b->f->sents.p[i].op = NULL;
	}
}

int sftp_run(struct sftp_batch *b, int timeout_ms, struct error *err)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;
	struct error why = {0};
	int rc = 0;

	pthread_mutex_lock(&b->f->lock);
	greet(b->f);
	for (int group = 0; group <= b->group && rc == 0; group++) {
		rc = run_group(b, group, deadline, &why);
	}
	if (rc < 0) {
		forget(b, &why);
		*err = why;
	}
	pthread_mutex_unlock(&b->f->lock);
	return rc;
}

int sftp_check(const struct sftp_batch *b, struct error *err)
{
	for (const struct op *op = b->ops; op != NULL; op = op->next) {
		if (op->done && op->pub.status != SFTP_OK) {
			*err = op->pub.error;
			return -1;
		}
	}
	return 0;
}

void sftp_entries_fini(struct sftp_entries *e)
{
	VEC_FOREACH (e, i) {
		free(e->p[i].name);
	}
	vec_fini(e);
}
