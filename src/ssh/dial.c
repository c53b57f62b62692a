/* SPDX-License-Identifier: MIT */
/* A descriptor that leads to the SSH server. */
#include "connect.h"
#include "internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/str.h"
#include "util/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ADDRESSES 8
#define STAGGER_MS    250 /* RFC 8305: the next address is tried after so long without an answer */

extern char **environ;

/* getaddrinfo() can neither be bounded nor cancelled: a thread of its own does it, which may
 * outlive the caller's patience.  Who comes last frees. */
struct lookup {
	atomic_int refs;
	int done_fd;
	atomic_bool done; /* what follows is there */
	char *host;
	char port[8];
	int rc;
	int sys;
	struct addrinfo *found;
};

static void lookup_unref(struct lookup *l)
{
	if (atomic_fetch_sub(&l->refs, 1) == 1) {
		if (l->found != NULL) {
			freeaddrinfo(l->found);
		}
		cleanup_close_(&l->done_fd);
		free(l->host);
		free(l);
	}
}

static int resolve(struct lookup *l, int flags)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};

	l->rc = getaddrinfo(l->host, l->port, &hints, &l->found);
	l->sys = errno;
	return l->rc;
}

static void *lookup_thread(void *arg)
{
	struct lookup *l = arg;

	(void)resolve(l, AI_ADDRCONFIG);
	atomic_store(&l->done, true);
	ssh_event_signal(l->done_fd);
	lookup_unref(l);
	return NULL;
}

/* Waits for one of the descriptors, the deadline or a cancellation: > 0, 0, or -1 with *err. */
static int wait_fds(struct pollfd *fds, size_t n, int64_t until, struct error *err)
{
	for (;;) {
		int64_t left = until - clock_mono_ms();
		fds[n] = (struct pollfd){.fd = cancel_fd(), .events = POLLIN};
		int rc = poll(fds, n + 1, left < 0 ? 0 : (int)left);
		if (cancel_check(err) < 0) {
			return -1;
		}
		if (rc >= 0) {
			return rc;
		}
	}
}

static int lookup_wait(struct lookup *l, int64_t deadline, struct error *err)
{
	struct pollfd fds[2] = {{.fd = l->done_fd, .events = POLLIN}};
	pthread_t thread;

	atomic_fetch_add(&l->refs, 1);
	int rc = thread_start(&thread, lookup_thread, l);
	if (rc != 0) {
		lookup_unref(l);
		return error_sys(err, ERROR_INTERNAL, rc, "start a thread");
	}
	pthread_detach(thread);
	rc = wait_fds(fds, 1, deadline, err);
	if (rc >= 0 && !atomic_load(&l->done)) {
		return error_set(
			err, ERROR_CONNECT, "no answer from the name servers for '%s'", l->host);
	}
	return rc < 0 ? -1 : 0;
}

static struct lookup *look_up(const char *host, int port, int64_t deadline, struct error *err)
{
	struct lookup *l = xcalloc(1, sizeof(*l));

	atomic_init(&l->refs, 1);
	l->done_fd = ssh_event_new();
	l->host = xstrdup(host);
	snprintf(l->port, sizeof(l->port), "%d", port);
	int rc = resolve(l, AI_NUMERICHOST) == 0 ? 0 : lookup_wait(l, deadline, err);
	if (rc == 0 && l->rc != 0) {
		rc = error_set(err, ERROR_CONNECT, "cannot find the address of '%s': %s", host,
			l->rc == EAI_SYSTEM ? strerror(l->sys) : gai_strerror(l->rc));
		error_hint(err, "check the host's name in the manifest, and DNS");
	}
	if (rc < 0) {
		lookup_unref(l);
		return NULL;
	}
	return l;
}

struct race {
	struct pollfd fds[MAX_ADDRESSES + 1];
	size_t n;
	int sys; /* of the latest failure */
};

static void start_one(struct race *r, const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS) {
		r->sys = errno;
		close(fd);
		fd = -1;
	} else if (fd < 0) {
		r->sys = errno;
	}
	r->fds[r->n++] = (struct pollfd){.fd = fd, .events = POLLOUT};
}

/* The first one that is connected, or -1. */
static int winner(struct race *r)
{
	for (size_t i = 0; i < r->n; i++) {
		int sys = 0;
		socklen_t len = sizeof(sys);
		if (r->fds[i].fd < 0 || r->fds[i].revents == 0) {
			continue;
		}
		getsockopt(r->fds[i].fd, SOL_SOCKET, SO_ERROR, &sys, &len);
		if (sys == 0) {
			return take_fd(&r->fds[i].fd);
		}
		r->sys = sys;
		close(r->fds[i].fd);
		r->fds[i].fd = -1;
	}
	return -1;
}

static bool any_open(const struct race *r)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->fds[i].fd >= 0) {
			return true;
		}
	}
	return false;
}

static int run_race(struct race *r, const struct addrinfo *a, int64_t deadline, struct error *err)
{
	int fd = -1;

	while (fd < 0) {
		if (a != NULL && r->n < MAX_ADDRESSES) {
			start_one(r, a);
			a = a->ai_next;
		}
		bool more = a != NULL && r->n < MAX_ADDRESSES;
		if (!any_open(r)) {
			if (more) {
				continue;
			}
			return -1;
		}
		int64_t until = clock_mono_ms() + STAGGER_MS;
		until = !more || until > deadline ? deadline : until;
		int rc = wait_fds(r->fds, r->n, until, err);
		if (rc < 0) {
			return -1;
		}
		if (rc == 0 && until == deadline) {
			r->sys = ETIMEDOUT;
			return -1;
		}
		fd = winner(r);
	}
	return fd;
}

static int dial_tcp(const struct ssh_target *t, int64_t deadline, struct error *err)
{
	struct race race = {.sys = ECONNREFUSED};
	struct lookup *l = look_up(t->hostname, t->port, deadline, err);

	if (l == NULL) {
		return -1;
	}
	struct error failure = {0};
	int fd = run_race(&race, l->found, deadline, &failure);
	for (size_t i = 0; i < race.n; i++) {
		cleanup_close_(&race.fds[i].fd);
	}
	lookup_unref(l);
	if (fd < 0 && failure.kind == ERROR_NONE) {
		error_sys(&failure, ERROR_CONNECT, race.sys, "connect to '%s' port %d", t->hostname,
			t->port);
		error_hint(&failure,
			"is the server up, is sshd listening on that port, and does "
			"no firewall stand between? try: ssh %s",
			t->host);
	}
	if (fd < 0) {
		*err = failure;
	}
	return fd;
}

/* ssh_config(5), TOKENS: %h %n %p %r %%. */
static char *expand(const struct ssh_target *t)
{
	struct str out = STR_INIT(STR_MAX_LINE);

	for (const char *p = t->proxy_command; *p != '\0'; p++) {
		if (*p != '%' || p[1] == '\0') {
			str_addc(&out, *p);
			continue;
		}
		switch (*++p) {
		case 'h':
			str_add(&out, t->hostname);
			break;
		case 'n':
			str_add(&out, t->host);
			break;
		case 'p':
			str_addf(&out, "%d", t->port);
			break;
		case 'r':
			str_add(&out, t->user);
			break;
		default:
			str_addc(&out, *p);
			break;
		}
	}
	return str_take(&out);
}

/*
 * A ProxyCommand is, by ssh_config(5), a line for the user's shell; it comes from the user's own
 * configuration.  The shell starts it in the background and ends, so that nobody has to reap it.
 */
static int dial_command(const struct ssh_target *t, struct error *err)
{
	int pair[2];
	int status = 0;
	pid_t pid;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	CLEANUP_FREE char *command = expand(t);
	CLEANUP_FREE char *line = xasprintf("exec 3<&0; { exec %s\n} <&3 3<&- &", command);
	char sh[] = "sh";
	char flag[] = "-c";
	char *const argv[] = {sh, flag, line, NULL};

	int rc = ssh_socketpair(pair);
	if (rc != 0) {
		return error_sys(err, ERROR_INTERNAL, rc, "run the ProxyCommand");
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pair[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, pair[1], STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	sigset_t none;
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0); /* Ctrl-C is for us */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	rc = posix_spawn(&pid, "/bin/sh", &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	close(pair[1]);
	if (rc != 0) {
		close(pair[0]);
		return error_sys(err, ERROR_INTERNAL, rc, "run the ProxyCommand");
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	return pair[0];
}

int ssh_dial(
	const struct ssh_target *t, struct ssh_session *via, int64_t deadline, struct error *err)
{
	if (via != NULL) {
		int fd = ssh_open_tcp(via, t->hostname, t->port, err);
		if (fd < 0) {
			error_wrap(err, "through the jump host '%s'", ssh_session_host(via));
			err->kind = err->kind == ERROR_REMOTE ? ERROR_CONNECT : err->kind;
		}
		return fd;
	}
	if (t->proxy_command != NULL) {
		return dial_command(t, err);
	}
	return dial_tcp(t, deadline, err);
}
