/* SPDX-License-Identifier: MIT */
/*
 * All sessions of a run: one per user, host and port, shared by whoever asks; one per jump host,
 * shared by all behind it; connects are bounded (`parallel` at once, and 8 handshakes at once to
 * one address: sshd's MaxStartups is 10:30:100).  Thread-safe: call ssh_fabric_connect() from as
 * many workers as there are hosts.
 */
#pragma once

#include "ssh/session.h"

struct ssh_fabric;

/* `parallel` 0: 64. */
struct ssh_fabric *ssh_fabric_new(int parallel);

/*
 * The session for options->host, borrowed until ssh_fabric_free(): resolved, jumps connected,
 * logged in.  A living one is returned as it is; a dead one is replaced (the dead one stays valid
 * until the end).  A failure is not remembered.
 */
ERROR_CHECKED struct ssh_session *ssh_fabric_connect(
	struct ssh_fabric *f, const struct ssh_options *options, struct error *err);

/* Cuts all sessions, from any thread: what waits for one of them fails at once. */
void ssh_fabric_abort(struct ssh_fabric *f, const char *why);

/*
 * Gives one back that ssh_fabric_connect() gave; when all have, it is closed, to save its memory
 * (some 130 KB) where there are hundreds.  One that carries others (a jump host) stays.
 */
void ssh_fabric_release(struct ssh_fabric *f, struct ssh_session *s);

/* Closes all sessions, at once. NULL is fine. */
void ssh_fabric_free(struct ssh_fabric *f);
