/* SPDX-License-Identifier: MIT */
/* Commands on a server. The user's login shell there interprets them: quote with ssh_quote(). */
#pragma once

#include "ssh/session.h"

struct ssh_exec_request {
	const char *command; /* NULL: the login shell */
	bool pty;
	const char *term; /* with pty; NULL: "xterm" */
	int cols, rows;   /* with pty; 0: 80x24 */
};

/* A running command. Zero-initialise; ssh_exec_fini() closes what is still open. */
struct ssh_exec {
	int fd; /* its stdin (write) and stdout (read); yours to close or to hand on (-1 then) */
	int err_fd; /* its stderr (read); -1 with a pty */
	struct ssh_exec_state *state;
};

/* Starts it. Data may be written at once: the reply to the request is not waited for. */
ERROR_CHECKED int ssh_exec_start(struct ssh_session *s, const struct ssh_exec_request *request,
	struct ssh_exec *x, struct error *err);

/*
 * Waits until the server has said how it ended (read its output to EOF before, or beside).
 * *status: exit status, or 128 + signal; `signal` (may be NULL) gets the signal's name without
 * "SIG", or "".  timeout_ms -1: none.  ERROR_REMOTE when it could not be started or the time is
 * over, ERROR_CONNECT when the session was lost first.
 */
#define SSH_SIGNAL_SIZE 16
ERROR_CHECKED int ssh_exec_wait(struct ssh_exec *x, int timeout_ms, int *status,
	char signal[SSH_SIGNAL_SIZE], struct error *err);

void ssh_exec_resize(struct ssh_exec *x, int cols, int rows);

/* Closes both descriptors (the server then hangs the command up) and forgets it. */
void ssh_exec_fini(struct ssh_exec *x);

/*
 * Runs it to its end: `input` to its stdin, then EOF; stdout and stderr appended to `out` and
 * `errout` (either may be NULL: dropped; what does not fit the maximum is dropped).  A status other
 * than 0 is no error.
 */
ERROR_CHECKED int ssh_run(struct ssh_session *s, const char *command, const void *input,
	size_t input_len, struct str *out, struct str *errout, int timeout_ms, int *status,
	struct error *err);

/* Appends `word` quoted for a POSIX shell. */
void ssh_quote(struct str *out, const char *word);
