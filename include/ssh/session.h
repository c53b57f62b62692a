/* SPDX-License-Identifier: MIT */
/*
 * One SSH connection.  Its channels are file descriptors.
 *
 * After login one thread of ours, the pump, is the only caller of libssh2 for the session; it moves
 * bytes between channels and socket pairs.  Everything above sees ordinary blocking, close-on-exec
 * stream sockets that it owns and closes:
 *
 *   shutdown(fd, SHUT_WR)   EOF to the peer; its answer can still be read
 *   read() returns 0        the peer sent EOF (writing may still be possible), or the session died:
 *                           ssh_session_error() tells which
 *   close(fd)               closes the channel
 *
 * Back pressure is that of socket buffers and SSH windows.  When the session dies (peer gone,
 * keepalive unanswered, ssh_session_close) every descriptor of it reads EOF and refuses writes
 * (EPIPE).
 *
 * All functions may be called from any thread, but not beside or after ssh_session_close().  Each
 * wait here is bounded and ends when cancelled (util/cancel.h).
 */
#pragma once

#include "ssh/target.h"
#include "util/error.h"
#include "util/str.h"

#include <stdbool.h>
#include <stdint.h>

struct ssh_session;
struct ssh_keyring; /* ssh/keyring.h: passphrases asked once; may be NULL */

/*
 * Connects, checks the host key, logs in, starts the pump.  `via`, borrowed, is the session of the
 * jump host or NULL; it must outlive this one.  A server that turns the connection away before it
 * says its version (MaxStartups) is asked again, within the time-out.  ERROR_CONNECT with a hint on
 * how to mend it.
 *
 * Round trips: TCP 1, versions and algorithms 1, keys 1, login 2 (asking whether the key would do
 * travels with the request for the service; libssh2 cannot leave it out), one more for each key
 * that is refused.  Then one for each channel, one after the other, and one more for a command or
 * SFTP.
 */
ERROR_CHECKED struct ssh_session *ssh_session_open(const struct ssh_target *target,
	struct ssh_session *via, struct ssh_keyring *keyring, struct error *err);

/* Says goodbye, ends the pump, closes all channels. Returns within 2 s. NULL is fine. */
void ssh_session_close(struct ssh_session *s);

bool ssh_session_alive(struct ssh_session *s);
/* Why it is dead: sets *err (ERROR_CONNECT, "connection lost: ...") and returns -1; 0 while alive.
 */
ERROR_CHECKED int ssh_session_error(struct ssh_session *s, struct error *err);
/* Cuts it at once from any thread, as a lost network would: descriptors read EOF. */
void ssh_session_abort(struct ssh_session *s, const char *why);

const char *ssh_session_host(const struct ssh_session *s); /* as written in the manifest */

struct ssh_stats {
	uint64_t sent; /* bytes on the wire since connect(), encryption included */
	uint64_t received;
	unsigned opened; /* channels opened so far */
	unsigned open;   /* open now */
	int connect_ms;  /* TCP, handshake and login */
	int rtt_us;      /* smoothed round trip as the kernel's TCP sees it; 0: not known */
};
void ssh_session_stats(struct ssh_session *s, struct ssh_stats *stats);

/*
 * Channels.  Return a descriptor, or -1: ERROR_CONNECT when the session is lost, ERROR_REMOTE when
 * the server refused; error.status is the SSH open-failure reason where there is one
 * (SSH_OPEN_PROHIBITED: AllowTcpForwarding or AllowStreamLocalForwarding is "no").
 */
#define SSH_OPEN_PROHIBITED     1 /* RFC 4254, 5.1 */
#define SSH_OPEN_CONNECT_FAILED 2
#define SSH_OPEN_UNKNOWN_TYPE   3
#define SSH_OPEN_SHORTAGE       4

/* A unix socket of the server (direct-streamlocal@openssh.com, OpenSSH's PROTOCOL, 2.4). */
ERROR_CHECKED int ssh_open_unix(struct ssh_session *s, const char *path, struct error *err);
/* A TCP connection from the server to host:port, as the server sees it. */
ERROR_CHECKED int ssh_open_tcp(
	struct ssh_session *s, const char *host, int port, struct error *err);
/* A subsystem ("sftp"). Returns once the channel is open: the request's reply is not waited for. */
ERROR_CHECKED int ssh_subsystem(struct ssh_session *s, const char *name, struct error *err);

/*
 * The same without waiting: the opens of several callers and these are done by the pump one after
 * the other (libssh2 can open one at a time, one round trip each).  ssh_pending_wait() frees `p`.
 */
struct ssh_pending;
struct ssh_pending *ssh_open_unix_start(struct ssh_session *s, const char *path);
struct ssh_pending *ssh_open_tcp_start(struct ssh_session *s, const char *host, int port);
struct ssh_pending *ssh_subsystem_start(struct ssh_session *s, const char *name);
ERROR_CHECKED int ssh_pending_wait(struct ssh_pending *p, struct error *err);
void ssh_pending_cancel(struct ssh_pending *p); /* instead of waiting; NULL is fine */
