/* SPDX-License-Identifier: MIT */
/* What callers ask of the pump, and how they wait for it. */
#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/str.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int ssh_event_new(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void ssh_event_signal(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0) {
		ssize_t n = write(fd, &one, sizeof(one)); /* full is readable already */
		(void)n;
	}
}

struct ssh_pending *ssh_request_new(struct ssh_session *s, enum request_kind kind, const char *name)
{
	struct ssh_pending *p = xcalloc(1, sizeof(*p));

	p->kind = kind;
	p->session = s;
	p->name = xstrdup(name);
	p->fd = p->err_fd = -1;
	p->done_fd = -1;
	str_init(&p->message, STR_MAX_LINE);
	atomic_init(&p->refs, 1);
	pthread_mutex_init(&p->lock, NULL);
	if (kind != REQUEST_PING && kind != REQUEST_RESIZE && kind != REQUEST_ABANDON) {
		p->done_fd = ssh_event_new();
		if (p->done_fd < 0) {
			p->done = true;
			error_sys(&p->error, ERROR_INTERNAL, errno, "open a channel");
		}
	}
	return p;
}

struct ssh_pending *ssh_request_ref(struct ssh_pending *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void ssh_request_unref(struct ssh_pending *p)
{
	if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1) {
		return;
	}
	cleanup_close_(&p->fd);
	cleanup_close_(&p->err_fd);
	cleanup_close_(&p->done_fd);
	ssh_exec_state_unref(p->exec);
	ssh_listener_unref(p->listener);
	str_fini(&p->message);
	free(p->name);
	free(p->host);
	free(p->command);
	free(p->term);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void ssh_request_post(struct ssh_pending *p)
{
	struct ssh_session *s = p->session;
	struct error why = {0};

	if (p->done) {
		return; /* could not even be made */
	}
	ssh_request_ref(p);
	pthread_mutex_lock(&s->lock);
	bool dead = s->dead || s->closing;
	if (dead) {
		why = s->why;
	} else {
		struct ssh_pending **tail = &s->queue;
		while (*tail != NULL) {
			tail = &(*tail)->next;
		}
		*tail = p;
	}
	pthread_mutex_unlock(&s->lock);
	if (dead) {
		if (why.kind == ERROR_NONE) {
			error_set(&why, ERROR_CONNECT, "the session is closed");
		}
		ssh_request_fail(p, &why);
		return;
	}
	ssh_event_signal(s->wake);
}

void ssh_request_done(struct ssh_pending *p, int fd, int err_fd)
{
	pthread_mutex_lock(&p->lock);
	p->done = true;
	p->fd = fd;
	p->err_fd = err_fd;
	if (p->abandoned) {
		cleanup_close_(&p->fd);
		cleanup_close_(&p->err_fd);
		p->fd = p->err_fd = -1;
	}
	pthread_mutex_unlock(&p->lock);
	ssh_event_signal(p->done_fd);
	ssh_request_unref(p);
}

void ssh_request_fail(struct ssh_pending *p, const struct error *why)
{
	pthread_mutex_lock(&p->lock);
	p->done = true;
	p->error = *why;
	pthread_mutex_unlock(&p->lock);
	ssh_event_signal(p->done_fd);
	ssh_request_unref(p);
}

/* Leaves *err alone when it is done. */
static int wait_done(struct ssh_pending *p, int timeout_ms, struct error *err)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = p->done_fd, .events = POLLIN},
			{.fd = cancel_fd(), .events = POLLIN},
		};
		int64_t left = deadline - clock_mono_ms();
		int n = poll(fds, 2, left < 0 ? 0 : (int)left);
		if (fds[0].revents != 0 && n > 0) {
			return 0;
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (n == 0) {
			return error_set(err, ERROR_REMOTE,
				"'%s': no answer from the server in %d s", p->name,
				timeout_ms / 1000);
		}
	}
}

int ssh_request_wait(struct ssh_pending *p, int timeout_ms, struct error *err)
{
	struct error late = {0};
	int rc = p->done_fd >= 0 ? wait_done(p, timeout_ms, &late) : 0;

	pthread_mutex_lock(&p->lock);
	if (p->done) {
		rc = p->error.kind != ERROR_NONE ? -1 : 0;
		if (rc < 0) {
			*err = p->error;
		}
	} else {
		p->abandoned = true;
		*err = late;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int ssh_pending_wait(struct ssh_pending *p, struct error *err)
{
	int fd = -1;

	if (ssh_request_wait(p, SSH_OPEN_TIMEOUT_MS, err) == 0) {
		fd = take_fd(&p->fd);
	}
	ssh_request_unref(p);
	return fd;
}

void ssh_pending_cancel(struct ssh_pending *p)
{
	if (p == NULL) {
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->abandoned = true;
	pthread_mutex_unlock(&p->lock);
	ssh_request_unref(p);
}
