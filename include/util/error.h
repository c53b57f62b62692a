/* SPDX-License-Identifier: MIT */
/*
 * Errors.
 *
 * A `struct error` is a plain value owned by the caller and passed as the last argument; zero
 * means none.  It holds no heap memory: it can be copied, compared to zero and forgotten.
 *
 * A function that can fail returns 0 or -1 (or a pointer or NULL) and is ERROR_CHECKED.  On
 * success it does not touch *err.  Failing is one statement:
 *
 *	return error_set(err, ERROR_REMOTE, "create container '%s'", name);
 *
 * Each layer wraps once, with what only that layer knows (error_wrap), and never repeats what the
 * callee said.  Messages are lower case, without a full stop, names in quotes.  Rendered:
 *
 *	push: host app2: pull 'reportify:3f2a1c': registry closed the stream
 *
 * `err` may not be NULL.  Use a local `struct error ignored = {0}` where a failure is harmless.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#define ERROR_CHECKED __attribute__((warn_unused_result))

enum error_kind {
	ERROR_NONE = 0,
	ERROR_USAGE,       /* exit 2: bad command line */
	ERROR_MANIFEST,    /* exit 3: manifest, secrets or environment file is wrong */
	ERROR_CONNECT,     /* exit 4: connection, host key or authentication */
	ERROR_REMOTE,      /* exit 5: something failed on a server, or in a build */
	ERROR_UNHEALTHY,   /* exit 6: the new release did not become healthy; rolled back */
	ERROR_LOCKED,      /* exit 7: somebody else holds the lock */
	ERROR_PARTIAL,     /* exit 8: done on some hosts only */
	ERROR_INTERNAL,    /* exit 70: a fault of ours, or of this machine */
	ERROR_INTERRUPTED, /* exit 130: Ctrl-C, SIGTERM, or a sibling's failure cancelled it */
};

struct error {
	enum error_kind kind;
	int sys;           /* errno where a system call failed, else 0 */
	int status;        /* HTTP status of a Docker daemon, exit status of a process, else 0 */
	char host[128];    /* host on which it happened, "" when none */
	char text[1536];   /* chain of frames, outermost first, joined by ": " */
	char detail[6144]; /* further lines shown below it (a container's last log lines), or "" */
	char hint[512];    /* what to do next, or "" */
};

/* Sets *err; returns -1.  Text is cut at the size of the field, on a UTF-8 boundary. */
int error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set, and appends ": " and the text of `sys` (an errno value). Returns -1. */
int error_sys(struct error *err, enum error_kind kind, int sys, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts "<fmt>: " in front of the message; keeps everything else. Returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sets what to do next (replaces an earlier hint). Returns -1. */
int error_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends lines to the detail; keeps the *end* of it when it does not fit. Returns -1. */
int error_detail(struct error *err, const char *text, size_t len);

/* Names the host on which it happened ("host <name>: " in front), unless one is named already.
 * Returns -1. */
int error_host(struct error *err, const char *host);

/* The documented exit status of a kind (see deploy(1)); 0 for ERROR_NONE. */
int error_exit_status(enum error_kind kind);

/* A stable name for --json ("remote", "unhealthy", ...). Never NULL. */
const char *error_kind_name(enum error_kind kind);
