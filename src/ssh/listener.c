/* SPDX-License-Identifier: MIT */
#include "ssh/listener.h"

#include "internal.h"
#include "wire.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void ssh_listener_ref(struct ssh_listener *l)
{
	atomic_fetch_add(&l->refs, 1);
}

void ssh_listener_unref(struct ssh_listener *l)
{
	if (l == NULL || atomic_fetch_sub(&l->refs, 1) != 1) {
		return;
	}
	for (size_t i = 0; i < l->queued; i++) {
		close(l->queue[i]);
	}
	cleanup_close_(&l->ready_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* By the pump. What finds no room is closed: the peer's connection is reset. */
void ssh_listener_push(struct ssh_listener *l, int fd)
{
	pthread_mutex_lock(&l->lock);
	if (!l->over && l->queued < SSH_BACKLOG) {
		l->queue[l->queued++] = fd;
		fd = -1;
	}
	pthread_mutex_unlock(&l->lock);
	if (fd >= 0) {
		close(fd);
	} else {
		ssh_event_signal(l->ready_fd);
	}
}

static void stop(struct ssh_listener *l, bool ended)
{
	pthread_mutex_lock(&l->lock);
	l->over = true;
	l->ended = l->ended || ended;
	pthread_mutex_unlock(&l->lock);
	ssh_event_signal(l->ready_fd);
}

void ssh_listener_over(struct ssh_listener *l)
{
	stop(l, true);
}

struct ssh_listener *ssh_listen(
	struct ssh_session *s, const char *host, int port, int *bound, struct error *err)
{
	struct ssh_listener *l = xcalloc(1, sizeof(*l));
	CLEANUP_FREE char *name = xasprintf("%s:%d", host, port);
	struct ssh_pending *p = ssh_request_new(s, REQUEST_LISTEN, name);

	atomic_init(&l->refs, 1);
	pthread_mutex_init(&l->lock, NULL);
	l->session = s;
	l->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	ssh_listener_ref(l);
	p->listener = l;
	p->host = xstrdup(host);
	p->port = port;
	ssh_request_post(p);
	int rc = ssh_request_wait(p, SSH_OPEN_TIMEOUT_MS, err);
	ssh_request_unref(p);
	if (rc < 0) {
		ssh_listener_unref(l);
		return NULL;
	}
	*bound = l->port;
	return l;
}

int ssh_listener_fd(const struct ssh_listener *l)
{
	return l->ready_fd;
}

/* The oldest one, or -1. */
static int take(struct ssh_listener *l, bool *over)
{
	int fd = -1;
	uint64_t one;

	pthread_mutex_lock(&l->lock);
	*over = l->over;
	if (l->queued > 0) {
		fd = l->queue[0];
		l->queued--;
		memmove(l->queue, l->queue + 1, l->queued * sizeof(l->queue[0]));
		ssize_t n = read(l->ready_fd, &one, sizeof(one));
		(void)n;
	}
	pthread_mutex_unlock(&l->lock);
	return fd;
}

int ssh_listener_accept(struct ssh_listener *l, int timeout_ms, struct error *err)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;

	for (;;) {
		bool over;
		int fd = take(l, &over);
		if (fd >= 0) {
			return fd;
		}
		if (over) {
			if (ssh_session_error(l->session, err) == 0) {
				error_set(err, ERROR_CONNECT, "the listener was stopped");
			}
			return -1;
		}
		if (cancel_check(err) < 0) {
			return -1;
		}
		struct pollfd fds[] = {
			{.fd = l->ready_fd, .events = POLLIN},
			{.fd = cancel_fd(), .events = POLLIN},
		};
		int64_t left = timeout_ms < 0 ? 3600000 : deadline - clock_mono_ms();
		if (left <= 0) {
			return -1;
		}
		(void)poll(fds, 2, (int)left);
	}
}

void ssh_listener_stop(struct ssh_listener *l)
{
	stop(l, false);
}

void ssh_listener_close(struct ssh_listener *l)
{
	if (l == NULL) {
		return;
	}
	pthread_mutex_lock(&l->lock);
	bool ended = l->ended;
	l->over = true;
	pthread_mutex_unlock(&l->lock);
	if (ended) { /* by the session, which may be gone already */
		ssh_listener_unref(l);
		return;
	}
	struct ssh_pending *p = ssh_request_new(l->session, REQUEST_UNLISTEN, "listener");
	struct error ignored = {0};
	p->listener = l; /* our reference goes with it */
	ssh_request_post(p);
	if (ssh_request_wait(p, SSH_CLOSE_MS, &ignored) < 0) {
		error_wrap(&ignored, "close listener");
	}
	ssh_request_unref(p);
}
