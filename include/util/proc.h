/* SPDX-License-Identifier: MIT */
/* Local child processes (ssh -G, hooks, $(command) in secrets, tests). Never through a shell. */
#pragma once

#include "util/error.h"
#include "util/str.h"

#include <stdbool.h>

struct proc_request {
	const char *const *argv; /* argv[0] is looked up in PATH; NULL-terminated */
	const char *const *env;  /* "K=V" added to ours, NULL-terminated, or NULL */
	const char *dir;         /* working folder, or NULL */
	const void *input;       /* bytes for its stdin, or NULL for /dev/null */
	size_t input_len;
	int timeout_ms; /* then SIGTERM, 2 s later SIGKILL to its process group; 0 = none */
	/* It may ask on the terminal (gpg, op): it stays in our process group, and only itself is
	 * ended by a time-out. */
	bool terminal;
	/* It talks with the user: our stdin and stderr, and our stdout unless that is collected. */
	bool inherit;
	/* Called for each complete line of stdout (is_err false) or stderr, on the caller's thread;
	 * NULL: both are collected only. */
	void (*on_line)(void *ctx, bool is_err, const char *line);
	void *ctx;
};

struct proc_result {
	int status; /* exit status; 128 + signal */
	bool timed_out;
};

/*
 * Runs it to its end.  `out` and `errout` collect stdout and stderr (either may be NULL; what does
 * not fit their maximum is dropped).  Cancelled by util/cancel.h.  An exit status other than 0 is
 * no error here; not being able to start is (err->sys is ENOENT when the program is not there).
 */
ERROR_CHECKED int proc_run(const struct proc_request *req, struct str *out, struct str *errout,
	struct proc_result *result, struct error *err);
