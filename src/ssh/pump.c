/* SPDX-License-Identifier: MIT */
/* The thread that owns a session: the only caller of libssh2 for it after login. */
#include "internal.h"

#include "util/clock.h"
#include "util/vec.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PING_TYPE      "ping@deploy" /* no server knows it: its refusal is the answer */
#define SLOW_READER_MS 10000         /* how long a dead session's last bytes wait for a reader */
#define DEAD_AFTER     3             /* keepalive intervals without a byte */

VEC_TYPE(pollfds, struct pollfd);

struct pump {
	struct ssh_session *s;
	struct pollfds fds;
	bool leaving; /* ssh_session_close() was called */
	int64_t leave_by;
	int64_t failed_at; /* when the connection was seen broken; 0: it is not */
	char cut[128];
};

/* Everything that leaves the session's state in doubt ends it; what concerns one channel does not.
 */
bool ssh_code_fatal(int code)
{
	switch (code) {
	case LIBSSH2_ERROR_NONE:
	case LIBSSH2_ERROR_EAGAIN:
	case LIBSSH2_ERROR_CHANNEL_OUTOFORDER:
	case LIBSSH2_ERROR_CHANNEL_FAILURE:
	case LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED:
	case LIBSSH2_ERROR_CHANNEL_UNKNOWN:
	case LIBSSH2_ERROR_CHANNEL_WINDOW_EXCEEDED:
	case LIBSSH2_ERROR_CHANNEL_PACKET_EXCEEDED:
	case LIBSSH2_ERROR_CHANNEL_CLOSED:
	case LIBSSH2_ERROR_CHANNEL_EOF_SENT:
	case LIBSSH2_ERROR_CHANNEL_WINDOW_FULL:
	case LIBSSH2_ERROR_REQUEST_DENIED:
	case LIBSSH2_ERROR_INVAL:
	case LIBSSH2_ERROR_TIMEOUT: /* a channel that did not open in 60 s */
		return false;
	default:
		return true;
	}
}

static void enqueue(struct ssh_pending **list, struct ssh_pending *p)
{
	while (*list != NULL) {
		list = &(*list)->next;
	}
	p->next = NULL;
	*list = p;
}

static struct ssh_pending *dequeue(struct ssh_pending **list)
{
	struct ssh_pending *p = *list;

	if (p != NULL) {
		*list = p->next;
		p->next = NULL;
	}
	return p;
}

static struct channel *channel_of(struct ssh_session *s, const struct ssh_exec_state *x)
{
	struct channel *c = s->channels;

	while (c != NULL && c->exec != x) {
		c = c->next;
	}
	return c;
}

static void resize(struct ssh_session *s, struct ssh_pending *p)
{
	struct channel *c = channel_of(s, p->exec);

	if (c != NULL && c->state == CHANNEL_RUN) {
		(void)libssh2_channel_request_pty_size_ex(c->ch, p->cols, p->rows, 0, 0);
	}
}

static void unlisten(struct ssh_session *s, struct ssh_listener *l)
{
	struct ssh_listener **at = &s->listeners;

	while (*at != NULL && *at != l) {
		at = &(*at)->next;
	}
	if (*at == NULL) {
		return;
	}
	*at = l->next;
	/* Sending never blocks here, so this is done in one call; EAGAIN (keys being exchanged, or
	 * a queued connection that waits for its close) is left to the end of the session. */
	(void)libssh2_channel_forward_cancel(l->l);
	ssh_listener_over(l);
	ssh_listener_unref(l);
}

/* What callers asked since the last pass. */
static void take_requests(struct pump *pump)
{
	struct ssh_session *s = pump->s;
	uint64_t count;
	ssize_t n = read(s->wake, &count, sizeof(count));
	struct ssh_pending *p;

	(void)n;
	pthread_mutex_lock(&s->lock);
	struct ssh_pending *list = s->queue;
	s->queue = NULL;
	pump->leaving = s->closing;
	memcpy(pump->cut, s->cut, sizeof(pump->cut));
	pthread_mutex_unlock(&s->lock);
	if (pump->leaving && pump->leave_by == 0) {
		pump->leave_by = clock_mono_ms() + SSH_CLOSE_MS;
	}
	while ((p = dequeue(&list)) != NULL) {
		if (p->kind == REQUEST_RESIZE) {
			resize(s, p);
		} else if (p->kind == REQUEST_UNLISTEN) {
			unlisten(s, p->listener);
		} else if (p->kind != REQUEST_ABANDON) {
			enqueue(&s->waiting, p);
			continue;
		}
		ssh_request_done(p, -1, -1);
	}
}

static bool abandoned(struct ssh_pending *p)
{
	pthread_mutex_lock(&p->lock);
	bool gone = p->abandoned;
	pthread_mutex_unlock(&p->lock);
	return gone;
}

static void adopt(struct ssh_session *s, struct ssh_pending *p, LIBSSH2_CHANNEL *ch)
{
	int user[2];
	struct error why = {0};
	struct channel *c =
		ssh_channel_new(s, ch, p->kind == REQUEST_SESSION && p->exec && !p->pty, user);

	if (c == NULL) {
		error_sys(&why, ERROR_INTERNAL, errno, "'%s'", p->name);
		ssh_request_fail(p, &why);
		(void)libssh2_channel_free(ch); /* what is left of it goes with the session */
		return;
	}
	ssh_channel_add(s, c);
	if (p->kind != REQUEST_SESSION) {
		ssh_request_done(p, user[0], user[1]);
		return;
	}
	c->state = p->pty ? CHANNEL_PTY : CHANNEL_START;
	c->startup_name = xstrdup(p->startup);
	c->startup_arg = xstrdup(p->command);
	c->exec = p->exec != NULL ? ssh_exec_state_ref(p->exec) : NULL;
	c->request = p;
	p->fd = user[0];
	p->err_fd = user[1];
}

/* The reasons of RFC 4254, 5.1, back from libssh2's words for them. */
static int open_reason(const char *text)
{
	static const struct {
		const char *text;
		int reason;
	} reasons[] = {
		{"administratively prohibited", SSH_OPEN_PROHIBITED},
		{"connect failed", SSH_OPEN_CONNECT_FAILED},
		{"unknown channel type", SSH_OPEN_UNKNOWN_TYPE},
		{"resource shortage", SSH_OPEN_SHORTAGE},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strstr(text, reasons[i].text) != NULL) {
			return reasons[i].reason;
		}
	}
	return 0;
}

static void open_failed(struct ssh_session *s, struct ssh_pending *p, int code)
{
	char *text = NULL;
	struct error why = {0};

	libssh2_session_last_error(s->ls, &text, NULL, 0);
	int reason = code == LIBSSH2_ERROR_CHANNEL_FAILURE ? open_reason(text) : 0;
	if (reason == SSH_OPEN_PROHIBITED) {
		error_set(&why, ERROR_REMOTE, "'%s': the SSH server does not allow it", p->name);
		if (p->kind != REQUEST_SESSION) {
			error_hint(&why, "set 'AllowStreamLocalForwarding yes' and "
					 "'AllowTcpForwarding yes' in the server's sshd_config");
		}
	} else if (reason == SSH_OPEN_CONNECT_FAILED) {
		error_set(&why, ERROR_REMOTE, "'%s': the server cannot connect to it", p->name);
	} else if (p->kind == REQUEST_SESSION) {
		error_set(&why, ERROR_REMOTE,
			"'%s': the SSH server opens no more sessions "
			"(MaxSessions)",
			p->name);
	} else {
		error_set(&why, ERROR_REMOTE, "'%s': %s", p->name,
			code == LIBSSH2_ERROR_TIMEOUT ? "no answer in 60 s" : text);
	}
	why.status = reason;
	ssh_request_fail(p, &why);
}

static LIBSSH2_CHANNEL *try_open(struct ssh_session *s, const struct ssh_pending *p)
{
	static const char *const types[] = {
		[REQUEST_UNIX] = "direct-streamlocal@openssh.com",
		[REQUEST_TCP] = "direct-tcpip",
		[REQUEST_SESSION] = "session",
		[REQUEST_PING] = PING_TYPE,
	};
	const char *type = types[p->kind];

	return libssh2_channel_open_ex(s->ls, type, (unsigned)strlen(type), SSH_OPEN_WINDOW,
		SSH_PACKET, p->message.len > 0 ? str_c(&p->message) : NULL,
		(unsigned)p->message.len);
}

/* libssh2 keeps the state of an open in the session: one at a time. -1: broken, *code says how. */
static int step_open(struct ssh_session *s, int *code)
{
	for (;;) {
		if (s->opening == NULL) {
			struct ssh_pending *p = s->waiting;
			if (p == NULL || (p->kind == REQUEST_LISTEN && s->binding != NULL)) {
				return 0;
			}
			s->waiting = p->next;
			p->next = NULL;
			if (abandoned(p)) {
				ssh_request_done(p, -1, -1);
				continue;
			}
			if (p->kind == REQUEST_LISTEN) {
				s->binding = p;
				continue;
			}
			s->opening = p;
		}
		LIBSSH2_CHANNEL *ch = try_open(s, s->opening);
		int rc = ch == NULL ? libssh2_session_last_errno(s->ls) : 0;
		if (rc == LIBSSH2_ERROR_EAGAIN) {
			return 0;
		}
		if (rc != 0 && ssh_code_fatal(rc)) {
			*code = rc;
			return -1;
		}
		struct ssh_pending *p = s->opening;
		s->opening = NULL;
		if (p->kind == REQUEST_PING) {
			s->ping_ms = 0;
			if (ch != NULL) {
				(void)libssh2_channel_free(ch);
			}
			ssh_request_done(p, -1, -1);
		} else if (ch != NULL) {
			adopt(s, p, ch);
		} else {
			open_failed(s, p, rc);
		}
	}
}

static int step_listen(struct ssh_session *s, int *code)
{
	struct ssh_pending *p = s->binding;
	struct error why = {0};

	if (p == NULL) {
		return 0;
	}
	LIBSSH2_LISTENER *l =
		libssh2_channel_forward_listen_ex(s->ls, p->host, p->port, &s->bound, SSH_BACKLOG);
	int rc = l == NULL ? libssh2_session_last_errno(s->ls) : 0;
	if (rc == LIBSSH2_ERROR_EAGAIN) {
		return 0;
	}
	if (rc != 0 && ssh_code_fatal(rc)) {
		*code = rc;
		return -1;
	}
	s->binding = NULL;
	if (l == NULL) {
		error_set(&why, ERROR_REMOTE, "the server refuses to listen on %s", p->name);
		error_hint(&why, "set 'AllowTcpForwarding yes' in the server's sshd_config");
		ssh_request_fail(p, &why);
		return 0;
	}
	ssh_listener_ref(p->listener);
	p->listener->l = l;
	p->listener->port = s->bound;
	p->listener->next = s->listeners;
	s->listeners = p->listener;
	ssh_request_done(p, -1, -1);
	return 0;
}

static void accept_all(struct ssh_session *s)
{
	for (struct ssh_listener *l = s->listeners; l != NULL; l = l->next) {
		LIBSSH2_CHANNEL *ch;
		while ((ch = libssh2_channel_forward_accept(l->l)) != NULL) {
			int user[2];
			struct channel *c = ssh_channel_new(s, ch, false, user);
			if (c == NULL) {
				(void)libssh2_channel_free(ch);
				continue;
			}
			ssh_channel_add(s, c);
			ssh_listener_push(l, user[0]);
		}
	}
}

static int step_channels(struct ssh_session *s, int *code)
{
	struct channel **at = &s->channels;

	while (*at != NULL) {
		struct channel *c = *at;
		if (ssh_channel_step(s, c, code) < 0) {
			return -1;
		}
		if (ssh_channel_finished(c)) {
			*at = c->next;
			ssh_channel_free(c);
			atomic_fetch_sub(&s->open, 1);
		} else {
			at = &c->next;
		}
	}
	return 0;
}

static bool reads(const struct ssh_session *s)
{
	return s->channels != NULL || s->listeners != NULL || s->opening != NULL ||
	       s->binding != NULL;
}

/* One pass over everything. -1: the session is broken. */
static int step(struct ssh_session *s, int *code)
{
	s->again = false;
	ssh_link_pass(&s->link);
	if (step_open(s, code) < 0 || step_listen(s, code) < 0) {
		return -1;
	}
	accept_all(s);
	if (step_channels(s, code) < 0) {
		return -1;
	}
	bool held = ssh_link_congested(&s->link);
	ssh_link_flush(&s->link);
	/* Any call of libssh2 may have read packets of channels that had their turn before it (and
	 * libssh2_channel_free() stops in the middle of what it has): once more when bytes came.
	 * The same for writers that were held back. */
	if (s->link.got || (held && !ssh_link_congested(&s->link)) ||
		(ssh_link_pending(&s->link) && reads(s))) {
		s->again = true;
	}
	return 0;
}

static void ping(struct ssh_session *s)
{
	if (s->ping_ms == 0) {
		s->ping_ms = clock_mono_ms();
		/* In front: what waits behind it needs a living peer too. */
		struct ssh_pending *p = ssh_request_new(s, REQUEST_PING, "ping");
		p->next = s->waiting;
		s->waiting = p;
		s->again = true;
	}
}

/* When to look at the clock again, and what is due now. *why is set when the peer is dead. */
static int timers(struct ssh_session *s, struct error *why)
{
	int64_t now = clock_mono_ms();
	int64_t quiet = now - s->link.heard_ms;
	int64_t next = s->keepalive_ms - quiet;

	if (quiet >= s->keepalive_ms) {
		ping(s);
		next = DEAD_AFTER * (int64_t)s->keepalive_ms - quiet;
		/* An open that waits for a slow connection on the server says nothing about the
		 * peer: then the kernel's own keepalive has to find out (link.c). */
		bool slow = s->opening != NULL && s->opening->kind == REQUEST_TCP;
		if (next <= 0 && !slow) {
			error_set(why, ERROR_CONNECT, "no answer from the server for %d s",
				(int)(quiet / 1000));
			return 0;
		}
		next = next <= 0 ? s->keepalive_ms : next;
	}
	if (s->stale_ms != 0) {
		int64_t idle = s->stale_ms + SSH_IDLE_PING_MS - now;
		if (idle <= 0) {
			s->stale_ms = 0;
			ping(s);
			idle = 0;
		}
		next = idle < next ? idle : next;
	}
	return (int)(next < 0 ? 0 : next);
}

static void add_poll(struct pollfds *fds, int fd, short events)
{
	const struct pollfd p = {.fd = fd, .events = events};

	vec_push(fds, p);
}

static void poll_channel(struct pump *pump, struct channel *c)
{
	struct ssh_session *s = pump->s;
	short events = 0;

	if (c->state != CHANNEL_RUN) {
		c->poll_at = -1;
		return;
	}
	c->poll_at = (int)pump->fds.len;
	if (!c->up_eof && c->up.len == 0 && !ssh_link_congested(&s->link)) {
		events |= POLLIN;
	}
	if (c->out.pending.len > 0) {
		events |= POLLOUT;
	}
	add_poll(&pump->fds, c->hung_up ? -1 : c->out.fd, events);
	add_poll(&pump->fds, c->err.gone ? -1 : c->err.fd, c->err.pending.len > 0 ? POLLOUT : 0);
}

static void wait_events(struct pump *pump, int timeout)
{
	struct ssh_session *s = pump->s;
	bool deaf = !reads(s); /* nothing of libssh2's would read: leave the bytes where they are */
	short events = s->link.out_len > 0 ? POLLOUT : 0;

	pump->fds.len = 0;
	add_poll(&pump->fds, pump->failed_at != 0 || (deaf && s->stale_ms != 0) ? -1 : s->link.fd,
		(short)(events | POLLIN | POLLRDHUP));
	add_poll(&pump->fds, s->wake, POLLIN);
	for (struct channel *c = s->channels; c != NULL; c = c->next) {
		poll_channel(pump, c);
	}
	if (poll(pump->fds.p, pump->fds.len, timeout) <= 0) {
		return;
	}
	if (!deaf) {
		s->stale_ms = 0;
	} else if (pump->fds.p[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) {
		ping(s); /* finds out what it was */
	} else if ((pump->fds.p[0].revents & POLLIN) && s->stale_ms == 0) {
		s->stale_ms = clock_mono_ms();
	}
	for (struct channel *c = s->channels; c != NULL; c = c->next) {
		if (c->poll_at < 0) {
			continue;
		}
		const struct pollfd *p = &pump->fds.p[c->poll_at];
		if (p[0].revents & (POLLHUP | POLLERR)) {
			c->hung_up = true;
			c->out.gone = true;
		}
		if (p[1].revents & (POLLHUP | POLLERR)) {
			c->err.gone = true;
		}
	}
}

/* Bytes that still have to go somewhere before the session may end. */
static bool unfinished(const struct ssh_session *s, bool broken)
{
	for (const struct channel *c = s->channels; c != NULL; c = c->next) {
		if (c->out.pending.len > 0 && !c->out.gone) {
			return true;
		}
		if (!broken && c->hung_up && !c->eof_sent) {
			return true;
		}
	}
	return !broken && s->link.out_len > 0;
}

/* Whether the loop has to end, and why. */
static bool ending(struct pump *pump, struct error *why)
{
	struct ssh_session *s = pump->s;
	int64_t now = clock_mono_ms();

	if (pump->cut[0] != '\0') {
		error_set(why, ERROR_CONNECT, "%s", pump->cut);
		return true;
	}
	if (pump->leaving && (!unfinished(s, pump->failed_at != 0) || now >= pump->leave_by)) {
		error_set(why, ERROR_CONNECT, "the session was closed");
		return true;
	}
	if (!ssh_link_failed(&s->link)) {
		return false;
	}
	if (pump->failed_at == 0) {
		pump->failed_at = now;
		s->again = true; /* one more pass for what had arrived before */
		return false;
	}
	if (s->again || (unfinished(s, true) && now - pump->failed_at < SLOW_READER_MS)) {
		return false;
	}
	char text[512];
	ssh_link_reason(&s->link, text, sizeof(text));
	error_set(why, ERROR_CONNECT, "%s", text);
	return true;
}

static void broken(struct ssh_session *s, int code, struct error *why)
{
	char *text = NULL;

	if (ssh_link_failed(&s->link) || s->link.disconnect[0] != '\0') {
		char reason[512];
		ssh_link_reason(&s->link, reason, sizeof(reason));
		error_set(why, ERROR_CONNECT, "%s", reason);
		return;
	}
	libssh2_session_last_error(s->ls, &text, NULL, 0);
	error_set(why, ERROR_CONNECT, "%s (libssh2 error %d)",
		text != NULL && *text != '\0' ? text : "protocol error", code);
}

static void fail_list(struct ssh_pending **list, const struct error *why)
{
	struct ssh_pending *p;

	while ((p = dequeue(list)) != NULL) {
		ssh_request_fail(p, why);
	}
}

static void say_goodbye(struct ssh_session *s)
{
	if (!ssh_link_failed(&s->link)) {
		(void)libssh2_session_disconnect(s->ls, "done");
		ssh_link_flush(&s->link);
	}
}

/* Everybody who waits or reads learns that it is over. */
static void wind_up(struct pump *pump, struct error *why)
{
	struct ssh_session *s = pump->s;

	if (pump->leaving) {
		say_goodbye(s);
	} else {
		error_wrap(why, "connection lost");
		error_host(why, s->host);
	}
	pthread_mutex_lock(&s->lock);
	s->dead = true;
	s->why = *why;
	struct ssh_pending *queue = s->queue;
	s->queue = NULL;
	pthread_mutex_unlock(&s->lock);
	(void)shutdown(s->link.fd, SHUT_RDWR);
	fail_list(&queue, why);
	fail_list(&s->waiting, why);
	fail_list(&s->opening, why);
	fail_list(&s->binding, why);
	while (s->listeners != NULL) {
		struct ssh_listener *l = s->listeners;
		s->listeners = l->next;
		ssh_listener_over(l);
		ssh_listener_unref(l);
	}
	while (s->channels != NULL) {
		struct channel *c = s->channels;
		s->channels = c->next;
		ssh_channel_cut(c, why);
		ssh_channel_free(c);
		atomic_fetch_sub(&s->open, 1);
	}
}

void *ssh_pump(void *session)
{
	struct pump pump = {.s = session};
	struct ssh_session *s = pump.s;
	struct error why = {0};
	int timeout = 0;
	int code = 0;

	s->bounce.p = xrealloc(NULL, SSH_READ);
	for (;;) {
		take_requests(&pump);
		if (step(s, &code) < 0) {
			broken(s, code, &why);
			break;
		}
		if (ending(&pump, &why)) {
			break;
		}
		timeout = timers(s, &why);
		if (why.kind != ERROR_NONE) {
			break;
		}
		if (pump.leaving || pump.failed_at != 0) {
			timeout = timeout < 50 ? timeout : 50;
		}
		wait_events(&pump, s->again ? 0 : timeout);
	}
	wind_up(&pump, &why);
	vec_fini(&pump.fds);
	free(s->bounce.p);
	s->bounce.p = NULL;
	return NULL;
}
