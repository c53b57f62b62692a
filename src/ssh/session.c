/* SPDX-License-Identifier: MIT */
/* The callers' side of a session. */
#include "internal.h"

#include "connect.h"
#include "wire.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Being turned away is tried again, within the connect time-out. */
#define RETRIES      8
#define RETRY_MS     40
#define RETRY_MAX_MS 800

static void library_init(void)
{
	(void)libssh2_init(0);
}

static void session_free(struct ssh_session *s)
{
	s->link.over = true;
	if (s->ls != NULL) {
		int rc;
		int tries = 0;
		do {
			rc = libssh2_session_free(s->ls);
		} while (rc == LIBSSH2_ERROR_EAGAIN && ++tries < 1000);
	}
	ssh_link_fini(&s->link);
	cleanup_close_(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s->host);
	free(s);
}

static struct ssh_session *session_new(const struct ssh_target *target, int fd)
{
	struct ssh_session *s = xcalloc(1, sizeof(*s));

	s->host = xstrdup(target->host);
	s->keepalive_ms = target->keepalive_ms;
	pthread_mutex_init(&s->lock, NULL);
	ssh_link_init(&s->link, fd, target->keepalive_ms);
	s->wake = ssh_event_new();
	s->ls = ssh_link_session(&s->link);
	return s;
}

/* One attempt. *turned_away: the server closed before it said that it speaks SSH, which is how sshd
 * drops what is above its MaxStartups. */
static struct ssh_session *attempt(const struct ssh_target *target, struct ssh_session *via,
	struct ssh_keyring *keyring, int64_t begin, bool *turned_away, struct error *err)
{
	*turned_away = false;
	int fd = ssh_dial(target, via, begin + target->connect_timeout_ms, err);
	if (fd < 0) {
		return NULL;
	}
	struct ssh_session *s = session_new(target, fd);
	int rc = 0;
	if (s->ls == NULL || s->wake < 0) {
		rc = error_set(err, ERROR_INTERNAL, "cannot make a session");
	}
	if (rc == 0) {
		rc = ssh_login(s->ls, &s->link, target, keyring, begin, err);
		const char *version = libssh2_session_banner_get(s->ls);
		*turned_away = rc < 0 && ssh_link_failed(&s->link) && !s->link.overflow &&
			       (version == NULL || !str_starts(version, "SSH-"));
	}
	if (rc == 0) {
		s->link.heap_max = LINK_HEAP_RUN;
		s->connect_ms = (int)(clock_mono_ms() - begin);
		rc = thread_start(&s->thread, ssh_pump, s);
		if (rc != 0) {
			rc = error_sys(err, ERROR_INTERNAL, rc, "start the session's thread");
		}
	}
	if (rc < 0) {
		session_free(s);
		return NULL;
	}
	s->started = true;
	return s;
}

/* Doubling, and not in step with the others that were turned away: from half of it to all of it. */
static int backoff_ms(int tries)
{
	int ms = RETRY_MS << tries;

	ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
	char hex[9];
	digest_random_hex(4, hex);
	return ms / 2 + (int)(strtoul(hex, NULL, 16) % (unsigned)(ms / 2 + 1));
}

struct ssh_session *ssh_session_open(const struct ssh_target *target, struct ssh_session *via,
	struct ssh_keyring *keyring, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int64_t begin = clock_mono_ms();

	pthread_once(&once, library_init);
	for (int tries = 0;; tries++) {
		bool again = false;
		struct error why = {0};
		struct ssh_session *s = attempt(target, via, keyring, begin, &again, &why);
		if (s != NULL) {
			return s;
		}
		int64_t left = begin + target->connect_timeout_ms - clock_mono_ms();
		int pause = backoff_ms(tries);
		if (!again || tries == RETRIES || left <= pause || cancel_requested()) {
			*err = why;
			if (again) {
				error_hint(err, "is it an SSH server? if so, it may have too many "
						"connections at once (MaxStartups in sshd_config)");
			}
			error_host(err, target->host);
			return NULL;
		}
		clock_sleep_ms(pause);
	}
}

void ssh_session_leave(struct ssh_session *s)
{
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_mutex_unlock(&s->lock);
	ssh_event_signal(s->wake);
}

void ssh_session_close(struct ssh_session *s)
{
	if (s == NULL) {
		return;
	}
	ssh_session_leave(s);
	if (s->started) {
		pthread_join(s->thread, NULL);
	}
	session_free(s);
}

bool ssh_session_alive(struct ssh_session *s)
{
	pthread_mutex_lock(&s->lock);
	bool alive = !s->dead && !s->closing;
	pthread_mutex_unlock(&s->lock);
	return alive;
}

int ssh_session_error(struct ssh_session *s, struct error *err)
{
	pthread_mutex_lock(&s->lock);
	bool dead = s->dead;
	if (dead) {
		*err = s->why;
	}
	pthread_mutex_unlock(&s->lock);
	return dead ? -1 : 0;
}

void ssh_session_abort(struct ssh_session *s, const char *why)
{
	pthread_mutex_lock(&s->lock);
	snprintf(s->cut, sizeof(s->cut), "%s", why != NULL && *why != '\0' ? why : "aborted");
	pthread_mutex_unlock(&s->lock);
	ssh_event_signal(s->wake);
}

const char *ssh_session_host(const struct ssh_session *s)
{
	return s->host;
}

void ssh_session_stats(struct ssh_session *s, struct ssh_stats *stats)
{
	*stats = (struct ssh_stats){
		.sent = atomic_load(&s->link.sent),
		.received = atomic_load(&s->link.received),
		.opened = atomic_load(&s->opened),
		.open = atomic_load(&s->open),
		.connect_ms = s->connect_ms,
		.rtt_us = ssh_link_rtt_us(&s->link),
	};
}

/* OpenSSH's PROTOCOL, 2.4: string socket path, string reserved, uint32 reserved. */
struct ssh_pending *ssh_open_unix_start(struct ssh_session *s, const char *path)
{
	struct ssh_pending *p = ssh_request_new(s, REQUEST_UNIX, path);

	wire_put_text(&p->message, path);
	wire_put_text(&p->message, "");
	wire_put_u32(&p->message, 0);
	ssh_request_post(p);
	return p;
}

/* RFC 4254, 7.2: host and port to connect to, originator's address and port. */
struct ssh_pending *ssh_open_tcp_start(struct ssh_session *s, const char *host, int port)
{
	CLEANUP_FREE char *name = xasprintf("%s:%d", host, port);
	struct ssh_pending *p = ssh_request_new(s, REQUEST_TCP, name);

	wire_put_text(&p->message, host);
	wire_put_u32(&p->message, (uint32_t)port);
	wire_put_text(&p->message, "127.0.0.1");
	wire_put_u32(&p->message, 0);
	ssh_request_post(p);
	return p;
}

struct ssh_pending *ssh_subsystem_start(struct ssh_session *s, const char *name)
{
	struct ssh_pending *p = ssh_request_new(s, REQUEST_SESSION, name);

	p->startup = "subsystem";
	p->command = xstrdup(name);
	ssh_request_post(p);
	return p;
}

int ssh_open_unix(struct ssh_session *s, const char *path, struct error *err)
{
	return ssh_pending_wait(ssh_open_unix_start(s, path), err);
}

int ssh_open_tcp(struct ssh_session *s, const char *host, int port, struct error *err)
{
	return ssh_pending_wait(ssh_open_tcp_start(s, host, port), err);
}

int ssh_subsystem(struct ssh_session *s, const char *name, struct error *err)
{
	return ssh_pending_wait(ssh_subsystem_start(s, name), err);
}
