/* SPDX-License-Identifier: MIT */
/*
 * The parts of a session, shared by session.c (the callers' side), pump.c (the thread), channel.c
 * (one channel's bytes), request.c (what callers ask of the thread), exec.c and listener.c.
 *
 * Locks: session.lock guards the request queue and the state; request.lock guards one request's
 * outcome.  Order: none is taken while holding another.
 */
#pragma once

#include "link.h"
#include "ssh/exec.h"
#include "ssh/listener.h"
#include "ssh/session.h"

#include <libssh2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SSH_OPEN_TIMEOUT_MS 60000 /* libssh2 itself gives a channel 60 s to open */
#define SSH_CLOSE_MS        1000  /* how long closing waits for the last bytes to leave */
#define SSH_IDLE_PING_MS                                                                           \
	5000 /* packets that come while no channel is open wait at most so long                    \
	      */
#define SSH_WINDOW      ((size_t)256 << 10) /* of a channel, see grant() in channel.c */
#define SSH_WINDOW_FAST ((size_t)16 << 20)  /* of a channel whose reader keeps up */
#define SSH_CHUNK       ((size_t)4 * 32700) /* libssh2 sends at most 32700 bytes in a packet */
#define SSH_PASS_BYTES  ((size_t)1 << 20)   /* of one channel in one pass */
#define SSH_READ        ((size_t)32 << 10)  /* one read of a channel */
#define SSH_OPEN_WINDOW 32768               /* libssh2 keeps it and SSH_READ open by itself */
#define SSH_PACKET      32768
#define SSH_BACKLOG     128 /* connections to a listener that were not accepted yet */

enum request_kind {
	REQUEST_UNIX,
	REQUEST_TCP,
	REQUEST_SESSION, /* exec, shell or subsystem */
	REQUEST_LISTEN,
	REQUEST_UNLISTEN,
	REQUEST_RESIZE,
	REQUEST_ABANDON, /* an exec's owner has gone */
	REQUEST_PING,
};

/* What a caller asks of the pump. Freed by whoever holds the last reference. */
struct ssh_pending {
	struct ssh_pending *next; /* in the session's queue */
	enum request_kind kind;
	atomic_int refs;
	int done_fd; /* eventfd, readable when done; -1: nobody waits */
	struct ssh_session *session;

	char *name;         /* for messages: socket's path, "host:port", subsystem or command */
	struct str message; /* what channel-open says besides its fixed part */
	char *host;         /* listen */
	int port;
	const char *startup; /* "exec", "shell" or "subsystem" */
	char *command;       /* its argument, or NULL */
	bool pty;
	char *term;
	int cols, rows;
	struct ssh_exec_state *exec;   /* reference held */
	struct ssh_listener *listener; /* reference held */

	pthread_mutex_t lock; /* guards what follows */
	bool done, abandoned;
	int fd, err_fd;
	struct error error; /* when kind is not ERROR_NONE */
};

/* How a command ended; shared by its owner and the pump. */
struct ssh_exec_state {
	atomic_int refs;
	struct ssh_session *session;
	char *command;
	int done_fd; /* eventfd */
	atomic_bool abandoned;
	pthread_mutex_t lock; /* guards what follows */
	bool done;
	int status;
	char signal[SSH_SIGNAL_SIZE];
	struct error error;
};

struct ssh_listener {
	atomic_int refs;
	struct ssh_session *session;
	int port;
	int ready_fd;              /* eventfd counting what waits, and one more when over */
	LIBSSH2_LISTENER *l;       /* the pump's */
	struct ssh_listener *next; /* the pump's */
	pthread_mutex_t lock;      /* guards what follows */
	bool over;                 /* no more will come */
	bool ended;                /* the pump has forgotten it */
	int queue[SSH_BACKLOG];
	size_t queued;
};

struct buffer {
	uint8_t *p;
	size_t pos, len, cap;
};

/* One stream from the channel to a descriptor. */
struct stream {
	int fd;                /* our end, or -1 */
	int id;                /* libssh2's stream: 0 or SSH_EXTENDED_DATA_STDERR */
	struct buffer pending; /* read from the channel, not yet taken by the socket */
	bool gone;             /* the reader closed: what comes is dropped */
	bool dry;              /* the last read gave nothing, as at the end */
};

enum channel_state { CHANNEL_PTY, CHANNEL_START, CHANNEL_RUN, CHANNEL_CLOSING };

struct channel {
	struct channel *next;
	LIBSSH2_CHANNEL *ch;
	enum channel_state state;
	struct ssh_pending *request; /* until its caller is answered */
	struct ssh_exec_state *exec; /* reference held, or NULL */
	char *startup_name;
	char *startup_arg;
	bool starting; /* the reply to exec or subsystem has not come */
	struct stream out, err;
	struct buffer up; /* from out.fd, not yet written to the channel */
	bool up_eof;      /* the user sends no more */
	bool eof_sent;
	bool down_eof; /* the server sends no more, and all of it was handed over */
	bool remote_eof;
	bool remote_closed;
	bool hung_up; /* the user closed its end */
	bool blocked; /* the server's window is full */
	uint64_t received;
	size_t window; /* bytes that may be under way and wait here */
	int poll_at;   /* index in the poll set, or -1; err's follows */
};

struct ssh_session {
	char *host;
	struct ssh_link link;
	LIBSSH2_SESSION *ls;
	int keepalive_ms;
	int connect_ms;
	pthread_t thread;
	bool started;
	int wake; /* eventfd */
	atomic_uint opened, open;

	pthread_mutex_t lock; /* guards what follows */
	struct ssh_pending *queue;
	bool closing;
	bool dead;
	struct error why;
	char cut[128]; /* ssh_session_abort() */

	/* The pump's own. */
	struct ssh_pending *waiting; /* opens, in order */
	struct ssh_pending *opening; /* libssh2 can open one at a time */
	struct ssh_pending *binding; /* and one listener */
	int bound;
	struct channel *channels;
	struct ssh_listener *listeners;
	struct buffer bounce;
	int64_t ping_ms;  /* when the ping in flight was sent; 0: none */
	int64_t stale_ms; /* since when bytes wait while nobody reads; 0: not so */
	bool again;       /* something can go on without waiting */
};

/* session.c: begins what ssh_session_close() waits for. */
void ssh_session_leave(struct ssh_session *s);

/* request.c */
struct ssh_pending *ssh_request_new(
	struct ssh_session *s, enum request_kind kind, const char *name);
struct ssh_pending *ssh_request_ref(struct ssh_pending *p);
void ssh_request_unref(struct ssh_pending *p);
/* Hands it to the pump (or fails it at once when the session is dead). Keeps the caller's ref. */
void ssh_request_post(struct ssh_pending *p);
/* The pump answers: descriptors (taken) or an error. The pump's reference goes. */
void ssh_request_done(struct ssh_pending *p, int fd, int err_fd);
void ssh_request_fail(struct ssh_pending *p, const struct error *why);
/* Waits for the outcome: 0, or -1 (p is abandoned then). Keeps the reference. */
ERROR_CHECKED int ssh_request_wait(struct ssh_pending *p, int timeout_ms, struct error *err);

/* channel.c, the pump's side */
struct channel *ssh_channel_new(
	struct ssh_session *s, LIBSSH2_CHANNEL *ch, bool with_err, int user[2]);
void ssh_channel_add(struct ssh_session *s, struct channel *c);
/* Moves what can be moved. -1: the session is broken (libssh2's code in *code). */
ERROR_CHECKED int ssh_channel_step(struct ssh_session *s, struct channel *c, int *code);
bool ssh_channel_finished(const struct channel *c);
void ssh_channel_free(struct channel *c); /* closes our ends; libssh2's part must be gone */
/* The session is over: readers see EOF, writers EPIPE. */
void ssh_channel_cut(struct channel *c, const struct error *why);

/* exec.c */
struct ssh_exec_state *ssh_exec_state_ref(struct ssh_exec_state *x);
void ssh_exec_state_unref(struct ssh_exec_state *x);
void ssh_exec_ended(struct ssh_exec_state *x, LIBSSH2_CHANNEL *ch);
void ssh_exec_failed(struct ssh_exec_state *x, const struct error *why);

/* listener.c */
void ssh_listener_ref(struct ssh_listener *l);
void ssh_listener_unref(struct ssh_listener *l);
void ssh_listener_push(struct ssh_listener *l, int fd); /* takes fd */
void ssh_listener_over(struct ssh_listener *l);         /* the pump forgets it */

/* pump.c */
void *ssh_pump(void *session);
bool ssh_code_fatal(int code);
/* A socket pair: [0] ours (non-blocking), [1] the user's. 0, or an errno value. */
int ssh_socketpair(int pair[2]);
/* eventfd helpers */
int ssh_event_new(void);
void ssh_event_signal(int fd);
