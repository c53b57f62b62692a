/* SPDX-License-Identifier: MIT */
/* Reverse forwards: a port on the server whose connections come to us as descriptors. */
#pragma once

#include "ssh/session.h"

struct ssh_listener;

/*
 * Asks the server to listen on host:port (port 0: it chooses; *bound gets it).  ERROR_REMOTE when
 * it refuses (AllowTcpForwarding no, or the port is taken).
 */
ERROR_CHECKED struct ssh_listener *ssh_listen(
	struct ssh_session *s, const char *host, int port, int *bound, struct error *err);

/* Readable when a connection waits, or the listener is over. Borrowed. */
int ssh_listener_fd(const struct ssh_listener *l);

/*
 * The next connection: a descriptor like those of ssh/session.h.  -1: timeout (ERROR_NONE is left
 * in *err: err->kind stays untouched), cancelled, or over (ERROR_CONNECT).  timeout_ms -1: none.
 */
ERROR_CHECKED int ssh_listener_accept(struct ssh_listener *l, int timeout_ms, struct error *err);

/* Makes a blocked accept return (any thread); further accepts fail. */
void ssh_listener_stop(struct ssh_listener *l);

/* Stops, takes the forward back on the server, closes what was not accepted. NULL is fine. */
void ssh_listener_close(struct ssh_listener *l);
